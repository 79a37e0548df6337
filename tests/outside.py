"""Everybody else whom the services speak to: an organisation, listeners, and the way back into the function."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipam.domain.errors import ServiceUnavailableError, UnknownAccountError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.services.ports import Happening


class Chart:
    """An organisation: what stands above each account. It counts what it is asked."""

    def __init__(self, **above: tuple[str, ...]) -> None:
        self.above = above
        self.asked: list[str] = []
        self.fault: Exception | None = None

    def move(self, account: str, *above: str) -> None:
        """Put an account somewhere; nowhere, if nothing is said."""
        self.above[account] = above

    def standing(self, account: str) -> tuple[str, ...]:
        """See the port."""
        self.asked.append(account)
        if self.fault is not None:
            raise self.fault
        if not self.above.get(account):
            raise UnknownAccountError(account)
        return self.above[account]


class Listeners:
    """Whoever listens; `deaf` listeners take nothing."""

    def __init__(self) -> None:
        self.told: list[Happening] = []
        self.deaf = False
        self._untold: list[str] = []
        self.meanwhile: Callable[[], object] | None = None

    def tell(self, happening: Happening) -> bool:
        """See the port."""
        if self.meanwhile is not None:
            something, self.meanwhile = self.meanwhile, None
            something()
        if self.deaf:
            self._untold.append(f"{happening.kind}: Deaf")
            return False
        self.told.append(happening)
        return True

    def untold(self) -> tuple[str, ...]:
        """See the port."""
        untold, self._untold = tuple(self._untold), []
        return untold

    def kinds(self) -> list[str]:
        """Name what was told."""
        return [happening.kind for happening in self.told]


class WayBack:
    """Where parked events go; a `closed` one takes none."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.closed = False

    def redeliver(self, event: str) -> None:
        """See the port."""
        if self.closed:
            raise ServiceUnavailableError("AWS Lambda", "TooManyRequestsException")
        self.taken.append(json.loads(event))


class Doors:
    """The ways in for tenants: who has one, and to which version; a `shut` service does nothing."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.live = 1
        self.shut = False

    def let_in(self, account: str) -> bool:
        """See the port."""
        self._answer()
        before, self.open[account] = self.open.get(account), self.live
        return before != self.live

    def shut_out(self, account: str) -> None:
        """See the port."""
        self._answer()
        self.open.pop(account, None)

    def _answer(self) -> None:
        if self.shut:
            raise ServiceUnavailableError("AWS Lambda", "TooManyRequestsException")


@dataclass
class Outside:
    """All of them."""

    organization: Chart = field(default_factory=Chart)
    happenings: Listeners = field(default_factory=Listeners)
    redelivery: WayBack = field(default_factory=WayBack)
    aliases: Doors = field(default_factory=Doors)
