"""Authorize: compare the key that a stack shows with the key of its account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.authorization import matches
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from ipam.services.ports import Ports
    from ipam.services.ports.outside import Secrets


def is_authorized(ports: Ports, secrets: Secrets, account: str, presented: str) -> bool:
    """Whether the key is the account's: of a generation that is good, by the current master key or the one before.

    An account that never was a tenant has the key of the first generation: it may hold what it got before there were
    any. One that was removed had given everything back: it has nothing to announce, and no key.
    """
    return any(
        # A rotation may have happened since the keys, or the plan, were read.
        matches(presented, secrets.master_keys(fresh=fresh), account, _generations(ports, account, fresh=fresh))
        for fresh in (False, True)
    )


def _generations(ports: Ports, account: str, *, fresh: bool) -> tuple[int, ...]:
    """Tell the generations of an account's key that are good."""
    plan = current_plan(ports, fresh=fresh)
    if account in plan.tenants:
        return plan.tenants[account].generations(ports.clock.now())
    return () if account in plan.removed else (1,)
