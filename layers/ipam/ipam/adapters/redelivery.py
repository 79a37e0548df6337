"""The way back into the function that serves stacks: an asynchronous invocation, which Lambda tries three times.

A function serves the stacks of its own Region and no others, so an event goes to that of the stack's.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Final

from ipam.adapters.aws import answering, in_region, region_of
from ipam.domain.errors import NotSetUpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.services.ports import Clock

SERVICE: Final = "AWS Lambda"

REDELIVERED: Final = "RedeliveredAt"
"""The field that is added to an event: when it was sent on its way again, milliseconds of the epoch. The tries that
Lambda makes are counted from then."""


class LambdaRedelivery:
    """`ipam.services.ports.Redelivery` to the functions of all Regions."""

    def __init__(self, function: str, clock: Clock, connect: Callable[[str], Any]) -> None:
        """Send nothing yet.

        Args:
            function: ARN of the home Region's alias; that of another Region says the same but for the Region.
            clock: tells when an event is sent on its way.
            connect: makes the client of a Region, when it is first needed.
        """
        self._function = function
        self._clock = clock
        self._connect = functools.cache(connect)

    def redeliver(self, event: str) -> None:
        """See the port."""
        if not self._function:
            raise NotSetUpError(SERVICE, "IPAM_CN_CIDR_FUNCTION is not set")
        parked: dict[str, Any] = json.loads(event)
        region = region_of(parked["StackId"])
        payload = json.dumps(parked | {REDELIVERED: self._clock.now()}).encode()
        with answering(f"{SERVICE} in {region}"):
            function = in_region(self._function, region)
            self._connect(region).invoke(FunctionName=function, InvocationType="Event", Payload=payload)
