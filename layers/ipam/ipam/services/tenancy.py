"""Tenancy: accounts are let in, given quotas and keys, and shown out.

A tenant is a record of the plan and an alias of the function that is for its account alone, `tenant-<account>`. The
alias lets the account in; the record says what it may do there. An account that leaves orders no more, but gives back
what it holds: its alias goes only when it holds nothing, because a stack whose alias is gone cannot be deleted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.change import PutAudit, PutTenant, RemoveTenant, ReplaceTenant
from ipam.domain.errors import (
    ContendedError,
    InUseError,
    NoSuchTenantError,
    RotationUnfinishedError,
    ServiceUnavailableError,
    TemporaryError,
)
from ipam.domain.tenant import Tenant
from ipam.services.audit import note
from ipam.services.contention import back_off
from ipam.services.memory import PLAN_AGE
from ipam.services.plan import change_plan, current_plan
from ipam.services.tenants import held_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.plan import Plan
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 10
"""Tries, against others who change the same tenant."""

MAX_NAMED: Final = 5
"""Pools that a refusal names."""

MAX_MOVED: Final = 100
"""Aliases that one run of upkeep moves: it has other work, too."""

LAST_ORDERS: Final = PLAN_AGE + 30_000
"""Milliseconds after which nothing more comes of what a tenant ordered before it was leaving: a function remembers the
plan so long, and works on a request for half a minute."""


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
        wanted = replace(wanted, standing="active", left=None)
        if wanted == present or _commit(ports, present, wanted, cause):
            ports.aliases.let_in(account)
            return wanted
        back_off(ports, attempt)
    raise ContendedError(account, MAX_ATTEMPTS)


def remove_tenant(ports: Ports, account: str, cause: str) -> None:
    """Show an account out: it orders no more from now on; the rest goes when it holds nothing.

    That is looked at when nothing can come any more of what it ordered before, which may take a minute.

    Raises:
        NoSuchTenantError: it is none.
        InUseError: it holds something still; it is leaving.
    """
    for attempt in range(MAX_ATTEMPTS):
        tenant = _tenant(current_plan(ports, fresh=True), account)
        if tenant.left is None:
            leaving = replace(tenant, standing="leaving", left=ports.clock.now())
            if not _commit(ports, tenant, leaving, cause):
                back_off(ports, attempt)
            continue
        _ensure_empty(ports, account)
        waits = tenant.left + LAST_ORDERS - ports.clock.now()
        if waits > 0:
            ports.clock.sleep(waits)
            continue
        ports.aliases.shut_out(account)
        audit = note(ports, account, "tenant-removed", cause)
        if change_plan(ports, (RemoveTenant(account, tenant.version), PutAudit(audit))):
            return
        # Back meanwhile: whoever let it in did so before the alias went, or after.
        _let_in_again(ports, account)
        back_off(ports, attempt)
    raise ContendedError(account, MAX_ATTEMPTS)


def rotate_key(ports: Ports, account: str, grace_seconds: int, cause: str) -> Tenant:
    """Give a tenant a new key; the one before is good for a while. Without grace all others end at once.

    Raises:
        NoSuchTenantError: it is none.
        RotationUnfinishedError: the grace of the last rotation is not over, and stacks may still have that key.
    """
    for attempt in range(MAX_ATTEMPTS):
        tenant, now = _tenant(current_plan(ports, fresh=True), account), ports.clock.now()
        if grace_seconds and tenant.previous_until is not None and tenant.previous_until > now:
            raise RotationUnfinishedError(account, tenant.previous_until)
        until = now + grace_seconds * 1000 if grace_seconds else None
        wanted = replace(tenant, generation=tenant.generation + 1, previous_until=until)
        if _commit(ports, tenant, wanted, cause):
            return wanted
        back_off(ports, attempt)
    raise ContendedError(account, MAX_ATTEMPTS)


def follow_live(ports: Ports, deadline: Deadline) -> tuple[int, tuple[TemporaryError, ...]]:
    """Bring every tenant's alias to the version that is live, and make or finish those that are not there.

    Done by upkeep: a deployment moves the alias `live` alone. One that fails does not keep the others.

    Returns:
        How many were brought there, and why others could not be; the next run tries again.
    """
    done = 0
    errors: list[TemporaryError] = []
    try:
        accounts = sorted(current_plan(ports, fresh=True).tenants)
        for account in ports.aliases.outdated(accounts)[:MAX_MOVED] if accounts else ():
            deadline.ensure()
            try:
                ports.aliases.let_in(account)
                if account not in current_plan(ports, fresh=True).tenants:
                    # It was shown out since the plan was read: its way in goes again.
                    ports.aliases.shut_out(account)
                done += 1
            except ServiceUnavailableError as error:
                errors.append(error)
    except TemporaryError as error:
        errors.append(error)
    return done, tuple(errors)


def _ensure_empty(ports: Ports, account: str) -> None:
    """Refuse to end a tenant that holds something.

    Raises:
        InUseError: with the pools, and how much there is.
    """
    plan = current_plan(ports, fresh=True)
    held = held_by(ports, plan, account)
    if not held:
        return
    names = (plan.pools[count.pool_id].name if count.pool_id in plan.pools else count.pool_id for count in held)
    users = tuple(f"{count.allocations} of {name}" for count, name in zip(held, names, strict=True))
    raise InUseError(f"tenant {account}", users[:MAX_NAMED], len(users))


def _let_in_again(ports: Ports, account: str) -> None:
    """Make the alias of an account that is still a tenant, though it was to be one no more."""
    if account in current_plan(ports, fresh=True).tenants:
        ports.aliases.let_in(account)


def _tenant(plan: Plan, account: str) -> Tenant:
    """Find a tenant.

    Raises:
        NoSuchTenantError: there is none.
    """
    if account not in plan.tenants:
        raise NoSuchTenantError(account)
    return plan.tenants[account]


def _commit(ports: Ports, present: Tenant | None, wanted: Tenant, cause: str) -> bool:
    """Store a tenant as it is to be; say whether it was still what it was."""
    audit = note(ports, wanted.account, "tenant-added" if present is None else "tenant-changed", cause)
    operation = PutTenant(wanted) if present is None else ReplaceTenant(wanted)
    return change_plan(ports, (operation, PutAudit(audit)))
