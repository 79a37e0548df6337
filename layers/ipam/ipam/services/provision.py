"""Provision: a pool gets address space from its parent (I3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.change import PutFree, PutProvisioned, TouchPool
from ipam.domain.errors import InvalidPoolError, NoSuchPoolError
from ipam.domain.owner import OwnerKey, digest
from ipam.domain.plan import Ask
from ipam.domain.pool import MAX_PROVISIONED_CIDRS, ProvisionedCidr
from ipam.services.allocate import allocate_for_pool
from ipam.services.divide import divide
from ipam.services.plan import current_plan
from ipam.services.ports import NO_DEADLINE
from ipam.services.request import AllocateRequest

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation
    from ipam.domain.change import Operation
    from ipam.domain.cidr import Cidr
    from ipam.services.ports import Ports


def provision(  # noqa: PLR0913 - what is ordered, and how the order is named
    ports: Ports, pool_id: str, wanted: Cidr | int, token: str, cause: str, *, requested: int | None = None
) -> Cidr:
    """Give a pool a block, an exact one or one of a netmask length, out of its parent's free space.

    A subnet pool gets the VPC's space, which is not free but the VPC's: see `ipam.services.divide`.

    Args:
        ports: the collaborators.
        pool_id: the pool that is to have it.
        wanted: the exact block, or the netmask length of any.
        token: names this order; the same token again gives the same block and changes nothing.
        cause: who wants it, for the audit record.
        requested: when a stack made the order, milliseconds of the epoch by its clock; None: now, by ours.

    Raises:
        SupersededError: a later request has ended the order.
        NoSuchPoolError: there is no such pool, or there is none any more.
        PermanentError: the parent cannot give it; the subclass says why.
    """
    cidr, length = (None, wanted) if isinstance(wanted, int) else (wanted, None)
    plan = current_plan(ports, fresh=True)
    pool = plan.named(pool_id)
    if cidr is not None and cidr.family != pool.family:
        raise InvalidPoolError("Cidr", str(cidr), f"the pool is ipv{pool.family}")
    if cidr is None and pool.source_pool_id is None:
        why = "a scope has every address there is: give a top-level pool an exact Cidr"
        raise InvalidPoolError("NetmaskLength", str(wanted), why)
    ask = Ask(pool.parent_id, None, "", "ipam-pool", pool.family, length, cidr)
    at = ports.clock.now() if requested is None else requested
    request = AllocateRequest(OwnerKey(pool.pool_id, token), "", ask, pool.name, at, cause)

    granted = ports.store.owner(request.owner).for_ask(digest(ask))
    if granted is not None:
        return granted.cidr
    provisioned = plan.space(pool.pool_id).provisioned
    if len(provisioned) >= MAX_PROVISIONED_CIDRS and cidr not in provisioned:
        raise InvalidPoolError("Cidr", str(wanted), f"a pool has at most {MAX_PROVISIONED_CIDRS} CIDRs")
    if pool.source_resource is not None:
        return divide(ports, pool.pool_id, wanted, cause, None if requested is None else request)
    tries = 0

    def take_over(allocation: Allocation) -> tuple[Operation, ...]:
        nonlocal tries
        tries += 1
        if tries > 1 and pool.pool_id not in current_plan(ports, fresh=True).pools:
            raise NoSuchPoolError(pool_id)
        block = ProvisionedCidr(pool.pool_id, allocation.cidr, allocation.allocation_id, allocation.created)
        return PutProvisioned(block), PutFree(pool.pool_id, allocation.cidr), TouchPool(pool.pool_id)

    allocated = allocate_for_pool(ports, pool.parent_id, request, NO_DEADLINE, take_over)
    ports.memory.forget_plan()
    return allocated.grant.cidr
