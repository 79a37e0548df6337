"""Attempts: from the log line of an event, the record of what was tried.

The record has what the line says and nothing else, less what no genuine event could claim: a forged one may be full of
anybody's text, which would be stored for longer than it deserves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from ipam.domain.attempt import Attempt, Kind
from ipam.domain.errors import OutOfTimeError, StoreUnavailableError
from ipam.entrypoints.events import CLAIMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KINDS: Final[Mapping[str, Kind]] = {kind: kind for kind in get_args(Kind)}
"""Outcomes that are written down as attempts."""

MAX_CLAIM: Final = 256
"""Characters that are kept of what an event claims."""

NOT_HELD: Final[Mapping[str, str]] = {
    "unverified-delete": "a Delete of what its stack does not hold",
    "unverified-update": "an Update of what its stack has never held",
}
"""What an unverified request was: its stack is not told, so no error says it."""


def attempt_of(outcome: str, line: Mapping[str, object], account: str, now: int) -> Attempt | None:
    """Make the record of an event that was an attempt; None if it was none.

    Args:
        outcome: how it ended. What could not be delivered counts as what was answered: a forger has no way to take it.
        line: what the log says of it.
        account: the one that the invoked alias proves, or "".
        now: milliseconds of the epoch.
    """
    kind = KINDS.get(outcome) or KINDS.get(str(line.get("answer")))
    if kind is None:
        return None
    request_type, resource_type, stack_id, logical_id, request_id = (_claim(line.get(name)) for name in CLAIMS.values())
    return Attempt(
        at=now,
        account=account,
        kind=kind,
        reason=str(line.get("reason") or NOT_HELD.get(kind, "")),
        request_type=request_type,
        resource_type=resource_type,
        stack_id=stack_id,
        logical_resource_id=logical_id,
        request_id=request_id,
        aws_request_id=str(line["aws_request_id"]),
    )


def unrecorded(record: Callable[[], None]) -> str:
    """Write an attempt down; say why that could not be done, or "". It never fails: the event is done with."""
    try:
        record()
    except OutOfTimeError:
        return "no time was left"
    except StoreUnavailableError as error:
        return error.code
    except Exception as fault:  # noqa: BLE001 - told in the log
        return type(fault).__name__
    return ""


def _claim(said: object) -> str:
    """Cut what an event says of itself, and leave out characters that no genuine one has."""
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in str(said or "")[:MAX_CLAIM])
