"""Provision: a pool gets address space from its parent (I3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.change import PutFree, PutProvisioned
from ipam.domain.errors import InvalidPoolError
from ipam.domain.owner import OwnerKey, digest
from ipam.domain.plan import Ask
from ipam.domain.pool import MAX_PROVISIONED_CIDRS, ProvisionedCidr
from ipam.services.allocate import allocate_for_pool
from ipam.services.order import AllocateRequest
from ipam.services.plan import current_plan
from ipam.services.ports import NoDeadline

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation
    from ipam.domain.change import Operation
    from ipam.domain.cidr import Cidr
    from ipam.services.ports import Ports


def provision(ports: Ports, pool_id: str, wanted: Cidr | int, token: str, cause: str) -> Cidr:
    """Give a pool a block, an exact one or one of a netmask length, out of its parent's free space.

    Args:
        ports: the collaborators.
        pool_id: the pool that is to have it.
        wanted: the exact block, or the netmask length of any.
        token: names this order; the same token again gives the same block and changes nothing.
        cause: who wants it, for the audit record.

    Raises:
        PermanentError: the parent cannot give it; the subclass says why.
    """
    cidr, length = (None, wanted) if isinstance(wanted, int) else (wanted, None)
    plan = current_plan(ports, fresh=True)
    pool = plan.named(pool_id)
    if cidr is not None and cidr.family != pool.family:
        raise InvalidPoolError("Cidr", str(cidr), f"the pool is ipv{pool.family}")
    ask = Ask(pool.parent_id, None, "", "ipam-pool", pool.family, length, cidr)
    request = AllocateRequest(OwnerKey(pool_id, token), "", ask, pool.name, ports.clock.now(), cause)

    granted = ports.store.owner(request.owner).for_ask(digest(ask))
    if granted is not None:
        return granted.cidr
    if len(plan.space(pool_id).provisioned) >= MAX_PROVISIONED_CIDRS:
        raise InvalidPoolError("Cidr", str(wanted), f"a pool has at most {MAX_PROVISIONED_CIDRS} CIDRs")

    def take_over(allocation: Allocation) -> tuple[Operation, ...]:
        block = ProvisionedCidr(pool_id, allocation.cidr, allocation.allocation_id, allocation.created)
        return PutProvisioned(block), PutFree(pool_id, allocation.cidr)

    allocated = allocate_for_pool(ports, pool.parent_id, request, NoDeadline(), take_over)
    ports.memory.forget_plan()
    return allocated.grant.cidr
