"""Tenancy: accounts are let in, given quotas and keys, and shown out.

A tenant is a record of the plan and an alias of the function that is for its account alone, `tenant-<account>`. The
alias lets the account in; the record says what it may do there. An account that leaves orders no more, but gives back
what it holds: its alias goes only when it holds nothing, because a stack whose alias is gone cannot be deleted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.change import Change, PutAudit, PutTenant, RemoveTenant, ReplaceTenant
from ipam.domain.errors import ContendedError, InUseError, NoSuchTenantError
from ipam.domain.tenant import Tenant
from ipam.services.audit import note
from ipam.services.contention import back_off
from ipam.services.plan import current_plan
from ipam.services.ports import Conflict
from ipam.services.tenants import held_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.plan import Plan
    from ipam.services.ports import Ports

MAX_ATTEMPTS: Final = 10
"""Tries, against others who change the same tenant."""

MAX_NAMED: Final = 5
"""Pools that a refusal names."""


def add_tenant(ports: Ports, account: str, change: Callable[[Tenant], Tenant], cause: str) -> Tenant:
    """Let an account order, or change what is said of it; one that was leaving is back.

    The record comes first: until the alias is there too, the account has no way in. Doing it again does what is left.

    Args:
        ports: the collaborators.
        account: twelve digits.
        change: makes the tenant what it is to be.
        cause: who wants it, for the audit record.

    Raises:
        ServiceUnavailableError: the alias could not be made; the record is there.
    """
    for attempt in range(MAX_ATTEMPTS):
        present = current_plan(ports, fresh=True).tenants.get(account)
        wanted = change(present or Tenant(account, "", "", ports.clock.now()))
        wanted = replace(wanted, standing="active")
        if wanted == present or _commit(ports, present, wanted, cause):
            ports.aliases.let_in(account)
            return wanted
        back_off(ports, attempt)
    raise ContendedError(account, MAX_ATTEMPTS)


def remove_tenant(ports: Ports, account: str, cause: str) -> None:
    """Show an account out: it orders no more from now on; the rest goes when it holds nothing.

    Raises:
        NoSuchTenantError: it is none.
        InUseError: it holds something still; it is leaving.
    """
    for attempt in range(MAX_ATTEMPTS):
        plan = current_plan(ports, fresh=True)
        tenant = _tenant(plan, account)
        if tenant.standing == "active":
            if not _commit(ports, tenant, replace(tenant, standing="leaving"), cause):
                back_off(ports, attempt)
            continue
        held = held_by(ports, plan, account)
        if held:
            names = (plan.pools[count.pool_id].name for count in held if count.pool_id in plan.pools)
            users = tuple(f"{count.allocations} of {name}" for count, name in zip(held, names, strict=False))
            raise InUseError(f"tenant {account}", users[:MAX_NAMED], sum(count.allocations for count in held))
        ports.aliases.shut_out(account)
        audit = note(ports, account, "tenant-removed", cause)
        try:
            ports.store.commit(Change((RemoveTenant(account, tenant.version), PutAudit(audit))))
        except Conflict:
            back_off(ports, attempt)
            continue
        ports.memory.forget_plan()
        return
    raise ContendedError(account, MAX_ATTEMPTS)


def rotate_key(ports: Ports, account: str, grace_seconds: int, cause: str) -> Tenant:
    """Give a tenant a new key; the one before is good for a while.

    Raises:
        NoSuchTenantError: it is none.
    """

    def next_generation(tenant: Tenant) -> Tenant:
        until = ports.clock.now() + grace_seconds * 1000
        return replace(tenant, generation=tenant.generation + 1, previous_until=until)

    for attempt in range(MAX_ATTEMPTS):
        tenant = _tenant(current_plan(ports, fresh=True), account)
        wanted = next_generation(tenant)
        if _commit(ports, tenant, wanted, cause):
            return wanted
        back_off(ports, attempt)
    raise ContendedError(account, MAX_ATTEMPTS)


def follow_live(ports: Ports) -> int:
    """Bring every tenant's alias to the version that is live, and make those that are missing; say how many were not.

    Done by upkeep: a deployment moves the alias `live` alone.

    Raises:
        ServiceUnavailableError: the function's service did not answer.
    """
    return sum(ports.aliases.let_in(account) for account in sorted(current_plan(ports, fresh=True).tenants))


def _tenant(plan: Plan, account: str) -> Tenant:
    """Find a tenant."""
    if account not in plan.tenants:
        raise NoSuchTenantError(account)
    return plan.tenants[account]


def _commit(ports: Ports, present: Tenant | None, wanted: Tenant, cause: str) -> bool:
    """Store a tenant as it is to be; say whether it was still what it was."""
    audit = note(ports, wanted.account, "tenant-added" if present is None else "tenant-changed", cause)
    operation = PutTenant(wanted) if present is None else ReplaceTenant(wanted)
    try:
        ports.store.commit(Change((operation, PutAudit(audit))))
    except Conflict:
        return False
    ports.memory.forget_plan()
    return True
