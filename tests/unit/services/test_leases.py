"""What becomes of allocations that last for a time: who is warned, what ends, and what is only reported."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import OutOfTimeError, StoreUnavailableError, SupersededError
from ipam.domain.pool import AllocationRules, Quota
from ipam.services.leases import (
    ENDED_KEPT,
    GRACE_SHARE,
    MAX_GRACE,
    MAX_NOTICE,
    NOTICE_SHARE,
    keep_leases,
)
from ipam.services.pools import edit_pool
from ipam.services.ports import NoDeadline
from tests.builders import ACCOUNT, STACK, block, claim
from tests.faults import Around, Faulty, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import AllocationType, Pool
    from ipam.services.ports.store import Store
    from tests.builders import Desk

    MakePool = Callable[..., Pool]

DAY = 24 * 3600
LEASE = 20 * 3600
"""Seconds: five hours of notice, and two and a half of grace."""

NOTICE = LEASE // NOTICE_SHARE
GRACE = NOTICE // GRACE_SHARE
CUSTOM: dict[str, Any] = {"allocation_type": "custom"}


@pytest.fixture
def pool(pool_of: MakePool) -> Pool:
    """A pool whose allocations last for a time, and cool afterwards."""
    return pool_of("10.0.0.0/24", rules=AllocationRules(lease_seconds=LEASE), cooling_seconds=60, quota=Quota(9, 999))


def held(desk: Desk, kind: AllocationType = "custom", name: str = "a") -> Grant:
    """Allocate something that lasts for a time."""
    return desk.allocate(desk.request(name, 26, allocation_type=kind)).grant


def upkeep(desk: Desk, pool: Pool, store: Store | None = None) -> bool:
    """Do a run, and see that everything is still sound."""
    try:
        return keep_leases(desk.another(store).ports, desk.store.plan().pools[pool.pool_id], NoDeadline())
    finally:
        check(desk.store)


def kinds(desk: Desk) -> list[str]:
    """Name what was told."""
    return desk.outside.happenings.kinds()


def events(desk: Desk, pool: Pool) -> list[str]:
    """Name what was written down of leases."""
    return [record.event for record in desk.store.audit(pool.pool_id) if record.cause == "leases"]


def test_nothing_is_due_while_much_is_left(desk: Desk, pool: Pool) -> None:
    """Until the notice begins nothing is told or written, and one read tells that."""
    held(desk)
    desk.clock.advance(LEASE - NOTICE - 1)
    watched = Recorder(desk.store)
    assert not keep_leases(desk.another(watched).ports, pool, NoDeadline())
    assert watched.calls == ["leases"]
    assert kinds(desk) == []


@pytest.mark.parametrize(("kind", "at_end"), [("custom", "released"), ("vpc", "reported")])
def test_the_owner_is_warned_once(desk: Desk, pool: Pool, kind: AllocationType, at_end: str) -> None:
    """The event says whose what ends when, and what becomes of it then; the end stays where it was."""
    grant = held(desk, kind)
    desk.clock.advance(LEASE - NOTICE)
    assert upkeep(desk, pool)
    for _ in range(3):
        assert not upkeep(desk, pool)
    (told,) = desk.outside.happenings.told
    assert told.kind == "Lease Ends Soon"
    assert told.facts == {
        "allocationId": grant.allocation_id,
        "cidr": "10.0.0.0/26",
        "poolId": pool.pool_id,
        "poolName": "vpcs",
        "account": ACCOUNT,
        "stackId": STACK,
        "logicalResourceId": "a",
        "allocationType": kind,
        "description": "a network",
        "until": grant.expires,
        "atEnd": at_end,
    }
    assert events(desk, pool) == ["lease-warned"]
    lease = desk.store.lease(pool.pool_id, grant.cidr)
    assert lease is not None and (lease.until, lease.warned) == (grant.expires, True)


@pytest.mark.parametrize(
    ("seconds", "notice"), [(400 * DAY, MAX_NOTICE), (28 * DAY, MAX_NOTICE), (4 * DAY, DAY * 1000), (8, 2000)]
)
def test_the_notice_is_a_quarter_or_a_week(desk: Desk, pool_of: MakePool, seconds: int, notice: int) -> None:
    """The shorter of the two, however long the lease."""
    pool = pool_of("10.0.0.0/24", rules=AllocationRules(lease_seconds=seconds))
    held(desk)
    desk.clock.milliseconds += seconds * 1000 - notice - 1
    assert not upkeep(desk, pool)
    desk.clock.milliseconds += 1
    assert upkeep(desk, pool)


def test_who_could_not_be_told_was_not_warned(desk: Desk, pool: Pool) -> None:
    """Nothing is written, however long that lasts and however late it gets; then the warning comes with its grace."""
    held(desk)
    desk.outside.happenings.deaf = True
    desk.clock.advance(2 * LEASE)
    for _ in range(2):
        assert not upkeep(desk, pool)
    assert (events(desk, pool), desk.held(pool.pool_id)) == ([], ["10.0.0.0/26"])
    desk.outside.happenings.deaf = False
    assert upkeep(desk, pool)
    assert desk.outside.happenings.told[0].facts["until"] == desk.clock.now() + GRACE * 1000


@pytest.mark.parametrize(("fault", "told"), [("lost-before", 2), ("lost-after", 1)])
def test_a_warning_is_told_once_at_least(desk: Desk, pool: Pool, fault: Any, told: int) -> None:
    """A run that ends before it could write that down leaves the telling to the next one as well."""
    held(desk)
    desk.clock.advance(LEASE - NOTICE)
    with pytest.raises(StoreUnavailableError):
        upkeep(desk, pool, Faulty(desk.store, iter([fault])))
    upkeep(desk, pool)
    assert kinds(desk) == ["Lease Ends Soon"] * told
    assert events(desk, pool) == ["lease-warned"]


def test_what_expires_is_taken_back_at_the_end(desk: Desk, pool: Pool) -> None:
    """After its warning and its time: the block cools, the quota is given back, and the owner knows that it had it."""
    grant = held(desk)
    desk.clock.advance(LEASE - NOTICE)
    upkeep(desk, pool)
    desk.clock.advance(NOTICE - 1)
    assert not upkeep(desk, pool)
    desk.clock.advance(1)
    watched = Recorder(desk.store)
    assert upkeep(desk, pool, watched)
    assert (desk.held(pool.pool_id), desk.cooling(pool.pool_id)) == ([], ["10.0.0.0/26"])
    assert list(desk.store.leases(pool.pool_id)) == []
    assert desk.store.quota(ACCOUNT, pool.pool_id).allocations == 0
    record = desk.record("a")
    assert (record.grants, record.returned, record.fence) == ((), (grant.allocation_id,), grant.requested)
    assert events(desk, pool) == ["lease-ended", "lease-warned"] or events(desk, pool) == [
        "lease-warned",
        "lease-ended",
    ]
    assert kinds(desk) == ["Lease Ends Soon", "Lease Ended"]
    assert desk.outside.happenings.told[1].facts["atEnd"] == "released"
    assert not upkeep(desk, pool)


def test_an_owner_whose_lease_ended_is_remembered_for_years(desk: Desk, pool: Pool) -> None:
    """Its stack may be deleted long after, and its Delete is known to be of something that was given back."""
    held(desk)
    desk.clock.advance(LEASE)
    upkeep(desk, pool)
    desk.clock.advance(GRACE)
    watched = Recorder(desk.store)
    upkeep(desk, pool, watched)
    (expires,) = [each.expires for each in watched.committed[0].operations if hasattr(each, "expires")]
    assert expires == desk.clock.now() // 1000 + ENDED_KEPT


def test_an_owner_who_holds_something_else_is_not_forgotten(desk: Desk, pool: Pool) -> None:
    """One of several allocations of a resource ends with its lease."""
    held(desk)
    desk.clock.advance(LEASE)
    other = desk.allocate(desk.request("a", 27, **CUSTOM)).grant
    upkeep(desk, pool)
    desk.clock.advance(GRACE)
    watched = Recorder(desk.store)
    upkeep(desk, pool, watched)
    assert [each.expires for each in watched.committed[0].operations if hasattr(each, "expires")] == [None]
    assert desk.record("a").grants == (other,)


@pytest.mark.parametrize("late", [0, 1, 7 * LEASE])
def test_a_late_warning_moves_the_end(desk: Desk, pool: Pool, late: int) -> None:
    """Where upkeep did not come by in time there is a grace, told in the event and written in lease and grant alike."""
    grant = held(desk)
    desk.clock.advance(LEASE + late)
    upkeep(desk, pool)
    until = desk.clock.now() + GRACE * 1000
    assert kinds(desk) == ["Lease Ends Soon"]
    assert desk.outside.happenings.told[0].facts["until"] == until
    lease = desk.store.lease(pool.pool_id, grant.cidr)
    assert lease is not None and lease.until == until
    assert [each.expires for each in desk.record("a").grants] == [until]
    desk.clock.advance(GRACE - 1)
    assert not upkeep(desk, pool)
    desk.clock.advance(1)
    assert upkeep(desk, pool)
    assert desk.held(pool.pool_id) == []


def test_a_warning_in_the_middle_of_its_time_moves_the_end_by_what_lacks(desk: Desk, pool: Pool) -> None:
    """There is the whole grace at least between the warning and the end."""
    held(desk)
    desk.clock.advance(LEASE - GRACE + 60)
    upkeep(desk, pool)
    assert desk.outside.happenings.told[0].facts["until"] == desk.clock.now() + GRACE * 1000


def test_the_grace_is_a_day_at_most(desk: Desk, pool_of: MakePool) -> None:
    """A long lease is not prolonged by days."""
    pool = pool_of("10.0.0.0/24", rules=AllocationRules(lease_seconds=400 * DAY))
    held(desk)
    desk.clock.advance(400 * DAY)
    upkeep(desk, pool)
    assert desk.outside.happenings.told[0].facts["until"] == desk.clock.now() + MAX_GRACE


@pytest.mark.parametrize("kind", ["vpc", "subnet", "eip"])
@pytest.mark.parametrize("warnings", [0, 1])
def test_what_a_network_uses_is_reported_once_and_stays(
    desk: Desk, pool: Pool, kind: AllocationType, warnings: int
) -> None:
    """It is never taken from under it; without a warning before, it is only told that the lease has ended."""
    grant = held(desk, kind)
    if warnings:
        desk.clock.advance(LEASE - NOTICE)
        upkeep(desk, pool)
    desk.clock.advance(LEASE)
    assert upkeep(desk, pool)
    for _ in range(3):
        desk.clock.advance(LEASE)
        assert not upkeep(desk, pool)
    assert kinds(desk) == ["Lease Ends Soon"] * warnings + ["Lease Ended"]
    assert desk.outside.happenings.told[-1].facts["atEnd"] == "reported"
    assert desk.held(pool.pool_id) == ["10.0.0.0/26"]
    assert [each.expires for each in desk.record("a").grants] == [grant.expires]
    assert "lease-overdue" in events(desk, pool)


def test_an_end_that_could_not_be_reported_is_reported_later(desk: Desk, pool: Pool) -> None:
    """As with the warning: told first, then written down."""
    held(desk, "vpc")
    desk.clock.advance(LEASE)
    desk.outside.happenings.deaf = True
    assert not upkeep(desk, pool)
    desk.outside.happenings.deaf = False
    assert upkeep(desk, pool)
    assert kinds(desk) == ["Lease Ended"]


def test_what_is_taken_back_is_gone_whether_it_can_be_told_or_not(desk: Desk, pool: Pool) -> None:
    """Its warning was told; that it has ended is told after the fact, and then depends on nobody."""
    held(desk)
    desk.clock.advance(LEASE)
    upkeep(desk, pool)
    desk.clock.advance(GRACE)
    desk.outside.happenings.deaf = True
    assert upkeep(desk, pool)
    assert desk.held(pool.pool_id) == []
    assert desk.outside.happenings.untold() == ("Lease Ended: Deaf",)


@pytest.mark.parametrize("kind", ["custom", "vpc"])
def test_a_renewal_begins_anew(desk: Desk, pool: Pool, kind: AllocationType) -> None:
    """A later request for the same lets the lease begin anew, with a warning of its own."""
    grant = held(desk, kind)
    for _ in range(3):
        desk.clock.advance(LEASE - NOTICE)
        upkeep(desk, pool)
        desk.allocate(desk.request("a", 26, allocation_type=kind))
    assert kinds(desk) == ["Lease Ends Soon"] * 3
    assert [each.allocation_id for each in desk.store.allocations(pool.pool_id)] == [grant.allocation_id]


def test_a_renewal_that_comes_while_it_is_told_wins(desk: Desk, pool: Pool) -> None:
    """The telling was in vain; the lease is as it was renewed."""
    held(desk)
    desk.clock.advance(LEASE - NOTICE)
    desk.outside.happenings.meanwhile = lambda: desk.allocate(desk.request("a", 26, **CUSTOM))
    assert not upkeep(desk, pool)
    (lease,) = desk.store.leases(pool.pool_id)
    assert (lease.until, lease.warned) == (desk.clock.now() + LEASE * 1000, False)


def test_a_lease_outlives_the_rule_that_made_it(desk: Desk, pool: Pool) -> None:
    """What was given for a time ends all the same when the pool gives nothing for a time any more."""
    held(desk)
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, rules=AllocationRules()), "test")
    desk.clock.advance(1)
    upkeep(desk, pool)
    assert kinds(desk) == ["Lease Ends Soon"]
    desk.clock.advance(DAY)
    upkeep(desk, pool)
    assert desk.held(pool.pool_id) == []


def test_a_preview_ends_in_time(desk: Desk, pool: Pool) -> None:
    """Nobody is told, and its block is free at once: nobody ever had it."""
    request = desk.request("p", 26)
    desk.allocate(replace(request, ask=replace(request.ask, preview=True), preview_seconds=300))
    desk.clock.advance(299)
    assert not upkeep(desk, pool)
    desk.clock.advance(1)
    assert upkeep(desk, pool)
    assert (desk.held(pool.pool_id), desk.cooling(pool.pool_id)) == ([], [])
    assert kinds(desk) == []


def test_a_preview_from_amazons_ipam_is_given_back_there_first(desk: Desk, pool: Pool) -> None:
    """So it cools for no time, and is not free before that is done."""
    request = desk.request("p", 26)
    grant = desk.allocate(replace(request, ask=replace(request.ask, preview=True), preview_seconds=300)).grant

    class There(Around):
        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            answer = super().call(name, do, args)
            if name == "owner":
                theirs = (replace(each, vpc_ipam_allocation_id="there") for each in answer.grants)
                return replace(answer, grants=tuple(theirs))
            return answer

    desk.clock.advance(300)
    assert keep_leases(desk.another(There(desk.store)).ports, pool, NoDeadline())
    (cooling,) = desk.store.cooling(pool.pool_id, 9)
    assert (cooling.cidr, cooling.until, cooling.vpc_ipam_allocation_id) == (grant.cidr, desk.clock.now(), "there")


def test_a_run_without_time_leaves_the_rest(desk: Desk, pool: Pool) -> None:
    """What is done is done; the next run goes on."""
    for name in "abc":
        held(desk, name=name)
    desk.clock.advance(LEASE - NOTICE)

    class Once:
        left = 2

        def ensure(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise OutOfTimeError

    with pytest.raises(OutOfTimeError):
        keep_leases(desk.ports, pool, Once())
    assert len(kinds(desk)) == 2
    assert upkeep(desk, pool)
    assert len(kinds(desk)) == 3


# ------------------------------------------------------------------------------------- what comes after the end


@pytest.fixture
def over(desk: Desk, pool: Pool) -> Grant:
    """An allocation that has ended with its lease, and whose block has cooled and belongs to somebody else."""
    desk.clock.advance(1)
    grant = desk.allocate(desk.request("a", 26, **CUSTOM)).grant
    desk.verify("d", claim(grant))
    desk.clock.advance(LEASE)
    upkeep(desk, pool)
    desk.clock.advance(LEASE)
    upkeep(desk, pool)
    desk.clock.advance(60)
    desk.reclaim(pool.pool_id)
    desk.allocate(desk.request("other", cidr="10.0.0.0/26"))
    return grant


def test_the_stacks_delete_finds_it_given_back(desk: Desk, pool: Pool, over: Grant) -> None:
    """Of either resource, warm or cold, whenever it comes: what somebody else has by now is left alone."""
    desk.clock.advance(400 * DAY)
    for at in (desk, desk.another()):
        assert at.release("a", over.allocation_id) == "already-released"
        assert at.release_in_stack("d", over) == "already-released"
    assert desk.held(pool.pool_id) == ["10.0.0.0/26"]


def test_its_create_delivered_again_allocates_nothing(desk: Desk, pool: Pool, over: Grant) -> None:
    """The request was answered once; delivered again, it is over."""
    with pytest.raises(SupersededError):
        desk.another().allocate(desk.request("a", 26, at=over.requested, **CUSTOM))
    assert desk.held(pool.pool_id) == ["10.0.0.0/26"]


def test_an_update_of_the_stack_gets_another_block(desk: Desk, over: Grant) -> None:
    """A later request that asks for the same is a new one, and CloudFormation gets a new id for it."""
    revised = desk.another().revise(desk.request("a", 26, **CUSTOM), over.allocation_id)
    assert (revised.outcome, revised.grant.cidr) == ("allocated", block("10.0.0.64/26"))
    assert desk.release("a", over.allocation_id) == "already-released"
    check(desk.store)
