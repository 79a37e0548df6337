"""Answers to CloudFormation; in a layer, so that a test sees that layers are there."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


def put(url: str, reply: dict[str, Any]) -> None:
    """Answer; raises unless the answer is taken."""
    code = send(url, reply)
    if code != 200:
        raise RuntimeError(code)


def send(url: str, reply: dict[str, Any], method: str = "PUT", content_type: str = "") -> int:
    """Send an answer and give the status."""
    body = json.dumps(reply).encode()
    headers = {"Content-Type": content_type}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as taken:  # noqa: S310
            return int(taken.status)
    except urllib.error.HTTPError as error:
        return error.code


def inspect(url: str, reply: dict[str, Any]) -> dict[str, str]:
    """Try what must not be taken, and give the statuses and the URL's query without its signature."""
    at, _, query = url.partition("?")
    parameters = query.split("&")
    unsigned = [parameter for parameter in parameters if not parameter.startswith("X-Amz-Signature")]
    later = query.replace("X-Amz-Expires=7199", "X-Amz-Expires=9999")
    codes = [
        send(url, reply, content_type="application/json"),
        send(f"{at}?{'&'.join([*unsigned, 'X-Amz-Signature=' + '0' * 64])}", reply),
        send(f"{at}?{later}", reply),
        send(url, reply, method="POST"),
        send(f"{at}0?{query}", reply),
    ]
    return {"Codes": " ".join(map(str, codes)), "Query": "&".join(unsigned)}
