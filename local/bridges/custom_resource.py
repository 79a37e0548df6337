"""CloudFormation's side of the custom resource protocol.

Gap: the emulator calls the function synchronously and once, takes any answer, and forgets a resource whose Create
failed. Restored here: what a request carries, what an answer must be, how long CloudFormation waits, and what it makes
of an answer that is none:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudformation-customresource.html
How the event reaches the function is `invocation`'s, the URL `response_url`'s; what follows from a failure (the Delete
after a failed Create, the rollback) is `stacks`'.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import secrets
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ministack.core.responses import get_region, new_uuid
from ministack.services.cloudformation import custom_resource as emulated

from local.bridges.invocation import Delivery, Queue, RefusedError, resolve
from local.bridges.response_url import ResponseUrls
from local.settings import BridgeSettings, Organization

if TYPE_CHECKING:
    from collections.abc import Iterator

RequestType = Literal["Create", "Update", "Delete"]

MAX_RESPONSE_BYTES = 4096
MAX_PHYSICAL_ID = 1024
MAX_TIMEOUT = 3600


class CustomResourceError(Exception):
    """A custom resource that failed; its text is the status reason.

    `physical_id` is what the answer named, and None where it named none: CloudFormation then invents one. `requested`
    is false when no event left CloudFormation, so that nothing is there to delete.
    """

    def __init__(self, reason: str, physical_id: str | None = None, *, requested: bool = True) -> None:
        super().__init__(reason)
        self.physical_id = physical_id
        self.requested = requested


class Pending:
    """A request that waits for its answer; the first answer counts."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.body: bytes | None = None
        self.cancelled = False

    def answer(self, body: bytes) -> None:
        """Take an answer; a later one changes nothing."""
        with self._lock:
            if not self._ended.is_set():
                self.body = body
                self._ended.set()

    def cancel(self) -> None:
        """Stop waiting, because a resource beside this one failed."""
        with self._lock:
            if not self._ended.is_set():
                self.cancelled = True
                self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the answer or the cancellation; false when neither came in time."""
        return self._ended.wait(seconds)


class Driver:
    """Sends requests and judges answers."""

    def __init__(self, settings: BridgeSettings) -> None:
        self._organization = Organization.parse(settings.organization)
        self._queue = Queue(settings.retry_delays, settings.concurrency)
        self._copies = 2 if settings.duplicates else 1
        self.jitter = settings.jitter
        self._records = Path(settings.records) if settings.records else None
        self._writing = threading.Lock()
        self._pending: dict[tuple[str, str], Pending] = {}
        self.urls = ResponseUrls(f"https://localhost:{settings.port}", secrets.token_hex(20))

    def cancel(self, stack_id: str, logical_id: str) -> None:
        """Stop waiting for a resource. Its function is not told, and may still answer: nobody listens then."""
        pending = self._pending.get((stack_id, logical_id))
        if pending is not None:
            pending.cancel()

    def request(  # noqa: PLR0913, PLR0917 -- the emulator's signature
        self,
        request_type: RequestType,
        logical_id: str,
        props: dict[str, Any],
        stack_name: str,
        stack_id: str,
        resource_type: str,
        physical_id: str | None = None,
        old_props: dict[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Ask the function and wait for its answer: the physical id and the attributes.

        Raises:
            CustomResourceError: it failed, answered what is no answer, or not in time.
        """
        del stack_name
        timeout = _timeout(props.get("ServiceTimeout"))
        try:
            target = resolve(props.get("ServiceToken"), self._organization)
        except RefusedError as refusal:
            raise CustomResourceError(str(refusal), requested=False) from refusal
        event: dict[str, Any] = {
            "RequestType": request_type,
            "RequestId": new_uuid(),
            "StackId": stack_id,
            "ServiceToken": props["ServiceToken"],
            "ResourceType": resource_type,
            "LogicalResourceId": logical_id,
            "ResourceProperties": as_strings(props),
        }
        if request_type != "Create":
            event["PhysicalResourceId"] = physical_id
        if request_type == "Update":
            event["OldResourceProperties"] = as_strings(old_props or {})
        with self._waiting(stack_id, logical_id) as pending:
            key = (stack_id, logical_id, event["RequestId"])
            event["ResponseURL"] = self.urls.issue(get_region(), key, self._taker(event, pending))

            def observe(happening: dict[str, Any]) -> None:
                self._record(happening, event)

            self._queue.put(Delivery(target, json.dumps(event), observe), copies=self._copies)
            if not pending.wait(timeout):
                raise CustomResourceError(
                    "CloudFormation did not receive a response from your Custom Resource. Please check your logs for "
                    f"requestId [{event['RequestId']}]."
                )
        if pending.cancelled:
            verb = {"Create": "creation", "Update": "update", "Delete": "deletion"}[request_type]
            raise CustomResourceError(f"Resource {verb} cancelled")
        return judge(pending.body or b"", event)

    @contextlib.contextmanager
    def _waiting(self, stack_id: str, logical_id: str) -> Iterator[Pending]:
        pending = self._pending[stack_id, logical_id] = Pending()
        try:
            yield pending
        finally:
            if self._pending.get((stack_id, logical_id)) is pending:
                del self._pending[stack_id, logical_id]

    def _taker(self, event: dict[str, Any], pending: Pending) -> Any:
        def take(body: bytes) -> None:
            self._record({"kind": "answer", "body": body.decode(errors="replace")}, event)
            pending.answer(body)

        return take

    def _record(self, happening: dict[str, Any], event: dict[str, Any]) -> None:
        if self._records is None:
            return
        # What follows the question mark is a right to answer; a record gives nobody that right.
        shown = {**event, "ResponseURL": event["ResponseURL"].partition("?")[0]}
        at = dt.datetime.now(dt.UTC).isoformat()
        line = json.dumps({"at": at, **happening, "event": shown})
        with self._writing, self._records.open("a") as file:
            file.write(line + "\n")


def judge(body: bytes, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Make of an answer what CloudFormation makes of it: the physical id and the attributes.

    Raises:
        CustomResourceError: the answer says FAILED, or is none.
    """
    answer = _object(body)
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if answer.get(name) != event[name]:
            raise CustomResourceError(f"Invalid {name}")
    physical_id = answer.get("PhysicalResourceId")
    if not isinstance(physical_id, str) or not 0 < len(physical_id.encode()) <= MAX_PHYSICAL_ID:
        raise CustomResourceError("Invalid PhysicalResourceId")
    data = answer.get("Data") or {}
    if answer.get("Status") == "FAILED" and answer.get("Reason"):
        raise CustomResourceError(
            f"Received response status [FAILED] from custom resource. Message returned: {answer['Reason']} "
            f"(RequestToken: {event['RequestId']}, HandlerErrorCode: GeneralServiceException)",
            physical_id,
        )
    if answer.get("Status") != "SUCCESS":
        wrong = "Reason" if answer.get("Status") == "FAILED" else "Status"
        raise CustomResourceError(f"Invalid {wrong}", physical_id)
    if not isinstance(data, dict):
        raise CustomResourceError("Invalid Data", physical_id)
    return physical_id, as_strings(data)


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_RESPONSE_BYTES:
        raise CustomResourceError("Response object is too long.")
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CustomResourceError("Invalid Json: the response is not a JSON object")
    return answer


def as_strings(value: Any) -> Any:
    """Turn numbers and booleans into strings at every depth, as they travel in requests and answers."""
    if isinstance(value, dict):
        return {key: as_strings(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_strings(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def invented_id(stack_name: str, logical_id: str) -> str:
    """Give the physical id that CloudFormation makes up when nobody named one."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return f"{stack_name}-{logical_id}-{''.join(secrets.choice(alphabet) for _ in range(13))}"


def _timeout(value: object) -> int:
    text = str(MAX_TIMEOUT if value is None else value)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_TIMEOUT):
        raise CustomResourceError(
            f"Property ServiceTimeout: {text} is not a number of seconds from 1 to {MAX_TIMEOUT}", requested=False
        )
    return int(text)


def register(settings: BridgeSettings) -> Driver:
    """Put the driver in the emulator's place."""
    driver = Driver(settings)
    driver.urls.serve()
    if not callable(emulated.invoke_custom_resource):
        raise TypeError
    emulated.invoke_custom_resource = driver.request
    return driver
