"""An event becomes a typed request, or is refused.

The fields and their meaning are those of the CloudFormation user guide, "Custom resource request objects". All of them
are checked here, so that what follows can rely on them: for their form, and against each other, because nothing in an
event is proof by itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from ipam.domain.owner import SKEW
from ipam.entrypoints.errors import NotGenuineError
from ipam.entrypoints.response_url import ResponseUrl, genuine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.entrypoints.response_url import Place

RequestType = Literal["Create", "Update", "Delete"]

MAX_PHYSICAL_ID: Final = 1024
"""Bytes of a PhysicalResourceId (user guide, "Custom resource response objects")."""

REDELIVERED: Final = "RedeliveredAt"
"""Field of an event that was put aside and is delivered again: when that was, milliseconds of the epoch. No event of
CloudFormation's has it (`ipam.adapters.redelivery` adds it)."""

CLAIMS: Final = {
    "RequestType": "request_type",
    "ResourceType": "resource_type",
    "StackId": "stack_id",
    "LogicalResourceId": "logical_resource_id",
    "RequestId": "request_id",
}
"""What an event says of itself and what we call that. None of it is a secret of anybody who tells the truth."""

_STACK: Final = re.compile(
    r"arn:(?P<partition>[a-z0-9-]{1,16}):cloudformation:(?P<region>[a-z0-9-]{1,32}):(?P<account>[0-9]{12})"
    r":stack/[A-Za-z][A-Za-z0-9-]{0,127}/[A-Za-z0-9-]{1,64}"
)
_LOGICAL_ID: Final = re.compile(r"[A-Za-z0-9]{1,255}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{1,128}")
_RESOURCE_TYPE: Final = re.compile(r"(Custom::[A-Za-z0-9_@-]{1,60}|AWS::CloudFormation::CustomResource)")


@dataclass(frozen=True, slots=True)
class Request:
    """What CloudFormation wants of one resource.

    Attributes:
        request_type: what is to be done.
        request_id: CloudFormation's name for the request; the same in every delivery of it.
        response_url: where it waits for the answer.
        resource_type: Custom::something.
        logical_resource_id: the resource's name in its stack.
        stack_id: ARN of the stack,
        account: which is in this account,
        region: and this Region.
        physical_resource_id: what CloudFormation has for the resource's id; "" on Create.
        properties: as the template has them.
        old_properties: as they were; empty but on Update.
        received: when the function got it, milliseconds of the epoch by our clock.
        redelivered: when it was sent on its way again, having been put aside; 0 if it never was.
        event: all of it, as it came. It holds a pre-signed URL: kept out of every text.
    """

    request_type: RequestType
    request_id: str
    response_url: ResponseUrl
    resource_type: str
    logical_resource_id: str
    stack_id: str
    account: str
    region: str
    physical_resource_id: str
    properties: Mapping[str, Any] = field(repr=False)
    old_properties: Mapping[str, Any] = field(repr=False)
    received: int
    redelivered: int = 0
    event: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def requested(self) -> int:
        """When CloudFormation made the request, milliseconds of the epoch by its clock.

        Where that cannot be told, the careful answer: a Create or Update is then older than every Delete, and allocates
        nothing once there was one; a Delete is as late as it was received. So is what tells of a time that is further
        ahead than clocks differ; within that, the time is the same in every delivery of the request.
        """
        signed = self.response_url.signed
        if signed is not None:
            return signed if signed <= self.received + SKEW else self.received
        return self.received if self.request_type == "Delete" else 0

    @property
    def cause(self) -> str:
        """Name the request in audit records."""
        return f"{self.request_type} {self.request_id}"


def unwrap(event: object) -> object:
    """Take a request out of the SNS notification that it may have come in (a topic as the ServiceToken)."""
    if not isinstance(event, dict) or "Records" not in event:
        return event
    try:
        (record,) = event["Records"]
        return cast("object", json.loads(record["Sns"]["Message"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise NotGenuineError("the event has records that are not one SNS notification") from None


def parse(event: object, place: Place, now: int) -> Request:
    """Read and check an event.

    Args:
        event: as Lambda hands it over, out of its SNS notification.
        place: where the function runs.
        now: milliseconds of the epoch.

    Raises:
        NotGenuineError: CloudFormation cannot have sent it.
    """
    if not isinstance(event, dict):
        raise NotGenuineError("the event is no custom-resource request")
    kind = _text(event, "RequestType")
    if kind not in {"Create", "Update", "Delete"}:
        raise NotGenuineError("RequestType is none of Create, Update and Delete")
    request_id = _formed(event, "RequestId", _REQUEST_ID)
    logical_id = _formed(event, "LogicalResourceId", _LOGICAL_ID)
    stack_id = _formed(event, "StackId", _STACK)
    stack = cast("re.Match[str]", _STACK.fullmatch(stack_id))
    if (stack["partition"], stack["region"]) != (place.partition, place.region):
        raise NotGenuineError("the stack is in another Region or partition than the function")
    url = genuine(_text(event, "ResponseURL"), f"{stack_id}|{logical_id}|{request_id}", place, now)
    return Request(
        request_type=cast("RequestType", kind),
        request_id=request_id,
        response_url=url,
        resource_type=_formed(event, "ResourceType", _RESOURCE_TYPE),
        logical_resource_id=logical_id,
        stack_id=stack_id,
        account=stack["account"],
        region=stack["region"],
        physical_resource_id="" if kind == "Create" else _physical_id(event),
        properties=_properties(event, "ResourceProperties"),
        old_properties=_properties(event, "OldResourceProperties") if kind == "Update" else {},
        received=now,
        redelivered=_redelivered(event, now),
        event=event,
    )


def claims(event: object) -> dict[str, str]:
    """Tell what an event that was refused says of itself, cut short: for people, and for nothing else."""
    if not isinstance(event, dict):
        return {}
    return {ours: event[name][:256] for name, ours in CLAIMS.items() if isinstance(event.get(name), str)}


def _redelivered(event: Mapping[str, Any], now: int) -> int:
    """Read when an event was sent on its way again; it is nobody's word that it will be in the future."""
    at = event.get(REDELIVERED)
    return min(at, now) if isinstance(at, int) and at > 0 else 0


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str):
        raise NotGenuineError(f"{name} is missing")
    return value


def _formed(event: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    """Read a field that has one form and no other."""
    value = _text(event, name)
    if form.fullmatch(value) is None:
        raise NotGenuineError(f"{name} has a form that CloudFormation's never have")
    return value


def _physical_id(event: Mapping[str, Any]) -> str:
    """Read the id; it is copied into answers, which have to stay short."""
    value = _text(event, "PhysicalResourceId")
    if not value or not value.isprintable() or len(value.encode(errors="replace")) > MAX_PHYSICAL_ID:
        raise NotGenuineError("PhysicalResourceId has a form that CloudFormation's never have")
    return value


def _properties(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    if not isinstance(value, dict):
        raise NotGenuineError(f"{name} is missing")
    return value
