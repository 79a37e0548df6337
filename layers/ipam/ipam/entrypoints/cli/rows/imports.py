"""Rows of an import: what became of each line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from ipam.services.import_rows import Bad, Entry, Row

MAX_VALUE: Final = 255
"""Characters of what is wrong that are repeated."""

Fate = Literal["imported", "kept", "good", "left-out", "bad"]


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A line of an import, and what became of it.

    `good` is what could be imported but was not, because it was a trial, or because other lines are bad. `value` is the
    block, or what is wrong with a bad line.
    """

    line: int
    outcome: Fate
    value: str
    pool: str | None
    account: str | None
    allocation_type: str | None
    compliant: bool | None
    allocation_id: str | None
    problem: str | None
    reason: str | None

    @classmethod
    def of(cls, entry: Entry, outcome: Fate, allocation_id: str | None, *, compliant: bool) -> ImportRow:
        """Describe a network."""
        row, pool = entry.row, entry.pool.name
        facts = (pool, row.account, entry.allocation_type, compliant, allocation_id)
        return cls(row.line, outcome, str(row.cidr), *facts, None, None)

    @classmethod
    def of_level(cls, row: Row) -> ImportRow:
        """Describe what is no network but a level of the plan."""
        return cls(row.line, "left-out", str(row.cidr), None, None, None, None, None, None, None)

    @classmethod
    def of_bad(cls, bad: Bad, reason: str) -> ImportRow:
        """Describe a line that cannot be imported."""
        value, pool = bad.value[:MAX_VALUE], bad.pool or None
        return cls(bad.line, "bad", value, pool, None, None, None, None, bad.problem, reason)
