"""`ipam approve`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import ApprovalPendingError
from ipam.services.pools import edit_pool
from ipam.services.request import Waiting
from tests.builders import ACCOUNT, STACK
from tests.invariants import check
from tests.unit.cli.conftest import ADMINISTRATOR

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from ipam.services.request import AllocateRequest
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

SECRET = "https://example.invalid/?X-Amz-Signature=5ecre7"
EVENT = json.dumps({"ResponseURL": SECRET})


@pytest.fixture
def large(desk: Desk, vpcs: Pool) -> AllocateRequest:
    """A stack's request for a block that nobody gets unasked."""
    edit_pool(
        desk.ports, vpcs.pool_id, lambda old: replace(old, rules=replace(old.rules, approval_netmask_length=24)), "test"
    )
    asked = desk.request("Large", 20, pool=vpcs, description="for the [shop]\x1b[1m")
    return replace(asked, waiting=Waiting(desk.clock.now() + 3_000_000, EVENT))


def waits(desk: Desk, request: AllocateRequest) -> str:
    """Let a request wait, and give the id by which it is decided."""
    with pytest.raises(ApprovalPendingError) as pending:
        desk.allocate(request)
    return pending.value.approval_id


def test_what_waits_is_listed(ipam: Keyboard, desk: Desk, large: AllocateRequest) -> None:
    """Who asks for how much of what, and until when; never the event."""
    approval_id = waits(desk, large)
    (row,) = ipam.json("approve")
    assert (row["approval_id"], row["decision"], row["pool"], row["netmask_length"]) == (
        approval_id,
        "waiting",
        "vpcs",
        20,
    )
    assert (row["account"], row["holder"], row["resource"], row["holder_id"]) == (ACCOUNT, "net", "Large", STACK)
    assert row["until"] == "2027-01-15T08:51:00.000Z"
    assert [line["approval_id"] for line in ipam.csv("approve")] == [approval_id]
    told = ipam("approve")
    assert approval_id in told and "for the [shop]" in told and "\x1b" not in told
    assert all("X-Amz" not in ipam("approve", "--all", "-o", form) for form in ("table", "json", "csv"))


def test_an_approved_request_goes_on(ipam: Keyboard, desk: Desk, large: AllocateRequest) -> None:
    """The word is stored under the caller's ARN, the event is handed over once, and then the block is given."""
    approval_id = waits(desk, large)
    done = ipam.run("approve", approval_id, "--note", "agreed")
    assert (done.exit_code, done.stdout) == (0, f"{approval_id} approved\n")
    assert SECRET not in done.output
    assert [event["ResponseURL"] for event in desk.outside.redelivery.taken] == [SECRET]
    decided = desk.store.approval(approval_id)
    assert decided is not None and (decided.decided_by, decided.note) == (ADMINISTRATOR, "agreed")
    assert desk.allocate(large).outcome == "allocated"
    told = {each["event"]: each["cause"] for each in ipam.json("history", STACK)}
    assert told.keys() == {"approval-asked", "approved", "redelivered"}
    assert told["approved"] == f"ipam command line, {ADMINISTRATOR}"
    noted = {each["event"]: each["note"] for each in ipam.json("history", STACK)}
    assert noted == {"approval-asked": None, "approved": "agreed", "redelivered": None}
    assert "agreed" in ipam("history", STACK)
    check(desk.store)


def test_a_denied_request_is_refused(ipam: Keyboard, desk: Desk, large: AllocateRequest) -> None:
    """The stack is told who refused it, and why."""
    approval_id = waits(desk, large)
    record = ipam.json("approve", approval_id, "--deny", "--note", "too large")
    assert (record["decision"], record["decided_by"], record["note"]) == ("denied", ADMINISTRATOR, "too large")
    assert len(desk.outside.redelivery.taken) == 1
    assert ipam.json("approve") == []
    assert [each["decision"] for each in ipam.json("approve", "--all")] == ["denied"]


def test_a_decision_is_made_once(ipam: Keyboard, desk: Desk, large: AllocateRequest) -> None:
    """Repeated, it changes nothing; otherwise decided, unknown, or too late, it is refused."""
    approval_id = waits(desk, large)
    ipam("approve", approval_id)
    ipam("approve", approval_id)
    assert len(desk.outside.redelivery.taken) == 1
    assert "is approved already" in ipam.refused("approve", approval_id, "--deny")
    assert "`ipam approve` lists" in ipam.refused("approve", "approval-0")
    other = waits(desk, replace(large, owner=replace(large.owner, name="Late")))
    desk.clock.advance(3000)
    assert "waited too long" in ipam.refused("approve", other)
    assert ipam.json("approve") == []


def test_a_function_that_is_not_reached_is_upkeeps(ipam: Keyboard, desk: Desk, large: AllocateRequest) -> None:
    """The word stands; it is said that the stack goes on a little later; another try hands it over."""
    approval_id = waits(desk, large)
    desk.outside.redelivery.closed = True
    done = ipam.run("approve", approval_id)
    assert (done.exit_code, done.stdout) == (0, f"{approval_id} approved\n")
    assert "upkeep hands it over within five minutes" in done.stderr and "TooManyRequests" in done.stderr
    desk.outside.redelivery.closed = False
    ipam("approve", approval_id)
    assert len(desk.outside.redelivery.taken) == 1


def test_wrong_words_are_told(ipam: Keyboard, desk: Desk, large: AllocateRequest) -> None:
    """A denial of nothing, and a note that is no line."""
    approval_id = waits(desk, large)
    assert "say which request" in ipam.misused("approve", "--deny")
    assert "one line" in ipam.misused("approve", approval_id, "--note", "a\nb")
    assert "one line" in ipam.misused("approve", approval_id, "--note", "x" * 256)
    assert desk.outside.redelivery.taken == []
