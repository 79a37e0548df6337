"""Release by an administrator: an allocation is taken from an owner that does not give it back (I5).

It leaves the owner's record as it does when the owner gives it back, and the fence is moved to the request that it
answered last: delivered once more, that request allocates nothing in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.change import Change, ChangeQuota, EndLease, PutAudit, PutOwner, RemoveAllocation
from ipam.domain.errors import ContendedError, InUseError
from ipam.domain.pool import units
from ipam.domain.stack import stack_holder
from ipam.services.audit import OnBehalf, note_request
from ipam.services.contention import back_off
from ipam.services.cool import cool
from ipam.services.leases import ENDED_KEPT, forgettable
from ipam.services.plan import current_plan, current_space
from ipam.services.ports.store import Conflict
from ipam.services.release import MAX_ATTEMPTS, Outcome

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation
    from ipam.domain.change import Operation
    from ipam.domain.owner import Grant, OwnerRecord
    from ipam.services.ports import Deadline, Ports


def release_by_administrator(
    ports: Ports,
    allocation: Allocation,
    cause: str,
    deadline: Deadline,
    *,
    unless_answered_after: int | None = None,
) -> Outcome:
    """Take an allocation from its owner. It cools, and the owner's quota counts it no more.

    Args:
        ports: the collaborators.
        allocation: as it was read.
        cause: who does it and why, for the audit record.
        deadline: ends the work before a commit that could not be answered.
        unless_answered_after: do not, where a request that was made after that was answered with it.

    Returns:
        Whether it was released here, or somebody was faster; `unverified-delete`: it lives on.

    Raises:
        InUseError: a subnet pool divides it, or it is the address space of a pool: that has to be deprovisioned.
        ContendedError: others changed its owner again and again.
    """
    if allocation.allocation_type == "ipam-pool":
        raise InUseError(str(allocation.cidr), (_named(ports, allocation.owner.party),), 1)
    for attempt in range(MAX_ATTEMPTS):
        # The record is read before the allocation: what is there then and still unknown to its owner never was known.
        record = ports.store.owner(allocation.owner)
        grant = record.for_id(allocation.allocation_id)
        held = ports.store.allocation(allocation.pool_id, allocation.cidr)
        if held is None or held.allocation_id != allocation.allocation_id:
            return "already-released"
        if held.divided_by:
            raise InUseError(str(held.cidr), (_named(ports, held.divided_by),), 1)
        if grant is None:
            message = f"I4: {record.owner} does not know {allocation.allocation_id}, which it holds"
            raise AssertionError(message)
        if unless_answered_after is not None and grant.requested > unless_answered_after:
            return "unverified-delete"
        deadline.ensure()
        if _commit(ports, allocation, record, grant, cause):
            return "released"
        back_off(ports, attempt)
    raise ContendedError(str(allocation.cidr), MAX_ATTEMPTS)


def _commit(ports: Ports, allocation: Allocation, record: OwnerRecord, grant: Grant, cause: str) -> bool:
    """Release an allocation, if its owner's record still is as it was read."""
    after = record.without_grant(grant.allocation_id).fenced(grant.requested)
    audit = note_request(ports, "released", OnBehalf(record.owner, allocation.account, cause), grant)
    space = current_space(ports, grant.pool_id)
    holder = stack_holder(record.owner, allocation.account) if space.sticky else ""
    operations: list[Operation] = [
        RemoveAllocation(grant.pool_id, grant.cidr, grant.allocation_id),
        *cool(grant, space.cooling_seconds, audit.at, holder),
        PutOwner(after, forgettable(ports, after, ENDED_KEPT)),
        PutAudit(audit),
    ]
    if allocation.account:
        operations.append(ChangeQuota(allocation.account, grant.pool_id, -1, -units(grant.cidr)))
    if grant.expires is not None:
        operations.append(EndLease(grant.pool_id, grant.cidr, grant.allocation_id))
    try:
        ports.store.commit(Change(tuple(operations)))
    except Conflict:
        return False
    ports.memory.see_owner(after.stored())
    return True


def _named(ports: Ports, pool_id: str) -> str:
    """Name a pool."""
    pool = current_plan(ports, fresh=True).pools.get(pool_id)
    return f"pool {pool_id if pool is None else pool.name}"
