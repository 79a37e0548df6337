"""`ipam tenant`: accounts that order addresses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.authorization import derive
from ipam.domain.errors import InUseError, NoSuchTenantError
from ipam.domain.pool import NO_QUOTA, Quota
from ipam.domain.tenant import EVERY_POOL
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.ask import ask, say
from ipam.entrypoints.cli.context import Format, Output, Yes
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render_rows import show, show_one, shown_end
from ipam.entrypoints.cli.rows import AccountRow, KeyRow, TenantRow
from ipam.entrypoints.cli.rows.values import when, when_if
from ipam.services.plan import current_plan
from ipam.services.tenancy import add_tenant, remove_tenant, rotate_key
from ipam.services.tenants import accounts, held_by, ways_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam.domain.plan import Plan
    from ipam.domain.tenant import Tenant
    from ipam.services.ports import Ports
    from ipam.services.ports.outside import RegionAliases

COLUMNS: Final = (
    *("account", "name", "standing", "key_generation"),
    *("pool", "allocations", "max_allocations", "units", "max_units"),
)
MAX_NAME: Final = 255
GRACE: Final = 30 * 24 * 3600
"""Seconds for which the key before is good, unless something else is said."""

app = typer.Typer(help="Accounts that order addresses.", no_args_is_help=True)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", parser=words.account, help="AWS account id, twelve digits.")]


@app.command("add")
def add(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    account: Account,
    *,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="OU", parser=words.unit, help="Its organisational unit, for people to know.")
    ] = None,
    max_allocations: Annotated[
        int | None, typer.Option(metavar="NUMBER", parser=words.number, help="Allocations that it may hold of a pool.")
    ] = None,
    max_units: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER", parser=words.number, help="IPv4 addresses, or IPv6 /64, that it may hold of a pool."
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(help="The pool that these limits are for; without it, all that have none of their own."),
    ] = None,
    no_quota: Annotated[bool, typer.Option("--no-quota", help="No limits of its own: what the pool says.")] = False,
    output: Output = None,
) -> None:
    """Let an account order, or change what is said of it. Prints the ServiceToken that its stacks name, one a Region.

    Its limits stand in the place of a pool's own, above or below them. Doing it again finishes what was interrupted.
    """
    limited = no_quota or max_allocations is not None or max_units is not None
    if pool is not None and not limited:
        raise typer.BadParameter("say --max-allocations, --max-units or --no-quota as well", param_hint="--pool")
    if no_quota and (max_allocations is not None or max_units is not None):
        raise typer.BadParameter("it stands alone", param_hint="--no-quota")
    if name is not None and (len(name) > MAX_NAME or not name.isprintable()):
        raise typer.BadParameter(f"a name is one line of at most {MAX_NAME} characters", param_hint="--name")
    ports = shared.ports()
    of = EVERY_POOL if pool is None else current_plan(ports).named(pool).pool_id

    def change(tenant: Tenant) -> Tenant:
        quotas = dict(tenant.quotas)
        if no_quota:
            quotas.pop(of, None)
        elif limited:
            quotas[of] = _changed(quotas.get(of, NO_QUOTA), max_allocations, max_units)
        return replace(
            tenant,
            name=tenant.name if name is None else name,
            unit=tenant.unit if unit is None else unit,
            quotas=tuple(sorted(quotas.items(), key=lambda quota: quota[0])),
        )

    _tell(context, output, ports, add_tenant(ports, account, change, shared.cause()))
    say("It may order. `ipam tenant key` prints its key.")


@app.command("remove")
def remove(context: typer.Context, account: Account, *, yes: Yes = False, output: Output = None) -> None:
    """Let an account order no more, and shut it out as soon as it holds nothing. Asks first.

    What it holds it can give back all the while. Waits up to a minute, for orders that are on their way to end. Let in
    again, it has another key and no limits of its own.
    """
    ports = shared.ports()
    tenant = current_plan(ports).tenants.get(account)
    if tenant is None:
        raise RefusedError(
            f"Account {account} is no tenant: there is nothing to remove. `ipam tenant list` lists them."
        )
    named = f" ({tenant.name})" if tenant.name else ""
    ask(f"Account {account}{named} will order nothing more. Remove it?", yes=yes)
    try:
        remove_tenant(ports, account, shared.cause())
    except InUseError as error:
        more = f" and {error.count - len(error.users)} more" if error.count > len(error.users) else ""
        raise RefusedError(
            f"Account {account} orders no more, but holds {', '.join(error.users)}{more}. Remove it again when that is "
            "given back; `ipam export` tells whose it is."
        ) from error
    form = shared.chosen(context, output)
    if form is Format.table:
        print(account)
    else:
        show_one([AccountRow.of(tenant.removed(), ())], form)


@app.command("list")
def list_all(
    context: typer.Context,
    *,
    everyone: Annotated[bool, typer.Option("--all", help="Also those that were removed.")] = False,
    output: Output = None,
) -> None:
    """List tenants, and accounts that hold something without being one, with what each has of each pool."""
    ports = shared.ports()
    plan = current_plan(ports)
    with watching("reading") as watch:
        found = sorted({*accounts(ports, plan, watch), *plan.tenants, *(plan.removed if everyone else ())})
    ways = ways_in(ports)
    rows = (row for account in found for row in _rows(ports, plan, account, ways))
    show(TenantRow, rows, COLUMNS, shared.chosen(context, output))


@app.command("show")
def show_account(context: typer.Context, account: Account, output: Output = None) -> None:
    """Show what an account has of each pool, and may have at most. Units are IPv4 addresses, or IPv6 /64.

    Of a tenant it also tells the ServiceTokens, one a Region.
    """
    ports = shared.ports()
    rows = _rows(ports, current_plan(ports), account, ways_in(ports))
    form = shared.chosen(context, output)
    show(TenantRow, rows, COLUMNS, form)
    for token in rows[0].service_tokens if rows and form is Format.table else ():
        say(f"ServiceToken {token}")


@app.command("key")
def key(context: typer.Context, account: Account, output: Output = None) -> None:
    """Print the Authorizationkey of a tenant: a secret, to be handed to that account only."""
    _print_key(context, output, _tenant(shared.ports(), account))


@app.command("rotate")
def rotate(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    account: Account,
    *,
    grace: Annotated[
        int | None,
        typer.Option(
            metavar="TIME", parser=words.duration, help="How long the key before is good as well.", show_default="30d"
        ),
    ] = None,
    no_grace: Annotated[
        bool, typer.Option("--no-grace", help="No other key is good from now on: for one that got out.")
    ] = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Give a tenant a new key, and print it: a secret, to be handed to that account only.

    Stacks show the key when they are made or changed; what they hold they can give back with any. With --no-grace it
    asks first: stacks that have the key before can then be neither made nor changed.
    """
    if no_grace and grace is not None:
        raise typer.BadParameter("it stands alone", param_hint="--no-grace")
    # First of all: a key that cannot be printed is not made.
    master_key = _master_key()
    ports = shared.ports()
    if no_grace:
        _tenant(ports, account)
        ask(f"Every key that account {account} has now ends at once. Give it another one?", yes=yes)
    seconds = 0 if no_grace else grace or GRACE
    tenant = rotate_key(ports, account, seconds, shared.cause())
    _print_key(context, output, tenant, master_key)
    until = tenant.previous_until
    say("No other key is good." if until is None else f"The key before is good until {shown_end(when(until))}.")


def _changed(quota: Quota, max_allocations: int | None, max_units: int | None) -> Quota:
    """Change a quota by what was said."""
    return Quota(
        quota.allocations if max_allocations is None else max_allocations,
        quota.units if max_units is None else max_units,
    )


def _tenant(ports: Ports, account: str) -> Tenant:
    """Find a tenant.

    Raises:
        NoSuchTenantError: there is none.
    """
    tenant = current_plan(ports).tenants.get(account)
    if tenant is None:
        raise NoSuchTenantError(account)
    return tenant


def _tell(context: typer.Context, output: Format | None, ports: Ports, tenant: Tenant) -> None:
    """Print what a tenant is now."""
    form, tokens = shared.chosen(context, output), _tokens(tenant.account, ways_in(ports))
    if form is Format.table:
        print("\n".join(tokens or (tenant.account,)))
    else:
        show_one([AccountRow.of(tenant, tokens)], form)


def _rows(ports: Ports, plan: Plan, account: str, ways: Sequence[RegionAliases]) -> list[TenantRow]:
    """Describe an account."""
    return TenantRow.all_of(plan, account, held_by(ports, plan, account), _tokens(account, ways))


def _tokens(account: str, ways: Sequence[RegionAliases]) -> tuple[str, ...]:
    """Give what an account's stacks have to name, one a Region."""
    return tuple(region.service_token(account) for region in ways)


def _master_key() -> bytes:
    return next(iter(shared.secrets().master_keys()))


def _print_key(context: typer.Context, output: Format | None, tenant: Tenant, master_key: bytes | None = None) -> None:
    """Print a tenant's current key."""
    derived = derive(master_key or _master_key(), tenant.account, tenant.generation)
    form = shared.chosen(context, output)
    if form is Format.table:
        print(derived)
    else:
        until = when_if(tenant.previous_until)
        show_one([KeyRow(tenant.account, derived, tenant.generation, until)], form)
