"""Answers: what a custom resource says to CloudFormation, and what the log says of it.

The fields are those of the CloudFormation user guide, "Custom resource response objects".
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipam.entrypoints.events import Request

MAX_BODY: Final = 4096
"""Bytes of an answer."""

_UNMADE: Final = re.compile(r"[a-z-]+-(?P<digits>[0-9a-f]{16})-(?P<second>[0-9]{1,12})")
"""The id of a resource that was not made: see `unmade_id`."""

Outcome = Literal[
    "allocated",
    "kept",
    "replaced",
    "released",
    "already-released",
    "nothing-to-release",
    "verified",
    "unverified-delete",
    "unverified-update",
    "created",
    "changed",
    "deleted",
    "refused",
    "denied",
    "failed",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        outcome: in one word, for the log and the alarms that read it.
        physical_resource_id: the id that CloudFormation is to have for the resource.
        reason: why it failed; "" for a success.
        data: the attributes of the resource. CloudFormation forgets those that a later success leaves out.
        facts: for the log: allocation_id, cidr, ipam_pool_id.
        afterwards: what is done once CloudFormation has taken the answer, and what comes of it: for what nothing
            else proves to be CloudFormation's.
    """

    outcome: Outcome
    physical_resource_id: str
    reason: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    afterwards: Callable[[], Outcome] | None = None


def encode(request: Request, answer: Answer) -> bytes:
    """Write an answer down.

    Raises:
        AssertionError: it is longer than CloudFormation reads, which every part's own limit should prevent.
    """
    encoded = _written(request, answer)
    if len(encoded) > MAX_BODY:
        raise AssertionError(f"an answer of {len(encoded)} bytes; CloudFormation reads {MAX_BODY}")
    return encoded


def _written(request: Request, answer: Answer) -> bytes:
    """Write an answer down, however long it is."""
    body: dict[str, object] = {
        "Status": "FAILED" if answer.reason else "SUCCESS",
        "PhysicalResourceId": answer.physical_resource_id,
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_resource_id,
    }
    if answer.reason:
        body["Reason"] = answer.reason
    if answer.data:
        body["Data"] = dict(answer.data)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def room(request: Request, answer: Answer) -> int:
    """Tell how many bytes an answer leaves for the text of one attribute more, which it has as an empty one."""
    return MAX_BODY - len(_written(request, answer))


def fitted(text: str, size: int) -> str:
    """Keep as much of the beginning of a text as fits in that many bytes of an answer."""
    kept = text
    while kept and _size(kept) > size:
        text = text[:-1]
        kept = f"{text}…" if text else ""
    return kept


def _size(text: str) -> int:
    """Bytes of a text in an answer."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - len('""')


def unmade_id(prefix: str, request: Request) -> str:
    """Name a resource whose Create fails: the same in every delivery, and never the id of something that exists.

    It ends with the second in which CloudFormation made the request, for `ends_up_to`.
    """
    signed = request.response_url.signed
    made = "" if signed is None else f"-{signed // 1000}"
    return f"{prefix}-{_digits(request)}{made}"


def ends_up_to(request: Request) -> int:
    """Tell up to when the requests were made that are over with a Delete, milliseconds of the epoch.

    Those before it. But where its id is that of a Create which we refused, it is about that Create, though it may come
    only after a later one has succeeded: that is not over.
    """
    found = _UNMADE.fullmatch(request.physical_resource_id)
    if found is None or found["digits"] != _digits(request):
        return request.requested
    return min(int(found["second"]) * 1000, request.requested)


def ended(request: Request, outcome: Outcome) -> Outcome:
    """Tell what became of a Delete: that what is there is younger than a Create which we refused is in order."""
    late = outcome == "unverified-delete" and ends_up_to(request) < request.requested
    return "nothing-to-release" if late else outcome


def _digits(request: Request) -> str:
    """Name a resource in short."""
    named = f"{request.stack_id}|{request.logical_resource_id}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]
