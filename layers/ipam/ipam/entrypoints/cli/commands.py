"""The commands of `ipam`: parse, call, print."""

from __future__ import annotations

import getpass
import re
from enum import StrEnum
from typing import Annotated, Final, cast

import typer

from ipam import bootstrap
from ipam.domain.authorization import derive
from ipam.domain.cidr import Cidr, Family
from ipam.domain.pool import AllocationRules, Plan, Quota
from ipam.entrypoints.cli.render import allocation_table, plan_tree
from ipam.entrypoints.cli.render import console as terminal
from ipam.services import plan as plans
from ipam.services.provision import provision
from ipam.settings import Settings

console: Final = terminal()
ACCOUNT: Final = re.compile(r"[0-9]{12}")
NETMASK: Final = re.compile(r"/([0-9]{1,3})")

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
scopes = typer.Typer(help="Separate address worlds.", no_args_is_help=True)
pools = typer.Typer(help="Parts of the plan with rules of their own.", no_args_is_help=True)
cidrs = typer.Typer(help="What pools have to give from.", no_args_is_help=True)
plan = typer.Typer(help="The whole address plan.", no_args_is_help=True)
tenant = typer.Typer(help="Accounts that order addresses.", no_args_is_help=True)
for name, group in {"scope": scopes, "pool": pools, "cidr": cidrs, "plan": plan, "tenant": tenant}.items():
    app.add_typer(group, name=name)


class ScopeKind(StrEnum):
    """Types of scopes, as EC2 IPAM has them."""

    private = "private"
    public = "public"


class Kind(StrEnum):
    """Types of allocations that a pool may serve, as EC2 IPAM names them."""

    vpc = "vpc"
    subnet = "subnet"
    eip = "eip"
    custom = "custom"


class AddressFamily(StrEnum):
    """Address families, as EC2 IPAM names them."""

    ipv4 = "ipv4"
    ipv6 = "ipv6"


def _cause() -> str:
    """Name who is at the keyboard, for the audit record."""
    return f"ipam command line, {getpass.getuser()}"


def _parent(current: Plan, scope: str, source: str | None) -> tuple[str, str | None]:
    """Tell the scope, and the pool if there is one, that a new pool gets its space from."""
    if source is not None:
        parent = current.named(source)
        return parent.scope_id, parent.pool_id
    ids = [each.scope_id for each in current.scopes.values() if scope in {each.scope_id, each.name}]
    if not ids:
        raise typer.BadParameter(f"there is no scope {scope!r}; `ipam plan show` lists them", param_hint="--scope")
    return ids[0], None


@scopes.command("create")
def create_scope(
    name: str, scope_type: Annotated[ScopeKind, typer.Option("--type")] = ScopeKind.private, description: str = ""
) -> None:
    """Create an address world of its own. Prints its id."""
    ports = bootstrap.ports(Settings.from_environment())
    scope = plans.create_scope(ports, name, scope_type.value, description, _cause())
    console.print(scope.scope_id)


@pools.command("create")
def create_pool(  # noqa: PLR0913 - a pool has that many properties, and each is an option
    name: str,
    *,
    scope: Annotated[str, typer.Option(help="Scope of a top-level pool, by name or id.")] = "private",
    source: Annotated[str | None, typer.Option(help="Pool that its space comes from, by name or id.")] = None,
    locale: Annotated[str, typer.Option(help="Region that may use it; cannot be changed later.")] = "",
    family: AddressFamily = AddressFamily.ipv4,
    minimum: Annotated[int | None, typer.Option("--min", help="Shortest netmask: the largest block.")] = None,
    maximum: Annotated[int | None, typer.Option("--max", help="Longest netmask: the smallest block.")] = None,
    default: Annotated[int | None, typer.Option(help="Netmask length when a request says none.")] = None,
    types: Annotated[
        list[Kind] | None, typer.Option("--type", help="What may be allocated; all if none is given.")
    ] = None,
    cooling_seconds: Annotated[int, typer.Option(help="How long a released block is kept from everyone.")] = 0,
    max_allocations: Annotated[int | None, typer.Option(help="Allocations that one account may hold.")] = None,
    max_units: Annotated[
        int | None, typer.Option(help="IPv4 addresses, or IPv6 /64, that one account may hold.")
    ] = None,
    description: str = "",
) -> None:
    """Create a pool, with no space of its own yet. Prints its id."""
    ports = bootstrap.ports(Settings.from_environment())
    scope_id, source_pool_id = _parent(plans.current_plan(ports), scope, source)
    pool = plans.create_pool(
        ports,
        plans.NewPool(
            name=name,
            scope_id=scope_id,
            family=cast("Family", int(family.value[-1])),
            source_pool_id=source_pool_id,
            locale=locale,
            description=description,
            allocation_types=frozenset(kind.value for kind in types or Kind),
            rules=AllocationRules(minimum, maximum, default),
            quota=Quota(max_allocations, max_units),
            cooling_seconds=cooling_seconds,
        ),
        _cause(),
    )
    console.print(pool.pool_id)


@cidrs.command("provision")
def provision_cidr(
    pool: Annotated[str, typer.Argument(help="Pool, by name or id.")],
    block: Annotated[str, typer.Argument(help="An exact block, or its size alone such as /16.")],
    token: Annotated[str, typer.Option(help="Names this order: the same token again changes nothing.")] = "",
) -> None:
    """Give a pool address space out of its parent's. Prints the block."""
    ports = bootstrap.ports(Settings.from_environment())
    size = NETMASK.fullmatch(block)
    wanted = int(size[1]) if size else Cidr.parse(block)
    pool_id = plans.current_plan(ports).named(pool).pool_id
    # An exact block names itself; one by size is a new order each time, unless a token says otherwise.
    order = token or (ports.chance.hex_digits(16) if size else block)
    console.print(str(provision(ports, pool_id, wanted, order, _cause())))


@plan.command("show")
def show_plan(
    pool: Annotated[str | None, typer.Argument(help="List the allocations of this pool too.")] = None,
) -> None:
    """Draw scopes and pools with their utilisation."""
    ports = bootstrap.ports(Settings.from_environment())
    current = plans.current_plan(ports)
    console.print(plan_tree(ports, current))
    if pool is not None:
        console.print(allocation_table(ports, current.named(pool)))


@tenant.command("key")
def tenant_key(account: Annotated[str, typer.Argument(help="AWS account id, twelve digits.")]) -> None:
    """Print the Authorizationkey of an account: a secret, to be handed to that account only."""
    if not ACCOUNT.fullmatch(account):
        raise typer.BadParameter(f"{account!r} is not an AWS account id of twelve digits", param_hint="ACCOUNT")
    secrets = bootstrap.secrets(Settings.from_environment())
    console.print(derive(next(iter(secrets.master_keys())), account), soft_wrap=True)
