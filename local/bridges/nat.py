"""Elastic IP addresses, NAT gateways, and the internet gateway that they depend on.

Gap: the emulator's EC2 has addresses and NAT gateways, which know nothing of each other, and its CloudFormation has no
types for them; an internet gateway is detached whoever uses it, and moves to the new VPC when its VPC is replaced.
Restored: a public NAT gateway needs an address that is free and a VPC with an internet gateway; it holds its address,
and the attachment of the internet gateway, until it is deleted; an internet gateway stays with the VPC that it is
attached to, so that a NAT gateway in the VPC's replacement fails:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-eip.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-natgateway.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-vpcgatewayattachment.html
https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachInternetGateway.html
Not there: private NAT gateways, regional ones, secondary addresses, addresses of one's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import ec2
from ministack.services.cloudformation import provisioners

from local.bridges import ec2_api
from local.bridges.ec2_api import Ec2Error, call, new_id, parameter
from local.bridges.resource_types import ResourceType, tag

if TYPE_CHECKING:
    from local.bridges.ec2_api import Params, Reply
    from local.bridges.resource_types import Made, Properties


def gateways_of(vpc_id: str) -> list[dict[str, Any]]:
    """Give the internet gateways that are attached to a VPC."""
    everywhere = ec2._internet_gateways.values()  # noqa: SLF001
    return [gateway for gateway in everywhere if any(a["VpcId"] == vpc_id for a in gateway.get("Attachments", []))]


def nat_gateways() -> list[dict[str, Any]]:
    """Give the NAT gateways that are not deleted."""
    return [gateway for gateway in ec2._nat_gateways.values() if gateway["State"] != "deleted"]  # noqa: SLF001


# ------------------------------------------------------------------------------------------------------------ the calls


def _create_nat_gateway(params: Params) -> Reply:
    subnet_id, address_id = parameter(params, "SubnetId"), parameter(params, "AllocationId")
    if parameter(params, "ConnectivityType") not in {"", "public"}:
        raise Ec2Error("InvalidParameterValue", "The local twin makes public NAT gateways only")
    subnet = ec2._subnets.get(subnet_id)  # noqa: SLF001
    if subnet is None:
        raise Ec2Error("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    if not gateways_of(subnet["VpcId"]):
        raise Ec2Error("Gateway.NotAttached", f"Network {subnet['VpcId']} has no Internet gateway attached")
    address = ec2._addresses.get(address_id)  # noqa: SLF001
    if address is None:
        raise Ec2Error("InvalidAllocationID.NotFound", f"The allocation ID '{address_id}' does not exist")
    if address["AssociationId"]:
        message = f"Elastic IP address [{address_id}] is already associated"
        raise Ec2Error("Resource.AlreadyAssociated", message)
    reply = tuple(ec2._create_nat_gateway(params))  # noqa: SLF001
    address["AssociationId"] = new_id("eipassoc")
    return reply


def _delete_nat_gateway(params: Params) -> Reply:
    reply = tuple(ec2._delete_nat_gateway(params))  # noqa: SLF001
    gateway = ec2._nat_gateways.get(parameter(params, "NatGatewayId"))  # noqa: SLF001
    address = ec2._addresses.get((gateway or {}).get("AllocationId", ""))  # noqa: SLF001
    if address is not None:
        address["AssociationId"] = None
    return reply


def _describe_nat_gateways(params: Params) -> Reply:
    status, headers, body = ec2._describe_nat_gateways(params)  # noqa: SLF001
    parts = body.decode().split("<natGatewayAddressSet/>")
    shown = [part.rpartition("<natGatewayId>")[2].partition("<")[0] for part in parts[:-1]]
    sets = [_address_set(ec2._nat_gateways[gateway_id]) for gateway_id in shown]  # noqa: SLF001
    text = "".join(part + extra for part, extra in zip(parts, [*sets, ""], strict=True))
    return status, headers, text.encode()


def _address_set(gateway: dict[str, Any]) -> str:
    address = ec2._addresses.get(gateway["AllocationId"])  # noqa: SLF001
    if address is None:
        return "<natGatewayAddressSet/>"
    return (
        f"<natGatewayAddressSet><item><allocationId>{address['AllocationId']}</allocationId>"
        f"<publicIp>{address['PublicIp']}</publicIp></item></natGatewayAddressSet>"
    )


def _release_address(params: Params) -> Reply:
    address = ec2._addresses.get(parameter(params, "AllocationId"))  # noqa: SLF001
    if address is not None and address["AssociationId"]:
        message = f"Address {address['PublicIp']} is in use."
        raise Ec2Error("InvalidIPAddress.InUse", message)
    return tuple(ec2._release_address(params))  # noqa: SLF001


def _detach_internet_gateway(params: Params) -> Reply:
    _refuse_detachment(parameter(params, "VpcId"))
    return tuple(ec2._detach_internet_gateway(params))  # noqa: SLF001


def _refuse_detachment(vpc_id: str) -> None:
    if any(gateway["VpcId"] == vpc_id for gateway in nat_gateways()):
        message = f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
        raise Ec2Error("DependencyViolation", message + "detaching the gateway.")


def _delete_internet_gateway(params: Params) -> Reply:
    gateway_id = parameter(params, "InternetGatewayId")
    if ec2._internet_gateways.get(gateway_id, {}).get("Attachments"):  # noqa: SLF001
        message = f"The internetGateway '{gateway_id}' has dependencies and cannot be deleted."
        raise Ec2Error("DependencyViolation", message)
    return tuple(ec2._delete_internet_gateway(params))  # noqa: SLF001


# ------------------------------------------------------------------------------------------------ CloudFormation types


def _create_eip(props: Properties) -> Made:
    made = call(ec2._allocate_address, Domain=props.get("Domain", "vpc"))  # noqa: SLF001
    address_id, public = made.findtext("allocationId") or "", made.findtext("publicIp") or ""
    tag(address_id, props)
    return public, {"AllocationId": address_id, "PublicIp": public}


def _allocation_of(public: str) -> str:
    addresses = ec2._addresses.values()  # noqa: SLF001
    return next((address["AllocationId"] for address in addresses if address["PublicIp"] == public), "")


def _change_eip(public: str, old: Properties, new: Properties) -> Made:
    address_id = _allocation_of(public)
    tag(address_id, new, old)
    return public, {"AllocationId": address_id, "PublicIp": public}


def _delete_eip(public: str, _props: Properties) -> None:
    address_id = _allocation_of(public)
    if address_id:
        call(_release_address, AllocationId=address_id)


def _create_nat(props: Properties) -> Made:
    names = ("AllocationId", "ConnectivityType", "SubnetId")
    try:
        made = call(_create_nat_gateway, **{name: props.get(name) for name in names})
    except Ec2Error as error:
        if error.code != "Gateway.NotAttached":
            raise
        # EC2 finds that out only after it has taken the order.
        message = (
            f"NatGateway {new_id('nat')} is in state failed and hence failed to stabilize. Detailed failure message: "
        )
        raise ValueError(message + error.message) from error
    gateway_id = made.findtext("natGateway/natGatewayId") or ""
    tag(gateway_id, props)
    return gateway_id, {"NatGatewayId": gateway_id}


def _change_nat(gateway_id: str, old: Properties, new: Properties) -> Made:
    tag(gateway_id, new, old)
    return gateway_id, {"NatGatewayId": gateway_id}


def _delete_nat(gateway_id: str, _props: Properties) -> None:
    if gateway_id in ec2._nat_gateways:  # noqa: SLF001
        call(_delete_nat_gateway, NatGatewayId=gateway_id)


def _hold_internet_gateways() -> None:
    handler = provisioners._RESOURCE_HANDLERS["AWS::EC2::VPCGatewayAttachment"]  # noqa: SLF001
    attach, detach = provisioners._ec2_vpc_gw_attach_create, provisioners._ec2_vpc_gw_attach_delete  # noqa: SLF001

    def create(logical_id: str, props: Properties, stack_name: str, **_replacing: bool) -> Any:
        return attach(logical_id, props, stack_name)

    def delete(physical_id: str, props: Properties) -> None:
        _refuse_detachment(props.get("VpcId", ""))
        detach(physical_id, props)

    provisioners._ec2_vpc_gw_attach_create = create  # noqa: SLF001
    handler |= {"create": create, "delete": delete}


def register() -> None:
    """Let addresses, NAT gateways and internet gateways depend on each other."""
    guarded = {
        "CreateNatGateway": _create_nat_gateway,
        "DeleteNatGateway": _delete_nat_gateway,
        "DescribeNatGateways": _describe_nat_gateways,
        "ReleaseAddress": _release_address,
        "DetachInternetGateway": _detach_internet_gateway,
        "DeleteInternetGateway": _delete_internet_gateway,
    }
    ec2_api.calls().update({name: ec2_api.answered(function) for name, function in guarded.items()})
    _hold_internet_gateways()
    ResourceType("AWS::EC2::EIP", _create_eip, _delete_eip, ("Domain",), ("Tags",), _change_eip).register()
    ResourceType(
        "AWS::EC2::NatGateway",
        _create_nat,
        _delete_nat,
        ("AllocationId", "ConnectivityType", "SubnetId"),
        ("Tags",),
        _change_nat,
    ).register()
