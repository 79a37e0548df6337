"""What all products have in common, so that whoever knows one knows them all."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.templates import NAMES, PRODUCTS, Template

TAGS = ["Name", "Owner", "CostCentre"]
TOKEN = (
    "arn:${AWS::Partition}:lambda:${AWS::Region}:${NetworkAccountId}:function:${IpamFunctionName}:"
    "tenant-${AWS::AccountId}"
)
UNTAGGED = {
    "AWS::EC2::NetworkAclEntry",
    "AWS::EC2::Route",
    "AWS::EC2::SubnetNetworkAclAssociation",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCCidrBlock",
    "AWS::EC2::VPCGatewayAttachment",
    "Custom::DeleteCnCIDR",
}
"""Types that have no tags."""

pytestmark = pytest.mark.parametrize("name", NAMES)


def interface(template: Template) -> dict[str, Any]:
    """Give what says how its parameters are shown."""
    shown: dict[str, Any] = template.body["Metadata"]["AWS::CloudFormation::Interface"]
    return shown


def test_every_parameter_is_labelled_and_in_one_group(name: str) -> None:
    """Whoever orders sees no bare parameter: each has a label, a group and a description."""
    template = Template.named(name)
    grouped = [each for group in interface(template)["ParameterGroups"] for each in group["Parameters"]]
    assert sorted(grouped) == sorted(template.parameters)
    assert interface(template)["ParameterLabels"].keys() == template.parameters.keys()
    for said in template.parameters.values():
        assert said["Description"].endswith((".", ")"))


def test_every_parameter_takes_only_what_can_be_used(name: str) -> None:
    """A mistake is refused before anything is made: by values, a pattern, or a range."""
    limits = ({"AllowedValues"}, {"AllowedPattern"}, {"MinValue", "MaxValue"}, {"MaxLength"})
    for parameter, said in Template.named(name).parameters.items():
        assert said["Type"] == "AWS::EC2::VPC::Id" or any(limit <= said.keys() for limit in limits), parameter
        if "AllowedPattern" in said:
            assert said["ConstraintDescription"], parameter
            assert re.fullmatch(said["AllowedPattern"], said.get("Default", Template.named(name).defaults()[parameter]))


def test_the_key_is_not_shown(name: str) -> None:
    """NoEcho keeps it out of every description of the stack; nothing but DeleteCnCIDR gets it, and no output has it."""
    template = Template.named(name)
    assert template.parameters["AuthorizationKey"]["NoEcho"] is True
    assert "Default" not in template.parameters["AuthorizationKey"]
    assert "AuthorizationKey" not in str(template.body["Outputs"])
    holders = {r["Type"] for r in template.body["Resources"].values() if "'AuthorizationKey'" in str(r)}
    assert holders == {"Custom::DeleteCnCIDR"}


def test_orders_go_through_the_accounts_own_alias(name: str) -> None:
    """The service token is made of the network account and the ordering one, so that it never changes."""
    for resource in Template.named(name).body["Resources"].values():
        if resource["Type"].startswith("Custom::"):
            assert resource["Properties"]["ServiceToken"] == {"Fn::Sub": TOKEN}
            # Three time-outs of the function and Lambda's pauses; an hour where somebody may have to approve.
            waits = 3600 if resource["Type"] == "Custom::GetCnCIDR" else 300
            assert resource["Properties"]["ServiceTimeout"] == waits


def test_everything_says_whose_it_is(name: str) -> None:
    """Whatever can have tags has its name, its owner and its cost centre; so has the allocation."""
    for logical_id, resource in Template.named(name).body["Resources"].items():
        if resource["Type"] not in UNTAGGED:
            keys = [tag["Key"] for tag in resource["Properties"]["Tags"]]
            assert keys[:3] == TAGS, logical_id


def test_every_output_is_explained(name: str) -> None:
    """A team gets what was made by its ids, its CIDRs and its allocation ids."""
    outputs = Template.named(name).body["Outputs"]
    assert all(output["Description"].endswith(".") for output in outputs.values())
    assert {key for key in outputs if "AllocationId" in key}
    assert {key for key in outputs if "Cidr" in key}


def test_it_can_be_deployed_from_its_text(name: str) -> None:
    """It is smaller than what CreateStack takes without a bucket (CloudFormation quotas)."""
    assert (PRODUCTS / f"{name}.yaml").stat().st_size < 51_200
