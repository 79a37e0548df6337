"""What the command line prints for programs: one record a row, the same fields in JSON and CSV.

The fields are a contract (docs/command-line.md lists them, and a test compares): new ones are added at the end, none is
renamed or removed. Times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation, AuditRecord
    from ipam.domain.owner import OwnerKey
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, Scope
    from ipam.services.find import Block, Level, Place
    from ipam.services.soundness import Finding
    from ipam.services.utilisation import Utilisation

Value: TypeAlias = str | int | float | datetime | tuple[str, ...] | None
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def when(milliseconds: int) -> datetime:
    """Give a time of the engine, milliseconds of the epoch, as a date."""
    return EPOCH + timedelta(milliseconds=milliseconds)


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A scope."""

    scope_id: str
    name: str
    scope_type: str
    description: str
    pools: int
    created: datetime

    @classmethod
    def of(cls, plan: Plan, scope: Scope) -> ScopeRow:
        """Describe a scope."""
        pools = sum(pool.scope_id == scope.scope_id for pool in plan.pools.values())
        return cls(scope.scope_id, scope.name, scope.scope_type, scope.description, pools, when(scope.created))


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A pool."""

    pool_id: str
    name: str
    scope: str
    source_pool: str | None
    depth: int
    address_family: str
    locale: str
    cidrs: tuple[str, ...]
    allocation_types: tuple[str, ...]
    allocation_min_netmask_length: int | None
    allocation_max_netmask_length: int | None
    allocation_default_netmask_length: int | None
    cooling_seconds: int
    max_allocations: int | None
    max_units: int | None
    description: str
    created: datetime

    @classmethod
    def of(cls, plan: Plan, pool: Pool) -> PoolRow:
        """Describe a pool."""
        source = plan.pools.get(pool.source_pool_id or "")
        rules, quota = pool.rules, pool.quota
        return cls(
            pool.pool_id,
            pool.name,
            plan.space(pool.scope_id).name,
            source.name if source else None,
            plan.depth(pool),
            f"ipv{pool.family}",
            pool.locale,
            tuple(str(cidr) for cidr in sorted(plan.space(pool.pool_id).provisioned)),
            tuple(sorted(pool.allocation_types)),
            rules.min_netmask_length,
            rules.max_netmask_length,
            rules.default_netmask_length,
            pool.cooling_seconds,
            quota.allocations,
            quota.units,
            pool.description,
            when(pool.created),
        )


@dataclass(frozen=True, slots=True)
class UtilisationRow:
    """How much of a pool is held, in addresses."""

    pool_id: str
    provisioned: int
    allocated: int
    cooling: int
    free: int
    percent_allocated: float
    largest_free: str | None
    child_pools: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, pool: Pool, used: Utilisation) -> UtilisationRow:
        """Describe what is used of a pool."""
        return cls(
            pool.pool_id,
            used.provisioned,
            used.allocated,
            used.cooling,
            used.free,
            round(used.percent_allocated, 3),
            str(used.largest_free) if used.largest_free else None,
            tuple(child.name for child in plan.children(pool.pool_id)),
        )


@dataclass(frozen=True, slots=True)
class CidrRow:
    """A provisioned CIDR. Who gave it, and when, is empty only where the pool's own record of it is lost."""

    cidr: str
    pool: str
    pool_id: str
    state: Literal["provisioned"]
    source: str
    allocation_id: str | None
    created: datetime | None

    @classmethod
    def of(cls, plan: Plan, level: Level) -> CidrRow:
        """Describe what a pool has."""
        pool, since = level.pool, level.since
        source = plan.space(pool.parent_id).name
        created = None if since is None else when(since)
        return cls(str(level.cidr), pool.name, pool.pool_id, "provisioned", source, level.allocation_id, created)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds: a resource of a stack, or a pool."""

    holder_type: Literal["stack", "pool"]
    holder: str
    holder_id: str
    resource: str

    @classmethod
    def of(cls, plan: Plan, owner: OwnerKey) -> Holder:
        """Describe an owner; a stack goes by its name, which its id contains."""
        pool = plan.pools.get(owner.party)
        if pool is not None:
            return cls("pool", pool.name, pool.pool_id, owner.name)
        name = owner.party.split("/")[1] if owner.party.count("/") > 1 else owner.party
        return cls("stack", name, owner.party, owner.name)


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

    @classmethod
    def of(cls, plan: Plan, held: Allocation) -> AllocationRow:
        """Describe an allocation."""
        holder = Holder.of(plan, held.owner)
        pool = plan.pools.get(held.pool_id)
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

    @classmethod
    def block(cls, plan: Plan, place: Place, position: Position, block: Block) -> FoundRow:
        """Describe a block of the last pool."""
        pool = place.path[0].pool.name if place.path else place.scope.name
        where = (str(block.cidr), block.state, place.scope.name, pool)
        held, cooling = block.allocation, block.cooling
        if held is not None:
            holder = Holder.of(plan, held.owner)
            who = (held.account, holder.holder_type, holder.holder, holder.resource)
            since = when(held.created)
            return cls(
                str(place.cidr),
                position,
                *where,
                *who,
                since,
                None,
                held.allocation_id,
                holder.holder_id,
                held.description,
            )
        until = None if cooling is None else when(cooling.until)
        gone = None if cooling is None else cooling.allocation_id
        return cls(str(place.cidr), position, *where, "", None, None, None, None, until, gone, None, "")

    @classmethod
    def level(cls, plan: Plan, place: Place, level: Level) -> FoundRow:
        """Describe the block of a pool, which is an allocation of its parent."""
        parent = plan.space(level.pool.parent_id).name
        since = None if level.since is None else when(level.since)
        where = (str(level.cidr or ""), "allocated", place.scope.name, parent)
        who = ("", "pool", level.pool.name, "")
        return cls(
            str(place.cidr),
            "above",
            *where,
            *who,
            since,
            None,
            level.allocation_id,
            level.pool.pool_id,
            level.pool.description,
        )


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """An audit record."""

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
        )


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
