"""Read and extend the address plan: scopes and pools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam.domain import ids
from ipam.domain.change import Change, PutAudit, PutFree, PutName, PutPool, PutScope
from ipam.domain.errors import ContendedError, NameTakenError, NoPoolForRequestError, NoSuchPoolError
from ipam.domain.plan import check_pool
from ipam.domain.pool import NO_QUOTA, NO_RULES, Pool, Scope, ScopeType
from ipam.services.audit import note
from ipam.services.ports import Conflict

if TYPE_CHECKING:
    from ipam.domain.cidr import Family
    from ipam.domain.plan import Ask, Plan
    from ipam.domain.pool import AllocationRules, AllocationType, Quota, Space
    from ipam.services.ports import Ports


def current_plan(ports: Ports, *, fresh: bool = False) -> Plan:
    """Give the plan; what is remembered serves unless it has to be fresh."""
    now = ports.clock.now()
    plan = None if fresh else ports.memory.plan(now)
    if plan is None:
        plan = ports.store.plan()
        ports.memory.see_plan(now, plan)
    return plan


def current_space(ports: Ports, pool_id: str) -> Space:
    """Tell what a pool or scope has to give from, though it may be newer than what is remembered.

    Raises:
        NoSuchPoolError: there is none.
    """
    try:
        return current_plan(ports).space(pool_id)
    except NoSuchPoolError:
        return current_plan(ports, fresh=True).space(pool_id)


def current_candidates(ports: Ports, ask: Ask) -> tuple[Plan, list[Pool]]:
    """Find the pools that may serve a request, though they may be newer than what is remembered.

    Raises:
        PermanentError: no pool may; the subclass says why.
    """
    try:
        plan = current_plan(ports)
        return plan, plan.candidates(ask)
    except (NoSuchPoolError, NoPoolForRequestError):
        plan = current_plan(ports, fresh=True)
        return plan, plan.candidates(ask)


def create_scope(ports: Ports, name: str, scope_type: ScopeType, description: str, cause: str) -> Scope:
    """Create an address world of its own, wholly free.

    Raises:
        NameTakenError: the plan has the name already.
    """
    scope = Scope(
        ids.SCOPE_PREFIX + ports.chance.hex_digits(ids.SCOPE_DIGITS), name, scope_type, description, ports.clock.now()
    )
    audit = note(ports, scope.scope_id, "scope-created", cause)
    frees = (PutFree(scope.scope_id, block) for block in scope.world())
    _commit_named(ports, name, Change((PutName(name, scope.scope_id), PutScope(scope), *frees, PutAudit(audit))))
    return scope


@dataclass(frozen=True, slots=True)
class NewPool:
    """What a pool is to be; see `ipam.domain.pool.Pool` for what the fields mean."""

    name: str
    scope_id: str
    family: Family = 4
    source_pool_id: str | None = None
    locale: str = ""
    description: str = ""
    allocation_types: frozenset[AllocationType] = frozenset({"vpc", "subnet", "eip", "custom"})
    rules: AllocationRules = NO_RULES
    quota: Quota = NO_QUOTA
    cooling_seconds: int = 0


def create_pool(ports: Ports, new: NewPool, cause: str) -> Pool:
    """Create a pool with no space of its own yet.

    Raises:
        InvalidPoolError: it could not work where it is meant to stand.
        NameTakenError: the plan has the name already.
    """
    pool = Pool(
        pool_id=ids.POOL_PREFIX + ports.chance.hex_digits(ids.POOL_DIGITS),
        scope_id=new.scope_id,
        source_pool_id=new.source_pool_id,
        name=new.name,
        family=new.family,
        locale=new.locale,
        description=new.description,
        allocation_types=new.allocation_types,
        rules=new.rules,
        quota=new.quota,
        cooling_seconds=new.cooling_seconds,
        created=ports.clock.now(),
    )
    check_pool(pool, current_plan(ports, fresh=True))
    audit = note(ports, pool.pool_id, "pool-created", cause)
    _commit_named(ports, new.name, Change((PutName(new.name, pool.pool_id), PutPool(pool), PutAudit(audit))))
    return pool


def _commit_named(ports: Ports, name: str, change: Change) -> None:
    """Commit a change of the plan that reserves a name."""
    try:
        ports.store.commit(change)
    except Conflict as conflict:
        if all(refusal.busy for refusal in conflict.refusals):
            raise ContendedError(name, 1) from None
        raise NameTakenError(name) from None
    ports.memory.forget_plan()
