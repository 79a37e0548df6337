"""Two systems and every way in which they can come apart: faults at each step, crashes, late deliveries, others' haste.

Whatever happens, what is held here is allocated there, to the same block, at every moment; and when all is over there
is nothing there beside it.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam.domain.errors import PermanentError, TemporaryError
from ipam.domain.pool import Quota
from ipam.services.request import Allocated
from tests.builders import NOON, FixedClock, SeededChance, block
from tests.faults import Faulty
from tests.interleaving import Client, Turnstile
from tests.invariants import check
from tests.orders import previewed
from tests.vpc_ipam import BackedDesk, backed, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults import Fault
    from tests.vpc_ipam import Fault as AmazonFault

DELIVERIES = 8

STORE_FAULTS: list[Fault] = ["busy", "lost-before", "lost-after"]
AMAZON_FAULTS: list[AmazonFault] = ["throttled", "lost-before", "lost-after", "refused"]


@dataclass
class World:
    """A pool that Amazon VPC IPAM stands behind, in which somebody else has a block.

    Attributes:
        here: the space that is provisioned here.
        facts: what else the pool is.
        dropped: ids of allocations that an administrator has released there, over our heads.
    """

    here: tuple[str, ...] = ("10.0.0.0/25",)
    facts: dict[str, Any] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.desk, self.amazon, self.pool = backed(*self.here, there=("10.0.0.0/25",), **self.facts)
        self.theirs = self.amazon.take("10.0.0.0/28", resource_type="vpc")

    def cold(self, faults: Iterator[Fault] | None = None) -> BackedDesk:
        """Give a desk that remembers nothing, at a store whose commits these faults befall."""
        return self.desk.another(None if faults is None else Faulty(self.desk.store, faults))

    def holds(self) -> None:
        """Assert that what is held or cools here is allocated there, to the same block, and all the invariants."""
        check(self.desk.store)
        for held in self.desk.store.allocations(self.pool.pool_id):
            there = self.amazon.held.get(held.vpc_ipam_allocation_id)
            assert there is not None, f"{held} is not allocated there"
            assert there.cidr == held.cidr
        for cooling in self.desk.store.cooling(self.pool.pool_id, 1000):
            there = self.amazon.held.get(cooling.vpc_ipam_allocation_id)
            assert there is None or there.cidr == cooling.cidr
            may_be_gone = cooling.until <= self.desk.clock.now() or cooling.vpc_ipam_allocation_id in self.dropped
            assert there is not None or may_be_gone, f"{cooling} was given back too early"

    def end(self) -> None:
        """Let everything come to its end, and assert that nothing is left over."""
        self.holds()
        settle(self.desk, self.amazon, self.pool, (self.theirs,))


def deliver(world: World, faults: Iterator[Fault], serve: Callable[[BackedDesk], object]) -> object:
    """Deliver a request to cold processes until one answers, while these faults befall the commits."""
    for _ in range(DELIVERIES):
        try:
            return serve(world.cold(faults))
        except TemporaryError:
            world.holds()
        except PermanentError as refusal:
            world.holds()
            return refusal
    message = "no delivery was answered"
    raise AssertionError(message)


def at_each(commits: int, amazons: int) -> list[tuple[list[Any], list[Any]]]:
    """Each fault at each of the first commits with each at each of the first calls of Amazon, and any two in a row."""
    here = [[], *(["none"] * place + [fault] for place in range(commits) for fault in STORE_FAULTS)]
    there = [[], *(["none"] * place + [fault] for place in range(amazons) for fault in AMAZON_FAULTS)]
    pairs: list[tuple[list[Any], list[Any]]] = [
        (list(pair), []) for pair in itertools.product(STORE_FAULTS, STORE_FAULTS)
    ]
    return [
        *itertools.product(here, there),
        *pairs,
        *(([], list(pair)) for pair in itertools.product(AMAZON_FAULTS, repeat=2)),
    ]


def named(faults: list[str]) -> str:
    """Name a case by its faults."""
    return "-".join(faults) or "well"


def create(desk: BackedDesk) -> object:
    """Allocate."""
    return desk.allocate(desk.request("a", 28, at=NOON))


def exact(desk: BackedDesk) -> object:
    """Allocate an exact block."""
    return desk.allocate(desk.request("a", cidr="10.0.0.64/28", at=NOON))


def preview(desk: BackedDesk) -> object:
    """Hold a block for a while."""
    return desk.allocate(previewed(desk.request("a", 28, at=NOON), 60))


def plain() -> World:
    """Nothing is in the way."""
    return World()


def new_space() -> World:
    """The pool here has nothing yet."""
    return World(here=())


def in_vain() -> World:
    """A block cools here that was released there already, and so is chosen in vain."""
    world = World(facts={"cooling_seconds": 60})
    grant = world.desk.allocate(world.desk.request("early", 28)).grant
    world.desk.release("early", grant.allocation_id)
    del world.amazon.held[grant.vpc_ipam_allocation_id]
    world.dropped.add(grant.vpc_ipam_allocation_id)
    return world


def used_up() -> World:
    """Somebody is served between, and the account may have one block only."""
    world = World(facts={"quota": Quota(allocations=1)})
    other = world.desk.another()
    world.amazon.meanwhile = [lambda: other.allocate(other.request("b", 28))]
    return world


@pytest.mark.parametrize(("commits", "amazons"), at_each(3, 3), ids=named)
def test_an_order_among_faults_has_one_allocation_or_none(commits: list[Fault], amazons: list[AmazonFault]) -> None:
    """A fault at each step here and each step there: one allocation for what was granted, and nothing for the rest."""
    for make, serve in itertools.product((plain, new_space, in_vain, used_up), (create, exact, preview)):
        world = make()
        world.amazon.faults = iter(amazons)
        answer = deliver(world, iter(commits), serve)
        granted = world.desk.record("a").grants
        if isinstance(answer, Allocated):
            assert [grant.allocation_id for grant in granted] == [answer.grant.allocation_id]
        else:
            assert granted == ()
        world.end()


@pytest.mark.parametrize(("commits", "amazons"), at_each(3, 2), ids=named)
@pytest.mark.parametrize("cooling", [0, 60])
def test_a_release_among_faults_gives_back_once(commits: list[Fault], amazons: list[AmazonFault], cooling: int) -> None:
    """A fault at each step: the block is free here when it is free there, and never before its cooling is over."""
    world = World(facts={"cooling_seconds": cooling})
    grant = world.desk.allocate(world.desk.request("a", 28)).grant
    world.amazon.faults = iter(amazons)
    befalling = iter(commits)
    world.desk.clock.advance(1)
    outcome = deliver(world, befalling, lambda desk: desk.release("a", grant.allocation_id))
    assert outcome in {"released", "already-released"}
    for _ in range(3):
        world.cold(befalling).keep_up()
        world.holds()
        world.desk.clock.advance(30)
    world.end()
    assert world.amazon.blocks() == ["10.0.0.0/28"]


class History:
    """What happens to a world, one thing after the other."""

    def __init__(self, world: World, commits: list[Fault]) -> None:
        self.world = world
        self.others = [world.theirs]
        self._faults = iter(commits)
        self._asked: dict[str, int] = {}

    def step(self, what: str, name: str, number: int) -> None:
        """Let one thing happen; a request is delivered to a cold process, and may fail."""
        with contextlib.suppress(TemporaryError, PermanentError):
            getattr(self, what)(self.world.cold(self._faults), name, number)
        self.world.holds()

    def create(self, desk: BackedDesk, name: str, number: int) -> None:
        """Ask for a block."""
        desk.allocate(desk.request(name, 26 + number % 3, at=self._now(name)))

    def again(self, desk: BackedDesk, name: str, number: int) -> None:
        """Deliver a request once more, or one of its time and other words."""
        desk.allocate(desk.request(name, 26 + number % 3, at=self._asked.get(name, NOON)))

    def exact(self, desk: BackedDesk, name: str, number: int) -> None:
        """Ask for an exact block."""
        desk.allocate(desk.request(name, cidr=f"10.0.0.{16 * number}/28", at=self._now(name)))

    def preview(self, desk: BackedDesk, name: str, number: int) -> None:
        """Ask for a preview."""
        desk.allocate(previewed(desk.request(name, 26 + number % 3, at=self._now(name)), 60))

    def delete(self, desk: BackedDesk, name: str, _: int) -> None:
        """Give back."""
        for grant in desk.record(name).grants[:1]:
            desk.release(name, grant.allocation_id, at=self._now(name))

    def abandon(self, desk: BackedDesk, name: str, _: int) -> None:
        """Delete what was never answered."""
        desk.abandon(name, next(iter(desk.record(name).grants), None), at=self._now(name))

    def take(self, _desk: BackedDesk, _name: str, number: int) -> None:
        """Let somebody else use the pool there."""
        cidr = f"10.0.0.{16 * number}/28"
        if not any(held.cidr.overlaps(block(cidr)) for held in self.world.amazon.held.values()):
            self.others.append(self.world.amazon.take(cidr))

    def upkeep(self, desk: BackedDesk, _name: str, _number: int) -> None:
        """Let upkeep run."""
        desk.keep_up()

    def wait(self, desk: BackedDesk, _name: str, number: int) -> None:
        """Let time pass; in a minute all that has happened there is to be seen."""
        seconds = [1, 60, 300, 600, 601, 900, 1800, 3600][number]
        self.world.amazon.hazy &= seconds < 60
        desk.clock.advance(seconds)

    def haze(self, _desk: BackedDesk, _name: str, _number: int) -> None:
        """Let what happens there not be seen for a while."""
        self.world.amazon.blur()

    def _now(self, name: str) -> int:
        """Tell when a new request is made: each at a time of its own."""
        self.world.desk.clock.advance(1)
        self._asked[name] = self.world.desk.clock.now()
        return self._asked[name]


STEPS = st.tuples(
    st.sampled_from(["create", "again", "exact", "preview", "delete", "abandon", "take", "upkeep", "wait", "haze"]),
    st.sampled_from("abc"),
    st.integers(0, 7),
)


@settings(max_examples=300)
@given(
    st.lists(STEPS, max_size=14),
    st.lists(st.sampled_from(["none", *STORE_FAULTS]), max_size=12),
    st.lists(st.sampled_from(["none", "none", *AMAZON_FAULTS]), max_size=12),
    st.sampled_from([0, 60]),
)
def test_any_history_leaves_both_in_agreement(
    steps: list[tuple[str, str, int]], commits: list[Fault], amazons: list[AmazonFault], cooling: int
) -> None:
    """Orders, deliveries, releases, others who use the pool, upkeep, time and faults, in any order."""
    world = World(facts={"cooling_seconds": cooling, "quota": Quota(units=64)})
    world.amazon.faults = iter(amazons)
    history = History(world, commits)
    for step in steps:
        history.step(*step)
    settle(world.desk, world.amazon, world.pool, tuple(history.others))


def at_once(world: World, seed: int, *works: Callable[[BackedDesk], object], ahead: int = 0) -> list[object]:
    """Let works happen at once, each at a desk of its own, in an order of their calls that the seed draws.

    Args:
        world: where.
        seed: draws whose turn it is, before each call of the store and each call of Amazon.
        works: what happens; the last one's clock is ahead.
        ahead: seconds by which it is.
    """
    lots = random.Random(seed)
    clients = [Client() for _ in works]
    for number, (client, work) in enumerate(zip(clients, works, strict=True)):
        clock = FixedClock(world.desk.clock.now() + (1000 * ahead if number == len(works) - 1 else 0))
        desk = BackedDesk(
            Turnstile(world.desk.store, client),
            clock,
            SeededChance(f"client {number}"),
            vpc_ipam=Turnstile(world.desk.vpc_ipam, client),  # type: ignore[arg-type]
        )
        client.start(lambda work=work, desk=desk: work(desk))  # type: ignore[misc]
    while waiting := [client for client in clients if not client.finished]:
        lots.choice(waiting).step()
    results = [client.result for client in clients]
    assert all(isinstance(result, TemporaryError | PermanentError | Allocated | str) for result in results), results
    return results


def creating(name: str, length: int = 28, at: int = NOON) -> Callable[[BackedDesk], object]:
    """Allocate."""
    return lambda desk: desk.allocate(desk.request(name, length, at=at))


def upkeep(desk: BackedDesk) -> str:
    """Let upkeep run."""
    return str(desk.keep_up())


SEEDS = st.integers(0, 1 << 32)


@settings(max_examples=150)
@given(SEEDS)
def test_one_order_delivered_twice_while_upkeep_takes_it_for_dead(seed: int) -> None:
    """Whoever wins, an answer names an allocation that is there and stays there, and the others leave nothing."""
    world = World()
    *results, _ = at_once(world, seed, creating("a"), creating("a"), upkeep, ahead=1000)
    world.holds()
    answers = {result.grant.allocation_id for result in results if isinstance(result, Allocated)}
    assert answers == {grant.allocation_id for grant in world.desk.record("a").grants}
    assert len(answers) <= 1
    world.end()


@settings(max_examples=150)
@given(SEEDS)
def test_an_order_that_is_gone_on_with_while_upkeep_ends_it(seed: int) -> None:
    """A second delivery finds the order of the first; upkeep finds it late: one of the two has it."""
    world = World()
    world.amazon.faults = iter(["lost-after"])
    with pytest.raises(TemporaryError):
        create(world.cold())
    at_once(world, seed, create, create, upkeep, ahead=1000)
    world.holds()
    if not world.desk.record("a").grants:
        assert isinstance(create(world.cold()), Allocated)
    world.end()
    assert len(world.desk.held(world.pool.pool_id)) == 1


@settings(max_examples=150)
@given(SEEDS)
def test_a_create_and_its_delete_and_upkeep_at_once(seed: int) -> None:
    """In the end nothing is held, here or there."""
    world = World()
    delete = lambda desk: desk.abandon("a", desk.request("a", 28), at=NOON + 1000)  # noqa: E731
    at_once(world, seed, create, delete, upkeep, ahead=1000)
    world.end()
    assert world.desk.held(world.pool.pool_id) == []


@settings(max_examples=150)
@given(SEEDS)
def test_the_last_block_is_released_given_back_and_ordered_at_once(seed: int) -> None:
    """The orders get the block or are told that there is none; nobody has it twice (I1, I7)."""
    world = World(here=("10.0.0.0/27",))
    world.amazon.cidrs = {"10.0.0.0/27": "provisioned"}
    grant = world.desk.allocate(world.desk.request("a", 28)).grant
    releasing = lambda desk: desk.release("a", grant.allocation_id)  # noqa: E731
    at_once(world, seed, releasing, upkeep, creating("b"), creating("c"))
    world.holds()
    assert len(world.desk.held(world.pool.pool_id)) <= 1
    world.end()


@settings(max_examples=150)
@given(SEEDS)
def test_two_orders_of_new_space_at_once(seed: int) -> None:
    """The space is provisioned once, and both are served from it (I3)."""
    world = World(here=())
    results = at_once(world, seed, creating("a"), creating("b"))
    assert all(isinstance(result, Allocated) for result in results), results
    world.end()
    assert len(world.desk.held(world.pool.pool_id)) == 2
