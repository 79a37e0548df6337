"""How free space is cut and joined: the only places where blocks change size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipam.domain.cidr import Cidr
from ipam.domain.errors import SubnetsDoNotFitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

MAX_JOINED: Final = 64
"""Buddies that are swallowed in one change: a transaction takes no more, and only IPv6 has more levels than that."""


def remainders(block: Cidr, taken: Cidr) -> list[Cidr]:
    """What stays free of a block when one aligned part of it is taken: one half for each halving.

    Together with the part they cover the block exactly, and no two of them are buddies (I1, I2).
    """
    rest = []
    part = taken
    while part.length > block.length:
        rest.append(part.buddy)
        part = part.parent
    return rest


def carve(block: Cidr, length: int, spare: int = 0) -> tuple[Cidr, list[Cidr]]:
    """Take the lowest block of a netmask length; give it and what stays free.

    Args:
        block: a free block, at least as large.
        length: the netmask length to take.
        spare: halvings left undone: 2**spare blocks of that length are cut in one go, and all but the taken one stay
            free side by side. Writers that collide do this, so that the next one finds a block of its own; upkeep
            joins what is left over.
    """
    cluster = Cidr(block.family, block.first, max(block.length, length - spare))
    taken, *siblings = cluster.subnets(length)
    return taken, siblings + remainders(block, cluster)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a block may lie.

    Attributes:
        allowed: sets of blocks, of each of which one has to contain it; an empty set allows everything.
        disallowed: blocks that it must not overlap.
    """

    allowed: tuple[tuple[Cidr, ...], ...]
    disallowed: tuple[Cidr, ...]

    @property
    def any(self) -> bool:
        """Whether there are any limits."""
        return bool(self.disallowed) or any(self.allowed)

    def permit(self, block: Cidr) -> bool:
        """Whether an exact block is permitted."""
        return self.first_in(block, block.length) is not None

    def first_in(self, block: Cidr, length: int) -> Cidr | None:
        """Give the lowest permitted block of a netmask length inside of a block, or None.

        Takes a step for each disallowed block at most, however many blocks there are to choose from.
        """
        for region in sorted(self._regions(block)):
            if region.length <= length:
                found = self._first_beside(region, length)
                if found is not None:
                    return found
        return None

    def _regions(self, block: Cidr) -> list[Cidr]:
        """Tell the parts of a block that all sets allow: of two aligned blocks that meet, one lies in the other."""
        regions = [block]
        for blocks in self.allowed:
            if blocks:
                regions = [max(one, two, key=_length) for one in regions for two in blocks if one.overlaps(two)]
        return regions

    def _first_beside(self, region: Cidr, length: int) -> Cidr | None:
        """Give the lowest block of a netmask length in a region that no disallowed block overlaps."""
        first = region.first
        while first <= region.last:
            candidate = Cidr(region.family, first, length)
            hit = next((block for block in self.disallowed if block.overlaps(candidate)), None)
            if hit is None:
                return candidate
            first = max(hit.last, candidate.last) + 1
        return None


NO_LIMITS: Final = Limits((), ())


def _length(block: Cidr) -> int:
    return block.length


def pick(fits: Sequence[Cidr], attempt: int, choose: Callable[[Sequence[Cidr]], Cidr]) -> Cidr:
    """Choose the free block to cut from.

    Args:
        fits: free blocks that are large enough, smallest first, then lowest address first.
        attempt: how many times this request has already lost a block to somebody else. The first attempt takes the
            best fit. Later ones draw lots: among equals while there are several, else among all.
        choose: the source of chance.
    """
    if attempt == 0:
        return fits[0]
    equals = [block for block in fits if block.length == fits[0].length]
    return choose(equals if len(equals) > attempt else fits)


def join(block: Cidr, free: Collection[Cidr], inside: Cidr) -> tuple[Cidr, list[Cidr]]:
    """Grow a block over its free buddies, as far as one provisioned CIDR and one change reach (I2).

    Returns:
        The joined block, and the buddies that it swallowed.
    """
    swallowed: list[Cidr] = []
    while block.length > inside.length and block.buddy in free and len(swallowed) < MAX_JOINED:
        swallowed.append(block.buddy)
        block = block.parent
    return block, swallowed


def joined(blocks: Iterable[Cidr], inside: Collection[Cidr]) -> list[Cidr]:
    """Join blocks over each other, as far as the provisioned CIDRs reach that they are inside of: what upkeep makes."""
    levels: dict[int, set[Cidr]] = {}
    for block in blocks:
        levels.setdefault(block.length, set()).add(block)
    for length in range(max(levels, default=0), 0, -1):
        level = levels.get(length, set())
        for block in [each for each in level if each not in inside and each < each.buddy and each.buddy in level]:
            level -= {block, block.buddy}
            levels.setdefault(length - 1, set()).add(block.parent)
    return [block for level in levels.values() for block in level]


def pack(network: Cidr, lengths: Sequence[int]) -> list[Cidr]:
    """Place subnets of several sizes in a network, in the order asked, without waste.

    Each takes the smallest free block that is large enough. Starting from one block, the free blocks then always have
    different sizes, so whatever fits by its sum fits; and a subnet appended later moves none of the earlier ones.

    Raises:
        SubnetsDoNotFitError: if together they are larger than the network.
    """
    free = [network]
    placed = []
    for length in lengths:
        fits = [block for block in free if block.length <= length]
        if not fits:
            raise SubnetsDoNotFitError(network.length, tuple(lengths))
        block = max(fits, key=lambda fit: fit.length)
        taken, rest = carve(block, length)
        free.remove(block)
        free += rest
        placed.append(taken)
    return placed
