"""Authorize: compare the key that a stack shows with the key of its account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.authorization import matches
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from ipam.services.ports import Ports, Secrets


def is_authorized(ports: Ports, secrets: Secrets, account: str, presented: str) -> bool:
    """Whether the key is the account's: of a generation that is good, by the current master key or the one before.

    An account that is no tenant, or is one no more, has the key of the first generation.
    """
    return any(
        # A rotation may have happened since the keys, or the plan, were read.
        matches(presented, secrets.master_keys(fresh=fresh), account, _generations(ports, account, fresh=fresh))
        for fresh in (False, True)
    )


def _generations(ports: Ports, account: str, *, fresh: bool) -> tuple[int, ...]:
    """Tell the generations of an account's key that are good."""
    tenant = current_plan(ports, fresh=fresh).tenants.get(account)
    return (1,) if tenant is None else tenant.generations(ports.clock.now())
