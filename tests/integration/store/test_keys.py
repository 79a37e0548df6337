"""The tables in the docstring of keys.py, held against the template and against what the store sends."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from ipam.adapters.dynamodb import keys, request_items
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.allocation import Allocation, Approval, AuditRecord, CoolingBlock, Lease, PendingOrder
from ipam.domain.attempt import Attempt
from ipam.domain.change import (
    ChangeQuota,
    CloseApproval,
    DecideApproval,
    DescribeAllocation,
    DivideAllocation,
    EndLease,
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
    PutTenant,
    RemoveAllocation,
    RemoveName,
    RemovePool,
    RemoveProvisioned,
    RemoveScope,
    ReplacePool,
    ReplaceScope,
    ReplaceTenant,
    SetLease,
    TakeCooling,
    TakeFree,
    TakePending,
    TakeSticky,
    TouchPool,
    TouchScope,
    UniteAllocation,
    UseApproval,
)
from ipam.domain.orphan import Orphan, Round
from ipam.domain.owner import OwnerRecord
from ipam.domain.pool import AllocationRules, Pool, ProvisionedCidr, Quota, Scope
from ipam.domain.tenant import Tenant
from ipam.services.ports.store import Store
from tests.builders import ACCOUNT, NOON, block, owner_key
from tests.strategies import cidrs, parts

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
P = "ipam-pool-0"
B = block("10.0.0.0/24")
BLOCK = r"[46]#(?:[0-9a-f]{8}|[0-9a-f]{32})#\d{3}"
FORMS = {
    "<scope id>": r"ipam-scope-\w+",
    "<pool id>": r"ipam-pool-\w+",
    "<family>#<host bits>#<first>": r"[46]#\d{3}#(?:[0-9a-f]{8}|[0-9a-f]{32})",
    "<block>": rf"(?:{BLOCK}|-)",
    "<until>": r"\d{14}",
    "<at>": r"\d{14}",
    "<party>": r".+",
    "<name>": r".+",
    "<account>": r"\d{12}",
    "<subject>": r".+",
    "<serial>": r"[0-9a-f]+",
    "<approval id>": r"approval-\w+",
    "<token>": r".+",
    "<holder>": r"[0-9a-f]+",
    "<day>": r"\d{4}-\d\d-\d\d",
    "<slot>": r"\d{3}",
}
SCOPE = Scope("ipam-scope-0", "corporate", "private", "", NOON)
OWNER = OwnerRecord(owner_key())
ALLOCATION = Allocation("alloc-a", P, B, OWNER.owner, ACCOUNT, "vpc", "", NOON)
POOL = Pool(P, "ipam-scope-0", None, "vpcs", 4, "", "", frozenset(), AllocationRules(), Quota(), 0, NOON)
COOLING = CoolingBlock(P, B, NOON, "alloc-a")
RECORD = AuditRecord(P, B, NOON, "split", "", None, "", "", "0f")

PROVISIONED = ProvisionedCidr(P, B, "alloc-a", NOON)
LEASE = Lease(P, B, "alloc-a", OWNER.owner, ACCOUNT, NOON)
APPROVAL = Approval("approval-0", OWNER.owner, ACCOUNT, P, 12, "", NOON, NOON)
TENANT = Tenant(ACCOUNT, "shop", "", NOON)
ORDER = PendingOrder(P, "token", OWNER.owner, ACCOUNT, NOON)

OPERATIONS: dict[str, list[Operation]] = {
    "Scope": [PutScope(SCOPE), ReplaceScope(SCOPE), TouchScope(SCOPE.scope_id), RemoveScope(SCOPE)],
    "Pool": [PutPool(POOL), ReplacePool(POOL), TouchPool(P), RemovePool(P, 1)],
    "Provisioned": [PutProvisioned(PROVISIONED), RemoveProvisioned(PROVISIONED)],
    "Name": [PutName("vpcs", P), RemoveName("vpcs", P)],
    "Tenant": [PutTenant(TENANT), ReplaceTenant(TENANT)],
    "Free": [TakeFree(P, B), PutFree(P, B)],
    "Allocation": [
        PutAllocation(ALLOCATION),
        PassAllocation(ALLOCATION, "alloc-b"),
        DescribeAllocation(P, B, "alloc-a", "words"),
        DescribeAllocation(P, B, "alloc-a", "", (("team", "net"),)),
        DescribeAllocation(P, B, "alloc-a", ""),
        DivideAllocation(P, B, "alloc-a", "ipam-pool-1"),
        UniteAllocation(P, B, "alloc-a", "ipam-pool-1"),
        MarkOrphan(P, B, "alloc-a", Orphan(NOON, "stack-gone")),
        MarkOrphan(P, B, "alloc-a", None),
        RemoveAllocation(P, B, "alloc-a"),
    ],
    "Cooling": [PutCooling(COOLING), TakeCooling(COOLING)],
    "Sticky": [PutSticky("0f", COOLING), TakeSticky("0f", COOLING)],
    "Owner": [PutOwner(OWNER, expires=None), PutOwner(OWNER.stored(), expires=None)],
    "Quota": [
        ChangeQuota(ACCOUNT, P, 1, 1, 9, 9),
        ChangeQuota(ACCOUNT, P, 1, 1, 9, None),
        ChangeQuota(ACCOUNT, P, 1, 1, None, 9),
    ],
    "Audit": [PutAudit(RECORD), PutAudit(AuditRecord(P, None, NOON, "fenced", "", None, "", "", "0f"))],
    "Lease": [
        SetLease(LEASE),
        SetLease(LEASE, replaces="alloc-b"),
        EndLease(P, B, "alloc-a"),
        EndLease(P, B, "alloc-a", NOON),
    ],
    "Approval": [
        PutApproval(APPROVAL),
        DecideApproval(APPROVAL),
        CloseApproval(APPROVAL),
        UseApproval("approval-0"),
    ],
    "Order": [PutPending(ORDER), TakePending(P, "token")],
    "Round": [PutRound(Round()), PutRound(Round(1))],
}
"""Every operation, by the item that it is about."""

READS: dict[str, tuple[Any, ...]] = {
    "plan": (),
    "free_blocks": (P, 4, 24, 40),
    "largest_free": (P, 4),
    "free_among": (P, [B]),
    "all_free": (P, 4),
    "cooling": (P, 40),
    "sticky": (P, "0f", NOON, 20),
    "allocation": (P, B),
    "allocations": (P,),
    "allocations_beyond": (P, B),
    "orphans_round": (),
    "lease": (P, B),
    "leases": (P,),
    "approval": ("approval-0",),
    "approvals": (),
    "orders": (P,),
    "owner": (OWNER.owner,),
    "owner_hint": (OWNER.owner,),
    "owners": (OWNER.owner.party,),
    "owners_hint": (OWNER.owner.party,),
    "quota": (ACCOUNT, P),
    "quotas": (ACCOUNT,),
    "audit": (P,),
    "attempts": (20_833,),
}
"""Every read of the port, with what it is about."""


ATTEMPT = Attempt(NOON, ACCOUNT, "forged", "a reason", "Create", "", "", "", "", "lambda", 207)
NOTES: dict[str, Callable[[Store], object]] = {
    "Tally": lambda store: store.count_attempt(ATTEMPT),
    "Attempt": lambda store: store.keep_attempt(ATTEMPT),
}
"""What is written down by itself, and in no change, by the item that it is about."""


class Asked:
    """A table that has nothing, and notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.written: dict[str, Any] = {}

    def query(self, **request: Any) -> dict[str, Any]:
        """Find nothing."""
        self.calls.append(f"Query {self._partition(request['ExpressionAttributeValues'][':partition'])}")
        return {"Items": []}

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Have none."""
        self.calls.append(f"GetItem {self._partition(request['Key'][keys.PARTITION_KEY])}")
        return {}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Have none of them."""
        ((_, wanted),) = request["RequestItems"].items()
        self.calls += [f"BatchGetItem {self._partition(each[keys.PARTITION_KEY])}" for each in wanted["Keys"]]
        return {"Responses": {}}

    def update_item(self, **write: Any) -> dict[str, Any]:
        """Count to one."""
        self.written = write
        return {"Attributes": {"nth": {"N": "1"}}}

    def put_item(self, **write: Any) -> None:
        """Take it."""
        self.written = write

    @staticmethod
    def _partition(value: dict[str, str]) -> str:
        return value["S"].split("#")[0]


def tables() -> list[list[list[str]]]:
    """Read the tables of the docstring, without their headings, as lists of cells."""
    lines = (keys.__doc__ or "").splitlines()
    groups = [list(group) for is_row, group in itertools.groupby(lines, lambda line: line.startswith("|")) if is_row]
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in group[2:]] for group in groups]


def written(operation: Operation) -> tuple[str, dict[str, Any]]:
    """Give what the store sends for an operation: the kind of write, and the write."""
    ((kind, write),) = DynamoDbStore("ipam", None)._writes.of(operation).items()
    return kind, write


def note(item: str) -> dict[str, Any]:
    """Give what the store sends to note an attempt."""
    table = Asked()
    NOTES[item](DynamoDbStore("ipam", table))
    return table.written


def writes(item: str) -> list[dict[str, Any]]:
    """Give all that the store sends to write an item."""
    return [note(item)] if item in NOTES else [written(operation)[1] for operation in OPERATIONS[item]]


def key(write: dict[str, Any]) -> tuple[str, str]:
    """Give the key that a write is about."""
    item = write.get("Item") or write["Key"]
    return item[keys.PARTITION_KEY]["S"], item[keys.SORT_KEY]["S"]


def test_there_are_three_tables() -> None:
    """Items, access patterns, conditions."""
    assert [len(rows[0]) for rows in tables()] == [3, 2, 3]


def test_the_table_of_the_template_has_these_keys() -> None:
    """Its key is PK and SK, both strings, it has no index, and it forgets what `expires` says."""
    table = yaml_parse(TEMPLATE.read_text())["Resources"]["Table"]["Properties"]
    assert table["KeySchema"] == [
        {"AttributeName": keys.PARTITION_KEY, "KeyType": "HASH"},
        {"AttributeName": keys.SORT_KEY, "KeyType": "RANGE"},
    ]
    assert {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]} == {
        keys.PARTITION_KEY: "S",
        keys.SORT_KEY: "S",
    }
    assert table["TimeToLiveSpecification"] == {"AttributeName": keys.TIME_TO_LIVE, "Enabled": True}
    assert not table.keys() & {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}
    forgotten = (
        request_items.from_owner(OWNER, 1),
        request_items.from_approval(APPROVAL),
        request_items.from_attempt(ATTEMPT),
    )
    assert all(keys.TIME_TO_LIVE in item for item in forgotten)
    assert keys.TIME_TO_LIVE in note("Tally")["UpdateExpression"]


def test_every_item_is_in_the_table_of_keys() -> None:
    """The docstring lists exactly the items that the operations write, each once."""
    assert [row[0] for row in tables()[0]] == [*OPERATIONS, *NOTES]
    covered = {type(operation) for operations in OPERATIONS.values() for operation in operations}
    assert covered == set(Operation.__args__)


@pytest.mark.parametrize("row", tables()[0], ids=lambda row: row[0])
def test_keys_have_the_form_that_the_docstring_gives(row: list[str]) -> None:
    """Partition and sort key of each operation's item match the pattern of its row."""
    item, *forms = row
    for write in writes(item):
        for form, text in zip(forms, key(write), strict=True):
            pattern = re.escape(form)
            for name, meaning in FORMS.items():
                pattern = pattern.replace(re.escape(name), meaning)
            assert "<" not in pattern, f"the docstring has a part that no test knows: {form}"
            assert re.fullmatch(pattern, text), f"{text} is not {form}"


def test_every_condition_is_the_one_that_the_docstring_lists() -> None:
    """For each item, the conditions that the store sends are those of its rows; only a tally is counted without one."""
    listed: dict[str, set[str]] = {}
    for condition, names, _ in tables()[2]:
        for item in names.split(", "):
            listed.setdefault(item, set()).add(condition)
    sent = {
        item: {written(operation)[1]["ConditionExpression"] for operation in operations}
        for item, operations in OPERATIONS.items()
    } | {"Attempt": {note("Attempt")["ConditionExpression"]}}
    assert "ConditionExpression" not in note("Tally")
    both = {condition for condition in sent["Quota"] if ") AND (" in condition}
    assert {part for condition in both for part in condition.split(" AND ")} == listed["Quota"]
    assert sent["Quota"] == both | listed["Quota"]
    assert {item: sent[item] for item in sent.keys() - {"Quota"}} == {
        item: listed[item] for item in listed.keys() - {"Quota"}
    }


@pytest.mark.parametrize(("operation", "kind"), [(PutFree(P, B), "Put"), (TakeFree(P, B), "Delete")])
def test_a_write_has_the_kind_that_it_says(operation: Operation, kind: str) -> None:
    """What is put is a Put and what is taken a Delete; an allocation is described in place, and so is a version."""
    assert written(operation)[0] == kind
    updates = [each for each in itertools.chain(*OPERATIONS.values()) if written(each)[0] == "Update"]
    assert {type(each) for each in updates} == {
        ChangeQuota,
        DescribeAllocation,
        DivideAllocation,
        MarkOrphan,
        TouchPool,
        TouchScope,
        UniteAllocation,
    }


def test_every_invariant_that_a_condition_guards_exists() -> None:
    """The third column names invariants by their numbers, or says what else is guarded."""
    for _, _, guards in tables()[2]:
        assert all(1 <= int(number) <= 7 for number in re.findall(r"I(\d+)", guards))
        assert guards


def test_every_access_pattern_is_served_as_the_docstring_lists() -> None:
    """The calls of all reads of the port, by partition, are those of the table: no pattern needs an index or a scan."""
    reads = {name for name in vars(Store) if not name.startswith("_")} - {"commit"}
    assert reads == {*READS, "count_attempt", "keep_attempt"}, "a read of the port that no test knows"
    table = Asked()
    store = DynamoDbStore("ipam", table)
    for name, about in READS.items():
        found = getattr(store, name)(*about)
        if isinstance(found, Iterator):
            assert list(found) == []
    assert set(table.calls) == {" ".join(re.findall(r"\w+", served_by)[:2]) for _, served_by in tables()[1]}


@given(cidrs())
def test_keys_are_read_as_they_were_written(cidr: Cidr) -> None:
    """A block comes back from either of its keys."""
    assert keys.parse_block(keys.block(cidr)) == cidr
    assert keys.parse_free(keys.free(P, cidr).sort) == cidr


@given(cidrs(), cidrs())
def test_keys_sort_as_what_they_stand_for(one: Cidr, other: Cidr) -> None:
    """As text, blocks sort by family, address and size; free blocks by family, size and address."""
    assert (keys.block(one) < keys.block(other)) == (one < other)
    by_size = [(each.family, each.host_bits, each.first) for each in (one, other)]
    assert (keys.free(P, one).sort < keys.free(P, other).sort) == (by_size[0] < by_size[1])
    if one.family == other.family:
        large = keys.free_from(one.family, other.host_bits) <= keys.free(P, one).sort <= keys.free_until(one.family)
        assert large == (one.host_bits >= other.host_bits)


@given(cidrs(), st.integers(0, 10**14 - 2), st.integers(0, 10**14 - 2))
def test_cooling_sorts_by_time(cidr: Cidr, until: int, now: int) -> None:
    """What is due by a time sorts before the bound of that time, and the rest after it."""
    assert (keys.cooling(P, cidr, until).sort <= keys.cooling_until(now)) == (until <= now)


@given(cidrs(), st.integers(0, 10**14 - 2), st.integers(0, 10**14 - 2))
def test_what_a_holder_had_sorts_by_time(cidr: Cidr, until: int, now: int) -> None:
    """What cools beyond a time sorts between the bounds of that time, and nothing of another holder does."""
    low, high = keys.sticky_after("0f", now)
    assert (low <= keys.sticky(P, "0f", cidr, until).sort <= high) == (until > now)
    assert not any(low <= keys.sticky(P, other, cidr, until).sort <= high for other in ("0e", "10", "0f0", "0"))


@given(parts(), cidrs())
def test_the_blocks_in_a_block_sort_between_its_bounds(pair: tuple[Cidr, Cidr], other: Cidr) -> None:
    """What lies in a block sorts from it to its last address, and nothing else does: not what it lies in itself."""
    whole, part = pair
    for outer, inner in ((whole, part), (part, whole), (whole, other), (whole, whole)):
        inside = keys.blocks_from(outer) <= keys.block(inner) <= keys.blocks_until(outer)
        assert inside == outer.contains(inner)


@given(parts(), cidrs())
def test_what_comes_after_a_block_sorts_beyond_it(pair: tuple[Cidr, Cidr], other: Cidr) -> None:
    """All that sorts after a block is between its bounds, and neither itself nor what comes before."""
    for one, two in (pair, pair[::-1], (pair[0], other)):
        low, high = keys.blocks_beyond(one)
        assert (low <= keys.block(two) <= high) == (one < two)


@given(parts(), st.integers(0, 10**14 - 2))
def test_the_history_of_a_block_sorts_between_its_bounds(pair: tuple[Cidr, Cidr], at: int) -> None:
    """The audit records of exactly this block, and none of what it lies in or what lies in it, sort between them."""
    for cidr, other in (pair, pair[::-1]):
        low, high = keys.audit_of(cidr)
        assert (low <= keys.audit(P, other, at, "0f").sort <= high) == (other == cidr)
        assert not low <= keys.audit(P, None, at, "0f").sort <= high


def test_the_attempts_of_an_account_sort_between_its_bounds() -> None:
    """Those of nobody knows whom, too, and none of another account."""
    for account, other in ((ACCOUNT, ""), ("", ACCOUNT), (ACCOUNT, f"{int(ACCOUNT) + 1}")):
        low, high = keys.attempts_of(account)
        for slot in (0, 99):
            assert low <= keys.attempt("2026-11-21", account, slot).sort <= high
            assert not low <= keys.attempt("2026-11-21", other, slot).sort <= high
