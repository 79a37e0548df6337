"""An Amazon VPC IPAM as a source of existing networks, as narrow as an import reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.pool import Tag


@dataclass(frozen=True, slots=True)
class VpcIpamAllocation:
    """An allocation of an Amazon VPC IPAM pool (EC2 API reference, IpamPoolAllocation). What it does not have is ""."""

    allocation_id: str
    cidr: str
    description: str
    resource_id: str
    resource_type: str
    resource_owner: str
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class VpcIpamPool:
    """An Amazon VPC IPAM pool.

    Attributes:
        pool_id: its id.
        description: what its owner says of it, or "".
        locale: its Region, or "".
        cidrs: what is provisioned to it.
    """

    pool_id: str
    description: str
    locale: str
    cidrs: tuple[str, ...]


class VpcIpam(Protocol):
    """Amazon VPC IPAM, to be read."""

    def pool(self, pool_id: str) -> VpcIpamPool | None:
        """Read a pool; None if there is none."""
        ...

    def allocations(self, pool: VpcIpamPool) -> Iterator[VpcIpamAllocation]:
        """Read the allocations of a pool; pages are fetched as they are needed."""
        ...
