"""Ends that meet: what one resource, import or administrator ends is never another's, and leaves nothing behind."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.cidr import Cidr
from ipam.domain.errors import (
    DeniedError,
    NetworkInUseError,
    NoSuchPoolError,
    PoolExhaustedError,
    QuotaExceededError,
    SupersededError,
)
from ipam.domain.owner import OwnerKey
from ipam.domain.pool import AllocationRules, Quota, SourceResource
from ipam.entrypoints.errors import UndeliveredError
from ipam.services.approve import MAX_WAITING, SHORTEST
from ipam.services.import_allocations import Outcome, import_allocations
from ipam.services.import_check import check as check_import
from ipam.services.import_rows import Row
from ipam.services.leases import keep_leases
from ipam.services.orphans import orphans, release_orphan, seek_orphans
from ipam.services.pending import write_down
from ipam.services.pools import NewPool, delete_pool, edit_pool
from ipam.services.release_by_administrator import release_by_administrator
from ipam.services.request import Waiting
from ipam.services.settle_cidrs import Holding
from ipam.services.tenancy import follow_live
from ipam.services.turns import Turn
from tests.builders import ACCOUNT, NOON, REGION, STACK, Desk, claim
from tests.invariants import check
from tests.unit.entrypoints.stage import Stage, event, readdressed

if TYPE_CHECKING:
    from ipam.domain.pool import Pool

LARGE = AllocationRules(approval_netmask_length=24)
TWO_DAYS = 2 * 24 * 3600


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


def test_a_vpc_that_could_not_be_deleted_keeps_its_address() -> None:
    """CloudFormation deletes what a VPC waits for although the VPC's own deletion failed (0020)."""
    desk = Desk()
    desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/24")
    grant = desk.allocate(desk.request("GetCnCIDR", 24)).grant
    desk.verify("DeleteCnCIDR", claim(grant))
    desk.clock.advance(600)
    desk.outside.networks.put("vpc-left", "10.0.0.0/24", STACK, of=STACK)
    with pytest.raises(NetworkInUseError):
        desk.release_in_stack("DeleteCnCIDR", grant)
    with pytest.raises(NetworkInUseError):
        desk.release("GetCnCIDR", grant.allocation_id)
    other = STACK.replace(ACCOUNT, "222222222222")
    with pytest.raises(PoolExhaustedError):
        desk.allocate(desk.request("GetCnCIDR", 24, account="222222222222", stack=other))
    desk.outside.networks.there.clear()
    assert desk.release_in_stack("DeleteCnCIDR", grant) == "released"
    check(desk.store)


def test_what_a_failed_deletion_has_still_is_shown_and_not_taken() -> None:
    """`release --all` does not take what the stack gives back when it is deleted the next time (0014)."""
    desk = Desk()
    desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    grant = desk.allocate(desk.request("GetCnCIDR", 24)).grant
    stacks = desk.outside.stacks
    stacks.can_ask = True
    stacks.standings[STACK] = "deleting-failed"
    stacks.resources[STACK, "GetCnCIDR"] = grant.allocation_id
    desk.clock.advance(2 * 24 * 3600)
    seek_orphans(desk.ports, desk.deadline)
    (held,) = orphans(desk.ports, desk.store.plan())
    assert held.orphan is not None and held.orphan.why == "deletion-stuck"
    assert release_orphan(desk.ports, held, "test", desk.deadline) == "deletion-stuck"
    assert desk.held(grant.pool_id) == ["10.0.0.0/24"]


# ------------------------------------------------------------------------------------- another type is another thing


@pytest.fixture
def mixed() -> tuple[Desk, Pool]:
    """A pool for every type, which lends ranges for two days."""
    desk = Desk()
    rules = AllocationRules(lease_seconds=TWO_DAYS)
    return desk, desk.pool(NewPool("mixed", desk.scope(), locale=REGION, rules=rules), "10.0.0.0/16")


def after(desk: Desk, pool: Pool, days: int) -> list[str]:
    """Let upkeep look at leases twice a day, and tell what is held then."""
    for _ in range(2 * days):
        desk.clock.advance(TWO_DAYS / 4)
        keep_leases(desk.ports, desk.store.plan().pools[pool.pool_id], desk.deadline)
    return desk.held(pool.pool_id)


@pytest.mark.parametrize("facts", [{"length": 24}, {"length": 24, "pool_name": "mixed"}])
def test_a_range_that_becomes_a_vpc_is_not_taken_from_under_it(mixed: tuple[Desk, Pool], facts: dict[str, Any]) -> None:
    """An Update of AllocationType is a replacement: a lease ends the range that was, and never the VPC (0009)."""
    desk, pool = mixed
    old = desk.allocate(desk.request("Net", 24, allocation_type="custom")).grant
    desk.clock.advance(60)
    update = desk.request("Net", **facts)
    new = desk.revise(update, old.allocation_id).grant
    assert new.cidr != old.cidr
    assert desk.another().revise(update, old.allocation_id).grant == new
    assert after(desk, pool, 9) == [str(new.cidr)]
    assert desk.another().release("Net", old.allocation_id) == "already-released"
    assert desk.held(pool.pool_id) == [str(new.cidr)]
    check(desk.store)


def test_a_vpc_that_becomes_a_range_ends_with_its_lease(mixed: tuple[Desk, Pool]) -> None:
    """The other way about: what is lent does not stay for ever because it was ordered as something else."""
    desk, pool = mixed
    old = desk.allocate(desk.request("Net", 24)).grant
    desk.clock.advance(60)
    new = desk.revise(desk.request("Net", 24, allocation_type="custom"), old.allocation_id).grant
    desk.clock.advance(60)
    assert desk.release("Net", old.allocation_id) == "released"
    assert desk.held(pool.pool_id) == [str(new.cidr)]
    assert after(desk, pool, 9) == []
    check(desk.store)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_rollback_to_the_old_type_finds_the_old_block(mixed: tuple[Desk, Pool], *, accepted: bool) -> None:
    """Whether or not CloudFormation took the new one over; and the Update, delivered late, changes nothing of it."""
    desk, pool = mixed
    old = desk.allocate(desk.request("Net", 24)).grant
    desk.clock.advance(60)
    update = desk.request("Net", 24, allocation_type="custom")
    new = desk.revise(update, old.allocation_id).grant
    desk.clock.advance(60)
    back = desk.revise(desk.request("Net", 24), (new if accepted else old).allocation_id)
    assert (back.outcome, back.grant.allocation_id) == ("kept", old.allocation_id)
    if accepted:
        assert desk.another().revise(update, old.allocation_id).grant.allocation_id == new.allocation_id
        desk.clock.advance(1)
        assert desk.release("Net", new.allocation_id) == "released"
    else:
        with pytest.raises(SupersededError):
            desk.another().revise(update, old.allocation_id)
    assert desk.held(pool.pool_id) == [str(old.cidr)]
    (held,) = desk.store.allocations(pool.pool_id)
    assert held.allocation_type == "vpc"
    check(desk.store)


# ---------------------------------------------------------------------------------- what a failed Create's Delete ends


def signed(name: str, time: str, request_id: int, **changes: Any) -> dict[str, Any]:
    """Give an event of the folder, signed at another time of the day."""
    loaded = event(name, **changes)
    url = loaded["ResponseURL"].partition("?")[2]
    query = re.sub(r"X-Amz-Date=20261120T\d{6}Z", f"X-Amz-Date=20261120T{time}Z", url)
    return readdressed(loaded, query, RequestId=f"11111111-0000-4000-8000-{request_id:012}")


@pytest.mark.parametrize("name", ["bad_mask", "create"])
def test_the_clean_up_of_a_refused_create_leaves_what_a_later_one_got(name: str) -> None:
    """A stack that is kept after a failure, mended and deployed again, deletes the failed one's id at the end (I5)."""
    stage = Stage()
    failing = stage.desk.store.plan().pools[stage.vpcs.pool_id]
    edit_pool(stage.desk.ports, failing.pool_id, lambda pool: replace(pool, quota=Quota(0, None)), "test")
    first = signed(name, "080000", 1)
    refused = stage.send(first)
    assert refused["Status"] == "FAILED"
    edit_pool(stage.desk.another().ports, failing.pool_id, lambda pool: replace(pool, quota=Quota()), "test")
    stage.restart()
    got = stage.send(signed("create", "081000", 2))
    assert got["Status"] == "SUCCESS"
    gone = signed(name, "081100", 3, RequestType="Delete", PhysicalResourceId=refused["PhysicalResourceId"])
    for _ in range(2):
        assert stage.send(gone)["Status"] == "SUCCESS"
        assert stage.outcome == "nothing-to-release"
        assert stage.held() == ["10.0.0.0/24"]
    # The failed Create, delivered once more, is given nothing new; the other has what it has.
    stage.send(first)
    assert stage.held() == ["10.0.0.0/24"]
    assert stage.send(signed("create", "081000", 2))["PhysicalResourceId"] == got["PhysicalResourceId"]
    own = signed("create", "081200", 4, RequestType="Delete", PhysicalResourceId=got["PhysicalResourceId"])
    assert stage.send(own)["Status"] == "SUCCESS"
    assert stage.held() == []
    check(stage.desk.store)


def test_the_clean_up_of_a_create_that_asked_for_something_else_leaves_what_was_got() -> None:
    """CloudFormation has invented the id, so no time is known; but the Delete says what its Create asked for (I5)."""
    stage = Stage()
    larger = event("create")["ResourceProperties"] | {"CnCidrMask": "20"}
    stage.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        stage.send(signed("create", "080000", 1, ResourceProperties=larger))
    stage.send(signed("create", "091000", 2))
    assert stage.held() == ["10.0.0.0/20", "10.0.16.0/24"]
    invented: dict[str, Any] = {"RequestType": "Delete", "PhysicalResourceId": "network-GetCnCIDR-1ABCDEFGHIJKL"}
    stage.send(signed("create", "091100", 3, ResourceProperties=larger, **invented))
    assert (stage.outcome, stage.held()) == ("released", ["10.0.16.0/24"])
    unread = larger | {"CnCidrMask": "many"}
    stage.send(signed("create", "091200", 4, ResourceProperties=unread, **invented))
    assert (stage.outcome, stage.held()) == ("unverified-delete", ["10.0.16.0/24"])
    check(stage.desk.store)


def test_no_time_in_an_id_lets_a_delete_end_more() -> None:
    """A forged second is no younger than the signature, and an id of another resource has none (I5)."""
    stage = Stage()
    refused = stage.send(signed("bad_mask", "080000", 1))["PhysicalResourceId"]
    stem = refused.rpartition("-")[0]
    got = stage.send(signed("create", "081000", 2))
    assert got["Status"] == "SUCCESS"
    for number, held in enumerate((f"{stem}-999999999999", f"not-allocated-{'0' * 16}-999999999999", refused), 3):
        stage.send(signed("create", "080900", number, RequestType="Delete", PhysicalResourceId=held))
        assert (stage.outcome, len(stage.held())) == ("nothing-to-release", 1)


def test_an_update_of_what_has_no_id_of_ours_outlives_the_clean_up() -> None:
    """The id that another service gave, or nobody, is cleaned up once the Update has succeeded (I5)."""
    for foreign in ("network-GetCnCIDR-1ABCDEFGHIJKL", "not-allocated-b3bd206157bed8b9-1795161600"):
        stage = Stage()
        updated = stage.send(signed("update_in_place", "080100", 1, PhysicalResourceId=foreign))
        assert updated["Status"] == "SUCCESS"
        asked = event("update_in_place")["ResourceProperties"]
        for properties in (asked, asked | {"CnCidrMask": "20"}):
            gone: dict[str, Any] = {"RequestType": "Delete", "PhysicalResourceId": foreign}
            stage.send(signed("create", "080200", 2, ResourceProperties=properties, **gone))
            assert len(stage.held()) == 1
        # What an Update left there that nobody has accepted goes with the first one that names what was.
        other = signed("update_in_place", "080300", 3, PhysicalResourceId=foreign)
        other["ResourceProperties"] = asked | {"CnCidrMask": "20"}
        held = stage.send(other)["PhysicalResourceId"]
        assert len(stage.held()) == 2
        other = signed("update_in_place", "080400", 4, PhysicalResourceId=held)
        other["ResourceProperties"] = asked | {"CnCidrMask": "20"}
        assert stage.send(other)["PhysicalResourceId"] == held
        assert len(stage.held()) == 1
        check(stage.desk.store)


# ----------------------------------------------------------------------------------------------- clocks, and duplicates


def test_a_delete_that_a_slow_clock_signed_releases() -> None:
    """CloudFormation signs on many hosts, to the second: the id is proof that it was told of the block (0006)."""
    stage = Stage()
    create = signed("create", "080010", 1)
    got = stage.send(create)["PhysicalResourceId"]
    stage.send(signed("create", "080009", 2, RequestType="Delete", PhysicalResourceId=got), late=2000)
    assert (stage.outcome, stage.held()) == ("released", [])
    # The Create that it has ended is over, though it was signed later.
    assert stage.send(create)["Status"] == "FAILED"
    assert stage.held() == []
    check(stage.desk.store)


def test_a_slow_clock_ends_no_later_life() -> None:
    """I5: a Delete that waited since before a rollback took the block up again is refused to the second (0006)."""
    desk = Desk()
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    old = desk.allocate(desk.request("Net", 24)).grant
    desk.clock.advance(60)
    new = desk.revise(desk.request("Net", 23), old.allocation_id).grant
    desk.clock.advance(60)
    waited = desk.clock.now()
    desk.clock.advance(2)
    desk.revise(desk.request("Net", 24), new.allocation_id)
    assert desk.another().release("Net", old.allocation_id, at=waited) == "unverified-delete"
    # Updates that name it and keep it begin no life: their Delete may be a little too early.
    desk.clock.advance(60)
    desk.revise(desk.request("Net", 24), old.allocation_id)
    assert desk.another().release("Net", old.allocation_id, at=waited) == "unverified-delete"
    assert desk.release("Net", old.allocation_id, at=desk.clock.now() - 2000) == "released"
    assert desk.held(pool.pool_id) == [str(new.cidr)]
    check(desk.store)


def test_a_rollback_of_the_same_second_leaves_its_new_block_to_the_next_update() -> None:
    """Which of the two came first can't be told: what may be live is not taken, and goes when it can be told (0006)."""
    desk = Desk()
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    old = desk.allocate(desk.request("Net", 24)).grant
    desk.clock.advance(60)
    update, back = desk.request("Net", 23), desk.request("Net", 24)
    new = desk.revise(update, old.allocation_id).grant
    assert desk.revise(back, old.allocation_id).grant.allocation_id == old.allocation_id
    assert desk.held(pool.pool_id) == sorted([str(old.cidr), str(new.cidr)])
    desk.clock.advance(60)
    desk.revise(desk.request("Net", 24), old.allocation_id)
    assert desk.held(pool.pool_id) == [str(old.cidr)]
    check(desk.store)


@pytest.mark.parametrize("goes", ["the other return", "the network"])
def test_a_return_that_is_gone_does_not_come_back(goes: str) -> None:
    """Its Create, delivered again after its Delete, stands for nothing: the last that is there gives back (0006)."""
    desk = Desk()
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    grant = desk.allocate(desk.request("Net", 24)).grant
    created = desk.clock.now()
    desk.verify("Old", claim(grant))
    desk.clock.advance(60)
    desk.verify("New", claim(grant))
    desk.clock.advance(60)
    assert desk.release_in_stack("Old", grant) == "nothing-to-release"
    with pytest.raises(SupersededError):
        desk.another().verify("Old", claim(grant), at=created)
    assert desk.record("Net").grants[0].returners == ("New",)
    desk.clock.advance(60)
    if goes == "the network":
        assert desk.release("Net", grant.allocation_id) == "released"
    assert desk.release_in_stack("New", grant) in {"released", "already-released"}
    assert desk.held(pool.pool_id) == []
    check(desk.store)


def test_a_return_that_comes_back_later_stands_for_the_release_again() -> None:
    """A Create that is younger than the Delete is another one's."""
    desk = Desk()
    desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    grant = desk.allocate(desk.request("Net", 24)).grant
    for name in ("Old", "New"):
        desk.verify(name, claim(grant))
    desk.clock.advance(60)
    desk.release_in_stack("Old", grant)
    desk.clock.advance(60)
    desk.verify("Old", claim(grant))
    assert desk.record("Net").grants[0].returners == ("New", "Old")
    check(desk.store)


def test_a_network_that_is_built_on_a_preview_is_refused_before_it_stands() -> None:
    """I7: a preview ends uncooled, so the resource that everything depends on says what to do instead."""
    stage = Stage()
    held = stage.send("create_preview")["Data"]
    facts = {"IpamPoolAllocationId": held["Returned_IpamPoolAllocationId"]}
    facts |= {name: held[name] for name in ("Cidr", "CreationDate")}
    announced = event("delete_cn_cidr_create")
    announced["ResourceProperties"] |= facts
    answer = stage.send(announced)
    assert answer["Status"] == "FAILED"
    assert "PreviewToken" in answer["Reason"]
