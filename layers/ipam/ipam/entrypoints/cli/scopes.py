"""`ipam scope`: separate address worlds."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.ask import ask
from ipam.entrypoints.cli.context import Format, Output, Yes
from ipam.entrypoints.cli.render_rows import show, show_one
from ipam.entrypoints.cli.rows import ScopeRow
from ipam.services.plan import current_plan
from ipam.services.scopes import create_scope, delete_scope, edit_scope

if TYPE_CHECKING:
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Scope

COLUMNS: Final = ("name", "scope_type", "pools", "scope_id", "created", "description")

app = typer.Typer(help="Separate address worlds.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="SCOPE", help="Scope, by name or id.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Tag; may be said several times.")]


class ScopeKind(StrEnum):
    """Types of scopes, as EC2 IPAM has them."""

    private = "private"
    public = "public"


class Part(StrEnum):
    """What can be taken away of a scope."""

    tags = "tag"


@app.command("create")
def create(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    name: str,
    *,
    scope_type: Annotated[ScopeKind, typer.Option("--type")] = ScopeKind.private,
    description: Annotated[
        str, typer.Option(metavar="TEXT", parser=words.description, help="What it is for, in words.")
    ] = "",
    tags: Tags = None,
    output: Output = None,
) -> None:
    """Create an address world of its own. Prints its id."""
    given = words.tags(tags, "--tag")
    ports = shared.ports()
    scope = create_scope(ports, name, scope_type.value, description, shared.cause(), tags=given)
    _tell(context, current_plan(ports, fresh=True), scope, output)


@app.command("list")
def list_all(context: typer.Context, output: Output = None) -> None:
    """List the scopes by name."""
    plan = current_plan(shared.ports())
    scopes = sorted(plan.scopes.values(), key=lambda scope: scope.name)
    show(ScopeRow, (ScopeRow.of(plan, scope) for scope in scopes), COLUMNS, shared.chosen(context, output))


@app.command("show")
def show_scope(context: typer.Context, scope: Name, output: Output = None) -> None:
    """Show all about a scope."""
    plan = current_plan(shared.ports())
    show_one([ScopeRow.of(plan, plan.named_scope(scope))], shared.chosen(context, output))


@app.command("edit")
def edit(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    scope: Name,
    *,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", parser=words.description, help="Other words.")
    ] = None,
    tags: Tags = None,
    cleared: Annotated[
        list[Part] | None, typer.Option("--clear", help="Take this away, before what else is said.")
    ] = None,
    output: Output = None,
) -> None:
    """Change what is said of a scope; what is not given stays. Prints its id."""
    given = words.tags(tags, "--tag")
    if name is None and description is None and not given and not cleared:
        raise typer.BadParameter("say what to change: --name, --description, --tag, --clear")

    def change(old: Scope) -> Scope:
        return replace(
            old,
            name=old.name if name is None else name,
            description=old.description if description is None else description,
            tags=words.merged(() if cleared else old.tags, given),
        )

    ports = shared.ports()
    scope_id = current_plan(ports).named_scope(scope).scope_id
    edited = edit_scope(ports, scope_id, change, shared.cause())
    _tell(context, current_plan(ports, fresh=True), edited, output)


@app.command("delete")
def delete(context: typer.Context, scope: Name, *, yes: Yes = False, output: Output = None) -> None:
    """Delete a scope that has no pools any more. Asks first. Prints its id."""
    ports = shared.ports()
    plan = current_plan(ports)
    found = plan.named_scope(scope)
    ask(f"Delete the scope {found.name}, with its name and its place in the plan?", yes=yes)
    delete_scope(ports, found.scope_id, shared.cause())
    _tell(context, plan, found, output)


def _tell(context: typer.Context, plan: Plan, scope: Scope, output: Format | None) -> None:
    """Print the id of a scope, or for programs its record."""
    form = shared.chosen(context, output)
    if form is Format.table:
        print(scope.scope_id)
    else:
        show_one([ScopeRow.of(plan, scope)], form)
