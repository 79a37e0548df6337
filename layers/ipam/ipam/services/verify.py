"""Verify: what a stack says of an allocation is what is stored.

Done when a release is announced, so that a stack learns of a wrong id while it is created and not when it is deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.errors import ContendedError, NoSuchAllocationError, OnlyPreviewedError, SupersededError
from ipam.services.audit import note_request
from ipam.services.contention import back_off, note_owner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam.domain.owner import Claim, Grant, OwnerRecord
    from ipam.services.ports import Deadline, Ports
    from ipam.services.release import ReleaseRequest

MAX_ATTEMPTS: Final = 10
"""Tries to note the proof, against other requests of the same resource."""


def verify(ports: Ports, request: ReleaseRequest, claim: Claim, deadline: Deadline) -> Grant:
    """Check that the stack holds exactly this allocation; the allocation is not changed.

    That the stack names it proves that it has accepted the allocation. It is noted in the owner's record, and with it
    which resource stands for the release: of several, as while a template renames one, only the last gives back.

    Raises:
        NoSuchAllocationError: it does not, or one of the three facts is wrong; which of them is not told.
        OnlyPreviewedError: it is a preview, which ends by itself: nothing is to be built on it.
        SupersededError: the resource has been deleted since, and another one stands for the release.
        ContendedError: others changed the owner again and again.
    """
    for attempt in range(MAX_ATTEMPTS):
        records = ports.store.owners(request.owner.party)
        record, grant = _find(records, claim)
        if grant.preview:
            raise OnlyPreviewedError(grant.cidr)
        own = next((each for each in records if each.owner == request.owner), None)
        if own is not None and own.supersedes(request.requested) and request.owner.name not in grant.returners:
            raise SupersededError
        if _stand_for(ports, request, record, grant, deadline):
            return grant
        back_off(ports, attempt)
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def _find(records: Iterable[OwnerRecord], claim: Claim) -> tuple[OwnerRecord, Grant]:
    """Find what the stack says that it holds."""
    for record in records:
        grant = record.for_id(claim.allocation_id)
        if grant is not None and claim.fits(grant):
            return record, grant
    raise NoSuchAllocationError(claim.allocation_id)


def _stand_for(ports: Ports, request: ReleaseRequest, record: OwnerRecord, grant: Grant, deadline: Deadline) -> bool:
    """Note who stands for the release; say whether that is noted, or has to be decided anew."""
    after = record.with_grant(grant.returned_by(request.owner.name, request.requested))
    if set(after.grants) == set(record.grants):
        return True
    return note_owner(ports, after, None, deadline, note_request(ports, "acknowledged", request, grant))
