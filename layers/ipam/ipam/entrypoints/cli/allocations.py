"""`ipam allocation` and `ipam export`: blocks with their holders."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.pools import in_order
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows import AllocationRow
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.plan import Plan
    from ipam.services.ports import Ports

COLUMNS: Final = ("cidr", "account", "holder", "resource", "created", "expires", "allocation_id", "description")

app = typer.Typer(help="Blocks with their holders.", no_args_is_help=True)


class FileFormat(StrEnum):
    """Forms of a file."""

    csv = "csv"
    json = "json"


@app.callback()
def allocations() -> None:
    """Blocks with their holders."""


@app.command("list")
def list_all(
    context: typer.Context,
    pool: Annotated[str, typer.Argument(help="Pool, by name or id.")],
    output: Output = None,
) -> None:
    """List the allocations of a pool by address. Those of its child pools are not among them."""
    ports = shared.ports()
    plan = current_plan(ports)
    show(AllocationRow, rows_of(ports, plan, plan.named(pool).pool_id), COLUMNS, shared.chosen(context, output))


def export(
    context: typer.Context,
    file_format: Annotated[
        FileFormat | None,
        typer.Option("--format", "--output", "-o", help="Form of the file.", show_default="csv"),
    ] = None,
) -> None:
    """Write every allocation of every pool and scope to standard output, by pool and address."""
    form = shared.chosen(context, None if file_format is None else Format(file_format.value))
    ports = shared.ports()
    plan = current_plan(ports)
    scopes = sorted(plan.scopes.values(), key=lambda scope: scope.name)
    spaces = [*(scope.scope_id for scope in scopes), *(pool.pool_id for pool in in_order(plan))]
    rows = (row for space_id in spaces for row in rows_of(ports, plan, space_id))
    show(AllocationRow, rows, COLUMNS, Format.csv if form is Format.table else form)


def rows_of(ports: Ports, plan: Plan, space_id: str) -> Iterator[AllocationRow]:
    """Describe the allocations of a pool or scope, by address, with their leases."""
    leases = {lease.cidr: lease for lease in ports.store.leases(space_id)}
    for held in ports.store.allocations(space_id):
        lease = leases.get(held.cidr)
        yield AllocationRow.of(plan, held, lease if lease and lease.allocation_id == held.allocation_id else None)
