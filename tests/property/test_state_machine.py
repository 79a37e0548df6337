"""A day of an address plan against a plain model of it: sets of addresses, and what CloudFormation was told.

Several processes serve requests on one store; requests come again, late, out of order and after lost answers; time
passes. After every step the store's own content has to keep the invariants and to be what the model says.
A failure prints the steps; `pytest --hypothesis-profile=search` looks for more, and what it prints repeats them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ipam.adapters.memory.store import MemoryStore
from ipam.domain.cidr import Cidr
from ipam.domain.errors import (
    CidrNotFreeError,
    IpamError,
    NoSuchAllocationError,
    PoolExhaustedError,
    StoreUnavailableError,
    SupersededError,
)
from ipam.domain.owner import RETURNED_KEPT, SKEW, Grant, digest
from ipam.domain.pool import Quota, units
from ipam.services.pools import NewPool
from ipam.services.provision import provision
from ipam.services.request import Allocated, AllocateRequest
from tests.builders import ACCOUNT, REGION, Desk, FixedClock, SeededChance, claim
from tests.faults import Faulty
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.plan import Ask
    from ipam.domain.pool import AllocationType, Pool
    from tests.faults import Fault

DESKS = 3
OWNERS = 4
COOLING = 60
ANNOUNCERS = ("announcer", "other announcer")
TYPES: tuple[AllocationType, ...] = ("vpc", "vpc", "vpc", "custom")
SKEWS = st.sampled_from([0, 0, 1, 3])
"""Seconds by which the clock of the host that signs a Delete is behind."""


def _for(request: AllocateRequest, kind: AllocationType) -> AllocateRequest:
    """Ask for an allocation of another type."""
    return replace(request, ask=replace(request.ask, allocation_type=kind))


def addresses(cidr: Cidr) -> set[int]:
    """All addresses of a block."""
    return set(range(cidr.first, cidr.last + 1))


@dataclass
class Space:
    """A pool, as sets of addresses."""

    pool: Pool
    provisioned: list[Cidr] = field(default_factory=list)
    free: set[int] = field(default_factory=set)
    held: dict[str, Cidr] = field(default_factory=dict)
    cooling: list[tuple[Cidr, int]] = field(default_factory=list)

    def settle(self, now: int) -> None:
        """What has cooled counts as free, whether or not anybody has noticed."""
        for cidr, until in self.cooling:
            if until <= now:
                self.free |= addresses(cidr)
        self.cooling = [(cidr, until) for cidr, until in self.cooling if until > now]

    def has_room(self, ask: Ask) -> bool:
        """Whether an aligned block of the length, or the exact one, is free."""
        if ask.cidr is not None:
            return addresses(ask.cidr) <= self.free
        assert ask.netmask_length is not None
        return any(
            addresses(block) <= self.free
            for whole in self.provisioned
            if whole.length <= ask.netmask_length
            for block in whole.subnets(ask.netmask_length)
        )

    def take(self, cidr: Cidr) -> None:
        """Hold a block: it has to be free and in one provisioned CIDR."""
        assert addresses(cidr) <= self.free, f"{cidr} was not free"
        assert any(whole.contains(cidr) for whole in self.provisioned), f"{cidr} is nowhere provisioned"
        self.free -= addresses(cidr)

    def give_back(self, allocation_id: str, now: int) -> None:
        """Release a block."""
        cidr = self.held.pop(allocation_id)
        if self.pool.cooling_seconds:
            self.cooling.append((cidr, now + self.pool.cooling_seconds * 1000))
        else:
            self.free |= addresses(cidr)

    def over_quota(self, length: int) -> bool:
        """Whether one more block of that length would be too much for the account."""
        limit, host_bits = self.pool.quota, {4: 32, 6: 128}[self.pool.family] - length
        wanted = units(Cidr(self.pool.family, 0, {4: 32, 6: 128}[self.pool.family] - host_bits))
        too_many = limit.allocations is not None and len(self.held) + 1 > limit.allocations
        return too_many or (limit.units is not None and sum(map(units, self.held.values())) + wanted > limit.units)


@dataclass
class Held:
    """What an owner was granted."""

    allocation_id: str
    pool_id: str
    cidr: Cidr
    asks: set[str]
    requested: int
    by_create: bool
    created: int
    allocation_type: str
    acknowledged: bool = False
    returners: list[str] = field(default_factory=list)
    resumed: int = 0

    def answers(self, request: AllocateRequest, *, held: bool = False) -> None:
        """Note that it answers a request, of a resource that names it as its own or not."""
        if request.requested > self.requested:
            self.requested = request.requested
            self.resumed = self.resumed if held else request.requested

    def may_be_known(self, at: int) -> bool:
        """Whether the stack may know it: it was told of it by a later Create than the one that made it, at least."""
        return self.acknowledged or not self.by_create or self.created < self.requested <= at


@dataclass
class Owner:
    """A resource: what the service knows of it, and what CloudFormation does.

    `accepted` is what `physical_id` was the answer to; `before` what the resource asked for in an earlier life; of the
    Creates, those that were `refused` have an id of ours that says when they were made.
    """

    grants: list[Held] = field(default_factory=list)
    fence: int = -1
    returned: list[str] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    physical_id: str | None = None
    accepted: AllocateRequest | None = None
    before: AllocateRequest | None = None
    pending: tuple[AllocateRequest, str] | None = None
    to_delete: list[str] = field(default_factory=list)
    creates: list[AllocateRequest] = field(default_factory=list)
    refused: list[AllocateRequest] = field(default_factory=list)

    def for_ask(self, ask: Ask) -> Held | None:
        """Find the grant that answers an ask."""
        return next((held for held in self.grants if digest(ask) in held.asks), None)

    def for_id(self, allocation_id: str) -> Held | None:
        """Find a grant by its id."""
        return next((held for held in self.grants if held.allocation_id == allocation_id), None)


@dataclass(frozen=True)
class Event:
    """One delivery."""

    kind: Literal["create", "update", "verify", "delete", "delete-by-announcer", "abandon"]
    owner: str
    request: AllocateRequest | None = None
    held: str = ""
    at: int = 0
    announcer: str = ""
    grant: Grant | None = None


class AddressPlan(RuleBasedStateMachine):
    """See the module."""

    @initialize(seed=st.integers(0, 3))
    def set_up(self, seed: int) -> None:
        """Make a scope, two levels of pools in both families, and some processes."""
        self.store = MemoryStore()
        self.clock = FixedClock()
        self.faults: list[Fault] = []
        self.lossy = False
        self.admin = Desk(self.store, self.clock, SeededChance(f"admin {seed}"))
        self.desks = [
            Desk(Faulty(self.store, self._befall()), self.clock, SeededChance(f"desk {number} {seed}"))
            for number in range(DESKS)
        ]
        scope = self.admin.scope()
        self.spaces: dict[str, Space] = {}
        self.parents = [
            self._pool(NewPool("region 4", scope), "10.0.0.0/24"),
            self._pool(NewPool("region 6", scope, 6), "2001:db8::/120"),
        ]
        four, six = self.parents
        children = [
            NewPool("fast", scope, source_pool_id=four.pool_id, locale=REGION),
            NewPool("slow", scope, source_pool_id=four.pool_id, locale=REGION, cooling_seconds=COOLING),
            NewPool("few", scope, source_pool_id=four.pool_id, locale=REGION, quota=Quota(3, 24)),
            NewPool("six", scope, 6, six.pool_id, REGION, cooling_seconds=COOLING),
        ]
        first = ("10.0.0.0/27", "10.0.0.32/27", "10.0.0.64/27", "2001:db8::/123")
        self.pools = [self._pool(new, cidr) for new, cidr in zip(children, first, strict=True)]
        for pool, cidr in zip(self.pools, first, strict=True):
            self._took(self.spaces[pool.parent_id], Cidr.parse(cidr))
        self.owners = {f"resource {number}": Owner() for number in range(OWNERS)}
        self.withdrawn = dict.fromkeys(ANNOUNCERS, -1)
        self.history: list[Event] = []
        self.late: list[Event] = []
        for name, bits in ((0, 2), (1, 3)):
            self.create(name, 0, bits, None, 0)

    def _pool(self, new: NewPool, cidr: str) -> Pool:
        pool = self.admin.pool(new, cidr)
        block = Cidr.parse(cidr)
        self.spaces[pool.pool_id] = Space(pool, [block], addresses(block))
        return pool

    def _took(self, parent: Space, cidr: Cidr) -> None:
        parent.take(cidr)
        parent.held[f"provisioned {cidr}"] = cidr

    def _befall(self) -> Iterator[Fault]:
        while True:
            yield self.faults.pop(0) if self.faults else "none"

    # ------------------------------------------------------------------------------------------- what the plan does

    @rule(pool=st.integers(0, 3), bits=st.integers(2, 5))
    def provision_more(self, pool: int, bits: int) -> None:
        """A pool gets another block of its parent, and not everybody has heard of it when the next order comes."""
        child = self.spaces[self.pools[pool].pool_id]
        parent = self.spaces[child.pool.parent_id]
        length = {4: 32, 6: 128}[child.pool.family] - bits
        token = f"{len(child.provisioned)}"
        wanted = next((block for whole in parent.provisioned for block in whole.subnets(length)), None)
        assert wanted is not None
        try:
            given = {provision(self.admin.ports, child.pool.pool_id, length, token, "test") for _ in range(2)}
        except PoolExhaustedError:
            assert not any(
                addresses(block) <= parent.free for whole in parent.provisioned for block in whole.subnets(length)
            )
            return
        (block,) = given
        self._took(parent, block)
        child.provisioned.append(block)
        child.free |= addresses(block)

    @rule(seconds=st.sampled_from([1, 20, COOLING, 2 * COOLING]))
    def time_passes(self, seconds: int) -> None:
        """Blocks cool."""
        self.clock.advance(seconds)

    @rule(pool=st.integers(0, 3), desk=st.integers(0, DESKS - 1))
    def upkeep(self, pool: int, desk: int) -> None:
        """Upkeep runs; a run that a fault ends is no harm."""
        chosen = self.pools[pool]
        try:
            self.desks[desk].reclaim(chosen.pool_id, chosen.family)
        except StoreUnavailableError:
            return
        if not self.lossy:
            now = self.clock.now()
            assert [block for block in self.store.cooling(chosen.pool_id, 999) if block.until <= now] == []

    @rule(faults=st.lists(st.sampled_from(["none", "busy", "lost-before", "lost-after"]), min_size=1, max_size=3))
    def trouble_ahead(self, faults: list[Fault]) -> None:
        """The next commits meet trouble."""
        self.faults[:] = faults
        self.lossy = True

    # ------------------------------------------------------------------------------------- what CloudFormation sends

    @rule(
        name=st.integers(0, OWNERS - 1),
        pool=st.integers(0, 3),
        bits=st.integers(0, 5),
        exact=st.one_of(st.none(), st.integers(0, 15)),
        desk=st.integers(0, DESKS - 1),
    )
    def create(self, name: int, pool: int, bits: int, exact: int | None, desk: int) -> None:
        """A stack creates a resource, which CloudFormation believes in when it is told of an allocation."""
        owner = f"resource {name}"
        if self.owners[owner].physical_id is not None:
            return
        self._create(owner, self._request(owner, self.pools[pool], bits, exact), desk)

    @precondition(lambda self: any(owner.before and not owner.physical_id for owner in self.owners.values()))
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def put_back(self, data: st.DataObject, desk: int) -> None:
        """A resource that was taken out of a template comes back as it was, its Delete served or not."""
        name = data.draw(
            st.sampled_from([name for name, owner in self.owners.items() if owner.before and not owner.physical_id])
        )
        before = self.owners[name].before
        assert before is not None
        self._create(name, self._again(before.ask, name), desk)

    def _create(self, name: str, request: AllocateRequest, desk: int) -> None:
        answer = self._serve(Event("create", name, request), desk)
        owner = self.owners[name]
        owner.creates.append(request)
        if not isinstance(answer, Allocated):
            owner.refused.append(request)
        else:
            owner.physical_id, owner.accepted = answer.grant.allocation_id, request

    @rule(
        name=st.integers(0, OWNERS - 1), pool=st.integers(0, 3), bits=st.integers(0, 5), desk=st.integers(0, DESKS - 1)
    )
    def create_and_lose_the_answer(self, name: int, pool: int, bits: int, desk: int) -> None:
        """A stack creates a resource and never hears of it: what follows is a Delete with an id that nobody made."""
        owner = f"resource {name}"
        if self.owners[owner].physical_id is None:
            request = self._request(owner, self.pools[pool], bits, None)
            self.owners[owner].creates.append(request)
            self._serve(Event("create", owner, request), desk)

    @precondition(lambda self: any(owner.accepted and not owner.pending for owner in self.owners.values()))
    @rule(
        data=st.data(),
        pool=st.integers(0, 3),
        bits=st.integers(0, 5),
        same=st.sampled_from(["other", "other", "other", "same", "in other words", "back", "back"]),
        desk=st.integers(0, DESKS - 1),
    )
    def update(self, data: st.DataObject, pool: int, bits: int, same: str, desk: int) -> None:
        """A stack asks for something else, for the same, for the same in other words, or for what it once had."""
        name = data.draw(
            st.sampled_from([name for name, owner in self.owners.items() if owner.accepted and not owner.pending])
        )
        owner = self.owners[name]
        assert owner.accepted is not None and owner.physical_id is not None
        kind = data.draw(st.sampled_from(TYPES))
        request = _for(self._request(name, self.pools[pool], bits, None), kind)
        held = owner.for_id(owner.physical_id)
        if same == "same":
            request = self._again(owner.accepted.ask, name)
        elif same == "in other words" and held is not None:
            request = _for(self._request(name, self.spaces[held.pool_id].pool, 0, None, cidr=held.cidr), kind)
        elif same == "back" and owner.before is not None:
            request = self._again(owner.before.ask, name)
        answer = self._serve(Event("update", name, request, owner.physical_id), desk)
        if isinstance(answer, Allocated):
            owner.pending = (request, answer.grant.allocation_id)

    @precondition(lambda self: any(owner.pending for owner in self.owners.values()))
    @rule(
        data=st.data(),
        end=st.sampled_from(["accept", "accept", "roll back", "accept and roll back", "leave it"]),
        desk=st.integers(0, DESKS - 1),
    )
    def finish_an_update(self, data: st.DataObject, end: str, desk: int) -> None:
        """An Update is accepted, or something fails and it is rolled back, or it is left as it failed."""
        name = data.draw(st.sampled_from([name for name, owner in self.owners.items() if owner.pending]))
        owner = self.owners[name]
        assert owner.pending is not None and owner.accepted is not None and owner.physical_id is not None
        forward, new_id = owner.pending
        owner.pending = None
        before, old_id = owner.accepted, owner.physical_id
        if end in {"accept", "accept and roll back"}:
            owner.before, owner.accepted, owner.physical_id = owner.accepted, forward, new_id
        if end in {"roll back", "accept and roll back"}:
            back = self._again(before.ask, name)
            answer = self._serve(Event("update", name, back, owner.physical_id), desk)
            if not isinstance(answer, Allocated):
                return
            old_id, owner.physical_id, owner.accepted = owner.physical_id, answer.grant.allocation_id, back
        if old_id != owner.physical_id:
            owner.to_delete.append(old_id)

    @precondition(lambda self: any(owner.to_delete for owner in self.owners.values()))
    @rule(data=st.data(), late=st.booleans(), skew=SKEWS, desk=st.integers(0, DESKS - 1))
    def clean_up(self, data: st.DataObject, *, late: bool, skew: int, desk: int) -> None:
        """What an Update replaced is deleted, unless CloudFormation has gone back to it before it got there."""
        name = data.draw(st.sampled_from([name for name, owner in self.owners.items() if owner.to_delete]))
        owner = self.owners[name]
        allocation_id = owner.to_delete.pop(0)
        if allocation_id != owner.physical_id and (owner.pending is None or allocation_id != owner.pending[1]):
            self._send(Event("delete", name, held=allocation_id, at=self._now(skew)), desk, late=late)

    @precondition(lambda self: any(owner.physical_id for owner in self.owners.values()))
    @rule(data=st.data(), announcer=st.sampled_from(ANNOUNCERS), desk=st.integers(0, DESKS - 1))
    def verify(self, data: st.DataObject, announcer: str, desk: int) -> None:
        """A resource comes to stand for the release of what another one of the stack has."""
        name = data.draw(st.sampled_from([name for name, owner in self.owners.items() if owner.physical_id]))
        grant = self._granted(name)
        if grant is not None:
            self._serve(Event("verify", name, at=self._now(), announcer=announcer, grant=grant), desk)

    @precondition(lambda self: any(owner.physical_id and not owner.pending for owner in self.owners.values()))
    @rule(data=st.data(), announcer=st.sampled_from(ANNOUNCERS), late=st.booleans(), desk=st.integers(0, DESKS - 1))
    def delete_an_announcer(self, data: st.DataObject, announcer: str, *, late: bool, desk: int) -> None:
        """A resource that stands for a release, or never did, is deleted; the block goes with the last of them."""
        name = data.draw(
            st.sampled_from([name for name, owner in self.owners.items() if owner.physical_id and not owner.pending])
        )
        grant, owner = self._granted(name), self.owners[name]
        if grant is None:
            return
        event = Event("delete-by-announcer", name, at=self._now(), announcer=announcer, grant=grant)
        if self._send(event, desk, late=late) and owner.for_id(grant.allocation_id) is None:
            self._gone(owner)

    @precondition(lambda self: any(owner.physical_id and not owner.pending for owner in self.owners.values()))
    @rule(data=st.data(), late=st.booleans(), skew=SKEWS, desk=st.integers(0, DESKS - 1))
    def delete(self, data: st.DataObject, *, late: bool, skew: int, desk: int) -> None:
        """A resource is deleted, and its Delete is served, or waits where nobody sees it."""
        name = data.draw(
            st.sampled_from([name for name, owner in self.owners.items() if owner.physical_id and not owner.pending])
        )
        owner = self.owners[name]
        assert owner.physical_id is not None
        self._send(Event("delete", name, held=owner.physical_id, at=self._now(skew)), desk, late=late)
        self._gone(owner)

    @precondition(lambda self: self.late)
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def deliver_at_last(self, data: st.DataObject, desk: int) -> None:
        """A Delete that waited, for hours or in the dead-letter queue, is served long after it was signed."""
        event = data.draw(st.sampled_from(self.late))
        self.late.remove(event)
        self._serve(event, desk)
        owner = self.owners[event.owner]
        if owner.physical_id and owner.for_id(owner.physical_id) is None:
            # Only the last that stands for it can have ended what CloudFormation holds, as a Delete of its own stack.
            assert event.kind == "delete-by-announcer"
            self._gone(owner)

    @precondition(lambda self: len(self.history) % 3 == 0)
    @rule(data=st.data(), name=st.integers(0, OWNERS - 1), desk=st.integers(0, DESKS - 1))
    def delete_with_an_invented_id(self, data: st.DataObject, name: int, desk: int) -> None:
        """CloudFormation deletes what it never knew, perhaps before its Create was served."""
        owner = self.owners[f"resource {name}"]
        if owner.pending:
            return
        of = data.draw(st.sampled_from(owner.creates[-3:])) if owner.creates else None
        self._serve(Event("abandon", f"resource {name}", of, at=self._now()), desk)

    @precondition(lambda self: any(owner.refused for owner in self.owners.values()))
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def delete_what_was_refused(self, data: st.DataObject, desk: int) -> None:
        """CloudFormation deletes a Create that failed, however much later, and whatever the resource has by then."""
        name = data.draw(st.sampled_from([name for name, owner in self.owners.items() if owner.refused]))
        owner = self.owners[name]
        of, has = data.draw(st.sampled_from(owner.refused)), owner.physical_id
        self._now()
        self._serve(Event("abandon", name, of, at=of.requested), desk)
        assert owner.physical_id == has

    @precondition(lambda self: self.history)
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def deliver_again(self, data: st.DataObject, desk: int) -> None:
        """Any event comes once more, however late."""
        self._serve(data.draw(st.sampled_from(self.history[-12:])), desk)

    # ------------------------------------------------------------------------------------------------- how it is served

    def _now(self, skew: int = 0) -> int:
        """Tell when a request is made: each at a time of its own, but for a clock that is behind."""
        self.clock.advance(1)
        return self.clock.now() - 1000 * skew

    def _granted(self, name: str) -> Grant | None:
        """Tell what a stack knows of the allocation that it holds."""
        return self.store.owner(self.admin.request(name).owner).for_id(self.owners[name].physical_id)

    def _gone(self, owner: Owner) -> None:
        """CloudFormation has the resource no more."""
        owner.before, owner.physical_id, owner.accepted, owner.pending = owner.accepted, None, None, None

    def _send(self, event: Event, desk: int, *, late: bool) -> bool:
        """Deliver a Delete now, or let it wait; say which."""
        if late:
            self.late.append(event)
        else:
            self._serve(event, desk)
        return not late

    def _request(
        self, name: str, pool: Pool, bits: int, exact: int | None, *, cidr: Cidr | None = None
    ) -> AllocateRequest:
        width = {4: 32, 6: 128}[pool.family]
        if exact is not None:
            whole = self.spaces[pool.pool_id].provisioned[0]
            cidr = Cidr(pool.family, whole.first + ((exact << bits) & (whole.size - 1)), width - bits)
        return self.admin.request(
            name,
            None if cidr else width - bits,
            cidr=None if cidr is None else str(cidr),
            pool=pool,
            family=pool.family,
            at=self._now(),
        )

    def _again(self, ask: Ask, name: str) -> AllocateRequest:
        return AllocateRequest(self.admin.request(name).owner, ACCOUNT, ask, "", self._now(), "test")

    def _serve(self, event: Event, desk: int) -> object:
        """Deliver an event until it is answered, and hold the answer against the model."""
        if event not in self.history:
            self.history.append(event)
        for space in self.spaces.values():
            space.settle(self.clock.now())
        lossless = not self.faults
        owner = self.owners[event.owner]
        for delivery in range(5):
            try:
                answer: object = self._deliver(event, self.desks[(desk + delivery) % DESKS])
            except StoreUnavailableError:
                continue
            except IpamError as refused:
                answer = refused
            break
        else:
            message = "a store that works again does not answer"
            raise AssertionError(message)
        self.faults.clear()
        for space in self.spaces.values():
            space.settle(self.clock.now())
        if event.kind == "create":
            assert event.request is not None
            self._allocates(owner, event.request, answer)
        elif event.kind == "update":
            self._revises(owner, event, answer)
        elif event.kind == "verify":
            self._verifies(owner, event, answer)
        else:
            expected = self._ends(owner, event)
            assert not lossless or answer in expected, f"{answer} instead of {expected}"
        return answer

    def _deliver(self, event: Event, desk: Desk) -> object:
        match event:
            case Event("create", _, AllocateRequest() as request):
                return desk.allocate(request)
            case Event("update", _, AllocateRequest() as request, held):
                return desk.revise(request, held)
            case Event("verify", at=at, announcer=announcer, grant=Grant() as grant):
                return desk.verify(announcer, claim(grant), at=at)
            case Event("delete", owner, held=held, at=at):
                return desk.release(owner, held, at=at)
            case Event("delete-by-announcer", at=at, announcer=announcer, grant=Grant() as grant):
                return desk.release_in_stack(announcer, grant, at=at)
            case _:
                return desk.abandon(event.owner, event.request, at=event.at)

    # ------------------------------------------------------------------------------------------ what has to come of it

    def _allocates(self, owner: Owner, request: AllocateRequest, answer: object) -> None:
        """One ask has one allocation; a new one takes what is free; a refusal has its reason (I1, I4)."""
        ask = request.ask
        held = owner.for_ask(ask)
        if held is not None:
            assert isinstance(answer, Allocated), answer
            assert (answer.outcome, answer.grant.allocation_id) == ("kept", held.allocation_id)
            held.answers(request)
            return
        assert ask.pool_id is not None
        space = self.spaces[ask.pool_id]
        length = ask.netmask_length if ask.cidr is None else ask.cidr.length
        assert length is not None
        reasons = set()
        if not space.has_room(ask):
            reasons.add(CidrNotFreeError.__name__ if ask.cidr else PoolExhaustedError.__name__)
        if request.requested <= owner.fence:
            reasons.add("SupersededError")
        elif space.over_quota(length):
            reasons.add("QuotaExceededError")
        if reasons:
            assert type(answer).__name__ in reasons, f"{answer!r}, but {reasons}"
            return
        assert isinstance(answer, Allocated), f"{answer!r}, but there is room"
        grant = answer.grant
        assert grant.cidr.length == length and ask.cidr in {None, grant.cidr}
        space.take(grant.cidr)
        assert grant.allocation_id not in space.held
        space.held[grant.allocation_id] = grant.cidr
        owner.grants.append(
            Held(
                grant.allocation_id,
                space.pool.pool_id,
                grant.cidr,
                {digest(ask)},
                request.requested,
                grant.by_create,
                grant.created,
                ask.allocation_type,
            )
        )

    def _revises(self, owner: Owner, event: Event, answer: object) -> None:
        """What satisfies the new ask is kept; whatever an earlier Update left and nobody accepted is released."""
        assert event.request is not None
        request, ask = event.request, event.request.ask
        known = owner.for_id(event.held)
        wanted = owner.for_ask(ask)
        if wanted is None and known is not None and ask.pool_id == known.pool_id:
            same = ask.cidr == known.cidr if ask.cidr else ask.netmask_length == known.cidr.length
            wanted = known if same and ask.allocation_type == known.allocation_type else None
        left = [
            held
            for held in owner.grants
            if held is not wanted
            and held is not known
            and not (held.acknowledged or held.by_create)
            and held.requested < request.requested
        ]
        fence = max([owner.fence, *(held.requested for held in left)])
        for held in left:
            self._gives_back(owner, held, held.requested)
        if left:
            # No older Update comes back; how much more is fenced is the service's choice, but never the Update itself.
            stored = self.store.owner(request.owner).fence
            assert stored is not None and stored >= fence
            assert wanted is not None or stored < request.requested or stored == fence
            owner.fence = stored
        if wanted is None:
            self._allocates(owner, request, answer)
            if isinstance(answer, Allocated):
                assert not answer.grant.by_create
        else:
            assert isinstance(answer, Allocated), answer
            assert (answer.outcome, answer.grant.allocation_id) == ("kept", wanted.allocation_id)
            wanted.answers(request, held=wanted is known)
            wanted.asks.add(digest(ask))
            if wanted is known:
                owner.fence = max(owner.fence, request.requested)
        if known is not None and isinstance(answer, Allocated):
            known.acknowledged = True

    def _verifies(self, owner: Owner, event: Event, answer: object) -> None:
        """Who is told that what it says is true stands for the release from then on, and proves that it is known."""
        assert event.grant is not None
        held = owner.for_id(event.grant.allocation_id)
        if held is None:
            assert isinstance(answer, NoSuchAllocationError), answer
            return
        if event.announcer not in held.returners and event.at <= self.withdrawn[event.announcer]:
            assert isinstance(answer, SupersededError), answer
            return
        assert isinstance(answer, Grant), answer
        held.acknowledged = True
        held.requested = max(held.requested, event.at)
        if event.announcer not in held.returners:
            held.returners.append(event.announcer)

    def _ends(self, owner: Owner, event: Event) -> set[str]:
        """A Delete ends what is not younger than it is; of several that stand for a release, the last one does."""
        if event.kind == "abandon":
            return {self._abandons(owner, event)}
        allocation_id = event.held if event.grant is None else event.grant.allocation_id
        held = owner.for_id(allocation_id)
        if held is None:
            # Too old in any case: a process that has not heard of the release may say so and look no further.
            late = {"unverified-delete"} if event.at < owner.ended.get(allocation_id, 0) else set()
            known = allocation_id in owner.returned[-RETURNED_KEPT:]
            return {"already-released" if known else "unverified-delete"} | late
        if event.kind == "delete" and not held.resumed <= event.at >= held.requested - SKEW:
            return {"unverified-delete"}
        if event.kind == "delete-by-announcer":
            if event.at < held.requested or event.announcer not in held.returners:
                return {"unverified-delete"}
            if len(held.returners) > 1:
                held.returners.remove(event.announcer)
                self.withdrawn[event.announcer] = max(self.withdrawn[event.announcer], event.at)
                return {"nothing-to-release"}
        self._gives_back(owner, held, event.at)
        return {"released"}

    def _abandons(self, owner: Owner, event: Event) -> str:
        at, asked = event.at, None if event.request is None else digest(event.request.ask)
        unaccepted = [
            held for held in owner.grants if held.requested <= at and asked in held.asks and not held.may_be_known(at)
        ]
        for held in unaccepted:
            self._gives_back(owner, held, at)
            if owner.physical_id == held.allocation_id:
                self._gone(owner)
        if any(held.requested <= at for held in owner.grants):
            return "released" if unaccepted else "unverified-delete"
        owner.fence = max(owner.fence, at)
        return "released" if unaccepted else "nothing-to-release"

    def _gives_back(self, owner: Owner, held: Held, at: int) -> None:
        self.spaces[held.pool_id].give_back(held.allocation_id, self.clock.now())
        owner.grants.remove(held)
        owner.returned.append(held.allocation_id)
        owner.ended[held.allocation_id] = held.requested
        owner.fence = max(owner.fence, at, held.requested)

    # ------------------------------------------------------------------------------------------ what always has to hold

    @invariant()
    def the_invariants_hold(self) -> None:
        """I1 to I7, read off the store."""
        if hasattr(self, "store"):
            check(self.store)

    @invariant()
    def what_cloudformation_holds_is_there(self) -> None:
        """However late and however often anything came: what a resource was given and not deleted is allocated."""
        if hasattr(self, "owners"):
            for name, owner in self.owners.items():
                assert owner.physical_id is None or owner.for_id(owner.physical_id), f"{name} has lost its block"

    @invariant()
    def the_records_are_what_the_model_says(self) -> None:
        """Grant by grant: what was answered when, what is known, and who stands for its release."""
        for name, owner in getattr(self, "owners", {}).items():
            record = self.store.owner(self.admin.request(name).owner)
            assert {
                (
                    grant.allocation_id,
                    grant.requested,
                    grant.resumed,
                    grant.acknowledged,
                    grant.by_create,
                    grant.returners,
                )
                for grant in record.grants
            } == {
                (
                    held.allocation_id,
                    held.requested,
                    held.resumed,
                    held.acknowledged,
                    held.by_create,
                    tuple(held.returners),
                )
                for held in owner.grants
            }
            assert record.fence == (None if owner.fence < 0 else owner.fence)

    @invariant()
    def the_store_is_what_the_model_says(self) -> None:
        """Address by address: free, held by the very allocation, or cooling."""
        if not hasattr(self, "spaces"):
            return
        now = self.clock.now()
        for pool_id, space in self.spaces.items():
            space.settle(now)
            cooling = self.store.cooling(pool_id, 999)
            free = [
                *self.store.all_free(pool_id, space.pool.family),
                *(each.cidr for each in cooling if each.until <= now),
            ]
            assert {address for cidr in free for address in addresses(cidr)} == space.free
            held = {each.allocation_id: each.cidr for each in self.store.allocations(pool_id)}
            if pool_id in {pool.pool_id for pool in self.pools}:
                assert held == space.held
                still = {str(each.cidr) for each in cooling if each.until > now}
                assert still == {str(cidr) for cidr, _ in space.cooling}
            else:
                assert set(held.values()) == set(space.held.values())

    def teardown(self) -> None:
        """I2: after upkeep the free space is canonical."""
        if hasattr(self, "store"):
            for pool in self.store.plan().pools.values():
                self.admin.reclaim(pool.pool_id, pool.family)
            check(self.store, canonical=True)


TestAddressPlan = AddressPlan.TestCase
TestAddressPlan.settings = settings(stateful_step_count=50)
