from __future__ import annotations

import pytest
from hypothesis import given

from ipam.domain.allocation import Allocation, AuditRecord, CoolingBlock, Lease
from ipam.domain.change import (
    MAX_OPERATIONS,
    Change,
    ChangeQuota,
    DescribeAllocation,
    DivideAllocation,
    EndLease,
    Operation,
    PassAllocation,
    PutAllocation,
    PutAudit,
    PutCooling,
    PutFree,
    PutProvisioned,
    PutScope,
    RemoveAllocation,
    RemoveProvisioned,
    RemoveScope,
    SetLease,
    TakeCooling,
    TakeFree,
    TouchPool,
)
from ipam.domain.cidr import Cidr
from ipam.domain.free_space import remainders
from ipam.domain.pool import ProvisionedCidr, Scope
from tests.builders import ACCOUNT, NOON, block, owner_key
from tests.strategies import parts

AUDIT = PutAudit(AuditRecord("p", None, NOON, "allocated", "", None, "", "test", "0"))


def held(cidr: Cidr, pool_id: str = "p") -> PutAllocation:
    """Give a block to somebody."""
    return PutAllocation(Allocation("a", pool_id, cidr, owner_key(), ACCOUNT, "vpc", "", NOON))


B = block("10.0.0.0/24")
SCOPE = Scope("p", "corporate", "private", "", NOON)
PROVISIONED = ProvisionedCidr("p", B, "a", NOON)
LEASE = Lease("p", B, "a", owner_key(), ACCOUNT, NOON)


def test_a_change_without_an_audit_record_cannot_be_made() -> None:
    """I6: what is not written down is not done."""
    with pytest.raises(AssertionError, match="I6"):
        Change((DescribeAllocation("p", block("10.0.0.0/24"), "a", "words"),))


@pytest.mark.parametrize(
    "operations",
    [
        (TakeFree("p", block("10.0.0.0/24")),),
        (PutFree("p", block("10.0.0.0/24")),),
        (TakeFree("p", block("10.0.0.0/24")), PutFree("q", block("10.0.0.0/24"))),
        (TakeFree("p", block("10.0.0.0/24")), PutFree("p", block("10.0.0.0/25"))),
        (TakeFree("p", block("10.0.0.0/24")), held(block("10.0.1.0/24"))),
        (RemoveAllocation("p", block("10.0.0.0/24"), "a"), PutFree("p", block("10.0.0.0/23"))),
        (TakeCooling(CoolingBlock("p", block("10.0.0.0/24"), NOON, "a")), PutFree("p", block("::/24"))),
        (PutProvisioned(PROVISIONED),),
        (RemoveProvisioned(PROVISIONED),),
        (RemoveProvisioned(PROVISIONED), TakeFree("p", block("10.0.0.0/25"))),
        (RemoveProvisioned(PROVISIONED), TakeFree("parent", block("10.0.0.0/24"))),
        (RemoveProvisioned(PROVISIONED), TakeFree("p", block("10.0.0.0/24")), RemoveAllocation("parent", B, "a")),
        (RemoveScope(SCOPE),),
        (RemoveScope(SCOPE), TakeFree("p", block("0.0.0.0/0"))),
        (RemoveScope(SCOPE), TakeFree("p", block("::/0")), TakeFree("p", block("0.0.0.0/1"))),
        (PassAllocation(held(B).allocation, "b"), PutFree("p", B)),
    ],
)
def test_a_change_that_loses_or_invents_addresses_cannot_be_made(operations: tuple[Operation, ...]) -> None:
    """I1: what a change removes from a pool covers the same addresses as what it puts in place."""
    with pytest.raises(AssertionError, match="I1"):
        Change((*operations, AUDIT))


def test_a_change_that_covers_an_address_twice_cannot_be_made() -> None:
    """I1: blocks that a change puts in place do not overlap."""
    twice = (PutFree("p", block("10.0.0.0/24")), PutFree("p", block("10.0.0.0/25")))
    with pytest.raises(ValueError, match="two blocks cover"):
        Change((TakeFree("p", block("10.0.0.0/24")), *twice, AUDIT))
    with pytest.raises(ValueError, match="two blocks cover"):
        Change((RemoveProvisioned(PROVISIONED), PutFree("p", B), AUDIT))


@pytest.mark.parametrize(
    "operations",
    [
        (DescribeAllocation("p", block("10.0.0.0/24"), "a", "words"),),
        (ChangeQuota(ACCOUNT, "p", 1, 256),),
        (TakeFree("p", block("10.0.0.0/24")), held(block("10.0.0.0/24"))),
        (RemoveAllocation("p", block("10.0.0.0/24"), "a"), PutCooling(CoolingBlock("p", block("10.0.0.0/24"), 0, "a"))),
        (PutProvisioned(ProvisionedCidr("p", block("::/64"), "a", NOON)), PutFree("p", block("::/64"))),
        (PutScope(SCOPE), PutFree("p", block("0.0.0.0/0")), PutFree("p", block("::/0"))),
        (RemoveScope(SCOPE), TakeFree("p", block("0.0.0.0/0")), TakeFree("p", block("::/0"))),
        (RemoveProvisioned(PROVISIONED), TakeFree("p", B)),
        (
            RemoveProvisioned(PROVISIONED),
            TakeFree("p", B),
            RemoveAllocation("parent", B, "a"),
            PutCooling(CoolingBlock("parent", B, NOON, "a")),
        ),
        (DivideAllocation("parent", B, "a", "p"), PutProvisioned(PROVISIONED), PutFree("p", B)),
        (PassAllocation(held(B).allocation, "b"),),
        (SetLease(LEASE), EndLease("p", B, "a"), TouchPool("p")),
    ],
)
def test_a_change_that_keeps_the_partition_can_be_made(operations: tuple[Operation, ...]) -> None:
    """I1: any exchange of blocks for others of the same addresses is a change."""
    change = Change((*operations, AUDIT))
    assert change.operations == (*operations, AUDIT)


@given(parts())
def test_any_cut_keeps_the_partition_and_half_of_one_does_not(pair: tuple[Cidr, Cidr]) -> None:
    """I1: leaving out any one of the blocks that a cut leaves is noticed."""
    whole, part = pair
    rest = [PutFree("p", cidr) for cidr in remainders(whole, part)][: MAX_OPERATIONS - 3]
    if len(rest) == part.length - whole.length:
        assert Change((TakeFree("p", whole), held(part), *rest, AUDIT)).operations
    if rest:
        with pytest.raises(AssertionError, match="I1"):
            Change((TakeFree("p", whole), held(part), *rest[:-1], AUDIT))


def test_a_change_fits_one_transaction() -> None:
    """More operations than DynamoDB takes at once are never sent."""
    many = tuple(DescribeAllocation("p", Cidr(4, number, 32), "a", "words") for number in range(MAX_OPERATIONS - 1))
    assert len(Change((*many, AUDIT)).operations) == MAX_OPERATIONS
    with pytest.raises(AssertionError, match="does not fit"):
        Change((*many, DescribeAllocation("p", block("10.0.0.0/8"), "a", "words"), AUDIT))
