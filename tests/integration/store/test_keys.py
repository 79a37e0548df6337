"""The tables in the docstring of keys.py, held against the template and against what the store sends."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from ipam.adapters.dynamodb import items, keys
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.allocation import Allocation, AuditRecord, CoolingBlock
from ipam.domain.change import (
    ChangeQuota,
    DescribeAllocation,
    Operation,
    PutAllocation,
    PutAudit,
    PutCooling,
    PutFree,
    PutName,
    PutOwner,
    PutPool,
    PutProvisioned,
    PutScope,
    RemoveAllocation,
    TakeCooling,
    TakeFree,
)
from ipam.domain.owner import OwnerRecord
from ipam.domain.pool import AllocationRules, Pool, ProvisionedCidr, Quota, Scope
from tests.builders import ACCOUNT, NOON, block, owner_key
from tests.strategies import cidrs

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
}
OWNER = OwnerRecord(owner_key())
ALLOCATION = Allocation("alloc-a", P, B, OWNER.owner, ACCOUNT, "vpc", "", NOON)
POOL = Pool(P, "ipam-scope-0", None, "vpcs", 4, "", "", frozenset(), AllocationRules(), Quota(), 0, NOON)
COOLING = CoolingBlock(P, B, NOON, "alloc-a")
RECORD = AuditRecord(P, B, NOON, "split", "", None, "", "", "0f")

OPERATIONS: dict[str, list[Operation]] = {
    "Scope": [PutScope(Scope("ipam-scope-0", "corporate", "private", "", NOON))],
    "Pool": [PutPool(POOL)],
    "Provisioned": [PutProvisioned(ProvisionedCidr(P, B, "alloc-a", NOON))],
    "Name": [PutName("vpcs", P)],
    "Free": [TakeFree(P, B), PutFree(P, B)],
    "Allocation": [
        PutAllocation(ALLOCATION),
        DescribeAllocation(P, B, "alloc-a", "words"),
        DescribeAllocation(P, B, "alloc-a", ""),
        RemoveAllocation(P, B, "alloc-a"),
    ],
    "Cooling": [PutCooling(COOLING), TakeCooling(COOLING)],
    "Owner": [PutOwner(OWNER, expires=None), PutOwner(OWNER.stored(), expires=None)],
    "Quota": [ChangeQuota(ACCOUNT, P, 1, 1, 9, 9)],
    "Audit": [PutAudit(RECORD), PutAudit(AuditRecord(P, None, NOON, "fenced", "", None, "", "", "0f"))],
}
"""Every operation, by the item that it is about."""


def tables() -> list[list[list[str]]]:
    """Read the tables of the docstring, without their headings, as lists of cells."""
    lines = (keys.__doc__ or "").splitlines()
    groups = [list(group) for is_row, group in itertools.groupby(lines, lambda line: line.startswith("|")) if is_row]
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in group[2:]] for group in groups]


def written(operation: Operation) -> tuple[str, dict[str, Any]]:
    """Give what the store sends for an operation: the kind of write, and the write."""
    ((kind, write),) = DynamoDbStore("ipam", None)._writes.of(operation).items()
    return kind, write


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
    assert "expires" in items.from_owner(OWNER, 1)


def test_every_item_is_in_the_table_of_keys() -> None:
    """The docstring lists exactly the items that the operations write, each once."""
    assert [row[0] for row in tables()[0]] == list(OPERATIONS)
    covered = {type(operation) for operations in OPERATIONS.values() for operation in operations}
    assert covered == set(Operation.__args__)


@pytest.mark.parametrize("row", tables()[0], ids=lambda row: row[0])
def test_keys_have_the_form_that_the_docstring_gives(row: list[str]) -> None:
    """Partition and sort key of each operation's item match the pattern of its row."""
    item, *forms = row
    for operation in OPERATIONS[item]:
        for form, text in zip(forms, key(written(operation)[1]), strict=True):
            pattern = re.escape(form)
            for name, meaning in FORMS.items():
                pattern = pattern.replace(re.escape(name), meaning)
            assert "<" not in pattern, f"the docstring has a part that no test knows: {form}"
            assert re.fullmatch(pattern, text), f"{text} is not {form}"


def test_every_condition_is_the_one_that_the_docstring_lists() -> None:
    """For each item, the conditions that the store sends are those of its rows, and no write is unconditional."""
    listed: dict[str, set[str]] = {}
    for condition, item, _ in tables()[2]:
        listed.setdefault(item, set()).add(condition)
    new = "attribute_not_exists(PK)"
    sent = {
        item: {written(operation)[1]["ConditionExpression"] for operation in operations}
        for item, operations in OPERATIONS.items()
    }
    assert sent["Free"] == listed["Free"] == {"attribute_exists(PK)", new}
    assert sent["Allocation"] == listed["Allocation"]
    assert sent["Cooling"] == listed["Cooling"]
    assert sent["Owner"] == {new, "version = :version"} and listed["Owner"] == {f"{new}, or version = :version"}
    assert (
        sent["Quota"] == {f"({new} OR allocations <= :allocations_room) AND ({new} OR units <= :units_room)"}
        and "Quota" in listed
    )
    others = set(OPERATIONS) - listed.keys()
    assert all(sent[item] == {new} for item in others) and listed["the others"] == {new}
    kinds = {item: {written(operation)[0] for operation in OPERATIONS[item]} for item in ("Free", "Allocation")}
    assert kinds == {"Free": {"Delete", "Put"}, "Allocation": {"Delete", "Put", "Update"}}


def test_every_invariant_that_a_condition_guards_exists() -> None:
    """The third column names invariants by their numbers, or says what else is guarded."""
    for _, _, guards in tables()[2]:
        assert all(1 <= int(number) <= 7 for number in re.findall(r"I(\d+)", guards))
        assert guards


def test_every_access_pattern_is_served_by_the_key() -> None:
    """No pattern needs an index or a scan: each names a partition of the first table."""
    partitions = {row[1].split("#")[0] for row in tables()[0]}
    for _, served_by in tables()[1]:
        operation, partition = re.match(r"(Query|GetItem|BatchGetItem) (\w+)", served_by).groups()  # type: ignore[union-attr]
        assert operation
        assert partition in partitions
    assert "scan(" not in Path(items.__file__).with_name("store.py").read_text().lower()


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
