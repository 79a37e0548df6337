"""Asynchronous invocation of the function behind a service token.

Gap: the emulator calls the function of a custom resource once, waits for it, and knows functions of its own account
only. Lambda puts the event on a queue, tries a failing function twice more with the same payload, keeps trying one that
is throttled, may deliver any event more than once, and hands what it gives up to the on-failure destination:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html and
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html
The function runs in its own account, whoever asks.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import lambda_svc

from local.bridges.policy import may_invoke

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.settings import Organization

logger = logging.getLogger("cloudformation")

# Lambda begins with a second or less and goes on for hours; the twin's function is free again soon.
_THROTTLE_PAUSE = 0.2
_ARN_PARTS = 7
_QUALIFIED_ARN_PARTS = 8


class RefusedError(Exception):
    """The function cannot be invoked, and was not."""


@dataclass(frozen=True, slots=True)
class Target:
    """A function as one token names it: the record that runs, under the ARN that was called."""

    arn: str
    record: dict[str, Any]
    name: str
    attempts: int
    max_age: float
    on_failure: str | None


def resolve(token: object, organization: Organization) -> Target:
    """Find the function of a service token.

    Raises:
        RefusedError: there is no such function, it is in another Region, or its policy does not let this account in.
    """
    account, region = get_account_id(), get_region()
    parts = token.split(":") if isinstance(token, str) else []
    if len(parts) not in {_ARN_PARTS, _QUALIFIED_ARN_PARTS} or parts[2] != "lambda":
        raise RefusedError(f"Invalid service token: {token!r} is not the ARN of a Lambda function")
    arn, name = ":".join(parts), parts[6]
    qualifier = parts[7] if len(parts) == _QUALIFIED_ARN_PARTS else None
    if parts[3] != region:
        raise RefusedError(f"Invalid service token: {arn} is not in the stack's Region {region}")
    function = lambda_svc._functions.get_scoped(parts[4], region, name)  # noqa: SLF001
    # To another account a function that is missing and one that is closed look the same.
    if parts[4] != account and not may_invoke((function or {}).get("policy", {}), arn, account, organization):
        raise RefusedError(_denied(arn, account))
    record, config = lambda_svc._effective_func_record_for_qualifier(function, qualifier)  # noqa: SLF001
    if function is None or record is None or config is None:
        raise RefusedError(
            f"Function not found: {arn} (Service: Lambda, Status Code: 404, Request ID: {new_uuid()})"
            " (HandlerErrorCode: NotFound)"
        )
    return _target(arn, qualifier, function, {**record, "config": config})


def _denied(arn: str, account: str) -> str:
    return (
        f"User: arn:aws:iam::{account}:root is not authorized to perform: lambda:InvokeFunction on resource: {arn} "
        "because no resource-based policy allows the lambda:InvokeFunction action (Service: Lambda, Status Code: 403, "
        f"Request ID: {new_uuid()}) (HandlerErrorCode: AccessDenied)"
    )


def _target(arn: str, qualifier: str | None, function: dict[str, Any], record: dict[str, Any]) -> Target:
    # The context's invoked_function_arn is the ARN that was called; concurrency is the function's as a whole.
    running = {
        **record,
        "config": {**record["config"], "FunctionArn": arn},
        "concurrency": function.get("concurrency"),
    }
    asynchronous = lambda_svc._event_invoke_config(function, qualifier) or {}  # noqa: SLF001
    retries = asynchronous.get("MaximumRetryAttempts")
    destination = (asynchronous.get("DestinationConfig") or {}).get("OnFailure") or {}
    dead_letters = record["config"].get("DeadLetterConfig") or {}
    return Target(
        arn=arn,
        record=running,
        name=record["config"]["FunctionName"],
        attempts=1 + (2 if retries is None else int(retries)),
        max_age=float(asynchronous.get("MaximumEventAgeInSeconds") or 21600),
        on_failure=destination.get("Destination") or dead_letters.get("TargetArn"),
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for a function, and who is told what becomes of it."""

    target: Target
    payload: str
    observe: Callable[[dict[str, Any]], None]

    def attempt(self) -> dict[str, Any]:
        """Run the function, once."""
        return lambda_svc._execute_function_with_config_scope(  # type: ignore[no-any-return]  # noqa: SLF001
            self.target.record, json.loads(self.payload)
        )

    def give_up(self, result: dict[str, Any]) -> None:
        """Hand the event to the on-failure destination."""
        self.observe({"kind": "given-up", "function": self.target.arn, "destination": self.target.on_failure})
        if self.target.on_failure:
            lambda_svc._run_with_function_config_scope(  # noqa: SLF001
                self.target.record,
                lambda_svc._route_async_failure,  # noqa: SLF001
                self.target.on_failure,
                self.target.name,
                json.loads(self.payload),
                result,
            )


class Queue:
    """Lambda's queue of asynchronous events: each is tried until it is done with or given up.

    At most `width` events are at work at once. Lambda too takes events from its queue as it sees fit; here a burst of
    stacks would otherwise start more processes than the machine has room for.
    """

    def __init__(self, delays: tuple[float, ...], width: int) -> None:
        self._delays = delays
        self._places = threading.BoundedSemaphore(width)

    def put(self, delivery: Delivery, *, copies: int) -> None:
        """Deliver in the background; more than one copy is what Lambda may do at any time."""
        for copy in range(copies):
            context = contextvars.copy_context()
            threading.Thread(
                target=context.run, args=(self._deliver, delivery, copy), daemon=True, name="async"
            ).start()

    def _deliver(self, delivery: Delivery, copy: int) -> None:
        target, began = delivery.target, time.monotonic()
        result: dict[str, Any] = {}
        attempt, seen = 1, 0
        while attempt <= target.attempts:
            with self._places:
                if attempt > seen:  # a throttled attempt is the same one until it is let in
                    seen = attempt
                    delivery.observe({"kind": "delivery", "attempt": attempt, "copy": copy, "function": target.arn})
                result = delivery.attempt()
            if result.get("log"):
                logger.info("%s, attempt %d:\n%s", target.name, attempt, result["log"])
            if not result.get("error"):
                return
            pause = _THROTTLE_PAUSE
            if not result.get("throttle"):
                pause = self._delays[min(attempt, len(self._delays)) - 1]
                attempt += 1
            if attempt > target.attempts or time.monotonic() - began + pause > target.max_age:
                break
            time.sleep(pause)
        delivery.give_up(result)
