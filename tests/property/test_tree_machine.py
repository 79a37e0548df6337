"""A year of a whole address plan against a plain model of it: pools in pools, and everything that can happen to them.

Pools of both families are made, changed, emptied and deleted in a tree of three levels, while stacks of two accounts
order, renew, preview, redeem and give back, upkeep comes by, and an administrator takes things away. Requests come
again, and answers are lost. After each step the store has to keep the invariants and to be what the model says.
A failure prints the steps; `pytest --hypothesis-profile=search` looks for more, and what it prints repeats them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ipam.adapters.memory import MemoryStore
from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.errors import (
    CidrNotFreeError,
    CidrNotInPoolError,
    InUseError,
    IpamError,
    NameTakenError,
    NoSuchPreviewError,
    PoolExhaustedError,
    StoreUnavailableError,
)
from ipam.domain.owner import digest
from ipam.domain.pool import AllocationRules, Quota, units
from ipam.services.deprovision import deprovision
from ipam.services.leases import MAX_NOTICE, NOTICE_SHARE
from ipam.services.order import Allocated, AllocateRequest
from ipam.services.plan import current_plan
from ipam.services.pools import NewPool, create_pool, delete_pool, edit_pool
from ipam.services.ports import NoDeadline
from ipam.services.provision import provision
from ipam.services.release_by_administrator import release_by_administrator
from ipam.services.upkeep import keep_up
from tests.builders import ACCOUNT, REGION, STACK, Desk, FixedClock, SeededChance
from tests.faults import Faulty
from tests.invariants import check
from tests.orders import from_pools, limited, previewed, redeeming, tagged, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.allocation import Allocation
    from ipam.domain.cidr import Family
    from ipam.domain.owner import Grant
    from ipam.domain.pool import AllocationType, Pool, Strategy, Tag
    from tests.faults import Fault

DESKS: Final = 3
RESOURCES: Final = 6
DEPTH: Final = 3
MOST_POOLS: Final = 9
OTHER: Final = "444455556666"
ACCOUNTS: Final = (ACCOUNT, OTHER)
NAMES: Final = ("ash", "beech", "cedar", "elm", "fir", "larch", "oak", "pine", "yew", "willow")
TEAM: Final[Tag] = ("team", "a")
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
PLAN_AGE: Final = 31
"""Seconds after which no process remembers an older plan."""

TOP: Final[dict[Family, Cidr]] = {4: Cidr.parse("10.0.0.0/22"), 6: Cidr.parse("2001:db8::/118")}
"""What is there to be divided: a thousand addresses of each family."""

RULES: Final = (
    AllocationRules(),
    AllocationRules(strategy="sparse"),
    AllocationRules(lease_seconds=2 * DAY),
    AllocationRules(lease_seconds=HOUR, required_tags=(TEAM,)),
)


@dataclass
class Held:
    """What somebody has of a pool: a stack, or a child pool."""

    allocation_id: str
    cidr: Cidr
    party: str
    account: str
    kind: AllocationType
    until: int | None = None
    preview: bool = False
    warned: bool = False

    def over(self, now: int) -> bool:
        """Whether it is a preview whose time is over: nobody can have it any more, whether it was ended or not."""
        return self.preview and self.until is not None and self.until <= now


@dataclass
class Node:
    """A pool, or the scope."""

    pool_id: str
    parent_id: str
    family: Family | None
    depth: int
    pool: Pool | None = None
    provisioned: list[Cidr] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    cooling: dict[Cidr, tuple[int, int]] = field(default_factory=dict)

    @property
    def seconds(self) -> int:
        """How long what was released is kept from everyone."""
        return 0 if self.pool is None else self.pool.cooling_seconds

    def users(self, now: int, inside: Cidr | None = None) -> list[Cidr]:
        """What is not free, all of it or inside a block."""
        held = [each.cidr for each in self.held.values() if not each.over(now)]
        cools = [cidr for cidr, (_, latest) in self.cooling.items() if latest > now]
        return [cidr for cidr in (*held, *cools) if inside is None or inside.contains(cidr)]

    def possible(self, length: int, now: int) -> Iterator[Cidr]:
        """Give the free blocks of a netmask length."""
        users = self.users(now)
        for whole in self.provisioned:
            if whole.length <= length:
                yield from (cidr for cidr in whole.subnets(length) if not any(cidr.overlaps(each) for each in users))

    def is_free(self, cidr: Cidr, now: int) -> bool:
        """Whether an exact block is free."""
        return not any(cidr.overlaps(each) for each in self.users(now))

    def has(self, cidr: Cidr) -> bool:
        """Whether a block lies in what it has."""
        return any(whole.contains(cidr) for whole in self.provisioned)

    def counted(self, account: str, now: int) -> tuple[int, int]:
        """What an account holds of it: allocations, and units."""
        mine = [each for each in self.held.values() if each.account == account and not each.over(now)]
        return len(mine), sum(units(each.cidr) for each in mine)

    def take(self, held: Held) -> None:
        """Note what somebody has from now on."""
        assert self.has(held.cidr), f"{held.cidr} is nowhere provisioned"
        assert held.allocation_id not in self.held
        self.held[held.allocation_id] = held

    def cool(self, cidr: Cidr, earliest: int, latest: int) -> None:
        """Note a block that was released, and between when and when it becomes free."""
        self.cooling[cidr] = (earliest, latest)


@dataclass
class Resource:
    """A resource of a stack: what CloudFormation holds for it, and what that was the answer to."""

    name: str
    account: str
    held: str = ""
    pool_id: str = ""
    accepted: AllocateRequest | None = None

    @property
    def stack(self) -> str:
        """The stack that it is in."""
        return STACK.replace(ACCOUNT, self.account)


@dataclass(frozen=True)
class Sent:
    """A Create or an Update, to be delivered again."""

    resource: str
    request: AllocateRequest
    held: str


class Tree(RuleBasedStateMachine):
    """See the module."""

    @initialize(seed=st.integers(0, 3), cooling=st.sampled_from([0, MINUTE]))
    def set_up(self, seed: int, cooling: int) -> None:
        """Make a scope, a pool of each family below it, one below each of these, and some processes."""
        self.store = MemoryStore()
        self.clock = FixedClock()
        self.faults: list[Fault] = []
        self.admin = Desk(self.store, self.clock, SeededChance(f"admin {seed}"))
        self.desks = [
            Desk(Faulty(self.store, self._befall()), self.clock, SeededChance(f"desk {number} {seed}"))
            for number in range(DESKS)
        ]
        self.scope = self.admin.scope()
        world = [Cidr(family, 0, 0) for family in WIDTHS]
        self.nodes = {self.scope: Node(self.scope, "", None, 0, provisioned=world)}
        self.resources = [
            Resource(f"resource {number}", ACCOUNTS[number % len(ACCOUNTS)]) for number in range(RESOURCES)
        ]
        self.sent: list[Sent] = []
        self.tokens: list[tuple[str, str]] = []
        self.orders = 0
        self.known_by = 0
        self.began = self.clock.now()
        for family, name in ((4, "ash"), (6, "beech")):
            top = self._make(NewPool(name, self.scope, family, cooling_seconds=cooling))  # type: ignore[arg-type]
            self._provision(self.nodes[top.pool_id], TOP[top.family])
            child = NewPool(f"{name} vpcs", self.scope, top.family, top.pool_id, REGION, cooling_seconds=MINUTE)
            self._provision(self.nodes[self._make(child).pool_id], WIDTHS[top.family] - 8)

    def _befall(self) -> Iterator[Fault]:
        while True:
            yield self.faults.pop(0) if self.faults else "none"

    # --------------------------------------------------------------------------------------------- what is done to the plan

    @precondition(lambda self: len(self.nodes) <= MOST_POOLS)
    @rule(
        parent=st.integers(0, MOST_POOLS),
        name=st.sampled_from(NAMES),
        rules=st.sampled_from(RULES),
        cooling=st.sampled_from([0, MINUTE, DAY]),
        quota=st.sampled_from([Quota(), Quota(3, None), Quota(None, 24)]),
        told=st.booleans(),
    )
    def make_a_pool(  # noqa: PLR0913 - what a pool is
        self, parent: int, name: str, rules: AllocationRules, cooling: int, quota: Quota, *, told: bool
    ) -> None:
        """An administrator makes a pool somewhere in the tree; every name is given once."""
        above = self._pools()[parent % len(self._pools())]
        if above.depth >= DEPTH:
            return
        assert above.pool is not None
        locale = REGION if above.depth == DEPTH - 1 else above.pool.locale
        new = NewPool(name, self.scope, above.pool.family, above.pool_id, locale, "", rules=rules)
        new = replace(new, quota=quota, cooling_seconds=cooling)
        if any(node.pool is not None and node.pool.name == name for node in self.nodes.values()):
            self._refused(lambda: create_pool(self.admin.ports, new, "test"), NameTakenError)
            return
        self._make(new)
        self._tell(at_once=told)

    @rule(
        pool=st.integers(0, MOST_POOLS), bits=st.integers(3, 8), place=st.none() | st.integers(0, 63), told=st.booleans()
    )
    def provision_more(self, pool: int, bits: int, place: int | None, *, told: bool) -> None:
        """A pool gets a block of its parent, any or an exact one."""
        node = self._pools()[pool % len(self._pools())]
        above = self.nodes[node.parent_id]
        if above.pool is None:
            return
        length = WIDTHS[above.pool.family] - bits
        wanted: Cidr | int = length
        if place is not None:
            first = TOP[above.pool.family].first + ((place << bits) & (TOP[above.pool.family].size - 1))
            wanted = Cidr(above.pool.family, first, length)
        self._provision(node, wanted)
        self._tell(at_once=told)

    @rule(pool=st.integers(0, MOST_POOLS), which=st.integers(0, 5), cascade=st.booleans(), told=st.booleans())
    def deprovision_some(self, pool: int, which: int, *, cascade: bool, told: bool) -> None:
        """A pool gives a block back; what is in use stays, unless everything in it is to go."""
        node = self._pools()[pool % len(self._pools())]
        if not node.provisioned or (cascade and node.depth == 1):
            return
        cidr = node.provisioned[which % len(node.provisioned)]
        now = self.clock.now()
        if not cascade and node.users(now, cidr):
            self._refused(lambda: deprovision(self.admin.ports, node.pool_id, cidr, "test"), InUseError)
            return
        deprovision(self.admin.ports, node.pool_id, cidr, "test", cascade=cascade)
        self._gone(node, cidr, now)
        self._tell(at_once=told)

    @rule(pool=st.integers(0, MOST_POOLS), cascade=st.booleans(), told=st.booleans())
    def delete_a_pool(self, pool: int, *, cascade: bool, told: bool) -> None:
        """A pool goes, with all that is below it if that is wanted; what is in use keeps it otherwise."""
        node = self._pools()[pool % len(self._pools())]
        if node.depth == 1:
            return
        now = self.clock.now()
        children = any(each.parent_id == node.pool_id for each in self.nodes.values())
        if not cascade and (children or node.users(now)):
            self._refused(lambda: delete_pool(self.admin.ports, node.pool_id, "test"), InUseError)
            return
        delete_pool(self.admin.ports, node.pool_id, "test", cascade=cascade)
        self._deleted(node, now)
        self._tell(at_once=told)

    @rule(
        pool=st.integers(0, MOST_POOLS),
        what=st.sampled_from(["lease", "no lease", "quota", "lengths", "limits", "tags", "cooling", "strategy", "all"]),
    )
    def change_the_rules(self, pool: int, what: str) -> None:
        """An administrator changes what a pool gives; what was given stays, and everybody hears of it in time."""
        node = self._pools()[pool % len(self._pools())]
        assert node.pool is not None
        width = WIDTHS[node.pool.family]
        rules, old = node.pool.rules, node.pool
        changes: dict[str, Pool] = {
            "lease": replace(old, rules=replace(rules, lease_seconds=DAY)),
            "no lease": replace(old, rules=replace(rules, lease_seconds=None)),
            "quota": replace(old, quota=Quota(2, 16)),
            "lengths": replace(old, rules=replace(rules, min_netmask_length=width - 4)),
            "limits": replace(old, rules=replace(rules, disallowed_cidrs=tuple(old_half(node)))),
            "tags": replace(old, rules=replace(rules, required_tags=(TEAM,))),
            "cooling": replace(old, cooling_seconds=HOUR),
            "strategy": replace(old, rules=replace(rules, strategy=other_strategy(rules.strategy))),
            "all": replace(old, rules=AllocationRules(), quota=Quota()),
        }
        new = changes[what]
        node.pool = edit_pool(
            self.admin.ports,
            node.pool_id,
            lambda _: new,
            "test",
        )
        self._tell(at_once=True)

    def _make(self, new: NewPool) -> Pool:
        """Create a pool, and note it."""
        pool = create_pool(self.admin.ports, new, "test")
        above = self.nodes[pool.parent_id]
        self.nodes[pool.pool_id] = Node(pool.pool_id, pool.parent_id, pool.family, above.depth + 1, pool)
        return pool

    def _provision(self, node: Node, wanted: Cidr | int) -> None:
        """Provision, twice with one token, and note what came of it."""
        above, now = self.nodes[node.parent_id], self.clock.now()
        self.orders += 1
        token = f"order {self.orders}"
        try:
            given = {provision(self.admin.ports, node.pool_id, wanted, token, "test") for _ in range(2)}
        except CidrNotInPoolError:
            assert isinstance(wanted, Cidr) and not above.has(wanted)
            return
        except CidrNotFreeError:
            assert isinstance(wanted, Cidr) and not above.is_free(wanted, now)
            return
        except PoolExhaustedError:
            assert isinstance(wanted, int) and next(above.possible(wanted, now), None) is None
            return
        (cidr,) = given
        assert above.is_free(cidr, now)
        assert cidr == wanted if isinstance(wanted, Cidr) else cidr.length == wanted
        (block,) = (each for each in self.store.plan().provisioned(node.pool_id) if each.cidr == cidr)
        above.take(Held(block.allocation_id, cidr, node.pool_id, "", "ipam-pool"))
        node.provisioned.append(cidr)

    def _gone(self, node: Node, cidr: Cidr, began: int) -> tuple[int, int]:
        """Note that a pool has given a block back, with all that was in it; tell between when and when that cools."""
        now = self.clock.now()
        above = self.nodes[node.parent_id]
        waits = [(began + above.seconds * 1000, now + above.seconds * 1000)]
        for held in [each for each in node.held.values() if cidr.contains(each.cidr)]:
            if held.kind == "ipam-pool":
                waits.append(self._gone(self.nodes[held.party], held.cidr, began))
            else:
                del node.held[held.allocation_id]
                pause = 0 if held.preview else node.seconds * 1000
                waits.append((began + pause, now + pause))
        for cools in [each for each in node.cooling if cidr.contains(each)]:
            waits.append(node.cooling.pop(cools))
        node.provisioned.remove(cidr)
        (mine,) = (each for each in above.held.values() if (each.party, each.cidr) == (node.pool_id, cidr))
        del above.held[mine.allocation_id]
        until = max(earliest for earliest, _ in waits), max(latest for _, latest in waits)
        above.cool(cidr, *until)
        return until

    def _deleted(self, node: Node, began: int) -> None:
        """Note that a pool is gone, with all that was below it."""
        for child in [each for each in self.nodes.values() if each.parent_id == node.pool_id]:
            self._deleted(child, began)
        for cidr in list(node.provisioned):
            self._gone(node, cidr, began)
        del self.nodes[node.pool_id]

    def _tell(self, *, at_once: bool) -> None:
        """Let everybody hear of a change of the plan, or only in a while."""
        if at_once:
            self.clock.advance(PLAN_AGE)
        else:
            self.known_by = self.clock.now() + PLAN_AGE * 1000

    # ------------------------------------------------------------------------------------------------------- what stacks send

    @rule(
        resource=st.integers(0, RESOURCES - 1),
        pools=st.lists(st.integers(0, MOST_POOLS), min_size=1, max_size=3),
        bits=st.integers(0, 5),
        place=st.none() | st.none() | st.integers(0, 63),
        kind=st.sampled_from(["vpc", "custom"]),
        held=st.sampled_from([0, 0, 5 * MINUTE, 2 * HOUR]),
        aside=st.booleans(),
        desk=st.integers(0, DESKS - 1),
    )
    def order(  # noqa: PLR0913 - what a request says
        self,
        resource: int,
        pools: list[int],
        bits: int,
        place: int | None,
        kind: AllocationType,
        held: int,
        desk: int,
        *,
        aside: bool,
    ) -> None:
        """A stack orders a block, or a preview of one; what it has already is replaced, and given back."""
        chosen = [self._pools()[number % len(self._pools())] for number in pools]
        family = chosen[0].pool.family if chosen[0].pool is not None else 4
        nodes = list({node.pool_id: node for node in chosen}.values())
        if self.clock.now() < self.known_by:
            # Whose plan is older may take a pool for full that has got more, and go on to the next.
            nodes = nodes[:1]
        self.clock.advance(1)
        length = None if place is not None else WIDTHS[family] - bits
        exact = None if place is None else self._exact(family, bits, place)
        of = self.resources[resource]
        request = self.admin.request(
            of.name,
            length,
            cidr=None if exact is None else str(exact),
            family=family,
            allocation_type=kind,
            account=of.account,
            stack=of.stack,
        )
        request = from_pools(request, *(node.pool_id for node in nodes))
        request = tagged(request, *([TEAM] if bits % 2 else []))
        if aside and exact is None:
            request = limited(request, disallowed=(str(self._exact(family, 6, bits)),))
        if held:
            request = previewed(request, held)
        self._send(of, request, desk)

    @precondition(lambda self: any(each.accepted for each in self.resources))
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def renew(self, data: st.DataObject, desk: int) -> None:
        """A stack asks for the same again: a lease begins anew, a preview does not, and what is gone is replaced."""
        of = data.draw(st.sampled_from([each for each in self.resources if each.accepted]))
        assert of.accepted is not None
        self.clock.advance(1)
        self._send(of, replace(of.accepted, requested=self.clock.now()), desk)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), resource=st.integers(0, RESOURCES - 1), desk=st.integers(0, DESKS - 1))
    def redeem(self, data: st.DataObject, resource: int, desk: int) -> None:
        """Somebody comes with a token, in time or late, of the account or not, for the first or the second time."""
        token, _ = data.draw(st.sampled_from(self.tokens[-6:]))
        of = self.resources[resource]
        self.clock.advance(1)
        plain = self.admin.request(of.name, account=of.account, stack=of.stack)
        family: Family = 6 if "::" in token else 4
        plain = replace(plain, ask=replace(plain.ask, family=family))
        self._send(of, tagged(redeeming(plain, token), TEAM), desk)

    @precondition(lambda self: any(each.held for each in self.resources))
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def delete(self, data: st.DataObject, desk: int) -> None:
        """A stack goes."""
        of = data.draw(st.sampled_from([each for each in self.resources if each.held]))
        self.clock.advance(1)
        self._end(of, of.held, desk)
        of.held, of.pool_id, of.accepted = "", "", None

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def deliver_again(self, data: st.DataObject, desk: int) -> None:
        """Any request comes once more: answered with what it has, or refused; it never gets a second block."""
        sent = data.draw(st.sampled_from(self.sent[-8:]))
        answer = self._deliver(sent, desk)
        mine = self._grant(sent)
        if mine is None:
            assert not isinstance(answer, Allocated), f"{sent} got another block"
        else:
            assert isinstance(answer, Allocated) and answer.grant.allocation_id == mine.allocation_id
            assert answer.grant.expires == mine.expires

    def _send(self, of: Resource, request: AllocateRequest, desk: int) -> None:
        """Send a Create, or an Update of what there is, and let CloudFormation do what it then does."""
        sent = Sent(of.name, request, of.held)
        before = self._grant(sent)
        expected = [] if before is not None else self._expected(request)
        began = self.clock.now()
        answer = self._deliver(sent, desk)
        self.sent.append(sent)
        if before is not None:
            assert isinstance(answer, Allocated), answer
            assert answer.grant.allocation_id == before.allocation_id
            self._renewed(answer.grant, began)
        elif isinstance(answer, Allocated):
            self._allocated(of, request, answer.grant, expected, began)
        else:
            names = {name for _, reasons in expected for name in reasons}
            assert all(reasons for _, reasons in expected), f"{answer!r}, but {expected}"
            assert type(answer).__name__ in names, f"{answer!r}, but {names}"
            return
        assert isinstance(answer, Allocated)
        old, of.held, of.pool_id, of.accepted = of.held, answer.grant.allocation_id, answer.grant.pool_id, request
        if old not in {"", of.held}:
            self.clock.advance(1)
            self._end(of, old, desk)

    def _expected(self, request: AllocateRequest) -> list[tuple[Node | None, set[str]]]:
        """Tell for each pool that is asked why it refuses; the first without a reason serves."""
        ask = request.ask
        if ask.preview_token:
            return [self._redeemable(request)]
        return [
            (self.nodes.get(pool_id), self._reasons(self.nodes.get(pool_id), request)) for pool_id in ask.pools
        ]

    def _reasons(self, node: Node | None, request: AllocateRequest) -> set[str]:
        """Tell why a pool does not serve an order; all that hold, whichever is met first."""
        if node is None or node.pool is None:
            return {"NoSuchPoolError"}
        ask, pool, now = request.ask, node.pool, self.clock.now()
        length = ask.netmask_length if ask.cidr is None else ask.cidr.length
        assert length is not None
        reasons = set()
        if pool.family != ask.family or pool.locale not in ({REGION} if ask.allocation_type == "vpc" else {"", REGION}):
            reasons.add("PoolMismatchError")
        if pool.rules.min_netmask_length is not None and length < pool.rules.min_netmask_length:
            reasons.add("NetmaskLengthError")
        if any(tag not in request.tags for tag in pool.rules.required_tags):
            reasons.add("MissingTagError")
        outside = (*pool.rules.disallowed_cidrs, *ask.disallowed_cidrs)
        if ask.cidr is not None:
            hit = any(each.overlaps(ask.cidr) for each in outside)
            reasons |= {"AllocationRuleError"} if hit else set()
            reasons |= set() if node.has(ask.cidr) else {"CidrNotInPoolError"}
            reasons |= set() if node.is_free(ask.cidr, now) else {"CidrNotFreeError"}
        elif not any(
            not any(each.overlaps(cidr) for each in outside) for cidr in node.possible(length, now)
        ):
            reasons.add("PoolExhaustedError")
        allocations, counted = node.counted(request.account, now)
        size = units(Cidr(ask.family, 0, length))
        over = pool.quota.allocations is not None and allocations + 1 > pool.quota.allocations
        if over or (pool.quota.units is not None and counted + size > pool.quota.units):
            reasons.add("QuotaExceededError")
        return reasons

    def _redeemable(self, request: AllocateRequest) -> tuple[Node | None, set[str]]:
        """Tell why a token is worth nothing."""
        allocation_id, pool_id, _ = request.ask.preview_token.split("@")
        node = self.nodes.get(pool_id)
        held = None if node is None else node.held.get(allocation_id)
        if node is None or held is None or not held.preview or held.over(self.clock.now()):
            return node, {NoSuchPreviewError.__name__}
        if held.account != request.account or (node.pool is not None and node.pool.locale != REGION):
            return node, {NoSuchPreviewError.__name__}
        return node, set()

    def _allocated(
        self,
        of: Resource,
        request: AllocateRequest,
        grant: Grant,
        expected: list[tuple[Node | None, set[str]]],
        began: int,
    ) -> None:
        """Note an allocation: from the first pool that could serve, and with what the pools before it did."""
        serves = next((node for node, reasons in expected if not reasons), None)
        assert serves is not None, f"{grant}, but {expected}"
        assert serves.pool is not None and grant.pool_id == serves.pool_id
        ask = request.ask
        if ask.preview_token:
            token = ask.preview_token.split("@")
            old = serves.held.pop(token[0])
            assert grant.cidr == old.cidr
        else:
            assert serves.is_free(grant.cidr, began), f"{grant.cidr} was not free"
            length = ask.netmask_length if ask.cidr is None else ask.cidr.length
            assert grant.cidr.length == length and ask.cidr in {None, grant.cidr}
            outside = (*serves.pool.rules.disallowed_cidrs, *ask.disallowed_cidrs)
            assert not any(each.overlaps(grant.cidr) for each in outside)
            before = expected[: expected.index((serves, set()))]
            names = [node.pool.name for node, _ in before if node is not None and node.pool is not None]
            assert [name for name, _ in grant.passed_over] == names
            assert all(f"{why}Error" in reasons for (_, why), (_, reasons) in zip(grant.passed_over, before, strict=True))
            self._over_are_gone(serves, grant.cidr)
        seconds = request.preview_seconds or serves.pool.rules.lease_seconds
        if seconds is None:
            assert grant.expires is None
        else:
            assert grant.expires is not None
            assert began + seconds * 1000 <= grant.expires <= self.clock.now() + seconds * 1000
        assert grant.preview == ask.preview
        kind = ask.allocation_type
        serves.take(Held(grant.allocation_id, grant.cidr, of.stack, of.account, kind, grant.expires, grant.preview))
        if grant.preview:
            self.tokens.append((token_of(grant), of.account))

    def _over_are_gone(self, node: Node, cidr: Cidr) -> None:
        """Forget the previews that were over and whose blocks are somebody else's now."""
        for held in list(node.held.values()):
            if held.cidr.overlaps(cidr):
                assert held.over(self.clock.now())
                del node.held[held.allocation_id]
        for cools in [each for each in node.cooling if each.overlaps(cidr)]:
            del node.cooling[cools]

    def _renewed(self, grant: Grant, began: int) -> None:
        """Note until when something lasts that was asked for anew."""
        node = self.nodes[grant.pool_id]
        held = node.held[grant.allocation_id]
        assert node.pool is not None
        if held.until is None or held.preview:
            assert grant.expires == held.until
            return
        seconds = node.pool.rules.lease_seconds
        if grant.expires is None:
            assert seconds is None, "a lease has no end any more, though the pool gives leases"
        else:
            # A process that has not heard of the pool yet leaves the lease as it is.
            least = held.until if seconds is None else max(held.until, began + seconds * 1000)
            assert grant.expires >= least or (self.clock.now() < self.known_by and grant.expires == held.until)
            assert seconds is not None or grant.expires == held.until
        held.warned = held.warned and grant.expires == held.until
        held.until = grant.expires

    def _end(self, of: Resource, allocation_id: str, desk: int) -> None:
        """Release what CloudFormation names, and note what came of it."""
        node = next((each for each in self.nodes.values() if allocation_id in each.held), None)
        began = self.clock.now()
        releasing = self.admin.giving_back(of.name, account=of.account, stack=of.stack)
        answer = self._until_answered(
            desk, lambda at: at.release_for(releasing, allocation_id)
        )
        if node is None:
            assert answer == "already-released", answer
            return
        assert answer in {"released", "already-released"}, answer
        self._freed(node, node.held.pop(allocation_id), began)

    def _freed(self, node: Node, held: Held, began: int) -> None:
        """Note that a block was given back, or taken back."""
        pause = 0 if held.preview else node.seconds * 1000
        node.cool(held.cidr, began + pause, self.clock.now() + pause)

    # ------------------------------------------------------------------------------------------------------------- what happens

    @rule(seconds=st.sampled_from([1, MINUTE, HOUR, 12 * HOUR, 2 * DAY]))
    def time_passes(self, seconds: int) -> None:
        """Blocks cool, previews and leases end."""
        self.clock.advance(seconds)

    @rule(faults=st.lists(st.sampled_from(["none", "busy", "lost-before", "lost-after"]), min_size=1, max_size=3))
    def trouble_ahead(self, faults: list[Fault]) -> None:
        """The next commits of stacks' requests and of upkeep meet trouble."""
        self.faults[:] = faults

    @rule(desk=st.integers(0, DESKS - 1))
    def upkeep(self, desk: int) -> None:
        """Everything that is due is done: afterwards nothing is over, nothing has cooled, nothing is to be joined."""
        lossless = not self.faults
        report = None
        for _ in range(2):
            report = keep_up(self.desks[desk].ports, NoDeadline())
            self._after_upkeep()
        self.faults.clear()
        if not lossless:
            return
        assert report is not None and not report.failures
        now = self.clock.now()
        for pool_id in self.nodes:
            assert [block for block in self.store.cooling(pool_id, 999) if block.until <= now] == []
            assert [lease for lease in self.store.leases(pool_id) if lease.preview and lease.until <= now] == []
        check(self.store, canonical=True)

    def _after_upkeep(self) -> None:
        """Look at what upkeep did to leases, and whether it was due."""
        now = self.clock.now()
        for node in self.nodes.values():
            leases = {lease.allocation_id: lease for lease in self.store.leases(node.pool_id)}
            for held in list(node.held.values()):
                lease = leases.get(held.allocation_id)
                if held.until is None or held.preview:
                    continue
                if lease is None:
                    # Only what does not carry a network ends, only when its time is over, and never unannounced.
                    assert held.kind == "custom" and held.warned and held.until <= now, f"{held} was ended"
                    self._freed(node, node.held.pop(held.allocation_id), self.began)
                    continue
                assert node.pool is not None
                seconds = node.pool.rules.lease_seconds
                notice = MAX_NOTICE if seconds is None else min(MAX_NOTICE, seconds * 1000 // NOTICE_SHARE)
                if lease.until != held.until or lease.warned != held.warned:
                    assert lease.warned and not held.warned and held.until - now <= notice
                    assert lease.until == held.until or lease.until > now
                held.until, held.warned = lease.until, lease.warned

    @precondition(lambda self: any(each.held for each in self.resources))
    @rule(data=st.data())
    def take_away(self, data: st.DataObject) -> None:
        """An administrator releases what somebody has; the stack is not told."""
        everything = [(node, held) for node in self.nodes.values() for held in node.held.values()]
        held = [(node, each) for node, each in everything if each.kind != "ipam-pool"]
        if not held:
            return
        node, one = data.draw(st.sampled_from(held))
        allocation = self.store.allocation(node.pool_id, one.cidr)
        assert allocation is not None
        began = self.clock.now()
        assert release_by_administrator(self.admin.ports, allocation, "test", NoDeadline()) == "released"
        self._freed(node, node.held.pop(one.allocation_id), began)

    # ------------------------------------------------------------------------------------------------------------ how it is done

    def _pools(self) -> list[Node]:
        """The pools, in the order in which they were made."""
        return [node for node in self.nodes.values() if node.pool is not None]

    def _exact(self, family: Family, bits: int, place: int) -> Cidr:
        """A block somewhere in what there is."""
        top = TOP[family]
        return Cidr(family, top.first + ((place << bits) & (top.size - 1)), WIDTHS[family] - bits)

    def _grant(self, sent: Sent) -> Grant | None:
        """Give what a request has been answered with and still has."""
        grant = self.store.owner(sent.request.owner).for_ask(digest(sent.request.ask))
        if grant is None:
            return None
        held = self.nodes[grant.pool_id].held[grant.allocation_id]
        later = sent.request.requested > grant.requested
        return None if sent.held and later and held.over(self.clock.now()) else grant

    def _deliver(self, sent: Sent, desk: int) -> object:
        """Deliver a Create or an Update until it is answered."""
        if sent.held:
            return self._until_answered(desk, lambda at: at.revise(sent.request, sent.held))
        return self._until_answered(desk, lambda at: at.allocate(sent.request))

    def _until_answered(self, desk: int, serve: Callable[[Desk], object]) -> object:
        """Have something served, by one process after the other, until one of them answers."""
        self.began = self.clock.now()
        for delivery in range(5):
            try:
                return serve(self.desks[(desk + delivery) % DESKS])
            except StoreUnavailableError:
                continue
            except IpamError as refused:
                return refused
            finally:
                self._settle()
        message = "a store that works again does not answer"
        raise AssertionError(message)

    def _refused(self, work: Callable[[], object], why: type[IpamError]) -> None:
        """See that something is refused."""
        try:
            work()
        except why:
            return
        message = f"no {why.__name__}"
        raise AssertionError(message)
