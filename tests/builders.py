"""What the tests of the engine are made from: time and chance that obey, and short ways to say what a stack asks."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ipam.adapters.memory.store import MemoryStore
from ipam.domain.cidr import Cidr
from ipam.domain.owner import Claim, Grant, OwnerKey, digest
from ipam.domain.plan import Ask
from ipam.services.allocate import allocate
from ipam.services.memory import Memory
from ipam.services.pools import NewPool, create_pool
from ipam.services.ports import NoDeadline, Ports
from ipam.services.provision import provision
from ipam.services.reclaim import reclaim
from ipam.services.release import Outcome, ReleaseRequest, abandon, release, release_in_stack
from ipam.services.request import Allocated, AllocateRequest
from ipam.services.revise import revise
from ipam.services.scopes import create_scope
from ipam.services.tenancy import add_tenant
from ipam.services.verify import verify
from tests.outside import Outside

if TYPE_CHECKING:
    from ipam.domain.cidr import Family
    from ipam.domain.owner import OwnerRecord
    from ipam.domain.pool import AllocationType, Pool
    from ipam.domain.tenant import Tenant
    from ipam.services.ports import Deadline
    from ipam.services.ports.store import Store

NOON = 1_800_000_000_000
"""When the tests begin, milliseconds of the epoch."""

REGION = "eu-central-1"
ACCOUNT = "111122223333"
STACK = "arn:aws:cloudformation:eu-central-1:111122223333:stack/net/5e0a1b2c"


class FixedClock:
    """A clock that stands still unless it is told to go on, or somebody sleeps."""

    def __init__(self, milliseconds: int = NOON) -> None:
        self.milliseconds = milliseconds
        self.slept: list[int] = []

    def now(self) -> int:
        """See the port."""
        return self.milliseconds

    def sleep(self, milliseconds: int) -> None:
        """See the port."""
        self.slept.append(milliseconds)
        self.milliseconds += milliseconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.milliseconds += int(seconds * 1000)


class SeededChance:
    """Chance that repeats itself."""

    def __init__(self, seed: int | str = 1) -> None:
        self._random = random.Random(seed)

    def hex_digits(self, count: int) -> str:
        """See the port."""
        return f"{self._random.getrandbits(4 * count):0{count}x}"

    def below(self, limit: int) -> int:
        """See the port."""
        return self._random.randrange(limit)


def block(text: str) -> Cidr:
    """Read a block."""
    return Cidr.parse(text)


def blocks(*texts: str) -> list[Cidr]:
    """Read blocks."""
    return [Cidr.parse(text) for text in texts]


def owner_key(name: str = "Net", stack: str = STACK) -> OwnerKey:
    """Name a resource of a stack."""
    return OwnerKey(stack, name)


def claim(grant: Grant, **wrong: Any) -> Claim:
    """Say what a stack knows of an allocation, or something a little wrong."""
    facts: dict[str, Any] = {"allocation_id": grant.allocation_id, "cidr": str(grant.cidr), "created": grant.created}
    return Claim(**(facts | wrong))


@dataclass
class Desk:
    """The services as one process has them: what it remembers is its own, store and time are everybody's."""

    store: Store = field(default_factory=MemoryStore)
    clock: FixedClock = field(default_factory=FixedClock)
    chance: SeededChance = field(default_factory=SeededChance)
    deadline: Deadline = field(default_factory=NoDeadline)
    outside: Outside = field(default_factory=Outside)

    def __post_init__(self) -> None:
        others = (self.outside.organization, self.outside.happenings, self.outside.redelivery)
        doors, members = self.outside.aliases, self.outside.stacks
        ports = Ports(self.store, self.clock, self.chance, Memory(), *others, aliases=doors, stacks=members)
        self.ports = replace(ports, networks=self.outside.networks)

    def another(self, store: Store | None = None) -> Desk:
        """Open a desk beside this one, with a memory of its own."""
        return Desk(store or self.store, self.clock, self.chance, self.deadline, self.outside)

    def scope(self, name: str = "corporate") -> str:
        """Create a scope, and give its id."""
        return create_scope(self.ports, name, "private", "", "test").scope_id

    def pool(self, new: NewPool, *cidrs: str) -> Pool:
        """Create a pool and provision these blocks to it."""
        pool = create_pool(self.ports, new, "test")
        for cidr in cidrs:
            self.provision(pool.pool_id, cidr)
        return pool

    def tenant(self, account: str = ACCOUNT, **facts: Any) -> Tenant:
        """Let an account order."""
        return add_tenant(self.ports, account, lambda tenant: replace(tenant, **facts), "test")

    def provision(self, pool_id: str, cidr: str, token: str | None = None) -> Cidr:
        """Give a pool an exact block."""
        return provision(self.ports, pool_id, Cidr.parse(cidr), token or cidr, "test")

    def request(  # noqa: PLR0913 - what a stack can say
        self,
        name: str = "Net",
        length: int | None = None,
        *,
        cidr: str | None = None,
        pool: Pool | str | None = None,
        pool_name: str | None = None,
        family: Family = 4,
        allocation_type: AllocationType = "vpc",
        locale: str = REGION,
        account: str = ACCOUNT,
        stack: str = STACK,
        at: int | None = None,
        description: str = "a network",
    ) -> AllocateRequest:
        """Say what a resource asks for."""
        exact = None if cidr is None else Cidr.parse(cidr)
        pool_id = pool if pool is None or isinstance(pool, str) else pool.pool_id
        ask = Ask(pool_id, pool_name, locale, allocation_type, family, length, exact)
        requested = self.clock.now() if at is None else at
        return AllocateRequest(OwnerKey(stack, name), account, ask, description, requested, "test")

    def allocate(self, request: AllocateRequest) -> Allocated:
        """Serve a Create."""
        return allocate(self.ports, request, self.deadline)

    def revise(self, request: AllocateRequest, held: str) -> Allocated:
        """Serve an Update of a resource whose id is `held`."""
        return revise(self.ports, replace(request, held=held), self.deadline)

    def giving_back(
        self, name: str = "Net", *, at: int | None = None, account: str = ACCOUNT, stack: str = STACK
    ) -> ReleaseRequest:
        """Say who gives back."""
        return ReleaseRequest(OwnerKey(stack, name), account, self.clock.now() if at is None else at, "test")

    def release(self, name: str, allocation_id: str, *, at: int | None = None) -> Outcome:
        """Serve the Delete of the resource that holds the allocation."""
        return release(self.ports, self.giving_back(name, at=at), allocation_id, self.deadline)

    def release_in_stack(self, name: str, grant: Grant, *, at: int | None = None) -> Outcome:
        """Serve the Delete of the resource that stands for a release."""
        return release_in_stack(self.ports, self.giving_back(name, at=at), claim(grant), self.deadline)

    def verify(self, name: str, of: Claim, *, at: int | None = None) -> Grant:
        """Serve the Create, or an Update, of the resource that stands for a release."""
        return verify(self.ports, self.giving_back(name, at=at), of, self.deadline)

    def abandon(self, name: str, of: AllocateRequest | Grant | None = None, *, at: int | None = None) -> Outcome:
        """Serve a Delete with an id that CloudFormation made up, of what that Create asked for, or was granted for."""
        asked = "" if of is None else of.asks[0] if isinstance(of, Grant) else digest(of.ask)
        return abandon(self.ports, self.giving_back(name, at=at), asked, self.deadline)

    def reclaim(self, pool_id: str, family: Family = 4, wanted: Cidr | int | None = None) -> bool:
        """Do the upkeep of a pool."""
        return reclaim(self.ports, self.store.plan().space(pool_id), family, wanted, self.deadline)

    def record(self, name: str = "Net", stack: str = STACK) -> OwnerRecord:
        """Read what a resource holds."""
        return self.store.owner(OwnerKey(stack, name))

    def free(self, pool_id: str, family: Family = 4) -> list[str]:
        """Read the free blocks of a pool, in address order."""
        return [str(cidr) for cidr in sorted(self.store.all_free(pool_id, family))]

    def held(self, pool_id: str) -> list[str]:
        """Read the allocated blocks of a pool, in address order."""
        return [str(allocation.cidr) for allocation in self.store.allocations(pool_id)]

    def cooling(self, pool_id: str) -> list[str]:
        """Read the cooling blocks of a pool, the next to be free first."""
        return [str(cooling.cidr) for cooling in self.store.cooling(pool_id, 1000)]
