"""How long a request may still take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.errors import OutOfTimeError

if TYPE_CHECKING:
    from collections.abc import Callable

RESERVE: Final = 8_000
"""Milliseconds that a commit and the delivery of its answer may need: a slow answer of the store, then a slow one of
S3."""

RESERVE_SHARE: Final = 3
"""A function with less time keeps one part in so many, or it would refuse everything."""


class LambdaDeadline:
    """`ipam.services.ports.Deadline` by the time that Lambda leaves to the invocation."""

    def __init__(self, remaining: Callable[[], int]) -> None:
        """Start with what remains, in milliseconds."""
        self._remaining = remaining
        self._reserve = min(RESERVE, remaining() // RESERVE_SHARE)

    def ensure(self) -> None:
        """See the port."""
        if self._remaining() < self._reserve:
            raise OutOfTimeError
