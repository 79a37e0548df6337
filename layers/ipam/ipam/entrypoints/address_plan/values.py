"""Values that only the address plan has: names, CIDRs, whom a pool is shared with, what we cannot promise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ipam.domain import ids
from ipam.domain.plan import is_region
from ipam.entrypoints.cn_cidr.properties import canonical
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import entries, refuse_unknown, required, shown, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import Tag

MAX_TEXT: Final = 255
MAX_TAGS: Final = 50
MAX_CIDRS: Final = 50
MAX_PRINCIPALS: Final = 100

NAME_TAG: Final = "Name"
"""The tag that names what has no name else, as the console shows it."""

_PRINCIPAL: Final = re.compile(r"[0-9]{12}|(ou|r|o)-[a-z0-9-]{4,68}")
"""Forms of ids (AWS Organizations API reference, "Account", "OrganizationalUnit", "Root" and "Organization")."""


def read_name(values: Mapping[str, Any], tags: tuple[Tag, ...]) -> str:
    """Read Name; without one the tag Name, and without that "".

    Raises:
        InvalidPropertyError: it could be taken for an id.
    """
    tagged = dict(tags).get(NAME_TAG) or None
    given = text(values, "Name", MAX_TEXT) or text({} if tagged is None else {NAME_TAG: tagged}, NAME_TAG, MAX_TEXT)
    if given is not None and given.startswith((ids.POOL_PREFIX, ids.SCOPE_PREFIX)):
        raise InvalidPropertyError("Name", shown(given), "it looks like an id", "Choose another name")
    return given or ""


def read_cidr(values: Mapping[str, Any], name: str) -> Cidr | None:
    """Read a block; None if it is not given."""
    value = text(values, name, MAX_TEXT)
    return None if value is None else canonical(value, name)


def read_cidrs(values: Mapping[str, Any], name: str) -> tuple[Cidr, ...]:
    """Read a list of blocks, by address; in which order they are written makes no difference."""
    return tuple(sorted({_block(entry, name) for entry in entries(values, name, MAX_CIDRS)}))


def read_provisioned(values: Mapping[str, Any]) -> tuple[Cidr, ...]:
    """Read ProvisionedCidrs: a list of maps with Cidr, none of which overlaps another.

    Raises:
        InvalidPropertyError: an entry is none, or overlaps another.
    """
    name = "ProvisionedCidrs"
    found: list[Cidr] = []
    for entry in entries(values, name, MAX_CIDRS):
        if not isinstance(entry, dict) or entry.keys() != {"Cidr"}:
            remedy = 'Write entries such as {"Cidr": "10.0.0.0/8"}'
            raise InvalidPropertyError(name, "", "an entry is not a map of Cidr alone", remedy)
        cidr = _block(entry["Cidr"], name)
        other = next((each for each in found if each.overlaps(cidr)), None)
        if other is not None:
            raise InvalidPropertyError(name, shown(str(cidr)), f"it overlaps {other}", "Leave out one of the two")
        found.append(cidr)
    return tuple(sorted(found))


def _block(entry: Any, name: str) -> Cidr:
    """Read one block of a list."""
    return canonical(text({name: entry}, name, MAX_TEXT) or "", name)


def read_principals(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Read whom a pool is shared with: accounts, organisational units and organisations, as ids or ARNs; their ids."""
    found = set()
    for entry in entries(values, name, MAX_PRINCIPALS):
        given = text({name: entry}, name, MAX_TEXT) or ""
        principal = given.rpartition("/")[2] if given.startswith("arn:") else given
        if _PRINCIPAL.fullmatch(principal) is None:
            why = "it is no account, organisational unit or organisation"
            raise InvalidPropertyError(name, shown(given), why, "Write its id (123456789012, ou-…, o-…) or its ARN")
        found.add(principal)
    return tuple(sorted(found))


def read_region(values: Mapping[str, Any], name: str) -> str | None:
    """Read a Region; None if it is not given. "None" is EC2's own word for a pool that has none, which gives ""."""
    value = text(values, name, MAX_TEXT)
    if value == "None":
        return ""
    if value is not None and not is_region(value):
        raise InvalidPropertyError(name, shown(value), "it is not a Region", "Write one such as eu-central-1")
    return value


def read_map(values: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> dict[str, Any] | None:
    """Read a map that has all of these keys and no other; None if it is not given."""
    if name not in values:
        return None
    value = values[name]
    if not isinstance(value, dict):
        raise InvalidPropertyError(name, shown(value), "it is not a map", f"Write one of {', '.join(keys)}")
    refuse_unknown(name, value, keys)
    for key in keys:
        required(value.get(key), f"{name}.{key}", "Add it")
    return value


def refuse_promise(values: Mapping[str, Any], name: str, harmless: str, why: str) -> None:
    """Refuse what Amazon VPC IPAM can do and this system cannot; the harmless value says that it is not wanted.

    Raises:
        InvalidPropertyError: it is wanted.
    """
    value = values.get(name)
    if name in values and not (isinstance(value, str) and value.lower() == harmless):
        remedy = "Leave it out, or put a pool of Amazon VPC IPAM behind this one with VpcIpamPoolId"
        raise InvalidPropertyError(name, shown(value), why, remedy)
