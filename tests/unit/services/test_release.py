from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import PutOwner
from ipam.domain.errors import ContendedError, OutOfTimeError, SupersededError
from ipam.services.leases import OWNER_KEPT
from ipam.services.pools import delete_pool
from ipam.services.ports.store import Conflict, Refusal
from ipam.services.release import MAX_ATTEMPTS, release_in_stack
from ipam.services.release_by_administrator import release_by_administrator
from tests.builders import NOON, STACK, Desk, block, claim, owner_key
from tests.faults import Around, Faulty, Interrupted, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool
    from ipam.services.ports.store import Store

    MakePool = Callable[..., Pool]


def test_a_released_block_is_free_at_once(desk: Desk, pool_of: MakePool) -> None:
    """Where a pool has no cooling, the block is free again as it is, and upkeep joins it (I1, I2)."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    assert desk.release("a", grant.allocation_id) == "released"
    assert str(grant.cidr) in desk.free(pool.pool_id)
    assert desk.held(pool.pool_id) == []
    check(desk.store)
    assert desk.another().allocate(desk.request("b", 28)).grant.cidr == grant.cidr
    desk.release("b", desk.record("b").grants[0].allocation_id)
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]
    check(desk.store, canonical=True)


def test_a_released_block_cools(desk: Desk, pool_of: MakePool) -> None:
    """I7: where a pool has a cooling time, the block is kept from everyone until it is over."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    grant = desk.allocate(desk.request("a", 28)).grant
    assert desk.release("a", grant.allocation_id) == "released"
    (cooling,) = desk.store.cooling(pool.pool_id, 10)
    assert (cooling.cidr, cooling.until, cooling.allocation_id) == (grant.cidr, NOON + 60_000, grant.allocation_id)
    assert str(grant.cidr) not in desk.free(pool.pool_id)
    check(desk.store)


def test_a_release_is_written_down(desk: Desk, pool_of: MakePool) -> None:
    """I6: the audit record names the block, the id and whose it was."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    desk.clock.advance(5)
    desk.release("a", grant.allocation_id)
    (record,) = [record for record in desk.store.audit(pool.pool_id) if record.event == "released"]
    assert (record.cidr, record.allocation_id, record.owner) == (grant.cidr, grant.allocation_id, owner_key("a"))
    assert record.at == NOON + 5000


@pytest.mark.parametrize("order", ["holder first", "announcer first"])
@pytest.mark.parametrize("cooling", [0, 60])
def test_both_resources_give_back_in_any_order_and_twice(
    desk: Desk, pool_of: MakePool, order: str, cooling: int
) -> None:
    """GetCnCIDR's Delete and DeleteCnCIDR's Delete make one release, whichever comes first and however often."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=cooling)
    grant = desk.allocate(desk.request("Get", 28)).grant
    desk.verify("Delete", claim(grant))
    steps: list[Callable[[Desk], str]] = [
        lambda at: at.release("Get", grant.allocation_id),
        lambda at: at.release_in_stack("Delete", grant),
    ]
    if order == "announcer first":
        steps.reverse()
    outcomes = [step(at) for step in steps * 2 for at in (desk, desk.another())]
    assert outcomes == ["released"] + ["already-released"] * 7
    desk.reclaim(pool.pool_id)
    check(desk.store, canonical=True)


def test_a_block_that_was_given_to_another_is_left_alone(desk: Desk, pool_of: MakePool) -> None:
    """I5: a late Delete names an allocation, not a block; who has the block by now keeps it."""
    pool = pool_of("10.0.0.0/28")
    first = desk.allocate(desk.request("a", 28)).grant
    late = desk.another()
    late.ports.memory.see_owner(desk.record("a"))
    desk.release("a", first.allocation_id)
    second = desk.allocate(desk.request("b", 28)).grant
    assert second.cidr == first.cidr
    assert late.release("a", first.allocation_id) == "already-released"
    assert late.release_in_stack("c", first) == "already-released"
    assert desk.held(pool.pool_id) == [str(second.cidr)]
    check(desk.store)


def test_an_id_that_is_not_the_owners_changes_nothing(desk: Desk, pool_of: MakePool) -> None:
    """I5: another resource's id, another stack's, or an invented one, is unverified and releases nothing."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    assert desk.release("b", grant.allocation_id) == "unverified-delete"
    assert desk.release("a", "ipam-pool-alloc-" + "0" * 32) == "unverified-delete"
    desk.verify("d", claim(grant))
    elsewhere = desk.giving_back("d", stack="arn:aws:cloudformation:eu-central-1:444455556666:stack/x/y")
    assert release_in_stack(desk.ports, elsewhere, claim(grant), desk.deadline) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]


@pytest.mark.parametrize("wrong", [{"cidr": "10.0.0.16/28"}, {"created": NOON - 1}, {"allocation_id": "x"}])
def test_all_that_a_stack_says_of_it_has_to_be_right(desk: Desk, pool_of: MakePool, wrong: dict[str, Any]) -> None:
    """I5: with a wrong block, time or id the release is unverified."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    desk.verify("d", claim(grant))
    saying = claim(grant, **wrong)
    assert release_in_stack(desk.ports, desk.giving_back("d"), saying, desk.deadline) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]


def test_an_allocation_that_is_returned_is_forgotten_after_many(desk: Desk, pool_of: MakePool) -> None:
    """What an owner gave back long ago is unknown to it, and changes nothing either."""
    pool = pool_of("10.0.0.0/16")
    first = desk.allocate(desk.request("a", 28)).grant
    desk.release("a", first.allocation_id)
    for _ in range(8):
        desk.clock.advance(1)
        grant = desk.allocate(desk.request("a", 28)).grant
        desk.release("a", grant.allocation_id)
    assert desk.another().release("a", first.allocation_id) == "unverified-delete"
    desk.reclaim(pool.pool_id)
    check(desk.store, canonical=True)


@pytest.mark.parametrize(("provisioned", "length"), [("10.0.0.0/8", 32), ("2001:db8::/32", 128), ("::/0", 128)])
@pytest.mark.parametrize("cooling", [0, 60])
def test_the_only_block_of_a_large_pool_is_given_back(
    desk: Desk, pool_of: MakePool, provisioned: str, length: int, cooling: int
) -> None:
    """However many halvings made a block, it is released, and what upkeep leaves is the CIDR in one piece (I2)."""
    family = block(provisioned).family
    pool = pool_of(provisioned, family=family, cooling_seconds=cooling)
    grant = desk.allocate(desk.request("a", length, family=family)).grant
    assert desk.release("a", grant.allocation_id) == "released"
    check(desk.store)
    desk.clock.advance(cooling)
    for _ in range(3):
        desk.reclaim(pool.pool_id, family)
    assert desk.free(pool.pool_id, family) == [provisioned]
    check(desk.store, canonical=True)


def test_a_cold_release_is_one_cheap_read_the_plan_and_one_change(desk: Desk, pool_of: MakePool) -> None:
    """However large the free space around it is, the block is put back as it is; to join it is upkeep's business."""
    pool = pool_of("10.0.0.0/8")
    grant = desk.allocate(desk.request("a", 28)).grant
    cold = Recorder(desk.store)
    desk.another(cold).release("a", grant.allocation_id)
    assert cold.calls == ["owner_hint", "plan", "commit"]
    assert desk.free(pool.pool_id)[:2] == ["10.0.0.0/28", "10.0.0.16/28"]
    check(desk.store)


def test_a_warm_release_is_one_call(desk: Desk, pool_of: MakePool) -> None:
    """Where the owner is remembered, a release is one transaction and no read, free buddies or not."""
    pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 28))
    warm = desk.another(Recorder(desk.store))
    grant = warm.allocate(desk.request("b", 28)).grant
    assert isinstance(warm.store, Recorder)
    warm.store.calls.clear()
    assert warm.release("b", grant.allocation_id) == "released"
    assert warm.store.calls == ["commit"]


def test_a_stale_memory_does_no_harm(desk: Desk, pool_of: MakePool) -> None:
    """What a process remembers of an owner is verified by the change itself (I5)."""
    pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 28))
    stale = desk.record("a")
    grant = desk.allocate(desk.request("a", 27)).grant
    other = desk.another()
    other.ports.memory.see_owner(stale)
    assert other.release("a", grant.allocation_id) == "released"
    assert [kept.cidr.length for kept in desk.record("a").grants] == [28]
    other.ports.memory.see_owner(stale)
    assert other.release("a", stale.grants[0].allocation_id) == "released"
    check(desk.store)


def test_a_plan_that_is_remembered_too_long_does_no_harm(desk: Desk, pool_of: MakePool) -> None:
    """A process that has not heard of a new pool releases from it all the same."""
    scope = desk.scope()
    pool_of("10.0.0.0/24", name="old", scope=scope)
    other = desk.another()
    other.allocate(desk.request("x", 28))
    pool_of("10.1.0.0/24", name="new", scope=scope)
    grant = desk.allocate(desk.request("a", 28, pool_name="new")).grant
    assert other.release("a", grant.allocation_id) == "released"
    assert other.release_in_stack("d", grant) == "already-released"
    check(desk.store)


def test_a_release_fences_what_was_asked_before(desk: Desk, pool_of: MakePool) -> None:
    """I4: a Create that is delivered again after its Delete allocates nothing."""
    pool = pool_of("10.0.0.0/24")
    request = desk.request("a", 28)
    grant = desk.allocate(request).grant
    desk.release("a", grant.allocation_id, at=NOON + 1000)
    for again in (request, replace(request, requested=NOON + 1000)):
        with pytest.raises(SupersededError):
            desk.another().allocate(again)
    assert desk.held(pool.pool_id) == []


def test_an_owner_is_forgotten_only_while_it_holds_nothing(desk: Desk, pool_of: MakePool) -> None:
    """The store may drop a record only if nothing is held: else an allocation would have no owner (I4)."""
    pool_of("10.0.0.0/24")
    watched = Recorder(desk.store)
    at = desk.another(watched)
    one = at.allocate(desk.request("a", 28)).grant
    two = at.allocate(desk.request("a", 27)).grant
    at.release("a", one.allocation_id)
    at.release("a", two.allocation_id)
    at.abandon("b")
    puts = [op for change in watched.committed for op in change.operations if isinstance(op, PutOwner)]
    assert [(len(put.record.grants), put.expires) for put in puts] == [
        (1, None),
        (2, None),
        (1, None),
        (0, NOON // 1000 + OWNER_KEPT),
        (0, NOON // 1000 + OWNER_KEPT),
    ]


def test_a_release_without_time_changes_nothing(desk: Desk, pool_of: MakePool) -> None:
    """The deadline is asked before the commit."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant

    class Elapsed:
        def ensure(self) -> None:
            raise OutOfTimeError

    late = desk.another()
    late.deadline = Elapsed()
    with pytest.raises(OutOfTimeError):
        late.release("a", grant.allocation_id)
    with pytest.raises(OutOfTimeError):
        late.abandon("a", grant)
    assert desk.held(pool.pool_id) == [str(grant.cidr)]


@pytest.mark.parametrize("busy", [True, False])
def test_a_release_gives_way_after_bounded_tries(desk: Desk, pool_of: MakePool, *, busy: bool) -> None:
    """Who is refused again and again ends with an error that says "later"; it waits only where an item was busy."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant

    class Refusing(Around):
        def commit(self, change: Any) -> None:
            raise Conflict((Refusal(change.operations[-1], busy=busy),))

    with pytest.raises(ContendedError):
        desk.another(Refusing(desk.store)).release("a", grant.allocation_id)
    assert len(desk.clock.slept) == (MAX_ATTEMPTS if busy else 0)
    assert sum(desk.clock.slept) < 30_000


def test_an_owner_that_names_what_is_not_there_is_a_fault(desk: Desk, pool_of: MakePool) -> None:
    """I4: a store in which owner and allocation disagree stops the release; it is not reported as done."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant

    class Broken(Around):
        def commit(self, change: Any) -> None:
            raise Conflict((Refusal(change.operations[0]),))

        def allocation(self, *_: object) -> None:
            return None

    with pytest.raises(AssertionError, match="I4"):
        desk.another(Broken(desk.store)).release("a", grant.allocation_id)


# ------------------------------------------------------------------------------------------------- which Delete counts


def test_a_late_delete_does_not_end_what_an_update_took_again(desk: Desk, pool_of: MakePool) -> None:
    """I5: a cleanup Delete that CloudFormation gave up on comes when a later Update has the block again: it stays."""
    pool = pool_of("10.0.0.0/16")
    first = desk.allocate(desk.request("a", 24)).grant
    desk.clock.advance(60)
    second = desk.revise(desk.request("a", 22), first.allocation_id).grant
    signed = NOON + 120_000
    desk.clock.advance(500)
    assert desk.revise(desk.request("a", 24), second.allocation_id).grant.allocation_id == first.allocation_id
    desk.clock.advance(60)
    for at in (desk, desk.another()):
        assert at.release("a", first.allocation_id, at=signed) == "unverified-delete"
    assert desk.held(pool.pool_id) == ["10.0.0.0/24", "10.0.4.0/22"]
    assert desk.release("a", second.allocation_id) == "released"
    check(desk.store)


def test_a_late_delete_does_not_end_what_a_create_took_again(desk: Desk, pool_of: MakePool) -> None:
    """I5: a resource that was taken out of a template and put back keeps its block from the Delete in between."""
    pool = pool_of("10.0.0.0/16")
    grant = desk.allocate(desk.request("a", 24)).grant
    signed = NOON + 60_000
    desk.clock.advance(4000)
    assert desk.allocate(desk.request("a", 24)).grant.allocation_id == grant.allocation_id
    assert desk.another().release("a", grant.allocation_id, at=signed) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    assert desk.record("a").fence is None
    assert desk.release("a", grant.allocation_id) == "released"


def test_a_late_return_does_not_end_what_was_verified_again(desk: Desk, pool_of: MakePool) -> None:
    """I5: neither does the late Delete of the resource that stands for the release."""
    pool = pool_of("10.0.0.0/16")
    first = desk.allocate(desk.request("a", 24)).grant
    desk.verify("d", claim(first))
    desk.clock.advance(60)
    second = desk.revise(desk.request("a", 22), first.allocation_id).grant
    desk.verify("d", claim(second))
    signed = NOON + 120_000
    desk.clock.advance(500)
    desk.revise(desk.request("a", 24), second.allocation_id)
    desk.verify("d", claim(first))
    desk.clock.advance(60)
    assert desk.release_in_stack("d", second) == "released"
    assert desk.release_in_stack("d", first, at=signed) == "unverified-delete"
    assert desk.held(pool.pool_id) == ["10.0.0.0/24"]
    assert desk.release_in_stack("d", first) == "released"


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_delete_of_the_same_second_counts(desk: Desk, pool_of: MakePool, seconds: int) -> None:
    """CloudFormation's times are of a second: what is not older than the last answer ends the allocation."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    assert desk.release("a", grant.allocation_id, at=NOON + 1000 * seconds) == "released"


def test_an_answer_between_the_read_and_the_release_keeps_the_block(desk: Desk, pool_of: MakePool) -> None:
    """I5: a request that is answered with the block while an older Delete is under way wins."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    store = Interrupted(desk.store, lambda: desk.allocate(desk.request("a", 28, at=NOON + 9000)))
    assert desk.another(store).release("a", grant.allocation_id, at=NOON + 5000) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    check(desk.store)


# -------------------------------------------------------------------------------------------- who stands for a release


def test_of_several_that_stand_for_a_release_the_last_one_makes_it(desk: Desk, pool_of: MakePool) -> None:
    """I5: a template that renames its DeleteCnCIDR deletes the old one, and the block stays until the new one goes."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    desk.verify("old", claim(grant))
    desk.verify("new", claim(grant))
    assert desk.record("a").grants[0].returners == ("old", "new")
    desk.clock.advance(1)
    assert desk.release_in_stack("old", grant) == "nothing-to-release"
    assert desk.record("a").grants[0].returners == ("new",)
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    (audit,) = [record for record in desk.store.audit(pool.pool_id) if record.event == "kept"]
    assert (audit.allocation_id, audit.owner) == (grant.allocation_id, owner_key("a"))
    check(desk.store)
    assert desk.release_in_stack("new", grant) == "released"
    assert desk.held(pool.pool_id) == []
    check(desk.store)


def test_who_never_verified_it_returns_nothing(desk: Desk, pool_of: MakePool) -> None:
    """I5: true facts alone are no right to the release; the resource has to have been told that they are true."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    assert desk.release_in_stack("d", grant) == "unverified-delete"
    desk.verify("d", claim(grant))
    assert desk.release_in_stack("e", grant) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    assert desk.release_in_stack("d", grant) == "released"


def test_the_holders_own_delete_waits_for_nobody(desk: Desk, pool_of: MakePool) -> None:
    """GetCnCIDR's Delete releases whoever else stands for it, and their Deletes find it done."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    for name in "de":
        desk.verify(name, claim(grant))
    assert desk.release("a", grant.allocation_id) == "released"
    assert [desk.release_in_stack(name, grant) for name in "de"] == ["already-released"] * 2
    check(desk.store)


def test_a_withdrawal_that_meets_another_change_is_made_anew(desk: Desk, pool_of: MakePool) -> None:
    """When both of two go at once, one of them is the last and releases (I5)."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    for name in "de":
        desk.verify(name, claim(grant))
    store = Interrupted(desk.store, lambda: desk.release_in_stack("d", grant))
    assert desk.another(store).release_in_stack("e", grant) == "released"
    assert desk.held(pool.pool_id) == []
    check(desk.store)


def test_a_withdrawal_gives_way_after_bounded_tries(desk: Desk, pool_of: MakePool) -> None:
    """Who is refused again and again ends with an error that says "later"."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    for name in "de":
        desk.verify(name, claim(grant))
    with pytest.raises(ContendedError):
        desk.another(Faulty(desk.store, itertools.repeat("busy"))).release_in_stack("d", grant)
    assert desk.record("a").grants[0].returners == ("d", "e")


def test_who_comes_to_stand_for_it_meanwhile_keeps_it(desk: Desk, pool_of: MakePool) -> None:
    """I5: between the read and the release another resource is verified: the block stays, and is its to return."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    desk.verify("old", claim(grant))
    store = Interrupted(desk.store, lambda: desk.verify("new", claim(grant)))
    assert desk.another(store).release_in_stack("old", grant) != "released"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    assert desk.release_in_stack("new", grant) == "released"


class Behind(Around):
    """A store whose hints are as old as this object."""

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store)
        self._then = {"owner_hint": store.owner(owner_key(name)), "owners_hint": store.owners(STACK)}

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        return self._then[name] if name in self._then else super().call(name, do, args)


@pytest.mark.parametrize("since", ["nothing held", "allocated", "verified", "two stood for it"])
def test_a_hint_that_is_a_moment_old_does_no_harm(desk: Desk, pool_of: MakePool, since: str) -> None:
    """Whatever an eventually consistent read does not show yet, the last one's Delete releases (I5)."""
    pool = pool_of("10.0.0.0/24")
    behind = Behind(desk.store, "a")
    grant = desk.allocate(desk.request("a", 28)).grant
    if since == "allocated":
        behind = Behind(desk.store, "a")
    desk.verify("d", claim(grant))
    if since == "verified":
        behind = Behind(desk.store, "a")
    if since == "two stood for it":
        desk.verify("e", claim(grant))
        behind = Behind(desk.store, "a")
        desk.release_in_stack("e", grant)
    assert desk.another(behind).release_in_stack("d", grant) == "released"
    assert desk.held(pool.pool_id) == []
    assert desk.another(behind).release("a", grant.allocation_id) == "already-released"
    check(desk.store)


def test_a_hint_that_is_a_moment_old_frees_nothing(desk: Desk, pool_of: MakePool) -> None:
    """I5: what was answered, or who was verified, since the hint was true keeps the block."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    desk.verify("d", claim(grant))
    behind = Behind(desk.store, "a")
    desk.allocate(desk.request("a", 28, at=NOON + 9000))
    assert desk.another(behind).release("a", grant.allocation_id, at=NOON + 5000) == "unverified-delete"
    assert desk.another(behind).release_in_stack("d", grant, at=NOON + 5000) == "unverified-delete"
    desk.verify("e", claim(grant), at=NOON + 9000)
    assert desk.another(behind).release_in_stack("d", grant, at=NOON + 9000) != "released"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]


# ---------------------------------------------------------------------------------------------------------- abandon


def test_what_a_create_left_unanswered_is_released(desk: Desk, pool_of: MakePool) -> None:
    """A Delete with an invented id releases what its Create allocated and nobody was told of."""
    pool_of("10.0.0.0/24")
    request = desk.request("a", 28)
    desk.allocate(request)
    assert desk.abandon("a", request, at=NOON + 1000) == "released"
    assert desk.record("a").grants == ()
    check(desk.store)


def test_a_second_abandonment_has_nothing_to_release(desk: Desk, pool_of: MakePool) -> None:
    """Delivered again, the same Delete changes nothing."""
    pool_of("10.0.0.0/24")
    request = desk.request("a", 28)
    desk.allocate(request)
    outcomes = [
        each.abandon("a", request, at=at) for each, at in ((desk, NOON), (desk.another(), NOON), (desk, NOON - 1))
    ]
    assert outcomes == ["released", "nothing-to-release", "nothing-to-release"]
    check(desk.store)


@pytest.mark.parametrize("how", ["verified", "updated"])
def test_what_was_accepted_is_left_alone(desk: Desk, pool_of: MakePool, how: str) -> None:
    """I5: an allocation that the stack has been seen to know is not released by an invented id."""
    pool = pool_of("10.0.0.0/24")
    request = desk.request("a", 28)
    grant = desk.allocate(request).grant
    if how == "verified":
        desk.verify("d", claim(grant))
    else:
        desk.clock.advance(1)
        desk.revise(desk.request("a", 28), grant.allocation_id)
    desk.clock.advance(1)
    assert desk.abandon("a", request) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    check(desk.store)


def test_a_delete_that_overtakes_its_create_sets_a_fence(desk: Desk, pool_of: MakePool) -> None:
    """I4: the tombstone of a resource that never allocated refuses its Create when it comes at last."""
    pool_of("10.0.0.0/24")
    assert desk.abandon("a", at=NOON + 1000) == "nothing-to-release"
    record = desk.record("a")
    assert (record.fence, record.grants, record.version) == (NOON + 1000, (), 1)
    (audit,) = desk.store.audit(record.owner.party)
    assert (audit.event, audit.cidr) == ("fenced", None)


def test_a_newer_create_is_not_abandoned_by_an_older_delete(desk: Desk, pool_of: MakePool) -> None:
    """A Delete that comes late releases nothing that was asked for after it."""
    pool = pool_of("10.0.0.0/24")
    newer = desk.request("a", 28, at=NOON + 5000)
    desk.allocate(newer)
    assert desk.abandon("a", newer, at=NOON) == "nothing-to-release"
    assert len(desk.held(pool.pool_id)) == 1
    check(desk.store)


def test_a_create_that_was_answered_again_is_not_abandoned_by_a_delete_in_between(
    desk: Desk, pool_of: MakePool
) -> None:
    """I5: the same block was the answer to a later Create, so an older Delete with an invented id leaves it."""
    pool = pool_of("10.0.0.0/24")
    first = desk.allocate(desk.request("a", 28)).grant
    desk.allocate(desk.request("a", 28, at=NOON + 9000))
    assert desk.abandon("a", first, at=NOON + 5000) == "nothing-to-release"
    assert len(desk.held(pool.pool_id)) == 1


def test_what_is_verified_while_it_is_abandoned_is_left_alone(desk: Desk, pool_of: MakePool) -> None:
    """I5: between the read and the release the stack shows that it knows the block: it stays."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 28)).grant
    store = Interrupted(desk.store, lambda: desk.verify("d", claim(grant)))
    assert desk.another(store).abandon("a", grant) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    check(desk.store)


def test_a_fence_outlives_every_way_back_of_an_event() -> None:
    """I4: Lambda keeps an event for 6 hours and the dead-letter queue for 14 days; then its fence may go."""
    assert OWNER_KEPT > 6 * 3600 + 14 * 24 * 3600


def test_an_abandonment_that_meets_its_create_releases_it(desk: Desk, pool_of: MakePool) -> None:
    """I4: a Create that commits between the read and the fence is seen, and released."""
    pool = pool_of("10.0.0.0/24")
    request = desk.request("a", 28)
    store = Interrupted(desk.store, lambda: desk.allocate(request))
    assert desk.another(store).abandon("a", request, at=NOON + 1000) == "released"
    assert desk.held(pool.pool_id) == []
    check(desk.store)


def test_what_a_second_create_was_answered_with_outlives_the_first(desk: Desk, pool_of: MakePool) -> None:
    """I5: a Create's answer is lost, a later Create gets its block; the Delete of the failed first frees nothing."""
    pool = pool_of("10.0.0.0/24")
    first = desk.allocate(desk.request("a", 28)).grant
    desk.clock.advance(60)
    assert desk.allocate(desk.request("a", 28)).grant.allocation_id == first.allocation_id
    desk.clock.advance(60)
    assert desk.abandon("a", first) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(first.cidr)]


@pytest.mark.parametrize("gone", ["taken away", "with its pool"])
def test_a_record_that_is_older_than_the_end_of_its_pool_is_read_again(
    desk: Desk, pool_of: MakePool, gone: str
) -> None:
    """A process that remembers an allocation of a pool that is gone finds that it was given back."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    other = desk.another()
    if gone == "taken away":
        (allocation,) = desk.store.allocations(pool.pool_id)
        release_by_administrator(other.ports, allocation, "test", desk.deadline)
    delete_pool(other.ports, pool.pool_id, "test", cascade=gone == "with its pool")
    desk.clock.advance(31)
    assert desk.release("a", grant.allocation_id) == "already-released"
    check(desk.store)
