"""What the two resource types may have as properties, and what each of them means to the engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ipam.domain import ids
from ipam.domain.cidr import WIDTHS, Cidr, Family
from ipam.domain.errors import MalformedCidrError, SubnetsDoNotFitError
from ipam.domain.free_space import pack
from ipam.domain.owner import Claim
from ipam.domain.plan import Ask
from ipam.entrypoints.cn_cidr import dates
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import choice, decimal, decimals, formed, refuse_unknown, required, shown, text

if TYPE_CHECKING:
    from collections.abc import Mapping

GET: Final = "Custom::GetCnCIDR"
DELETE: Final = "Custom::DeleteCnCIDR"

GET_PROPERTIES: Final = (
    "AddressFamily",
    "AllocationType",
    "Cidr",
    "CnCidrMask",
    "Description",
    "IpamPoolId",
    "PoolName",
    "SubnetMasks",
)
DELETE_PROPERTIES: Final = ("Authorizationkey", "Cidr", "CreationDate", "IpamPoolAllocationId")

SECRET_PROPERTIES: Final = ("Authorizationkey",)

MAX_DESCRIPTION: Final = 255
MAX_POOL_NAME: Final = 255
MAX_KEY: Final = 128

MAX_SUBNETS: Final[dict[Family, int]] = {4: 48, 6: 24}
"""Subnets whose attributes fit an answer of 4096 bytes beside the longest names."""

_POOL_ID: Final = re.compile(rf"{ids.POOL_PREFIX}[0-9a-f]{{{ids.POOL_DIGITS}}}")
_ALLOCATION_ID: Final = re.compile(rf"{ids.ALLOCATION_PREFIX}[0-9a-f]{{{ids.ALLOCATION_DIGITS}}}")
_KEY: Final = re.compile(rf"[!-~]{{1,{MAX_KEY}}}")


@dataclass(frozen=True, slots=True)
class Order:
    """What a Custom::GetCnCIDR asks for.

    Attributes:
        ask: for the engine.
        description: for people, as it was written.
        subnets: netmask lengths of the subnets to be laid out in the block.
    """

    ask: Ask
    description: str
    subnets: tuple[int, ...]


def order(values: Mapping[str, Any], region: str) -> Order:
    """Read the properties of a Custom::GetCnCIDR.

    Args:
        values: the properties.
        region: the stack's Region, which the pool has to be for.

    Raises:
        InvalidPropertyError: a property has a value that cannot be served.
        UnknownPropertyError: there is no such property.
    """
    refuse_unknown(GET, values, GET_PROPERTIES)
    cidr = _cidr(values)
    family = _family(values, cidr)
    ask = Ask(
        pool_id=formed(values, "IpamPoolId", _POOL_ID, "Write a pool's id (ipam-pool-…), or PoolName instead"),
        pool_name=text(values, "PoolName", MAX_POOL_NAME),
        locale=region,
        allocation_type=choice(values, "AllocationType", ("vpc", "subnet")) or "vpc",
        family=family,
        netmask_length=decimal(values, "CnCidrMask", WIDTHS[family]),
        cidr=cidr,
    )
    if ask.pool_id is not None and ask.pool_name is not None:
        raise InvalidPropertyError(
            "PoolName", shown(ask.pool_name), "IpamPoolId names a pool already", "Leave out one of the two"
        )
    if cidr is not None and ask.netmask_length not in {None, cidr.length}:
        raise InvalidPropertyError(
            "CnCidrMask", shown(values["CnCidrMask"]), f"Cidr is a /{cidr.length}", "Leave out one of the two"
        )
    description = text(values, "Description", MAX_DESCRIPTION, lines=True) or ""
    return Order(ask, description, _subnets(values, ask))


def claim(values: Mapping[str, Any]) -> Claim:
    """Read what a Custom::DeleteCnCIDR says of its allocation, whatever else it says.

    Raises:
        InvalidPropertyError: one of the three is missing or malformed.
    """
    name, remedy = "IpamPoolAllocationId", "Use !GetAtt <the Custom::GetCnCIDR>.Returned_IpamPoolAllocationId"
    allocation_id = required(formed(values, name, _ALLOCATION_ID, remedy), name, remedy)
    cidr = required(_cidr(values), "Cidr", "Use !GetAtt <the Custom::GetCnCIDR>.Cidr")
    remedy = "Use !GetAtt <the Custom::GetCnCIDR>.CreationDate"
    date = required(text(values, "CreationDate", MAX_DESCRIPTION), "CreationDate", remedy)
    created = dates.read(date)
    if created is None:
        raise InvalidPropertyError("CreationDate", shown(date), "it is not a time such as this type returns", remedy)
    return Claim(allocation_id, str(cidr), created)


def announcement(values: Mapping[str, Any]) -> tuple[Claim, str]:
    """Read all properties of a Custom::DeleteCnCIDR: the claim, and the key, of which no message tells anything.

    Raises:
        InvalidPropertyError: a property is missing or malformed.
        UnknownPropertyError: there is no such property.
    """
    refuse_unknown(DELETE, values, DELETE_PROPERTIES)
    remedy = "Ask the network team for your account's key and pass it in a NoEcho parameter"
    key = required(values.get("Authorizationkey"), "Authorizationkey", remedy)
    if not isinstance(key, str) or _KEY.fullmatch(key) is None:
        raise InvalidPropertyError("Authorizationkey", "", "it does not have the form of a key", remedy)
    return claim(values), key


def _cidr(values: Mapping[str, Any]) -> Cidr | None:
    """Read Cidr."""
    value = text(values, "Cidr", MAX_DESCRIPTION)
    if value is None:
        return None
    try:
        return Cidr.parse(value)
    except MalformedCidrError as error:
        remedy = f"Write {error.canonical}" if error.canonical else 'Write one such as "10.0.0.0/24"'
        raise InvalidPropertyError("Cidr", shown(value), "it is not a canonical CIDR", remedy) from None


def _family(values: Mapping[str, Any], cidr: Cidr | None) -> Family:
    """Read AddressFamily; a Cidr says it as well, and has to say the same."""
    word = choice(values, "AddressFamily", ("ipv4", "ipv6"))
    if word is None:
        return 4 if cidr is None else cidr.family
    family: Family = 4 if word == "ipv4" else 6
    if cidr is not None and cidr.family != family:
        raise InvalidPropertyError(
            "AddressFamily", shown(word), f"Cidr is IPv{cidr.family}", "Leave out AddressFamily, or change one"
        )
    return family


def _subnets(values: Mapping[str, Any], ask: Ask) -> tuple[int, ...]:
    """Read SubnetMasks, and see that they fit before anything is allocated for them."""
    lengths = decimals(values, "SubnetMasks", WIDTHS[ask.family], MAX_SUBNETS[ask.family])
    if lengths is None:
        return ()
    length = ask.netmask_length if ask.cidr is None else ask.cidr.length
    if length is None:
        raise InvalidPropertyError(
            "SubnetMasks", "", "whether they fit depends on the pool's default", "Add CnCidrMask, or Cidr"
        )
    try:
        pack(Cidr(ask.family, 0, length), lengths)
    except SubnetsDoNotFitError:
        raise InvalidPropertyError(
            "SubnetMasks",
            shown(",".join(str(each) for each in lengths)),
            f"together they are larger than a /{length}",
            "Ask for fewer or smaller subnets, or a larger CnCidrMask block",
        ) from None
    return lengths
