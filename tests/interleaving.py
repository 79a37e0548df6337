"""All the ways in which two clients of one store can get in each other's way.

Each client runs in a thread of its own and stops before every call of the store; a scheduler lets one of them go on at
a time. A schedule is the list of those choices, so a run repeats exactly, and counting through the choices like through
the digits of a number visits every interleaving once.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

from tests.faults import Around

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ipam.services.ports.store import Store

PATIENCE = 30
"""Seconds after which a client that neither calls the store nor ends is a failure."""


class Turnstile(Around):
    """A store whose every call waits for its client's turn."""

    def __init__(self, store: Store, client: Client) -> None:
        super().__init__(store)
        self._client = client

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        self._client.pause()
        return super().call(name, do, args)


class Client:
    """One client: a thread that goes on when it is told to."""

    def __init__(self) -> None:
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self.finished = False
        self.result: object = None

    def start(self, work: Callable[[], object]) -> None:
        """Begin, and stop before the first call of the store."""
        threading.Thread(target=self._run, args=(work,), daemon=True).start()
        self._wait()

    def step(self) -> None:
        """Go on to the next call of the store, or to the end."""
        self._go.release()
        self._wait()

    def pause(self) -> None:
        """Wait for the turn; called by the client's own thread."""
        self._stopped.release()
        self._go.acquire()

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=PATIENCE), "a client neither calls the store nor ends"

    def _run(self, work: Callable[[], object]) -> None:
        try:
            self.result = work()
        except Exception as error:  # noqa: BLE001 - whatever a client ends with is its result
            self.result = error
        self.finished = True
        self._stopped.release()


Scene = tuple["Store", "Sequence[Callable[[Store], object]]"]
"""A store as it is before, and what each client does through the store that it is given."""


def run(scene: Scene, schedule: Sequence[int]) -> tuple[list[object], list[tuple[int, int]]]:
    """Run the clients of a scene by a schedule; beyond its end the first client that can goes on.

    Returns:
        How each client ended, and the choices that were made: (which, of how many).
    """
    store, works = scene
    clients = [Client() for _ in works]
    for client, work in zip(clients, works, strict=True):
        turnstile = Turnstile(store, client)
        client.start(lambda work=work, turnstile=turnstile: work(turnstile))  # type: ignore[misc]
    choices: list[tuple[int, int]] = []
    while waiting := [client for client in clients if not client.finished]:
        choice = schedule[len(choices)] % len(waiting) if len(choices) < len(schedule) else 0
        choices.append((choice, len(waiting)))
        waiting[choice].step()
    return [client.result for client in clients], choices


def explore(make: Callable[[], Scene], limit: int) -> Iterator[tuple[list[int], Store, list[object]]]:
    """Run a scene in every interleaving, each on a fresh copy.

    Args:
        make: sets the scene.
        limit: more interleavings than this are a failure: the search is meant to be complete.

    Yields:
        The schedule, the store as it is afterwards, and how each client ended.
    """
    schedule: list[int] = []
    for _ in range(limit):
        scene = make()
        results, choices = run(scene, schedule)
        yield [choice for choice, _ in choices], scene[0], results
        while choices and choices[-1][0] + 1 >= choices[-1][1]:
            choices.pop()
        if not choices:
            return
        schedule = [choice for choice, _ in choices[:-1]] + [choices[-1][0] + 1]
    message = f"more than {limit} interleavings"
    raise AssertionError(message)


def sample(make: Callable[[], Scene], count: int, steps: int = 200) -> Iterator[tuple[list[int], Store, list[object]]]:
    """Run a scene in so many interleavings by lot, the same ones each time: where there are too many to run all.

    Yields:
        As `explore`.
    """
    for seed in range(count):
        scene = make()
        lots = random.Random(seed)
        results, choices = run(scene, [lots.randrange(len(scene[1])) for _ in range(steps)])
        yield [choice for choice, _ in choices], scene[0], results
