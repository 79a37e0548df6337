"""Order from Amazon VPC IPAM: in a pool that it stands behind it chooses the block, and we take that very one.

    written down -------- allocated there -------- allocated here, and struck out
         |                      |                        |
         |                      |                        +-- refused here: ended, and given back there
         |                      +-- no answer: the next delivery goes on with the same order, and has the same block
         +-- refused there: ended

Owner, quota, rules, audit and cooling are ours, as in every pool. What is provisioned here is what that pool has; where
it got more since, so do we. `ipam.services.pending` says why a crash between any two of these steps does no harm, and
mends what it leaves.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.change import TakePending
from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.errors import (
    AllocationRuleError,
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    NetmaskLengthError,
    OutOfTimeError,
    PermanentError,
    ServiceUnavailableError,
    VpcIpamRefusedError,
)
from ipam.domain.free_space import Limits
from ipam.domain.pool import NO_QUOTA
from ipam.services import pending
from ipam.services.choose import Choice
from ipam.services.give_back import free_what_was_given_back
from ipam.services.leases import end_previews
from ipam.services.plan import current_plan
from ipam.services.ports.outside import VpcIpamOrder
from ipam.services.reclaim import reclaim
from ipam.services.serve import serve

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation, PendingOrder
    from ipam.domain.change import Operation
    from ipam.domain.pool import Pool, Space
    from ipam.services.order import Order
    from ipam.services.ports.outside import Chosen
    from ipam.services.request import Allocated

MAX_CHOICES: Final = 8
"""Blocks that Amazon VPC IPAM may choose in vain, because they are held or cool here without its knowledge."""


def order_from_vpc_ipam(order: Order, space: Space, pool: Pool, length: int) -> Allocated:
    """Serve an order from a pool that Amazon VPC IPAM stands behind.

    Args:
        order: the order, once the rules of the pool have let it pass.
        space: what the pool has.
        pool: the pool.
        length: the netmask length.

    Raises:
        PermanentError: no block can be given; the subclass says why.
        TemporaryError: not now; the same request goes on where this one has stopped.
    """
    extend = order.extend
    try:
        return _Ordering(order, space, pool, length).serve()
    finally:
        # Another pool, or another try, begins anew.
        order.extend, order.exact, order.vpc_ipam_allocation_id = extend, order.request.ask.cidr, ""


class _Ordering:
    """One order on its way: what it has learned of its pool."""

    def __init__(self, order: Order, space: Space, pool: Pool, length: int) -> None:
        self._order = order
        self._ports = order.ports
        self._deadline = order.deadline
        self._space = space
        self._pool = pool
        self._length = length
        self._extend = order.extend
        self._exact = order.request.ask.cidr
        self._unusable: tuple[Cidr, ...] = ()
        self._made_room = False
        ask, rules = order.request.ask, pool.rules
        self._limits = Limits((rules.allowed_cidrs, ask.allowed_cidrs), rules.disallowed_cidrs + ask.disallowed_cidrs)

    def serve(self) -> Allocated:
        """Have a block chosen that can be taken here, and take it."""
        known = self._order.reread()
        if known is not None:
            return known
        self._check()
        if self._exact is not None:
            self._cover(self._exact)
            Choice(self._order, self._space, self._length).find()
        for _ in range(MAX_CHOICES):
            written = self._write_down()
            chosen = self._choose(written)
            allocated = None if chosen is None else self._take(written, chosen)
            if allocated is not None:
                return allocated
        raise ContendedError(self._pool.name, MAX_CHOICES)

    def _check(self) -> None:
        """Refuse what could not be taken here, before anything is allocated there."""
        family, account = self._pool.family, self._order.request.account
        if not 0 <= self._length <= WIDTHS[family]:
            raise NetmaskLengthError(self._pool.name, self._length, "AddressFamily", WIDTHS[family])
        if account and self._space.quota != NO_QUOTA:
            over = self._order.exceeds(self._space, Cidr(family, 0, self._length))
            if over is not None and not end_previews(self._ports, self._space, self._deadline):
                raise over

    def _cover(self, cidr: Cidr) -> None:
        """Provision what the pool of Amazon VPC IPAM has around a block, if it is not provisioned here.

        Raises:
            CidrNotInPoolError: that pool does not have it either.
            PermanentError: the source of our pool does not have it to give.
        """
        if self._space.around(cidr) is not None:
            return
        # Provisioning allocates, and so begins where this module ends.
        from ipam.services.provision import provision  # noqa: PLC0415

        theirs = self._ports.vpc_ipam.cidrs(self._pool.locale, self._pool.vpc_ipam_pool_id)
        whole = next((each for each in theirs if each.contains(cidr)), None)
        if whole is None:
            raise CidrNotInPoolError(self._pool.name, cidr)
        if whole not in self._provisioned():
            provision(self._ports, self._pool.pool_id, whole, f"vpc-ipam {whole}", self._order.request.cause)
        self._space = replace(self._space, provisioned=self._provisioned())

    def _provisioned(self) -> tuple[Cidr, ...]:
        """Read what is provisioned here now."""
        return current_plan(self._ports, fresh=True).space(self._pool.pool_id).provisioned

    def _write_down(self) -> PendingOrder:
        """Write down what is to be ordered, unless an earlier delivery has."""
        facts = self._order.digest + repr(self._wanted("", ""))
        named = hashlib.sha256(facts.encode()).hexdigest()[: pending.DIGITS]
        return pending.write_down(self._ports, self._pool, self._order.request, named, self._deadline)

    def _wanted(self, token: str, description: str) -> VpcIpamOrder:
        """Say what is asked of Amazon VPC IPAM."""
        there = self._pool.locale, self._pool.vpc_ipam_pool_id
        if self._exact is not None:
            return VpcIpamOrder(*there, token, description, self._length, self._exact)
        disallowed = self._limits.disallowed + self._unusable
        return VpcIpamOrder(*there, token, description, self._length, None, self._allowed(), disallowed)

    def _allowed(self) -> tuple[Cidr, ...]:
        """Tell where the block may lie: in what both the pool's rules and the request allow, where that is enough."""
        rules, asked = self._limits.allowed
        both = tuple(max(one, two, key=lambda cidr: cidr.length) for one in rules for two in asked if one.overlaps(two))
        allowed = both if rules and asked else rules or asked
        enough = tuple(cidr for cidr in allowed if cidr.length <= self._length)
        if (rules or asked) and not enough:
            value = ", ".join(map(str, asked)) if rules and asked else f"/{self._length}"
            raise AllocationRuleError(self._pool.name, "AllowedCidrs", value, ", ".join(map(str, rules or asked)))
        return enough

    def _choose(self, written: PendingOrder) -> Chosen | None:
        """Have a block chosen; None if there is none, but may be now that what has cooled was given back.

        Raises:
            VpcIpamRefusedError: it is refused there.
        """
        self._deadline.ensure()
        try:
            return self._ports.vpc_ipam.allocate(self._wanted(written.token, pending.describe(written)))
        except VpcIpamRefusedError:
            pending.end(self._ports, written, self._order.request.cause, self._deadline)
            if self._made_room or not self._make_room():
                raise
        self._made_room = True
        return None

    def _make_room(self) -> bool:
        """Give back what has cooled, which is still allocated there; say whether there may be room now."""
        again = end_previews(self._ports, self._space, self._deadline)
        try:
            return reclaim(self._ports, self._space, self._pool.family, None, self._deadline) or again
        except (ServiceUnavailableError, VpcIpamRefusedError):
            return True

    def _take(self, written: PendingOrder, chosen: Chosen) -> Allocated | None:
        """Take a chosen block here, or give it back; None if another one has to be chosen.

        Raises:
            PermanentError: the account may not have it.
        """
        order = self._order
        order.exact, order.vpc_ipam_allocation_id = chosen.cidr, chosen.allocation_id
        order.extend = lambda allocation: (*self._more(allocation), TakePending(written.pool_id, written.token))
        allocated: Allocated | None = None
        try:
            if self._is_wanted(chosen.cidr):
                self._cover(chosen.cidr)
                allocated = self._take_now(chosen)
        except PermanentError:
            self._give_back(written, chosen)
            raise
        if allocated is None or allocated.outcome == "kept":
            # It cannot be had here; or another delivery was served meanwhile, perhaps with this very block.
            self._give_back(written, chosen)
            self._unusable += (chosen.cidr,)
        return allocated

    def _more(self, allocation: Allocation) -> tuple[Operation, ...]:
        """Tell what else belongs to the change, by the order itself."""
        return () if self._extend is None else self._extend(allocation)

    def _is_wanted(self, cidr: Cidr) -> bool:
        """Whether a chosen block is one that was asked for."""
        if self._exact is not None:
            return cidr == self._exact
        return cidr.family == self._pool.family and cidr.length == self._length and self._limits.permit(cidr)

    def _take_now(self, chosen: Chosen) -> Allocated | None:
        """Take a block here; None if it is not free, and another one may be.

        Raises:
            CidrNotFreeError: it is the exact one.
        """
        try:
            return serve(self._order, self._space, self._length)
        except CidrNotFreeError:
            # It may be that only the last step of its last release is missing here.
            if free_what_was_given_back(self._ports, self._pool.pool_id, chosen.cidr, self._deadline):
                return serve(self._order, self._space, self._length)
            if self._exact is not None:
                raise
            return None

    def _give_back(self, written: PendingOrder, chosen: Chosen) -> None:
        """End the order, and give back what it came to; what cannot be given back now, upkeep will."""
        if pending.end(self._ports, written, self._order.request.cause, self._deadline):
            with contextlib.suppress(ServiceUnavailableError, VpcIpamRefusedError, OutOfTimeError):
                self._deadline.ensure()
                there = self._pool.locale, self._pool.vpc_ipam_pool_id
                self._ports.vpc_ipam.release(*there, chosen.cidr, chosen.allocation_id)
