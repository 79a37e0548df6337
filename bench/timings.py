"""Goals that compare processor time (P3, P4): what is to be compared takes turns, and medians are compared.

All on the real client over `bench.endpoint`, less the endpoint's own time. Only ratios mean something on another
machine.
"""

from __future__ import annotations

import gc
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.endpoint import TABLE, Endpoint
from bench.figures import Figure
from bench.layouts import KINDS, LENGTH, layout
from bench.naive import NaivePool
from bench.world import World, world
from ipam.adapters.dynamodb.store import DynamoDbStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.layouts import Kind
    from bench.world import Lease

ROW: Final = 64
"""Allocations of one measurement where each differs: as many halvings as it takes to fill a /18 with /24."""

MILLI: Final = 1000


class TimedPool:
    """A pool of a layout behind the endpoint, and the client's time per allocation."""

    def __init__(self, kind: Kind, count: int) -> None:
        """Fill the table."""
        plan = layout(kind, count)
        self.endpoint = Endpoint()
        self.client = self.endpoint.connect()
        self.world: World = world(DynamoDbStore(TABLE, self.client), plan.provisioned)
        self.endpoint.seed(plan, self.world.pool_id)

    def client_seconds(self, work: Callable[[], object]) -> float:
        """Measure processor time, less that of the endpoint."""
        inside, started = self.endpoint.seconds, time.process_time()
        work()
        return time.process_time() - started - (self.endpoint.seconds - inside)

    def reading(self) -> float:
        """Time an exact fit by a process that knows no free block: a read and a transaction."""
        self.world.forget()
        return self._exact()

    def warm(self) -> float:
        """Time an exact fit by a process that knows the free block: a transaction."""
        self.world.forget()
        first = self.world.allocate(LENGTH)
        seconds = self._exact()
        self.world.release(first)
        return seconds

    def row(self) -> float:
        """Time allocations one after the other, splits and reads included; give the mean."""
        self.world.forget()
        leases: list[Lease] = []
        seconds = self.client_seconds(lambda: leases.extend(self.world.allocate(LENGTH) for _ in range(ROW)))
        for lease in leases:
            self.world.release(lease)
        return seconds / ROW

    def _exact(self) -> float:
        """Time an allocation, and undo it."""
        leases: list[Lease] = []
        before = self.endpoint.counts
        seconds = self.client_seconds(lambda: leases.append(self.world.allocate(LENGTH)))
        if (self.endpoint.counts - before).block_units != 4:  # noqa: PLR2004 - two items of a transaction
            message = "not an exact fit"
            raise AssertionError(message)
        self.world.release(leases[0])
        return seconds


class Way(NamedTuple):
    """One way to measure an allocation."""

    kind: Kind
    name: str
    measure: Callable[[TimedPool], float]
    allocations: int


WAYS: Final = (
    Way("mix", "exact fit, every allocation reads", TimedPool.reading, 1),
    Way("mix", "exact fit, free block remembered", TimedPool.warm, 1),
    Way("contiguous", f"{ROW} in a row, with their splits and reads", TimedPool.row, ROW),
)


def growth(few: int, many: int, allocations: int) -> Iterator[Figure]:
    """P3: processor time per allocation with many allocations in the pool over that with few."""
    for kind in KINDS:
        pools = [TimedPool(kind, count) for count in (few, many)]
        for way in (way for way in WAYS if way.kind == kind):
            small, large = _in_turns([partial(way.measure, pool) for pool in pools], allocations // way.allocations)
            what = f"processor time of the client, N={many:,} over N={few:,}, {kind}, {way.name}"
            yield Figure("P3", what, large / small, 1.2, counted=False)


def against_naive(count: int, allocations: int, turns: int) -> Iterator[Figure]:
    """P4: processor time per allocation of the design that reads all, over ours."""
    for kind in KINDS:
        pool = TimedPool(kind, count)
        naive = NaivePool(pool.endpoint, layout(kind, count), pool.client)
        for way in (way for way in WAYS if way.kind == kind):
            number = max(1, allocations // turns // way.allocations)
            theirs, ours = _in_turns([partial(_naive, pool, naive), partial(way.measure, pool)], turns, (1, number))
            what = f"processor time of query-all with netaddr over ours, N={count:,} {kind}, {way.name}"
            yield Figure("P4", what, theirs / ours, 100, at_least=True, counted=False)
            yield Figure("P4", f"ms of it where this was run: query-all, {kind}", theirs * MILLI, counted=False)
            yield Figure("P4", f"ms of it where this was run: ours, {kind}, {way.name}", ours * MILLI, counted=False)


def _naive(pool: TimedPool, naive: NaivePool) -> float:
    """Time an allocation of the other design."""
    return pool.client_seconds(lambda: naive.allocate(LENGTH, "NetworkCidr"))


def _in_turns(
    measures: Sequence[Callable[[], float]], turns: int, each: Sequence[int] | None = None
) -> tuple[float, ...]:
    """Measure one after the other, again and again, and give the medians: what disturbs the machine disturbs all."""
    samples: list[list[float]] = [[] for _ in measures]
    for measure in measures:
        measure()
    # What fills the tables is no garbage of the client's, and it must not pay for looking through it.
    gc.collect()
    gc.freeze()
    for _ in range(max(turns, 3)):
        for place, measure in enumerate(measures):
            samples[place] += (measure() for _ in range(each[place] if each else 1))
    gc.unfreeze()
    return tuple(statistics.median(some) for some in samples)
