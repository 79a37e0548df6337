"""How long a request may wait for an administrator, and what is kept of it meanwhile."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from ipam.services.approve import MARGIN
from ipam.services.request import Waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.entrypoints.events import Request

SERVICE_TIMEOUT: Final = 3600
"""Seconds that CloudFormation waits for an answer where ServiceTimeout does not say otherwise, and at most (template
reference, AWS::CloudFormation::CustomResource)."""

MAX_EVENT: Final = 100_000
"""Characters of an event that is kept: far more than one of ours has, and far less than the store's items may."""

KEPT: Final = (
    "RequestType",
    "RequestId",
    "ResponseURL",
    "ResourceType",
    "LogicalResourceId",
    "StackId",
    "PhysicalResourceId",
    "ResourceProperties",
    "OldResourceProperties",
)
"""Fields of an event that its handling needs."""

_SECONDS: Final = re.compile(r"[1-9][0-9]{0,3}")


def waiting(request: Request) -> Waiting | None:
    """Tell how a request may wait: until CloudFormation, or the URL for the answer, has little time left for that.

    None says that it cannot, because there is too much of it to be kept.
    """
    url = request.response_url
    begun = request.received if url.signed is None else request.requested
    ends = begun + _timeout(request.properties) * 1000
    kept = json.dumps({name: request.event[name] for name in KEPT if name in request.event})
    if len(kept) > MAX_EVENT:
        return None
    return Waiting((ends if url.ends is None else min(ends, url.ends)) - MARGIN, kept)


def _timeout(properties: Mapping[str, Any]) -> int:
    """Read ServiceTimeout, which CloudFormation has checked; what is none counts as not given."""
    given = str(properties.get("ServiceTimeout", ""))
    return min(int(given), SERVICE_TIMEOUT) if _SECONDS.fullmatch(given) else SERVICE_TIMEOUT
