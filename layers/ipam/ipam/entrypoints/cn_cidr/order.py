"""What a Custom::GetCnCIDR may have as properties, and what they mean to the engine.

What contradicts itself is refused here, before anything is looked for: a block that the request's own lists exclude, a
token beside a mask that it is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ipam.domain import ids
from ipam.domain.cidr import WIDTHS, Cidr, Family
from ipam.domain.free_space import pack
from ipam.domain.plan import Ask
from ipam.domain.preview import Token, read_token
from ipam.entrypoints.cn_cidr.properties import GET, MAX_TEXT, canonical, exact_cidr
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import (
    choice,
    decimal,
    decimals,
    entries,
    flag,
    formed,
    read_tags,
    refuse_unknown,
    shown,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.domain.pool import Tag

GET_PROPERTIES: Final = (
    "AddressFamily",
    "AllocationType",
    "AllowedCidrs",
    "Cidr",
    "CnCidrMask",
    "Description",
    "DisallowedCidrs",
    "IpamPoolId",
    "PoolName",
    "Pools",
    "PoolTags",
    "Preview",
    "PreviewSeconds",
    "PreviewToken",
    "Replaceable",
    "SubnetMasks",
    "Tags",
)

MAX_POOLS: Final = 20
MAX_CIDRS: Final = 50

MAX_TAGS: Final = 50
"""Tags of one resource (EC2 user guide, "Tag restrictions")."""

SHORTEST_PREVIEW: Final = 60
LONGEST_PREVIEW: Final = 86_400
PREVIEW_SECONDS: Final = 3600
"""How long a preview is held, at least, at most, and where the request does not say."""

MAX_SUBNETS: Final[dict[Family, int]] = {4: 48, 6: 24}
"""Subnets whose attributes fit an answer of 4096 bytes beside the longest names."""

_POOL_ID: Final = re.compile(rf"{ids.POOL_PREFIX}[0-9a-f]{{{ids.POOL_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Order:
    """What a Custom::GetCnCIDR asks for.

    Attributes:
        ask: for the engine.
        description: for people, as it was written.
        tags: those of the resource; no part of what is asked for.
        preview_seconds: how long a preview is held; 0 if none is asked for.
        subnets: netmask lengths of the subnets to be laid out in the block.
        replaceable: whether an Update may get another block; no part of what is asked for.
    """

    ask: Ask
    description: str
    tags: tuple[Tag, ...]
    preview_seconds: int
    subnets: tuple[int, ...]
    replaceable: bool = True


def order(values: Mapping[str, Any], region: str) -> Order:
    """Read the properties of a Custom::GetCnCIDR.

    Args:
        values: the properties.
        region: the stack's Region, which the pool has to be for.

    Raises:
        InvalidPropertyError: a property has a value that cannot be served.
        SubnetsDoNotFitError: the block that is asked for has no room for its subnets.
        UnknownPropertyError: there is no such property.
    """
    refuse_unknown(GET, values, GET_PROPERTIES)
    token = _token(values)
    cidr = exact_cidr(values)
    family = _family(values, cidr, token)
    ask = Ask(
        pool_id=formed(values, "IpamPoolId", _POOL_ID, "Write a pool's id (ipam-pool-…), or PoolName instead"),
        pool_name=text(values, "PoolName", MAX_TEXT),
        locale=region,
        allocation_type=choice(values, "AllocationType", ("vpc", "subnet", "custom")) or "vpc",
        family=family,
        netmask_length=decimal(values, "CnCidrMask", WIDTHS[family]),
        cidr=cidr,
        pools=_pools(values),
        pool_tags=read_tags(values, "PoolTags", MAX_TAGS, as_map=True),
        allowed_cidrs=_cidrs(values, "AllowedCidrs", family),
        disallowed_cidrs=_cidrs(values, "DisallowedCidrs", family),
        preview=flag(values, "Preview"),
        preview_token="" if token is None else str(token),
    )
    _refuse_two_choices(ask)
    known = token.cidr if token is not None else cidr
    if known is not None:
        _refuse_another_block(ask, known, "Cidr" if token is None else "PreviewToken")
    _refuse_no_room(ask)
    description = text(values, "Description", MAX_TEXT, lines=True) or ""
    tags = read_tags(values, "Tags", MAX_TAGS)
    replaceable = choice(values, "Replaceable", ("true", "false")) != "false"
    return Order(ask, description, tags, _preview_seconds(values, ask), _subnets(values, ask, known), replaceable)


def _token(values: Mapping[str, Any]) -> Token | None:
    """Read PreviewToken, of which no message repeats anything: whoever has it may have the block."""
    value = values.get("PreviewToken")
    if "PreviewToken" not in values:
        return None
    token = read_token(value) if isinstance(value, str) else None
    if token is None or str(token) != value or _POOL_ID.fullmatch(token.pool_id) is None:
        remedy = "Use the attribute PreviewToken of the Custom::GetCnCIDR that holds the block"
        raise InvalidPropertyError("PreviewToken", "", "it does not have the form of a token", remedy)
    return token


def _pools(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Read Pools."""
    pools = _texts(values, "Pools", MAX_POOLS)
    twice = next((pool for pool in pools if pools.count(pool) > 1), None)
    if twice is not None:
        raise InvalidPropertyError("Pools", shown(twice), "it is there twice", "Name each pool once")
    return pools


def _texts(values: Mapping[str, Any], name: str, most: int) -> tuple[str, ...]:
    """Read a list of texts."""
    return tuple(text({name: entry}, name, MAX_TEXT) or "" for entry in entries(values, name, most))


def _cidrs(values: Mapping[str, Any], name: str, family: Family) -> tuple[Cidr, ...]:
    """Read a list of blocks. In which order they are written makes no difference."""
    cidrs = {canonical(entry, name) for entry in _texts(values, name, MAX_CIDRS)}
    stray = next((cidr for cidr in sorted(cidrs) if cidr.family != family), None)
    if stray is not None:
        why = f"the request is for IPv{family}"
        raise InvalidPropertyError(name, shown(str(stray)), why, "Take it out, or change AddressFamily")
    return tuple(sorted(cidrs))


def _family(values: Mapping[str, Any], cidr: Cidr | None, token: Token | None) -> Family:
    """Read AddressFamily; a Cidr or a token says it as well, and has to say the same."""
    word = choice(values, "AddressFamily", ("ipv4", "ipv6"))
    said = {} if token is None else {"PreviewToken": token.cidr.family}
    said |= {} if cidr is None else {"Cidr": cidr.family}
    if word is None:
        return next(iter(said.values()), 4)
    family: Family = 4 if word == "ipv4" else 6
    for name, other in said.items():
        if other != family:
            remedy = "Leave out AddressFamily, or change one"
            raise InvalidPropertyError("AddressFamily", shown(word), f"{name} is IPv{other}", remedy)
    return family


def _refuse_two_choices(ask: Ask) -> None:
    """Refuse what excludes each other."""
    if ask.pool_id is not None and ask.pool_name is not None:
        why = "IpamPoolId names a pool already"
        raise InvalidPropertyError("PoolName", shown(ask.pool_name), why, "Leave out one of the two")
    if ask.pools and (ask.pool_id or ask.pool_name):
        other = "IpamPoolId" if ask.pool_id else "PoolName"
        raise InvalidPropertyError("Pools", "", f"{other} names a pool already", "Leave out one of the two")
    if ask.preview and ask.preview_token:
        why = "PreviewToken ends a preview, and Preview begins one"
        raise InvalidPropertyError("Preview", '"true"', why, "Leave out one of the two")


def _refuse_another_block(ask: Ask, known: Cidr, name: str) -> None:
    """Refuse what contradicts the block that is known to be meant: that of Cidr, or of the token."""
    remedy = "Leave out one of the two"
    if ask.cidr not in {None, known}:
        raise InvalidPropertyError("Cidr", shown(str(ask.cidr)), f"{name} is of another block", remedy)
    if ask.netmask_length not in {None, known.length}:
        value = shown(str(ask.netmask_length))
        raise InvalidPropertyError("CnCidrMask", value, f"{name} is a /{known.length}", remedy)
    if not ask.limits.permit(known):
        why = "AllowedCidrs or DisallowedCidrs of this resource exclude it"
        raise InvalidPropertyError(name, shown(str(known)), why, "Change one of them")


def _refuse_no_room(ask: Ask) -> None:
    """Refuse lists that leave no room for a block of the netmask length, whatever a pool has."""
    length = ask.netmask_length
    if length is not None and ask.limits.first_in(Cidr(ask.family, 0, 0), length) is None:
        why = f"with DisallowedCidrs it has no room for a /{length}" if ask.allowed_cidrs else f"no /{length} is left"
        name = "AllowedCidrs" if ask.allowed_cidrs else "DisallowedCidrs"
        raise InvalidPropertyError(name, "", why, "Change them, or CnCidrMask")


def _preview_seconds(values: Mapping[str, Any], ask: Ask) -> int:
    """Read PreviewSeconds."""
    seconds = decimal(values, "PreviewSeconds", LONGEST_PREVIEW, SHORTEST_PREVIEW)
    if seconds is not None and not ask.preview:
        raise InvalidPropertyError("PreviewSeconds", shown(str(seconds)), "Preview is not true", "Leave it out")
    return (seconds or PREVIEW_SECONDS) if ask.preview else 0


def _subnets(values: Mapping[str, Any], ask: Ask, known: Cidr | None) -> tuple[int, ...]:
    """Read SubnetMasks, and see that they fit before anything is allocated for them."""
    lengths = decimals(values, "SubnetMasks", WIDTHS[ask.family], MAX_SUBNETS[ask.family])
    if lengths is None:
        return ()
    length = ask.netmask_length if known is None else known.length
    if length is None:
        raise InvalidPropertyError(
            "SubnetMasks", "", "whether they fit depends on the pool's default", "Add CnCidrMask, or Cidr"
        )
    pack(Cidr(ask.family, 0, length), lengths)
    return lengths
