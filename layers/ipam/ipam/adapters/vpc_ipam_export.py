"""Amazon VPC IPAM, read for an import.

Pools are described where the IPAM or the pool is at home; allocations have to be asked for in the pool's own Region,
its locale (EC2 API reference, GetIpamPoolAllocations). All calls are paged, and eventually consistent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ipam.services.import_source import VpcIpamAllocation, VpcIpamPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NO_LOCALE: Final = "None"
"""What the locale of a pool without one reads as."""

PAGE: Final = 1000
"""Allocations of one page: the fewest that may be asked for (EC2 API reference, GetIpamPoolAllocations)."""

PROVISIONED: Final = "provisioned"


class VpcIpamExport:
    """`ipam.services.import_source.VpcIpam` by its API."""

    def __init__(self, clients: Callable[[str | None], Any], region: str | None) -> None:
        """Use a client for each Region; without one, that of the ordinary configuration."""
        self._clients = clients
        self._region = region

    def pool(self, pool_id: str) -> VpcIpamPool | None:
        """See the port."""
        ec2 = self._clients(self._region)
        pages = ec2.get_paginator("describe_ipam_pools").paginate(IpamPoolIds=[pool_id])
        found = next((pool for page in pages for pool in page["IpamPools"]), None)
        if found is None:
            return None
        cidrs = (
            cidr["Cidr"]
            for page in ec2.get_paginator("get_ipam_pool_cidrs").paginate(IpamPoolId=pool_id)
            for cidr in page["IpamPoolCidrs"]
            if cidr.get("State") == PROVISIONED
        )
        locale = found.get("Locale", NO_LOCALE)
        return VpcIpamPool(pool_id, found.get("Description", ""), "" if locale == NO_LOCALE else locale, tuple(cidrs))

    def allocations(self, pool: VpcIpamPool) -> Iterator[VpcIpamAllocation]:
        """See the port."""
        paginator = self._clients(pool.locale or self._region).get_paginator("get_ipam_pool_allocations")
        pages = paginator.paginate(IpamPoolId=pool.pool_id, PaginationConfig={"PageSize": PAGE})
        return (_allocation(item) for page in pages for item in page["IpamPoolAllocations"])


def _allocation(item: dict[str, Any]) -> VpcIpamAllocation:
    """Read an allocation."""
    return VpcIpamAllocation(
        allocation_id=item["IpamPoolAllocationId"],
        cidr=item["Cidr"],
        description=item.get("Description", ""),
        resource_id=item.get("ResourceId", ""),
        resource_type=item.get("ResourceType", ""),
        resource_owner=item.get("ResourceOwner", ""),
        tags=tuple((tag["Key"], tag["Value"]) for tag in item.get("Tags", ())),
    )
