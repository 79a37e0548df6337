from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import NoPoolForRequestError, NoSuchPoolError, StoreUnavailableError
from ipam.services.memory import PLAN_AGE
from ipam.services.plan import current_plan, current_space
from ipam.services.pools import NewPool, create_pool, delete_pool
from tests.builders import NOON, REGION, Desk
from tests.faults import Faulty, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]


def test_a_plan_is_remembered_for_a_while(desk: Desk, pool_of: MakePool) -> None:
    """A plan that was read serves until it is old, or until it has to be fresh."""
    pool_of()
    watched = Recorder(desk.store)
    ports = desk.another(watched).ports
    for _ in range(2):
        current_plan(ports)
    assert watched.calls == ["plan"]
    current_plan(ports, fresh=True)
    assert watched.calls == ["plan"] * 2
    desk.clock.advance(PLAN_AGE / 1000)
    current_plan(ports)
    assert watched.calls == ["plan"] * 3
    desk.clock.milliseconds = NOON - 1
    current_plan(ports)
    assert watched.calls == ["plan"] * 4


def test_a_change_of_the_plan_is_seen_at_once_where_it_was_made(desk: Desk) -> None:
    """Whoever creates a pool can order from it without waiting."""
    scope = desk.scope()
    current_plan(desk.ports)
    pool = desk.pool(NewPool("vpcs", scope, locale=REGION), "10.0.0.0/24")
    assert current_plan(desk.ports).pools.keys() == {pool.pool_id}
    assert desk.allocate(desk.request("a", 26)).outcome == "allocated"


def test_a_change_without_an_answer_is_seen_at_once_too(desk: Desk) -> None:
    """It may have been done: what is remembered is no longer believed."""
    scope = desk.scope()
    at = desk.another(Faulty(desk.store, iter(["lost-after"])))
    current_plan(at.ports)
    with pytest.raises(StoreUnavailableError):
        create_pool(at.ports, NewPool("vpcs", scope), "test")
    assert current_plan(at.ports).named("vpcs").name == "vpcs"


def test_the_space_of_a_pool_that_is_newer_than_the_plan_is_found(desk: Desk, pool_of: MakePool) -> None:
    """Only what is in no plan at all is refused."""
    other = desk.another()
    current_plan(other.ports)
    pool = pool_of("10.0.0.0/24")
    assert [str(cidr) for cidr in current_space(other.ports, pool.pool_id).provisioned] == ["10.0.0.0/24"]
    with pytest.raises(NoSuchPoolError):
        current_space(other.ports, "ipam-pool-0")


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("knows_blocks", [True, False])
def test_a_pool_that_is_gone_serves_nobody_who_remembers_it(
    desk: Desk, pool_of: MakePool, *, named: bool, knows_blocks: bool
) -> None:
    """The transaction itself refuses: the pool has no free block any more, whatever a process remembers (I1)."""
    pool = pool_of("10.0.0.0/24")
    other = desk.another()
    current_plan(other.ports)
    if knows_blocks:
        grant = other.allocate(other.request("b", 26)).grant
        other.release("b", grant.allocation_id)
        desk.reclaim(pool.pool_id)
        other.ports.memory.see_free(pool.pool_id, [grant.cidr])
    delete_pool(desk.ports, pool.pool_id, "test")
    wanted = other.request("a", 26, pool=pool if named else None)
    with pytest.raises(NoSuchPoolError if named else NoPoolForRequestError):
        other.allocate(wanted)
    assert desk.held(pool.pool_id) == desk.free(pool.pool_id) == []
    check(desk.store)
