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

from ipam.adapters.memory.store import MemoryStore
from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.errors import (
    AllocationRuleError,
    CidrNotFreeError,
    CidrNotInPoolError,
    InUseError,
    IpamError,
    MissingTagError,
    NameTakenError,
    NetmaskLengthError,
    NoSuchPoolError,
    NoSuchPreviewError,
    PoolExhaustedError,
    PoolMismatchError,
    QuotaExceededError,
    StoreUnavailableError,
)
from ipam.domain.owner import digest
from ipam.domain.pool import AllocationRules, Quota, units
from ipam.services.deprovision import deprovision
from ipam.services.leases import MAX_NOTICE, NOTICE_SHARE
from ipam.services.pools import NewPool, create_pool, delete_pool, edit_pool
from ipam.services.ports import NoDeadline
from ipam.services.provision import provision
from ipam.services.release import release
from ipam.services.release_by_administrator import release_by_administrator
from ipam.services.request import Allocated, AllocateRequest
from ipam.services.upkeep import keep_up
from tests.builders import ACCOUNT, REGION, STACK, Desk, FixedClock, SeededChance
from tests.faults import Faulty
from tests.invariants import check
from tests.orders import from_pools, limited, previewed, redeeming, tagged, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.domain.cidr import Family
    from ipam.domain.owner import Grant
    from ipam.domain.plan import Ask
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
    """A pool, or the scope, which is none."""

    pool_id: str
    parent_id: str
    depth: int
    pool: Pool | None = None
    provisioned: list[Cidr] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    cooling: dict[Cidr, int] = field(default_factory=dict)

    @property
    def seconds(self) -> int:
        """How long what was released is kept from everyone."""
        return 0 if self.pool is None else self.pool.cooling_seconds

    def gives(self, family: Family) -> bool:
        """Whether it is where stacks order such blocks."""
        return self.pool is not None and (self.pool.family, self.pool.locale) == (family, REGION)

    def users(self, now: int, inside: Cidr | None = None) -> list[Cidr]:
        """What is not free, all of it or inside a block."""
        held = [each.cidr for each in self.held.values() if not each.over(now)]
        cools = [cidr for cidr, until in self.cooling.items() if until > now]
        return [cidr for cidr in (*held, *cools) if inside is None or inside.contains(cidr)]

    def possible(self, length: int, now: int) -> Iterator[Cidr]:
        """Give the free blocks of a netmask length."""
        users = self.users(now)
        for whole in self.provisioned:
            if whole.length <= length <= WIDTHS[whole.family]:
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

    def end(self, allocation_id: str, now: int) -> None:
        """Note that somebody has something no more."""
        held = self.held.pop(allocation_id)
        if self.seconds and not held.preview:
            self.cooling[held.cidr] = now + self.seconds * 1000

    def half(self) -> tuple[Cidr, ...]:
        """Half of what it was given first."""
        return () if not self.provisioned else tuple(self.provisioned[0].subnets(self.provisioned[0].length + 1))[:1]


@dataclass
class Resource:
    """A resource of a stack: what CloudFormation holds for it, and what that was the answer to."""

    name: str
    account: str
    held: str = ""
    accepted: AllocateRequest | None = None

    @property
    def stack(self) -> str:
        """The stack that it is in."""
        return STACK.replace(ACCOUNT, self.account)


@dataclass(frozen=True)
class Sent:
    """A Create, or an Update of what is held, to be delivered again."""

    request: AllocateRequest
    held: str


@dataclass(frozen=True)
class Wish:
    """What a stack orders, as far as that can be said of a plan that is not known yet."""

    resource: int
    family: Family
    pools: list[int]
    bits: int
    place: int | None
    kind: AllocationType
    held: int
    aside: bool
    astray: bool
    tagged: bool


wishes = st.builds(
    Wish,
    st.integers(0, RESOURCES - 1),
    st.sampled_from([4, 4, 6]),
    st.lists(st.integers(0, MOST_POOLS), min_size=1, max_size=3),
    st.integers(0, 5),
    st.sampled_from([None, None, None, *range(0, 64, 5)]),
    st.sampled_from(["vpc", "custom", "custom"]),
    st.sampled_from([0, 0, 5 * MINUTE, 2 * HOUR]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([False, False, False, False, False, True]),
    st.sampled_from([False, True, True]),
)

Expected = list[tuple["Node | None", set[str]]]
"""Pools in the order in which they are tried, each with the refusals that are right; none says that it serves."""


class Standing(FixedClock):
    """A clock that goes on only when it is told to: whoever waits for others waits no time here."""

    def sleep(self, milliseconds: int) -> None:
        """See the port."""
        del milliseconds


class Tree(RuleBasedStateMachine):
    """See the module."""

    @initialize(seed=st.integers(0, 3), cooling=st.sampled_from([0, MINUTE]))
    def set_up(self, seed: int, cooling: int) -> None:
        """Make a scope, a pool of each family below it, two below each of these, and some processes."""
        self.store = MemoryStore()
        self.clock = Standing()
        self.faults: list[Fault] = []
        self.admin = Desk(self.store, self.clock, SeededChance(f"admin {seed}"))
        self.desks = [
            Desk(Faulty(self.store, self._befall()), self.clock, SeededChance(f"desk {number} {seed}"))
            for number in range(DESKS)
        ]
        self.scope = self.admin.scope()
        world = [Cidr(family, 0, 0) for family in WIDTHS]
        self.nodes = {self.scope: Node(self.scope, "", 0, provisioned=world)}
        self.resources = [
            Resource(f"resource {number}", ACCOUNTS[number % len(ACCOUNTS)]) for number in range(RESOURCES)
        ]
        self.sent: list[Sent] = []
        self.tokens: list[tuple[str, Sent]] = []
        self.orders = 0
        self.known_by = 0
        for family, name in zip(TOP, NAMES, strict=False):
            top = self._make(NewPool(name, self.scope, family, cooling_seconds=cooling))
            self._provision(self.nodes[top.pool_id], TOP[family])
            vpcs = NewPool(f"{name} vpcs", self.scope, family, top.pool_id, REGION, cooling_seconds=MINUTE)
            things = replace(vpcs, name=f"{name} things", rules=RULES[-1], quota=Quota(4, None))
            for child in (vpcs, things):
                self._provision(self.nodes[self._make(child).pool_id], WIDTHS[family] - 6)

    def _befall(self) -> Iterator[Fault]:
        while True:
            yield self.faults.pop(0) if self.faults else "none"

    # ----------------------------------------------------------------------------------------- what is done to the plan

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
        pool=st.integers(0, MOST_POOLS),
        bits=st.integers(3, 8),
        place=st.none() | st.integers(0, 63),
        told=st.booleans(),
    )
    def provision_more(self, pool: int, bits: int, place: int | None, *, told: bool) -> None:
        """A pool gets a block of its parent, any or an exact one."""
        node = self._pools()[pool % len(self._pools())]
        assert node.pool is not None
        family = node.pool.family
        wanted = WIDTHS[family] - bits if place is None else self._exact(family, bits, place)
        self._provision(node, TOP[family] if node.depth == 1 else wanted)
        self._tell(at_once=told)

    @rule(
        pool=st.integers(0, MOST_POOLS),
        which=st.integers(0, 5),
        cascade=st.sampled_from([False, False, False, True]),
        told=st.booleans(),
    )
    def deprovision_some(self, pool: int, which: int, *, cascade: bool, told: bool) -> None:
        """A pool gives a block back; what is in use stays, unless everything in it is to go."""
        node = self._pools()[pool % len(self._pools())]
        if not node.provisioned:
            return
        cidr = node.provisioned[which % len(node.provisioned)]
        now = self.clock.now()
        if not cascade and node.users(now, cidr):
            self._refused(lambda: deprovision(self.admin.ports, node.pool_id, cidr, "test"), InUseError)
            return
        deprovision(self.admin.ports, node.pool_id, cidr, "test", cascade=cascade)
        self._gone(node, cidr)
        self._tell(at_once=told)

    @rule(pool=st.integers(0, MOST_POOLS), cascade=st.sampled_from([False, False, False, True]), told=st.booleans())
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
        self._deleted(node)
        self._tell(at_once=told)

    @rule(
        pool=st.integers(0, MOST_POOLS),
        what=st.sampled_from(["lease", "no lease", "quota", "lengths", "limits", "tags", "cooling", "strategy", "all"]),
    )
    def change_the_rules(self, pool: int, what: str) -> None:
        """An administrator changes what a pool gives; what was given stays, and everybody hears of it in time."""
        node = self._pools()[pool % len(self._pools())]
        assert node.pool is not None
        old, rules = node.pool, node.pool.rules
        sparse: Strategy = "sparse" if rules.strategy == "best-fit" else "best-fit"
        changes: dict[str, Pool] = {
            "lease": replace(old, rules=replace(rules, lease_seconds=DAY)),
            "no lease": replace(old, rules=replace(rules, lease_seconds=None)),
            "quota": replace(old, quota=Quota(2, 16)),
            "lengths": replace(old, rules=replace(rules, min_netmask_length=WIDTHS[old.family] - 4)),
            "limits": replace(old, rules=replace(rules, disallowed_cidrs=node.half())),
            "tags": replace(old, rules=replace(rules, required_tags=(TEAM,))),
            "cooling": replace(old, cooling_seconds=HOUR),
            "strategy": replace(old, rules=replace(rules, strategy=sparse)),
            "all": replace(old, rules=AllocationRules(), quota=Quota()),
        }
        node.pool = edit_pool(self.admin.ports, node.pool_id, lambda _: changes[what], "test")
        self._tell(at_once=True)

    def _make(self, new: NewPool) -> Pool:
        """Create a pool, and note it."""
        pool = create_pool(self.admin.ports, new, "test")
        above = self.nodes[pool.parent_id]
        self.nodes[pool.pool_id] = Node(pool.pool_id, pool.parent_id, above.depth + 1, pool)
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

    def _gone(self, node: Node, cidr: Cidr) -> None:
        """Note that a pool has given a block back, with all that was in it: it cools as long as the last of that."""
        now, above = self.clock.now(), self.nodes[node.parent_id]
        for held in [each for each in node.held.values() if cidr.contains(each.cidr)]:
            if held.kind == "ipam-pool":
                self._gone(self.nodes[held.party], held.cidr)
            else:
                node.end(held.allocation_id, now)
        inside = [each for each in node.cooling if cidr.contains(each)]
        until = max([now + above.seconds * 1000, *(node.cooling.pop(each) for each in inside)])
        node.provisioned.remove(cidr)
        (mine,) = (each for each in above.held.values() if (each.party, each.cidr) == (node.pool_id, cidr))
        del above.held[mine.allocation_id]
        if until > now:
            above.cooling[cidr] = until

    def _deleted(self, node: Node) -> None:
        """Note that a pool is gone, with all that was below it."""
        for child in [each for each in self.nodes.values() if each.parent_id == node.pool_id]:
            self._deleted(child)
        for cidr in list(node.provisioned):
            self._gone(node, cidr)
        del self.nodes[node.pool_id]

    def _tell(self, *, at_once: bool) -> None:
        """Let everybody hear of a change of the plan, or only in a while."""
        if at_once:
            self.clock.advance(PLAN_AGE)
        else:
            self.known_by = self.clock.now() + PLAN_AGE * 1000

    # ------------------------------------------------------------------------------------------------- what stacks send

    @rule(asked=st.lists(wishes, min_size=2, max_size=8), desk=st.integers(0, DESKS - 1))
    def order(self, asked: list[Wish], desk: int) -> None:
        """Stacks order blocks, or previews of some; what they have already is replaced, and given back."""
        for wish in asked:
            self._order(wish, desk)

    def _order(self, wish: Wish, desk: int) -> None:
        """Make a request of a wish, and send it."""
        pools = [node for node in self._pools() if wish.astray or node.gives(wish.family)] or self._pools()
        nodes = list({pools[number % len(pools)].pool_id: pools[number % len(pools)] for number in wish.pools}.values())
        if self.clock.now() < self.known_by:
            # Whose plan is older may take a pool for full that has got more, and go on to the next.
            nodes = nodes[:1]
        self.clock.advance(1)
        exact = None if wish.place is None else self._exact(wish.family, wish.bits, wish.place, nodes[0])
        of = self.resources[wish.resource]
        request = self.admin.request(
            of.name,
            WIDTHS[wish.family] - wish.bits if exact is None else None,
            cidr=None if exact is None else str(exact),
            family=wish.family,
            allocation_type=wish.kind,
            account=of.account,
            stack=of.stack,
        )
        request = from_pools(request, *(node.pool_id for node in nodes))
        request = tagged(request, TEAM) if wish.tagged else request
        if wish.aside and exact is None:
            request = limited(request, disallowed=(str(self._exact(wish.family, 5, wish.bits, nodes[0])),))
        self._send(of, previewed(request, wish.held) if wish.held else request, desk)

    @precondition(lambda self: any(each.accepted for each in self.resources))
    @rule(data=st.data(), desk=st.integers(0, DESKS - 1))
    def renew(self, data: st.DataObject, desk: int) -> None:
        """A stack asks for the same again: a lease begins anew, a preview does not, and what is gone is replaced."""
        of = data.draw(st.sampled_from([each for each in self.resources if each.accepted]))
        assert of.accepted is not None
        self.clock.milliseconds = max(self.known_by, self.clock.now() + 1000)
        self._send(of, replace(of.accepted, requested=self.clock.now()), desk)

    @precondition(lambda self: self.tokens)
    @rule(
        which=st.integers(1, 4),
        who=st.lists(st.integers(0, RESOURCES - 1), min_size=1, max_size=3),
        again=st.booleans(),
    )
    def redeem(self, which: int, who: list[int], *, again: bool) -> None:
        """Some come with one token, in time or late, of the account or not: the first that may have it does."""
        token, preview = self.tokens[-min(which, len(self.tokens))]
        for number in who:
            self._redeem(token, self.resources[number], number % DESKS)
        if again:
            self._deliver_again(preview, which % DESKS)

    def _redeem(self, token: str, of: Resource, desk: int) -> None:
        """Come with a token."""
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
        of.held, of.accepted = "", None

    @precondition(lambda self: self.sent)
    @rule(which=st.lists(st.integers(1, 12), min_size=1, max_size=4), desk=st.integers(0, DESKS - 1))
    def deliver_again(self, which: list[int], desk: int) -> None:
        """Any requests come once more: answered with what they have, or refused; they never get a second block."""
        for number in which:
            self._deliver_again(self.sent[-min(number, len(self.sent))], desk)

    def _deliver_again(self, sent: Sent, desk: int) -> None:
        """Deliver a request that was answered, and see that it is answered so, or is over."""
        mine = self.store.owner(sent.request.owner).for_ask(digest(sent.request.ask))
        over = mine is not None and self.nodes[mine.pool_id].held[mine.allocation_id].over(self.clock.now())
        answer = self._deliver(sent, desk)
        if isinstance(answer, Allocated):
            assert mine is not None, f"{sent} got another block"
            assert (answer.grant.allocation_id, answer.grant.expires) == (mine.allocation_id, mine.expires)
        else:
            # A preview that is over may be ended by this very request, if that wants its room.
            assert mine is None or over

    def _send(self, of: Resource, request: AllocateRequest, desk: int) -> None:
        """Send a Create, or an Update of what there is, and let CloudFormation do what it then does."""
        sent = Sent(request, of.held)
        before = self._kept(sent)
        expected = [] if before else self._expected(request)
        answer = self._deliver(sent, desk)
        if before:
            assert isinstance(answer, Allocated), answer
            assert (answer.outcome, answer.grant.allocation_id) == ("kept", before)
            self._renewed(answer.grant)
        elif isinstance(answer, Allocated):
            self._allocated(of, request, answer.grant, expected)
        else:
            assert all(reasons for _, reasons in expected), f"{answer!r}, but {expected}"
            assert type(answer).__name__ in {each for _, reasons in expected for each in reasons}, f"{answer!r}"
            return
        self.sent.append(sent)
        old, of.held, of.accepted = of.held, answer.grant.allocation_id, request
        if old not in {"", of.held}:
            self.clock.advance(1)
            self._end(of, old, desk)

    def _kept(self, sent: Sent) -> str:
        """Tell what a request is answered with that is there already: what was asked for, or what satisfies it."""
        ask = sent.request.ask
        record = self.store.owner(sent.request.owner)
        grant = record.for_ask(digest(ask))
        if grant is not None:
            held = self.nodes[grant.pool_id].held[grant.allocation_id]
            return "" if held.over(self.clock.now()) else grant.allocation_id
        grant = record.for_id(sent.held)
        if grant is None or grant.preview or ask.preview or ask.preview_token:
            return ""
        node = self.nodes[grant.pool_id]
        length = ask.netmask_length if ask.cidr is None else ask.cidr.length
        same = length == grant.cidr.length and ask.cidr in {None, grant.cidr}
        aside = not any(each.overlaps(grant.cidr) for each in ask.disallowed_cidrs)
        return grant.allocation_id if same and aside and node.pool_id in ask.pools and self._fits(node, ask) else ""

    def _fits(self, node: Node, ask: Ask) -> bool:
        """Whether a pool serves such requests at all."""
        assert node.pool is not None
        locales = {REGION} if ask.allocation_type == "vpc" else {"", REGION}
        return node.pool.family == ask.family and node.pool.locale in locales

    def _expected(self, request: AllocateRequest) -> Expected:
        """Tell for each pool that is asked why it refuses; the first without a reason serves."""
        ask = request.ask
        if ask.preview_token:
            return [self._redeemable(request)]
        nodes = [self.nodes.get(pool_id) for pool_id in ask.pools]
        if None in nodes:
            return [(None, {NoSuchPoolError.__name__})]
        return [(node, self._reasons(node, request)) for node in nodes if node is not None]

    def _reasons(self, node: Node, request: AllocateRequest) -> set[str]:
        """Tell why a pool does not serve an order; all that hold, whichever is met first."""
        assert node.pool is not None
        ask, rules, now = request.ask, node.pool.rules, self.clock.now()
        length = ask.netmask_length if ask.cidr is None else ask.cidr.length
        assert length is not None
        outside = (*rules.disallowed_cidrs, *ask.disallowed_cidrs)
        exact = ask.cidr
        if exact is None:
            possible = (cidr for cidr in node.possible(length, now) if not any(map(cidr.overlaps, outside)))
            space = {PoolExhaustedError.__name__: next(possible, None) is None}
        else:
            space = {
                AllocationRuleError.__name__: any(map(exact.overlaps, outside)),
                CidrNotInPoolError.__name__: not node.has(exact),
                CidrNotFreeError.__name__: not node.is_free(exact, now),
            }
        limit, (allocations, counted) = node.pool.quota, node.counted(request.account, now)
        too_many = limit.allocations is not None and allocations + 1 > limit.allocations
        too_much = limit.units is not None and counted + units(Cidr(ask.family, 0, length)) > limit.units
        shortest = rules.min_netmask_length
        refuses = space | {
            PoolMismatchError.__name__: not self._fits(node, ask),
            NetmaskLengthError.__name__: shortest is not None and length < shortest,
            MissingTagError.__name__: any(tag not in request.tags for tag in rules.required_tags),
            QuotaExceededError.__name__: too_many or too_much,
        }
        return {name for name, holds in refuses.items() if holds}

    def _redeemable(self, request: AllocateRequest) -> tuple[Node | None, set[str]]:
        """Tell whether a token is worth anything."""
        allocation_id, pool_id, _ = request.ask.preview_token.split("@")
        node = self.nodes.get(pool_id)
        held = None if node is None else node.held.get(allocation_id)
        if node is None or held is None or held.over(self.clock.now()):
            return node, {NoSuchPreviewError.__name__}
        mine = held.account == request.account and self._fits(node, request.ask)
        return node, set() if mine else {NoSuchPreviewError.__name__}

    def _allocated(self, of: Resource, request: AllocateRequest, grant: Grant, expected: Expected) -> None:
        """Note an allocation: from the first pool that could serve, and with what the pools before it did."""
        ask, now = request.ask, self.clock.now()
        place = next((place for place, (_, reasons) in enumerate(expected) if not reasons), None)
        assert place is not None, f"{grant}, but {expected}"
        node = expected[place][0]
        assert node is not None and node.pool is not None and grant.pool_id == node.pool_id
        if ask.preview_token:
            redeemed = node.held.pop(ask.preview_token.partition("@")[0])
            assert grant.cidr == redeemed.cidr
        else:
            length = ask.netmask_length if ask.cidr is None else ask.cidr.length
            assert grant.cidr.length == length and ask.cidr in {None, grant.cidr}
            assert node.is_free(grant.cidr, now), f"{grant.cidr} was not free"
            assert not any(map(grant.cidr.overlaps, (*node.pool.rules.disallowed_cidrs, *ask.disallowed_cidrs)))
        said = [(each.pool.name, reasons) for each, reasons in expected[:place] if each is not None and each.pool]
        assert [name for name, _ in grant.passed_over] == [name for name, _ in said]
        assert all(f"{why}Error" in reasons for (_, why), (_, reasons) in zip(grant.passed_over, said, strict=True))
        seconds = request.preview_seconds or node.pool.rules.lease_seconds
        assert grant.expires == (None if seconds is None else now + seconds * 1000)
        assert grant.preview == ask.preview
        kind = ask.allocation_type
        node.take(Held(grant.allocation_id, grant.cidr, of.stack, of.account, kind, grant.expires, grant.preview))
        if grant.preview:
            self.tokens.append((token_of(grant), Sent(request, of.held)))

    def _renewed(self, grant: Grant) -> None:
        """Note until when something lasts that was asked for anew."""
        node = self.nodes[grant.pool_id]
        held = node.held[grant.allocation_id]
        assert node.pool is not None
        if held.until is None or held.preview:
            assert grant.expires == held.until
            return
        seconds = node.pool.rules.lease_seconds
        renewed = None if seconds is None else max(held.until, self.clock.now() + seconds * 1000)
        # A process that has not heard of the pool yet leaves the lease as it is.
        late = {held.until} if self.clock.now() < self.known_by else set()
        assert grant.expires in {renewed, *late}
        held.warned = held.warned and grant.expires == held.until
        held.until = grant.expires

    def _end(self, of: Resource, allocation_id: str, desk: int) -> None:
        """Release what CloudFormation names, and note what came of it."""
        node = next((each for each in self.nodes.values() if allocation_id in each.held), None)
        releasing = self.admin.giving_back(of.name, account=of.account, stack=of.stack)
        answer = self._until_answered(desk, lambda at: release(at.ports, releasing, allocation_id, at.deadline))
        if node is None:
            assert answer == "already-released", answer
        else:
            assert answer in {"released", "already-released"}, answer
            if allocation_id in node.held:
                node.end(allocation_id, self.clock.now())

    # ----------------------------------------------------------------------------------------------------- what happens

    @rule(seconds=st.sampled_from([1, MINUTE, 5 * MINUTE, HOUR]))
    def time_passes(self, seconds: int) -> None:
        """Blocks cool, previews and leases end."""
        self.clock.advance(seconds)

    @rule(
        seconds=st.sampled_from([20 * MINUTE, HOUR, 12 * HOUR]), times=st.integers(1, 5), desk=st.integers(0, DESKS - 1)
    )
    def days_pass(self, seconds: int, times: int, desk: int) -> None:
        """Upkeep comes by again and again: owners are warned, and what nobody asked for anew ends."""
        for _ in range(times):
            self.clock.advance(seconds)
            self.upkeep(desk)

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
        self._settle()
        now = self.clock.now()
        for node in self.nodes.values():
            leases = {lease.allocation_id: lease for lease in self.store.leases(node.pool_id)}
            for held in [each for each in node.held.values() if each.until is not None and not each.preview]:
                assert held.until is not None and node.pool is not None
                lease = leases.get(held.allocation_id)
                if lease is None:
                    # Only what carries no network ends, only when its time is over, and never unannounced.
                    assert held.kind == "custom" and held.warned and held.until <= now, f"{held} was ended"
                    node.end(held.allocation_id, now)
                    continue
                seconds = node.pool.rules.lease_seconds
                notice = MAX_NOTICE if seconds is None else min(MAX_NOTICE, seconds * 1000 // NOTICE_SHARE)
                if (lease.until, lease.warned) != (held.until, held.warned):
                    assert lease.warned and not held.warned and held.until - now <= notice
                    assert lease.until == held.until or lease.until > max(now, held.until)
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
        assert allocation is not None and allocation.allocation_id == one.allocation_id
        assert release_by_administrator(self.admin.ports, allocation, "test", NoDeadline()) == "released"
        node.end(one.allocation_id, self.clock.now())

    # --------------------------------------------------------------------------------------------------- how it is done

    def _pools(self) -> list[Node]:
        """The pools, in the order in which they were made."""
        return [node for node in self.nodes.values() if node.pool is not None]

    def _exact(self, family: Family, bits: int, place: int, node: Node | None = None) -> Cidr:
        """A block somewhere in what there is, or in what a pool was given first."""
        own = [] if node is None else [cidr for cidr in node.provisioned if cidr.family == family]
        whole = own[0] if own else TOP[family]
        block = Cidr(family, whole.first, WIDTHS[family]).supernet(WIDTHS[family] - bits)
        return replace(block, first=block.first + ((place << bits) & (whole.size - 1)))

    def _deliver(self, sent: Sent, desk: int) -> object:
        """Deliver a Create or an Update until it is answered."""
        if sent.held:
            return self._until_answered(desk, lambda at: at.revise(sent.request, sent.held))
        return self._until_answered(desk, lambda at: at.allocate(sent.request))

    def _until_answered(self, desk: int, serve: Callable[[Desk], object]) -> object:
        """Have something served, by one process after the other, until one of them answers."""
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

    def _settle(self) -> None:
        """Forget what was over and is ended, and what has cooled and is free, whoever noticed."""
        now = self.clock.now()
        for pool_id, node in self.nodes.items():
            stored = {each.allocation_id for each in self.store.allocations(pool_id)}
            node.held = {key: held for key, held in node.held.items() if key in stored or not held.over(now)}
            cools = {each.cidr for each in self.store.cooling(pool_id, 999)}
            node.cooling = {cidr: until for cidr, until in node.cooling.items() if cidr in cools or until > now}

    def _refused(self, work: Callable[[], object], why: type[IpamError]) -> None:
        """See that something is refused."""
        try:
            work()
        except why:
            return
        message = f"no {why.__name__}"
        raise AssertionError(message)

    # ------------------------------------------------------------------------------------------ what always has to hold

    @invariant()
    def the_invariants_hold(self) -> None:
        """I1 to I7, read off the store."""
        if hasattr(self, "store"):
            check(self.store)

    @invariant()
    def the_store_is_what_the_model_says(self) -> None:
        """Pool by pool: what it has, who holds what of it, and what cools until when."""
        if not hasattr(self, "nodes"):
            return
        self._settle()
        plan = self.store.plan()
        assert {*plan.scopes, *plan.pools} == set(self.nodes)
        for pool_id, node in self.nodes.items():
            assert node.pool is None or replace(plan.pools[pool_id], version=node.pool.version) == node.pool
            assert set(plan.space(pool_id).provisioned) == set(node.provisioned)
            assert {
                each.allocation_id: (each.cidr, each.owner.party, each.account, each.allocation_type)
                for each in self.store.allocations(pool_id)
            } == {key: (held.cidr, held.party, held.account, held.kind) for key, held in node.held.items()}
            assert {each.cidr: each.until for each in self.store.cooling(pool_id, 999)} == node.cooling

    def teardown(self) -> None:
        """I2: after upkeep the free space is canonical, and everything that is over has ended."""
        if hasattr(self, "store"):
            self.clock.advance(2 * DAY)
            for _ in range(2):
                assert not keep_up(self.admin.ports, NoDeadline()).failures
            check(self.store, canonical=True)


TestTree = Tree.TestCase
TestTree.settings = settings(stateful_step_count=40, max_examples=120)
