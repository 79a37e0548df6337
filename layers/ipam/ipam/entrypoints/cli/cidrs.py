"""`ipam cidr`: what pools have to give from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.cidr import Cidr
from ipam.domain.errors import CidrNotInPoolError
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import pool_options as options
from ipam.entrypoints.cli.ask import ask
from ipam.entrypoints.cli.cascade import contents
from ipam.entrypoints.cli.context import Format, Output, Yes
from ipam.entrypoints.cli.pools import in_order
from ipam.entrypoints.cli.progress import stepping
from ipam.entrypoints.cli.render_rows import show, show_one
from ipam.entrypoints.cli.rows import CidrRow
from ipam.services.deprovision import deprovision
from ipam.services.find import path
from ipam.services.plan import current_plan
from ipam.services.provision import provision

if TYPE_CHECKING:
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool

NETMASK: Final = re.compile(r"/([0-9]{1,3})")
COLUMNS: Final = ("cidr", "pool", "state", "source", "created", "allocation_id")

app = typer.Typer(help="What pools have to give from.", no_args_is_help=True)

Exact = Annotated[str, typer.Argument(metavar="CIDR", help="The block, as it was provisioned.")]


@app.command("provision")
def provision_cidr(
    context: typer.Context,
    pool: options.Name,
    block: Annotated[str, typer.Argument(help="An exact block, or its size alone such as /16.")],
    token: Annotated[str, typer.Option(help="Names this order: the same token again changes nothing.")] = "",
    output: Output = None,
) -> None:
    """Give a pool address space out of its parent's. Prints the block.

    A subnet pool is given the CIDR of its VPC.
    """
    ports = shared.ports()
    size = NETMASK.fullmatch(block)
    wanted = int(size[1]) if size else Cidr.parse(block)
    pool_id = current_plan(ports).named(pool).pool_id
    # An exact block names itself; one by size is a new order each time, unless a token says otherwise.
    order = token or (ports.chance.hex_digits(16) if size else block)
    given = provision(ports, pool_id, wanted, order, shared.cause())
    plan = current_plan(ports, fresh=True)
    _tell(context, plan, plan.pools[pool_id], given, output)


@app.command("list")
def list_all(
    context: typer.Context,
    pool: Annotated[str | None, typer.Argument(help="Only of this pool, by name or id.")] = None,
    output: Output = None,
) -> None:
    """List the CIDRs that pools have to give from, and where each comes from."""
    plan = current_plan(shared.ports())
    pools = in_order(plan) if pool is None else [plan.named(pool)]
    rows = (row for each in pools for row in _rows(plan, each))
    show(CidrRow, rows, COLUMNS, shared.chosen(context, output))


@app.command("show")
def show_cidr(context: typer.Context, pool: options.Name, cidr: Exact, output: Output = None) -> None:
    """Show a CIDR that a pool has: where it comes from, by which allocation, since when."""
    plan = current_plan(shared.ports())
    found = plan.named(pool)
    show_one([_row(plan, found, Cidr.parse(cidr))], shared.chosen(context, output))


@app.command("deprovision")
def deprovision_cidr(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    pool: options.Name,
    cidr: Exact,
    *,
    cascade: Annotated[bool, typer.Option("--cascade", help="With all that is in use of it.")] = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Give a CIDR that nothing is allocated from back to where it came from. Asks first. Prints the block.

    With --cascade, all that would go is listed before: what child pools have of it, and allocations.
    """
    ports = shared.ports()
    plan = current_plan(ports)
    found, block = plan.named(pool), Cidr.parse(cidr)
    row = _row(plan, found, block)
    steps = contents(ports, plan, [found], block) if cascade else 1
    ask(f"Take {block} from pool {found.name}{' and end all of that' if cascade else ''}?", yes=yes)
    with stepping("taking back", str(block), steps) as deadline:
        deprovision(ports, found.pool_id, block, shared.cause(), cascade=cascade, deadline=deadline)
    form = shared.chosen(context, output)
    if form is Format.table:
        print(block)
    else:
        show_one([row], form)


def _tell(context: typer.Context, plan: Plan, pool: Pool, cidr: Cidr, output: Format | None) -> None:
    """Print a block, or for programs its record."""
    form = shared.chosen(context, output)
    if form is Format.table:
        print(cidr)
    else:
        show_one([_row(plan, pool, cidr)], form)


def _row(plan: Plan, pool: Pool, cidr: Cidr) -> CidrRow:
    """Describe one CIDR of a pool."""
    row = next((row for row in _rows(plan, pool) if row.cidr == str(cidr)), None)
    if row is None:
        raise CidrNotInPoolError(pool.name, cidr)
    return row


def _rows(plan: Plan, pool: Pool) -> list[CidrRow]:
    """Describe what a pool has, by address."""
    blocks = sorted(plan.space(pool.pool_id).provisioned)
    return [CidrRow.of(plan, next(path(plan, pool.pool_id, block))) for block in blocks]
