"""`ipam scope`: separate address worlds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.render_rows import show, show_one
from ipam.entrypoints.cli.rows import ScopeRow
from ipam.services.plan import create_scope, current_plan

COLUMNS: Final = ("name", "scope_type", "pools", "scope_id", "created", "description")

app = typer.Typer(help="Separate address worlds.", no_args_is_help=True)


class ScopeKind(StrEnum):
    """Types of scopes, as EC2 IPAM has them."""

    private = "private"
    public = "public"


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    scope_type: Annotated[ScopeKind, typer.Option("--type")] = ScopeKind.private,
    description: str = "",
    output: Output = None,
) -> None:
    """Create an address world of its own. Prints its id."""
    ports = shared.ports()
    scope = create_scope(ports, name, scope_type.value, description, shared.cause())
    form = shared.chosen(context, output)
    if form is Format.table:
        print(scope.scope_id)
    else:
        show_one([ScopeRow.of(current_plan(ports), scope)], form)


@app.command("list")
def list_all(context: typer.Context, output: Output = None) -> None:
    """List the scopes by name."""
    plan = current_plan(shared.ports())
    scopes = sorted(plan.scopes.values(), key=lambda scope: scope.name)
    show(ScopeRow, (ScopeRow.of(plan, scope) for scope in scopes), COLUMNS, shared.chosen(context, output))
