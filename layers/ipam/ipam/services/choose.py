"""Choose: the block of one space that an order is cut from, and which part of it is given.

One consistent read finds the best fit, or none where a warm function remembers an exact one. Where nothing fits, what
has cooled is made free first. Nothing is given here: until it is committed, another writer may take what was chosen.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Final

from ipam.domain.change import Change, PutAudit, PutFree, TakeFree
from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.errors import ContendedError
from ipam.domain.free_space import NO_LIMITS, Limits, carve, pick, remainders
from ipam.services.audit import note
from ipam.services.contention import back_off
from ipam.services.leases import end_previews
from ipam.services.ports.store import Conflict
from ipam.services.reclaim import reclaim
from ipam.services.request import MAX_ATTEMPTS
from ipam.services.shortage import not_free, shortage

if TYPE_CHECKING:
    from ipam.domain.errors import PermanentError
    from ipam.domain.pool import Space
    from ipam.services.order import Order

CANDIDATES: Final = 40
"""Free blocks read at once: what fits one read unit of 4 KB, so that the next requests of a warm function need none."""

CROWD: Final = 2 * CANDIDATES
"""Free blocks read at once after a collision: the more there are to draw lots among, the fewer collide again."""

MAX_SPARE: Final = 4
"""Halvings left undone after collisions: at most 16 blocks are cut for those who come next."""

MAX_HALVINGS: Final = 64
"""Halvings in one transaction. IPv6 may need more: then a smaller free block is cut first, in a change of its own."""

EVERYTHING: Final = -1
"""A netmask length that is waited for in vain: all that can be made free is."""


class Choice:
    """What one order may be given of one space, by a netmask length or as the exact block that it has to be given."""

    def __init__(self, order: Order, space: Space, length: int) -> None:
        self._ports = order.ports
        self._deadline = order.deadline
        self._cause = order.request.cause
        self._ask = order.request.ask
        self._exact = order.exact
        self._space = space
        self._length = length
        self._limits = NO_LIMITS if order.exact is not None else _limits(order, space)

    def find(self, attempt: int = 0) -> tuple[Cidr, bool]:
        """Find a free block to cut from, and say whether it is only remembered.

        Raises:
            PoolExhaustedError: no block is large enough, though all that has cooled was made free.
            CidrNotFreeError: the exact block is not free.
        """
        if self._exact is None and attempt == 0 and self._space.rules.strategy == "best-fit" and not self._limits.any:
            hint = self._ports.memory.free_block(self._space.pool_id, self._ask.family, self._length)
            if hint is not None:
                return hint, True
        fits = self._fits(attempt) or self._reclaimed()
        return pick(fits, attempt, lambda blocks: blocks[self._ports.chance.below(len(blocks))]), False

    def cut(self, block: Cidr, attempt: int) -> tuple[Cidr, list[Cidr]]:
        """Decide what is taken of a free block and what stays free.

        Where any part of it will do, blocks for three others are cut after a first collision, not for one: 64 writers
        of a fresh pool then need a tenth fewer attempts.
        """
        wanted = self._wanted(block)
        if wanted is not None:
            return wanted, remainders(block, wanted)
        return carve(block, self._length, min(attempt + 1, MAX_SPARE) if attempt else 0)

    def is_too_large(self, block: Cidr) -> bool:
        """Whether a free block cannot be cut in a single transaction."""
        return self._length - block.length > MAX_HALVINGS

    def open(self, block: Cidr) -> Cidr | None:
        """Cut a smaller free block out of one that is too large for a single transaction; None if it was taken."""
        pool_id, wanted = self._space.pool_id, self._wanted(block) or block
        part = Cidr(block.family, wanted.first, WIDTHS[block.family]).supernet(block.length + MAX_HALVINGS)
        frees = (PutFree(pool_id, free) for free in (part, *remainders(block, part)))
        audit = note(self._ports, pool_id, "split", self._cause, block)
        self._deadline.ensure()
        self._ports.memory.forget_free(pool_id)
        try:
            self._ports.store.commit(Change((TakeFree(pool_id, block), *frees, PutAudit(audit))))
        except Conflict:
            return None
        return part

    def is_wanted(self, cidr: Cidr) -> bool:
        """Whether a block is what is asked for, and may be given."""
        if self._space.around(cidr) is None or (cidr.family, cidr.length) != (self._ask.family, self._length):
            return False
        return cidr == self._exact if self._exact is not None else self._limits.permit(cidr)

    def _wanted(self, block: Cidr) -> Cidr | None:
        """Tell the block that has to be cut out of a free one; None if any will do."""
        return self._limits.first_in(block, self._length) if self._limits.any else self._exact

    def _fits(self, attempt: int = 0) -> list[Cidr]:
        """Read the free blocks that what is asked can be cut from, the one to be cut first."""
        store, space, length, family = self._ports.store, self._space, self._length, self._ask.family
        if self._exact is not None:
            inside = space.around(self._exact)
            lowest = self._exact.length if inside is None else inside.length
            around = [self._exact.supernet(shorter) for shorter in range(lowest, self._exact.length + 1)]
            return sorted(store.free_among(space.pool_id, around))
        sparse = space.rules.strategy == "sparse" and attempt == 0
        if self._limits.any:
            free = (block for block in store.all_free(space.pool_id, family) if block.length <= length)
            permitted = (block for block in free if self._limits.first_in(block, length))
            # Smallest first: the last one is the largest.
            return list(deque(permitted, 1) if sparse else itertools.islice(permitted, CANDIDATES))
        if sparse:
            largest = store.largest_free(space.pool_id, family)
            return [largest] if largest is not None and largest.length <= length else []
        fits = store.free_blocks(space.pool_id, family, length, CROWD if attempt else CANDIDATES)
        self._ports.memory.read_free(space.pool_id, fits)
        return fits

    def _reclaimed(self) -> list[Cidr]:
        """Make free what has cooled, against all others who do the same, and give what fits then.

        Raises:
            PermanentError: nothing does, and there is nothing left to make free.
            ContendedError: there may be, but others were always faster.
        """
        # Within limits a free block that is large enough may be one that is of no use.
        wanted = EVERYTHING if self._limits.any else self._exact or self._length
        for attempt in range(MAX_ATTEMPTS):
            again = end_previews(self._ports, self._space, self._deadline)
            again |= reclaim(self._ports, self._space, self._ask.family, wanted, self._deadline)
            # Even if there was nothing left to do: somebody else may just have done it.
            fits = self._fits()
            if fits:
                return fits
            if not again:
                raise self._why_not()
            back_off(self._ports, attempt)
        raise ContendedError(self._space.name, MAX_ATTEMPTS)

    def _why_not(self) -> PermanentError:
        """Explain why nothing fits."""
        if self._exact is not None:
            return not_free(self._ports.store, self._space, self._exact)
        return shortage(self._ports.store, self._space, self._ask, self._length)


def _limits(order: Order, space: Space) -> Limits:
    """Tell where in a space the block may lie."""
    ask, rules = order.request.ask, space.rules
    return Limits((rules.allowed_cidrs, ask.allowed_cidrs), rules.disallowed_cidrs + ask.disallowed_cidrs)
