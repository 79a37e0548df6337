"""A custom resource that does what its property `Do` says, by request type.

`Do` is a map of request type (or `Any`) to words: fail, raise, sleep:SECONDS, silent, long, empty-id, strange-request,
id:PHYSICAL_ID, once:FILE (raise unless the file is there; it is then), fail-if:VALUE (of the property `Value`), inspect
(the URL), twice (answer, then otherwise), linger:SECONDS (after the answer).
"""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any

import answer


def lambda_handler(event: dict[str, Any], context: Any) -> None:
    """Do as told, then answer."""
    properties = event["ResourceProperties"]
    told = properties.get("Do") or {}
    words = (told.get(event["RequestType"]) or told.get("Any") or "").split()
    reply: dict[str, Any] = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId") or f"probe-{event['LogicalResourceId']}",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        "Data": {
            "Value": properties.get("Value", ""),
            "List": "a,b,c",
            "Items": ["x", "y"],
            "Number": 7,
            "Invoked": context.invoked_function_arn,
            "Account": os.environ["AWS_ACCESS_KEY_ID"],
            "Source": str(importlib.util.find_spec("ipam") or importlib.util.find_spec("ministack")),
        },
    }
    for word in words:
        verb, _, value = word.partition(":")
        if verb == "sleep":
            time.sleep(float(value))
        elif verb == "raise" or (verb == "once" and not _seen(Path(value))):
            raise RuntimeError(word)
        elif verb == "silent":
            return
        elif verb == "fail" or (verb == "fail-if" and properties.get("Value") == value):
            reply |= {"Status": "FAILED", "Reason": value or "told to fail"}
        elif verb == "long":
            reply["Data"] = {"Value": "x" * 4096}
        elif verb == "empty-id":
            reply["PhysicalResourceId"] = ""
        elif verb == "strange-request":
            reply["RequestId"] = "another"
        elif verb == "inspect":
            reply["Data"] |= answer.inspect(event["ResponseURL"], reply)
        elif verb == "id":
            reply["PhysicalResourceId"] = value
    answer.put(event["ResponseURL"], reply)
    for word in words:
        verb, _, value = word.partition(":")
        if verb == "twice":
            answer.put(event["ResponseURL"], {**reply, "Data": {"Value": "later"}})
        elif verb == "linger":
            time.sleep(float(value))


def _seen(path: Path) -> bool:
    seen = path.exists()
    path.touch()
    return seen
