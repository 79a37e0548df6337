"""What the tests of the stores' contract write, and how they commit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.allocation import Allocation, Approval, AuditRecord, CoolingBlock, Lease, PendingOrder
from ipam.domain.change import Change, PutAudit
from ipam.domain.owner import Grant, OwnerRecord
from ipam.domain.pool import AllocationRules, Pool, ProvisionedCidr, Quota, Scope
from ipam.services.ports.store import Conflict
from tests.builders import ACCOUNT, NOON, REGION, STACK, block, owner_key

if TYPE_CHECKING:
    from ipam.domain.change import Operation
    from ipam.domain.cidr import Cidr, Family
    from ipam.services.ports.store import Refusal, Store

P = "ipam-pool-0123456789abcdef0"
B = block("10.0.0.0/24")
SIX = block("2001:db8:ffff:ffff:ffff:ffff:ffff:ff00/120")
SCOPE = Scope("ipam-scope-0", "corporate", "private", "all of it", NOON)
POOL = Pool(
    P,
    "ipam-scope-0",
    None,
    "vpcs",
    4,
    REGION,
    "",
    frozenset({"vpc", "subnet"}),
    AllocationRules(16, 28, 24),
    Quota(3, 1 << 70),
    0,
    NOON,
)
GRANT = Grant("alloc-a", ("ask", "other ask"), P, SIX, NOON, NOON - 1, by_create=True, returners=("d", "e"))
OWNER = OwnerRecord(owner_key(), 0, NOON, (GRANT,), ("alloc-y", "alloc-z"))

PROVISIONED = ProvisionedCidr(P, B, "alloc-p", NOON)

HOLDER = "0123456789abcdef"
"""Who had what cools."""

serials = iter(range(1_000_000))


def audit(cidr: Cidr | None = None, at: int = NOON) -> PutAudit:
    """Write a record that is different from all others."""
    return PutAudit(AuditRecord(P, cidr, at, "split", "", None, "", "test", f"{next(serials):08d}"))


def allocation(cidr: Cidr = B, allocation_id: str = "alloc-a") -> Allocation:
    """Describe an allocation."""
    return Allocation(allocation_id, P, cidr, owner_key(), ACCOUNT, "vpc", "a network", NOON)


def cooling(cidr: Cidr = B, until: int = NOON) -> CoolingBlock:
    """Describe a cooling block."""
    return CoolingBlock(P, cidr, until, "alloc-a")


def lease(cidr: Cidr = B, allocation_id: str = "alloc-a", until: int = NOON) -> Lease:
    """Describe a lease."""
    return Lease(P, cidr, allocation_id, owner_key(), ACCOUNT, until)


def approval(name: str = "approval-0") -> Approval:
    """Describe a request that waits."""
    return Approval(
        name, owner_key(), ACCOUNT, P, 12, "a large one", NOON, NOON + 60_000, event='{"RequestType": "Create"}'
    )


def order(name: str = "first", pool_id: str = P) -> PendingOrder:
    """Describe an order."""
    return PendingOrder(pool_id, name, owner_key(), ACCOUNT, NOON)


def commit(store: Store, *operations: Operation) -> None:
    """Commit operations as they are: these tests are of the store, and a change would want them to make sense."""
    change = object.__new__(Change)
    object.__setattr__(change, "operations", (*operations, audit()))
    store.commit(change)


def refused(store: Store, *operations: Operation) -> list[Refusal]:
    """Commit operations that have to be refused, and give the refusals."""
    before = content(store)
    with pytest.raises(Conflict) as conflict:
        commit(store, *operations)
    assert content(store) == before, "a refused change has changed something"
    return list(conflict.value.refusals)


def content(store: Store) -> list[object]:
    """Read all that these tests write."""
    families: tuple[Family, ...] = (4, 6)
    plan = store.plan()
    return [
        [list(store.all_free(P, family)) for family in families],
        list(store.allocations(P)),
        store.cooling(P, 1000),
        store.sticky(P, HOLDER, 0, 1000),
        store.owners(STACK),
        store.quotas(ACCOUNT),
        list(store.leases(P)),
        store.approvals(),
        store.orders(P),
        list(store.audit(P)),
        plan.scopes,
        plan.pools,
        {pool_id: plan.space(pool_id) for pool_id in plan.pools},
    ]
