"""What every store has to do, run against each of them: nothing that holds for one only is relied on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.allocation import AuditRecord
from ipam.domain.change import (
    Change,
    ChangeQuota,
    DescribeAllocation,
    DivideAllocation,
    MarkOrphan,
    Operation,
    PassAllocation,
    PutAllocation,
    PutApproval,
    PutAudit,
    PutCooling,
    PutFree,
    PutName,
    PutOwner,
    PutPending,
    PutPool,
    PutProvisioned,
    PutRound,
    PutScope,
    PutSticky,
    RemoveAllocation,
    TakeCooling,
    TakeFree,
    TakeSticky,
    UniteAllocation,
)
from ipam.domain.cidr import Cidr
from ipam.domain.orphan import Orphan, Round
from ipam.domain.owner import OwnerKey, OwnerRecord
from ipam.domain.pool import Quota
from ipam.services.choose import MAX_HALVINGS
from ipam.services.pools import NewPool
from ipam.services.ports.store import Conflict, Refusal
from tests.builders import ACCOUNT, NOON, REGION, STACK, Desk, block, blocks, owner_key
from tests.integration.store.contract import (
    GRANT,
    HOLDER,
    OWNER,
    POOL,
    PROVISIONED,
    SCOPE,
    SIX,
    B,
    P,
    allocation,
    approval,
    audit,
    commit,
    cooling,
    order,
    refused,
)
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam.services.ports.store import Store

NEW: list[Operation] = [
    PutFree(P, B),
    PutFree(P, SIX),
    PutAllocation(allocation()),
    PutAllocation(allocation(SIX)),
    PutCooling(cooling()),
    PutCooling(cooling(SIX)),
    PutSticky(HOLDER, cooling()),
    PutScope(SCOPE),
    PutPool(POOL),
    PutName("vpcs", P),
    PutProvisioned(PROVISIONED),
    PutApproval(approval()),
    PutPending(order()),
]


@pytest.mark.parametrize("operation", NEW, ids=lambda operation: type(operation).__name__)
def test_what_is_new_is_put_once(store: Store, operation: Operation) -> None:
    """A record that is there already is not put again, and the refusal names the operation (I1)."""
    commit(store, operation)
    assert refused(store, operation) == [Refusal(operation)]


def test_an_audit_record_is_put_once(store: Store) -> None:
    """What was written down is not written over (I6)."""
    record = audit(B)
    store.commit(Change((record,)))
    with pytest.raises(Conflict) as conflict:
        store.commit(Change((record,)))
    assert conflict.value.refusals == (Refusal(record),)
    assert list(store.audit(P)) == [record.record]


@pytest.mark.parametrize("cidr", [B, SIX], ids=str)
def test_a_free_block_is_taken_once(store: Store, cidr: Cidr) -> None:
    """I1: what is taken is free no more."""
    take = TakeFree(P, cidr)
    assert refused(store, take) == [Refusal(take)]
    commit(store, PutFree(P, cidr))
    commit(store, take)
    assert refused(store, take) == [Refusal(take)]
    assert list(store.all_free(P, cidr.family)) == []


@pytest.mark.parametrize("words", ["another network", "ä\n…", ""])
@pytest.mark.parametrize("tags", [(), (("team", "net"),), (("a", ""), ("b", "=,"))])
def test_only_exactly_this_allocation_is_described_anew(
    store: Store, words: str, tags: tuple[tuple[str, str], ...]
) -> None:
    """I5: its description and tags change, also to none and back, and nothing else of it; another holder's stay."""
    describe = DescribeAllocation(P, B, "alloc-a", words, tags)
    assert refused(store, describe) == [Refusal(describe)]
    commit(store, PutAllocation(allocation(allocation_id="alloc-b")), PutAllocation(allocation(SIX)))
    assert refused(store, describe) == [Refusal(describe)]
    for said in ((words, tags), ("", ()), (words, ()), ("", tags), (words, tags)):
        commit(store, DescribeAllocation(P, B, "alloc-b", *said))
        changed = replace(allocation(allocation_id="alloc-b"), description=said[0], tags=said[1])
        assert list(store.allocations(P)) == [changed, allocation(SIX)]
    commit(store, RemoveAllocation(P, B, "alloc-b"))
    assert refused(store, DescribeAllocation(P, B, "alloc-b", words, tags))


def test_a_description_is_refused_with_its_whole_change(store: Store) -> None:
    """Described and kept in one change with the owner's record: a stale record leaves the old words (I4)."""
    commit(store, PutAllocation(allocation()), PutOwner(OWNER, expires=None))
    stale = PutOwner(OWNER, expires=None)
    assert refused(store, DescribeAllocation(P, B, "alloc-a", "new"), stale) == [Refusal(stale, OWNER.stored())]


def test_only_exactly_this_allocation_is_removed(store: Store) -> None:
    """I5: the same block in the hands of somebody else is left alone."""
    remove = RemoveAllocation(P, B, "alloc-a")
    assert refused(store, remove) == [Refusal(remove)]
    commit(store, PutAllocation(allocation(allocation_id="alloc-b")))
    assert refused(store, remove) == [Refusal(remove)]
    commit(store, RemoveAllocation(P, B, "alloc-b"))
    assert list(store.allocations(P)) == []


def test_an_allocation_is_divided_by_one_pool(store: Store) -> None:
    """I3: exactly this allocation, and by one pool: whoever comes second is refused, the same pool as well."""
    divide = DivideAllocation(P, B, "alloc-a", "ipam-pool-s")
    assert refused(store, divide) == [Refusal(divide)]
    commit(store, PutAllocation(allocation(allocation_id="alloc-b")))
    assert refused(store, divide) == [Refusal(divide)]
    divide = replace(divide, allocation_id="alloc-b")
    commit(store, divide)
    assert store.allocation(P, B) == replace(allocation(allocation_id="alloc-b"), divided_by="ipam-pool-s")
    for again in (divide, replace(divide, divided_by="ipam-pool-t")):
        assert refused(store, again) == [Refusal(again)]


def test_what_is_divided_stays_with_its_holder(store: Store) -> None:
    """I3: it is neither released nor passed on while a pool divides it; afterwards it is as it was before."""
    commit(store, PutAllocation(allocation()), PutAllocation(allocation(SIX)))
    commit(store, DivideAllocation(P, B, "alloc-a", "ipam-pool-s"))
    remove = RemoveAllocation(P, B, "alloc-a")
    handed = PassAllocation(allocation(allocation_id="alloc-b"), "alloc-a")
    for operation in (remove, handed):
        assert refused(store, operation) == [Refusal(operation)]
    commit(store, DescribeAllocation(P, B, "alloc-a", "divided"))
    commit(store, UniteAllocation(P, B, "alloc-a", "ipam-pool-s"))
    assert store.allocation(P, B) == replace(allocation(), description="divided")
    commit(store, remove)
    assert list(store.allocations(P)) == [allocation(SIX)]


@pytest.mark.parametrize("wrong", [{"allocation_id": "alloc-b"}, {"divided_by": "ipam-pool-t"}, {"cidr": SIX}], ids=str)
def test_only_the_pool_that_divides_an_allocation_unites_it(store: Store, wrong: dict[str, Any]) -> None:
    """I3: another pool, another allocation, or one that none divides is left as it is; and it is united once."""
    unite = UniteAllocation(P, B, "alloc-a", "ipam-pool-s")
    assert refused(store, unite) == [Refusal(unite)]
    commit(store, PutAllocation(allocation()), PutAllocation(allocation(SIX)))
    assert refused(store, unite) == [Refusal(unite)]
    commit(store, DivideAllocation(P, B, "alloc-a", "ipam-pool-s"))
    other = replace(unite, **wrong)
    assert refused(store, other) == [Refusal(other)]
    commit(store, unite)
    assert refused(store, unite) == [Refusal(unite)]


def test_only_exactly_this_allocation_changes_hands(store: Store) -> None:
    """I1, I5: it is somebody else's in one step, with all that is said of it, if it still is what it was."""
    taken = replace(allocation(allocation_id="alloc-b"), owner=owner_key("other"), account="", description="theirs")
    handed = PassAllocation(taken, "alloc-a")
    assert refused(store, handed) == [Refusal(handed)]
    commit(store, PutAllocation(allocation(allocation_id="alloc-c")))
    assert refused(store, handed) == [Refusal(handed)]
    handed = PassAllocation(taken, "alloc-c")
    commit(store, handed)
    assert list(store.allocations(P)) == [taken]
    assert refused(store, handed) == [Refusal(handed)]


def test_a_cooling_ends_once(store: Store) -> None:
    """I7: exactly this cooling of the block, by its time, ends, and only once."""
    commit(store, PutCooling(cooling(until=NOON)))
    other = TakeCooling(cooling(until=NOON + 1))
    assert refused(store, other) == [Refusal(other)]
    after_another = TakeCooling(replace(cooling(), allocation_id="alloc-b"))
    assert refused(store, after_another) == [Refusal(after_another)]
    commit(store, TakeCooling(cooling()))
    assert refused(store, TakeCooling(cooling())) == [Refusal(TakeCooling(cooling()))]


@pytest.mark.parametrize("cidr", [B, SIX], ids=str)
def test_an_allocation_is_marked_and_unmarked(store: Store, cidr: Cidr) -> None:
    """Exactly that allocation, and nothing else of it changes; its mark goes with it."""
    mark = MarkOrphan(P, cidr, "alloc-a", Orphan(NOON, "stack-gone"))
    assert refused(store, mark) == [Refusal(mark)]
    commit(store, PutAllocation(allocation(cidr)))
    for other in (replace(mark, allocation_id="alloc-b"), replace(mark, allocation_id="alloc-b", orphan=None)):
        assert refused(store, other) == [Refusal(other)]
    commit(store, mark)
    assert list(store.allocations(P)) == [replace(allocation(cidr), orphan=mark.orphan)]
    commit(store, replace(mark, orphan=Orphan(NOON, "not-in-stack")))
    commit(store, DescribeAllocation(P, cidr, "alloc-a", "words"))
    marked = replace(allocation(cidr), description="words", orphan=Orphan(NOON, "not-in-stack"))
    assert store.allocation(P, cidr) == marked
    for _ in range(2):
        commit(store, replace(mark, orphan=None))
        assert store.allocation(P, cidr) == replace(marked, orphan=None)
    commit(store, mark)
    commit(store, RemoveAllocation(P, cidr, "alloc-a"))
    commit(store, PutAllocation(allocation(cidr, "alloc-b")))
    assert list(store.allocations(P)) == [allocation(cidr, "alloc-b")]


def test_a_round_is_gone_on_with_by_one(store: Store) -> None:
    """It is there from its first version on, and replaced over the version that was read only."""
    assert store.orphans_round() == Round()
    too_early = PutRound(Round(1, NOON))
    assert refused(store, too_early) == [Refusal(too_early)]
    commit(store, PutRound(Round(0, NOON, P, SIX)))
    assert store.orphans_round() == Round(1, NOON, P, SIX)
    again = PutRound(Round(0, NOON, P, B))
    assert refused(store, again) == [Refusal(again)]
    commit(store, PutRound(Round(1, NOON, "", None)))
    assert store.orphans_round() == Round(2, NOON)


def test_allocations_beyond_a_block(store: Store) -> None:
    """Those that come after it by address, of both families, itself not among them, whether it is there or not."""
    cidrs = [*blocks("10.0.0.0/26", "10.0.0.64/26", "10.0.0.128/25", "10.0.1.0/24"), SIX]
    commit(store, *(PutAllocation(allocation(cidr, f"alloc-{number}")) for number, cidr in enumerate(cidrs)))
    for number, cidr in enumerate(cidrs):
        assert [each.cidr for each in store.allocations_beyond(P, cidr)] == cidrs[number + 1 :]
    assert [each.cidr for each in store.allocations_beyond(P, block("10.0.0.0/24"))] == cidrs
    assert [each.cidr for each in store.allocations_beyond(P, block("10.0.0.65/32"))] == cidrs[2:]
    assert list(store.allocations_beyond("q", B)) == []


def test_whose_a_cooling_block_was_is_struck_out_once(store: Store) -> None:
    """I7: of that holder and that cooling only, and only once."""
    commit(store, PutSticky(HOLDER, cooling()))
    for other in (TakeSticky("0f", cooling()), TakeSticky(HOLDER, cooling(until=NOON + 1))):
        assert refused(store, other) == [Refusal(other)]
    take = TakeSticky(HOLDER, cooling())
    commit(store, take)
    assert refused(store, take) == [Refusal(take)]
    assert store.sticky(P, HOLDER, 0, 9) == []


def test_what_a_holder_had_comes_by_time(store: Store) -> None:
    """The last to become free first, what is due not at all, never too many, and nothing of anybody else."""
    times = [NOON - 1, NOON, NOON + 1, NOON + 2, NOON + 10**12]
    cidrs = list(block("10.0.0.0/24").subnets(28))
    had = [cooling(cidr, until) for cidr, until in zip(cidrs, times, strict=False)]
    commit(store, *(PutSticky(HOLDER, each) for each in had), PutSticky("0f", cooling(cidrs[9], NOON + 3)))
    assert store.sticky(P, HOLDER, NOON, 100) == had[:1:-1]
    assert store.sticky(P, HOLDER, NOON, 2) == had[:2:-1]
    assert store.sticky("q", HOLDER, NOON, 2) == []


# -------------------------------------------------------------------------------------------------------------- owner


def test_an_owner_is_read_as_it_was_written(store: Store) -> None:
    """Every fact of the record comes back, one version on; nobody else's record does."""
    commit(store, PutOwner(OWNER, expires=None))
    assert store.owner(OWNER.owner) == store.owner_hint(OWNER.owner) == OWNER.stored()
    assert store.owner(owner_key("other")) == OwnerRecord(owner_key("other"))
    assert store.owner_hint(owner_key("other")).version == 0


def test_the_facts_that_are_not_there_come_back_so(store: Store) -> None:
    """No fence, no grants, nothing returned: an empty record is not a missing one."""
    empty = OwnerRecord(owner_key())
    commit(store, PutOwner(empty, expires=None))
    assert store.owner(owner_key()) == empty.stored()
    commit(
        store,
        PutOwner(replace(empty, version=1, grants=(replace(GRANT, acknowledged=True, asks=(), returners=()),)), None),
    )
    (grant,) = store.owner(owner_key()).grants
    assert grant.acknowledged and grant.asks == grant.returners == ()
    held = replace(grant, expires=NOON, preview=True, vpc_ipam_allocation_id="ipam-a", passed_over=(("a", "Why"),))
    commit(store, PutOwner(replace(empty, version=2, grants=(held,)), None))
    assert store.owner(owner_key()).grants == (held,)


def test_a_decision_on_an_old_record_is_refused_with_the_current_one(store: Store) -> None:
    """I4: whoever has not seen the latest version learns it from the refusal."""
    stale = PutOwner(OWNER, expires=None)
    commit(store, stale)
    current = store.owner(OWNER.owner)
    assert refused(store, stale) == [Refusal(stale, current)]
    commit(store, PutOwner(current.fenced(NOON + 5), expires=None))
    again = PutOwner(current, expires=None)
    assert refused(store, again) == [Refusal(again, current.fenced(NOON + 5).stored())]


def test_a_record_that_was_forgotten_is_refused_without_one(store: Store) -> None:
    """I4: a version of a record that is not there any more is old as well."""
    ghost = PutOwner(replace(OWNER, version=7), expires=None)
    assert refused(store, ghost) == [Refusal(ghost, None)]


def test_the_owners_of_a_stack_are_read_together(store: Store) -> None:
    """All records of a stack, in the order of their names, and no other stack's."""
    for name, stack in (("b", STACK), ("a", STACK), ("a", STACK + "0")):
        commit(store, PutOwner(OwnerRecord(OwnerKey(stack, name)), expires=None))
    assert [record.owner for record in store.owners(STACK)] == [OwnerKey(STACK, "a"), OwnerKey(STACK, "b")]
    assert store.owners_hint(STACK) == store.owners(STACK)
    assert store.owners("arn:none") == store.owners_hint("arn:none") == []


def test_an_expiry_is_no_part_of_the_record(store: Store) -> None:
    """When the store may forget a record is its own business, and is gone with the next version."""
    commit(store, PutOwner(OwnerRecord(owner_key()), expires=4_000_000_000))
    record = store.owner(owner_key())
    assert record == OwnerRecord(owner_key(), 1)
    commit(store, PutOwner(record, expires=None))
    assert store.owner(owner_key()).version == 2


# -------------------------------------------------------------------------------------------------------------- quota


def test_a_quota_is_counted_up_and_down(store: Store) -> None:
    """Who has no count holds nothing; each change adds to it, far beyond what a machine word holds."""
    assert store.quota(ACCOUNT, P) == ChangeQuota(ACCOUNT, P, 0, 0)
    commit(store, ChangeQuota(ACCOUNT, P, 1, 1 << 64))
    commit(store, ChangeQuota(ACCOUNT, P, 1, 3))
    commit(store, ChangeQuota(ACCOUNT, P, -1, -1))
    assert store.quota(ACCOUNT, P) == ChangeQuota(ACCOUNT, P, 1, (1 << 64) + 2)
    assert store.quota("444455556666", P).allocations == store.quota(ACCOUNT, "q").allocations == 0


@pytest.mark.parametrize(
    ("held", "allocations", "units"),
    [
        (None, 2, 500),
        (None, 1, 256),
        ((1, 256), 2, 512),
        ((1, 256), 2, None),
        ((1, 256), None, 512),
        ((9, 9), None, None),
    ],
)
def test_what_stays_within_the_limits_is_counted(
    store: Store, held: tuple[int, int] | None, allocations: int | None, units: int | None
) -> None:
    """Up to the limit itself, with or without something held, each limit by itself."""
    if held:
        commit(store, ChangeQuota(ACCOUNT, P, *held))
    commit(store, ChangeQuota(ACCOUNT, P, 1, 256, allocations, units))
    assert store.quota(ACCOUNT, P).allocations == (held or (0, 0))[0] + 1


@pytest.mark.parametrize(
    ("held", "allocations", "units"),
    [
        (None, 0, None),
        (None, None, 255),
        (None, 5, 255),
        ((1, 256), 1, None),
        ((1, 256), None, 511),
        ((1, 256), 1, 9999),
    ],
)
def test_what_exceeds_a_limit_is_refused(
    store: Store, held: tuple[int, int] | None, allocations: int | None, units: int | None
) -> None:
    """One too many of either refuses the change, also for who holds nothing yet."""
    if held:
        commit(store, ChangeQuota(ACCOUNT, P, *held))
    change = ChangeQuota(ACCOUNT, P, 1, 256, allocations, units)
    assert refused(store, change) == [Refusal(change)]


# -------------------------------------------------------------------------------------------------------------- empty


def test_an_empty_store_has_nothing(store: Store) -> None:
    """Everything can be read before anything was written."""
    assert store.plan().pools == {}
    assert store.free_blocks(P, 4, 24, 10) == []
    assert store.largest_free(P, 4) is None
    assert store.free_among(P, [B]) == store.free_among(P, []) == set()
    assert not store.cooling(P, 10) and not store.cooling(P, 10, NOON) and not store.owners(STACK)
    assert not list(store.allocations(P)) and not list(store.audit(P)) and not list(store.all_free(P, 6))
    assert [store.allocation(P, B), store.lease(P, B), store.approval("approval-0")] == [None] * 3
    assert not list(store.leases(P)) and not list(store.allocations(P, B)) and not list(store.audit(P, B))
    assert not store.approvals() and not store.orders(P) and not store.quotas(ACCOUNT)


# --------------------------------------------------------------------------------------------------------- atomicity


@pytest.mark.parametrize("place", range(4))
def test_one_refusal_refuses_all(store: Store, place: int) -> None:
    """Nothing of a refused change is written, wherever in it the refusal is (I1)."""
    commit(store, PutFree(P, block("10.9.0.0/24")))
    fine: list[Operation] = [PutFree(P, B), PutAllocation(allocation(SIX)), PutOwner(OWNER, expires=None)]
    wrong = PutFree(P, block("10.9.0.0/24"))
    assert refused(store, *fine[:place], wrong, *fine[place:]) == [Refusal(wrong)]


def test_all_refusals_are_told_in_order(store: Store) -> None:
    """Whoever is refused learns everything at once (I4)."""
    commit(store, PutOwner(OWNER, expires=None), PutFree(P, B))
    operations: list[Operation] = [
        TakeFree(P, SIX),
        PutAllocation(allocation()),
        PutOwner(OWNER, expires=None),
        ChangeQuota(ACCOUNT, P, 1, 1, 0),
        PutFree(P, B),
    ]
    assert refused(store, *operations) == [
        Refusal(operations[0]),
        Refusal(operations[2], OWNER.stored()),
        Refusal(operations[3]),
        Refusal(operations[4]),
    ]


def test_a_change_of_the_largest_size(store: Store) -> None:
    """As many operations as a transaction takes are carried out together."""
    many = list(block("10.0.0.0/16").subnets(24))[:99]
    commit(store, *(PutFree(P, cidr) for cidr in many))
    assert list(store.all_free(P, 4)) == many


# --------------------------------------------------------------------------------------------------- order and range


def put_free(store: Store, cidrs: Iterable[Cidr]) -> None:
    """Make many blocks free."""
    many = list(cidrs)
    for start in range(0, len(many), 99):
        commit(store, *(PutFree(P, cidr) for cidr in many[start : start + 99]))


def test_the_best_fit_comes_first(store: Store) -> None:
    """Of one family: the smallest that is large enough, then the lowest address; never one that is too small."""
    put_free(store, blocks("10.0.0.0/8", "9.0.0.0/24", "172.16.0.0/24", "10.255.0.0/23", "11.0.0.0/25", "::/16"))
    assert store.free_blocks(P, 4, 24, 10) == blocks("9.0.0.0/24", "172.16.0.0/24", "10.255.0.0/23", "10.0.0.0/8")
    assert store.free_blocks(P, 4, 24, 2) == blocks("9.0.0.0/24", "172.16.0.0/24")
    assert store.free_blocks(P, 4, 8, 10) == blocks("10.0.0.0/8")
    assert store.free_blocks(P, 4, 7, 10) == []
    assert store.free_blocks(P, 4, 32, 1) == blocks("11.0.0.0/25")
    assert store.free_blocks(P, 6, 128, 10) == blocks("::/16")
    assert store.free_blocks("other", 4, 32, 10) == []


def test_every_size_is_ordered(store: Store) -> None:
    """From a single address to all of them, in both families, sizes sort as numbers."""
    four = [Cidr(4, 1 << (32 - length) if length else 0, length) for length in range(33)]
    six = [Cidr(6, 1 << (128 - length) if length else 0, length) for length in range(129)]
    put_free(store, [*four, *six])
    assert list(store.all_free(P, 4)) == four[::-1]
    assert list(store.all_free(P, 6)) == six[::-1]
    assert (store.largest_free(P, 4), store.largest_free(P, 6)) == (four[0], six[0])
    assert store.free_blocks(P, 6, 64, 3) == [six[64], six[63], six[62]]


def test_exact_blocks_are_found_in_any_number(store: Store) -> None:
    """More keys than one batch read takes; free ones are told, others not."""
    there = list(block("10.0.0.0/16").subnets(25))[:250]
    put_free(store, there[::2])
    assert store.free_among(P, there) == set(there[::2])
    around = [SIX.supernet(length) for length in range(121)]
    put_free(store, [around[0], around[120]])
    assert store.free_among(P, around) == {around[0], around[120]}


def test_allocations_come_by_address(store: Store) -> None:
    """IPv4 before IPv6, each as numbers and not as text."""
    cidrs = blocks("9.0.0.0/24", "10.0.0.0/24", "100.0.0.0/8", "::/64", "2001:db8::/64", "fd00::/128")
    commit(store, *(PutAllocation(allocation(cidr, str(cidr))) for cidr in cidrs[::-1]))
    assert [each.cidr for each in store.allocations(P)] == cidrs
    assert next(iter(store.allocations(P))) == allocation(cidrs[0], "9.0.0.0/24")


def test_one_allocation_is_read_by_its_block(store: Store) -> None:
    """Exactly this block of exactly this pool, with every fact that there can be."""
    full = replace(allocation(), tags=(("team", "net"),), divided_by="ipam-pool-s", vpc_ipam_allocation_id="ipam-a")
    commit(store, PutAllocation(full), PutAllocation(allocation(SIX)))
    assert store.allocation(P, B) == full
    assert store.allocation(P, SIX) == allocation(SIX)
    assert [store.allocation(P, cidr) for cidr in (B.parent, B.buddy, *B.subnets(25))] == [None] * 4
    assert store.allocation("ipam-pool-other", B) is None


@pytest.mark.parametrize(
    ("within", "neighbours"),
    [
        ("10.1.0.0/16", ["10.0.255.0/24", "10.0.255.255/32", "10.2.0.0/16", "9.0.0.0/8", "a01::/16"]),
        ("10.1.0.0/32", ["10.0.255.255/32", "10.1.0.1/32"]),
        ("255.255.255.0/24", ["255.255.254.0/24", "::/128"]),
        ("0.0.0.0/0", ["::/0"]),
        ("2001:db8:1::/48", ["2001:db8:0:ffff::/64", "2001:db8:2::/48", "32.1.13.184/32"]),
        ("ffff:ffff:ffff:ffff::/64", ["ffff:ffff:ffff:fffe::/64", "255.255.255.255/32"]),
        ("::/0", ["0.0.0.0/0", "255.255.255.255/32"]),
    ],
)
def test_the_allocations_inside_a_block_are_read(store: Store, within: str, neighbours: list[str]) -> None:
    """Itself or its parts up to the last address, by address, and neither what is beside it nor what it lies in."""
    outer = block(within)
    size = {4: 32, 6: 128}[outer.family]
    first, last = Cidr(outer.family, outer.first, size), Cidr(outer.family, outer.last, size)
    around = [] if outer.length == 0 else [outer.parent]
    commit(store, *(PutAllocation(allocation(cidr, str(cidr))) for cidr in {*blocks(*neighbours), *around}))
    assert list(store.allocations(P, outer)) == []
    inside = sorted({outer, first, last})
    commit(store, *(PutAllocation(allocation(cidr, str(cidr))) for cidr in inside[::-1]))
    assert [each.cidr for each in store.allocations(P, outer)] == inside
    assert list(store.allocations("ipam-pool-other", outer)) == []


def test_what_an_account_holds_is_read_for_all_pools(store: Store) -> None:
    """Each pool that it ever held something of, by id, also if that is nothing any more; and no other account's."""
    for account, pool_id, held in ((ACCOUNT, "q", 1), (ACCOUNT, "p", 0), ("444455556666", "p", 7)):
        commit(store, ChangeQuota(account, pool_id, held, 256 * held))
    assert store.quotas(ACCOUNT) == [ChangeQuota(ACCOUNT, "p", 0, 0), ChangeQuota(ACCOUNT, "q", 1, 256)]
    assert store.quotas("11112222333") == []


def test_cooling_comes_by_time(store: Store) -> None:
    """The next to become free first; with a time, only what is due by then, to the millisecond; never too many."""
    times = [NOON - 10**12, NOON - 1, NOON, NOON + 1, NOON + 10**12]
    cidrs = list(block("10.0.0.0/24").subnets(28))
    commit(store, *(PutCooling(cooling(cidr, until)) for cidr, until in zip(cidrs, times[::-1], strict=False)))
    assert [each.until for each in store.cooling(P, 100)] == times
    assert [each.until for each in store.cooling(P, 100, NOON)] == times[:3]
    assert [each.until for each in store.cooling(P, 2, NOON)] == times[:2]
    assert store.cooling(P, 100, 0) == []
    assert store.cooling(P, 1)[0] == cooling(cidrs[4], times[0])


def test_the_largest_free_block_is_of_its_family(store: Store) -> None:
    """The other family's blocks are another matter."""
    put_free(store, blocks("10.0.0.0/24", "10.1.0.0/16", "::/8"))
    assert store.largest_free(P, 4) == block("10.1.0.0/16")
    assert store.largest_free(P, 6) == block("::/8")


def test_audit_comes_by_block_and_time(store: Store) -> None:
    """Records of no block first, then each block's own history in order, with every fact."""
    records = [
        AuditRecord(P, None, NOON, "fenced", "", owner_key(), ACCOUNT, "Delete r-1", "00000001"),
        AuditRecord(P, B, NOON, "allocated", "alloc-a", owner_key(), ACCOUNT, "Create r-1", "00000009"),
        AuditRecord(P, B, NOON + 1, "cooled", "alloc-a", None, "", "reclaim", "00000000", "a note: a -> b"),
        AuditRecord(P, SIX, NOON - 1, "released", "alloc-b", owner_key("#odd#"), "", "", "00000000"),
    ]
    store.commit(Change(tuple(PutAudit(record) for record in records[::-1])))
    assert list(store.audit(P)) == records


def test_the_history_of_one_block_is_read(store: Store) -> None:
    """Its own records by time, and not those of no block, of what it lies in, or of what lies in it."""
    records = [
        AuditRecord(P, cidr, at, "split", "", None, "", "", f"{at}")
        for cidr in (None, B.parent, B, B.buddy, next(B.subnets(25)), SIX)
        for at in (NOON, NOON + 1)
    ]
    store.commit(Change(tuple(PutAudit(record) for record in records)))
    for cidr in (B, SIX):
        assert list(store.audit(P, cidr)) == [record for record in records if record.cidr == cidr]
    assert list(store.audit("other", B)) == list(store.audit(P, SIX.parent)) == []


# ------------------------------------------------------------------------------------------------------------- paging


def test_more_than_a_page_is_read_to_the_end(store: Store) -> None:
    """Beyond the 1 MB of one answer nothing is lost, doubled or out of order; a limit is still one page."""
    long = "x" * 4000
    cidrs = list(block("10.0.0.0/16").subnets(25))[:300]
    for start in range(0, len(cidrs), 60):
        puts = [
            PutAllocation(replace(allocation(cidr, str(cidr)), description=long)) for cidr in cidrs[start : start + 60]
        ]
        commit(store, *puts, *(PutFree(P, cidr) for cidr in cidrs[start : start + 30]))
    assert [each.cidr for each in store.allocations(P)] == cidrs
    assert len(list(store.all_free(P, 4))) == 150
    assert len(store.free_blocks(P, 4, 32, 24)) == 24


def test_many_free_blocks_are_read_to_the_end(store: Store) -> None:
    """Free blocks whose keys alone fill more than a page are all read, smallest and lowest first."""
    pool_id = "p" * 2000
    cidrs = list(block("10.0.0.0/16").subnets(27))[:600]
    for start in range(0, len(cidrs), 99):
        commit(store, *(PutFree(pool_id, cidr) for cidr in cidrs[start : start + 99]))
    pages: list[str] = []
    if isinstance(store, DynamoDbStore):
        store._client.meta.events.register("before-call.dynamodb.Query", lambda model, **_: pages.append(model.name))
    assert list(store.all_free(pool_id, 4)) == cidrs
    assert len(pages) == (2 if isinstance(store, DynamoDbStore) else 0)


# ------------------------------------------------------------------------------------------------------- all together


def test_the_services_work_on_it(store: Store) -> None:
    """A day of orders: provisioned, allocated, verified, replaced, released, cooled and reclaimed (I1 to I7)."""
    desk = Desk(store)
    new = NewPool("vpcs", desk.scope(), locale=REGION, cooling_seconds=60, quota=Quota(allocations=3))
    pool = desk.pool(new, "10.0.0.0/24")
    six = desk.pool(replace(new, name="six", family=6, cooling_seconds=0), "2001:db8::/32")
    held = [desk.allocate(desk.request(name, 26)).grant for name in "abc"]
    single = desk.allocate(desk.request("s", 128, family=6)).grant
    assert MAX_HALVINGS < 128 - 32
    check(store, canonical=True)
    desk.release("a", held[0].allocation_id)
    desk.release("s", single.allocation_id)
    check(store)
    desk.clock.advance(60)
    desk.reclaim(pool.pool_id)
    desk.reclaim(six.pool_id, 6)
    assert desk.free(six.pool_id, 6) == ["2001:db8::/32"]
    assert desk.free(pool.pool_id) == ["10.0.0.0/26", "10.0.0.192/26"]
    desk.allocate(desk.request("d", cidr="10.0.0.192/26"))
    check(store, canonical=True)
