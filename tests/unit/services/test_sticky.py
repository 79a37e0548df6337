"""Sticky pools: whose stack is ordered again gets its old block back while that cools."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import PutSticky, TakeCooling, TakeSticky
from ipam.domain.errors import CidrNotFreeError, PoolExhaustedError, QuotaExceededError
from ipam.domain.pool import AllocationRules, Quota
from ipam.services.deprovision import deprovision
from ipam.services.pools import edit_pool
from ipam.services.release_by_administrator import release_by_administrator
from ipam.services.upkeep import keep_up
from tests.builders import ACCOUNT, STACK, Desk, block
from tests.faults import Interrupted, Recorder
from tests.invariants import check
from tests.orders import previewed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool
    from ipam.services.request import Allocated

    MakePool = Callable[..., Pool]

AGAIN = STACK.replace("5e0a1b2c", "77777777")
"""The same stack, deleted and made anew."""

OTHER = "444455556666"
HOUR = 3600


@pytest.fixture
def pool(pool_of: MakePool) -> Pool:
    """A pool whose blocks cool an hour, of which the lowest are held by others."""
    return pool_of("10.0.0.0/24", cooling_seconds=HOUR, sticky=True)


def had(desk: Desk, length: int = 26, name: str = "Net", **facts: Any) -> Grant:
    """Let a stack have had a block, after another one took the lowest, and let that be free again."""
    first = desk.allocate(desk.request("first", length, **facts)).grant
    grant = desk.allocate(desk.request(name, length, **facts)).grant
    record = desk.record("first")
    if record.grants:
        desk.release("first", first.allocation_id)
    desk.release(name, grant.allocation_id)
    desk.clock.advance(1)
    return grant


def order(desk: Desk, length: int | None = 26, name: str = "Net", stack: str = AGAIN, **facts: Any) -> Allocated:
    """Order for the stack that was made anew."""
    return desk.allocate(desk.request(name, length, stack=stack, **facts))


def test_a_stack_made_anew_gets_its_block_back(desk: Desk, pool: Pool) -> None:
    """The same block in a new allocation: nothing of it cools any more, nobody is remembered to have had it."""
    grant = had(desk)
    again = order(desk)
    assert (again.outcome, again.grant.cidr) == ("allocated", grant.cidr)
    assert again.grant.allocation_id != grant.allocation_id
    assert desk.cooling(pool.pool_id) == ["10.0.0.0/26"]
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    check(desk.store)


def test_the_whole_change_is_one(desk: Desk, pool: Pool) -> None:
    """The cooling ends, and whose it was is struck out, in the transaction of the allocation."""
    had(desk)
    recorder = Recorder(desk.store)
    order(desk.another(recorder))
    (change,) = recorder.committed
    kinds = [type(operation).__name__ for operation in change.operations]
    assert sorted(kinds) == ["ChangeQuota", "PutAllocation", "PutAudit", "PutOwner", "TakeCooling", "TakeSticky"]
    del pool


@pytest.mark.parametrize(
    "facts",
    [
        {"name": "Other"},
        {"stack": AGAIN.replace("/net/", "/network/")},
        {"stack": AGAIN.replace(ACCOUNT, OTHER), "account": OTHER},
        {"stack": AGAIN, "account": OTHER},
        {"stack": "cli:first"},
        {"length": 27},
    ],
    ids=["resource", "stack", "account", "forged account", "no stack", "length"],
)
def test_nobody_else_gets_it(desk: Desk, pool: Pool, facts: dict[str, Any]) -> None:
    """I7: another resource, stack, account or size gets what is free, and the block goes on cooling."""
    grant = had(desk)
    again = order(desk, **facts)
    assert not again.grant.cidr.overlaps(grant.cidr)
    assert str(grant.cidr) in desk.cooling(pool.pool_id)
    check(desk.store)


def test_when_it_has_cooled_it_is_everybodys(desk: Desk, pool: Pool) -> None:
    """Beyond its time it is given as every other block is, whether upkeep has been there or not."""
    grant = had(desk)
    desk.clock.advance(HOUR)
    assert order(desk).grant.cidr != grant.cidr
    del pool


def test_a_pool_that_is_not_sticky_pays_nothing(desk: Desk, pool_of: MakePool) -> None:
    """No record of whose a block was, and no read for one."""
    pool_of("10.0.0.0/24", cooling_seconds=HOUR)
    recorder = Recorder(desk.store)
    warm = desk.another(recorder)
    grant = had(warm)
    assert order(warm).grant.cidr != grant.cidr
    assert "sticky" not in recorder.calls
    operations = [operation for change in recorder.committed for operation in change.operations]
    assert not [each for each in operations if isinstance(each, PutSticky | TakeSticky | TakeCooling)]


def test_nothing_is_remembered_where_nothing_cools(desk: Desk, pool_of: MakePool) -> None:
    """A pool without cooling gives its blocks to whoever comes first."""
    pool_of("10.0.0.0/24", sticky=True)
    recorder = Recorder(desk.store)
    had(desk.another(recorder))
    assert not [op for change in recorder.committed for op in change.operations if isinstance(op, PutSticky)]
    check(desk.store)


def test_the_exact_block_can_be_ordered_back(desk: Desk, pool: Pool) -> None:
    """By its holder, who is told by nobody then that it cools; another one is."""
    grant = had(desk)
    with pytest.raises(CidrNotFreeError):
        order(desk, None, name="Other", cidr=str(grant.cidr))
    assert order(desk, None, cidr=str(grant.cidr)).grant.cidr == grant.cidr
    check(desk.store)
    del pool


def test_an_exact_order_of_another_block_is_served(desk: Desk, pool: Pool) -> None:
    """What cools is not forced on who wants something else."""
    grant = had(desk)
    wanted = order(desk, None, cidr="10.0.0.192/26").grant
    assert str(wanted.cidr) == "10.0.0.192/26"
    assert str(grant.cidr) in desk.cooling(pool.pool_id)


def test_the_rules_of_the_pool_still_hold(desk: Desk, pool: Pool) -> None:
    """A block that the pool gives no more, it does not give back."""
    grant = had(desk)
    rules = AllocationRules(disallowed_cidrs=(grant.cidr,))
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, rules=rules), "test")
    assert order(desk.another()).grant.cidr != grant.cidr


def test_a_pool_that_is_not_sticky_any_more(desk: Desk, pool: Pool) -> None:
    """What it remembers is of no use then."""
    grant = had(desk)
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, sticky=False), "test")
    assert order(desk.another()).grant.cidr != grant.cidr


def test_a_quota_is_not_got_round(desk: Desk, pool_of: MakePool) -> None:
    """A block that is given back is counted as every other."""
    pool_of("10.0.0.0/24", cooling_seconds=HOUR, sticky=True, quota=Quota(2))
    had(desk)
    desk.allocate(desk.request("a", 28))
    desk.allocate(desk.request("b", 28))
    with pytest.raises(QuotaExceededError):
        order(desk)
    check(desk.store)


def test_a_preview_holds_no_block_that_cools(desk: Desk, pool: Pool) -> None:
    """Its token would let another stack of the account have what it never had."""
    grant = had(desk)
    held = desk.allocate(previewed(desk.request("Net", 26, stack=AGAIN))).grant
    assert held.cidr != grant.cidr
    check(desk.store)
    del pool


def test_of_several_the_last_one_comes_back(desk: Desk, pool: Pool) -> None:
    """A stack that was made anew twice had the later block last."""
    desk.allocate(desk.request("first", 26))
    one = desk.allocate(desk.request("Net", 26)).grant
    two = desk.allocate(desk.request("Net", 26, stack=AGAIN)).grant
    desk.release("Net", one.allocation_id)
    desk.clock.advance(1)
    assert release_by_administrator(desk.ports, _held(desk, pool, two), "test", desk.deadline) == "released"
    third = order(desk, stack=STACK.replace("5e0a1b2c", "88888888")).grant
    assert third.cidr == two.cidr
    fourth = order(desk, stack=STACK.replace("5e0a1b2c", "99999999")).grant
    assert fourth.cidr == one.cidr
    check(desk.store)


def _held(desk: Desk, pool: Pool, grant: Grant) -> Any:
    return desk.store.allocation(pool.pool_id, grant.cidr)


def test_what_ended_with_its_lease_comes_back(desk: Desk, pool_of: MakePool) -> None:
    """The block of a lease cools as every other."""
    kinds = frozenset({"custom"})
    rules = AllocationRules(lease_seconds=HOUR)
    pool_of("10.0.0.0/24", cooling_seconds=HOUR, sticky=True, allocation_types=kinds, rules=rules)
    desk.allocate(desk.request("first", 26, allocation_type="custom"))
    grant = desk.allocate(desk.request("Net", 26, allocation_type="custom")).grant
    for _ in range(4):
        keep_up(desk.ports, desk.deadline)
        desk.clock.advance(HOUR / 2)
    assert desk.record().grants == ()
    assert order(desk, allocation_type="custom").grant.cidr == grant.cidr
    check(desk.store)


def test_a_full_pool_still_has_it_for_its_holder(desk: Desk, pool_of: MakePool) -> None:
    """Where all else is held, the one that had it is served, and everybody else waits."""
    pool_of("10.0.0.0/26", cooling_seconds=HOUR, sticky=True)
    grant = desk.allocate(desk.request("Net", 26)).grant
    desk.release("Net", grant.allocation_id)
    with pytest.raises(PoolExhaustedError):
        order(desk, name="Other")
    assert order(desk).grant.cidr == block("10.0.0.0/26")
    check(desk.store)


def test_an_order_that_comes_again_changes_nothing(desk: Desk, pool: Pool) -> None:
    """Delivered twice, also while the first delivery is under way, it has one block (I4)."""
    grant = had(desk)
    request = desk.request("Net", 26, stack=AGAIN)
    twin = desk.another()
    first = desk.another(Interrupted(desk.store, lambda: twin.allocate(request)))
    assert (first.allocate(request).outcome, desk.held(pool.pool_id)) == ("kept", [str(grant.cidr)])
    check(desk.store)


def test_what_was_deprovisioned_meanwhile_is_not_given(desk: Desk, pool: Pool) -> None:
    """Its parent has it then, where it goes on cooling: the order gets what there is."""
    grant = had(desk)
    desk.provision(pool.pool_id, "10.0.1.0/24")
    deprovision(desk.ports, pool.pool_id, block("10.0.0.0/24"), "test", cascade=True)
    again = order(desk.another())
    assert block("10.0.1.0/24").contains(again.grant.cidr)
    assert not again.grant.cidr.overlaps(grant.cidr)
    check(desk.store)


def test_what_was_remembered_in_vain_does_not_stop_an_order(desk: Desk, pool: Pool) -> None:
    """Where the cooling was ended by somebody else at that very moment, the order gets another block."""
    grant = had(desk)

    def end() -> None:
        later = desk.another()
        later.ports.clock.advance(HOUR)  # type: ignore[attr-defined]
        later.reclaim(pool.pool_id)
        later.allocate(later.request("Fast", None, cidr=str(grant.cidr)))

    slow = desk.another(Interrupted(desk.store, end))
    assert order(slow).grant.cidr != grant.cidr
    check(desk.store)
