"""Give back: a block that Amazon VPC IPAM chose is free here only when it is free there.

released here -- cools -------------------- due -- given back there -- free here
                                                |                   |
it is still allocated there: nobody else can have it                |
                                    it may be chosen for an order of ours, which then ends the cooling itself
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.change import Change, PutAudit, PutFree, TakeCooling
from ipam.services.audit import note
from ipam.services.plan import current_plan
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from ipam.domain.allocation import CoolingBlock
    from ipam.domain.cidr import Cidr
    from ipam.services.ports import Deadline, Ports

CAUSE: Final = "vpc-ipam"

SETTLED: Final = 600_000
"""Milliseconds after which it is believed that an allocation is not there: a young one may not be to be seen yet."""

MAX_COOLING: Final = 10_000
"""Cooling blocks that are looked at for one that is chosen."""


def given_back(ports: Ports, cooled: CoolingBlock) -> bool:
    """Give back what came from Amazon VPC IPAM and has cooled; say whether it is nobody's there any more.

    Raises:
        ServiceUnavailableError: it is not known whether it was given back; it is safe to try again.
        VpcIpamRefusedError: it is not taken back, as what a network there uses.
    """
    if not cooled.vpc_ipam_allocation_id:
        return True
    plan = current_plan(ports)
    pool = plan.pools.get(cooled.pool_id) or current_plan(ports, fresh=True).named(cooled.pool_id)
    there = pool.locale, pool.vpc_ipam_pool_id
    if ports.vpc_ipam.release(*there, cooled.cidr, cooled.vpc_ipam_allocation_id):
        return True
    return ports.clock.now() - cooled.until >= SETTLED


def free_what_was_given_back(ports: Ports, pool_id: str, chosen: Cidr, deadline: Deadline) -> bool:
    """Make free what has cooled here where Amazon VPC IPAM has chosen a block; say whether there was anything.

    No two allocations there overlap: that it chose the block proves that what cools here was given back.
    """
    due = ports.store.cooling(pool_id, MAX_COOLING, until=ports.clock.now())
    done = False
    for cooled in due:
        if cooled.cidr.overlaps(chosen):
            deadline.ensure()
            done |= _free(ports, cooled)
    return done


def _free(ports: Ports, cooled: CoolingBlock) -> bool:
    """End a cooling, unless somebody was faster; either way it is over."""
    audit = note(ports, cooled.pool_id, "cooled", CAUSE, cooled)
    change = Change((TakeCooling(cooled), PutFree(cooled.pool_id, cooled.cidr), PutAudit(audit)))
    try:
        ports.store.commit(change)
    except Conflict:
        return True
    ports.memory.forget_free(cooled.pool_id)
    return True
