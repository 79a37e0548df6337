"""A request that waits for an administrator, from CloudFormation's event to the answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import StoreUnavailableError
from ipam.entrypoints.errors import UnansweredError
from ipam.entrypoints.events import REDELIVERED, parse
from ipam.services.approve import MARGIN, Verdict, decide, hand_over, keep_approvals
from ipam.services.pools import NewPool, edit_pool
from ipam.services.ports import NoDeadline
from tests.builders import REGION
from tests.faults import Faulty
from tests.invariants import check
from tests.unit.entrypoints.stage import PLACE, Stage, allocation_id, at, event, readdressed, with_properties

if TYPE_CHECKING:
    from ipam.domain.allocation import Approval
    from tests.faults import Fault

YES, NO = Verdict("approved", "ada"), Verdict("denied", "ada", "take a /26")
SIGNATURE = "0" * 64
"""The secret of the events' URLs."""

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr:"


@pytest.fixture
def stage() -> Stage:
    """A pool whose blocks larger than a /25 need an administrator's word."""
    stage = Stage()
    rules = replace(stage.vpcs.rules, approval_netmask_length=25)
    edit_pool(stage.desk.ports, stage.vpcs.pool_id, lambda pool: replace(pool, rules=rules), "test")
    stage.restart()
    return stage


def create(timeout: str | None = "3600") -> dict[str, Any]:
    """Ask for a /24, with time to wait."""
    return with_properties("create", ServiceTimeout=timeout)


@pytest.fixture
def waiting(stage: Stage) -> Approval:
    """A request that waits."""
    assert stage.send(create()) == {}
    (approval,) = stage.desk.store.approvals()
    return approval


def come_back(stage: Stage, late: int = 0) -> list[dict[str, Any]]:
    """Deliver what was handed over, as Lambda does, and give the answers."""
    taken, stage.desk.outside.redelivery.taken = stage.desk.outside.redelivery.taken, []
    answers = []
    for parked in taken:
        sent = parked | {REDELIVERED: stage.clock.now()}
        stage.clock.milliseconds += late
        answers.append(stage.send(sent))
    return answers


def rule(stage: Stage, approval: Approval, verdict: Verdict) -> None:
    """Decide, and hand the request over, as the command line does."""
    hand_over(stage.desk.ports, decide(stage.desk.ports, approval.approval_id, verdict, "test"), "test")


def test_a_request_that_waits_is_neither_answered_nor_raised(stage: Stage, waiting: Approval) -> None:
    """Lambda sees a success, CloudFormation goes on waiting, and the log says for what and until when."""
    assert (stage.mailbox.taken, stage.held()) == ([], [])
    line = stage.lines()[-1]
    assert (line["outcome"], line["level"]) == ("waiting", "INFO")
    assert (line["approval_id"], line["until"]) == (waiting.approval_id, waiting.until)
    assert f"ipam approve {waiting.approval_id}" in line["reason"]
    assert waiting.until == at(9) - MARGIN
    assert stage.desk.outside.happenings.kinds() == ["Approval Asked"]


def test_an_approved_request_is_answered_once(stage: Stage, waiting: Approval) -> None:
    """The same event comes again, gets its block and is answered; there is nothing left of the wait."""
    stage.clock.advance(1200)
    rule(stage, waiting, YES)
    (answer,) = come_back(stage)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", allocation_id(1))
    assert answer["Data"]["Cidr"] == "10.0.0.0/24"
    assert stage.outcome == "allocated"
    assert stage.desk.store.approvals() == []
    assert keep_approvals(stage.desk.ports, NoDeadline()) == (0, ())
    assert len(stage.mailbox.taken) == 1
    check(stage.desk.store)


@pytest.mark.parametrize("named", [{}, {"Pools": ["vpcs", "zone"]}])
def test_a_short_timeout_is_no_way_around_the_approval(stage: Stage, named: dict[str, Any]) -> None:
    """Neither the next pool by name nor the next one named gives what nobody was asked for; the next step is told."""
    desk = stage.desk.another()
    zone = NewPool("zone", stage.vpcs.scope_id, locale=REGION, allocation_types=stage.vpcs.allocation_types)
    pool_id = desk.pool(zone, "10.9.0.0/16").pool_id
    answer = stage.send(with_properties("create", ServiceTimeout="300", **named))
    assert answer["Status"] == "FAILED"
    assert '"vpcs" needs an administrator\'s approval' in answer["Reason"]
    assert "Raise ServiceTimeout" in answer["Reason"]
    assert (desk.store.approvals(), desk.held(pool_id)) == ([], [])


def test_what_is_stored_is_all_that_the_request_needs(stage: Stage, waiting: Approval) -> None:
    """Parsed again it is the same request, hours later and whatever else stood in the event."""
    sent = create()
    again = parse(json.loads(waiting.event), PLACE, stage.clock.now() + 7_200_000)
    first = parse(sent, PLACE, stage.clock.now())
    assert replace(again, received=0, event={}) == replace(first, received=0, event={})
    assert json.loads(waiting.event).keys() == sent.keys() - {"ServiceToken"}


def test_a_request_over_a_topic_comes_back_without_it(stage: Stage) -> None:
    """What is stored is the request, and not the notification that it came in."""
    notified = event("create_over_sns")
    inner = json.loads(notified["Records"][0]["Sns"]["Message"])
    inner["ResourceProperties"]["ServiceTimeout"] = "3600"
    notified["Records"][0]["Sns"]["Message"] = json.dumps(inner)
    assert stage.send(notified) == {}
    (approval,) = stage.desk.store.approvals()
    rule(stage, approval, YES)
    assert [answer["Status"] for answer in come_back(stage)] == ["SUCCESS"]


def test_a_denied_request_fails_with_who_and_why(stage: Stage, waiting: Approval) -> None:
    """The stack is told the administrator's name and words, under an id that nothing has."""
    rule(stage, waiting, NO)
    (answer,) = come_back(stage)
    assert answer["Status"] == "FAILED"
    assert "ada has refused a /24" in answer["Reason"] and "take a /26" in answer["Reason"]
    assert answer["PhysicalResourceId"].startswith("not-allocated-")
    assert (stage.outcome, stage.held()) == ("refused", [])


def test_what_nobody_decides_fails_before_cloudformation_gives_up(stage: Stage, waiting: Approval) -> None:
    """Upkeep sends it on its way in time, and the stack is told the reason instead of an hour's silence."""
    stage.clock.milliseconds = waiting.until - 1
    assert keep_approvals(stage.desk.ports, NoDeadline()) == (0, ())
    stage.clock.advance(300)
    assert keep_approvals(stage.desk.ports, NoDeadline()) == (1, ())
    (answer,) = come_back(stage)
    assert stage.clock.now() < at(9)
    assert answer["Status"] == "FAILED"
    assert "none was given in time" in answer["Reason"]
    assert keep_approvals(stage.desk.ports, NoDeadline()) == (0, ())


@pytest.mark.parametrize("timeout", ["300", "600", "1"])
def test_what_has_no_time_to_wait_fails_at_once(stage: Stage, timeout: str) -> None:
    """Nobody is asked for what could not be answered in time."""
    answer = stage.send(create(timeout))
    assert answer["Status"] == "FAILED"
    assert "approval" in answer["Reason"]
    assert stage.desk.store.approvals() == []


@pytest.mark.parametrize(
    ("timeout", "query", "until"),
    [
        (None, None, at(9)),
        ("1200", None, at(8, 20)),
        ("900", "X-Amz-Date=20261120T080000Z&X-Amz-Expires=7200", at(8, 15)),
        ("3600", "X-Amz-Date=20261120T080000Z&X-Amz-Expires=1800", at(8, 30)),
        ("3600", "X-Amz-Date=20261120T080000Z&X-Amz-Expires=1800&X-Amz-Expires=900", at(8, 15)),
        ("3600", "X-Amz-Date=20261120T080000Z&X-Amz-Expires=soon", at(9)),
        ("3600", f"Expires={at(10) // 1000}", at(9)),
        ("3600", "", at(9)),
        ("nonsense", None, at(9)),
        ("99999", None, at(9)),
    ],
)
def test_the_wait_ends_with_a_margin_before_the_time_does(
    stage: Stage, timeout: str | None, query: str | None, until: int
) -> None:
    """That of ServiceTimeout, an hour without one; and never after the URL has stopped to take answers."""
    sent = create(timeout)
    stage.clock.milliseconds = at(8)
    assert stage.send(sent if query is None else readdressed(sent, query=query)) == {}
    (approval,) = stage.desk.store.approvals()
    assert approval.until == until - MARGIN


def test_an_event_that_is_too_large_to_be_kept_cannot_wait(stage: Stage) -> None:
    """It fails with the reason, and is not cut."""
    sent = event("update_replacement") | {"OldResourceProperties": {"Description": "x" * 200_000}}
    sent["ResourceProperties"]["ServiceTimeout"] = "3600"
    assert stage.send(sent)["Status"] == "FAILED"
    assert stage.desk.store.approvals() == []


def test_a_delete_meanwhile_ends_the_wait(stage: Stage, waiting: Approval) -> None:
    """A yes that comes after the stack has gone allocates nothing; its answer is nobody's loss."""
    assert stage.send("delete_invented_id")["Status"] == "SUCCESS"
    rule(stage, waiting, YES)
    (answer,) = come_back(stage)
    assert answer["Status"] == "FAILED"
    assert "later request" in answer["Reason"]
    assert stage.held() == []
    assert keep_approvals(stage.desk.ports, NoDeadline()) == (0, ())


@pytest.mark.parametrize("late", [0, 60_000, 180_000, 1_000_000])
def test_a_duplicate_while_it_waits_waits_too(stage: Stage, waiting: Approval, late: int) -> None:
    """Lambda may deliver an event twice; however old that is, the wait is the same one."""
    stage.restart()
    assert stage.send(create(), late=late) == {}
    assert stage.desk.store.approvals() == [waiting]
    assert stage.mailbox.taken == []
    assert stage.desk.outside.happenings.kinds() == ["Approval Asked"]


@pytest.mark.parametrize("verdict", [YES, NO])
def test_a_duplicate_after_the_answer_gets_the_same(stage: Stage, waiting: Approval, verdict: Verdict) -> None:
    """Neither asks again nor allocates again."""
    rule(stage, waiting, verdict)
    (answer,) = come_back(stage)
    stage.restart()
    assert stage.send(create(), late=1_000_000) == answer
    assert len(stage.held()) == (verdict is YES)
    assert stage.desk.outside.happenings.kinds() == ["Approval Asked"]


def test_an_update_waits_with_what_it_has(stage: Stage) -> None:
    """A larger network is asked for beside the old one, which stays; the answer is a replacement."""
    rules = replace(stage.vpcs.rules, approval_netmask_length=24)
    edit_pool(stage.desk.ports, stage.vpcs.pool_id, lambda pool: replace(pool, rules=rules), "test")
    stage.restart()
    stage.send("create")
    update = event("update_replacement")
    update["ResourceProperties"]["ServiceTimeout"] = "3600"
    assert stage.send(update) == {}
    assert stage.held() == ["10.0.0.0/24"]
    (approval,) = stage.desk.store.approvals()
    rule(stage, approval, NO)
    (answer,) = come_back(stage)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", allocation_id(1))
    later = readdressed(update, query="X-Amz-Date=20261120T130000Z", RequestId="0000-1")
    assert stage.send(later) == {}
    asked = next(each for each in stage.desk.store.approvals() if each.decision == "waiting")
    rule(stage, asked, YES)
    (answer,) = come_back(stage)
    assert (answer["Status"], stage.outcome) == ("SUCCESS", "replaced")
    assert stage.held() == ["10.0.0.0/24", "10.0.4.0/22"]


def test_a_request_that_came_back_has_all_its_tries(stage: Stage, waiting: Approval) -> None:
    """A bad moment of the store is not the end of what somebody approved: the tries are counted anew."""
    stage.clock.advance(1200)
    rule(stage, waiting, YES)
    faults: list[Fault] = ["lost-before"] * 2
    stage.restart(Faulty(stage.desk.store, iter(faults)))
    (parked,) = stage.desk.outside.redelivery.taken
    sent = parked | {REDELIVERED: stage.clock.now()}
    for wait in (0, 60):
        stage.clock.advance(wait)
        with pytest.raises(UnansweredError):
            stage.send(sent)
        assert stage.outcome == "retried"
    stage.clock.advance(120)
    assert stage.send(sent)["Status"] == "SUCCESS"


@pytest.mark.parametrize("claimed", [at(8, 20), at(23), "now", -1, 0, True, None])
def test_a_request_that_came_back_is_told_failed_at_last(stage: Stage, waiting: Approval, claimed: object) -> None:
    """Three minutes after it was sent on its way nobody tries again; no claim of the event makes that longer."""
    stage.clock.milliseconds = at(8, 20)
    rule(stage, waiting, YES)
    stage.restart(Faulty(stage.desk.store, iter(["lost-before"])))
    (parked,) = stage.desk.outside.redelivery.taken
    if claimed == at(23):
        with pytest.raises(UnansweredError, match=StoreUnavailableError.__name__):
            stage.send(parked | {REDELIVERED: claimed})
        return
    stage.clock.advance(180)
    assert stage.send(parked | {REDELIVERED: claimed})["Status"] == "FAILED"
    assert stage.outcome == "failed"


@pytest.mark.parametrize("alias", ["live", "tenant-111111111111"])
def test_a_request_that_came_by_a_tenants_alias_comes_back_by_another(stage: Stage, alias: str) -> None:
    """Only an alias that is for one account is compared with the stack's; the one that it comes back by is for none."""
    stage.context.invoked_function_arn = ARN + alias
    assert stage.send(create()) == {}
    stage.context.invoked_function_arn = f"{ARN}live"
    (approval,) = stage.desk.store.approvals()
    rule(stage, approval, YES)
    assert [answer["Status"] for answer in come_back(stage)] == ["SUCCESS"]


def test_what_is_put_aside_is_shown_nowhere(stage: Stage, waiting: Approval) -> None:
    """The event holds a right to answer: it is in no text of any record, and in no line of the log."""
    request = parse(create(), PLACE, stage.clock.now())
    (told,) = stage.desk.outside.happenings.told
    for text in (repr(request), str(request), repr(waiting), repr(told), stage.text()):
        assert SIGNATURE not in text
        assert "X-Amz" not in text
    assert SIGNATURE in waiting.event


@pytest.mark.parametrize("name", ["commit", "approval"])
def test_a_fault_while_it_is_put_aside_is_shown_without_it(stage: Stage, name: str) -> None:
    """A library may quote what it was given."""
    store = stage.desk.store

    class Quoting(Faulty):
        def call(self, called: str, do: Any, args: tuple[Any, ...]) -> Any:
            if called == name:
                asked = [each.approval.event for each in args[0].operations[:1]] if name == "commit" else args
                raise RuntimeError(f"what is this: {asked} {json.dumps(create())}")
            return super().call(called, do, args)

    stage.restart(Quoting(store, iter([])))
    with pytest.raises(UnansweredError):
        stage.send(create())
    assert "what is this" in stage.text()
    assert SIGNATURE not in stage.text()


def test_what_was_not_told_is_in_the_log(stage: Stage) -> None:
    """The request waits all the same, and the line says that nobody knows."""
    stage.desk.outside.happenings.deaf = True
    assert stage.send(create()) == {}
    assert stage.lines()[-1]["happenings_untold"] == ["Approval Asked: Deaf"]
    assert len(stage.desk.store.approvals()) == 1
    stage.send("delete_foreign_id")
    assert "happenings_untold" not in stage.lines()[-1]
