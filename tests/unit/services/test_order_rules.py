"""What a pool's rules and a request's own wishes make of an order: tags, limits, the strategy, the quota."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.change import TakeFree
from ipam.domain.errors import (
    AllocationRuleError,
    CidrNotFreeError,
    MissingTagError,
    PoolExhaustedError,
    QuotaExceededError,
)
from ipam.domain.pool import AllocationRules, Quota
from ipam.services.pools import edit_pool
from tests.builders import ACCOUNT, Desk, block, blocks
from tests.faults import Interrupted, Recorder
from tests.invariants import check
from tests.orders import HOUR, limited, previewed, tagged

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]

TEAM = ("team", "a")
STAGE = ("stage", "prod")
SPARSE = AllocationRules(strategy="sparse")


def rules(*, allowed: tuple[str, ...] = (), disallowed: tuple[str, ...] = (), sparse: bool = False) -> AllocationRules:
    """Say where a pool gives blocks, and how."""
    return AllocationRules(
        allowed_cidrs=tuple(blocks(*allowed)),
        disallowed_cidrs=tuple(blocks(*disallowed)),
        strategy="sparse" if sparse else "best-fit",
    )


def change_rules(desk: Desk, pool: Pool, **facts: object) -> None:
    """Change rules of a pool, at another desk than the one that remembers them."""
    other = desk.another()
    edit_pool(other.ports, pool.pool_id, lambda old: replace(old, rules=replace(old.rules, **facts)), "test")  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------------------- tags
def test_a_required_tag_has_to_be_there_with_its_value(desk: Desk, pool_of: MakePool) -> None:
    """A resource without it, or with another value for it, is refused with what it has; others are served."""
    pool = pool_of("10.0.0.0/24", rules=AllocationRules(required_tags=(STAGE, TEAM)))
    with pytest.raises(MissingTagError) as refused:
        desk.allocate(tagged(desk.request("a", 26), TEAM))
    assert refused.value == MissingTagError("vpcs", "stage", "prod", None)
    with pytest.raises(MissingTagError) as refused:
        desk.allocate(tagged(desk.request("a", 26), TEAM, ("stage", "test")))
    assert refused.value == MissingTagError("vpcs", "stage", "prod", "test")
    more = ("cost", "7")
    desk.allocate(tagged(desk.request("a", 26), more, TEAM, STAGE))
    (allocation,) = desk.store.allocations(pool.pool_id)
    assert allocation.tags == (more, TEAM, STAGE)
    check(desk.store)


def test_a_required_tag_is_asked_of_an_exact_block_and_of_a_preview_too(desk: Desk, pool_of: MakePool) -> None:
    """However a block is asked for."""
    pool_of("10.0.0.0/24", rules=AllocationRules(required_tags=(TEAM,)))
    for request in (desk.request("a", cidr="10.0.0.0/26"), previewed(desk.request("a", 26))):
        with pytest.raises(MissingTagError):
            desk.allocate(request)


def test_an_update_of_tags_keeps_the_allocation_and_stores_them(desk: Desk, pool_of: MakePool) -> None:
    """Tags are not what is asked for (I4): another tag is another description, and no other network."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(tagged(desk.request("a", 26), TEAM)).grant
    for tags in ((STAGE,), (), (TEAM, STAGE)):
        desk.clock.advance(1)
        kept = desk.revise(tagged(desk.request("a", 26), *tags), grant.allocation_id)
        assert (kept.outcome, kept.grant.allocation_id) == ("kept", grant.allocation_id)
        (allocation,) = desk.store.allocations(pool.pool_id)
        assert allocation.tags == tags
    check(desk.store)


def test_an_older_update_does_not_bring_back_its_tags(desk: Desk, pool_of: MakePool) -> None:
    """What comes late describes nothing that a later request has described."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(tagged(desk.request("a", 26), TEAM)).grant
    early = tagged(desk.request("a", 26, at=desk.clock.now() + 1000), TEAM)
    late = tagged(desk.request("a", 26, at=desk.clock.now() + 2000), STAGE)
    desk.revise(late, grant.allocation_id)
    desk.revise(early, grant.allocation_id)
    (allocation,) = desk.store.allocations(pool.pool_id)
    assert allocation.tags == (STAGE,)


def test_a_rule_that_came_later_refuses_nothing_that_was_granted(desk: Desk, pool_of: MakePool) -> None:
    """A Create that comes again, and an Update, are answered by what is there, whatever the rules say now."""
    pool = pool_of("10.0.0.0/24")
    request = desk.request("a", 26)
    grant = desk.allocate(request).grant
    change_rules(desk, pool, required_tags=(TEAM,), disallowed_cidrs=(grant.cidr,), max_netmask_length=24)
    cold = desk.another()
    assert cold.allocate(request).grant == grant
    desk.clock.advance(1)
    assert cold.revise(desk.request("a", 26), grant.allocation_id).grant.allocation_id == grant.allocation_id
    check(desk.store)


def test_a_rule_that_is_gone_refuses_nothing_though_it_is_remembered(desk: Desk, pool_of: MakePool) -> None:
    """What a warm function refuses by the plan that it remembers is tried once more by the plan as it is."""
    pool = pool_of("10.0.0.0/24", rules=AllocationRules(required_tags=(TEAM,)))
    warm = desk.another()
    with pytest.raises(MissingTagError):
        warm.allocate(desk.request("a", 26))
    change_rules(desk, pool, required_tags=())
    assert warm.allocate(desk.request("a", 26)).outcome == "allocated"


# --------------------------------------------------------------------------------------------------------------- limits
def test_a_pool_gives_inside_its_allowed_cidrs_only(desk: Desk, pool_of: MakePool) -> None:
    """The lowest blocks inside them are given, though a better fit lies outside; then the pool is exhausted."""
    pool = pool_of("10.0.0.0/24", rules=rules(allowed=("10.0.0.64/26", "10.0.0.160/27")))
    desk.allocate(desk.request("a", 27))
    desk.allocate(desk.request("b", 27))
    desk.allocate(desk.request("c", 27))
    assert desk.held(pool.pool_id) == ["10.0.0.64/27", "10.0.0.96/27", "10.0.0.160/27"]
    with pytest.raises(PoolExhaustedError):
        desk.allocate(desk.request("d", 27))
    check(desk.store, canonical=True)


def test_a_pool_gives_nothing_that_overlaps_its_disallowed_cidrs(desk: Desk, pool_of: MakePool) -> None:
    """A single address that is not to be given keeps the whole block around it from being given."""
    pool = pool_of("10.0.0.0/24", rules=rules(disallowed=("10.0.0.7/32", "10.0.0.128/26")))
    given = [str(desk.allocate(desk.request(name, 26)).grant.cidr) for name in "ab"]
    assert given == ["10.0.0.64/26", "10.0.0.192/26"]
    with pytest.raises(PoolExhaustedError):
        desk.allocate(desk.request("c", 26))
    assert str(desk.allocate(desk.request("d", 29)).grant.cidr) == "10.0.0.8/29"
    assert "10.0.0.128/26" in desk.free(pool.pool_id)
    check(desk.store, canonical=True)


def test_the_limits_of_pool_and_request_hold_together(desk: Desk, pool_of: MakePool) -> None:
    """A block has to lie in what both allow, and beside what either disallows."""
    pool_of("10.0.0.0/22", rules=rules(allowed=("10.0.0.0/23",), disallowed=("10.0.1.0/26",)))
    both = limited(desk.request("a", 26), allowed=("10.0.1.0/24", "10.0.2.0/24"), disallowed=("10.0.1.64/32",))
    assert str(desk.allocate(both).grant.cidr) == "10.0.1.128/26"
    with pytest.raises(PoolExhaustedError):
        desk.allocate(limited(desk.request("b", 26), allowed=("10.0.2.0/23",)))
    check(desk.store, canonical=True)


def test_a_request_with_limits_uses_nothing_that_is_remembered(desk: Desk, pool_of: MakePool) -> None:
    """A free block that a warm function has seen may be the wrong one for it; afterwards others may use it."""
    pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26))
    assert (
        str(desk.allocate(limited(desk.request("b", 26), disallowed=("10.0.0.64/26",))).grant.cidr) == "10.0.0.128/26"
    )
    assert str(desk.allocate(desk.request("c", 26)).grant.cidr) == "10.0.0.64/26"
    check(desk.store, canonical=True)


def test_limits_that_are_new_hold_for_what_is_remembered(desk: Desk, pool_of: MakePool) -> None:
    """Once a process has heard of a rule, no block that it has seen before is given against it."""
    pool = pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26))
    change_rules(desk, pool, disallowed_cidrs=(block("10.0.0.64/26"),))
    desk.clock.advance(31)
    assert str(desk.allocate(desk.request("b", 26)).grant.cidr) == "10.0.0.128/26"


def test_an_exact_block_against_the_rules_of_its_pool_is_refused(desk: Desk, pool_of: MakePool) -> None:
    """The refusal names the rule, the block and what the rule says."""
    pool_of("10.0.0.0/22", rules=rules(allowed=("10.0.0.0/24", "10.0.2.0/24"), disallowed=("10.0.2.0/28",)))
    with pytest.raises(AllocationRuleError) as refused:
        desk.allocate(desk.request("a", cidr="10.0.1.0/24"))
    assert refused.value == AllocationRuleError("vpcs", "AllowedCidrs", "10.0.1.0/24", "10.0.0.0/24, 10.0.2.0/24")
    with pytest.raises(AllocationRuleError) as refused:
        desk.allocate(desk.request("a", cidr="10.0.2.0/24"))
    assert refused.value == AllocationRuleError("vpcs", "DisallowedCidrs", "10.0.2.0/24", "10.0.2.0/28")
    assert desk.allocate(desk.request("a", cidr="10.0.2.128/25")).outcome == "allocated"
    check(desk.store, canonical=True)


def test_an_exact_block_against_the_requests_own_limits_is_refused(desk: Desk, pool_of: MakePool) -> None:
    """Whoever says two things that exclude each other gets neither."""
    pool_of("10.0.0.0/22")
    with pytest.raises(AllocationRuleError):
        desk.allocate(limited(desk.request("a", cidr="10.0.1.0/24"), allowed=("10.0.2.0/24",)))
    with pytest.raises(AllocationRuleError):
        desk.allocate(limited(desk.request("a", cidr="10.0.1.0/24"), disallowed=("10.0.1.7/32",)))
    assert (
        desk.allocate(limited(desk.request("a", cidr="10.0.1.0/24"), allowed=("10.0.0.0/23",))).outcome == "allocated"
    )


def test_what_is_left_of_a_pool_outside_its_limits_is_no_room(desk: Desk, pool_of: MakePool) -> None:
    """The refusal tells the largest block that is free within the limits, and whose limits those are."""
    pool_of("10.0.0.0/24", rules=rules(allowed=("10.0.0.0/26",)), cooling_seconds=HOUR)
    held = desk.allocate(desk.request("a", 27)).grant
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(limited(desk.request("b", 26), disallowed=("10.0.0.128/25",)))
    told = refused.value
    assert (told.largest, told.limited_by, told.permitted) == (block("10.0.0.32/27"), ("request", "pool"), True)
    desk.allocate(desk.request("c", 27))
    desk.release("a", held.allocation_id)
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(desk.request("d", 27))
    told = refused.value
    assert (told.largest, told.limited_by, told.cooling_blocks) == (None, ("pool",), 1)
    assert told.room_at == told.cooling_until


@pytest.mark.parametrize(
    ("own", "pools", "whose"),
    [
        ({"allowed": ("10.0.1.0/24",)}, {}, ("request",)),
        ({"disallowed": ("10.0.0.0/24",)}, {"disallowed": ("10.0.0.7/32",)}, ("request",)),
        ({"allowed": ("10.0.0.0/25",)}, {"allowed": ("10.0.0.128/25",)}, ("request", "pool")),
        ({"allowed": ("10.0.0.0/25",)}, {"allowed": ("10.0.1.0/24",)}, ("pool",)),
        ({}, {"disallowed": ("10.0.0.0/25", "10.0.0.192/26", "10.0.0.130/32")}, ("pool",)),
    ],
)
def test_limits_that_leave_a_pool_nothing_are_the_cause(
    desk: Desk, pool_of: MakePool, own: dict[str, tuple[str, ...]], pools: dict[str, tuple[str, ...]], whose: object
) -> None:
    """However free the pool is: the refusal says so, and whose limits alone do that."""
    pool_of("10.0.0.0/24", rules=rules(**pools))  # type: ignore[arg-type]
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(limited(desk.request("a", 26), **own))
    assert (refused.value.permitted, refused.value.limited_by) == (False, whose)


def test_a_block_that_no_pool_could_have_is_not_the_limits_fault(desk: Desk, pool_of: MakePool) -> None:
    """What the pool would not have without them either is not for them to permit."""
    pool_of("10.0.0.0/24", rules=rules(allowed=("10.0.0.0/25",)))
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(desk.request("a", 23))
    assert refused.value.permitted
    assert refused.value.largest == block("10.0.0.0/25")


def test_an_update_that_excludes_the_held_block_gets_another_one(desk: Desk, pool_of: MakePool) -> None:
    """In other words, but with limits that the block keeps, it stays; against them, another one is made beside it."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.clock.advance(1)
    fits = limited(desk.request("a", 26), allowed=("10.0.0.0/25",))
    assert desk.revise(fits, grant.allocation_id).grant.allocation_id == grant.allocation_id
    desk.clock.advance(1)
    excludes = limited(desk.request("a", 26), disallowed=("10.0.0.0/28",))
    other = desk.revise(excludes, grant.allocation_id)
    assert (other.outcome, str(other.grant.cidr)) == ("allocated", "10.0.0.64/26")
    assert desk.held(pool.pool_id) == ["10.0.0.0/26", "10.0.0.64/26"]
    check(desk.store)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_far_block_of_ipv6_is_found_within_limits(desk: Desk, pool_of: MakePool, *, sparse: bool) -> None:
    """More halvings than one transaction takes, towards a block that the limits allow (I1)."""
    pool = pool_of("::/0", family=6, rules=rules(allowed=("2001:db8::/32",), sparse=sparse))
    request = limited(desk.request("a", 128, family=6), disallowed=("2001:db8::/33", "2001:db8:8000::/127"))
    assert str(desk.allocate(request).grant.cidr) == "2001:db8:8000::2/128"
    assert len(desk.free(pool.pool_id, 6)) == 128
    check(desk.store, canonical=True)


# ------------------------------------------------------------------------------------------------------------- strategy
def test_sparse_leaves_room_to_grow(desk: Desk, pool_of: MakePool) -> None:
    """Each block is given as far from the others as can be: beside each there is as much free as can be kept free."""
    pool = pool_of("10.0.0.0/24", rules=SPARSE)
    given = [str(desk.allocate(desk.request(str(number), 28)).grant.cidr) for number in range(4)]
    assert sorted(given) == sorted(["10.0.0.0/28", "10.0.0.128/28", "10.0.0.192/28", "10.0.0.64/28"])
    assert given[:2] == ["10.0.0.0/28", "10.0.0.128/28"]
    for cidr in desk.held(pool.pool_id):
        assert str(block(cidr).buddy) in desk.free(pool.pool_id)
    check(desk.store, canonical=True)


def test_best_fit_leaves_none(desk: Desk, pool_of: MakePool) -> None:
    """The other strategy keeps the large blocks whole, and blocks stand side by side."""
    pool = pool_of("10.0.0.0/24")
    for number in range(4):
        desk.allocate(desk.request(str(number), 28))
    assert desk.held(pool.pool_id) == ["10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28", "10.0.0.48/28"]


def test_sparse_fills_a_pool_to_the_last_block(desk: Desk, pool_of: MakePool) -> None:
    """There is room as long as a block of the size is free, cooled ones and previews that are over among them."""
    pool = pool_of("10.0.0.0/26", rules=SPARSE, cooling_seconds=60)
    held = [desk.allocate(desk.request(str(number), 28)).grant for number in range(3)]
    desk.allocate(previewed(desk.request("held", 28), HOUR))
    with pytest.raises(PoolExhaustedError):
        desk.allocate(desk.request("more", 28))
    desk.release("0", held[0].allocation_id)
    desk.clock.advance(HOUR)
    assert {desk.allocate(desk.request(name, 28)).outcome for name in ("more", "still more")} == {"allocated"}
    assert len(desk.held(pool.pool_id)) == 4
    check(desk.store)


def test_sparse_remembers_no_free_blocks(desk: Desk, pool_of: MakePool) -> None:
    """A block of just the size would be a warm function's first choice, and the wrong one."""
    pool_of("10.0.0.0/24", rules=SPARSE)
    first = desk.allocate(desk.request("a", 26)).grant
    assert str(first.cidr.buddy) == "10.0.0.64/26"
    assert str(desk.allocate(desk.request("b", 26)).grant.cidr) == "10.0.0.128/26"


def test_sparse_within_limits_takes_the_largest_that_is_permitted(desk: Desk, pool_of: MakePool) -> None:
    """Room to grow is kept inside what the pool may give."""
    pool_of("10.0.0.0/22", rules=rules(allowed=("10.0.1.0/24",), disallowed=("10.0.1.0/28",), sparse=True))
    given = [str(desk.allocate(desk.request(name, 28)).grant.cidr) for name in "abc"]
    assert given == ["10.0.1.16/28", "10.0.1.128/28", "10.0.1.192/28"]
    check(desk.store, canonical=True)


def test_sparse_writers_that_collide_are_both_served(desk: Desk, pool_of: MakePool) -> None:
    """Whoever loses the largest block draws lots among the others, and nobody is refused."""
    pool = pool_of("10.0.0.0/24", rules=SPARSE)
    other = desk.another()
    watched = Interrupted(desk.store, lambda: other.allocate(desk.request("b", 28)))
    assert desk.another(watched).allocate(desk.request("a", 28)).outcome == "allocated"
    assert len(desk.held(pool.pool_id)) == 2
    check(desk.store)


@pytest.mark.parametrize("length", [113, 128])
def test_sparse_opens_a_large_block_of_ipv6_once(desk: Desk, pool_of: MakePool, length: int) -> None:
    """What had to be cut first is cut from then, and not the largest block that is left (I1, I2)."""
    pool_of("2001:db8::/48", family=6, rules=SPARSE)
    watched = Recorder(desk.store)
    at = desk.another(watched)
    assert at.allocate(desk.request("a", length, family=6)).grant.cidr.length == length
    takes = [
        operation for change in watched.committed for operation in change.operations if isinstance(operation, TakeFree)
    ]
    assert len(takes) == 2
    check(desk.store, canonical=True)


def test_an_opened_block_that_somebody_takes_is_looked_for_again(desk: Desk, pool_of: MakePool) -> None:
    """Between the two changes of a far block of IPv6 another writer may take what the first one cut."""
    pool = pool_of("2001:db8::/48", family=6, rules=SPARSE)
    other = desk.another()
    part = "2001:db8::/112"
    watched = Interrupted(desk.store, None, lambda: other.allocate(desk.request("b", cidr=part, family=6)))
    grant = desk.another(watched).allocate(desk.request("a", 128, family=6)).grant
    assert not grant.cidr.overlaps(block(part))
    assert len(desk.held(pool.pool_id)) == 2
    check(desk.store)


# ---------------------------------------------------------------------------------------------------------------- quota
def test_a_preview_counts_in_the_quota_until_it_is_over(desk: Desk, pool_of: MakePool) -> None:
    """While it is held nothing more is given; when its time is over that does not wait for upkeep."""
    pool = pool_of("10.0.0.0/24", quota=Quota(allocations=1))
    desk.allocate(previewed(desk.request("held", 26), HOUR))
    with pytest.raises(QuotaExceededError):
        desk.allocate(desk.request("a", 26))
    desk.clock.advance(HOUR)
    assert desk.allocate(desk.request("a", 26)).outcome == "allocated"
    assert desk.store.quota(ACCOUNT, pool.pool_id).allocations == 1
    check(desk.store)


def test_an_exact_block_that_a_preview_held_is_given_when_that_is_over(desk: Desk, pool_of: MakePool) -> None:
    """And before that it is somebody's."""
    pool_of("10.0.0.0/24")
    held = desk.allocate(previewed(desk.request("held", 26), HOUR)).grant
    with pytest.raises(CidrNotFreeError):
        desk.allocate(desk.request("a", cidr=str(held.cidr)))
    desk.clock.advance(HOUR)
    assert desk.allocate(desk.request("a", cidr=str(held.cidr))).outcome == "allocated"
    check(desk.store)


def test_a_quota_that_a_preview_of_another_account_does_not_free_refuses(desk: Desk, pool_of: MakePool) -> None:
    """Somebody else's preview that is over makes room in the pool, and none in this account's quota."""
    pool_of("10.0.0.0/24", quota=Quota(allocations=1))
    desk.allocate(previewed(desk.request("held", 26, account="444455556666"), HOUR))
    desk.allocate(desk.request("a", 26))
    desk.clock.advance(HOUR)
    with pytest.raises(QuotaExceededError):
        desk.allocate(desk.request("b", 26))
    check(desk.store)
