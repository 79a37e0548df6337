"""What free space looks like after a churn (P8), against that of an allocator which always takes the lowest address.

Both are given the same orders and releases. First fit knows all free blocks and joins them at once, which no allocator
on a table can afford; it is what a person with a list of the network would do.
"""

from __future__ import annotations

import bisect
import random
from typing import TYPE_CHECKING, Final

from bench.counting import CountingStore
from bench.counts import UPKEEP_EVERY
from bench.figures import Figure
from bench.layouts import LENGTHS, SEED, layout
from bench.world import world
from ipam.domain.free_space import carve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.layouts import Layout
    from ipam.domain.cidr import Cidr

Step = tuple[int, bool]
"""A netmask length, and that it is allocated; or a place in the list of what is held, and that it is given back."""

RUNS: Final = 20
"""Runs of upkeep at the end, at most."""


def wear(count: int, operations: int) -> Iterator[Figure]:
    """P8: largest free block, number of free blocks, and free buddies side by side."""
    plan = layout("mix", count)
    steps = list(_steps(plan, operations))
    ours, theirs = _ours(plan, steps), _first_fit(plan, steps)
    after = f"after {operations:,} operations, N={count:,} mix"
    largest = max(block.size for block in ours) / max(block.size for block in theirs)
    yield Figure("P8", f"largest free block over that of first fit, {after}", largest, 1, at_least=True)
    yield Figure("P8", f"free blocks over those of first fit, {after}", len(ours) / len(theirs), 1.1)
    unjoined = sum(block.length > plan.provisioned.length and block.buddy in ours for block in ours) / 2
    yield Figure("P8", f"pairs of free buddies, {after}, and upkeep", unjoined, 0)
    yield Figure("P8", f"free blocks, {after}", len(ours))
    yield Figure("P8", "the same, first fit", len(theirs))


def _steps(plan: Layout, operations: int) -> Iterator[Step]:
    """Fill the pool, give a quarter of it back, and then allocate and release by lot."""
    rng = random.Random(SEED)
    filled = plan.count * 4 // 3
    held = 0
    for number in range(filled + filled - plan.count + operations):
        allocates = number < filled or (number >= filled + filled - plan.count and bool(rng.randrange(2)))
        yield (rng.choice(LENGTHS), True) if allocates else (rng.randrange(held), False)
        held += 1 if allocates else -1


def _ours(plan: Layout, steps: Sequence[Step]) -> set[Cidr]:
    """Take the steps with the engine, upkeep now and then and at the end; give what is free."""
    store = CountingStore()
    made = world(store, plan.provisioned)
    held = []
    for number, (value, allocates) in enumerate(steps):
        if allocates:
            held.append(made.allocate(value))
        else:
            held[value], held[-1] = held[-1], held[value]
            made.release(held.pop())
        if number % UPKEEP_EVERY == 0:
            made.upkeep()
    for _ in range(RUNS):
        if not made.upkeep():
            break
    return set(store.all_free(made.pool_id, 4))


def _first_fit(plan: Layout, steps: Sequence[Step]) -> set[Cidr]:
    """Take the steps at the lowest address that is free each time; give what is free."""
    free, held = [plan.provisioned], []
    for value, allocates in steps:
        if allocates:
            place = next(place for place, block in enumerate(free) if block.length <= value)
            taken, rest = carve(free.pop(place), value)
            held.append(taken)
            for block in rest:
                bisect.insort(free, block)
            continue
        held[value], held[-1] = held[-1], held[value]
        back = held.pop()
        while back.length > plan.provisioned.length and _is_in(free, back.buddy):
            free.remove(back.buddy)
            back = back.parent
        bisect.insort(free, back)
    return set(free)


def _is_in(blocks: Sequence[Cidr], block: Cidr) -> bool:
    """Look for a block in a sorted list."""
    place = bisect.bisect_left(blocks, block)
    return place < len(blocks) and blocks[place] == block
