"""The roles of member-account.yaml, with what an organisation may demand of them and without."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.templates import OWN, Template

ROLES: Final = ("LaunchRole", "DiscoveryRole")
OPERATOR: Final = f"arn:aws:iam::{OWN}:role/operator"
BOUNDARY: Final = f"arn:aws:iam::{OWN}:policy/boundary"


def properties(name: str, **said: str) -> dict[str, Any]:
    """Give the properties of a role, with parameters of which those that are left out are empty."""
    given = {"OperatorRoleArn": "", "PermissionsBoundaryArn": ""} | said
    return Template.named("member-account").decided(given)[name].properties


def test_there_are_no_other_roles() -> None:
    """What is asked of every role below is asked of all that there are."""
    assert Template.named("member-account").body["Resources"].keys() == set(ROLES)


@pytest.mark.parametrize("name", ROLES)
def test_every_role_has_the_boundary(name: str) -> None:
    """A permissions boundary that is named is each role's; without one there is no such property."""
    assert properties(name, PermissionsBoundaryArn=BOUNDARY)["PermissionsBoundary"] == {"Ref": "PermissionsBoundaryArn"}
    assert "PermissionsBoundary" not in properties(name)


def test_administrators_look_by_a_statement_of_their_own() -> None:
    """The operators' role is let in to look, beside the functions' and only if it is named, and never to launch."""

    def let_in(name: str, **said: str) -> list[Any]:
        statements = properties(name, **said)["AssumeRolePolicyDocument"]["Statement"]
        return [each["Condition"].get("ArnEquals", {}).get("aws:PrincipalArn") for each in statements]

    assert let_in("DiscoveryRole") == [{"Ref": "ReaderRoleArns"}]
    assert let_in("DiscoveryRole", OperatorRoleArn=OPERATOR) == [{"Ref": "ReaderRoleArns"}, {"Ref": "OperatorRoleArn"}]
    assert let_in("LaunchRole", OperatorRoleArn=OPERATOR) == let_in("LaunchRole") == [None]
