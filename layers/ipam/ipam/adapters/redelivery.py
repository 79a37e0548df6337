"""The way back into the function that serves stacks: an asynchronous invocation, which Lambda tries three times."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Final

from ipam.adapters.aws import answering
from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.services.ports import Clock

SERVICE: Final = "AWS Lambda"

REDELIVERED: Final = "RedeliveredAt"
"""The field that is added to an event: when it was sent on its way again, milliseconds of the epoch. The tries that
Lambda makes are counted from then."""


class LambdaRedelivery:
    """`ipam.services.ports.Redelivery` to a function."""

    def __init__(self, function: str, clock: Clock, connect: Callable[[], Any]) -> None:
        """Invoke a function by the ARN of its alias; the client is made with `connect` when it is first needed."""
        self._function = function
        self._clock = clock
        self._connect = functools.cache(connect)

    def redeliver(self, event: str) -> None:
        """See the port."""
        if not self._function:
            raise ServiceUnavailableError(SERVICE, "IPAM_CN_CIDR_FUNCTION is not set")
        payload = json.dumps(json.loads(event) | {REDELIVERED: self._clock.now()})
        with answering(SERVICE):
            self._connect().invoke(FunctionName=self._function, InvocationType="Event", Payload=payload.encode())
