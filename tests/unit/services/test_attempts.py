"""Attempts are counted, and the last ones kept, whatever the store does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipam.domain.attempt import DAY, DAYS_KEPT, KEPT, Attempt, date_of
from ipam.domain.errors import OutOfTimeError, StoreUnavailableError
from ipam.services.attempts import attempts, note_attempt
from ipam.services.ports import NoDeadline
from tests.builders import ACCOUNT, NOON, STACK, Desk
from tests.faults import Around

OTHER = "444455556666"
ATTEMPT = Attempt(
    *(NOON, ACCOUNT, "forged", "a reason", "Create", "Custom::GetCnCIDR", STACK, "Net", "request"),
    aws_request_id="lambda",
)


class Until:
    """A deadline that is over when it was asked so often."""

    def __init__(self, times: int) -> None:
        self.times = times

    def ensure(self) -> None:
        """See the port."""
        self.times -= 1
        if self.times < 0:
            raise OutOfTimeError


def note(desk: Desk, **changes: object) -> None:
    """Note an attempt of now."""
    note_attempt(desk.ports, replace(ATTEMPT, at=desk.clock.now(), **changes), NoDeadline())  # type: ignore[arg-type]


def numbers(desk: Desk, account: str | None = None, days: int = 1) -> list[list[int]]:
    """Read the numbers of what is kept, a list a day."""
    return [[each.number for each in day] for day in attempts(desk.ports, days, account)]


def test_an_attempt_is_kept_as_it_was(desk: Desk) -> None:
    """With its number, which counts those of its account and day."""
    note(desk)
    note(desk, account="")
    note(desk)
    assert list(attempts(desk.ports, 1, "")) == [[replace(ATTEMPT, account="", number=1)]]
    assert list(attempts(desk.ports, 1, ACCOUNT)) == [[replace(ATTEMPT, number=1), replace(ATTEMPT, number=2)]]


def test_the_last_ones_are_kept(desk: Desk) -> None:
    """Each takes the place of the one that came a hundred before; other accounts and other days lose nothing."""
    note(desk, account=OTHER)
    for _ in range(KEPT + 7):
        desk.clock.advance(0.001)
        note(desk)
    assert numbers(desk, ACCOUNT) == [list(range(8, KEPT + 8))]
    desk.clock.advance(DAY // 1000)
    note(desk)
    assert numbers(desk, ACCOUNT, 2) == [list(range(8, KEPT + 8)), [1]]
    assert numbers(desk, OTHER, 2) == [[1], []]
    assert numbers(desk, days=3)[0] == []


def test_one_that_comes_late_takes_nothing_from_a_later_one(desk: Desk) -> None:
    """Between the count and the keeping, so many others may have come that its place is taken."""

    class Overtaken(Around):
        def call(self, name: str, do: object, args: tuple[object, ...]) -> object:
            if name == "keep_attempt":
                for _ in range(KEPT):
                    note(desk)
            return super().call(name, do, args)  # type: ignore[arg-type]

    late = desk.another(Overtaken(desk.store))
    note(late)
    assert numbers(desk) == [list(range(2, KEPT + 2))]


def test_what_is_not_kept_is_counted(desk: Desk) -> None:
    """Where the store fails between the two, the number of the next one tells that there was another."""

    class Failing(Around):
        def call(self, name: str, do: object, args: tuple[object, ...]) -> object:
            if name == "keep_attempt":
                raise StoreUnavailableError(name)
            return super().call(name, do, args)  # type: ignore[arg-type]

    with pytest.raises(StoreUnavailableError):
        note(desk.another(Failing(desk.store)))
    note(desk)
    assert numbers(desk) == [[2]]


@pytest.mark.parametrize(("times", "counted"), [(0, 0), (1, 1)])
def test_without_time_the_store_is_not_waited_for(desk: Desk, times: int, counted: int) -> None:
    """Neither for the count nor for the keeping."""
    with pytest.raises(OutOfTimeError):
        note_attempt(desk.ports, ATTEMPT, Until(times))
    note(desk)
    assert numbers(desk) == [[counted + 1]]


def test_a_day_is_forgotten_as_a_whole() -> None:
    """Its first and its last attempt at one moment, so that none of them is missing without the others."""
    first, last = replace(ATTEMPT, at=NOON // DAY * DAY), replace(ATTEMPT, at=NOON // DAY * DAY + DAY - 1)
    assert first.expires == last.expires == (NOON // DAY + DAYS_KEPT) * DAY // 1000
    assert replace(last, at=last.at + 1).expires == last.expires + DAY // 1000
    assert (date_of(first.day), date_of(0)) == ("2027-01-15", "1970-01-01")
