"""Orders within limits, by either strategy, against a brute-force search of what a small pool has left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.errors import AllocationRuleError, CidrNotFreeError, PoolExhaustedError
from ipam.domain.pool import AllocationRules
from ipam.services.pools import NewPool
from tests.builders import REGION, Desk, block
from tests.invariants import check
from tests.strategies import FAMILIES

if TYPE_CHECKING:
    from ipam.domain.cidr import Family
    from ipam.domain.owner import Grant
    from ipam.domain.pool import Strategy
    from ipam.services.request import AllocateRequest

WHOLE: dict[Family, Cidr] = {4: block("10.0.0.0/26"), 6: block("2001:db8::/122")}
"""Sixty-four addresses: all that is to be searched."""

BITS = 6
COOLING = 60


def part(family: Family, bits: int, place: int) -> Cidr:
    """A block of a pool that has that many host bits, at some place."""
    whole = WHOLE[family]
    return Cidr(family, whole.first + (place >> bits << bits), WIDTHS[family] - bits)


places = st.tuples(st.integers(0, BITS), st.integers(0, 63))
lists = st.lists(places, max_size=3)


@dataclass(frozen=True)
class Step:
    """What a resource does: give back what it has, or order, within limits."""

    name: str
    bits: int
    place: int | None
    allowed: list[tuple[int, int]]
    disallowed: list[tuple[int, int]]
    pause: int


steps = st.builds(
    Step,
    st.sampled_from("abcdef"),
    st.integers(0, 4),
    st.one_of(st.none(), st.none(), st.integers(0, 63)),
    lists,
    lists,
    st.sampled_from([0, 0, 20, COOLING]),
)


class Small:
    """A small pool, and all that is known of it by looking on."""

    def __init__(self, family: Family, rules: AllocationRules) -> None:
        self.family = family
        self.rules = rules
        self.desk = Desk()
        facts = {"locale": REGION, "rules": rules, "cooling_seconds": COOLING, "family": family}
        new = NewPool("vpcs", self.desk.scope(), **facts)  # type: ignore[arg-type]
        self.pool = self.desk.pool(new, str(WHOLE[family]))
        self.held: dict[str, Grant] = {}
        self.cooling: list[tuple[Cidr, int]] = []

    def request(self, step: Step) -> AllocateRequest:
        """Say what a step asks for."""
        exact = None if step.place is None else part(self.family, step.bits, step.place)
        length = None if exact else WIDTHS[self.family] - step.bits
        request = self.desk.request(step.name, length, cidr=None if exact is None else str(exact), family=self.family)
        allowed = tuple(part(self.family, *each) for each in step.allowed)
        disallowed = tuple(part(self.family, *each) for each in step.disallowed)
        return replace(request, ask=replace(request.ask, allowed_cidrs=allowed, disallowed_cidrs=disallowed))

    def permitted(self, request: AllocateRequest, cidr: Cidr) -> bool:
        """Whether a block keeps the limits of pool and request."""
        sets = (self.rules.allowed_cidrs, request.ask.allowed_cidrs)
        inside = all(not allowed or any(each.contains(cidr) for each in allowed) for allowed in sets)
        outside = (*self.rules.disallowed_cidrs, *request.ask.disallowed_cidrs)
        return inside and not any(each.overlaps(cidr) for each in outside)

    def free(self, cidr: Cidr) -> bool:
        """Whether nobody has any of a block, and none of it cools."""
        taken = [grant.cidr for grant in self.held.values()]
        taken += [cooling for cooling, until in self.cooling if until > self.desk.clock.now()]
        return not any(each.overlaps(cidr) for each in taken)

    def take(self, step: Step) -> None:
        """Order, and see that what is given, or refused, is right."""
        request = self.request(step)
        exact = request.ask.cidr
        length = WIDTHS[self.family] - step.bits
        every = WHOLE[self.family].subnets(length) if exact is None else iter([exact])
        permitted = [cidr for cidr in every if self.permitted(request, cidr)]
        possible = [cidr for cidr in permitted if self.free(cidr)]
        try:
            grant = self.desk.allocate(request).grant
        except AllocationRuleError:
            assert exact is not None and not permitted
            return
        except PoolExhaustedError:
            assert exact is None and not possible, f"there was {possible[0]}"
            return
        except CidrNotFreeError:
            assert exact is not None and permitted and not possible
            return
        assert grant.cidr in possible, f"{grant.cidr} is against the limits, or taken"
        self.held[step.name] = grant

    def give_back(self, name: str) -> None:
        """Release what a resource has."""
        grant = self.held.pop(name)
        assert self.desk.release(name, grant.allocation_id) == "released"
        self.cooling.append((grant.cidr, self.desk.clock.now() + COOLING * 1000))


@given(
    st.sampled_from(FAMILIES),
    st.sampled_from(["best-fit", "sparse"]),
    lists,
    lists,
    st.lists(steps, min_size=1, max_size=12),
)
@settings(max_examples=150)
def test_whatever_is_permitted_and_free_is_given(
    family: Family,
    strategy: Strategy,
    allowed: list[tuple[int, int]],
    disallowed: list[tuple[int, int]],
    orders: list[Step],
) -> None:
    """An order is served if and only if some block of its size keeps all limits and is free, and it gets such a one."""
    rules = AllocationRules(
        allowed_cidrs=tuple(part(family, *each) for each in allowed),
        disallowed_cidrs=tuple(part(family, *each) for each in disallowed),
        strategy=strategy,
    )
    small = Small(family, rules)
    for step in orders:
        small.desk.clock.advance(step.pause + 1)
        if step.name in small.held:
            small.give_back(step.name)
        else:
            small.take(step)
        check(small.desk.store)
    small.desk.clock.advance(COOLING)
    small.desk.reclaim(small.pool.pool_id, family)
    check(small.desk.store, canonical=True)


@given(st.sampled_from(FAMILIES), st.lists(st.integers(0, 4), min_size=1, max_size=16))
def test_sparse_takes_the_beginning_of_the_largest(family: Family, sizes: list[int]) -> None:
    """Without limits each block begins where one of the largest free ones did."""
    small = Small(family, AllocationRules(strategy="sparse"))
    for number, bits in enumerate(sizes):
        free = list(small.desk.store.all_free(small.pool.pool_id, family))
        largest = min((cidr.length for cidr in free), default=None)
        try:
            grant = small.desk.allocate(small.desk.request(str(number), WIDTHS[family] - bits, family=family)).grant
        except PoolExhaustedError:
            assert largest is None or largest > WIDTHS[family] - bits
            continue
        assert any(cidr.first == grant.cidr.first and cidr.length == largest for cidr in free)
    check(small.desk.store, canonical=True)
