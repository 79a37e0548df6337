"""What every topic's sentences are made with: who says a sentence, and how words and times are written in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import singledispatch
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipam.domain.errors import IpamError

NAME: Final = 40
"""Characters of a name or value in a Reason."""


@singledispatch
def say(error: IpamError) -> str:
    """Every error has a sentence of its own; one without is a fault, which a test finds.

    Each is registered with its class by name: to look it up in the annotations takes longer at every start.
    """
    raise TypeError(f"no reason for {type(error).__name__}")


def bare(text: str, limit: int = NAME) -> str:
    """Show a word of ours or of the plan as it is, if it is short."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def time_of(milliseconds: int) -> str:
    """Write a time to the minute, the next one."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=-(-milliseconds // 60_000))
    return f"{at:%Y-%m-%d %H:%M} UTC"
