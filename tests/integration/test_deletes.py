"""Deletes that find something else than what was created: it has ended with its lease, or is in use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.cidr import Cidr
from ipam.domain.errors import ServiceUnavailableError, SupersededError
from ipam.domain.owner import OwnerKey
from ipam.domain.plan import Ask
from ipam.domain.pool import SourceResource
from ipam.entrypoints.errors import UnansweredError, UndeliveredError
from ipam.services.deprovision import deprovision
from ipam.services.divide import divide
from ipam.services.pools import NewPool, edit_pool
from ipam.services.ports import NoDeadline
from ipam.services.request import AllocateRequest
from ipam.services.upkeep import keep_up
from tests.builders import REGION
from tests.faults import Around
from tests.invariants import check
from tests.unit.entrypoints.stage import ACCOUNT, Stage, allocation_id, at, event

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ipam.domain.pool import AllocationType, Pool

DAY = 24 * 3600
BOTH = ("delete", "delete_cn_cidr_delete")
"""The Deletes of Custom::GetCnCIDR and of Custom::DeleteCnCIDR."""

ORDERS = [BOTH, BOTH[::-1]]


@pytest.fixture
def leased(stage: Stage) -> Stage:
    """A stack whose /24 has ended with its lease, and is somebody else's by now."""
    types: frozenset[AllocationType] = frozenset({"vpc", "custom"})
    rules = replace(stage.vpcs.rules, lease_seconds=DAY)
    edit_pool(
        stage.desk.ports,
        stage.vpcs.pool_id,
        lambda pool: replace(pool, rules=rules, allocation_types=types),
        "test",
    )
    stage.restart()
    sent = event("create")
    owner = OwnerKey(sent["StackId"], sent["LogicalResourceId"])
    ask = Ask(stage.vpcs.pool_id, None, REGION, "custom", 4, 24, None)
    stage.clock.milliseconds = at(8)
    stage.desk.allocate(AllocateRequest(owner, ACCOUNT, ask, "a test bed", at(8), "Create 1"))
    assert stage.send("delete_cn_cidr_create")["Status"] == "SUCCESS"
    for _ in range(2):
        stage.clock.advance(DAY)
        keep_up(stage.desk.ports, NoDeadline())
    assert stage.held() == []
    stage.desk.allocate(replace(stage.desk.request("somebody", cidr="10.0.0.0/24"), requested=stage.clock.now()))
    return stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def divided(stage: Stage) -> tuple[Stage, Pool]:
    """A stack whose /24 is a VPC's, and a subnet pool that divides it."""
    stage.send("create")
    stage.send("delete_cn_cidr_create")
    new = NewPool(
        "its subnets",
        stage.vpcs.scope_id,
        source_pool_id=stage.vpcs.pool_id,
        locale=REGION,
        allocation_types=frozenset({"subnet"}),
        source_resource=SourceResource("vpc-0123456789abcdef0", ACCOUNT, REGION),
    )
    pool = stage.desk.pool(new)
    divide(stage.desk.ports, pool.pool_id, Cidr.parse("10.0.0.0/24"), "test")
    stage.restart()
    return stage, pool


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("years", [0, 2])
def test_what_has_ended_with_its_lease_is_deleted_without_a_sound(
    leased: Stage, order: tuple[str, str], years: int
) -> None:
    """Both Deletes succeed, say that it was given back before, ring no alarm and leave its new holder alone."""
    leased.restart()
    leased.clock.advance(years * 365 * DAY)
    outcomes = []
    for name in order:
        assert leased.send(name)["Status"] == "SUCCESS"
        outcomes.append(leased.outcome)
    assert outcomes == ["already-released"] * 2
    assert leased.held() == ["10.0.0.0/24"]
    assert leased.desk.outside.happenings.kinds() == ["Lease Ends Soon", "Lease Ended"]
    check(leased.desk.store)


@pytest.mark.parametrize("order", ORDERS)
def test_what_a_subnet_pool_divides_is_not_deleted(divided: tuple[Stage, Pool], order: tuple[str, str]) -> None:
    """Each Delete fails with what uses the block; once that is gone, it succeeds, and the other finds it done."""
    stage, pool = divided
    for name in order:
        answer = stage.send(name)
        assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", event(name)["PhysicalResourceId"])
        assert "10.0.0.0/24" in answer["Reason"] and "in use" in answer["Reason"] and pool.pool_id in answer["Reason"]
        assert (stage.outcome, stage.held()) == ("refused", ["10.0.0.0/24"])
    check(stage.desk.store)
    deprovision(stage.desk.ports, pool.pool_id, Cidr.parse("10.0.0.0/24"), "test")
    outcomes = []
    for name in order:
        assert stage.send(name)["Status"] == "SUCCESS"
        outcomes.append(stage.outcome)
    assert outcomes == ["released", "already-released"]
    assert stage.held() == []
    check(stage.desk.store)


def test_an_update_does_not_mind_the_pool_that_divides(divided: tuple[Stage, Pool]) -> None:
    """A larger network is a replacement; the old one is in use, and its cleanup fails until it is not."""
    stage, _ = divided
    assert stage.send("update_replacement")["PhysicalResourceId"] == allocation_id(2)
    assert stage.send("delete_replaced")["Status"] == "FAILED"
    assert stage.held() == ["10.0.0.0/24", "10.0.4.0/22"]


@pytest.mark.parametrize("name", BOTH)
def test_any_other_refusal_of_a_delete_is_left_to_the_queue(stage: Stage, name: str) -> None:
    """It wedges no stack: the event is raised, tried again, and kept for a person."""

    class Refusing(Around):
        def call(self, called: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if called in {"owner_hint", "owners_hint"}:
                raise SupersededError
            return super().call(called, do, args)

    stage.send("create")
    stage.send("delete_cn_cidr_create")
    stage.restart(Refusing(stage.desk.store))
    with pytest.raises(UnansweredError, match="SupersededError"):
        stage.send(name, late=1_000_000)
    assert len(stage.mailbox.taken) == 2


@pytest.fixture
def standing(stage: Stage) -> Stage:
    """A stack whose VPC could not be deleted."""
    stage.send("create")
    stage.send("delete_cn_cidr_create")
    stack = event("delete")["StackId"]
    stage.desk.outside.networks.put("vpc-0a1b2c3d", "10.0.0.0/24", stack, of=stack)
    return stage


@pytest.mark.parametrize("order", ORDERS)
def test_what_a_vpc_still_has_is_not_given_back(standing: Stage, order: tuple[str, str]) -> None:
    """Both Deletes fail, with the VPC, its account and Region, and what to do; once it is gone, both succeed."""
    before = repr(standing.desk.store._partitions)  # type: ignore[attr-defined]
    for name in (*order, *order):
        answer = standing.send(name)
        assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", event(name)["PhysicalResourceId"])
        assert answer["Reason"] == (
            f"10.0.0.0/24 is in use by vpc-0a1b2c3d, account {ACCOUNT}, {REGION}. "
            "Delete that, then delete the stack again; what an update left, the network team takes back."
        )
        assert standing.outcome == "refused"
    assert repr(standing.desk.store._partitions) == before  # type: ignore[attr-defined]
    standing.desk.outside.networks.there.clear()
    assert [standing.send(name)["Status"] for name in order] == ["SUCCESS", "SUCCESS"]
    assert standing.held() == []
    assert "use_unchecked" not in standing.lines()[-1]
    check(standing.desk.store)


@pytest.mark.parametrize("name", BOTH)
def test_nothing_is_said_while_ec2_does_not_answer(standing: Stage, name: str) -> None:
    """Not in the first delivery and not in the last: the event comes again, and is kept where it fails for good."""
    standing.desk.outside.networks.fault = ServiceUnavailableError("Amazon EC2", "RequestLimitExceeded")
    for late in (0, 60_000, 180_000, 400_000):
        with pytest.raises(UnansweredError):
            standing.send(name, late)
    assert (standing.mailbox.taken[2:], standing.held()) == ([], ["10.0.0.0/24"])
    standing.desk.outside.networks.fault = None
    standing.desk.outside.networks.there.clear()
    assert standing.send(name, 460_000)["Status"] == "SUCCESS"
    assert standing.held() == []


@pytest.mark.parametrize("order", ORDERS)
def test_an_account_that_cannot_be_asked_is_believed(standing: Stage, order: tuple[str, str]) -> None:
    """The block goes back on the stack's word, and the line of the one that gave it back says so."""
    standing.desk.outside.networks.closed = "AccessDenied"
    assert [standing.send(name)["Status"] for name in order] == ["SUCCESS", "SUCCESS"]
    assert [line.get("use_unchecked") for line in standing.lines()[-2:]] == ["AccessDenied", None]
    assert standing.held() == []


def test_a_lost_answer_is_given_again(standing: Stage) -> None:
    """Where FAILED was not taken, the event that comes again is told the same, or what is true by then."""
    standing.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        standing.send("delete_cn_cidr_delete")
    assert standing.send("delete_cn_cidr_delete", 60_000)["Status"] == "FAILED"
    standing.mailbox.failures = 1
    standing.desk.outside.networks.there.clear()
    with pytest.raises(UndeliveredError):
        standing.send("delete_cn_cidr_delete", 120_000)
    # Given back by then, and in use by the next one.
    standing.desk.allocate(standing.desk.request("somebody", cidr="10.0.0.0/24", at=standing.clock.now()))
    standing.desk.outside.networks.put("vpc-next", "10.0.0.0/24", of=event("delete")["StackId"])
    assert standing.send("delete_cn_cidr_delete", 180_000)["Status"] == "SUCCESS"
    assert standing.outcome == "already-released"


def test_a_replaced_networks_address_stays_as_well(stage: Stage) -> None:
    """The clean-up of an update asks three times, and the old block stays beside the new one."""
    stage.send("create")
    stage.send("delete_cn_cidr_create")
    stage.send("update_replacement")
    held = stage.held()
    stage.desk.outside.networks.put("vpc-old", "10.0.0.0/24", of=event("delete")["StackId"])
    for _ in range(3):
        assert stage.send("delete_replaced")["Status"] == "FAILED"
    assert (stage.held(), len(held)) == (held, 2)
