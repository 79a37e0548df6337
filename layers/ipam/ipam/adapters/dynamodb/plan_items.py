"""The plan's items: scopes, pools, what is provisioned to them, reserved names, and tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ipam.adapters.dynamodb import keys
from ipam.adapters.dynamodb.attributes import entries, from_tags, number, optional, pack, text, texts, to_tags
from ipam.domain.pool import (
    AllocationRules,
    AllocationType,
    Pool,
    ProvisionedCidr,
    Quota,
    Scope,
    ScopeType,
    SourceResource,
    Strategy,
)
from ipam.domain.tenant import Standing, Tenant

if TYPE_CHECKING:
    from ipam.adapters.dynamodb.attributes import Item
    from ipam.domain.cidr import Family


def from_scope(scope: Scope) -> Item:
    """Write a scope."""
    return pack(
        keys.scope(scope.scope_id),
        scope_id=scope.scope_id,
        name=scope.name,
        scope_type=scope.scope_type,
        description=scope.description,
        created=scope.created,
        tags=from_tags(scope.tags),
        is_default=scope.is_default or None,
        version=scope.version,
    )


def to_scope(item: Item) -> Scope:
    """Read a scope."""
    return Scope(
        scope_id=text(item, "scope_id"),
        name=text(item, "name"),
        scope_type=cast("ScopeType", text(item, "scope_type")),
        description=text(item, "description"),
        created=number(item, "created"),
        tags=to_tags(item),
        is_default="is_default" in item,
        version=number(item, "version"),
    )


def from_pool(pool: Pool) -> Item:
    """Write a pool."""
    return pack(
        keys.pool(pool.pool_id),
        pool_id=pool.pool_id,
        scope_id=pool.scope_id,
        source_pool_id=pool.source_pool_id,
        name=pool.name,
        family=pool.family,
        locale=pool.locale,
        description=pool.description,
        allocation_types=sorted(pool.allocation_types),
        min_netmask_length=pool.rules.min_netmask_length,
        max_netmask_length=pool.rules.max_netmask_length,
        default_netmask_length=pool.rules.default_netmask_length,
        required_tags=from_tags(pool.rules.required_tags),
        allowed_cidrs=[keys.block(cidr) for cidr in pool.rules.allowed_cidrs],
        disallowed_cidrs=[keys.block(cidr) for cidr in pool.rules.disallowed_cidrs],
        approval_netmask_length=pool.rules.approval_netmask_length,
        lease_seconds=pool.rules.lease_seconds,
        strategy=pool.rules.strategy,
        quota_allocations=pool.quota.allocations,
        quota_units=pool.quota.units,
        cooling_seconds=pool.cooling_seconds,
        created=pool.created,
        tags=from_tags(pool.tags),
        shared_with=list(pool.shared_with),
        source_resource=_from_source(pool.source_resource),
        vpc_ipam_pool_id=pool.vpc_ipam_pool_id,
        auto_import=pool.auto_import or None,
        sticky=pool.sticky or None,
        version=pool.version,
    )


def to_pool(item: Item) -> Pool:
    """Read a pool."""
    return Pool(
        pool_id=text(item, "pool_id"),
        scope_id=text(item, "scope_id"),
        source_pool_id=text(item, "source_pool_id") or None,
        name=text(item, "name"),
        family=cast("Family", number(item, "family")),
        locale=text(item, "locale"),
        description=text(item, "description"),
        allocation_types=frozenset(cast("tuple[AllocationType, ...]", texts(item, "allocation_types"))),
        rules=AllocationRules(
            min_netmask_length=optional(item, "min_netmask_length"),
            max_netmask_length=optional(item, "max_netmask_length"),
            default_netmask_length=optional(item, "default_netmask_length"),
            required_tags=to_tags(item, "required_tags"),
            allowed_cidrs=tuple(keys.parse_block(each) for each in texts(item, "allowed_cidrs")),
            disallowed_cidrs=tuple(keys.parse_block(each) for each in texts(item, "disallowed_cidrs")),
            approval_netmask_length=optional(item, "approval_netmask_length"),
            lease_seconds=optional(item, "lease_seconds"),
            strategy=cast("Strategy", text(item, "strategy")),
        ),
        quota=Quota(optional(item, "quota_allocations"), optional(item, "quota_units")),
        cooling_seconds=number(item, "cooling_seconds"),
        created=number(item, "created"),
        tags=to_tags(item),
        shared_with=texts(item, "shared_with"),
        source_resource=_to_source(item),
        vpc_ipam_pool_id=text(item, "vpc_ipam_pool_id"),
        auto_import="auto_import" in item,
        sticky="sticky" in item,
        version=number(item, "version"),
    )


def _from_source(resource: SourceResource | None) -> dict[str, str] | None:
    if resource is None:
        return None
    return {"resource_id": resource.resource_id, "owner": resource.owner, "region": resource.region}


def _to_source(item: Item) -> SourceResource | None:
    if "source_resource" not in item:
        return None
    fields = item["source_resource"]["M"]
    return SourceResource(text(fields, "resource_id"), text(fields, "owner"), text(fields, "region"))


def from_provisioned(block: ProvisionedCidr) -> Item:
    """Write a provisioned CIDR."""
    return pack(
        keys.provisioned(block.pool_id, block.cidr),
        pool_id=block.pool_id,
        cidr=str(block.cidr),
        allocation_id=block.allocation_id,
        created=block.created,
        claimant=block.claimant,
    )


def to_provisioned(item: Item) -> ProvisionedCidr:
    """Read a provisioned CIDR."""
    return ProvisionedCidr(
        pool_id=text(item, "pool_id"),
        cidr=keys.parse_block(text(item, keys.SORT_KEY).split("#", 2)[2]),
        allocation_id=text(item, "allocation_id"),
        created=number(item, "created"),
        claimant=text(item, "claimant"),
    )


def from_name(name: str, holder_id: str) -> Item:
    """Write a reserved name."""
    return pack(keys.name(name), holder_id=holder_id)


def from_tenant(tenant: Tenant) -> Item:
    """Write a tenant."""
    return pack(
        keys.tenant(tenant.account),
        account=tenant.account,
        name=tenant.name,
        unit=tenant.unit,
        standing=tenant.standing,
        quotas=[_from_tenant_quota(pool_id, quota) for pool_id, quota in tenant.quotas],
        generation=tenant.generation,
        previous_until=tenant.previous_until,
        left=tenant.left,
        created=tenant.created,
        version=tenant.version,
    )


def _from_tenant_quota(pool_id: str, quota: Quota) -> dict[str, Any]:
    limits = {"allocations": quota.allocations, "units": quota.units}
    return {"pool_id": pool_id} | {name: limit for name, limit in limits.items() if limit is not None}


def to_tenant(item: Item) -> Tenant:
    """Read a tenant."""
    quotas = (entry["M"] for entry in entries(item, "quotas"))
    return Tenant(
        account=text(item, "account"),
        name=text(item, "name"),
        unit=text(item, "unit"),
        created=number(item, "created"),
        standing=cast("Standing", text(item, "standing")),
        quotas=tuple(
            (text(each, "pool_id"), Quota(optional(each, "allocations"), optional(each, "units"))) for each in quotas
        ),
        generation=number(item, "generation"),
        previous_until=optional(item, "previous_until"),
        left=optional(item, "left"),
        version=number(item, "version"),
    )
