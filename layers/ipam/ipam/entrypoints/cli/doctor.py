"""`ipam doctor`: whether what is stored is sound."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.render import UNBROKEN, console
from ipam.entrypoints.cli.render_doctor import report
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows import FindingRow
from ipam.services import doctor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FINDINGS: Final = 2
"""Exit code where violations were found."""


def examine(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave the history out: ask only the owners that hold something now.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Join free buddies, as upkeep does.")] = False,
    output: Output = None,
) -> None:
    """Check that every address has exactly one holder, and all that follows from it, on the live table.

    Exit code 0: sound. 2: violations, each reported with its facts. Hints are not violations: what upkeep will put in
    order by itself, and `--repair` now.
    """
    ports = shared.ports()
    form = shared.chosen(context, output)
    with _progress() as watch:
        diagnosis = doctor.examine(ports, watch, history=not quick)
        joined = doctor.join_buddies(ports, diagnosis) if repair else None
    if form is Format.table:
        console(width=UNBROKEN).print(report(diagnosis, joined))
    else:
        show(FindingRow, (FindingRow.of(finding) for finding in diagnosis.findings), (), form)
    if diagnosis.violations:
        raise typer.Exit(FINDINGS)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show on standard error what is being read, if a person is there to see it."""
    columns = TextColumn("reading {task.description}"), BarColumn(), MofNCompleteColumn()
    terminal = console(stderr=True)
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        task = progress.add_task("")
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)
