"""Free space as an import knows it: what was read of a pool, and what it has cut of it since."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam.domain.cidr import Cidr


class FreeSpace:
    """Free blocks of one pool and address family, in address order. No two of them overlap.

    Only a hint: every change is conditional.
    """

    def __init__(self, blocks: Iterable[Cidr] = ()) -> None:
        """Take over what was read; of blocks that overlap, because they changed meanwhile, the larger ones."""
        self._firsts: list[int] = []
        self._blocks: list[Cidr] = []
        for block in sorted(blocks):
            if not self._blocks or self._blocks[-1].last < block.first:
                self._firsts.append(block.first)
                self._blocks.append(block)

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Cidr]:
        return iter(self._blocks)

    def around(self, cidr: Cidr) -> Cidr | None:
        """Give the free block that a block lies in."""
        place = bisect_right(self._firsts, cidr.first) - 1
        return self._blocks[place] if place >= 0 and self._blocks[place].contains(cidr) else None

    def add(self, block: Cidr) -> None:
        """Note a block that is free. What is known to overlap it no longer is."""
        for other in self._overlapping(block):
            self.discard(other)
        place = bisect_left(self._firsts, block.first)
        self._firsts.insert(place, block.first)
        self._blocks.insert(place, block)

    def discard(self, block: Cidr) -> None:
        """Forget a block that is not free any more."""
        place = bisect_left(self._firsts, block.first)
        if place < len(self._blocks) and self._blocks[place] == block:
            del self._firsts[place]
            del self._blocks[place]

    def _overlapping(self, cidr: Cidr) -> list[Cidr]:
        around = self.around(cidr)
        if around is not None:
            return [around]
        return self._blocks[bisect_left(self._firsts, cidr.first) : bisect_right(self._firsts, cidr.last)]
