"""Goals of many writers at once (P5, P6), in virtual time: the same on every machine.

Each writer is a process of its own, which knows the plan and nothing else, and orders one block; all begin at once. The
design that reads all (`bench.naive`) is given what it can be given: it computes in no time, tries for ever, and waits
for as short as serves it best.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.counting import CountingStore
from bench.figures import Figure
from bench.layouts import HOME, LENGTH, layout
from bench.timeline import Busy, RemoteStore, Table, Timeline
from bench.world import ACCOUNT, START, Chance, Clock, World, world
from ipam.domain.errors import ContendedError
from ipam.services.contention import BACKOFF
from ipam.services.memory import Memory
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.layouts import Layout
    from ipam.domain.cidr import Cidr

WRITERS: Final = 64

NAIVE_ITEMS_A_PAGE: Final = 8000
"""Allocations of `bench.naive` that one page of a Query holds: 1 MB by its items of about 130 bytes."""

ORDERS_APART: Final = 1000
"""Between the numbers of two writers' orders, so that no two have the same owner."""


@dataclass
class Burst:
    """How the writers of some runs fared, each in milliseconds and transactions, and how long it all lasted."""

    latencies: list[float] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    lasted: float = 0
    overlaps: int = 0
    unserved: int = 0

    @property
    def mean(self) -> float:
        """Transactions each."""
        return sum(self.attempts) / len(self.attempts)

    @property
    def a_second(self) -> float:
        """Allocations."""
        return (len(self.latencies) - self.unserved) / self.lasted * 1000

    @property
    def slowest(self) -> float:
        """Milliseconds that one in a hundred takes longer than."""
        return sorted(self.latencies)[math.ceil(len(self.latencies) * 0.99) - 1]


class TimedClock(Clock):
    """`ipam.services.ports.Clock` of a timeline."""

    def __init__(self, timeline: Timeline) -> None:
        """Show a timeline's time."""
        super().__init__()
        self._timeline = timeline

    def now(self) -> int:
        """See the port."""
        return START + int(self._timeline.now)

    def sleep(self, milliseconds: int) -> None:
        """See the port."""
        self._timeline.wait(milliseconds)


class Scene(NamedTuple):
    """What the writers find."""

    goal: str
    name: str
    plan: Layout | None


def many_writers(runs: int, count: int) -> Iterator[Figure]:
    """P5, P6: as many writers as there are, of a fresh pool and of a fragmented one."""
    fresh = Scene("P5", "fresh pool", None)
    fragmented = Scene("P6", f"fragmented pool (N={count:,} mix)", layout("mix", count))
    for scene, mean in ((fresh, 3.2), (fragmented, 2.4)):
        ours, theirs = Burst(), Burst()
        for seed in range(runs):
            _ours(scene, seed, ours)
            _theirs(scene, seed, theirs)
        where = f"{WRITERS} writers, {scene.name}"
        yield Figure(scene.goal, f"overlaps and orders not served, {where}", ours.overlaps + ours.unserved, 0)
        yield Figure(scene.goal, f"attempts, mean, {where}", ours.mean, mean)
        yield Figure(scene.goal, f"attempts, most, {where}", max(ours.attempts), 10)
        faster, least = ours.a_second / theirs.a_second, 5 if scene is fresh else 6
        yield Figure(scene.goal, f"allocations a second over those of query-all, {where}", faster, least, at_least=True)
        slowest = ours.slowest / theirs.slowest
        yield Figure(scene.goal, f"99th percentile over that of query-all, {where}", slowest, _p99_limit(scene))
        yield Figure(scene.goal, f"allocations a second, {where}", ours.a_second)
        yield Figure(scene.goal, f"the same, query-all, {where}", theirs.a_second)
        yield Figure(scene.goal, f"attempts, mean, query-all, {where}", theirs.mean)
        same = Burst()
        for seed in range(runs):
            _ours(scene, seed, same, one_account=True)
        yield Figure(scene.goal, f"attempts, mean, all of one account, {where}", same.mean)
        yield Figure(scene.goal, f"orders to be delivered again, of {len(same.attempts)}, the same", same.unserved)


def _p99_limit(scene: Scene) -> float | None:
    return 0.15 if scene.goal == "P6" else None


def _ours(scene: Scene, seed: int, burst: Burst, *, one_account: bool = False) -> None:
    """Let the engine serve all writers, once."""
    store, timeline = CountingStore(), Timeline()
    made = world(store, scene.plan.provisioned if scene.plan else HOME)
    if scene.plan is not None:
        store.seed(scene.plan, made.pool_id)
    plan, table = current_plan(made.ports), Table(timeline, seed)
    held: list[Cidr] = []

    def order(writer: World, remote: RemoteStore) -> None:
        try:
            held.append(writer.allocate(LENGTH).cidr)
        except ContendedError:
            burst.unserved += 1
        burst.latencies.append(timeline.now)
        burst.attempts.append(remote.commits)

    for number in range(WRITERS):
        remote, memory = RemoteStore(store, table), Memory()
        memory.see_plan(START, plan)
        clock, chance = TimedClock(timeline), Chance(seed * WRITERS + number)
        account = ACCOUNT if one_account else f"{number:012}"
        ports = replace(made.ports, store=remote, clock=clock, chance=chance, memory=memory)
        writer = World(ports, clock, made.pool_id, random.Random(number), account, number * ORDERS_APART)
        timeline.start(partial(order, writer, remote))
    timeline.run()
    burst.lasted += timeline.now
    burst.overlaps += _overlaps([*held, *(block.cidr for block in store.allocations(made.pool_id))], len(held))


def _overlaps(blocks: Iterable[Cidr], twice: int) -> int:
    """Count neighbours that overlap; so many blocks are in the list twice, once as answered and once as stored."""
    ordered = sorted(blocks, key=lambda block: (block.first, block.length))
    return sum(one.last >= two.first for one, two in itertools.pairwise(ordered)) - twice


def _theirs(scene: Scene, seed: int, burst: Burst) -> None:
    """Let the design that reads all serve all writers, once: the version moves on with each."""
    timeline = Timeline()
    table = Table(timeline, seed)
    pages = 1 + (len(scene.plan.held) if scene.plan else 0) // NAIVE_ITEMS_A_PAGE
    version = 0

    def move_on(seen: int) -> None:
        nonlocal version
        if version != seen:
            raise Busy(frozenset())
        version += 1

    def order(chance: random.Random) -> None:
        for attempt in itertools.count(1):
            seen = table.read(lambda: version)
            for _ in range(pages):
                table.read(lambda: None)
            try:
                table.transact(frozenset({"version"}), partial(move_on, seen))
            except Busy:
                timeline.wait(chance.randrange(BACKOFF))
                continue
            burst.latencies.append(timeline.now)
            burst.attempts.append(attempt)
            return

    for number in range(WRITERS):
        timeline.start(partial(order, random.Random(seed * WRITERS + number)))
    timeline.run()
    burst.lasted += timeline.now
