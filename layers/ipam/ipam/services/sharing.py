"""Sharing: which accounts may allocate from a pool, as resource shares have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.errors import PoolNotSharedError

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from ipam.services.ports import Ports


def check_shared(ports: Ports, pool: Pool, account: str) -> None:
    """Refuse an account that a pool is not shared with.

    A pool names accounts, organisational units and organisations. Only where it names one of the latter two is the
    organisation asked where the account stands in it, and what it said is remembered for some minutes.

    Raises:
        PoolNotSharedError: the pool is for others.
        UnknownAccountError: the organisation has no such account.
        ServiceUnavailableError: the organisation did not answer.
    """
    if not pool.shared_with or account in pool.shared_with:
        return
    if any(not principal.isdecimal() for principal in pool.shared_with):
        remembered = ports.memory.standing(account, ports.clock.now())
        standing = ports.organization.standing(account) if remembered is None else remembered
        if remembered is None:
            ports.memory.see_standing(account, ports.clock.now(), standing)
        if any(place in pool.shared_with for place in standing):
            return
    raise PoolNotSharedError(pool.name, account)
