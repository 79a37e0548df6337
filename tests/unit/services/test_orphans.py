"""Orphans are found by asking stacks, told once, and freed by a person only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import NetworkInUseError, OutOfTimeError, ServiceUnavailableError
from ipam.domain.orphan import Orphan
from ipam.domain.owner import OwnerKey
from ipam.services.orphans import EVERY, MAX_ASKED, YOUNG, Sought, orphans, release_orphan, seek_orphans
from tests.builders import ACCOUNT, NOON, STACK, Desk
from tests.faults import Interrupted, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import Allocation
    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool
    from ipam.services.ports.outside import Standing

    MakePool = Callable[..., Pool]

DAY = 24 * 3600


@pytest.fixture
def pool(desk: Desk, pool_of: MakePool) -> Pool:
    """A pool, in a deployment that may ask stacks."""
    desk.outside.stacks.can_ask = True
    return pool_of("10.0.0.0/16")


def stack(number: int) -> str:
    """Name one of many stacks."""
    return STACK.replace("5e0a1b2c", f"{number:08x}")


def held(desk: Desk, name: str = "Net", of: str = STACK, standing: Standing = "there", length: int = 28) -> Grant:
    """Let a stack hold something, and be so."""
    desk.outside.stacks.standings[of] = standing
    grant = desk.allocate(desk.request(name, length, stack=of)).grant
    desk.outside.stacks.resources.setdefault((of, name), grant.allocation_id)
    return grant


def found(desk: Desk) -> dict[str, str]:
    """Give the orphans that are listed, with why."""
    listed = orphans(desk.ports, desk.store.plan())
    return {each.allocation_id: each.orphan.why for each in listed if each.orphan is not None}


def seek(desk: Desk, days: float = 1) -> Sought:
    """Let time pass, and do a run."""
    desk.clock.advance(days * DAY)
    return seek_orphans(desk.ports, desk.deadline)


def as_held(desk: Desk, grant: Grant) -> Allocation:
    """Read an allocation."""
    allocation = desk.store.allocation(grant.pool_id, grant.cidr)
    assert allocation is not None
    return allocation


def test_orphans_are_found_and_told(desk: Desk, pool: Pool) -> None:
    """Those of stacks that are gone, or have it no more, with the facts that somebody needs to look for them."""
    gone = held(desk, "Net", stack(1), "gone")
    failed = held(desk, "Net", stack(2), "deleting-failed")
    desk.outside.stacks.resources[stack(2), "Net"] = ""
    held(desk, "Net", stack(3), "there")
    held(desk, "Net", stack(4), "changing")
    held(desk, "Net", stack(5), "unknown")
    assert seek(desk, 2) == Sought(asked=5, unknown=1, found=2)
    assert found(desk) == {gone.allocation_id: "stack-gone", failed.allocation_id: "deletion-failed"}
    told = {happening.facts["allocationId"]: happening for happening in desk.outside.happenings.told}
    assert told.keys() == found(desk).keys()
    happening = told[gone.allocation_id]
    assert happening.kind == "Orphan Found"
    assert happening.facts == {
        "allocationId": gone.allocation_id,
        "cidr": str(gone.cidr),
        "poolId": pool.pool_id,
        "poolName": "vpcs",
        "account": ACCOUNT,
        "stackId": stack(1),
        "logicalResourceId": "Net",
        "allocationType": "vpc",
        "description": "a network",
        "since": desk.clock.now(),
        "why": "stack-gone",
    }
    events = [record.event for record in desk.store.audit(pool.pool_id)]
    assert events.count("orphan-found") == 2
    check(desk.store)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ("its own", "deletion-stuck"),
        ("as it is", "deletion-stuck"),
        (None, None),
        ("", "deletion-failed"),
        ("replaced", "deletion-failed"),
    ],
)
def test_what_a_failed_deletion_leaves_is_told_apart(
    desk: Desk, pool: Pool, known: str | None, why: str | None
) -> None:
    """What the stack has still, it gives back when it is deleted again; what it has no more, nobody does."""
    grant = held(desk, standing="deleting-failed")
    replaced = desk.revise(desk.request("Net", 27), grant.allocation_id).grant
    physical_id = {"its own": grant.allocation_id, "replaced": replaced.allocation_id}.get(known or "", known)
    desk.outside.stacks.resources[STACK, "Net"] = physical_id
    seek(desk, 2)
    assert found(desk).get(grant.allocation_id) == why
    del pool


@pytest.mark.parametrize(
    ("standing", "outcome", "listed"), [("deleting-failed", "deletion-stuck", 1), ("there", "held", 0)]
)
def test_what_a_stack_has_again_is_not_released(
    desk: Desk, pool: Pool, standing: Standing, outcome: str, listed: int
) -> None:
    """A stack whose deletion failed is asked for the resource as well, right before; it has to be deleted again."""
    grant = held(desk, standing="gone")
    seek(desk, 2)
    desk.outside.stacks.standings[STACK] = standing
    assert release(desk, grant) == outcome
    assert (desk.held(pool.pool_id), len(found(desk))) == ([str(grant.cidr)], listed)


def test_what_a_network_still_has_is_not_released(desk: Desk, pool: Pool) -> None:
    """Unless somebody says that it is to be, all the same."""
    grant = held(desk, standing="gone")
    seek(desk, 2)
    desk.outside.networks.put("vpc-1", str(grant.cidr), of=STACK)
    with pytest.raises(NetworkInUseError):
        release(desk, grant)
    assert (desk.held(pool.pool_id), len(found(desk))) == ([str(grant.cidr)], 1)
    orphan = as_held(desk, grant)
    assert release_orphan(desk.ports, orphan, "test", desk.deadline, in_use_too=True) == "released"
    check(desk.store)


def test_nothing_is_freed_by_finding_it(desk: Desk, pool: Pool) -> None:
    """However often it is found."""
    held(desk, standing="gone")
    for _ in range(5):
        seek(desk, 2)
    assert desk.held(pool.pool_id) == ["10.0.0.0/28"]
    assert desk.outside.happenings.kinds() == ["Orphan Found"]


@pytest.mark.parametrize(
    ("physical_id", "why"),
    [("", "not-in-stack"), (None, None), ("somebody else's", None)],
    ids=["removed", "unknown", "imported"],
)
def test_a_resource_may_be_gone_while_its_stack_lives(
    desk: Desk, pool: Pool, physical_id: str | None, why: str | None
) -> None:
    """Retained, skipped or removed; what nobody says, and an id that its owner never had, proves nothing."""
    desk.outside.stacks.resources[STACK, "Net"] = physical_id
    grant = held(desk)
    seek(desk, 2)
    assert found(desk) == ({grant.allocation_id: why} if why else {})
    del pool


def test_a_replaced_network_that_was_never_deleted(desk: Desk, pool: Pool) -> None:
    """The resource has another allocation of its owner's: the one before is an orphan, while the stack is at rest."""
    one = held(desk, length=28)
    two = desk.revise(desk.request("Net", 27), one.allocation_id).grant
    desk.outside.stacks.resources[STACK, "Net"] = two.allocation_id
    desk.outside.stacks.standings[STACK] = "changing"
    seek(desk, 2)
    assert found(desk) == {}
    desk.outside.stacks.standings[STACK] = "there"
    seek(desk)
    assert found(desk) == {one.allocation_id: "not-in-stack"}
    del pool


def test_what_is_young_is_not_asked_after(desk: Desk, pool: Pool) -> None:
    """Its stack may be on its way: for a day."""
    grant = held(desk, standing="gone")
    assert seek(desk, 0) == Sought()
    desk.clock.sleep(YOUNG - 1)
    assert seek(desk, 0).asked == 0
    desk.clock.sleep(EVERY)
    assert seek(desk, 0).asked == 1
    assert found(desk) == {grant.allocation_id: "stack-gone"}
    del pool


def test_only_stacks_are_asked(desk: Desk, pool: Pool) -> None:
    """What an administrator ordered, what was imported, and what pools have, has no stack."""
    request = desk.request("x", 28)
    desk.allocate(replace(request, owner=OwnerKey("cli:first", "")))
    assert seek(desk, 2) == Sought()
    assert desk.outside.stacks.asked == []
    del pool


def test_a_stack_is_asked_once_a_run(desk: Desk, pool: Pool) -> None:
    """However many allocations it holds."""
    for number in range(5):
        held(desk, f"Net{number}", standing="gone")
    assert seek(desk, 2) == Sought(asked=1, found=5)
    assert desk.outside.stacks.asked == [STACK]
    del pool


def test_a_round_is_done_once_a_day(desk: Desk, pool: Pool) -> None:
    """Until then a run costs one read."""
    held(desk, standing="unknown")
    seek(desk, 2)
    recorder = Recorder(desk.store)
    assert seek_orphans(desk.another(recorder).ports, desk.deadline) == Sought()
    assert recorder.calls == ["orphans_round"]
    assert seek(desk, 0.99).asked == 0
    assert seek(desk, 0.01).asked == 1
    del pool


def test_a_deployment_that_may_not_ask_pays_nothing(desk: Desk, pool: Pool) -> None:
    """No role, no read."""
    held(desk, standing="gone")
    desk.outside.stacks.can_ask = False
    recorder = Recorder(desk.store)
    assert seek_orphans(desk.another(recorder).ports, desk.deadline) == Sought()
    assert recorder.calls == []
    del pool


def test_a_run_that_ends_early_is_gone_on_with(desk: Desk, pool_of: MakePool) -> None:
    """No stack is left out and none is asked twice, across pools, however many there are."""
    desk.outside.stacks.can_ask = True
    many = 2 * MAX_ASKED + 20
    for name, first in (("vpcs", 0), ("others", many // 2)):
        cidr = "10.0.0.0/20" if name == "vpcs" else "10.1.0.0/20"
        made = pool_of(cidr, name=name)
        for number in range(first, first + many // 2):
            held_in = desk.request("Net", 28, stack=stack(number), pool=made)
            desk.outside.stacks.standings[stack(number)] = "gone"
            desk.allocate(held_in)
    runs = [seek(desk, 2)]
    while not runs[-1].done:
        runs.append(seek(desk, 0.001))
    assert [run.asked for run in runs] == [MAX_ASKED, MAX_ASKED, 20]
    assert len(set(desk.outside.stacks.asked)) == len(desk.outside.stacks.asked) == many
    assert len(found(desk)) == many
    assert seek(desk, 0.001) == Sought()


def test_a_run_out_of_time_goes_on_where_it_was(desk: Desk, pool: Pool) -> None:
    """What is found so far is written down, and so is how far it got."""
    for number in range(6):
        held(desk, "Net", stack(number), "gone")

    class Short:
        left = 4

        def ensure(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise OutOfTimeError

    desk.clock.advance(2 * DAY)
    first = seek_orphans(desk.ports, Short())
    assert (first.asked, first.done, len(found(desk))) == (4, False, 4)
    assert seek(desk, 0.001) == Sought(asked=2, found=2)
    assert len(set(desk.outside.stacks.asked)) == 6
    del pool


def test_too_much_asked_ends_the_run_and_not_the_round(desk: Desk, pool: Pool) -> None:
    """It goes on in the next; what a run begins with is passed over, or nobody else would ever be asked."""
    for number in range(3):
        held(desk, "Net", stack(number), "gone")
    desk.clock.advance(2 * DAY)
    desk.outside.stacks.busy = 2
    first = seek(desk, 0)
    assert (first.unknown, first.done, found(desk)) == (1, False, {})
    second = seek(desk, 0.001)
    assert (second.asked, second.done, len(found(desk))) == (2, True, 2)
    assert (seek(desk).asked, len(found(desk))) == (3, 3)
    del pool


def test_two_runs_at_once_do_no_harm(desk: Desk, pool: Pool) -> None:
    """Both may ask, and tell; there is one finding, and the round is done."""
    held(desk, standing="gone")
    desk.clock.advance(2 * DAY)
    other = desk.another()
    slow = desk.another(Interrupted(desk.store, lambda: seek_orphans(other.ports, desk.deadline)))
    assert not seek_orphans(slow.ports, desk.deadline).done
    assert len(found(desk)) == 1
    assert seek(desk, 0) == Sought()
    del pool


def test_who_is_not_heard_is_told_again(desk: Desk, pool: Pool) -> None:
    """Where nobody takes the event nothing is written down: the next round tells it."""
    held(desk, standing="gone")
    desk.outside.happenings.deaf = True
    assert seek(desk, 2).found == 0
    assert found(desk) == {}
    desk.outside.happenings.deaf = False
    assert seek(desk, 1).found == 1
    del pool


def test_what_is_well_again_is_listed_no_more(desk: Desk, pool: Pool) -> None:
    """A deletion that failed may be tried again, and a resource be imported; what is unknown stays as it was."""
    grant = held(desk, standing="deleting-failed")
    desk.outside.stacks.resources[STACK, "Net"] = ""
    seek(desk, 2)
    desk.outside.stacks.standings[STACK] = "unknown"
    seek(desk)
    assert found(desk) == {grant.allocation_id: "deletion-failed"}
    desk.outside.stacks.standings[STACK] = "gone"
    seek(desk)
    assert found(desk) == {grant.allocation_id: "stack-gone"}
    assert as_held(desk, grant).orphan == Orphan(NOON + 2 * DAY * 1000, "stack-gone")
    desk.outside.stacks.standings[STACK] = "changing"
    seek(desk)
    assert found(desk) == {}
    events = [record.event for record in desk.store.audit(pool.pool_id)]
    assert (events.count("orphan-found"), events.count("orphan-cleared")) == (2, 1)
    check(desk.store)


def test_what_is_given_back_meanwhile_is_no_orphan(desk: Desk, pool: Pool) -> None:
    """The finding goes with the allocation, and is never put on the one after it."""
    grant = held(desk, standing="gone")
    desk.clock.advance(2 * DAY)
    desk.outside.happenings.meanwhile = lambda: desk.another().release("Net", grant.allocation_id)
    assert seek(desk, 0).found == 0
    assert found(desk) == {}
    after = desk.allocate(desk.request("After", cidr=str(grant.cidr))).grant
    assert (as_held(desk, after).orphan, found(desk)) == (None, {})
    check(desk.store)
    del pool


# ------------------------------------------------------------------------------------------------------ a person's word


def release(desk: Desk, grant: Grant) -> str:
    """Release an orphan."""
    return release_orphan(desk.ports, as_held(desk, grant), "test", desk.deadline)


def test_a_person_frees_it(desk: Desk, pool: Pool) -> None:
    """Once its stack has said again that it has it no more."""
    grant = held(desk, standing="gone")
    seek(desk, 2)
    assert release(desk, grant) == "released"
    assert (desk.held(pool.pool_id), found(desk)) == ([], {})
    check(desk.store)


@pytest.mark.parametrize("standing", ["there", "changing"])
def test_a_stack_that_is_there_again_keeps_it(desk: Desk, pool: Pool, standing: Standing) -> None:
    """What was listed and is well by now is not released, and is listed no more."""
    grant = held(desk, standing="gone")
    seek(desk, 2)
    desk.outside.stacks.standings[STACK] = standing
    assert release(desk, grant) == "held"
    assert (desk.held(pool.pool_id), found(desk)) == ([str(grant.cidr)], {})
    check(desk.store)


def test_what_nobody_says_is_not_released(desk: Desk, pool: Pool) -> None:
    """It stays listed."""
    grant = held(desk, standing="gone")
    seek(desk, 2)
    desk.outside.stacks.standings[STACK] = "unknown"
    assert release(desk, grant) == "unknown"
    assert (desk.held(pool.pool_id), len(found(desk))) == ([str(grant.cidr)], 1)


def test_too_much_asked_is_no_answer(desk: Desk, pool: Pool) -> None:
    """Nothing is released, and the same may be tried again."""
    grant = held(desk, standing="gone")
    seek(desk, 2)
    desk.outside.stacks.busy = 1
    with pytest.raises(ServiceUnavailableError):
        release(desk, grant)
    assert release(desk, grant) == "released"
    del pool


def test_a_stack_that_comes_back_in_between_keeps_it(desk: Desk, pool: Pool) -> None:
    """A replaced network that a rollback takes back while the stack is asked: it was answered with it, and has it."""
    one = held(desk, length=28)
    two = desk.revise(desk.request("Net", 27), one.allocation_id).grant
    desk.outside.stacks.resources[STACK, "Net"] = two.allocation_id
    seek(desk, 2)
    assert found(desk) == {one.allocation_id: "not-in-stack"}
    back: list[Any] = []

    def roll_back() -> None:
        later = desk.another()
        later.clock.advance(5)
        back.append(later.revise(later.request("Net", 28), two.allocation_id))

    desk.outside.stacks.meanwhile = roll_back
    assert release(desk, one) == "held"
    assert back[0].grant.allocation_id == one.allocation_id
    assert str(one.cidr) in desk.held(pool.pool_id)
    check(desk.store)


def test_a_stack_that_comes_back_at_the_commit_keeps_it(desk: Desk, pool: Pool) -> None:
    """The release is decided on the owner's record: what is answered in the very last moment is seen."""
    one = held(desk, length=28)
    two = desk.revise(desk.request("Net", 27), one.allocation_id).grant
    desk.outside.stacks.resources[STACK, "Net"] = two.allocation_id
    seek(desk, 2)
    later = desk.another()

    def roll_back() -> None:
        later.clock.advance(5)
        later.revise(later.request("Net", 28), two.allocation_id)

    orphan = as_held(desk, one)
    slow = desk.another(Interrupted(desk.store, roll_back))
    assert release_orphan(slow.ports, orphan, "test", desk.deadline) == "held"
    assert str(one.cidr) in desk.held(pool.pool_id)
    check(desk.store)


def test_somebody_else_may_be_faster(desk: Desk, pool: Pool) -> None:
    """What was given back since it was listed is not given back again."""
    grant = held(desk, standing="gone")
    seek(desk, 2)
    orphan = as_held(desk, grant)
    desk.release("Net", grant.allocation_id)
    assert release_orphan(desk.ports, orphan, "test", desk.deadline) == "already-released"
    del pool


def test_it_may_be_gone_while_the_stack_is_asked(desk: Desk, pool: Pool) -> None:
    """So is what is given back in between."""
    grant = held(desk, standing="gone")
    seek(desk, 2)
    desk.outside.stacks.meanwhile = lambda: desk.another().release("Net", grant.allocation_id)
    assert release(desk, grant) == "already-released"
    check(desk.store)
    del pool
