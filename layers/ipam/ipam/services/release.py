"""Release: an owner gives its block back.

The block cools for as long as its pool says and is free afterwards (I7). Only what the owner's record names is ever
released, and only that very allocation, never "whoever has this CIDR" (I5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.change import Change, ChangeQuota, EndLease, PutAudit, PutOwner, RemoveAllocation
from ipam.domain.errors import ContendedError, InUseError, NoSuchPoolError
from ipam.domain.owner import OwnerRecord
from ipam.domain.pool import units
from ipam.domain.stack import stack_holder
from ipam.services.audit import note_request
from ipam.services.contention import back_off, note_owner
from ipam.services.cool import cool
from ipam.services.in_use import still_used
from ipam.services.leases import forgettable
from ipam.services.plan import current_space
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.domain.change import Operation
    from ipam.domain.owner import Claim, Grant, OwnerKey
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 20
"""Tries, against other requests of the same resource or stack."""

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

    An id that the owner neither holds nor has held lately changes nothing: it is `unverified-delete`. So is a Delete
    that is older than the last request which was answered with that allocation (`ipam.domain.owner.Grant.ends_by_id`).

    Raises:
        NetworkInUseError: a network of the stack's account still has addresses of it (docs/decisions/0020).
        InUseError: a subnet pool divides it.
        ServiceUnavailableError: whether a network has, is not known now.
    """
    at = request.requested
    for record in _records(ports, request.owner):
        if allocation_id in record.returned:
            return "already-released"
        grant = record.for_id(allocation_id)
        if grant is None:
            continue
        outcome = _give_back_unused(ports, request, record, grant, deadline, may_end=lambda now: now.ends_by_id(at))
        if outcome != "unverified-delete":
            return outcome
    return "unverified-delete"


def _records(ports: Ports, owner: OwnerKey) -> Iterator[OwnerRecord]:
    """Give an owner's record as it is remembered, then as a cheap read shows it, then as it is.

    What an older record names as held is verified by the change itself, and what it names as returned stays returned;
    only what it does not allow needs a newer one.
    """
    remembered = ports.memory.owner(owner)
    if remembered is not None:
        yield remembered
    yield ports.store.owner_hint(owner)
    yield ports.store.owner(owner)


def release_in_stack(ports: Ports, request: ReleaseRequest, claim: Claim, deadline: Deadline) -> Outcome:
    """Give back an allocation of another resource of the stack, when the last one that stands for its release goes.

    Args:
        ports: the collaborators.
        request: of the resource that stands for the release; its stack has to be the holder's.
        claim: the allocation, as the stack knows it.
        deadline: ends the work before a commit that could not be answered.

    Raises:
        NetworkInUseError: as in `release`; so are the next two.
        InUseError: a subnet pool divides it.
        ServiceUnavailableError: whether a network has addresses of it, is not known now.
    """
    for attempt in range(MAX_ATTEMPTS):
        # What a record that may be a moment old allows is verified by the change; what it does not is read again.
        records = ports.store.owners(request.owner.party) if attempt else ports.store.owners_hint(request.owner.party)
        record = next((each for each in records if each.has_had(claim.allocation_id)), None)
        grant = None if record is None else record.for_id(claim.allocation_id)
        if record is not None and grant is None:
            return "already-released"
        if record is None or grant is None or not _stands_for(request, claim, grant):
            if attempt:
                return "unverified-delete"
            continue
        holder = ReleaseRequest(record.owner, request.account, request.requested, request.cause)
        others = tuple(name for name in grant.returners if name != request.owner.name)
        if not others:
            outcome = _give_back_unused(ports, holder, record, grant, deadline, may_end=partial(_is_last, request))
            if outcome != "unverified-delete":
                return outcome
        else:
            after = record.with_grant(replace(grant, returners=others))
            audit = note_request(ports, "kept", holder, grant)
            if note_owner(ports, after, None, deadline, audit, _fenced_itself(ports, request, records)):
                return "nothing-to-release"
        back_off(ports, attempt)
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def _stands_for(request: ReleaseRequest, claim: Claim, grant: Grant) -> bool:
    """Whether a resource stands for the release of a grant, says what is true of it, and is not late."""
    return claim.fits(grant) and request.owner.name in grant.returners and grant.ends_with(request.requested)


def _is_last(request: ReleaseRequest, grant: Grant) -> bool:
    """Whether no other resource stands for the release of a grant, and this one is not late."""
    return grant.returners == (request.owner.name,) and grant.ends_with(request.requested)


def _fenced_itself(ports: Ports, request: ReleaseRequest, records: list[OwnerRecord]) -> PutOwner:
    """Fence the record of a resource that no longer stands for a release, while others do.

    Its Create, delivered again, would otherwise stand for the release again, for nobody.
    """
    own = next((each for each in records if each.owner == request.owner), OwnerRecord(request.owner))
    fenced = own.fenced(request.requested)
    return PutOwner(fenced, forgettable(ports, fenced))


def abandon(ports: Ports, request: ReleaseRequest, asked: str, deadline: Deadline) -> Outcome:
    """End a resource whose id CloudFormation never learned.

    Only what its Create left without any sign of acceptance is released, and the fence is set, so that a Create that
    this Delete has overtaken allocates nothing any more. A record with another allocation that is no younger than the
    Delete is left as it is.

    No account is asked for networks: none can have been made of a CIDR that the stack was never told, and one that was
    there before is no reason to keep it.

    Args:
        ports: the collaborators.
        request: the Delete; where its id is what our FAILED gave, it is made when that request was.
        asked: digest of what the Create asked for. A later one that was answered, and is not yet seen to be known, has
            asked for something else.
        deadline: ends the work before a commit that could not be answered.
    """
    outcome: Outcome = "nothing-to-release"
    at = request.requested
    for _ in range(MAX_ATTEMPTS):
        record = ports.store.owner(request.owner)
        unaccepted = record.unaccepted(asked, at)
        if unaccepted:
            ended = _give_back(ports, request, record, unaccepted[0], deadline, may_end=partial(_is_unaccepted, at))
            outcome = "released" if ended == "released" else outcome
        elif any(grant.ends_with(at) for grant in record.grants):
            return outcome if outcome == "released" else "unverified-delete"
        elif record.supersedes(at) or _fence(ports, request, record, deadline):
            return outcome
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def _is_unaccepted(at: int, grant: Grant) -> bool:
    """Whether a Create up to that time was answered with a grant, and the stack may not know it."""
    return grant.ends_with(at) and not grant.may_be_known(at)


def release_never_accepted(ports: Ports, request: ReleaseRequest, grant: Grant, deadline: Deadline) -> Outcome:
    """Give back what an Update allocated and the stack has shown that it never took over.

    So nothing was made of it, and no account is asked: a refusal here would keep a rollback from its end.
    """

    def may_end(now: Grant) -> bool:
        return now.ends_with(request.requested) and not now.acknowledged

    record = ports.store.owner(request.owner)
    return _give_back(ports, request, record, grant, deadline, may_end=may_end)


def _fence(ports: Ports, request: ReleaseRequest, record: OwnerRecord, deadline: Deadline) -> bool:
    """Set the fence of an owner; say whether it was done, or has to be decided anew."""
    fenced = record.fenced(request.requested)
    return note_owner(ports, fenced, forgettable(ports, fenced), deadline, note_request(ports, "fenced", request, None))


def _give_back_unused(  # noqa: PLR0913 - as for `_give_back`
    ports: Ports,
    request: ReleaseRequest,
    record: OwnerRecord,
    grant: Grant,
    deadline: Deadline,
    *,
    may_end: Callable[[Grant], bool],
) -> Outcome:
    """Commit a release, unless a network still has addresses of the block.

    Raises:
        NetworkInUseError: one has.
        ServiceUnavailableError: it is not known now.
    """
    refusal = still_used(ports, record.owner, grant, deadline) if may_end(grant) else None
    if refusal is not None:
        # The record may be a moment old, and what was given back since may be in use by whoever has it now.
        now = ports.store.owner(record.owner).for_id(grant.allocation_id)
        if now is None:
            return "already-released"
        if may_end(now):
            raise refusal
        return "unverified-delete"
    return _give_back(ports, request, record, grant, deadline, may_end=may_end)


def _give_back(  # noqa: PLR0913 - what a release is about, and in what kinds of it differ
    ports: Ports,
    request: ReleaseRequest,
    record: OwnerRecord,
    grant: Grant,
    deadline: Deadline,
    *,
    may_end: Callable[[Grant], bool],
) -> Outcome:
    """Commit a release, against all others who change the same owner.

    It ends as unverified where the record shows, perhaps only meanwhile, that the allocation lives on: by `may_end`. So
    it does where there is no such pool any more: then the record is older than that.

    Raises:
        InUseError: a subnet pool divides it.
    """
    try:
        space = current_space(ports, grant.pool_id)
    except NoSuchPoolError:
        return "unverified-delete"
    holder = stack_holder(record.owner, request.account) if space.sticky else ""
    now: Grant | None = grant
    for attempt in range(MAX_ATTEMPTS):
        if now is None:
            return "already-released"
        if not may_end(now):
            return "unverified-delete"
        deadline.ensure()
        # What it has answered is over with it, also where that seems to be younger.
        after = record.without_grant(grant.allocation_id).fenced(max(request.requested, now.requested))
        audit = note_request(ports, "released", request, grant)
        operations: list[Operation] = [
            RemoveAllocation(grant.pool_id, grant.cidr, grant.allocation_id),
            *cool(grant, space.cooling_seconds, audit.at, holder),
            PutOwner(after, forgettable(ports, after)),
            PutAudit(audit),
        ]
        if request.account:
            operations.append(ChangeQuota(request.account, grant.pool_id, -1, -units(grant.cidr)))
        if now.expires is not None:
            operations.append(EndLease(grant.pool_id, grant.cidr, grant.allocation_id))
        try:
            ports.store.commit(Change(tuple(operations)))
        except Conflict as conflict:
            record = _learn(ports, conflict, record)
            now = record.for_id(grant.allocation_id)
            if any(refusal.busy for refusal in conflict.refusals):
                back_off(ports, attempt)
            continue
        ports.memory.see_owner(after.stored())
        return "released"
    raise ContendedError(space.name, MAX_ATTEMPTS)


def _learn(ports: Ports, conflict: Conflict, record: OwnerRecord) -> OwnerRecord:
    """Take over the owner record that a refused release shows, if it is another one.

    Raises:
        InUseError: a subnet pool divides the block.
    """
    refused = [refusal for refusal in conflict.refusals if not refusal.busy]
    for refusal in refused:
        if isinstance(refusal.operation, PutOwner):
            return refusal.current or OwnerRecord(record.owner)
    for refusal in refused:
        match refusal.operation:
            case RemoveAllocation(pool_id, cidr, allocation_id) if len(refused) == len(conflict.refusals):
                held = ports.store.allocation(pool_id, cidr)
                if held is not None and held.divided_by:
                    raise InUseError(str(cidr), (f"pool {held.divided_by}",), 1)
                current = ports.store.owner(record.owner)
                if current.version != record.version or (held is not None and held.allocation_id == allocation_id):
                    # It was divided when the change was refused, and is not any more.
                    return current
                message = f"I4: {record.owner} names {allocation_id}, but {cidr} of {pool_id} is not it"
                raise AssertionError(message)
            case _:
                pass
    return record
