"""Release: an owner gives its block back.

The block cools for as long as its pool says and is free afterwards (I7). Only what the owner's record names is ever
released, and only that very allocation, never "whoever has this CIDR" (I5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.allocation import CoolingBlock
from ipam.domain.change import (
    Change,
    ChangeQuota,
    EnsureNotFree,
    PutAudit,
    PutCooling,
    PutFree,
    PutOwner,
    RemoveAllocation,
    TakeFree,
)
from ipam.domain.errors import ContendedError
from ipam.domain.free_space import MAX_JOINED, join
from ipam.domain.owner import OwnerRecord
from ipam.domain.pool import units
from ipam.services.audit import note_request
from ipam.services.plan import current_space
from ipam.services.ports import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.change import Operation
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import Claim, Grant, OwnerKey
    from ipam.domain.pool import Space
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 40
"""Tries, against all others who change the same owner or the neighbouring blocks."""

OWNER_KEPT: Final = 14 * 24 * 3600
"""Seconds for which an owner that holds nothing is remembered: its fence has to outlive every event that is still on
its way (Lambda keeps one for 6 hours at most) and a queue from which it is delivered again."""

BACKOFF: Final = 10
"""Milliseconds of the longest wait after another transaction held an item; twice as long each further time."""

MAX_BACKOFF_DOUBLINGS: Final = 6

Outcome = Literal["released", "already-released", "nothing-to-release", "unverified-delete"]


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """Who gives back.

    Attributes:
        owner: whose request it is.
        account: the owner's AWS account, whose quota counts.
        requested: when the request was made, milliseconds of the epoch by the requester's clock.
        cause: what made it, for the audit record.
    """

    owner: OwnerKey
    account: str
    requested: int
    cause: str


def release(ports: Ports, request: ReleaseRequest, allocation_id: str, deadline: Deadline) -> Outcome:
    """Give back the owner's allocation of that id.

    An id that the owner neither holds nor has held lately changes nothing: it is `unverified-delete`.
    """
    for record in _records(ports, request.owner):
        if allocation_id in record.returned:
            return "already-released"
        grant = record.for_id(allocation_id)
        if grant is not None:
            return _give_back(ports, request, record, grant, deadline)
    return "unverified-delete"


def _records(ports: Ports, owner: OwnerKey) -> Iterator[OwnerRecord]:
    """Give an owner's record as it is remembered, then as a cheap read shows it, then as it is.

    What an older record names as held is verified by the change itself, and what it names as returned stays returned;
    only what it does not name at all needs a newer one.
    """
    remembered = ports.memory.owner(owner)
    if remembered is not None:
        yield remembered
    yield ports.store.owner_hint(owner)
    yield ports.store.owner(owner)


def release_in_stack(ports: Ports, request: ReleaseRequest, claim: Claim, deadline: Deadline) -> Outcome:
    """Give back an allocation that another resource of the same stack holds.

    Args:
        ports: the collaborators.
        request: of the resource that stands for the release; its stack has to be the holder's.
        claim: the allocation, as the stack knows it.
        deadline: ends the work before a commit that could not be answered.
    """
    for record in ports.store.owners(request.owner.party):
        if claim.allocation_id in record.returned:
            return "already-released"
        grant = record.for_id(claim.allocation_id)
        if grant is not None and claim.fits(grant):
            holder = ReleaseRequest(record.owner, request.account, request.requested, request.cause)
            return _give_back(ports, holder, record, grant, deadline)
    return "unverified-delete"


def abandon(ports: Ports, request: ReleaseRequest, deadline: Deadline) -> Outcome:
    """End a resource whose id CloudFormation never learned.

    Only what its Create left without any sign of acceptance is released. The fence is set in any case, so that a Create
    that this Delete has overtaken allocates nothing any more. A record with an accepted allocation is left alone.
    """
    record = ports.store.owner(request.owner)
    outcome: Outcome = "nothing-to-release"
    for _ in range(MAX_ATTEMPTS):
        unaccepted = record.unaccepted(request.requested)
        if unaccepted:
            if _give_back(ports, request, record, unaccepted[0], deadline, unless_accepted=True) != "unverified-delete":
                outcome = "released"
        elif any(grant.acknowledged or not grant.by_create for grant in record.grants):
            return outcome if outcome == "released" else "unverified-delete"
        elif record.supersedes(request.requested) or _fence(ports, request, record, deadline):
            return outcome
        record = ports.store.owner(request.owner)
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def release_unaccepted(ports: Ports, request: ReleaseRequest, grant: Grant, deadline: Deadline) -> Outcome:
    """Give back what an Update allocated and the stack has shown that it never took over."""
    record = ports.store.owner(request.owner)
    return _give_back(ports, request, record, grant, deadline, unless_accepted=True)


def _fence(ports: Ports, request: ReleaseRequest, record: OwnerRecord, deadline: Deadline) -> bool:
    """Set the fence of an owner; say whether it was done, or has to be decided anew."""
    fenced = record.fenced(request.requested)
    audit = note_request(ports, "fenced", request, None)
    deadline.ensure()
    try:
        ports.store.commit(Change((PutOwner(fenced, _expiry(ports, fenced)), PutAudit(audit))))
    except Conflict:
        return False
    ports.memory.see_owner(fenced.stored())
    return True


def _expiry(ports: Ports, record: OwnerRecord) -> int | None:
    """Tell when the store may forget an owner: never while it holds anything."""
    return None if record.grants else ports.clock.now() // 1000 + OWNER_KEPT


def _give_back(  # noqa: PLR0913 - what a release is about, and the one thing in which two kinds of it differ
    ports: Ports,
    request: ReleaseRequest,
    record: OwnerRecord,
    grant: Grant,
    deadline: Deadline,
    *,
    unless_accepted: bool = False,
) -> Outcome:
    """Commit a release, against all others who change the same owner or the neighbouring blocks.

    With `unless_accepted` it ends as unverified where the stack shows meanwhile that it knows the allocation.
    """
    space = current_space(ports, grant.pool_id)
    swallowed: list[Cidr] = []
    for attempt in range(MAX_ATTEMPTS):
        deadline.ensure()
        after = record.without_grant(grant.allocation_id).fenced(request.requested)
        audit = note_request(ports, "released", request, grant)
        blocks = _cool(space, grant, audit.at) if space.cooling_seconds else _free(space, grant, swallowed)
        operations: list[Operation] = [
            RemoveAllocation(grant.pool_id, grant.cidr, grant.allocation_id),
            *blocks,
            PutOwner(after, _expiry(ports, after)),
            PutAudit(audit),
        ]
        if request.account:
            operations.append(ChangeQuota(request.account, grant.pool_id, -1, -units(grant.cidr)))
        try:
            ports.store.commit(Change(tuple(operations)))
        except Conflict as conflict:
            record = _learn(conflict, record)
            now = record.for_id(grant.allocation_id)
            if now is None:
                return "already-released"
            if unless_accepted and now.acknowledged:
                return "unverified-delete"
            if any(isinstance(refusal.operation, EnsureNotFree | TakeFree) for refusal in conflict.refusals):
                swallowed = _free_buddies(ports, space, grant)
            if any(refusal.busy for refusal in conflict.refusals):
                doublings = min(attempt, MAX_BACKOFF_DOUBLINGS)
                ports.clock.sleep(ports.chance.below(BACKOFF << doublings))
            continue
        ports.memory.see_owner(after.stored())
        if swallowed:
            ports.memory.forget_free(grant.pool_id)
        return "released"
    raise ContendedError(space.name, MAX_ATTEMPTS)


def _cool(space: Space, grant: Grant, now: int) -> list[Operation]:
    """Let the block cool."""
    until = now + space.cooling_seconds * 1000
    return [PutCooling(CoolingBlock(grant.pool_id, grant.cidr, until, grant.allocation_id))]


def _free(space: Space, grant: Grant, swallowed: list[Cidr]) -> list[Operation]:
    """Free the block at once, joined with the buddies that were found to be free (I2).

    The first try takes its buddy not to be free, which it mostly is not, and lets the store say otherwise.
    """
    block = grant.cidr
    for buddy in swallowed:
        block = buddy.parent
    operations: list[Operation] = [TakeFree(grant.pool_id, buddy) for buddy in swallowed]
    inside = space.around(grant.cidr)
    if inside is not None and block.length > inside.length and len(swallowed) < MAX_JOINED:
        operations.append(EnsureNotFree(grant.pool_id, block.buddy))
    return [*operations, PutFree(grant.pool_id, block)]


def _free_buddies(ports: Ports, space: Space, grant: Grant) -> list[Cidr]:
    """Read which buddies above the block are free: all in one call, because a fresh pool is free up to the top."""
    inside = space.around(grant.cidr)
    if inside is None:
        return []
    top = max(inside.length, grant.cidr.length - MAX_JOINED)
    buddies = [grant.cidr.supernet(length).buddy for length in range(grant.cidr.length, top, -1)]
    return join(grant.cidr, ports.store.free_among(grant.pool_id, buddies), inside)[1]


def _learn(conflict: Conflict, record: OwnerRecord) -> OwnerRecord:
    """Take over the owner record that a refused release shows, if it is another one."""
    refused = [refusal for refusal in conflict.refusals if not refusal.busy]
    for refusal in refused:
        if isinstance(refusal.operation, PutOwner):
            return refusal.current or OwnerRecord(record.owner)
    for refusal in refused:
        match refusal.operation:
            case RemoveAllocation(pool_id, cidr, allocation_id) if len(refused) == len(conflict.refusals):
                message = f"I4: {record.owner} names {allocation_id}, but {cidr} of {pool_id} is not it"
                raise AssertionError(message)
            case _:
                pass
    return record
