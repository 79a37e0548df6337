"""Rows of what is ordered and waits: grants and approvals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam.entrypoints.cli.rows.holders import Holder
from ipam.entrypoints.cli.rows.values import when, when_if

if TYPE_CHECKING:
    from datetime import datetime

    from ipam.domain.allocation import Approval
    from ipam.domain.plan import Plan
    from ipam.services.request import Allocated


@dataclass(frozen=True, slots=True)
class GrantRow:
    """What an order of the command line came to."""

    cidr: str
    allocation_id: str
    pool: str
    pool_id: str
    account: str
    outcome: str
    created: datetime
    expires: datetime | None
    token: str
    preview_token: str | None
    passed_over: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, allocated: Allocated, account: str, token: str, preview_token: str | None) -> GrantRow:
        """Describe what was given. Pools that were tried first stand with the name of the reason."""
        grant = allocated.grant
        return cls(
            str(grant.cidr),
            grant.allocation_id,
            plan.space(grant.pool_id).name,
            grant.pool_id,
            account,
            allocated.outcome,
            when(grant.created),
            when_if(grant.expires),
            token,
            preview_token,
            tuple(f"{pool}:{why}" for pool, why in grant.passed_over),
        )


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """A request that waits for an administrator, or was decided. The event that made it is not among its facts."""

    approval_id: str
    decision: str
    pool: str
    netmask_length: int
    account: str
    holder: str
    resource: str
    asked: datetime
    until: datetime
    decided_by: str
    note: str
    description: str
    holder_id: str
    pool_id: str

    @classmethod
    def of(cls, plan: Plan, approval: Approval) -> ApprovalRow:
        """Describe a request."""
        holder = Holder.of(plan, approval.owner)
        pool = plan.pools.get(approval.pool_id)
        return cls(
            approval.approval_id,
            approval.decision,
            approval.pool_id if pool is None else pool.name,
            approval.netmask_length,
            approval.account,
            holder.holder,
            holder.resource,
            when(approval.asked),
            when(approval.until),
            approval.decided_by,
            approval.note,
            approval.description,
            holder.holder_id,
            approval.pool_id,
        )
