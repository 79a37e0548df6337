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
    """A block, whose it was, since when it is known to be an orphan, and why."""

    cidr: str
    pool: str
    account: str
    holder: str
    resource: str
    since: datetime | None
    why: str | None
    allocation_id: str
    holder_id: str
    pool_id: str
    description: str

    @classmethod
    def of(cls, plan: Plan, held: Allocation) -> OrphanRow:
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
            held.allocation_id,
            holder.holder_id,
            held.pool_id,
            held.description,
        )
