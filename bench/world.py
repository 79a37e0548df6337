"""A small address plan with one pool to measure on, and a requester who orders from it as a stack does."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.owner import Claim, OwnerKey
from ipam.domain.plan import Ask
from ipam.domain.pool import AllocationRules
from ipam.services.allocate import allocate
from ipam.services.memory import Memory
from ipam.services.plan import current_plan
from ipam.services.pools import NewPool, create_pool
from ipam.services.ports import NoDeadline, Ports
from ipam.services.provision import provision
from ipam.services.reclaim import reclaim
from ipam.services.release import ReleaseRequest, release, release_in_stack
from ipam.services.request import AllocateRequest
from ipam.services.scopes import create_scope
from ipam.services.verify import verify

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import OwnerRecord
    from ipam.services.ports.store import Store

Temper = Literal["warm", "cold", "announced"]

REGION: Final = "eu-central-1"
OTHER_REGIONS: Final = ("eu-west-1", "us-east-1", "ap-southeast-2")
ACCOUNT: Final = "111122223333"
RETURNING: Final = "Return"
"""Name of the resource of a stack that stands for a release."""

START: Final = 1_800_000_000_000
ORDERS_A_STACK: Final = 3
"""Resources of one stack that order a block."""


class Clock:
    """`ipam.services.ports.Clock` that stands still unless it is moved."""

    def __init__(self) -> None:
        """Start somewhen."""
        self.time = START

    def now(self) -> int:
        """See the port."""
        return self.time

    def sleep(self, milliseconds: int) -> None:
        """See the port."""
        self.time += milliseconds


class Chance:
    """`ipam.services.ports.Chance` that a seed repeats."""

    def __init__(self, seed: int) -> None:
        """Begin a sequence."""
        self._rng = random.Random(seed)

    def hex_digits(self, count: int) -> str:
        """See the port."""
        return f"{self._rng.getrandbits(4 * count):0{count}x}"

    def below(self, limit: int) -> int:
        """See the port."""
        return self._rng.randrange(limit)


@dataclass(frozen=True, slots=True)
class Lease:
    """What an order got: the owner's record as it was written, with one allocation."""

    record: OwnerRecord

    @property
    def cidr(self) -> Cidr:
        """The block."""
        return self.record.grants[0].cidr


@dataclass
class World:
    """The pool, and the process that serves the orders."""

    ports: Ports
    clock: Clock
    pool_id: str
    rng: random.Random
    account: str = ACCOUNT
    _orders: int = field(default=0)

    def allocate(self, length: int) -> Lease:
        """Order a block for a resource that has none."""
        self._orders += 1
        owner = OwnerKey(_stack(self._orders // ORDERS_A_STACK), f"NetworkCidr{self._orders}")
        request = AllocateRequest(
            owner=owner,
            account=self.account,
            ask=Ask(None, None, REGION, "vpc", 4, length, None),
            description="payments, production: the network of the services behind the gateway",
            requested=self.clock.now(),
            cause=f"Create {uuid.UUID(int=self._orders)}",
        )
        allocate(self.ports, request, NoDeadline())
        record = self.ports.memory.owner(owner)
        if record is None:
            message = "an allocation leaves its owner's record in memory"
            raise AssertionError(message)
        return Lease(record)

    def announce(self, lease: Lease) -> None:
        """Let another resource of the stack stand for the release, as its Create does."""
        owner = replace(lease.record.owner, name=RETURNING)
        request = ReleaseRequest(owner, ACCOUNT, self.clock.now(), f"Create {uuid.UUID(int=self._orders)}")
        verify(self.ports, request, _claim(lease), NoDeadline())

    def release(self, lease: Lease, temper: Temper = "warm") -> None:
        """Give a block back: knowing the owner's record, having to read it, or announced by another resource."""
        record, grant = lease.record, lease.record.grants[0]
        if temper == "warm":
            self.ports.memory.see_owner(record)
        else:
            self.ports = self._without_owners()
        now, cause = self.clock.now(), f"Delete {uuid.UUID(int=self._orders)}"
        if temper == "announced":
            returning = ReleaseRequest(replace(record.owner, name=RETURNING), ACCOUNT, now, cause)
            outcome = release_in_stack(self.ports, returning, _claim(lease), NoDeadline())
        else:
            request = ReleaseRequest(record.owner, ACCOUNT, now, cause)
            outcome = release(self.ports, request, grant.allocation_id, NoDeadline())
        if outcome != "released":
            raise AssertionError(outcome)

    def upkeep(self) -> bool:
        """Free what has cooled, as the scheduled function does; say whether there was anything to do."""
        space = current_plan(self.ports).space(self.pool_id)
        return reclaim(self.ports, space, 4, None, NoDeadline())

    def forget(self, *, plan: bool = False) -> None:
        """Forget free blocks, and the plan if it is said: the next order is served by another process."""
        if plan:
            self.ports.memory.forget_plan()
        self.ports.memory.forget_free(self.pool_id)

    def _without_owners(self) -> Ports:
        """Another process, which has read the plan and nothing else."""
        memory = Memory()
        memory.see_plan(self.clock.now(), current_plan(self.ports))
        return replace(self.ports, memory=memory)


def world(store: Store, provisioned: Cidr, cooling_seconds: int = 0, seed: int = 1) -> World:
    """Make a plan of a few Regions with one pool that has address space."""
    clock = Clock()
    ports = Ports(store, clock, Chance(seed), Memory())
    scope = create_scope(ports, "corporate", "private", "all of it", "bench")
    for region in OTHER_REGIONS:
        create_pool(ports, NewPool(f"vpc-{region}", scope.scope_id, locale=region), "bench")
    rules = AllocationRules(16, 28, 24)
    new = NewPool(f"vpc-{REGION}", scope.scope_id, locale=REGION, rules=rules, cooling_seconds=cooling_seconds)
    pool = create_pool(ports, new, "bench")
    provision(ports, pool.pool_id, provisioned, "bench", "bench")
    current_plan(ports)
    return World(ports, clock, pool.pool_id, random.Random(seed))


def _claim(lease: Lease) -> Claim:
    """Say what a stack says of its allocation."""
    grant = lease.record.grants[0]
    return Claim(grant.allocation_id, str(grant.cidr), grant.created)


def _stack(number: int) -> str:
    """Name a stack as CloudFormation does."""
    name = f"payments-network-production-{number:05d}"
    return f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{uuid.UUID(int=number)}"
