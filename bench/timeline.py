"""Virtual time: many writers at once, each of whose calls takes as long as DynamoDB's do, and no real time passes.

Each writer is a thread, so that the engine runs as it is; only one of them runs at a time, until it waits, and the one
whose waiting ends first goes on. What is drawn by lot comes from a seed. So a run is the same on every machine.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bench.endpoint import TABLE
from ipam.adapters.dynamodb.writes import Writes
from ipam.services.ports.store import Conflict, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ipam.domain.change import Change
    from ipam.services.ports.store import Store

T = TypeVar("T")

READ: Final = 7.5
"""Milliseconds of a call for one item: half of them are faster. These three are as Alex DeBrie has published them."""

TRANSACTION: Final = 25.0
"""Milliseconds of a transaction of five items: half of them are faster,"""

TRANSACTION_P99: Final = 92.0
"""and one in a hundred is slower than this."""

SPREAD: Final = math.log(TRANSACTION_P99 / TRANSACTION) / 2.326
"""Of the logarithm of a latency, which is taken to be normal; 2.326 is the normal distribution's 99th percentile."""

PATIENCE: Final = 60
"""Real seconds after which a writer that neither waits nor ends is a fault."""


class Timeline:
    """The clock of a run, in milliseconds, and whose turn it is."""

    def __init__(self) -> None:
        """Begin."""
        self.now = 0.0
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._order = itertools.count()
        self._stopped = threading.Semaphore(0)
        self._faults: list[BaseException] = []

    def start(self, work: Callable[[], object]) -> None:
        """Let a writer begin now, when the timeline runs."""
        threading.Thread(target=self._live, args=(work, self._turn(0)), daemon=True).start()

    def wait(self, milliseconds: float) -> None:
        """Wait; called by a writer."""
        turn = self._turn(milliseconds)
        self._stopped.release()
        turn.acquire()

    def run(self) -> None:
        """Run until all writers have ended.

        Raises:
            Exception: what a writer ended with.
        """
        while self._waiting:
            self.now, _, turn = heapq.heappop(self._waiting)
            turn.release()
            if not self._stopped.acquire(timeout=PATIENCE):
                raise TimeoutError
            for fault in self._faults:
                raise fault

    def _turn(self, milliseconds: float) -> threading.Semaphore:
        turn = threading.Semaphore(0)
        heapq.heappush(self._waiting, (self.now + milliseconds, next(self._order), turn))
        return turn

    def _live(self, work: Callable[[], object], turn: threading.Semaphore) -> None:
        turn.acquire()
        try:
            work()
        except Exception as fault:  # noqa: BLE001 - raised again by `run`
            self._faults.append(fault)
        self._stopped.release()


class Busy(Exception):  # noqa: N818 - the other transaction is no error
    """Another transaction holds some of the items."""

    def __init__(self, held: frozenset[Hashable]) -> None:
        """Keep which."""
        super().__init__(f"{len(held)} held")
        self.held = held


class Table:
    """What a call costs in time, and the items that transactions hold at this moment.

    A call is judged and takes effect half of its time after it was sent. A transaction holds its items for the middle
    half of its time; another one that comes for them meanwhile is refused, which takes it as long.
    """

    def __init__(self, timeline: Timeline, seed: int) -> None:
        """Hold nothing yet."""
        self._timeline = timeline
        self._chance = random.Random(seed)
        self._held: set[Hashable] = set()

    def read(self, judge: Callable[[], T]) -> T:
        """Read, as things are in the middle of it."""
        latency = self._drawn(READ)
        self._timeline.wait(latency / 2)
        answer = judge()
        self._timeline.wait(latency / 2)
        return answer

    def transact(self, items: frozenset[Hashable], apply: Callable[[], None]) -> None:
        """Write some items.

        Raises:
            Busy: another transaction holds some of them.
            Exception: what `apply` raised.
        """
        quarter = self._drawn(TRANSACTION) / 4
        self._timeline.wait(quarter)
        held = items & self._held
        if held:
            self._timeline.wait(3 * quarter)
            raise Busy(held)
        self._held |= items
        self._timeline.wait(2 * quarter)
        self._held -= items
        try:
            apply()
        finally:
            self._timeline.wait(quarter)

    def _drawn(self, median: float) -> float:
        return median * math.exp(self._chance.gauss(0, SPREAD))


class RemoteStore:
    """`ipam.services.ports.Store` of one writer: another one, but far away. It counts its transactions."""

    def __init__(self, store: Store, table: Table) -> None:
        """Reach a store over a table's time."""
        self._store = store
        self._table = table
        self.commits = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give a method that reads."""
        method = getattr(self._store, name)
        return lambda *args, **kwargs: self._table.read(lambda: method(*args, **kwargs))

    def commit(self, change: Change) -> None:
        """See the port."""
        self.commits += 1
        of = {_item(operation): operation for operation in change.operations}
        try:
            self._table.transact(frozenset(of), lambda: self._store.commit(change))
        except Busy as busy:
            raise Conflict(tuple(Refusal(of[key], busy=True) for key in of if key in busy.held)) from None


def _item(operation: Any) -> tuple[str, str]:
    """Tell which item an operation writes."""
    (write,) = Writes(TABLE).of(operation).values()
    key = write.get("Key") or write["Item"]
    return key["PK"]["S"], key["SK"]["S"]
