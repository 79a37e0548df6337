"""Stacks that are made anew in a sticky pool, against each other and against upkeep, in every order of their calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.cidr import Cidr
from ipam.domain.errors import CidrNotFreeError
from ipam.services.request import Allocated
from tests.builders import STACK, Desk
from tests.interleaving import explore
from tests.invariants import check
from tests.property.test_interleavings import LIMIT, Stage, allocating, ends, releasing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interleaving import Scene

HOUR = 3600
FACTS: dict[str, object] = {"cooling_seconds": HOUR, "sticky": True}
BLOCK = "10.0.0.64/26"
AGAIN = STACK.replace("5e0a1b2c", "77777777")
ONCE_MORE = STACK.replace("5e0a1b2c", "88888888")


def stage(later: int = 1, released: tuple[str, ...] = (BLOCK,)) -> Stage:
    """A pool of which the resource that is called as its block had one, which cools."""
    return Stage("10.0.0.0/24", (BLOCK,), FACTS, released, later)


def reordering(stack: str = AGAIN, name: str = BLOCK) -> Callable[[Desk], object]:
    """Order for a stack that was made anew."""
    return allocating(name, 26, stack=stack)


def given(results: list[object]) -> list[str]:
    """Tell the blocks that the clients were given."""
    return [str(result.grant.cidr) for result in results if isinstance(result, Allocated)]


def runs(make: Callable[[], Scene]) -> set[tuple[str, ...]]:
    """Run every interleaving, check the store after each, and give what the clients were given, or how they ended."""
    seen = set()
    for schedule, store, results in explore(make, LIMIT):
        try:
            check(store)
        except AssertionError as error:
            raise AssertionError(schedule) from error
        seen.add(tuple(given([each])[0] if isinstance(each, Allocated) else ends([each])[0] for each in results))
    return seen


def test_two_stacks_of_one_name() -> None:
    """One gets the block, the other one another: no two have a name at once, but events are late."""
    seen = runs(lambda: stage().scene(reordering(), reordering(ONCE_MORE)))
    assert seen == {(BLOCK, "10.0.0.0/26"), ("10.0.0.0/26", BLOCK)}


def test_one_order_delivered_twice() -> None:
    """Both deliveries are answered with the one block (I4)."""
    assert runs(lambda: stage().scene(reordering(), reordering())) == {(BLOCK, BLOCK)}


def test_its_holder_and_somebody_else() -> None:
    """Whoever comes first: the block is its holder's, and the other one never gets it while it cools (I7)."""
    assert runs(lambda: stage().scene(reordering(), reordering(name="other"))) == {(BLOCK, "10.0.0.0/26")}


def test_its_holder_and_upkeep() -> None:
    """Upkeep ends no cooling before its time, and none that its holder has ended."""

    def make() -> Scene:
        set_up = stage()
        return set_up.scene(reordering(), lambda desk: str(desk.reclaim(set_up.pool.pool_id)))

    assert runs(make) == {(BLOCK, "False")}


def test_its_holder_and_upkeep_whose_clock_is_ahead() -> None:
    """Whoever of the two is first ends the cooling; the holder gets the block, or another one, and it is held once."""

    def make() -> Scene:
        set_up = stage()

        def ahead(desk: Desk) -> object:
            late = Desk(desk.store)
            late.clock.advance(HOUR + 1)
            return str(late.reclaim(set_up.pool.pool_id))

        return set_up.scene(reordering(), ahead)

    seen = set()
    for _, store, results in explore(make, LIMIT):
        seen.add(given(results[:1])[0])
        (pool_id,) = store.plan().pools
        assert [str(each.cidr) for each in store.allocations(pool_id)] == given(results[:1])
    assert seen == {BLOCK, "10.0.0.0/26"}


def test_its_holder_and_an_exact_order_after_the_cooling() -> None:
    """I1: once it has cooled the block is whoever's takes it first; nobody else's order is told that it is free."""

    def make() -> Scene:
        set_up = stage(later=HOUR)
        return set_up.scene(reordering(), allocating("other", cidr=BLOCK))

    seen = runs(make)
    assert ("10.0.0.0/26", BLOCK) in seen
    assert all(BLOCK in pair for pair in seen)
    assert {other for mine, other in seen if mine == BLOCK} <= {CidrNotFreeError.__name__}


def test_its_holder_and_its_release() -> None:
    """An order that comes while the old stack still gives back gets the block, or one that is free."""

    def make() -> Scene:
        set_up = stage(released=())
        return set_up.scene(releasing(set_up, BLOCK), reordering())

    assert runs(make) == {("released", BLOCK), ("released", "10.0.0.0/26")}


def test_the_block_is_what_the_tests_say() -> None:
    """It is not the one that best fit would give."""
    assert Cidr.parse(BLOCK).first != Cidr.parse("10.0.0.0/26").first
