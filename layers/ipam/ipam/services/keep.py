"""Keep: a request is answered with the allocation that its resource already has.

What the request proves is noted in the owner's record: that the stack knows the allocation that it names, what the
kept one stands for, and that it lives on, so that an older Delete which is still on its way does not end it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam.domain.change import DescribeAllocation, EndLease, SetLease
from ipam.domain.owner import digest
from ipam.services.audit import note_request
from ipam.services.contention import note_owner
from ipam.services.leases import lease_of
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from ipam.domain.change import Operation
    from ipam.domain.owner import Grant, OwnerRecord
    from ipam.services.ports import Deadline, Ports
    from ipam.services.request import AllocateRequest


def keep(ports: Ports, request: AllocateRequest, record: OwnerRecord, grant: Grant, deadline: Deadline) -> Grant | None:
    """Note that a request is answered with a grant.

    Args:
        ports: the collaborators.
        request: what was asked.
        record: the owner's record as it was read.
        grant: the allocation that answers.
        deadline: ends the work before a commit that could not be answered.

    Returns:
        The grant as it is now; None if it could not be noted, because the record has changed: what to answer has to be
        decided anew.
    """
    kept = _renewed(ports, request, grant).standing_for(digest(request.ask))
    # What the resource does not name as its own may have been given up before: a Delete of that may be on its way.
    kept = (kept.answered if grant.allocation_id == request.held else kept.taken_up)(request.requested)
    after = record.with_grant(kept).knowing(request.held)
    if grant.allocation_id == request.held:
        # The resource stays what it was: what older requests asked for is over.
        after = after.fenced(request.requested)
    if set(after.grants) == set(record.grants) and after.fence == record.fence:
        return after.for_id(grant.allocation_id)
    audit = note_request(ports, "kept" if kept.expires == grant.expires else "renewed", request, grant)
    more: tuple[Operation, ...] = ()
    if request.requested >= grant.requested:
        # No later request has described it since.
        said = DescribeAllocation(grant.pool_id, grant.cidr, grant.allocation_id, request.description, request.tags)
        more = (said, *_lease_after(request, grant, kept))
    return after.for_id(grant.allocation_id) if note_owner(ports, after, None, deadline, audit, *more) else None


def _renewed(ports: Ports, request: AllocateRequest, grant: Grant) -> Grant:
    """Let a lease begin anew where a later request than the last asks for the allocation; a preview is not renewed.

    It never ends earlier for that: an administrator may have given it more. Where the pool has no leases any more, the
    allocation lasts.
    """
    if grant.expires is None or grant.preview or request.requested <= grant.requested:
        return grant
    pool = current_plan(ports).pools.get(grant.pool_id)
    if pool is None:
        return grant
    seconds = pool.rules.lease_seconds
    until = None if seconds is None else max(grant.expires, ports.clock.now() + seconds * 1000)
    return replace(grant, expires=until)


def _lease_after(request: AllocateRequest, grant: Grant, kept: Grant) -> tuple[Operation, ...]:
    """Tell what becomes of the lease of a grant that is kept."""
    if kept.expires == grant.expires:
        return ()
    if kept.expires is None:
        return (EndLease(grant.pool_id, grant.cidr, grant.allocation_id),)
    return (SetLease(lease_of(kept, request.owner, request.account)),)
