"""Keep: a request is answered with the allocation that its resource already has.

What the request proves is noted in the owner's record: that the stack knows the allocation that it names, what the
kept one stands for, and that it lives on, so that an older Delete which is still on its way does not end it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.change import DescribeAllocation
from ipam.domain.owner import digest
from ipam.services.audit import note_request
from ipam.services.contention import note_owner

if TYPE_CHECKING:
    from ipam.domain.owner import Grant, OwnerRecord
    from ipam.services.allocate import AllocateRequest
    from ipam.services.ports import Deadline, Ports


def keep(ports: Ports, request: AllocateRequest, record: OwnerRecord, grant: Grant, deadline: Deadline) -> bool:
    """Note that a request is answered with a grant.

    Args:
        ports: the collaborators.
        request: what was asked.
        record: the owner's record as it was read.
        grant: the allocation that answers.
        deadline: ends the work before a commit that could not be answered.

    Returns:
        Whether that is noted; if not, the record has changed, and what to answer has to be decided anew.
    """
    kept = grant.answered(request.requested).standing_for(digest(request.ask))
    after = record.with_grant(kept).knowing(request.held)
    if grant.allocation_id == request.held:
        # The resource stays what it was: what older requests asked for is over.
        after = after.fenced(request.requested)
    if set(after.grants) == set(record.grants) and after.fence == record.fence:
        return True
    audit = note_request(ports, "kept", request, grant)
    if request.requested < grant.requested:
        # A later request has described it since.
        return note_owner(ports, after, None, deadline, audit)
    described = DescribeAllocation(grant.pool_id, grant.cidr, grant.allocation_id, request.description)
    return note_owner(ports, after, None, deadline, audit, described)
