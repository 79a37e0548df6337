"""The templates of products/, read as CloudFormation reads them: which resources there are, and which need which.

Conditions are decided first, so that what stands in the branch of an Fn::If that is not taken is not there, and makes
nothing wait (CloudFormation user guide, "Condition functions" and "DependsOn attribute").
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from samtranslator.yaml_helper import yaml_parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PRODUCTS: Final = Path(__file__).parent.parent / "products"
NAMES: Final = ("corporate-network-vpc", "dedicated-subnets", "private-vpc", "egress-vpc", "reserved-range")
"""Those that are ordered; the other templates there are deployed by the network team."""

OWN, OTHER = "111111111111", "222222222222"
_PSEUDO: Final = {"AWS::AccountId": OWN, "AWS::Region": "eu-central-1", "AWS::Partition": "aws"}
_EXAMPLES: Final = {
    "AuthorizationKey": ("0123456789abcdef",),
    "CostCentre": ("4711",),
    "Ipv6Pool": ("ipv6pool-ec2-0123456789abcdef0",),
    "NetworkAccountId": (OWN,),
    "NetworkName": ("shop",),
    "OrderingAccountId": (OWN, OTHER),
    "Owner": ("team@example.com",),
    "Place": ("Bonn",),
    "PoolName": ("", "a-pool"),
    "RouteTableA": ("rtb-00000001",),
    "RouteTableB": ("", "rtb-00000002"),
    "RouteTableC": ("", "rtb-00000003"),
    "TransitGatewayId": ("", "tgw-00000001"),
    "VpcId": ("vpc-00000001",),
}
"""Values of parameters that name neither a default nor all that they may be."""

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a template whose conditions are decided.

    Attributes:
        kind: its type.
        properties: with the branches that were taken.
        refers: the resources that its properties name, with what they take of each ("" for Ref).
        waits: the resources that are made before it, and deleted after it.
    """

    kind: str
    properties: dict[str, Any]
    refers: frozenset[tuple[str, str]]
    waits: frozenset[str]


class Template:
    """A template."""

    def __init__(self, source: str) -> None:
        """Read its text."""
        self.body: dict[str, Any] = yaml_parse(source)
        self.parameters: dict[str, Any] = self.body["Parameters"]

    @classmethod
    def named(cls, name: str) -> Template:
        """Read the template of a product."""
        return cls((PRODUCTS / f"{name}.yaml").read_text())

    def defaults(self) -> dict[str, str]:
        """Give every parameter a value: its default, or else an example."""
        return {
            name: str(said["Default"]) if "Default" in said else _EXAMPLES[name][-1]
            for name, said in self.parameters.items()
        }

    def branches(self) -> list[dict[str, str]]:
        """Give parameters for every way in which its conditions can turn out, each once."""
        deciding = sorted(_refs(self.body.get("Conditions", {})) & self.parameters.keys())
        found: dict[tuple[tuple[str, bool], ...], dict[str, str]] = {}
        for values in itertools.product(*(self._values(name) for name in deciding)):
            chosen = self.defaults() | dict(zip(deciding, values, strict=True))
            found.setdefault(tuple(sorted(self.conditions(chosen).items())), chosen)
        return list(found.values())

    def _values(self, name: str) -> tuple[str, ...]:
        return tuple(self.parameters[name].get("AllowedValues", ())) or _EXAMPLES[name]

    def conditions(self, parameters: Mapping[str, str]) -> dict[str, bool]:
        """Decide its conditions."""
        deciding = _Deciding(self.body.get("Conditions", {}), parameters)
        return {name: deciding.holds({"Condition": name}) for name in self.body.get("Conditions", {})}

    def decided(self, parameters: Mapping[str, str]) -> dict[str, Resource]:
        """Give the resources that there are, with these parameters."""
        deciding = _Deciding(self.body.get("Conditions", {}), parameters)
        there = {
            name: said
            for name, said in self.body["Resources"].items()
            if "Condition" not in said or deciding.holds({"Condition": said["Condition"]})
        }
        return {name: _resource(said, deciding, there) for name, said in there.items()}


def _resource(said: Mapping[str, Any], deciding: _Deciding, there: Mapping[str, Any]) -> Resource:
    properties = deciding.taken(said.get("Properties", {}))
    refers = frozenset((name, what) for name, what in _references(properties) if name in there)
    waits = said.get("DependsOn", [])
    waits = {waits} if isinstance(waits, str) else set(waits)
    return Resource(said["Type"], properties, refers, frozenset(waits & there.keys()) | {name for name, _ in refers})


class _Deciding:
    """A template's conditions, with parameters."""

    def __init__(self, conditions: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._conditions = conditions
        self._values = {**parameters, **_PSEUDO}

    def holds(self, said: Any) -> bool:
        """Decide a condition."""
        ((function, operands),) = said.items()
        if function == "Condition":
            return self.holds(self._conditions[operands])
        if function == "Fn::Equals":
            one, other = (self._text(operand) for operand in operands)
            return one == other
        held = [self.holds(operand) for operand in operands]
        return {"Fn::Not": not held[0], "Fn::And": all(held), "Fn::Or": any(held)}[function]

    def _text(self, operand: Any) -> str:
        return self._values[operand["Ref"]] if isinstance(operand, dict) else str(operand)

    def taken(self, node: Any) -> Any:
        """Leave of every Fn::If the branch that is taken."""
        if isinstance(node, list):
            items = [self.taken(item) for item in node]
            return [item for item in items if item is not _ABSENT]
        if not isinstance(node, dict):
            return node
        if "Fn::If" in node:
            condition, yes, no = node["Fn::If"]
            return self.taken(yes if self.holds({"Condition": condition}) else no)
        if node == {"Ref": "AWS::NoValue"}:
            return _ABSENT
        items_of = {name: self.taken(value) for name, value in node.items()}
        return {name: value for name, value in items_of.items() if value is not _ABSENT}


def _references(node: Any) -> Iterator[tuple[str, str]]:
    """Find what Ref, Fn::GetAtt and Fn::Sub name, with the attribute, or "" for none."""
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        if name == "Ref":
            yield value, ""
        elif name == "Fn::GetAtt":
            logical_id, _, attribute = (value if isinstance(value, str) else ".".join(value)).partition(".")
            yield logical_id, attribute
        elif name == "Fn::Sub":
            text, given = (value, {}) if isinstance(value, str) else value
            for variable in _VARIABLE.findall(text):
                if variable not in given:
                    logical_id, _, attribute = variable.partition(".")
                    yield logical_id, attribute
            yield from _references(given)
        else:
            yield from _references(value)


def _refs(node: Any) -> set[str]:
    return {name for name, what in _references(node) if not what}
