"""Words of options and arguments that are more than one fact: times, tags, principals, tokens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import typer

from ipam.domain.cidr import Cidr
from ipam.entrypoints import properties
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS, MAX_TEXT

if TYPE_CHECKING:
    from ipam.domain.pool import Tag

SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
MAX_DURATION: Final = 10 * 365 * 24 * 3600

MAX_NUMBER: Final = 10**18
"""What a person may count up to: the table has room for more."""

MAX_NETMASK: Final = 128

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_LENGTH: Final = re.compile(r"/?([0-9]{1,3})")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,9})([smhdw]?)")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ADDRESS: Final = re.compile(r"[0-9]+[.][0-9.]*(/[0-9]*)?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(/[0-9]*)?|[0-9]+/[0-9]+")
"""What looks like an address or a block, right or wrong; a name may look like that as little as possible."""

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_PRINCIPAL: Final = re.compile(r"[0-9]{12}|(ou|r|o)-[a-z0-9-]{4,68}")
"""Forms of ids (AWS Organizations API reference, "Organization", "Root", "OrganizationalUnit")."""

_UNIT: Final = re.compile(r"(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})?")
"""Form of its id (AWS Organizations API reference, "OrganizationalUnit")."""

_VPC: Final = re.compile(r"vpc-[0-9a-f]{8,17}")
_VPC_IPAM_POOL: Final = re.compile(r"ipam-pool-[0-9a-f]{8,32}")


def number(text: str) -> int:
    """Read how many there may be of something."""
    if _NUMBER.fullmatch(text) is None or int(text) > MAX_NUMBER:
        raise typer.BadParameter(f"{text!r} is not a whole number from 0")
    return int(text)


def netmask_length(text: str) -> int:
    """Read a netmask length, with or without its slash."""
    read = _LENGTH.fullmatch(text)
    if read is None or int(read[1]) > MAX_NETMASK:
        raise typer.BadParameter(f"{text!r} is no netmask length. Write one such as 24.")
    return int(read[1])


def description(text: str) -> str:
    """Read what somebody says of something: what a stack may say too, and what an import takes."""
    try:
        return properties.text({"description": text}, "description", MAX_TEXT, lines=True) or ""
    except InvalidPropertyError as error:
        raise typer.BadParameter(f"{error.shown}: {error.why}. {error.remedy}.") from None


def duration(text: str) -> int:
    """Read a time, such as 3600, 90m, 12h or 30d, in seconds."""
    read = _DURATION.fullmatch(text)
    seconds = int(read[1]) * SECONDS[read[2]] if read else 0
    if not 0 < seconds <= MAX_DURATION:
        raise typer.BadParameter(f"{text!r} is no time. Write seconds, or a number with s, m, h, d or w, such as 30d.")
    return seconds


def lasting(seconds: int) -> str:
    """Write a time in its largest unit that leaves no rest."""
    unit = next(unit for unit in ("w", "d", "h", "m", "s") if seconds % SECONDS[unit] == 0)
    return f"{seconds // SECONDS[unit]}{unit}"


def tags(given: list[str] | None, option: str) -> tuple[Tag, ...]:
    """Read tags, each KEY=VALUE, none twice."""
    read = [_tag(text, option) for text in given or ()]
    twice = next((key for place, (key, _) in enumerate(read) if key in dict(read[:place])), None)
    if twice is not None:
        raise typer.BadParameter(f"the key {twice!r} is said twice", param_hint=option)
    if len(read) > MAX_TAGS:
        raise typer.BadParameter(f"there are {len(read)}; at most {MAX_TAGS} may be", param_hint=option)
    return tuple(sorted(read))


def merged(old: tuple[Tag, ...], new: tuple[Tag, ...]) -> tuple[Tag, ...]:
    """Put tags to those that there are, in the place of those with their keys."""
    return tuple(sorted((dict(old) | dict(new)).items()))


def _tag(text: str, option: str) -> Tag:
    key, equals, value = text.partition("=")
    if not key or not equals or not text.isprintable():
        raise typer.BadParameter(f"{text!r} is no tag. Write KEY=VALUE.", param_hint=option)
    if len(key) > MAX_TAG_KEY or len(value) > MAX_TAG_VALUE:
        limits = f"a key has at most {MAX_TAG_KEY} characters, a value {MAX_TAG_VALUE}"
        raise typer.BadParameter(f"{properties.shown(text)} is too long: {limits}", param_hint=option)
    return key, value


def token(text: str) -> str:
    """Read the name of an order."""
    if _TOKEN.fullmatch(text) is None:
        raise typer.BadParameter(f"{text!r} is no token: up to 64 letters, digits, dots, colons, hyphens, underscores.")
    return text


def account(text: str) -> str:
    """Read the id of an AWS account."""
    if not is_account(text):
        raise typer.BadParameter(f"{text!r} is not an AWS account id of twelve digits")
    return text


def block(text: str) -> Cidr | None:
    """Read an address, which is the smallest block, or a block; None if the word has the form of neither.

    Raises:
        MalformedCidrError: it has the form of one, but is none.
    """
    if _ADDRESS.fullmatch(text) is None:
        return None
    return Cidr.parse(text if "/" in text else f"{text}/{128 if ':' in text else 32}")


def is_account(text: str) -> bool:
    """Whether a word has the form of an AWS account's id."""
    return _ACCOUNT.fullmatch(text) is not None


def unit(text: str) -> str:
    """Read the id of an organisational unit; "" is none."""
    if _UNIT.fullmatch(text) is None:
        raise typer.BadParameter(f"{text!r} is not the id of an organisational unit, such as ou-abcd-12345678")
    return text


def principals(given: list[str] | None) -> tuple[str, ...]:
    """Read whom a pool is shared with: accounts, organisational units, roots, organisations, by id or ARN."""
    read = [text.rpartition("/")[2] if text.startswith("arn:") else text for text in given or ()]
    stray = next((text for text in read if _PRINCIPAL.fullmatch(text) is None), None)
    if stray is not None:
        why = "is no account (twelve digits), organisational unit (ou-…), root (r-…) or organisation (o-…)"
        raise typer.BadParameter(f"{stray!r} {why}", param_hint="--share")
    return tuple(dict.fromkeys(read))


def vpc(text: str) -> str:
    """Read the id of a VPC."""
    if _VPC.fullmatch(text) is None:
        raise typer.BadParameter(f"{text!r} is not the id of a VPC: vpc- and hexadecimal digits")
    return text


def vpc_ipam_pool(text: str) -> str:
    """Read the id of a pool in Amazon VPC IPAM."""
    if _VPC_IPAM_POOL.fullmatch(text) is None:
        raise typer.BadParameter(
            f"{text!r} is not the id of an Amazon VPC IPAM pool: ipam-pool- and hexadecimal digits"
        )
    return text
