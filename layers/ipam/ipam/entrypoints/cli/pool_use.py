"""How much of a pool is used, and what of it only for a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam.services.utilisation import utilisation

if TYPE_CHECKING:
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool
    from ipam.services.ports import Ports
    from ipam.services.utilisation import Utilisation


@dataclass(frozen=True, slots=True)
class PoolUse:
    """What is used of a pool.

    Attributes:
        pool: the pool.
        utilisation: its addresses.
        leases: how many allocations of it last for a time.
        previews: how many blocks are only held.
    """

    pool: Pool
    utilisation: Utilisation
    leases: int
    previews: int


def use_of(ports: Ports, plan: Plan, pool: Pool) -> PoolUse:
    """Read what is used of a pool; not its allocations, but its leases."""
    previews = [lease.preview for lease in ports.store.leases(pool.pool_id)]
    used = utilisation(ports, pool, plan.space(pool.pool_id))
    return PoolUse(pool, used, previews.count(False), previews.count(True))
