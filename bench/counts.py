"""Goals that are counts: requests and capacity units (P1, P2, P7). The same on every machine."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from bench.counting import CountingStore, Counts
from bench.endpoint import TABLE, Endpoint
from bench.figures import Figure
from bench.layouts import KINDS, LENGTH, LENGTHS, WIDTH, home, layout
from bench.world import World, world
from ipam.adapters.dynamodb.store import DynamoDbStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.layouts import Kind
    from bench.world import Lease, Temper

COLD_PLAN: Final = (
    "a process that starts has no plan yet and reads it, one Query more, once in 30 s for all its requests; without it "
    "the rules, the quota and the CIDRs of the pool are not known"
)
COLD_RELEASE: Final = (
    "the owner's record has to be read: a Delete names an allocation by its id alone, and neither the block nor the "
    "version that the transaction is conditional on is in the event"
)
TEMPERS: Final[tuple[Temper, ...]] = ("warm", "cold", "announced")
READ_FIRST: Final[dict[Temper, str]] = {"warm": "", "cold": COLD_RELEASE, "announced": COLD_RELEASE}
COOLING_SECONDS: Final = 600
MIXED: Final = 8
"""How many times longer a row of mixed sizes is, so that each size comes up as often as where there is only one."""

UPKEEP_EVERY: Final = 300
"""Operations between two runs of upkeep; each operation takes a second of the clock."""

MAX_UPKEEP_RUNS: Final = 20


def seeded(kind: Kind, count: int) -> tuple[CountingStore, World]:
    """Make a pool of a layout in the store that counts."""
    store = CountingStore()
    plan = layout(kind, count)
    made = world(store, plan.provisioned)
    store.seed(plan, made.pool_id)
    return store, made


def allocation_requests(count: int, series: int) -> Iterator[Figure]:
    """P1: requests per allocation, exact fit."""
    store, made = seeded("mix", count)
    made.forget(plan=True)
    before = store.counts
    made.allocate(LENGTH)
    cold = store.counts - before
    _only_exact(cold)
    where = f"N={count:,} mix"
    yield Figure("P1", f"requests, first allocation of a cold process, {where}", cold.requests, 2)
    both = cold.requests + cold.plan_requests
    yield Figure("P1", "the same, and reading the plan", both, 2, reason=COLD_PLAN)

    one = _series(count, lambda _: LENGTH, series)
    yield Figure("P1", f"requests, warm, one size (/{LENGTH}), {where}", one.requests, 1.05)
    some = _series(count, lambda made: made.rng.choice(LENGTHS), series * MIXED)
    what = f"requests, warm, sizes by lot (/{LENGTHS[0]} to /{LENGTHS[-1]}), {where}"
    yield Figure("P1", what, some.requests, 1.05)
    for seconds, every in ((1, "every second"), (60, "every minute")):
        timed = _series(count, lambda _: LENGTH, series, seconds)
        both = timed.requests + timed.plan_requests
        yield Figure("P1", f"requests and those for the plan, warm, one size, an allocation {every}", both)


def _series(count: int, length: Callable[[World], int], number: int, seconds: int = 0) -> Counts:
    """Count what an allocation costs in a row of exact fits in a warm process, some time apart."""
    store, made = seeded("mix", count)
    made.forget()
    before = store.counts
    for _ in range(number):
        made.clock.time += seconds * 1000
        made.allocate(length(made))
    spent = (store.counts - before) / number
    _only_exact(spent)
    return spent


def _only_exact(spent: Counts) -> None:
    """Make sure that what was measured are exact fits: one block taken, one allocation put."""
    if spent.block_units != 4:  # noqa: PLR2004 - two items of a transaction
        message = f"not only exact fits: {spent}"
        raise AssertionError(message)


def allocation_units(counts: tuple[int, ...], series: int, filled: int) -> Iterator[Figure]:
    """P2: capacity units per allocation."""
    highest = 0.0
    exact = Counts()
    for kind in KINDS:
        for count in counts:
            store, made = seeded(kind, count)
            before = store.counts
            for _ in range(series):
                made.forget()
                made.allocate(LENGTH)
            spent = (store.counts - before) / series
            highest = max(highest, spent.read_units)
            yield Figure("P2", f"RCU, every allocation reads, N={count:,} {kind}", spent.read_units)
            made.forget()
            made.allocate(LENGTH)
            before = store.counts
            for _ in range(series):
                made.allocate(LENGTH)
            spent = (store.counts - before) / series
            yield Figure("P2", f"RCU, warm, N={count:,} {kind}", spent.read_units)
            if kind == "mix" and count == counts[-1]:
                exact = spent
    yield Figure("P2", "RCU, the highest of all N and layouts", highest, 1)
    _only_exact(exact)
    yield Figure("P2", "WCU, exact fit: blocks", exact.block_units, 4)
    yield Figure("P2", "WCU, exact fit: owner, audit and quota record, together", exact.record_units, 6)
    store, made = seeded("mix", counts[0])
    made.forget(plan=True)
    before = store.counts
    made.allocate(LENGTH)
    yield Figure("P2", "RCU of reading the plan (5 pools and scopes), once in 30 s", (store.counts - before).plan_units)
    one = _fresh(filled, lambda _: LENGTH)
    yield Figure("P2", f"WCU, blocks, average of the first {filled:,} in a fresh pool, one size", one.block_units)
    some = _fresh(filled, lambda made: made.rng.choice(LENGTHS))
    yield Figure("P2", f"WCU, blocks, average of the first {filled:,} in a fresh pool, mixed sizes", some.block_units)
    yield Figure("P2", "requests, the same", some.requests)


def _fresh(number: int, length: Callable[[World], int]) -> Counts:
    """Count what an allocation costs on average while a fresh pool fills, splits included."""
    store = CountingStore()
    made = world(store, home(number * (1 << (WIDTH - LENGTHS[0]))))
    before = store.counts
    for _ in range(number):
        made.allocate(length(made))
    return (store.counts - before) / number


def release_units(count: int, operations: int) -> Iterator[Figure]:
    """P7: requests and capacity units per release, over a churn."""
    for cooling, pool in ((0, "pool without cooling"), (COOLING_SECONDS, "cooling pool")):
        churn = Churn(count, cooling)
        churn.run(operations)
        for temper, spent in churn.released.items():
            which = f"{temper}, {pool}" if temper != "announced" else f"by Custom::DeleteCnCIDR, {pool}"
            yield Figure("P7", f"requests, {which}", spent.requests, 1.1, reason=READ_FIRST[temper])
            yield Figure("P7", f"RCU, {which}", spent.read_units, 0.5)
            yield Figure("P7", f"WCU, blocks, {which}", spent.block_units, 6.5)
        warm = churn.released["warm"]
        yield Figure("P7", f"WCU, blocks, of transactions that were refused, warm, {pool}", warm.refused_units)
        yield Figure("P7", f"WCU, records (owner, audit, quota), warm, {pool}", warm.record_units)
        if cooling:
            yield Figure("P7", "later, per block that has cooled: requests of upkeep", churn.upkeep.requests)
            yield Figure("P7", "later, per block that has cooled: RCU of upkeep", churn.upkeep.read_units)
            yield Figure("P7", "later, per block that has cooled: WCU of upkeep, blocks", churn.upkeep.block_units)
        churn.run(operations)
        later = churn.released["warm"]
        yield Figure("P7", f"requests, warm, {pool}, over as many operations more", later.requests)
        yield Figure("P7", f"WCU, blocks, warm, {pool}, over as many operations more", later.block_units)


class Churn:
    """A pool filled with mixed sizes, a quarter of it given back, and then operations by lot, as many of each kind."""

    def __init__(self, count: int, cooling_seconds: int, endpoint: Endpoint | None = None) -> None:
        """Fill the pool through the engine itself: in the store that counts, or in the table of an endpoint."""
        memory = CountingStore()
        self._meter = endpoint or memory
        store = DynamoDbStore(TABLE, endpoint.connect()) if endpoint else memory
        self.world = world(store, layout("mix", count).provisioned, cooling_seconds)
        self.released: dict[Temper, Counts] = {}
        self.upkeep = Counts()
        self._cooling = bool(cooling_seconds)
        filled = count * 4 // 3
        self._leases = [self._allocate() for _ in range(filled)]
        for _ in range(filled - count):
            self.world.release(self._drawn())
        self.world.clock.time += cooling_seconds * 1000
        self._clean()

    @property
    def counts(self) -> Counts:
        """All that was counted so far."""
        return self._meter.counts

    def run(self, operations: int) -> None:
        """Allocate and release, and count what a release costs, in each of three ways, and a block that has cooled."""
        spent = dict.fromkeys(TEMPERS, Counts())
        upkeep = Counts()
        released = cooled = 0
        for number in range(operations):
            self.world.clock.time += 1000
            if self.world.rng.randrange(2):
                self._leases.append(self._allocate())
                continue
            temper = TEMPERS[released % len(TEMPERS)]
            lease = self._drawn()
            if temper == "announced":
                self.world.announce(lease)
            before = self.counts
            self.world.release(lease, temper)
            spent[temper] += self.counts - before
            released += 1
            if number % UPKEEP_EVERY == 0:
                cost, blocks = self._clean()
                upkeep, cooled = upkeep + cost, cooled + blocks
        self.released = {
            temper: spent[temper] / len(range(place, released, len(TEMPERS))) for place, temper in enumerate(TEMPERS)
        }
        self.upkeep = upkeep / max(1, cooled)

    def _clean(self) -> tuple[Counts, int]:
        """Free all that has cooled, as the scheduled function does; give what it cost, for how many blocks."""
        if not self._cooling:
            return Counts(), 0
        waiting = self._waiting()
        before = self.counts
        for _ in range(MAX_UPKEEP_RUNS):
            if not self.world.upkeep():
                break
        spent = self.counts - before
        return spent, waiting - self._waiting()

    def _waiting(self) -> int:
        return len(self.world.ports.store.cooling(self.world.pool_id, limit=1_000_000))

    def _allocate(self) -> Lease:
        return self.world.allocate(self.world.rng.choice(LENGTHS))

    def _drawn(self) -> Lease:
        """Draw a lease by lot, and take it off the list."""
        place = self.world.rng.randrange(len(self._leases))
        self._leases[place], self._leases[-1] = self._leases[-1], self._leases[place]
        return self._leases.pop()


def agreement(count: int, operations: int) -> Iterator[Figure]:
    """Count a churn twice: by the records in memory, and by the items that the real client sends."""
    apart = 0.0
    for cooling in (0, COOLING_SECONDS):
        totals = []
        for endpoint in (None, Endpoint()):
            churn = Churn(count, cooling, endpoint)
            churn.run(operations)
            totals.append(churn.counts)
        between = totals[0] - totals[1]
        apart += sum(abs(getattr(between, field.name)) for field in fields(between))
    what = f"difference between the counts by record and by item sent, {operations:,} operations of churn"
    yield Figure("P1, P2, P7", what, apart, 0)
