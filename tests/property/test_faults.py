"""Every fault at every commit of every request, which is then delivered again, as Lambda does."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.errors import TemporaryError
from ipam.services.pools import NewPool
from tests.builders import NOON, REGION, Desk, claim
from tests.faults import Faulty
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam.domain.pool import Pool
    from tests.faults import Fault

DELIVERIES = 8
FAULTS: list[Fault] = ["busy", "lost-before", "lost-after"]


def stage(cooling: int = 0) -> tuple[Desk, Pool]:
    """Make a desk and a pool."""
    desk = Desk()
    new = NewPool("vpcs", desk.scope(), locale=REGION, cooling_seconds=cooling)
    return desk, desk.pool(new, "10.0.0.0/24")


def deliver(desk: Desk, faults: Sequence[Fault], serve: Callable[[Desk], object]) -> object:
    """Deliver a request to cold processes until one answers, while these faults befall the commits."""
    befalling = iter(faults)
    for _ in range(DELIVERIES):
        try:
            return serve(desk.another(Faulty(desk.store, befalling)))
        except TemporaryError:
            check(desk.store)
    message = "no delivery was answered"
    raise AssertionError(message)


def at_each_commit(count: int) -> list[list[Fault]]:
    """Each fault at each of the first commits, alone and after any other."""
    well: Fault = "none"
    alone: list[list[Fault]] = [[*[well] * place, fault] for place in range(count) for fault in FAULTS]
    pairs: list[list[Fault]] = [[one, other] for one, other in itertools.product(FAULTS, FAULTS)]
    return alone + pairs


@pytest.mark.parametrize("faults", at_each_commit(2), ids="-".join)
def test_a_create_that_is_delivered_again_has_one_allocation(faults: list[Fault]) -> None:
    """Whatever became of the first try, the owner holds one block, and the answer names it (I4)."""
    desk, pool = stage()
    request = desk.request("a", 26)
    deliver(desk, faults, lambda at: at.allocate(request))
    (grant,) = desk.record("a").grants
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    assert desk.allocate(request).grant == grant
    check(desk.store)


@pytest.mark.parametrize("faults", at_each_commit(3), ids="-".join)
@pytest.mark.parametrize("cooling", [0, 60])
def test_a_delete_that_is_delivered_again_is_one_release(faults: list[Fault], cooling: int) -> None:
    """Whatever became of the first try, nothing is held, and the address came back once (I1, I5)."""
    desk, pool = stage(cooling)
    grant = desk.allocate(desk.request("a", 28)).grant
    end = deliver(desk, faults, lambda at: at.release("a", grant.allocation_id))
    assert end in {"released", "already-released"}
    assert desk.held(pool.pool_id) == []
    check(desk.store)
    desk.clock.advance(cooling)
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]
    check(desk.store, canonical=True)


@pytest.mark.parametrize("faults", at_each_commit(3), ids="-".join)
def test_an_abandonment_that_is_delivered_again_leaves_nothing(faults: list[Fault]) -> None:
    """The unanswered Create's allocation is gone, and the Create can't come back (I4)."""
    desk, pool = stage()
    request = desk.request("a", 28)
    desk.allocate(request)
    deliver(desk, faults, lambda at: at.abandon("a", request, at=NOON + 1000))
    assert desk.held(pool.pool_id) == []
    record = desk.record("a")
    assert record.supersedes(request.requested)
    check(desk.store)


@pytest.mark.parametrize("faults", at_each_commit(3), ids="-".join)
def test_a_rollback_that_is_delivered_again_takes_back_the_replacement(faults: list[Fault]) -> None:
    """The old allocation stays, and the new one that was never accepted is released, once (I4)."""
    desk, pool = stage()
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.clock.advance(1)
    forward = desk.request("a", 25)
    deliver(desk, faults, lambda at: at.revise(forward, grant.allocation_id))
    desk.clock.advance(1)
    back = desk.request("a", 26)
    deliver(desk, faults, lambda at: at.revise(back, grant.allocation_id))
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    (kept,) = desk.record("a").grants
    assert kept.acknowledged
    check(desk.store)


@pytest.mark.parametrize("faults", at_each_commit(2), ids="-".join)
def test_a_verification_that_is_delivered_again_is_noted(faults: list[Fault]) -> None:
    """The proof that a stack knows its allocation is kept (I5)."""
    desk, _ = stage()
    grant = desk.allocate(desk.request("a", 26)).grant
    deliver(desk, faults, lambda at: at.verify("d", claim(grant)))
    assert desk.record("a").grants[0].acknowledged
    check(desk.store)


@pytest.mark.parametrize("faults", at_each_commit(2), ids="-".join)
def test_a_provisioning_that_is_delivered_again_gives_one_block(faults: list[Fault]) -> None:
    """One order has one block, which is in the plan (I3)."""
    desk, pool = stage()
    given = deliver(desk, faults, lambda at: at.provision(pool.pool_id, "10.1.0.0/16"))
    assert desk.store.plan().space(pool.pool_id).provisioned[1:] == (given,)
    check(desk.store)


@given(st.lists(st.sampled_from(["none", *FAULTS]), max_size=12))
def test_upkeep_among_faults_loses_nothing(faults: list[Fault]) -> None:
    """Upkeep that is interrupted anywhere is finished by later runs (I1, I2, I7)."""
    desk, pool = stage(60)
    held = [desk.allocate(desk.request(f"n{number}", 27)).grant for number in range(8)]
    for number in (5, 2, 7, 0, 1, 3):
        desk.release(f"n{number}", held[number].allocation_id)
    desk.clock.advance(60)
    deliver(desk, faults[: DELIVERIES - 1], lambda at: at.reclaim(pool.pool_id))
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/25", "10.0.0.160/27", "10.0.0.224/27"]
    check(desk.store, canonical=True)
