from __future__ import annotations

import hashlib
from dataclasses import MISSING, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.owner import RETURNED_KEPT, RETURNERS_KEPT, SKEW, Grant, OwnerRecord, digest
from ipam.domain.plan import Ask
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
    assert bool(record.unaccepted("ask-a", NOON)) == unaccepted
    assert not record.unaccepted("ask-b", NOON)


@pytest.mark.parametrize(("at", "ends"), [(NOON - 1, False), (NOON, True), (NOON + 1, True)])
def test_a_grant_ends_with_no_older_delete(at: int, *, ends: bool) -> None:
    """A Delete that is older than the latest answer is of another life of the allocation."""
    assert GRANT.ends_with(at) == ends


@pytest.mark.parametrize(
    ("at", "ends"), [(NOON - SKEW - 1, False), (NOON - SKEW, True), (NOON - 1, True), (NOON, True)]
)
def test_a_delete_that_names_it_may_have_been_signed_by_a_slow_clock(at: int, *, ends: bool) -> None:
    """Whoever names it was told of it, so a few seconds are of no account; but not across the end of a life."""
    assert GRANT.ends_by_id(at) == ends
    again = replace(GRANT, requested=NOON - 9000).taken_up(NOON)
    assert (again.requested, again.resumed) == (NOON, NOON)
    assert again.ends_by_id(at) == (at >= NOON)
    assert not again.ends_by_id(NOON - 9000)


@pytest.mark.parametrize("at", [NOON - 1, NOON])
def test_a_request_that_comes_again_begins_no_life(at: int) -> None:
    """The Create that made it, delivered again, or an older request, leaves the grant as it is."""
    assert GRANT.taken_up(at) == GRANT


@given(st.lists(st.integers(-9, 9)))
def test_the_latest_answer_never_moves_back(times: list[int]) -> None:
    """After any answers a grant's time is the latest of them, and nothing else of it has changed."""
    grant = GRANT
    for at in times:
        grant = grant.answered(NOON + at)
    assert grant == replace(GRANT, requested=max(NOON, *(NOON + at for at in times), NOON))


def test_who_stands_for_a_release_is_named_once() -> None:
    """Each resource is named once, in order; it proves that the stack knows the allocation, and is an answer."""
    grant = GRANT.returned_by("d", NOON + 1).returned_by("e", NOON).returned_by("d", NOON + 2)
    assert grant == replace(GRANT, returners=("d", "e"), acknowledged=True, requested=NOON + 2)


def test_only_so_many_stand_for_a_release() -> None:
    """The memory is bounded, and keeps the last ones."""
    grant = GRANT
    for number in range(RETURNERS_KEPT + 3):
        grant = grant.returned_by(f"d{number}", NOON)
    assert grant.returners == tuple(f"d{number}" for number in range(3, RETURNERS_KEPT + 3))


@pytest.mark.parametrize(
    ("facts", "released"),
    [
        ({}, True),
        ({"requested": NOON - 1}, True),
        ({"requested": NOON + 5}, False),
        ({"requested": NOON + 6}, False),
        ({"acknowledged": True}, False),
        ({"by_create": True}, False),
        ({"allocation_id": "held"}, False),
    ],
)
def test_never_accepted_is_what_an_earlier_update_left(facts: dict[str, object], *, released: bool) -> None:
    """Only an Update's allocation, older than the Update, never acknowledged, and neither held nor wanted."""
    grant = replace(GRANT, **({"by_create": False} | facts))  # type: ignore[arg-type]
    record = OWNER.with_grant(replace(GRANT, allocation_id="held")).with_grant(grant)
    assert record.never_accepted("held", None, NOON + 5) == ((grant,) if released else ())
    assert record.never_accepted("held", grant, NOON + 5) == ()


def test_knowing_notes_the_one_that_is_named() -> None:
    """The grant of that id is acknowledged and no other; an id that the owner has not changes nothing."""
    record = OWNER.with_grant(GRANT).with_grant(replace(GRANT, allocation_id="alloc-b"))
    assert {grant.allocation_id: grant.acknowledged for grant in record.knowing("alloc-b").grants} == {
        "alloc-a": False,
        "alloc-b": True,
    }
    assert record.knowing("") == record.knowing("alloc-c") == record


def test_storing_counts_the_version() -> None:
    """Each change of a record is one version on."""
    assert OWNER.version == 0
    assert OWNER.stored().stored().version == 2


NEWER: list[dict[str, object]] = [
    {"pools": ("a", "b")},
    {"pools": ("b", "a")},
    {"pools": ("a",)},
    {"pool_tags": (("stage", "prod"),)},
    {"pool_tags": (("prod", "stage"),)},
    {"allowed_cidrs": (block("10.0.0.0/24"),)},
    {"disallowed_cidrs": (block("10.0.0.0/24"),)},
    {"disallowed_cidrs": (block("10.0.0.0/25"),)},
    {"preview": True},
    {"preview_token": "token"},
]
"""What could not be asked for from the beginning."""


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
        *NEWER,
    ],
)
def test_another_ask_has_another_digest(facts: dict[str, object]) -> None:
    """Every part of an ask counts (I4)."""
    assert digest(replace(ASK, **facts)) != digest(ASK)  # type: ignore[arg-type]


def test_all_asks_have_digests_of_their_own() -> None:
    """What is allowed for one is disallowed for another; a list in another order is another ask."""
    assert len({digest(replace(ASK, **facts)) for facts in NEWER}) == len(NEWER)  # type: ignore[arg-type]


def test_what_can_be_asked_for_since_changes_no_older_digest() -> None:
    """An allocation that was made before is found by the same words: where nothing newer is said, nothing is added."""
    unsaid = replace(
        ASK, pools=(), pool_tags=(), allowed_cidrs=(), disallowed_cidrs=(), preview=False, preview_token=""
    )
    assert (
        digest(unsaid) == digest(ASK) == hashlib.sha256(b'[null,null,"eu-central-1","vpc",4,24,null]').hexdigest()[:16]
    )
    told = {name for facts in NEWER for name in facts}
    assert told == {field.name for field in fields(Ask) if field.default is not MISSING}
