"""Redeem: a preview's block becomes an allocation, once.

The block changes hands without ever being free. Its token names the preview's allocation, which cannot be guessed, and
where that is; whoever redeems it has to be in the account that asked for the preview, unless an administrator did.

The request that the preview answered is over with it, and fenced: delivered again, it would otherwise hold a second
block, for nobody. The rules for the block were kept when it was held. What is asked of the resource itself, its tags,
and who may use the pool is looked at again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.change import Change, ChangeQuota, EndLease, PassAllocation, PutAudit, PutOwner, SetLease
from ipam.domain.errors import ContendedError, NoSuchPreviewError
from ipam.domain.pool import units
from ipam.domain.preview import read_token
from ipam.services.audit import note_request
from ipam.services.contention import back_off
from ipam.services.leases import ENDED_KEPT, forgettable, lease_of
from ipam.services.ports.store import Conflict
from ipam.services.request import MAX_ATTEMPTS, Allocated

if TYPE_CHECKING:
    from ipam.domain.allocation import Lease
    from ipam.domain.change import Operation
    from ipam.domain.owner import Grant
    from ipam.domain.pool import Space
    from ipam.services.order import Order


def redeem(order: Order, space: Space) -> Allocated:
    """Give an order the block of the preview that its token names.

    Raises:
        NoSuchPreviewError: there is none, or it is not the caller's, or over, or redeemed already.
        SupersededError: a later request has ended what this one asks for.
        ContendedError: others changed its holder again and again.
    """
    known = order.known()
    for attempt in range(MAX_ATTEMPTS):
        if known is not None:
            return known
        lease = _preview(order, space)
        redeemed = _redeem(order, space, lease)
        if redeemed is not None:
            return redeemed
        # Whoever was faster is seen by reading again: the preview is gone, or one of the two owners has changed.
        known = order.reread()
        back_off(order.ports, attempt)
    raise ContendedError(space.name, MAX_ATTEMPTS)


def _preview(order: Order, space: Space) -> Lease:
    """Find the preview."""
    token = order.request.ask.preview_token
    named = read_token(token)
    if named is None or named.pool_id != space.pool_id:
        raise NoSuchPreviewError(token)
    lease = order.ports.store.lease(named.pool_id, named.cidr)
    if lease is None or not lease.preview or lease.allocation_id != named.allocation_id:
        raise NoSuchPreviewError(token)
    if lease.until <= order.ports.clock.now() or lease.account not in {"", order.request.account}:
        raise NoSuchPreviewError(token)
    ask = order.request.ask
    if ask.cidr not in {None, lease.cidr} or ask.netmask_length not in {None, lease.cidr.length}:
        raise NoSuchPreviewError(token)
    if not ask.limits.permit(lease.cidr):
        raise NoSuchPreviewError(token)
    return lease


def _redeem(order: Order, space: Space, lease: Lease) -> Allocated | None:
    """Let the block change hands; None if something was not as it was read.

    Raises:
        QuotaExceededError: an administrator's preview is more than the account may have.
    """
    request = order.request
    same = lease.owner == request.owner
    holder = order.record if same else order.ports.store.owner(lease.owner)
    preview = holder.for_id(lease.allocation_id)
    if preview is None:
        return None
    # What Amazon VPC IPAM chose has to be given back there one day.
    order.vpc_ipam_allocation_id = preview.vpc_ipam_allocation_id
    allocation = order.allocation(space, lease.cidr)
    grant = order.granted(space, allocation)
    left = holder.without_grant(lease.allocation_id).fenced(preview.requested)
    record = (left if same else order.record).with_grant(grant)
    operations: list[Operation] = [
        PassAllocation(allocation, lease.allocation_id),
        PutOwner(record, expires=None),
        PutAudit(note_request(order.ports, "redeemed", request, allocation)),
        _lease_after(order, lease, grant),
    ]
    if not same:
        operations.append(PutOwner(left, forgettable(order.ports, left, ENDED_KEPT)))
    if request.account and not lease.account:
        size = units(lease.cidr)
        limits = (space.quota.allocations, space.quota.units)
        operations.append(ChangeQuota(request.account, space.pool_id, 1, size, *limits))
    order.deadline.ensure()
    try:
        order.ports.store.commit(Change(tuple(operations)))
    except Conflict as conflict:
        over = order.over_quota(space, lease.cidr, conflict)
        if over is not None:
            raise over from None
        return None
    for changed in {left.owner: left, record.owner: record}.values():
        order.ports.memory.see_owner(changed.stored())
    return Allocated(grant, "allocated")


def _lease_after(order: Order, lease: Lease, grant: Grant) -> Operation:
    """End the preview's lease, or put the allocation's own in its place."""
    if grant.expires is None:
        return EndLease(lease.pool_id, lease.cidr, lease.allocation_id, lease.until)
    return SetLease(lease_of(grant, order.request.owner, order.request.account), replaces=lease.allocation_id)
