"""Requests that wait for an administrator: asked, decided, handed over, and answered once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import Change, PutAudit, UseApproval
from ipam.domain.errors import (
    ApprovalPendingError,
    ContendedError,
    DeniedError,
    NoSuchApprovalError,
    OutOfTimeError,
    PoolExhaustedError,
    QuotaExceededError,
    ServiceUnavailableError,
    StoreUnavailableError,
    SupersededError,
)
from ipam.domain.pool import AllocationRules
from ipam.services.approve import (
    MARGIN,
    MAX_FAILED,
    MAX_HANDED_OVER,
    MAX_WAITING,
    Verdict,
    decide,
    hand_over,
    keep_approvals,
    overdue,
)
from ipam.services.audit import note
from ipam.services.ports import NoDeadline
from ipam.services.request import Waiting
from tests.builders import ACCOUNT, NOON, STACK
from tests.faults import Around, Faulty, Interrupted
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import Approval
    from ipam.domain.pool import Pool
    from ipam.services.request import AllocateRequest
    from tests.builders import Desk

    MakePool = Callable[..., Pool]

EVENT = '{"RequestType": "Create", "ResponseURL": "https://secret"}'
UNTIL = NOON + 3_000_000
YES, NO = Verdict("approved", "ada", "fine"), Verdict("denied", "ada", "too large")


@pytest.fixture(autouse=True)
def pool(pool_of: MakePool) -> Pool:
    """A pool whose blocks larger than a /24 need an administrator's word."""
    return pool_of("10.0.0.0/16", rules=AllocationRules(approval_netmask_length=24))


def large(desk: Desk, name: str = "a", length: int = 20, **facts: Any) -> AllocateRequest:
    """Ask for a large block, and be able to wait."""
    return replace(desk.request(name, length, at=NOON, **facts), waiting=Waiting(UNTIL, EVENT))


def ask(desk: Desk, request: AllocateRequest | None = None) -> Approval:
    """Ask, and give what waits now."""
    with pytest.raises(ApprovalPendingError) as pending:
        desk.allocate(request or large(desk))
    found = desk.store.approval(pending.value.approval_id)
    assert found is not None
    return found


def handed(desk: Desk) -> int:
    """Tell how many events were handed over."""
    return len(desk.outside.redelivery.taken)


def test_a_small_block_needs_nobodys_word(desk: Desk) -> None:
    """The threshold is the smallest that does not wait."""
    assert desk.allocate(large(desk, length=24)).outcome == "allocated"
    assert desk.store.approvals() == []


def test_an_administrator_needs_no_other(desk: Desk) -> None:
    """Whoever may use the command line may have a large block."""
    request = replace(large(desk), by_administrator=True, waiting=None)
    assert desk.allocate(request).outcome == "allocated"


def test_a_large_block_is_asked_for(desk: Desk, pool: Pool) -> None:
    """It is written down with the event and told; nothing is allocated, and who waits is told until when."""
    with pytest.raises(ApprovalPendingError) as pending:
        desk.allocate(large(desk))
    (approval,) = desk.store.approvals()
    assert pending.value == ApprovalPendingError(approval.approval_id, "vpcs", 20, UNTIL)
    facts = (approval.decision, approval.event, approval.until, approval.asked, approval.netmask_length)
    assert facts == ("waiting", EVENT, UNTIL, NOON, 20)
    (told,) = desk.outside.happenings.told
    assert told.kind == "Approval Asked"
    assert told.facts == {
        "approvalId": approval.approval_id,
        "account": ACCOUNT,
        "stackId": STACK,
        "logicalResourceId": "a",
        "poolId": pool.pool_id,
        "poolName": "vpcs",
        "netmaskLength": 20,
        "description": "a network",
        "until": UNTIL,
    }
    assert [record.event for record in desk.store.audit(STACK)] == ["approval-asked"]
    assert desk.held(pool.pool_id) == []
    assert "secret" not in repr(approval) + repr(large(desk)) + repr(told)


def test_what_is_delivered_again_while_it_waits_is_asked_once(desk: Desk) -> None:
    """To the same process or another one; the wait does not get longer."""
    first = ask(desk)
    desk.clock.advance(60)
    again = replace(large(desk), waiting=Waiting(UNTIL + 60_000, EVENT))
    for at in (desk, desk.another()):
        assert ask(at, again) == first
    assert desk.outside.happenings.kinds() == ["Approval Asked"]


def test_two_deliveries_at_once_ask_once(desk: Desk) -> None:
    """One is written; it may be told twice."""
    other = desk.another(Interrupted(desk.store, lambda: ask(desk)))
    assert ask(other) == desk.store.approvals()[0]
    assert desk.outside.happenings.kinds() == ["Approval Asked"] * 2


@pytest.mark.parametrize("waiting", [None, Waiting(NOON, EVENT), Waiting(NOON - 1, EVENT)])
def test_what_cannot_wait_is_refused(desk: Desk, waiting: Waiting | None) -> None:
    """Nobody is asked for what could not be answered any more."""
    with pytest.raises(DeniedError) as denied:
        desk.allocate(replace(large(desk), waiting=waiting))
    assert denied.value == DeniedError("vpcs", 20, "", "", waits=False)
    assert desk.store.approvals() == []
    assert desk.outside.happenings.told == []


def test_an_approved_request_is_served_once(desk: Desk, pool: Pool) -> None:
    """The same request gets its block, the approval is used up, and comes again only as what it got."""
    approval = ask(desk)
    assert decide(desk.ports, approval.approval_id, YES, "test").decision == "approved"
    first = desk.allocate(large(desk))
    assert (first.outcome, str(first.grant.cidr)) == ("allocated", "10.0.0.0/20")
    assert desk.store.approvals() == []
    for at in (desk, desk.another()):
        again = at.allocate(large(desk))
        assert (again.outcome, again.grant.allocation_id) == ("kept", first.grant.allocation_id)
    assert desk.store.approvals() == []
    assert desk.outside.happenings.kinds() == ["Approval Asked"]
    assert desk.held(pool.pool_id) == ["10.0.0.0/20"]
    check(desk.store)


def test_an_approved_request_that_is_delivered_twice_at_once_is_served_once(desk: Desk, pool: Pool) -> None:
    """One uses the approval, the other finds what it brought."""
    decide(desk.ports, ask(desk).approval_id, YES, "test")
    other = desk.another(Interrupted(desk.store, lambda: desk.allocate(large(desk))))
    assert other.allocate(large(desk)).outcome == "kept"
    assert desk.held(pool.pool_id) == ["10.0.0.0/20"]
    assert desk.store.approvals() == []
    check(desk.store)


def test_an_approval_that_is_used_meanwhile_is_not_asked_for_again(desk: Desk, pool: Pool) -> None:
    """Seen or gone: where it is gone, the owner's record that is read after it shows what it brought."""
    decide(desk.ports, ask(desk).approval_id, YES, "test")

    class Meanwhile(Around):
        done = False

        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == wanted and not self.done:
                self.done = True
                desk.allocate(large(desk))
            return super().call(name, do, args)

    wanted = "approval"
    assert desk.another(Meanwhile(desk.store)).allocate(large(desk)).outcome == "kept"
    assert desk.store.approvals() == []
    assert desk.held(pool.pool_id) == ["10.0.0.0/20"]


@pytest.mark.parametrize("other", [{"name": "b"}, {"length": 19}, {"account": ACCOUNT, "stack": f"{STACK}-2"}])
def test_an_approval_is_for_one_request(desk: Desk, other: dict[str, Any]) -> None:
    """Another resource, size or stack has to ask for itself; so has a later request of the same."""
    decide(desk.ports, ask(desk).approval_id, YES, "test")
    ask(desk, large(desk, **other))
    ask(desk, replace(large(desk), requested=NOON + 1000))


def test_a_denied_request_is_refused_with_who_and_why(desk: Desk) -> None:
    """However often it comes."""
    decide(desk.ports, ask(desk).approval_id, NO, "test")
    for at in (desk, desk.another()):
        with pytest.raises(DeniedError) as denied:
            at.allocate(large(desk))
        assert denied.value == DeniedError("vpcs", 20, "ada", "too large")


def test_what_nobody_decides_is_refused_in_time(desk: Desk) -> None:
    """From that moment on, whether upkeep has come by or not."""
    ask(desk)
    desk.clock.milliseconds = UNTIL - 1
    ask(desk)
    desk.clock.milliseconds = UNTIL
    with pytest.raises(DeniedError) as denied:
        desk.allocate(large(desk))
    assert denied.value.by == ""


def test_what_was_approved_in_time_is_served_late(desk: Desk) -> None:
    """The time is for the decision; there is a margin for the rest."""
    approval = ask(desk)
    decide(desk.ports, approval.approval_id, YES, "test")
    desk.clock.milliseconds = UNTIL + 1
    assert desk.allocate(large(desk)).outcome == "allocated"


def test_a_delete_ends_what_waits(desk: Desk, pool: Pool) -> None:
    """An administrator's late yes allocates nothing for a stack that is gone."""
    approval = ask(desk)
    assert desk.abandon("a", at=NOON + 1000) == "nothing-to-release"
    decide(desk.ports, approval.approval_id, YES, "test")
    for at in (desk, desk.another()):
        with pytest.raises(SupersededError):
            at.allocate(large(desk))
    assert desk.held(pool.pool_id) == []


def test_a_request_that_a_delete_has_overtaken_asks_nobody(desk: Desk) -> None:
    """It would be an errand for nothing."""
    desk.abandon("a", at=NOON + 1000)
    with pytest.raises(SupersededError):
        desk.another().allocate(large(desk))
    assert desk.store.approvals() == []


def test_a_refusal_by_a_person_ends_the_request(desk: Desk, pool_of: MakePool) -> None:
    """No other pool gives what an administrator has refused."""
    pool_of("10.1.0.0/16", name="w", scope=desk.scope("second"))
    request = large(desk)
    named = replace(request, ask=replace(request.ask, pools=("vpcs", "w")))
    decide(desk.ports, ask(desk, named).approval_id, NO, "test")
    with pytest.raises(DeniedError):
        desk.allocate(named)


def test_an_account_may_wait_for_so_much_only(desk: Desk) -> None:
    """Nobody fills an administrator's list; what is decided, or too late, or another's, does not count."""
    for number in range(MAX_WAITING):
        ask(desk, large(desk, f"n{number}"))
    with pytest.raises(QuotaExceededError) as refused:
        desk.allocate(large(desk, "one more"))
    assert (refused.value.account, refused.value.limit) == (ACCOUNT, MAX_WAITING)
    ask(desk, large(desk, account="999988887777"))
    decide(desk.ports, desk.store.approvals()[0].approval_id, NO, "test")
    ask(desk, large(desk, "one more"))


# ------------------------------------------------------------------------------------------------------- deciding


def test_a_decision_is_written_with_its_author(desk: Desk) -> None:
    """Who, what and why, in the record and in the history of the stack."""
    approval = ask(desk)
    decided = decide(desk.ports, approval.approval_id, NO, "ipam approve, ada")
    assert decided == replace(approval, decision="denied", decided_by="ada", note="too large")
    assert desk.store.approval(approval.approval_id) == decided
    record = max(desk.store.audit(STACK), key=lambda record: record.event == "denied")
    assert (record.event, record.cause) == ("denied", "ipam approve, ada")


def test_the_same_decision_again_is_none(desk: Desk) -> None:
    """An interrupted command can be run again; nothing is written twice."""
    approval = ask(desk)
    first = decide(desk.ports, approval.approval_id, YES, "test")
    count = len(list(desk.store.audit(STACK)))
    assert decide(desk.ports, approval.approval_id, Verdict("approved", "bob"), "test") == first
    assert len(list(desk.store.audit(STACK))) == count


def test_a_decision_stands(desk: Desk) -> None:
    """The other word comes too late, and so does any word for what is not there."""
    approval = ask(desk)
    decide(desk.ports, approval.approval_id, YES, "test")
    with pytest.raises(NoSuchApprovalError) as raised:
        decide(desk.ports, approval.approval_id, NO, "test")
    assert raised.value.why == "approved"
    with pytest.raises(NoSuchApprovalError) as raised:
        decide(desk.ports, "approval-0", NO, "test")
    assert raised.value.why == "unknown"


@pytest.mark.parametrize("verdict", [YES, NO])
@pytest.mark.parametrize("upkeep", [True, False])
def test_a_word_after_the_time_is_too_late(desk: Desk, verdict: Verdict, upkeep: object) -> None:
    """Whether upkeep has denied it already or not."""
    approval = ask(desk)
    desk.clock.milliseconds = UNTIL
    if upkeep:
        keep_approvals(desk.ports, NoDeadline())
    with pytest.raises(NoSuchApprovalError) as raised:
        decide(desk.ports, approval.approval_id, verdict, "test")
    assert raised.value.why == "too late"


@pytest.mark.parametrize(("mine", "theirs", "why"), [(YES, YES, ""), (YES, NO, "denied"), (NO, YES, "approved")])
def test_two_administrators_at_once(desk: Desk, mine: Verdict, theirs: Verdict, why: str) -> None:
    """The first word stands, and the second is told so, unless it is the same."""
    approval = ask(desk)
    first = replace(theirs, by="bob")
    other = desk.another(Interrupted(desk.store, lambda: decide(desk.ports, approval.approval_id, first, "test")))
    if why:
        with pytest.raises(NoSuchApprovalError) as raised:
            decide(other.ports, approval.approval_id, mine, "test")
        assert raised.value.why == why
    else:
        assert decide(other.ports, approval.approval_id, mine, "test").decided_by == "bob"


# -------------------------------------------------------------------------------------------------- handing over


@pytest.mark.parametrize("verdict", [YES, NO])
def test_a_decided_request_is_handed_over_once(desk: Desk, verdict: Verdict) -> None:
    """Its event is taken, then struck out: there is nothing left for upkeep to do, and no URL in the table."""
    approval = decide(desk.ports, ask(desk).approval_id, verdict, "test")
    hand_over(desk.ports, approval, "test")
    assert desk.outside.redelivery.taken == [json.loads(EVENT)]
    (kept,) = desk.store.approvals()
    assert kept == replace(approval, event="")
    hand_over(desk.ports, kept, "test")
    assert keep_approvals(desk.ports, NoDeadline()) == (0, ())
    assert handed(desk) == 1
    assert "redelivered" in [record.event for record in desk.store.audit(STACK)]


def test_what_was_handed_over_is_still_decided(desk: Desk) -> None:
    """Without its event an approval is as good: approved it is served, denied it is refused."""
    hand_over(desk.ports, decide(desk.ports, ask(desk).approval_id, YES, "test"), "test")
    assert desk.allocate(large(desk)).outcome == "allocated"
    denied = decide(desk.ports, ask(desk, large(desk, "b")).approval_id, NO, "test")
    hand_over(desk.ports, denied, "test")
    with pytest.raises(DeniedError):
        desk.allocate(large(desk, "b"))


def test_a_request_that_was_served_before_it_could_be_struck_out(desk: Desk) -> None:
    """The function may be faster than whoever handed over: its approval is gone, and that is that."""
    approval = decide(desk.ports, ask(desk).approval_id, YES, "test")

    def serve(event: str) -> None:
        assert event == EVENT
        desk.allocate(large(desk))

    desk.outside.redelivery.redeliver = serve  # type: ignore[method-assign]
    hand_over(desk.ports, approval, "test")
    assert desk.store.approvals() == []


def test_an_event_that_is_not_taken_is_handed_over_by_upkeep(desk: Desk) -> None:
    """Whoever decided is told; upkeep tries until it is taken, or CloudFormation has given up."""
    approval = decide(desk.ports, ask(desk).approval_id, YES, "test")
    desk.outside.redelivery.closed = True
    with pytest.raises(ServiceUnavailableError):
        hand_over(desk.ports, approval, "test")
    done, errors = keep_approvals(desk.ports, NoDeadline())
    assert done == 0 and [type(error) for error in errors] == [ServiceUnavailableError]
    desk.outside.redelivery.closed = False
    assert keep_approvals(desk.ports, NoDeadline()) == (1, ())
    assert keep_approvals(desk.ports, NoDeadline()) == (0, ())
    assert handed(desk) == 1


def test_an_event_that_was_taken_unseen_is_handed_over_again(desk: Desk) -> None:
    """Once at least: the function gives the same answer to both."""
    approval = decide(desk.ports, ask(desk).approval_id, NO, "test")
    faulty = desk.another(Faulty(desk.store, iter(["lost-before"])))
    with pytest.raises(StoreUnavailableError):
        hand_over(faulty.ports, approval, "test")
    assert keep_approvals(desk.ports, NoDeadline()) == (1, ())
    assert handed(desk) == 2


def test_what_is_overdue_is_denied_and_handed_over(desk: Desk) -> None:
    """In time for its stack to be told why; until then upkeep leaves it alone."""
    approval = ask(desk)
    desk.clock.milliseconds = UNTIL - 1
    assert overdue(desk.ports) == []
    assert keep_approvals(desk.ports, NoDeadline()) == (0, ())
    desk.clock.milliseconds = UNTIL
    assert overdue(desk.ports) == [approval]
    assert keep_approvals(desk.ports, NoDeadline()) == (1, ())
    assert desk.outside.redelivery.taken == [json.loads(EVENT)]
    with pytest.raises(DeniedError) as denied:
        desk.allocate(large(desk))
    assert denied.value.by == ""
    assert overdue(desk.ports) == []


def test_what_is_overdue_can_only_be_refused_whatever_the_functions_clock_says(desk: Desk) -> None:
    """A clock that is behind does not let the request wait again, with nobody left to call for it."""
    ask(desk)
    desk.clock.milliseconds = UNTIL
    keep_approvals(desk.ports, NoDeadline())
    desk.clock.milliseconds = UNTIL - 500
    with pytest.raises(DeniedError):
        desk.allocate(large(desk))


def test_what_is_decided_while_upkeep_comes_by_is_left_to_whoever_did(desk: Desk) -> None:
    """His word was first, and he hands it over; if he does not get to it, the next run does."""
    approval = ask(desk)
    desk.clock.milliseconds = UNTIL

    def approving() -> None:
        desk.clock.milliseconds -= 1
        decide(desk.ports, approval.approval_id, YES, "test")
        desk.clock.milliseconds += 1

    assert keep_approvals(desk.another(Interrupted(desk.store, approving)).ports, NoDeadline()) == (0, ())
    assert keep_approvals(desk.ports, NoDeadline()) == (1, ())
    assert desk.allocate(large(desk)).outcome == "allocated"


@pytest.mark.parametrize("verdict", [YES, NO, None])
def test_what_cloudformation_has_given_up_is_left_alone(desk: Desk, verdict: Verdict | None) -> None:
    """Nobody is left to answer; the table forgets it in time."""
    approval = ask(desk)
    if verdict is not None:
        decide(desk.ports, approval.approval_id, verdict, "test")
    desk.clock.milliseconds = UNTIL + MARGIN
    assert keep_approvals(desk.ports, NoDeadline()) == (0, ())
    assert handed(desk) == 0


def test_one_that_is_not_taken_does_not_stop_the_others(desk: Desk) -> None:
    """Each is tried in every run."""
    for name in "abc":
        decide(desk.ports, ask(desk, large(desk, name)).approval_id, NO, "test")
    taken: list[str] = []

    def redeliver(event: str) -> None:
        taken.append(event)
        if len(taken) == 2:
            raise ServiceUnavailableError("AWS Lambda", "ServiceException")

    desk.outside.redelivery.redeliver = redeliver  # type: ignore[method-assign]
    done, errors = keep_approvals(desk.ports, NoDeadline())
    assert (done, len(errors), len(taken)) == (2, 1, 3)


def test_a_region_that_takes_nothing_does_not_keep_the_others(desk: Desk) -> None:
    """After some tries the rest of its requests are left to the next run, however many there are."""
    there = STACK.replace("eu-central-1", "us-east-1")
    for number in range(MAX_HANDED_OVER + 1):
        waiting = Waiting(UNTIL, json.dumps({"StackId": f"{there}{number}"}))
        request = replace(large(desk, account=f"{number:012d}", stack=f"{there}{number}"), waiting=waiting)
        decide(desk.ports, ask(desk, request).approval_id, NO, "test")
    decide(desk.ports, ask(desk).approval_id, NO, "test")
    desk.outside.redelivery.closed_regions = {"us-east-1"}
    done, errors = keep_approvals(desk.another().ports, NoDeadline())
    assert (done, len(errors)) == (1, MAX_FAILED)
    assert desk.outside.redelivery.asked == MAX_FAILED + 1
    desk.outside.redelivery.closed_regions = set()
    assert keep_approvals(desk.another().ports, NoDeadline()) == (MAX_HANDED_OVER, ())
    assert keep_approvals(desk.another().ports, NoDeadline()) == (1, ())


def test_a_run_hands_over_so_many(desk: Desk) -> None:
    """The next run goes on."""
    for number in range(MAX_HANDED_OVER + 1):
        request = large(desk, account=f"{number:012d}", stack=f"{STACK}{number}")
        decide(desk.ports, ask(desk, request).approval_id, NO, "test")
    assert keep_approvals(desk.ports, NoDeadline()) == (MAX_HANDED_OVER, ())
    assert keep_approvals(desk.ports, NoDeadline()) == (1, ())


def test_a_run_without_time_or_store_says_so(desk: Desk) -> None:
    """What could not be done is told, and is no fault of the pools that are served next."""
    decide(desk.ports, ask(desk).approval_id, NO, "test")

    class Over:
        def ensure(self) -> None:
            raise OutOfTimeError

    assert keep_approvals(desk.ports, Over()) == (0, (OutOfTimeError(),))

    class Down(Around):
        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            del name, do, args
            raise StoreUnavailableError("ThrottlingException")

    _, errors = keep_approvals(desk.another(Down(desk.store)).ports, NoDeadline())
    assert errors == (StoreUnavailableError("ThrottlingException"),)


def test_an_approved_request_that_cannot_be_served_is_refused(desk: Desk, pool: Pool) -> None:
    """A word is no space: the reason is told, and nothing is handed over for ever."""
    approval = decide(desk.ports, ask(desk).approval_id, YES, "test")
    for number in range(16):
        desk.allocate(replace(desk.request(f"n{number}", 20), by_administrator=True))
    with pytest.raises(PoolExhaustedError):
        desk.allocate(large(desk))
    hand_over(desk.ports, approval, "test")
    assert keep_approvals(desk.ports, NoDeadline()) == (0, ())
    assert len(desk.held(pool.pool_id)) == 16


def test_without_its_approval_nothing_is_allocated(desk: Desk, pool: Pool) -> None:
    """The change of the allocation takes the approval away: where that is gone, there is no change."""
    approval = decide(desk.ports, ask(desk).approval_id, YES, "test")
    take = Change((UseApproval(approval.approval_id), PutAudit(note(desk.ports, STACK, "fenced", "test"))))
    racing = desk.another(Interrupted(desk.store, lambda: desk.store.commit(take)))
    with pytest.raises(ContendedError):
        racing.allocate(large(desk))
    assert desk.held(pool.pool_id) == []
