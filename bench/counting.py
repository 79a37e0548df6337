"""What a store was asked for, told apart by what it was asked about."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from sortedcontainers import SortedDict

from ipam.adapters.dynamodb import keys
from ipam.adapters.memory.store import MemoryStore
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from bench.layouts import Layout
    from ipam.domain.change import Change

BLOCKS: Final = frozenset({"FREE", "USED", "COOL"})
"""Partitions of blocks; the others that a request writes to hold its records (owner, audit, quota)."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Calls and DynamoDB's capacity units; those for reading the plan are apart.

    `refused_units` are the part of `block_units` that went to transactions which were refused: what a conditional write
    costs whose condition does not hold is charged too, and a transaction is taken to be no cheaper.
    """

    requests: float = 0
    read_units: float = 0
    block_units: float = 0
    record_units: float = 0
    plan_requests: float = 0
    plan_units: float = 0
    refused_units: float = 0

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: Counts) -> Counts:
        """What came since."""
        return Counts(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    def __truediv__(self, number: int) -> Counts:
        """What it is for each of so many."""
        return Counts(*(getattr(self, each.name) / number for each in fields(self)))


def is_block(partition: str) -> bool:
    """Whether a partition holds blocks."""
    return partition.split("#", 1)[0] in BLOCKS


class CountingStore(MemoryStore):
    """The store in memory, which counts; here it also tells blocks, records and the plan apart."""

    def __init__(self) -> None:
        """Start with nothing stored."""
        super().__init__()
        self._block_units = 0
        self._plan_requests = 0
        self._plan_units = 0.0
        self._refused_units = 0

    @property
    def counts(self) -> Counts:
        """All that was counted so far."""
        return Counts(
            self.consumed.requests - self._plan_requests,
            self.consumed.read_units - self._plan_units,
            self._block_units,
            self.consumed.write_units - self._block_units,
            self._plan_requests,
            self._plan_units,
            self._refused_units,
        )

    def seed(self, layout: Layout, pool_id: str) -> None:
        """Put a layout in place of what a pool has; millions of blocks are not placed one transaction at a time."""
        self._partitions[keys.free_partition(pool_id)] = SortedDict(layout.free_records(pool_id))
        self._partitions[keys.used_partition(pool_id)] = SortedDict(layout.held_records(pool_id))

    def commit(self, change: Change) -> None:
        """See the port; note what a refusal costs."""
        units = self._block_units
        try:
            super().commit(change)
        except Conflict:
            self._refused_units += self._block_units - units
            raise

    def _range(self, partition: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Read, and note what the plan cost."""
        units = self.consumed.read_units
        found = super()._range(partition, *args, **kwargs)
        if partition == keys.PLAN:
            self._plan_requests += 1
            self._plan_units += self.consumed.read_units - units
        return found

    def _write_units(self, key: keys.Key, record: Any) -> int:
        """Count, and note what is for blocks."""
        units = super()._write_units(key, record)
        if is_block(key.partition):
            self._block_units += units
        return units
