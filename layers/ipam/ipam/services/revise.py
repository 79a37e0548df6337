"""Revise: a resource that has an allocation now asks for something else, or for the same again.

An allocation that still satisfies what is asked is kept. Otherwise a new one is made beside it, and the old one stays
until its own Delete comes, so that a rollback finds it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.errors import ContendedError, PermanentError, ReplacementRefusedError
from ipam.domain.ids import is_allocation_id
from ipam.domain.owner import digest
from ipam.services.allocate import allocate
from ipam.services.contention import back_off
from ipam.services.keep import keep
from ipam.services.leases import end_preview, lease_of
from ipam.services.plan import current_plan
from ipam.services.release import ReleaseRequest, release_never_accepted
from ipam.services.request import Allocated, AllocateRequest

if TYPE_CHECKING:
    from ipam.domain.owner import Grant, OwnerRecord
    from ipam.domain.plan import Ask, Plan
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 20
"""Tries, against other requests of the same resource; each allocation that is found to be left over takes one too."""


def revise(ports: Ports, request: AllocateRequest, deadline: Deadline) -> Allocated:
    """Serve an Update.

    Args:
        ports: the collaborators.
        request: who asks for what now, and the allocation id that CloudFormation has for the resource.
        deadline: ends the work before a commit that could not be answered.

    Raises:
        ReplacementRefusedError: another block would be needed, and may not be.
        PermanentError: what is asked cannot be given; what is held stays.
        TemporaryError: not now.
    """
    for attempt in range(MAX_ATTEMPTS):
        record = ports.store.owner(request.owner)
        grant = record.for_ask(digest(request.ask)) or _satisfying(ports, record, request.held, request.ask)
        leftover = record.never_accepted(request.held, grant, request.requested)
        if leftover:
            release_never_accepted(ports, _as_release(request), leftover[0], deadline)
        elif grant is None:
            _refuse_replacement(request, record)
            allocated = allocate(ports, request, deadline, record.knowing(request.held))
            return replace(allocated, unverified=is_allocation_id(request.held) and not record.has_had(request.held))
        elif _is_over(ports, request, grant):
            deadline.ensure()
            end_preview(ports, lease_of(grant, request.owner, request.account))
        else:
            kept = keep(ports, request, record, grant, deadline)
            if kept is not None:
                return Allocated(kept, "kept")
            back_off(ports, attempt)
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def _satisfying(ports: Ports, record: OwnerRecord, held: str, ask: Ask) -> Grant | None:
    """Give the held allocation, if it is what is now asked for in other words."""
    grant = record.for_id(held)
    if grant is None or grant.preview or ask.preview or ask.preview_token or ask.family != grant.cidr.family:
        return None
    if ask.cidr not in {None, grant.cidr} or ask.netmask_length not in {None, grant.cidr.length}:
        return None
    if (ask.cidr is None and ask.netmask_length is None) or not ask.limits.permit(grant.cidr):
        return None
    if not _is_for(ports, grant, ask):
        return None
    # The pool may be newer than the plan that is remembered.
    plans = (current_plan(ports, fresh=fresh) for fresh in (False, True))
    served = any(_serves(plan, ask, grant.pool_id) for plan in plans)
    return grant if served else None


def _is_for(ports: Ports, grant: Grant, ask: Ask) -> bool:
    """Whether an allocation is for what is now asked for: its type says how it ends, and is never another one."""
    allocation = ports.store.allocation(grant.pool_id, grant.cidr)
    if allocation is None or allocation.allocation_id != grant.allocation_id:
        return False
    return allocation.allocation_type == ask.allocation_type


def _refuse_replacement(request: AllocateRequest, record: OwnerRecord) -> None:
    """Refuse another block where what is made of the held one cannot move.

    A rollback does not come here: it asks for what the held allocation, or the one before it, was given for.
    """
    held = record.for_id(request.held)
    if held is not None and not held.preview and not request.replaceable:
        raise ReplacementRefusedError(held.cidr)


def _is_over(ports: Ports, request: AllocateRequest, grant: Grant) -> bool:
    """Whether a grant is a preview whose time is over, and a later request than it has answered wants one."""
    if not grant.preview or grant.expires is None or request.requested <= grant.requested:
        return False
    return grant.expires <= ports.clock.now()


def _serves(plan: Plan, ask: Ask, pool_id: str) -> bool:
    """Whether a pool is among those that may serve what is asked; nothing is moved to another scope for that."""
    try:
        return plan.may_hold(ask, pool_id)
    except PermanentError:
        return False


def _as_release(request: AllocateRequest) -> ReleaseRequest:
    """Give back on an Update's word, and fence what is older than it, but not the Update itself."""
    return ReleaseRequest(request.owner, request.account, request.requested - 1, request.cause)
