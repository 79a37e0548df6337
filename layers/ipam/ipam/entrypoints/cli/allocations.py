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

COLUMNS: Final = ("cidr", "account", "holder", "resource", "created", "allocation_id", "description")

app = typer.Typer(help="Blocks with their holders.", no_args_is_help=True)


class FileFormat(StrEnum):
    """Forms of a file."""

    csv = "csv"
    json = "json"


@app.command("list")
def list_all(
    context: typer.Context,
    pool: Annotated[str, typer.Argument(help="Pool, by name or id.")],
    output: Output = None,
) -> None:
    """List the allocations of a pool by address. Those of its child pools are not among them."""
    ports = shared.ports()
    plan = current_plan(ports)
    rows = _rows(ports, plan, plan.named(pool).pool_id)
    show(AllocationRow, rows, COLUMNS, shared.chosen(context, output))


def export(
    file_format: Annotated[FileFormat, typer.Option("--format", help="Form of the file.")] = FileFormat.csv,
) -> None:
    """Write every allocation of every pool and scope to standard output, by pool and address."""
    ports = shared.ports()
    plan = current_plan(ports)
    scopes = sorted(plan.scopes.values(), key=lambda scope: scope.name)
    spaces = [*(scope.scope_id for scope in scopes), *(pool.pool_id for pool in in_order(plan))]
    rows = (row for space_id in spaces for row in _rows(ports, plan, space_id))
    show(AllocationRow, rows, COLUMNS, Format(file_format.value))


def _rows(ports: Ports, plan: Plan, space_id: str) -> Iterator[AllocationRow]:
    return (AllocationRow.of(plan, held) for held in ports.store.allocations(space_id))
