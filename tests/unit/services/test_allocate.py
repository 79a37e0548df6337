from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.allocation import Allocation
from ipam.domain.change import ChangeQuota, PutFree, TakeFree
from ipam.domain.errors import (
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    NetmaskLengthError,
    NoPoolForRequestError,
    NoSuchPoolError,
    OutOfTimeError,
    PermanentError,
    PoolExhaustedError,
    QuotaExceededError,
    SupersededError,
)
from ipam.domain.ids import is_allocation_id
from ipam.domain.pool import AllocationRules, Quota
from ipam.services.pools import NewPool
from ipam.services.ports.store import Conflict, Refusal
from ipam.services.reclaim import BATCH
from ipam.services.request import MAX_ATTEMPTS
from tests.builders import ACCOUNT, NOON, REGION, Desk, block, owner_key
from tests.faults import Around, Faulty, Interrupted, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ipam.domain.pool import Pool
    from tests.faults import Fault

    MakePool = Callable[..., Pool]


def test_the_smallest_hole_that_holds_it_is_used(desk: Desk, pool_of: MakePool) -> None:
    """Best fit: a hole of the size asked is used before a larger one is cut, and of these the lowest (I1)."""
    pool = pool_of("10.0.0.0/16")
    first = desk.allocate(desk.request("a", 24)).grant
    desk.allocate(desk.request("b", 24))
    desk.allocate(desk.request("c", 22))
    desk.release("a", first.allocation_id)
    again = desk.another().allocate(desk.request("d", 24))
    assert again.outcome == "allocated"
    assert again.grant.cidr == first.cidr == block("10.0.0.0/24")
    assert desk.held(pool.pool_id) == ["10.0.0.0/24", "10.0.1.0/24", "10.0.4.0/22"]
    check(desk.store, canonical=True)


def test_the_allocation_says_all_that_was_asked(desk: Desk, pool_of: MakePool) -> None:
    """The stored allocation has an unguessable id, its owner, account, type, description and our time."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26, allocation_type="subnet", at=NOON - 5000)).grant
    assert list(desk.store.allocations(pool.pool_id)) == [
        Allocation(grant.allocation_id, pool.pool_id, grant.cidr, owner_key("a"), ACCOUNT, "subnet", "a network", NOON)
    ]
    assert is_allocation_id(grant.allocation_id)
    assert (grant.created, grant.requested, grant.by_create, grant.acknowledged) == (NOON, NOON - 5000, True, False)


def test_every_allocation_is_written_down(desk: Desk, pool_of: MakePool) -> None:
    """I6: the audit record names block, id, owner, account, time and cause."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    (record,) = [record for record in desk.store.audit(pool.pool_id) if record.event == "allocated"]
    assert (record.cidr, record.allocation_id, record.owner) == (grant.cidr, grant.allocation_id, owner_key("a"))
    assert (record.account, record.at, record.cause) == (ACCOUNT, NOON, "test")


def test_an_exact_block_is_cut_out_of_what_is_free(desk: Desk, pool_of: MakePool) -> None:
    """An exact block is given from the middle of a larger free one, and the rest stays free (I1, I2)."""
    pool = pool_of("10.0.0.0/22")
    assert desk.allocate(desk.request("a", cidr="10.0.2.128/25")).grant.cidr == block("10.0.2.128/25")
    assert desk.free(pool.pool_id) == ["10.0.0.0/23", "10.0.2.0/25", "10.0.3.0/24"]
    check(desk.store, canonical=True)


def test_an_exact_block_that_is_held_in_part_is_refused(desk: Desk, pool_of: MakePool) -> None:
    """Whoever holds a part of it, the block is not free, and nothing says when it will be."""
    pool_of("10.0.0.0/22")
    desk.allocate(desk.request("a", cidr="10.0.2.128/25"))
    for name, cidr in (("b", "10.0.2.0/23"), ("c", "10.0.2.128/25"), ("d", "10.0.2.192/26")):
        with pytest.raises(CidrNotFreeError) as refused:
            desk.allocate(desk.request(name, cidr=cidr))
        assert refused.value == CidrNotFreeError("vpcs", block(cidr), None)


def test_an_exact_block_that_cools_is_refused_until_then(desk: Desk, pool_of: MakePool) -> None:
    """I7: the refusal says until when the block is kept; afterwards it is given."""
    pool_of("10.0.0.0/22", cooling_seconds=60)
    held = desk.allocate(desk.request("a", cidr="10.0.2.0/24")).grant
    desk.release("a", held.allocation_id)
    with pytest.raises(CidrNotFreeError) as refused:
        desk.allocate(desk.request("b", cidr="10.0.2.0/23"))
    assert refused.value.until == NOON + 60_000
    desk.clock.advance(60)
    assert desk.allocate(desk.request("b", cidr="10.0.2.0/23")).grant.cidr == block("10.0.2.0/23")
    check(desk.store)


def test_an_exact_block_is_made_free_though_others_would_do(desk: Desk, pool_of: MakePool) -> None:
    """What has cooled becomes free for an exact order also where the pool has room elsewhere."""
    pool_of("10.0.0.0/22", cooling_seconds=60)
    one, two = (desk.allocate(desk.request(name, cidr=f"10.0.{name}.0/24")).grant for name in "12")
    desk.release("1", one.allocation_id)
    desk.release("2", two.allocation_id)
    desk.clock.advance(60)
    assert desk.allocate(desk.request("b", cidr="10.0.2.0/24")).grant.cidr == block("10.0.2.0/24")
    check(desk.store)


def test_free_buddies_are_joined_for_an_exact_block(desk: Desk, pool_of: MakePool) -> None:
    """Buddies that colliding writers left side by side are joined when their parent is asked for."""
    pool = pool_of("10.0.0.0/22")
    audit = desk.store.audit(pool.pool_id)
    assert list(audit)
    leave_halves(desk, pool, "10.0.0.0/22", "10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/23")
    assert desk.allocate(desk.request("a", cidr="10.0.0.0/23")).grant.cidr == block("10.0.0.0/23")
    check(desk.store)


@pytest.mark.parametrize("cidr", ["10.1.0.0/24", "10.0.0.0/8", "11.0.0.0/32"])
def test_an_exact_block_outside_the_pool_is_refused(desk: Desk, pool_of: MakePool, cidr: str) -> None:
    """A block that no provisioned CIDR contains is not the pool's to give."""
    pool_of("10.0.0.0/24", "10.0.2.0/24")
    with pytest.raises(CidrNotInPoolError) as refused:
        desk.allocate(desk.request("a", cidr=cidr))
    assert refused.value == CidrNotInPoolError("vpcs", block(cidr))


def test_all_provisioned_cidrs_are_used(desk: Desk, pool_of: MakePool) -> None:
    """A pool gives from each of its CIDRs, and a block never spans two of them."""
    pool = pool_of("10.0.0.0/24", "10.0.1.0/24")
    with pytest.raises(PoolExhaustedError):
        desk.allocate(desk.request("big", 23))
    given = {str(desk.allocate(desk.request(name, 24)).grant.cidr) for name in "ab"}
    assert given == {"10.0.0.0/24", "10.0.1.0/24"}
    assert desk.free(pool.pool_id) == []
    check(desk.store, canonical=True)


def test_pools_are_tried_in_order(desk: Desk, pool_of: MakePool) -> None:
    """Where several pools serve a Region, the first with room gives; all full, the first one's refusal counts."""
    scope = desk.scope()
    second = pool_of("10.1.0.0/24", name="b", scope=scope)
    first = pool_of("10.0.0.0/24", name="a", scope=scope)
    given = [desk.allocate(desk.request(name, 24)).grant.pool_id for name in ("x", "y")]
    assert given == [first.pool_id, second.pool_id]
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(desk.request("z", 24))
    assert refused.value.pool == "a"


def test_rules_hold_for_each_pool_of_its_own(desk: Desk, pool_of: MakePool) -> None:
    """A length that the first pool's rules forbid is given by the next whose rules allow it."""
    scope = desk.scope()
    pool_of("10.0.0.0/16", name="a", scope=scope, rules=AllocationRules(24, 28))
    wide = pool_of("10.1.0.0/16", name="b", scope=scope)
    assert desk.allocate(desk.request("x", 20)).grant.pool_id == wide.pool_id


def test_ipv6_is_given_like_ipv4(desk: Desk, pool_of: MakePool) -> None:
    """By length and exactly, from a pool of its own family."""
    pool = pool_of("2001:db8::/48", family=6)
    assert str(desk.allocate(desk.request("a", 64, family=6)).grant.cidr) == "2001:db8::/64"
    exact = desk.request("b", cidr="2001:db8:0:ff00::/56", family=6)
    assert str(desk.allocate(exact).grant.cidr) == "2001:db8:0:ff00::/56"
    assert desk.held(pool.pool_id) == ["2001:db8::/64", "2001:db8:0:ff00::/56"]
    check(desk.store, canonical=True)


@pytest.mark.parametrize("cidr", [None, "2001:db8::1/128"])
def test_one_address_out_of_all_of_ipv6(desk: Desk, pool_of: MakePool, cidr: str | None) -> None:
    """More halvings than one transaction takes are done in two changes, each of them whole (I1)."""
    pool = pool_of("::/0", family=6)
    grant = desk.allocate(desk.request("a", None if cidr else 128, cidr=cidr, family=6)).grant
    assert str(grant.cidr) == (cidr or "::/128")
    assert len(desk.free(pool.pool_id, 6)) == 128
    check(desk.store, canonical=True)


def test_the_default_length_serves_who_says_none(desk: Desk, pool_of: MakePool) -> None:
    """Without a length the pool's default is given."""
    pool_of("10.0.0.0/16", rules=AllocationRules(16, 28, 26))
    assert desk.allocate(desk.request("a")).grant.cidr.length == 26


@pytest.mark.parametrize(("length", "cidr"), [(15, None), (29, None), (None, "10.0.0.0/29"), (None, None)])
def test_the_rules_refuse_lengths(desk: Desk, pool_of: MakePool, length: int | None, cidr: str | None) -> None:
    """A length outside the rules is refused, exact or not, and so is none where there is no default."""
    pool_of("10.0.0.0/8", rules=AllocationRules(16, 28))
    with pytest.raises(NetmaskLengthError):
        desk.allocate(desk.request("a", length, cidr=cidr))


def test_a_quota_of_allocations_is_kept(desk: Desk, pool_of: MakePool) -> None:
    """One account may hold only so many; others, and the same account after a release, may go on."""
    pool_of("10.0.0.0/16", quota=Quota(allocations=2))
    held = [desk.allocate(desk.request(name, 24)).grant for name in "ab"]
    with pytest.raises(QuotaExceededError) as refused:
        desk.allocate(desk.request("c", 24))
    assert refused.value == QuotaExceededError("vpcs", ACCOUNT, "allocations", 2)
    assert desk.allocate(desk.request("d", 24, account="444455556666")).outcome == "allocated"
    desk.release("a", held[0].allocation_id)
    assert desk.allocate(desk.request("c", 24)).outcome == "allocated"
    check(desk.store)


def test_a_quota_of_units_is_kept(desk: Desk, pool_of: MakePool) -> None:
    """One account may hold only so many addresses, to the last one."""
    pool_of("10.0.0.0/16", quota=Quota(units=257))
    desk.allocate(desk.request("a", 24))
    with pytest.raises(QuotaExceededError) as refused:
        desk.allocate(desk.request("b", 31))
    assert refused.value == QuotaExceededError("vpcs", ACCOUNT, "units", 257)
    desk.allocate(desk.request("b", 32))
    check(desk.store)


def test_a_first_order_beyond_the_quota_is_refused(desk: Desk, pool_of: MakePool) -> None:
    """An account that holds nothing is held to the quota as well."""
    pool_of("10.0.0.0/16", quota=Quota(units=255))
    with pytest.raises(QuotaExceededError):
        desk.allocate(desk.request("a", 24))


def test_an_exhausted_pool_says_what_there_is(desk: Desk, pool_of: MakePool) -> None:
    """The refusal names pool, length, the largest free block, what cools, and when that will have made room (I7)."""
    pool_of("10.0.0.0/24", cooling_seconds=60)
    held = [desk.allocate(desk.request(name, 26)).grant for name in "abc"]
    desk.release("b", held[1].allocation_id)
    desk.clock.advance(10)
    desk.release("a", held[0].allocation_id)
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(desk.request("d", 25))
    assert refused.value == PoolExhaustedError(
        pool="vpcs",
        asked=25,
        largest=block("10.0.0.192/26"),
        cooling_blocks=2,
        cooling_addresses=128,
        cooling_until=NOON + 60_000,
        provisioned=True,
        room_at=NOON + 70_000,
    )
    check(desk.store)


def test_what_cools_is_no_reason_to_wait_where_it_makes_no_room(desk: Desk, pool_of: MakePool) -> None:
    """Two halves that are not each other's, or too few addresses, will not be the block that is asked for."""
    pool_of("10.0.0.0/24", "10.0.1.0/24", cooling_seconds=60)
    held = [desk.allocate(desk.request(name, 26)).grant for name in "abcdefgh"]
    for name, place in (("a", 0), ("f", 5)):
        desk.release(name, held[place].allocation_id)
    for length, at in ((25, None), (26, NOON + 60_000)):
        with pytest.raises(PoolExhaustedError) as refused:
            desk.allocate(desk.request("x", length))
        assert (refused.value.cooling_blocks, refused.value.room_at) == (2, at)
    for name, place in (("b", 1), ("c", 2), ("d", 3), ("e", 4), ("g", 6), ("h", 7)):
        desk.release(name, held[place].allocation_id)
    for length, at in ((24, NOON + 60_000), (23, None)):
        with pytest.raises(PoolExhaustedError) as refused:
            desk.allocate(desk.request("x", length))
        assert refused.value.room_at == at


def test_a_pool_without_space_says_so(desk: Desk, pool_of: MakePool) -> None:
    """A pool to which nothing was provisioned is exhausted in a way of its own."""
    pool_of()
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(desk.request("a", 24))
    assert refused.value == PoolExhaustedError("vpcs", 24, None, 0, 0, None, provisioned=False)


def test_only_so_many_cooling_blocks_are_counted(
    desk: Desk, pool_of: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Explaining a refusal costs a bounded read."""
    monkeypatch.setattr("ipam.services.shortage.MAX_COOLING", 20)
    pool_of("10.0.0.0/24", cooling_seconds=60)
    held = [desk.allocate(desk.request(f"n{number}", 32)).grant for number in range(25)]
    for number, grant in enumerate(held):
        desk.release(f"n{number}", grant.allocation_id)
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(desk.request("big", 24))
    assert refused.value.cooling_blocks == 20


def test_what_has_cooled_is_given_when_nothing_else_is_left(desk: Desk, pool_of: MakePool) -> None:
    """I7: after its time a block is free, joined with its neighbours, without any upkeep."""
    pool_of("10.0.0.0/24", cooling_seconds=60)
    held = [desk.allocate(desk.request(name, 25)).grant for name in "ab"]
    for name, grant in zip("ab", held, strict=True):
        desk.release(name, grant.allocation_id)
    desk.clock.advance(59.999)
    with pytest.raises(PoolExhaustedError):
        desk.allocate(desk.request("c", 24))
    desk.clock.advance(0.001)
    assert desk.allocate(desk.request("c", 24)).outcome == "allocated"
    check(desk.store, canonical=True)


def test_any_number_of_cooled_blocks_is_joined_for_a_large_one(desk: Desk, pool_of: MakePool) -> None:
    """A pool whose space has all cooled is not exhausted, in however many pieces it came back."""
    pool_of("10.0.0.0/24", cooling_seconds=60)
    pieces = 2 * BATCH + 56
    held = [desk.allocate(desk.request(f"n{number}", 32)).grant for number in range(pieces)]
    for number, grant in enumerate(held):
        desk.release(f"n{number}", grant.allocation_id)
    desk.clock.advance(60)
    assert desk.allocate(desk.request("all", 24)).grant.cidr == block("10.0.0.0/24")
    check(desk.store, canonical=True)


def test_a_pool_is_not_exhausted_because_an_item_was_busy(desk: Desk, pool_of: MakePool) -> None:
    """What has cooled is given though the first try to free it met another transaction; the request waits a little."""
    pool_of("10.0.0.0/24", cooling_seconds=60)
    held = desk.allocate(desk.request("a", 24)).grant
    desk.release("a", held.allocation_id)
    desk.clock.advance(60)
    busy: list[Fault] = ["busy", "busy"]
    assert desk.another(Faulty(desk.store, iter(busy))).allocate(desk.request("b", 24)).outcome == "allocated"
    assert len(desk.clock.slept) == 2
    check(desk.store, canonical=True)


def test_a_pool_whose_cooled_blocks_stay_busy_is_not_called_exhausted(desk: Desk, pool_of: MakePool) -> None:
    """Where there may be room, the refusal is one that may pass."""
    pool_of("10.0.0.0/24", cooling_seconds=60)
    held = desk.allocate(desk.request("a", 24)).grant
    desk.release("a", held.allocation_id)
    desk.clock.advance(60)
    busy: list[Fault] = ["busy"] * 100
    with pytest.raises(ContendedError):
        desk.another(Faulty(desk.store, iter(busy))).allocate(desk.request("b", 24))
    assert desk.clock.slept


def test_an_exact_block_that_is_held_and_cools_in_part_has_no_end_of_waiting(desk: Desk, pool_of: MakePool) -> None:
    """A block of which one half cools and the other is in use is refused as in use: waiting would not help."""
    pool_of("10.0.0.0/23", cooling_seconds=3600)
    cools, stays = (desk.allocate(desk.request(name, cidr=f"10.0.{name}.0/24")).grant for name in "01")
    desk.release("0", cools.allocation_id)
    with pytest.raises(CidrNotFreeError) as refused:
        desk.allocate(desk.request("c", cidr="10.0.0.0/23"))
    assert refused.value.until is None
    desk.clock.advance(60)
    desk.release("1", stays.allocation_id)
    with pytest.raises(CidrNotFreeError) as refused:
        desk.allocate(desk.request("c", cidr="10.0.0.0/23"))
    assert refused.value.until == NOON + 3_660_000
    desk.clock.advance(3600)
    assert desk.allocate(desk.request("c", cidr="10.0.0.0/23")).outcome == "allocated"
    check(desk.store, canonical=True)


@pytest.mark.parametrize("cooling", ["10.0.0.0/24", "10.0.0.0/25", "10.0.0.0/23"])
def test_an_exact_block_waits_for_what_cools_around_or_inside_it(desk: Desk, pool_of: MakePool, cooling: str) -> None:
    """Whether the cooling block is the one asked for, a part of it or larger, the refusal says until when."""
    pool_of("10.0.0.0/22", cooling_seconds=60)
    desk.release("a", desk.allocate(desk.request("a", cidr=cooling)).grant.allocation_id)
    with pytest.raises(CidrNotFreeError) as refused:
        desk.allocate(desk.request("b", cidr="10.0.0.0/24"))
    assert refused.value.until == NOON + 60_000


def test_a_quota_that_a_release_has_made_room_in_refuses_nobody(desk: Desk, pool_of: MakePool) -> None:
    """Between the refused change and the look at the quota something was given back: the order is tried again."""
    pool_of("10.0.0.0/24", quota=Quota(allocations=1))
    held = desk.allocate(desk.request("a", 26)).grant

    class Releasing(Around):
        def quota(self, *args: Any) -> Any:
            desk.release("a", held.allocation_id)
            return self.inner.quota(*args)

    assert desk.another(Releasing(desk.store)).allocate(desk.request("b", 26)).outcome == "allocated"
    check(desk.store)


def test_a_quota_that_is_full_whenever_it_is_tried_is_not_called_exceeded(desk: Desk, pool_of: MakePool) -> None:
    """Where each look at the quota finds room and each change does not, the refusal is one that may pass."""
    pool_of("10.0.0.0/24", quota=Quota(allocations=1))
    desk.allocate(desk.request("a", 26))

    class Empty(Around):
        def quota(self, account: str, pool_id: str) -> ChangeQuota:
            return ChangeQuota(account, pool_id, 0, 0)

    with pytest.raises(ContendedError):
        desk.another(Empty(desk.store)).allocate(desk.request("b", 26))


def test_of_two_limits_the_one_that_was_met_is_named(desk: Desk, pool_of: MakePool) -> None:
    """An account with room for another allocation, but not of that size, is told of the units."""
    pool_of("10.0.0.0/24", quota=Quota(allocations=2, units=100))
    desk.allocate(desk.request("a", 26))
    with pytest.raises(QuotaExceededError) as refused:
        desk.allocate(desk.request("b", 26))
    assert refused.value == QuotaExceededError("vpcs", ACCOUNT, "units", 100)


@pytest.mark.parametrize("how", [{"pool_name": "plan"}, {}])
def test_a_level_of_the_plan_is_not_vended(desk: Desk, how: dict[str, str]) -> None:
    """A pool that others get their space from is nobody's to order a VPC from, by name or without one."""
    scope = desk.scope()
    top = desk.pool(NewPool("plan", scope), "10.0.0.0/8")
    leaf = NewPool("leaf", scope, source_pool_id=top.pool_id, locale=REGION, rules=AllocationRules(16, 28))
    desk.pool(leaf, "10.0.0.0/12")
    with pytest.raises(PermanentError):
        desk.allocate(desk.request("a", 9, **how))  # type: ignore[arg-type]
    assert desk.held(top.pool_id) == ["10.0.0.0/12"]


def test_no_pool_is_an_error_though_the_plan_was_remembered(desk: Desk, pool_of: MakePool) -> None:
    """What the remembered plan does not know is looked up anew before it is refused."""
    scope = desk.scope()
    pool_of("10.0.0.0/24", name="a", scope=scope)
    other = desk.another()
    other.allocate(desk.request("x", 26))
    with pytest.raises(NoSuchPoolError):
        other.allocate(desk.request("y", 26, pool_name="b"))
    with pytest.raises(NoPoolForRequestError):
        other.allocate(desk.request("y", 26, locale="us-east-1"))
    pool_of("10.1.0.0/24", name="b", scope=scope)
    assert other.allocate(desk.request("y", 26, pool_name="b")).outcome == "allocated"


def test_only_the_plan_as_it_is_refuses(desk: Desk, pool_of: MakePool) -> None:
    """What was provisioned since the plan was read, or a pool that was added, serves an order that would be refused."""
    scope = desk.scope()
    first = pool_of("10.0.0.0/24", name="a", scope=scope)
    other = desk.another()
    other.allocate(desk.request("x", 24))
    desk.provision(first.pool_id, "10.1.0.0/24")
    assert other.allocate(desk.request("y", cidr="10.1.0.0/24")).outcome == "allocated"
    second = pool_of("10.2.0.0/24", name="b", scope=scope)
    assert other.allocate(desk.request("z", 24)).grant.pool_id == second.pool_id
    check(desk.store, canonical=True)


def test_the_same_ask_is_answered_by_the_same_allocation(desk: Desk, pool_of: MakePool) -> None:
    """I4: however often, from whichever process, whenever it was requested, one ask has one allocation."""
    pool = pool_of("10.0.0.0/24")
    first = desk.allocate(desk.request("a", 26))
    for other, at in ((desk, NOON), (desk.another(), NOON), (desk.another(), NOON + 9000), (desk, NOON - 9000)):
        again = other.allocate(desk.request("a", 26, at=at))
        assert (again.outcome, again.grant.allocation_id) == ("kept", first.grant.allocation_id)
    assert len(desk.held(pool.pool_id)) == 1
    check(desk.store, canonical=True)


@pytest.mark.parametrize(("later", "latest"), [(0, NOON), (-5, NOON), (5, NOON + 5000)])
def test_the_latest_request_that_was_answered_is_noted(desk: Desk, pool_of: MakePool, later: int, latest: int) -> None:
    """I5: a newer request that gets the same block moves its time on, in one change; a redelivery writes nothing."""
    pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26))
    watched = Recorder(desk.store)
    at = desk.another(watched)
    for _ in range(2):
        assert at.allocate(desk.request("a", 26, at=NOON + 1000 * later)).outcome == "kept"
    assert desk.record("a").grants[0].requested == latest
    assert len(watched.committed) == (1 if later > 0 else 0)
    assert not desk.record("a").grants[0].acknowledged
    check(desk.store)


def test_an_answer_that_could_not_be_noted_is_decided_anew(desk: Desk, pool_of: MakePool) -> None:
    """I4: a Create that is answered again while its allocation goes gets a new one, and not what is gone."""
    pool = pool_of("10.0.0.0/24")
    first = desk.allocate(desk.request("a", 26)).grant
    store = Interrupted(desk.store, None, lambda: desk.release("a", first.allocation_id, at=NOON + 1000))
    again = desk.another(store).allocate(desk.request("a", 26, at=NOON + 2000))
    assert (again.outcome, again.grant.requested) == ("allocated", NOON + 2000)
    assert again.grant.allocation_id != first.allocation_id
    assert desk.held(pool.pool_id) == [str(again.grant.cidr)]
    check(desk.store)


def test_an_answer_that_is_never_noted_gives_way(desk: Desk, pool_of: MakePool) -> None:
    """After bounded tries against other requests of the owner the request ends as one that may succeed later."""
    pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26))

    class Stubborn(Around):
        def commit(self, change: Any) -> None:
            del change
            raise Conflict(())

    stubborn = desk.another(Stubborn(desk.store))
    stubborn.ports.memory.see_plan(NOON, desk.store.plan())
    with pytest.raises(ContendedError):
        stubborn.allocate(desk.request("a", 26, at=NOON + 1000))
    assert desk.record("a").grants[0].requested == NOON


def test_another_ask_of_the_same_owner_is_another_allocation(desk: Desk, pool_of: MakePool) -> None:
    """I4: an owner has one allocation for each thing that it asks for, which is what a replacement needs."""
    pool = pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26))
    assert desk.allocate(desk.request("a", 27)).outcome == "allocated"
    assert len(desk.record("a").grants) == 2
    assert len(desk.held(pool.pool_id)) == 2
    check(desk.store)


def test_an_unknown_outcome_is_found_again(desk: Desk, pool_of: MakePool) -> None:
    """I4: a request that was carried out but not answered is answered by its own allocation when it comes again."""
    pool = pool_of("10.0.0.0/24")

    class Forgetful(Around):
        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            answer = super().call(name, do, args)
            if name == "commit":
                raise OutOfTimeError
            return answer

    with pytest.raises(OutOfTimeError):
        desk.another(Forgetful(desk.store)).allocate(desk.request("a", 26))
    assert desk.allocate(desk.request("a", 26)).outcome == "kept"
    assert len(desk.held(pool.pool_id)) == 1


@pytest.mark.parametrize("change", ["full", "gone", "rules"])
def test_what_was_granted_is_kept_whatever_became_of_the_pool(desk: Desk, pool_of: MakePool, change: str) -> None:
    """I4: a redelivery is answered by its allocation even where the same order would be refused by now."""
    pool_of("10.0.0.0/24", rules=AllocationRules(24, 28), quota=Quota(allocations=1))
    request = desk.request("a", 24)
    first = desk.allocate(request)

    class Changed(Around):
        def plan(self) -> Any:
            plan = self.inner.plan()
            if change == "gone":
                plan.pools.clear()
            if change == "rules":
                for pool in plan.pools.values():
                    object.__setattr__(pool, "rules", AllocationRules(28, 28))
            return plan

    again = desk.another(Changed(desk.store)).allocate(request)
    assert (again.outcome, again.grant) == ("kept", first.grant)


def test_a_create_that_its_delete_overtook_allocates_nothing(desk: Desk, pool_of: MakePool) -> None:
    """I4: at or before the fence nothing is allocated any more; after it, again."""
    pool = pool_of("10.0.0.0/24")
    desk.abandon("a", at=NOON)
    for at in (NOON - 1000, NOON):
        with pytest.raises(SupersededError):
            desk.another().allocate(desk.request("a", 26, at=at))
    assert desk.held(pool.pool_id) == []
    assert desk.allocate(desk.request("a", 26, at=NOON + 1000)).outcome == "allocated"
    check(desk.store)


def test_a_warm_process_needs_no_read(desk: Desk, pool_of: MakePool) -> None:
    """A remembered free block of the size asked is taken in one call of the store."""
    pool_of("10.0.0.0/24")
    warm = desk.another(Recorder(desk.store))
    warm.allocate(desk.request("a", 26))
    assert isinstance(warm.store, Recorder)
    warm.store.calls.clear()
    warm.allocate(desk.request("b", 26))
    assert warm.store.calls == ["commit"]
    check(desk.store)


def test_the_first_request_of_a_process_needs_three_calls(desk: Desk, pool_of: MakePool) -> None:
    """A cold process reads the plan and the best fit, and commits."""
    pool_of("10.0.0.0/24")
    cold = Recorder(desk.store)
    desk.another(cold).allocate(desk.request("a", 26))
    assert cold.calls == ["plan", "free_blocks", "commit"]


def test_a_stale_hint_costs_one_try_and_no_wait(desk: Desk, pool_of: MakePool) -> None:
    """What is remembered but gone is forgotten at once: it is read anew, without back-off."""
    pool_of("10.0.0.0/24")
    warm = desk.another()
    warm.allocate(desk.request("a", 26))
    other = desk.another()
    taken = other.allocate(desk.request("b", 26)).grant
    assert warm.ports.memory.free_block(taken.pool_id, 4, 26) == taken.cidr
    assert warm.allocate(desk.request("c", 26)).outcome == "allocated"
    assert desk.clock.slept == []
    check(desk.store, canonical=True)


def test_a_collision_waits_by_lot_and_cuts_spares(desk: Desk, pool_of: MakePool) -> None:
    """Who lost a block to another writer waits a little and leaves exact blocks for those who come next."""
    pool = pool_of("10.0.0.0/16")
    rival = desk.another()
    store = Interrupted(desk.store, lambda: rival.allocate(desk.request("rival", 24)))
    grant = desk.another(store).allocate(desk.request("a", 24)).grant
    assert len(desk.clock.slept) == 1
    assert str(grant.cidr) != "10.0.0.0/24"
    assert len(desk.held(pool.pool_id)) == 2
    check(desk.store)


def test_who_never_gets_a_block_gives_way(desk: Desk, pool_of: MakePool) -> None:
    """After bounded tries and growing waits the request ends as one that may succeed later."""
    pool_of("10.0.0.0/16")

    class Contended(Around):
        tries = 0

        def commit(self, change: Any) -> None:
            Contended.tries += 1
            raise Conflict((Refusal(change.operations[0]),))

    with pytest.raises(ContendedError) as refused:
        desk.another(Contended(desk.store)).allocate(desk.request("a", 24))
    assert refused.value == ContendedError("vpcs", MAX_ATTEMPTS)
    assert Contended.tries == MAX_ATTEMPTS == len(desk.clock.slept)


def test_a_busy_item_proves_nothing(desk: Desk, pool_of: MakePool) -> None:
    """While another transaction is under way, parts of it may show: that is a collision and no fault (I1)."""
    pool_of("10.0.0.0/24")

    class HalfDone(Around):
        tries = 0

        def commit(self, change: Any) -> None:
            HalfDone.tries += 1
            if HalfDone.tries > 1:
                return self.inner.commit(change)
            frees = [operation for operation in change.operations if isinstance(operation, PutFree)]
            taken = [operation for operation in change.operations if isinstance(operation, TakeFree)]
            raise Conflict((*(Refusal(each, busy=True) for each in taken), *map(Refusal, frees)))

    assert desk.another(HalfDone(desk.store)).allocate(desk.request("a", 26)).outcome == "allocated"
    check(desk.store)


def test_a_free_block_that_somebody_holds_is_a_fault(desk: Desk, pool_of: MakePool) -> None:
    """I1: a store that contradicts itself stops the request; it is not tried until it works."""
    pool_of("10.0.0.0/24")

    class Broken(Around):
        def commit(self, change: Any) -> None:
            raise Conflict((Refusal(change.operations[1]),))

    with pytest.raises(AssertionError, match="I1"):
        desk.another(Broken(desk.store)).allocate(desk.request("a", 24))


class Elapsed:
    """A deadline that has passed."""

    def ensure(self) -> None:
        """See the port."""
        raise OutOfTimeError


def test_nothing_is_committed_that_could_not_be_answered(desk: Desk, pool_of: MakePool) -> None:
    """The deadline is asked before the commit, and nothing is changed after it."""
    pool = pool_of("10.0.0.0/24")
    late = desk.another()
    late.deadline = Elapsed()
    with pytest.raises(OutOfTimeError):
        late.allocate(desk.request("a", 26))
    assert desk.held(pool.pool_id) == []
    assert desk.record("a").version == 0


def test_the_deadline_does_not_hold_back_what_is_there(desk: Desk, pool_of: MakePool) -> None:
    """An answer that needs no change needs no time either."""
    pool_of("10.0.0.0/30")
    first = desk.allocate(desk.request("a", 30))
    late = desk.another()
    late.deadline = Elapsed()
    assert late.allocate(desk.request("a", 30)).grant == first.grant


def test_a_region_is_served_by_its_own_pools(desk: Desk, pool_of: MakePool) -> None:
    """Without a name, only pools of the Region serve."""
    scope = desk.scope()
    pool_of("10.0.0.0/24", name="a", scope=scope, locale="us-east-1")
    here = pool_of("10.1.0.0/24", name="b", scope=scope, locale=REGION)
    assert desk.allocate(desk.request("x", 26)).grant.pool_id == here.pool_id


def leave_halves(desk: Desk, pool: Pool, whole: str, *halves: str) -> None:
    """Cut a free block as writers that collided do, and leave the pieces free."""
    from ipam.domain.change import Change, PutAudit  # noqa: PLC0415
    from ipam.services.audit import note  # noqa: PLC0415

    frees = (PutFree(pool.pool_id, block(half)) for half in halves)
    audit = PutAudit(note(desk.ports, pool.pool_id, "split", "test"))
    desk.store.commit(Change((TakeFree(pool.pool_id, block(whole)), *frees, audit)))
