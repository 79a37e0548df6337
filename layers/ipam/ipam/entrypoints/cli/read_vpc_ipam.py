"""An Amazon VPC IPAM for an import: its allocations in our words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.entrypoints.cli.read_row import Cells, read_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam.services.import_rows import Bad, Row
    from ipam.services.import_source import VpcIpamAllocation

TYPES: Final = {"ec2-public-ipv4-pool": "custom", "anycast-ip-list": "custom"}
"""Resource types there that have no type of their own here; the resource says what it is."""


def read_vpc_ipam(pool_id: str, allocations: Iterable[VpcIpamAllocation], scope: str) -> Iterator[Row | Bad]:
    """Read the allocations of a pool there; their numbers stand for lines.

    A resource is its own holder: so its next import finds it again, and `ipam find` names it.
    """
    for number, each in enumerate(allocations, 1):
        yield read_row(
            Cells(
                line=number,
                cidr=each.cidr,
                scope=scope,
                allocation_type=TYPES.get(each.resource_type, each.resource_type),
                account=each.resource_owner,
                description=each.description,
                tags=each.tags,
                party=each.resource_id,
                vpc_ipam_pool_id=pool_id,
                vpc_ipam_allocation_id=each.allocation_id,
            )
        )
