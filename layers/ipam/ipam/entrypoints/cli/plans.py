"""`ipam plan`: the whole address plan."""

from __future__ import annotations

from typing import Annotated

import typer

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.render import allocation_table, console, plan_tree
from ipam.services.plan import current_plan

app = typer.Typer(help="The whole address plan.", no_args_is_help=True)


@app.command("show")
def show(
    context: typer.Context,
    pool: Annotated[str | None, typer.Argument(help="List the allocations of this pool too, by name or id.")] = None,
) -> None:
    """Draw scopes and pools with their utilisation."""
    shared.only_text(context, "`ipam pool list` and `ipam cidr list` give the plan to programs.")
    ports = shared.ports()
    plan = current_plan(ports)
    shown = None if pool is None else plan.named(pool)
    console().print(plan_tree(ports, plan))
    if shown is not None:
        console().print(allocation_table(ports, shown))
