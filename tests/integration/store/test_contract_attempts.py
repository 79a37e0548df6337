"""What every store has to do with attempts: they are counted by day and account, and the last ones are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam.domain.attempt import DAY, KEPT, Attempt
from tests.builders import ACCOUNT, NOON, STACK
from tests.integration.store.contract import content

if TYPE_CHECKING:
    from ipam.services.ports.store import Store

ATTEMPT = Attempt(
    *(NOON, ACCOUNT, "denied", "a reason", "Create", "Custom::DeleteCnCIDR", STACK, "Net", "request", "lambda"),
    number=1,
)
TODAY = ATTEMPT.day


def test_attempts_are_counted_by_account_and_day(store: Store) -> None:
    """Each has a number of its own; what there is beside them does not change."""
    before = content(store)
    others = replace(ATTEMPT, account=""), replace(ATTEMPT, at=NOON + DAY), replace(ATTEMPT, account="444455556666")
    assert [store.count_attempt(ATTEMPT) for _ in range(3)] == [1, 2, 3]
    assert [store.count_attempt(other) for other in others] == [1, 1, 1]
    assert store.count_attempt(replace(ATTEMPT, at=NOON // DAY * DAY)) == 4
    assert content(store) == before
    assert list(store.attempts(TODAY)) == []


def test_an_attempt_is_read_as_it_was_kept(store: Store) -> None:
    """With every fact, also those that are empty; of its own day only, and by its account."""
    nobodys = Attempt(*(NOON, "", "unverified-delete", "", "", "", "", "", "", ""), number=7)
    for attempt in (ATTEMPT, nobodys, replace(ATTEMPT, at=NOON + DAY)):
        store.keep_attempt(attempt)
    assert list(store.attempts(TODAY)) == [nobodys, ATTEMPT]
    assert list(store.attempts(TODAY, ACCOUNT)) == [ATTEMPT]
    assert list(store.attempts(TODAY, "")) == [nobodys]
    assert list(store.attempts(TODAY, "444455556666")) == []
    assert list(store.attempts(TODAY - 1)) == []


def test_a_later_attempt_takes_the_place_of_an_old_one(store: Store) -> None:
    """Of the one that came so many before it, and never the other way round."""
    later, much_later = (replace(ATTEMPT, number=1 + KEPT * times, reason=str(times)) for times in (1, 2))
    for attempt in (ATTEMPT, much_later, later, much_later, replace(ATTEMPT, number=2)):
        store.keep_attempt(attempt)
    assert list(store.attempts(TODAY)) == [much_later, replace(ATTEMPT, number=2)]


def test_no_more_than_so_many_are_kept(store: Store) -> None:
    """However many there were."""
    for _ in range(KEPT + 30):
        store.keep_attempt(replace(ATTEMPT, number=store.count_attempt(ATTEMPT)))
    assert sorted(each.number for each in store.attempts(TODAY)) == list(range(31, KEPT + 31))
