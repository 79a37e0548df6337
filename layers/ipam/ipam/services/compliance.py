"""Compliance: what is allocated from a pool, seen by the rules that the pool has today.

Rules change without touching what is allocated; so an allocation may be one that would be refused now. It is only told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.errors import PermanentError
from ipam.domain.plan import Ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.allocation import Allocation
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool
    from ipam.services.ports import Ports


def non_compliant(ports: Ports, plan: Plan, pool: Pool) -> Iterator[tuple[Allocation, PermanentError]]:
    """Give the allocations that a pool's rules would refuse, in address order, each with the refusal that it would get.

    What child pools have is none of them: rules are for resources.
    """
    for allocation in ports.store.allocations(pool.pool_id):
        if allocation.allocation_type != "ipam-pool":
            refusal = _refusal(plan, pool, allocation)
            if refusal is not None:
                yield allocation, refusal


def _refusal(plan: Plan, pool: Pool, allocation: Allocation) -> PermanentError | None:
    """Say why an allocation would be refused, by the first rule that does."""
    cidr = allocation.cidr
    ask = Ask(pool.pool_id, None, pool.locale, allocation.allocation_type, cidr.family, cidr.length, cidr)
    mismatch = plan.mismatch(pool, ask)
    if mismatch is not None:
        return mismatch
    try:
        pool.rules.check_tags(pool.name, allocation.tags)
        pool.rules.resolve(pool.name, cidr.length)
        pool.rules.check_block(pool.name, cidr)
    except PermanentError as refusal:
        return refusal
    return None
