"""Sharing: which accounts may allocate from a pool, as resource shares have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.errors import PoolNotSharedError, UnknownAccountError

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from ipam.services.ports import Ports

STANDING_AGE: Final = 300_000
"""Milliseconds for which what the organisation said of an account lets it in: so long an account that was moved may
still use the pools of where it was."""

REFUSAL_AGE: Final = 30_000
"""Milliseconds for which it keeps an account out: so long one that has just been moved, or made, may have to wait. Each
process asks about an account no more often than that, however often somebody is refused."""


def check_shared(ports: Ports, pool: Pool, account: str) -> None:
    """Refuse an account that a pool is not shared with.

    A pool names accounts, organisational units and organisations. Only where it names one of the latter two is the
    organisation asked where the account stands in it.

    Raises:
        PoolNotSharedError: the pool is for others.
        UnknownAccountError: the organisation has no such account.
        ServiceUnavailableError: the organisation did not answer.
    """
    if not pool.shared_with or account in pool.shared_with:
        return
    if all(principal.isdecimal() for principal in pool.shared_with):
        raise PoolNotSharedError(pool.name, account)
    standing: tuple[str, ...] = ()
    for age in (STANDING_AGE, REFUSAL_AGE):
        standing = _standing(ports, account, age)
        if any(place in pool.shared_with for place in standing):
            return
    if not standing:
        raise UnknownAccountError(account)
    raise PoolNotSharedError(pool.name, account)


def _standing(ports: Ports, account: str, age: int) -> tuple[str, ...]:
    """Tell where an account stands, by what was learned lately or anew; nowhere, if nobody knows it."""
    now = ports.clock.now()
    remembered = ports.memory.standing(account, now, age)
    if remembered is not None:
        return remembered
    try:
        standing = ports.organization.standing(account)
    except UnknownAccountError:
        standing = ()
    ports.memory.see_standing(account, now, standing)
    return standing
