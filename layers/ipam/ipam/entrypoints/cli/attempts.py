"""`ipam attempts`: what was forged, or reached for what is another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.attempt import DAYS_KEPT, KEPT, date_of
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.ask import say
from ipam.entrypoints.cli.context import Output  # noqa: TC001 - typer reads it
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows import AttemptRow
from ipam.services.attempts import attempts as read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.services.ports import Ports

COLUMNS: Final = (
    "at",
    "account",
    "kind",
    "reason",
    "request_type",
    "stack_id",
    "logical_resource_id",
    "aws_request_id",
)

DAYS: Final = 7
"""Days that are shown, today among them, unless something else is said."""


def attempts(
    context: typer.Context,
    account: Annotated[
        str | None,
        typer.Argument(metavar="ACCOUNT", parser=words.account, help="Only those of this account.", show_default="all"),
    ] = None,
    *,
    days: Annotated[
        int, typer.Option(metavar="NUMBER", parser=words.number, help="How many days, today among them (UTC).")
    ] = f"{DAYS}",  # type: ignore[assignment] # a default is read as the option is
    output: Output = None,
) -> None:
    """Show what was forged, or reached for what is another's: oldest first, and by whose alias it came.

    What else a row says is what the event claimed. None of it has changed anything. Of an account and day the last
    hundred are kept; the functions' logs have all, by their aws_request_id.
    """
    if not 0 < days <= DAYS_KEPT:
        raise typer.BadParameter(f"{days} days are not kept: 1 to {DAYS_KEPT}", param_hint="--days")
    most: dict[tuple[int, str], int] = {}
    rows = _rows(shared.ports(), days, account, most)
    show(AttemptRow, rows, COLUMNS, shared.chosen(context, output))
    for (day, whose), number in most.items():
        if number > KEPT:
            say(f"{date_of(day)}, {whose or 'no account'}: {number:,} attempts, of which the last {KEPT} are kept.")


def _rows(ports: Ports, days: int, account: str | None, most: dict[tuple[int, str], int]) -> Iterator[AttemptRow]:
    """Give the attempts, day by day, and note how many there were of each account."""
    for today in read(ports, days, account):
        for attempt in today:
            whose = attempt.day, attempt.account
            most[whose] = max(most.get(whose, 0), attempt.number)
            yield AttemptRow.of(attempt)
