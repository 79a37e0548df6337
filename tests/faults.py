"""Stores that watch, fail or stand still on purpose, around any other store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ipam.domain.errors import StoreUnavailableError
from ipam.domain.plan import Plan
from ipam.services.ports.store import Conflict, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.domain.change import Change
    from ipam.services.ports.store import Store

Fault = Literal["none", "busy", "lost-before", "lost-after"]
"""What befalls a commit: nothing; refused as busy; no answer and not done; done, but no answer."""


class Around:
    """A store that hands every call on to another one, through `call`."""

    def __init__(self, store: Store) -> None:
        self.inner = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        return lambda *args, **kwargs: self.call(name, lambda: method(*args, **kwargs), args)

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """Carry out one call."""
        del name, args
        return do()


class Recorder(Around):
    """Keeps the names of all calls and the changes that were committed."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.calls: list[str] = []
        self.committed: list[Change] = []

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        self.calls.append(name)
        answer = do()
        if name == "commit":
            self.committed.append(args[0])
        return answer


class Interrupted(Around):
    """Does something else before a chosen commit: what another writer does between a read and its commit."""

    def __init__(self, store: Store, *meanwhile: Callable[[], object] | None) -> None:
        super().__init__(store)
        self._meanwhile = list(meanwhile)

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name == "commit" and self._meanwhile:
            something = self._meanwhile.pop(0)
            if something is not None:
                something()
        return super().call(name, do, args)


class Faulty(Around):
    """Lets its faults befall the next commits, one each; afterwards all is well again."""

    def __init__(self, store: Store, faults: Iterator[Fault]) -> None:
        super().__init__(store)
        self._faults = faults

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        fault = next(self._faults, "none") if name == "commit" else "none"
        if fault == "busy":
            raise Conflict((Refusal(args[0].operations[0], busy=True),))
        if fault == "lost-before":
            raise StoreUnavailableError(fault)
        answer = do()
        if fault == "lost-after":
            raise StoreUnavailableError(fault)
        return answer


class Torn(Around):
    """Reads the plan the first time in two parts, as pages are, between which something else is done.

    What there is was read before; which versions they have, after.
    """

    def __init__(self, store: Store, meanwhile: Callable[[], object]) -> None:
        super().__init__(store)
        self._meanwhile: Callable[[], object] | None = meanwhile

    def plan(self) -> Plan:
        """See the port."""
        before: Plan = self.inner.plan()
        if self._meanwhile is None:
            return before
        self._meanwhile()
        self._meanwhile = None
        after = self.inner.plan()
        return Plan(
            tuple(after.scopes[scope_id] for scope_id in before.scopes),
            tuple(after.pools[pool_id] for pool_id in before.pools),
            tuple(block for pool_id in before.pools for block in before.provisioned(pool_id)),
        )
