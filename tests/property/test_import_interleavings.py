"""An import and another client of the same pool, in every order in which their reads and commits can fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import CidrNotFreeError, PoolExhaustedError
from ipam.services.import_allocations import Outcome, import_allocations
from ipam.services.import_check import check
from ipam.services.import_rows import Row
from ipam.services.pools import NewPool
from ipam.services.request import Allocated
from tests.builders import ACCOUNT, REGION, Desk, SeededChance, block
from tests.interleaving import explore
from tests.invariants import check as check_invariants

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.services.ports.store import Store
    from tests.interleaving import Scene

LIMIT = 20_000
"""Interleavings of one pair."""

ROWS = ("10.0.0.16/28", "10.0.0.64/26")


def scene(*works: Callable[[Desk], object], held: str = "", cooling: int = 0) -> Scene:
    """Set a pool with 10.0.0.0/24, in which one block may be held, and two clients."""
    desk = Desk()
    pool = desk.pool(NewPool("vpcs", desk.scope("private"), locale=REGION, cooling_seconds=cooling), "10.0.0.0/24")
    if held:
        desk.allocate(desk.request("Held", cidr=held, pool=pool))

    def at_own_desk(work: Callable[[Desk], object], number: int) -> Callable[[Store], object]:
        def act(store: Store) -> object:
            own = desk.another(store)
            own.chance = SeededChance(f"client {number}")
            own.__post_init__()
            own.ports.memory.see_plan(own.clock.now(), desk.store.plan())
            return work(own)

        return act

    return desk.store, [at_own_desk(work, number) for number, work in enumerate(works)]


def importing(*cidrs: str) -> Callable[[Desk], Outcome]:
    """Import networks."""

    def act(desk: Desk) -> Outcome:
        rows = [Row(line, block(cidr), account=ACCOUNT) for line, cidr in enumerate(cidrs, 2)]
        outcome = Outcome()
        intake = check(desk.ports, desk.ports.store.plan(), rows, "", lambda *_: None)
        import_allocations(desk.ports, intake, "test", outcome, lambda *_: None)
        outcome.kept += intake.kept
        outcome.bad += intake.bad
        return outcome

    return act


def end(result: object) -> str:
    """Name how a client ended."""
    if isinstance(result, Outcome):
        settled = [("imported", len(result.imported)), ("kept", len(result.kept)), ("bad", len(result.bad))]
        return " ".join(f"{count} {what}" for what, count in settled if count)
    return result.outcome if isinstance(result, Allocated) else str(result or "done")


def ends(make: Callable[[], Scene], *, canonical: bool = True) -> set[tuple[str, ...]]:
    """Run every interleaving, check the store after each, and give the ways in which the clients ended."""
    seen = set()
    for schedule, store, results in explore(make, LIMIT):
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, CidrNotFreeError | PoolExhaustedError):
                message = f"after {schedule}"
                raise AssertionError(message) from result  # noqa: TRY004 - it is what a client ended with
        check_invariants(store, canonical=canonical)
        seen.add(tuple(type(each).__name__ if isinstance(each, BaseException) else end(each) for each in results))
    return seen


@pytest.mark.parametrize("length", [25, 28])
def test_an_order_of_a_size(length: int) -> None:
    """It finds room beside the networks, or takes their place: then they are told as bad, and the order stands."""
    make = lambda: scene(importing(*ROWS), lambda desk: desk.allocate(desk.request("a", length)))  # noqa: E731
    mine, others = zip(*ends(make, canonical=False), strict=True)
    assert set(others) == {"allocated"}
    assert set(mine) <= {"2 imported", "1 imported 1 bad", "2 bad"}


def test_an_order_of_the_very_block() -> None:
    """One of the two has it; the other is told so."""
    make = lambda: scene(  # noqa: E731
        importing(*ROWS), lambda desk: desk.allocate(desk.request("a", cidr="10.0.0.64/26"))
    )
    assert ends(make) == {("2 imported", "CidrNotFreeError"), ("1 imported 1 bad", "allocated")}


def test_two_imports_of_the_same_networks() -> None:
    """Each network is there once, and both imports have all (I4)."""
    make = lambda: scene(importing("10.0.0.16/28"), importing("10.0.0.16/28"))  # noqa: E731
    assert ends(make) == {("1 imported", "1 kept"), ("1 kept", "1 imported")}


def test_a_release_beside_it() -> None:
    """The block that is given back is not imported while it is held or cools; beside it, nothing is disturbed."""

    def releasing(desk: Desk) -> object:
        (held,) = desk.store.owner(desk.request("Held").owner).grants
        return desk.release("Held", held.allocation_id)

    make = lambda: scene(importing("10.0.0.64/26", "10.0.0.16/28"), releasing, held="10.0.0.16/28")  # noqa: E731
    assert ends(make, canonical=False) == {("2 imported", "released"), ("1 imported 1 bad", "released")}
    cooled = lambda: scene(importing("10.0.0.16/28"), releasing, held="10.0.0.16/28", cooling=60)  # noqa: E731
    assert ends(cooled) == {("1 bad", "released")}
