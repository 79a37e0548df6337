"""NetBox's prefix export for an import: the table of prefixes as CSV, of all versions that export it.

Prefixes with the status "container" are levels of a plan and hold nothing. What NetBox knows besides becomes tags,
whose keys begin with `netbox:`. Other columns are custom fields, or say nothing of the network: they are not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ipam.entrypoints.cli.read_csv import Sheet
from ipam.entrypoints.cli.read_row import Cells, read_row
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.properties import MAX_TAG_VALUE
from ipam.services.import_rows import Bad

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipam.domain.pool import Tag
    from ipam.entrypoints.cli.read_csv import Line
    from ipam.services.import_rows import Row

PREFIX: Final = ("prefix", "prefix_(flat)")
"""Columns that have the block; the first has marks of its depth in exports of version 3.2 and before."""

TAGGED: Final = ("tenant", "status", "role", "site", "scope", "vlan", "tags")
"""Columns that become tags."""

GLOBAL: Final = frozenset({"", "global", "—", "none"})
"""What stands for no VRF: the global table."""

_DEPTH: Final = re.compile(r"[•\s]*")
_ACCOUNT: Final = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")


def read_netbox(content: bytes, scope: str, vrfs: Mapping[str, str]) -> Iterator[Row | Bad]:
    """Read an export.

    Args:
        content: the file.
        scope: that of the global table; "" leaves it to the plan.
        vrfs: the scope of each VRF, by its name with or without its route distinguisher.

    Raises:
        RefusedError: it has no column of prefixes.
    """
    sheet = Sheet(content)
    column = next((name for name in PREFIX if name in sheet.columns), None)
    if column is None:
        raise RefusedError(f"Line {sheet.line}: the column Prefix is missing; this is no export of NetBox's prefixes.")
    scopes = dict.fromkeys(GLOBAL, scope) | {name.lower(): named for name, named in vrfs.items()}
    return (line if isinstance(line, Bad) else _row(line, column, scopes) for line in sheet.lines())


def _row(line: Line, column: str, scopes: Mapping[str, str]) -> Row | Bad:
    """Read a line."""
    cells = {name: cell.strip() for name, cell in line.cells.items()}
    vrf = cells.get("vrf", "").lower()
    scope = scopes.get(vrf, scopes.get(vrf.rpartition(" (")[0] or vrf))
    container = cells.get("status", "").lower() == "container"
    if scope is None and not container:
        return Bad(line.number, cells["vrf"], "vrf", "vrf")
    accounts = _ACCOUNT.findall(cells.get("tenant", ""))
    return read_row(
        Cells(
            line=line.number,
            cidr=_DEPTH.sub("", cells[column], count=1),
            kind="container" if container else "network",
            scope=scope or "",
            account=accounts[0] if len(accounts) == 1 else "",
            description=line.cells.get("description", ""),
            tags=tuple(_tags(cells)),
        )
    )


def _tags(cells: Mapping[str, str]) -> Iterator[Tag]:
    """Keep what else is known of a prefix."""
    for name in TAGGED:
        value = cells.get(name, "")
        if value and value != "—":
            yield f"netbox:{name}", value if len(value) <= MAX_TAG_VALUE else f"{value[: MAX_TAG_VALUE - 1]}…"
