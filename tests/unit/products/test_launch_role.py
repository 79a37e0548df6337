"""The launch role of member-account.yaml: all that the products' resource types ask for, and nothing else.

CloudFormation does with its rights what the handlers of a type ask for. The table below is what the types' published
schemas say of that (CloudFormation registry, `aws cloudformation describe-type`, "handlers"), read in November 2026.
"""

from __future__ import annotations

from typing import Final

from tests.templates import NAMES, Template

HANDLERS: Final = {
    "AWS::EC2::EIP": {
        "make": "AcceptAddressTransfer AllocateAddress AssociateAddress CreateTags DeleteTags DescribeAddresses "
        "DescribeTags",
        "delete": "DescribeAddresses DisassociateAddress ReleaseAddress",
    },
    "AWS::EC2::FlowLog": {
        "make": "CreateFlowLogs CreateTags DeleteTags DescribeFlowLogs iam:PassRole logs:CreateLogDelivery "
        "s3:GetBucketPolicy s3:PutBucketPolicy",
        "delete": "DeleteFlowLogs logs:DeleteLogDelivery",
    },
    "AWS::EC2::InternetGateway": {
        "make": "CreateInternetGateway CreateTags DeleteTags DescribeInternetGateways",
        "delete": "DeleteInternetGateway",
    },
    "AWS::EC2::NatGateway": {
        "make": "AssignPrivateNatGatewayAddress AssociateNatGatewayAddress CreateNatGateway CreateTags DeleteTags "
        "DescribeNatGateways DisassociateNatGatewayAddress UnassignPrivateNatGatewayAddress",
        "delete": "DeleteNatGateway DescribeNatGateways",
    },
    "AWS::EC2::NetworkAcl": {
        "make": "CreateNetworkAcl CreateTags DeleteTags DescribeNetworkAcls DescribeTags",
        "delete": "DeleteNetworkAcl DeleteTags DescribeNetworkAcls",
    },
    "AWS::EC2::NetworkAclEntry": {
        "make": "CreateNetworkAclEntry DescribeNetworkAcls ReplaceNetworkAclEntry",
        "delete": "DeleteNetworkAclEntry DescribeNetworkAcls",
    },
    "AWS::EC2::Route": {
        "make": "CreateRoute DescribeRouteTables ReplaceRoute",
        "delete": "DeleteRoute DescribeRouteTables",
    },
    "AWS::EC2::RouteTable": {
        "make": "CreateRouteTable CreateTags DeleteTags DescribeRouteTables",
        "delete": "DeleteRouteTable DescribeRouteTables",
    },
    "AWS::EC2::Subnet": {
        "make": "AssociateSubnetCidrBlock CreateSubnet CreateTags DeleteTags DescribeNetworkAcls DescribeSubnets "
        "DisassociateSubnetCidrBlock ModifySubnetAttribute",
        "delete": "DeleteSubnet DescribeSubnets",
    },
    "AWS::EC2::SubnetNetworkAclAssociation": {
        "make": "DescribeNetworkAcls ReplaceNetworkAclAssociation",
        "delete": "DescribeNetworkAcls ReplaceNetworkAclAssociation",
    },
    "AWS::EC2::SubnetRouteTableAssociation": {
        "make": "AssociateRouteTable DescribeRouteTables DescribeSubnets ReplaceRouteTableAssociation",
        "delete": "DescribeRouteTables DescribeSubnets DisassociateRouteTable",
    },
    "AWS::EC2::TransitGatewayAttachment": {
        "make": "CreateTags CreateTransitGatewayVpcAttachment DeleteTags DescribeTags "
        "DescribeTransitGatewayAttachments DescribeTransitGatewayVpcAttachments ModifyTransitGatewayVpcAttachment",
        "delete": "CreateTags CreateTransitGatewayVpcAttachment DeleteTags DeleteTransitGatewayVpcAttachment "
        "DescribeTags DescribeTransitGatewayAttachments DescribeTransitGatewayVpcAttachments "
        "ModifyTransitGatewayVpcAttachment",
    },
    "AWS::EC2::VPC": {
        "make": "CreateTags CreateVpc CreateVpcEncryptionControl DeleteTags DescribeNetworkAcls DescribeSecurityGroups "
        "DescribeVpcAttribute DescribeVpcEncryptionControls DescribeVpcs ModifyVpcAttribute ModifyVpcTenancy",
        "delete": "DeleteVpc DescribeVpcs",
    },
    "AWS::EC2::VPCCidrBlock": {
        "make": "AllocateIpamPoolCidr AssociateVpcCidrBlock DescribeVpcs",
        "delete": "DescribeVpcs DisassociateVpcCidrBlock",
    },
    # Its schema has no handlers: these are the calls of EC2 that do what it is for.
    "AWS::EC2::VPCGatewayAttachment": {
        "make": "AttachInternetGateway DescribeInternetGateways",
        "delete": "DetachInternetGateway DescribeInternetGateways",
    },
    "AWS::IAM::Role": {
        "make": "iam:AttachRolePolicy iam:CreateRole iam:DeleteRolePermissionsBoundary iam:DeleteRolePolicy "
        "iam:DetachRolePolicy iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListRolePolicies "
        "iam:PutRolePermissionsBoundary iam:PutRolePolicy iam:TagRole iam:UntagRole iam:UpdateAssumeRolePolicy "
        "iam:UpdateRole iam:UpdateRoleDescription",
        "delete": "iam:DeleteRole iam:DeleteRolePolicy iam:DetachRolePolicy iam:GetRole iam:ListAttachedRolePolicies "
        "iam:ListRolePolicies",
    },
    "AWS::Logs::LogGroup": {
        "make": "logs:AssociateKmsKey logs:CreateLogDelivery logs:CreateLogGroup logs:DeleteRetentionPolicy "
        "logs:DescribeIndexPolicies logs:DescribeLogGroups logs:DescribeResourcePolicies logs:DisassociateKmsKey "
        "logs:GetDataProtectionPolicy logs:ListTagsForResource logs:PutDataProtectionPolicy logs:PutResourcePolicy "
        "logs:PutRetentionPolicy logs:TagResource logs:UntagResource firehose:TagDeliveryStream s3:REST.PUT.OBJECT",
        "delete": "logs:DeleteDataProtectionPolicy logs:DeleteLogGroup logs:DescribeLogGroups",
    },
    "AWS::RAM::ResourceShare": {
        "make": "ram:AssociateResourceShare ram:AssociateResourceSharePermission ram:CreateResourceShare "
        "ram:DisassociateResourceShare ram:GetPermission ram:GetResourceShareAssociations ram:GetResourceShares "
        "ram:ListResourceSharePermissions ram:TagResource ram:UntagResource ram:UpdateResourceShare",
        "delete": "ram:DeleteResourceShare ram:GetResourceShares",
    },
    # CloudFormation invokes the function with the rights of whoever runs the stack.
    "Custom::DeleteCnCIDR": {"make": "lambda:InvokeFunction", "delete": "lambda:InvokeFunction"},
    "Custom::GetCnCIDR": {"make": "lambda:InvokeFunction", "delete": "lambda:InvokeFunction"},
}
"""EC2's actions, unless it says another's; to create, read and update a type, and to delete it."""

PROPERTIES: Final = {
    ("AWS::EC2::EIP", "InstanceId"): "AssociateAddress",
    ("AWS::EC2::EIP", "TransferAddress"): "AcceptAddressTransfer",
    ("AWS::EC2::FlowLog", "LogDestination"): "s3:GetBucketPolicy s3:PutBucketPolicy",
    ("AWS::EC2::NatGateway", "SecondaryAllocationIds"): "AssociateNatGatewayAddress DisassociateNatGatewayAddress",
    (
        "AWS::EC2::NatGateway",
        "SecondaryPrivateIpAddresses",
    ): "AssignPrivateNatGatewayAddress UnassignPrivateNatGatewayAddress",
    ("AWS::EC2::VPC", "InstanceTenancy"): "ModifyVpcTenancy",
    ("AWS::EC2::VPC", "VpcEncryptionControl"): "CreateVpcEncryptionControl",
    ("AWS::EC2::VPCCidrBlock", "Ipv4IpamPoolId"): "AllocateIpamPoolCidr",
    ("AWS::IAM::Role", "ManagedPolicyArns"): "iam:AttachRolePolicy",
    (
        "AWS::IAM::Role",
        "PermissionsBoundary",
    ): "iam:DeleteRolePermissionsBoundary iam:PutRolePermissionsBoundary",
    (
        "AWS::Logs::LogGroup",
        "DataProtectionPolicy",
    ): "logs:PutDataProtectionPolicy firehose:TagDeliveryStream s3:REST.PUT.OBJECT",
    ("AWS::Logs::LogGroup", "KmsKeyId"): "logs:AssociateKmsKey logs:DisassociateKmsKey",
    ("AWS::Logs::LogGroup", "ResourcePolicyDocument"): "logs:DescribeResourcePolicies logs:PutResourcePolicy",
    ("AWS::RAM::ResourceShare", "PermissionArns"): "ram:AssociateResourceSharePermission",
}
"""What is asked for only where a resource has a certain property. What a deletion asks for is never left out: a product
that cannot be terminated keeps its addresses."""

OF_EVERY_ORDER: Final = (
    # What AWS's own policy AWSServiceCatalogEndUserFullAccess lets do with stacks, but for StackSets.
    "cloudformation:CreateStack cloudformation:DeleteStack cloudformation:DescribeStackEvents "
    "cloudformation:DescribeStacks cloudformation:SetStackPolicy cloudformation:ValidateTemplate "
    "cloudformation:UpdateStack cloudformation:CreateChangeSet cloudformation:DescribeChangeSet "
    "cloudformation:ExecuteChangeSet cloudformation:ListChangeSets cloudformation:DeleteChangeSet "
    "cloudformation:TagResource cloudformation:UntagResource cloudformation:ListStackResources "
    "cloudformation:GetTemplateSummary "
    # Service Catalog reads the template (its administrator guide, "Launch constraints").
    "s3:GetObject "
    # Fn::GetAZs (CloudFormation's template reference).
    "DescribeAvailabilityZones "
    # An account's first attachment to a transit gateway (its guide, "Service-linked roles").
    "iam:CreateServiceLinkedRole"
)


def named(actions: str) -> set[str]:
    """Give actions with their services."""
    return {action if ":" in action else f"ec2:{action}" for action in actions.split()}


def needed() -> set[str]:
    """Tell what the products ask for, with the properties that they have."""
    actions = named(OF_EVERY_ORDER)
    resources = [each for name in NAMES for each in Template.named(name).body["Resources"].values()]
    present = {(each["Type"], name) for each in resources for name in each["Properties"]}
    for kind in {each["Type"] for each in resources}:
        absent = {pair for pair in PROPERTIES if pair[0] == kind} - present
        left_out = named(" ".join(PROPERTIES[pair] for pair in absent))
        actions |= named(HANDLERS[kind]["delete"]) | named(HANDLERS[kind]["make"]) - left_out
    return actions


def allowed() -> set[str]:
    """Tell what the launch role may do."""
    role = Template.named("member-account").body["Resources"]["LaunchRole"]["Properties"]
    return {
        action
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def test_it_can_make_change_and_remove_every_product() -> None:
    """Nothing that the handlers of the products' types ask for is missing."""
    assert needed() - allowed() == set()


def test_it_can_do_nothing_else() -> None:
    """Nothing is allowed that no product asks for."""
    assert allowed() - needed() == set()


def test_no_type_is_in_the_table_for_nothing() -> None:
    """The table has the products' types, and every property that is looked for belongs to one of them."""
    kinds = {each["Type"] for name in NAMES for each in Template.named(name).body["Resources"].values()}
    assert HANDLERS.keys() == kinds
    assert all(named(actions) <= named(HANDLERS[kind]["make"]) for (kind, _), actions in PROPERTIES.items())
