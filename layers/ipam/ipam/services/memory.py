"""What a warm function remembers between requests.

Only hints: every change is conditional, so a wrong one costs a request and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipam.domain.cidr import Cidr, Family
    from ipam.domain.owner import OwnerKey, OwnerRecord
    from ipam.domain.plan import Plan

PLAN_AGE: Final = 30_000
"""Milliseconds for which a plan that was read serves further requests. A rule that an administrator changes holds
everywhere after this time; no invariant depends on it."""

USED_AGE: Final = 300_000
"""Milliseconds for which an allocation that was found in use is waited for only shortly: whoever asks for its release
over and over must not hold the function each time."""

KEPT: Final = 4096
"""Free blocks, and owner records, remembered at most; beyond that all are forgotten, which costs one read each."""


class Memory:
    """Free blocks that this process has seen and not yet used, owner records it has written, and the plan."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._blocks: dict[tuple[str, Family, int], dict[Cidr, None]] = {}
        self._count = 0
        self._owners: dict[OwnerKey, OwnerRecord] = {}
        self._standings: dict[str, tuple[int, tuple[str, ...] | None]] = {}
        self._used: dict[str, int] = {}
        self._plan: tuple[int, Plan] | None = None

    def free_block(self, pool_id: str, family: Family, length: int) -> Cidr | None:
        """Give a block of exactly that netmask length, the one seen first."""
        return next(iter(self._blocks.get((pool_id, family, length), ())), None)

    def see_free(self, pool_id: str, blocks: Iterable[Cidr]) -> None:
        """Note blocks that are free, in the order in which they are to be used."""
        for block in blocks:
            self._count += 1
            self._blocks.setdefault((pool_id, block.family, block.length), {})[block] = None
        if self._count > KEPT:
            self._blocks.clear()
            self._count = 0

    def use_free(self, pool_id: str, block: Cidr) -> None:
        """Forget a block that is free no more."""
        self._blocks.get((pool_id, block.family, block.length), {}).pop(block, None)

    def read_free(self, pool_id: str, blocks: Sequence[Cidr]) -> None:
        """Take over what a read has found, in the place of what was known of these sizes."""
        for family, size in {(block.family, block.length) for block in blocks}:
            self._blocks.pop((pool_id, family, size), None)
        self.see_free(pool_id, blocks)

    def forget_free(self, pool_id: str) -> None:
        """Forget all blocks of a pool: somebody else has been there."""
        for key in [key for key in self._blocks if key[0] == pool_id]:
            del self._blocks[key]

    def owner(self, key: OwnerKey) -> OwnerRecord | None:
        """Give an owner's record as it was last seen here."""
        return self._owners.get(key)

    def see_owner(self, record: OwnerRecord) -> None:
        """Note an owner's record as it is stored."""
        if len(self._owners) >= KEPT:
            self._owners.clear()
        self._owners[record.owner] = record

    def standing(self, account: str, now: int, age: int) -> tuple[str, ...] | None:
        """Give where an account stands in the organisation, if that was learned less than so many milliseconds ago."""
        at, standing = self._standings.get(account, (0, None))
        return standing if 0 <= now - at < age else None

    def see_standing(self, account: str, now: int, standing: tuple[str, ...]) -> None:
        """Note where an account stands; nowhere, if the organisation does not know it."""
        if len(self._standings) >= KEPT:
            self._standings.clear()
        self._standings[account] = (now, standing)

    def used(self, allocation_id: str, now: int) -> bool:
        """Whether an allocation was found in use, after all the waiting, a moment ago."""
        return 0 <= now - self._used.get(allocation_id, -USED_AGE) < USED_AGE

    def see_used(self, allocation_id: str, now: int) -> None:
        """Note that an allocation is in use."""
        if len(self._used) >= KEPT:
            self._used.clear()
        self._used[allocation_id] = now

    def plan(self, now: int) -> Plan | None:
        """Give the plan, while it is young enough."""
        if self._plan is None or not 0 <= now - self._plan[0] < PLAN_AGE:
            return None
        return self._plan[1]

    def see_plan(self, now: int, plan: Plan) -> None:
        """Note the plan as it was read."""
        self._plan = (now, plan)

    def forget_plan(self) -> None:
        """Forget the plan: it was changed here, or does not know what a request names."""
        self._plan = None
