"""Rows of the plan: scopes, pools, what is used of them, and what is provisioned to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ipam.entrypoints.cli.rows.values import pairs, texts, when, when_if

if TYPE_CHECKING:
    from datetime import datetime

    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, Scope
    from ipam.entrypoints.cli.pool_use import PoolUse
    from ipam.services.find import Level
    from ipam.services.utilisation import Utilisation


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A scope."""

    scope_id: str
    name: str
    scope_type: str
    description: str
    pools: int
    created: datetime
    tags: tuple[str, ...]
    is_default: bool

    @classmethod
    def of(cls, plan: Plan, scope: Scope) -> ScopeRow:
        """Describe a scope."""
        return cls(
            scope.scope_id,
            scope.name,
            scope.scope_type,
            scope.description,
            sum(pool.scope_id == scope.scope_id for pool in plan.pools.values()),
            when(scope.created),
            pairs(scope.tags),
            scope.is_default,
        )


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
    tags: tuple[str, ...]
    allocation_resource_tags: tuple[str, ...]
    allowed_cidrs: tuple[str, ...]
    disallowed_cidrs: tuple[str, ...]
    approval_netmask_length: int | None
    lease_seconds: int | None
    strategy: str
    shared_with: tuple[str, ...]
    source_resource: str | None
    source_resource_owner: str | None
    vpc_ipam_pool_id: str | None
    auto_import: bool
    sticky: bool

    @classmethod
    def of(cls, plan: Plan, pool: Pool) -> PoolRow:
        """Describe a pool."""
        source = plan.pools.get(pool.source_pool_id or "")
        rules, quota, vpc = pool.rules, pool.quota, pool.source_resource
        return cls(
            pool.pool_id,
            pool.name,
            plan.space(pool.scope_id).name,
            source.name if source else None,
            plan.depth(pool),
            f"ipv{pool.family}",
            pool.locale,
            texts(sorted(plan.space(pool.pool_id).provisioned)),
            tuple(sorted(pool.allocation_types)),
            rules.min_netmask_length,
            rules.max_netmask_length,
            rules.default_netmask_length,
            pool.cooling_seconds,
            quota.allocations,
            quota.units,
            pool.description,
            when(pool.created),
            pairs(pool.tags),
            pairs(rules.required_tags),
            texts(rules.allowed_cidrs),
            texts(rules.disallowed_cidrs),
            rules.approval_netmask_length,
            rules.lease_seconds,
            rules.strategy,
            pool.shared_with,
            None if vpc is None else vpc.resource_id,
            None if vpc is None else vpc.owner,
            pool.vpc_ipam_pool_id or None,
            pool.auto_import,
            pool.sticky,
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
class ComplianceRow:
    """What is allocated from a pool and would be refused today: the block, and the rule with what it says."""

    pool_id: str
    noncompliant: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A pool in the drawing of the plan, with how much of it is held, and for how long."""

    scope: str
    pool: str
    source_pool: str | None
    depth: int
    locale: str
    cidrs: tuple[str, ...]
    provisioned: int
    allocated: int
    cooling: int
    free: int
    percent_allocated: float
    largest_free: str | None
    leases: int
    previews: int
    pool_id: str

    @classmethod
    def of(cls, plan: Plan, used: PoolUse) -> PlanRow:
        """Describe what is used of a pool."""
        pool, row = PoolRow.of(plan, used.pool), UtilisationRow.of(plan, used.pool, used.utilisation)
        return cls(
            pool.scope,
            pool.name,
            pool.source_pool,
            pool.depth,
            pool.locale,
            pool.cidrs,
            row.provisioned,
            row.allocated,
            row.cooling,
            row.free,
            row.percent_allocated,
            row.largest_free,
            used.leases,
            used.previews,
            pool.pool_id,
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
        pool = level.pool
        source = plan.space(pool.parent_id).name
        given = (level.allocation_id, when_if(level.since))
        return cls(str(level.cidr), pool.name, pool.pool_id, "provisioned", source, *given)
