"""Amazon VPC IPAM as a source, against the service's own model: what is asked, page by page, and what is made of it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from ipam.adapters.vpc_ipam_export import PAGE, VpcIpamExport
from ipam.services.import_source import VpcIpamAllocation, VpcIpamPool

POOL = "ipam-pool-0fedcba9876543210"
HOME = "eu-central-1"
ELSEWHERE = "eu-west-1"


class Regions:
    """EC2 in two Regions, of which each answers what it was told to."""

    def __init__(self) -> None:
        self.clients: dict[str | None, Any] = {
            region: boto3.client("ec2", region_name=region, aws_access_key_id="x", aws_secret_access_key="x")
            for region in (HOME, ELSEWHERE)
        }
        self.stubs = {region: Stubber(client) for region, client in self.clients.items()}
        for stub in self.stubs.values():
            stub.activate()
        self.clients[None] = self.clients[HOME]

    def describe(self, **facts: str) -> None:
        """Answer what the pool is, and what is provisioned to it."""
        at = self.stubs[HOME]
        pool = {"IpamPoolId": POOL, "AddressFamily": "ipv4", **facts}
        at.add_response("describe_ipam_pools", {"IpamPools": [pool]}, {"IpamPoolIds": [POOL]})
        pages = (
            [("10.0.0.0/12", "provisioned"), ("10.16.0.0/12", "pending-provision")],
            [("10.32.0.0/12", "provisioned")],
        )
        asked: dict[str, str] = {"IpamPoolId": POOL}
        for page, token in zip(pages, ("more", None), strict=True):
            cidrs = [{"Cidr": cidr, "State": state} for cidr, state in page]
            answer: dict[str, Any] = {"IpamPoolCidrs": cidrs} | ({"NextToken": token} if token else {})
            at.add_response("get_ipam_pool_cidrs", answer, asked)
            asked = {"IpamPoolId": POOL, "NextToken": "more"}


@pytest.fixture
def regions() -> Regions:
    return Regions()


def test_a_pool_and_its_allocations_are_read(regions: Regions) -> None:
    """Page by page, the allocations in the Region of the pool's locale; what is missing is empty."""
    regions.describe(Locale=ELSEWHERE, Description="theirs")
    first = {
        "Cidr": "10.0.0.0/24",
        "IpamPoolAllocationId": "ipam-pool-alloc-1",
        "Description": "a network",
        "ResourceId": "vpc-0abc",
        "ResourceType": "vpc",
        "ResourceRegion": ELSEWHERE,
        "ResourceOwner": "111122223333",
        "Tags": [{"Key": "env", "Value": "prod"}],
    }
    second = {"Cidr": "10.0.1.0/24", "IpamPoolAllocationId": "ipam-pool-alloc-2", "ResourceType": "custom"}
    asked = {"IpamPoolId": POOL, "MaxResults": PAGE}
    at = regions.stubs[ELSEWHERE]
    at.add_response("get_ipam_pool_allocations", {"IpamPoolAllocations": [first], "NextToken": "more"}, asked)
    at.add_response("get_ipam_pool_allocations", {"IpamPoolAllocations": [second]}, asked | {"NextToken": "more"})
    export = VpcIpamExport(lambda region: regions.clients[region], None)
    pool = export.pool(POOL)
    assert pool == VpcIpamPool(POOL, "theirs", ELSEWHERE, ("10.0.0.0/12", "10.32.0.0/12"))
    assert list(export.allocations(pool)) == [
        VpcIpamAllocation(
            "ipam-pool-alloc-1", "10.0.0.0/24", "a network", "vpc-0abc", "vpc", "111122223333", (("env", "prod"),)
        ),
        VpcIpamAllocation("ipam-pool-alloc-2", "10.0.1.0/24", "", "", "custom", "", ()),
    ]
    for stub in regions.stubs.values():
        stub.assert_no_pending_responses()


def test_a_pool_without_a_locale_is_read_where_it_is(regions: Regions) -> None:
    """The word that stands for none is none."""
    regions.describe(Locale="None")
    regions.stubs[HOME].add_response("get_ipam_pool_allocations", {"IpamPoolAllocations": []})
    export = VpcIpamExport(lambda region: regions.clients[region], HOME)
    pool = export.pool(POOL)
    assert pool is not None and (pool.locale, pool.description) == ("", "")
    assert list(export.allocations(pool)) == []


def test_a_pool_that_is_not_there(regions: Regions) -> None:
    """No answer, or Amazon's own error, which passes untouched."""
    export = VpcIpamExport(lambda region: regions.clients[region], HOME)
    regions.stubs[HOME].add_response("describe_ipam_pools", {"IpamPools": []})
    assert export.pool(POOL) is None
    regions.stubs[HOME].add_client_error("describe_ipam_pools", "InvalidIpamPoolId.NotFound")
    with pytest.raises(ClientError):
        export.pool(POOL)
