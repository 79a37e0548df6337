"""Previews and approved requests in each other's way, and among faults: every order of their steps, every commit."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import pytest

from ipam.domain.errors import ApprovalPendingError, TemporaryError
from ipam.domain.pool import AllocationRules, Quota
from ipam.services.approve import Verdict, decide
from ipam.services.leases import keep_leases
from ipam.services.pools import NewPool
from ipam.services.request import Allocated
from tests.builders import REGION, Desk, SeededChance
from tests.faults import Faulty
from tests.interleaving import explore
from tests.invariants import check
from tests.orders import HOUR, limited, patient, previewed, redeeming, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam.domain.owner import Grant
    from ipam.services.ports.store import Store
    from ipam.services.request import AllocateRequest
    from tests.faults import Fault
    from tests.interleaving import Scene

    Work = Callable[[Desk], object]

LIMIT = 6000
"""Interleavings of one pair."""

DELIVERIES = 8
LEASE = 30 * 24 * HOUR


@dataclass
class Stage:
    """A pool with a /26 that is held as a preview, the same each time it is set."""

    leased: bool = False
    cidr: str = "10.0.0.0/25"
    facts: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.desk = Desk()
        rules = AllocationRules(lease_seconds=LEASE if self.leased else None, approval_netmask_length=26)
        facts = {"locale": REGION, "rules": rules, "cooling_seconds": 60} | self.facts
        self.pool = self.desk.pool(NewPool("vpcs", self.desk.scope(), **facts), self.cidr)  # type: ignore[arg-type]
        self.create = previewed(self.desk.request("held", 26))
        self.preview: Grant = self.desk.allocate(self.create).grant
        self.desk.clock.advance(1)
        self.at = self.desk.clock.now()

    @property
    def token(self) -> str:
        """What redeems it."""
        return token_of(self.preview)

    def redeeming(self, name: str = "a") -> Work:
        """Redeem it for a resource."""
        return lambda desk: desk.allocate(redeeming(self.desk.request(name, at=self.at), self.token))

    def updating(self) -> Work:
        """Let its own resource ask for the block, by an Update."""
        update = redeeming(self.desk.request("held", at=self.at), self.token)
        return lambda desk: desk.revise(update, self.preview.allocation_id)

    def keeping(self) -> Work:
        """Let its own resource ask for it again, by a later Update."""
        update = previewed(self.desk.request("held", 26, at=self.at))
        return lambda desk: desk.revise(update, self.preview.allocation_id)

    def creating_again(self) -> Work:
        """Deliver its own Create again."""
        return lambda desk: desk.allocate(self.create)

    def releasing(self) -> Work:
        """Delete its stack."""
        return lambda desk: desk.release("held", self.preview.allocation_id, at=self.at)

    def abandoning(self) -> Work:
        """Delete its resource by an id that nobody made."""
        return lambda desk: desk.abandon("held", self.preview, at=self.at)

    def upkeep(self) -> Work:
        """Do a run that looks at leases."""
        return lambda desk: keep_leases(desk.ports, self.pool, desk.deadline)

    def scene(self, *works: Work) -> Scene:
        """Let each work happen at a desk of its own."""
        return self.desk.store, [self._at_own_desk(work, number) for number, work in enumerate(works)]

    def _at_own_desk(self, work: Work, number: int) -> Callable[[Store], object]:
        def act(store: Store) -> object:
            desk = self.desk.another(store)
            desk.chance = SeededChance(f"client {number}")
            desk.__post_init__()
            desk.ports.memory.see_plan(desk.clock.now(), self.desk.store.plan())
            return work(desk)

        return act


def ends(results: list[object]) -> tuple[str, ...]:
    """Name how the clients ended."""
    return tuple(
        each.outcome if isinstance(each, Allocated) else each if isinstance(each, str) else type(each).__name__
        for each in results
    )


def all_ends(make: Callable[[], Stage], *works: Callable[[Stage], Work]) -> set[tuple[str, ...]]:
    """Run every interleaving, see after each that the block has one holder at most, and name how the clients ended."""
    seen = set()
    stages: list[Stage] = []

    def scene() -> Scene:
        stages.append(make())
        return stages[-1].scene(*(work(stages[-1]) for work in works))

    for schedule, store, results in explore(scene, LIMIT):
        try:
            check(store)
            (stage,) = stages[-1:]
            grants = [each.grant for each in results if isinstance(each, Allocated) and not each.grant.preview]
            holders = {grant.allocation_id for grant in grants if grant.cidr == stage.preview.cidr}
            assert len(holders) <= 1, "given twice"
        except AssertionError as broken:
            raise AssertionError(f"schedule {schedule}, which ended as {results}: {broken}") from broken
        seen.add(ends(results))
    return seen


# ---------------------------------------------------------------------------------------------------------------- races
@pytest.mark.parametrize("leased", [False, True], ids=["for ever", "leased"])
def test_two_redeem_one_preview_at_once(leased: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """One of them gets the block, and the other is told that there is nothing."""
    seen = all_ends(lambda: Stage(leased), Stage.redeeming, lambda stage: stage.redeeming("b"))
    assert seen == {("allocated", "NoSuchPreviewError"), ("NoSuchPreviewError", "allocated")}


def test_one_redemption_is_delivered_twice_at_once() -> None:
    """Both deliveries are answered with the one allocation that was made (I4)."""
    assert all_ends(Stage, Stage.redeeming, Stage.redeeming) == {("allocated", "kept"), ("kept", "allocated")}


def test_the_resource_and_another_redeem_it_at_once() -> None:
    """The preview's own resource has no better right than whoever has the token."""
    seen = all_ends(Stage, Stage.redeeming, Stage.updating)
    assert seen == {("allocated", "NoSuchPreviewError"), ("NoSuchPreviewError", "allocated")}


def test_a_preview_is_redeemed_while_its_stack_goes() -> None:
    """The block changes hands or is given back, and never both (I5)."""
    seen = all_ends(Stage, Stage.redeeming, Stage.releasing)
    assert seen == {("allocated", "already-released"), ("NoSuchPreviewError", "released")}


def test_a_preview_is_redeemed_while_its_create_is_abandoned() -> None:
    """A Delete that does not know the preview's id ends it as well, or finds nothing to end."""
    seen = all_ends(Stage, Stage.redeeming, Stage.abandoning)
    assert seen == {("allocated", "nothing-to-release"), ("NoSuchPreviewError", "released")}


def test_a_preview_is_redeemed_while_its_create_is_delivered_again() -> None:
    """The Create is answered with its preview, or is over; it never holds a second block."""
    seen = all_ends(Stage, Stage.redeeming, Stage.creating_again)
    assert seen == {("allocated", "kept"), ("allocated", "SupersededError")}


def test_a_preview_is_redeemed_while_its_resource_is_updated() -> None:
    """A later Update keeps the preview if it comes first; else it holds another block, which is its own."""
    seen = all_ends(Stage, Stage.redeeming, Stage.keeping)
    assert seen == {("allocated", "kept"), ("allocated", "allocated")}


def test_a_preview_is_over_while_its_create_is_delivered_again() -> None:
    """Upkeep ends it once, and what was delivered again is answered or over."""

    def make() -> Stage:
        stage = Stage()
        stage.desk.clock.advance(HOUR)
        return stage

    seen = all_ends(make, Stage.upkeep, Stage.creating_again)
    assert seen == {("bool", "kept"), ("bool", "SupersededError")}


def test_a_preview_is_over_while_its_resource_is_updated() -> None:
    """The Update holds a block anew, whoever ended the old preview."""

    def make() -> Stage:
        stage = Stage()
        stage.desk.clock.advance(HOUR)
        stage.at = stage.desk.clock.now()
        return stage

    assert all_ends(make, Stage.upkeep, Stage.keeping) == {("bool", "allocated")}


def test_the_last_of_a_quota_is_held_and_taken_at_once() -> None:
    """A preview and an order of one account are two, of which the quota lets in one."""

    def make() -> Stage:
        return Stage(facts={"quota": Quota(allocations=2)})

    def ordering(stage: Stage) -> Work:
        return lambda desk: desk.allocate(stage.desk.request("o", 27, at=stage.at))

    def holding(stage: Stage) -> Work:
        return lambda desk: desk.allocate(previewed(stage.desk.request("p", 27, at=stage.at)))

    seen = all_ends(make, ordering, holding)
    assert seen == {("allocated", "QuotaExceededError"), ("QuotaExceededError", "allocated")}


@pytest.mark.parametrize("strategy", ["best-fit", "sparse"])
def test_two_orders_within_limits_at_once(strategy: Literal["best-fit", "sparse"]) -> None:
    """Both want the lowest block that is permitted; one gets it, the other the one that is left."""

    def make() -> Stage:
        return Stage(cidr="10.0.0.0/24", facts={"rules": AllocationRules(strategy=strategy)})

    def ordering(name: str) -> Callable[[Stage], Work]:
        def work(stage: Stage) -> Work:
            request = stage.desk.request(name, 26, at=stage.at)
            return lambda desk: desk.allocate(limited(request, allowed=("10.0.0.0/25", "10.0.0.192/26")))

        return work

    assert all_ends(make, ordering("o"), ordering("p")) == {("allocated", "allocated")}


def approved(stage: Stage) -> AllocateRequest:
    """Make a request for what needs an administrator's word, and have it approved."""
    request = patient(stage.desk, stage.desk.request("large", 25, at=stage.at))
    with pytest.raises(ApprovalPendingError) as waits:
        stage.desk.another().allocate(request)
    decide(stage.desk.ports, waits.value.approval_id, Verdict("approved", "someone"), "test")
    return request


def test_an_approved_request_is_delivered_twice_at_once() -> None:
    """The approval serves once: one allocation answers both (I4)."""
    requests: dict[int, AllocateRequest] = {}

    def serving(stage: Stage) -> Work:
        request = requests.setdefault(id(stage), approved(stage) if id(stage) not in requests else None)  # type: ignore[arg-type]
        return lambda desk: desk.allocate(request)

    seen = all_ends(lambda: Stage(cidr="10.0.0.0/24"), serving, serving)
    assert seen == {("allocated", "kept"), ("kept", "allocated")}


# --------------------------------------------------------------------------------------------------------------- faults
def at_each_commit(count: int) -> list[list[Fault]]:
    """Each fault at each of the first commits, alone and after any other."""
    faults: list[Fault] = ["busy", "lost-before", "lost-after"]
    well: Fault = "none"
    alone: list[list[Fault]] = [[*[well] * place, fault] for place in range(count) for fault in faults]
    return alone + [[one, other] for one, other in itertools.product(faults, faults)]


def deliver(desk: Desk, faults: Sequence[Fault], serve: Callable[[Desk], object]) -> object:
    """Deliver a request to cold processes until one answers, while these faults befall the commits."""
    befalling = iter(faults)
    for _ in range(DELIVERIES):
        try:
            return serve(desk.another(Faulty(desk.store, befalling)))
        except TemporaryError:
            check(desk.store)
    message = "no delivery was answered"
    raise AssertionError(message)


faulty = pytest.mark.parametrize("faults", at_each_commit(3), ids="-".join)


@faulty
def test_a_preview_among_faults_is_one(faults: list[Fault]) -> None:
    """Whatever became of the first try, one block is held, and the answer names it (I4)."""
    stage = Stage()
    request = previewed(stage.desk.request("more", 27))
    given = deliver(stage.desk, faults, lambda desk: desk.allocate(request))
    (grant,) = stage.desk.record("more").grants
    assert isinstance(given, Allocated) and given.grant == grant
    check(stage.desk.store)


@faulty
@pytest.mark.parametrize("leased", [False, True], ids=["for ever", "leased"])
@pytest.mark.parametrize("way", ["another", "itself"])
def test_a_redemption_among_faults_is_one(faults: list[Fault], way: str, leased: bool) -> None:  # noqa: FBT001 - a parameter
    """The block is redeemed once, whoever does, and what is left of the preview is that it was there."""
    stage = Stage(leased)
    given = deliver(stage.desk, faults, stage.redeeming() if way == "another" else stage.updating())
    assert isinstance(given, Allocated)
    assert given.grant.cidr == stage.preview.cidr and not given.grant.preview
    (grant,) = stage.desk.record("a" if way == "another" else "held").grants
    assert grant == given.grant
    assert stage.desk.record("held").returned == (stage.preview.allocation_id,)
    assert stage.desk.another().release("held", stage.preview.allocation_id) == "already-released"
    assert stage.desk.held(stage.pool.pool_id) == [str(grant.cidr)]
    check(stage.desk.store)


@faulty
def test_an_end_of_a_preview_among_faults_is_one(faults: list[Fault]) -> None:
    """Interrupted anywhere, upkeep ends it once, and the block is free."""
    stage = Stage()
    stage.desk.clock.advance(HOUR)
    deliver(stage.desk, faults, stage.upkeep())
    keep_leases(stage.desk.another().ports, stage.pool, stage.desk.deadline)
    assert stage.desk.held(stage.pool.pool_id) == []
    stage.desk.reclaim(stage.pool.pool_id)
    assert stage.desk.free(stage.pool.pool_id) == ["10.0.0.0/25"]
    check(stage.desk.store, canonical=True)


@faulty
def test_an_update_of_a_preview_that_is_over_among_faults(faults: list[Fault]) -> None:
    """It ends what is over and holds one block anew."""
    stage = Stage()
    stage.desk.clock.advance(HOUR)
    stage.at = stage.desk.clock.now()
    given = deliver(stage.desk, faults, stage.keeping())
    assert isinstance(given, Allocated)
    (grant,) = stage.desk.record("held").grants
    assert grant == given.grant and grant.allocation_id != stage.preview.allocation_id
    check(stage.desk.store)


@faulty
def test_an_approved_request_among_faults_is_served_once(faults: list[Fault]) -> None:
    """Its approval goes with the commit that allocates, and nobody is asked a second time."""
    stage = Stage(cidr="10.0.0.0/24")
    request = approved(stage)
    told = list(stage.desk.outside.happenings.told)
    given = deliver(stage.desk, faults, lambda desk: desk.allocate(request))
    (grant,) = stage.desk.record("large").grants
    assert isinstance(given, Allocated) and given.grant == grant
    assert stage.desk.store.approvals() == []
    assert stage.desk.another().allocate(replace(request)).grant == grant
    assert stage.desk.outside.happenings.told == told
    check(stage.desk.store)
