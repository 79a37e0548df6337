from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import (
    CidrNotFreeError,
    CidrNotInPoolError,
    InvalidPoolError,
    NoSuchPoolError,
    PoolExhaustedError,
)
from ipam.domain.pool import MAX_PROVISIONED_CIDRS, AllocationRules
from ipam.services.pools import NewPool
from ipam.services.provision import provision
from tests.builders import Desk, block
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]


def test_a_top_level_pool_gets_its_space_from_the_scope(desk: Desk, pool_of: MakePool) -> None:
    """I3: a provisioned CIDR is an allocation of the scope, held by the pool."""
    pool = pool_of("10.0.0.0/8")
    (allocation,) = desk.store.allocations(pool.scope_id)
    assert (allocation.cidr, allocation.owner.party, allocation.allocation_type) == (
        block("10.0.0.0/8"),
        pool.pool_id,
        "ipam-pool",
    )
    assert desk.store.plan().space(pool.pool_id).provisioned == (block("10.0.0.0/8"),)
    assert desk.free(pool.pool_id) == ["10.0.0.0/8"]
    assert "10.0.0.0/8" not in desk.free(pool.scope_id)
    check(desk.store, canonical=True)


def test_a_child_gets_its_space_from_its_parent(desk: Desk, pool_of: MakePool) -> None:
    """I3: by length, the best fit of the parent; the parent's allocation rules are for resources and do not apply."""
    parent = pool_of("10.0.0.0/8", name="parent", locale="", rules=AllocationRules(24, 28))
    child = desk.pool(NewPool("child", parent.scope_id, source_pool_id=parent.pool_id))
    assert provision(desk.ports, child.pool_id, 16, "t", "test") == block("10.0.0.0/16")
    assert desk.held(parent.pool_id) == ["10.0.0.0/16"]
    assert desk.free(child.pool_id) == ["10.0.0.0/16"]
    check(desk.store, canonical=True)


def test_the_same_token_is_the_same_order(desk: Desk, pool_of: MakePool) -> None:
    """I4: an order that is repeated, from any process, gives the same block and changes nothing."""
    top = pool_of("10.0.0.0/8", name="top")
    pool = pool_of(name="below", scope=top.scope_id, source_pool_id=top.pool_id)
    given = {provision(at.ports, pool.pool_id, 16, "t", "test") for at in (desk, desk.another(), desk)}
    assert len(given) == 1
    assert provision(desk.ports, pool.pool_id, 16, "u", "test") not in given
    assert len(desk.store.plan().space(pool.pool_id).provisioned) == 2
    check(desk.store, canonical=True)


def test_a_size_alone_is_no_order_to_a_scope(desk: Desk, pool_of: MakePool) -> None:
    """A scope has every address there is, also those that nobody may use: a top-level pool names its block."""
    with pytest.raises(InvalidPoolError, match="exact Cidr"):
        provision(desk.ports, pool_of().pool_id, 16, "t", "test")


def test_two_pools_of_a_scope_never_overlap(desk: Desk, pool_of: MakePool) -> None:
    """I1, I3: in one scope each address belongs to one pool; another scope is another world."""
    scope = desk.scope("one")
    pool_of("10.0.0.0/8", name="first", scope=scope)
    second = pool_of(name="second", scope=scope)
    for cidr in ("10.0.0.0/8", "10.1.0.0/16", "8.0.0.0/5"):
        with pytest.raises(CidrNotFreeError):
            desk.provision(second.pool_id, cidr)
    lab = pool_of("10.0.0.0/8", name="lab", scope=desk.scope("two"))
    assert desk.free(lab.pool_id) == ["10.0.0.0/8"]
    check(desk.store, canonical=True)


def test_a_child_cannot_have_what_its_parent_has_not(desk: Desk, pool_of: MakePool) -> None:
    """I3: outside the parent's CIDRs there is nothing to give, exactly or by length."""
    parent = pool_of("10.0.0.0/16", name="parent")
    child = desk.pool(NewPool("child", parent.scope_id, source_pool_id=parent.pool_id, locale=parent.locale))
    with pytest.raises(CidrNotInPoolError):
        desk.provision(child.pool_id, "10.1.0.0/24")
    with pytest.raises(PoolExhaustedError):
        provision(desk.ports, child.pool_id, 8, "t", "test")


def test_another_family_is_refused(desk: Desk, pool_of: MakePool) -> None:
    """An IPv4 pool has no IPv6 space."""
    pool = pool_of()
    with pytest.raises(InvalidPoolError) as refused:
        desk.provision(pool.pool_id, "2001:db8::/32")
    assert refused.value.property_name == "Cidr"


def test_a_pool_that_does_not_exist_gets_nothing(desk: Desk) -> None:
    """An unknown pool is refused."""
    with pytest.raises(NoSuchPoolError):
        desk.provision("ipam-pool-0", "10.0.0.0/8")


def test_a_pool_has_at_most_fifty_cidrs(desk: Desk, pool_of: MakePool) -> None:
    """The fifty-first is refused, and each of the fifty is still the answer to its own order."""
    pool = pool_of()
    cidrs = [f"10.{number}.0.0/16" for number in range(MAX_PROVISIONED_CIDRS)]
    for cidr in cidrs:
        desk.provision(pool.pool_id, cidr)
    with pytest.raises(InvalidPoolError):
        desk.provision(pool.pool_id, "10.200.0.0/16")
    assert desk.provision(pool.pool_id, cidrs[-1]) == block(cidrs[-1])
    check(desk.store, canonical=True)


def test_what_a_pool_gets_counts_for_no_quota(desk: Desk, pool_of: MakePool) -> None:
    """Provisioning is nobody's account's business."""
    pool = pool_of("10.0.0.0/8")
    assert desk.store.quota("", pool.scope_id).allocations == 0
