"""`ipam orphans`: allocations that no stack will give back any more, and their release by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.errors import InUseError, NetworkInUseError, TemporaryError
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import held
from ipam.entrypoints.cli.ask import ask, say
from ipam.entrypoints.cli.context import Output, Yes  # noqa: TC001 - typer reads them
from ipam.entrypoints.cli.in_use import InUseToo, networks_in
from ipam.entrypoints.cli.refusals import RefusedError, refusal
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows import OrphanRow
from ipam.services.orphans import orphans, release_orphan
from ipam.services.plan import current_plan
from ipam.services.ports import NoDeadline

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation
    from ipam.domain.plan import Plan
    from ipam.services.ports import Ports

COLUMNS: Final = ("cidr", "pool", "account", "holder", "resource", "since", "why", "used_by", "allocation_id")

WHY: Final = {
    "stack-gone": "the stack is gone",
    "deletion-failed": "its deletion failed, and it has it no more",
    "not-in-stack": "the stack has it no more",
    "deletion-stuck": "its deletion failed, and it has it still",
}

app = typer.Typer(help="Allocations that no stack will give back any more.", invoke_without_command=True)


@app.callback()
def bare(context: typer.Context, output: Output = None) -> None:
    """Allocations that no stack will give back any more: listed, unless a command says something else.

    Upkeep finds them, once a day. Nothing is freed without a person's word.
    """
    if context.invoked_subcommand is None:
        list_all(context, output)
    elif output is not None:
        context.find_root().obj = output


@app.command("list")
def list_all(context: typer.Context, output: Output = None) -> None:
    """List them by pool and address, with why, since when that is known, and which networks use them still.

    That is asked now, by the role IPAM_DISCOVERY_ROLE: "?" where nobody says so.
    """
    ports = shared.ports()
    plan = current_plan(ports)
    rows = (OrphanRow.of(plan, each, networks_in(ports, each)) for each in orphans(ports, plan))
    show(OrphanRow, rows, COLUMNS, shared.chosen(context, output))


@app.command("release")
def release(  # noqa: PLR0913 - each parameter is an option
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Ids of allocations that are listed.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that are listed.")] = False,
    in_use_too: InUseToo = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Take orphans back; they cool as long as their pools say. Asks first, and then each stack once more.

    Stacks are asked by the role IPAM_DISCOVERY_ROLE, and so is EC2: what a network still uses stays. Where no stack
    answers, nothing is released: `ipam release` does that without asking.
    """
    if everything == bool(ids):
        raise typer.BadParameter("say which, or --all", param_hint="ID")
    ports = shared.ports()
    plan = current_plan(ports)
    chosen = _chosen(ports, plan, [held.allocation_id(each) for each in ids or ()])
    if not chosen:
        say("There are no orphans.")
        return
    cause = shared.cause()
    for each in chosen:
        say(_described(plan, each))
    ask(f"Release {'this' if len(chosen) == 1 else f'these {len(chosen)}'}? What still runs there goes on.", yes=yes)
    refusals = {each.allocation_id: _refusal(ports, each, cause, in_use_too=in_use_too) for each in chosen}
    released = [each for each in chosen if not refusals[each.allocation_id]]
    show(OrphanRow, (OrphanRow.of(plan, each) for each in released), COLUMNS, shared.chosen(context, output))
    for each in chosen:
        if refusals[each.allocation_id]:
            say(f"{each.cidr} of pool {plan.space(each.pool_id).name}: {refusals[each.allocation_id]}")
    if len(released) < len(chosen):
        raise RefusedError(f"{len(chosen) - len(released)} of {len(chosen)} were not released.")


def _chosen(ports: Ports, plan: Plan, ids: list[str]) -> list[Allocation]:
    """Find the orphans that are meant; all, if no ids are given.

    Raises:
        RefusedError: one of them is no orphan.
    """
    listed = list(orphans(ports, plan))
    strange = next((each for each in ids if each not in {found.allocation_id for found in listed}), None)
    if strange is not None:
        raise RefusedError(f"{strange} is not among the orphans. `ipam orphans` lists them; `ipam release` takes any.")
    return [each for each in listed if not ids or each.allocation_id in ids]


def _described(plan: Plan, orphan: Allocation) -> str:
    """Describe an orphan in a line."""
    row = OrphanRow.of(plan, orphan)
    why = WHY[row.why] if row.why else ""
    return f"{row.cidr} of pool {row.pool}: stack {row.holder}, {row.resource}, account {row.account}; {why}"


def _refusal(ports: Ports, orphan: Allocation, cause: str, *, in_use_too: bool) -> str:
    """Release an orphan; say why not, or ""."""
    try:
        outcome = release_orphan(ports, orphan, cause, NoDeadline(), in_use_too=in_use_too)
    except (InUseError, NetworkInUseError, TemporaryError) as error:
        return refusal(error)
    match outcome:
        case "held":
            return "its stack has it again, or is being changed. Nothing was released."
        case "deletion-stuck":
            return (
                "the deletion of its stack failed, and it gives this back when it is deleted again: see what keeps it. "
                "`ipam release` takes it back without asking."
            )
        case "unknown":
            role = "" if ports.stacks.can_ask else " Set IPAM_DISCOVERY_ROLE."
            return f"nobody says how its stack is, so it stays.{role} `ipam release` takes it back without asking."
        case _:
            return ""
