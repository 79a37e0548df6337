"""Leases: allocations that last for a time, and previews, which are held for a short one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.allocation import Lease
from ipam.domain.change import Change, ChangeQuota, EndLease, PutAudit, PutFree, PutOwner, RemoveAllocation
from ipam.domain.pool import units
from ipam.services.audit import OnBehalf, note_request
from ipam.services.ports import Conflict

if TYPE_CHECKING:
    from ipam.domain.change import Operation
    from ipam.domain.owner import Grant, OwnerKey, OwnerRecord
    from ipam.domain.pool import Space
    from ipam.services.ports import Deadline, Ports

CAUSE: Final = "leases"

OWNER_KEPT: Final = 21 * 24 * 3600
"""Seconds for which an owner that holds nothing is remembered: its fence has to outlive every event that is still on
its way. Lambda keeps one for 6 hours at most, and the dead-letter queue, which gives it back, for 14 days."""

MAX_LEASES: Final = 10_000
"""Leases of one pool that one run looks at."""


def lease_of(grant: Grant, owner: OwnerKey, account: str) -> Lease:
    """Tell the lease of a grant that has one."""
    until = grant.expires or 0
    return Lease(grant.pool_id, grant.cidr, grant.allocation_id, owner, account, until, preview=grant.preview)


def end_previews(ports: Ports, space: Space, deadline: Deadline) -> bool:
    """Make free what was held for someone who did not come in time; say whether anything was changed, or may have been.

    Raises:
        OutOfTimeError: there is more to do than the time that is left.
    """
    changed = False
    for _, lease in zip(range(MAX_LEASES), ports.store.leases(space.pool_id), strict=False):
        if lease.preview and lease.until <= ports.clock.now():
            deadline.ensure()
            changed = True
            end_preview(ports, lease)
    return changed


def end_preview(ports: Ports, lease: Lease) -> bool:
    """End one preview; say whether it was done here. Nobody ever had its block, so that is free at once."""
    record = ports.store.owner(lease.owner)
    grant = record.for_id(lease.allocation_id)
    if grant is None or not grant.preview:
        return False
    after = record.without_grant(lease.allocation_id)
    operations: list[Operation] = [
        RemoveAllocation(lease.pool_id, lease.cidr, lease.allocation_id),
        PutFree(lease.pool_id, lease.cidr),
        EndLease(lease.pool_id, lease.cidr, lease.allocation_id, lease.until),
        PutOwner(after, forgettable(ports, after)),
        PutAudit(note_request(ports, "preview-ended", OnBehalf(lease.owner, lease.account, CAUSE), grant)),
    ]
    if lease.account:
        operations.append(ChangeQuota(lease.account, lease.pool_id, -1, -units(lease.cidr)))
    try:
        ports.store.commit(Change(tuple(operations)))
    except Conflict:
        return False
    ports.memory.see_owner(after.stored())
    return True


def forgettable(ports: Ports, record: OwnerRecord) -> int | None:
    """Tell when the store may forget an owner: never while it holds anything."""
    return None if record.grants else ports.clock.now() // 1000 + OWNER_KEPT
