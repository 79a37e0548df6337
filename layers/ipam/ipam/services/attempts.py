"""Attempts are written down, and read by a person.

No change of anything else depends on them, so they are no `Change`: an attempt is counted, which tells its number, and
then kept in the place that the number gives it. What ends in between leaves one that is counted and not kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam.domain.attempt import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.attempt import Attempt
    from ipam.services.ports import Deadline, Ports


def note_attempt(ports: Ports, attempt: Attempt, deadline: Deadline) -> None:
    """Count an attempt, and keep it in the place of an old one of the same account and day.

    Raises:
        OutOfTimeError: there is no time to wait for the store.
        StoreUnavailableError: it did not answer.
    """
    deadline.ensure()
    number = ports.store.count_attempt(attempt)
    deadline.ensure()
    ports.store.keep_attempt(replace(attempt, number=number))


def attempts(ports: Ports, days: int, account: str | None) -> Iterator[list[Attempt]]:
    """Read what is kept of the last days, a list a day, oldest first; that of all accounts, or of one.

    Of the day that begins with midnight, UTC, `days` being 1 tells what there was until now.
    """
    today = ports.clock.now() // DAY
    for day in range(today - days + 1, today + 1):
        yield sorted(ports.store.attempts(day, account), key=lambda attempt: (attempt.at, attempt.number))
