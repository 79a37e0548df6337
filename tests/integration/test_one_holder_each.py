"""Ends that meet: what one resource, import or administrator ends is never another's, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipam.domain.cidr import Cidr
from ipam.domain.errors import DeniedError, NoSuchPoolError, QuotaExceededError
from ipam.domain.owner import OwnerKey
from ipam.domain.pool import AllocationRules, SourceResource
from ipam.services.approve import MAX_WAITING, SHORTEST
from ipam.services.import_allocations import Outcome, import_allocations
from ipam.services.import_check import check as check_import
from ipam.services.import_rows import Row
from ipam.services.order import Waiting
from ipam.services.pending import write_down
from ipam.services.pools import NewPool, delete_pool
from ipam.services.release_by_administrator import release_by_administrator
from ipam.services.settle_cidrs import Holding
from ipam.services.tenancy import follow_live
from ipam.services.turns import Turn
from tests.builders import ACCOUNT, NOON, REGION, STACK, Desk, claim
from tests.invariants import check

LARGE = AllocationRules(approval_netmask_length=24)


def test_a_delete_ends_no_subnet_pool_cidr_of_another_stack() -> None:
    """A resource whose Create never came has nothing, though another has just what it would have claimed (I5)."""
    desk = Desk()
    vpcs = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/8")
    vpc = desk.allocate(desk.request("Vpc", 16, pool=vpcs)).grant
    source = SourceResource("vpc-12345678", ACCOUNT, REGION)
    types = frozenset({"subnet"})
    new = NewPool("subnets", vpcs.scope_id, 4, vpcs.pool_id, REGION, allocation_types=types, source_resource=source)  # type: ignore[arg-type]
    subnets = desk.pool(new)

    def holding(stack: str, at: int, claimed: tuple[Cidr, ...] = ()) -> Holding:
        turn = Turn(OwnerKey(subnets.pool_id, f"{stack}|Cidr"), ACCOUNT, at, "test")
        return Holding(desk.ports, turn, desk.deadline, claimed)

    holding("one", NOON).settle(vpc.cidr)
    desk.allocate(desk.request("Subnet", 24, pool=subnets, allocation_type="subnet"))
    assert holding("other", NOON + 60_000, (vpc.cidr,)).end(cascade=True) == "nothing-to-release"
    assert [block.cidr for block in desk.store.plan().provisioned(subnets.pool_id)] == [vpc.cidr]
    assert desk.held(subnets.pool_id) == ["10.0.0.0/24"]
    check(desk.store)


def test_an_update_leaves_nothing_though_the_held_block_has_ended() -> None:
    """A rollback whose old block an administrator ended still clears away what was never accepted (I4)."""
    desk = Desk()
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    old = desk.allocate(desk.request("Net", 24)).grant
    held = desk.store.allocation(pool.pool_id, old.cidr)
    assert held is not None
    release_by_administrator(desk.ports, held, "test", desk.deadline)
    desk.clock.advance(60)
    desk.revise(desk.request("Net", 23), old.allocation_id)
    desk.clock.advance(60)
    back = desk.revise(desk.request("Net", 24), old.allocation_id).grant
    assert desk.held(pool.pool_id) == [str(back.cidr)]
    check(desk.store)


def bring_in(desk: Desk, row: Row) -> tuple[str, ...]:
    """Import a row, or tell what is wrong with it."""
    intake = check_import(desk.ports, desk.store.plan(), [row], "", lambda *_: None)
    import_allocations(desk.ports, intake, "test", Outcome(), lambda *_: None)
    return tuple(bad.problem for bad in intake.bad)


def test_an_imported_network_counts_for_the_stack_that_gives_it_back() -> None:
    """The account of the holder's stack is filled in, and another one refused: a quota is never below zero."""
    desk = Desk()
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    row = Row(2, Cidr.parse("10.0.1.0/24"), pool="vpcs", allocation_type="vpc", party=STACK, name="Net")
    assert bring_in(desk, replace(row, account="999988887777")) == ("account-of-stack",)
    assert bring_in(desk, row) == ()
    assert desk.store.quota(ACCOUNT, pool.pool_id).allocations == 1
    grant = desk.record("Net").grants[0]
    desk.verify("Return", claim(grant))
    desk.clock.advance(60)
    assert desk.release_in_stack("Return", grant) == "released"
    assert desk.store.quota(ACCOUNT, pool.pool_id).allocations == 0
    check(desk.store)


def test_an_imported_network_goes_back_to_amazon_vpc_ipam() -> None:
    """Its grant names its allocation there, so that its block cools until it was given back there."""
    desk = Desk()
    there = "ipam-pool-0aa"
    pool = desk.pool(NewPool("backed", desk.scope(), locale=REGION, vpc_ipam_pool_id=there), "10.0.0.0/16")
    row = Row(
        2,
        Cidr.parse("10.0.1.0/24"),
        pool="backed",
        allocation_type="vpc",
        party=STACK,
        name="Net",
        vpc_ipam_pool_id=there,
        vpc_ipam_allocation_id="alloc-there",
    )
    assert bring_in(desk, row) == ()
    grant = desk.record("Net").grants[0]
    assert grant.vpc_ipam_allocation_id == "alloc-there"
    desk.release("Net", grant.allocation_id)
    assert [block.vpc_ipam_allocation_id for block in desk.store.cooling(pool.pool_id, 9)] == ["alloc-there"]


def test_no_order_is_written_down_for_a_pool_that_is_gone() -> None:
    """A process that remembers a deleted pool leaves no order that nobody would mend."""
    desk = Desk()
    pool = desk.pool(NewPool("backed", desk.scope(), locale=REGION, vpc_ipam_pool_id="ipam-pool-0aa"))
    delete_pool(desk.ports, pool.pool_id, "test")
    with pytest.raises(NoSuchPoolError):
        write_down(desk.ports, pool, desk.request("Net", 24), "facts", desk.deadline)
    assert desk.store.orders(pool.pool_id) == []


def test_waiting_requests_count_until_they_are_handed_over() -> None:
    """Short waits do not fill the list: what is too late still counts, and too short a wait is refused (0008)."""
    desk = Desk()
    desk.pool(NewPool("vpcs", desk.scope(), locale=REGION, rules=LARGE), "10.0.0.0/8")

    def ask(name: str, wait: int) -> type[Exception]:
        request = replace(desk.request(name, 16), waiting=Waiting(desk.clock.now() + wait, "{}"))
        with pytest.raises(Exception) as refused:  # noqa: PT011 - which one it is, is what is asked
            desk.allocate(request)
        return refused.type

    assert ask("hasty", SHORTEST - 1) is DeniedError
    for number in range(MAX_WAITING):
        ask(f"n{number}", SHORTEST)
    desk.clock.advance(2 * SHORTEST / 1000)
    assert ask("one more", SHORTEST) is QuotaExceededError


def test_upkeep_opens_no_way_for_a_tenant_that_is_gone() -> None:
    """Though its process remembers a plan in which the account is one."""
    desk = Desk()
    desk.scope()
    gone = desk.tenant()
    upkeep = desk.another()
    upkeep.ports.memory.see_plan(desk.clock.now(), desk.store.plan())
    rows: dict[str, object] = desk.store._partitions["PLAN"]  # type: ignore[attr-defined]
    del rows[f"TENANT#{gone.account}"]
    desk.outside.aliases.open.clear()
    follow_live(upkeep.ports, desk.deadline)
    assert desk.outside.aliases.open == {}
