"""Rows of attempts: what was tried, and by whose alias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam.entrypoints.cli.rows.values import when

if TYPE_CHECKING:
    from datetime import datetime

    from ipam.domain.attempt import Attempt


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt: of the account that the alias proves, if it proves one; all the rest is what the event claimed.

    `number` counts those of the account on that day.
    """

    at: datetime
    account: str | None
    kind: str
    reason: str
    request_type: str
    resource_type: str
    stack_id: str
    logical_resource_id: str
    request_id: str
    aws_request_id: str
    number: int

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptRow:
        """Describe an attempt."""
        return cls(
            when(attempt.at),
            attempt.account or None,
            attempt.kind,
            attempt.reason,
            attempt.request_type,
            attempt.resource_type,
            attempt.stack_id,
            attempt.logical_resource_id,
            attempt.request_id,
            attempt.aws_request_id,
            attempt.number,
        )
