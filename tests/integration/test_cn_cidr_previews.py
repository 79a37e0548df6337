"""Pools in order, tags, limits, previews and leases, as whole events of Custom::GetCnCIDR."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.pool import AllocationRules
from ipam.services.leases import keep_leases
from ipam.services.pools import NewPool, edit_pool
from tests.builders import REGION
from tests.invariants import check
from tests.unit.entrypoints.stage import Stage, allocation_id, at, event, readdressed, with_properties

if TYPE_CHECKING:
    from ipam.domain.pool import Pool

HOUR = 3600
SIGNED = "X-Amz-Date=20261120T{0:02}{1:02}00Z"


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def previewed(stage: Stage) -> Stage:
    """A stack whose resource holds a /24 for two hours, since eight."""
    stage.send("create_preview")
    return stage


def another(stage: Stage, name: str, **properties: Any) -> Pool:
    """Make one more pool for VPCs, whose plan the warm function has not heard of."""
    scope = stage.vpcs.scope_id
    facts: dict[str, Any] = {"locale": REGION, "allocation_types": frozenset({"vpc"})} | properties
    return stage.desk.another().pool(NewPool(name, scope, **facts), f"10.{len(stage.desk.store.plan().pools)}.0.0/24")


def signed(loaded: dict[str, Any], hours: int, minutes: int = 0, **changes: str) -> dict[str, Any]:
    """Sign an event for another resource, or another time."""
    return readdressed(loaded, SIGNED.format(hours, minutes), **changes)


def redeeming(token: str, **changes: str) -> dict[str, Any]:
    """A Create of another resource that redeems a token at half past eight."""
    loaded = event("create_from_preview")
    loaded["ResourceProperties"] |= {"PreviewToken": token}
    return signed(loaded, 8, 30, **changes)


def updating(hours: int, **properties: Any) -> dict[str, Any]:
    """An Update of the resource that CloudFormation holds the first allocation for."""
    loaded = event("update_in_place")
    loaded["ResourceProperties"] = {"CnCidrMask": "24"} | properties
    loaded["ResourceProperties"] = {key: each for key, each in loaded["ResourceProperties"].items() if each is not None}
    return signed(loaded, hours)


# ------------------------------------------------------------------------------------------------------- pools in order
def test_the_answer_says_from_which_pool_and_why(stage: Stage) -> None:
    """Pools, limits and tags of one request: where the block is from, and what the pool before it did."""
    answer = stage.send("create_from_pools")
    assert answer["Data"]["Cidr"] == "10.0.1.0/24"
    assert answer["Data"]["IpamPoolName"] == "vpcs"
    explained = 'From pool "vpcs", because "subnets" does not serve this Region, type, family or tags.'
    assert answer["Data"]["Explanation"] == explained
    (allocation,) = stage.desk.store.allocations(stage.vpcs.pool_id)
    assert allocation.tags == (("stage", "prod"), ("team", "network"))


def test_an_explanation_is_the_same_when_it_is_asked_for_again(stage: Stage) -> None:
    """Whatever became of the pools that were passed over, and their names; only the pool's own name is today's."""
    full = another(stage, "full")
    stage.desk.allocate(stage.desk.request("all", 24, pool_name="full", account="999988887777"))
    sent = with_properties("create", Pools=["full", "vpcs"])
    first = stage.send(sent)
    assert first["Data"]["Explanation"] == 'From pool "vpcs", because "full" has no room.'
    stage.desk.release("all", stage.desk.record("all").grants[0].allocation_id)
    edit_pool(stage.desk.another().ports, full.pool_id, lambda old: replace(old, name="renamed"), "test")
    edit_pool(stage.desk.another().ports, stage.vpcs.pool_id, lambda old: replace(old, name="networks"), "test")
    stage.restart()
    again = stage.send(sent)
    assert again["Data"]["Explanation"] == 'From pool "networks", because "full" has no room.'
    known = {"IpamPoolName", "Explanation"}
    assert {key: each for key, each in again["Data"].items() if key not in known} == {
        key: each for key, each in first["Data"].items() if key not in known
    }


def test_an_update_explains_what_it_keeps(stage: Stage) -> None:
    """All attributes are sent again, those of the first answer."""
    first = stage.send("create_from_pools")
    loaded = signed(event("create_from_pools") | {"RequestType": "Update"}, 9)
    update = loaded | {"PhysicalResourceId": allocation_id(1), "OldResourceProperties": loaded["ResourceProperties"]}
    assert stage.send(update)["Data"] == first["Data"]
    assert stage.outcome == "kept"


def test_a_selection_by_tags(stage: Stage) -> None:
    """The pool that has the tags serves, though another one is before it in the alphabet."""
    another(stage, "a")
    another(stage, "tagged", tags=(("stage", "prod"),))
    stage.clock.advance(31)
    assert stage.send(with_properties("create", PoolTags={"stage": "prod"}))["Data"]["IpamPoolName"] == "tagged"


def test_a_selection_that_nothing_fits_says_its_tags(stage: Stage) -> None:
    """The Reason names them: that there are pools without them is no help."""
    answer = stage.send(with_properties("create", PoolTags={"stage": "prod"}))
    assert answer["Status"] == "FAILED"
    assert 'No IPv4 pool with "stage=prod" serves VPCs in eu-central-1.' in answer["Reason"]


# ----------------------------------------------------------------------------------------------------------------- tags
def test_an_update_of_the_tags_keeps_the_block(stage: Stage) -> None:
    """Another set of tags is stored with the allocation, and no replacement."""
    stage.send("create")
    assert stage.send("update_tags")["PhysicalResourceId"] == allocation_id(1)
    (allocation,) = stage.desk.store.allocations(stage.vpcs.pool_id)
    assert allocation.tags == (("stage", "prod"), ("team", "network"))
    assert stage.outcome == "kept"
    check(stage.desk.store)


def test_a_required_tag_is_read_from_the_properties(stage: Stage) -> None:
    """Without it the resource is refused, with what to add; with it it is served."""
    rules = AllocationRules(required_tags=(("team", "network"),))
    edit_pool(stage.desk.another().ports, stage.vpcs.pool_id, lambda old: replace(old, rules=rules), "test")
    stage.clock.advance(31)
    refused = stage.send("create")
    assert refused["Status"] == "FAILED"
    assert "team" in refused["Reason"] and "Tags" in refused["Reason"]
    tagged = signed(with_properties("create", Tags=[{"Key": "team", "Value": "network"}]), 8, 5)
    assert stage.send(tagged)["Status"] == "SUCCESS"


# ------------------------------------------------------------------------------------------------------------- previews
def test_a_preview_is_answered_with_its_token_and_its_end(previewed: Stage) -> None:
    """The block is held, and the token names it."""
    data = previewed.mailbox.taken[-1]["Data"]
    assert data["Cidr"] == "10.0.0.0/24"
    assert data["PreviewToken"] == f"{allocation_id(1)}@{previewed.vpcs.pool_id}@10.0.0.0/24"
    assert data["ExpiresAt"] == "2026-11-20T10:00:00.000Z"
    assert previewed.held() == ["10.0.0.0/24"]
    check(previewed.desk.store)


def test_what_is_redeemed_is_the_very_block(previewed: Stage) -> None:
    """Another resource has it, for good; the preview's stack goes without taking it along."""
    token = previewed.mailbox.taken[-1]["Data"]["PreviewToken"]
    answer = previewed.send(redeeming(token))
    assert (answer["Status"], answer["Data"]["Cidr"]) == ("SUCCESS", "10.0.0.0/24")
    assert (answer["Data"]["PreviewToken"], answer["Data"]["ExpiresAt"]) == ("", "")
    assert answer["PhysicalResourceId"] not in {allocation_id(1), ""}
    assert previewed.send(redeeming(token)) == answer
    assert previewed.send("delete")["Status"] == "SUCCESS"
    assert previewed.outcome == "already-released"
    assert previewed.held() == ["10.0.0.0/24"]
    check(previewed.desk.store)


def test_the_create_of_a_preview_that_is_gone_is_over(previewed: Stage) -> None:
    """Delivered again, long after the block was redeemed, it holds no second one."""
    previewed.send(redeeming(previewed.mailbox.taken[-1]["Data"]["PreviewToken"]))
    previewed.restart()
    answer = previewed.send("create_preview", late=3_000_000)
    assert answer["Status"] == "FAILED"
    assert "later request" in answer["Reason"]
    assert previewed.held() == ["10.0.0.0/24"]


def test_another_account_learns_nothing_of_a_token(previewed: Stage) -> None:
    """A token of somebody else's, and one that was made up, are refused in the same words."""
    token = previewed.mailbox.taken[-1]["Data"]["PreviewToken"]
    stack = event("create_other_account")["StackId"]
    reasons = set()
    for said in (token, token.replace(allocation_id(1), allocation_id(7)), token.replace("10.0.0.0", "10.0.9.0")):
        answer = previewed.send(redeeming(said, StackId=stack))
        assert answer["Status"] == "FAILED"
        reasons.add(answer["Reason"])
    (reason,) = reasons
    assert allocation_id(1) not in reason
    assert previewed.held() == ["10.0.0.0/24"]


def test_an_update_from_a_preview_to_its_token_is_a_replacement(previewed: Stage) -> None:
    """The same resource takes over its own block: a new id, and a cleanup that finds the old one given back."""
    token = previewed.mailbox.taken[-1]["Data"]["PreviewToken"]
    answer = previewed.send(updating(9, PreviewToken=token))
    assert (answer["PhysicalResourceId"], answer["Data"]["Cidr"]) == (allocation_id(2), "10.0.0.0/24")
    assert previewed.outcome == "replaced"
    assert previewed.send(signed(event("delete"), 9, 30))["Status"] == "SUCCESS"
    assert previewed.outcome == "already-released"
    plain = updating(11) | {"PhysicalResourceId": allocation_id(2)}
    assert previewed.send(plain)["PhysicalResourceId"] == allocation_id(2)
    assert previewed.held() == ["10.0.0.0/24"]
    check(previewed.desk.store)


def test_the_delete_of_a_preview_frees_its_block(previewed: Stage) -> None:
    """Nobody ever had it: it does not cool, and its token is worth nothing."""
    token = previewed.mailbox.taken[-1]["Data"]["PreviewToken"]
    assert previewed.send(signed(event("delete"), 8, 20))["Status"] == "SUCCESS"
    assert previewed.outcome == "released"
    assert previewed.held() == []
    assert previewed.send(redeeming(token))["Status"] == "FAILED"


def test_a_token_is_worth_nothing_after_its_time(previewed: Stage) -> None:
    """Two hours were asked for."""
    token = previewed.mailbox.taken[-1]["Data"]["PreviewToken"]
    late = signed(redeeming(token), 10)
    answer = previewed.send(late)
    assert answer["Status"] == "FAILED"
    assert "over" in answer["Reason"]


def test_an_update_after_that_time_holds_a_block_anew(previewed: Stage) -> None:
    """A template that goes on asking for a preview has one that can be redeemed."""
    answer = previewed.send(updating(11, Preview="true"))
    assert answer["PhysicalResourceId"] == allocation_id(2)
    assert answer["Data"]["ExpiresAt"] == "2026-11-20T12:00:00.000Z"
    assert previewed.held() == [answer["Data"]["Cidr"]]


# --------------------------------------------------------------------------------------------------------------- leases
def test_every_update_renews_the_lease_and_says_until_when(stage: Stage) -> None:
    """ExpiresAt is that of the last answer; a redelivery of it is the same answer, and moves nothing."""
    rules = AllocationRules(lease_seconds=48 * HOUR)
    edit_pool(stage.desk.another().ports, stage.vpcs.pool_id, lambda old: replace(old, rules=rules), "test")
    stage.clock.advance(31)
    assert stage.send("create")["Data"]["ExpiresAt"] == "2026-11-22T08:00:00.000Z"
    renewed = stage.send("update_in_place")
    assert renewed["Data"]["ExpiresAt"] == "2026-11-22T09:00:00.000Z"
    stage.clock.milliseconds = at(12)
    stage.restart()
    assert stage.send("update_in_place") == renewed
    stage.clock.advance(60 * HOUR)
    keep_leases(stage.desk.ports, stage.desk.store.plan().pools[stage.vpcs.pool_id], stage.desk.deadline)
    assert stage.held() == ["10.0.0.0/24"], "a network that runs is never taken from under it"
    check(stage.desk.store)
