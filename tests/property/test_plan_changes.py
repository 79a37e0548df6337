"""Changes of the plan that meet each other, or are interrupted and delivered again.

Every pair of clients is run in every order that makes a difference; every fault befalls every commit of every
operation, which is then run again. The store is sound after each.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.change import PutOwner
from ipam.domain.errors import (
    CidrNotInPoolError,
    IpamError,
    NoSuchPoolError,
    NoSuchScopeError,
    PermanentError,
    TemporaryError,
)
from ipam.domain.pool import SourceResource
from ipam.services.deprovision import deprovision
from ipam.services.pools import NewPool, create_pool, delete_pool, edit_pool
from ipam.services.release_by_administrator import release_by_administrator
from ipam.services.scopes import create_scope, delete_scope, edit_scope, ensure_default_scopes
from tests import commuting, interleaving
from tests.builders import ACCOUNT, NOON, REGION, Desk, SeededChance, block
from tests.faults import Faulty
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam.domain.pool import Pool
    from ipam.services.ports.store import Store
    from tests.faults import Fault
    from tests.interleaving import Scene

    Work = Callable[[Desk], object]

LIMIT = 20_000
"""Runs of one pair."""

DELIVERIES = 8
FAULTS: list[Fault] = ["busy", "lost-before", "lost-after"]
POOL_ID = "ipam-pool-0123456789abcdef0"


@dataclass
class Stage:
    """A scope with a top-level pool, one for VPCs below it, and what is held; the same each time it is set."""

    cooling: int = 0
    held: tuple[str, ...] = ()
    divided: bool = False
    pools: dict[str, Pool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.desk = Desk()
        self.scope = self.desk.scope("corporate")
        self.pools["top"] = self.desk.pool(self.new("top"), "10.0.0.0/16")
        self.pools["vpcs"] = self.desk.pool(self.new("vpcs", "top"), "10.0.0.0/24")
        for cidr in self.held:
            self.desk.allocate(self.desk.request(cidr, cidr=cidr))
        if self.divided:
            self.pools["subnets"] = self.desk.pool(self.subnets("subnets"))
            self.desk.provision(self.id("subnets"), self.held[0])

    def new(self, name: str, source: str | None = None, **facts: Any) -> NewPool:
        """Say what a pool is to be."""
        place = {"locale": REGION, "source_pool_id": self.id(source)} if source else {}
        return NewPool(name, self.scope, **(place | {"cooling_seconds": self.cooling} | facts))

    def subnets(self, name: str) -> NewPool:
        """Say what a subnet pool is to be."""
        vpc = SourceResource("vpc-0", ACCOUNT, REGION)
        return self.new(name, "vpcs", allocation_types=frozenset({"subnet"}), source_resource=vpc)

    def id(self, name: str) -> str:
        """Give the id of a pool."""
        return self.pools[name].pool_id

    def scene(self, *works: Work) -> Scene:
        """Let each work happen at a desk of its own, by the plan as it is now."""
        return self.desk.store, [self._at_own_desk(work, number) for number, work in enumerate(works)]

    def _at_own_desk(self, work: Work, number: int) -> Callable[[Store], object]:
        def act(store: Store) -> object:
            desk = self.desk.another(store)
            desk.chance = SeededChance(f"client {number}")
            desk.__post_init__()
            desk.ports.memory.see_plan(desk.clock.now(), self.desk.store.plan())
            return work(desk)

        return act

    # What clients do.

    def creating(self, name: str, source: str | None = None, **facts: Any) -> Work:
        """Create a pool."""
        return lambda desk: done("created", lambda: create_pool(desk.ports, self.new(name, source), "test", **facts))

    def editing(self, pool: str, **facts: Any) -> Work:
        """Edit a pool."""
        change = lambda old: replace(old, **facts)  # noqa: E731
        return lambda desk: done("edited", lambda: edit_pool(desk.ports, self.id(pool), change, "test"))

    def deleting(self, name: str, *, cascade: bool = False) -> Work:
        """Delete a pool."""
        return lambda desk: done("deleted", lambda: delete_pool(desk.ports, self.id(name), "test", cascade=cascade))

    def deleting_scope(self) -> Work:
        """Delete the scope."""
        return lambda desk: done("deleted", lambda: delete_scope(desk.ports, self.scope, "test"))

    def provisioning(self, name: str, cidr: str) -> Work:
        """Give a pool a block."""
        return lambda desk: done("provisioned", lambda: desk.provision(self.id(name), cidr))

    def deprovisioning(self, name: str, cidr: str, *, cascade: bool = False) -> Work:
        """Take a block from a pool."""
        return lambda desk: done(
            "deprovisioned", lambda: deprovision(desk.ports, self.id(name), block(cidr), "test", cascade=cascade)
        )

    def allocating(self, name: str, length: int, source: str = "vpcs", **facts: Any) -> Work:
        """Allocate from a pool."""
        pool_id = self.id(source)
        return lambda desk: desk.allocate(desk.request(name, length, pool=pool_id, **facts)).outcome

    def releasing(self, cidr: str) -> Work:
        """Give back what is held."""
        allocation_id = self.desk.record(cidr).grants[0].allocation_id
        return lambda desk: desk.release(cidr, allocation_id)

    def taking(self, cidr: str, pool: str = "vpcs") -> Work:
        """Release what is held, as an administrator."""
        held = self.desk.store.allocation(self.id(pool), block(cidr))
        assert held is not None
        return lambda desk: release_by_administrator(desk.ports, held, "ada", desk.deadline)


def done(what: str, act: Callable[[], object]) -> str:
    """Act, and say how that ended where it was not refused."""
    act()
    return what


def ends(make: Callable[[], Scene], *, after: Callable[[Store], None] = check) -> set[tuple[str, ...]]:
    """Run every order that makes a difference, check the store after each, and tell how the clients ended."""
    seen = set()
    for schedule, store, results in commuting.explore(make, LIMIT):
        ended = tuple(each if isinstance(each, str) else type(each).__name__ for each in results)
        try:
            for result in results:
                if isinstance(result, Exception) and not isinstance(result, IpamError):
                    raise result
            after(store)
        except AssertionError as broken:
            message = f"{broken}, after {schedule}, which ended {results}"
            raise AssertionError(message) from broken
        seen.add(ended)
    assert len(seen) > 0
    return seen


def tidied(store: Store) -> None:
    """Assert that a store is sound, and that nothing is left in pieces or cools for ever."""
    check(store)
    desk = Desk(store)
    desk.clock.advance(3600)
    plan = store.plan()
    for pool_id in (*plan.scopes, *plan.pools):
        desk.reclaim(pool_id)
    check(store, canonical=True)


# --- two clients at once ---


@pytest.mark.parametrize(
    "scene",
    [
        lambda stage: stage.scene(stage.allocating("a", 25), stage.allocating("b", 25)),
        lambda stage: stage.scene(stage.allocating("a", 25), stage.releasing("10.0.0.0/26")),
        lambda stage: stage.scene(stage.taking("10.0.0.0/26"), stage.releasing("10.0.0.0/26")),
    ],
)
def test_the_search_sees_what_the_search_of_every_order_sees(scene: Callable[[Stage], Scene]) -> None:
    """Clients end in the same ways, and there is less to run."""
    make = lambda: scene(Stage(held=("10.0.0.0/26",)))  # noqa: E731
    every = [tuple(map(ended, results)) for _, _, results in interleaving.explore(make, LIMIT)]
    some = [tuple(map(ended, results)) for _, _, results in commuting.explore(make, LIMIT)]
    assert set(every) == set(some)
    assert len(some) < len(every)


def ended(result: object) -> str:
    """Name how a client ended."""
    return result if isinstance(result, str) else type(result).__name__


def test_a_child_pool_is_created_while_its_parent_is_deleted() -> None:
    """I3: the child stands and its parent too, or neither."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(stage.creating("child", "vpcs"), stage.deleting("vpcs"))

    assert ends(make, after=tidied) == {("created", "InUseError"), ("InvalidPoolError", "deleted")}


def test_a_child_pool_is_created_while_its_parent_is_deleted_with_all_below() -> None:
    """The child goes with it, or was never there."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(stage.creating("child", "vpcs"), stage.deleting("vpcs", cascade=True))

    def after(store: Store) -> None:
        tidied(store)
        assert [pool.name for pool in store.plan().pools.values()] == ["top"]

    assert ends(make, after=after) == {("created", "deleted"), ("InvalidPoolError", "deleted")}


def test_a_pool_is_created_while_its_scope_is_deleted() -> None:
    """I3: the pool stands and its scope too, or neither."""

    def make() -> Scene:
        stage = Stage()
        delete_pool(stage.desk.ports, stage.id("top"), "test", cascade=True)
        return stage.scene(stage.creating("pool"), stage.deleting_scope())

    assert ends(make, after=tidied) == {("created", "InUseError"), ("InvalidPoolError", "deleted")}


def test_a_scope_is_deleted_twice_at_once() -> None:
    """It is gone, and one of the two is told so only if it came after."""

    def make() -> Scene:
        stage = Stage()
        delete_pool(stage.desk.ports, stage.id("top"), "test", cascade=True)
        return stage.scene(*[stage.deleting_scope()] * 2)

    assert ends(make) == {("deleted", "deleted"), ("NoSuchScopeError", "deleted"), ("deleted", "NoSuchScopeError")}


def test_a_pool_gets_a_block_while_it_is_deleted() -> None:
    """I3: the block goes back with the pool, or was never given."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(stage.provisioning("vpcs", "10.0.7.0/24"), stage.deleting("vpcs"))

    def after(store: Store) -> None:
        tidied(store)
        (top,) = store.plan().pools.values()
        assert list(store.allocations(top.pool_id)) == []

    assert ends(make, after=after) == {("provisioned", "deleted"), ("NoSuchPoolError", "deleted")}


def test_a_pool_gets_a_block_while_its_parent_gives_that_back() -> None:
    """I3: the parent keeps what it has given."""

    def make() -> Scene:
        stage = Stage()
        stage.pools["child"] = stage.desk.pool(stage.new("child", "vpcs"))
        give, take = stage.provisioning("child", "10.0.0.0/26"), stage.deprovisioning("vpcs", "10.0.0.0/24")
        return stage.scene(give, take)

    found = ends(make, after=tidied)
    assert found >= {("provisioned", "InUseError"), ("CidrNotInPoolError", "deprovisioned")}
    assert found <= {("provisioned", "InUseError")} | {
        (why, "deprovisioned") for why in ("CidrNotInPoolError", "CidrNotFreeError")
    }


def test_two_edits_at_once() -> None:
    """Both hold: the later one is made from what the earlier one left."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(stage.editing("vpcs", description="ours"), stage.editing("vpcs", cooling_seconds=60))

    def after(store: Store) -> None:
        check(store)
        pool = store.plan().named("vpcs")
        assert (pool.description, pool.cooling_seconds, pool.version) == ("ours", 60, 4)

    assert ends(make, after=after) == {("edited", "edited")}


def test_a_pool_is_edited_while_it_is_deleted() -> None:
    """The edit is for nothing, or comes too late; the pool does not rise again."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(stage.editing("vpcs", name="other"), stage.deleting("vpcs"))

    def after(store: Store) -> None:
        tidied(store)
        for name in ("vpcs", "other"):
            assert Desk(store, chance=SeededChance(name)).scope(name)

    assert ends(make, after=after) == {("edited", "deleted"), ("NoSuchPoolError", "deleted")}


def test_a_pool_is_edited_while_it_gets_a_block() -> None:
    """Neither minds the other."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(stage.editing("vpcs", description="ours"), stage.provisioning("vpcs", "10.0.7.0/24"))

    assert ends(make) == {("edited", "provisioned")}


def test_two_pools_want_one_name() -> None:
    """One gets it, by its creation or by its renaming."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(stage.editing("vpcs", name="name"), stage.creating("name"))

    def after(store: Store) -> None:
        check(store)
        names = Counter(pool.name for pool in store.plan().pools.values())
        assert names["name"] == 1 and max(names.values()) == 1

    assert ends(make, after=after) == {("edited", "NameTakenError"), ("NameTakenError", "created")}


def test_one_pool_is_created_twice_at_once() -> None:
    """With an id that follows from what asks for it, both get the same one."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(*[stage.creating("pool", pool_id=POOL_ID)] * 2)

    def after(store: Store) -> None:
        check(store)
        assert [each.event for each in store.audit(POOL_ID)] == ["pool-created"]

    assert ends(make, after=after) == {("created", "created")}


def test_the_default_scopes_are_made_by_two_at_once() -> None:
    """There is one of each."""

    def make() -> Scene:
        desk = Desk()
        ensure: Work = lambda at: done("ensured", lambda: ensure_default_scopes(at.ports, "test"))  # noqa: E731
        return desk.store, [
            lambda store, number=number: ensure(Desk(store, desk.clock, SeededChance(number))) for number in range(2)
        ]

    def after(store: Store) -> None:
        check(store, canonical=True)
        assert Counter(scope.name for scope in store.plan().scopes.values()) == {"private": 1, "public": 1}

    assert ends(make, after=after) == {("ensured", "ensured")}


@pytest.mark.parametrize("cascade", [False, True])
def test_a_block_is_allocated_from_while_it_is_deprovisioned(*, cascade: bool) -> None:
    """I1: who gets an address from it keeps it, or has it taken by the one who wants all of it."""

    def make() -> Scene:
        stage = Stage(cooling=60)
        return stage.scene(stage.allocating("a", 26), stage.deprovisioning("vpcs", "10.0.0.0/24", cascade=cascade))

    found = ends(make, after=tidied)
    kept = ("allocated", "deprovisioned") if cascade else ("allocated", "InUseError")
    assert found == {kept, ("PoolExhaustedError", "deprovisioned")}


@pytest.mark.parametrize("cascade", [False, True])
def test_a_pool_is_allocated_from_while_it_is_deleted(*, cascade: bool) -> None:
    """I1: nothing is held of a pool that is gone."""

    def make() -> Scene:
        stage = Stage()
        return stage.scene(stage.allocating("a", 26), stage.deleting("vpcs", cascade=cascade))

    def after(store: Store) -> None:
        tidied(store)
        record = Desk(store).record("a")
        assert all(grant.pool_id in store.plan().pools for grant in record.grants)

    found = ends(make, after=after)
    assert ("allocated", "deleted" if cascade else "InUseError") in found
    assert {one for one, other in found if one != "allocated"} == {"PoolExhaustedError", "NoSuchPoolError"}


@pytest.mark.parametrize("cascade", [False, True])
def test_a_block_is_released_into_what_is_deprovisioned(*, cascade: bool) -> None:
    """There is one release (I5), and the address comes back once (I1)."""

    def make() -> Scene:
        stage = Stage(cooling=60, held=("10.0.0.0/26",))
        take = stage.deprovisioning("vpcs", "10.0.0.0/24", cascade=cascade)
        return stage.scene(stage.releasing("10.0.0.0/26"), take)

    if cascade:
        assert ends(make, after=tidied) == {("released", "deprovisioned"), ("already-released", "deprovisioned")}
    else:
        assert ends(make, after=tidied) == {("released", "InUseError")}


def test_upkeep_joins_what_is_deprovisioned() -> None:
    """Neither minds the other (I1, I2)."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26", "10.0.0.64/26"))
        for cidr in stage.held:
            stage.releasing(cidr)(stage.desk)
        reclaim: Work = lambda desk: done("reclaimed", lambda: desk.reclaim(stage.id("vpcs")))  # noqa: E731
        return stage.scene(reclaim, stage.deprovisioning("vpcs", "10.0.0.0/24"))

    found = ends(make, after=tidied)
    assert {other for _, other in found} == {"deprovisioned"}


@pytest.mark.parametrize("cascade", [False, True])
def test_a_block_is_deprovisioned_twice_at_once(*, cascade: bool) -> None:
    """The parent gets it once (I1); who comes when it is over is told so."""

    def make() -> Scene:
        stage = Stage(cooling=60, held=("10.0.0.0/26",) if cascade else ())
        return stage.scene(*[stage.deprovisioning("vpcs", "10.0.0.0/24", cascade=cascade)] * 2)

    one, other = "deprovisioned", "CidrNotInPoolError"
    assert ends(make, after=tidied) == {(one, one), (one, other), (other, one)}


@pytest.mark.parametrize("cascade", [False, True])
def test_a_pool_is_deleted_twice_at_once(*, cascade: bool) -> None:
    """It is gone, and its space came back once (I1)."""

    def make() -> Scene:
        stage = Stage(cooling=60)
        return stage.scene(*[stage.deleting("vpcs", cascade=cascade)] * 2)

    found = ends(make, after=tidied)
    assert found >= {("deleted", "deleted")}
    assert found == {("deleted", "deleted")} or not cascade
    assert {end for pair in found for end in pair} <= {"deleted", "NoSuchPoolError"}


def test_a_vpc_is_divided_while_it_is_released() -> None:
    """I3: it is kept and divided, or gone and whole."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26",))
        stage.pools["subnets"] = stage.desk.pool(stage.subnets("subnets"))
        return stage.scene(stage.provisioning("subnets", "10.0.0.0/26"), stage.releasing("10.0.0.0/26"))

    assert ends(make, after=tidied) == {("provisioned", "InUseError"), ("InvalidPoolError", "released")}


def test_a_vpc_is_divided_while_an_administrator_releases_it() -> None:
    """The same."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26",))
        stage.pools["subnets"] = stage.desk.pool(stage.subnets("subnets"))
        return stage.scene(stage.provisioning("subnets", "10.0.0.0/26"), stage.taking("10.0.0.0/26"))

    assert ends(make, after=tidied) == {("provisioned", "InUseError"), ("InvalidPoolError", "released")}


def test_a_vpc_is_divided_by_two_pools_at_once() -> None:
    """I3: by one of them."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26",))
        for name in ("one", "two"):
            stage.pools[name] = stage.desk.pool(stage.subnets(name))
        return stage.scene(*(stage.provisioning(name, "10.0.0.0/26") for name in ("one", "two")))

    assert ends(make, after=tidied) == {("provisioned", "InUseError"), ("InUseError", "provisioned")}


def test_a_vpc_is_released_while_its_space_is_given_back() -> None:
    """It can be as soon as it is whole."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26",), divided=True)
        return stage.scene(stage.deprovisioning("subnets", "10.0.0.0/26"), stage.releasing("10.0.0.0/26"))

    assert ends(make, after=tidied) == {("deprovisioned", "InUseError"), ("deprovisioned", "released")}


def test_a_subnet_is_allocated_while_its_space_is_given_back() -> None:
    """I1: what is in use stays with the pool."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26",), divided=True)
        subnet = stage.allocating("subnet", 28, "subnets", allocation_type="subnet")
        return stage.scene(subnet, stage.deprovisioning("subnets", "10.0.0.0/26"))

    assert ends(make, after=tidied) == {("allocated", "InUseError"), ("PoolExhaustedError", "deprovisioned")}


def test_a_vpc_is_divided_while_its_pool_gives_everything_up() -> None:
    """With cascade the VPC goes, and what divides it gives it back first."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26",))
        stage.pools["subnets"] = stage.desk.pool(stage.subnets("subnets"))
        take = stage.deprovisioning("vpcs", "10.0.0.0/24", cascade=True)
        return stage.scene(stage.provisioning("subnets", "10.0.0.0/26"), take)

    found = ends(make, after=tidied)
    assert found == {("provisioned", "deprovisioned"), ("InvalidPoolError", "deprovisioned")}


@pytest.mark.parametrize("cooling", [0, 60])
def test_two_administrators_release_one_block(cooling: int) -> None:
    """There is one release (I5)."""

    def make() -> Scene:
        stage = Stage(cooling, held=("10.0.0.0/26",))
        return stage.scene(*[stage.taking("10.0.0.0/26")] * 2)

    assert ends(make, after=tidied) == {("released", "already-released"), ("already-released", "released")}


def test_an_administrator_and_the_stack_release_one_block() -> None:
    """There is one release (I5), whoever makes it."""

    def make() -> Scene:
        stage = Stage(60, held=("10.0.0.0/26",))
        return stage.scene(stage.taking("10.0.0.0/26"), stage.releasing("10.0.0.0/26"))

    assert ends(make, after=tidied) == {("released", "already-released"), ("already-released", "released")}


def test_a_request_is_delivered_again_while_an_administrator_releases_its_block() -> None:
    """It is answered with the block while that is there, and gets it or another one no more (I4)."""

    def make() -> Scene:
        stage = Stage(held=("10.0.0.0/26",))
        again: Work = lambda desk: desk.allocate(desk.request("10.0.0.0/26", cidr="10.0.0.0/26", at=NOON)).outcome  # noqa: E731
        return stage.scene(again, stage.taking("10.0.0.0/26"))

    found = ends(make, after=tidied)
    assert found == {(why, "released") for why in ("kept", "SupersededError", "CidrNotFreeError")}


# --- faults ---


def deliver(desk: Desk, faults: Sequence[Fault], serve: Work, over: tuple[type[Exception], ...] = ()) -> None:
    """Run an operation at cold processes until one answers, while these faults befall the commits.

    That it is over already is an answer, but not the first.
    """
    befalling = iter(faults)
    for delivery in range(DELIVERIES):
        try:
            serve(desk.another(Faulty(desk.store, befalling)))
        except TemporaryError:
            check(desk.store)
        except over:
            assert delivery
            return
        else:
            return
    message = "no delivery was answered"
    raise AssertionError(message)


def at_each_commit(count: int) -> list[list[Fault]]:
    """Each fault at each of the first commits, alone and after any other."""
    well: Fault = "none"
    alone: list[list[Fault]] = [[*[well] * place, fault] for place in range(count) for fault in FAULTS]
    pairs: list[list[Fault]] = [[one, other] for one, other in itertools.product(FAULTS, FAULTS)]
    return alone + pairs


@pytest.mark.parametrize("faults", at_each_commit(2), ids="-".join)
def test_what_is_created_again_is_there_once(faults: list[Fault]) -> None:
    """Scopes and pools whose ids follow from what asks for them, and the default scopes (I6)."""
    desk = Desk()
    deliver(desk, faults, lambda at: ensure_default_scopes(at.ports, "test"))
    deliver(desk, faults, lambda at: create_scope(at.ports, "lab", "private", "", "test", scope_id="ipam-scope-0"))
    new = NewPool("pool", "ipam-scope-0")
    record = PutOwner(replace(desk.record("Pool"), fence=NOON), expires=None)
    deliver(desk, faults, lambda at: create_pool(at.ports, new, "test", pool_id=POOL_ID, record=record))
    assert sorted(scope.name for scope in desk.store.plan().scopes.values()) == ["lab", "private", "public"]
    assert desk.store.plan().pools.keys() == {POOL_ID}
    for subject in (POOL_ID, "ipam-scope-0"):
        assert len(list(desk.store.audit(subject))) == 1
    check(desk.store, canonical=True)


@pytest.mark.parametrize("faults", at_each_commit(2), ids="-".join)
def test_what_is_edited_again_is_edited_once(faults: list[Fault]) -> None:
    """The name and what is said of it are as wanted, and it is written down once (I6)."""
    stage = Stage()
    desk, scope = stage.desk, stage.scope
    deliver(desk, faults, stage.editing("vpcs", name="other", description="ours"))
    deliver(desk, faults, lambda at: edit_scope(at.ports, scope, lambda old: replace(old, name="lab"), "test"))
    pool = desk.store.plan().named("other")
    assert (pool.description, desk.store.plan().named_scope("lab").scope_id) == ("ours", scope)
    events = Counter(record.event for subject in (pool.pool_id, scope) for record in desk.store.audit(subject))
    assert (events["pool-changed"], events["scope-changed"]) == (1, 1)
    check(desk.store, canonical=True)


@pytest.mark.parametrize("faults", at_each_commit(3), ids="-".join)
@pytest.mark.parametrize("cooling", [0, 60])
def test_what_is_deleted_again_is_gone(faults: list[Fault], cooling: int) -> None:
    """Its space came back once (I1), and it was deleted once (I6)."""
    stage = Stage(cooling)
    desk = stage.desk
    deliver(desk, faults, stage.deleting("vpcs"), (NoSuchPoolError,))
    if not cooling:
        deliver(desk, faults, stage.deprovisioning("top", "10.0.0.0/16"), (CidrNotInPoolError,))
    deliver(desk, faults, stage.deleting("top", cascade=True))
    tidied(desk.store)
    desk.clock.advance(3600)
    deliver(desk, faults, stage.deleting_scope(), (NoSuchScopeError,))
    assert (desk.store.plan().scopes, desk.store.plan().pools) == ({}, {})
    for subject, event in ((stage.id("vpcs"), "pool-deleted"), (stage.scope, "scope-deleted")):
        assert Counter[str](each.event for each in desk.store.audit(subject))[event] == 1
    check(desk.store)


@pytest.mark.parametrize("faults", at_each_commit(2), ids="-".join)
def test_a_vpc_is_divided_and_made_whole_again_once(faults: list[Fault]) -> None:
    """Delivered again, nothing more happens (I3, I6)."""
    stage = Stage(held=("10.0.0.0/26",))
    desk = stage.desk
    stage.pools["subnets"] = desk.pool(stage.subnets("subnets"))
    deliver(desk, faults, stage.provisioning("subnets", "10.0.0.0/26"))
    assert [str(each) for each in desk.store.plan().space(stage.id("subnets")).provisioned] == ["10.0.0.0/26"]
    check(desk.store, canonical=True)
    deliver(desk, faults, stage.deprovisioning("subnets", "10.0.0.0/26"), (CidrNotInPoolError,))
    assert desk.store.plan().provisioned(stage.id("subnets")) == ()
    events = Counter(record.event for record in desk.store.audit(stage.id("subnets")))
    assert events == {"pool-created": 1, "provisioned": 1, "deprovisioned": 1}
    check(desk.store, canonical=True)


@pytest.mark.parametrize("faults", at_each_commit(2), ids="-".join)
def test_a_release_by_an_administrator_that_is_repeated_is_one(faults: list[Fault]) -> None:
    """The address came back once (I1, I5)."""
    stage = Stage(60, held=("10.0.0.0/26",))
    desk = stage.desk
    deliver(desk, faults, stage.taking("10.0.0.0/26"))
    assert desk.cooling(stage.id("vpcs")) == ["10.0.0.0/26"]
    assert desk.store.quota(ACCOUNT, stage.id("vpcs")).allocations == 0
    tidied(desk.store)


@pytest.mark.parametrize("faults", at_each_commit(9), ids="-".join)
def test_a_cascade_that_is_interrupted_anywhere_is_finished_by_the_next_run(faults: list[Fault]) -> None:
    """Each step is a change of its own: none is lost and none is done twice (I1, I5, I6, I7)."""
    stage = Stage(60, held=("10.0.0.0/26", "10.0.0.128/26"), divided=True)
    desk = stage.desk
    edit_pool(desk.ports, stage.id("subnets"), lambda pool: replace(pool, cooling_seconds=0), "test")
    stage.allocating("subnet", 28, "subnets", allocation_type="subnet")(desk)
    deliver(desk, faults, stage.deleting("top", cascade=True))
    plan = desk.store.plan()
    assert plan.pools == {}
    (cooling,) = desk.store.cooling(stage.scope, 9)
    assert (cooling.cidr, cooling.until >= NOON + 60_000) == (block("10.0.0.0/16"), True)
    for name in (*stage.held, "subnet"):
        assert desk.record(name).grants == ()
    tidied(desk.store)
    assert desk.free(stage.scope) == ["0.0.0.0/0"]


# --- whatever happens ---


class Tree:
    """Pools three deep, which cool for different times, and everything that ever was one of them."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.scope = self.desk.scope()
        self.ids: dict[str, str] = {}
        self.cooling: dict[str, int] = {}

    def ensure(self, name: str) -> Pool:
        """Give a pool, which is created with those above it where it is gone."""
        pool = self.desk.store.plan().pools.get(self.ids.get(name, ""))
        if pool is None:
            source = self.ensure(name[:-1]).pool_id if len(name) > 1 else None
            seconds = (0, 60, 300)[len(name) % 3]
            new = NewPool(name, self.scope, source_pool_id=source, locale=REGION, cooling_seconds=seconds)
            pool = create_pool(self.desk.ports, new, "test")
            self.ids[name] = pool.pool_id
            self.cooling[pool.pool_id] = seconds * 1000
        return pool

    def check_cool(self) -> None:
        """I7 through all levels: nothing is given to anyone over a released block before its cooling is over."""
        audit = {pool_id: list(self.desk.store.audit(pool_id)) for pool_id in (self.scope, *self.cooling)}
        made = [each for records in audit.values() for each in records if each.event == "allocated"]
        for pool_id, pause in self.cooling.items():
            for end in audit[pool_id]:
                if end.event in {"released", "deprovisioned"} and end.cidr is not None:
                    again = [each for each in made if end.at < each.at < end.at + pause]
                    assert not [each for each in again if each.cidr is not None and each.cidr.overlaps(end.cidr)]


def allocate_some(desk: Desk, pool: Pool, number: int) -> None:
    """Allocate for one of eight resources."""
    desk.allocate(desk.request(f"r{number}", 24 + number % 4, pool=pool))


def release_some(desk: Desk, _: Pool, number: int) -> None:
    """Give back what one of them holds."""
    for grant in desk.record(f"r{number}").grants[:1]:
        desk.release(f"r{number}", grant.allocation_id)


def take_some(desk: Desk, pool: Pool, number: int) -> None:
    """Release one of the allocations of a pool, as an administrator."""
    held = [each for each in desk.store.allocations(pool.pool_id) if each.allocation_type != "ipam-pool"]
    if held:
        release_by_administrator(desk.ports, held[number % len(held)], "ada", desk.deadline)


def provision_some(desk: Desk, pool: Pool, number: int) -> None:
    """Give a pool a block: the deeper it is, the smaller."""
    desk.provision(pool.pool_id, f"10.{number % 2}.{number // 2 % 4 * 64}.0/{14 + 2 * len(pool.name)}")


def deprovision_some(desk: Desk, pool: Pool, number: int) -> None:
    """Take a block of a pool, with what is in it or without."""
    for cidr in desk.store.plan().space(pool.pool_id).provisioned[:1]:
        deprovision(desk.ports, pool.pool_id, cidr, "test", cascade=number % 2 == 0)


def delete_it(desk: Desk, pool: Pool, number: int) -> None:
    """Delete a pool, with what is in it or without."""
    delete_pool(desk.ports, pool.pool_id, "test", cascade=number % 2 == 0)


def edit_it(desk: Desk, pool: Pool, number: int) -> None:
    """Say something else of a pool."""
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, description=str(number)), "test")


def reclaim_it(desk: Desk, pool: Pool, _: int) -> None:
    """Do the upkeep of a pool."""
    desk.reclaim(pool.pool_id)


def wait(desk: Desk, _: Pool, number: int) -> None:
    """Let time pass."""
    desk.clock.advance(10 * number)


ACTIONS: Sequence[Callable[[Desk, Pool, int], None]] = (
    allocate_some,
    allocate_some,
    release_some,
    take_some,
    provision_some,
    provision_some,
    deprovision_some,
    delete_it,
    edit_it,
    reclaim_it,
    wait,
)

DONE = st.tuples(
    st.sampled_from(ACTIONS),
    st.sampled_from(["a", "aa", "aaa", "aab", "ab"]),
    st.integers(0, 7),
    st.lists(st.sampled_from(["none", *FAULTS]), max_size=3),
)


@given(st.lists(DONE, max_size=40))
def test_whatever_becomes_of_the_plan_it_stays_sound(
    actions: list[tuple[Callable[[Desk, Pool, int], None], str, int, list[Fault]]],
) -> None:
    """Pools come and go with what is in them, among faults: the invariants hold, and in the end all is free (I1-I7)."""
    tree = Tree()
    desk = tree.desk
    for name in ("a", "aa", "aaa"):
        provision_some(desk, tree.ensure(name), 0)
    for act, name, number, faults in actions:
        desk.clock.advance(1)
        pool = tree.ensure(name)
        with contextlib.suppress(PermanentError, TemporaryError):
            act(desk.another(Faulty(desk.store, iter(faults))), pool, number)
        check(desk.store)
        tree.check_cool()
    desk.clock.advance(1)
    delete_pool(desk.ports, tree.ensure("a").pool_id, "test", cascade=True)
    tidied(desk.store)
    desk.clock.advance(3600)
    desk.reclaim(tree.scope)
    assert desk.free(tree.scope) == ["0.0.0.0/0"]
