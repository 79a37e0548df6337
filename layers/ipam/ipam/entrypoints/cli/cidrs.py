"""`ipam cidr`: what pools have to give from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.cidr import Cidr
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.pools import in_order
from ipam.entrypoints.cli.render_rows import show, show_one
from ipam.entrypoints.cli.rows import CidrRow
from ipam.services.find import path
from ipam.services.plan import current_plan
from ipam.services.provision import provision

if TYPE_CHECKING:
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool
    from ipam.services.ports import Ports

NETMASK: Final = re.compile(r"/([0-9]{1,3})")
COLUMNS: Final = ("cidr", "pool", "state", "source", "created", "allocation_id")

app = typer.Typer(help="What pools have to give from.", no_args_is_help=True)


@app.command("provision")
def provision_cidr(
    context: typer.Context,
    pool: Annotated[str, typer.Argument(help="Pool, by name or id.")],
    block: Annotated[str, typer.Argument(help="An exact block, or its size alone such as /16.")],
    token: Annotated[str, typer.Option(help="Names this order: the same token again changes nothing.")] = "",
    output: Output = None,
) -> None:
    """Give a pool address space out of its parent's. Prints the block."""
    ports = shared.ports()
    size = NETMASK.fullmatch(block)
    wanted = int(size[1]) if size else Cidr.parse(block)
    pool_id = current_plan(ports).named(pool).pool_id
    # An exact block names itself; one by size is a new order each time, unless a token says otherwise.
    order = token or (ports.chance.hex_digits(16) if size else block)
    given = provision(ports, pool_id, wanted, order, shared.cause())
    form = shared.chosen(context, output)
    if form is Format.table:
        print(given)
    else:
        plan = current_plan(ports, fresh=True)
        show_one([row for row in _rows(ports, plan, plan.pools[pool_id]) if row.cidr == str(given)], form)


@app.command("list")
def list_all(
    context: typer.Context,
    pool: Annotated[str | None, typer.Argument(help="Only of this pool, by name or id.")] = None,
    output: Output = None,
) -> None:
    """List the CIDRs that pools have to give from, and where each comes from."""
    ports = shared.ports()
    plan = current_plan(ports)
    pools = in_order(plan) if pool is None else [plan.named(pool)]
    rows = (row for each in pools for row in _rows(ports, plan, each))
    show(CidrRow, rows, COLUMNS, shared.chosen(context, output))


def _rows(ports: Ports, plan: Plan, pool: Pool) -> list[CidrRow]:
    """Describe what a pool has, by address."""
    blocks = sorted(plan.space(pool.pool_id).provisioned)
    return [CidrRow.of(plan, next(path(ports.store, plan, pool.pool_id, block))) for block in blocks]
