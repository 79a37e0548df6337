"""`ipam doctor`: whether what is stored is sound."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.render import put
from ipam.entrypoints.cli.render_doctor import report
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows import FindingRow
from ipam.services import doctor

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
    with watching("reading") as watch:
        diagnosis = doctor.examine(ports, watch, history=not quick)
        joined = doctor.join_buddies(ports, diagnosis) if repair else None
    if form is Format.table:
        put(report(diagnosis, joined))
    else:
        show(FindingRow, (FindingRow.of(finding) for finding in diagnosis.findings), (), form)
    if diagnosis.violations:
        raise typer.Exit(FINDINGS)
