"""Revise: a resource that has an allocation now asks for something else, or for the same again.

An allocation that still satisfies what is asked is kept. Otherwise a new one is made beside it, and the old one stays
until its own Delete comes, so that a rollback finds it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.change import Change, PutAudit, PutOwner
from ipam.domain.errors import ContendedError
from ipam.domain.owner import digest
from ipam.services.allocate import Allocated, AllocateRequest, allocate
from ipam.services.audit import note_request
from ipam.services.plan import current_candidates
from ipam.services.ports import Conflict
from ipam.services.release import ReleaseRequest, release_unaccepted

if TYPE_CHECKING:
    from ipam.domain.owner import Grant, OwnerRecord
    from ipam.domain.pool import Ask
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 5
"""Tries to note that an allocation is kept, against other requests of the same resource."""


def revise(ports: Ports, request: AllocateRequest, held: str, before: Ask, deadline: Deadline) -> Allocated:
    """Serve an Update.

    Args:
        ports: the collaborators.
        request: who asks for what now.
        held: the allocation id that CloudFormation has for the resource.
        before: what was asked before.
        deadline: ends the work before a commit that could not be answered.

    Raises:
        PermanentError: what is asked cannot be given; what is held stays.
        TemporaryError: not now.
    """
    for _ in range(MAX_ATTEMPTS):
        record = ports.store.owner(request.owner)
        grant = record.for_ask(digest(request.ask)) or _satisfying(ports, record, held, request.ask)
        if grant is None:
            return allocate(ports, request, deadline, record)
        if grant.allocation_id != held:
            return Allocated(grant, "kept")
        unaccepted = _unaccepted_replacement(record, grant, before, request.requested)
        if unaccepted is not None:
            release_unaccepted(ports, _as_release(request), unaccepted, deadline)
        elif _keep(ports, request, record, grant, deadline):
            return Allocated(grant, "kept")
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def _satisfying(ports: Ports, record: OwnerRecord, held: str, ask: Ask) -> Grant | None:
    """Give the held allocation, if it is what is now asked for in other words."""
    grant = record.for_id(held)
    if grant is None or ask.family != grant.cidr.family:
        return None
    if ask.cidr not in {None, grant.cidr} or ask.netmask_length not in {None, grant.cidr.length}:
        return None
    if ask.cidr is None and ask.netmask_length is None:
        return None
    _, pools = current_candidates(ports, ask)
    return grant if any(pool.pool_id == grant.pool_id for pool in pools) else None


def _unaccepted_replacement(record: OwnerRecord, grant: Grant, before: Ask, requested: int) -> Grant | None:
    """Find what an earlier Update allocated and CloudFormation never took over.

    A rollback asks for what the held allocation was made for, and names as "before" what the failed Update asked for.
    Had that Update been accepted, CloudFormation would hold its allocation and not this one.
    """
    other = record.for_ask(digest(before))
    if other is None or other.allocation_id == grant.allocation_id:
        return None
    return None if other.acknowledged or other.by_create or other.requested > requested else other


def _keep(ports: Ports, request: AllocateRequest, record: OwnerRecord, grant: Grant, deadline: Deadline) -> bool:
    """Note that the stack knows the allocation, what it stands for, and that older requests are over."""
    asks = grant.asks if digest(request.ask) in grant.asks else (*grant.asks, digest(request.ask))
    after = record.with_grant(replace(grant, acknowledged=True, asks=asks)).fenced(request.requested)
    if after == record:
        return True
    audit = note_request(ports, "kept", request, grant)
    deadline.ensure()
    try:
        ports.store.commit(Change((PutOwner(after, expires=None), PutAudit(audit))))
    except Conflict:
        return False
    ports.memory.see_owner(after.stored())
    return True


def _as_release(request: AllocateRequest) -> ReleaseRequest:
    return ReleaseRequest(request.owner, request.account, request.requested, request.cause)
