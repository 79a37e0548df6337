from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.adapters.dynamodb import attributes, block_items, keys, plan_items, request_items
from ipam.adapters.memory.store import MemoryStore
from ipam.domain.allocation import (
    Allocation,
    Approval,
    AuditEvent,
    AuditRecord,
    CoolingBlock,
    Decision,
    Lease,
    PendingOrder,
)
from ipam.domain.attempt import Attempt, Kind
from ipam.domain.change import ChangeQuota
from ipam.domain.orphan import Orphan, OrphanReason, Round
from ipam.domain.owner import Grant, OwnerKey, OwnerRecord
from ipam.domain.pool import (
    AllocationRules,
    AllocationType,
    Pool,
    ProvisionedCidr,
    Quota,
    Scope,
    ScopeType,
    SourceResource,
    Strategy,
)
from ipam.domain.tenant import Standing, Tenant
from ipam.services.pools import NewPool
from tests.builders import ACCOUNT, NOON, REGION, Desk, block, owner_key
from tests.strategies import cidrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.adapters.dynamodb.attributes import Item

ids = st.text("0123456789abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
times = st.integers(0, 10**14 - 1)
counts = st.integers(0, 10**38 - 1)
lengths = st.none() | st.integers(0, 128)
tags = st.lists(st.tuples(names, texts), max_size=3).map(tuple)
blocks = st.lists(cidrs(), max_size=3).map(tuple)
words = st.lists(names, max_size=3).map(tuple)


def records(kind: type, /, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw records; a field that nobody says how to draw, such as a new one, is a mistake."""
    assert {field.name for field in dataclasses.fields(kind)} == set(values), f"the fields of {kind.__name__}"
    return st.builds(kind, **values)


owners = records(OwnerKey, party=names, name=names)
scopes = records(
    Scope,
    scope_id=ids,
    name=names,
    scope_type=st.sampled_from(get_args(ScopeType)),
    description=texts,
    created=times,
    tags=tags,
    is_default=st.booleans(),
    version=counts,
)
rules = records(
    AllocationRules,
    min_netmask_length=lengths,
    max_netmask_length=lengths,
    default_netmask_length=lengths,
    required_tags=tags,
    allowed_cidrs=blocks,
    disallowed_cidrs=blocks,
    approval_netmask_length=lengths,
    lease_seconds=st.none() | counts,
    strategy=st.sampled_from(get_args(Strategy)),
)
quotas = records(Quota, allocations=st.none() | counts, units=st.none() | counts)
pools = records(
    Pool,
    pool_id=ids,
    scope_id=ids,
    source_pool_id=st.none() | ids,
    name=names,
    family=st.sampled_from((4, 6)),
    locale=texts,
    description=texts,
    allocation_types=st.frozensets(st.sampled_from(get_args(AllocationType))),
    rules=rules,
    quota=quotas,
    cooling_seconds=counts,
    created=times,
    tags=tags,
    shared_with=words,
    source_resource=st.none() | records(SourceResource, resource_id=names, owner=texts, region=texts),
    vpc_ipam_pool_id=texts,
    auto_import=st.booleans(),
    sticky=st.booleans(),
    version=counts,
)
tenants = records(
    Tenant,
    account=ids,
    name=texts,
    unit=texts,
    standing=st.sampled_from(get_args(Standing)),
    quotas=st.lists(st.tuples(ids, quotas), max_size=3).map(tuple),
    generation=counts,
    previous_until=st.none() | times,
    left=st.none() | times,
    created=times,
    version=counts,
)
provisioned = records(ProvisionedCidr, pool_id=ids, cidr=cidrs(), allocation_id=texts, created=times, claimant=texts)
orphans = records(Orphan, since=times, why=st.sampled_from(get_args(OrphanReason)))
rounds = records(Round, version=counts, began=times, pool_id=texts, after=st.none() | cidrs())
allocations = records(
    Allocation,
    allocation_id=names,
    pool_id=ids,
    cidr=cidrs(),
    owner=owners,
    account=texts,
    allocation_type=st.sampled_from(get_args(AllocationType)),
    description=texts,
    created=times,
    tags=tags,
    divided_by=texts,
    vpc_ipam_allocation_id=texts,
    orphan=st.none() | orphans,
)
cooling = records(
    CoolingBlock, pool_id=ids, cidr=cidrs(), until=times, allocation_id=texts, vpc_ipam_allocation_id=texts
)
leases = records(
    Lease,
    pool_id=ids,
    cidr=cidrs(),
    allocation_id=names,
    owner=owners,
    account=texts,
    until=times,
    preview=st.booleans(),
    warned=st.booleans(),
    ended=st.booleans(),
)
approvals = records(
    Approval,
    approval_id=ids,
    owner=owners,
    account=texts,
    pool_id=ids,
    netmask_length=st.integers(0, 128),
    description=texts,
    asked=times,
    until=times,
    decision=st.sampled_from(get_args(Decision)),
    decided_by=texts,
    note=texts,
    event=texts,
)
orders = records(PendingOrder, pool_id=ids, token=names, owner=owners, account=texts, ordered=times)
audits = records(
    AuditRecord,
    subject=names,
    cidr=st.none() | cidrs(),
    at=times,
    event=st.sampled_from(get_args(AuditEvent)),
    allocation_id=texts,
    owner=st.none() | owners,
    account=texts,
    cause=texts,
    serial=ids,
    note=texts,
)
attempts = records(
    Attempt,
    at=times,
    account=st.just("") | ids,
    kind=st.sampled_from(get_args(Kind)),
    reason=texts,
    request_type=texts,
    resource_type=texts,
    stack_id=texts,
    logical_resource_id=texts,
    request_id=texts,
    aws_request_id=texts,
    number=counts,
)
grants = records(
    Grant,
    allocation_id=names,
    asks=words,
    pool_id=ids,
    cidr=cidrs(),
    created=times,
    requested=times,
    by_create=st.booleans(),
    acknowledged=st.booleans(),
    returners=words,
    expires=st.none() | times,
    preview=st.booleans(),
    vpc_ipam_allocation_id=texts,
    passed_over=st.lists(st.tuples(names, names), max_size=3).map(tuple),
    resumed=times,
)
holders = records(
    OwnerRecord,
    owner=owners,
    version=counts,
    fence=st.none() | times,
    grants=st.lists(grants, max_size=3).map(tuple),
    returned=words,
)

RECORDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Item], Callable[[Item], Any]]] = {
    "scope": (scopes, plan_items.from_scope, plan_items.to_scope),
    "pool": (pools, plan_items.from_pool, plan_items.to_pool),
    "tenant": (tenants, plan_items.from_tenant, plan_items.to_tenant),
    "provisioned": (provisioned, plan_items.from_provisioned, plan_items.to_provisioned),
    "allocation": (allocations, block_items.from_allocation, block_items.to_allocation),
    "cooling": (cooling, block_items.from_cooling, block_items.to_cooling),
    "lease": (leases, block_items.from_lease, block_items.to_lease),
    "approval": (approvals, request_items.from_approval, request_items.to_approval),
    "order": (orders, request_items.from_order, request_items.to_order),
    "audit": (audits, request_items.from_audit, request_items.to_audit),
    "attempt": (attempts, request_items.from_attempt, request_items.to_attempt),
}

APPROVAL = Approval(
    "approval-0", owner_key(), ACCOUNT, "ipam-pool-0", 12, "a large one", NOON, NOON + 1, event="https://signed.example"
)


def plain(item: Item) -> None:
    """Assert that each value is one that DynamoDB takes: the keys are texts that are not empty."""
    assert item["PK"]["S"] and item["SK"]["S"]
    for value in item.values():
        typed(value)


def typed(value: dict[str, Any]) -> None:
    """Assert that an attribute value is what it says to be, all the way down."""
    ((kind, content),) = value.items()
    assert type(content).__name__ == {"S": "str", "N": "str", "BOOL": "bool", "L": "list", "M": "dict"}[kind]
    parts: list[Any] = list(content.values()) if kind == "M" else content if kind == "L" else []
    for part in parts:
        typed(part)


@pytest.mark.parametrize("kind", RECORDS)
@given(data=st.data())
def test_a_record_is_read_as_it_was_written(kind: str, data: st.DataObject) -> None:
    """Every field comes back, set or not, whatever it holds, and nothing is written that DynamoDB does not take."""
    drawn, write, read = RECORDS[kind]
    record = data.draw(drawn)
    item = write(record)
    plain(item)
    assert read(item) == record


@given(holders, st.none() | times)
def test_an_owner_record_is_read_as_it_was_written(record: OwnerRecord, expires: int | None) -> None:
    """Every field of its grants comes back, one version on; when the store may forget it is no part of it."""
    item = request_items.from_owner(record, expires)
    plain(item)
    assert request_items.to_owner(item) == record.stored()
    assert (keys.TIME_TO_LIVE in item) == (expires is not None)


@given(ids, names, counts, counts)
def test_a_quota_is_read_by_its_key(account: str, pool_id: str, held: int, size: int) -> None:
    """Account and pool are in the key, the counts beside it."""
    item = attributes.key_of(keys.quota(account, pool_id)) | {
        "allocations": {"N": str(held)},
        "units": {"N": str(size)},
    }
    assert block_items.to_quota(item) == ChangeQuota(account, pool_id, held, size)


@given(texts, tags)
def test_a_description_is_what_the_allocation_has(description: str, with_tags: tuple[tuple[str, str], ...]) -> None:
    """What an allocation is described with is written as it is when it is made so."""
    made = Allocation("a", "p", block("10.0.0.0/24"), owner_key(), "", "vpc", description, NOON, with_tags)
    item = block_items.from_allocation(made)
    assert block_items.description_of(description, with_tags) == {
        name: item[name] for name in ("description", "tags") if name in item
    }


@given(rounds)
def test_a_round_is_read_as_it_was_written(progress: Round) -> None:
    """Every field comes back, one version on."""
    item = block_items.from_round(progress)
    plain(item)
    assert block_items.to_round(item) == dataclasses.replace(progress, version=progress.version + 1)


@given(cooling)
def test_what_cools_is_read_from_whose_it_was(cools: CoolingBlock) -> None:
    """All of a block comes back but what ties it to Amazon VPC IPAM; it is forgotten when it has cooled."""
    item = block_items.from_sticky("0f", cools)
    plain(item)
    assert block_items.to_sticky(item) == dataclasses.replace(cools, vpc_ipam_allocation_id="")
    assert cools.until < int(item[keys.TIME_TO_LIVE]["N"]) * 1000 <= cools.until + 1000


def test_an_approval_never_shows_its_event() -> None:
    """The event holds a pre-signed URL: it is kept, and in no way to write an approval out."""
    assert request_items.to_approval(request_items.from_approval(APPROVAL)).event == APPROVAL.event
    assert all("signed" not in shown for shown in (repr(APPROVAL), str(APPROVAL), f"{APPROVAL}", f"{[APPROVAL]}"))


def test_an_approval_is_forgotten_long_after_it_is_too_late() -> None:
    """Its life ends thirty days after the time for an answer, in seconds of the epoch."""
    item = request_items.from_approval(APPROVAL)
    assert int(item[keys.TIME_TO_LIVE]["N"]) == APPROVAL.until // 1000 + 30 * 86400


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": ""}, 0),
        ({"S": "abc"}, 3),
        ({"S": "ä€"}, 5),
        ({"N": "7"}, 2),
        ({"N": "27"}, 2),
        ({"N": "123"}, 3),
        ({"N": "-123"}, 3),
        ({"N": "1800000000000"}, 2),
        ({"N": "1800000000001"}, 8),
        ({"N": "0"}, 1),
        ({"BOOL": False}, 1),
        ({"L": []}, 3),
        ({"M": {}}, 3),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + (1 + 2) + (1 + 2)),
        ({"M": {"k": {"S": "ab"}, "m": {"L": [{"BOOL": True}]}}}, 3 + (1 + 1 + 2) + (1 + 1 + 3 + (1 + 1))),
    ],
)
def test_values_have_the_documented_sizes(value: dict[str, Any], size: int) -> None:
    """Strings by UTF-8 bytes, numbers a byte for two digits and one more, lists and maps 3 and 1 an element.

    Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats".
    """
    assert attributes.size({"a": value}) == 1 + size
    assert attributes.size({"": value, "name": {"S": "x"}}) == size + 5


def test_an_allocation_has_the_size_that_the_guide_gives_it() -> None:
    """Counted by hand, name and value of each attribute, from the rules of the guide."""
    allocation = Allocation(
        "ipam-pool-alloc-" + "0" * 32,
        "ipam-pool-0123456789abcdef0",
        block("10.0.0.0/24"),
        owner_key(),
        ACCOUNT,
        "vpc",
        "ä",
        NOON,
    )
    by_hand = [
        ("PK", len("USED#ipam-pool-0123456789abcdef0")),
        ("SK", len("4#0a000000#024")),
        ("allocation_id", 48),
        ("cidr", len("10.0.0.0/24")),
        ("party", len(allocation.owner.party)),
        ("owner", 3),
        ("account", 12),
        ("allocation_type", 3),
        ("description", 2),
        ("created", 2),
    ]
    assert attributes.size(block_items.from_allocation(allocation)) == sum(len(name) + size for name, size in by_hand)


def test_an_owner_record_fits_one_write_unit() -> None:
    """The record of a resource in the midst of a replacement is written for one unit (goal P2)."""
    grants = tuple(
        Grant(
            f"ipam-pool-alloc-{number:032x}",
            ("0123456789abcdef",) * 2,
            "ipam-pool-0123456789abcdef0",
            block("2001:db8::/128"),
            NOON + 1,
            NOON + 1,
            by_create=True,
            returners=("DeleteCnCIDR",),
        )
        for number in range(2)
    )
    record = OwnerRecord(owner_key("CnCidr" * 5), 1, NOON + 1, grants, ())
    assert attributes.size(request_items.from_owner(record, None)) <= 1024


def test_the_memory_store_counts_what_the_table_would_charge() -> None:
    """A warm allocation of an exact fit reads nothing and writes five items twice (goals P1, P2)."""
    store = MemoryStore()
    desk = Desk(store)
    desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/24")
    desk.allocate(desk.request("a", 26))
    before = (store.consumed.requests, store.consumed.read_units, store.consumed.write_units)
    grant = desk.allocate(desk.request("b", 26)).grant
    after = (store.consumed.requests, store.consumed.read_units, store.consumed.write_units)
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 0, 2 * 5]
    before = after
    desk.release("b", grant.allocation_id)
    after = (store.consumed.requests, store.consumed.read_units, store.consumed.write_units)
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 0, 2 * 5]
    assert math.isclose(store.consumed.read_units, after[1])


def test_nothing_that_is_not_set_is_stored() -> None:
    """Optional attributes that are not set are no attributes, and false and zero are set."""
    item = request_items.from_owner(OwnerRecord(owner_key(), fence=0), None)
    assert item.keys() == {"PK", "SK", "version", "fence"}
    assert request_items.to_owner(item).fence == 0
    lease = block_items.from_lease(Lease("p", block("10.0.0.0/24"), "a", owner_key(), "", 0))
    assert lease.keys() == {"PK", "SK", "cidr", "allocation_id", "party", "owner", "until"}
