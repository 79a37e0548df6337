from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import ContendedError, NoSuchAllocationError
from ipam.domain.pool import AllocationRules
from ipam.services.ports import NoDeadline
from ipam.services.renew import MAX_ATTEMPTS, renew
from tests.builders import NOON
from tests.faults import Faulty, Interrupted
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import Lease
    from ipam.domain.pool import Pool
    from tests.builders import Desk

DAY = 86_400_000


@pytest.fixture
def lease(desk: Desk, pool_of: Callable[..., Pool]) -> Lease:
    """What a stack holds for a day."""
    pool = pool_of("10.0.0.0/16", rules=AllocationRules(lease_seconds=86400))
    grant = desk.allocate(desk.request(length=24, pool=pool)).grant
    found = desk.store.lease(pool.pool_id, grant.cidr)
    assert found is not None
    return found


def test_a_renewal_is_noted_everywhere(desk: Desk, lease: Lease) -> None:
    """The lease, the owner's record and the history change together; a warning is due anew."""
    desk.clock.advance(3600)
    renewed = renew(desk.ports, lease, 2 * 86400, "ana", NoDeadline())
    assert renewed.until == desk.clock.now() + 2 * DAY == desk.record().grants[0].expires
    assert desk.store.lease(lease.pool_id, lease.cidr) == renewed
    last = list(desk.store.audit(lease.pool_id, lease.cidr))[-1]
    assert (last.event, last.cause, last.owner) == ("renewed", "ana", lease.owner)
    check(desk.store)


def test_a_release_that_was_faster_wins(desk: Desk, lease: Lease) -> None:
    """What was given back between the read and the commit is not renewed."""
    store: Any = Interrupted(desk.store, lambda: desk.release("Net", lease.allocation_id))
    with pytest.raises(NoSuchAllocationError):
        renew(desk.another(store).ports, lease, 86400, "ana", NoDeadline())
    assert list(desk.store.leases(lease.pool_id)) == []
    check(desk.store)


def test_a_renewal_that_was_faster_is_kept(desk: Desk, lease: Lease) -> None:
    """Of two renewals at once the later end stays, whoever comes first."""
    store: Any = Interrupted(desk.store, lambda: renew(desk.ports, lease, 5 * 86400, "bea", NoDeadline()))
    renewed = renew(desk.another(store).ports, lease, 2 * 86400, "ana", NoDeadline())
    assert renewed.until == NOON + 5 * DAY
    check(desk.store)


def test_others_may_always_be_faster(desk: Desk, lease: Lease) -> None:
    """The tries are bounded."""
    store: Any = Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS))
    with pytest.raises(ContendedError):
        renew(desk.another(store).ports, lease, 86400, "ana", NoDeadline())
    check(desk.store)
