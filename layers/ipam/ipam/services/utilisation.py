"""Utilisation: how much of a pool is held, cooling and free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import Pool, Space
    from ipam.services.ports import Ports

MAX_COOLING: Final = 100_000
"""Cooling blocks that are looked at."""


@dataclass(frozen=True, slots=True)
class Utilisation:
    """Numbers of addresses of a pool. What is neither free nor cooling is held (I1)."""

    provisioned: int
    free: int
    cooling: int
    largest_free: Cidr | None

    @property
    def allocated(self) -> int:
        """Addresses that somebody holds."""
        return self.provisioned - self.free - self.cooling

    @property
    def percent_allocated(self) -> float:
        """Share of the provisioned addresses that somebody holds, 0 to 100."""
        return 100 * self.allocated / self.provisioned if self.provisioned else 0.0


def utilisation(ports: Ports, pool: Pool, space: Space) -> Utilisation:
    """Count a pool's addresses; reads its free and its cooling blocks, but not its allocations."""
    largest: Cidr | None = None
    free = 0
    for block in ports.store.all_free(pool.pool_id, pool.family):
        free += block.size
        largest = block if largest is None or block.length < largest.length else largest
    cooling = sum(block.cidr.size for block in ports.store.cooling(pool.pool_id, MAX_COOLING))
    return Utilisation(sum(block.size for block in space.provisioned), free, cooling, largest)
