"""A twin whose plan has the pools that the products name, and two accounts that may order: what these tests share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from ipam.domain.cidr import Cidr
from ipam.domain.pool import AllocationRules, SourceResource
from ipam.services.pools import NewPool, create_pool, delete_pool
from ipam.services.provision import provision
from local import twin as twins
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, REGION
from local.stacks import Stack
from tests.e2e.system.conftest import CommandLine, ports_of
from tests.templates import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.pool import Pool
    from local.twin import Twin

VPC_RULES: Final = AllocationRules(16, 28, 24)
LEASE_SECONDS: Final = 86_400
IPV6_POOL: Final = "ipv6pool-ec2-0123456789abcdef0"


class Catalogue:
    """Products, and the accounts that order them."""

    def __init__(self, twin: Twin) -> None:
        """Make what the plan of the twin does not have; both accounts are tenants of it."""
        self.twin, self.ports = twin, ports_of(twin)
        ipam = CommandLine(twin)
        self._keys = {account: ipam("tenant", "key", account) for account in (NETWORK_ACCOUNT, MEMBER_ACCOUNT)}
        network: Any = self.ec2(NETWORK_ACCOUNT)
        self.transit_gateway: str = network.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
        vpcs = frozenset({"vpc"})
        self.pool(f"aws-private-dedicated-{REGION}", "100.64.0.0/13", allocation_types=vpcs)
        self.pool(f"aws-private-egress-{REGION}", "100.80.0.0/16", allocation_types=vpcs)
        self.pool("another-vpc-pool", "172.20.0.0/14", allocation_types=vpcs)
        outside: dict[str, Any] = {"locale": "", "allocation_types": frozenset({"custom"})}
        self.pool(
            "reserved", "172.24.0.0/14", rules=AllocationRules(16, 32, 24, lease_seconds=LEASE_SECONDS), **outside
        )
        self.pool("another-reserved", "172.28.0.0/16", rules=AllocationRules(16, 32, 24), **outside)

    def pool(self, name: str, cidr: str, **facts: Any) -> Pool:
        """Make a pool that gives back at once what it gets back."""
        (scope,) = (scope for scope in self.ports.store.plan().scopes.values() if scope.name == "private")
        said = {"locale": REGION, "rules": VPC_RULES, **facts}
        pool = create_pool(self.ports, NewPool(name, scope.scope_id, **said), "test")
        provision(self.ports, pool.pool_id, Cidr.parse(cidr), cidr, "test")
        return pool

    def ec2(self, account: str = MEMBER_ACCOUNT) -> Any:
        """Give EC2 as an account sees it."""
        return self.twin.session(account).client("ec2")

    def parameters(self, account: str, **said: str) -> dict[str, str]:
        """Give the parameters of an order."""
        always = {
            "NetworkName": "shop",
            "Owner": "team@example.com",
            "CostCentre": "4711",
            "NetworkAccountId": NETWORK_ACCOUNT,
            "AuthorizationKey": self._keys[account],
        }
        return always | said

    def order(self, name: str, product: str, account: str = MEMBER_ACCOUNT, **said: str) -> Stack:
        """Order a product."""
        stack = Stack(self.twin, name, account)
        stack.create(PRODUCTS / f"{product}.yaml", self.parameters(account, **said))
        return stack

    def update(self, stack: Stack, product: str, account: str = MEMBER_ACCOUNT, **said: str) -> None:
        """Update an order."""
        stack.update(PRODUCTS / f"{product}.yaml", self.parameters(account, **said))

    def held(self) -> dict[str, str]:
        """Tell the CIDRs that stacks hold, by their allocation ids."""
        pools = self.ports.store.plan().pools
        held = [each for pool_id in pools for each in self.ports.store.allocations(pool_id)]
        return {each.allocation_id: str(each.cidr) for each in held if each.account}

    def events(self, stack: Stack) -> list[tuple[str, str]]:
        """Give what happened to each resource of a stack, the oldest first."""
        account = stack.stack_id.split(":")[4]
        cloudformation: Any = self.twin.session(account).client("cloudformation")
        pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack.stack_id)
        events = [event for page in pages for event in page["StackEvents"]]
        return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    folder = tmp_path_factory.mktemp("products")
    with twins.start(directory=folder, jitter=0.02, concurrency=4) as twin:
        yield Catalogue(twin)


@pytest.fixture(autouse=True)
def nothing_is_left(catalogue: Catalogue) -> Iterator[None]:
    """Every test gives back what it ordered."""
    before = catalogue.held()
    yield
    assert catalogue.held() == before


@dataclass(frozen=True, slots=True)
class Shared:
    """A VPC of the network account whose space is divided into dedicated subnets.

    Attributes:
        vpc_id: its id.
        cidr: its CIDR.
        tables: its route tables.
        pool: the name of the pool that divides it.
    """

    vpc_id: str
    cidr: str
    tables: list[str]
    pool: str


@pytest.fixture(scope="session")
def shared(catalogue: Catalogue) -> Iterator[Shared]:
    """A shared VPC. It has subnets of its own, in its first quarter, which the pool leaves alone."""
    asked = {"Zones": "3", "CnCidrMask": "22", "NetworkName": "shared"}
    stack = catalogue.order("shared", "corporate-network-vpc", NETWORK_ACCOUNT, **asked)
    vpc_id, cidr = stack.outputs["VpcId"], stack.outputs["Cidr"]
    name = f"dedicated-subnets-{vpc_id}"
    pool = catalogue.pool(
        name,
        cidr,
        source_pool_id=catalogue.ports.store.plan().named(f"vpc-{REGION}").pool_id,
        allocation_types=frozenset({"subnet"}),
        source_resource=SourceResource(vpc_id, NETWORK_ACCOUNT, REGION),
        rules=replace(VPC_RULES, disallowed_cidrs=(Cidr(4, Cidr.parse(cidr).first, 24),)),
    )
    yield Shared(vpc_id, cidr, stack.outputs["RouteTableIds"].split(","), name)
    delete_pool(catalogue.ports, pool.pool_id, "test")
    stack.delete()
