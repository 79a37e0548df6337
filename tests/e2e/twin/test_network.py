"""VPCs and subnets take the CIDRs that EC2 takes, from templates and from calls alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.e2e.twin.account import Account


def _vpc(cidr: str) -> dict[str, Any]:
    return {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": cidr}}


def _subnet(cidr: Any, depends_on: list[str] | None = None) -> dict[str, Any]:
    subnet = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": cidr}}
    return subnet | ({"DependsOn": depends_on} if depends_on else {})


def _more(cidr: str) -> dict[str, Any]:
    return {"Type": "AWS::EC2::VPCCidrBlock", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": cidr}}


def test_vpc_and_subnets_from_one_block(member: Account) -> None:
    """GetAtt gives a VPC's and a subnet's CIDR; subnets side by side fit."""
    resources = {
        "Vpc": _vpc("10.1.0.0/24"),
        "A": _subnet({"Fn::Select": [0, {"Fn::Cidr": [{"Fn::GetAtt": ["Vpc", "CidrBlock"]}, 2, 7]}]}),
        "B": _subnet("10.1.0.128/25"),
    }
    outputs = {"Vpc": {"Fn::GetAtt": ["Vpc", "CidrBlock"]}, "A": {"Fn::GetAtt": ["A", "CidrBlock"]}}
    assert member.create("net", resources, outputs=outputs) == "CREATE_COMPLETE"
    assert member.outputs("net") == {"Vpc": "10.1.0.0/24", "A": "10.1.0.0/25"}
    assert member.delete("net") == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "resources", "failed", "code"),
    [
        ("wide-vpc", {"Vpc": _vpc("10.0.0.0/15")}, "Vpc", "InvalidVpc.Range"),
        ("narrow-vpc", {"Vpc": _vpc("10.0.0.0/29")}, "Vpc", "InvalidVpc.Range"),
        ("no-cidr", {"Vpc": _vpc("10.0.0.0")}, "Vpc", "InvalidParameterValue"),
        ("empty", {"Vpc": _vpc("")}, "Vpc", "MissingParameter"),
        ("outside", {"Vpc": _vpc("10.0.0.0/24"), "A": _subnet("10.0.1.0/25")}, "A", "InvalidSubnet.Range"),
        ("larger", {"Vpc": _vpc("10.0.0.0/24"), "A": _subnet("10.0.0.0/23")}, "A", "InvalidSubnet.Range"),
        ("narrow", {"Vpc": _vpc("10.0.0.0/24"), "A": _subnet("10.0.0.0/29")}, "A", "InvalidSubnet.Range"),
        (
            "overlap",
            {"Vpc": _vpc("10.0.0.0/24"), "A": _subnet("10.0.0.0/25"), "B": _subnet("10.0.0.64/26", ["A"])},
            "B",
            "InvalidSubnet.Conflict",
        ),
        ("second", {"Vpc": _vpc("10.0.0.0/24"), "More": _more("10.0.0.0/25")}, "More", "InvalidVpc.Range"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_ec2_refuses(member: Account, name: str, resources: dict[str, Any], failed: str, code: str) -> None:
    """A wrong CIDR fails its resource with EC2's code, and the stack rolls back."""
    assert member.create(f"net-{name}", resources) == "ROLLBACK_COMPLETE"
    assert f"Error Code: {code}" in member.reason(f"net-{name}", failed, "CREATE_FAILED")


def test_host_bits_are_dropped(member: Account) -> None:
    """EC2 turns a block into its canonical form, as its reference says."""
    outputs = {"Vpc": {"Fn::GetAtt": ["Vpc", "CidrBlock"]}}
    assert member.create("bits", {"Vpc": _vpc("100.68.0.18/18")}, outputs=outputs) == "CREATE_COMPLETE"
    assert member.outputs("bits") == {"Vpc": "100.68.0.0/18"}


def test_second_block_of_a_vpc(member: Account) -> None:
    """A subnet may be in any block of its VPC; the second one goes before the VPC does."""
    resources = {"Vpc": _vpc("10.2.0.0/24"), "More": _more("10.2.4.0/24"), "A": _subnet("10.2.4.0/25", ["More"])}
    outputs = {"Id": {"Ref": "Vpc"}, "Association": {"Ref": "More"}}
    assert member.create("more", resources, outputs=outputs) == "CREATE_COMPLETE"
    seen = member.outputs("more")
    [vpc] = member.ec2.describe_vpcs(VpcIds=[seen["Id"]])["Vpcs"]
    blocks = {block["CidrBlock"]: block["AssociationId"] for block in vpc["CidrBlockAssociationSet"]}
    assert blocks.keys() == {"10.2.0.0/24", "10.2.4.0/24"}
    assert blocks["10.2.4.0/24"] == seen["Association"]
    assert member.delete("more") == "DELETE_COMPLETE"


def _six(cidr: str, **more: Any) -> dict[str, Any]:
    said = {"VpcId": {"Ref": "Vpc"}, "Ipv6CidrBlock": cidr, "Ipv6Pool": "ipv6pool-ec2-0"}
    return {"Type": "AWS::EC2::VPCCidrBlock", "Properties": said | more}


def test_ipv6_of_a_vpc_and_its_subnets(member: Account) -> None:
    """A subnet's /64 is inside the VPC's block, comes and goes in place, and keeps that block while it is there."""
    a = _subnet("10.6.0.0/25", ["Six"])
    resources = {"Vpc": _vpc("10.6.0.0/24"), "Six": _six("2001:db8:1::/56"), "A": a}
    outputs = {"Id": {"Ref": "Vpc"}, "A": {"Ref": "A"}, "Six": {"Ref": "Six"}}
    assert member.create("six", resources, outputs=outputs) == "CREATE_COMPLETE"
    made = member.outputs("six")
    for wanted in ("2001:db8:1:7::/64", "2001:db8:1:8::/64"):
        a["Properties"]["Ipv6CidrBlock"] = wanted
        assert member.update("six", resources, outputs=outputs) == "UPDATE_COMPLETE"
        assert member.outputs("six") == made
        [subnet] = member.ec2.describe_subnets(SubnetIds=[made["A"]])["Subnets"]
        assert [each["Ipv6CidrBlock"] for each in subnet["Ipv6CidrBlockAssociationSet"]] == [wanted]
    [vpc] = member.ec2.describe_vpcs(VpcIds=[made["Id"]])["Vpcs"]
    [block] = vpc["Ipv6CidrBlockAssociationSet"]
    assert (block["Ipv6CidrBlock"], block["AssociationId"]) == ("2001:db8:1::/56", made["Six"])
    with pytest.raises(ClientError, match="DependencyViolation"):
        member.ec2.disassociate_vpc_cidr_block(AssociationId=made["Six"])
    assert member.delete("six") == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "six", "of_subnet", "failed"),
    [
        ("long", _six("2001:db8:2::/61"), "2001:db8:2::/64", "Six"),
        ("pool", _six("2001:db8:2::/56", Ipv6Pool=""), "2001:db8:2::/64", "Six"),
        ("wrong", _six("10.0.0.0/24"), "2001:db8:2::/64", "Six"),
        ("outside", _six("2001:db8:2::/56"), "2001:db8:3::/64", "A"),
        ("width", _six("2001:db8:2::/56"), "2001:db8:2::/65", "A"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_ipv6_that_ec2_refuses(member: Account, name: str, six: dict[str, Any], of_subnet: str, failed: str) -> None:
    """A VPC's length, a pool of one's own, and a subnet inside of it."""
    a = _subnet("10.6.0.0/25", ["Six"])
    a["Properties"]["Ipv6CidrBlock"] = of_subnet
    assert member.create(f"six-{name}", {"Vpc": _vpc("10.6.0.0/24"), "Six": six, "A": a}) == "ROLLBACK_COMPLETE"
    assert "Error Code" in member.reason(f"six-{name}", failed, "CREATE_FAILED")


def test_replacement_of_a_vpc_keeps_the_old_one_until_the_end(member: Account) -> None:
    """Another CIDR is another VPC: the old one goes in the clean-up, and stays if the update fails."""
    member.create("vpc", {"Vpc": _vpc("10.3.0.0/24")}, outputs={"Id": {"Ref": "Vpc"}})
    old = member.outputs("vpc")["Id"]
    failing = {"Vpc": _vpc("10.3.1.0/24"), "A": _subnet("10.9.0.0/25")}
    assert member.update("vpc", failing) == "UPDATE_ROLLBACK_COMPLETE"
    assert member.outputs("vpc")["Id"] == old
    assert member.update("vpc", {"Vpc": _vpc("10.3.1.0/24")}, outputs={"Id": {"Ref": "Vpc"}}) == "UPDATE_COMPLETE"
    new = member.outputs("vpc")["Id"]
    cidrs = {vpc["VpcId"]: vpc["CidrBlock"] for vpc in member.ec2.describe_vpcs()["Vpcs"]}
    assert cidrs[new] == "10.3.1.0/24"
    assert old not in cidrs


def test_calls_are_checked_too(member: Account) -> None:
    """CreateVpc, CreateSubnet and AssociateVpcCidrBlock refuse what templates may not have either."""
    ec2 = member.ec2
    vpc = ec2.create_vpc(CidrBlock="10.4.0.0/24")["Vpc"]["VpcId"]
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.4.0.0/25")
    association = ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.4.1.0/24")["CidrBlockAssociation"]
    ec2.disassociate_vpc_cidr_block(AssociationId=association["AssociationId"])
    for call, arguments, code in (
        (ec2.create_vpc, {"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        (ec2.create_subnet, {"VpcId": vpc, "CidrBlock": "10.4.0.0/26"}, "InvalidSubnet.Conflict"),
        (ec2.create_subnet, {"VpcId": vpc, "CidrBlock": "10.5.0.0/26"}, "InvalidSubnet.Range"),
        (ec2.create_subnet, {"VpcId": "vpc-0", "CidrBlock": "10.5.0.0/26"}, "InvalidVpcID.NotFound"),
        (ec2.associate_vpc_cidr_block, {"VpcId": vpc, "CidrBlock": "10.4.0.0/26"}, "InvalidVpc.Range"),
    ):
        with pytest.raises(ClientError) as raised:
            call(**arguments)
        assert raised.value.response["Error"]["Code"] == code
