"""Cool: what becomes of a block whose allocation has ended, by a release or with its lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.allocation import CoolingBlock
from ipam.domain.change import PutCooling, PutFree, PutSticky

if TYPE_CHECKING:
    from ipam.domain.change import Operation
    from ipam.domain.owner import Grant


def cool(grant: Grant, seconds: int, now: int, holder: str = "") -> tuple[Operation, ...]:
    """Let the block cool; a pool without cooling has it free at once, and upkeep joins it with its buddies (I2, I7).

    So is that of a preview, which nobody ever had; but what Amazon VPC IPAM gave has to be given back there first.

    Args:
        grant: what its owner had of it.
        seconds: how long the pool keeps a released block from everyone.
        now: when the allocation ends, milliseconds of the epoch.
        holder: who may have it again while it cools (`ipam.domain.stack`); "": nobody.
    """
    until = now + (0 if grant.preview else seconds * 1000)
    if until == now and not grant.vpc_ipam_allocation_id:
        return (PutFree(grant.pool_id, grant.cidr),)
    cools = CoolingBlock(grant.pool_id, grant.cidr, until, grant.allocation_id, grant.vpc_ipam_allocation_id)
    sticks = holder and until > now and not grant.vpc_ipam_allocation_id
    return (PutCooling(cools), PutSticky(holder, cools)) if sticks else (PutCooling(cools),)
