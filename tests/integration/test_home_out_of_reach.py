"""A function elsewhere while the home Region is out of reach: from any moment of a request on, and what comes after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import StoreUnavailableError
from ipam.entrypoints.errors import UnansweredError
from tests.faults import Around
from tests.invariants import check
from tests.unit.entrypoints.stage import SETTINGS, Stage, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_CALLS = 40
"""Calls of the table that no request needs."""

LIVES = {
    "create": ("create",),
    "create of DeleteCnCIDR": ("create", "delete_cn_cidr_create"),
    "update in place": ("create", "update_in_place"),
    "replacement": ("create", "update_replacement"),
    "delete": ("create", "delete_cn_cidr_create", "delete_cn_cidr_delete"),
    "delete without a proof": ("create", "delete_invented_id"),
}
"""What a stack sends, the last of it while home goes away."""


class Cut(Around):
    """The home table, which answers so many calls and then is out of reach."""

    def __init__(self, store: Any, left: int) -> None:
        super().__init__(store)
        self._left = left

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        self._left -= 1
        if self._left < 0:
            raise StoreUnavailableError("ConnectTimeoutError")
        return super().call(name, do, args)


def cut(life: str, late: int = 0) -> Iterator[tuple[Stage, str]]:
    """Live it again and again, each time with home gone one call later, until home is there to the end.

    It gives the stage after the function has failed to answer, and the event.
    """
    *before, last = LIVES[life]
    for left in range(MAX_CALLS):
        stage = Stage(settings=replace(SETTINGS, home_region="us-east-1"))
        for name in before:
            stage.send(name)
        table, answers = stage.desk.store, len(stage.mailbox.taken)
        stage.restart(Cut(table, left))
        try:
            stage.send(last, late=late)
        except UnansweredError:
            assert stage.outcome == "retried"
        else:
            if stage.outcome != "failed":
                return
        stage.restart(table)
        check(table)
        sent = stage.mailbox.taken[answers:]
        # What S3's word has to prove is answered before anything is released; else nothing is, or that it failed.
        assert life == "delete without a proof" or all(answer["Status"] == "FAILED" for answer in sent)
        assert len(sent) <= 1
        yield stage, last
    raise AssertionError("a request that never ends")


@pytest.mark.parametrize("life", LIVES)
def test_nothing_is_half_done_and_the_next_delivery_does_it(life: str) -> None:
    """Wherever home went away, the event is raised for Lambda to deliver it again, and then comes to its one end."""
    undisturbed = Stage()
    answers = [undisturbed.send(name) for name in LIVES[life]]
    count = 0
    for stage, last in cut(life):
        again = stage.send(last, late=60_000)
        assert again["Status"] == "SUCCESS"
        assert again.get("Data", {}).get("Cidr") == answers[-1].get("Data", {}).get("Cidr")
        assert stage.held() == undisturbed.held()
        check(stage.desk.store)
        count += 1
    assert count > 1


@pytest.mark.parametrize("life", LIVES)
def test_at_the_last_attempt_a_stack_is_told_but_never_a_delete(life: str) -> None:
    """FAILED with its reason, so that the stack does not wait an hour; a Delete goes on to the dead-letter queue."""
    for stage, last in cut(life, late=180_000):
        if last in {"delete_cn_cidr_delete", "delete_invented_id"}:
            assert stage.outcome == "retried"
        else:
            assert stage.outcome == "failed"
            assert "safe to retry" in stage.mailbox.taken[-1]["Reason"]


def test_what_a_failed_stack_got_is_given_back_when_home_is_there_again() -> None:
    """Its Delete names the id that FAILED had, which is that of no block: nothing is left behind all the same."""
    for stage, _ in cut("create", late=180_000):
        failed = stage.mailbox.taken[-1]
        gone = event("delete", PhysicalResourceId=failed["PhysicalResourceId"])
        assert stage.send(gone, late=240_000)["Status"] == "SUCCESS"
        assert stage.held() == []
        check(stage.desk.store)
