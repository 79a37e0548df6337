"""`ipam tenant`: accounts that order addresses."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from ipam.domain.authorization import derive
from ipam.entrypoints.cli import context as shared

ACCOUNT: Final = re.compile(r"[0-9]{12}")

app = typer.Typer(help="Accounts that order addresses.", no_args_is_help=True)


@app.callback()
def tenants() -> None:
    """Accounts that order addresses."""


@app.command("key")
def key(context: typer.Context, account: Annotated[str, typer.Argument(help="AWS account id, twelve digits.")]) -> None:
    """Print the Authorizationkey of an account: a secret, to be handed to that account only."""
    shared.only_text(context, "It prints the key alone.")
    if not ACCOUNT.fullmatch(account):
        raise typer.BadParameter(f"{account!r} is not an AWS account id of twelve digits", param_hint="ACCOUNT")
    print(derive(next(iter(shared.secrets().master_keys())), account))
