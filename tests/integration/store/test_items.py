from __future__ import annotations

import math
from typing import Any

import pytest

from ipam.adapters.dynamodb import items
from ipam.adapters.memory import MemoryStore
from ipam.domain.allocation import Allocation
from ipam.domain.owner import Grant, OwnerRecord
from ipam.services.plan import NewPool
from tests.builders import ACCOUNT, NOON, REGION, Desk, block, owner_key


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
    assert items.size({"a": value}) == 1 + size
    assert items.size({"": value, "name": {"S": "x"}}) == size + 5


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
    assert items.size(items.from_allocation(allocation)) == sum(len(name) + size for name, size in by_hand)


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
    assert items.size(items.from_owner(record, None)) <= 1024


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
    item = items.from_owner(OwnerRecord(owner_key(), fence=0), None)
    assert item.keys() == {"PK", "SK", "version", "fence"}
    assert items.to_owner(item).fence == 0
