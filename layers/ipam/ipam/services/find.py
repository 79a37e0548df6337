"""Find: who holds an address, a block, an allocation, and what holds the space around it.

The plan tells the pools that an address belongs to, level by level; only the blocks of the last of them are read, in
address order and no further than the neighbours. The parts of a pool are read one after the other, so a block that
moves meanwhile may be seen twice or not at all: what does not add up is read again.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.cidr import Cidr, spans
from ipam.domain.errors import NoSuchAllocationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam.domain.allocation import Allocation, CoolingBlock
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, Scope
    from ipam.services.ports import Ports, Store

NEIGHBOURS: Final = 2
"""Blocks that are told on each side."""

MAX_COOLING: Final = 100_000
"""Cooling blocks that are looked at."""

MAX_READINGS: Final = 3
"""Readings of a pool whose blocks do not add up, before they are shown as they are."""

State = Literal["allocated", "cooling", "free"]


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it stands in its pool, with its holder, or with the end of its cooling; a free one has neither."""

    cidr: Cidr
    allocation: Allocation | None = None
    cooling: CoolingBlock | None = None

    @property
    def state(self) -> State:
        """What it is."""
        if self.allocation is not None:
            return "allocated"
        return "free" if self.cooling is None else "cooling"


@dataclass(frozen=True, slots=True)
class Level:
    """A pool, the block of it that what is looked for lies in, and since when the pool has that block.

    The block is None where the pool was named, but what is looked for lies in no one block of it; the time, and the id
    of the allocation by which the pool holds the block, are None where nothing says them.
    """

    pool: Pool
    cidr: Cidr | None
    since: int | None
    allocation_id: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found.

    Attributes:
        cidr: what was looked for.
        scope: the address world.
        path: from the last pool up to the top-level one; empty where no pool has it.
        blocks: those that hold it: one around it, or several inside it.
        before: blocks of the last pool that come before these, in address order.
        after: blocks that come after.
        settled: whether the blocks add up; if not, they changed while they were read, or I1 is broken.
    """

    cidr: Cidr
    scope: Scope
    path: tuple[Level, ...]
    blocks: tuple[Block, ...]
    before: tuple[Block, ...]
    after: tuple[Block, ...]
    settled: bool


def find_block(ports: Ports, plan: Plan, cidr: Cidr) -> list[Place]:
    """Find an address or block: in each scope where a pool has it, or else as the free space that it is in each."""
    holders = {scope_id: _deepest(plan, scope_id, cidr) for scope_id in _by_name(plan)}
    held = {scope_id: holder for scope_id, holder in holders.items() if holder in plan.pools}
    return [place(ports, plan, holder, cidr) for holder in (held or holders).values()]


def find_allocation(ports: Ports, plan: Plan, allocation_id: str) -> Place:
    """Find an allocation by its id, while it is held or cools. Reads the allocations of all pools, if need be.

    Raises:
        NoSuchAllocationError: it is neither.
    """
    for pool_id in (*plan.pools, *plan.scopes):
        for held in _held(ports.store, pool_id):
            if allocation_id == held.allocation_id:
                return place(ports, plan, pool_id, held.cidr)
    raise NoSuchAllocationError(allocation_id)


def find_held(ports: Ports, plan: Plan, party: str) -> list[Place]:
    """Find all that a stack holds, or a pool of its parent, by address."""
    grants = [grant for record in ports.store.owners(party) for grant in record.grants]
    ordered = sorted(grants, key=lambda grant: (grant.pool_id, grant.cidr))
    return [place(ports, plan, grant.pool_id, grant.cidr) for grant in ordered]


def place(ports: Ports, plan: Plan, space_id: str, cidr: Cidr) -> Place:
    """Describe the surroundings of a block in a pool, or in a scope."""
    before: tuple[Block, ...] = ()
    blocks: tuple[Block, ...] = ()
    after: tuple[Block, ...] = ()
    settled = False
    for _ in range(MAX_READINGS):
        before, blocks, after = _surroundings(ports.store, space_id, cidr)
        settled = _adds_up(plan, space_id, cidr, blocks)
        if settled:
            break
    pool = plan.pools.get(space_id)
    scope = plan.scopes[pool.scope_id if pool else space_id]
    return Place(cidr, scope, tuple(path(ports.store, plan, space_id, cidr)), blocks, before, after, settled)


def path(store: Store, plan: Plan, space_id: str, cidr: Cidr) -> Iterator[Level]:
    """Tell the pools that a block lies in, from one up to the scope, each with the block that it has around it."""
    pool = plan.pools.get(space_id)
    while pool is not None:
        around = plan.space(pool.pool_id).around(cidr)
        grants = (grant for record in store.owners(pool.pool_id) for grant in record.grants)
        grant = next((grant for grant in grants if grant.cidr == around), None)
        since, allocation_id = (None, None) if grant is None else (grant.created, grant.allocation_id)
        yield Level(pool, around, since, allocation_id)
        pool = plan.pools.get(pool.parent_id)


def _by_name(plan: Plan) -> list[str]:
    return sorted(plan.scopes, key=lambda scope_id: plan.scopes[scope_id].name)


def _deepest(plan: Plan, scope_id: str, cidr: Cidr) -> str:
    """Tell the last pool below a scope that has a block, or the scope itself. Levels of pools are few."""
    space_id = scope_id
    while True:
        inside = (pool.pool_id for pool in plan.children(space_id) if plan.space(pool.pool_id).around(cidr))
        below = next(inside, None)
        if below is None:
            return space_id
        space_id = below


def _held(store: Store, pool_id: str) -> Iterator[Allocation | CoolingBlock]:
    """Read what has an allocation's id in a pool."""
    yield from store.allocations(pool_id)
    yield from store.cooling(pool_id, MAX_COOLING)


def _blocks(store: Store, space_id: str, cidr: Cidr) -> Iterator[Block]:
    """Read the blocks of a pool in address order, those of one address family."""
    free: Iterable[Block] = [Block(each) for each in sorted(store.all_free(space_id, cidr.family))]
    cooling = [Block(each.cidr, cooling=each) for each in store.cooling(space_id, MAX_COOLING)]
    cooling = sorted((each for each in cooling if each.cidr.family == cidr.family), key=lambda each: each.cidr)
    held = (Block(each.cidr, each) for each in store.allocations(space_id) if each.cidr.family == cidr.family)
    return heapq.merge(free, cooling, held, key=lambda each: each.cidr)


Surroundings = tuple[tuple[Block, ...], tuple[Block, ...], tuple[Block, ...]]


def _surroundings(store: Store, space_id: str, cidr: Cidr) -> Surroundings:
    """Read the blocks before, over and after a block of a pool."""
    before: deque[Block] = deque(maxlen=NEIGHBOURS)
    over: list[Block] = []
    after: list[Block] = []
    for each in _blocks(store, space_id, cidr):
        if each.cidr.overlaps(cidr):
            over.append(each)
        elif each.cidr.last < cidr.first:
            before.append(each)
        else:
            after.append(each)
        if len(after) == NEIGHBOURS:
            break
    return tuple(before), tuple(over), tuple(after)


def _adds_up(plan: Plan, space_id: str, cidr: Cidr, blocks: tuple[Block, ...]) -> bool:
    """Whether blocks cover all of a block that a pool has, each address once (I1)."""
    try:
        covered = spans(each.cidr for each in blocks)
        wanted = spans(_parts(plan.space(space_id).provisioned, cidr))
    except ValueError:
        return False
    return all(any(low <= first and last <= high for _, low, high in covered) for _, first, last in wanted)


def _parts(provisioned: tuple[Cidr, ...], cidr: Cidr) -> list[Cidr]:
    """Tell the parts of a block that a pool has: of two aligned blocks that meet, one lies in the other."""
    return [max(each, cidr, key=lambda block: block.length) for each in provisioned if each.overlaps(cidr)]
