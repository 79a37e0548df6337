"""Leases and previews that end while somebody else wants something of them, in every order of their steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.owner import OwnerKey
from ipam.domain.pool import AllocationRules
from ipam.domain.preview import Token
from ipam.services.leases import end_preview, keep_leases
from ipam.services.plan import current_plan
from ipam.services.pools import NewPool
from ipam.services.ports import NoDeadline
from ipam.services.renew import renew
from tests.builders import REGION, STACK, Desk, SeededChance, claim
from tests.interleaving import explore
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import AllocationType
    from ipam.services.ports.store import Store
    from ipam.services.request import AllocateRequest
    from tests.interleaving import Scene

    Work = Callable[[Desk], object]

LIMIT = 6000
"""Interleavings of one pair."""

LEASE = 8000
NOTICE = LEASE // 4


class Stage:
    """A pool with a lease that is about to be warned of, or warned of and over; the same each time it is set."""

    def __init__(self, kind: AllocationType = "custom", *, over: bool = True, cooling: int = 0) -> None:
        self.desk = Desk()
        rules = AllocationRules(lease_seconds=LEASE)
        new = NewPool("leased", self.desk.scope(), locale=REGION, rules=rules, cooling_seconds=cooling)
        self.pool = self.desk.pool(new, "10.0.0.0/25")
        self.request = self.desk.request("a", 26, allocation_type=kind)
        self.grant = self.desk.allocate(self.request).grant
        self.desk.verify("d", claim(self.grant))
        self.desk.clock.advance(LEASE - NOTICE)
        if over:
            self.upkeep(self.desk)
            self.desk.clock.advance(NOTICE)

    def upkeep(self, desk: Desk) -> str:
        """Do a run."""
        return "done" if keep_leases(desk.ports, self.pool, NoDeadline()) else "not done"

    def renewing(self, desk: Desk) -> str:
        """Ask for the same anew."""
        return desk.allocate(replace(self.request, requested=desk.clock.now())).outcome

    def releasing(self, desk: Desk) -> str:
        """Delete the resource."""
        return desk.release("a", self.grant.allocation_id)

    def returning(self, desk: Desk) -> str:
        """Delete the resource that stands for the release."""
        return desk.release_in_stack("d", self.grant)

    def prolonging(self, desk: Desk) -> str:
        """Let an administrator renew the lease, as he saw it before."""
        (lease,) = self.desk.store.leases(self.pool.pool_id)
        renew(desk.ports, lease, LEASE, "test", NoDeadline())
        return "renewed"

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
    return tuple(result if isinstance(result, str) else type(result).__name__ for result in results)


def all_ends(
    make: Callable[[list[Stage]], Scene], then: Callable[[Stage, tuple[str, ...]], None]
) -> set[tuple[str, ...]]:
    """Run every interleaving, check the store after each, look at it, and give the ways in which the clients ended."""
    seen = set()
    stages: list[Stage] = []
    for schedule, store, results in explore(lambda: make(stages), LIMIT):
        ended = ends(results)
        try:
            check(store)
            then(stages[-1], ended)
        except AssertionError as broken:
            raise AssertionError(f"schedule {schedule}, which ended as {ended}: {broken}") from broken
        seen.add(ended)
    return seen


def staged(make: Callable[[], Stage], *works: Callable[[Stage, Desk], object]) -> Callable[[list[Stage]], Scene]:
    """Set a stage, remember it, and let the works happen on it."""

    def scene(stages: list[Stage]) -> Scene:
        stage = make()
        stages.append(stage)
        return stage.scene(*(lambda desk, work=work: work(stage, desk) for work in works))

    return scene


@pytest.mark.parametrize("cooling", [0, 60])
def test_a_renewal_and_the_end_at_once(cooling: int) -> None:
    """The renewal wins, or comes after the end: then it gets another block, and nothing is lost or held twice."""

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        (held,) = stage.desk.store.allocations(stage.pool.pool_id)
        (lease,) = stage.desk.store.leases(stage.pool.pool_id)
        assert lease.until == stage.desk.clock.now() + LEASE * 1000 and not lease.warned
        kept = held.allocation_id == stage.grant.allocation_id
        assert kept == (ended == ("kept", "not done")), ended
        assert (stage.desk.outside.happenings.kinds()[-1] == "Lease Ended") != kept

    scene = staged(lambda: Stage(cooling=cooling), Stage.renewing, Stage.upkeep)
    assert all_ends(scene, then) == {("kept", "not done"), ("allocated", "done")}


def test_an_administrators_renewal_and_the_end_at_once() -> None:
    """He renews it in time, or is told that there is nothing to renew."""

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        assert len(list(stage.desk.store.allocations(stage.pool.pool_id))) == (ended[0] == "renewed")

    seen = all_ends(staged(Stage, Stage.prolonging, Stage.upkeep), then)
    assert seen == {("renewed", "not done"), ("NoSuchAllocationError", "done")}


@pytest.mark.parametrize("way", [Stage.releasing, Stage.returning])
@pytest.mark.parametrize("cooling", [0, 60])
def test_a_release_and_the_end_at_once(way: Callable[[Stage, Desk], str], cooling: int) -> None:
    """There is one end of it, and the stack's Delete succeeds whoever made it."""

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        assert list(stage.desk.store.allocations(stage.pool.pool_id)) == []
        assert list(stage.desk.store.leases(stage.pool.pool_id)) == []
        told = "Lease Ended" in stage.desk.outside.happenings.kinds()
        assert told == (ended[1] == "done")

    seen = all_ends(staged(lambda: Stage(cooling=cooling), way, Stage.upkeep), then)
    assert seen == {("released", "not done"), ("already-released", "done")}


@pytest.mark.parametrize("way", [Stage.releasing, Stage.renewing])
@pytest.mark.parametrize("kind", ["custom", "vpc"])
def test_a_warning_and_its_owners_request_at_once(way: Callable[[Stage, Desk], str], kind: AllocationType) -> None:
    """A warning changes nothing of what the owner does: no lease comes back, and none is shortened."""

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        leases = list(stage.desk.store.leases(stage.pool.pool_id))
        if ended[0] == "released":
            assert leases == []
        else:
            assert [lease.until for lease in leases] == [stage.desk.clock.now() + LEASE * 1000]

    seen = all_ends(staged(lambda: Stage(kind, over=False), way, Stage.upkeep), then)
    first = "released" if way == Stage.releasing else "kept"
    assert seen == {(first, "not done"), (first, "done")}


@pytest.mark.parametrize("way", [Stage.releasing, Stage.renewing])
def test_a_report_and_its_owners_request_at_once(way: Callable[[Stage, Desk], str]) -> None:
    """The same holds where the end is only reported."""

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        leases = list(stage.desk.store.leases(stage.pool.pool_id))
        assert [lease.ended for lease in leases] == ([] if ended[0] == "released" else [False])

    seen = all_ends(staged(lambda: Stage("vpc"), way, Stage.upkeep), then)
    first = "released" if way == Stage.releasing else "kept"
    assert seen == {(first, "not done"), (first, "done")}


@pytest.mark.parametrize(("kind", "over"), [("custom", True), ("custom", False), ("vpc", True), ("vpc", False)])
def test_two_runs_at_once(kind: AllocationType, over: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """What is due is written once; a warning may be told twice, the end of what is taken back never is."""

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        assert ended in {("done", "not done"), ("not done", "done")}
        events = [record.event for record in stage.desk.store.audit(stage.pool.pool_id) if record.cause == "leases"]
        assert len(events) == len(set(events))
        kinds = stage.desk.outside.happenings.kinds()
        if over and kind == "custom":
            assert kinds == ["Lease Ends Soon", "Lease Ended"]
        assert kinds.count(kinds[-1]) in {1, 2}

    all_ends(staged(lambda: Stage(kind, over=over), Stage.upkeep, Stage.upkeep), then)


# ------------------------------------------------------------------------------------------------------- previews


class Held(Stage):
    """A pool with a preview that is over, and redeemed by somebody who read the clock a moment before."""

    def __init__(self, *, leased: bool = False) -> None:
        self.desk = Desk()
        rules = AllocationRules(lease_seconds=LEASE if leased else None)
        self.pool = self.desk.pool(NewPool("vpcs", self.desk.scope(), locale=REGION, rules=rules), "10.0.0.0/26")
        self.request = self.desk.request("p", 26)
        preview = replace(self.request, ask=replace(self.request.ask, preview=True), preview_seconds=60)
        self.grant: Grant = self.desk.allocate(preview).grant
        self.token = str(Token(self.grant.allocation_id, self.pool.pool_id, self.grant.cidr))

    def ending(self, desk: Desk) -> str:
        """End it, as a run does that finds it over."""
        (lease,) = self.desk.store.leases(self.pool.pool_id)
        return "done" if end_preview(desk.ports, lease) else "not done"

    def redeeming(self, desk: Desk, name: str = "n") -> str:
        """Redeem it for a resource."""
        return desk.allocate(self.redeemed(name)).outcome

    def redeemed(self, name: str) -> AllocateRequest:
        """Ask for what it holds."""
        ask = replace(self.request.ask, preview_token=self.token)
        return replace(self.request, owner=OwnerKey(STACK, name), ask=ask)

    def ordering(self, desk: Desk) -> str:
        """Want its block, as somebody who has no token."""
        return desk.allocate(desk.request("o", 26)).outcome


@pytest.mark.parametrize("leased", [True, False])
def test_a_preview_is_redeemed_while_it_ends(leased: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """It is redeemed, or over; its block is held once or free, and no lease is left of it."""

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        held = stage.desk.held(stage.pool.pool_id)
        assert held == (["10.0.0.0/26"] if ended[0] == "allocated" else [])
        leases = [lease.preview for lease in stage.desk.store.leases(stage.pool.pool_id)]
        assert leases == ([False] if held and leased else [])

    seen = all_ends(staged(lambda: Held(leased=leased), Held.redeeming, Held.ending), then)  # type: ignore[arg-type]
    assert seen == {("allocated", "not done"), ("NoSuchPreviewError", "done")}


def test_a_preview_is_redeemed_twice_at_once() -> None:
    """One of two resources gets its block, and the other is told that there is nothing."""

    def second(stage: Any, desk: Desk) -> str:
        return str(stage.redeeming(desk, "m"))

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        assert len(stage.desk.held(stage.pool.pool_id)) == 1, ended

    seen = all_ends(staged(Held, Held.redeeming, second), then)  # type: ignore[arg-type]
    assert seen == {("allocated", "NoSuchPreviewError"), ("NoSuchPreviewError", "allocated")}


def test_a_preview_ends_for_two_at_once() -> None:
    """A run and an order that wants the block: it becomes free once, and the order gets it."""

    def make() -> Held:
        stage = Held()
        stage.desk.clock.advance(60)
        current_plan(stage.desk.ports, fresh=True)
        return stage

    def then(stage: Stage, ended: tuple[str, ...]) -> None:
        assert stage.desk.held(stage.pool.pool_id) == ["10.0.0.0/26"], ended

    seen = all_ends(staged(make, Held.ordering, Held.ending), then)  # type: ignore[arg-type]
    assert seen == {("allocated", "done"), ("allocated", "not done")}
