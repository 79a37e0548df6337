"""The whole of `ipam`: its groups of commands, and what holds for all of them."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ipam.entrypoints.cli import (
    allocations,
    apply,
    approvals,
    cidrs,
    doctor,
    find,
    history,
    imports,
    orders,
    orphans,
    plans,
    pools,
    releases,
    scopes,
    tenants,
)
from ipam.entrypoints.cli.context import Format
from ipam.entrypoints.cli.refusals import RefusingGroup

GROUPS: Final = {
    "scope": scopes.app,
    "pool": pools.app,
    "cidr": cidrs.app,
    "allocation": allocations.app,
    "plan": plans.app,
    "tenant": tenants.app,
    "orphans": orphans.app,
}

app = typer.Typer(cls=RefusingGroup, no_args_is_help=True, pretty_exceptions_enable=False)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
app.command("allocate")(orders.allocate)
app.command("preview")(orders.preview)
app.command("release")(releases.release)
app.command("renew")(releases.renew)
app.command("approve")(approvals.approve)
app.command("find")(find.find)
app.command("history")(history.history)
app.command("export")(allocations.export)
app.command("import")(imports.import_networks)
app.command("apply")(apply.apply)
app.command("doctor")(doctor.examine)


@app.callback()
def ipam(
    context: typer.Context,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="How results are printed; every listing takes it too.")
    ] = Format.table,
) -> None:
    """Corporate-network addresses: the plan, who holds what, and whether all of it is sound.

    Finds the system by IPAM_TABLE_NAME and IPAM_MASTER_KEY_SECRET, outputs of its stack, with the ordinary AWS
    credentials, profile and Region. Exit codes: 0 done, 1 refused, 2 wrong usage, or `doctor` found violations.
    """
    context.obj = output
