"""Release: an owner gives its block back.

The block cools for as long as its pool says and is free afterwards (I7). Only what the owner's record names is ever
released, and only that very allocation, never "whoever has this CIDR" (I5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.change import Change, ChangeQuota, EndLease, PutAudit, PutOwner, RemoveAllocation
from ipam.domain.errors import ContendedError, InUseError, NoSuchPoolError
from ipam.domain.owner import OwnerRecord
from ipam.domain.pool import units
from ipam.domain.stack import stack_holder
from ipam.services.audit import note_request
from ipam.services.contention import back_off, note_owner
from ipam.services.cool import cool
from ipam.services.leases import forgettable
from ipam.services.plan import current_space
from ipam.services.ports import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    that is older than the last request which was answered with that allocation.
    """
    for record in _records(ports, request.owner):
        if allocation_id in record.returned:
            return "already-released"
        grant = record.for_id(allocation_id)
        outcome = "unverified-delete" if grant is None else _give_back(ports, request, record, grant, deadline)
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
            outcome = _give_back(ports, holder, record, grant, deadline, by=request.owner.name)
            if outcome != "unverified-delete":
                return outcome
        elif _withdraw(ports, holder, record, replace(grant, returners=others), deadline):
            return "nothing-to-release"
        back_off(ports, attempt)
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def _stands_for(request: ReleaseRequest, claim: Claim, grant: Grant) -> bool:
    """Whether a resource stands for the release of a grant, says what is true of it, and is not late."""
    return claim.fits(grant) and request.owner.name in grant.returners and grant.ends_with(request.requested)


def _withdraw(ports: Ports, holder: ReleaseRequest, record: OwnerRecord, grant: Grant, deadline: Deadline) -> bool:
    """Note that one of several resources no longer stands for the release of a grant; say whether it was done."""
    audit = note_request(ports, "kept", holder, grant)
    return note_owner(ports, record.with_grant(grant), None, deadline, audit)


def abandon(ports: Ports, request: ReleaseRequest, deadline: Deadline) -> Outcome:
    """End a resource whose id CloudFormation never learned.

    Only what its Create left without any sign of acceptance is released, and the fence is set, so that a Create that
    this Delete has overtaken allocates nothing any more. A record with an allocation that may be known to
    the stack is left as it is.
    """
    outcome: Outcome = "nothing-to-release"
    for _ in range(MAX_ATTEMPTS):
        record = ports.store.owner(request.owner)
        unaccepted = record.unaccepted(request.requested)
        if unaccepted:
            if _give_back(ports, request, record, unaccepted[0], deadline, unless_accepted=True) == "released":
                outcome = "released"
        elif any(grant.may_be_known(request.requested) for grant in record.grants):
            return outcome if outcome == "released" else "unverified-delete"
        elif record.supersedes(request.requested) or _fence(ports, request, record, deadline):
            return outcome
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def release_never_accepted(ports: Ports, request: ReleaseRequest, grant: Grant, deadline: Deadline) -> Outcome:
    """Give back what an Update allocated and the stack has shown that it never took over."""
    record = ports.store.owner(request.owner)
    return _give_back(ports, request, record, grant, deadline, unless_accepted=True)


def _fence(ports: Ports, request: ReleaseRequest, record: OwnerRecord, deadline: Deadline) -> bool:
    """Set the fence of an owner; say whether it was done, or has to be decided anew."""
    fenced = record.fenced(request.requested)
    return note_owner(ports, fenced, forgettable(ports, fenced), deadline, note_request(ports, "fenced", request, None))


def _give_back(  # noqa: PLR0913 - what a release is about, and the two things in which kinds of it differ
    ports: Ports,
    request: ReleaseRequest,
    record: OwnerRecord,
    grant: Grant,
    deadline: Deadline,
    *,
    by: str = "",
    unless_accepted: bool = False,
) -> Outcome:
    """Commit a release, against all others who change the same owner.

    It ends as unverified where the record shows meanwhile that the allocation lives on: a later request was answered
    with it; with `by`, another resource stands for its release too; with `unless_accepted`, the stack knows it. So it
    does where there is no such pool any more: then the record is older than that.
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
        if not now.ends_with(request.requested) or (unless_accepted and now.acknowledged):
            return "unverified-delete"
        if by and now.returners != (by,):
            return "unverified-delete"
        deadline.ensure()
        after = record.without_grant(grant.allocation_id).fenced(request.requested)
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
