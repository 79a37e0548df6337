"""Whole events, one after the other, as CloudFormation sends them in the life of a stack."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.authorization import derive
from ipam.domain.errors import StoreUnavailableError, SupersededError
from ipam.entrypoints.errors import UnansweredError, UndeliveredError
from ipam.services.pools import NewPool
from ipam.services.scopes import edit_scope
from tests.builders import REGION
from tests.faults import Around
from tests.unit.entrypoints.stage import (
    ACCOUNT,
    MASTER,
    NAMES,
    Stage,
    allocation_id,
    at,
    event,
    readdressed,
    with_properties,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.entrypoints.response_url import ResponseUrl

REFUSED = {
    "bad_mask": "CnCidrMask",
    "mask_outside_rules": "CnCidrMask",
    "subnets_do_not_fit": "SubnetMasks",
    "unknown_property": "CnCidrMask?",
    "delete_cn_cidr_wrong_key": "Authorizationkey",
}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def created(stage: Stage) -> Stage:
    """A stack that has its /24."""
    stage.send("create")
    return stage


@pytest.fixture
def verified(created: Stage) -> Stage:
    """A stack that has its /24, and its resource for the return."""
    created.send("delete_cn_cidr_create")
    return created


class Failing(Around):
    """A store that fails in a chosen call, once."""

    def __init__(self, store: Any, name: str, fault: Exception) -> None:
        super().__init__(store)
        self._name = name
        self._fault: Exception | None = fault

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name == self._name and self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        return super().call(name, do, args)


def test_a_create_answers_with_every_attribute(stage: Stage) -> None:
    """GetCnCIDR gives the block, its id, when it was made, its pool and its length; Ref is the allocation id."""
    answer = stage.send("create")
    sent = event("create")
    assert answer == {
        "Status": "SUCCESS",
        "PhysicalResourceId": allocation_id(1),
        "StackId": sent["StackId"],
        "RequestId": sent["RequestId"],
        "LogicalResourceId": "GetCnCIDR",
        "Data": {
            "Cidr": "10.0.0.0/24",
            "Returned_IpamPoolAllocationId": allocation_id(1),
            "CreationDate": "2026-11-20T08:00:00.000Z",
            "IpamPoolId": stage.vpcs.pool_id,
            "IpamPoolName": "vpcs",
            "NetmaskLength": "24",
            "Explanation": 'From pool "vpcs".',
            "PreviewToken": "",
            "ExpiresAt": "",
            "SubnetCidrs": "",
        },
    }
    assert stage.outcome == "allocated"
    (allocation,) = stage.desk.store.allocations(stage.vpcs.pool_id)
    assert (allocation.account, allocation.description) == (ACCOUNT, "111111111111 - vpc - network-1")


@pytest.mark.parametrize(
    ("name", "cidr"),
    [
        ("create_exact_cidr", "10.0.16.0/20"),
        ("create_ipv6", "fd00::/56"),
        ("create_subnet", "10.1.0.0/27"),
        ("create_other_account", "10.0.0.0/24"),
        ("create_over_sns", "10.0.0.0/24"),
    ],
)
def test_every_way_to_ask_is_served(stage: Stage, name: str, cidr: str) -> None:
    """An exact block, another family, another type, another account, a topic as the token: each gets its block."""
    answer = stage.send(name)
    assert (answer["Status"], answer["Data"]["Cidr"]) == ("SUCCESS", cidr)


def test_subnets_are_laid_out_in_the_block(stage: Stage) -> None:
    """SubnetMasks of several sizes come back as SubnetCidrs and one by one, in the order asked."""
    data = stage.send("create_with_subnets")["Data"]
    subnets = ["10.0.0.0/24", "10.0.1.0/26", "10.0.1.64/26", "10.0.1.128/25", "10.0.2.0/28"]
    assert data["SubnetCidrs"] == ",".join(subnets)
    assert [data[f"SubnetCidr{number}"] for number in range(1, 6)] == subnets


def test_a_redelivery_gets_the_same_answer(created: Stage) -> None:
    """The same event again, to a function that remembers nothing, allocates nothing and says the same."""
    first = created.mailbox.taken[-1]
    created.restart()
    created.clock.advance(60)
    assert created.send("redelivery") == first
    assert created.held() == ["10.0.0.0/24"]
    assert created.outcome == "kept"


def test_an_answer_that_was_not_delivered_is_found_again(stage: Stage) -> None:
    """When the answer does not get out after the commit, Lambda is told to try again, and the answer is the same."""
    stage.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        stage.send("create")
    assert stage.outcome == "undelivered"
    assert stage.lines()[-1]["answer"] == "allocated"
    assert stage.held() == ["10.0.0.0/24"]
    stage.restart()
    assert stage.send("create", late=60_000)["PhysicalResourceId"] == allocation_id(1)
    assert stage.held() == ["10.0.0.0/24"]


def test_an_update_of_the_description_keeps_the_block(created: Stage) -> None:
    """What is asked for is the same, so the id is, and all attributes are sent again."""
    answer = created.send("update_in_place")
    assert answer["PhysicalResourceId"] == allocation_id(1)
    assert answer["Data"] == created.mailbox.taken[0]["Data"]
    assert created.outcome == "kept"


def test_another_mask_is_a_replacement_and_the_old_block_stays(created: Stage) -> None:
    """The new block is made beside the old one, which waits for its own Delete."""
    answer = created.send("update_replacement")
    assert answer["PhysicalResourceId"] == allocation_id(2)
    assert created.held() == ["10.0.0.0/24", "10.0.4.0/22"]
    assert created.outcome == "replaced"
    assert created.send("delete_replaced")["Status"] == "SUCCESS"
    assert created.held() == ["10.0.4.0/22"]


@pytest.mark.parametrize("name", ["update_rollback", "update_rollback_unaccepted"])
def test_a_rollback_finds_the_old_block_again(created: Stage, name: str) -> None:
    """A rollback, whichever id CloudFormation holds by then, gets the first block and its id."""
    first = created.mailbox.taken[0]
    created.send("update_replacement")
    answer = created.send(name)
    assert (answer["PhysicalResourceId"], answer["Data"]) == (allocation_id(1), first["Data"])
    assert "10.0.0.0/24" in created.held()


def test_a_rollback_of_an_unaccepted_replacement_releases_it(created: Stage) -> None:
    """An Update whose answer never arrived leaves nothing behind once it is rolled back."""
    created.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        created.send("update_replacement")
    assert created.held() == ["10.0.0.0/24", "10.0.4.0/22"]
    created.send("update_rollback_unaccepted")
    assert created.held() == ["10.0.0.0/24"]


def test_a_rollback_of_an_accepted_replacement_is_cleaned_up(created: Stage) -> None:
    """After the rollback CloudFormation deletes the replacement by its id, and the first block stays."""
    created.send("update_replacement")
    created.send("update_rollback")
    delete = event("delete_replaced", PhysicalResourceId=allocation_id(2))
    assert created.send(delete)["Status"] == "SUCCESS"
    assert created.held() == ["10.0.0.0/24"]


def test_another_mask_where_nothing_may_be_replaced(created: Stage) -> None:
    """It is refused with the reason, nothing is made, and the rollback, which forbids it as well, goes back."""
    refused = created.send(with_properties("update_replacement", Replaceable="false"))
    assert (refused["Status"], refused["PhysicalResourceId"]) == ("FAILED", allocation_id(1))
    assert "another block than 10.0.0.0/24" in refused["Reason"]
    assert created.held() == ["10.0.0.0/24"]
    answer = created.send(with_properties("update_rollback_unaccepted", Replaceable="false"))
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", allocation_id(1))
    assert created.held() == ["10.0.0.0/24"]


def test_a_stack_stays_in_its_scope(created: Stage) -> None:
    """A laboratory with the same addresses and names before ours: an Update and its rollback stay where they were."""
    desk = created.desk.another()
    laboratory = NewPool("a", desk.scope("laboratory"), locale=REGION)
    pool_id = desk.pool(laboratory, "10.0.0.0/16").pool_id
    edit_scope(desk.ports, created.vpcs.scope_id, lambda scope: replace(scope, name="private"), "test")
    created.restart()
    moved = created.send("update_replacement")
    back = created.send("update_rollback")
    assert [answer["Data"]["IpamPoolName"] for answer in (moved, back)] == ["vpcs", "vpcs"]
    assert back["PhysicalResourceId"] == allocation_id(1) != moved["PhysicalResourceId"]
    assert desk.held(pool_id) == []


def test_a_rollback_of_an_update_that_made_no_sense(created: Stage) -> None:
    """What could not be served before is no obstacle to going back."""
    refused = created.send(event("update_in_place") | {"ResourceProperties": {"CnCidrMask": "/22"}})
    assert (refused["Status"], refused["PhysicalResourceId"]) == ("FAILED", allocation_id(1))
    answer = created.send("update_rollback_of_nonsense")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", allocation_id(1))


@pytest.mark.parametrize("order", [("delete_cn_cidr_delete", "delete"), ("delete", "delete_cn_cidr_delete")])
def test_either_resource_gives_the_block_back_once(verified: Stage, order: tuple[str, str]) -> None:
    """Both Deletes succeed in either order; the second finds the work done."""
    outcomes = []
    for name in order:
        assert verified.send(name)["Status"] == "SUCCESS"
        outcomes.append(verified.outcome)
    assert outcomes == ["released", "already-released"]
    assert verified.held() == []


def test_the_whole_replacement_with_its_return(verified: Stage) -> None:
    """With both resources in the stack, a new mask replaces both, and the cleanup gives back the old block once."""
    verified.send("update_replacement")
    assert verified.send("delete_cn_cidr_update")["PhysicalResourceId"] == f"return-of-{allocation_id(2)}"
    assert verified.send("delete_cn_cidr_delete_replaced")["Status"] == "SUCCESS"
    assert verified.outcome == "released"
    assert verified.send("delete_replaced")["Status"] == "SUCCESS"
    assert verified.outcome == "already-released"
    assert verified.held() == ["10.0.4.0/22"]


def test_a_delete_before_its_create_lets_it_allocate_nothing(stage: Stage) -> None:
    """A Create that its own Delete has overtaken is refused, and nothing leaks."""
    assert stage.send("delete_before_create")["Status"] == "SUCCESS"
    assert stage.outcome == "nothing-to-release"
    late = stage.send("create")
    assert late["Status"] == "FAILED"
    assert "later request" in late["Reason"]
    assert stage.held() == []


def test_a_delete_with_an_invented_id_releases_what_nobody_learned_of(created: Stage) -> None:
    """A Create that was cancelled in flight leaves its block to the Delete with CloudFormation's own id."""
    assert created.send("delete_invented_id")["Status"] == "SUCCESS"
    assert created.outcome == "released"
    assert created.held() == []


def forged(name: str, victim: str = "create", **changes: str) -> dict[str, Any]:
    """Make up an event for another stack's resource: its names are known, its signature is not."""
    of = event(victim)
    names = {"StackId": of["StackId"], "LogicalResourceId": of["LogicalResourceId"]}
    made = readdressed(event(name), RequestId="deadbeef-0000-4000-8000-000000000000", **(names | changes))
    return made | {"PhysicalResourceId": "i-made-this-up"}


def test_a_forged_delete_with_an_invented_id_releases_nothing(created: Stage) -> None:
    """S3 does not take an answer that CloudFormation has not signed for; only then anything would be released."""
    created.mailbox.failures = 3
    for _ in range(3):
        with pytest.raises(UndeliveredError):
            created.send(forged("delete_invented_id"))
        assert created.outcome == "undelivered"
        assert created.held() == ["10.0.0.0/24"]
    assert created.desk.record("GetCnCIDR", stack=event("create")["StackId"]).fence is None


def test_a_forged_delete_locks_nobody_out(stage: Stage) -> None:
    """Neither does it set a fence that the Create it is meant to hit could not pass, whatever date it bears."""
    stage.clock.milliseconds = at(8)
    for query in (None, "X-Amz-Date=20261120T081400Z"):
        stage.mailbox.failures = 1
        made = forged("delete_invented_id")
        sent = made if query is None else readdressed(made, query=query)
        with pytest.raises(UndeliveredError):
            stage.provider.handle(sent, stage.context)
    assert stage.send("create")["Status"] == "SUCCESS"
    assert stage.held() == ["10.0.0.0/24"]


def test_a_date_ahead_of_the_clock_counts_as_now(stage: Stage) -> None:
    """A Delete whose URL was dated ahead fences no Create that is made after it was received."""
    stage.clock.milliseconds = at(8)
    ahead = readdressed(event("delete_invented_id"), query="X-Amz-Date=20261120T081400Z")
    stage.provider.handle(ahead, stage.context)
    assert stage.outcome == "nothing-to-release"
    later = readdressed(event("create"), query="X-Amz-Date=20261120T080001Z")
    assert stage.send(later)["Status"] == "SUCCESS"


def test_an_invented_id_is_answered_before_anything_is_released(created: Stage) -> None:
    """The answer comes first, because its being taken is the proof; the log says what came of it afterwards."""
    held: list[list[str]] = []

    def taking(url: ResponseUrl, body: bytes, remaining: Callable[[], int]) -> None:
        held.append(created.held())
        created.mailbox(url, body, remaining)

    created.provider.deliver = taking
    assert created.send("delete_invented_id")["Status"] == "SUCCESS"
    assert held == [["10.0.0.0/24"]]
    assert created.held() == []
    line = created.lines()[-1]
    assert (line["outcome"], line["answer"]) == ("released", "nothing-to-release")


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), StoreUnavailableError("Throttled")])
@pytest.mark.parametrize("late", [0, 180_000])
def test_what_fails_after_the_answer_is_delivered_again(created: Stage, fault: Exception, late: int) -> None:
    """The stack has its SUCCESS; the event is raised, comes again, is answered again, and the block is released."""
    created.restart(Failing(created.desk.store, "commit", fault))
    with pytest.raises(UnansweredError):
        created.send("delete_invented_id", late=late)
    assert created.outcome == "retried"
    assert created.lines()[-1]["cause"]
    assert created.held() == ["10.0.0.0/24"]
    assert [answer["Status"] for answer in created.mailbox.taken[1:]] == ["SUCCESS"]
    assert created.send("delete_invented_id", late=late + 60_000)["Status"] == "SUCCESS"
    assert created.outcome == "released"
    assert created.held() == []


def test_without_time_after_the_answer_the_event_comes_again(created: Stage) -> None:
    """A delivery that took too long leaves the release to the next one."""
    remaining = iter([30_000, 30_000])
    created.context.get_remaining_time_in_millis = lambda: next(remaining, 100)  # type: ignore[method-assign]
    with pytest.raises(UnansweredError):
        created.send("delete_invented_id")
    assert created.held() == ["10.0.0.0/24"]


def test_a_late_delete_leaves_what_was_given_out_again(created: Stage) -> None:
    """A Delete of the dead-letter queue that is older than the resource's latest answer is a SUCCESS without effect."""
    again = readdressed(event("create"), query="X-Amz-Date=20261120T230000Z", RequestId="0000-1")
    assert created.send(again)["PhysicalResourceId"] == allocation_id(1)
    assert created.send("delete")["Status"] == "SUCCESS"
    assert created.outcome == "unverified-delete"
    assert created.held() == ["10.0.0.0/24"]


def test_a_renamed_return_keeps_the_block(verified: Stage) -> None:
    """A template that renames its DeleteCnCIDR creates the new one, then deletes the old one; the network stays."""
    renamed = readdressed(event("delete_cn_cidr_create"), LogicalResourceId="ReturnCnCIDR", RequestId="0000-1")
    assert verified.send(renamed)["Status"] == "SUCCESS"
    assert verified.send("delete_cn_cidr_delete")["Status"] == "SUCCESS"
    assert verified.outcome == "nothing-to-release"
    assert verified.held() == ["10.0.0.0/24"]
    last = readdressed(event("delete_cn_cidr_delete"), LogicalResourceId="ReturnCnCIDR", RequestId="0000-2")
    assert verified.send(last)["Status"] == "SUCCESS"
    assert verified.outcome == "released"
    assert verified.held() == []


def test_a_return_that_was_never_verified_releases_nothing(created: Stage) -> None:
    """Whoever knows the three facts of an allocation, but was never created, stands for nothing."""
    assert created.send("delete_cn_cidr_delete")["Status"] == "SUCCESS"
    assert created.outcome == "unverified-delete"
    assert created.held() == ["10.0.0.0/24"]


def test_the_description_is_stored_anew(created: Stage) -> None:
    """An Update of the description alone is seen by whoever looks the block up."""
    created.send("update_in_place")
    (allocation,) = created.desk.store.allocations(created.vpcs.pool_id)
    assert allocation.description == event("update_in_place")["ResourceProperties"]["Description"]
    assert allocation.description != event("create")["ResourceProperties"]["Description"]


def test_a_delete_with_an_invented_id_leaves_an_accepted_block(verified: Stage) -> None:
    """Once the stack is known to have its block, an id that was never given out releases nothing."""
    assert verified.send("delete_invented_id")["Status"] == "SUCCESS"
    assert verified.outcome == "unverified-delete"
    assert verified.held() == ["10.0.0.0/24"]


def test_a_delete_with_somebody_elses_id_changes_nothing(created: Stage) -> None:
    """An id of our form that the resource never had is answered with SUCCESS, and rings the alarm."""
    assert created.send("delete_foreign_id")["Status"] == "SUCCESS"
    assert created.outcome == "unverified-delete"
    assert created.held() == ["10.0.0.0/24"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_with_a_reason(created: Stage, name: str) -> None:
    """A refused Create names the property, carries an id that no allocation has, and changes nothing."""
    before = created.held()
    answer = created.send(name)
    assert answer["Status"] == "FAILED"
    assert REFUSED[name] in answer["Reason"]
    assert answer["PhysicalResourceId"].startswith(("not-allocated-", "not-verified-"))
    assert "Data" not in answer
    assert created.held() == before
    assert created.outcome == ("denied" if name == "delete_cn_cidr_wrong_key" else "refused")


def test_a_failed_create_is_deleted_by_the_id_it_was_given(stage: Stage) -> None:
    """The Delete after a refused Create carries its id, succeeds and releases nothing."""
    refused = stage.send("bad_mask")
    delete = event("delete_failed_create")
    assert delete["PhysicalResourceId"] == refused["PhysicalResourceId"]
    assert stage.send(delete)["Status"] == "SUCCESS"
    assert stage.outcome == "nothing-to-release"


def test_the_return_is_verified_and_changes_no_allocation(created: Stage) -> None:
    """DeleteCnCIDR's Create checks key, id, block and date; its id is made from the allocation's."""
    answer = created.send("delete_cn_cidr_create")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", f"return-of-{allocation_id(1)}")
    assert created.outcome == "verified"
    assert created.held() == ["10.0.0.0/24"]


def test_not_yours_and_not_found_look_the_same(created: Stage) -> None:
    """Another account's stack with a key of its own, and a wrong date, get the same words."""
    theirs = created.send(event("delete_cn_cidr_other_account", key=derive(MASTER, "222222222222")))
    wrong = created.send("delete_cn_cidr_wrong_date")
    assert theirs["Status"] == wrong["Status"] == "FAILED"
    assert theirs["Reason"] == wrong["Reason"]


def test_another_accounts_key_is_no_key(created: Stage) -> None:
    """A key opens one account only, and is looked at before anything is looked up."""
    answer = created.send(event("delete_cn_cidr_create", key=derive(MASTER, "222222222222")))
    assert "Authorizationkey" in answer["Reason"]
    missing = event("delete_cn_cidr_wrong_key")
    missing["ResourceProperties"]["IpamPoolAllocationId"] = allocation_id(0xFFF)
    assert created.send(missing)["Reason"] == answer["Reason"]


def test_a_key_from_before_the_rotation_still_opens(created: Stage) -> None:
    """After a rotation the previous master key's keys are good, those of a new one at once, older ones no more."""
    created.secrets.rotate(b"second")
    assert created.send("delete_cn_cidr_create")["Status"] == "SUCCESS"
    assert created.send(event("delete_cn_cidr_create", key=derive(b"second", ACCOUNT)))["Status"] == "SUCCESS"
    created.secrets.rotate(b"third")
    assert created.send(event("delete_cn_cidr_create", key=derive(b"third", ACCOUNT)))["Status"] == "SUCCESS"
    assert created.send("delete_cn_cidr_create")["Status"] == "FAILED"


def test_a_stack_stays_deletable_when_its_key_has_rotated_away(verified: Stage) -> None:
    """A Delete needs no key: ownership decides."""
    verified.secrets.rotate(b"second")
    verified.secrets.rotate(b"third")
    asked = verified.secrets.asked
    assert verified.send("delete_cn_cidr_delete")["Status"] == "SUCCESS"
    assert verified.outcome == "released"
    assert verified.secrets.asked == asked


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("delete_cn_cidr_delete_failed_create", "nothing-to-release"),
        ("delete_cn_cidr_delete_malformed", "unverified-delete"),
    ],
)
def test_a_return_that_cannot_be_verified_succeeds_and_releases_nothing(
    verified: Stage, name: str, outcome: str
) -> None:
    """The Delete of a refused Create, or with facts that do not parse, is a SUCCESS that changes nothing."""
    assert verified.send(name)["Status"] == "SUCCESS"
    assert verified.outcome == outcome
    assert verified.held() == ["10.0.0.0/24"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IpamPoolAllocationId", allocation_id(2)),
        ("Cidr", "10.0.1.0/24"),
        ("CreationDate", "2026-11-20T08:00:00.001Z"),
        ("CreationDate", "yesterday"),
        ("Cidr", None),
        ("IpamPoolAllocationId", 7),
    ],
)
def test_a_return_whose_facts_disagree_releases_nothing(verified: Stage, name: str, value: object) -> None:
    """Id, block and date all have to be right, and the id has to be the one in the physical id."""
    assert verified.send(with_properties("delete_cn_cidr_delete", **{name: value}))["Status"] == "SUCCESS"
    assert verified.outcome == "unverified-delete"
    assert verified.held() == ["10.0.0.0/24"]


def test_a_return_gives_back_only_what_its_own_id_names(verified: Stage) -> None:
    """With the true facts of another allocation of the stack, a return of this one releases neither."""
    verified.send("update_replacement")
    other = event("delete_cn_cidr_update")["ResourceProperties"]
    assert verified.send(event("delete_cn_cidr_delete", ResourceProperties=other))["Status"] == "SUCCESS"
    assert verified.outcome == "unverified-delete"
    assert verified.held() == ["10.0.0.0/24", "10.0.4.0/22"]


def test_a_delete_does_not_mind_its_properties(created: Stage) -> None:
    """GetCnCIDR's Delete goes by id alone, whatever has become of the template."""
    strange = event("delete") | {"ResourceProperties": {"CnCidrMask": ["x"], "Nonsense": {}}}
    assert created.send(strange)["Status"] == "SUCCESS"
    assert created.held() == []


def test_without_time_nothing_is_committed(stage: Stage) -> None:
    """When too little time is left for a commit and its answer, the event is left to the next delivery."""
    remaining = iter([30_000, *[7_000] * 20])
    stage.context.get_remaining_time_in_millis = lambda: next(remaining)  # type: ignore[method-assign]
    with pytest.raises(UnansweredError):
        stage.send("create")
    assert stage.outcome == "retried"
    assert stage.held() == []
    assert stage.mailbox.taken == []


def test_the_last_attempt_says_that_it_is_safe_to_retry(stage: Stage) -> None:
    """When nobody would try again, a Create that still has no time is told so, instead of an hour's silence."""
    remaining = iter([30_000])
    stage.context.get_remaining_time_in_millis = lambda: next(remaining, 100)  # type: ignore[method-assign]
    answer = stage.send("create", late=180_000)
    assert answer["Status"] == "FAILED"
    assert "safe to retry" in answer["Reason"]
    assert stage.outcome == "failed"
    assert stage.held() == []


@pytest.mark.parametrize("late", [0, 60_000, 180_000])
def test_a_fault_of_ours_is_raised_and_at_last_told(stage: Stage, late: int) -> None:
    """An unknown fault leaves the event to Lambda; the last attempt answers with a reference to the log."""
    stage.restart(Failing(stage.desk.store, "commit", RuntimeError("a bug")))
    if late < 150_000:
        with pytest.raises(UnansweredError) as raised:
            stage.send("create", late=late)
        assert "a bug" not in str(raised.value)
    else:
        assert stage.context.aws_request_id in stage.send("create", late=late)["Reason"]
    assert "a bug" in stage.lines()[-1]["exception"]
    assert stage.held() == []


@pytest.mark.parametrize("late", [0, 180_000])
@pytest.mark.parametrize("name", ["delete", "delete_cn_cidr_delete"])
def test_a_delete_that_fails_is_never_answered(verified: Stage, name: str, late: int) -> None:
    """Neither as done, which it is not, nor as failed, which wedges the stack: it is raised, however late."""
    verified.restart(Failing(verified.desk.store, "commit", RuntimeError("a bug")))
    before = len(verified.mailbox.taken)
    with pytest.raises(UnansweredError):
        verified.send(name, late=late)
    assert len(verified.mailbox.taken) == before
    assert verified.outcome == "retried"
    assert verified.held() == ["10.0.0.0/24"]


def test_a_delete_with_an_invented_id_is_answered_before_it_is_carried_out(created: Stage) -> None:
    """Only S3's word proves who sent it; if the work fails then, the event is raised, and done when it comes again."""
    store = created.desk.store
    created.restart(Failing(store, "owner", RuntimeError("a bug")))
    before = len(created.mailbox.taken)
    with pytest.raises(UnansweredError):
        created.send("delete_invented_id")
    assert len(created.mailbox.taken) == before + 1
    assert created.outcome == "retried"
    assert created.held() == ["10.0.0.0/24"]
    created.restart(store)
    created.send("delete_invented_id")
    assert created.outcome == "released"
    assert created.held() == []


def test_a_forged_delete_with_an_invented_id_changes_nothing(created: Stage) -> None:
    """S3 refuses a signature that is not CloudFormation's: nothing is released, and no fence is set."""
    created.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        created.send("delete_invented_id")
    assert created.outcome == "undelivered"
    assert created.held() == ["10.0.0.0/24"]
    (record,) = created.desk.store.owners(event("create")["StackId"])
    assert record.fence is None


def test_a_delete_is_not_answered_by_a_refusal_either(created: Stage) -> None:
    """A refusal that no Delete should ever meet is a fault of ours: the event is kept, and nothing reported as done."""
    created.restart(Failing(created.desk.store, "commit", SupersededError()))
    with pytest.raises(UnansweredError):
        created.send("delete")
    assert created.outcome == "retried"
    assert created.held() == ["10.0.0.0/24"]


def test_an_event_without_a_signing_time_passes_no_fence(stage: Stage) -> None:
    """A Create of unknown age is served if nothing was ever ended, and refused after a Delete."""
    undated = event("create")
    undated["ResponseURL"] = undated["ResponseURL"].partition("?")[0]
    stage.clock.milliseconds = at(8)
    assert stage.send(undated)["Status"] == "SUCCESS"
    stage.send("delete")
    stage.clock.milliseconds = at(12)
    assert stage.send(undated)["Status"] == "FAILED"
    assert stage.held() == []


def test_an_event_of_unknown_age_is_never_taken_for_the_last(stage: Stage) -> None:
    """Without a signing time nobody knows whether Lambda will try again, so the event is left to it."""
    undated = event("create")
    undated["ResponseURL"] = undated["ResponseURL"].partition("?")[0]
    stage.restart(Failing(stage.desk.store, "commit", RuntimeError("a bug")))
    stage.clock.milliseconds = at(12)
    with pytest.raises(UnansweredError):
        stage.send(undated)
    assert stage.mailbox.taken == []


def test_a_type_that_is_not_served_is_refused_and_can_be_deleted(stage: Stage) -> None:
    """A misspelt type is told the right ones, and its Delete succeeds."""
    refused = stage.send(event("create", ResourceType="Custom::GetCidr"))
    assert refused["Status"] == "FAILED"
    assert "Custom::GetCnCIDR" in refused["Reason"]
    update = stage.send(event("update_in_place", ResourceType="Custom::GetCidr"))
    assert (update["Status"], update["PhysicalResourceId"]) == ("FAILED", allocation_id(1))
    delete = event("delete", ResourceType="Custom::GetCidr", PhysicalResourceId=refused["PhysicalResourceId"])
    assert stage.send(delete)["Status"] == "SUCCESS"
    assert stage.held() == []


def test_a_pool_without_room_says_so(stage: Stage) -> None:
    """An exhausted pool is named with what was asked and what is to be done."""
    answer = stage.send(with_properties("create", CnCidrMask="16"))
    assert answer["Status"] == "SUCCESS"
    other = stage.send("create_other_account")
    assert other["Status"] == "FAILED"
    assert '"vpcs" has no free /24' in other["Reason"]


@pytest.mark.parametrize("name", NAMES)
def test_every_event_of_the_folder_is_answered_or_forged(stage: Stage, name: str) -> None:
    """Each file is an event that ends in one way, with at most one answer and exactly one line."""
    answer = stage.send(name)
    assert (stage.outcome == "forged") == (name == "forged_url") == (not answer)
    assert len(stage.lines()) == 1


def test_the_redelivery_is_the_create() -> None:
    """The two files differ in nothing, as two deliveries do."""
    assert event("redelivery") == event("create")
    assert json.loads(event("create_over_sns")["Records"][0]["Sns"]["Message"])["RequestType"] == "Create"
