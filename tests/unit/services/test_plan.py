from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import InvalidPoolError, NameTakenError
from ipam.domain.pool import MAX_DEPTH, AllocationRules, Quota
from ipam.services.memory import PLAN_AGE
from ipam.services.plan import NewPool, create_pool, create_scope, current_plan
from tests.builders import NOON, REGION, Desk
from tests.faults import Interrupted, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]


def test_a_scope_begins_with_every_address_free(desk: Desk) -> None:
    """A new scope has one free block for each family, an id of the right form, and is written down (I1, I6)."""
    scope = create_scope(desk.ports, "corporate", "private", "all of it", "test")
    assert (desk.free(scope.scope_id, 4), desk.free(scope.scope_id, 6)) == (["0.0.0.0/0"], ["::/0"])
    assert desk.store.plan().scopes == {scope.scope_id: scope}
    assert scope.scope_id.startswith("ipam-scope-") and len(scope.scope_id) == len("ipam-scope-") + 17
    assert [record.event for record in desk.store.audit(scope.scope_id)] == ["scope-created"]
    check(desk.store, canonical=True)


def test_a_pool_is_stored_as_it_was_described(desk: Desk) -> None:
    """Every property of a pool is what was asked for, and it has no space yet."""
    scope = desk.scope()
    new = NewPool(
        "vpcs", scope, 6, None, REGION, "for VPCs", frozenset({"vpc"}), AllocationRules(48, 64, 56), Quota(3, 9), 60
    )
    pool = create_pool(desk.ports, new, "test")
    stored = desk.store.plan().named("vpcs")
    assert stored == pool
    assert (stored.family, stored.locale, stored.description) == (6, REGION, "for VPCs")
    assert (stored.allocation_types, stored.rules) == (new.allocation_types, new.rules)
    assert (stored.quota, stored.cooling_seconds, stored.created) == (new.quota, 60, NOON)
    assert desk.free(pool.pool_id, 6) == []
    check(desk.store, canonical=True)


def test_names_are_unique_in_the_whole_plan(desk: Desk) -> None:
    """A name belongs to one scope or pool, also where two are created at once."""
    scope = desk.scope("corporate")
    desk.pool(NewPool("vpcs", scope))
    with pytest.raises(NameTakenError):
        desk.scope("corporate")
    with pytest.raises(NameTakenError):
        desk.scope("vpcs")
    with pytest.raises(NameTakenError):
        desk.pool(NewPool("corporate", scope))
    racing = Interrupted(desk.store, lambda: desk.pool(NewPool("subnets", scope)))
    with pytest.raises(NameTakenError):
        desk.another(racing).pool(NewPool("subnets", scope))
    assert len(desk.store.plan().pools) == 2
    check(desk.store, canonical=True)


@pytest.mark.parametrize(
    "facts",
    [
        {"rules": AllocationRules(28, 16)},
        {"rules": AllocationRules(16, 24, 28)},
        {"scope_id": "ipam-scope-0"},
        {"source_pool_id": "ipam-pool-0"},
        {"cooling_seconds": -1},
    ],
)
def test_a_pool_that_could_not_work_is_not_created(desk: Desk, facts: dict[str, object]) -> None:
    """A refused pool reserves no name and leaves no trace."""
    scope = desk.scope()
    before = len(list(desk.store.audit(scope)))
    with pytest.raises(InvalidPoolError):
        desk.pool(NewPool(**({"name": "bad", "scope_id": scope} | facts)))  # type: ignore[arg-type]
    assert desk.store.plan().pools == {}
    assert len(list(desk.store.audit(scope))) == before
    assert desk.pool(NewPool("bad", scope)).name == "bad"


def test_pools_nest_ten_deep(desk: Desk) -> None:
    """Ten levels can be made and provisioned through, the eleventh can't (I3)."""
    scope = desk.scope()
    source = None
    for level in range(MAX_DEPTH):
        pool = desk.pool(NewPool(f"level {level}", scope, source_pool_id=source), f"10.0.0.0/{8 + level}")
        source = pool.pool_id
    with pytest.raises(InvalidPoolError):
        desk.pool(NewPool("too deep", scope, source_pool_id=source))
    check(desk.store, canonical=True)


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
