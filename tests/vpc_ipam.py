"""An Amazon VPC IPAM for tests, behind a client of EC2's own model, and desks whose pools it stands behind.

The client is botocore's: it checks what it is asked by the service's model, and what is answered is checked by that
too. Only the way between them is ours, and there the faults are.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

import boto3
from botocore.exceptions import ReadTimeoutError
from botocore.validate import validate_parameters

from ipam.adapters.vpc_ipam import VpcIpamPools
from ipam.domain.cidr import Cidr, Family
from ipam.domain.free_space import Limits
from ipam.services.pools import NewPool
from ipam.services.upkeep import keep_up
from tests.builders import REGION, Desk
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.domain.pool import Pool
    from ipam.services.ports.outside import VpcIpam
    from ipam.services.ports.store import Store
    from ipam.services.upkeep import Report

Fault = Literal["none", "throttled", "lost-before", "lost-after", "refused"]
"""What befalls a call: nothing; not done, for its rate; no answer and not done; done, but no answer; refused."""

LONG = 3700
"""Seconds after which nothing of an order is left: it was ended, and has been looked for long enough."""

_numbers = itertools.count(1)
_pools: WeakValueDictionary[str, AmazonPool] = WeakValueDictionary()


class Refused(Exception):  # noqa: N818 - it is EC2's answer
    """What EC2 answers where it does not do what it is asked."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.status = status
        self.answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


@dataclass
class Held:
    """An allocation there."""

    cidr: Cidr
    description: str = ""
    resource_type: str = "custom"


class AmazonPool:
    """A pool of Amazon VPC IPAM, which others may use too.

    Attributes:
        pool_id: its id.
        locale: the Region that it is for. It is known there and nowhere else.
        cidrs: what is provisioned to it, with the state.
        held: its allocations, by id.
        faults: what befalls the next calls, one each.
        calls: what it was asked: operations and parameters.
        page: how many entries a page has.
        hazy: while it is, what the last call has done, and what is done since, is not to be seen.
        meanwhile: what somebody else does after the next calls, one each, before they are answered.
    """

    def __init__(self, *cidrs: str, locale: str = REGION) -> None:
        self.pool_id = f"ipam-pool-{next(_numbers):017x}"
        self.locale = locale
        self.cidrs: dict[str, str] = dict.fromkeys(cidrs, "provisioned")
        self.held: dict[str, Held] = {}
        self.faults: Iterator[Fault] = iter(())
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.page = 1000
        self.hazy = False
        self.meanwhile: list[Callable[[], object] | None] = []
        self._seen: dict[str, Held] = {}
        self._answered: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._given = itertools.count(1)
        _pools[self.pool_id] = self

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """Give the parameters of each call of an operation."""
        return [params for name, params in self.calls if name == operation]

    def blocks(self) -> list[str]:
        """Give the allocated blocks, in address order."""
        return [str(cidr) for cidr in sorted(each.cidr for each in self.held.values())]

    def blur(self) -> None:
        """Let what is done from now on not be seen."""
        self._seen, self.hazy = dict(self.held), True

    def take(self, cidr: str, description: str = "", resource_type: str = "custom") -> str:
        """Allocate a block for somebody else, and give its id."""
        allocation_id = f"ipam-pool-alloc-{next(self._given):033x}"
        self.held[allocation_id] = Held(Cidr.parse(cidr), description, resource_type)
        return allocation_id

    def serve(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked, unless a fault befalls it."""
        self.calls.append((operation, params))
        if not self.hazy:
            self._seen = dict(self.held)
        fault = next(self.faults, "none")
        if fault == "throttled":
            raise Refused("RequestLimitExceeded", "Request limit exceeded.", 503)
        if fault == "refused":
            raise Refused("InvalidParameterValue", "It is not allowed.")
        lost = ReadTimeoutError(endpoint_url=f"https://ec2.{REGION}.amazonaws.com")
        if fault == "lost-before":
            raise lost
        answer: dict[str, Any] = getattr(self, _OPERATIONS[operation])(params)
        something = self.meanwhile.pop(0) if self.meanwhile else None
        if something is not None:
            something()
        if fault == "lost-after":
            raise lost
        return answer

    def allocate(self, params: dict[str, Any]) -> dict[str, Any]:
        """AllocateIpamPoolCidr. A token that is known is answered as before, whatever has become of the allocation."""
        asked, answer = self._answered.get(params["ClientToken"], (params, {}))
        if asked != params:
            raise Refused("IdempotentParameterMismatch", "The request uses the token of another request.")
        if not answer:
            limits = {"AllowedCidrs", "DisallowedCidrs", "NetmaskLength"} & params.keys()
            if "Cidr" in params and limits:
                raise Refused("InvalidParameterCombination", f"Cidr does not go with {limits}.")
            cidr = self._exact(params) if "Cidr" in params else self._next(params)
            answer = {"IpamPoolAllocation": self._item(self.take(str(cidr), params["Description"]))}
            self._answered[params["ClientToken"]] = params, answer
        return answer

    def release(self, params: dict[str, Any]) -> dict[str, Any]:
        """ReleaseIpamPoolAllocation."""
        allocation_id = params["IpamPoolAllocationId"]
        held = self.held.get(allocation_id)
        if held is None or (self.hazy and allocation_id not in self._seen):
            raise Refused("InvalidIpamPoolAllocationId.NotFound", "The IPAM pool allocation does not exist.")
        if str(held.cidr) != params["Cidr"]:
            raise Refused("InvalidParameterValue", "The CIDR is not that of the allocation.")
        if held.resource_type != "custom":
            raise Refused("InvalidParameterValue", "Only a manual allocation can be released.")
        del self.held[allocation_id]
        return {"Success": True}

    def allocations(self, params: dict[str, Any]) -> dict[str, Any]:
        """GetIpamPoolAllocations."""
        seen = self._seen if self.hazy else self.held
        return self._page("IpamPoolAllocations", [self._item(each, seen) for each in sorted(seen)], params)

    def provisioned(self, params: dict[str, Any]) -> dict[str, Any]:
        """GetIpamPoolCidrs."""
        items = [{"Cidr": cidr, "State": state} for cidr, state in self.cidrs.items()]
        return self._page("IpamPoolCidrs", items, params)

    def _spaces(self) -> list[Cidr]:
        return sorted(Cidr.parse(cidr) for cidr, state in self.cidrs.items() if state == "provisioned")

    def _exact(self, params: dict[str, Any]) -> Cidr:
        cidr = Cidr.parse(params["Cidr"])
        if not any(space.contains(cidr) for space in self._spaces()):
            raise Refused("InvalidParameterValue", "The CIDR is not in the pool.")
        if any(held.cidr.overlaps(cidr) for held in self.held.values()):
            raise Refused("InvalidParameterValue", "The CIDR conflicts with an existing allocation.")
        return cidr

    def _next(self, params: dict[str, Any]) -> Cidr:
        allowed = tuple(Cidr.parse(cidr) for cidr in params.get("AllowedCidrs", ()))
        disallowed = tuple(Cidr.parse(cidr) for cidr in params.get("DisallowedCidrs", ()))
        limits = Limits((allowed,), (*disallowed, *(held.cidr for held in self.held.values())))
        found = (limits.first_in(space, params["NetmaskLength"]) for space in self._spaces())
        cidr = next((cidr for cidr in found if cidr is not None), None)
        if cidr is None:
            raise Refused("InvalidParameterValue", "The allocation size is too big for the pool.")
        return cidr

    def _item(self, allocation_id: str, among: dict[str, Held] | None = None) -> dict[str, Any]:
        held = (self.held if among is None else among)[allocation_id]
        item = {"IpamPoolAllocationId": allocation_id, "Cidr": str(held.cidr), "ResourceType": held.resource_type}
        return item | ({"Description": held.description} if held.description else {})

    def _page(self, name: str, items: list[dict[str, Any]], params: dict[str, Any]) -> dict[str, Any]:
        first = int(params.get("NextToken", "0"))
        page: dict[str, Any] = {name: items[first : first + self.page]}
        return page | ({"NextToken": str(first + self.page)} if first + self.page < len(items) else {})


_OPERATIONS = {
    "AllocateIpamPoolCidr": "allocate",
    "ReleaseIpamPoolAllocation": "release",
    "GetIpamPoolAllocations": "allocations",
    "GetIpamPoolCidrs": "provisioned",
}


def _pool(pool_id: str, region: str) -> AmazonPool:
    """Find a pool."""
    if pool_id not in _pools or _pools[pool_id].locale != region:
        raise Refused("InvalidIpamPoolId.NotFound", f"The ipam-pool ID '{pool_id}' does not exist")
    return _pools[pool_id]


@functools.cache
def ec2(region: str) -> Any:
    """Give a client of EC2 that reaches the pools of this module in a Region, and nothing else."""
    client = boto3.client("ec2", region_name=region, aws_access_key_id="111111111111", aws_secret_access_key="none")

    def keep(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["asked"] = dict(params)

    def answer(model: Any, context: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, dict[str, Any]]:
        try:
            answered = _pool(context["asked"]["IpamPoolId"], region).serve(model.name, context["asked"])
        except Refused as refused:
            return SimpleNamespace(status_code=refused.status), refused.answer
        validate_parameters(answered, model.output_shape)
        return SimpleNamespace(status_code=200), answered

    client.meta.events.register("before-parameter-build.ec2", keep)
    client.meta.events.register("before-call.ec2", answer)
    return client


@dataclass
class BackedDesk(Desk):
    """A desk that speaks to the pools of this module."""

    vpc_ipam: VpcIpam = field(default_factory=lambda: VpcIpamPools(ec2, REGION))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ports = replace(self.ports, vpc_ipam=self.vpc_ipam)

    def another(self, store: Store | None = None) -> BackedDesk:
        """See the parent."""
        return BackedDesk(store or self.store, self.clock, self.chance, self.deadline, self.outside, self.vpc_ipam)

    def keep_up(self) -> Report:
        """Let upkeep run once."""
        return keep_up(self.ports, self.deadline)

    def orders(self, pool_id: str) -> list[str]:
        """Read the orders of a pool: how each stands."""
        return ["ended" if each.token.startswith("ended") else "open" for each in self.store.orders(pool_id)]


def backed(
    *cidrs: str, there: tuple[str, ...] | None = None, desk: BackedDesk | None = None, **facts: Any
) -> tuple[BackedDesk, AmazonPool, Pool]:
    """Make a pool that has these blocks, and the pool there with the same ones, or those that are told."""
    desk = desk or BackedDesk()
    amazon = AmazonPool(*(cidrs if there is None else there), locale=facts.get("locale", REGION))
    family: Family = 6 if ":" in next(iter(amazon.cidrs)) else 4
    known = {"name": "backed", "locale": REGION, "family": family, "vpc_ipam_pool_id": amazon.pool_id}
    scope = facts.pop("scope_id", None) or desk.scope("backed world")
    return desk, amazon, desk.pool(NewPool(scope_id=scope, **(known | facts)), *cidrs)


def agree(desk: BackedDesk, amazon: AmazonPool, pool: Pool, others: tuple[str, ...] = ()) -> None:
    """Assert that there is exactly one allocation there for each one here, and for each that still cools here.

    Args:
        desk: any desk.
        amazon: the pool there.
        pool: the pool here.
        others: the ids of what somebody else has there.
    """
    check(desk.store)
    here = [(each.vpc_ipam_allocation_id, str(each.cidr)) for each in desk.store.allocations(pool.pool_id)]
    here += [(each.vpc_ipam_allocation_id, str(each.cidr)) for each in desk.store.cooling(pool.pool_id, 1000)]
    there = [(allocation_id, str(held.cidr)) for allocation_id, held in amazon.held.items()]
    assert Counter(here) == Counter(each for each in there if each[0] not in others)
    parties = {each.owner.party for each in desk.store.allocations(pool.pool_id)}
    grants = [grant for party in parties for record in desk.store.owners(party) for grant in record.grants]
    named = {grant.vpc_ipam_allocation_id for grant in grants if grant.pool_id == pool.pool_id}
    assert named == {each.vpc_ipam_allocation_id for each in desk.store.allocations(pool.pool_id)}


def settle(desk: BackedDesk, amazon: AmazonPool, pool: Pool, others: tuple[str, ...] = ()) -> None:
    """Let all that is under way come to its end, with nothing going wrong any more, and assert that nothing is left."""
    amazon.faults, amazon.hazy = iter(()), False
    for _ in range(3):
        desk.clock.advance(LONG)
        report = desk.keep_up()
        assert report.failures == (), report
    assert desk.orders(pool.pool_id) == []
    assert desk.cooling(pool.pool_id) == []
    agree(desk, amazon, pool, others)
    check(desk.store, canonical=True)
