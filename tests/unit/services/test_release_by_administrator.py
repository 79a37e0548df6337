from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.change import Change, PutAudit, PutOwner
from ipam.domain.errors import ContendedError, InUseError, OutOfTimeError, SupersededError
from ipam.domain.pool import AllocationRules, SourceResource
from ipam.services.audit import note
from ipam.services.pools import NewPool, edit_pool
from ipam.services.release import MAX_ATTEMPTS
from ipam.services.release_by_administrator import release_by_administrator
from tests.builders import ACCOUNT, NOON, REGION, Desk, SeededChance
from tests.faults import Faulty, Interrupted
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import Allocation
    from ipam.domain.pool import Pool
    from ipam.services.release import Outcome

    MakePool = Callable[..., Pool]


class Late:
    """No time is left."""

    def ensure(self) -> None:
        """See the port."""
        raise OutOfTimeError


def only(desk: Desk, pool: Pool) -> Allocation:
    """Read the one allocation of a pool."""
    (allocation,) = desk.store.allocations(pool.pool_id)
    return allocation


def take(desk: Desk, allocation: Allocation) -> Outcome:
    """Release as an administrator."""
    return release_by_administrator(desk.ports, allocation, "ada: the stack is gone", desk.deadline)


@pytest.mark.parametrize("cooling", [0, 60])
def test_an_administrator_takes_what_nobody_gives_back(desk: Desk, pool_of: MakePool, cooling: int) -> None:
    """The block cools, the owner holds nothing, its quota counts nothing, and who did it is written down (I5 to I7)."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=cooling)
    grant = desk.allocate(desk.request("a", 26)).grant
    assert take(desk, only(desk, pool)) == "released"
    assert desk.held(pool.pool_id) == []
    assert desk.cooling(pool.pool_id) == (["10.0.0.0/26"] if cooling else [])
    assert (desk.record("a").grants, desk.record("a").returned) == ((), (grant.allocation_id,))
    assert desk.store.quota(ACCOUNT, pool.pool_id).units == 0
    record = next(each for each in desk.store.audit(pool.pool_id) if each.event == "released")
    assert (record.cause, record.owner, record.account) == ("ada: the stack is gone", desk.record("a").owner, ACCOUNT)
    check(desk.store)


def test_the_owners_own_delete_finds_it_released(desk: Desk, pool_of: MakePool) -> None:
    """The stack can still be deleted."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    take(desk, only(desk, pool))
    assert desk.another().release("a", grant.allocation_id) == "already-released"
    check(desk.store)


def test_the_request_that_made_it_does_not_make_it_again(desk: Desk, pool_of: MakePool) -> None:
    """Delivered once more, it is over; a later one is served (I4)."""
    pool = pool_of("10.0.0.0/24")
    request = desk.request("a", 26)
    desk.allocate(request)
    take(desk, only(desk, pool))
    with pytest.raises(SupersededError):
        desk.another().allocate(request)
    desk.clock.advance(1)
    assert desk.allocate(desk.request("a", 26)).outcome == "allocated"
    check(desk.store)


def test_what_else_the_owner_holds_stays(desk: Desk, pool_of: MakePool) -> None:
    """Only this allocation ends."""
    pool = pool_of("10.0.0.0/24")
    first = desk.allocate(desk.request("a", 26)).grant
    desk.clock.advance(1)
    second = desk.allocate(desk.request("a", 27)).grant
    held = {each.allocation_id: each for each in desk.store.allocations(pool.pool_id)}
    take(desk, held[first.allocation_id])
    assert desk.record("a").grants == (second,)
    check(desk.store)


def test_a_lease_ends_with_it(desk: Desk, pool_of: MakePool) -> None:
    """Nothing is left to expire."""
    pool = pool_of("10.0.0.0/24", rules=AllocationRules(lease_seconds=3600))
    desk.allocate(desk.request("a", 26))
    take(desk, only(desk, pool))
    assert list(desk.store.leases(pool.pool_id)) == []
    check(desk.store)


def test_a_preview_is_free_at_once(desk: Desk, pool_of: MakePool) -> None:
    """Nobody ever had it."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    wanted = desk.request("a", 26)
    desk.allocate(replace(wanted, ask=replace(wanted.ask, preview=True), preview_seconds=60))
    take(desk, only(desk, pool))
    assert desk.cooling(pool.pool_id) == []
    check(desk.store)


def test_an_owner_without_an_account_has_no_quota(desk: Desk, pool_of: MakePool) -> None:
    """What an administrator allocated counts for nobody."""
    pool = pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26, account=""))
    assert take(desk, only(desk, pool)) == "released"
    check(desk.store)


def test_the_space_of_a_pool_is_not_released(desk: Desk, pool_of: MakePool) -> None:
    """It is deprovisioned: the refusal names the pool."""
    parent = pool_of("10.0.0.0/16", name="parent")
    child = NewPool("child", parent.scope_id, source_pool_id=parent.pool_id, locale=REGION)
    desk.pool(child, "10.0.0.0/24")
    with pytest.raises(InUseError) as refused:
        take(desk, only(desk, parent))
    assert refused.value == InUseError("10.0.0.0/24", ("pool child",), 1)
    check(desk.store, canonical=True)


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_divided_vpc_is_not_released(desk: Desk, pool_of: MakePool, *, meanwhile: bool) -> None:
    """The subnet pool has to give its space back first, also one that comes at the same time (I3)."""
    vpcs = pool_of("10.0.0.0/16")
    desk.allocate(desk.request("vpc", 24))
    vpc = only(desk, vpcs)
    new = NewPool(
        "subnets",
        vpcs.scope_id,
        source_pool_id=vpcs.pool_id,
        locale=REGION,
        allocation_types=frozenset({"subnet"}),
        source_resource=SourceResource("vpc-0", ACCOUNT, REGION),
    )

    def divide() -> Pool:
        return desk.pool(new, "10.0.0.0/24")

    if not meanwhile:
        divide()
    at = desk.another(Interrupted(desk.store, divide) if meanwhile else None)
    with pytest.raises(InUseError) as refused:
        take(at, vpc)
    assert refused.value == InUseError("10.0.0.0/24", ("pool subnets",), 1)
    check(desk.store, canonical=True)


def test_two_at_once_are_one_release(desk: Desk, pool_of: MakePool) -> None:
    """Two administrators, or one and the stack: the block comes back once (I1, I5)."""
    pool = pool_of("10.0.0.0/24")
    for others in (
        lambda held: take(desk, held),
        lambda held: desk.release("a", held.allocation_id),
    ):
        desk.clock.advance(1)
        desk.allocate(desk.request("a", 26))
        held = only(desk, pool)
        at = desk.another(Interrupted(desk.store, lambda others=others, held=held: others(held)))  # type: ignore[misc]
        assert take(at, held) == "already-released"
        assert take(desk, held) == "already-released"
        check(desk.store)


def test_another_holder_of_the_same_block_keeps_it(desk: Desk, pool_of: MakePool) -> None:
    """Only that very allocation is released, never "whoever has this CIDR" (I5)."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    held = only(desk, pool)
    desk.release("a", grant.allocation_id)
    desk.allocate(desk.request("b", cidr="10.0.0.0/26"))
    assert take(desk, held) == "already-released"
    assert desk.held(pool.pool_id) == ["10.0.0.0/26"]


def test_an_owner_that_changes_meanwhile_is_looked_at_again(desk: Desk, pool_of: MakePool) -> None:
    """What it was given in between stays its own (I4)."""
    pool = pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26))
    held = only(desk, pool)
    desk.clock.advance(1)
    at = desk.another(Interrupted(desk.store, lambda: desk.allocate(desk.request("a", 27))))
    assert take(at, held) == "released"
    assert [grant.cidr.length for grant in desk.record("a").grants] == [27]
    check(desk.store)


def test_it_cools_as_the_pool_says_by_now(desk: Desk, pool_of: MakePool) -> None:
    """A rule that has changed holds for what is released after."""
    pool = pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26))
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, cooling_seconds=90), "test")
    take(desk, only(desk, pool))
    assert desk.store.cooling(pool.pool_id, 9)[0].until == NOON + 90_000
    check(desk.store)


def test_it_gives_way_in_the_end(desk: Desk, pool_of: MakePool) -> None:
    """Whoever never gets a turn is told so, and so is who has no time."""
    pool = pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26))
    held = only(desk, pool)
    with pytest.raises(ContendedError):
        take(desk.another(Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS))), held)
    with pytest.raises(OutOfTimeError):
        release_by_administrator(desk.ports, held, "test", Late())
    assert only(desk, pool) == held


def test_an_allocation_that_its_owner_does_not_know_is_a_fault(desk: Desk, pool_of: MakePool) -> None:
    """I4 is broken: nothing is made of it here."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    chance = Desk(desk.store, desk.clock, SeededChance("another")).ports
    lost = PutOwner(desk.record("a").without_grant(grant.allocation_id), expires=None)
    desk.store.commit(Change((lost, PutAudit(note(chance, pool.pool_id, "fenced", "test")))))
    with pytest.raises(AssertionError, match="I4"):
        take(desk, only(desk, pool))
