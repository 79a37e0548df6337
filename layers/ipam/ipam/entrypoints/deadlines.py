"""How long a request may still take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.errors import OutOfTimeError

if TYPE_CHECKING:
    from collections.abc import Callable

RESERVE: Final = 14_000
"""Milliseconds that a commit and the delivery of its answer may need at worst: three calls of the store that are not
answered within two seconds, with their waits (`ipam.adapters.aws`), then one of S3 (`ipam.entrypoints.delivery`)."""

RESERVE_SHARE: Final = 2
"""A function with less time keeps one part in so many, or it would refuse everything."""


class LambdaDeadline:
    """`ipam.services.ports.Deadline` by the time that Lambda leaves to the invocation."""

    def __init__(self, remaining: Callable[[], int], reserve: int = RESERVE) -> None:
        """Start with what remains, and what is to be kept of it, in milliseconds."""
        self._remaining = remaining
        self._reserve = min(reserve, remaining() // RESERVE_SHARE)

    def ensure(self) -> None:
        """See the port."""
        if self._remaining() < self._reserve:
            raise OutOfTimeError
