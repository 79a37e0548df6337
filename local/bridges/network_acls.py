"""Network ACLs, their entries, and which subnets they guard.

Gap: the emulator's EC2 has ACLs whose entries have no ports, and of which none guards a subnet; its CloudFormation has
no types for them. Restored: an entry's port range, a rule number that is there once in each direction, an ACL of the
subnet's own VPC, which cannot be deleted while it guards a subnet, and a subnet that falls back to the VPC's default
ACL:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-networkacl.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-networkaclentry.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-subnetnetworkaclassociation.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkAclEntry.html
Not there: ICMP types. The calls that change an ACL are the emulator's own, except that deletion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import ec2

from local.bridges import ec2_api
from local.bridges.ec2_api import Ec2Error, call, new_id, parameter
from local.bridges.resource_types import ResourceType, tag, truth

if TYPE_CHECKING:
    from local.bridges.ec2_api import Params, Reply
    from local.bridges.resource_types import Made, Properties

_WITH_PORTS = {"6", "17"}


def forget_subnet(subnet_id: str) -> None:
    """Take a subnet that is no more out of every ACL."""
    for acl in ec2._network_acls.values():  # noqa: SLF001
        acl["Associations"] = [each for each in acl["Associations"] if each["SubnetId"] != subnet_id]


def _acl(acl_id: str) -> dict[str, Any]:
    acl: dict[str, Any] | None = ec2._network_acls.get(acl_id)  # noqa: SLF001
    if acl is None:
        raise Ec2Error("InvalidNetworkAclID.NotFound", f"The networkAcl ID '{acl_id}' does not exist")
    return acl


# ------------------------------------------------------------------------------------------------------------- the ACL


def _create_acl(props: Properties) -> Made:
    if props.get("VpcId") not in ec2._vpcs:  # noqa: SLF001
        raise Ec2Error("InvalidVpcID.NotFound", f"The vpc ID '{props.get('VpcId')}' does not exist")
    made = call(ec2._create_network_acl, VpcId=props["VpcId"])  # noqa: SLF001
    acl_id = made.findtext("networkAcl/networkAclId") or ""
    tag(acl_id, props)
    return acl_id, {"Id": acl_id}


def _change_acl(acl_id: str, old: Properties, new: Properties) -> Made:
    tag(acl_id, new, old)
    return acl_id, {"Id": acl_id}


def _delete_acl_call(params: Params) -> Reply:
    acl_id = parameter(params, "NetworkAclId")
    if _acl(acl_id)["Associations"]:
        message = f"The networkAcl '{acl_id}' has dependencies and cannot be deleted."
        raise Ec2Error("DependencyViolation", message)
    return tuple(ec2._delete_network_acl(params))  # noqa: SLF001


def _delete_acl(acl_id: str, _props: Properties) -> None:
    if acl_id in ec2._network_acls:  # noqa: SLF001
        call(_delete_acl_call, NetworkAclId=acl_id)


# ----------------------------------------------------------------------------------------------------------- its rules


def _create_entry(props: Properties) -> Made:
    acl, number, egress = _acl(props.get("NetworkAclId", "")), int(props["RuleNumber"]), truth(props.get("Egress"))
    if any((each["RuleNumber"], each["Egress"]) == (number, egress) for each in acl["Entries"]):
        message = f"The network acl entry identified by {number} already exists."
        raise Ec2Error("NetworkAclEntryAlreadyExists", message)
    _put_entry(acl, props)
    entry_id = f"{acl['NetworkAclId']}-{number}-{'out' if egress else 'in'}"
    return entry_id, {"Id": entry_id}


def _put_entry(acl: dict[str, Any], props: Properties) -> None:
    protocol, ports = str(props["Protocol"]), props.get("PortRange")
    if protocol in _WITH_PORTS and not ports:
        raise Ec2Error("MissingParameter", "The request must contain the parameter portRange")
    if not props.get("CidrBlock") and not props.get("Ipv6CidrBlock"):
        raise Ec2Error("MissingParameter", "The request must contain the parameter cidrBlock or ipv6CidrBlock")
    names = ("NetworkAclId", "RuleNumber", "Protocol", "RuleAction", "CidrBlock", "Ipv6CidrBlock")
    said = {name: props.get(name) for name in names} | {"Egress": truth(props.get("Egress"))}
    call(ec2._replace_network_acl_entry, **said)  # noqa: SLF001
    if ports:
        acl["Entries"][-1]["PortRange"] = {"From": int(ports["From"]), "To": int(ports["To"])}


def _change_entry(entry_id: str, _old: Properties, new: Properties) -> Made:
    _put_entry(_acl(new["NetworkAclId"]), new)
    return entry_id, {"Id": entry_id}


def _delete_entry(_entry_id: str, props: Properties) -> None:
    if props.get("NetworkAclId") in ec2._network_acls:  # noqa: SLF001
        names = ("NetworkAclId", "RuleNumber")
        said = {name: props[name] for name in names} | {"Egress": truth(props.get("Egress"))}
        call(ec2._delete_network_acl_entry, **said)  # noqa: SLF001


def _show_ports() -> None:
    emulated = ec2._network_acl_entry_xml  # noqa: SLF001

    def entry_xml(entry: dict[str, Any]) -> str:
        ports = entry.get("PortRange")
        shown = f"<portRange><from>{ports['From']}</from><to>{ports['To']}</to></portRange>" if ports else ""
        return str(emulated(entry)).replace("</item>", f"{shown}</item>")

    ec2._network_acl_entry_xml = entry_xml  # noqa: SLF001


# -------------------------------------------------------------------------------------------------- whom it stands for


def _associate(props: Properties) -> Made:
    acl, subnet = _acl(props.get("NetworkAclId", "")), ec2._subnets.get(props.get("SubnetId", ""))  # noqa: SLF001
    if subnet is None:
        raise Ec2Error("InvalidSubnetID.NotFound", f"The subnet ID '{props.get('SubnetId')}' does not exist")
    if subnet["VpcId"] != acl["VpcId"]:
        message = f"The network ACL {acl['NetworkAclId']} and subnet {subnet['SubnetId']} belong to different networks"
        raise Ec2Error("InvalidParameterValue", message)
    association_id = _move(subnet["SubnetId"], acl)
    return association_id, {"AssociationId": association_id}


def _move(subnet_id: str, acl: dict[str, Any]) -> str:
    forget_subnet(subnet_id)
    association_id = new_id("aclassoc")
    acl["Associations"].append({"NetworkAclAssociationId": association_id, "SubnetId": subnet_id})
    return association_id


def _disassociate(association_id: str, _props: Properties) -> None:
    """Let the subnet fall back to the default ACL, unless another has it by now."""
    acls = list(ec2._network_acls.values())  # noqa: SLF001
    for acl in acls:
        for each in acl["Associations"]:
            if each["NetworkAclAssociationId"] == association_id:
                default = next(other for other in acls if other["VpcId"] == acl["VpcId"] and other["IsDefault"])
                _move(each["SubnetId"], default)
                return


def register() -> None:
    """Add the types, and show what they hold."""
    ec2_api.calls()["DeleteNetworkAcl"] = ec2_api.answered(_delete_acl_call)
    _show_ports()
    ResourceType("AWS::EC2::NetworkAcl", _create_acl, _delete_acl, ("VpcId",), ("Tags",), _change_acl).register()
    ResourceType(
        "AWS::EC2::NetworkAclEntry",
        _create_entry,
        _delete_entry,
        ("NetworkAclId", "RuleNumber", "Egress"),
        ("CidrBlock", "Ipv6CidrBlock", "PortRange", "Protocol", "RuleAction"),
        _change_entry,
    ).register()
    ResourceType(
        "AWS::EC2::SubnetNetworkAclAssociation", _associate, _disassociate, ("NetworkAclId", "SubnetId")
    ).register()
