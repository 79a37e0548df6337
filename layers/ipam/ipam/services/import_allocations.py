"""Import: existing networks become allocations, in bulk.

Checked before (`ipam.services.import_check`), they are written in address order, as many as one transaction takes. Each
transaction cuts its networks out of free blocks and puts the allocations, their owners, the audit records, the quotas
and the free parts that remain: whatever is interrupted, what is written is whole, and the rest is written by the next
run, which finds the networks of this one by their owners (I4) and keeps them.

Others may allocate meanwhile. A transaction that is refused costs a look at what is free now around its own networks;
a network that somebody else took between the check and its transaction is told, and left.

Quotas count what is imported, but do not refuse it, nor do the rules of the pool: the networks exist.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from ipam.domain import ids
from ipam.domain.allocation import Allocation
from ipam.domain.change import (
    MAX_OPERATIONS,
    Change,
    ChangeQuota,
    PutAllocation,
    PutAudit,
    PutFree,
    PutOwner,
    TakeFree,
)
from ipam.domain.errors import ContendedError, StoreUnavailableError
from ipam.domain.free_space import remainders
from ipam.domain.owner import Grant, OwnerRecord, digest
from ipam.domain.plan import Ask
from ipam.domain.pool import units
from ipam.services.audit import note, note_request
from ipam.services.contention import back_off
from ipam.services.import_rows import Bad
from ipam.services.import_space import FreeSpace
from ipam.services.ports import NoDeadline
from ipam.services.ports.store import Conflict
from ipam.services.reclaim import reclaim

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.change import Operation
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import OwnerKey
    from ipam.domain.pool import Space
    from ipam.services.import_check import Intake
    from ipam.services.import_rows import Entry
    from ipam.services.ports import Ports

    Watch = Callable[[str, int, int], None]

MAX_REFUSED: Final = 20
"""Transactions in a row that others may be faster than before the import ends."""

MAX_SILENT: Final = 5
"""Transactions in a row that the store may leave without an answer before the import ends."""

MAX_LOOKS: Final = 4
"""Looks at networks that are neither free nor held, before they are given up. After each, free blocks are joined."""

LOOK: Final = 20
"""Networks around which free blocks are looked for at once."""

MAX_HALVINGS: Final = 64
"""Halvings in one transaction. IPv6 may need more: then a smaller free block is cut first, in a change of its own."""

MAX_BYTES: Final = 1_000_000
"""What one transaction may take in UTF-8. DynamoDB takes 4 MB; in JSON, texts are up to three times longer."""

ROW_BYTES: Final = 1_000
"""What the items of one network take beside its texts, at most."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that was written, and the allocation that it is now."""

    entry: Entry
    allocation_id: str


@dataclass
class Outcome:
    """What an import came to.

    Attributes:
        imported: what was written.
        kept: what somebody else imported from the same rows meanwhile.
        bad: what somebody else took meanwhile.
    """

    imported: list[Imported] = field(default_factory=list)
    kept: list[Entry] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)


def import_allocations(ports: Ports, intake: Intake, cause: str, outcome: Outcome, watch: Watch) -> None:
    """Write what was found to be good.

    Args:
        ports: the collaborators.
        intake: what the check came to.
        cause: who imports what, for the audit records.
        outcome: is told of every network once it is settled, so that it is right however this ends.
        watch: is told what is being done, how much of it is done, and how much there is.

    Raises:
        ContendedError: others were always faster; what is written stays.
        StoreUnavailableError: the store does not answer any more; what is written stays.
    """
    total = intake.to_write

    def progress() -> None:
        watch("importing", len(outcome.imported) + len(outcome.kept) + len(outcome.bad), total)

    for pool_id, entries in intake.good.items():
        progress()
        run = _Run(ports, intake.plan.space(pool_id), intake.free[pool_id], cause, outcome, progress)
        run.write(entries)
        ports.memory.forget_free(pool_id)


@dataclass(frozen=True, slots=True)
class _Importer:
    """On whose behalf a network is written."""

    owner: OwnerKey
    account: str
    cause: str


class _Batch:
    """Networks that one transaction writes, and what they are cut out of."""

    def __init__(self, free: FreeSpace) -> None:
        self._free = free
        self._bytes = 0
        self.entries: list[Entry] = []
        self.takes: dict[Cidr, None] = {}
        self.puts = FreeSpace()
        self.accounts: set[str] = set()
        self.owners: set[OwnerKey] = set()

    def source(self, cidr: Cidr) -> Cidr | None:
        """Give the free block that a network can be cut from, one that is left over in this batch included."""
        block = self.puts.around(cidr) or self._free.around(cidr)
        return None if block in self.takes else block

    def take(self, entry: Entry, block: Cidr) -> bool:
        """Take a network in, cut from a free block; False: it is for the next batch. One alone always fits."""
        rest = remainders(block, entry.row.cidr)
        left_over = self.puts.around(block) is not None
        # Its allocation and its audit record; then what is new of owner, quota, block taken and blocks put back.
        more = 2 + (entry.owner not in self.owners) + self._is_new(entry.row.account) + len(rest)
        more += -1 if left_over else 1
        size = _bytes(entry)
        full = self._operations + more > MAX_OPERATIONS or self._bytes + size > MAX_BYTES
        if self.entries and full:
            return False
        self._bytes += size
        self.entries.append(entry)
        self.owners.add(entry.owner)
        if entry.row.account:
            self.accounts.add(entry.row.account)
        if left_over:
            self.puts.discard(block)
        else:
            self.takes[block] = None
        for part in rest:
            self.puts.add(part)
        return True

    @property
    def _operations(self) -> int:
        """How many items the transaction has so far."""
        blocks = len(self.takes) + len(self.puts)
        return blocks + 2 * len(self.entries) + len(self.owners) + len(self.accounts)

    def _is_new(self, account: str) -> bool:
        return bool(account) and account not in self.accounts


class _Run:
    """The import of one pool's networks."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it works on, and whom it tells
        self, ports: Ports, space: Space, free: FreeSpace, cause: str, outcome: Outcome, progress: Callable[[], None]
    ) -> None:
        self._ports = ports
        self._space = space
        self._free = free
        self._cause = cause
        self._outcome = outcome
        self._progress = progress
        self._records: dict[OwnerKey, OwnerRecord] = {}
        self._shared: set[OwnerKey] = set()
        self._unanswered: set[str] = set()
        self._looked: set[Cidr] = set()
        self._refused = 0
        self._silent = 0

    def write(self, entries: list[Entry]) -> None:
        """Write networks, against all others who change the pool.

        Raises:
            ContendedError: others were always faster.
            StoreUnavailableError: the store does not answer any more.
        """
        self._shared = {owner for owner, count in Counter(entry.owner for entry in entries).items() if count > 1}
        for _ in range(MAX_LOOKS):
            entries = self._pass(deque(entries))
            if not entries:
                return
            reclaim(self._ports, self._space, entries[0].pool.family, None, NoDeadline())
            self._looked.clear()
        for entry in entries:
            self._lose(entry, None)

    def _pass(self, waiting: deque[Entry]) -> list[Entry]:
        """Write networks in address order; give those that are neither free nor held: perhaps they are free in parts.

        A batch that is refused waits again, at the front; how often in a row is bounded, and every other batch settles
        at least one network.
        """
        left: list[Entry] = []
        while waiting:
            batch = self._fill(waiting, left)
            waiting.extendleft(reversed(self._commit(batch)))
        return left

    def _fill(self, waiting: deque[Entry], left: list[Entry]) -> _Batch:
        """Take as many networks as fit one transaction, and settle those on the way that cannot be written."""
        batch = _Batch(self._free)
        while waiting:
            entry = waiting[0]
            block = batch.source(entry.row.cidr) or self._find(waiting, batch)
            if block is None:
                waiting.popleft()
                if not self._settle(entry):
                    left.append(entry)
            elif self._is_granted(entry):
                waiting.popleft()
            elif entry.row.cidr.length - block.length > MAX_HALVINGS:
                if batch.entries:
                    return batch
                self._open(entry.row.cidr, block)
            elif batch.take(entry, block):
                waiting.popleft()
            else:
                return batch
        return batch

    def _find(self, waiting: deque[Entry], batch: _Batch) -> Cidr | None:
        """Read what is free around the next networks that lie in no free block that is known; once for each."""
        cidr = waiting[0].row.cidr
        if cidr in self._looked:
            return None
        near = (entry.row.cidr for entry in islice(waiting, LOOK))
        unknown = [each for each in near if each not in self._looked and batch.source(each) is None]
        self._looked.update(unknown)
        around: set[Cidr] = set()
        for each in unknown:
            inside = self._space.around(each)
            lowest = each.length if inside is None else inside.length
            around |= {each.supernet(length) for length in range(lowest, each.length + 1)}
        for block in FreeSpace(self._ports.store.free_among(self._space.pool_id, sorted(around))):
            # What the batch takes has changed, if it is not known as it is: the batch will be refused, and look again.
            if not any(block.overlaps(taken) for taken in batch.takes):
                self._free.add(block)
        return batch.source(cidr)

    def _settle(self, entry: Entry) -> bool:
        """Tell what became of a network that lies in no free block; False: nobody has exactly its block."""
        held = self._ports.store.allocation(self._space.pool_id, entry.row.cidr)
        if held is None:
            return False
        if held.owner != entry.owner:
            self._lose(entry, held.owner)
        elif held.allocation_id in self._unanswered:
            self._outcome.imported.append(Imported(entry, held.allocation_id))
        else:
            self._outcome.kept.append(entry)
        return True

    def _is_granted(self, entry: Entry) -> bool:
        """Whether the owner has a grant for a network that is free: I4 is broken, and nothing is written over it."""
        record = self._records.get(entry.owner)
        if record is None or record.for_ask(_digest(entry)) is None:
            return False
        self._lose(entry, entry.owner)
        return True

    def _lose(self, entry: Entry, holder: OwnerKey | None) -> None:
        """Give a network up."""
        row = entry.row
        self._outcome.bad.append(Bad(row.line, str(row.cidr), "taken", pool=self._space.name, holder=holder))

    def _commit(self, batch: _Batch) -> list[Entry]:
        """Write a batch; give its networks back if it was refused, or if there was no answer."""
        if not batch.entries:
            return []
        change, written, records = self._change(batch)
        try:
            self._ports.store.commit(change)
        except (Conflict, StoreUnavailableError) as error:
            self._unanswered |= {each.allocation_id for each in written}
            self._looked.difference_update(entry.row.cidr for entry in batch.entries)
            self._failed(error, list(batch.takes))
            return batch.entries
        self._refused = self._silent = 0
        for block in batch.takes:
            self._free.discard(block)
        for block in batch.puts:
            self._free.add(block)
        self._records |= {owner: record.stored() for owner, record in records.items() if owner in self._shared}
        self._outcome.imported += written
        self._progress()
        return []

    def _failed(self, error: Conflict | StoreUnavailableError, blocks: list[Cidr]) -> None:
        """Learn from a change that was refused or not answered, and wait.

        Raises:
            ContendedError: too many were refused, one after the other.
            StoreUnavailableError: too many were not answered.
        """
        self._looked.clear()
        for block in blocks:
            self._free.discard(block)
        if isinstance(error, StoreUnavailableError):
            self._silent += 1
            if self._silent > MAX_SILENT:
                raise error
        else:
            self._refused += 1
            if self._refused > MAX_REFUSED:
                raise ContendedError(self._space.name, MAX_REFUSED)
            for refusal in error.refusals:
                if isinstance(refusal.operation, PutOwner) and not refusal.busy:
                    owner = refusal.operation.record.owner
                    self._records[owner] = refusal.current or OwnerRecord(owner)
        back_off(self._ports, self._refused + self._silent)

    def _change(self, batch: _Batch) -> tuple[Change, list[Imported], dict[OwnerKey, OwnerRecord]]:
        """Make the change that writes a batch."""
        pool_id, now = self._space.pool_id, self._ports.clock.now()
        operations: list[Operation] = [TakeFree(pool_id, block) for block in batch.takes]
        operations += [PutFree(pool_id, block) for block in batch.puts]
        written: list[Imported] = []
        records: dict[OwnerKey, OwnerRecord] = {}
        for entry in batch.entries:
            allocation = self._allocation(entry, now)
            importer = _Importer(entry.owner, entry.row.account, f"{self._cause}, line {entry.row.line}")
            audit = note_request(self._ports, "imported", importer, allocation)
            operations += [PutAllocation(allocation), PutAudit(audit)]
            record = records.get(entry.owner) or self._records.get(entry.owner) or OwnerRecord(entry.owner)
            records[entry.owner] = record.with_grant(_grant(entry, allocation))
            written.append(Imported(entry, allocation.allocation_id))
        operations += [PutOwner(record, expires=None) for record in records.values()]
        for account in batch.accounts:
            sizes = [units(entry.row.cidr) for entry in batch.entries if entry.row.account == account]
            operations.append(ChangeQuota(account, pool_id, len(sizes), sum(sizes)))
        return Change(tuple(operations)), written, records

    def _allocation(self, entry: Entry, now: int) -> Allocation:
        """Name the allocation to be."""
        row = entry.row
        return Allocation(
            allocation_id=ids.ALLOCATION_PREFIX + self._ports.chance.hex_digits(ids.ALLOCATION_DIGITS),
            pool_id=self._space.pool_id,
            cidr=row.cidr,
            owner=entry.owner,
            account=row.account,
            allocation_type=entry.allocation_type,
            description=row.description,
            created=now,
            tags=row.tags,
            vpc_ipam_allocation_id=row.vpc_ipam_allocation_id if entry.pool.vpc_ipam_pool_id else "",
        )

    def _open(self, cidr: Cidr, block: Cidr) -> None:
        """Cut a smaller free block out of one that is too large for a single transaction."""
        part = cidr.supernet(block.length + MAX_HALVINGS)
        parts = [part, *remainders(block, part)]
        audit = note(self._ports, self._space.pool_id, "split", self._cause, block)
        puts = (PutFree(self._space.pool_id, each) for each in parts)
        try:
            self._ports.store.commit(Change((TakeFree(self._space.pool_id, block), *puts, PutAudit(audit))))
        except (Conflict, StoreUnavailableError) as error:
            self._looked.discard(cidr)
            self._failed(error, [block])
            return
        self._free.discard(block)
        for each in parts:
            self._free.add(each)


def _grant(entry: Entry, allocation: Allocation) -> Grant:
    """Make the grant of an imported network. It is known to exist: nothing is left to be acknowledged."""
    return Grant(
        allocation_id=allocation.allocation_id,
        asks=(_digest(entry),),
        pool_id=allocation.pool_id,
        cidr=allocation.cidr,
        created=allocation.created,
        requested=allocation.created,
        by_create=True,
        acknowledged=True,
        vpc_ipam_allocation_id=allocation.vpc_ipam_allocation_id,
    )


def _digest(entry: Entry) -> str:
    """Name what is asked for: exactly this block of exactly this pool."""
    cidr = entry.row.cidr
    return digest(Ask(entry.pool.pool_id, None, "", entry.allocation_type, cidr.family, None, cidr))


def _bytes(entry: Entry) -> int:
    """Bytes of the items of a network, at most. Its owner is in three of them."""
    row, owner = entry.row, entry.owner
    once = [row.description, *(part for tag in row.tags for part in tag)]
    texts = [*once, *[owner.party, owner.name] * 3]
    return ROW_BYTES + sum(len(text.encode()) for text in texts)
