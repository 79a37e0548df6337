from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import (
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    InUseError,
    NoSuchPoolError,
    OutOfTimeError,
)
from ipam.domain.pool import SourceResource
from ipam.services.deprovision import MAX_ATTEMPTS, MAX_PARTS, deprovision
from ipam.services.pools import NewPool
from ipam.services.provision import provision
from ipam.services.reclaim import reclaim
from tests.builders import ACCOUNT, NOON, REGION, Desk, block, blocks
from tests.faults import Faulty, Interrupted, Recorder
from tests.invariants import check
from tests.vpc_ipam import agree, backed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import Pool
    from tests.faults import Fault

    MakePool = Callable[..., Pool]

MINUTE = 60_000


class Alarm:
    """Time for so many changes."""

    def __init__(self, changes: int) -> None:
        self._left = changes

    def ensure(self) -> None:
        """See the port."""
        if self._left == 0:
            raise OutOfTimeError
        self._left -= 1


def take_back(desk: Desk, pool: Pool, cidr: str, *, cascade: bool = False) -> None:
    """Deprovision a block."""
    deprovision(desk.ports, pool.pool_id, block(cidr), "by hand", cascade=cascade)


def has(desk: Desk, pool: Pool) -> list[Cidr]:
    """Read what a pool has."""
    return sorted(each.cidr for each in desk.store.plan().provisioned(pool.pool_id))


def subnets_of(desk: Desk, vpcs: Pool, cidr: str, **facts: object) -> Pool:
    """Make a subnet pool of a VPC."""
    new = NewPool(
        "subnets",
        vpcs.scope_id,
        source_pool_id=vpcs.pool_id,
        locale=REGION,
        allocation_types=frozenset({"subnet"}),
        source_resource=SourceResource("vpc-0", ACCOUNT, REGION),
        **facts,  # type: ignore[arg-type]
    )
    return desk.pool(new, cidr)


def test_a_free_block_goes_back_to_where_it_came_from(desk: Desk, pool_of: MakePool) -> None:
    """It is free in the scope, the pool's other block stays, and both are written down (I1, I3, I6)."""
    pool = pool_of("10.0.0.0/24", "10.7.0.0/16")
    (given,) = (each for each in desk.store.plan().provisioned(pool.pool_id) if each.cidr == block("10.0.0.0/24"))
    take_back(desk, pool, "10.0.0.0/24")
    assert has(desk, pool) == blocks("10.7.0.0/16")
    assert desk.held(pool.scope_id) == desk.free(pool.pool_id) == ["10.7.0.0/16"]
    assert "10.0.0.0/24" in desk.free(pool.scope_id)
    audit = {record.event: record for record in desk.store.audit(pool.scope_id, block("10.0.0.0/24"))}
    ended = audit["deprovisioned"]
    assert (ended.allocation_id, ended.cause) == (given.allocation_id, "by hand")
    assert ended.owner == audit["allocated"].owner
    check(desk.store)


def test_a_block_that_lies_in_pieces_is_joined_first(desk: Desk, pool_of: MakePool) -> None:
    """What was cut for others is one free block again before it goes (I2)."""
    pool = pool_of("10.0.0.0/24")
    grants = [desk.allocate(desk.request(f"n{number}", 28)).grant for number in range(5)]
    for number, grant in enumerate(grants):
        desk.release(f"n{number}", grant.allocation_id)
    take_back(desk, pool, "10.0.0.0/24")
    assert has(desk, pool) == []
    check(desk.store)


def test_a_parent_lets_it_cool(desk: Desk) -> None:
    """I7: what a pool had is kept from the others for as long as the parent says."""
    parent = desk.pool(NewPool("parent", desk.scope(), cooling_seconds=60), "10.0.0.0/16")
    new = NewPool("child", parent.scope_id, source_pool_id=parent.pool_id)
    child, other = desk.pool(new, "10.0.0.0/24"), desk.pool(replace(new, name="other"))
    take_back(desk, child, "10.0.0.0/24")
    (cooling,) = desk.store.cooling(parent.pool_id, 9)
    assert (cooling.cidr, cooling.until) == (block("10.0.0.0/24"), NOON + MINUTE)
    with pytest.raises(CidrNotFreeError):
        desk.provision(other.pool_id, "10.0.0.0/24")
    check(desk.store, canonical=True)
    desk.clock.advance(60)
    desk.provision(other.pool_id, "10.0.0.0/24")
    check(desk.store, canonical=True)


def test_the_same_block_is_provisioned_again_by_the_same_order(desk: Desk, pool_of: MakePool) -> None:
    """What was given back is over; the same words order it anew."""
    pool = pool_of("10.0.0.0/24")
    for _ in range(3):
        take_back(desk, pool, "10.0.0.0/24")
        assert desk.provision(pool.pool_id, "10.0.0.0/24") == block("10.0.0.0/24")
    check(desk.store)


def test_a_block_in_use_stays(desk: Desk, pool_of: MakePool) -> None:
    """The refusal names what child pools have, holders and what cools in it, and nothing of another block."""
    pool = pool_of("10.0.0.0/24", "10.7.0.0/16", name="parent", cooling_seconds=60)
    desk.pool(NewPool("child", pool.scope_id, source_pool_id=pool.pool_id, locale=REGION), "10.0.0.0/26")
    grant = desk.allocate(desk.request("a", 26, pool=pool)).grant
    desk.allocate(desk.request("b", 28, pool=pool, stack="somebody"))
    desk.allocate(desk.request("c", cidr="10.7.0.0/24", pool=pool))
    desk.release("a", grant.allocation_id)
    with pytest.raises(InUseError) as refused:
        take_back(desk, pool, "10.0.0.0/24")
    assert refused.value == InUseError(
        "10.0.0.0/24",
        (
            "10.0.0.0/26 of pool child",
            "10.0.0.128/28 of somebody/b",
            "10.0.0.64/26 cooling until 2027-01-15 08:01 UTC",
        ),
        3,
    )
    assert has(desk, pool) == blocks("10.0.0.0/24", "10.7.0.0/16")
    check(desk.store, canonical=True)


@pytest.mark.parametrize("cascade", [False, True])
def test_only_what_a_pool_has_is_taken_from_it(desk: Desk, pool_of: MakePool, *, cascade: bool) -> None:
    """A part of it, what surrounds it, what others have, what it had, and what no pool has are refused."""
    pool = pool_of("10.0.0.0/24", "10.7.0.0/16")
    pool_of("10.1.0.0/16", name="other", scope=pool.scope_id)
    take_back(desk, pool, "10.7.0.0/16")
    for cidr in ("10.0.0.0/25", "10.0.0.0/16", "10.1.0.0/16", "10.7.0.0/16", "fd00::/64"):
        with pytest.raises(CidrNotInPoolError) as refused:
            take_back(desk, pool, cidr, cascade=cascade)
        assert refused.value == CidrNotInPoolError("vpcs", block(cidr))
    with pytest.raises(NoSuchPoolError):
        deprovision(desk.ports, "ipam-pool-0", block("10.0.0.0/24"), "test", cascade=cascade)


def test_blocks_that_upkeep_has_joined_by_an_older_plan_come_apart_again(desk: Desk, pool_of: MakePool) -> None:
    """Upkeep may still take two blocks for the one that they once were; each goes back alone all the same (I1)."""
    pool = pool_of("10.0.0.0/24")
    old = desk.store.plan().space(pool.pool_id)
    take_back(desk, pool, "10.0.0.0/24")
    for half in ("10.0.0.0/25", "10.0.0.128/25"):
        desk.provision(pool.pool_id, half)
    reclaim(desk.ports, old, 4, None, desk.deadline)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]
    take_back(desk, pool, "10.0.0.128/25")
    assert desk.free(pool.pool_id) == ["10.0.0.0/25"]
    take_back(desk, pool, "10.0.0.0/25")
    assert desk.free(pool.pool_id) == []
    check(desk.store)


def test_cascade_releases_what_is_in_the_block_alone(desk: Desk, pool_of: MakePool) -> None:
    """Allocations and what child pools have of it go; other blocks, and the child pools, stay (I3, I4)."""
    pool = pool_of("10.0.0.0/24", "10.7.0.0/16", name="parent")
    new = NewPool("child", pool.scope_id, source_pool_id=pool.pool_id, locale=REGION)
    child = desk.pool(new, "10.0.0.0/26", "10.7.7.0/24")
    desk.allocate(desk.request("a", cidr="10.0.0.16/28", pool=child))
    desk.allocate(desk.request("b", cidr="10.7.7.16/28", pool=child))
    desk.allocate(desk.request("c", cidr="10.0.0.64/28", pool=pool))
    take_back(desk, pool, "10.0.0.0/24", cascade=True)
    assert (has(desk, pool), has(desk, child)) == (blocks("10.7.0.0/16"), blocks("10.7.7.0/24"))
    assert (desk.held(pool.pool_id), desk.held(child.pool_id)) == (["10.7.7.0/24"], ["10.7.7.16/28"])
    assert [len(desk.record(name).grants) for name in "abc"] == [0, 1, 0]
    check(desk.store)


def test_what_cools_in_it_goes_on_cooling_in_the_parent(desk: Desk) -> None:
    """I7: with cascade, the whole block cools there until the last of it has, and longer if the parent says so."""
    scope = desk.scope()
    top = desk.pool(NewPool("top", scope, cooling_seconds=90), "10.0.0.0/8")
    middle = desk.pool(NewPool("middle", scope, source_pool_id=top.pool_id, cooling_seconds=60), "10.0.0.0/16")
    new = NewPool("leaf", scope, source_pool_id=middle.pool_id, cooling_seconds=180, locale=REGION)
    leaf = desk.pool(new, "10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.allocate(desk.request("b", 28))
    desk.release("a", grant.allocation_id)
    desk.clock.advance(60)
    take_back(desk, leaf, "10.0.0.0/24", cascade=True)
    (cooling,) = desk.store.cooling(middle.pool_id, 9)
    # The second one was released just now.
    assert (cooling.cidr, cooling.until) == (block("10.0.0.0/24"), NOON + 4 * MINUTE)
    check(desk.store)
    take_back(desk, middle, "10.0.0.0/16", cascade=True)
    (cooling,) = desk.store.cooling(top.pool_id, 9)
    assert (cooling.cidr, cooling.until) == (block("10.0.0.0/16"), NOON + 4 * MINUTE)
    desk.clock.advance(150)
    desk.provision(middle.pool_id, "10.1.0.0/16")
    take_back(desk, middle, "10.1.0.0/16", cascade=True)
    assert desk.store.cooling(top.pool_id, 9)[1].until == NOON + 210_000 + 90_000
    check(desk.store)


@pytest.mark.parametrize("scattered", [False, True])
def test_any_number_of_blocks_may_cool(desk: Desk, pool_of: MakePool, *, scattered: bool) -> None:
    """More than one change takes are joined before, each until the last of its parts has cooled (I1, I6, I7)."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    count = 3 * MAX_PARTS
    every = list(block("10.0.0.0/24").subnets(32))
    chosen = every[:count] if not scattered else [*every[:128], *every[128::2]]
    grants = [desk.allocate(desk.request(str(cidr), cidr=str(cidr))).grant for cidr in chosen]
    for grant in grants[:-1]:
        desk.release(str(grant.cidr), grant.allocation_id)
    desk.clock.advance(30)
    watched = Recorder(desk.store)
    take_back(desk.another(watched), pool, "10.0.0.0/24", cascade=True)
    (cooling,) = desk.store.cooling(pool.scope_id, 9)
    assert (cooling.cidr, cooling.until) == (block("10.0.0.0/24"), NOON + 90_000)
    assert all(len(change.operations) <= 100 for change in watched.committed)
    assert len(watched.committed) < 10
    assert desk.store.cooling(pool.pool_id, 9) == []
    check(desk.store)


def test_joining_is_interrupted_and_goes_on(desk: Desk, pool_of: MakePool) -> None:
    """What is joined already stays so, and its time too (I7)."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    for cidr in block("10.0.0.0/24").subnets(32):
        grant = desk.allocate(desk.request(str(cidr), cidr=str(cidr))).grant
        desk.release(str(cidr), grant.allocation_id)
    for changes in itertools.count():
        try:
            deprovision(desk.ports, pool.pool_id, block("10.0.0.0/24"), "test", cascade=True, deadline=Alarm(changes))
        except OutOfTimeError:
            check(desk.store)
        else:
            break
        assert changes < 10
    (cooling,) = desk.store.cooling(pool.scope_id, 9)
    assert cooling.until == NOON + MINUTE
    check(desk.store)


@pytest.mark.parametrize("cascade", [False, True])
def test_what_amazon_gave_goes_back_there_first(*, cascade: bool) -> None:
    """Then the block is free here, and goes too; while it is not taken back, it is what uses the block (I1)."""
    desk, amazon, pool = backed("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    if not cascade:
        with pytest.raises(InUseError):
            take_back(desk, pool, "10.0.0.0/24")
        desk.release("a", grant.allocation_id)
    amazon.faults = iter(["refused"])
    with pytest.raises(InUseError) as refused:
        take_back(desk, pool, "10.0.0.0/24", cascade=cascade)
    assert refused.value.users == ("10.0.0.0/26, which Amazon VPC IPAM is to get back",)
    agree(desk, amazon, pool)
    take_back(desk, pool, "10.0.0.0/24", cascade=cascade)
    assert (has(desk, pool), amazon.blocks()) == ([], [])
    check(desk.store)


@pytest.mark.parametrize("cascade", [False, True])
def test_a_vpc_is_left_undivided(desk: Desk, pool_of: MakePool, *, cascade: bool) -> None:
    """What a subnet pool had stays the VPC's, which can be released then (I3)."""
    vpcs = pool_of("10.0.0.0/16")
    grant = desk.allocate(desk.request("vpc", 24)).grant
    pool = subnets_of(desk, vpcs, str(grant.cidr))
    desk.allocate(desk.request("subnet", 26, pool=pool, allocation_type="subnet"))
    if not cascade:
        with pytest.raises(InUseError):
            take_back(desk, pool, str(grant.cidr))
        desk.release("subnet", desk.record("subnet").grants[0].allocation_id)
    take_back(desk, pool, str(grant.cidr), cascade=cascade)
    assert has(desk, pool) == []
    assert desk.held(vpcs.pool_id) == [str(grant.cidr)]
    assert {record.event for record in desk.store.audit(pool.pool_id, grant.cidr)} >= {"provisioned", "deprovisioned"}
    check(desk.store)
    assert desk.release("vpc", grant.allocation_id) == "released"
    check(desk.store)


def test_what_cools_in_a_vpc_is_waited_for(desk: Desk, pool_of: MakePool) -> None:
    """I7: its space has a holder and cannot cool; the refusal says until when."""
    vpcs = pool_of("10.0.0.0/16")
    grant = desk.allocate(desk.request("vpc", 24)).grant
    pool = subnets_of(desk, vpcs, str(grant.cidr), cooling_seconds=60)
    desk.allocate(desk.request("subnet", 26, pool=pool, allocation_type="subnet"))
    with pytest.raises(InUseError) as refused:
        take_back(desk, pool, str(grant.cidr), cascade=True)
    assert refused.value.users == ("10.0.0.0/26 cooling until 2027-01-15 08:01 UTC",)
    check(desk.store)
    desk.clock.advance(60)
    take_back(desk, pool, str(grant.cidr), cascade=True)
    check(desk.store)


def test_cascade_takes_a_divided_vpc_too(desk: Desk, pool_of: MakePool) -> None:
    """The subnet pool gives the VPC's space back, and then the VPC's allocation is released."""
    vpcs = pool_of("10.0.0.0/16")
    grant = desk.allocate(desk.request("vpc", 24)).grant
    pool = subnets_of(desk, vpcs, str(grant.cidr))
    desk.allocate(desk.request("subnet", 26, pool=pool, allocation_type="subnet"))
    take_back(desk, vpcs, "10.0.0.0/16", cascade=True)
    assert has(desk, vpcs) == has(desk, pool) == []
    assert desk.record("vpc").grants == desk.record("subnet").grants == ()
    check(desk.store)


def test_two_at_once_are_one(desk: Desk, pool_of: MakePool) -> None:
    """The slower one finds done what it wanted, and the parent gets the block once (I1)."""
    pool = pool_of("10.0.0.0/24")
    at = desk.another(Interrupted(desk.store, lambda: take_back(desk, pool, "10.0.0.0/24")))
    take_back(at, pool, "10.0.0.0/24")
    assert has(desk, pool) == []
    check(desk.store)


@pytest.mark.parametrize("cascade", [False, True])
def test_what_is_allocated_meanwhile_keeps_the_block_or_goes_with_it(
    desk: Desk, pool_of: MakePool, *, cascade: bool
) -> None:
    """The transaction takes the block only while it is free (I1)."""
    pool = pool_of("10.0.0.0/24")
    at = desk.another(Interrupted(desk.store, lambda: desk.allocate(desk.request("a", 26))))
    if cascade:
        take_back(at, pool, "10.0.0.0/24", cascade=True)
        assert desk.record("a").grants == ()
    else:
        with pytest.raises(InUseError):
            take_back(at, pool, "10.0.0.0/24")
        assert len(desk.record("a").grants) == 1
    check(desk.store)


@pytest.mark.parametrize("faults", [["busy"] * MAX_ATTEMPTS])
def test_it_gives_way_in_the_end(desk: Desk, pool_of: MakePool, faults: list[Fault]) -> None:
    """Whoever never gets a turn is told so."""
    pool = pool_of("10.0.0.0/24")
    with pytest.raises(ContendedError):
        take_back(desk.another(Faulty(desk.store, iter(faults))), pool, "10.0.0.0/24")
    assert has(desk, pool) == blocks("10.0.0.0/24")


def test_ipv6_goes_back_too(desk: Desk, pool_of: MakePool) -> None:
    """A block of any size, with what was cut out of it far below."""
    pool = pool_of("2001:db8::/32", family=6)
    desk.allocate(desk.request("a", 128, family=6))
    take_back(desk, pool, "2001:db8::/32", cascade=True)
    assert has(desk, pool) == []
    assert provision(desk.ports, pool.pool_id, block("2001:db8::/32"), "t", "test") == block("2001:db8::/32")
    check(desk.store)
