"""Tenancy: accounts are let in, given quotas and keys, and shown out.

A tenant is a record of the plan and, in each Region, an alias of the function that is for its account alone,
`tenant-<account>`. The alias lets the account in; the record says what it may do there. An account that leaves orders
no more, but gives back what it holds: its aliases go only when it holds nothing, because a stack whose alias is gone
cannot be deleted. Its record stays, as that of a removed one: were it forgotten, an account that comes back would have
its first key again, which may have been lost since.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ipam.domain.change import PutAudit, PutTenant, ReplaceTenant
from ipam.domain.differences import changes_between
from ipam.domain.errors import (
    ContendedError,
    InUseError,
    NoSuchTenantError,
    RotationUnfinishedError,
    ServiceRefusedError,
    ServiceUnavailableError,
    TemporaryError,
)
from ipam.domain.tenant import EVERY_POOL, Tenant
from ipam.services.audit import note, told
from ipam.services.contention import back_off
from ipam.services.memory import PLAN_AGE
from ipam.services.plan import change_plan, current_plan
from ipam.services.tenants import held_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam.domain.allocation import AuditEvent
    from ipam.domain.plan import Plan
    from ipam.services.ports import Deadline, Ports
    from ipam.services.ports.outside import RegionAliases

MAX_ATTEMPTS: Final = 10
"""Tries, against others who change the same tenant."""

MAX_NAMED: Final = 5
"""Pools that a refusal names."""

MAX_MOVED: Final = 100
"""Aliases that one run of upkeep moves, in all Regions together: it has other work, too."""

MAX_FAILED: Final = 10
"""Aliases that fail in a Region before a run leaves the others there to the next one: one that does not answer takes
seconds for each."""

LAST_ORDERS: Final = PLAN_AGE + 30_000
"""Milliseconds after which nothing more comes of what a tenant ordered before it was leaving: a function remembers the
plan so long, and works on a request for half a minute."""


def add_tenant(ports: Ports, account: str, change: Callable[[Tenant], Tenant], cause: str) -> Tenant:
    """Let an account order, or change what is said of it; one that was leaving is back.

    One that was removed is a new tenant: no key that it had is good, and of what was said of it only names are left.
    The record comes first: until the alias is there too, the account has no way in. Doing it again does what is left.

    Args:
        ports: the collaborators.
        account: twelve digits.
        change: makes the tenant what it is to be.
        cause: who wants it, for the audit record.

    Raises:
        ServiceUnavailableError: the alias of a Region could not be made; the record is there.
        ServiceRefusedError: it never can, there is no such account; the record is there.
    """
    # Asked first: who does not know where the ways in are writes down nothing.
    regions = ports.aliases.regions()
    for attempt in range(MAX_ATTEMPTS):
        plan = current_plan(ports, fresh=True)
        present = plan.tenants.get(account) or plan.removed.get(account)
        wanted = replace(change(_before(ports, account, present)), standing="active", left=None)
        if wanted == present or _commit(ports, present, wanted, cause):
            _in_each(regions, lambda region: region.let_in(account))
            # Shown out meanwhile, it would have a way in and no record: then it is let in once more.
            if account in current_plan(ports, fresh=True).tenants:
                return wanted
        back_off(ports, attempt)
    raise ContendedError(account, MAX_ATTEMPTS)


def remove_tenant(ports: Ports, account: str, cause: str) -> None:
    """Show an account out: it orders no more from now on; the rest goes when it holds nothing.

    That is looked at when nothing can come any more of what it ordered before, which may take a minute.

    Raises:
        NoSuchTenantError: it is none.
        InUseError: it holds something still; it is leaving.
        ServiceUnavailableError: the alias of a Region is still there; it is leaving.
    """
    regions = ports.aliases.regions()
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
        _in_each(regions, lambda region: region.shut_out(account))
        if _commit(ports, tenant, tenant.removed(), cause):
            return
        # Back meanwhile: whoever let it in did so before the alias went, or after.
        if account in current_plan(ports, fresh=True).tenants:
            _in_each(regions, lambda region: region.let_in(account))
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
    """Bring every tenant's alias to the version that is live in its Region; make or finish those that are not there.

    Done by upkeep: a deployment moves the alias `live` alone. What a removal has left, because somebody else was making
    it just then, goes. Neither an alias that fails keeps the others, nor does a Region.

    Returns:
        How many were brought there, and why others could not be; the next run tries again.
    """
    done = 0
    errors: list[TemporaryError] = []
    try:
        plan = current_plan(ports, fresh=True)
        regions = ports.aliases.regions() if plan.tenants or plan.removed else ()
        for region in regions:
            moved, failed = _follow(ports, region, plan, MAX_MOVED // len(regions), deadline)
            done += moved
            errors += failed
    except TemporaryError as error:
        errors.append(error)
    return done, tuple(errors)


def _follow(
    ports: Ports, region: RegionAliases, plan: Plan, most: int, deadline: Deadline
) -> tuple[int, list[TemporaryError]]:
    """Bring the aliases of one Region to what is live there, and take away those of accounts that were removed."""
    done = 0
    errors: list[TemporaryError] = []
    try:
        outdated, left_over = region.outdated(sorted(plan.tenants), sorted(plan.removed))
        accounts = [*outdated, *left_over]
        # From anywhere: those that fail each time must not keep the others for ever.
        first = ports.chance.below(len(accounts)) if len(accounts) > MAX_FAILED else 0
        for account in (accounts[first:] + accounts[:first])[:most]:
            deadline.ensure()
            try:
                _settle(ports, region, account)
                done += 1
            except TemporaryError as error:
                errors.append(error)
                if len(errors) == MAX_FAILED:
                    break
    except TemporaryError as error:
        errors.append(error)
    return done, errors


def _settle(ports: Ports, region: RegionAliases, account: str) -> None:
    """Give an account the way in that it is to have, and look again: it may be let in, or shut out, meanwhile.

    Raises:
        ContendedError: it was, again and again.
        ServiceUnavailableError: it could not be done now.
    """
    tenant = account in current_plan(ports, fresh=True).tenants
    for _ in range(MAX_ATTEMPTS):
        done = tenant
        if done:
            region.let_in(account)
        else:
            region.shut_out(account)
        tenant = account in current_plan(ports, fresh=True).tenants
        if tenant == done:
            return
    raise ContendedError(account, MAX_ATTEMPTS)


def _in_each(regions: Sequence[RegionAliases], deed: Callable[[RegionAliases], None]) -> None:
    """Do something to the ways in of each Region; one that fails does not keep the others.

    Raises:
        ServiceRefusedError, ServiceUnavailableError: it was not done everywhere; of several Regions the first is told.
    """
    errors: list[TemporaryError] = []
    for region in regions:
        try:
            deed(region)
        except (ServiceRefusedError, ServiceUnavailableError) as error:
            errors.append(error)
    if errors:
        raise errors[0]


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


def _tenant(plan: Plan, account: str) -> Tenant:
    """Find a tenant.

    Raises:
        NoSuchTenantError: there is none.
    """
    if account not in plan.tenants:
        raise NoSuchTenantError(account)
    return plan.tenants[account]


def _before(ports: Ports, account: str, present: Tenant | None) -> Tenant:
    """Give what a tenant is made from: itself, or what one begins with."""
    if present is None:
        return Tenant(account, "", "", ports.clock.now())
    return present.let_in_again(ports.clock.now()) if present.standing == "removed" else present


def _commit(ports: Ports, present: Tenant | None, wanted: Tenant, cause: str) -> bool:
    """Store a tenant as it is to be; say whether it was still what it was."""
    said = told(changes_between({} if present is None else _facts(ports, present), _facts(ports, wanted)))
    audit = note(ports, wanted.account, _event(present, wanted), cause, said=said)
    operation = PutTenant(wanted) if present is None else ReplaceTenant(wanted)
    return change_plan(ports, (operation, PutAudit(audit)))


def _event(present: Tenant | None, wanted: Tenant) -> AuditEvent:
    """Name a change of a tenant."""
    if wanted.standing == "removed":
        return "tenant-removed"
    if present is None or present.standing == "removed":
        return "tenant-added"
    if wanted.standing == "leaving":
        return "tenant-left"
    if wanted.generation != present.generation:
        return "key-rotated"
    quota_alone = wanted == replace(present, quotas=wanted.quotas)
    return "quota-changed" if quota_alone else "tenant-changed"


def _facts(ports: Ports, tenant: Tenant) -> dict[str, object]:
    """Tell what a record says of a tenant: by the names that the command line has for it, and those of the pools."""
    until = tenant.previous_until
    facts: dict[str, object] = {
        "name": tenant.name,
        "unit": tenant.unit,
        "standing": tenant.standing,
        "key_generation": tenant.generation,
        "previous_key_until": None
        if until is None
        else f"{datetime.fromtimestamp(until // 1000, UTC):%Y-%m-%d %H:%M:%S}",
    }
    pools = current_plan(ports).pools
    for pool_id, quota in tenant.quotas:
        of = "" if pool_id == EVERY_POOL else f" of {pools[pool_id].name if pool_id in pools else pool_id}"
        facts |= {f"max_allocations{of}": quota.allocations, f"max_units{of}": quota.units}
    return facts
