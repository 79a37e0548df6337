from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.cidr import Cidr
from ipam.domain.errors import (
    ContendedError,
    NetmaskLengthError,
    PoolExhaustedError,
    ReplacementRefusedError,
    SupersededError,
)
from ipam.domain.pool import AllocationRules
from tests.builders import NOON, Desk, claim
from tests.faults import Faulty, Interrupted
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool
    from ipam.services.request import Allocated, AllocateRequest

    MakePool = Callable[..., Pool]


class Resource:
    """A GetCnCIDR as CloudFormation drives it: its Create done, its Updates a second apart."""

    def __init__(self, desk: Desk, length: int | None = 26, **facts: str) -> None:
        self.desk = desk
        self.first: Grant = desk.allocate(desk.request("a", length, **facts)).grant  # type: ignore[arg-type]

    def ask(self, length: int | None = None, *, at: int | None = None, **facts: str) -> AllocateRequest:
        """Say what an Update asks for."""
        self.desk.clock.advance(1)
        return self.desk.request("a", length, at=at, **facts)  # type: ignore[arg-type]

    def update(self, request: AllocateRequest, held: Grant | None = None) -> Allocated:
        """Serve an Update; CloudFormation holds the first allocation unless told otherwise."""
        return self.desk.another().revise(request, (held or self.first).allocation_id)


@pytest.fixture
def resource(desk: Desk, pool_of: MakePool) -> Resource:
    pool_of("10.0.0.0/24")
    return Resource(desk)


def test_the_same_ask_keeps_the_allocation(desk: Desk, resource: Resource) -> None:
    """An Update that asks for the same keeps it, and shows that the stack knows it."""
    answer = resource.update(resource.ask(26))
    assert (answer.outcome, answer.grant.allocation_id) == ("kept", resource.first.allocation_id)
    (grant,) = desk.record("a").grants
    assert grant.acknowledged
    check(desk.store, canonical=True)


@pytest.mark.parametrize(
    "facts", [{"pool_name": "vpcs"}, {"cidr": "10.0.0.0/26"}, {"pool_name": "vpcs", "cidr": "10.0.0.0/26"}]
)
def test_the_same_in_other_words_keeps_the_allocation(desk: Desk, resource: Resource, facts: dict[str, Any]) -> None:
    """What satisfies the new words is kept, and answers to them from then on (I4)."""
    request = resource.ask(None if "cidr" in facts else 26, **facts)
    assert resource.update(request).outcome == "kept"
    (grant,) = desk.record("a").grants
    assert grant.allocation_id == resource.first.allocation_id
    assert len(grant.asks) == 2
    assert resource.update(request).outcome == "kept"
    assert len(desk.record("a").grants[0].asks) == 2
    check(desk.store, canonical=True)


@pytest.mark.parametrize("length", [25, 27])
def test_another_size_is_a_replacement(desk: Desk, resource: Resource, length: int) -> None:
    """A new allocation is made beside the old one, which stays until its own Delete comes (I4)."""
    answer = resource.update(resource.ask(length))
    assert answer.outcome == "allocated"
    assert answer.grant.cidr.length == length
    assert {grant.allocation_id for grant in desk.record("a").grants} == {
        resource.first.allocation_id,
        answer.grant.allocation_id,
    }
    check(desk.store, canonical=True)
    assert desk.release("a", resource.first.allocation_id) == "released"
    assert desk.held(answer.grant.pool_id) == [str(answer.grant.cidr)]
    check(desk.store)


def test_another_block_is_a_replacement(desk: Desk, resource: Resource) -> None:
    """An exact block other than the held one has to be allocated."""
    answer = resource.update(resource.ask(cidr="10.0.0.128/26"))
    assert (answer.outcome, str(answer.grant.cidr)) == ("allocated", "10.0.0.128/26")
    check(desk.store)


def test_another_pool_is_a_replacement(desk: Desk, pool_of: MakePool) -> None:
    """The same size from another pool is another allocation; so is one from a pool that must be looked up anew."""
    scope = desk.scope()
    pool_of("10.0.0.0/24", name="a", scope=scope)
    resource = Resource(desk)
    other = desk.another()
    other.allocate(desk.request("x", 28))
    pool_of("10.1.0.0/24", name="b", scope=scope)
    answer = other.revise(resource.ask(26, pool_name="b"), resource.first.allocation_id)
    assert (answer.outcome, str(answer.grant.cidr)) == ("allocated", "10.1.0.0/26")
    check(desk.store)


def fixed(request: AllocateRequest) -> AllocateRequest:
    """Let an Update say that the resource keeps the block that it has."""
    return replace(request, replaceable=False)


@pytest.mark.parametrize("facts", [{"length": 25}, {"length": 27}, {"cidr": "10.0.0.128/26"}])
def test_what_cannot_be_replaced_is_refused_another_block(
    desk: Desk, resource: Resource, facts: dict[str, Any]
) -> None:
    """Nothing is allocated, and the rollback that follows keeps what is held, though it says the same."""
    before = desk.held(resource.first.pool_id)
    with pytest.raises(ReplacementRefusedError) as refused:
        resource.update(fixed(resource.ask(**facts)))
    assert refused.value == ReplacementRefusedError(Cidr.parse("10.0.0.0/26"))
    assert desk.held(resource.first.pool_id) == before
    answer = resource.update(fixed(resource.ask(26)))
    assert (answer.outcome, answer.grant.allocation_id) == ("kept", resource.first.allocation_id)
    check(desk.store, canonical=True)


def test_other_words_for_the_block_are_no_replacement(desk: Desk, resource: Resource) -> None:
    """What satisfies the new words is kept, whether it could be replaced or not."""
    assert resource.update(fixed(resource.ask(26, pool_name="vpcs"))).outcome == "kept"
    assert resource.update(fixed(resource.ask(cidr="10.0.0.0/26"))).outcome == "kept"
    check(desk.store, canonical=True)


def test_a_rollback_of_a_replacement_goes_back_though_nothing_may_be_replaced(desk: Desk, resource: Resource) -> None:
    """An Update that could be replaced was, and failed elsewhere: the old properties, which forbid it, are accepted."""
    new = resource.update(resource.ask(25)).grant
    back = resource.update(fixed(resource.ask(26)), held=new)
    assert back.grant.allocation_id == resource.first.allocation_id
    assert desk.release("a", new.allocation_id) == "released"
    check(desk.store)


def test_what_is_not_held_any_more_can_be_had_anew(desk: Desk, resource: Resource) -> None:
    """An allocation that an administrator has ended, or a lease, is none that would be replaced."""
    desk.release("a", resource.first.allocation_id)
    assert resource.update(fixed(resource.ask(25))).outcome == "allocated"
    check(desk.store)


def test_a_size_that_the_pool_chooses_is_allocated_anew(desk: Desk, pool_of: MakePool) -> None:
    """Without a length it can't be told that the held block is what is asked for."""
    pool_of("10.0.0.0/24", rules=AllocationRules(24, 28, 26))
    resource = Resource(desk)
    assert resource.update(resource.ask()).outcome == "allocated"


def test_a_replacement_is_delivered_again(desk: Desk, resource: Resource) -> None:
    """I4: the same Update has one allocation, however often it comes."""
    request = resource.ask(25)
    answers = [resource.update(request) for _ in range(3)]
    assert [answer.outcome for answer in answers] == ["allocated", "kept", "kept"]
    assert len({answer.grant.allocation_id for answer in answers}) == 1
    check(desk.store)


def test_a_rollback_after_the_replacement_was_accepted(desk: Desk, resource: Resource) -> None:
    """The old allocation, still there, is the answer; the new one goes by its own Delete."""
    forward = resource.ask(25)
    new = resource.update(forward).grant
    back = resource.update(resource.ask(26), held=new)
    assert (back.outcome, back.grant.allocation_id) == ("kept", resource.first.allocation_id)
    assert len(desk.record("a").grants) == 2
    desk.clock.advance(1)
    assert desk.release("a", new.allocation_id) == "released"
    assert [grant.allocation_id for grant in desk.record("a").grants] == [resource.first.allocation_id]
    check(desk.store, canonical=True)


def test_a_rollback_before_the_replacement_was_accepted(desk: Desk, resource: Resource) -> None:
    """A rollback that still carries the old id shows that the replacement was never taken over: it is released."""
    forward = resource.ask(25)
    new = resource.update(forward).grant
    back = resource.update(resource.ask(26))
    assert (back.outcome, back.grant.allocation_id) == ("kept", resource.first.allocation_id)
    record = desk.record("a")
    assert [grant.allocation_id for grant in record.grants] == [resource.first.allocation_id]
    assert record.returned == (new.allocation_id,)
    check(desk.store, canonical=True)


def test_what_was_never_accepted_goes_with_the_next_update_of_any_kind(desk: Desk, resource: Resource) -> None:
    """An Update that carries the old id shows that the one before it was never taken over, whatever it asks for."""
    lost = resource.update(resource.ask(25)).grant
    tried = resource.update(resource.ask(27))
    assert tried.outcome == "allocated"
    assert desk.record("a").returned == (lost.allocation_id,)
    assert {grant.allocation_id for grant in desk.record("a").grants} == {
        resource.first.allocation_id,
        tried.grant.allocation_id,
    }
    desk.clock.advance(1)
    for grant in (resource.first, tried.grant):
        assert desk.release("a", grant.allocation_id) == "released"
    assert desk.held(tried.grant.pool_id) == []
    check(desk.store)


def test_all_that_was_never_accepted_goes_at_once(desk: Desk, pool_of: MakePool) -> None:
    """Nothing that several unanswered Updates allocated is left behind by the one that goes back."""
    pool_of("10.0.0.0/16")
    resource = Resource(desk)
    record = desk.record("a")
    for length in (25, 24, 23):
        resource.update(resource.ask(length), held=resource.first)
        assert len(desk.record("a").grants) == 2
    assert resource.update(resource.ask(26)).grant.allocation_id == record.grants[0].allocation_id
    assert [grant.allocation_id for grant in desk.record("a").grants] == [resource.first.allocation_id]
    check(desk.store)


def test_what_is_verified_while_it_is_left_over_is_kept(desk: Desk, resource: Resource) -> None:
    """I5: between the read and the release the stack shows that it knows the block after all: it stays."""
    new = resource.update(resource.ask(25)).grant
    request = resource.ask(26)
    store = Interrupted(desk.store, lambda: desk.verify("d", claim(new)))
    assert desk.another(store).revise(request, resource.first.allocation_id).outcome == "kept"
    assert desk.record("a").for_id(new.allocation_id) is not None
    check(desk.store)


def test_an_update_that_is_tried_again_keeps_what_it_got(desk: Desk, resource: Resource) -> None:
    """The same ask again, by a new Update after a lost answer, is answered by the block of the first."""
    lost = resource.update(resource.ask(25)).grant
    again = resource.update(resource.ask(25))
    assert (again.outcome, again.grant.allocation_id) == ("kept", lost.allocation_id)
    assert again.grant.cidr == lost.cidr
    check(desk.store)


def test_every_update_shows_that_the_stack_knows_what_it_names(desk: Desk, resource: Resource) -> None:
    """The id that an Update carries was accepted: noted also where another block is allocated, in that very change."""
    new = resource.update(resource.ask(25)).grant
    known = {grant.allocation_id: grant.acknowledged for grant in desk.record("a").grants}
    assert known == {resource.first.allocation_id: True, new.allocation_id: False}
    resource.update(resource.ask(27), held=new)
    known = {grant.allocation_id: grant.acknowledged for grant in desk.record("a").grants}
    assert [known[each.allocation_id] for each in (resource.first, new)] == [True, True]
    assert len(known) == 3
    check(desk.store)


def test_what_an_update_names_is_known_though_others_wrote_meanwhile(desk: Desk, resource: Resource) -> None:
    """The proof is not lost where the change with the new allocation has to be made anew (I5)."""
    request = resource.ask(25)
    store = Interrupted(desk.store, lambda: desk.allocate(desk.request("a", 28, at=NOON)))
    desk.another(store).revise(request, resource.first.allocation_id)
    known = desk.record("a").for_id(resource.first.allocation_id)
    assert known is not None
    assert known.acknowledged
    check(desk.store)


def test_a_late_update_takes_nothing_from_a_later_one(desk: Desk, resource: Resource) -> None:
    """An older Update that is delivered again does not release what a newer one has allocated."""
    early = resource.ask(26)
    new = resource.update(resource.ask(25)).grant
    assert resource.update(early).outcome == "kept"
    assert desk.record("a").for_id(new.allocation_id) is not None
    check(desk.store)


def test_the_description_is_that_of_the_last_update(desk: Desk, resource: Resource) -> None:
    """An Update that keeps its allocation stores its new words, and one delivered again does not go back to older."""
    pool_id = resource.first.pool_id
    for description in ("new words", ""):
        resource.update(resource.ask(26, description=description))
        assert [each.description for each in desk.store.allocations(pool_id)] == [description]
    old = resource.ask(26, description="old words")
    resource.update(resource.ask(26, description="last words"))
    resource.update(old)
    assert [each.description for each in desk.store.allocations(pool_id)] == ["last words"]
    check(desk.store)


def test_older_words_in_another_wording_do_not_come_back(desk: Desk, resource: Resource) -> None:
    """An Update that is overtaken by a newer one changes no description, though it asks in words that are new."""
    old = resource.ask(26, pool_name="vpcs", description="old words")
    resource.update(resource.ask(26, description="last words"))
    resource.update(old)
    assert [each.description for each in desk.store.allocations(resource.first.pool_id)] == ["last words"]


def test_an_update_that_is_answered_again_gives_way(desk: Desk, resource: Resource) -> None:
    """After bounded tries against other requests of the same resource it ends as one that may succeed later."""
    stubborn = desk.another(Faulty(desk.store, itertools.repeat("busy")))
    with pytest.raises(ContendedError):
        stubborn.revise(resource.ask(26), resource.first.allocation_id)
    assert not desk.record("a").grants[0].acknowledged


def test_a_rollback_that_is_delivered_again_changes_nothing(desk: Desk, resource: Resource) -> None:
    """After the first rollback the second finds all as it should be."""
    forward = resource.ask(25)
    resource.update(forward)
    back = resource.ask(26)
    resource.update(back)
    version = desk.record("a").version
    assert resource.update(back).grant.allocation_id == resource.first.allocation_id
    assert desk.record("a").version == version
    check(desk.store, canonical=True)


def test_an_update_that_comes_after_its_rollback_is_refused(desk: Desk, resource: Resource) -> None:
    """A late duplicate of the Update that was rolled back allocates nothing (I4)."""
    forward = resource.ask(25)
    resource.update(forward)
    resource.update(resource.ask(26))
    with pytest.raises(SupersededError):
        resource.update(forward)
    assert len(desk.record("a").grants) == 1
    check(desk.store, canonical=True)


def test_a_rollback_that_overtakes_its_update_leaves_nothing_behind(desk: Desk, resource: Resource) -> None:
    """The Update that is rolled back may come for the first time afterwards: it is refused (I4)."""
    forward = resource.ask(25)
    resource.update(resource.ask(26))
    with pytest.raises(SupersededError):
        resource.update(forward)
    assert len(desk.record("a").grants) == 1
    check(desk.store, canonical=True)


def test_an_update_that_cannot_be_served_leaves_what_is_held(desk: Desk, pool_of: MakePool) -> None:
    """A refusal names the reason, and the old allocation stays."""
    pool = pool_of("10.0.0.0/25", rules=AllocationRules(25, 28))
    resource = Resource(desk)
    with pytest.raises(PoolExhaustedError):
        resource.update(resource.ask(25))
    with pytest.raises(NetmaskLengthError):
        resource.update(resource.ask(24))
    assert desk.held(pool.pool_id) == [str(resource.first.cidr)]
    check(desk.store)


def test_an_update_of_what_was_never_allocated_allocates(desk: Desk, pool_of: MakePool) -> None:
    """An Update of a resource without a record, such as one that was imported, gets an allocation."""
    pool_of("10.0.0.0/24")
    answer = desk.revise(desk.request("a", 26), "ipam-pool-alloc-" + "0" * 32)
    assert answer.outcome == "allocated"
    assert not answer.grant.by_create


def test_two_updates_at_once_keep_one_record(desk: Desk, resource: Resource) -> None:
    """An Update whose owner changes between its read and its commit decides anew (I4)."""
    request = resource.ask(26)
    other = resource.ask(26, pool_name="vpcs")
    store = Interrupted(desk.store, lambda: resource.update(other))
    answer = desk.another(store).revise(request, resource.first.allocation_id)
    assert answer.outcome == "kept"
    (grant,) = desk.record("a").grants
    assert len(grant.asks) == 2
    assert desk.record("a").fence == NOON + 2000
    check(desk.store)
