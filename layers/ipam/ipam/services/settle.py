"""Settle: a scope or a pool becomes as one resource of a stack describes it, however often it says so, and ends so.

Which of the resource's requests may still do that is said in `ipam.services.turns`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from ipam.domain.change import PutOwner
from ipam.domain.errors import ContendedError, NameTakenError, NoSuchPoolError, NoSuchScopeError
from ipam.services.contention import back_off
from ipam.services.plan import current_plan
from ipam.services.pools import create_pool, delete_pool, edit_pool
from ipam.services.scopes import create_scope, delete_scope, edit_scope
from ipam.services.turns import begin, end, forget, still_mine

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool, Scope, ScopeType, Tag
    from ipam.services.pools import NewPool
    from ipam.services.ports import Deadline, Ports
    from ipam.services.turns import Turn

P = TypeVar("P", "Pool", "Scope")

MAX_ATTEMPTS: Final = 20
"""Tries, against other deliveries of the same request."""

Made = Literal["created", "changed", "kept"]
Ended = Literal["deleted", "nothing-to-release", "unverified-delete"]


@dataclass(frozen=True, slots=True)
class NewScope:
    """What a scope is to be; see `ipam.domain.pool.Scope` for what the fields mean."""

    name: str
    scope_type: ScopeType
    description: str
    tags: tuple[Tag, ...]


def settle_scope(ports: Ports, turn: Turn, scope_id: str, wanted: NewScope, deadline: Deadline) -> tuple[Scope, Made]:
    """Let a scope be as described, and say what that took; it is created if it is not there.

    Raises:
        SupersededError: a later request of the resource was served already.
        PermanentError: it cannot be so; the subclass says why.
        TemporaryError: not now.
    """

    def find() -> Scope | None:
        return current_plan(ports, fresh=True).scopes.get(scope_id)

    def create(record: PutOwner) -> Scope:
        facts = (wanted.name, wanted.scope_type, wanted.description, turn.cause)
        return create_scope(ports, *facts, tags=wanted.tags, scope_id=scope_id, record=record)

    def as_wanted(scope: Scope) -> Scope:
        still_mine(ports, turn)
        return replace(scope, name=wanted.name, description=wanted.description, tags=wanted.tags)

    found, created = _found_or_created(ports, turn, find, create, deadline)
    if created:
        return found, "created"
    scope = edit_scope(ports, scope_id, as_wanted, turn.cause)
    return scope, "kept" if replace(scope, version=found.version) == found else "changed"


def settle_pool(ports: Ports, turn: Turn, pool_id: str, wanted: NewPool, deadline: Deadline) -> tuple[Pool, Made]:
    """Let a pool be as described, and say what that took; it is created if it is not there. Its CIDRs are left alone.

    Raises:
        SupersededError: a later request of the resource was served already.
        PermanentError: it cannot be so; the subclass says why.
        TemporaryError: not now.
    """

    def find() -> Pool | None:
        return current_plan(ports, fresh=True).pools.get(pool_id)

    def create(record: PutOwner) -> Pool:
        return create_pool(ports, wanted, turn.cause, pool_id=pool_id, record=record)

    def as_wanted(pool: Pool) -> Pool:
        still_mine(ports, turn)
        return wanted.as_pool(pool_id, pool.created)

    found, created = _found_or_created(ports, turn, find, create, deadline)
    if created:
        return found, "created"
    pool = edit_pool(ports, pool_id, as_wanted, turn.cause)
    return pool, "kept" if replace(pool, version=found.version) == found else "changed"


def _found_or_created(
    ports: Ports, turn: Turn, find: Callable[[], P | None], create: Callable[[PutOwner], P], deadline: Deadline
) -> tuple[P, bool]:
    """Give a part of the plan, and say whether it was created for it; what was there may be changed from now on."""
    for attempt in range(MAX_ATTEMPTS):
        # Read before the part is looked for: an end that comes between the two is seen by the commit.
        after = turn.serves(ports.store.owner(turn.owner))
        found = find()
        if found is not None:
            begin(ports, turn, deadline)
            return found, False
        deadline.ensure()
        try:
            return create(PutOwner(after, None)), True
        except NameTakenError:
            # By a duplicate of this request, which has created it, or by another part of the plan.
            if find() is None:
                raise
        except ContendedError:
            # Another request was served meanwhile, or the parent has changed: what to do is decided anew.
            back_off(ports, attempt)
    raise ContendedError(turn.owner.name, MAX_ATTEMPTS)


def end_scope(ports: Ports, turn: Turn, scope_id: str, deadline: Deadline) -> Ended:
    """Delete a scope on the request of its resource.

    Raises:
        InUseError: something is left of it.
        TemporaryError: not now.
    """
    return _ended(ports, turn, lambda: delete_scope(ports, scope_id, turn.cause), deadline)


def end_pool(ports: Ports, turn: Turn, pool_id: str, deadline: Deadline, *, cascade: bool = False) -> Ended:
    """Delete a pool on the request of its resource; with `cascade`, what is attached to it or taken from it as well.

    Raises:
        InUseError: it is in use; with `cascade`, something cools that has to be waited for.
        TemporaryError: not now. What is done so far stays done, and the same request goes on from there.
    """

    def delete() -> None:
        delete_pool(ports, pool_id, turn.cause, cascade=cascade, deadline=deadline)

    return _ended(ports, turn, delete, deadline)


def _ended(ports: Ports, turn: Turn, delete: Callable[[], None], deadline: Deadline) -> Ended:
    """End a part of the plan, unless that comes too late."""
    if not end(ports, turn, deadline):
        return "unverified-delete"
    ended: Ended = "deleted"
    try:
        delete()
    except (NoSuchPoolError, NoSuchScopeError):
        ended = "nothing-to-release"
    forget(ports, turn, deadline)
    return ended
