"""`ipam plan`: the whole address plan."""

from __future__ import annotations

from typing import Annotated

import typer

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.allocations import rows_of
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.plan_file import write_plan
from ipam.entrypoints.cli.pool_use import use_of
from ipam.entrypoints.cli.pools import in_order
from ipam.entrypoints.cli.render import allocation_table, plan_tree, pool_tree, put
from ipam.entrypoints.cli.render_rows import show as show_rows
from ipam.entrypoints.cli.rows import AllocationRow, PlanRow
from ipam.services.plan import current_plan

app = typer.Typer(help="The whole address plan.", no_args_is_help=True)


@app.callback()
def plans() -> None:
    """The whole address plan."""


@app.command("show")
def show(
    context: typer.Context,
    pool: Annotated[
        str | None,
        typer.Argument(metavar="POOL", help="Only this pool, by name or id, with those below it and its allocations."),
    ] = None,
    output: Output = None,
) -> None:
    """Draw scopes and pools with their utilisation; what is held for a time only is marked.

    For programs, it is a record a pool; with a pool, a record an allocation of it.
    """
    ports = shared.ports()
    plan = current_plan(ports)
    shown = None if pool is None else plan.named(pool)
    form = shared.chosen(context, output)
    if form is Format.table:
        put(plan_tree(ports, plan) if shown is None else pool_tree(ports, plan, shown))
        if shown is not None:
            put(allocation_table(ports, shown))
    elif shown is None:
        show_rows(PlanRow, (PlanRow.of(plan, use_of(ports, plan, each)) for each in in_order(plan)), (), form)
    else:
        show_rows(AllocationRow, rows_of(ports, plan, shown.pool_id), (), form)


@app.command("export")
def export(context: typer.Context) -> None:
    """Write the plan as a file for `ipam apply`, which it changes nothing of."""
    shared.only_text(context, "It prints YAML.")
    print(write_plan(current_plan(shared.ports())), end="")
