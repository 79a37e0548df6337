"""Rows of accounts: tenants, their keys, and what accounts have of their quotas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam.entrypoints.cli.rows.values import when, when_if

if TYPE_CHECKING:
    from datetime import datetime

    from ipam.domain.change import ChangeQuota
    from ipam.domain.plan import Plan
    from ipam.domain.tenant import Tenant


@dataclass(frozen=True, slots=True)
class TenantRow:
    """What an account holds of a pool, and how much of it it may; of a tenant that holds nothing, only that it is one.

    The limits are those that count: the tenant's own, or else the pool's. Of an account that is no tenant, but holds
    something, nothing stands behind `pool_id`.
    """

    account: str
    pool: str | None
    allocations: int
    max_allocations: int | None
    units: int
    max_units: int | None
    pool_id: str | None
    name: str
    unit: str
    standing: str | None
    key_generation: int | None

    @classmethod
    def all_of(cls, plan: Plan, account: str, held: list[ChangeQuota]) -> list[TenantRow]:
        """Describe an account: a row for each pool that it holds something of, or has a quota of its own for."""
        tenant = plan.tenants.get(account)
        counts = {count.pool_id: count for count in held}
        own = [] if tenant is None else [pool_id for pool_id, _ in tenant.quotas if pool_id in plan.pools]
        pool_ids = sorted(counts.keys() | own, key=lambda pool_id: _pool_name(plan, pool_id))
        rows = [cls._of(plan, account, pool_id, counts) for pool_id in pool_ids]
        return rows or ([] if tenant is None else [cls._of(plan, account, None, {})])

    @classmethod
    def _of(cls, plan: Plan, account: str, pool_id: str | None, counts: dict[str, ChangeQuota]) -> TenantRow:
        tenant = plan.tenants.get(account)
        quota = tenant.quota("") if tenant and not pool_id else None
        if pool_id in plan.pools:
            quota = plan.space_for(pool_id, account).quota
        count = counts.get(pool_id or "")
        return cls(
            account,
            None if pool_id is None else _pool_name(plan, pool_id),
            count.allocations if count else 0,
            quota.allocations if quota else None,
            count.units if count else 0,
            quota.units if quota else None,
            pool_id,
            tenant.name if tenant else "",
            tenant.unit if tenant else "",
            tenant.standing if tenant else None,
            tenant.generation if tenant else None,
        )


def _pool_name(plan: Plan, pool_id: str) -> str:
    """Name a pool; one that is gone goes by its id."""
    return plan.pools[pool_id].name if pool_id in plan.pools else pool_id


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A tenant as it is now, or was last, with what its stacks have to name as their `ServiceToken`."""

    account: str
    name: str
    unit: str
    standing: str
    key_generation: int
    previous_key_until: datetime | None
    created: datetime
    service_token: str | None

    @classmethod
    def of(cls, tenant: Tenant, service_token: str) -> AccountRow:
        """Describe a tenant."""
        return cls(
            tenant.account,
            tenant.name,
            tenant.unit,
            tenant.standing,
            tenant.generation,
            when_if(tenant.previous_until),
            when(tenant.created),
            service_token or None,
        )


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A tenant's key, and until when the one before it is good as well."""

    account: str
    authorizationkey: str
    key_generation: int
    previous_key_until: datetime | None
