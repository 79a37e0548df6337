"""A day of an address plan against a plain model of it: sets of addresses, and what CloudFormation was told.

Several processes serve requests on one store; requests come again, late, out of order and after lost answers; time
passes. After every step the store's own content has to keep the invariants and to be what the model says.
A failure prints the steps; `pytest --hypothesis-profile=search` looks for more, and what it prints repeats them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ipam.adapters.memory import MemoryStore
from ipam.domain.cidr import Cidr
from ipam.domain.errors import CidrNotFreeError, IpamError, PoolExhaustedError, StoreUnavailableError
from ipam.domain.owner import RETURNED_KEPT, digest
from ipam.domain.pool import Quota, units
from ipam.services.allocate import Allocated, AllocateRequest
from ipam.services.plan import NewPool
from ipam.services.provision import provision
from tests.builders import ACCOUNT, REGION, Desk, FixedClock, SeededChance
from tests.faults import Faulty
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.pool import Ask, Pool
    from tests.faults import Fault

DESKS = 3
OWNERS = 4
COOLING = 60


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
    acknowledged: bool = False


@dataclass
class Owner:
    """A resource: what the service knows of it, and what CloudFormation does."""

    grants: list[Held] = field(default_factory=list)
    fence: int = -1
    returned: list[str] = field(default_factory=list)
    physical_id: str | None = None
    accepted: AllocateRequest | None = None
    pending: tuple[AllocateRequest, str] | None = None
    to_delete: list[str] = field(default_factory=list)

    def for_ask(self, ask: Ask) -> Held | None:
        """Find the grant that answers an ask."""
        return next((held for held in self.grants if digest(ask) in held.asks), None)

    def for_id(self, allocation_id: str) -> Held | None:
        """Find a grant by its id."""
        return next((held for held in self.grants if held.allocation_id == allocation_id), None)


@dataclass(frozen=True)
class Event:
    """One delivery."""

    kind: Literal["create", "update", "delete", "delete-by-announcer", "abandon"]
    owner: str
    request: AllocateRequest | None = None
    held: str = ""
    before: AllocateRequest | None = None
    at: int = 0
    claim: Any = None


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
        self.history: list[Event] = []
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
        request = self._request(owner, self.pools[pool], bits, exact, by_create=True)
        answer = self._serve(Event("create", owner, request), desk)
        if isinstance(answer, Allocated):
            self.owners[owner].physical_id = answer.grant.allocation_id
            self.owners[owner].accepted = request

    @rule(
        name=st.integers(0, OWNERS - 1), pool=st.integers(0, 3), bits=st.integers(0, 5), desk=st.integers(0, DESKS - 1)
    )
    def create_and_lose_the_answer(self, name: int, pool: int, bits: int, desk: int) -> None:
        """A stack creates a resource and never hears of it: what follows is a Delete with an id that nobody made."""
        owner = f"resource {name}"
        if self.owners[owner].physical_id is None:
            self._serve(
                Event("create", owner, self._request(owner, self.pools[pool], bits, None, by_create=True)), desk
            )

    @precondition(lambda self: any(owner.accepted and not owner.pending for owner in self.owners.values()))
    @rule(
        data=st.data(),
        pool=st.integers(0, 3),
        bits=st.integers(0, 5),
        same=st.sampled_from(["other", "other", "other", "same", "in other words"]),
        desk=st.integers(0, DESKS - 1),
    )
    def update(self, data: st.DataObject, pool: int, bits: int, same: str, desk: int) -> None:
        """A stack changes what it asks for, asks for the same again, or says the same in other words."""
        name = data.draw(
            st.sampled_from([name for name, owner in self.owners.items() if owner.accepted and not owner.pending])
        )
        owner = self.owners[name]
        assert owner.accepted is not None and owner.physical_id is not None
        request = self._request(name, self.pools[pool], bits, None, by_create=False)
        held = owner.for_id(owner.physical_id)
        if same == "same":
            request = self._again(owner.accepted.ask)
        elif same == "in other words" and held is not None:
            request = self._request(name, self.spaces[held.pool_id].pool, 0, None, by_create=False, cidr=held.cidr)
        request = AllocateRequest(
            self.admin.request(name).owner, ACCOUNT, request.ask, "", request.requested, "test", by_create=False
        )
        answer = self._serve(Event("update", name, request, owner.physical_id, owner.accepted), desk)
        if isinstance(answer, Allocated):
            owner.pending = (request, answer.grant.allocation_id)

    @precondition(lambda self: any(owner.pending for owner in self.owners.values()))
    @rule(
        data=st.data(),
        end=st.sampled_from(["accept", "roll back", "accept and roll back"]),
        desk=st.integers(0, DESKS - 1),
    )
    def finish_an_update(self, data: st.DataObject, end: str, desk: int) -> None:
        """An Update is accepted, or something else in the stack fails and it is rolled back."""
        name = data.draw(st.sampled_from([name for name, owner in self.owners.items() if owner.pending]))
        owner = self.owners[name]
        assert owner.pending is not None and owner.accepted is not None and owner.physical_id is not None
        forward, new_id = owner.pending
        owner.pending = None
        before, old_id = owner.accepted, owner.physical_id
        if end != "roll back":
            owner.accepted, owner.physical_id = forward, new_id
        if end != "accept":
            back = self._again(before.ask, name)
            answer = self._serve(Event("update", name, back, owner.physical_id, forward), desk)
            if not isinstance(answer, Allocated):
                return
            old_id, owner.physical_id, owner.accepted = owner.physical_id, answer.grant.allocation_id, back
        if old_id != owner.physical_id:
            owner.to_delete.append(old_id)

    @precondition(lambda self: any(owner.to_delete for owner in self.owners.values()))
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def clean_up(self, data: st.DataObject, desk: int) -> None:
        """What an Update replaced is deleted."""
        name = data.draw(st.sampled_from([name for name, owner in self.owners.items() if owner.to_delete]))
        allocation_id = self.owners[name].to_delete.pop(0)
        self._serve(Event("delete", name, held=allocation_id, at=self._now()), desk)

    @precondition(lambda self: any(owner.physical_id and not owner.pending for owner in self.owners.values()))
    @rule(data=st.data(), announced=st.booleans(), desk=st.integers(0, DESKS - 1))
    def delete(self, data: st.DataObject, *, announced: bool, desk: int) -> None:
        """A stack is deleted: by the resource itself, or by the one that stands for the release."""
        name = data.draw(
            st.sampled_from([name for name, owner in self.owners.items() if owner.physical_id and not owner.pending])
        )
        owner = self.owners[name]
        assert owner.physical_id is not None
        held = owner.for_id(owner.physical_id)
        kind: Literal["delete", "delete-by-announcer"] = "delete"
        said = None
        if announced and held is not None:
            kind, said = (
                "delete-by-announcer",
                self.store.owner(self.admin.request(name).owner).for_id(owner.physical_id),
            )
        self._serve(Event(kind, name, held=owner.physical_id, at=self._now(), claim=said), desk)
        owner.physical_id = owner.accepted = None

    @precondition(lambda self: len(self.history) % 3 == 0)
    @rule(name=st.integers(0, OWNERS - 1), desk=st.integers(0, DESKS - 1))
    def delete_with_an_invented_id(self, name: int, desk: int) -> None:
        """CloudFormation deletes what it never knew, perhaps before its Create was served."""
        if self.owners[f"resource {name}"].pending:
            return
        self._serve(Event("abandon", f"resource {name}", at=self._now()), desk)

    @precondition(lambda self: self.history)
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def deliver_again(self, data: st.DataObject, desk: int) -> None:
        """Any event comes once more, however late."""
        self._serve(data.draw(st.sampled_from(self.history[-12:])), desk)

    # ------------------------------------------------------------------------------------------------- how it is served

    def _now(self) -> int:
        """Tell when a request is made: each at a time of its own."""
        self.clock.advance(1)
        return self.clock.now()

    def _request(  # noqa: PLR0913 - what a stack can say
        self, name: str, pool: Pool, bits: int, exact: int | None, *, by_create: bool, cidr: Cidr | None = None
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
            by_create=by_create,
        )

    def _again(self, ask: Ask, name: str = "") -> AllocateRequest:
        return AllocateRequest(self.admin.request(name).owner, ACCOUNT, ask, "", self._now(), "test", by_create=False)

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
        else:
            expected = self._abandons(owner, event.at) if event.kind == "abandon" else self._releases(owner, event)
            assert not lossless or answer == expected, f"{answer} instead of {expected}"
        return answer

    def _deliver(self, event: Event, desk: Desk) -> object:
        match event:
            case Event("create", _, AllocateRequest() as request):
                return desk.allocate(request)
            case Event("update", _, AllocateRequest() as request, held, AllocateRequest() as before):
                return desk.revise(request, held, before)
            case Event("delete", owner, held=held, at=at):
                return desk.release(owner, held, at=at)
            case Event("delete-by-announcer", at=at, claim=claim):
                return desk.release_in_stack("announcer", claim, at=at)
            case _:
                return desk.abandon(event.owner, at=event.at)

    # ------------------------------------------------------------------------------------------ what has to come of it

    def _allocates(self, owner: Owner, request: AllocateRequest, answer: object) -> None:
        """One ask has one allocation; a new one takes what is free; a refusal has its reason (I1, I4)."""
        ask = request.ask
        held = owner.for_ask(ask)
        if held is not None:
            assert isinstance(answer, Allocated), answer
            assert (answer.outcome, answer.grant.allocation_id) == ("kept", held.allocation_id)
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
                grant.allocation_id, space.pool.pool_id, grant.cidr, {digest(ask)}, request.requested, request.by_create
            )
        )

    def _revises(self, owner: Owner, event: Event, answer: object) -> None:
        """What satisfies the new ask is kept; a rollback takes back what was never accepted."""
        assert event.request is not None and event.before is not None
        request, ask = event.request, event.request.ask
        held = owner.for_ask(ask)
        known = owner.for_id(event.held)
        if held is None and known is not None and (ask.pool_id, ask.cidr) == (known.pool_id, known.cidr):
            held = known
        if (
            held is None
            and known is not None
            and (ask.pool_id, ask.netmask_length) == (known.pool_id, known.cidr.length)
        ):
            held = known
        if held is None:
            self._allocates(owner, request, answer)
            return
        assert isinstance(answer, Allocated), answer
        assert (answer.outcome, answer.grant.allocation_id) == ("kept", held.allocation_id)
        if held.allocation_id != event.held:
            return
        other = owner.for_ask(event.before.ask)
        if (
            other
            and other is not held
            and not (other.acknowledged or other.by_create)
            and other.requested <= request.requested
        ):
            self._gives_back(owner, other, request.requested)
        held.acknowledged = True
        held.asks.add(digest(ask))
        owner.fence = max(owner.fence, request.requested)

    def _releases(self, owner: Owner, event: Event) -> str:
        held = owner.for_id(event.held)
        if held is not None:
            self._gives_back(owner, held, event.at)
            return "released"
        return "already-released" if event.held in owner.returned[-RETURNED_KEPT:] else "unverified-delete"

    def _abandons(self, owner: Owner, at: int) -> str:
        unaccepted = [
            held for held in owner.grants if held.by_create and not held.acknowledged and held.requested <= at
        ]
        for held in unaccepted:
            self._gives_back(owner, held, at)
            if owner.physical_id == held.allocation_id:
                owner.physical_id = owner.accepted = owner.pending = None
        if any(held.acknowledged or not held.by_create for held in owner.grants):
            return "released" if unaccepted else "unverified-delete"
        owner.fence = max(owner.fence, at)
        return "released" if unaccepted else "nothing-to-release"

    def _gives_back(self, owner: Owner, held: Held, at: int) -> None:
        self.spaces[held.pool_id].give_back(held.allocation_id, self.clock.now())
        owner.grants.remove(held)
        owner.returned.append(held.allocation_id)
        owner.fence = max(owner.fence, at)

    # ------------------------------------------------------------------------------------------ what always has to hold

    @invariant()
    def the_invariants_hold(self) -> None:
        """I1 to I7, read off the store."""
        if hasattr(self, "store"):
            check(self.store)

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
