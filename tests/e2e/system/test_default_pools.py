"""The plan of products/address-plan.yaml and the catalogue's products: each finds its pool without being told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from ipam.domain.cidr import Cidr
from ipam.services.pools import delete_pool
from local import twin as twins
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, REGION
from local.stacks import Stack
from tests import invariants
from tests.e2e.system.conftest import CommandLine, ports_of
from tests.templates import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.twin import Twin

PLAN: Final = PRODUCTS / "address-plan.yaml"


class Company:
    """A twin whose plan is that of the template, as it is, and accounts that order from it."""

    def __init__(self, twin: Twin) -> None:
        """Take the example plan away, and deploy the other."""
        self.twin, self.ports = twin, ports_of(twin)
        roots = [pool for pool in self.ports.store.plan().pools.values() if not pool.source_pool_id]
        for pool in roots:
            delete_pool(self.ports, pool.pool_id, "test", cascade=True)
        ipam = CommandLine(twin)
        self._keys = {account: ipam("tenant", "key", account) for account in (NETWORK_ACCOUNT, MEMBER_ACCOUNT)}
        self.token = {"AddressPlanServiceToken": twin.outputs["AddressPlanServiceToken"]}
        self.plan = Stack(twin, "address-plan", NETWORK_ACCOUNT)
        self.plan.create(PLAN, self.token)

    def order(self, product: str, account: str = MEMBER_ACCOUNT, **said: str) -> Stack:
        """Order a product; which pool it comes from is left to it."""
        always = {
            "NetworkName": "shop",
            "Owner": "team@example.com",
            "CostCentre": "4711",
            "NetworkAccountId": NETWORK_ACCOUNT,
            "AuthorizationKey": self._keys[account],
        }
        stack = Stack(self.twin, product, account)
        stack.create(PRODUCTS / f"{product}.yaml", always | said)
        return stack

    def transit_gateway(self, account: str = MEMBER_ACCOUNT) -> str:
        """Make a transit gateway."""
        ec2: Any = self.twin.session(account).client("ec2")
        return str(ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"])

    def pool_of(self, allocation_id: str) -> str:
        """Tell the name of the pool that an allocation is from."""
        plan = self.ports.store.plan()
        for pool in plan.pools.values():
            if allocation_id in {each.allocation_id for each in self.ports.store.allocations(pool.pool_id)}:
                return pool.name
        return ""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with twins.start(directory=tmp_path_factory.mktemp("company")) as twin:
        yield Company(twin)


@pytest.mark.parametrize(
    ("product", "pool", "said"),
    [
        ("corporate-network-vpc", f"vpc-{REGION}", {}),
        ("private-vpc", f"aws-private-dedicated-{REGION}", {}),
        ("egress-vpc", f"aws-private-egress-{REGION}", {"TransitGatewayId": ""}),
        ("reserved-range", "reserved", {"Place": "Bonn"}),
    ],
)
def test_a_product_finds_its_pool(company: Company, product: str, pool: str, said: dict[str, str]) -> None:
    """With every default, the product is served from the pool that the plan has for it, and gives back."""
    if "TransitGatewayId" in said:
        said = {"TransitGatewayId": company.transit_gateway()}
    stack = company.order(product, **said)
    assert company.pool_of(stack.outputs["AllocationId"]) == pool
    assert bool(stack.outputs.get("ExpiresAt")) is (product == "reserved-range")
    stack.delete()


def test_dedicated_subnets_find_their_pool(company: Company) -> None:
    """A shared VPC of the plan is divided by the plan, and its subnets come from the pool that is named after it."""
    pool = f"shared-vpc-a-{REGION}"
    shared = company.order("corporate-network-vpc", NETWORK_ACCOUNT, PoolName=pool, CnCidrMask="22")
    vpc_id, cidr = shared.outputs["VpcId"], shared.outputs["Cidr"]
    existing = {
        "ExistingVpcId": vpc_id,
        "ExistingVpcOwner": NETWORK_ACCOUNT,
        "ExistingVpcRegion": REGION,
        "ExistingVpcCidr": cidr,
        "ExistingVpcPool": pool,
    }
    company.plan.update(PLAN, company.token | existing)
    name = f"dedicated-subnets-{vpc_id}"
    # The VPC's own subnets are in its first quarter, which is left alone.
    CommandLine(company.twin)("pool", "edit", name, "--disallow", str(Cidr(4, Cidr.parse(cidr).first, 24)))
    table = shared.outputs["RouteTableIds"].split(",")[0]
    said = {"VpcId": vpc_id, "RouteTableA": table, "OrderingAccountId": MEMBER_ACCOUNT}
    stack = company.order("dedicated-subnets", NETWORK_ACCOUNT, **said)
    assert {company.pool_of(each) for each in stack.outputs["AllocationIds"].split(",")} == {name}
    stack.delete()


def test_the_ranges_outside_aws_belong_to_no_region(company: Company) -> None:
    """They are ordered in whichever Region, share the corporate network with it, and end with a lease."""
    plan = company.ports.store.plan()
    reserved = plan.named("reserved")
    assert (reserved.locale, reserved.allocation_types) == ("", frozenset({"custom"}))
    assert reserved.rules.lease_seconds == 365 * 24 * 3600
    assert reserved.source_pool_id == plan.named("corporate-network").pool_id
    assert plan.named(f"vpc-{REGION}").source_pool_id == plan.named("corporate-network").pool_id
    invariants.check(company.ports.store)
