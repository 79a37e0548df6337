"""Flow logs of a VPC, a subnet or an interface.

Gap: the emulator's EC2 has them, of anything; its CloudFormation has no type for them. Restored: the resource has to
be there, and a log group needs the role that writes to it:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-flowlog.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ministack.services import ec2

from local.bridges.ec2_api import Ec2Error, call
from local.bridges.resource_types import ResourceType, tag

if TYPE_CHECKING:
    from local.bridges.resource_types import Made, Properties

_REPLACING = (
    "DeliverLogsPermissionArn",
    "LogDestination",
    "LogDestinationType",
    "LogGroupName",
    "ResourceId",
    "ResourceType",
    "TrafficType",
)
_STORES = {
    "VPC": (ec2._vpcs, "InvalidVpcId.NotFound"),  # noqa: SLF001
    "Subnet": (ec2._subnets, "InvalidSubnetId.NotFound"),  # noqa: SLF001
    "NetworkInterface": (ec2._network_interfaces, "InvalidNetworkInterfaceId.NotFound"),  # noqa: SLF001
}


def _create(props: Properties) -> Made:
    kind, resource_id = props.get("ResourceType", ""), props.get("ResourceId", "")
    if kind not in _STORES:
        raise Ec2Error("InvalidParameterValue", f"The local twin does not know flow logs of the resource type '{kind}'")
    store, code = _STORES[kind]
    if resource_id not in store:
        raise Ec2Error(code, f"The resource '{resource_id}' does not exist")
    if bool(props.get("LogGroupName")) != bool(props.get("DeliverLogsPermissionArn")):
        raise Ec2Error("InvalidParameter", "LogGroupName and DeliverLogsPermissionArn belong together")
    names = ("LogDestination", "LogDestinationType", "LogGroupName", "ResourceType", "TrafficType")
    made = call(ec2._create_flow_logs, ResourceId=[resource_id], **{name: props.get(name) for name in names})  # noqa: SLF001
    log_id = made.findtext("flowLogIdSet/item") or ""
    tag(log_id, props)
    return log_id, {"Id": log_id}


def _change(log_id: str, old: Properties, new: Properties) -> Made:
    tag(log_id, new, old)
    return log_id, {"Id": log_id}


def _delete(log_id: str, _props: Properties) -> None:
    call(ec2._delete_flow_logs, FlowLogId=[log_id])  # noqa: SLF001


def register() -> None:
    """Add the type."""
    ResourceType("AWS::EC2::FlowLog", _create, _delete, _REPLACING, ("Tags",), _change).register()
