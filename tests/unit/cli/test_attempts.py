"""`ipam attempts`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.attempt import KEPT, Attempt
from ipam.services.attempts import note_attempt
from ipam.services.ports import NoDeadline
from tests.builders import ACCOUNT, NOON, STACK

if TYPE_CHECKING:
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

ATTEMPT = Attempt(
    *(NOON, ACCOUNT, "forged", "StackId is missing", "Create", "Custom::GetCnCIDR", STACK, "Net", "request", "lambda")
)


def note(desk: Desk, **changes: object) -> None:
    """Note an attempt of now."""
    note_attempt(desk.ports, replace(ATTEMPT, at=desk.clock.now(), **changes), NoDeadline())  # type: ignore[arg-type]


@pytest.fixture
def week(desk: Desk) -> None:
    """A week of attempts: one a day, the last one today."""
    for number in range(8):
        desk.clock.advance(24 * 3600 if number else 0)
        note(desk, request_id=str(number), account="" if number == 6 else ACCOUNT)


@pytest.mark.usefixtures("week")
def test_the_attempts_of_a_week_are_shown(ipam: Keyboard) -> None:
    """Oldest first, those of nobody knows whom among them; of one account or of other days where that is said."""
    assert [row["request_id"] for row in ipam.json("attempts")] == list("1234567")
    assert [row["request_id"] for row in ipam.csv("attempts", ACCOUNT, "--days", "3")] == ["5", "7"]
    assert [row["request_id"] for row in ipam.json("attempts", "--days", "400")] == list("01234567")
    assert ipam.json("attempts", "444455556666") == []
    assert ipam("attempts", "444455556666") == "none\n"
    assert [row["account"] for row in ipam.json("attempts", "--days", "2")] == [None, ACCOUNT]


def test_an_attempt_is_shown_with_all_that_is_known(ipam: Keyboard, desk: Desk) -> None:
    """For people without what nobody would look for."""
    note(desk)
    assert ipam.json("attempts") == [
        {
            "at": "2027-01-15T08:00:00.000Z",
            "account": ACCOUNT,
            "kind": "forged",
            "reason": "StackId is missing",
            "request_type": "Create",
            "resource_type": "Custom::GetCnCIDR",
            "stack_id": STACK,
            "logical_resource_id": "Net",
            "request_id": "request",
            "aws_request_id": "lambda",
            "number": 1,
        }
    ]
    heading, line = ipam("attempts").splitlines()
    assert heading.split()[:3] == ["at", "account", "kind"]
    assert "StackId is missing" in line and "request" not in line.split()


def test_what_is_only_counted_is_told(ipam: Keyboard, desk: Desk) -> None:
    """On standard error, for each account and day that had more than are kept."""
    for _ in range(KEPT):
        note(desk, account="")
    assert ipam.run("attempts").stderr == ""
    for _ in range(KEPT * 10 + 1):
        note(desk)
    done = ipam.run("attempts", "--output", "json")
    assert done.stderr == f"2027-01-15, {ACCOUNT}: 1,001 attempts, of which the last 100 are kept.\n"
    note(desk, account="")
    assert "2027-01-15, no account: 101 attempts" in ipam.run("attempts").stderr


@pytest.mark.parametrize("words", [("1234",), ("--days", "0"), ("--days", "401"), ("--days", "x")])
def test_what_is_said_wrongly_is_refused(ipam: Keyboard, words: tuple[str, ...]) -> None:
    """An account has twelve digits; what is older than what is kept cannot be asked for."""
    assert ipam.misused("attempts", *words)
    assert ipam.calls == []


def test_attempts_are_nothing_to_doctor(ipam: Keyboard, desk: Desk) -> None:
    """They hold no address, and no invariant is about them."""
    for _ in range(3):
        note(desk)
    assert "sound" in ipam("doctor").splitlines()[-1]
    assert not {"attempts", "count_attempt", "keep_attempt"} & set(ipam.calls)
