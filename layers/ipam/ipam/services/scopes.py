"""Scopes: address worlds are created, edited and deleted.

A scope is deleted only on the condition of its version, which everything that is attached to the scope counts on. The
version is read first, and then, by another read, that nothing is attached: whatever comes after the first read makes
the deletion fail.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain import ids
from ipam.domain.change import (
    PutAudit,
    PutFree,
    PutName,
    PutScope,
    RemoveName,
    RemoveScope,
    ReplaceScope,
    TakeFree,
)
from ipam.domain.differences import changes_between
from ipam.domain.errors import ContendedError, DefaultScopeError, NameTakenError, NoSuchScopeError
from ipam.domain.plan import check_name, check_scope_change
from ipam.domain.pool import Scope, ScopeType
from ipam.services.audit import note, told
from ipam.services.contention import back_off
from ipam.services.plan import change_plan, current_plan
from ipam.services.ports import NO_DEADLINE
from ipam.services.reclaim import reclaim
from ipam.services.usage import refuse_if_used, users_of_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.change import Operation, PutOwner
    from ipam.domain.pool import Tag
    from ipam.services.ports import Ports

MAX_ATTEMPTS: Final = 20
"""Tries, against others who change the same scope."""

DEFAULT_SCOPES: Final[dict[ScopeType, str]] = {
    "private": "Addresses that are routed inside the company",
    "public": "Addresses that are routed on the internet",
}
"""What a plan begins with (VPC IPAM user guide, "How IPAM works"): a scope of each type, named so, and what for."""


def create_scope(  # noqa: PLR0913 - what a scope is
    ports: Ports,
    name: str,
    scope_type: ScopeType,
    description: str,
    cause: str,
    *,
    tags: tuple[Tag, ...] = (),
    scope_id: str | None = None,
    is_default: bool = False,
    record: PutOwner | None = None,
) -> Scope:
    """Create an address world of its own, wholly free.

    Args:
        ports: the collaborators.
        name: unique in the whole plan.
        scope_type: whether its addresses are routed on the internet.
        description: free text for people.
        cause: who wants it, for the audit record.
        tags: for people.
        scope_id: its id, where that follows from what asks for it: the same again gives the scope that is there.
        is_default: whether the plan begins with it.
        record: what else belongs to the same change; with it there is one try only.

    Raises:
        InvalidPoolError: the name is none.
        NameTakenError: the plan has the name already; or it has a scope of that id, but not as described.
        ContendedError: others were always faster, or `record` is not made from what is stored.
    """
    chosen = scope_id or _new_id(ports)
    scope = Scope(chosen, name, scope_type, description, ports.clock.now(), tags, is_default)
    attempts = MAX_ATTEMPTS if record is None else 1
    for attempt in range(attempts):
        plan = current_plan(ports, fresh=True)
        present = plan.scopes.get(scope.scope_id)
        if present is not None and replace(scope, created=present.created, version=present.version) == present:
            return present
        if present is not None or plan.holder_of(name) is not None:
            raise NameTakenError(name)
        check_name(name)
        if change_plan(ports, [*_creation(ports, scope, cause), *([] if record is None else [record])]):
            return scope
        back_off(ports, attempt)
    raise ContendedError(name, attempts)


def ensure_default_scopes(ports: Ports, cause: str) -> None:
    """Let a plan that has no scope at all begin with a private and a public one, both at once.

    Raises:
        ContendedError: others were always faster.
    """
    for attempt in range(MAX_ATTEMPTS):
        if current_plan(ports, fresh=True).scopes:
            return
        operations: list[Operation] = []
        for scope_type, description in DEFAULT_SCOPES.items():
            scope = Scope(_new_id(ports), scope_type, scope_type, description, ports.clock.now(), is_default=True)
            operations += _creation(ports, scope, cause)
        if change_plan(ports, operations):
            return
        back_off(ports, attempt)
    raise ContendedError("default scopes", MAX_ATTEMPTS)


def edit_scope(ports: Ports, scope_id: str, change: Callable[[Scope], Scope], cause: str) -> Scope:
    """Change what a scope is called, what is said of it, and its tags.

    Args:
        ports: the collaborators.
        scope_id: the scope.
        change: gives the scope as it is to be; it is asked again if somebody else changes it meanwhile.
        cause: who wants it, for the audit record.

    Returns:
        The scope as it is now. If it was so already nothing is written.

    Raises:
        NoSuchScopeError: there is none.
        InvalidPoolError: what is to change cannot.
        NameTakenError: the new name is another's.
        ContendedError: others were always faster.
    """
    for attempt in range(MAX_ATTEMPTS):
        plan = current_plan(ports, fresh=True)
        old = plan.scopes.get(scope_id)
        if old is None:
            raise NoSuchScopeError(scope_id)
        new = replace(change(old), scope_id=old.scope_id, created=old.created, version=old.version)
        if new == old:
            return old
        check_scope_change(old, new)
        audit = note(ports, scope_id, "scope-changed", cause, said=told(changes_between(_facts(old), _facts(new))))
        operations: list[Operation] = [ReplaceScope(new), PutAudit(audit)]
        if new.name != old.name:
            if plan.holder_of(new.name) is not None:
                raise NameTakenError(new.name)
            operations += [RemoveName(old.name, scope_id), PutName(new.name, scope_id)]
        if change_plan(ports, operations):
            return replace(new, version=old.version + 1)
        back_off(ports, attempt)
    raise ContendedError(scope_id, MAX_ATTEMPTS)


def delete_scope(ports: Ports, scope_id: str, cause: str) -> None:
    """Delete an address world that nothing is left of.

    Raises:
        NoSuchScopeError: there is none.
        DefaultScopeError: the plan begins with it.
        InUseError: it has pools, or blocks of pools that were deleted still cool.
        ContendedError: others were always faster.
    """
    for attempt in range(MAX_ATTEMPTS):
        seen = current_plan(ports, fresh=True).scopes.get(scope_id)
        if seen is None and attempt:
            return
        if seen is None:
            raise NoSuchScopeError(scope_id)
        if seen.is_default:
            raise DefaultScopeError(seen.name)
        plan = current_plan(ports, fresh=True)
        if scope_id not in plan.scopes:
            continue
        refuse_if_used(seen.name, users_of_scope(ports, plan, seen))
        for block in seen.world():
            reclaim(ports, plan.space(scope_id), block.family, block, NO_DEADLINE)
        takes = [TakeFree(scope_id, block) for block in seen.world()]
        audit = PutAudit(note(ports, scope_id, "scope-deleted", cause))
        if change_plan(ports, [*takes, RemoveScope(seen), RemoveName(seen.name, scope_id), audit]):
            return
        back_off(ports, attempt)
    raise ContendedError(scope_id, MAX_ATTEMPTS)


def _new_id(ports: Ports) -> str:
    """Draw an id."""
    return ids.SCOPE_PREFIX + ports.chance.hex_digits(ids.SCOPE_DIGITS)


def _facts(scope: Scope) -> dict[str, object]:
    """Tell what may be edited of a scope."""
    return {"name": scope.name, "description": scope.description, "tags": scope.tags}


def _creation(ports: Ports, scope: Scope, cause: str) -> list[Operation]:
    """Tell what the creation of a scope consists of."""
    frees = (PutFree(scope.scope_id, block) for block in scope.world())
    audit = note(ports, scope.scope_id, "scope-created", cause)
    return [PutName(scope.name, scope.scope_id), PutScope(scope), *frees, PutAudit(audit)]
