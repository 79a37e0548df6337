"""`ipam pool`: parts of the plan with rules of their own."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from ipam.domain.pool import AllocationRules, Quota
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.render_rows import show, show_one
from ipam.entrypoints.cli.rows import PoolRow, UtilisationRow
from ipam.services.plan import NewPool, create_pool, current_plan
from ipam.services.utilisation import utilisation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.cidr import Family
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool

COLUMNS: Final = ("name", "scope", "source_pool", "locale", "cidrs", "allocation_types", "pool_id")

app = typer.Typer(help="Parts of the plan with rules of their own.", no_args_is_help=True)


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


@app.command("create")
def create(  # noqa: PLR0913 - a pool has that many properties, and each is an option
    context: typer.Context,
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
    output: Output = None,
) -> None:
    """Create a pool, with no space of its own yet. Prints its id."""
    ports = shared.ports()
    scope_id, source_pool_id = _parent(current_plan(ports), scope, source)
    new = NewPool(
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
    )
    pool = create_pool(ports, new, shared.cause())
    form = shared.chosen(context, output)
    if form is Format.table:
        print(pool.pool_id)
    else:
        show_one([PoolRow.of(current_plan(ports), pool)], form)


@app.command("list")
def list_all(context: typer.Context, output: Output = None) -> None:
    """List the pools, each below the one that its space comes from."""
    plan = current_plan(shared.ports())
    rows = (PoolRow.of(plan, pool) for pool in in_order(plan))
    show(PoolRow, rows, COLUMNS, shared.chosen(context, output))


@app.command("show")
def show_pool(
    context: typer.Context,
    pool: Annotated[str, typer.Argument(help="Pool, by name or id.")],
    output: Output = None,
) -> None:
    """Show all about a pool: its place in the plan, its rules, and how much of it is used."""
    ports = shared.ports()
    plan = current_plan(ports)
    found = plan.named(pool)
    used = utilisation(ports, found, plan.space(found.pool_id))
    rows = [PoolRow.of(plan, found), UtilisationRow.of(plan, found, used)]
    show_one(rows, shared.chosen(context, output))


def in_order(plan: Plan) -> Iterator[Pool]:
    """Give the pools scope by scope, from the top down."""
    waiting = sorted(plan.scopes.values(), key=lambda scope: scope.name, reverse=True)
    parents = [scope.scope_id for scope in waiting]
    while parents:
        parent = parents.pop()
        if parent in plan.pools:
            yield plan.pools[parent]
        parents += [child.pool_id for child in reversed(plan.children(parent))]


def _parent(current: Plan, scope: str, source: str | None) -> tuple[str, str | None]:
    """Tell the scope, and the pool if there is one, that a new pool gets its space from."""
    if source is not None:
        parent = current.named(source)
        return parent.scope_id, parent.pool_id
    return shared.named_scope(current, scope, "--scope").scope_id, None
