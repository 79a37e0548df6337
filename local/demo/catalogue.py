"""Networks that a team orders from the catalogue: published by the network account, provisioned in the team's own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipam.domain.cidr import Cidr
from ipam.domain.pool import AllocationRules, SourceResource
from ipam.services.deprovision import deprovision
from ipam.services.pools import NewPool, create_pool, delete_pool
from ipam.services.provision import provision
from ipam.services.scopes import create_scope
from local.demo.stage import DemoError, expect
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, REGION, Settings
from local.stacks import Stack
from tools.publish import Wish, publish

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from local.demo.stage import Stage

CAUSE: Final = "demo"
ROLES: Final = Path(__file__).resolve().parents[2] / "products" / "member-account.yaml"
ACCESS: Final = ROLES.with_name("member-catalogue.yaml")
SHARED: Final = Path(__file__).resolve().parents[1] / "stacks" / "shared-vpc.yaml"
ANOTHER_ACCOUNT: Final = "333333333333"
VPC_POOL: Final = f"vpc-{REGION}"
PRIVATE_POOL: Final = f"aws-private-dedicated-{REGION}"
CORPORATE: Final = "Corporate-network VPC"
DEDICATED: Final = "Dedicated subnets in a shared VPC"
PRIVATE: Final = "Private VPC"
PATIENCE: Final = 60
"""Seconds that an order may take."""


class Order:
    """Something ordered from the catalogue, by the team's account."""

    def __init__(self, catalog: Any, product: str, name: str) -> None:
        self._catalog, self.product, self.name = catalog, product, name
        self.outputs: dict[str, str] = {}
        self._parameters: dict[str, str] = {}

    @property
    def stack_id(self) -> str:
        """The stack that it became."""
        return self.outputs["CloudformationStackARN"]

    def provision(self, parameters: dict[str, str]) -> None:
        """Order it."""
        artifacts = self._catalog.describe_product(Name=self.product)["ProvisioningArtifacts"]
        self._parameters = parameters
        request = {
            "ProductName": self.product,
            "ProvisioningArtifactId": artifacts[0]["Id"],
            "ProvisionedProductName": self.name,
            "ProvisioningParameters": [{"Key": key, "Value": value} for key, value in parameters.items()],
        }
        self._wait(self._catalog.provision_product(**request))

    def update(self, changed: dict[str, str]) -> None:
        """Change some of its parameters."""
        kept = [{"Key": key, "UsePreviousValue": True} for key in self._parameters if key not in changed]
        given = [{"Key": key, "Value": value} for key, value in changed.items()]
        request = {"ProvisionedProductName": self.name, "ProvisioningParameters": [*kept, *given]}
        self._wait(self._catalog.update_provisioned_product(**request))

    def terminate(self) -> None:
        """Give it back."""
        self._wait(self._catalog.terminate_provisioned_product(ProvisionedProductName=self.name))
        held = [each["Name"] for each in self._catalog.scan_provisioned_products()["ProvisionedProducts"]]
        expect(self.name not in held, f"{self.name} is still there")

    def _wait(self, answer: dict[str, Any]) -> None:
        end = time.monotonic() + PATIENCE
        record_id = answer["RecordDetail"]["RecordId"]
        while time.monotonic() < end:
            record = self._catalog.describe_record(Id=record_id)
            if record["RecordDetail"]["Status"] in {"SUCCEEDED", "FAILED"}:
                errors = "; ".join(error["Description"] for error in record["RecordDetail"]["RecordErrors"])
                expect(record["RecordDetail"]["Status"] == "SUCCEEDED", f"{self.name}: {errors}")
                self.outputs = {each["OutputKey"]: each["OutputValue"] for each in record["RecordOutputs"]}
                return
            time.sleep(0.1)
        raise DemoError(f"{self.name} is not ready after {PATIENCE} s")


class Catalogue:
    """The steps with the catalogue."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.catalog: Any = stage.twin.session(MEMBER_ACCOUNT).client("servicecatalog")

    def run(self) -> None:
        """Take all steps."""
        story = self.stage.story
        story.chapter("Networks from the catalogue")
        story.step(f"Accounts {NETWORK_ACCOUNT} and {MEMBER_ACCOUNT} get the roles of products/member-account.yaml.")
        story.note("A stack in each: the twin has no StackSets.")
        self.make_roles()
        story.step("The products are published, and their portfolio is shared with the organisation.")
        self.publish()
        story.step(f"Account {MEMBER_ACCOUNT} lets its team in, by products/member-catalogue.yaml.")
        self.join()
        story.step("The team orders a /21, which is more than the portfolio for everyone offers.")
        self.ask_too_much()
        story.step(f"Product 1, {CORPORATE}: the team orders a /24, changes it to a /23, and gives it back.")
        self.vpc("shop", CORPORATE, VPC_POOL)
        story.step(f"Product 2, {DEDICATED}: two /27 are ordered, changed to /28, and given back.")
        story.note("The shared VPC is a stack of the same account, which is where this product belongs.")
        self.dedicated_subnets()
        story.step(f"Product 3, {PRIVATE}: the same as product 1, with addresses of a scope of its own.")
        self.make_private_pool()
        self.vpc("lab", PRIVATE, PRIVATE_POOL)

    def publish(self) -> None:
        """Publish as `make publish` does; again changes nothing."""
        session = self.stage.twin.session(NETWORK_ACCOUNT)
        wish = Wish(everyone=(Settings().organization.id,))
        first = publish(session, wish, seconds=0.2)
        again = publish(session, wish, seconds=0.2)
        expect(first.changed and not again.changed, "publishing the same content again changed something")
        expect(first.version == again.version and not again.uploaded, "the same content is another version")
        expect(not self.products(), "an account that let nobody in sees products")
        story = self.stage.story
        story.tick(f"Version {first.version} of {len(first.uploaded)} products; publishing again changed nothing")

    def make_roles(self) -> None:
        """Deploy to each account what the StackSet would bring there."""
        readers = self.stage.twin.outputs["DiscoveryReaderArns"]
        for account in (NETWORK_ACCOUNT, MEMBER_ACCOUNT):
            roles = Stack(self.stage.twin, "cn-ipam-roles", account)
            parameters = {"NetworkAccountId": NETWORK_ACCOUNT, "ReaderRoleArns": readers}
            roles.start_create(ROLES, parameters, Capabilities=["CAPABILITY_NAMED_IAM"])
            roles.wait_created()
        self.stage.story.tick("The role that launches products, and the one that cn-ipam looks with")

    def join(self) -> None:
        """Let a role of the account use the portfolio, as its administrator does once."""
        (portfolio,) = self.catalog.list_accepted_portfolio_shares()["PortfolioDetails"]
        access = Stack(self.stage.twin, "cn-ipam-access", MEMBER_ACCOUNT)
        access.create(ACCESS, {"PortfolioId": portfolio["Id"], "RoleNames": "team"})
        offered = self.products()
        expect({CORPORATE, DEDICATED, PRIVATE} <= offered, "the products are not offered to the account")
        self.stage.story.tick(f"It is offered {len(offered)} products")

    def products(self) -> set[str]:
        """Give the names of what the team may order."""
        return {each["Name"] for each in self.catalog.search_products()["ProductViewSummaries"]}

    def ask_too_much(self) -> None:
        """Order more than the portfolio for everyone offers."""
        order = Order(self.catalog, CORPORATE, "too-large")
        try:
            order.provision(self.parameters("too-large", CnCidrMask="21", SubnetMask="24"))
        except DemoError as error:
            expect("not offered here" in str(error), f"refused for another reason: {error}")
        else:
            raise DemoError("a /21 was given to everyone")
        order.terminate()
        expect(not self.stage.allocations(VPC_POOL), "something was allocated all the same")
        self.stage.story.tick("Refused, before anything was made or allocated")

    def vpc(self, name: str, product: str, pool: str) -> None:
        """Order a VPC, make it larger, and give it back."""
        story = self.stage.story
        order = Order(self.catalog, product, name)
        order.provision(self.parameters(name, CnCidrMask="24", SubnetMask="26", PoolName=pool))
        first = self.verify_vpc(order, pool, 24, [26, 26])
        story.tick(f"{first} is the order's in the table, and {order.outputs['VpcId']}'s in EC2, with two /26")
        order.update({"CnCidrMask": "23"})
        second = self.verify_vpc(order, pool, 23, [26, 26])
        expect(not second.overlaps(first), f"{second} overlaps {first}, which cools")
        story.tick(f"{second} and {order.outputs['VpcId']} in their place")
        order.terminate()
        expect(not self.stage.allocations(pool), f"{pool} still has allocations")
        story.tick(f"Nothing is allocated from {pool} any more")

    def dedicated_subnets(self) -> None:
        """Make a shared VPC with a subnet pool, and order subnets of it for another account."""
        ports, twin = self.stage.ports, self.stage.twin
        stack = Stack(twin, "shared", MEMBER_ACCOUNT)
        stack.create(SHARED, {"IpamFunctionArn": twin.service_token, "CustomerAuthorizationKey": self.stage.key})
        vpc_id, whole = stack.outputs["VpcId"], Cidr.parse(stack.outputs["Cidr"])
        pool = self.subnet_pool(vpc_id, whole)
        order = Order(self.catalog, DEDICATED, "dedicated")
        given = {"VpcId": vpc_id, "RouteTableA": stack.outputs["RouteTableId"], "OrderingAccountId": ANOTHER_ACCOUNT}
        order.provision(self.parameters("dedicated", SubnetMask="27", **given))
        self.verify_subnets(order, pool.name, whole, 27)
        expect(order.outputs.get("ShareArn"), "the subnets are not shared")
        story = self.stage.story
        story.tick(f"{self.subnets(order)} of the VPC's {whole}, lent to account {ANOTHER_ACCOUNT}")
        story.note("The twin does not show them there.")
        order.update({"SubnetMask": "28"})
        self.verify_subnets(order, pool.name, whole, 28)
        story.tick(f"{self.subnets(order)} in their place")
        order.terminate()
        expect(not self.stage.allocations(pool.name), f"{pool.name} still has allocations")
        story.tick("Nothing is allocated from the VPC any more")
        deprovision(ports, pool.pool_id, whole, CAUSE)
        delete_pool(ports, pool.pool_id, CAUSE)
        stack.delete()

    def subnet_pool(self, vpc_id: str, whole: Cidr) -> Pool:
        """Make the pool that divides a VPC, which the product finds by its name."""
        ports = self.stage.ports
        parent = ports.store.plan().named(VPC_POOL)
        new = NewPool(
            f"dedicated-subnets-{vpc_id}",
            parent.scope_id,
            source_pool_id=parent.pool_id,
            locale=REGION,
            allocation_types=frozenset({"subnet"}),
            rules=AllocationRules(26, 28, 27),
            source_resource=SourceResource(vpc_id, MEMBER_ACCOUNT, REGION),
        )
        pool = create_pool(ports, new, CAUSE)
        provision(ports, pool.pool_id, whole, str(whole), CAUSE)
        return pool

    def make_private_pool(self) -> None:
        """Make the pool of the addresses that need no harmonising."""
        ports = self.stage.ports
        scope = create_scope(ports, "aws-private", "private", "Addresses that nobody outside of a VPC meets", CAUSE)
        pool = create_pool(ports, NewPool(PRIVATE_POOL, scope.scope_id, locale=REGION), CAUSE)
        provision(ports, pool.pool_id, Cidr.parse("100.64.0.0/12"), CAUSE, CAUSE)

    def parameters(self, name: str, **others: str) -> dict[str, str]:
        """Give the parameters that every product has, and some of one."""
        known = {"Owner": "team", "CostCentre": "4711", "NetworkAccountId": NETWORK_ACCOUNT}
        return {"NetworkName": name, "AuthorizationKey": self.stage.key, **known, **others}

    def verify_vpc(self, order: Order, pool: str, length: int, subnets: list[int]) -> Cidr:
        """Check a VPC's block in the table, and the VPC with its subnets in EC2."""
        cidr = Cidr.parse(order.outputs["Cidr"])
        expect(cidr.length == length, f"a /{length} was asked for and {cidr} given")
        self.stage.verify_allocation(pool, order.outputs["AllocationId"], cidr, order.stack_id)
        self.stage.verify_vpc(order.outputs["VpcId"], cidr, subnets)
        return cidr

    def subnets(self, order: Order) -> str:
        """Give an order's subnets as they are told."""
        return order.outputs["SubnetCidrs"].replace(",", " and ")

    def verify_subnets(self, order: Order, pool: str, whole: Cidr, length: int) -> None:
        """Check each subnet in the table and in EC2."""
        blocks = [Cidr.parse(text) for text in order.outputs["SubnetCidrs"].split(",")]
        for allocation_id, cidr in zip(order.outputs["AllocationIds"].split(","), blocks, strict=True):
            expect(cidr.length == length and whole.contains(cidr), f"{cidr} is no /{length} of {whole}")
            self.stage.verify_allocation(pool, allocation_id, cidr, order.stack_id)
        subnets = self.stage.ec2.describe_subnets(SubnetIds=order.outputs["SubnetIds"].split(","))["Subnets"]
        expect(sorted(each["CidrBlock"] for each in subnets) == sorted(map(str, blocks)), "EC2 has other subnets")
