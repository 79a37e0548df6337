"""What every store has to do with what waits or ends: leases, approvals, and orders that are on their way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import (
    CloseApproval,
    DecideApproval,
    EndLease,
    PutApproval,
    PutPending,
    SetLease,
    TakePending,
    UseApproval,
)
from ipam.services.ports.store import Refusal
from tests.builders import NOON, blocks, owner_key
from tests.integration.store.contract import SIX, B, P, approval, commit, lease, order, refused

if TYPE_CHECKING:
    from ipam.domain.allocation import Decision
    from ipam.services.ports.store import Store


# -------------------------------------------------------------------------------------------------------------- lease


def test_a_lease_is_read_as_it_was_set(store: Store) -> None:
    """Every fact comes back, set or not; exactly this block of exactly this pool."""
    full = replace(lease(), account="", preview=True, warned=True, ended=True)
    commit(store, SetLease(full), SetLease(lease(SIX)))
    assert (store.lease(P, B), store.lease(P, SIX)) == (full, lease(SIX))
    assert [store.lease(P, cidr) for cidr in (B.parent, B.buddy)] == [None, None]
    assert store.lease("ipam-pool-other", B) is None


def test_leases_come_by_address(store: Store) -> None:
    """IPv4 before IPv6, each as numbers and not as text; no other pool's."""
    cidrs = blocks("9.0.0.0/24", "10.0.0.0/24", "100.0.0.0/8", "::/64", "2001:db8::/64")
    other = replace(lease(), pool_id="ipam-pool-other")
    commit(store, *(SetLease(lease(cidr, str(cidr))) for cidr in cidrs[::-1]), SetLease(other))
    assert [each.cidr for each in store.leases(P)] == cidrs
    assert list(store.leases("ipam-pool-other")) == [other]


def test_a_lease_is_set_anew_by_its_allocation_only(store: Store) -> None:
    """The first lease of a block, and a later one of the same allocation; another's lease is left as it is."""
    for until in (NOON, NOON + 1, NOON - 1):
        commit(store, SetLease(lease(until=until)))
        assert list(store.leases(P)) == [lease(until=until)]
    other = SetLease(lease(allocation_id="alloc-b"))
    assert refused(store, other) == [Refusal(other)]


def test_a_lease_takes_the_place_of_exactly_the_one_before(store: Store) -> None:
    """When a block changes hands: of the allocation that had it, and not where there is none, nor twice."""
    handed = SetLease(lease(allocation_id="alloc-b"), replaces="alloc-a")
    assert refused(store, handed) == [Refusal(handed)]
    commit(store, SetLease(lease(allocation_id="alloc-c")))
    assert refused(store, handed) == [Refusal(handed)]
    handed = replace(handed, replaces="alloc-c")
    commit(store, handed)
    assert list(store.leases(P)) == [handed.lease]
    assert refused(store, handed) == [Refusal(handed)]


@pytest.mark.parametrize("until", [None, NOON])
@pytest.mark.parametrize(
    "wrong", [{"allocation_id": "alloc-b"}, {"cidr": SIX}, {"pool_id": "ipam-pool-other"}], ids=str
)
def test_only_exactly_this_lease_ends(store: Store, until: int | None, wrong: dict[str, Any]) -> None:
    """That of this allocation of this block, and only once."""
    end = EndLease(P, B, "alloc-a", until)
    assert refused(store, end) == [Refusal(end)]
    commit(store, SetLease(lease()), SetLease(lease(SIX, "alloc-s")))
    other = replace(end, **wrong)
    assert refused(store, other) == [Refusal(other)]
    commit(store, end)
    assert list(store.leases(P)) == [lease(SIX, "alloc-s")]
    assert refused(store, end) == [Refusal(end)]


@pytest.mark.parametrize("until", [NOON - 1, NOON + 1, 0])
def test_a_lease_that_was_renewed_does_not_end(store: Store, until: int) -> None:
    """Whoever ends a lease because of its time is refused if it has another by now; whoever releases is not."""
    commit(store, SetLease(lease()))
    end = EndLease(P, B, "alloc-a", until)
    assert refused(store, end) == [Refusal(end)]
    commit(store, replace(end, until=None))
    assert list(store.leases(P)) == []


# ----------------------------------------------------------------------------------------------------------- approval


def test_an_approval_is_read_as_it_was_asked_for(store: Store) -> None:
    """Every fact comes back, the event among them, whatever was decided; and all of them together, by id."""
    other = replace(approval("approval-1"), account="", description="", event="ä" * 5000)
    commit(store, PutApproval(other), PutApproval(approval()))
    assert (store.approval("approval-0"), store.approval("approval-1")) == (approval(), other)
    assert store.approval("approval-2") is None
    decided = replace(other, decision="denied", decided_by="arn:aws:iam::1:user/a", note="too large")
    commit(store, DecideApproval(decided))
    assert store.approval("approval-1") == decided
    assert store.approvals() == [approval(), decided]


@pytest.mark.parametrize("first", ["approved", "denied"])
@pytest.mark.parametrize("second", ["approved", "denied", "waiting"])
def test_an_approval_is_decided_once(store: Store, first: Decision, second: Decision) -> None:
    """A request that nobody made is not decided, and the first word stands, whatever the second says."""
    decide = DecideApproval(replace(approval(), decision=first, decided_by="one"))
    assert refused(store, decide) == [Refusal(decide)]
    commit(store, PutApproval(approval()))
    commit(store, decide)
    again = DecideApproval(replace(approval(), decision=second, decided_by="other"))
    assert refused(store, again) == [Refusal(again)]
    assert store.approvals() == [decide.approval]


@pytest.mark.parametrize("decision", ["approved", "denied"])
def test_an_approval_loses_its_event_as_it_was_decided(store: Store, decision: Decision) -> None:
    """Not before it is decided, nor as if it had been decided otherwise; the decision stays, the event is gone."""
    closed = CloseApproval(replace(approval(), decision=decision, decided_by="one", event=""))
    assert refused(store, closed) == [Refusal(closed)]
    commit(store, PutApproval(approval()))
    assert refused(store, closed) == [Refusal(closed)]
    commit(store, DecideApproval(replace(closed.approval, event=approval().event)))
    other = CloseApproval(replace(closed.approval, decision="denied" if decision == "approved" else "approved"))
    assert refused(store, other) == [Refusal(other)]
    for _ in range(2):
        commit(store, closed)
        assert store.approval("approval-0") == closed.approval


@pytest.mark.parametrize("decision", ["waiting", "denied"])
def test_what_was_not_approved_is_not_used(store: Store, decision: Decision) -> None:
    """A request that waits, or was refused, serves nothing."""
    commit(store, PutApproval(replace(approval(), decision=decision)))
    use = UseApproval("approval-0")
    assert refused(store, use) == [Refusal(use)]


def test_an_approval_is_used_once(store: Store) -> None:
    """It goes with the allocation that it serves, and serves no second one; it is of its own request only."""
    commit(store, PutApproval(approval()), PutApproval(approval("approval-1")))
    commit(store, DecideApproval(replace(approval(), decision="approved")))
    other = UseApproval("approval-1")
    assert refused(store, other) == [Refusal(other)]
    commit(store, UseApproval("approval-0"))
    assert store.approvals() == [approval("approval-1")]
    assert refused(store, UseApproval("approval-0")) == [Refusal(UseApproval("approval-0"))]


# -------------------------------------------------------------------------------------------------------------- order


def test_orders_of_a_pool_are_read(store: Store) -> None:
    """With every fact, by token; no other pool's."""
    full = replace(order("b"), owner=owner_key("#odd#"), account="")
    commit(store, PutPending(full), PutPending(order("a")), PutPending(order("a", "ipam-pool-other")))
    assert store.orders(P) == [order("a"), full]
    assert store.orders("ipam-pool-other") == [order("a", "ipam-pool-other")]


def test_an_order_is_struck_out_once(store: Store) -> None:
    """I4: exactly this one: whoever finds it struck out has no right to what comes of it."""
    take = TakePending(P, "first")
    assert refused(store, take) == [Refusal(take)]
    commit(store, PutPending(order("second")), PutPending(order("first", "ipam-pool-other")))
    assert refused(store, take) == [Refusal(take)]
    commit(store, PutPending(order()))
    commit(store, take)
    assert store.orders(P) == [order("second")]
    assert refused(store, take) == [Refusal(take)]
