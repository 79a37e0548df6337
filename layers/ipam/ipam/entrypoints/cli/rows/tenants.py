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

    The limits are those that count: the tenant's own, or else the pool's. Of an account that never was a tenant, but
    holds something, nothing stands behind `pool_id`.
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
    service_tokens: tuple[str, ...]

    @classmethod
    def all_of(cls, plan: Plan, account: str, held: list[ChangeQuota], tokens: tuple[str, ...]) -> list[TenantRow]:
        """Describe an account: a row for each pool that it holds something of, or has a quota of its own for.

        The tokens, one a Region, are those of every account that is a tenant.
        """
        tenant = _known(plan, account)
        counts = {count.pool_id: count for count in held}
        own = [] if tenant is None else [pool_id for pool_id, _ in tenant.quotas if pool_id in plan.pools]
        pool_ids = sorted(counts.keys() | own, key=lambda pool_id: _pool_name(plan, pool_id))
        tokens = tokens if account in plan.tenants else ()
        rows = [cls._of(plan, account, pool_id, counts.get(pool_id), tokens) for pool_id in pool_ids]
        return rows or ([] if tenant is None else [cls._of(plan, account, None, None, tokens)])

    @classmethod
    def _of(
        cls, plan: Plan, account: str, pool_id: str | None, count: ChangeQuota | None, tokens: tuple[str, ...]
    ) -> TenantRow:
        tenant = _known(plan, account)
        quota = tenant.quota("") if tenant and not pool_id else None
        if pool_id in plan.pools:
            quota = plan.space_for(pool_id, account).quota
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
            tokens,
        )


def _known(plan: Plan, account: str) -> Tenant | None:
    """Find a tenant, or one that was removed."""
    return plan.tenants.get(account) or plan.removed.get(account)


def _pool_name(plan: Plan, pool_id: str) -> str:
    """Name a pool; one that is gone goes by its id."""
    return plan.pools[pool_id].name if pool_id in plan.pools else pool_id


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A tenant as it is now, or was last, with what its stacks have to name as their `ServiceToken`.

    `service_token` is that of the home Region; `service_tokens` are those of all, each of which names its Region.
    """

    account: str
    name: str
    unit: str
    standing: str
    key_generation: int
    previous_key_until: datetime | None
    created: datetime
    service_token: str | None
    service_tokens: tuple[str, ...]

    @classmethod
    def of(cls, tenant: Tenant, service_tokens: tuple[str, ...]) -> AccountRow:
        """Describe a tenant, with its tokens of all Regions, the home Region's first."""
        return cls(
            tenant.account,
            tenant.name,
            tenant.unit,
            tenant.standing,
            tenant.generation,
            when_if(tenant.previous_until),
            when(tenant.created),
            next(iter(service_tokens), None),
            service_tokens,
        )


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A tenant's key, and until when the one before it is good as well."""

    account: str
    authorizationkey: str
    key_generation: int
    previous_key_until: datetime | None
