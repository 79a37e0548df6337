"""A custom resource that does what its property `Do` says, by request type.

`Do` is a map of request type, or `Any`, to words; the functions below that are in the tables say what each word does.
"""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any

import answer  # type: ignore[import-not-found]  # it is in the layer

Event = dict[str, Any]


def lambda_handler(event: Event, context: Any) -> None:
    """Do as told, and answer in between."""
    told = event["ResourceProperties"].get("Do") or {}
    words = [word.partition(":")[::2] for word in (told.get(event["RequestType"]) or told.get("Any") or "").split()]
    reply = _reply(event, context)
    for verb, value in words:
        if verb in BEFORE:
            BEFORE[verb](value, event, reply)
    if ("silent", "") not in words:
        answer.put(event["ResponseURL"], reply)
    for verb, value in words:
        if verb in AFTER:
            AFTER[verb](value, event, reply)


def _reply(event: Event, context: Any) -> Event:
    return {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId") or f"probe-{event['LogicalResourceId']}",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        "Data": {
            "Value": event["ResourceProperties"].get("Value", ""),
            "List": "a,b,c",
            "Items": ["x", "y"],
            "Number": 7,
            "Invoked": context.invoked_function_arn,
            "Account": os.environ["AWS_ACCESS_KEY_ID"],
            "Source": str(importlib.util.find_spec("ipam") or importlib.util.find_spec("ministack")),
        },
    }


def _fail(value: str, _event: Event, reply: Event) -> None:
    reply |= {"Status": "FAILED", "Reason": value or "told to fail"}


def _fail_if(value: str, event: Event, reply: Event) -> None:
    """Fail if the property `Value` is this one."""
    if event["ResourceProperties"].get("Value") == value:
        _fail("", event, reply)


def _raise(value: str, _event: Event, _reply: Event) -> None:
    raise RuntimeError(value)


def _once(value: str, event: Event, reply: Event) -> None:
    """Raise unless the file is there, which it is from then on."""
    seen = Path(value).exists()
    Path(value).touch()
    if not seen:
        _raise(value, event, reply)


def _sleep(value: str, _event: Event, _reply: Event) -> None:
    time.sleep(float(value))


def _long(_value: str, _event: Event, reply: Event) -> None:
    reply["Data"] = {"Value": "x" * 4096}


def _id(value: str, _event: Event, reply: Event) -> None:
    reply["PhysicalResourceId"] = value


def _strange_request(_value: str, _event: Event, reply: Event) -> None:
    reply["RequestId"] = "another"


def _inspect(_value: str, event: Event, reply: Event) -> None:
    """Try what the URL must not take."""
    reply["Data"] |= answer.inspect(event["ResponseURL"], reply)


def _again(_value: str, event: Event, reply: Event) -> None:
    """Answer once more, and otherwise."""
    answer.put(event["ResponseURL"], {**reply, "Data": {"Value": "later"}})


BEFORE = {
    "fail": _fail,
    "fail-if": _fail_if,
    "raise": _raise,
    "once": _once,
    "sleep": _sleep,
    "long": _long,
    "id": _id,
    "empty-id": _id,
    "strange-request": _strange_request,
    "inspect": _inspect,
}
AFTER = {"twice": _again, "linger": _sleep}
