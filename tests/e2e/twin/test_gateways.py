"""Internet, NAT and transit gateways hold fast what they need, and routes lead only where a VPC is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.e2e.twin.account import Account

Resources = dict[str, Any]

VPC: Resources = {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.10.0.0/24"}}}
TABLE: Resources = {"Table": {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Vpc"}}}}
GATEWAY: Resources = {
    "Gateway": {"Type": "AWS::EC2::InternetGateway"},
    "Attached": {
        "Type": "AWS::EC2::VPCGatewayAttachment",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "InternetGatewayId": {"Ref": "Gateway"}},
    },
}
OUTPUTS = {name: {"Ref": name} for name in ("Vpc", "A")}


def subnet(cidr: str, zone: str = "a") -> dict[str, Any]:
    """Give a subnet of the VPC."""
    said = {"VpcId": {"Ref": "Vpc"}, "CidrBlock": cidr, "AvailabilityZone": f"eu-central-1{zone}"}
    return {"Type": "AWS::EC2::Subnet", "Properties": said}


def nat(**more: Any) -> Resources:
    """Give an address and a NAT gateway that has it."""
    said = {"SubnetId": {"Ref": "A"}, "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]}, **more}
    return {
        "Address": {"Type": "AWS::EC2::EIP", "DependsOn": "Attached", "Properties": {"Domain": "vpc"}},
        "Nat": {"Type": "AWS::EC2::NatGateway", "DependsOn": "Attached", "Properties": said},
    }


def route(**target: Any) -> dict[str, Any]:
    """Give a route of the table to anywhere."""
    said = {"RouteTableId": {"Ref": "Table"}, "DestinationCidrBlock": "0.0.0.0/0", **target}
    return {"Type": "AWS::EC2::Route", "Properties": said}


def attachment(gateway: str, *subnets: str, **more: Any) -> dict[str, Any]:
    """Give an attachment of the VPC to a transit gateway."""
    said = {"TransitGatewayId": gateway, "VpcId": {"Ref": "Vpc"}, "SubnetIds": [{"Ref": name} for name in subnets]}
    return {"Type": "AWS::EC2::TransitGatewayAttachment", "Properties": said | more}


def refused(call: Any, **arguments: Any) -> str:
    """Give the code with which a call is refused."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return str(raised.value.response["Error"]["Code"])


def test_a_nat_gateway_holds_its_address_its_subnet_and_the_internet_gateway(member: Account) -> None:
    """While it is there, none of them goes; with the stack all of them do."""
    resources = VPC | TABLE | GATEWAY | {"A": subnet("10.10.0.0/28")} | nat(Tags=[{"Key": "Name", "Value": "out"}])
    resources["Route"] = route(NatGatewayId={"Ref": "Nat"})
    outputs = OUTPUTS | {
        "Nat": {"Ref": "Nat"},
        "PublicIp": {"Ref": "Address"},
        "Allocation": {"Fn::GetAtt": ["Address", "AllocationId"]},
        "Gateway": {"Ref": "Gateway"},
    }
    assert member.create("nat", resources, outputs=outputs) == "CREATE_COMPLETE"
    made, ec2 = member.outputs("nat"), member.ec2
    (gateway,) = ec2.describe_nat_gateways(NatGatewayIds=[made["Nat"]])["NatGateways"]
    assert gateway["NatGatewayAddresses"] == [{"AllocationId": made["Allocation"], "PublicIp": made["PublicIp"]}]
    assert {"Key": "Name", "Value": "out"} in gateway["Tags"]
    assert refused(ec2.release_address, AllocationId=made["Allocation"]) == "InvalidIPAddress.InUse"
    assert refused(ec2.delete_subnet, SubnetId=made["A"]) == "DependencyViolation"
    at = {"InternetGatewayId": made["Gateway"], "VpcId": made["Vpc"]}
    assert refused(ec2.detach_internet_gateway, **at) == "DependencyViolation"
    assert refused(ec2.delete_internet_gateway, InternetGatewayId=made["Gateway"]) == "DependencyViolation"
    second = {"SubnetId": made["A"], "AllocationId": made["Allocation"]}
    assert refused(ec2.create_nat_gateway, **second) == "Resource.AlreadyAssociated"
    assert member.delete("nat") == "DELETE_COMPLETE"
    assert not [each for each in ec2.describe_addresses()["Addresses"] if each["PublicIp"] == made["PublicIp"]]


def test_a_nat_gateway_needs_an_internet_gateway(member: Account) -> None:
    """EC2 takes the order and fails it afterwards, in words."""
    address = nat()["Address"] | {"DependsOn": "Vpc"}
    resources = VPC | {"A": subnet("10.10.0.0/28"), "Address": address, "Nat": nat()["Nat"] | {"DependsOn": "Vpc"}}
    assert member.create("nat-alone", resources) == "ROLLBACK_COMPLETE"
    assert "has no Internet gateway attached" in member.reason("nat-alone", "Nat", "CREATE_FAILED")


def test_an_internet_gateway_stays_with_its_vpc(member: Account) -> None:
    """Another CIDR is another VPC, to which the gateway does not move: what needs it there fails."""
    assert member.create("moves", VPC | GATEWAY | {"A": subnet("10.10.0.0/28")} | nat()) == "CREATE_COMPLETE"
    other = {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.11.0.0/24"}}}
    moved = other | GATEWAY | {"A": subnet("10.11.0.0/28")} | nat()
    assert member.update("moves", moved) == "UPDATE_ROLLBACK_COMPLETE"
    assert "has no Internet gateway attached" in member.reason("moves", "Nat", "UPDATE_FAILED")
    assert member.delete("moves") == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "target", "code"),
    [
        ("internet", {"GatewayId": {"Ref": "Gateway"}}, "InvalidParameterValue"),
        ("nat", {"NatGatewayId": "nat-00000000"}, "InvalidNatGatewayID.NotFound"),
        ("transit", {"TransitGatewayId": "tgw-00000000"}, "InvalidTransitGatewayID.NotFound"),
    ],
)
def test_a_route_leads_where_its_vpc_is_connected(
    member: Account, name: str, target: dict[str, Any], code: str
) -> None:
    """A target that is not there, or not the VPC's, fails the route: so a forgotten DependsOn shows."""
    resources = VPC | TABLE | {"Gateway": GATEWAY["Gateway"], "Route": route(**target)}
    assert member.create(f"route-{name}", resources) == "ROLLBACK_COMPLETE"
    assert f"Error Code: {code}" in member.reason(f"route-{name}", "Route", "CREATE_FAILED")


def test_a_route_table_is_of_the_subnets_own_vpc(member: Account) -> None:
    """An association across VPCs is refused."""
    other = {"Other": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.12.0.0/24"}}}
    table = {"Table": {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Other"}}}}
    said = {"SubnetId": {"Ref": "A"}, "RouteTableId": {"Ref": "Table"}}
    both = {"Both": {"Type": "AWS::EC2::SubnetRouteTableAssociation", "Properties": said}}
    assert member.create("across", VPC | other | table | {"A": subnet("10.10.0.0/28")} | both) == "ROLLBACK_COMPLETE"
    assert "belong to different networks" in member.reason("across", "Both", "CREATE_FAILED")


def test_a_vpc_keeps_its_route_tables_until_they_are_deleted(member: Account) -> None:
    """DeleteVpc takes the main table with it, and no other."""
    vpc = member.ec2.create_vpc(CidrBlock="10.13.0.0/24")["Vpc"]["VpcId"]
    table = member.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    assert refused(member.ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    member.ec2.delete_route_table(RouteTableId=table)
    member.ec2.delete_vpc(VpcId=vpc)


def test_an_attachment_changes_in_place(member: Account) -> None:
    """A zone more, options and tags leave it what it is; its subnets stay while it has them."""
    gateway = member.ec2.create_transit_gateway(Description="hub")["TransitGateway"]["TransitGatewayId"]
    (shown,) = member.ec2.describe_transit_gateways(TransitGatewayIds=[gateway])["TransitGateways"]
    assert (shown["State"], shown["Description"]) == ("available", "hub")
    subnets = {"A": subnet("10.10.0.0/28"), "B": subnet("10.10.0.16/28", "b")}
    outputs = OUTPUTS | {"Attachment": {"Ref": "Attachment"}}
    one = VPC | TABLE | subnets | {"Attachment": attachment(gateway, "A")}
    one["Route"] = route(TransitGatewayId=gateway) | {"DependsOn": "Attachment"}
    assert member.create("transit", one, outputs=outputs) == "CREATE_COMPLETE"
    made = member.outputs("transit")
    assert refused(member.ec2.delete_subnet, SubnetId=made["A"]) == "DependencyViolation"
    tagged = {"Tags": [{"Key": "Name", "Value": "hub"}], "Options": {"ApplianceModeSupport": "enable"}}
    two = one | {"Attachment": attachment(gateway, "A", "B", **tagged)}
    assert member.update("transit", two, outputs=outputs) == "UPDATE_COMPLETE"
    assert member.outputs("transit")["Attachment"] == made["Attachment"]
    here = [{"Name": "vpc-id", "Values": [made["Vpc"]]}]
    described = member.ec2.describe_transit_gateway_vpc_attachments(Filters=here)
    (seen,) = described["TransitGatewayVpcAttachments"]
    assert len(seen["SubnetIds"]) == 2
    assert seen["Options"]["ApplianceModeSupport"] == "enable"
    assert {"Key": "Name", "Value": "hub"} in seen["Tags"]
    assert member.delete("transit") == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "code"),
    [("zone", "DuplicateSubnetsInSameZone"), ("twice", "DuplicateTransitGatewayAttachment"), ("none", "NotFound")],
)
def test_attachments_that_ec2_refuses(member: Account, name: str, code: str) -> None:
    """One attachment of a VPC, one subnet of a zone, and a transit gateway that is there."""
    gateway = member.ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    resources = VPC | {"A": subnet("10.10.0.0/28"), "B": subnet("10.10.0.16/28")}
    resources |= {
        "zone": {"Bad": attachment(gateway, "A", "B")},
        "twice": {"Good": attachment(gateway, "A"), "Bad": attachment(gateway, "A") | {"DependsOn": "Good"}},
        "none": {"Bad": attachment("tgw-00000000", "A")},
    }[name]
    assert member.create(f"attach-{name}", resources) == "ROLLBACK_COMPLETE"
    assert code in member.reason(f"attach-{name}", "Bad", "CREATE_FAILED")


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ({"Type": "AWS::EC2::EIP", "Properties": {"InstanceId": "i-00000000"}}, "InstanceId"),
        ({"Type": "AWS::EC2::NatGateway", "Properties": {"PrivateIpAddress": "10.0.0.9"}}, "PrivateIpAddress"),
        ({"Type": "AWS::EC2::FlowLog", "Properties": {"LogFormat": "x"}}, "LogFormat"),
        ({"Type": "AWS::EC2::NetworkAclEntry", "Properties": {"Icmp": {"Code": -1}}}, "Icmp"),
        ({"Type": "AWS::RAM::ResourceShare", "Properties": {"PermissionArns": ["x"]}}, "PermissionArns"),
        ({"Type": "AWS::EC2::VPCCidrBlock", "Properties": {"AmazonProvidedIpv6CidrBlock": True}}, "AmazonProvided"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unknown_property_is_refused_by_its_name(member: Account, resource: dict[str, Any], name: str) -> None:
    """A template does not pass for one that it is not."""
    stack = f"unknown-{name}"
    assert member.create(stack, {"Thing": resource}) == "ROLLBACK_COMPLETE"
    assert f"does not know the property {name}" in member.reason(stack, "Thing", "CREATE_FAILED")
