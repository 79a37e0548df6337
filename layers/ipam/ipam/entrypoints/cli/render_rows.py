"""Rows as a table for people, as JSON or as CSV: one place, so that all commands print alike."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from rich.table import Table
from rich.text import Text

from ipam.entrypoints.cli.context import Format
from ipam.entrypoints.cli.render import plain, put

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipam.entrypoints.cli.rows import Value


ENDS: Final = frozenset({"expires", "previous_key_until", "until"})
"""Fields that say until when something lasts: people are told them to the second."""


def show(kind: type[Any], rows: Iterable[Any], columns: Sequence[str], form: Format) -> None:
    """Print rows.

    Args:
        kind: the dataclass that they are of; its fields are the names in JSON and the header in CSV.
        rows: they are printed as they come, so that a long listing takes no memory.
        columns: the fields that people are shown.
        form: how.
    """
    names = [field.name for field in fields(kind)]
    match form:
        case Format.json:
            _print_json(names, rows)
        case Format.csv:
            _print_csv(names, rows)
        case _:
            put(_table(names, rows, columns))


def show_one(rows: Sequence[Any], form: Format) -> None:
    """Print one thing that several rows describe: fields one below the other, an object, or one line."""
    facts = {field.name: getattr(row, field.name) for row in rows for field in fields(row)}
    match form:
        case Format.json:
            print(json.dumps({name: _for_json(value) for name, value in facts.items()}, indent=2, ensure_ascii=False))
        case Format.csv:
            _writer().writerows([list(facts), [_for_csv(value) for value in facts.values()]])
        case _:
            grid = Table.grid(padding=(0, 2))
            for name, value in facts.items():
                grid.add_row(Text(name.replace("_", " "), "dim"), Text(_for_people(name, value) or "-"))
            put(grid)


def _print_json(names: list[str], rows: Iterable[Any]) -> None:
    """Print an array, one object a line."""
    separator = "[\n"
    for row in rows:
        values = [_for_json(value) for value in _values(row)]
        print(separator, json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False), sep="", end="")
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


def _print_csv(names: list[str], rows: Iterable[Any]) -> None:
    """Print a header and a line each (RFC 4180, but lines end as on this system)."""
    writer = _writer()
    writer.writerow(names)
    for row in rows:
        writer.writerow([_for_csv(value) for value in _values(row)])


def _table(names: list[str], rows: Iterable[Any], columns: Sequence[str]) -> Table | Text:
    """Draw a table of some of the fields."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name.replace("_", " "))
    for row in rows:
        facts = dict(zip(names, _values(row), strict=True))
        table.add_row(*(Text(_for_people(name, facts[name])) for name in columns))
    return table if table.row_count else Text("none", "dim")


def _values(row: Any) -> list[Value]:
    return [cast("Value", getattr(row, field.name)) for field in fields(row)]


def _writer() -> Any:
    return csv.writer(sys.stdout, lineterminator="\n")


def _for_json(value: Value) -> object:
    """Write a value for programs; a text that is empty is one that there is not."""
    if isinstance(value, datetime):
        return iso(value)
    return None if value == "" else value


def shown_time(at: datetime | None) -> str:
    """Write a time for people, to the minute; that is UTC."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def shown_end(at: datetime | None) -> str:
    """Write until when something lasts, for people, to the second: what is over then may be waited for."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _for_csv(value: Value) -> object:
    if isinstance(value, tuple):
        # One with a space in it stands in quotes, so that an import reads it as one.
        return shlex.join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return _for_json(value)


def _for_people(name: str, value: Value) -> str:
    """Write a value short and without what a terminal would obey; the field's name says how exactly."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}" if name in ENDS else f"{value:%Y-%m-%d %H:%M}"
        case tuple():
            return ", ".join(value)
        case int():
            return f"{value:,}"
        case _:
            return plain(str(value))


def iso(at: datetime) -> str:
    """Write a time as ISO 8601 has it, in UTC, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
