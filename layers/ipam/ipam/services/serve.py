"""Serve: give an order a block of one space, against all others who try the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.change import TakeCooling, TakeFree, TakeSticky
from ipam.domain.cidr import WIDTHS
from ipam.domain.errors import CidrNotInPoolError, ContendedError, NetmaskLengthError
from ipam.domain.stack import stack_holder
from ipam.services.choose import Choice
from ipam.services.contention import back_off
from ipam.services.ports.store import Conflict
from ipam.services.request import MAX_ATTEMPTS

if TYPE_CHECKING:
    from ipam.domain.allocation import CoolingBlock
    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import Space
    from ipam.services.order import Order
    from ipam.services.request import Allocated

MAX_STICKY: Final = 20
"""Blocks that cool after one and the same holder, of which one may be given back to it."""


def serve(order: Order, space: Space, length: int) -> Allocated:
    """Find a block of a netmask length in one space and commit it.

    Raises:
        PermanentError: no block can be given; the subclass says why.
        TemporaryError: not now.
    """
    if order.exact is not None and space.around(order.exact) is None:
        raise CidrNotInPoolError(space.name, order.exact)
    width = WIDTHS[order.request.ask.family]
    if not 0 <= length <= width:
        raise NetmaskLengthError(space.name, length, "AddressFamily", width)
    choice = Choice(order, space, length)
    again = _again(order, space, choice) if space.sticky else None
    return again or _anew(order, space, choice)


def _anew(order: Order, space: Space, choice: Choice) -> Allocated:
    """Give what is free."""
    attempt = 0
    opened: Cidr | None = None
    for _ in range(MAX_ATTEMPTS):
        known = order.known()
        if known is not None:
            return known
        block, hinted = choice.find(attempt) if opened is None else (opened, True)
        opened = None
        if choice.is_too_large(block):
            opened = choice.open(block)
            continue
        taken, rest = choice.cut(block, attempt)
        try:
            return order.commit(space, (TakeFree(space.pool_id, block),), rest, order.allocation(space, taken))
        except Conflict as conflict:
            order.ports.memory.forget_free(space.pool_id)
            if order.lost(space, taken, conflict) and not hinted:
                attempt += 1
                back_off(order.ports, attempt)
    raise ContendedError(space.name, MAX_ATTEMPTS)


def _again(order: Order, space: Space, choice: Choice) -> Allocated | None:
    """Give what this very holder has given back and what still cools; None if nothing of it is what is asked for.

    Nobody else can have it (I7): whose it was is written down with the cooling, and only that cooling is ended.
    """
    ports, request = order.ports, order.request
    holder = "" if request.ask.preview else stack_holder(request.owner, request.account)
    gone: set[CoolingBlock] = set()
    for attempt in range(MAX_ATTEMPTS if holder else 0):
        known = order.known()
        if known is not None:
            return known
        had = ports.store.sticky(space.pool_id, holder, ports.clock.now(), MAX_STICKY)
        cools = next((each for each in had if each not in gone and choice.is_wanted(each.cidr)), None)
        if cools is None:
            return None
        taking = (TakeCooling(cools), TakeSticky(holder, cools))
        try:
            return order.commit(space, taking, [], order.allocation(space, cools.cidr))
        except Conflict as conflict:
            if order.lost(space, cools.cidr, conflict) and not any(each.busy for each in conflict.refusals):
                gone.add(cools)
            back_off(ports, attempt)
    return None
