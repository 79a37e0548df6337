"""Rows of blocks: who has them, what is around them, and what happened to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ipam.entrypoints.cli.rows.holders import Holder
from ipam.entrypoints.cli.rows.values import pairs, when, when_if

if TYPE_CHECKING:
    from datetime import datetime

    from ipam.domain.allocation import Allocation, AuditRecord, Lease
    from ipam.domain.plan import Plan
    from ipam.services.find import Block, Level, Place
    from ipam.services.soundness import Finding


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """A block with its holder."""

    cidr: str
    allocation_id: str
    allocation_type: str
    scope: str
    pool: str
    pool_id: str
    account: str
    holder_type: str
    holder: str
    resource: str
    created: datetime
    holder_id: str
    description: str
    tags: tuple[str, ...]
    expires: datetime | None
    preview: bool
    divided_by: str | None
    vpc_ipam_allocation_id: str | None

    @classmethod
    def of(cls, plan: Plan, held: Allocation, lease: Lease | None = None) -> AllocationRow:
        """Describe an allocation, with its lease if it has one."""
        holder = Holder.of(plan, held.owner)
        pool = plan.pools.get(held.pool_id)
        divided_by = plan.pools.get(held.divided_by)
        return cls(
            str(held.cidr),
            held.allocation_id,
            held.allocation_type,
            plan.space(pool.scope_id if pool else held.pool_id).name,
            plan.space(held.pool_id).name,
            held.pool_id,
            held.account,
            holder.holder_type,
            holder.holder,
            holder.resource,
            when(held.created),
            holder.holder_id,
            held.description,
            pairs(held.tags),
            None if lease is None else when(lease.until),
            lease is not None and lease.preview,
            divided_by.name if divided_by else held.divided_by or None,
            held.vpc_ipam_allocation_id or None,
        )


Position = Literal["here", "before", "after", "above"]


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A block at or around what was looked for; `above` are those of the pools that it lies in, from the leaf up."""

    looked_for: str
    position: Position
    cidr: str
    state: str
    scope: str
    pool: str
    account: str
    holder_type: str | None
    holder: str | None
    resource: str | None
    since: datetime | None
    until: datetime | None
    allocation_id: str | None
    holder_id: str | None
    description: str
    allocation_type: str | None
    tags: tuple[str, ...]
    expires: datetime | None
    preview: bool
    divided_by: str | None
    cause: str | None

    @classmethod
    def block(cls, plan: Plan, place: Place, position: Position, block: Block) -> FoundRow:
        """Describe a block of the last pool."""
        pool = place.path[0].pool.name if place.path else place.scope.name
        held, cooling = block.allocation, block.cooling
        row = AllocationRow.of(plan, held, block.lease) if held is not None else None
        return cls(
            looked_for=str(place.cidr),
            position=position,
            cidr=str(block.cidr),
            state=block.state,
            scope=place.scope.name,
            pool=pool,
            account=row.account if row else "",
            holder_type=row.holder_type if row else None,
            holder=row.holder if row else None,
            resource=row.resource if row else None,
            since=row.created if row else None,
            until=None if cooling is None else when(cooling.until),
            allocation_id=row.allocation_id if row else None if cooling is None else cooling.allocation_id,
            holder_id=row.holder_id if row else None,
            description=row.description if row else "",
            allocation_type=row.allocation_type if row else None,
            tags=row.tags if row else (),
            expires=row.expires if row else None,
            preview=row is not None and row.preview,
            divided_by=row.divided_by if row else None,
            cause=block.cause or None,
        )

    @classmethod
    def level(cls, plan: Plan, place: Place, level: Level) -> FoundRow:
        """Describe the block of a pool: an allocation of its parent, or of a VPC that the pool divides."""
        pool, vpc = level.pool, level.divides
        holder = Holder("pool", pool.name, pool.pool_id, "") if vpc is None else Holder.of(plan, vpc.owner)
        return cls(
            looked_for=str(place.cidr),
            position="above",
            cidr=str(level.cidr or ""),
            state="allocated",
            scope=place.scope.name,
            pool=plan.space(pool.parent_id).name,
            account="" if vpc is None else vpc.account,
            holder_type=holder.holder_type,
            holder=holder.holder,
            resource=holder.resource,
            since=when_if(level.since if vpc is None else vpc.created),
            until=None,
            allocation_id=level.allocation_id,
            holder_id=holder.holder_id,
            description=pool.description if vpc is None else vpc.description,
            allocation_type="ipam-pool" if vpc is None else vpc.allocation_type,
            tags=pairs(pool.tags if vpc is None else vpc.tags),
            expires=None,
            preview=False,
            divided_by=None if vpc is None else pool.name,
            cause=None,
        )


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """An audit record: `subject` is the pool or scope, stack or account that it is kept with."""

    at: datetime
    event: str
    cidr: str | None
    account: str
    holder_type: str | None
    holder: str | None
    resource: str | None
    cause: str
    allocation_id: str
    holder_id: str | None
    note: str
    subject: str

    @classmethod
    def of(cls, plan: Plan, record: AuditRecord) -> HistoryRow:
        """Describe an audit record."""
        who = None if record.owner is None else Holder.of(plan, record.owner)
        return cls(
            when(record.at),
            record.event,
            None if record.cidr is None else str(record.cidr),
            record.account,
            None if who is None else who.holder_type,
            None if who is None else who.holder,
            None if who is None else who.resource,
            record.cause,
            record.allocation_id,
            None if who is None else who.holder_id,
            record.note,
            _name(plan, record.subject),
        )


def _name(plan: Plan, subject: str) -> str:
    """Name whose record it is; what is no pool or scope, or is gone, goes by its id."""
    space = plan.pools.get(subject) or plan.scopes.get(subject)
    return subject if space is None else space.name


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something that `doctor` found."""

    severity: Literal["violation", "hint"]
    invariant: str
    kind: str
    pool: str
    cidr: str | None
    other: str | None
    allocation_id: str
    holder_id: str
    resource: str
    account: str
    expected: str
    found: str
    pool_id: str

    @classmethod
    def of(cls, finding: Finding) -> FindingRow:
        """Describe a finding."""
        return cls(
            "hint" if finding.hint else "violation",
            finding.invariant,
            finding.kind,
            finding.pool,
            None if finding.cidr is None else str(finding.cidr),
            None if finding.other is None else str(finding.other),
            finding.allocation_id,
            finding.party,
            finding.name,
            finding.account,
            finding.expected,
            finding.found,
            finding.pool_id,
        )
