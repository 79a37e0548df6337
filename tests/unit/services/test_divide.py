from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import ContendedError, InUseError, InvalidPoolError, NoSuchPoolError
from ipam.domain.pool import SourceResource
from ipam.services.deprovision import deprovision
from ipam.services.divide import MAX_ATTEMPTS, divide
from ipam.services.pools import NewPool, create_pool, delete_pool
from ipam.services.provision import provision
from tests.builders import ACCOUNT, REGION, Desk, block
from tests.faults import Faulty, Interrupted, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]


@pytest.fixture
def vpcs(pool_of: MakePool) -> Pool:
    """A pool that VPCs are allocated from."""
    return pool_of("10.0.0.0/16")


@pytest.fixture
def vpc(desk: Desk, vpcs: Pool) -> Grant:
    """A VPC's allocation."""
    return desk.allocate(desk.request("vpc", 24, pool=vpcs)).grant


def subnets_of(desk: Desk, vpcs: Pool, name: str = "subnets", **facts: object) -> Pool:
    """Make a subnet pool, with no space yet."""
    new = NewPool(
        name,
        vpcs.scope_id,
        source_pool_id=vpcs.pool_id,
        locale=REGION,
        allocation_types=frozenset({"subnet"}),
        source_resource=SourceResource("vpc-0", ACCOUNT, REGION),
        **facts,  # type: ignore[arg-type]
    )
    return create_pool(desk.ports, new, "test")


def test_a_subnet_pool_gives_from_the_space_of_its_vpc(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """The VPC's allocation stays its holder's and knows who divides it; subnets are given out of it (I3, I6)."""
    pool = subnets_of(desk, vpcs)
    assert desk.provision(pool.pool_id, str(vpc.cidr)) == vpc.cidr
    (given,) = desk.store.plan().provisioned(pool.pool_id)
    assert given.allocation_id == vpc.allocation_id
    (held,) = desk.store.allocations(vpcs.pool_id)
    assert (held.divided_by, held.owner) == (pool.pool_id, desk.record("vpc").owner)
    subnet = desk.allocate(desk.request("subnet", 26, pool=pool, allocation_type="subnet")).grant
    assert vpc.cidr.contains(subnet.cidr)
    assert [record.event for record in desk.store.audit(pool.pool_id, vpc.cidr)] == ["provisioned"]
    check(desk.store, canonical=True)


def test_the_same_again_changes_nothing(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """The VPC's space is what the pool has, whatever the order is called."""
    pool = subnets_of(desk, vpcs)
    desk.provision(pool.pool_id, str(vpc.cidr), "a")
    watched = Recorder(desk.store)
    for token in ("a", "b"):
        assert desk.another(watched).provision(pool.pool_id, str(vpc.cidr), token) == vpc.cidr
    assert watched.committed == []


def test_a_divided_vpc_is_not_released(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """It has to be given back by the subnet pool first."""
    pool = subnets_of(desk, vpcs)
    desk.provision(pool.pool_id, str(vpc.cidr))
    with pytest.raises(InUseError):
        desk.release("vpc", vpc.allocation_id)
    deprovision(desk.ports, pool.pool_id, vpc.cidr, "test")
    assert desk.release("vpc", vpc.allocation_id) == "released"
    check(desk.store)


def test_there_has_to_be_a_vpc(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """Nothing there, a part of it, more than it, a subnet, and what is only a preview are refused; no order by size."""
    pool = subnets_of(desk, vpcs)
    desk.allocate(desk.request("subnet", cidr="10.0.7.0/24", pool=vpcs, allocation_type="subnet"))
    preview = desk.request("preview", cidr="10.0.8.0/24", pool=vpcs)
    desk.allocate(replace(preview, ask=replace(preview.ask, preview=True), preview_seconds=60))
    for cidr in ("10.0.200.0/24", "10.0.0.0/25", "10.0.0.0/23", "10.0.7.0/24", "10.0.8.0/24", "10.9.0.0/24"):
        with pytest.raises(InvalidPoolError) as refused:
            desk.provision(pool.pool_id, cidr)
        assert (refused.value.property_name, refused.value.value) == ("Cidr", cidr)
        assert "allocate or import" in refused.value.why
    with pytest.raises(InvalidPoolError) as refused:
        provision(desk.ports, pool.pool_id, vpc.cidr.length, "t", "test")
    assert refused.value.property_name == "NetmaskLength"
    assert desk.store.plan().provisioned(pool.pool_id) == ()
    check(desk.store, canonical=True)


def test_a_vpc_is_divided_once(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """A second pool is told by whom (I3)."""
    one, two = subnets_of(desk, vpcs, "one"), subnets_of(desk, vpcs, "two")
    at = desk.another(Interrupted(desk.store, lambda: desk.provision(one.pool_id, str(vpc.cidr))))
    for _ in range(2):
        with pytest.raises(InUseError) as refused:
            at.provision(two.pool_id, str(vpc.cidr))
        assert refused.value == InUseError(str(vpc.cidr), ("pool one",), 1)
    check(desk.store, canonical=True)


def test_a_vpc_that_is_released_meanwhile_is_not_divided(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """The transaction divides exactly the allocation that was found (I3)."""
    pool = subnets_of(desk, vpcs)
    at = desk.another(Interrupted(desk.store, lambda: desk.release("vpc", vpc.allocation_id)))
    with pytest.raises(InvalidPoolError):
        at.provision(pool.pool_id, str(vpc.cidr))
    assert desk.free(pool.pool_id) == []
    check(desk.store)


def test_a_vpc_whose_block_changes_hands_meanwhile_is_divided(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """It is the one that has it now."""
    pool = subnets_of(desk, vpcs)

    def change_hands() -> None:
        desk.release("vpc", vpc.allocation_id)
        desk.allocate(desk.request("other", cidr=str(vpc.cidr), pool=vpcs))

    desk.another(Interrupted(desk.store, change_hands)).provision(pool.pool_id, str(vpc.cidr))
    (given,) = desk.store.plan().provisioned(pool.pool_id)
    assert given.allocation_id == desk.record("other").grants[0].allocation_id
    check(desk.store)


def test_a_pool_that_is_deleted_meanwhile_divides_nothing(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """The VPC stays whole."""
    pool = subnets_of(desk, vpcs)
    at = desk.another(Interrupted(desk.store, lambda: delete_pool(desk.ports, pool.pool_id, "test")))
    with pytest.raises(NoSuchPoolError):
        at.provision(pool.pool_id, str(vpc.cidr))
    assert [held.divided_by for held in desk.store.allocations(vpcs.pool_id)] == [""]
    check(desk.store)


def test_one_order_twice_at_once_is_one(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """The slower one finds done what it wanted."""
    pool = subnets_of(desk, vpcs)
    at = desk.another(Interrupted(desk.store, lambda: desk.provision(pool.pool_id, str(vpc.cidr))))
    assert at.provision(pool.pool_id, str(vpc.cidr)) == vpc.cidr
    check(desk.store, canonical=True)


def test_it_gives_way_in_the_end(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """Whoever never gets a turn is told so."""
    pool = subnets_of(desk, vpcs)
    with pytest.raises(ContendedError):
        divide(desk.another(Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS))).ports, pool.pool_id, vpc.cidr, "test")
    assert desk.store.plan().provisioned(pool.pool_id) == ()


def test_a_vpc_has_several_cidrs(desk: Desk, vpcs: Pool, vpc: Grant) -> None:
    """Each of them is an allocation, and each is divided by the same pool."""
    more = desk.allocate(desk.request("more", cidr="10.0.64.0/20", pool=vpcs)).grant
    pool = subnets_of(desk, vpcs)
    for grant in (vpc, more):
        desk.provision(pool.pool_id, str(grant.cidr))
    assert set(desk.store.plan().space(pool.pool_id).provisioned) == {vpc.cidr, block("10.0.64.0/20")}
    delete_pool(desk.ports, pool.pool_id, "test")
    assert [held.divided_by for held in desk.store.allocations(vpcs.pool_id)] == ["", ""]
    check(desk.store, canonical=True)
