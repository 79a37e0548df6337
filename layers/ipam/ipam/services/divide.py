"""Divide: a subnet pool gets a VPC's address space to give subnets from.

The space is the VPC's own allocation in the source pool. It keeps its holder, and knows the pool that divides it: so it
is not released before the pool has given it back (`ipam.services.deprovision`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.change import DivideAllocation, PutAudit, PutFree, PutOwner, PutProvisioned, TouchPool
from ipam.domain.cidr import Cidr
from ipam.domain.errors import ContendedError, InUseError, InvalidPoolError, NoSuchPoolError, SupersededError
from ipam.domain.pool import ProvisionedCidr
from ipam.services.audit import note
from ipam.services.contention import back_off
from ipam.services.plan import change_plan, current_plan

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation
    from ipam.domain.change import Operation
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool
    from ipam.services.ports import Ports
    from ipam.services.request import AllocateRequest

MAX_ATTEMPTS: Final = 20
"""Tries, against others who change the VPC's allocation or the pool."""


def divide(ports: Ports, pool_id: str, wanted: Cidr | int, cause: str, request: AllocateRequest | None = None) -> Cidr:
    """Give a subnet pool the CIDR of its VPC. The same again changes nothing.

    Args:
        ports: the collaborators.
        pool_id: the subnet pool.
        wanted: the VPC's CIDR, exactly.
        cause: who wants it, for the audit record.
        request: what a stack has sent, where one wants it; None: nobody ends it but an administrator.

    Raises:
        SupersededError: a later request has ended what this one asks for.
        NoSuchPoolError: the pool is gone.
        InvalidPoolError: the source pool has no VPC of that CIDR.
        InUseError: another pool divides it.
        ContendedError: others were always faster.
    """
    if not isinstance(wanted, Cidr):
        raise InvalidPoolError("NetmaskLength", str(wanted), "a VPC's space is divided as it is: give the VPC's Cidr")
    for attempt in range(MAX_ATTEMPTS):
        in_turn = _in_turn(ports, request)
        plan = current_plan(ports, fresh=True)
        pool = plan.pools.get(pool_id)
        if pool is None:
            raise NoSuchPoolError(pool_id)
        if wanted in plan.space(pool_id).provisioned:
            return wanted
        vpc = _vpc(ports, plan, pool, wanted)
        claimant = "" if request is None else request.owner.name
        block = ProvisionedCidr(pool_id, wanted, vpc.allocation_id, ports.clock.now(), claimant)
        operations: list[Operation] = [
            DivideAllocation(vpc.pool_id, wanted, vpc.allocation_id, pool_id),
            PutProvisioned(block),
            PutFree(pool_id, wanted),
            TouchPool(pool_id),
            *in_turn,
            PutAudit(note(ports, pool_id, "provisioned", cause, wanted)),
        ]
        if change_plan(ports, operations):
            return wanted
        back_off(ports, attempt)
    raise ContendedError(str(wanted), MAX_ATTEMPTS)


def _in_turn(ports: Ports, request: AllocateRequest | None) -> tuple[PutOwner, ...]:
    """Let the change fail where another request of the same resource is served between this and the commit."""
    if request is None:
        return ()
    record = ports.store.owner(request.owner)
    if record.supersedes(request.requested):
        raise SupersededError
    return (PutOwner(record, None),)


def _vpc(ports: Ports, plan: Plan, pool: Pool, cidr: Cidr) -> Allocation:
    """Find the allocation of the VPC that a subnet pool divides."""
    source = plan.space(pool.parent_id)
    held = ports.store.allocation(source.pool_id, cidr)
    lease = ports.store.lease(source.pool_id, cidr)
    if held is None or held.allocation_type != "vpc" or (lease is not None and lease.preview):
        why = f"pool {source.name!r} has no VPC of exactly this CIDR: allocate or import it first"
        raise InvalidPoolError("Cidr", str(cidr), why)
    if held.divided_by:
        other = plan.pools.get(held.divided_by)
        raise InUseError(str(cidr), (f"pool {held.divided_by if other is None else other.name}",), 1)
    return held
