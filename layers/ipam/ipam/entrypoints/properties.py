"""Read the properties of a resource strictly: what is not exactly right is refused by name.

CloudFormation sends numbers and booleans as strings, so strings, lists and maps of them are all there is. An empty
string is no way to leave a property out; templates have AWS::NoValue for that.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ipam.entrypoints.errors import InvalidPropertyError, UnknownPropertyError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ipam.domain.pool import Tag

T = TypeVar("T", bound=str)
V = TypeVar("V")

ALWAYS_KNOWN: Final = frozenset({"ServiceToken", "ServiceTimeout"})
"""Properties that CloudFormation itself reads and passes on."""

MAX_TEXT: Final = 255
"""Characters of a description, a name or another text, whoever writes it: a stack, a person, a file."""

MAX_TAGS: Final = 50
MAX_TAG_KEY: Final = 128
MAX_TAG_VALUE: Final = 256
"""Tags of one resource, and characters of a tag's key and value (EC2 user guide, "Tag restrictions")."""

SHOWN: Final = 40
"""Characters of a value that a message repeats."""

EXAMPLE: Final = 24
"""The number that a message gives as an example, where it is within the bounds: most are netmask lengths."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,8}")
"""The one way to write a number: no sign, space, leading zero, underscore, or digits of another script."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which terminals obey, and halves of surrogate pairs, which the store cannot keep."""

_LINES: Final = str.maketrans("", "", "\t\n\r")


def shown(value: Any) -> str:
    """Show a value in a message: short, on one line, quoted as JSON has it."""
    if not isinstance(value, str):
        return {dict: "a map", list: "a list", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
    quoted = json.dumps(value[:SHOWN], ensure_ascii=not value.isprintable())
    return quoted if len(value) <= SHOWN else f'{quoted[:-1]}…"'


def refuse_unknown(resource_type: str, values: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a property that the type does not have.

    Raises:
        UnknownPropertyError: naming the first of them, and the known one that it resembles.
    """
    for name in values:
        if name not in known and name not in ALWAYS_KNOWN:
            # Only needed on the way to a refusal, and 5 ms of every cold start otherwise.
            import difflib  # noqa: PLC0415

            meant = difflib.get_close_matches(name[:SHOWN], sorted(known), n=1)
            raise UnknownPropertyError(name, resource_type, meant[0] if meant else "")


def required(value: V | None, name: str, remedy: str) -> V:
    """Give a value that must be there.

    Raises:
        InvalidPropertyError: it is not.
    """
    if value is None:
        raise InvalidPropertyError(name, "", "it is missing", remedy)
    return value


def text(values: Mapping[str, Any], name: str, limit: int, *, lines: bool = False) -> str | None:
    """Read a text; None if it is not given.

    Args:
        values: the properties.
        name: which one.
        limit: how many characters it may have.
        lines: whether it may be empty, and may have line breaks and tabs.
    """
    if name not in values:
        return None
    value = values[name]
    if not isinstance(value, str):
        raise InvalidPropertyError(name, shown(value), "it is not a string", "Write a string")
    if not value and not lines:
        raise InvalidPropertyError(name, shown(value), "it is empty", "Give it a value, or leave it out (AWS::NoValue)")
    if len(value) > limit:
        raise InvalidPropertyError(
            name, shown(value), f"it has {len(value)} characters", f"Write at most {limit} characters"
        )
    if _CONTROL.search(value.translate(_LINES) if lines else value) is not None:
        raise InvalidPropertyError(name, shown(value), "it has a control character", "Take the character out")
    return value


def formed(values: Mapping[str, Any], name: str, form: re.Pattern[str], remedy: str) -> str | None:
    """Read a text of one form; None if it is not given."""
    value = values.get(name)
    if name not in values:
        return None
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise InvalidPropertyError(name, shown(value), "it does not have the right form", remedy)
    return value


def choice(values: Mapping[str, Any], name: str, allowed: tuple[T, ...]) -> T | None:
    """Read one of several words; None if it is not given."""
    if name not in values:
        return None
    for word in allowed:
        if values[name] == word:
            return word
    raise InvalidPropertyError(name, shown(values[name]), "there is no such choice", f"Write {' or '.join(allowed)}")


def flag(values: Mapping[str, Any], name: str) -> bool:
    """Read whether something is wanted; it is not if it is not given."""
    return choice(values, name, ("true", "false")) == "true"


def decimal(values: Mapping[str, Any], name: str, highest: int, lowest: int = 0) -> int | None:
    """Read a whole number; None if it is not given."""
    return _decimal(values[name], name, highest, lowest) if name in values else None


def decimals(values: Mapping[str, Any], name: str, highest: int, most: int) -> tuple[int, ...] | None:
    """Read a list of whole numbers from 0; None if it is not given."""
    if name not in values:
        return None
    return tuple(_decimal(entry, name, highest) for entry in entries(values, name, most))


def _decimal(value: Any, name: str, highest: int, lowest: int = 0) -> int:
    """Read a number from its text."""
    if not isinstance(value, str) or _DECIMAL.fullmatch(value) is None or not lowest <= int(value) <= highest:
        why = f"it is not a number from {lowest} to {highest}"
        such = min(max(lowest, EXAMPLE), highest)
        raise InvalidPropertyError(name, shown(value), why, f'Write decimal digits only, such as "{such}"')
    return int(value)


def entries(values: Mapping[str, Any], name: str, most: int) -> list[Any]:
    """Read a list; an empty one if it is not given, which is the only way to have one."""
    if name not in values:
        return []
    value = values[name]
    if not isinstance(value, list) or not value:
        remedy = "Write a list, or leave it out (AWS::NoValue)"
        raise InvalidPropertyError(name, shown(value), "it is not a list with at least one entry", remedy)
    if len(value) > most:
        raise InvalidPropertyError(name, "", f"it has {len(value)} entries", f"Write at most {most}")
    return value


def read_tags(values: Mapping[str, Any], name: str, most: int, *, as_map: bool = False) -> tuple[Tag, ...]:
    """Read tags, as CloudFormation writes them: a list of maps with Key and Value, each key once; by their keys.

    Args:
        values: the properties.
        name: which one.
        most: how many there may be.
        as_map: whether they may as well be one map of keys to values.
    """
    value = values.get(name)
    if as_map and isinstance(value, dict) and value:
        value = [{"Key": key, "Value": each} for key, each in value.items()]
    pairs = entries({name: value} if name in values else {}, name, most)
    tags = [_tag(pair, name) for pair in pairs]
    if len(dict(tags)) < len(tags):
        raise InvalidPropertyError(name, "", "it has a key twice", "Write each key once")
    return tuple(sorted(tags))


def _tag(pair: Any, name: str) -> Tag:
    """Read one tag."""
    if not isinstance(pair, dict) or pair.keys() != {"Key", "Value"}:
        remedy = 'Write entries such as {"Key": "team", "Value": "a"}'
        raise InvalidPropertyError(name, "", "an entry is not a map of Key and Value", remedy)
    key = text({name: pair["Key"]}, name, MAX_TAG_KEY) or ""
    return key, "" if pair["Value"] == "" else text({name: pair["Value"]}, name, MAX_TAG_VALUE) or ""
