"""Processes that serve requests at the same time, each as a warm function of its own would."""

from __future__ import annotations

import contextlib
import multiprocessing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.cidr import Cidr
from ipam.domain.errors import IpamError, TemporaryError
from ipam.services.allocate import allocate
from ipam.services.memory import Memory
from ipam.services.ports import NoDeadline, Ports
from ipam.services.reclaim import reclaim
from ipam.services.release import ReleaseRequest, abandon, release
from ipam.services.request import Allocated, AllocateRequest
from tests.engine import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

DELIVERIES = 3
"""How often an event is delivered that is answered "later"; as Lambda does."""

PATIENCE = 120
"""Seconds after which a worker that does not answer is a failure."""


@dataclass(frozen=True)
class Order:
    """One thing to do."""

    verb: Literal["allocate", "release", "abandon", "reclaim"]
    request: Any
    detail: Any = None


@dataclass(frozen=True)
class Result:
    """How it ended: an outcome or the name of an error; and the allocation, if there is one."""

    end: str
    allocation_id: str = ""
    cidr: str = ""
    deliveries: int = 1


class ShiftedClock(SystemClock):
    """The machine's clock, set forward: so nobody has to wait for a block to cool."""

    shift = 0

    def now(self) -> int:
        """See the port."""
        return super().now() + self.shift


class Workers:
    """So many processes at one table."""

    def __init__(self, endpoint: str, table: str, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.count = count
        self._barrier = context.Barrier(count)
        pairs = [context.Pipe() for _ in range(count)]
        self._processes = [
            context.Process(target=_work, args=(far, self._barrier, endpoint, table), daemon=True) for _, far in pairs
        ]
        self._near = [near for near, _ in pairs]
        for process in self._processes:
            process.start()

    def together(self, *work: list[Order], shift: int = 0) -> list[list[Result]]:
        """Let each process do its list, all beginning at once, and give what they answer."""
        lists = [*work, *[[]] * (self.count - len(work))]
        for near, orders in zip(self._near, lists, strict=True):
            near.send((orders, shift))
        answers = []
        for near in self._near:
            assert near.poll(PATIENCE), "a worker does not answer"
            answer = near.recv()
            if isinstance(answer, str):
                raise AssertionError(answer)  # noqa: TRY004 - a fault in a worker is a failure of its test
            answers.append(answer)
        return answers

    def close(self) -> None:
        """End the processes."""
        for near in self._near:
            near.close()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()


@contextlib.contextmanager
def workers(endpoint: str, table: str, count: int = 8) -> Iterator[Workers]:
    """Have so many processes for a while."""
    some = Workers(endpoint, table, count)
    try:
        yield some
    finally:
        some.close()


def _work(orders_from: Connection[Any, Any], barrier: Barrier, endpoint: str, table: str) -> None:
    """Do what is ordered until nobody orders any more."""
    clock = ShiftedClock()
    ports = Ports(DynamoDbStore(table, client(endpoint)), clock, SystemChance(), Memory())
    ports.store.plan()
    with contextlib.suppress(EOFError):
        while True:
            orders, clock.shift = orders_from.recv()
            barrier.wait(PATIENCE)
            try:
                answer: object = [_deliver(ports, order) for order in orders]
            except Exception as fault:  # noqa: BLE001 - a fault in a worker is a failure of its test
                answer = f"{type(fault).__name__}: {fault}"
            orders_from.send(answer)


def _deliver(ports: Ports, order: Order) -> Result:
    """Serve a request, again while the answer is "later"."""
    end = Result("never delivered")
    for deliveries in range(1, DELIVERIES + 1):
        try:
            done = _do(ports, order)
        except TemporaryError as later:
            end = Result(type(later).__name__, deliveries=deliveries)
        except IpamError as refused:
            return Result(type(refused).__name__, deliveries=deliveries)
        else:
            if isinstance(done, Allocated):
                return Result(done.outcome, done.grant.allocation_id, str(done.grant.cidr), deliveries)
            return Result(str(done), deliveries=deliveries)
    return end


def _do(ports: Ports, order: Order) -> object:
    match order:
        case Order("allocate", AllocateRequest() as request):
            return allocate(ports, request, NoDeadline())
        case Order("release", ReleaseRequest() as request, str(allocation_id)):
            return release(ports, request, allocation_id, NoDeadline())
        case Order("abandon", ReleaseRequest() as request, str(asked)):
            return abandon(ports, request, asked, NoDeadline())
        case Order("reclaim", str(pool_id), int() | Cidr() | None as wanted):
            return reclaim(ports, ports.store.plan().space(pool_id), 4, wanted, NoDeadline())
        case _:
            raise TypeError(order)
