"""`ipam tenant`: accounts that order addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from ipam.domain.authorization import derive
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.render_rows import show, show_one
from ipam.entrypoints.cli.rows import TenantRow
from ipam.services.plan import current_plan
from ipam.services.tenants import accounts, held_by

COLUMNS: Final = ("account", "pool", "allocations", "max_allocations", "units", "max_units")

app = typer.Typer(help="Accounts that order addresses.", no_args_is_help=True)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", parser=words.account, help="AWS account id, twelve digits.")]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An account's key."""

    account: str
    authorizationkey: str


@app.command("list")
def list_all(context: typer.Context, output: Output = None) -> None:
    """List the accounts that hold something, with what each has of each pool, and may have at most."""
    ports = shared.ports()
    plan = current_plan(ports)
    with watching("reading") as watch:
        found = accounts(ports, plan, watch)
    rows = (TenantRow.of(plan, held) for account in found for held in held_by(ports, plan, account))
    show(TenantRow, rows, COLUMNS, shared.chosen(context, output))


@app.command("show")
def show_account(context: typer.Context, account: Account, output: Output = None) -> None:
    """Show what an account has of each pool, and may have at most. Units are IPv4 addresses, or IPv6 /64."""
    ports = shared.ports()
    plan = current_plan(ports)
    rows = (TenantRow.of(plan, held) for held in held_by(ports, plan, account))
    show(TenantRow, rows, COLUMNS, shared.chosen(context, output))


@app.command("key")
def key(context: typer.Context, account: Account, output: Output = None) -> None:
    """Print the Authorizationkey of an account: a secret, to be handed to that account only."""
    derived = derive(next(iter(shared.secrets().master_keys())), account)
    form = shared.chosen(context, output)
    if form is Format.table:
        print(derived)
    else:
        show_one([KeyRow(account, derived)], form)
