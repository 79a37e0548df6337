"""`ipam history`: what was done to a pool, or to a block of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.cidr import Cidr
from ipam.domain.errors import NoSuchPoolError
from ipam.domain.ids import ALLOCATION_PREFIX, POOL_PREFIX, SCOPE_PREFIX
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.context import Output  # noqa: TC001 - typer reads it
from ipam.entrypoints.cli.pools import in_order
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows import HistoryRow
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.allocation import AuditRecord
    from ipam.domain.plan import Plan
    from ipam.services.ports import Ports

COLUMNS: Final = ("at", "event", "cidr", "account", "holder", "resource", "cause", "allocation_id", "note")

STACK_PREFIX: Final = "arn:"


def history(
    context: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="POOL|SCOPE|STACK|ACCOUNT|CIDR",
            help="Pool or scope, by name or id; stack, by id; tenant; or a block, of every pool that has it.",
        ),
    ],
    cidr: Annotated[
        str | None, typer.Argument(metavar="CIDR", help="Only what happened to this block, or a part of it.")
    ] = None,
    *,
    exact: Annotated[
        bool, typer.Option("--exact", help="Only of exactly this block: one small read, however long the history.")
    ] = False,
    output: Output = None,
) -> None:
    """Show the audit records of a pool, oldest first: who got and gave back what, when, and by which request.

    With a CIDR, records are shown whose block is it, lies in it, or has it inside. Of a stack or a tenant, those are
    shown that concern no block. What was deleted has a history too, by its id. A CIDR alone is looked for in all pools
    that have it now.
    """
    block = None if cidr is None else Cidr.parse(cidr)
    ports = shared.ports()
    plan = current_plan(ports)
    names = {pool.name for pool in plan.pools.values()} | {scope.name for scope in plan.scopes.values()}
    alone = words.block(subject) if block is None and subject not in names else None
    if exact and block is None and alone is None:
        raise typer.BadParameter("say the block", param_hint="CIDR")
    subjects = [_subject(plan, subject)] if alone is None else _having(plan, alone)
    found: list[AuditRecord] = []
    with watching("reading") as watch:
        for done, each in enumerate(subjects):
            watch("history", done, len(subjects))
            found += _records(ports, each, block or alone, exact=exact)
    # Records of one millisecond keep the order of the table, which is by address.
    rows = (HistoryRow.of(plan, record) for record in sorted(found, key=lambda record: record.at))
    columns = COLUMNS if alone is None else ("subject", *COLUMNS)
    show(HistoryRow, rows, columns, shared.chosen(context, output))


def _having(plan: Plan, block: Cidr) -> list[str]:
    """Tell the pools that a block lies in, in every scope.

    Raises:
        RefusedError: there are none.
    """
    pools = [each.pool_id for each in in_order(plan) if plan.space(each.pool_id).around(block) is not None]
    if not pools:
        raise RefusedError(f"No pool has {block}. Name the pool or scope: `ipam history POOL {block}`.")
    return pools


def _subject(plan: Plan, subject: str) -> str:
    """Tell whose records are meant."""
    try:
        return plan.named(subject).pool_id
    except NoSuchPoolError:
        scope = next((each for each in plan.scopes.values() if subject in {each.scope_id, each.name}), None)
        if scope is not None:
            return scope.scope_id
        if words.is_account(subject):
            return subject
        if not subject.startswith((POOL_PREFIX, SCOPE_PREFIX, STACK_PREFIX)) or subject.startswith(ALLOCATION_PREFIX):
            raise
        return subject


def _records(ports: Ports, subject: str, block: Cidr | None, *, exact: bool) -> Iterator[AuditRecord]:
    """Read the records of a pool, of what shares an address with a block, or of exactly that block."""
    if exact:
        yield from ports.store.audit(subject, block)
        return
    for record in ports.store.audit(subject):
        if block is None or (record.cidr is not None and record.cidr.overlaps(block)):
            yield record
