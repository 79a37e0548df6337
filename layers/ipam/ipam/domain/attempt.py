"""Attempts: what reached the functions and was beyond whoever sent it.

They are kept for people, and so that nobody can fill the table with them: of the attempts of one account on one day the
last ones are kept whole and all are counted (docs/decisions/0018).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

KEPT: Final = 100
"""Attempts of an account and day that are kept whole."""

DAYS_KEPT: Final = 400
"""Days after which a day's attempts are forgotten: what happened a year ago can still be compared."""

DAY: Final = 24 * 3600 * 1000
"""Milliseconds; days are UTC's."""

Kind = Literal["forged", "denied", "unverified-delete", "unverified-update"]
"""CloudFormation cannot have sent it; it asked for what is not its own; it gave back what its stack does not hold; it
was to change what its stack has never held, and got something of its own."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that was tried, and changed nothing of anybody else's.

    Attributes:
        at: when, milliseconds of the epoch.
        account: the account that the invoked alias proves; "" where the alias is for no account.
        kind: what it was.
        reason: why it came to nothing.
        request_type: what the event claims, cut short: its type,
        resource_type: the type of its resource,
        stack_id: its stack,
        logical_resource_id: the resource's name there,
        request_id: and CloudFormation's name for the request.
        aws_request_id: Lambda's name for the event: finds its line in the log.
        number: which it is of its account and day, from 1; 0 before it is counted.
    """

    at: int
    account: str
    kind: Kind
    reason: str
    request_type: str
    resource_type: str
    stack_id: str
    logical_resource_id: str
    request_id: str
    aws_request_id: str
    number: int = 0

    @property
    def day(self) -> int:
        """The day it was on, counted from the epoch."""
        return self.at // DAY

    @property
    def slot(self) -> int:
        """Its place among those that are kept: that of the one which came `KEPT` before it."""
        return self.number % KEPT

    @property
    def expires(self) -> int:
        """When it is forgotten, together with its day: seconds of the epoch."""
        return (self.day + DAYS_KEPT) * DAY // 1000


def date_of(day: int) -> str:
    """Write a day as ISO 8601 has it."""
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%d}"
