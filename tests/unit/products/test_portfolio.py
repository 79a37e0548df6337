"""The portfolios, as the loops of portfolio.yaml make them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from ministack.services.cloudformation import language_extensions

from tests.templates import Template

if TYPE_CHECKING:
    from collections.abc import Iterable

NETWORK_TEAM: Final = {
    "CorporateNetworkVpc": "corporate-network-vpc",
    "DedicatedSubnets": "dedicated-subnets",
    "PrivateVpc": "private-vpc",
    "EgressVpc": "egress-vpc",
    "ReservedRange": "reserved-range",
}
PORTFOLIOS: Final = {
    "Everyone": NETWORK_TEAM.keys() - {"EgressVpc"},
    "NetworkTeam": NETWORK_TEAM.keys(),
}
CONSTRAINTS: Final = {"AWS::ServiceCatalog::LaunchRoleConstraint", "AWS::ServiceCatalog::LaunchTemplateConstraint"}
OFFERS: Final = [(product, portfolio) for portfolio, products in PORTFOLIOS.items() for product in sorted(products)]


def resources(**given: str) -> dict[str, Any]:
    """Give the resources that there are, with these parameters."""
    template = Template.named("portfolio")
    values = {name: str(said.get("Default", "x")) for name, said in template.parameters.items()}
    made: dict[str, Any] = language_extensions.apply(template.body, values | given)["Resources"]
    return made


@pytest.mark.parametrize(("product", "portfolio"), OFFERS)
def test_an_offer_has_a_role_and_limits_that_wait_for_it(product: str, portfolio: str) -> None:
    """A constraint is made after the product is in the portfolio, and deleted before it leaves."""
    made = resources()
    pair = {"PortfolioId": {"Ref": f"{portfolio}Portfolio"}, "ProductId": {"Ref": product}}
    of_pair = {name: each for name, each in made.items() if pair.items() <= each["Properties"].items()}
    (offer,) = of_pair.keys() - {name for name, each in of_pair.items() if each["Type"] in CONSTRAINTS}
    constraints = [each for name, each in of_pair.items() if name != offer]
    assert {each["Type"] for each in constraints} == CONSTRAINTS
    for each in constraints:
        assert offer in each["DependsOn"]
        if each["Type"].endswith("RoleConstraint"):
            assert each["Properties"]["LocalRoleName"] == {"Ref": "LaunchRoleName"}


def test_nothing_else_is_offered() -> None:
    """The portfolios have the products that they are meant to have."""
    kinds = [each["Type"].rpartition("::")[2] for each in resources().values()]
    assert kinds.count("CloudFormationProduct") == len(NETWORK_TEAM)
    assert kinds.count("PortfolioProductAssociation") == kinds.count("LaunchRoleConstraint") == len(OFFERS)


def test_limits_are_of_parameters_that_the_product_has() -> None:
    """Each rule can be read, and asks for a parameter of the template that it is a limit of."""
    for each in resources().values():
        if each["Type"] != "AWS::ServiceCatalog::LaunchTemplateConstraint":
            continue
        text, variables = each["Properties"]["Rules"]["Fn::Sub"]
        for variable, value in variables.items():
            text = text.replace(f"${{{variable}}}", value if isinstance(value, str) else "24")
        rules = json.loads(text)["Rules"]
        named = set(re.findall(r"'Ref': '(\w+)'", str(rules)))
        template = Template.named(NETWORK_TEAM[each["Properties"]["ProductId"]["Ref"]])
        assert named and named <= template.parameters.keys()


def test_the_portfolios_sizes_are_their_own() -> None:
    """Each portfolio's limits are of its own list of sizes."""
    for name, each in resources().items():
        if each["Type"] == "AWS::ServiceCatalog::LaunchTemplateConstraint":
            portfolio = name.rpartition("For")[2]
            masks = each["Properties"]["Rules"]["Fn::Sub"][1]["Masks"]
            assert masks == {"Fn::Join": ['","', {"Ref": f"{portfolio}Masks"}]}


def test_tags_and_shares_are_named_after_their_values() -> None:
    """Another order of a list, or one value less, leaves the others' resources alone."""
    before = resources(CostCentres="4711,4712", Owners="shop", EveryoneAccounts="222222222222,333333333333")
    after = resources(CostCentres="4712,4711", Owners="shop,lab", EveryoneAccounts="333333333333")
    gone = before.keys() - after.keys()
    assert gone == {"EveryoneShare222222222222"}
    assert {name: before[name] for name in before.keys() & after.keys()} == {
        name: after[name] for name in before.keys() & after.keys()
    }


def lists_in_rules() -> set[str]:
    """Name the parameters whose elements become part of the rules' JSON."""
    limits = (each for each in resources().values() if each["Type"] == "AWS::ServiceCatalog::LaunchTemplateConstraint")
    variables = [value for each in limits for value in each["Properties"]["Rules"]["Fn::Sub"][1].values()]
    return {value["Fn::Join"][1]["Ref"] for value in variables if "Fn::Join" in value}


def taken(name: str, elements: Iterable[str]) -> list[str]:
    """Tell which elements a list may have: its pattern has to match each, and all of it."""
    pattern = re.compile(Template.named("portfolio").parameters[name]["AllowedPattern"])
    return [element for element in elements if pattern.fullmatch(element)]


@pytest.mark.parametrize("name", sorted(lists_in_rules()))
def test_no_element_of_a_list_can_end_its_string(name: str) -> None:
    """What is spliced into a rule stays one of its strings: nothing that JSON or Fn::Sub reads is taken."""
    parameter = Template.named("portfolio").parameters[name]
    elements = parameter["Default"].split(",")
    marks = ('"', "\\", "]", "}", "${Size}", " ", "\n", "\u0000")
    marked = [text for each in ("", *elements) for mark in marks for text in (each + mark, mark + each)]
    assert parameter["ConstraintDescription"]
    assert taken(name, elements) == elements and taken(name, ["", *marked]) == []


def test_lists_take_what_they_are_of() -> None:
    """Sizes are netmask lengths that some product may have; Regions are those of every partition."""
    assert lists_in_rules() == {"EveryoneMasks", "NetworkTeamMasks", "Regions", "CostCentres", "Owners"}
    for name in ("EveryoneMasks", "NetworkTeamMasks"):
        assert taken(name, [*map(str, range(100)), "08", "none"]) == [str(length) for length in range(8, 33)]
    regions = ["ap-southeast-2", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"]
    assert taken("Regions", regions) == regions
