"""Everybody else whom the services speak to: an organisation, listeners, and the way back into the function."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipam.domain.cidr import Cidr
from ipam.domain.errors import ServiceUnavailableError, UnknownAccountError
from ipam.domain.network import Network
from ipam.domain.stack import StackId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipam.services.ports.outside import Happening, Standing


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
    """Where parked events go; a `closed` one takes none, and none takes those of `closed_regions`."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.closed = False
        self.closed_regions: set[str] = set()
        self.asked = 0

    def redeliver(self, event: str) -> None:
        """See the port."""
        self.asked += 1
        if self.closed or any(f":{region}:" in event for region in self.closed_regions):
            raise ServiceUnavailableError("AWS Lambda", "TooManyRequestsException")
        self.taken.append(json.loads(event))


CALLS: dict[str, list[str]] = {
    "outdated": ["GetAlias", "GetFunctionEventInvokeConfig", "ListAliases"],
    "let_in": [
        *("GetAlias", "GetFunctionEventInvokeConfig", "CreateAlias", "PutFunctionEventInvokeConfig"),
        *("GetPolicy", "AddPermission", "UpdateAlias"),
    ],
    "shut_out": ["RemovePermission", "DeleteFunctionEventInvokeConfig", "DeleteAlias"],
    "regions": ["GetFunctionConfiguration"],
}
"""Calls of AWS Lambda that each of what the doors do may take, a test of the adapter says."""


class Doors:
    """The ways in for tenants in one Region: who has one, and to which version; a `shut` service does nothing.

    Those of the home Region also know the `others`.
    """

    def __init__(self, region: str = "eu-central-1") -> None:
        self.region = region
        self.others: list[Doors] = []
        self.open: dict[str, int] = {}
        self.live = 1
        self.shut = False
        self.asked: list[str] = []

    def elsewhere(self, region: str) -> Doors:
        """Open doors in another Region."""
        self.others.append(Doors(region))
        return self.others[-1]

    def regions(self) -> list[Doors]:
        """See the port."""
        self.asked.append("regions")
        return [self, *self.others]

    def service_token(self, account: str) -> str:
        """See the port."""
        return f"arn:aws:lambda:{self.region}:123456789012:function:cn-ipam-cn-cidr:tenant-{account}"

    def outdated(self, tenants: Iterable[str], removed: Iterable[str] = ()) -> tuple[list[str], list[str]]:
        """See the port."""
        self._answer("outdated")
        behind = [account for account in tenants if self.open.get(account) != self.live]
        return behind, [account for account in removed if account in self.open]

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
            raise ServiceUnavailableError(f"AWS Lambda in {self.region}", "TooManyRequestsException")
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


class Landscape:
    """The networks of member accounts, each where it is; an account may not let us look. It counts what it is asked.

    What was deleted just now is shown once more for each of `stale`.
    """

    def __init__(self) -> None:
        self.there: dict[tuple[str, str], list[Network]] = {}
        self.closed = ""
        self.fault: Exception | None = None
        self.asked: list[tuple[str, str, str]] = []
        self.stale: list[tuple[Network, ...]] = []
        self.meanwhile: Callable[[], object] | None = None
        self._unasked = ""

    def put(self, network_id: str, cidr: str, stack: str = "", *, in_larger: bool = False, of: str) -> Network:
        """Put a network into the account and Region of a stack."""
        made = Network(network_id, Cidr.parse(cidr), stack, in_larger)
        self.there.setdefault(_place(StackId.parse(of)), []).append(made)
        return made

    def using(self, stack: StackId, cidr: Cidr) -> tuple[Network, ...]:
        """See the port."""
        self.asked.append((*_place(stack), str(cidr)))
        something, self.meanwhile = self.meanwhile, None
        if something is not None:
            something()
        if self.fault is not None:
            raise self.fault
        if self.closed:
            self._unasked = self.closed
            return ()
        if self.stale:
            return self.stale.pop(0)
        return tuple(each for each in self.there.get(_place(stack), ()) if cidr.contains(each.cidr))

    def unasked(self) -> str:
        """See the port."""
        why, self._unasked = self._unasked, ""
        return why


def _place(stack: StackId | None) -> tuple[str, str]:
    """Tell where a stack is."""
    assert stack is not None
    return stack.account, stack.region


@dataclass
class Outside:
    """All of them."""

    organization: Chart = field(default_factory=Chart)
    happenings: Listeners = field(default_factory=Listeners)
    redelivery: WayBack = field(default_factory=WayBack)
    aliases: Doors = field(default_factory=Doors)
    stacks: Members = field(default_factory=Members)
    networks: Landscape = field(default_factory=Landscape)
