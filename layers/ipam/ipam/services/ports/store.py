"""The store: where the truth is kept, and how it says that a change did not happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipam.domain.allocation import Allocation, Approval, AuditRecord, CoolingBlock, Lease, PendingOrder
    from ipam.domain.attempt import Attempt
    from ipam.domain.change import Change, ChangeQuota, Operation
    from ipam.domain.cidr import Cidr, Family
    from ipam.domain.orphan import Round
    from ipam.domain.owner import OwnerKey, OwnerRecord
    from ipam.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one operation of a change was refused.

    Attributes:
        operation: the one whose condition did not hold.
        current: for `PutOwner`, the record that is stored instead; None for others.
        busy: its condition was not even tried, because another transaction held the item.
    """

    operation: Operation
    current: OwnerRecord | None = None
    busy: bool = False


class Conflict(Exception):  # noqa: N818 - the other writer is no error; it is what a service expects and handles
    """A change did not happen, because something was not as it was believed to be."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        """Keep the refusals, in the order of the operations."""
        super().__init__(f"{len(refusals)} refused")
        self.refusals = refusals


class Store(Protocol):
    """Where the truth is kept. Reads are consistent unless they say otherwise.

    Any method may raise StoreUnavailableError.
    """

    def plan(self) -> Plan:
        """Read all scopes, pools and provisioned CIDRs."""
        ...

    def free_blocks(self, pool_id: str, family: Family, length: int, limit: int) -> list[Cidr]:
        """Read the free blocks that can hold a netmask length, best fit first: smallest, then lowest address."""
        ...

    def largest_free(self, pool_id: str, family: Family) -> Cidr | None:
        """Read the largest free block."""
        ...

    def free_among(self, pool_id: str, blocks: Sequence[Cidr]) -> set[Cidr]:
        """Tell which of these exact blocks are free."""
        ...

    def all_free(self, pool_id: str, family: Family) -> Iterator[Cidr]:
        """Read every free block, smallest first; pages are fetched as they are needed."""
        ...

    def cooling(self, pool_id: str, limit: int, until: int | None = None) -> list[CoolingBlock]:
        """Read cooling blocks, the next to become free first; with `until`, those due by then only."""
        ...

    def sticky(self, pool_id: str, holder: str, after: int, limit: int) -> list[CoolingBlock]:
        """Read what a holder had and what cools beyond a time, the last to become free first."""
        ...

    def allocation(self, pool_id: str, cidr: Cidr) -> Allocation | None:
        """Read the allocation of exactly this block."""
        ...

    def allocations(self, pool_id: str, within: Cidr | None = None) -> Iterator[Allocation]:
        """Read the allocations, all or those inside a block, in address order; pages are fetched as they are needed."""
        ...

    def allocations_beyond(self, pool_id: str, after: Cidr) -> Iterator[Allocation]:
        """Read the allocations that come after a block, in address order; pages are fetched as they are needed."""
        ...

    def orphans_round(self) -> Round:
        """Read how far the search for orphans is; version 0 if there never was one."""
        ...

    def lease(self, pool_id: str, cidr: Cidr) -> Lease | None:
        """Read the lease of exactly this block."""
        ...

    def leases(self, pool_id: str) -> Iterator[Lease]:
        """Read the leases of a pool in address order; pages are fetched as they are needed."""
        ...

    def approval(self, approval_id: str) -> Approval | None:
        """Read an approval, whatever was decided."""
        ...

    def approvals(self) -> list[Approval]:
        """Read all approvals that are not used or forgotten yet."""
        ...

    def orders(self, pool_id: str) -> list[PendingOrder]:
        """Read the orders of a pool that are on their way to Amazon VPC IPAM."""
        ...

    def owner(self, key: OwnerKey) -> OwnerRecord:
        """Read an owner's record; version 0 if there is none."""
        ...

    def owner_hint(self, key: OwnerKey) -> OwnerRecord:
        """Read an owner's record, possibly a moment old, at half the price."""
        ...

    def owners(self, party: str) -> list[OwnerRecord]:
        """Read all records of a stack, or of a pool as the holder of what is provisioned to it."""
        ...

    def owners_hint(self, party: str) -> list[OwnerRecord]:
        """Read the same, possibly a moment old, at half the price."""
        ...

    def quota(self, account: str, pool_id: str) -> ChangeQuota:
        """Read what an account holds of a pool."""
        ...

    def quotas(self, account: str) -> list[ChangeQuota]:
        """Read what an account holds, of each pool that it ever held something of."""
        ...

    def audit(self, subject: str, cidr: Cidr | None = None) -> Iterator[AuditRecord]:
        """Read the audit records of a pool, a scope or a stack, or of one block there, by block and then by time."""
        ...

    def attempts(self, day: int, account: str | None = None) -> Iterator[Attempt]:
        """Read the attempts of a day that are kept, of all accounts or one; pages are fetched as they are needed."""
        ...

    def count_attempt(self, attempt: Attempt) -> int:
        """Count an attempt of its account on its day, and tell how many there were with it."""
        ...

    def keep_attempt(self, attempt: Attempt) -> None:
        """Keep an attempt in its place, unless a later one has that."""
        ...

    def commit(self, change: Change) -> None:
        """Carry out a change, wholly or not at all.

        Raises:
            Conflict: a condition did not hold; nothing was changed.
        """
        ...
