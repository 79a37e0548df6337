"""The whole of `ipam`: its groups of commands, and what holds for all of them."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Annotated, Final

import typer

from ipam.entrypoints.cli import (
    allocations,
    apply,
    approvals,
    attempts,
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
app.command("attempts")(attempts.attempts)
app.command("export")(allocations.export)
app.command("import")(imports.import_networks)
app.command("apply")(apply.apply)
app.command("doctor")(doctor.examine)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    """Print the version of the installed package, which pyproject.toml says."""
    if wanted:
        print(f"cn-ipam {version('cn-ipam')}")
        raise typer.Exit


@app.callback()
def ipam(
    context: typer.Context,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="How results are printed; every listing takes it too.")
    ] = Format.table,
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Corporate-network addresses: the plan, who holds what, and whether all of it is sound.

    Finds the system by IPAM_TABLE_NAME and IPAM_MASTER_KEY_SECRET, outputs of its stack, with the ordinary AWS
    credentials, profile and Region. Exit codes: 0 done, 1 refused, 2 wrong usage, or `doctor` found violations, 141
    nobody reads the output any more.
    """
    context.obj = output


def _unbroken(text: str) -> str:
    """Give a help text whose lines end with its paragraphs only: a terminal breaks them where it ends itself."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


for each in (app, *GROUPS.values()):
    for command in each.registered_commands:
        command.help = _unbroken(getattr(command.callback, "__doc__", None) or "")
    if each.registered_callback is not None:
        each.registered_callback.help = _unbroken(getattr(each.registered_callback.callback, "__doc__", None) or "")
