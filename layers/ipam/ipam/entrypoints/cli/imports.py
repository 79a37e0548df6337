"""`ipam import`: existing networks become allocations, in bulk."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from ipam.domain.errors import TemporaryError
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.ask import say
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.read_csv import read_csv
from ipam.entrypoints.cli.read_netbox import read_netbox
from ipam.entrypoints.cli.read_vpc_ipam import read_vpc_ipam
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render import plain, put
from ipam.entrypoints.cli.render_import import bad_lines, sentence, verdict
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows.imports import ImportRow
from ipam.services.import_allocations import Outcome, import_allocations
from ipam.services.import_check import check
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam.domain.plan import Plan
    from ipam.services.import_check import Intake
    from ipam.services.import_rows import Bad, Row

MAX_NAMED: Final = 80
"""Characters of a file's name in the audit records."""


def import_networks(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A CSV file; - reads standard input.", allow_dash=True)
    ] = None,
    *,
    from_vpc_ipam: Annotated[
        str | None,
        typer.Option(metavar="IPAM-POOL-ID", help="Import the allocations of this pool of an Amazon VPC IPAM instead."),
    ] = None,
    region: Annotated[str | None, typer.Option(help="Region of that IPAM, if it is another than yours.")] = None,
    netbox: Annotated[bool, typer.Option("--netbox", help="The file is NetBox's export of prefixes.")] = False,
    pool: Annotated[
        str, typer.Option(help="Pool of rows that name none, by name or id; else the deepest that has the block.")
    ] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE|VRF=SCOPE", help="Scope of rows that name none; with --netbox also that of a VRF."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Import the other rows, though some are bad.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, and change nothing.")] = False,
    output: Output = None,
) -> None:
    """Record existing networks as allocations: from CSV, from an Amazon VPC IPAM, or from NetBox.

    All rows are checked first; if any is bad, all bad ones are listed and nothing is imported. An import that was
    interrupted can be run again: what it did is kept. Exit code 1 if rows are bad, unless --skip-bad is given.
    """
    ports = shared.ports()
    plan = current_plan(ports, fresh=True)
    source = _Source(file, from_vpc_ipam, region, netbox=netbox, scopes=scope or [])
    form = shared.chosen(context, output)
    outcome = Outcome()
    with watching("import:") as watch:
        intake = check(ports, plan, source.rows(), pool, watch)
        written = not dry_run and (skip_bad or not intake.bad)
        if written:
            cause = f"{shared.cause()}: import of {source.name}"
            with _telling_how_far(intake, outcome):
                import_allocations(ports, intake, cause, outcome, watch)
    _tell(plan, intake, outcome, form, source.word)
    conclusion = verdict(intake, outcome, written=written, trial=dry_run)
    put(conclusion, stderr=form is not Format.table)
    if outcome.bad or (intake.bad and not skip_bad):
        raise typer.Exit(1)


def stdin() -> BinaryIO:
    """Give standard input; tests put another one in its place."""
    return sys.stdin.buffer


class _Source:
    """Where the rows come from."""

    def __init__(
        self, file: Path | None, pool_id: str | None, region: str | None, *, netbox: bool, scopes: list[str]
    ) -> None:
        if (file is None) == (pool_id is None):
            raise typer.BadParameter("name a file, or a pool with --from-vpc-ipam, and not both", param_hint="FILE")
        if pool_id is None and region is not None:
            raise typer.BadParameter("only an Amazon VPC IPAM has a Region", param_hint="--region")
        vrfs = [each.rpartition("=") for each in scopes if "=" in each]
        plain_scopes = [each for each in scopes if "=" not in each]
        if len(plain_scopes) > 1 or (vrfs and not netbox):
            raise typer.BadParameter("name one scope; with --netbox also VRF=SCOPE, for each VRF", param_hint="--scope")
        self._file = file or Path("-")
        self._pool_id = None if pool_id is None else words.vpc_ipam_pool(pool_id)
        self._region = region
        self._netbox = netbox
        self._scope = plain_scopes[0] if plain_scopes else ""
        self._vrfs = {vrf: scope for vrf, _, scope in vrfs}
        self.name = plain(pool_id or self._file.name)[:MAX_NAMED]
        self.word = "line" if pool_id is None else "allocation"

    def rows(self) -> Iterator[Row | Bad]:
        """Read the rows."""
        if self._pool_id is not None:
            yield from self._of_vpc_ipam(self._pool_id)
        elif self._netbox:
            yield from read_netbox(self._content(), self._scope, self._vrfs)
        else:
            yield from read_csv(self._content(), self._scope)

    def _of_vpc_ipam(self, pool_id: str) -> Iterator[Row | Bad]:
        ipam = shared.vpc_ipam(self._region)
        found = ipam.pool(pool_id)
        if found is None:
            raise RefusedError(f"Amazon VPC IPAM has no pool {pool_id} here. Check --region and AWS_PROFILE.")
        say(f"{pool_id} {found.description} {found.locale} has {', '.join(found.cidrs) or 'nothing'}")
        yield from read_vpc_ipam(pool_id, ipam.allocations(found), self._scope)

    def _content(self) -> bytes:
        """Read the file.

        Raises:
            RefusedError: it cannot be read.
        """
        try:
            return stdin().read() if str(self._file) == "-" else self._file.read_bytes()
        except OSError as error:
            raise RefusedError(f"{self._file} cannot be read: {error.strerror}.") from None


@contextmanager
def _telling_how_far(intake: Intake, outcome: Outcome) -> Iterator[None]:
    """Say how far an import came that does not come to its end.

    Raises:
        RefusedError: a person has interrupted it.
    """
    try:
        yield
    except (KeyboardInterrupt, TemporaryError) as error:
        done = f"{len(outcome.imported):,} of {intake.to_write:,} networks are imported and whole"
        again = "the same command again keeps them and imports the others"
        if isinstance(error, KeyboardInterrupt):
            raise RefusedError(f"Interrupted: {done}; {again}.") from None
        say(f"{done}; {again}.")
        raise


def _tell(plan: Plan, intake: Intake, outcome: Outcome, form: Format, word: str) -> None:
    """List what became of the rows: for people the bad ones, for programs all."""
    if form is not Format.table:
        rows = sorted(_rows(plan, intake, outcome), key=lambda row: row.line)
        show(ImportRow, rows, (), form)
        return
    for line in bad_lines(plan, [*intake.bad, *outcome.bad], word):
        put(line)


def _rows(plan: Plan, intake: Intake, outcome: Outcome) -> Iterable[ImportRow]:
    """Describe every row."""
    odd = {id(entry) for entry in intake.noncompliant}
    yield from (ImportRow.of_bad(bad, sentence(plan, bad)) for bad in (*intake.bad, *outcome.bad))
    yield from (ImportRow.of_level(row) for row in intake.left_out)
    settled = {bad.line for bad in outcome.bad}
    for imported in outcome.imported:
        entry = imported.entry
        settled.add(entry.row.line)
        yield ImportRow.of(entry, "imported", imported.allocation_id, compliant=id(entry) not in odd)
    for entry in (*intake.kept, *outcome.kept):
        settled.add(entry.row.line)
        yield ImportRow.of(entry, "kept", None, compliant=id(entry) not in odd)
    for entries in intake.good.values():
        yield from (
            ImportRow.of(entry, "good", None, compliant=id(entry) not in odd)
            for entry in entries
            if entry.row.line not in settled
        )
