"""The ways in which clients of one store can get in each other's way, each once.

`tests.interleaving` visits every order of calls. But two reads are the same in either order: only where a commit stands
between the calls of another client makes a difference. So of the orders that differ in nothing else this search visits
one ("sleep sets", P. Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems", 1996), and long
operations can be searched to the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.interleaving import Client, Turnstile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.services.ports.store import Store
    from tests.interleaving import Scene


class Announcing(Turnstile):
    """A store whose client says what it is about to call."""

    def __init__(self, store: Store, client: Client) -> None:
        super().__init__(store, client)
        self.next = ""

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        self.next = name
        return super().call(name, do, args)


@dataclass
class Fork:
    """A place in the search: whose turn it is, who else is to be tried there, who was, and who need not be."""

    todo: list[int]
    asleep: frozenset[int]
    done: set[int] = field(default_factory=set)

    def asleep_after(self, calls: dict[int, str]) -> frozenset[int]:
        """Tell who need not be tried next: to go on now would be the same as to have gone on here."""
        if calls[self.todo[0]] == "commit":
            return frozenset()
        return frozenset(each for each in self.asleep | self.done if calls[each] != "commit")


def explore(make: Callable[[], Scene], limit: int) -> Iterator[tuple[list[int], Store, list[object]]]:
    """Run a scene in every way that makes a difference, each on a fresh copy.

    Args:
        make: sets the scene.
        limit: more runs than this are a failure: the search is meant to be complete.

    Yields:
        The schedule, the store as it is afterwards, and how each client ended.
    """
    path: list[Fork] = []
    for _ in range(limit):
        store, works = make()
        clients = [Client() for _ in works]
        stores = [Announcing(store, client) for client in clients]
        for client, work, own in zip(clients, works, stores, strict=True):
            client.start(lambda work=work, own=own: work(own))  # type: ignore[misc]
        if _run(clients, stores, path):
            yield [fork.todo[0] for fork in path], store, [client.result for client in clients]
        if not _turn_back(path):
            return
    message = f"more than {limit} runs"
    raise AssertionError(message)


def _run(clients: list[Client], stores: list[Announcing], path: list[Fork]) -> bool:
    """Run along a path and on to the end; say whether that was worth while, and not the same as an earlier run."""
    asleep: frozenset[int] = frozenset()
    depth = 0
    worth_while = True
    while calls := {number: stores[number].next for number, client in enumerate(clients) if not client.finished}:
        if depth == len(path) and worth_while:
            todo = [number for number in calls if number not in asleep]
            worth_while = bool(todo)
            path += [Fork(todo, asleep)] * worth_while
        if worth_while:
            fork = path[depth]
            asleep = fork.asleep_after(calls)
            clients[fork.todo[0]].step()
            depth += 1
        else:
            clients[next(iter(calls))].step()
    return worth_while


def _turn_back(path: list[Fork]) -> bool:
    """Go back to the last place where somebody else is to be tried; say whether there is one."""
    while path:
        fork = path[-1]
        fork.done.add(fork.todo.pop(0))
        if fork.todo:
            return True
        path.pop()
    return False
