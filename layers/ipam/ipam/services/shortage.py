"""Shortage: why a pool has no room for a block, or not this very one, and whether waiting would help.

Only a refusal asks for this, so it may read what an order never does: the free blocks one by one. What it reads is
bounded, and what it says of more than that is said of what it has read.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.cidr import WIDTHS
from ipam.domain.errors import CidrNotFreeError, PoolExhaustedError
from ipam.domain.free_space import Limits, joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam.domain.allocation import CoolingBlock
    from ipam.domain.cidr import Cidr
    from ipam.domain.plan import Ask
    from ipam.domain.pool import Space
    from ipam.services.ports.store import Store

    Whose = Literal["request", "pool"]

MAX_COOLING: Final = 10_000
"""Cooling blocks that are looked at to explain a refusal."""

MAX_FREE: Final = 10_000
"""Free blocks, likewise."""


def shortage(store: Store, space: Space, ask: Ask, length: int) -> PoolExhaustedError:
    """Explain why no block of a netmask length is to be had of a space.

    Args:
        store: where it is looked up.
        space: the pool that has no room.
        ask: the request, which may have lists of its own of where the block may lie.
        length: netmask length.
    """
    lists: dict[Whose, Limits] = {
        "request": ask.limits,
        "pool": Limits((space.rules.allowed_cidrs,), space.rules.disallowed_cidrs),
    }
    limits = Limits(
        tuple(allowed for each in lists.values() for allowed in each.allowed),
        tuple(block for each in lists.values() for block in each.disallowed),
    )
    cooling = [each for each in store.cooling(space.pool_id, MAX_COOLING) if each.cidr.family == ask.family]
    cooling = [each for each in cooling if _has_room([each.cidr], limits, WIDTHS[ask.family])]
    free: list[Cidr] = []
    if limits.any or cooling:
        free = list(itertools.islice(store.all_free(space.pool_id, ask.family), MAX_FREE))
    permitted = _may_give(space, limits, length)
    return PoolExhaustedError(
        pool=space.name,
        asked=length,
        largest=_largest(free, limits, length) if limits.any else store.largest_free(space.pool_id, ask.family),
        cooling_blocks=len(cooling),
        cooling_addresses=sum(each.cidr.size for each in cooling),
        cooling_until=cooling[0].until if cooling else None,
        provisioned=bool(space.provisioned),
        room_at=_room_at(space, free, cooling, limits, length),
        limited_by=_limited_by(space, lists, length, permitted=permitted),
        permitted=permitted,
    )


def not_free(store: Store, space: Space, exact: Cidr) -> CidrNotFreeError:
    """Explain why an exact block of a space is not to be had; until when, if all of it that is not free is cooling.

    Args:
        store: where it is looked up.
        space: the pool that it is in.
        exact: the block.
    """
    cooling = [each for each in store.cooling(space.pool_id, MAX_COOLING) if each.cidr.overlaps(exact)]
    free = [block for block in store.all_free(space.pool_id, exact.family) if block.overlaps(exact)]
    covered = sum(min(block.size, exact.size) for block in [*free, *(each.cidr for each in cooling)])
    until = max((each.until for each in cooling), default=None) if covered == exact.size else None
    return CidrNotFreeError(space.name, exact, until)


def _has_room(blocks: Iterable[Cidr], limits: Limits, length: int) -> bool:
    """Whether one of these blocks has a permitted one of a netmask length."""
    return any(limits.first_in(block, length) for block in blocks)


def _may_give(space: Space, limits: Limits, length: int) -> bool:
    """Whether the limits leave such a block of a space that has any."""
    large = [block for block in space.provisioned if block.length <= length]
    return not large or _has_room(large, limits, length)


def _limited_by(space: Space, lists: dict[Whose, Limits], length: int, *, permitted: bool) -> tuple[Whose, ...]:
    """Tell whose lists say where the block may lie; if they leave none, only whose alone do that, if there is one."""
    given = tuple(whose for whose, limits in lists.items() if limits.any)
    alone = tuple(whose for whose in given if not _may_give(space, lists[whose], length))
    return given if permitted else alone or given


def _largest(free: list[Cidr], limits: Limits, length: int) -> Cidr | None:
    """Give the largest permitted block that is free: smaller than what was asked for, which there is none of."""
    if not free:
        return None
    lengths = range(length + 1, WIDTHS[free[0].family] + 1)
    place = bisect_left(lengths, True, key=lambda each: _has_room(free, limits, each))  # noqa: FBT003 - what is found
    if place == len(lengths):
        return None
    return next(found for block in free if (found := limits.first_in(block, lengths[place])))


def _room_at(space: Space, free: list[Cidr], cooling: list[CoolingBlock], limits: Limits, length: int) -> int | None:
    """Tell when the blocks that cool, the next to be free first, will have made room; None if even all of them do not.

    Whatever becomes free until then can only make it sooner, and whoever is faster later.
    """

    def makes_room(count: int) -> bool:
        return _has_room(joined([*free, *(each.cidr for each in cooling[:count])], space.provisioned), limits, length)

    if not cooling or not makes_room(len(cooling)):
        return None
    counts = range(1, len(cooling) + 1)
    return cooling[bisect_left(counts, True, key=makes_room)].until  # noqa: FBT003 - what is found
