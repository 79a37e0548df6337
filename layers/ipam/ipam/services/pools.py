"""Pools: parts of the plan are created, edited and deleted.

A pool is deleted only on the condition of its version, which everything that is attached to the pool, or taken from it,
counts on. The version is read first, and then, by another read, that nothing is attached: whatever comes after the
first read makes the deletion fail. Allocations do not count the version on: they need a free block, and a pool that has
no CIDR has none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ipam.domain import ids
from ipam.domain.change import (
    PutAudit,
    PutName,
    PutPool,
    RemoveName,
    RemovePool,
    ReplacePool,
    TouchPool,
    TouchScope,
)
from ipam.domain.differences import changes_between, facts_of
from ipam.domain.errors import ContendedError, NameTakenError, NoSuchPoolError
from ipam.domain.plan import check_change, check_new_pool
from ipam.domain.pool import NO_QUOTA, NO_RULES, Pool
from ipam.services.audit import note, told
from ipam.services.contention import back_off
from ipam.services.deprovision import deprovision_if_there
from ipam.services.plan import change_plan, current_plan
from ipam.services.ports import NO_DEADLINE
from ipam.services.usage import orders_of, refuse_if_used, users_of_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.change import Operation, PutOwner
    from ipam.domain.cidr import Family
    from ipam.domain.pool import AllocationRules, AllocationType, Quota, SourceResource, Tag
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 20
"""Tries, against others who change the same pool."""


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
    tags: tuple[Tag, ...] = ()
    shared_with: tuple[str, ...] = ()
    source_resource: SourceResource | None = None
    vpc_ipam_pool_id: str = ""
    auto_import: bool = False
    sticky: bool = False

    def as_pool(self, pool_id: str, created: int) -> Pool:
        """Give the pool that it becomes."""
        return Pool(
            pool_id=pool_id,
            scope_id=self.scope_id,
            source_pool_id=self.source_pool_id,
            name=self.name,
            family=self.family,
            locale=self.locale,
            description=self.description,
            allocation_types=self.allocation_types,
            rules=self.rules,
            quota=self.quota,
            cooling_seconds=self.cooling_seconds,
            created=created,
            tags=self.tags,
            shared_with=self.shared_with,
            source_resource=self.source_resource,
            vpc_ipam_pool_id=self.vpc_ipam_pool_id,
            auto_import=self.auto_import,
            sticky=self.sticky,
        )


def create_pool(
    ports: Ports, new: NewPool, cause: str, *, pool_id: str | None = None, record: PutOwner | None = None
) -> Pool:
    """Create a pool with no space of its own yet.

    Args:
        ports: the collaborators.
        new: what it is to be.
        cause: who wants it, for the audit record.
        pool_id: its id, where that follows from what asks for it: the same again gives the pool that is there, and
            writes nothing.
        record: what else belongs to the same change; with it there is one try only.

    Raises:
        InvalidPoolError: it could not work where it is meant to stand.
        NameTakenError: the plan has the name already; or it has a pool of that id, but not as described.
        ContendedError: others were always faster, or `record` is not made from what is stored.
    """
    chosen = pool_id or ids.POOL_PREFIX + ports.chance.hex_digits(ids.POOL_DIGITS)
    pool = new.as_pool(chosen, ports.clock.now())
    attempts = MAX_ATTEMPTS if record is None else 1
    for attempt in range(attempts):
        plan = current_plan(ports, fresh=True)
        present = plan.pools.get(chosen)
        if present is not None and replace(pool, created=present.created, version=present.version) == present:
            return present
        if present is not None or plan.holder_of(pool.name) is not None:
            raise NameTakenError(pool.name)
        check_new_pool(pool, plan)
        audit = note(ports, chosen, "pool-created", cause)
        operations: list[Operation] = [
            PutName(pool.name, chosen),
            PutPool(pool),
            _touch_parent(pool),
            PutAudit(audit),
            *([] if record is None else [record]),
        ]
        if change_plan(ports, operations):
            return pool
        back_off(ports, attempt)
    raise ContendedError(pool.name, attempts)


def edit_pool(ports: Ports, pool_id: str, change: Callable[[Pool], Pool], cause: str) -> Pool:
    """Change a pool. What is allocated from it stays as it is.

    Args:
        ports: the collaborators.
        pool_id: the pool.
        change: gives the pool as it is to be; it is asked again if somebody else changes it meanwhile.
        cause: who wants it, for the audit record.

    Returns:
        The pool as it is now. If it was so already nothing is written.

    Raises:
        NoSuchPoolError: there is none.
        InvalidPoolError: what is to change cannot, or the pool could not work so.
        NameTakenError: the new name is another's.
        ContendedError: others were always faster.
    """
    for attempt in range(MAX_ATTEMPTS):
        plan = current_plan(ports, fresh=True)
        old = plan.pools.get(pool_id)
        if old is None:
            raise NoSuchPoolError(pool_id)
        new = replace(change(old), pool_id=old.pool_id, created=old.created, version=old.version)
        if new == old:
            return old
        check_change(old, new, plan)
        said = told(changes_between({"name": old.name, **facts_of(old)}, {"name": new.name, **facts_of(new)}))
        audit = note(ports, pool_id, "pool-changed", cause, said=said)
        operations: list[Operation] = [ReplacePool(new), PutAudit(audit)]
        if new.name != old.name:
            if plan.holder_of(new.name) is not None:
                raise NameTakenError(new.name)
            operations += [RemoveName(old.name, pool_id), PutName(new.name, pool_id)]
        if change_plan(ports, operations):
            return replace(new, version=old.version + 1)
        back_off(ports, attempt)
    raise ContendedError(pool_id, MAX_ATTEMPTS)


def delete_pool(
    ports: Ports, pool_id: str, cause: str, *, cascade: bool = False, deadline: Deadline = NO_DEADLINE
) -> None:
    """Delete a pool. The CIDRs that it has, all of them free, go back to where they came from.

    Args:
        ports: the collaborators.
        pool_id: the pool.
        cause: who wants it, for the audit records.
        cascade: delete its child pools too, and release what is allocated. An interrupted run can be run again; that
            the pool is gone already is then no error.
        deadline: ends the work before a commit that could not be answered; what is done so far stays done.

    Raises:
        NoSuchPoolError: there is none.
        InUseError: it has child pools or allocations, or blocks of it still cool; with `cascade`, something cools that
            has to be waited for, or is on its way to Amazon VPC IPAM.
        ContendedError: others were always faster.
        OutOfTimeError: there is more to do than the time that is left.
    """
    for attempt in range(MAX_ATTEMPTS):
        seen = current_plan(ports, fresh=True).pools.get(pool_id)
        if seen is None and (cascade or attempt):
            return
        if seen is None:
            raise NoSuchPoolError(pool_id)
        plan = current_plan(ports, fresh=True)
        if pool_id not in plan.pools:
            continue
        if not cascade:
            refuse_if_used(seen.name, users_of_pool(ports, plan, seen, deadline))
        refuse_if_used(seen.name, orders_of(ports, seen))
        children, blocks = plan.children(pool_id), plan.provisioned(pool_id)
        for child in children:
            delete_pool(ports, child.pool_id, cause, cascade=cascade, deadline=deadline)
        for block in blocks:
            deprovision_if_there(ports, pool_id, block.cidr, cause, cascade=cascade, deadline=deadline)
        if children or blocks:
            # The version that was seen has been counted on.
            continue
        deadline.ensure()
        removal = RemovePool(pool_id, seen.version), RemoveName(seen.name, pool_id), _touch_parent(seen)
        if change_plan(ports, (*removal, PutAudit(note(ports, pool_id, "pool-deleted", cause)))):
            return
        back_off(ports, attempt)
    raise ContendedError(pool_id, MAX_ATTEMPTS)


def _touch_parent(pool: Pool) -> TouchPool | TouchScope:
    """Count on the version of what a pool is attached to."""
    return TouchScope(pool.scope_id) if pool.source_pool_id is None else TouchPool(pool.source_pool_id)
