"""Turns: in which order the requests of a stack may change a part of the plan.

A part of the plan that a stack holds has an id that follows from the stack's resource, and an owner record of its own.
The fence of that says which requests are over:

    request made at t is served    fence t - 1    whatever is older changes nothing any more
    request made at t ends it      fence t        nor does that request, or the one it has overtaken

So a request that comes again is served again, a late one is not, and what has been ended stays so until a later request
makes it anew. The record is written before the part is changed, and in the same transaction where it is created; who
changes the part looks at the record after having read the part, and commits on the part's version.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ipam.domain.errors import ContendedError, SupersededError
from ipam.services.audit import note_request
from ipam.services.contention import back_off, note_owner
from ipam.services.leases import forgettable

if TYPE_CHECKING:
    from ipam.domain.owner import OwnerKey, OwnerRecord
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 20
"""Tries, against other requests of the same resource."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a resource, about one part of the plan.

    Attributes:
        owner: the stack, and the name that the part's record has there.
        account: the stack's AWS account.
        requested: when the request was made, milliseconds of the epoch by CloudFormation's clock.
        cause: what made it, for audit records.
    """

    owner: OwnerKey
    account: str
    requested: int
    cause: str

    def about(self, owner: OwnerKey) -> Turn:
        """The same request, about another part."""
        return replace(self, owner=owner)

    def serves(self, record: OwnerRecord) -> OwnerRecord:
        """The record once this request is served.

        Raises:
            SupersededError: a later one has been, or has ended the part.
        """
        if record.supersedes(self.requested):
            raise SupersededError
        return record.fenced(self.requested - 1)

    def comes_too_late(self, record: OwnerRecord) -> bool:
        """Whether a later request has been served, so that this one ends nothing."""
        return record.fence is not None and record.fence > self.requested


def begin(ports: Ports, turn: Turn, deadline: Deadline) -> None:
    """Note that a request is served; it may change the part from now on.

    Raises:
        SupersededError: a later one has been, or has ended the part.
        ContendedError: other requests changed the record again and again.
    """
    for attempt in range(MAX_ATTEMPTS):
        record = ports.store.owner(turn.owner)
        after = turn.serves(record)
        if after == record or _note(ports, turn, after, None, deadline):
            return
        back_off(ports, attempt)
    raise ContendedError(turn.owner.name, MAX_ATTEMPTS)


def still_mine(ports: Ports, turn: Turn) -> None:
    """Refuse to go on where another request has been served meanwhile.

    Raises:
        SupersededError: one has.
    """
    if ports.store.owner(turn.owner).supersedes(turn.requested):
        raise SupersededError


def end(ports: Ports, turn: Turn, deadline: Deadline) -> bool:
    """Note that a request ends the part, before it does; say whether it may, or comes too late."""
    for attempt in range(MAX_ATTEMPTS):
        record = ports.store.owner(turn.owner)
        if turn.comes_too_late(record):
            return False
        after = record.fenced(turn.requested)
        if after == record or _note(ports, turn, after, None, deadline):
            return True
        back_off(ports, attempt)
    raise ContendedError(turn.owner.name, MAX_ATTEMPTS)


def forget(ports: Ports, turn: Turn, deadline: Deadline) -> None:
    """Let the store forget the record of a part that is gone, unless a later request has made it anew."""
    record = ports.store.owner(turn.owner)
    if record.version and record.fence == turn.requested:
        _note(ports, turn, record, forgettable(ports, record), deadline)


def _note(ports: Ports, turn: Turn, after: OwnerRecord, expires: int | None, deadline: Deadline) -> bool:
    return note_owner(ports, after, expires, deadline, note_request(ports, "fenced", turn, None))
