"""A request that waits, and all who want something of it, in every order of their steps."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import ApprovalPendingError
from ipam.domain.pool import AllocationRules
from ipam.services.approve import Verdict, decide, hand_over, keep_approvals
from ipam.services.pools import NewPool
from ipam.services.ports import NoDeadline
from ipam.services.request import Waiting
from tests.builders import NOON, REGION, Desk, SeededChance
from tests.interleaving import explore
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import Approval
    from ipam.services.ports.store import Store
    from tests.interleaving import Scene

    Work = Callable[["Stage", Desk], str]

LIMIT = 6000
"""Interleavings of one pair."""

UNTIL = NOON + 600_000
YES, NO = Verdict("approved", "ada"), Verdict("denied", "bob")


class Stage:
    """A pool whose large blocks need an administrator's word, and a request for one; the same each time it is set."""

    def __init__(self, verdict: Verdict | None = None, *, asked: bool = True) -> None:
        self.desk = Desk()
        rules = AllocationRules(approval_netmask_length=26)
        new = NewPool("vpcs", self.desk.scope(), locale=REGION, rules=rules)
        self.pool = self.desk.pool(new, "10.0.0.0/24")
        self.request = replace(self.desk.request("a", 25, at=NOON), waiting=Waiting(UNTIL, "{}"))
        if asked:
            with contextlib.suppress(ApprovalPendingError):
                self.desk.allocate(self.request)
        if verdict is not None:
            decide(self.desk.ports, self.approval.approval_id, verdict, "test")

    @property
    def approval(self) -> Approval:
        """The request as it waits."""
        (approval,) = self.desk.store.approvals()
        return approval

    def deliver(self, desk: Desk) -> str:
        """Handle the event."""
        return desk.allocate(self.request).outcome

    def delete(self, desk: Desk) -> str:
        """Handle the Delete of its stack."""
        return desk.abandon("a", self.request, at=NOON + 1000)

    def approve(self, desk: Desk) -> str:
        """Let an administrator approve it."""
        return decide(desk.ports, self.approval.approval_id, YES, "test").decision

    def deny(self, desk: Desk) -> str:
        """Let another one refuse it."""
        return decide(desk.ports, self.approval.approval_id, NO, "test").decision

    def hand(self, desk: Desk) -> str:
        """Hand it over, as whoever decided does."""
        hand_over(desk.ports, self.approval, "test")
        return "handed over"

    def upkeep(self, desk: Desk) -> str:
        """Do a run."""
        done, errors = keep_approvals(desk.ports, NoDeadline())
        assert errors == ()
        return f"{done} handed over"

    def act(self, work: Work, number: int) -> Callable[[Store], object]:
        """Let a work happen at a desk of its own."""

        def act(store: Store) -> object:
            desk = self.desk.another(store)
            desk.chance = SeededChance(f"client {number}")
            desk.__post_init__()
            desk.ports.memory.see_plan(desk.clock.now(), self.desk.store.plan())
            return work(self, desk)

        return act


def all_ends(make: Callable[[], Stage], *works: Work) -> list[tuple[Stage, tuple[str, ...]]]:
    """Run every interleaving, check the store after each, and give the stages with how the clients ended."""
    stages: list[Stage] = []

    def scene() -> Scene:
        stages.append(make())
        return stages[-1].desk.store, [stages[-1].act(work, number) for number, work in enumerate(works)]

    seen = []
    for schedule, store, results in explore(scene, LIMIT):
        ended = tuple(result if isinstance(result, str) else type(result).__name__ for result in results)
        try:
            check(store)
        except AssertionError as broken:
            raise AssertionError(f"schedule {schedule}, which ended as {ended}: {broken}") from broken
        seen.append((stages[-1], ended))
    return seen


def held(stage: Stage) -> list[str]:
    """Read what is allocated."""
    return stage.desk.held(stage.pool.pool_id)


def test_two_deliveries_ask_once() -> None:
    """Both wait for one and the same."""
    for stage, ended in all_ends(lambda: Stage(asked=False), Stage.deliver, Stage.deliver):
        assert ended == ("ApprovalPendingError",) * 2
        assert stage.approval.decision == "waiting"
        assert set(stage.desk.outside.happenings.kinds()) == {"Approval Asked"}


def test_two_deliveries_of_what_is_approved_are_served_once() -> None:
    """One allocates and uses the approval, the other finds that, and nobody is asked again."""
    seen = set()
    for stage, ended in all_ends(lambda: Stage(YES), Stage.deliver, Stage.deliver):
        seen.add(ended)
        assert held(stage) == ["10.0.0.0/25"]
        assert stage.desk.store.approvals() == []
    assert seen == {("allocated", "kept"), ("kept", "allocated")}


def test_a_delivery_while_it_is_approved() -> None:
    """It waits, or is served; if it waits, there is a decided request to be handed over."""
    seen = set()
    for stage, ended in all_ends(Stage, Stage.deliver, Stage.approve):
        seen.add(ended)
        assert held(stage) == (["10.0.0.0/25"] if ended[0] == "allocated" else [])
        assert bool(stage.desk.store.approvals()) == (ended[0] == "ApprovalPendingError")
    assert seen == {("ApprovalPendingError", "approved"), ("allocated", "approved")}


def test_two_administrators_who_do_not_agree() -> None:
    """The first word stands, and the other is told."""
    seen = set()
    for stage, ended in all_ends(Stage, Stage.approve, Stage.deny):
        seen.add(ended)
        assert stage.approval.decision in ended
    assert seen == {("approved", "NoSuchApprovalError"), ("NoSuchApprovalError", "denied")}


@pytest.mark.parametrize("verdict", [YES, NO])
def test_whoever_decided_and_upkeep_hand_it_over_at_once(verdict: Verdict) -> None:
    """Its event is taken once or twice, never not at all, and struck out in the end."""
    for stage, ended in all_ends(lambda: Stage(verdict), Stage.hand, Stage.upkeep):
        assert len(stage.desk.outside.redelivery.taken) == 1 + (ended[1] == "1 handed over")
        assert stage.approval.event == ""
        assert stage.approval.decision == verdict.decision


def test_what_is_handed_over_is_served_before_it_is_struck_out() -> None:
    """Whichever is first, it is served once, and no approval comes back to life."""
    for stage, ended in all_ends(lambda: Stage(YES), Stage.deliver, Stage.upkeep):
        assert ended[0] == "allocated"
        assert held(stage) == ["10.0.0.0/25"]
        assert stage.desk.store.approvals() == []


def overdue() -> Stage:
    """A request whose time is over."""
    stage = Stage()
    stage.desk.clock.milliseconds = UNTIL
    return stage


def test_what_is_overdue_and_delivered_once_more() -> None:
    """It is refused either way, and handed over for good."""
    for stage, ended in all_ends(overdue, Stage.deliver, Stage.upkeep):
        assert ended == ("DeniedError", "1 handed over")
        assert (stage.approval.decision, stage.approval.event) == ("denied", "")


def test_two_runs_over_what_is_overdue() -> None:
    """It is denied once, and handed over at least once."""
    for stage, ended in all_ends(overdue, Stage.upkeep, Stage.upkeep):
        assert "1 handed over" in ended
        assert (stage.approval.decision, stage.approval.event) == ("denied", "")
        assert [record.event for record in stage.desk.store.audit(stage.request.owner.party)].count("denied") == 1


@pytest.mark.parametrize("verdict", [YES, None])
def test_a_delete_ends_it_whatever_was_decided(verdict: Verdict | None) -> None:
    """Nothing is held in the end: what was served before is released, what comes later is refused."""
    seen = set()
    for stage, ended in all_ends(lambda: Stage(verdict), Stage.deliver, Stage.delete):
        seen.add(ended)
        assert held(stage) == []
    if verdict is None:
        assert seen == {("ApprovalPendingError", "nothing-to-release")}
    else:
        assert seen == {("allocated", "released"), ("SupersededError", "nothing-to-release")}
