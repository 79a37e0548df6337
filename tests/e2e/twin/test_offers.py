"""What the published portfolios let somebody order, and what they refuse: every rule, of every product, in both.

This twin has no cn-ipam, so an order that the rules let through becomes a stack that fails where it asks for an
address. One that a rule refuses never becomes a stack.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from local.settings import NETWORK_ACCOUNT, REGION
from local.stacks import Stack
from tests.e2e.twin.account import until
from tests.templates import PRODUCTS, Template
from tools.publish import STACK, Published, PublishError, Wish, publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.twin import Twin

CORPORATE: Final = "Corporate-network VPC"
SIZES: Final = {
    CORPORATE: ("corporate-network-vpc", "CnCidrMask"),
    "Dedicated subnets in a shared VPC": ("dedicated-subnets", "SubnetMask"),
    "Private VPC": ("private-vpc", "CnCidrMask"),
    "Egress VPC": ("egress-vpc", "CnCidrMask"),
    "Reserved range": ("reserved-range", "CnCidrMask"),
}
"""Of each product: its template, and the parameter that says how large it is."""

EVERYONE, NETWORK_TEAM = "Networks", "Networks of any size"
MASKS: Final = {EVERYONE: ("24", "26"), NETWORK_TEAM: ("18", "20")}
OFFERED: Final = {EVERYONE: SIZES.keys() - {"Egress VPC"}, NETWORK_TEAM: SIZES.keys()}
OFFERS: Final = [(product, portfolio) for portfolio in MASKS for product in SIZES if product in OFFERED[portfolio]]

COST_CENTRES: Final = ("4711", "4712")
OWNERS: Final = ("lab", "shop")
SUPPORT: Final = {"SupportEmail": "networks@example.com", "SupportUrl": "https://networks.example.com/"}
OPERATOR: Final = f"arn:aws:iam::{NETWORK_ACCOUNT}:role/operator"
READERS: Final = f"arn:aws:iam::{NETWORK_ACCOUNT}:role/reader"
BOUNDARY: Final = "arn:aws:iam::aws:policy/ReadOnlyAccess"


class Offer:
    """An account that has published the products, and orders them itself."""

    def __init__(self, twin: Twin, account: str, launcher: str = "cn-ipam-launch") -> None:
        self.twin, self.account, self.launcher = twin, account, launcher
        self.session = twin.session(account)
        self.catalog: Any = self.session.client("servicecatalog")
        self.cloudformation: Any = self.session.client("cloudformation")
        self._numbers = itertools.count()

    def role(self, name: str) -> str:
        """Name a role of the account."""
        return f"arn:aws:iam::{self.account}:role/{name}"

    def roles(self) -> dict[str, str]:
        """Give the parameters that let roles of the account order, everyone's first."""
        return {"EveryoneRoleArn": self.role("team/orders"), "NetworkTeamRoleArn": self.role("network-team")}

    def publish(self, said: Mapping[str, str], **wish: Any) -> Published:
        """Publish the products of this repository."""
        return publish(self.session, Wish({"LaunchRoleName": self.launcher, **said}, **wish), seconds=0.05)

    def principals(self) -> dict[str, str]:
        """Say which roles the stack lets order, with the id of the portfolio."""
        resources = self.cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
        found = (each for each in resources if each["ResourceType"].endswith("::PortfolioPrincipalAssociation"))
        return dict(each["PhysicalResourceId"].split("|") for each in found)

    def products(self) -> dict[str, dict[str, Any]]:
        """Give what may be ordered, by name."""
        return {each["Name"]: each for each in self.catalog.search_products()["ProductViewSummaries"]}

    def asked(self, product: str, portfolio: str) -> dict[str, Any]:
        """Give what somebody who orders is asked."""
        artifacts = self.catalog.describe_product(Name=product)["ProvisioningArtifacts"]
        version = {"ProvisioningArtifactId": artifacts[0]["Id"]}
        answer = self.catalog.describe_provisioning_parameters(ProductName=product, PathName=portfolio, **version)
        return {**answer, **version}

    def begin(self, product: str, portfolio: str, said: dict[str, str], tags: Mapping[str, str]) -> str:
        """Order a product, with what breaks no rule unless it is said; the record's id is given."""
        template, size = SIZES[product]
        within = {size: MASKS[portfolio][0], "CostCentre": COST_CENTRES[0], "Owner": OWNERS[0]}
        parameters = Template.named(template).defaults() | within | said
        answer = self.catalog.provision_product(
            ProductName=product,
            PathName=portfolio,
            ProvisioningArtifactId=self.asked(product, portfolio)["ProvisioningArtifactId"],
            ProvisionedProductName=f"order-{next(self._numbers)}",
            ProvisioningParameters=[{"Key": key, "Value": value} for key, value in parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        return str(answer["RecordDetail"]["RecordId"])

    def order(self, product: str, portfolio: str, **said: str) -> dict[str, Any]:
        """Order a product, give it back, and give the record of the order as it ended."""
        record_id = self.begin(product, portfolio, said, {"CostCentre": COST_CENTRES[1], "Owner": OWNERS[1]})
        record = self._ended(record_id)
        given_back = self.catalog.terminate_provisioned_product(
            ProvisionedProductId=record["RecordDetail"]["ProvisionedProductId"]
        )
        assert self._ended(given_back["RecordDetail"]["RecordId"])["RecordDetail"]["Status"] == "SUCCEEDED"
        return record

    def _ended(self, record_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            record = dict(self.catalog.describe_record(Id=record_id))
            return record if record["RecordDetail"]["Status"] in {"SUCCEEDED", "FAILED"} else None

        found = until(ended)
        assert found, self.catalog.describe_record(Id=record_id)
        return dict(found)

    def stacks(self) -> set[str]:
        """Name every stack that the account ever had."""
        pages = self.cloudformation.get_paginator("list_stacks").paginate()
        return {each["StackId"] for page in pages for each in page["StackSummaries"]}

    def end(self) -> None:
        """Take the portfolios away."""
        stack = Stack(self.twin, STACK, self.account)
        stack.stack_id = stack.describe()["StackId"]
        stack.delete()


def assert_accepted(record: dict[str, Any]) -> None:
    """Assert that an order became a stack, which asked for an address."""
    assert [each["OutputKey"] for each in record["RecordOutputs"]] == ["CloudformationStackARN"]
    reason = record["RecordDetail"]["RecordErrors"][0]["Description"]
    assert "lambda:InvokeFunction" in reason


def assert_refused(record: dict[str, Any], reason: str) -> None:
    """Assert that a rule refused an order, by its own sentence, before there was a stack."""
    (error,) = record["RecordDetail"]["RecordErrors"]
    assert record["RecordDetail"]["Status"] == "FAILED" and record["RecordOutputs"] == []
    assert reason in error["Description"]


# --------------------------------------------------------------------------------------------- everything is named


@pytest.fixture(scope="module")
def member(twin: Twin) -> Iterator[Offer]:
    """An account with all that member-account.yaml can bring."""
    offer = Offer(twin, "121212121212")
    stack = Stack(twin, "cn-ipam-roles", offer.account)
    said = {
        "NetworkAccountId": NETWORK_ACCOUNT,
        "ReaderRoleArns": READERS,
        "OperatorRoleArn": OPERATOR,
        "PermissionsBoundaryArn": BOUNDARY,
    }
    stack.start_create(PRODUCTS / "member-account.yaml", said, Capabilities=["CAPABILITY_NAMED_IAM"])
    stack.wait_created()
    yield offer
    stack.delete()


@pytest.fixture(scope="module")
def offer(member: Offer) -> Iterator[Offer]:
    """Portfolios with every parameter named: roles, sizes, Regions, cost centres, owners, whom to ask."""
    said = {
        "EveryoneMasks": ",".join(MASKS[EVERYONE]),
        "NetworkTeamMasks": ",".join(MASKS[NETWORK_TEAM]),
        "Regions": f"eu-west-1,{REGION}",
        **member.roles(),
        **SUPPORT,
    }
    member.publish(said, cost_centres=COST_CENTRES, owners=OWNERS)
    yield member
    member.end()


def test_roles_of_a_member_account(member: Offer) -> None:
    """Administrators may look in a member account by a statement of their own, and launch nothing there."""
    iam: Any = member.session.client("iam")
    look = iam.get_role(RoleName="cn-ipam-discovery")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    launch = iam.get_role(RoleName="cn-ipam-launch")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    let_in = [each["Condition"]["ArnEquals"]["aws:PrincipalArn"] for each in look]
    assert let_in == [[READERS], OPERATOR]
    assert {each["Principal"]["AWS"] for each in look} == {f"arn:aws:iam::{NETWORK_ACCOUNT}:root"}
    assert [each["Principal"] for each in launch] == [{"Service": "servicecatalog.amazonaws.com"}]


@pytest.mark.parametrize(("product", "portfolio"), OFFERS)
def test_an_order_within_the_rules_is_launched(offer: Offer, product: str, portfolio: str) -> None:
    """Every value that is named may be ordered with; the launch role makes the stack, with the tags chosen."""
    tags = [{"Key": "CostCentre", "Value": COST_CENTRES[1]}, {"Key": "Owner", "Value": OWNERS[1]}]
    last = {SIZES[product][1]: MASKS[portfolio][-1], "CostCentre": COST_CENTRES[-1], "Owner": OWNERS[-1]}
    for said in ({}, last):
        record = offer.order(product, portfolio, **said)
        assert_accepted(record)
        assert record["RecordDetail"]["LaunchRoleArn"] == offer.role(offer.launcher)
        stack_id = record["RecordOutputs"][0]["OutputValue"]
        assert stack_id in offer.stacks()
        assert offer.cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["Tags"] == tags


def refusals() -> Iterator[Any]:
    """Give for every offer the orders that break one rule each, with what is said to that."""
    for product, portfolio in OFFERS:
        words = ", ".join(MASKS[portfolio])
        (others,) = (masks for name, masks in MASKS.items() if name != portfolio)
        size = f"A network of this size is not offered here: choose one of {words}."
        broken: list[tuple[str, str, str, str]] = [
            ("Size", SIZES[product][1], others[0], size),
            ("CostCentre", "CostCentre", "4713", "There is no such cost centre."),
            ("Owner", "Owner", "Shop", "There is no such owner."),
        ]
        if product == CORPORATE:
            second = f"A second CIDR of this size is not offered here: choose none or one of {words}."
            broken.append(("SecondSize", "SecondCnCidrMask", others[0], second))
        for rule, parameter, value, sentence in broken:
            name = f"{product}-{portfolio}-{rule}"
            yield pytest.param(product, portfolio, {parameter: value}, f"rule {rule} failed: {sentence}", id=name)


@pytest.mark.parametrize(("product", "portfolio", "said", "reason"), list(refusals()))
def test_an_order_against_a_rule_is_refused(
    offer: Offer, product: str, portfolio: str, said: dict[str, str], reason: str
) -> None:
    """The rule's sentence is the answer, and no stack was begun."""
    before = offer.stacks()
    assert_refused(offer.order(product, portfolio, **said), reason)
    assert offer.stacks() == before


@pytest.mark.parametrize("portfolio", MASKS)
def test_a_second_cidr_of_a_size_on_offer(offer: Offer, portfolio: str) -> None:
    """The sizes of a second CIDR are those of the first."""
    assert_accepted(offer.order(CORPORATE, portfolio, SecondCnCidrMask=MASKS[portfolio][-1]))


@pytest.mark.parametrize(("product", "portfolio"), OFFERS)
def test_tags_to_choose_from(offer: Offer, product: str, portfolio: str) -> None:
    """Cost centre and owner are tags with the values that are named; another, or none, is no order."""
    options = {each["Key"]: each["Values"] for each in offer.asked(product, portfolio)["TagOptions"]}
    assert options == {"CostCentre": list(COST_CENTRES), "Owner": list(OWNERS)}
    for tags in ({}, {"CostCentre": "4713", "Owner": OWNERS[0]}, {"CostCentre": COST_CENTRES[0], "Owner": "Shop"}):
        with pytest.raises(ClientError, match="must be one of the TagOptions"):
            offer.begin(product, portfolio, {}, tags)


def test_whom_to_ask(offer: Offer) -> None:
    """Every product says where to ask and where to read."""
    products = offer.products()
    assert products.keys() == SIZES.keys()
    for product in products.values():
        assert product.items() >= SUPPORT.items()


# --------------------------------------------------------------------------------------------------- little is named


@pytest.fixture(scope="module")
def publisher(twin: Twin) -> Offer:
    """An account whose launch role has another name."""
    offer = Offer(twin, "343434343434", launcher="network-launch")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "servicecatalog.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    offer.session.client("iam").create_role(RoleName=offer.launcher, AssumeRolePolicyDocument=trust)
    return offer


@pytest.fixture
def plain(publisher: Offer) -> Iterator[Offer]:
    """Portfolios with nothing named that could be left out."""
    publisher.publish({})
    yield publisher
    publisher.end()


def test_a_role_opens_its_own_portfolio(plain: Offer) -> None:
    """Nobody may order until a role is named, which then opens its own portfolio and no other, as long as it is."""
    ids = plain.publish({}).outputs
    everyone, network_team = plain.roles().values()
    assert plain.principals() == {} and plain.products() == {}
    plain.publish({"EveryoneRoleArn": everyone})
    assert plain.principals() == {everyone: ids["EveryonePortfolioId"]}
    assert plain.products().keys() == OFFERED[EVERYONE]
    plain.publish({"EveryoneRoleArn": "", "NetworkTeamRoleArn": network_team})
    assert plain.principals() == {network_team: ids["NetworkTeamPortfolioId"]}
    assert plain.products().keys() == OFFERED[NETWORK_TEAM]


def test_what_is_not_named_is_free(plain: Offer) -> None:
    """Without cost centres, owners and addresses to ask at, any order is launched, and no tag has to be chosen."""
    plain.publish(plain.roles())
    for product, portfolio in OFFERS:
        record = plain.order(product, portfolio, CostCentre="any", Owner="anybody")
        assert_accepted(record)
        assert record["RecordDetail"]["LaunchRoleArn"] == plain.role(plain.launcher)
        assert plain.asked(product, portfolio)["TagOptions"] == []
    assert {plain.products()[name][said] for name in SIZES for said in SUPPORT} == {""}


def test_networks_of_other_regions(plain: Offer) -> None:
    """In a Region that is none of those on offer, no product is launched from either portfolio."""
    plain.publish({"Regions": "eu-west-1,us-gov-east-1", **plain.roles()})
    before = plain.stacks()
    for product, portfolio in OFFERS:
        sentence = "Networks are not offered in this Region, but in eu-west-1, us-gov-east-1."
        assert_refused(plain.order(product, portfolio), f"rule Region failed: {sentence}")
    assert plain.stacks() == before


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("EveryoneMasks", '24"],"8', "netmask lengths from 8 to 32"),
        ("NetworkTeamMasks", "24,33", "netmask lengths from 8 to 32"),
        ("Regions", f'{REGION},"', "Regions such as eu-central-1"),
        ("CostCentres", '4711,"none', "letters and digits each"),
        ("Owners", "team-shop", "letters and digits each"),
    ],
)
def test_a_list_that_would_change_the_rules(offer: Offer, name: str, value: str, reason: str) -> None:
    """Each element of a list is checked, before it becomes part of a rule; what was on offer still is."""
    with pytest.raises(PublishError, match=reason):
        offer.publish({name: value})
    assert offer.products().keys() == SIZES.keys()
