"""How free space is cut and joined: the only places where blocks change size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.cidr import Cidr
from ipam.domain.errors import SubnetsDoNotFitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

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
