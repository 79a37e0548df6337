from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import NoSuchAllocationError
from ipam.services.verify import verify
from tests.builders import NOON, Desk, claim
from tests.faults import Faulty, Interrupted, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]


def test_what_the_stack_holds_is_verified(desk: Desk, pool_of: MakePool) -> None:
    """All three facts right: the allocation is the answer, and nothing of it changes but that it is known."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.clock.advance(1)
    assert desk.verify("d", claim(grant)).allocation_id == grant.allocation_id
    assert desk.record("a").grants[0].acknowledged
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    assert [record.event for record in desk.store.audit(pool.pool_id)] == ["pool-created", "allocated", "acknowledged"]
    check(desk.store, canonical=True)


def test_a_second_verification_writes_nothing(desk: Desk, pool_of: MakePool) -> None:
    """What is known already needs no change."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.verify("d", claim(grant))
    watched = Recorder(desk.store)
    desk.another(watched).verify("d", claim(grant))
    assert watched.calls == ["owners"]


def test_each_resource_that_verifies_it_is_noted(desk: Desk, pool_of: MakePool) -> None:
    """Whoever stands for the release is named once, however often and whenever it asks."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    for name, at in (("d", NOON + 1000), ("e", NOON + 2000), ("d", NOON + 3000), ("e", NOON + 2000)):
        desk.verify(name, claim(grant), at=at)
    (known,) = desk.record("a").grants
    assert (known.returners, known.requested) == (("d", "e"), NOON + 3000)
    check(desk.store)


@pytest.mark.parametrize(("later", "writes"), [(0, 0), (-1, 0), (1, 1)])
def test_a_newer_verification_is_noted(desk: Desk, pool_of: MakePool, later: int, writes: int) -> None:
    """I5: the time of the latest one that was answered moves on, and never back."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.verify("d", claim(grant))
    watched = Recorder(desk.store)
    desk.another(watched).verify("d", claim(grant), at=NOON + 1000 * later)
    assert len(watched.committed) == writes
    assert desk.record("a").grants[0].requested == NOON + 1000 * writes


@pytest.mark.parametrize(
    "wrong", [{"allocation_id": "ipam-pool-alloc-" + "0" * 32}, {"cidr": "10.0.0.64/26"}, {"created": NOON + 1}]
)
def test_one_wrong_fact_is_no_such_allocation(desk: Desk, pool_of: MakePool, wrong: dict[str, Any]) -> None:
    """Whichever fact is wrong, the answer is the same, and nothing is acknowledged."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    with pytest.raises(NoSuchAllocationError):
        desk.verify("d", claim(grant, **wrong))
    assert not desk.record("a").grants[0].acknowledged


def test_another_stacks_allocation_looks_like_none(desk: Desk, pool_of: MakePool) -> None:
    """I5: "not yours" and "not found" are one answer."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    elsewhere = desk.giving_back("d", stack="arn:aws:cloudformation:eu-central-1:111122223333:stack/net2/5e0a1b2d")
    with pytest.raises(NoSuchAllocationError):
        verify(desk.ports, elsewhere, claim(grant), desk.deadline)


def test_what_was_given_back_is_not_verified(desk: Desk, pool_of: MakePool) -> None:
    """A released allocation is none."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", grant.allocation_id)
    with pytest.raises(NoSuchAllocationError):
        desk.verify("d", claim(grant))


@pytest.mark.parametrize("meanwhile", ["another change of the owner", "a busy item"])
def test_the_proof_is_not_lost_to_another_writer(desk: Desk, pool_of: MakePool, meanwhile: str) -> None:
    """What is proved is noted though the first commit is refused: else an invented id could release it (I5)."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    store = (
        Faulty(desk.store, iter(["busy"]))
        if meanwhile == "a busy item"
        else Interrupted(desk.store, lambda: desk.revise(desk.request("a", 27), grant.allocation_id))
    )
    desk.another(store).verify("d", claim(grant))
    known = desk.record("a").for_id(grant.allocation_id)
    assert known is not None
    assert known.acknowledged


def test_what_is_released_while_it_is_verified_is_not_there(desk: Desk, pool_of: MakePool) -> None:
    """A release between the read and the commit wins."""
    pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    store = Interrupted(desk.store, lambda: desk.release("a", grant.allocation_id))
    with pytest.raises(NoSuchAllocationError):
        desk.another(store).verify("d", claim(grant))
    assert desk.record("a").grants == ()
