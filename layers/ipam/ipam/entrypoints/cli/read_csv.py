"""CSV for an import: the lines of any file, and the columns of ours.

Ours are those of `ipam export`; any of them but `cidr` may be left out, in any order. Files of spreadsheets are read as
they come: with a byte order mark, with semicolons or tabs, with either line end, with empty lines. A line that cannot
be read is a bad row, and those after it are read all the same.
"""

from __future__ import annotations

import csv
import difflib
import io
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipam.entrypoints.cli.read_row import Cells, read_row
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.properties import shown
from ipam.services.import_rows import Bad

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.pool import Tag
    from ipam.services.import_rows import Row

MAX_ROWS: Final = 1_000_000
"""Rows of one import."""

MAX_TOLD: Final = 5
"""Unknown columns that are told at once."""

DELIMITERS: Final = ",;\t"

USED: Final = frozenset(
    {
        "cidr",
        "pool",
        "pool_id",
        "scope",
        "allocation_type",
        "account",
        "description",
        "tags",
        "holder_id",
        "resource",
        "preview",
    }
)
UNUSED: Final = frozenset(
    {"allocation_id", "created", "holder_type", "holder", "expires", "divided_by", "vpc_ipam_allocation_id"}
)
"""Columns of an export that an import does not take: an imported allocation is a new one, with an id and a life of its
own. An id that could be brought along would be worth stealing: it is what proves a release."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, by its columns; it may take several lines where a cell has line breaks."""

    number: int
    cells: dict[str, str]


class Sheet:
    """A file of lines with a header.

    Attributes:
        columns: the names in its header, in lower case and with underscores.
    """

    def __init__(self, content: bytes) -> None:
        """Read the header.

        Raises:
            RefusedError: there is none.
        """
        # What is no UTF-8 becomes characters that no cell may have: so the other lines are read.
        self._file = io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline="")
        first = next((line for line in self._file if line.strip()), "")
        self._file.seek(0)
        self._reader = csv.reader(self._file, delimiter=max(DELIMITERS, key=first.count), strict=True)
        header = next(self._read(), None)
        if header is None or isinstance(header, Bad):
            raise RefusedError("The file is empty. Its first line has to name the columns, such as cidr,pool,account.")
        self.line, names = header
        if any(not name.isprintable() for name in names):
            raise RefusedError("The file is not UTF-8 text. Save it as CSV in UTF-8.")
        self.columns = ["_".join(name.lower().split()) for name in names]

    def lines(self) -> Iterator[Line | Bad]:
        """Give the lines below the header.

        Raises:
            RefusedError: there are too many.
        """
        for count, read in enumerate(self._read()):
            if count >= MAX_ROWS:
                raise RefusedError(f"The file has more than {MAX_ROWS:,} rows. Import it in parts.")
            if isinstance(read, Bad):
                yield read
                continue
            number, cells = read
            if len(cells) == len(self.columns):
                yield Line(number, dict(zip(self.columns, cells, strict=True)))
            else:
                facts = f"{len(cells)} cells", str(len(self.columns))
                yield Bad(number, facts[0], "cells", other=facts[1])

    def _read(self) -> Iterator[tuple[int, list[str]] | Bad]:
        """Give the lines that are not empty, each with the number of the first line that it takes."""
        while True:
            number = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                last = self._reader.line_num
                span = f"to line {last}" if last > number else "alone"
                yield Bad(number, span, "unreadable", other=str(error))
                continue
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield number, cells


def read_csv(content: bytes, scope: str) -> Iterator[Row | Bad]:
    """Read a file with columns of ours.

    Args:
        content: the file.
        scope: that of rows that name none; "" leaves it to the plan.

    Raises:
        RefusedError: the header is not one of ours.
    """
    sheet = Sheet(content)
    _check_columns(sheet)
    return (line if isinstance(line, Bad) else _row(line, scope) for line in sheet.lines())


def _check_columns(sheet: Sheet) -> None:
    """Refuse a header with columns that nobody knows, or with one twice, or without that of the block.

    Raises:
        RefusedError: with the line, the columns, and those that may be meant.
    """
    unknown = [name for name in sheet.columns if name not in USED | UNUSED]
    if unknown:
        told = ", ".join(_meant(name) for name in unknown[:MAX_TOLD])
        more = f" and {len(unknown) - MAX_TOLD} more" if len(unknown) > MAX_TOLD else ""
        raise RefusedError(f"Line {sheet.line}: unknown columns: {told}{more}. Read are {', '.join(sorted(USED))}.")
    twice = {name for name in sheet.columns if sheet.columns.count(name) > 1}
    if twice:
        raise RefusedError(f"Line {sheet.line}: columns that stand twice: {', '.join(sorted(twice))}.")
    if "cidr" not in sheet.columns:
        raise RefusedError(f"Line {sheet.line}: the column cidr is missing.")


def _meant(name: str) -> str:
    """Name an unknown column, and the one that it resembles."""
    close = difflib.get_close_matches(name, sorted(USED), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    if name == "prefix":
        hint = " (for NetBox's export, add --netbox)"
    return shown(name) + hint


def _row(line: Line, scope: str) -> Row | Bad:
    """Read a line by columns of ours."""
    cells = {name: cell if name == "description" else cell.strip() for name, cell in line.cells.items()}
    try:
        tags = _tags(cells.get("tags", ""))
    except ValueError:
        return Bad(line.number, cells["tags"], "tags", "tags")
    return read_row(
        Cells(
            line=line.number,
            cidr=cells["cidr"],
            # What is only held for somebody to redeem is no network yet.
            kind="container" if cells.get("preview", "").lower() == "true" else "network",
            pool=cells.get("pool") or cells.get("pool_id", ""),
            scope=cells.get("scope") or scope,
            allocation_type=cells.get("allocation_type", ""),
            account=cells.get("account", ""),
            description=cells.get("description", ""),
            tags=tags,
            party=cells.get("holder_id", ""),
            name=cells.get("resource", ""),
        )
    )


def _tags(cell: str) -> tuple[Tag, ...]:
    """Read KEY=VALUE, separated by spaces; one that has a space itself stands in quotes, as a shell has them.

    Raises:
        ValueError: it is something else.
    """
    tags = []
    for word in shlex.split(cell):
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(word)
        tags.append((key, value))
    return tuple(tags)
