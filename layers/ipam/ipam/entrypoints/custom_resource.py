"""crhelper, contained: it dispatches a request to its handler and does nothing else.

Left to itself its version 2.0.12 reports failures as successes, retries for ever, answers twice, carries one event's
state into the next and logs the pre-signed URL (docs/decisions/0003). So each event gets an instance of its own, which
knows neither the ResponseURL nor the properties, starts no timer, makes no client, sets up no log and sends nothing.
What the handler returns or raises comes out unchanged.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from crhelper import CfnResource

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.entrypoints.events import Request

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

# It logs what it fails at, with the exception's own words: what passes through here is logged once, by us.
logging.getLogger("crhelper").setLevel(logging.CRITICAL)

NO_URL: Final = ""
"""What the contained library is told of the ResponseURL."""


class Handlers(Protocol[R_co]):
    """What is done for each kind of request."""

    def create(self, request: Request) -> R_co:
        """Make the resource."""
        ...

    def update(self, request: Request) -> R_co:
        """Change the resource."""
        ...

    def delete(self, request: Request) -> R_co:
        """End the resource."""
        ...


def dispatch(request: Request, context: Any, handlers: Handlers[R]) -> R:
    """Have a request handled.

    Args:
        request: parsed, and found to be genuine.
        context: Lambda's.
        handlers: one for each kind of request.

    Returns:
        What the handler returned.

    Raises:
        Exception: what the handler raised.
    """
    resource = _Contained[R]()
    resource.create(lambda *_: resource.keep(handlers.create(request)))
    resource.update(lambda *_: resource.keep(handlers.update(request)))
    resource.delete(lambda *_: resource.keep(handlers.delete(request)))
    resource(
        {
            "RequestType": request.request_type,
            "RequestId": request.request_id,
            "ResponseURL": NO_URL,
            "ResourceType": request.resource_type,
            "LogicalResourceId": request.logical_resource_id,
            "StackId": request.stack_id,
        },
        context,
    )
    return resource.result()


class _Contained(CfnResource, Generic[R]):
    """A `CfnResource` for one event."""

    def __init__(self) -> None:
        """Set what the library's own constructor sets, without its three clients and its hold on the root logger.

        A test compares the two, so that another version of the library cannot go unnoticed.
        """
        self._sleep_on_delete = 0
        self._create_func = self._update_func = self._delete_func = None
        self._poll_create_func = self._poll_update_func = self._poll_delete_func = None
        self._timer = None
        self._init_failed = None
        self._json_logging = False
        self._log_level = self._boto_level = "INFO"
        self._send_response = False
        self._polling_interval = 0
        self._event: dict[str, str] = {}
        self._context = None
        self._response_url = NO_URL
        self._sam_local = None
        self._region = None
        self._ssl_verify = None
        self.Status = self.Reason = self.PhysicalResourceId = ""
        self.StackId = self.RequestId = self.LogicalResourceId = ""
        self.Data = {}
        self.NoEcho = False
        self._kept: list[R] = []
        self._fault: BaseException | None = None

    def keep(self, returned: R) -> None:
        """Keep what the handler returned; the library would make a text of it."""
        self._kept.append(returned)

    def result(self) -> R:
        """Give what the handler returned, or raise what it raised."""
        if self._fault is not None:
            raise self._fault
        (returned,) = self._kept
        return returned

    def _log_setup(self, event: object, context: object) -> None:
        """Leave the logging as it is."""

    def _set_timeout(self) -> None:
        """Start no timer: time is watched before each commit (`ipam.entrypoints.deadlines`)."""

    def _wait_for_cwlogs(self, sleep: object = None) -> None:
        """Wait for nothing."""

    def _wrap_function(self, func: Callable[[Any, Any], None] | None) -> None:
        """Call the handler; what it raises is kept whole and not made a FAILED of."""
        if func is None:
            self._fault = LookupError(f"no handler for {self._event['RequestType']}")
            return
        try:
            func(self._event, self._context)
        except Exception as fault:  # noqa: BLE001 - raised again by `result`
            self._fault = fault

    def _cfn_response(self, event: object) -> None:
        """Answer nobody, and invent no id: that is done once the request was handled."""

    def _send(self, *_answer: object) -> None:
        """Send nothing; called with a failure inside the library itself, keep that to be raised."""
        self._fault = self._fault or sys.exception()
