"""VPCs and subnets that only take the CIDRs that EC2 takes.

Gap: the emulator accepts any CIDR for a VPC or a subnet, has neither `AWS::EC2::VPCCidrBlock` nor `Fn::GetAtt
Vpc.CidrBlock`, and so would let a wrong address plan pass. Restored: a block from /16 to /28, in its canonical form, a
subnet inside a CIDR of its VPC and clear of the others, and EC2's own error codes:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateVpcCidrBlock.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-vpc.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-vpccidrblock.html
EC2 takes a block with host bits and drops them, as its reference says, so that is no error here either. Not there: IPv6
blocks, blocks from an EC2 IPAM pool (both are refused by name), and the ranges that a second block must not be in.
"""

from __future__ import annotations

import ipaddress
import secrets
from typing import TYPE_CHECKING, Any

from ministack.services import ec2
from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Handler = dict[str, Any]
    Attributes = dict[str, Any]
    Reply = tuple[Any, ...]

_SHORTEST, _LONGEST = 16, 28
# The emulator's record of a VPC has one CIDR; the others are kept on it under this name.
_MORE = "_more_cidr_blocks"
_VPC_ATTRIBUTES = ("VpcId", "CidrBlock", "CidrBlockAssociations", "Ipv6CidrBlocks")
_ELSEWHERE = ("AmazonProvidedIpv6CidrBlock", "Ipv6CidrBlock", "Ipv6Pool", "Ipv4IpamPoolId", "Ipv6IpamPoolId")


class Ec2Error(Exception):
    """A call that EC2 refuses: its code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} (Service: Ec2, Status Code: 400, Error Code: {code})")
        self.code, self.message = code, message


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


def vpc_blocks(vpc: dict[str, Any]) -> list[ipaddress.IPv4Network]:
    """Give every CIDR of a VPC, the first one first."""
    more = [association["CidrBlock"] for association in vpc.get(_MORE, [])]
    return [ipaddress.IPv4Network(text) for text in (vpc["CidrBlock"], *more)]


def _new_subnet_block(vpc_id: str, text: object) -> str:
    network = block(text, "cidrBlock", "InvalidSubnet.Range")
    vpc = _vpc(vpc_id)
    if not any(network.subnet_of(whole) for whole in vpc_blocks(vpc)):
        raise Ec2Error("InvalidSubnet.Range", f"The CIDR '{network}' is invalid.")
    _refuse_overlap(network, (s["CidrBlock"] for s in ec2._subnets.values() if s["VpcId"] == vpc_id))  # noqa: SLF001
    return str(network)


def _refuse_overlap(network: ipaddress.IPv4Network, others: Iterable[str]) -> None:
    if any(network.overlaps(ipaddress.IPv4Network(other)) for other in others):
        raise Ec2Error("InvalidSubnet.Conflict", f"The CIDR '{network}' conflicts with another subnet")


def _vpc(vpc_id: str) -> dict[str, Any]:
    vpc = ec2._vpcs.get(vpc_id)  # noqa: SLF001
    if vpc is None:
        raise Ec2Error("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
    return dict(vpc) if not isinstance(vpc, dict) else vpc


def _associate(vpc_id: str, text: object) -> dict[str, str]:
    network = block(text, "cidrBlock", "InvalidVpc.Range")
    vpc = _vpc(vpc_id)
    if any(network.overlaps(whole) for whole in vpc_blocks(vpc)):
        raise Ec2Error("InvalidVpc.Range", f"The CIDR '{network}' conflicts with another CIDR of the VPC.")
    association = {"AssociationId": f"vpc-cidr-assoc-{secrets.token_hex(9)[:17]}", "CidrBlock": str(network)}
    vpc.setdefault(_MORE, []).append(association)
    return association


def _disassociate(association_id: str) -> tuple[str, dict[str, str]]:
    for vpc_id, vpc in ec2._vpcs.items():  # noqa: SLF001
        for association in vpc.get(_MORE, []):
            if association["AssociationId"] == association_id:
                network = ipaddress.IPv4Network(association["CidrBlock"])
                subnets = [s for s in ec2._subnets.values() if s["VpcId"] == vpc_id]  # noqa: SLF001
                if any(ipaddress.IPv4Network(s["CidrBlock"]).subnet_of(network) for s in subnets):
                    message = f"The vpc CIDR block with association ID {association_id} has dependencies"
                    raise Ec2Error("DependencyViolation", message)
                vpc[_MORE].remove(association)
                return vpc_id, association
    raise Ec2Error("InvalidCidrBlockAssociationID.NotFound", f"The association '{association_id}' does not exist")


# ------------------------------------------------------------------------------------------------ CloudFormation types


def _register_types() -> None:
    handlers: dict[str, Handler] = provisioners._RESOURCE_HANDLERS  # noqa: SLF001
    handlers["AWS::EC2::VPC"] = _checked(handlers["AWS::EC2::VPC"], _vpc_properties, _vpc_attributes)
    handlers["AWS::EC2::Subnet"] = _checked(handlers["AWS::EC2::Subnet"], _subnet_properties, _subnet_attributes)
    handlers["AWS::EC2::VPCCidrBlock"] = {
        "create": _create_cidr_block,
        "update": _replace_cidr_block,
        "update_with_logical_id": True,
        "delete": _delete_cidr_block,
    }


def _checked(
    emulated: Handler, check: Callable[[Attributes], Attributes], attributes: Callable[[str], Attributes]
) -> Handler:
    def create(logical_id: str, props: Attributes, stack_name: str) -> tuple[str, Attributes]:
        physical_id, known = emulated["create"](logical_id, check(props), stack_name)
        return physical_id, {**known, **attributes(physical_id)}

    def update(
        physical_id: str, old: Attributes, new: Attributes, stack_name: str, logical_id: str | None = None
    ) -> tuple[str, Attributes]:
        # A replacement is checked as the new resource that it is; what stays in place has nothing to check.
        moved = any(old.get(name) != new.get(name) for name in ("CidrBlock", "VpcId"))
        props = check(new) if moved else {**new, "CidrBlock": attributes(physical_id)["CidrBlock"]}
        changed_id, known = emulated["update"](physical_id, old, props, stack_name, logical_id)
        return changed_id, {**known, **attributes(changed_id)}

    return {**emulated, "create": create, "update": update, "update_with_logical_id": True}


def _vpc_properties(props: Attributes) -> Attributes:
    _refuse_elsewhere("AWS::EC2::VPC", props, ("Ipv4IpamPoolId", "Ipv4NetmaskLength"))
    return {**props, "CidrBlock": str(block(props.get("CidrBlock"), "cidrBlock", "InvalidVpc.Range"))}


def _subnet_properties(props: Attributes) -> Attributes:
    _refuse_elsewhere("AWS::EC2::Subnet", props, ("Ipv4IpamPoolId", "Ipv4NetmaskLength"))
    return {**props, "CidrBlock": _new_subnet_block(props.get("VpcId", ""), props.get("CidrBlock"))}


def _refuse_elsewhere(resource_type: str, props: Attributes, names: tuple[str, ...]) -> None:
    for name in names:
        if name in props:
            raise ValueError(f"The local twin does not know the property {name} of {resource_type}")


def _vpc_attributes(vpc_id: str) -> Attributes:
    vpc = _vpc(vpc_id)
    associations = [f"vpc-cidr-assoc-{vpc_id[4:]}", *(a["AssociationId"] for a in vpc.get(_MORE, []))]
    return dict(zip(_VPC_ATTRIBUTES, (vpc_id, vpc["CidrBlock"], associations, []), strict=True))


def _subnet_attributes(subnet_id: str) -> Attributes:
    subnet = ec2._subnets[subnet_id]  # noqa: SLF001
    names = ("SubnetId", "VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId")
    return {**{name: subnet[name] for name in names}, "Ipv6CidrBlocks": []}


def _create_cidr_block(_logical_id: str, props: Attributes, _stack_name: str) -> tuple[str, Attributes]:
    _refuse_elsewhere("AWS::EC2::VPCCidrBlock", props, _ELSEWHERE)
    association = _associate(props.get("VpcId", ""), props.get("CidrBlock"))
    return association["AssociationId"], {"Id": association["AssociationId"], "VpcId": props.get("VpcId", "")}


def _replace_cidr_block(
    _physical_id: str, _old: Attributes, new: Attributes, stack_name: str, logical_id: str | None = None
) -> tuple[str, Attributes]:
    # Every property of it requires replacement.
    return _create_cidr_block(logical_id or "", new, stack_name)


def _delete_cidr_block(physical_id: str, _props: Attributes) -> None:
    try:
        _disassociate(physical_id)
    except Ec2Error as error:
        if not error.code.endswith("NotFound"):
            raise


# --------------------------------------------------------------------------------------------------------- EC2's API


def _register_calls() -> None:
    # The table of calls has no public name that says so; it is the one that CreateVpc is in.
    calls = next(
        value
        for value in vars(ec2).values()
        if isinstance(value, dict) and value.get("CreateVpc") is ec2._create_vpc  # noqa: SLF001
    )
    emulated_vpc, emulated_subnet = calls["CreateVpc"], calls["CreateSubnet"]

    def create_vpc(params: dict[str, Any]) -> Reply:
        network = block(_parameter(params, "CidrBlock"), "cidrBlock", "InvalidVpc.Range")
        return tuple(emulated_vpc({**params, "CidrBlock": [str(network)]}))

    def create_subnet(params: dict[str, Any]) -> Reply:
        network = _new_subnet_block(_parameter(params, "VpcId"), _parameter(params, "CidrBlock"))
        return tuple(emulated_subnet({**params, "CidrBlock": [network]}))

    calls["CreateVpc"] = _answered(create_vpc)
    calls["CreateSubnet"] = _answered(create_subnet)
    calls["AssociateVpcCidrBlock"] = _answered(_associate_call)
    calls["DisassociateVpcCidrBlock"] = _answered(_disassociate_call)


def _answered(call: Callable[[dict[str, Any]], Reply]) -> Callable[[dict[str, Any]], Reply]:
    def answered(params: dict[str, Any]) -> Reply:
        try:
            return call(params)
        except Ec2Error as error:
            return tuple(ec2._error(error.code, error.message, 400))  # noqa: SLF001

    return answered


def _parameter(params: dict[str, Any], name: str) -> str:
    values = params.get(name) or [""]
    return str(values[0] if isinstance(values, list) else values)


def _associate_call(params: dict[str, Any]) -> Reply:
    vpc_id = _parameter(params, "VpcId")
    association = _associate(vpc_id, _parameter(params, "CidrBlock"))
    return tuple(ec2._xml(200, "AssociateVpcCidrBlockResponse", _association(vpc_id, association, "associated")))  # noqa: SLF001


def _disassociate_call(params: dict[str, Any]) -> Reply:
    vpc_id, association = _disassociate(_parameter(params, "AssociationId"))
    return tuple(ec2._xml(200, "DisassociateVpcCidrBlockResponse", _association(vpc_id, association, "disassociated")))  # noqa: SLF001


def _association(vpc_id: str, association: dict[str, str], state: str) -> str:
    return f"<vpcId>{vpc_id}</vpcId><cidrBlockAssociation>{_item(association, state)}</cidrBlockAssociation>"


def _item(association: dict[str, str], state: str) -> str:
    return (
        f"<cidrBlock>{association['CidrBlock']}</cidrBlock><associationId>{association['AssociationId']}</associationId>"
        f"<cidrBlockState><state>{state}</state></cidrBlockState>"
    )


def _show_every_block() -> None:
    emulated = ec2._vpc_fields_xml  # noqa: SLF001

    def fields(vpc: dict[str, Any], tag: str = "item") -> str:
        more = "".join(f"<item>{_item(association, 'associated')}</item>" for association in vpc.get(_MORE, []))
        return str(emulated(vpc, tag)).replace("</cidrBlockAssociationSet>", f"{more}</cidrBlockAssociationSet>", 1)

    ec2._vpc_fields_xml = fields  # noqa: SLF001


def register() -> None:
    """Check what templates and calls ask of EC2."""
    _register_types()
    _register_calls()
    _show_every_block()
