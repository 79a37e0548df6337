"""What all products have in common, so that whoever knows one knows them all; and what the launch role may do."""

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

ACTIONS: dict[str, str] = {
    "AWS::EC2::EIP": "AllocateAddress ReleaseAddress DescribeAddresses",
    "AWS::EC2::FlowLog": "CreateFlowLogs DeleteFlowLogs DescribeFlowLogs logs:CreateLogDelivery logs:DeleteLogDelivery "
    "iam:PassRole",
    "AWS::EC2::InternetGateway": "CreateInternetGateway DeleteInternetGateway DescribeInternetGateways",
    "AWS::EC2::NatGateway": "CreateNatGateway DeleteNatGateway DescribeNatGateways",
    "AWS::EC2::NetworkAcl": "CreateNetworkAcl DeleteNetworkAcl DescribeNetworkAcls",
    "AWS::EC2::NetworkAclEntry": "CreateNetworkAclEntry ReplaceNetworkAclEntry DeleteNetworkAclEntry",
    "AWS::EC2::Route": "CreateRoute ReplaceRoute DeleteRoute DescribeRouteTables",
    "AWS::EC2::RouteTable": "CreateRouteTable DeleteRouteTable DescribeRouteTables",
    "AWS::EC2::Subnet": "CreateSubnet DeleteSubnet ModifySubnetAttribute AssociateSubnetCidrBlock "
    "DisassociateSubnetCidrBlock DescribeSubnets DescribeAvailabilityZones",
    "AWS::EC2::SubnetNetworkAclAssociation": "ReplaceNetworkAclAssociation DescribeNetworkAcls",
    "AWS::EC2::SubnetRouteTableAssociation": "AssociateRouteTable DisassociateRouteTable ReplaceRouteTableAssociation",
    "AWS::EC2::TransitGatewayAttachment": "CreateTransitGatewayVpcAttachment ModifyTransitGatewayVpcAttachment "
    "DeleteTransitGatewayVpcAttachment DescribeTransitGatewayVpcAttachments DescribeTransitGatewayAttachments "
    "iam:CreateServiceLinkedRole",
    "AWS::EC2::VPC": "CreateVpc DeleteVpc ModifyVpcAttribute DescribeVpcs DescribeVpcAttribute DescribeSecurityGroups "
    "DescribeNetworkAcls",
    "AWS::EC2::VPCCidrBlock": "AssociateVpcCidrBlock DisassociateVpcCidrBlock DescribeVpcs",
    "AWS::EC2::VPCGatewayAttachment": "AttachInternetGateway DetachInternetGateway DescribeInternetGateways",
    "AWS::IAM::Role": "iam:CreateRole iam:DeleteRole iam:GetRole iam:PutRolePolicy iam:GetRolePolicy "
    "iam:DeleteRolePolicy iam:ListRolePolicies iam:ListAttachedRolePolicies iam:UpdateRole "
    "iam:UpdateAssumeRolePolicy iam:TagRole iam:UntagRole",
    "AWS::Logs::LogGroup": "logs:CreateLogGroup logs:DeleteLogGroup logs:DescribeLogGroups logs:PutRetentionPolicy "
    "logs:ListTagsForResource logs:TagResource logs:UntagResource",
    "AWS::RAM::ResourceShare": "ram:CreateResourceShare ram:DeleteResourceShare ram:UpdateResourceShare "
    "ram:AssociateResourceShare ram:DisassociateResourceShare ram:GetResourceShares ram:GetResourceShareAssociations "
    "ram:TagResource ram:UntagResource",
    "Custom::DeleteCnCIDR": "lambda:InvokeFunction",
    "Custom::GetCnCIDR": "lambda:InvokeFunction",
}
"""What CloudFormation does for a type with the rights of whoever deploys: EC2's actions, unless it says another's."""

OF_EVERY_NETWORK = "CreateTags DeleteTags DescribeTags"
OF_EVERY_STACK = (
    "cloudformation:CreateStack cloudformation:UpdateStack cloudformation:DeleteStack cloudformation:DescribeStacks "
    "cloudformation:DescribeStackEvents cloudformation:GetTemplateSummary cloudformation:ValidateTemplate "
    "cloudformation:SetStackPolicy s3:GetObject"
)

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


def test_the_launch_role_can_make_and_remove_it(name: str) -> None:
    """Everything of a product can be made, changed and removed with the role that Service Catalog takes on."""
    types = {resource["Type"] for resource in Template.named(name).body["Resources"].values()}
    needed = " ".join([*(ACTIONS[each] for each in types), OF_EVERY_NETWORK, OF_EVERY_STACK]).split()
    role = Template.named("member-account").body["Resources"]["LaunchRole"]["Properties"]
    allowed = {
        action
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert {action if ":" in action else f"ec2:{action}" for action in needed} - allowed == set()
