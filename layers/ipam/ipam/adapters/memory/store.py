"""The records in memory, read and changed as the table's are, and what DynamoDB would charge for it.

It holds the same records under the same keys as the table and judges the same conditions, one change at a time. It also
counts capacity units, by the size of the very items that the table would hold: a transaction writes each item twice, a
condition check counts as a write, and a consistent read counts 4 KB units of all that it reads (developer guide,
"DynamoDB throughput capacity").
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedDict

from ipam.adapters.dynamodb import attributes, block_items, keys, plan_items, request_items
from ipam.adapters.memory.operations import REMOVALS, holds, key_of, record_of
from ipam.domain.allocation import Allocation, Approval, AuditRecord, CoolingBlock, Lease, PendingOrder
from ipam.domain.attempt import Attempt, date_of
from ipam.domain.change import (
    ChangeQuota,
    DescribeAllocation,
    DivideAllocation,
    MarkOrphan,
    PutOwner,
    TouchPool,
    TouchScope,
    UniteAllocation,
)
from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.orphan import Round
from ipam.domain.owner import OwnerRecord
from ipam.domain.plan import Plan
from ipam.domain.pool import Pool, ProvisionedCidr, Scope
from ipam.domain.tenant import Tenant
from ipam.services.ports.store import Conflict, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ipam.adapters.dynamodb.attributes import Item
    from ipam.domain.change import Change, Operation
    from ipam.domain.cidr import Family
    from ipam.domain.owner import OwnerKey

READ_UNIT = 4096
WRITE_UNIT = 1024


@dataclass
class Consumed:
    """What was asked of the store so far: calls, and DynamoDB's capacity units for them."""

    requests: int = 0
    read_units: float = 0
    write_units: int = 0


class MemoryStore:
    """`ipam.services.ports.store.Store` in a dictionary a partition."""

    def __init__(self) -> None:
        """Start with nothing stored."""
        self._partitions: dict[str, SortedDict[str, Any]] = {}
        self._lock = threading.Lock()
        self.consumed = Consumed()

    def plan(self) -> Plan:
        """See the port."""
        records = list(self._range(keys.PLAN))
        return Plan(
            tuple(record for record in records if isinstance(record, Scope)),
            tuple(record for record in records if isinstance(record, Pool)),
            tuple(record for record in records if isinstance(record, ProvisionedCidr)),
            tuple(record for record in records if isinstance(record, Tenant)),
        )

    def free_blocks(self, pool_id: str, family: Family, length: int, limit: int) -> list[Cidr]:
        """See the port."""
        sizes = (keys.free_from(family, WIDTHS[family] - length), keys.free_until(family))
        return list(self._range(keys.free_partition(pool_id), sizes, limit))

    def largest_free(self, pool_id: str, family: Family) -> Cidr | None:
        """See the port."""
        sizes = (keys.free_from(family, 0), keys.free_until(family))
        return next(iter(self._range(keys.free_partition(pool_id), sizes, 1, backwards=True)), None)

    def free_among(self, pool_id: str, blocks: Sequence[Cidr]) -> set[Cidr]:
        """See the port."""
        with self._lock:
            found = {block for block in blocks if self._find(keys.free(pool_id, block)) is not None}
            self.consumed.requests += math.ceil(len(blocks) / 100)
            self.consumed.read_units += len(blocks)
        return found

    def all_free(self, pool_id: str, family: Family) -> Iterator[Cidr]:
        """See the port."""
        sizes = (keys.free_from(family, 0), keys.free_until(family))
        return iter(self._range(keys.free_partition(pool_id), sizes))

    def cooling(self, pool_id: str, limit: int, until: int | None = None) -> list[CoolingBlock]:
        """See the port."""
        due = None if until is None else ("", keys.cooling_until(until))
        return list(self._range(keys.cooling_partition(pool_id), due, limit))

    def sticky(self, pool_id: str, holder: str, after: int, limit: int) -> list[CoolingBlock]:
        """See the port."""
        sought = keys.sticky_after(holder, after)
        return list(self._range(keys.sticky_partition(pool_id), sought, limit, backwards=True))

    def allocation(self, pool_id: str, cidr: Cidr) -> Allocation | None:
        """See the port."""
        found: Allocation | None = self._get(keys.allocation(pool_id, cidr))
        return found

    def allocations_beyond(self, pool_id: str, after: Cidr) -> Iterator[Allocation]:
        """See the port."""
        return iter(self._range(keys.used_partition(pool_id), keys.blocks_beyond(after)))

    def orphans_round(self) -> Round:
        """See the port."""
        return self._get(keys.orphans_round()) or Round()

    def allocations(self, pool_id: str, within: Cidr | None = None) -> Iterator[Allocation]:
        """See the port."""
        between = None if within is None else (keys.blocks_from(within), keys.blocks_until(within))
        return iter(self._range(keys.used_partition(pool_id), between))

    def lease(self, pool_id: str, cidr: Cidr) -> Lease | None:
        """See the port."""
        found: Lease | None = self._get(keys.lease(pool_id, cidr))
        return found

    def leases(self, pool_id: str) -> Iterator[Lease]:
        """See the port."""
        return iter(self._range(keys.lease_partition(pool_id)))

    def approval(self, approval_id: str) -> Approval | None:
        """See the port."""
        found: Approval | None = self._get(keys.approval(approval_id))
        return found

    def approvals(self) -> list[Approval]:
        """See the port."""
        return self._range(keys.APPROVALS)

    def orders(self, pool_id: str) -> list[PendingOrder]:
        """See the port."""
        return self._range(keys.order_partition(pool_id))

    def owner(self, key: OwnerKey) -> OwnerRecord:
        """See the port."""
        return self._owner(key, unit=1)

    def owner_hint(self, key: OwnerKey) -> OwnerRecord:
        """See the port."""
        return self._owner(key, unit=0.5)

    def owners(self, party: str) -> list[OwnerRecord]:
        """See the port."""
        return list(self._range(keys.owner_partition(party)))

    def owners_hint(self, party: str) -> list[OwnerRecord]:
        """See the port."""
        return list(self._range(keys.owner_partition(party), unit=0.5))

    def quota(self, account: str, pool_id: str) -> ChangeQuota:
        """See the port."""
        with self._lock:
            self.consumed.requests += 1
            self.consumed.read_units += 1
            return self._held(account, pool_id)

    def quotas(self, account: str) -> list[ChangeQuota]:
        """See the port."""
        return self._range(keys.quota_partition(account))

    def audit(self, subject: str, cidr: Cidr | None = None) -> Iterator[AuditRecord]:
        """See the port."""
        return iter(self._range(keys.audit_partition(subject), None if cidr is None else keys.audit_of(cidr)))

    def attempts(self, day: int, account: str | None = None) -> Iterator[Attempt]:
        """See the port."""
        between = None if account is None else keys.attempts_of(account)
        return iter(self._range(keys.attempt_partition(date_of(day)), between))

    def count_attempt(self, attempt: Attempt) -> int:
        """See the port."""
        key = keys.tally(date_of(attempt.day), attempt.account)
        with self._lock:
            self.consumed.requests += 1
            self.consumed.write_units += 1
            number = int(self._find(key) or 0) + 1
            self._partitions.setdefault(key.partition, SortedDict())[key.sort] = number
        return number

    def keep_attempt(self, attempt: Attempt) -> None:
        """See the port."""
        key = keys.attempt(date_of(attempt.day), attempt.account, attempt.slot)
        with self._lock:
            self.consumed.requests += 1
            self.consumed.write_units += math.ceil(_size(attempt, "") / WRITE_UNIT)
            current = self._find(key)
            if current is None or current.number < attempt.number:
                self._partitions.setdefault(key.partition, SortedDict())[key.sort] = attempt

    def commit(self, change: Change) -> None:
        """See the port."""
        with self._lock:
            self.consumed.requests += 1
            writes = [(operation, key_of(operation), record_of(operation)) for operation in change.operations]
            self.consumed.write_units += sum(self._write_units(key, record) for _, key, record in writes)
            if len({key for _, key, _ in writes}) != len(writes):
                message = "a transaction cannot have two operations on one item"
                raise ValueError(message)
            refusals = [
                Refusal(operation, self._find(key) if isinstance(operation, PutOwner) else None)
                for operation, key, _ in writes
                if not holds(operation, self._find(key))
            ]
            if refusals:
                raise Conflict(tuple(refusals))
            for operation, key, record in writes:
                self._apply(operation, key, record)

    def _range(
        self,
        partition: str,
        between: tuple[str, str] | None = None,
        limit: int | None = None,
        *,
        backwards: bool = False,
        unit: float = 1,
    ) -> list[Any]:
        """Read a partition or a range of it; a consistent read costs one unit for each 4 KB."""
        with self._lock:
            rows = self._partitions.get(partition) or SortedDict()
            low, high = between or (None, None)
            found: list[Any] = []
            read = 0
            for sort in rows.irange(low, high, reverse=backwards):
                if limit is not None and len(found) >= limit:
                    break
                found.append(rows[sort])
                read += _size(rows[sort], partition)
            self.consumed.requests += 1
            self.consumed.read_units += unit * max(1, math.ceil(read / READ_UNIT))
        return found

    def _get(self, key: keys.Key) -> Any:
        with self._lock:
            record = self._find(key)
            self.consumed.requests += 1
            self.consumed.read_units += 1 if record is None else math.ceil(_size(record, "") / READ_UNIT)
            return record

    def _owner(self, key: OwnerKey, unit: float) -> OwnerRecord:
        with self._lock:
            record = self._find(keys.owner(key))
            self.consumed.requests += 1
            self.consumed.read_units += unit if record is None else unit * math.ceil(_size(record, "") / READ_UNIT)
            return OwnerRecord(key) if record is None else record

    def _find(self, key: keys.Key) -> Any:
        rows = self._partitions.get(key.partition)
        return None if rows is None else rows.get(key.sort)

    def _held(self, account: str, pool_id: str) -> ChangeQuota:
        found = self._find(keys.quota(account, pool_id))
        return ChangeQuota(account, pool_id, 0, 0) if found is None else found

    def _apply(self, operation: Operation, key: keys.Key, record: Any) -> None:
        """Carry out an operation whose condition holds."""
        match operation:
            case _ if isinstance(operation, REMOVALS):
                del self._partitions[key.partition][key.sort]
            case DescribeAllocation(_, _, _, description, tags):
                self._alter(key, description=description, tags=tags)
            case DivideAllocation(divided_by=divided_by):
                self._alter(key, divided_by=divided_by)
            case UniteAllocation():
                self._alter(key, divided_by="")
            case MarkOrphan(orphan=orphan):
                self._alter(key, orphan=orphan)
            case TouchScope() | TouchPool():
                self._alter(key, version=self._find(key).version + 1)
            case ChangeQuota(account, pool_id, allocations, units):
                held = self._held(account, pool_id)
                total = ChangeQuota(account, pool_id, held.allocations + allocations, held.units + units)
                self._partitions.setdefault(key.partition, SortedDict())[key.sort] = total
            case _:
                self._partitions.setdefault(key.partition, SortedDict())[key.sort] = record

    def _alter(self, key: keys.Key, **fields: Any) -> None:
        """Change some fields of a record."""
        rows = self._partitions[key.partition]
        rows[key.sort] = replace(rows[key.sort], **fields)

    def _write_units(self, key: keys.Key, record: Any) -> int:
        """Count the units of one item of a transaction: those of the larger of the item before and after."""
        sizes = [_size(each, key.partition) for each in (self._find(key), record) if each is not None]
        return 2 * max(1, math.ceil(max(sizes, default=0) / WRITE_UNIT))


_TO_ITEM: dict[type, Callable[[Any], Item]] = {
    Allocation: block_items.from_allocation,
    Approval: request_items.from_approval,
    Attempt: request_items.from_attempt,
    Lease: block_items.from_lease,
    PendingOrder: request_items.from_order,
    AuditRecord: request_items.from_audit,
    CoolingBlock: block_items.from_cooling,
    OwnerRecord: lambda record: request_items.from_owner(record, None),
    Pool: plan_items.from_pool,
    ProvisionedCidr: plan_items.from_provisioned,
    Round: block_items.from_round,
    Scope: plan_items.from_scope,
    Tenant: plan_items.from_tenant,
}


def _size(record: Any, partition: str) -> int:
    """Bytes of the item that the table would hold for a record."""
    if isinstance(record, Cidr):
        return attributes.size(block_items.from_free(partition.removeprefix("FREE#"), record))
    if type(record) in _TO_ITEM:
        return attributes.size(_TO_ITEM[type(record)](record))
    return len(partition) + 100
