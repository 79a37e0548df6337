"""Verify: what a stack says of an allocation is what is stored.

Done when a release is announced, so that a stack learns of a wrong id while it is created and not when it is deleted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.change import Change, PutAudit, PutOwner
from ipam.domain.errors import ContendedError, NoSuchAllocationError
from ipam.services.audit import note_request
from ipam.services.ports import Conflict

if TYPE_CHECKING:
    from ipam.domain.owner import Claim, Grant, OwnerRecord
    from ipam.services.ports import Deadline, Ports
    from ipam.services.release import ReleaseRequest

MAX_ATTEMPTS: Final = 5
"""Tries to note the proof, against other requests of the same resource."""


def verify(ports: Ports, request: ReleaseRequest, claim: Claim, deadline: Deadline) -> Grant:
    """Check that the stack holds exactly this allocation; the allocation is not changed.

    That the stack names it proves that it has accepted the allocation, which is noted in the owner's record.

    Raises:
        NoSuchAllocationError: it does not, or one of the three facts is wrong; which of them is not told.
        ContendedError: others changed the owner again and again.
    """
    for _ in range(MAX_ATTEMPTS):
        record, grant = _find(ports, request, claim)
        if grant.acknowledged or _acknowledge(ports, request, record, grant, deadline):
            return grant
    raise ContendedError(request.owner.name, MAX_ATTEMPTS)


def _find(ports: Ports, request: ReleaseRequest, claim: Claim) -> tuple[OwnerRecord, Grant]:
    """Find what the stack says that it holds."""
    for record in ports.store.owners(request.owner.party):
        grant = record.for_id(claim.allocation_id)
        if grant is not None and claim.fits(grant):
            return record, grant
    raise NoSuchAllocationError(claim.allocation_id)


def _acknowledge(ports: Ports, request: ReleaseRequest, record: OwnerRecord, grant: Grant, deadline: Deadline) -> bool:
    """Note the proof; say whether it was done, or has to be decided anew."""
    after = record.with_grant(replace(grant, acknowledged=True))
    audit = note_request(ports, "acknowledged", request, grant)
    deadline.ensure()
    try:
        ports.store.commit(Change((PutOwner(after, expires=None), PutAudit(audit))))
    except Conflict:
        return False
    ports.memory.see_owner(after.stored())
    return True
