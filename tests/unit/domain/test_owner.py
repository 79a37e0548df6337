from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.owner import RETURNED_KEPT, Grant, OwnerRecord, digest
from ipam.domain.pool import Ask
from tests.builders import NOON, REGION, block, owner_key

OWNER = OwnerRecord(owner_key())
GRANT = Grant("alloc-a", ("ask-a",), "pool", block("10.0.0.0/24"), NOON, NOON, by_create=True)
ASK = Ask(None, None, REGION, "vpc", 4, 24, None)


def test_a_grant_is_found_by_what_was_asked_and_by_its_id() -> None:
    """A live allocation answers to each of its asks and to its id, and to nothing else (I4)."""
    record = OWNER.with_grant(replace(GRANT, asks=("ask-a", "ask-b")))
    assert record.for_ask("ask-a") == record.for_ask("ask-b") == record.for_id("alloc-a")
    assert record.for_ask("ask-c") is None
    assert record.for_id("alloc-c") is None
    assert record.for_id(None) is None


def test_a_grant_takes_the_place_of_the_one_with_its_id() -> None:
    """An owner never has two grants of one allocation (I4)."""
    known = replace(GRANT, acknowledged=True)
    assert OWNER.with_grant(GRANT).with_grant(known).grants == (known,)


def test_what_was_given_back_is_remembered_and_held_no_more() -> None:
    """A returned allocation is no grant any more, and its id is kept."""
    record = OWNER.with_grant(GRANT).without_grant("alloc-a")
    assert (record.grants, record.returned) == ((), ("alloc-a",))


def test_the_memory_of_returned_ids_is_bounded() -> None:
    """Only the last few ids are kept."""
    record = OWNER
    for number in range(RETURNED_KEPT + 3):
        record = record.without_grant(f"alloc-{number}")
    assert record.returned == tuple(f"alloc-{number}" for number in range(3, RETURNED_KEPT + 3))


@given(st.lists(st.integers(0, 9), min_size=1))
def test_the_fence_never_moves_back(times: list[int]) -> None:
    """After any requests, what is not newer than the latest of them comes too late, and nothing else."""
    record = OWNER
    for at in times:
        record = record.fenced(at)
    assert record.fence == max(times)
    assert [record.supersedes(at) for at in range(10)] == [at <= max(times) for at in range(10)]


def test_without_a_fence_nothing_comes_too_late() -> None:
    """A new owner refuses nothing."""
    assert not OWNER.supersedes(0)


@pytest.mark.parametrize(
    ("facts", "unaccepted"),
    [
        ({}, True),
        ({"requested": NOON - 1}, True),
        ({"requested": NOON + 1}, False),
        ({"acknowledged": True}, False),
        ({"by_create": False}, False),
    ],
)
def test_unaccepted_is_what_a_create_left_unanswered(facts: dict[str, object], *, unaccepted: bool) -> None:
    """Only a Create's allocation, not newer than the Delete and never acknowledged, was not accepted."""
    record = OWNER.with_grant(replace(GRANT, **facts))  # type: ignore[arg-type]
    assert bool(record.unaccepted(NOON)) == unaccepted


def test_storing_counts_the_version() -> None:
    """Each change of a record is one version on."""
    assert OWNER.version == 0
    assert OWNER.stored().stored().version == 2


def test_equal_asks_have_equal_digests() -> None:
    """The digest depends on nothing but the ask, and is the same in every process."""
    facts = b'[null,null,"eu-central-1","vpc",4,24,null]'
    assert digest(ASK) == digest(replace(ASK)) == hashlib.sha256(facts).hexdigest()[:16]


@pytest.mark.parametrize(
    "facts",
    [
        {"pool_id": "p"},
        {"pool_name": "p"},
        {"locale": "us-east-1"},
        {"allocation_type": "subnet"},
        {"family": 6},
        {"netmask_length": 25},
        {"netmask_length": None},
        {"cidr": block("10.0.0.0/24")},
        {"cidr": block("10.0.0.0/25")},
    ],
)
def test_another_ask_has_another_digest(facts: dict[str, object]) -> None:
    """Every part of an ask counts (I4)."""
    assert digest(replace(ASK, **facts)) != digest(ASK)  # type: ignore[arg-type]
