"""Leases: allocations that last for a time, and previews, which are held for a short one.

    asked for ------------- until - notice ------------- until -------->
                                   |                       |
    every type                     "Lease Ends Soon"       |
    types that expire              ...                     released, then "Lease Ended"
    the others                     ...                     "Lease Ended", and it stays

A request that asks for the allocation anew renews its lease, and wins against all of this. Nothing ends whose owner was
not warned: a warning that comes late moves the end (docs/decisions/0009).

Whatever changes a lease changes its owner's record in the same transaction. So a change that was decided on a record,
and on the lease as it was read after that, is committed on the record's version and needs no other condition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.allocation import Lease
from ipam.domain.change import Change, ChangeQuota, EndLease, PutAudit, PutOwner, RemoveAllocation, SetLease
from ipam.domain.pool import EXPIRING, units
from ipam.domain.stack import stack_holder
from ipam.services.audit import OnBehalf, note_request
from ipam.services.cool import cool
from ipam.services.ports.outside import Happening
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation, AuditEvent
    from ipam.domain.change import Operation
    from ipam.domain.owner import Grant, OwnerKey, OwnerRecord
    from ipam.domain.pool import Pool, Space
    from ipam.services.ports import Deadline, Ports

CAUSE: Final = "leases"

OWNER_KEPT: Final = 21 * 24 * 3600
"""Seconds for which an owner that holds nothing is remembered: its fence has to outlive every event that is still on
its way. Lambda keeps one for 6 hours at most, and the dead-letter queue, which gives it back, for 14 days."""

ENDED_KEPT: Final = 5 * 366 * 24 * 3600
"""Seconds for which an owner is remembered whose last allocation ended with its lease: its stack may stand for years,
and its Delete is then known to be of something that was given back."""

MAX_LEASES: Final = 100_000
"""Leases of one pool that one run looks at."""

MAX_NOTICE: Final = 7 * 24 * 3_600_000
"""Milliseconds before the end at which the owner of a long lease is warned: a week has somebody at work in it."""

NOTICE_SHARE: Final = 4
"""The owner of a shorter one is warned when one part in so many is left."""

MAX_GRACE: Final = 24 * 3_600_000
"""Milliseconds that there are at least between the warning and the end of a long lease."""

GRACE_SHARE: Final = 2
"""Of a shorter one, one part in so many of its notice."""


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
    # The request that it answered is over with it: delivered again, it would hold another block, for nobody.
    after = record.without_grant(lease.allocation_id).fenced(grant.requested)
    return _end(ports, lease, grant, "preview-ended", PutOwner(after, forgettable(ports, after, ENDED_KEPT)))


def keep_leases(ports: Ports, pool: Pool, deadline: Deadline) -> bool:
    """Do what is due of the leases of a pool: previews end, owners are warned, allocations end or are reported.

    Args:
        ports: the collaborators.
        pool: whose leases; its rules say how long before its end the owner of a lease is warned.
        deadline: ends the work early; what is done so far stays done.

    Returns:
        Whether anything was changed. What somebody else changed meanwhile, and what nobody could be told, is left to
        the next run.

    Raises:
        OutOfTimeError: there is more to do than the time that is left.
    """
    changed = False
    notice = _notice(pool)
    for _, lease in zip(range(MAX_LEASES), ports.store.leases(pool.pool_id), strict=False):
        left = lease.until - ports.clock.now()
        if lease.preview:
            if left <= 0:
                deadline.ensure()
                changed |= end_preview(ports, lease)
        elif not lease.ended and (left <= 0 or (left <= notice and not lease.warned)):
            deadline.ensure()
            changed |= _keep(ports, pool, lease)
    return changed


def forgettable(ports: Ports, record: OwnerRecord, seconds: int = OWNER_KEPT) -> int | None:
    """Tell when the store may forget an owner: never while it holds anything."""
    return None if record.grants else ports.clock.now() // 1000 + seconds


@dataclass(frozen=True, slots=True)
class _Leased:
    """An allocation with its lease, all read in an order that makes them fit."""

    lease: Lease
    record: OwnerRecord
    grant: Grant
    allocation: Allocation

    @property
    def expires(self) -> bool:
        """Whether it ends with its lease."""
        return self.allocation.allocation_type in EXPIRING


def _keep(ports: Ports, pool: Pool, lease: Lease) -> bool:
    """Do what is due of one lease; say whether it was done."""
    leased = _read(ports, lease)
    if leased is None:
        return False
    over = lease.until <= ports.clock.now()
    if over and not leased.expires:
        return _report(ports, pool, leased)
    if not lease.warned:
        return _warn(ports, pool, leased)
    return over and _release(ports, pool, leased)


def _read(ports: Ports, lease: Lease) -> _Leased | None:
    """Read what belongs to a lease, the owner's record first; None if the lease has changed meanwhile."""
    record = ports.store.owner(lease.owner)
    grant = record.for_id(lease.allocation_id)
    allocation = ports.store.allocation(lease.pool_id, lease.cidr)
    if grant is None or allocation is None or ports.store.lease(lease.pool_id, lease.cidr) != lease:
        return None
    return _Leased(lease, record, grant, allocation)


def _warn(ports: Ports, pool: Pool, leased: _Leased) -> bool:
    """Tell that a lease ends soon, and write down that it was told; where that comes late, the lease ends later.

    It is told first, and written down only if it was taken: so it is told once at least, and twice if this run ends in
    between.
    """
    grace = min(MAX_GRACE, _notice(pool) // GRACE_SHARE)
    latest = ports.clock.now() + grace if leased.expires else 0
    lease = replace(leased.lease, until=max(leased.lease.until, latest), warned=True)
    return _tell(ports, pool, leased, "Lease Ends Soon", lease) and _note(ports, leased, lease, "lease-warned")


def _report(ports: Ports, pool: Pool, leased: _Leased) -> bool:
    """Tell that the lease of something has ended that stays all the same, and write down that it was told."""
    lease = replace(leased.lease, warned=True, ended=True)
    return _tell(ports, pool, leased, "Lease Ended", lease) and _note(ports, leased, lease, "lease-overdue")


def _release(ports: Ports, pool: Pool, leased: _Leased) -> bool:
    """Take back what has ended with its lease, and tell it then: told first, it might have been renewed after all.

    The owner is fenced at the last request that was answered with it: that one, delivered again, is over too.
    """
    lease, grant = leased.lease, leased.grant
    after = leased.record.without_grant(lease.allocation_id).fenced(grant.requested)
    owner = PutOwner(after, forgettable(ports, after, ENDED_KEPT))
    holder = stack_holder(lease.owner, lease.account) if pool.sticky else ""
    cooling_seconds = pool.cooling_seconds
    if not _end(ports, lease, grant, "lease-ended", owner, cooling_seconds=cooling_seconds, holder=holder):
        return False
    _tell(ports, pool, leased, "Lease Ended", lease)
    return True


def _end(  # noqa: PLR0913 - what ends, how it is called, and what becomes of its owner and its block
    ports: Ports,
    lease: Lease,
    grant: Grant,
    event: AuditEvent,
    owner: PutOwner,
    *,
    cooling_seconds: int = 0,
    holder: str = "",
) -> bool:
    """End an allocation with its lease, on the condition that this still ends then; say whether it was done."""
    audit = note_request(ports, event, OnBehalf(lease.owner, lease.account, CAUSE), grant)
    operations: list[Operation] = [
        RemoveAllocation(lease.pool_id, lease.cidr, lease.allocation_id),
        *cool(grant, cooling_seconds, audit.at, holder),
        EndLease(lease.pool_id, lease.cidr, lease.allocation_id, lease.until),
        owner,
        PutAudit(audit),
    ]
    if lease.account:
        operations.append(ChangeQuota(lease.account, lease.pool_id, -1, -units(lease.cidr)))
    return _commit(ports, owner, operations)


def _note(ports: Ports, leased: _Leased, lease: Lease, event: AuditEvent) -> bool:
    """Write down what was told of a lease, if nothing has happened to it meanwhile; say whether it was done."""
    owner = PutOwner(leased.record.with_grant(replace(leased.grant, expires=lease.until)), expires=None)
    audit = note_request(ports, event, OnBehalf(lease.owner, lease.account, CAUSE), leased.grant)
    return _commit(ports, owner, [SetLease(lease), owner, PutAudit(audit)])


def _commit(ports: Ports, owner: PutOwner, operations: list[Operation]) -> bool:
    """Commit a change of a lease; say whether it was done, and not overtaken."""
    try:
        ports.store.commit(Change(tuple(operations)))
    except Conflict:
        return False
    ports.memory.see_owner(owner.record.stored())
    return True


def _tell(ports: Ports, pool: Pool, leased: _Leased, kind: str, lease: Lease) -> bool:
    """Tell what happens to a lease; say whether it was taken."""
    at_end: Literal["released", "reported"] = "released" if leased.expires else "reported"
    facts: dict[str, str | int] = {
        "allocationId": lease.allocation_id,
        "cidr": str(lease.cidr),
        "poolId": pool.pool_id,
        "poolName": pool.name,
        "account": lease.account,
        "stackId": lease.owner.party,
        "logicalResourceId": lease.owner.name,
        "allocationType": leased.allocation.allocation_type,
        "description": leased.allocation.description,
        "until": lease.until,
        "atEnd": at_end,
    }
    return ports.happenings.tell(Happening(kind, facts))


def _notice(pool: Pool) -> int:
    """Tell how long before its end the owner of a lease is warned, milliseconds.

    Where the pool no longer gives leases, those that it gave are taken for long ones.
    """
    seconds = pool.rules.lease_seconds
    return MAX_NOTICE if seconds is None else min(MAX_NOTICE, seconds * 1000 // NOTICE_SHARE)
