"""VPCs and subnets that only take the CIDRs that EC2 takes, and go only when nothing is left in them.

Gap: the emulator accepts any CIDR for a VPC or a subnet, knows no IPv6, has neither `AWS::EC2::VPCCidrBlock` nor
`Fn::GetAtt Vpc.CidrBlock`, and so would let a wrong address plan pass; it deletes a subnet that is in use, and a VPC
with its route tables and ACLs. Restored: a block from /16 to /28, or for IPv6 from /44 to /60 and for a subnet to /64
in steps of four, in its canonical form, a subnet inside a CIDR of its VPC and clear of the others, a subnet that a NAT
gateway or a transit gateway keeps, a VPC that its tables and ACLs keep, and EC2's own error codes:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateVpcCidrBlock.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSubnet.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-vpc.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-vpccidrblock.html
EC2 takes a block with host bits and drops them, as its reference says, so that is no error here either. An IPv6 block
comes from a pool of one's own addresses (Ipv6Pool), of which any is believed. Not there: Amazon's IPv6 blocks, blocks
from an EC2 IPAM pool (both are refused by name), IPv6 in the calls for subnets, and the ranges that a second block must
not be in.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from ministack.services import ec2
from ministack.services.cloudformation import provisioners

from local.bridges import ec2_api, nat, network_acls, transit
from local.bridges.ec2_api import Ec2Error, answered, new_id, parameter
from local.bridges.resource_types import ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.bridges.ec2_api import Params, Reply

    Handler = dict[str, Any]
    Attributes = dict[str, Any]

_SHORTEST, _LONGEST = 16, 28
# IPv6: the shortest and the longest length of a VPC's block and of a subnet's, in steps of four.
_VPC_SIX, _SUBNET_SIX = (44, 60), (44, 64)
# The emulator's record of a VPC has one CIDR; the others are kept on it under these names. That of a subnet has none.
_MORE = "_more_cidr_blocks"
_SIX = "_ipv6_cidr_blocks"
_VPC_ATTRIBUTES = ("VpcId", "CidrBlock", "CidrBlockAssociations", "Ipv6CidrBlocks")


def block(text: object, parameter: str, code: str) -> ipaddress.IPv4Network:
    """Read a CIDR of a VPC or a subnet in its canonical form.

    Raises:
        Ec2Error: it is none, or its length is outside /16 to /28.
    """
    if not text:
        raise Ec2Error("MissingParameter", f"The request must contain the parameter {parameter}")
    address, _, length = str(text).partition("/")
    bits = int(length) if length.isascii() and length.isdigit() else -1
    try:
        network = ipaddress.IPv4Network((ipaddress.IPv4Address(address), bits), strict=False)
    except ValueError:
        message = f"Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block."
        raise Ec2Error("InvalidParameterValue", message) from None
    if not _SHORTEST <= network.prefixlen <= _LONGEST:
        raise Ec2Error(code, f"The CIDR '{text}' is invalid.")
    return network


def block_six(text: object, lengths: tuple[int, int]) -> ipaddress.IPv6Network:
    """Read an IPv6 CIDR of a VPC or a subnet in its canonical form.

    Raises:
        Ec2Error: it is none, or of a length that these don't have.
    """
    address, _, length = str(text).partition("/")
    bits = int(length) if length.isascii() and length.isdigit() else -1
    try:
        network = ipaddress.IPv6Network((ipaddress.IPv6Address(address), bits), strict=False)
    except ValueError:
        network = None
    if network is None or network.prefixlen not in range(lengths[0], lengths[1] + 1, 4):
        message = f"Value ({text}) for parameter ipv6CidrBlock is invalid. This is not a valid CIDR block."
        raise Ec2Error("InvalidParameterValue", message)
    return network


def vpc_blocks(vpc: dict[str, Any]) -> list[ipaddress.IPv4Network]:
    """Give every CIDR of a VPC, the first one first."""
    more = [association["CidrBlock"] for association in vpc.get(_MORE, [])]
    return [ipaddress.IPv4Network(text) for text in (vpc["CidrBlock"], *more)]


def _six(record: dict[str, Any]) -> list[str]:
    return [association["Ipv6CidrBlock"] for association in record.get(_SIX, [])]


def _new_subnet_block(vpc_id: str, text: object) -> str:
    network = block(text, "cidrBlock", "InvalidSubnet.Range")
    vpc = _vpc(vpc_id)
    if not any(network.subnet_of(whole) for whole in vpc_blocks(vpc)):
        raise Ec2Error("InvalidSubnet.Range", f"The CIDR '{network}' is invalid.")
    _refuse_overlap(network, (s["CidrBlock"] for s in ec2._subnets.values() if s["VpcId"] == vpc_id))  # noqa: SLF001
    return str(network)


def _new_subnet_six(vpc_id: str, text: object) -> str:
    network = block_six(text, _SUBNET_SIX)
    if not any(network.subnet_of(ipaddress.IPv6Network(whole)) for whole in _six(_vpc(vpc_id))):
        raise Ec2Error("InvalidSubnet.Range", f"The CIDR '{network}' is invalid.")
    in_vpc = [subnet for subnet in ec2._subnets.values() if subnet["VpcId"] == vpc_id]  # noqa: SLF001
    _refuse_overlap(network, (other for subnet in in_vpc for other in _six(subnet)))
    return str(network)


def _refuse_overlap(network: ipaddress.IPv4Network | ipaddress.IPv6Network, others: Iterable[str]) -> None:
    if any(network.overlaps(type(network)(other)) for other in others):
        raise Ec2Error("InvalidSubnet.Conflict", f"The CIDR '{network}' conflicts with another subnet")


def _vpc(vpc_id: str) -> dict[str, Any]:
    vpc: dict[str, Any] | None = ec2._vpcs.get(vpc_id)  # noqa: SLF001
    if vpc is None:
        raise Ec2Error("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
    return vpc


def _associate(vpc_id: str, text: object) -> dict[str, str]:
    network = block(text, "cidrBlock", "InvalidVpc.Range")
    vpc = _vpc(vpc_id)
    if any(network.overlaps(whole) for whole in vpc_blocks(vpc)):
        raise Ec2Error("InvalidVpc.Range", f"The CIDR '{network}' conflicts with another CIDR of the VPC.")
    association = {"AssociationId": new_id("vpc-cidr-assoc"), "CidrBlock": str(network)}
    vpc.setdefault(_MORE, []).append(association)
    return association


def _associate_six(vpc_id: str, text: object, pool: object) -> dict[str, str]:
    network, vpc = block_six(text, _VPC_SIX), _vpc(vpc_id)
    if not pool:
        raise Ec2Error("MissingParameter", "The request must contain the parameter ipv6Pool")
    if any(network.overlaps(ipaddress.IPv6Network(other)) for each in ec2._vpcs.values() for other in _six(each)):  # noqa: SLF001
        raise Ec2Error("InvalidVpc.Range", f"The CIDR '{network}' conflicts with another CIDR.")
    association = {"AssociationId": new_id("vpc-cidr-assoc"), "Ipv6CidrBlock": str(network), "Ipv6Pool": str(pool)}
    vpc.setdefault(_SIX, []).append(association)
    return association


def _disassociate(association_id: str) -> tuple[str, dict[str, str]]:
    for vpc_id, vpc in ec2._vpcs.items():  # noqa: SLF001
        for kind in (_MORE, _SIX):
            for association in vpc.get(kind, []):
                if association["AssociationId"] == association_id:
                    _refuse_if_subnets(vpc_id, association)
                    vpc[kind].remove(association)
                    return vpc_id, association
    raise Ec2Error("InvalidCidrBlockAssociationID.NotFound", f"The association '{association_id}' does not exist")


def _refuse_if_subnets(vpc_id: str, association: dict[str, str]) -> None:
    whole = ipaddress.ip_network(association.get("CidrBlock") or association["Ipv6CidrBlock"])
    subnets = [subnet for subnet in ec2._subnets.values() if subnet["VpcId"] == vpc_id]  # noqa: SLF001
    blocks = [text for subnet in subnets for text in (subnet["CidrBlock"], *_six(subnet))]
    if any(whole.overlaps(ipaddress.ip_network(text)) for text in blocks):
        message = f"The vpc CIDR block with association ID {association['AssociationId']} has dependencies"
        raise Ec2Error("DependencyViolation", message)


def _refuse_if_used(subnet_id: str) -> None:
    """Refuse the deletion of a subnet that has network interfaces; those of NAT and transit gateways are seen here."""
    natted = any(gateway["SubnetId"] == subnet_id for gateway in nat.nat_gateways())
    plain = any(each["SubnetId"] == subnet_id for each in ec2._network_interfaces.values())  # noqa: SLF001
    if natted or plain or any(subnet_id in attachment["SubnetIds"] for attachment in transit.attachments()):
        message = f"The subnet '{subnet_id}' has dependencies and cannot be deleted."
        raise Ec2Error("DependencyViolation", message)


def _forget_subnet(subnet_id: str) -> None:
    network_acls.forget_subnet(subnet_id)
    for table in ec2._route_tables.values():  # noqa: SLF001
        table["Associations"] = [each for each in table["Associations"] if each.get("SubnetId") != subnet_id]


# ------------------------------------------------------------------------------------------------ CloudFormation types


def _register_types() -> None:
    handlers: dict[str, Handler] = provisioners._RESOURCE_HANDLERS  # noqa: SLF001
    handlers["AWS::EC2::VPC"] = _checked(handlers["AWS::EC2::VPC"], _vpc_properties, _vpc_attributes)
    emulated = handlers["AWS::EC2::Subnet"]
    subnet = _checked(emulated, _subnet_properties, _subnet_attributes, _change_six)
    handlers["AWS::EC2::Subnet"] = {**subnet, "delete": _delete_subnet(emulated["delete"])}
    # A replacement that is cleaned up is deleted by its name in the emulator.
    provisioners._ec2_subnet_delete = handlers["AWS::EC2::Subnet"]["delete"]  # noqa: SLF001
    ResourceType(
        "AWS::EC2::VPCCidrBlock",
        _create_cidr_block,
        _delete_cidr_block,
        ("CidrBlock", "Ipv6CidrBlock", "Ipv6Pool", "VpcId"),
    ).register()


def _checked(
    emulated: Handler,
    check: Callable[[Attributes], Attributes],
    attributes: Callable[[str], Attributes],
    settle: Callable[[str, Attributes], None] = lambda _physical_id, _props: None,
) -> Handler:
    def create(logical_id: str, props: Attributes, stack_name: str) -> tuple[str, Attributes]:
        physical_id, known = emulated["create"](logical_id, check(props), stack_name)
        settle(physical_id, props)
        return physical_id, {**known, **attributes(physical_id)}

    def update(
        physical_id: str, old: Attributes, new: Attributes, stack_name: str, logical_id: str | None = None
    ) -> tuple[str, Attributes]:
        # A replacement is checked as the new resource that it is; what stays in place has nothing to check.
        moved = any(old.get(name) != new.get(name) for name in ("CidrBlock", "VpcId"))
        props = check(new) if moved else {**new, "CidrBlock": attributes(physical_id)["CidrBlock"]}
        changed_id, known = emulated["update"](physical_id, old, props, stack_name, logical_id)
        settle(changed_id, new)
        return changed_id, {**known, **attributes(changed_id)}

    return {**emulated, "create": create, "update": update, "update_with_logical_id": True}


def _vpc_properties(props: Attributes) -> Attributes:
    _refuse_elsewhere("AWS::EC2::VPC", props, ("Ipv4IpamPoolId", "Ipv4NetmaskLength"))
    return {**props, "CidrBlock": str(block(props.get("CidrBlock"), "cidrBlock", "InvalidVpc.Range"))}


def _subnet_properties(props: Attributes) -> Attributes:
    _refuse_elsewhere("AWS::EC2::Subnet", props, ("Ipv4IpamPoolId", "Ipv4NetmaskLength"))
    vpc_id = props.get("VpcId", "")
    if props.get("Ipv6CidrBlock"):
        _new_subnet_six(vpc_id, props["Ipv6CidrBlock"])
    return {**props, "CidrBlock": _new_subnet_block(vpc_id, props.get("CidrBlock"))}


def _change_six(subnet_id: str, props: Attributes) -> None:
    """Give a subnet the IPv6 block that its properties name, in the place of what it has."""
    subnet, wanted = ec2._subnets[subnet_id], props.get("Ipv6CidrBlock")  # noqa: SLF001
    had = subnet.pop(_SIX, [])
    if not wanted:
        return
    text = _new_subnet_six(subnet["VpcId"], wanted)
    same = next((association for association in had if association["Ipv6CidrBlock"] == text), None)
    subnet[_SIX] = [same or {"AssociationId": new_id("subnet-cidr-assoc"), "Ipv6CidrBlock": text}]


def _delete_subnet(emulated: Callable[[str, Attributes], None]) -> Callable[[str, Attributes], None]:
    def delete(subnet_id: str, props: Attributes) -> None:
        _refuse_if_used(subnet_id)
        emulated(subnet_id, props)
        _forget_subnet(subnet_id)

    return delete


def _refuse_elsewhere(resource_type: str, props: Attributes, names: tuple[str, ...]) -> None:
    for name in names:
        if name in props:
            raise ValueError(f"The local twin does not know the property {name} of {resource_type}")


def _vpc_attributes(vpc_id: str) -> Attributes:
    vpc = _vpc(vpc_id)
    associations = [f"vpc-cidr-assoc-{vpc_id[4:]}", *(a["AssociationId"] for a in vpc.get(_MORE, []))]
    return dict(zip(_VPC_ATTRIBUTES, (vpc_id, vpc["CidrBlock"], associations, _six(vpc)), strict=True))


def _subnet_attributes(subnet_id: str) -> Attributes:
    subnet = ec2._subnets[subnet_id]  # noqa: SLF001
    names = ("SubnetId", "VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId")
    return {**{name: subnet[name] for name in names}, "Ipv6CidrBlocks": _six(subnet)}


def _create_cidr_block(props: Attributes) -> tuple[str, Attributes]:
    vpc_id = props.get("VpcId", "")
    if props.get("Ipv6CidrBlock"):
        association = _associate_six(vpc_id, props["Ipv6CidrBlock"], props.get("Ipv6Pool"))
    else:
        association = _associate(vpc_id, props.get("CidrBlock"))
    return association["AssociationId"], {"Id": association["AssociationId"], "VpcId": vpc_id}


def _delete_cidr_block(physical_id: str, _props: Attributes) -> None:
    try:
        _disassociate(physical_id)
    except Ec2Error as error:
        if not error.code.endswith("NotFound"):
            raise


# --------------------------------------------------------------------------------------------------------- EC2's API


def _register_calls() -> None:
    calls = ec2_api.calls()
    emulated_vpc, emulated_subnet = calls["CreateVpc"], calls["CreateSubnet"]
    delete_vpc, delete_subnet = ec2._delete_vpc, calls["DeleteSubnet"]  # noqa: SLF001

    def create_vpc(params: Params) -> Reply:
        network = block(parameter(params, "CidrBlock"), "cidrBlock", "InvalidVpc.Range")
        return tuple(emulated_vpc({**params, "CidrBlock": [str(network)]}))

    def create_subnet(params: Params) -> Reply:
        if parameter(params, "Ipv6CidrBlock"):
            raise Ec2Error("InvalidParameterValue", "The local twin does not know the parameter Ipv6CidrBlock here")
        network = _new_subnet_block(parameter(params, "VpcId"), parameter(params, "CidrBlock"))
        return tuple(emulated_subnet({**params, "CidrBlock": [network]}))

    def remove_subnet(params: Params) -> Reply:
        _refuse_if_used(parameter(params, "SubnetId"))
        reply = tuple(delete_subnet(params))
        _forget_subnet(parameter(params, "SubnetId"))
        return reply

    def remove_vpc(params: Params) -> Reply:
        _refuse_if_guarded(parameter(params, "VpcId"))
        return tuple(delete_vpc(params))

    calls["CreateVpc"] = answered(create_vpc)
    calls["CreateSubnet"] = answered(create_subnet)
    calls["DeleteSubnet"] = answered(remove_subnet)
    calls["DeleteVpc"] = answered(remove_vpc)
    # By this name the emulator's CloudFormation calls it.
    ec2._delete_vpc = calls["DeleteVpc"]  # noqa: SLF001
    calls["AssociateVpcCidrBlock"] = answered(_associate_call)
    calls["DisassociateVpcCidrBlock"] = answered(_disassociate_call)


def _refuse_if_guarded(vpc_id: str) -> None:
    tables = (table for table in ec2._route_tables.values() if table["VpcId"] == vpc_id)  # noqa: SLF001
    acls = (acl for acl in ec2._network_acls.values() if acl["VpcId"] == vpc_id)  # noqa: SLF001
    main = ec2._vpcs.get(vpc_id, {}).get("MainRouteTableId")  # noqa: SLF001
    if any(table["RouteTableId"] != main for table in tables) or any(not acl["IsDefault"] for acl in acls):
        raise Ec2Error("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")


def _associate_call(params: Params) -> Reply:
    vpc_id, six = parameter(params, "VpcId"), parameter(params, "Ipv6CidrBlock")
    if six:
        association = _associate_six(vpc_id, six, parameter(params, "Ipv6Pool"))
    else:
        association = _associate(vpc_id, parameter(params, "CidrBlock"))
    return ec2_api.xml("AssociateVpcCidrBlock", _association(vpc_id, association, "associated"))


def _disassociate_call(params: Params) -> Reply:
    vpc_id, association = _disassociate(parameter(params, "AssociationId"))
    return ec2_api.xml("DisassociateVpcCidrBlock", _association(vpc_id, association, "disassociated"))


def _association(vpc_id: str, association: dict[str, str], state: str) -> str:
    tag = "ipv6CidrBlockAssociation" if "Ipv6CidrBlock" in association else "cidrBlockAssociation"
    return f"<vpcId>{vpc_id}</vpcId><{tag}>{_item(association, state)}</{tag}>"


def _item(association: dict[str, str], state: str) -> str:
    """Show an association: of an IPv4 block or of an IPv6 block, of a VPC or of a subnet."""
    six = "Ipv6CidrBlock" in association
    tag, text = ("ipv6CidrBlock", association["Ipv6CidrBlock"]) if six else ("cidrBlock", association["CidrBlock"])
    pool = f"<ipv6Pool>{association['Ipv6Pool']}</ipv6Pool>" if "Ipv6Pool" in association else ""
    return (
        f"<{tag}>{text}</{tag}><associationId>{association['AssociationId']}</associationId>"
        f"<{tag}State><state>{state}</state></{tag}State>{pool}"
    )


def _items(record: dict[str, Any], kind: str) -> str:
    return "".join(f"<item>{_item(association, 'associated')}</item>" for association in record.get(kind, []))


def _show_every_block() -> None:
    emulated_vpc, emulated_subnet = ec2._vpc_fields_xml, ec2._subnet_fields_xml  # noqa: SLF001

    def vpc_fields(vpc: dict[str, Any], tag: str = "item") -> str:
        more = f"{_items(vpc, _MORE)}</cidrBlockAssociationSet>"
        six = f"<ipv6CidrBlockAssociationSet>{_items(vpc, _SIX)}</ipv6CidrBlockAssociationSet>"
        return str(emulated_vpc(vpc, tag)).replace("</cidrBlockAssociationSet>", more + six, 1)

    def subnet_fields(subnet: dict[str, Any], tag: str = "item") -> str:
        six = f"<ipv6CidrBlockAssociationSet>{_items(subnet, _SIX)}</ipv6CidrBlockAssociationSet>"
        return str(emulated_subnet(subnet, tag)).replace("<ipv6Native>", f"{six}<ipv6Native>", 1)

    ec2._vpc_fields_xml, ec2._subnet_fields_xml = vpc_fields, subnet_fields  # noqa: SLF001


def register() -> None:
    """Check what templates and calls ask of EC2."""
    _register_types()
    _register_calls()
    _show_every_block()
