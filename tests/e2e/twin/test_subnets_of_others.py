"""Network ACLs, flow logs and shares: what guards a subnet, what records it, and who else may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.settings import NETWORK_ACCOUNT, OUTSIDE_ACCOUNT

if TYPE_CHECKING:
    from tests.e2e.twin.account import Account

NETWORK: dict[str, Any] = {
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.20.0.0/24"}},
    "A": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.20.0.0/28"}},
}
ACL: dict[str, Any] = {"Acl": {"Type": "AWS::EC2::NetworkAcl", "Properties": {"VpcId": {"Ref": "Vpc"}}}}
GUARD: dict[str, Any] = {
    "Guard": {
        "Type": "AWS::EC2::SubnetNetworkAclAssociation",
        "Properties": {"SubnetId": {"Ref": "A"}, "NetworkAclId": {"Ref": "Acl"}},
    }
}


def entry(**more: Any) -> dict[str, Any]:
    """Give an entry that lets HTTPS out."""
    said = {
        "NetworkAclId": {"Ref": "Acl"},
        "RuleNumber": 100,
        "Egress": True,
        "Protocol": 6,
        "RuleAction": "allow",
        "CidrBlock": "0.0.0.0/0",
        "PortRange": {"From": 443, "To": 443},
    }
    given = {name: value for name, value in (said | more).items() if value is not None}
    return {"Type": "AWS::EC2::NetworkAclEntry", "Properties": given}


def acls(member: Account, vpc: str) -> dict[bool, dict[str, Any]]:
    """Give a VPC's ACLs: the default one, and the other."""
    found = member.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
    return {acl["IsDefault"]: acl for acl in found}


def test_an_acl_guards_a_subnet(member: Account) -> None:
    """Its entries have ports and change in place; without the association the default ACL guards again."""
    outputs = {"Vpc": {"Ref": "Vpc"}, "A": {"Ref": "A"}, "Acl": {"Ref": "Acl"}}
    assert member.create("acl", NETWORK | ACL | GUARD | {"Out": entry()}, outputs=outputs) == "CREATE_COMPLETE"
    made = member.outputs("acl")
    (rule,) = acls(member, made["Vpc"])[False]["Entries"]
    assert (rule["Egress"], rule["RuleNumber"], rule["PortRange"]) == (True, 100, {"From": 443, "To": 443})
    assert [each["SubnetId"] for each in acls(member, made["Vpc"])[False]["Associations"]] == [made["A"]]
    with pytest.raises(ClientError, match="DependencyViolation"):
        member.ec2.delete_network_acl(NetworkAclId=made["Acl"])

    changed = NETWORK | ACL | GUARD | {"Out": entry(PortRange={"From": 80, "To": 80})}
    assert member.update("acl", changed, outputs=outputs) == "UPDATE_COMPLETE"
    (rule,) = acls(member, made["Vpc"])[False]["Entries"]
    assert rule["PortRange"] == {"From": 80, "To": 80}
    assert member.update("acl", NETWORK | ACL, outputs=outputs) == "UPDATE_COMPLETE"
    left = acls(member, made["Vpc"])
    assert (left[False]["Entries"], left[False]["Associations"]) == ([], [])
    assert [each["SubnetId"] for each in left[True]["Associations"]] == [made["A"]]
    assert member.delete("acl") == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("twice", {}, "NetworkAclEntryAlreadyExists"),
        ("no-ports", {"RuleNumber": 101, "PortRange": None}, "MissingParameter"),
        ("no-cidr", {"RuleNumber": 101, "CidrBlock": None}, "MissingParameter"),
        ("no-acl", {"NetworkAclId": "acl-00000000"}, "InvalidNetworkAclID.NotFound"),
    ],
)
def test_entries_that_ec2_refuses(member: Account, name: str, more: dict[str, Any], code: str) -> None:
    """A rule number once in each direction, ports for TCP, a CIDR, and an ACL that is there."""
    resources = NETWORK | ACL | {"Out": entry(), "Bad": entry(**more) | {"DependsOn": "Out"}}
    assert member.create(f"acl-{name}", resources) == "ROLLBACK_COMPLETE"
    assert f"Error Code: {code}" in member.reason(f"acl-{name}", "Bad", "CREATE_FAILED")


def test_a_flow_log_needs_its_vpc_and_its_role(member: Account) -> None:
    """It shows with what it records; nothing is recorded of what is not there, or by nobody."""
    said = {"ResourceType": "VPC", "ResourceId": {"Ref": "Vpc"}, "TrafficType": "ALL", "LogGroupName": "flows"}
    role = {"DeliverLogsPermissionArn": "arn:aws:iam::222222222222:role/flows"}
    log = {"Log": {"Type": "AWS::EC2::FlowLog", "Properties": said | role}}
    assert member.create("flows", NETWORK | log, outputs={"Log": {"Ref": "Log"}}) == "CREATE_COMPLETE"
    (seen,) = member.ec2.describe_flow_logs(FlowLogIds=[member.outputs("flows")["Log"]])["FlowLogs"]
    assert (seen["FlowLogStatus"], seen["LogDestination"]) == ("ACTIVE", "flows")
    assert member.delete("flows") == "DELETE_COMPLETE"
    assert not member.ec2.describe_flow_logs(FlowLogIds=[seen["FlowLogId"]])["FlowLogs"]
    for name, properties in (("no-vpc", said | role | {"ResourceId": "vpc-00000000"}), ("no-role", said)):
        log["Log"]["Properties"] = properties
        assert member.create(f"flows-{name}", NETWORK | log) == "ROLLBACK_COMPLETE"


def share(*principals: str, resource: Any = None) -> dict[str, Any]:
    """Give a share of the subnet with accounts of the organisation."""
    arn = {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:subnet/${A}"}
    said = {"Name": "lent", "AllowExternalPrincipals": False, "Principals": list(principals)}
    return {"Type": "AWS::RAM::ResourceShare", "Properties": said | {"ResourceArns": [resource or arn]}}


def test_a_subnet_is_shared_inside_the_organisation(member: Account) -> None:
    """The share shows with whom and what; it changes in place, and goes with its stack."""
    resources = NETWORK | {"Share": share(NETWORK_ACCOUNT)}
    outputs = {"A": {"Ref": "A"}, "Share": {"Ref": "Share"}}
    assert member.create("lent", resources, outputs=outputs) == "CREATE_COMPLETE"
    made, ram = member.outputs("lent"), member.session.client("ram")
    (seen,) = ram.get_resource_shares(resourceOwner="SELF")["resourceShares"]
    assert (seen["resourceShareArn"], seen["name"], seen["status"]) == (made["Share"], "lent", "ACTIVE")
    for kind, entity in (("PRINCIPAL", NETWORK_ACCOUNT), ("RESOURCE", made["A"])):
        (one,) = ram.get_resource_share_associations(associationType=kind)["resourceShareAssociations"]
        assert one["associatedEntity"].endswith(entity)
    resources["Share"] = share(NETWORK_ACCOUNT, "333333333333")
    assert member.update("lent", resources, outputs=outputs) == "UPDATE_COMPLETE"
    assert member.outputs("lent")["Share"] == made["Share"]
    assert len(ram.get_resource_share_associations(associationType="PRINCIPAL")["resourceShareAssociations"]) == 2
    assert member.delete("lent") == "DELETE_COMPLETE"
    assert ram.get_resource_shares(resourceOwner="SELF")["resourceShares"] == []


@pytest.mark.parametrize(
    ("name", "shared", "code"),
    [
        ("outside", share(OUTSIDE_ACCOUNT), "OperationNotPermittedException"),
        ("itself", share("222222222222"), "InvalidParameterException"),
        ("nothing", share(NETWORK_ACCOUNT, resource="arn:aws:s3:::bucket"), "MalformedArnException"),
        (
            "gone",
            share(NETWORK_ACCOUNT, resource="arn:aws:ec2:eu-central-1:222222222222:subnet/subnet-0"),
            "UnknownResourceException",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_shares_that_ram_refuses(member: Account, name: str, shared: dict[str, Any], code: str) -> None:
    """Nobody outside, not the owner, and only the account's own subnets."""
    assert member.create(f"lent-{name}", NETWORK | {"Share": shared}) == "ROLLBACK_COMPLETE"
    assert f"Error Code: {code}" in member.reason(f"lent-{name}", "Share", "CREATE_FAILED")


def test_an_unknown_call_of_ram_is_refused_by_its_name(member: Account) -> None:
    """What is not there says so."""
    with pytest.raises(ClientError, match="does not know the RAM call /listresources"):
        member.session.client("ram").list_resources(resourceOwner="SELF")
