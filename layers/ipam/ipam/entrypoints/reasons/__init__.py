"""Reasons: one sentence or three for each refusal, made from its facts: what was asked, why not, what to do.

CloudFormation shows them to the person who waits for the stack, and cuts what is long; so nothing here is longer than
`MAX_REASON`, and what matters most stands first. Each topic's sentences have a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.errors import PermanentError
from ipam.entrypoints.explanations import passed_over
from ipam.entrypoints.reasons import others, pools, requests  # noqa: F401 - their sentences are known once imported
from ipam.entrypoints.reasons.words import say

if TYPE_CHECKING:
    from ipam.domain.errors import IpamError

MAX_REASON: Final = 240
"""Characters of a Reason that CloudFormation's events and console show whole, beside their own words."""

MAX_REASONS: Final = 720
"""Characters of a Reason that tells of several pools: an answer has room for the longest (`answers.MAX_BODY`)."""

MASK: Final = "CnCidrMask"
"""The property with the netmask length, as sentences name it."""


def reason(error: IpamError, mask: str = MASK) -> str:
    """Say why a request is refused; `mask` is the requester's name for the property with the netmask length."""
    said, more = sentence(error, mask), beside(error)
    return cut(f"{said} {more}", MAX_REASONS) if more else said


def sentence(error: IpamError, mask: str = MASK) -> str:
    """Say it of the pool alone whose refusal it is."""
    return cut(say(error).replace(MASK, mask))


def beside(error: IpamError) -> str:
    """Say why other pools that were tried refused as well; "" if there are none."""
    tried = error.beside if isinstance(error, PermanentError) else ()
    return f"As to the others: {'; '.join(passed_over(tried))}." if tried else ""


def internal_error(reference: str) -> str:
    """Say that the fault is ours; the reference finds it in the log."""
    return cut(f"Internal error, reference {reference}. It is safe to retry; if it repeats, report the reference.")


def cut(text: str, limit: int = MAX_REASON) -> str:
    """Keep the beginning of a text, which says what was asked and why not."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
