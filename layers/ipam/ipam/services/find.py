"""Find: who holds an address, a block, an allocation, and what holds the space around it.

The plan tells the pools that an address belongs to, level by level, and only the last of them is read: its free and its
cooling blocks, and of its allocations those around the place, however many it has. The parts are read one after the
other, so a block that moves meanwhile may be seen twice or not at all: what does not add up is read again.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.cidr import WIDTHS, Cidr, spans
from ipam.domain.errors import NoSuchAllocationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.domain.allocation import Allocation, AuditRecord, CoolingBlock, Lease
    from ipam.domain.cidr import Family
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, Scope, Space
    from ipam.services.ports import Ports
    from ipam.services.ports.store import Store

    Watch = Callable[[str, int, int], None]

NEIGHBOURS: Final = 2
"""Blocks that are told on each side."""

MAX_COOLING: Final = 100_000
"""Cooling blocks that are looked at."""

MAX_READINGS: Final = 3
"""Readings of a pool whose blocks do not add up, before they are shown as they are."""

STEPS: Final[dict[Family, int]] = {4: 4, 6: 8}
"""By how many netmask lengths the space that is looked at grows, until the allocation around an address is in it. What
is read in vain stays small: a part of the allocation has no items, and what is beside it is one step larger at most."""

State = Literal["allocated", "cooling", "free"]


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it stands in its pool, with its holder, or with the end of its cooling; a free one has neither.

    Of what was looked for, the lease is told too, and of a single block the request that it was given to.
    """

    cidr: Cidr
    allocation: Allocation | None = None
    cooling: CoolingBlock | None = None
    lease: Lease | None = None
    cause: str = ""

    @property
    def state(self) -> State:
        """What it is."""
        if self.allocation is not None:
            return "allocated"
        return "free" if self.cooling is None else "cooling"


@dataclass(frozen=True, slots=True)
class Level:
    """A pool, the block of it that what is looked for lies in, and since when the pool has that block.

    The block is None where the pool was named, but what is looked for lies in no one block of it; so are then the time,
    and the id of the allocation by which the pool has the block. Of a subnet pool, `divides` is the VPC's own.
    """

    pool: Pool
    cidr: Cidr | None
    since: int | None
    allocation_id: str | None
    divides: Allocation | None = None


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


def locate(ports: Ports, plan: Plan, allocation_id: str, watch: Watch) -> Allocation | CoolingBlock:
    """Find what has an allocation's id, or had it and cools. Reads the allocations of all pools, if need be.

    Args:
        ports: the collaborators.
        plan: the plan.
        allocation_id: the id.
        watch: is told what is being read, how much of it is done, and how much there is.

    Raises:
        NoSuchAllocationError: nothing has it.
    """
    ids = (*plan.pools, *plan.scopes)
    for done, pool_id in enumerate(ids):
        watch(f"allocations of {plan.space(pool_id).name}", done, len(ids))
        for held in _held(ports.store, pool_id):
            if allocation_id == held.allocation_id:
                return held
    raise NoSuchAllocationError(allocation_id)


def find_allocation(ports: Ports, plan: Plan, allocation_id: str, watch: Watch) -> Place:
    """Find an allocation by its id, while it is held or cools.

    Raises:
        NoSuchAllocationError: it is neither.
    """
    held = locate(ports, plan, allocation_id, watch)
    return place(ports, plan, held.pool_id, held.cidr)


def last_record(ports: Ports, plan: Plan, allocation_id: str, watch: Watch) -> AuditRecord | None:
    """Find the last that was done with an allocation, which may be long gone. Reads the history up to where it was.

    That its block has cooled since is nothing that was done with it.
    """
    ids = (*plan.pools, *plan.scopes)
    for done, pool_id in enumerate(ids):
        watch(f"history of {plan.space(pool_id).name}", done, len(ids))
        records = [each for each in ports.store.audit(pool_id) if each.allocation_id == allocation_id and each.owner]
        if records:
            return max(records, key=lambda record: record.at)
    return None


def find_held(ports: Ports, plan: Plan, party: str) -> list[Place]:
    """Find all that a stack holds, or a pool of its parent, by address."""
    grants = [grant for record in ports.store.owners(party) for grant in record.grants]
    ordered = sorted(grants, key=lambda grant: (grant.pool_id, grant.cidr))
    return [place(ports, plan, grant.pool_id, grant.cidr) for grant in ordered]


def search(ports: Ports, plan: Plan, wanted: str, watch: Watch) -> Iterator[Place]:
    """Find what is held by a word of what is said of it, or by a tag. Reads the allocations of every pool.

    Each is told by itself: neither with what is around it nor with its request, which are reads of their own.

    Args:
        ports: the collaborators.
        plan: the plan.
        wanted: a word of the description, the holder, the resource or the account, in capitals or not, or all of a tag
            as key=value; or the VPC whose space a subnet pool divides.
        watch: is told what is being read, how much of it is done, and how much there is.
    """
    for done, pool in enumerate(sorted(plan.pools.values(), key=lambda pool: pool.name)):
        watch(f"allocations of {pool.name}", done, len(plan.pools))
        leases: dict[Cidr, Lease] | None = None
        for held in ports.store.allocations(pool.pool_id):
            if not _is_said(plan, held, wanted):
                continue
            if leases is None:
                leases = {lease.cidr: lease for lease in ports.store.leases(pool.pool_id)}
            block = Block(held.cidr, held, lease=leases.get(held.cidr))
            levels = tuple(path(plan, pool.pool_id, held.cidr))
            yield Place(held.cidr, plan.scopes[pool.scope_id], levels, (block,), (), (), settled=True)


def _is_said(plan: Plan, held: Allocation, wanted: str) -> bool:
    """Whether a word, or a tag, is among what is said of an allocation."""
    if any(f"{key}={value}" == wanted for key, value in held.tags):
        return True
    divider = plan.pools.get(held.divided_by)
    vpc = "" if divider is None or divider.source_resource is None else divider.source_resource.resource_id
    said = (held.description, _holder(plan, held.owner.party), held.owner.name, held.account, vpc)
    return any(wanted.casefold() in each.casefold() for each in said)


def _holder(plan: Plan, party: str) -> str:
    """Tell what people call a holder: the name in its ARN, and what stands behind the prefix of another id."""
    if party in plan.pools:
        return plan.pools[party].name
    return party.split("/")[1] if party.startswith("arn:") and "/" in party else party.rpartition(":")[2]


def place(ports: Ports, plan: Plan, space_id: str, cidr: Cidr) -> Place:
    """Describe the surroundings of a block in a pool, or in a scope."""
    space = plan.space(space_id)
    before: tuple[Block, ...] = ()
    blocks: tuple[Block, ...] = ()
    after: tuple[Block, ...] = ()
    settled = False
    for _ in range(MAX_READINGS):
        before, blocks, after = _surroundings(ports.store, space, cidr)
        settled = _adds_up(space, cidr, blocks)
        if settled:
            break
    pool = plan.pools.get(space_id)
    scope = plan.scopes[pool.scope_id if pool else space_id]
    levels = tuple(_divided(ports.store, level) for level in path(plan, space_id, cidr))
    return Place(cidr, scope, levels, _told(ports.store, space_id, blocks), before, after, settled)


def path(plan: Plan, space_id: str, cidr: Cidr) -> Iterator[Level]:
    """Tell the pools that a block lies in, from one up to the scope, each with the block that it has around it."""
    pool = plan.pools.get(space_id)
    while pool is not None:
        had = next((each for each in plan.provisioned(pool.pool_id) if each.cidr.contains(cidr)), None)
        yield Level(pool, None, None, None) if had is None else Level(pool, had.cidr, had.created, had.allocation_id)
        pool = plan.pools.get(pool.parent_id)


def _divided(store: Store, level: Level) -> Level:
    """Add the allocation of the VPC whose space a subnet pool divides."""
    if level.pool.source_resource is None or level.cidr is None:
        return level
    return replace(level, divides=store.allocation(level.pool.parent_id, level.cidr))


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


class _Blocks:
    """The blocks of a pool, those of one address family; its allocations are read where they are looked at."""

    def __init__(self, store: Store, space: Space, family: Family) -> None:
        """Read what is not allocated."""
        self._store = store
        self._pool_id = space.pool_id
        self._family: Family = family
        self._provisioned = sorted(cidr for cidr in space.provisioned if cidr.family == family)
        cooling = store.cooling(space.pool_id, MAX_COOLING)
        known = [Block(each) for each in store.all_free(space.pool_id, family)]
        known += [Block(each.cidr, cooling=each) for each in cooling if each.cidr.family == family]
        self._known = sorted(known, key=lambda block: block.cidr)
        self._firsts = [block.cidr.first for block in self._known]

    def over(self, cidr: Cidr) -> list[Block]:
        """Give the block around a block, or those inside it."""
        known = [block for block in self._known if block.cidr.overlaps(cidr)]
        if any(block.cidr.contains(cidr) for block in known):
            return known
        held = [Block(each.cidr, each) for each in self._store.allocations(self._pool_id, cidr)]
        if not known and not held:
            around = self._allocated(cidr.first)
            return [] if around is None else [around]
        return sorted(known + held, key=lambda block: block.cidr)

    def before(self, address: int) -> Iterator[Block]:
        """Give the blocks before an address, the nearest first."""
        for _ in range(NEIGHBOURS):
            below = [min(cidr.last, address - 1) for cidr in self._provisioned if cidr.first < address]
            block = self._at(max(below)) if below else None
            if block is None:
                return
            yield block
            address = block.cidr.first

    def after(self, address: int) -> Iterator[Block]:
        """Give the blocks after an address, the nearest first."""
        for _ in range(NEIGHBOURS):
            above = [max(cidr.first, address + 1) for cidr in self._provisioned if cidr.last > address]
            block = self._at(min(above)) if above else None
            if block is None:
                return
            yield block
            address = block.cidr.last

    def _at(self, address: int) -> Block | None:
        """Give the block that an address is in."""
        place = bisect_right(self._firsts, address) - 1
        if place >= 0 and self._known[place].cidr.last >= address:
            return self._known[place]
        return self._allocated(address)

    def _allocated(self, address: int) -> Block | None:
        """Give the allocation that an address is in."""
        width = WIDTHS[self._family]
        alone = Cidr(self._family, address, width)
        inside = next((cidr for cidr in self._provisioned if cidr.contains(alone)), None)
        if inside is None:
            return None
        lengths = range(width - STEPS[self._family], inside.length, -STEPS[self._family])
        for length in (*lengths, inside.length):
            for held in self._store.allocations(self._pool_id, alone.supernet(length)):
                if held.cidr.contains(alone):
                    return Block(held.cidr, held)
                if held.cidr.first > address:
                    break
        return None


Surroundings = tuple[tuple[Block, ...], tuple[Block, ...], tuple[Block, ...]]


def _surroundings(store: Store, space: Space, cidr: Cidr) -> Surroundings:
    """Read the blocks before, over and after a block of a pool."""
    blocks = _Blocks(store, space, cidr.family)
    over = blocks.over(cidr)
    first = min([cidr.first, *(block.cidr.first for block in over)])
    last = max([cidr.last, *(block.cidr.last for block in over)])
    return tuple(blocks.before(first))[::-1], tuple(over), tuple(blocks.after(last))


def _told(store: Store, space_id: str, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Add the leases and, to a single allocation, the request that it was given to."""
    held = [block.allocation for block in blocks if block.allocation is not None]
    if not held:
        return blocks
    if len(blocks) == 1:
        records = store.audit(space_id, held[0].cidr)
        cause = next((each.cause for each in records if each.allocation_id == held[0].allocation_id), "")
        return (replace(blocks[0], lease=store.lease(space_id, held[0].cidr), cause=cause),)
    leases = {lease.cidr: lease for lease in store.leases(space_id)}
    return tuple(replace(block, lease=leases.get(block.cidr)) if block.allocation else block for block in blocks)


def _adds_up(space: Space, cidr: Cidr, blocks: tuple[Block, ...]) -> bool:
    """Whether blocks cover all of a block that a pool has, each address once (I1)."""
    try:
        covered = spans(each.cidr for each in blocks)
        wanted = spans(_parts(space.provisioned, cidr))
    except ValueError:
        return False
    return all(any(low <= first and last <= high for _, low, high in covered) for _, first, last in wanted)


def _parts(provisioned: tuple[Cidr, ...], cidr: Cidr) -> list[Cidr]:
    """Tell the parts of a block that a pool has: of two aligned blocks that meet, one lies in the other."""
    return [max(each, cidr, key=lambda block: block.length) for each in provisioned if each.overlaps(cidr)]
