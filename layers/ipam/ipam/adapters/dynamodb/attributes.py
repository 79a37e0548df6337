"""An item's attributes in DynamoDB's own values: how they are made and read, and how many bytes they are.

Addresses and blocks are strings: DynamoDB's numbers have 38 digits and an IPv6 address may need 39. Optional attributes
that are not set are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ipam.adapters.dynamodb import keys

if TYPE_CHECKING:
    from ipam.domain.pool import Tag

Item = dict[str, Any]
"""Attribute names to DynamoDB attribute values, such as {"S": "text"}."""

Attribute = str | int | bool | list[Any] | dict[str, Any]


def key_of(key: keys.Key) -> Item:
    """A primary key as DynamoDB wants it."""
    return {keys.PARTITION_KEY: {"S": key.partition}, keys.SORT_KEY: {"S": key.sort}}


def pack(key: keys.Key, **attributes: Attribute | None) -> Item:
    """Make an item; None and empty values are left out."""
    item = key_of(key)
    for name, value in attributes.items():
        if value is not None and value not in ("", []):
            item[name] = typed(value)
    return item


def typed(value: Attribute) -> dict[str, Any]:
    """Make an attribute value."""
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list():
            return {"L": [typed(entry) for entry in value]}
        case dict():
            return {"M": {name: typed(entry) for name, entry in value.items()}}


def text(item: Item, name: str) -> str:
    """Read a text; "" where it is left out."""
    return cast("str", item[name]["S"]) if name in item else ""


def number(item: Item, name: str) -> int:
    """Read a number."""
    return int(item[name]["N"])


def optional(item: Item, name: str) -> int | None:
    """Read a number; None where it is left out."""
    return int(item[name]["N"]) if name in item else None


def entries(item: Item, name: str) -> list[Any]:
    """Read a list, its entries as attribute values; empty where it is left out."""
    return cast("list[Any]", item[name]["L"]) if name in item else []


def texts(item: Item, name: str) -> tuple[str, ...]:
    """Read a list of texts."""
    return tuple(entry["S"] for entry in entries(item, name))


def from_tags(tags: tuple[Tag, ...]) -> list[list[str]]:
    """Write tags, or other pairs of texts."""
    return [list(tag) for tag in tags]


def to_tags(item: Item, name: str = "tags") -> tuple[Tag, ...]:
    """Read tags, or other pairs of texts."""
    pairs = ((entry["L"][0]["S"], entry["L"][1]["S"]) for entry in entries(item, name))
    return tuple(pairs)


def size(item: Item) -> int:
    """Bytes that DynamoDB counts for an item (developer guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    """Bytes of one attribute value."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return (len(content.lstrip("-").strip("0")) + 1) // 2 + 1
        case "BOOL":
            return 1
        case "L":
            return 3 + sum(1 + _value_size(entry) for entry in content)
        case _:
            return 3 + sum(len(name.encode()) + 1 + _value_size(entry) for name, entry in content.items())
