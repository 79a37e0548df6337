"""Requests of one resource of the plan: in any order of their reads and commits, and with any fault."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import InUseError, OutOfTimeError, SupersededError, TemporaryError
from ipam.domain.owner import OwnerKey
from ipam.domain.pool import SourceResource
from ipam.services.pools import NewPool
from ipam.services.settle import NewScope, end_pool, end_scope, settle_pool, settle_scope
from ipam.services.settle_cidrs import Holding
from ipam.services.turns import Turn
from tests.builders import ACCOUNT, NOON, REGION, STACK, Desk, SeededChance, block
from tests.faults import Faulty
from tests.interleaving import explore, sample
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam.services.ports.store import Store
    from tests.faults import Fault
    from tests.interleaving import Scene

LIMIT = 3000
SAMPLED = 200
"""Interleavings of one pair: all of them, up to so many, or so many by lot."""

DELIVERIES = 8
FAULTS: list[Fault] = ["busy", "lost-before", "lost-after"]
POOL_ID = "ipam-pool-0123456789abcdef0"
SCOPE_ID = "ipam-scope-0123456789abcdef0"
SECOND = 1000


def turn(at: int, name: str = "Part", party: str = STACK) -> Turn:
    """One request, some seconds after noon."""
    return Turn(OwnerKey(party, name), ACCOUNT, NOON + at * SECOND, f"request {at}")


class World:
    """A desk with a parent pool, the same each time."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.scope = self.desk.scope()
        self.parent = self.desk.pool(NewPool("parent", self.scope, locale=REGION), "10.0.0.0/8")

    def allocate_vpc(self) -> None:
        """Let the parent have a VPC, which the pool divides."""
        desk = self.desk
        request = desk.request("Vpc", cidr="10.0.0.0/16", pool=self.parent)
        self.desk.allocate(request)
        self.settle(0, desk, vpc=True)

    def settle(self, at: int, desk: Desk, description: str = "", *, vpc: bool = False) -> str:
        """Serve a request that wants the pool."""
        facts: dict[str, Any] = {"source_pool_id": self.parent.pool_id, "locale": REGION, "description": description}
        if vpc:
            facts["source_resource"] = SourceResource("vpc-0123456789abcdef0", ACCOUNT, REGION)
            facts["allocation_types"] = frozenset({"subnet"})
        wanted = NewPool("part", self.scope, **facts)
        return settle_pool(desk.ports, turn(at), POOL_ID, wanted, desk.deadline)[1]

    def end(self, at: int, desk: Desk, *, cascade: bool = False) -> str:
        """Serve a request that ends the pool."""
        return end_pool(desk.ports, turn(at), POOL_ID, desk.deadline, cascade=cascade)

    def holding(self, at: int, desk: Desk, *claimed: str) -> Holding:
        """What the pool has on behalf of a resource."""
        return Holding(desk.ports, turn(at, "Cidrs", POOL_ID), desk.deadline, [block(cidr) for cidr in claimed])

    def provision(self, at: int, desk: Desk, wanted: str | int = "10.0.0.0/16") -> str:
        """Serve a request that wants a CIDR."""
        return str(self.holding(at, desk).settle(block(wanted) if isinstance(wanted, str) else wanted))

    def deprovision(self, at: int, desk: Desk) -> str:
        """Serve a request that gives all of the resource's CIDRs back."""
        return self.holding(at, desk, "10.0.0.0/16").end()

    def at_own_desk(self, work: Callable[[Desk], object], number: int) -> Callable[[Store], object]:
        """Let a work happen at a desk of its own."""

        def act(store: Store) -> object:
            desk = self.desk.another(store)
            desk.chance = SeededChance(f"client {number}")
            desk.__post_init__()
            return work(desk)

        return act

    def described(self) -> list[str]:
        """Read the description of the pool, if it is there."""
        return [pool.description for pool in self.desk.store.plan().pools.values() if pool.pool_id == POOL_ID]

    def provisioned(self) -> list[str]:
        """Read the pool's CIDRs, if it is there."""
        return [str(block.cidr) for block in self.desk.store.plan().provisioned(POOL_ID)]


def ends(make: Callable[[World], Sequence[Callable[[Desk], object]]], *, of: int = 0) -> set[tuple[str, ...]]:
    """Run works in every order, or in so many by lot; check the store after each, and give how it all ended."""
    worlds: list[World] = []
    seen = set()

    def scene() -> Scene:
        world = World()
        works = make(world)
        worlds.append(world)
        return world.desk.store, [world.at_own_desk(work, number) for number, work in enumerate(works)]

    for schedule, store, results in sample(scene, of) if of else explore(scene, LIMIT):
        try:
            check(store)
        except AssertionError as broken:
            message = f"{broken}, after {schedule}, which ended {results}"
            raise AssertionError(message) from broken
        ended = [result if isinstance(result, str) else type(result).__name__ for result in results]
        seen.add((*ended, *worlds[-1].described(), *worlds[-1].provisioned()))
    return seen


def test_a_create_beside_its_delete() -> None:
    """Whoever is first, nothing is left: the pool is deleted, or never created."""
    assert ends(lambda world: [partial(world.settle, 0), partial(world.end, 60)]) == {
        ("created", "deleted"),
        ("SupersededError", "nothing-to-release"),
    }


def test_a_create_beside_its_duplicate() -> None:
    """There is one pool, and both answer with it."""
    seen = ends(lambda world: [partial(world.settle, 0), partial(world.settle, 0)])
    assert seen == {("created", "created", ""), ("created", "kept", ""), ("kept", "created", "")}


def test_an_update_beside_an_older_one() -> None:
    """Whatever the order, the pool ends as the later request has it."""

    def works(world: World) -> Sequence[Callable[[Desk], object]]:
        world.settle(0, world.desk)
        return [
            lambda desk: world.settle(60, desk, "older"),
            lambda desk: world.settle(120, desk, "later"),
        ]

    seen = ends(works, of=SAMPLED)
    assert {end[2] for end in seen} == {"later"}
    assert {end[:2] for end in seen} == {("changed", "changed"), ("SupersededError", "changed")}


def test_a_cidr_ordered_beside_its_end() -> None:
    """Nothing stays provisioned for a resource that is gone, and nothing is lost of the parent."""

    def works(world: World) -> Sequence[Callable[[Desk], object]]:
        world.settle(0, world.desk)
        return [partial(world.provision, 0), partial(world.deprovision, 60)]

    seen = ends(works, of=SAMPLED)
    assert {end[2:] for end in seen} == {("",)}
    assert {end[:2] for end in seen} == {
        ("10.0.0.0/16", "deleted"),
        ("SupersededError", "deleted"),
        ("SupersededError", "nothing-to-release"),
    }


def test_a_vpc_divided_beside_its_end() -> None:
    """The same of a VPC's space, which no allocation of the pool stands for."""

    def works(world: World) -> Sequence[Callable[[Desk], object]]:
        world.allocate_vpc()
        return [partial(world.provision, 0), partial(world.deprovision, 60)]

    seen = ends(works, of=SAMPLED)
    assert {end[2:] for end in seen} == {("",)}
    assert {end[:2] for end in seen} == {
        ("10.0.0.0/16", "deleted"),
        ("SupersededError", "nothing-to-release"),
    }


def test_a_cidr_ordered_beside_the_end_of_its_pool() -> None:
    """The pool goes with what it has, or gets nothing any more; or it has something the moment after it was to go."""

    def works(world: World) -> Sequence[Callable[[Desk], object]]:
        world.settle(0, world.desk)
        return [partial(world.provision, 0), partial(world.end, 60)]

    seen = ends(works, of=SAMPLED)
    assert {end[1:] for end in seen} == {("deleted",)}
    assert {end[0] for end in seen} == {"10.0.0.0/16", "NoSuchPoolError"}


def deliver(world: World, faults: Sequence[Fault], serve: Callable[[Desk], str]) -> str:
    """Deliver a request to cold processes until one answers, while these faults befall the commits."""
    befalling = iter(faults)
    for _ in range(DELIVERIES):
        try:
            return serve(world.desk.another(Faulty(world.desk.store, befalling)))
        except TemporaryError:
            check(world.desk.store)
    message = "no delivery was answered"
    raise AssertionError(message)


def at_each_commit(count: int) -> list[list[Fault]]:
    """Each fault at each of the first commits, alone and after any other."""
    well: Fault = "none"
    alone: list[list[Fault]] = [[*[well] * place, fault] for place in range(count) for fault in FAULTS]
    pairs: list[list[Fault]] = [[one, other] for one, other in itertools.product(FAULTS, FAULTS)]
    return alone + pairs


@pytest.mark.parametrize("faults", at_each_commit(4), ids="-".join)
@pytest.mark.parametrize("divided", [False, True], ids=["block", "vpc"])
def test_a_life_among_faults(faults: list[Fault], divided: bool) -> None:  # noqa: FBT001 - pytest's way
    """Created, given a CIDR, changed, ended: every request is served once, however often it has to be delivered."""
    world = World()
    if divided:
        world.allocate_vpc()
    else:
        deliver(world, faults, partial(world.settle, 0))
    assert deliver(world, faults, partial(world.provision, 10)) == "10.0.0.0/16"
    assert world.provisioned() == ["10.0.0.0/16"]
    changed = partial(world.settle, 20, description="changed", vpc=divided)
    assert deliver(world, faults, changed) in {"changed", "kept"}
    assert world.described() == ["changed"]
    assert deliver(world, faults, partial(world.deprovision, 30)) in {"deleted", "nothing-to-release"}
    assert world.provisioned() == []
    assert deliver(world, faults, partial(world.end, 40)) in {"deleted", "nothing-to-release"}
    assert world.described() == []
    check(world.desk.store)


@pytest.mark.parametrize("faults", at_each_commit(3), ids="-".join)
def test_a_scope_among_faults(faults: list[Fault]) -> None:
    """The same of a scope."""
    world = World()
    here = world.desk

    def settle(at: int, name: str, desk: Desk) -> str:
        return settle_scope(desk.ports, turn(at), SCOPE_ID, NewScope(name, "private", "", ()), desk.deadline)[1]

    deliver(world, faults, partial(settle, 0, "lab"))
    deliver(world, faults, partial(settle, 10, "laboratory"))
    assert here.store.plan().scopes[SCOPE_ID].name == "laboratory"
    with pytest.raises(SupersededError):
        settle(0, "lab", here.another())
    deliver(world, faults, lambda desk: end_scope(desk.ports, turn(20), SCOPE_ID, desk.deadline))
    assert SCOPE_ID not in here.store.plan().scopes
    with pytest.raises(SupersededError):
        settle(10, "laboratory", here.another())
    check(here.store)


def test_what_is_late_changes_nothing() -> None:
    """An older Update, an older Delete, an older order of a CIDR: each finds that a later request was served."""
    world = World()
    desk = world.desk
    world.settle(0, desk)
    world.settle(100, desk, "now")
    with pytest.raises(SupersededError):
        world.settle(50, desk, "then")
    assert world.end(50, desk) == "unverified-delete"
    assert world.described() == ["now"]
    world.provision(100, desk)
    world.provision(200, desk)
    with pytest.raises(SupersededError):
        world.provision(150, desk, "10.1.0.0/16")
    assert world.deprovision(150, desk) == "unverified-delete"
    assert world.provisioned() == ["10.0.0.0/16"]


def test_what_was_ended_comes_back_with_a_later_request_only() -> None:
    """The same resource, taken out of its template and put in again, has its pool and CIDR anew."""
    world = World()
    desk = world.desk
    world.settle(0, desk)
    world.provision(1, desk)
    world.deprovision(10, desk)
    world.end(20, desk)
    for late in (0, 20):
        with pytest.raises(SupersededError):
            world.settle(late, desk)
    assert world.settle(30, desk) == "created"
    with pytest.raises(SupersededError):
        world.provision(10, desk)
    assert world.provision(31, desk) == "10.0.0.0/16"
    assert world.end(40, desk) == "deleted"


def test_a_cascade_that_ran_out_of_time_goes_on_from_there() -> None:
    """What a try of a Delete has ended stays so, and the next one has less to do."""
    world = World()
    desk = world.desk
    world.settle(0, desk)
    world.provision(0, desk)
    for number in range(3):
        desk.allocate(desk.request(f"n{number}", 24, pool=POOL_ID))
    with pytest.raises(InUseError):
        world.end(60, desk)
    left = []
    for moments in range(1, 12):
        try:
            world.end(60, replace(desk, deadline=Ending(moments)), cascade=True)
            break
        except OutOfTimeError:
            left.append(len(desk.held(POOL_ID)))
            check(desk.store)
    assert world.described() == []
    assert left == sorted(left, reverse=True)
    assert len(set(left)) > 1


class Ending:
    """A deadline that comes after so many looks at it."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def ensure(self) -> None:
        """See the port."""
        self._looks -= 1
        if self._looks < 0:
            raise OutOfTimeError
