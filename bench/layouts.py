"""Address plans to measure on: N allocations side by side, or of mixed sizes with holes between them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from ipam.adapters.dynamodb import keys
from ipam.domain.allocation import Allocation
from ipam.domain.cidr import Cidr
from ipam.domain.owner import OwnerKey

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["contiguous", "mix"]

KINDS: Final[tuple[Kind, ...]] = ("contiguous", "mix")
HOME: Final = Cidr(4, 10 << 24, 8)
"""Where the pools are; the smallest block around it that is large enough, where N needs more."""

LENGTH: Final = 24
"""What is asked for, where one size is asked for."""

LENGTHS: Final = range(20, 29)
"""Netmask lengths of a mix, each as frequent as the others."""

SEED: Final = 2026
WIDTH: Final = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """A pool's provisioned block, and what in it is held and what is free (canonical: no free buddies)."""

    kind: Kind
    count: int
    provisioned: Cidr
    held: tuple[tuple[int, int], ...]
    free: tuple[tuple[int, int], ...]

    def free_records(self, pool_id: str) -> dict[str, Cidr]:
        """Free blocks by sort key, in its order."""
        blocks = (Cidr(4, first, length) for first, length in self.free)
        return dict(sorted((keys.free(pool_id, block).sort, block) for block in blocks))

    def held_records(self, pool_id: str) -> dict[str, Allocation]:
        """Allocations by sort key, in its order."""
        records = {}
        for number, (first, length) in enumerate(self.held):
            block = Cidr(4, first, length)
            owner = OwnerKey("arn:aws:cloudformation:eu-central-1:111122223333:stack/seeded/1", f"N{number}")
            held = Allocation(
                f"ipam-pool-alloc-{number:032x}", pool_id, block, owner, "111122223333", "vpc", "there before", 0
            )
            records[keys.allocation(pool_id, block).sort] = held
        return records


@cache
def layout(kind: Kind, count: int) -> Layout:
    """Make a layout; the same arguments always give the same one."""
    rng = random.Random(SEED)
    held: list[tuple[int, int]]
    if kind == "contiguous":
        lengths: list[int] = [LENGTH] * count
    else:
        lengths = [rng.choice(LENGTHS) for _ in range(math.ceil(count * 4 / 3))]
    provisioned = home(sum(1 << (WIDTH - length) for length in lengths))
    held, free = _pack(provisioned, lengths)
    holes = len(held) - count
    if holes:
        rng.shuffle(held)
        free += held[:holes]
        held = sorted(held[holes:])
    return Layout(kind, count, provisioned, tuple(held), tuple(_joined(free)))


def home(addresses: int) -> Cidr:
    """Choose the pool's block for so many addresses: 10.0.0.0/8, or what is larger around it."""
    return HOME.supernet(min(HOME.length, WIDTH - math.ceil(math.log2(addresses))))


def _pack(provisioned: Cidr, lengths: Iterable[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Place blocks in a fresh pool one after the other, best fit; give what is placed and what stays free.

    Starting from one block, no two free ones ever have the same size, so that a size names its block.
    """
    free = {provisioned.length: provisioned.first}
    placed = []
    for length in lengths:
        fit = next(shorter for shorter in range(length, -1, -1) if shorter in free)
        first = free.pop(fit)
        for halved in range(fit + 1, length + 1):
            free[halved] = first + (1 << (WIDTH - halved))
        placed.append((first, length))
    return placed, [(first, length) for length, first in free.items()]


def _joined(free: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join free buddies until there are none, as releases do."""
    sizes: dict[int, set[int]] = {}
    for first, length in free:
        sizes.setdefault(length, set()).add(first)
    joined = []
    for length in range(WIDTH, -1, -1):
        firsts = sizes.pop(length, set())
        half = 1 << (WIDTH - length)
        for first in sorted(firsts):
            if first ^ half not in firsts:
                joined.append((first, length))
            elif not first & half:
                sizes.setdefault(length - 1, set()).add(first)
    return joined
