"""Routes that lead somewhere, and route tables of a subnet's own VPC.

Gap: the emulator's CloudFormation makes a route to anything, in any table, and associates any table with any subnet.
Restored: a target has to be there and has to be the VPC's: an internet gateway that is attached to it, a NAT gateway in
it, a transit gateway that it is attached to. A template that forgets to wait for the attachment fails here too:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-route.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateRouteTable.html
Other targets than these pass as they do in the emulator, and so do its calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import ec2
from ministack.services.cloudformation import provisioners

from local.bridges import nat, transit
from local.bridges.ec2_api import Ec2Error

if TYPE_CHECKING:
    from local.bridges.resource_types import Properties


def _table(props: Properties) -> dict[str, Any]:
    table = ec2._route_tables.get(props.get("RouteTableId", ""))  # noqa: SLF001
    if table is None:
        message = f"The routeTable ID '{props.get('RouteTableId')}' does not exist"
        raise Ec2Error("InvalidRouteTableID.NotFound", message)
    return dict(table)


def _check_route(props: Properties) -> None:
    table = _table(props)
    vpc_id, gateway, natted = table["VpcId"], props.get("GatewayId", ""), props.get("NatGatewayId")
    if gateway.startswith("igw-") and gateway not in {each["InternetGatewayId"] for each in nat.gateways_of(vpc_id)}:
        message = f"route table {table['RouteTableId']} and network gateway {gateway} belong to different networks"
        raise Ec2Error("InvalidParameterValue", message)
    if natted and not any((each["NatGatewayId"], each["VpcId"]) == (natted, vpc_id) for each in nat.nat_gateways()):
        raise Ec2Error("InvalidNatGatewayID.NotFound", f"The natGateway ID '{natted}' does not exist")
    transited = props.get("TransitGatewayId")
    attached = {(each["TransitGatewayId"], each["VpcId"]) for each in transit.attachments()}
    if transited and (transited, vpc_id) not in attached:
        raise Ec2Error("InvalidTransitGatewayID.NotFound", f"The transitGateway ID '{transited}' does not exist")


def _check_association(props: Properties) -> None:
    table, subnet = _table(props), ec2._subnets.get(props.get("SubnetId", ""))  # noqa: SLF001
    if subnet is None:
        raise Ec2Error("InvalidSubnetID.NotFound", f"The subnet ID '{props.get('SubnetId')}' does not exist")
    if subnet["VpcId"] != table["VpcId"]:
        message = f"Route table {table['RouteTableId']} and subnet {subnet['SubnetId']} belong to different networks"
        raise Ec2Error("InvalidParameterValue", message)


def register() -> None:
    """Check what templates ask for."""
    handlers = provisioners._RESOURCE_HANDLERS  # noqa: SLF001
    for resource_type, check in (
        ("AWS::EC2::Route", _check_route),
        ("AWS::EC2::SubnetRouteTableAssociation", _check_association),
    ):
        handlers[resource_type] = _checked(handlers[resource_type], check)


def _checked(emulated: dict[str, Any], check: Any) -> dict[str, Any]:
    def create(logical_id: str, props: Properties, stack_name: str) -> Any:
        check(props)
        return emulated["create"](logical_id, props, stack_name)

    def update(physical_id: str, old: Properties, new: Properties, *named: Any) -> Any:
        check(new)
        return emulated["update"](physical_id, old, new, *named)

    # What has no update of its own is made anew by its create.
    return {**emulated, "create": create} | ({"update": update} if "update" in emulated else {})
