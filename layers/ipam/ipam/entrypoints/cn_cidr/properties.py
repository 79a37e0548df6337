"""What a Custom::DeleteCnCIDR may have as properties, and what both types have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ipam.domain import ids
from ipam.domain.cidr import Cidr
from ipam.domain.errors import MalformedCidrError
from ipam.domain.owner import Claim
from ipam.entrypoints.cn_cidr import dates
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import formed, refuse_unknown, required, shown, text

if TYPE_CHECKING:
    from collections.abc import Mapping

GET: Final = "Custom::GetCnCIDR"
DELETE: Final = "Custom::DeleteCnCIDR"

DELETE_PROPERTIES: Final = ("Authorizationkey", "Cidr", "CreationDate", "IpamPoolAllocationId")

SECRET_PROPERTIES: Final = ("Authorizationkey",)

MAX_TEXT: Final = 255
MAX_KEY: Final = 128

_ALLOCATION_ID: Final = re.compile(rf"{ids.ALLOCATION_PREFIX}[0-9a-f]{{{ids.ALLOCATION_DIGITS}}}")
_KEY: Final = re.compile(rf"[!-~]{{1,{MAX_KEY}}}")


def claim(values: Mapping[str, Any]) -> Claim:
    """Read what a Custom::DeleteCnCIDR says of its allocation, whatever else it says.

    Raises:
        InvalidPropertyError: one of the three is missing or malformed.
    """
    name, remedy = "IpamPoolAllocationId", "Use !GetAtt <the Custom::GetCnCIDR>.Returned_IpamPoolAllocationId"
    allocation_id = required(formed(values, name, _ALLOCATION_ID, remedy), name, remedy)
    cidr = required(exact_cidr(values), "Cidr", "Use !GetAtt <the Custom::GetCnCIDR>.Cidr")
    remedy = "Use !GetAtt <the Custom::GetCnCIDR>.CreationDate"
    date = required(text(values, "CreationDate", MAX_TEXT), "CreationDate", remedy)
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


def exact_cidr(values: Mapping[str, Any]) -> Cidr | None:
    """Read Cidr."""
    value = text(values, "Cidr", MAX_TEXT)
    return None if value is None else canonical(value, "Cidr")


def canonical(value: str, name: str) -> Cidr:
    """Read a block in its one canonical spelling.

    Raises:
        InvalidPropertyError: it is none, or spelled otherwise.
    """
    try:
        return Cidr.parse(value)
    except MalformedCidrError as error:
        remedy = f"Write {error.canonical}" if error.canonical else 'Write one such as "10.0.0.0/24"'
        raise InvalidPropertyError(name, shown(value), "it is not a canonical CIDR", remedy) from None
