"""Transit gateways, and the VPCs that are attached to them.

Gap: the emulator has neither. Restored: one attachment of a VPC to a transit gateway, in at most one subnet of a zone,
whose subnets and options change in place:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-transitgatewayattachment.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTransitGatewayVpcAttachment.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTransitGatewayVpcAttachments.html
Not there: the transit gateway's own routes, and its sharing: every account of the Region may attach to it, and is
accepted at once. Calls that make an attachment: templates only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2

from local.bridges import ec2_api
from local.bridges.ec2_api import Ec2Error, new_id
from local.bridges.resource_types import ResourceType, tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.bridges.ec2_api import Params, Reply
    from local.bridges.resource_types import Made, Properties

_DEFAULTS = {"ApplianceModeSupport": "disable", "DnsSupport": "enable", "Ipv6Support": "disable"}

_gateways = ec2_api.kept("transit_gateways")
_attachments = ec2_api.kept("transit_gateway_attachments")


def attachments() -> list[dict[str, Any]]:
    """Give every attachment of the account in the Region."""
    return list(_attachments.values())


def _exists(gateway_id: str) -> bool:
    """Tell whether any account of the Region has it: a transit gateway is there to be shared."""
    return any((region, key) == (get_region(), gateway_id) for _account, region, key in _gateways._data)  # noqa: SLF001


# ------------------------------------------------------------------------------------------------ CloudFormation type


def _create_attachment(props: Properties) -> Made:
    gateway_id, vpc_id = props.get("TransitGatewayId", ""), props.get("VpcId", "")
    if not _exists(gateway_id):
        raise Ec2Error(
            "InvalidTransitGatewayID.NotFound", f"Transit Gateway {gateway_id} was deleted or does not exist."
        )
    if vpc_id not in ec2._vpcs:  # noqa: SLF001
        raise Ec2Error("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
    if any((each["TransitGatewayId"], each["VpcId"]) == (gateway_id, vpc_id) for each in attachments()):
        message = f"{gateway_id} has non-deleted Transit Gateway Attachments with same VPC ID."
        raise Ec2Error("DuplicateTransitGatewayAttachment", message)
    attachment_id = new_id("tgw-attach")
    _attachments[attachment_id] = {
        "TransitGatewayAttachmentId": attachment_id,
        "TransitGatewayId": gateway_id,
        "VpcId": vpc_id,
        "SubnetIds": _subnets(props, vpc_id),
        "Options": {**_DEFAULTS, **props.get("Options", {})},
    }
    tag(attachment_id, props)
    return attachment_id, {"Id": attachment_id}


def _subnets(props: Properties, vpc_id: str) -> list[str]:
    subnet_ids = list(props.get("SubnetIds", []))
    if not subnet_ids:
        raise Ec2Error("MissingParameter", "The request must contain the parameter SubnetIds")
    zones = set()
    for subnet_id in subnet_ids:
        subnet = ec2._subnets.get(subnet_id)  # noqa: SLF001
        if subnet is None or subnet["VpcId"] != vpc_id:
            raise Ec2Error("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
        zones.add(subnet["AvailabilityZone"])
    if len(zones) < len(subnet_ids):
        raise Ec2Error("DuplicateSubnetsInSameZone", "Duplicate Subnets for same AZ")
    return subnet_ids


def _change_attachment(attachment_id: str, old: Properties, new: Properties) -> Made:
    attachment = _attachments[attachment_id]
    attachment["SubnetIds"] = _subnets(new, attachment["VpcId"])
    attachment["Options"] = {**_DEFAULTS, **new.get("Options", {})}
    tag(attachment_id, new, old)
    return attachment_id, {"Id": attachment_id}


def _delete_attachment(attachment_id: str, _props: Properties) -> None:
    _attachments.pop(attachment_id, None)


# ------------------------------------------------------------------------------------------------------------ the calls


def _create_gateway(params: Params) -> Reply:
    gateway_id = new_id("tgw")
    gateway = {"TransitGatewayId": gateway_id, "Description": ec2_api.parameter(params, "Description")}
    _gateways[gateway_id] = gateway | {"OwnerId": get_account_id()}
    return ec2_api.xml(
        "CreateTransitGateway", f"<transitGateway>{_gateway_xml(_gateways[gateway_id])}</transitGateway>"
    )


def _describe_gateways(params: Params) -> Reply:
    shown = _chosen(params, "TransitGatewayIds", _gateways.values(), "TransitGatewayId")
    items = "".join(f"<item>{_gateway_xml(gateway)}</item>" for gateway in shown)
    return ec2_api.xml("DescribeTransitGateways", f"<transitGatewaySet>{items}</transitGatewaySet>")


def _gateway_xml(gateway: dict[str, Any]) -> str:
    return (
        f"<transitGatewayId>{gateway['TransitGatewayId']}</transitGatewayId><state>available</state>"
        f"<ownerId>{gateway['OwnerId']}</ownerId><description>{ec2._esc(gateway['Description'])}</description>"  # noqa: SLF001
    )


_FILTERS = {"vpc-id": "VpcId", "transit-gateway-id": "TransitGatewayId"}


def _describe_attachments(params: Params) -> Reply:
    shown = _chosen(params, "TransitGatewayAttachmentIds", attachments(), "TransitGatewayAttachmentId")
    for name, values in ec2._parse_filters(params).items():  # noqa: SLF001
        if name not in _FILTERS:
            raise Ec2Error("InvalidParameterValue", f"The local twin does not know the filter '{name}'")
        shown = [attachment for attachment in shown if attachment[_FILTERS[name]] in values]
    items = "".join(f"<item>{_attachment_xml(attachment)}</item>" for attachment in shown)
    inner = f"<transitGatewayVpcAttachments>{items}</transitGatewayVpcAttachments>"
    return ec2_api.xml("DescribeTransitGatewayVpcAttachments", inner)


def _attachment_xml(attachment: dict[str, Any]) -> str:
    subnets = "".join(f"<item>{subnet_id}</item>" for subnet_id in attachment["SubnetIds"])
    options = "".join(
        f"<{name[0].lower()}{name[1:]}>{value}</{name[0].lower()}{name[1:]}>"
        for name, value in attachment["Options"].items()
    )
    attachment_id = attachment["TransitGatewayAttachmentId"]
    return (
        f"<transitGatewayAttachmentId>{attachment_id}</transitGatewayAttachmentId>"
        f"<transitGatewayId>{attachment['TransitGatewayId']}</transitGatewayId><vpcId>{attachment['VpcId']}</vpcId>"
        f"<state>available</state><subnetIds>{subnets}</subnetIds><options>{options}</options>"
        f"{ec2._tag_set_xml(attachment_id)}"  # noqa: SLF001
    )


def _chosen(params: Params, name: str, records: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    wanted = ec2._parse_member_list(params, name)  # noqa: SLF001
    return [record for record in records if not wanted or record[key] in wanted]


def register() -> None:
    """Add the calls and the type."""
    added = {
        "CreateTransitGateway": _create_gateway,
        "DescribeTransitGateways": _describe_gateways,
        "DescribeTransitGatewayVpcAttachments": _describe_attachments,
    }
    ec2_api.calls().update({name: ec2_api.answered(function) for name, function in added.items()})
    ResourceType(
        "AWS::EC2::TransitGatewayAttachment",
        _create_attachment,
        _delete_attachment,
        ("TransitGatewayId", "VpcId"),
        ("Options", "SubnetIds", "Tags"),
        _change_attachment,
    ).register()
