"""What the sources of an import have in common: a network in their words, and how it is read.

Read strictly: what is not exactly right makes a bad row, with the column and its value. The text of a cell is what
somebody typed into some other tool once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from ipam.domain.cidr import Cidr
from ipam.domain.errors import MalformedCidrError
from ipam.entrypoints.cli.rows.holders import COMMAND_LINE, ORDERED
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS, MAX_TEXT, text
from ipam.services.import_rows import Bad, Row

if TYPE_CHECKING:
    from ipam.domain.pool import AllocationType, Tag
    from ipam.services.import_rows import Kind

TYPES: Final = ("vpc", "subnet", "eip", "custom")
OF_POOL: Final = "ipam-pool"
"""The allocation type of what a pool has from its parent."""

MAX_PARTY: Final = 400
MAX_NAME: Final = 255
"""Characters of a holder and of its name: in UTF-8 they fit the table's keys."""

_ACCOUNT: Final = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class Cells:
    """A network in the words of its source; "" is what it does not say. The fields are those of `Row`."""

    line: int
    cidr: str
    kind: Kind = "network"
    pool: str = ""
    scope: str = ""
    allocation_type: str = ""
    account: str = ""
    description: str = ""
    tags: tuple[Tag, ...] = ()
    party: str = ""
    name: str = ""
    vpc_ipam_pool_id: str = ""
    vpc_ipam_allocation_id: str = ""


def read_row(cells: Cells) -> Row | Bad:
    """Read a network, or say what is wrong with the first wrong cell of it."""
    try:
        return _row(cells)
    except MalformedCidrError as error:
        return Bad(cells.line, error.text, "cidr", "cidr", other=error.canonical or "")
    except InvalidPropertyError as error:
        return Bad(cells.line, error.shown, "text", error.property_name, other=error.why)
    except _WrongError as error:
        return error.bad


class _WrongError(Exception):
    """A cell is wrong."""

    def __init__(self, bad: Bad) -> None:
        super().__init__(bad.problem)
        self.bad = bad


def _row(cells: Cells) -> Row:
    if cells.account and _ACCOUNT.fullmatch(cells.account) is None:
        raise _WrongError(Bad(cells.line, cells.account, "account", "account"))
    if cells.allocation_type not in {*TYPES, OF_POOL, ""}:
        raise _WrongError(Bad(cells.line, cells.allocation_type, "type", "allocation_type", other=", ".join(TYPES)))
    return Row(
        line=cells.line,
        cidr=Cidr.parse(cells.cidr),
        kind="pool" if cells.allocation_type == OF_POOL else cells.kind,
        pool=_text("pool", cells.pool, MAX_NAME),
        scope=_text("scope", cells.scope, MAX_NAME),
        allocation_type=cast("AllocationType", cells.allocation_type) if cells.allocation_type in TYPES else None,
        account=cells.account,
        description=_text("description", cells.description, MAX_TEXT, lines=True),
        tags=_tags(cells),
        party=_text("holder_id", cells.party, MAX_PARTY),
        name=_name(cells),
        vpc_ipam_pool_id=cells.vpc_ipam_pool_id,
        vpc_ipam_allocation_id=cells.vpc_ipam_allocation_id,
    )


def _name(cells: Cells) -> str:
    """Tell which of the holder's a network is; what an administrator ordered goes by the order alone."""
    if cells.party.startswith(COMMAND_LINE):
        return ORDERED
    return _text("resource", cells.name, MAX_NAME)


def _tags(cells: Cells) -> tuple[Tag, ...]:
    """Read tags: each key once."""
    keys = [key for key, _ in cells.tags]
    if len(cells.tags) > MAX_TAGS or len(set(keys)) < len(keys) or "" in keys:
        raise _WrongError(Bad(cells.line, " ".join(keys), "tags", "tags"))
    return tuple(
        (_text("tags", key, MAX_TAG_KEY), _text("tags", value, MAX_TAG_VALUE)) for key, value in sorted(cells.tags)
    )


def _text(column: str, value: str, limit: int, *, lines: bool = False) -> str:
    """Read a text that may be empty, without what a terminal obeys."""
    if not value:
        return ""
    return text({column: value}, column, limit, lines=lines) or ""
