"""`ipam history`: what was done to a pool, or to a block of it."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ipam.domain.cidr import Cidr
from ipam.domain.errors import NoSuchPoolError
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Output  # noqa: TC001 - typer reads it
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows import HistoryRow
from ipam.services.plan import current_plan

COLUMNS: Final = ("at", "event", "cidr", "account", "holder", "resource", "cause", "allocation_id")


def history(
    context: typer.Context,
    pool: Annotated[str, typer.Argument(help="Pool or scope, by name or id.")],
    cidr: Annotated[str | None, typer.Argument(help="Only what happened to this block, or a part of it.")] = None,
    output: Output = None,
) -> None:
    """Show the audit records of a pool, oldest first: who got and gave back what, when, and by which request.

    With a CIDR, records are shown whose block is it, lies in it, or has it inside.
    """
    block = None if cidr is None else Cidr.parse(cidr)
    ports = shared.ports()
    plan = current_plan(ports)
    try:
        subject = plan.named(pool).pool_id
    except NoSuchPoolError:
        subject = next((each.scope_id for each in plan.scopes.values() if pool in {each.scope_id, each.name}), "")
        if not subject:
            raise
    records = (
        record
        for record in ports.store.audit(subject)
        if block is None or (record.cidr is not None and record.cidr.overlaps(block))
    )
    # Records of one millisecond keep the order of the table, which is by address.
    rows = (HistoryRow.of(plan, record) for record in sorted(records, key=lambda record: record.at))
    show(HistoryRow, rows, COLUMNS, shared.chosen(context, output))
