"""Rows of orphans: allocations that no stack will give back any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam.entrypoints.cli.rows.holders import Holder
from ipam.entrypoints.cli.rows.values import when_if

if TYPE_CHECKING:
    from datetime import datetime

    from ipam.domain.allocation import Allocation
    from ipam.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class OrphanRow:
    """A block, whose it was, since when it is known to be an orphan, why, and what uses it, where that was asked."""

    cidr: str
    pool: str
    account: str
    holder: str
    resource: str
    since: datetime | None
    why: str | None
    used_by: str
    allocation_id: str
    holder_id: str
    pool_id: str
    description: str

    @classmethod
    def of(cls, plan: Plan, held: Allocation, used_by: str = "") -> OrphanRow:
        """Describe an orphan."""
        holder = Holder.of(plan, held.owner)
        return cls(
            str(held.cidr),
            plan.space(held.pool_id).name,
            held.account,
            holder.holder,
            holder.resource,
            when_if(held.orphan.since if held.orphan else None),
            held.orphan.why if held.orphan else None,
            used_by,
            held.allocation_id,
            holder.holder_id,
            held.pool_id,
            held.description,
        )
