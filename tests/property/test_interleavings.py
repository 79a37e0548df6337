"""Two clients of one store, in every order in which their reads and commits can fall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import (
    CidrNotFreeError,
    NoSuchAllocationError,
    PoolExhaustedError,
    QuotaExceededError,
    SupersededError,
)
from ipam.domain.pool import Quota
from ipam.services.pools import NewPool
from ipam.services.request import Allocated
from tests.builders import NOON, REGION, Desk, SeededChance, block, claim
from tests.interleaving import explore
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.services.ports.store import Store
    from tests.interleaving import Scene

LIMIT = 6000
"""Interleavings of one pair."""


@dataclass
class Stage:
    """A pool in which some blocks are held, the same each time it is set."""

    cidr: str = "10.0.0.0/24"
    held: tuple[str, ...] = ()
    facts: dict[str, object] = field(default_factory=dict)
    released: tuple[str, ...] = ()
    later: int = 0

    def __post_init__(self) -> None:
        self.desk = Desk()
        new = NewPool("vpcs", self.desk.scope(), **({"locale": REGION} | self.facts))  # type: ignore[arg-type]
        self.pool = self.desk.pool(new, self.cidr)
        self.requests = {cidr: self.desk.request(cidr, cidr=cidr) for cidr in self.held}
        self.grants: dict[str, Grant] = {
            cidr: self.desk.allocate(request).grant for cidr, request in self.requests.items()
        }
        for cidr in self.released:
            self.desk.release(cidr, self.grants[cidr].allocation_id)
        self.desk.clock.advance(self.later)

    def scene(self, *works: Callable[[Desk], object]) -> Scene:
        """Let each work happen at a desk of its own."""
        return self.desk.store, [self._at_own_desk(work, number) for number, work in enumerate(works)]

    def _at_own_desk(self, work: Callable[[Desk], object], number: int) -> Callable[[Store], object]:
        def act(store: Store) -> object:
            desk = self.desk.another(store)
            desk.chance = SeededChance(f"client {number}")
            desk.__post_init__()
            desk.ports.memory.see_plan(desk.clock.now(), self.desk.store.plan())
            return work(desk)

        return act


def allocating(name: str, length: int | None = None, **facts: object) -> Callable[[Desk], object]:
    """Allocate for a resource."""
    return lambda desk: desk.allocate(desk.request(name, length, **facts))  # type: ignore[arg-type]


def releasing(stage: Stage, cidr: str) -> Callable[[Desk], object]:
    """Release what is held."""
    return lambda desk: desk.release(cidr, stage.grants[cidr].allocation_id)


def ends(results: list[object]) -> list[str]:
    """Name how the clients ended."""
    return [
        result.outcome
        if isinstance(result, Allocated)
        else result
        if isinstance(result, str)
        else type(result).__name__
        for result in results
    ]


def all_ends(make: Callable[[], Scene], *, canonical: bool = True, reclaimed: bool = False) -> set[tuple[str, ...]]:
    """Run every interleaving, check the store after each, and give the ways in which the clients ended.

    Args:
        make: sets the scene.
        canonical: assert I2 as well.
        reclaimed: let upkeep run first.
    """
    seen = set()
    count = 0
    for schedule, store, results in explore(make, LIMIT):
        count += 1
        try:
            check(store, canonical=canonical and not reclaimed)
            if reclaimed:
                for pool_id in store.plan().pools:
                    Desk(store).reclaim(pool_id)
                check(store, canonical=canonical)
        except AssertionError as broken:
            message = f"{broken}, after {schedule}, which ended {results}"
            raise AssertionError(message) from broken
        seen.add(tuple(ends(results)))
        for result in results:
            if isinstance(result, AssertionError):
                message = f"after {schedule}"
                raise AssertionError(message) from result  # noqa: TRY004 - it is what a client ended with
    assert count > 1
    return seen


@pytest.mark.parametrize(("one", "other"), [(25, 25), (26, 26), (26, 27), (27, 26), (25, 28)])
def test_two_orders_of_a_fresh_pool(one: int, other: int) -> None:
    """Both are served, whoever comes first, and never overlap (I1)."""
    make = lambda: Stage().scene(allocating("a", one), allocating("b", other))  # noqa: E731
    assert all_ends(make, canonical=False) == {("allocated", "allocated")}


def test_two_orders_of_the_last_block() -> None:
    """Exactly one gets it; the other is told that the pool is exhausted (I1)."""
    make = lambda: Stage("10.0.0.0/26").scene(allocating("a", 26), allocating("b", 26))  # noqa: E731
    assert all_ends(make) == {("allocated", "PoolExhaustedError"), ("PoolExhaustedError", "allocated")}


def test_one_order_delivered_twice_at_once() -> None:
    """The owner has one allocation, which answers both (I4)."""
    make = lambda: Stage().scene(allocating("a", 26), allocating("a", 26))  # noqa: E731
    assert all_ends(make) == {("allocated", "kept"), ("kept", "allocated")}


def test_one_order_for_the_last_block_delivered_twice_at_once() -> None:
    """The second delivery finds the pool full and its own allocation in it (I4)."""
    make = lambda: Stage("10.0.0.0/26").scene(allocating("a", 26), allocating("a", 26))  # noqa: E731
    assert all_ends(make) == {("allocated", "kept"), ("kept", "allocated")}


def test_two_asks_of_one_owner_at_once() -> None:
    """Each ask has its allocation, and the owner's record knows both (I4)."""
    make = lambda: Stage().scene(allocating("a", 26), allocating("a", 27))  # noqa: E731
    assert all_ends(make, canonical=False) == {("allocated", "allocated")}


def test_an_exact_block_and_the_best_fit() -> None:
    """One of them gets the block that both want; the exact order gets no other (I1)."""
    make = lambda: Stage("10.0.0.0/26").scene(allocating("a", cidr="10.0.0.0/26"), allocating("b", 27))  # noqa: E731
    assert all_ends(make) == {("allocated", "PoolExhaustedError"), ("CidrNotFreeError", "allocated")}


def test_a_quota_holds_for_orders_at_once() -> None:
    """An account that may have one more gets one more."""
    facts: dict[str, object] = {"quota": Quota(allocations=1)}
    make = lambda: Stage(facts=facts).scene(allocating("a", 26), allocating("b", 26))  # noqa: E731
    assert all_ends(make, canonical=False) == {("allocated", "QuotaExceededError"), ("QuotaExceededError", "allocated")}


@pytest.mark.parametrize("cooling", [0, 60])
def test_one_block_given_back_twice_at_once(cooling: int) -> None:
    """There is one release (I5), and its address comes back once (I1)."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26",), facts={"cooling_seconds": cooling})
        grant = stage.grants["10.0.0.0/26"]
        stage.desk.verify("d", claim(grant))
        return stage.scene(releasing(stage, "10.0.0.0/26"), lambda desk: desk.release_in_stack("d", grant))

    assert all_ends(make, reclaimed=True) == {("released", "already-released"), ("already-released", "released")}


@pytest.mark.parametrize("held", [("10.0.0.0/27", "10.0.0.32/27"), ("10.0.0.0/27", "10.0.0.64/26")])
def test_buddies_and_cousins_given_back_at_once(held: tuple[str, str]) -> None:
    """Neither minds the other (I1), and upkeep joins what they leave (I2)."""

    def make() -> Scene:
        stage = Stage(held=held)
        return stage.scene(*(releasing(stage, cidr) for cidr in held))

    assert all_ends(make, reclaimed=True) == {("released", "released")}


@pytest.mark.parametrize("wanted", ["10.0.0.32/27", "10.0.0.64/26", "10.0.0.128/25", "10.0.0.192/26"])
def test_a_release_whose_buddies_are_taken_meanwhile(wanted: str) -> None:
    """The block comes back as it is, while any of its buddies is being taken (I1, I2)."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/27",))
        return stage.scene(releasing(stage, "10.0.0.0/27"), allocating("b", cidr=wanted))

    assert all_ends(make, reclaimed=True) == {("released", "allocated")}


@pytest.mark.parametrize("wanted", ["10.0.0.32/27", "10.0.0.64/26", "10.0.0.128/25", "10.0.0.0/26"])
def test_upkeep_whose_buddies_are_taken_meanwhile(wanted: str) -> None:
    """A run joins what is free and nothing else, while a part of it is being taken (I1, I2)."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/27",), released=("10.0.0.0/27",))
        reclaiming = lambda desk: str(desk.reclaim(stage.pool.pool_id))  # noqa: E731
        return stage.scene(reclaiming, allocating("b", cidr=wanted))

    assert {ended for _, ended in all_ends(make, reclaimed=True)} == {"allocated"}


def test_upkeep_and_a_release_that_does_not_cool() -> None:
    """What comes back while a run joins is joined by this run or the next one (I1, I2)."""
    both = ("10.0.0.0/27", "10.0.0.32/27")

    def make() -> Scene:
        stage = Stage(held=both, released=both[:1])
        reclaiming = lambda desk: str(desk.reclaim(stage.pool.pool_id))  # noqa: E731
        return stage.scene(reclaiming, releasing(stage, both[1]))

    assert {ended for _, ended in all_ends(make, reclaimed=True)} == {"released"}


def test_a_release_and_an_order_that_waits_for_it() -> None:
    """The order gets the block, or was told that the pool was full when it was (I1)."""

    def make() -> Scene:
        stage = Stage("10.0.0.0/26", held=("10.0.0.0/26",))
        return stage.scene(releasing(stage, "10.0.0.0/26"), allocating("b", 26))

    assert all_ends(make) == {("released", "allocated"), ("released", "PoolExhaustedError")}


def test_a_create_and_its_delete_at_once() -> None:
    """Whichever way they meet, nothing is held in the end (I4)."""

    def make() -> Scene:
        work = lambda desk: desk.abandon("a", desk.request("a", 26), at=NOON + 1000)  # noqa: E731
        return Stage().scene(allocating("a", 26, at=NOON), work)

    seen = set()
    for _, store, results in explore(make, LIMIT):
        check(store)
        assert [block for pool in store.plan().pools for block in store.allocations(pool)] == []
        seen.add(tuple(ends(results)))
    assert seen == {("allocated", "released"), ("SupersededError", "nothing-to-release")}


def test_a_delete_that_is_delivered_twice_and_its_create() -> None:
    """Two tombstones at once are one."""
    make = lambda: Stage().scene(*[lambda desk: desk.abandon("a", at=NOON)] * 2)  # noqa: E731
    assert all_ends(make) == {("nothing-to-release", "nothing-to-release")}


def test_an_allocation_is_verified_or_abandoned() -> None:
    """What was verified stays; what was abandoned first can't be verified (I5)."""

    def make() -> Scene:
        stage = Stage()
        grant = stage.desk.allocate(stage.desk.request("a", 26)).grant

        def verifying(desk: Desk) -> str:
            desk.verify("d", claim(grant))
            return "verified"

        return stage.scene(verifying, lambda desk: desk.abandon("a", grant))

    assert all_ends(make, reclaimed=True) == {("verified", "unverified-delete"), ("NoSuchAllocationError", "released")}


def standing_for(stage: Stage, *names: str) -> Grant:
    """Hold a block whose release these resources stand for."""
    grant = stage.desk.allocate(stage.desk.request("a", 26)).grant
    for name in names:
        stage.desk.verify(name, claim(grant))
    return grant


def held_in(store: Store) -> list[str]:
    """Read what is allocated from pools."""
    return [str(each.cidr) for pool in store.plan().pools for each in store.allocations(pool)]


def test_two_that_stand_for_one_release_go_at_once() -> None:
    """Whichever is the last makes the release, and exactly one of them is (I5)."""

    def make() -> Scene:
        stage = Stage()
        grant = standing_for(stage, "d", "e")
        return stage.scene(
            lambda desk: desk.release_in_stack("d", grant), lambda desk: desk.release_in_stack("e", grant)
        )

    ended = all_ends(make, reclaimed=True)
    assert ended == {("nothing-to-release", "released"), ("released", "nothing-to-release")}


def test_one_comes_to_stand_for_a_release_while_the_other_goes() -> None:
    """A renamed resource: the block stays for the new one to return, unless the old one went before it came (I5)."""

    def make() -> Scene:
        stage = Stage()
        grant = standing_for(stage, "old")

        def verifying(desk: Desk) -> str:
            desk.verify("new", claim(grant))
            return "verified"

        return stage.scene(verifying, lambda desk: desk.release_in_stack("old", grant))

    seen = set()
    for _, store, results in explore(make, LIMIT):
        check(store)
        seen.add(tuple(ends(results)))
        if results[0] == "verified":
            assert held_in(store) == ["10.0.0.0/26"]
            (grant,) = store.owner(Desk(store).request("a").owner).grants
            assert grant.returners == ("new",), ends(results)
    assert seen == {("verified", "nothing-to-release"), ("NoSuchAllocationError", "released")}


@pytest.mark.parametrize("how", ["own", "announced"])
def test_a_late_delete_and_an_answer_at_once(how: str) -> None:
    """Once a newer request was answered with it the block stays; if the Delete was first, there is another (I4, I5)."""

    def make() -> Scene:
        stage = Stage()
        grant = standing_for(stage, "d")

        def deleting(desk: Desk) -> str:
            if how == "own":
                return desk.release("a", grant.allocation_id, at=NOON + 1000)
            return desk.release_in_stack("d", grant, at=NOON + 1000)

        return stage.scene(deleting, allocating("a", 26, at=NOON + 2000))

    seen = set()
    for _, store, results in explore(make, LIMIT):
        check(store)
        seen.add(tuple(ends(results)))
        assert len(held_in(store)) == 1, ends(results)
        assert isinstance(results[1], Allocated)
        (grant,) = store.owner(Desk(store).request("a").owner).grants
        assert grant.allocation_id == results[1].grant.allocation_id
    assert seen == {("released", "allocated"), ("unverified-delete", "kept")}


def test_an_unanswered_update_and_the_next_one_at_once() -> None:
    """However they meet, what the first one allocated is not left over, and the second is served (I4)."""

    def make() -> Scene:
        stage = Stage()
        held = stage.desk.allocate(stage.desk.request("a", 26)).grant.allocation_id
        lost, wanted = stage.desk.request("a", 25, at=NOON + 1000), stage.desk.request("a", 27, at=NOON + 2000)
        return stage.scene(lambda desk: desk.revise(lost, held), lambda desk: desk.revise(wanted, held))

    seen = set()
    for _, store, results in explore(make, LIMIT):
        check(store)
        seen.add(tuple(ends(results)))
    assert seen <= {("allocated", "allocated"), ("SupersededError", "allocated")}


def test_two_orders_of_what_has_cooled() -> None:
    """Both free the same cooled blocks, and both get one: neither is told that the pool is exhausted (I1, I7)."""
    halves = ("10.0.0.0/27", "10.0.0.32/27")

    def make() -> Scene:
        facts: dict[str, object] = {"cooling_seconds": 60}
        stage = Stage("10.0.0.0/26", held=halves, facts=facts, released=halves, later=60)
        return stage.scene(allocating("a", 27), allocating("b", 27))

    assert all_ends(make, canonical=False) == {("allocated", "allocated")}


def test_two_orders_of_one_cooled_block() -> None:
    """One cooled block that holds both serves both."""
    whole = ("10.0.0.0/26",)

    def make() -> Scene:
        stage = Stage("10.0.0.0/26", held=whole, facts={"cooling_seconds": 60}, released=whole, later=60)
        return stage.scene(allocating("a", 27), allocating("b", 27))

    assert all_ends(make, canonical=False) == {("allocated", "allocated")}


def test_upkeep_twice_at_once() -> None:
    """Two runs end every cooling once (I7) and lose nothing (I1); a third finds what they left to each other."""
    thirds = ("10.0.0.0/27", "10.0.0.32/27")

    def make() -> Scene:
        facts: dict[str, object] = {"cooling_seconds": 60}
        stage = Stage("10.0.0.0/26", held=thirds, facts=facts, released=thirds, later=60)
        return stage.scene(*[lambda desk, pool=stage.pool: str(desk.reclaim(pool.pool_id))] * 2)

    for _, store, _ in explore(make, LIMIT):
        (pool_id,) = store.plan().pools
        Desk(store).reclaim(pool_id)
        check(store, canonical=True)
        assert list(store.all_free(pool_id, 4)) == [block("10.0.0.0/26")]
        assert store.cooling(pool_id, 9) == []


def test_upkeep_and_a_release_at_once() -> None:
    """What cools now is not freed by a run that began before (I7)."""
    both = ("10.0.0.0/27", "10.0.0.32/27")

    def make() -> Scene:
        stage = Stage("10.0.0.0/26", held=both, facts={"cooling_seconds": 60}, released=both[:1], later=60)
        reclaiming = lambda desk: str(desk.reclaim(stage.pool.pool_id))  # noqa: E731
        return stage.scene(reclaiming, releasing(stage, both[1]))

    assert all_ends(make) == {("True", "released")}


def test_an_update_and_its_rollback_at_once() -> None:
    """However they meet, the old allocation stays, and what the Update allocated is not left over (I4)."""

    def make() -> Scene:
        stage = Stage()
        desk = stage.desk
        grant = desk.allocate(desk.request("a", 26)).grant
        desk.clock.advance(1)
        forward = desk.request("a", 25)
        desk.clock.advance(1)
        back = desk.request("a", 26)
        held = grant.allocation_id
        return stage.scene(lambda desk: desk.revise(forward, held), lambda desk: desk.revise(back, held))

    seen = set()
    for _, store, results in explore(make, LIMIT):
        check(store)
        seen.add(tuple(ends(results)))
        held = [str(each.cidr) for pool in store.plan().pools for each in store.allocations(pool)]
        assert held == ["10.0.0.0/26"], ends(results)
    assert seen == {("allocated", "kept"), ("SupersededError", "kept")}


def test_two_pools_provisioned_from_one_parent_at_once() -> None:
    """One address space belongs to one pool (I3); by length, both get a space of their own."""

    def make() -> Scene:
        stage = Stage("10.0.0.0/24")
        children = [
            stage.desk.pool(NewPool(name, stage.pool.scope_id, source_pool_id=stage.pool.pool_id, locale=REGION))
            for name in "xy"
        ]
        return stage.scene(
            *(lambda desk, child=child: str(desk.provision(child.pool_id, "10.0.0.0/25")) for child in children)
        )

    assert all_ends(make) == {("10.0.0.0/25", "CidrNotFreeError"), ("CidrNotFreeError", "10.0.0.0/25")}


def test_errors_that_end_a_client_are_the_domains_own() -> None:
    """The names above are those of errors that exist."""
    named = (CidrNotFreeError, NoSuchAllocationError, PoolExhaustedError, QuotaExceededError, SupersededError)
    assert [error.__name__ for error in named] == sorted(error.__name__ for error in named)
