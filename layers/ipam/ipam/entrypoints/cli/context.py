"""What every command needs: its collaborators, and the form in which to print.

Tests put their own `ports` and `secrets` in the place of these two; nothing else of the command line reaches AWS.
"""

from __future__ import annotations

import getpass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ipam import bootstrap
from ipam.settings import Settings

if TYPE_CHECKING:
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Scope
    from ipam.services.ports import Ports, Secrets


class Format(StrEnum):
    """How a result is printed: for people, or for programs."""

    table = "table"
    json = "json"
    csv = "csv"


Output = Annotated[
    Format | None, typer.Option("--output", "-o", help="As `ipam --output`; stands above it.", show_default="table")
]


def ports() -> Ports:
    """Give the services the deployed table. No key is needed for that."""
    return bootstrap.ports(Settings.from_environment(optional={"IPAM_MASTER_KEY_SECRET"}))


def secrets() -> Secrets:
    """Give the services the master keys. No table is needed for that."""
    return bootstrap.secrets(Settings.from_environment(optional={"IPAM_TABLE_NAME"}))


def cause() -> str:
    """Name who is at the keyboard, for the audit record."""
    return f"ipam command line, {getpass.getuser()}"


def chosen(context: typer.Context, output: Format | None) -> Format:
    """Tell the form to print in: the command's own option, or else that of `ipam` itself."""
    if output is not None:
        return output
    general = context.find_root().obj
    return general if isinstance(general, Format) else Format.table


def only_text(context: typer.Context, instead: str) -> None:
    """Refuse another form for a command that has one only."""
    form = chosen(context, None)
    if form is not Format.table:
        raise typer.BadParameter(f"{form.value} is not what this command prints. {instead}", param_hint="--output")


def named_scope(plan: Plan, name: str, hint: str) -> Scope:
    """Find a scope by its name or id."""
    found = (scope for scope in plan.scopes.values() if name in {scope.scope_id, scope.name})
    scope = next(found, None)
    if scope is None:
        raise typer.BadParameter(f"there is no scope {name!r}; `ipam scope list` lists them", param_hint=hint)
    return scope
