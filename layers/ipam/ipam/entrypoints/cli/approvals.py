"""`ipam approve`: requests that wait for an administrator's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.errors import ServiceUnavailableError, StoreUnavailableError
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.ask import say
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.render_rows import show, show_one
from ipam.entrypoints.cli.rows import ApprovalRow
from ipam.services.approve import Verdict, decide, hand_over
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from ipam.domain.plan import Plan
    from ipam.services.ports import Ports

COLUMNS: Final = ("approval_id", "pool", "netmask_length", "account", "holder", "resource", "until", "description")
MAX_NOTE: Final = 255


def approve(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    approval_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The request to decide; without one, those that wait are listed."),
    ] = None,
    *,
    deny: Annotated[bool, typer.Option("--deny", help="Refuse it.")] = False,
    note: Annotated[str, typer.Option(help="Why; the requester reads it.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="List denied ones too, and approved ones that still have no block.")
    ] = False,
    output: Output = None,
) -> None:
    """Approve a request for a block that is too large to be given unasked, or refuse it. Without an ID, list them.

    The stack goes on by itself as soon as its request is decided. Who decides, and the note, stand in the history.
    """
    form = shared.chosen(context, output)
    ports = shared.ports()
    plan = current_plan(ports)
    if approval_id is None:
        if deny or note:
            raise typer.BadParameter("say which request; `ipam approve` lists them", param_hint="ID")
        _list(ports, plan, form, everything=everything)
        return
    if len(note) > MAX_NOTE or not note.isprintable():
        raise typer.BadParameter(f"a note is one line of at most {MAX_NOTE} characters", param_hint="--note")
    by = shared.caller()
    verdict = Verdict("denied" if deny else "approved", by, note)
    decided = decide(ports, approval_id, verdict, shared.cause())
    if form is Format.table:
        print(decided.approval_id, decided.decision)
    else:
        show_one([ApprovalRow.of(plan, decided)], form)
    try:
        hand_over(ports, decided, shared.cause())
    except (ServiceUnavailableError, StoreUnavailableError) as error:
        say(f"It is decided. The function was not reached ({error.code}): upkeep hands it over within five minutes.")


def _list(ports: Ports, plan: Plan, form: Format, *, everything: bool) -> None:
    """List requests, those first whose time is over first."""
    now = ports.clock.now()
    approvals = sorted(ports.store.approvals(), key=lambda approval: approval.until)
    open_ones = (each for each in approvals if everything or (each.decision == "waiting" and now < each.until))
    columns = (*COLUMNS, "decision", "decided_by", "note") if everything else COLUMNS
    show(ApprovalRow, (ApprovalRow.of(plan, each) for each in open_ones), columns, form)
