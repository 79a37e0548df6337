"""Keep: a request is answered with the allocation that its resource already has.

What the request proves is noted in the owner's record: that the stack knows the allocation that it names, what the
kept one stands for, and that it lives on, so that an older Delete which is still on its way does not end it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam.domain.change import DescribeAllocation, SetLease
from ipam.domain.owner import digest
from ipam.services.audit import note_request
from ipam.services.contention import note_owner
from ipam.services.leases import lease_of
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from ipam.domain.owner import Grant, OwnerRecord
    from ipam.services.order import AllocateRequest
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
    renewed = _renewed(ports, request, grant)
    kept = renewed.answered(request.requested).standing_for(digest(request.ask))
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
    described = DescribeAllocation(grant.pool_id, grant.cidr, grant.allocation_id, request.description, request.tags)
    if kept.expires == grant.expires:
        return note_owner(ports, after, None, deadline, audit, described)
    lease = SetLease(lease_of(kept, request.owner, request.account))
    return note_owner(ports, after, None, deadline, audit, described, lease)


def _renewed(ports: Ports, request: AllocateRequest, grant: Grant) -> Grant:
    """Let a lease begin anew where a later request than the last asks for the allocation; a preview is not renewed."""
    if grant.expires is None or grant.preview or request.requested <= grant.requested:
        return grant
    pool = current_plan(ports).pools.get(grant.pool_id)
    seconds = None if pool is None else pool.rules.lease_seconds
    return grant if seconds is None else replace(grant, expires=ports.clock.now() + seconds * 1000)
