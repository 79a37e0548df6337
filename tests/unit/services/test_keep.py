"""What a request notes that is answered with what its resource has: above all how long that lasts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.pool import AllocationRules
from ipam.services.keep import keep
from ipam.services.pools import edit_pool
from ipam.services.renew import renew
from tests.builders import NOON, Desk
from tests.faults import Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]

LEASE = 20 * 3600
DAY = 24 * 3600


@pytest.fixture
def pool(pool_of: MakePool) -> Pool:
    """A pool whose allocations last for a time."""
    return pool_of("10.0.0.0/24", rules=AllocationRules(lease_seconds=LEASE))


def until(desk: Desk, pool: Pool) -> list[int]:
    """Read when leases end, seconds after noon."""
    check(desk.store)
    return [(lease.until - NOON) // 1000 for lease in desk.store.leases(pool.pool_id)]


def events(desk: Desk, pool: Pool, grant: Grant) -> list[str]:
    """Name what was written down of an allocation."""
    return [record.event for record in desk.store.audit(pool.pool_id, grant.cidr)]


def test_a_later_update_renews_the_lease_and_is_told_until_when(desk: Desk, pool: Pool) -> None:
    """The answer has the end that is stored: the attributes of a resource are those of its last answer."""
    grant = desk.allocate(desk.request("a", 26)).grant
    assert until(desk, pool) == [LEASE]
    desk.clock.advance(600)
    kept = desk.revise(desk.request("a", 26), grant.allocation_id)
    assert kept.outcome == "kept"
    assert kept.grant.expires == desk.record("a").grants[0].expires == NOON + (600 + LEASE) * 1000
    assert until(desk, pool) == [600 + LEASE]
    assert events(desk, pool, grant) == ["allocated", "renewed"]


def test_a_later_create_renews_it_too(desk: Desk, pool: Pool) -> None:
    """A Create that is answered with what an earlier one left is another request for it."""
    desk.allocate(desk.request("a", 26))
    desk.clock.advance(600)
    assert desk.allocate(desk.request("a", 26)).grant.expires == NOON + (600 + LEASE) * 1000
    assert until(desk, pool) == [600 + LEASE]


def test_a_redelivery_renews_nothing(desk: Desk, pool: Pool) -> None:
    """The same Create, and the same Update, delivered hours later, are answered as they were."""
    create = desk.request("a", 26)
    grant = desk.allocate(create).grant
    desk.clock.advance(600)
    assert desk.another().allocate(create).grant == grant
    update = desk.request("a", 26)
    kept = desk.revise(update, grant.allocation_id).grant
    desk.clock.advance(600)
    watched = Recorder(desk.store)
    assert desk.another(watched).revise(update, grant.allocation_id).grant == kept
    assert watched.committed == []
    assert until(desk, pool) == [600 + LEASE]


def test_an_older_request_renews_nothing(desk: Desk, pool: Pool) -> None:
    """What comes after a later request was answered is late."""
    grant = desk.allocate(desk.request("a", 26)).grant
    older = desk.request("a", 26, at=NOON + 300_000)
    desk.clock.advance(600)
    desk.revise(desk.request("a", 26), grant.allocation_id)
    desk.clock.advance(600)
    desk.revise(older, grant.allocation_id)
    assert until(desk, pool) == [600 + LEASE]


def test_a_renewal_does_not_take_back_what_an_administrator_gave(desk: Desk, pool: Pool) -> None:
    """A lease that ends later than a renewal would let it keeps its end."""
    grant = desk.allocate(desk.request("a", 26)).grant
    (lease,) = desk.store.leases(pool.pool_id)
    desk.clock.advance(1)
    renew(desk.ports, lease, 30 * DAY, "test", desk.deadline)
    desk.clock.advance(600)
    kept = desk.revise(desk.request("a", 26), grant.allocation_id).grant
    assert kept.expires == NOON + (1 + 30 * DAY) * 1000
    assert until(desk, pool) == [1 + 30 * DAY]
    assert events(desk, pool, grant) == ["allocated", "renewed", "kept"]


def test_a_request_in_a_pool_without_leases_any_more_lasts(desk: Desk, pool: Pool) -> None:
    """What could not be renewed would end for want of a rule; asked for anew, it has no end, and its release none."""
    grant = desk.allocate(desk.request("a", 26)).grant
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, rules=AllocationRules()), "test")
    desk.clock.advance(600)
    kept = desk.revise(desk.request("a", 26), grant.allocation_id).grant
    assert kept.expires is None
    assert until(desk, pool) == []
    assert desk.release("a", grant.allocation_id) == "released"
    check(desk.store)


def test_a_pool_that_is_not_known_renews_nothing(desk: Desk, pool_of: MakePool) -> None:
    """A process that remembers an older plan leaves the lease as it is; nothing depends on when it learns."""
    warm = desk.another()
    pool_of(name="older")
    warm.ports.memory.see_plan(desk.clock.now(), desk.store.plan())
    pool = pool_of("10.0.0.0/24", scope=desk.scope("private"), rules=AllocationRules(lease_seconds=LEASE))
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.clock.advance(6)
    warm.revise(desk.request("a", 26), grant.allocation_id)
    assert until(desk, pool) == [LEASE]


def test_what_has_changed_meanwhile_is_not_noted(desk: Desk, pool: Pool) -> None:
    """The caller decides anew, by the record as it is then."""
    request = desk.request("a", 26)
    grant = desk.allocate(request).grant
    before = desk.record("a")
    desk.clock.advance(1)
    later = desk.request("a", 26)
    desk.revise(later, grant.allocation_id)
    assert keep(desk.ports, replace(later, requested=later.requested + 1), before, grant, desk.deadline) is None
    assert until(desk, pool) == [1 + LEASE]
