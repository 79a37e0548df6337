"""Everybody else whom the services speak to: an organisation, listeners, and the way back into the function."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipam.domain.errors import ServiceUnavailableError, UnknownAccountError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam.domain.stack import StackId
    from ipam.services.ports import Happening, Standing


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


CALLS: dict[str, list[str]] = {
    "outdated": ["GetAlias", "GetFunctionEventInvokeConfig", "ListAliases"],
    "let_in": [
        *("GetAlias", "GetFunctionEventInvokeConfig", "CreateAlias", "PutFunctionEventInvokeConfig"),
        *("GetPolicy", "AddPermission", "UpdateAlias"),
    ],
    "shut_out": ["RemovePermission", "DeleteFunctionEventInvokeConfig", "DeleteAlias"],
}
"""Calls of AWS Lambda that each of what the doors do may take, a test of the adapter says."""


class Doors:
    """The ways in for tenants: who has one, and to which version; a `shut` service does nothing."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.live = 1
        self.shut = False
        self.asked: list[str] = []

    def service_token(self, account: str) -> str:
        """See the port."""
        return f"arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr:tenant-{account}"

    def outdated(self, accounts: Iterable[str]) -> list[str]:
        """See the port."""
        self._answer("outdated")
        return [account for account in accounts if self.open.get(account) != self.live]

    def let_in(self, account: str) -> None:
        """See the port."""
        self._answer("let_in")
        self.open[account] = self.live

    def shut_out(self, account: str) -> None:
        """See the port."""
        self._answer("shut_out")
        self.open.pop(account, None)

    def _answer(self, asked: str) -> None:
        if self.shut:
            raise ServiceUnavailableError("AWS Lambda", "TooManyRequestsException")
        self.asked.append(asked)


class Members:
    """The stacks of member accounts, by their ids: how each is, and what it has. It counts what it is asked.

    A stack that nobody has spoken of is there, and has what it is asked for.
    """

    def __init__(self) -> None:
        self.can_ask = False
        self.standings: dict[str, Standing] = {}
        self.resources: dict[tuple[str, str], str | None] = {}
        self.asked: list[str] = []
        self.meanwhile: Callable[[], object] | None = None
        self.busy = 0

    def standing(self, stack: StackId) -> Standing:
        """See the port."""
        self.asked.append(stack.arn)
        if self.busy:
            self.busy -= 1
            raise ServiceUnavailableError("AWS CloudFormation", "Throttling")
        if not self.can_ask:
            return "unknown"
        something, self.meanwhile = self.meanwhile, None
        standing = self.standings.get(stack.arn, "there")
        if something is not None:
            something()
        return standing

    def resource(self, stack: StackId, logical_id: str) -> str | None:
        """See the port."""
        return self.resources.get((stack.arn, logical_id), "as it is")


@dataclass
class Outside:
    """All of them."""

    organization: Chart = field(default_factory=Chart)
    happenings: Listeners = field(default_factory=Listeners)
    redelivery: WayBack = field(default_factory=WayBack)
    aliases: Doors = field(default_factory=Doors)
    stacks: Members = field(default_factory=Members)
