"""The plan and the allocations as people read them: rich trees and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ipam.entrypoints.cli.pool_use import use_of
from ipam.entrypoints.cli.rows.holders import Holder
from ipam.entrypoints.cli.rows.values import when
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ipam.domain.allocation import Lease
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, Scope
    from ipam.services.ports import Ports

BAR: Final = 10
"""Characters of a utilisation bar."""

FULL, EMPTY = "█", "░"
"""What is filled of it and what is not, told apart without colours too."""

SHOWN: Final = 0.1
"""Smallest share that is shown as a number, in percent."""

UNBROKEN: Final = 10_000
"""Columns of what is not broken: a line stays one, so that `grep` and `awk` can read it where there is no terminal, and
that ids and names can be copied where a terminal is too narrow and goes on in its next line."""

HIGH: Final = 90
"""Percent from which a pool is shown as nearly full."""


def plan_tree(ports: Ports, plan: Plan) -> Tree:
    """Draw scopes and their pools, each with its CIDRs and how much of them is allocated."""
    root = Tree(Text("address plan", style="bold"), guide_style="dim")
    for scope in sorted(plan.scopes.values(), key=lambda scope: scope.name):
        _add_pools(
            ports, plan, scope, root.add(Text.assemble((plain(scope.name), "bold cyan"), f"  {scope.scope_type} scope"))
        )
    return root


def pool_tree(ports: Ports, plan: Plan, pool: Pool) -> Tree:
    """Draw a pool and those below it, in the same way."""
    root = Tree(_pool_line(ports, plan, pool), guide_style="dim")
    _add_pools(ports, plan, pool, root)
    return root


def _add_pools(ports: Ports, plan: Plan, parent: Scope | Pool, branch: Tree) -> None:
    """Draw the pools under a scope or pool."""
    parent_id = getattr(parent, "pool_id", None) or parent.scope_id
    for pool in plan.children(parent_id):
        _add_pools(ports, plan, pool, branch.add(_pool_line(ports, plan, pool)))


def _pool_line(ports: Ports, plan: Plan, pool: Pool) -> Text:
    """Draw one pool."""
    cidrs = plan.space(pool.pool_id).provisioned
    use = use_of(ports, plan, pool)
    used = use.utilisation
    line = Text.assemble((plain(pool.name), "bold"), f"  {pool.locale}" if pool.locale else "", "  ")
    line.append(f"{pool.source_resource.resource_id}  " if pool.source_resource else "")
    line.append(", ".join(str(block) for block in cidrs) or "nothing provisioned", "magenta")
    if cidrs:
        line.append_text(_bar(used.percent_allocated))
        line.append(f", {used.cooling:,} cooling" if used.cooling else "")
        line.append(f", largest free {used.largest_free}" if used.largest_free else ", full")
    line.append(f", {use.leases:,} leased" if use.leases else "", "cyan")
    line.append(f", {use.previews:,} held by previews" if use.previews else "", "yellow")
    line.append(f", from {pool.vpc_ipam_pool_id} of Amazon VPC IPAM" if pool.vpc_ipam_pool_id else "", "dim")
    return line


def _bar(percent: float) -> Text:
    """Draw a share, so that what is not nothing is seen."""
    filled = max(round(percent * BAR / 100), 1 if percent else 0)
    figure = f"{percent:.1f}%" if percent >= SHOWN or not percent else f"<{SHOWN}%"
    colour = "red" if percent >= HIGH else "green"
    return Text.assemble(
        "  ", (FULL * filled, colour), (EMPTY * (BAR - filled), "bright_black"), f" {figure} allocated"
    )


def allocation_table(ports: Ports, pool: Pool) -> Table:
    """List the allocations of a pool by address."""
    table = Table(
        title=f"allocations of {plain(pool.name)}", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    table.add_column("CIDR", style="magenta", min_width=18)
    table.add_column("account", min_width=12)
    for column in ("holder / resource", "since (UTC)", "until (UTC)", "allocation", "description"):
        table.add_column(column)
    plan = current_plan(ports)
    leases = {lease.allocation_id: lease for lease in ports.store.leases(pool.pool_id)}
    for allocation in ports.store.allocations(pool.pool_id):
        holder = Holder.of(plan, allocation.owner)
        table.add_row(
            str(allocation.cidr),
            allocation.account or "-",
            Text(plain(" / ".join(part for part in (holder.holder, holder.resource) if part))),
            f"{when(allocation.created):%Y-%m-%d %H:%M}",
            _until(leases.get(allocation.allocation_id)),
            allocation.allocation_id,
            Text(plain(allocation.description)),
        )
    return table


def _until(lease: Lease | None) -> Text:
    """Mark what lasts for a time only."""
    if lease is None:
        return Text("-", "dim")
    until = f"{when(lease.until):%Y-%m-%d %H:%M:%S}"
    return Text(f"{until}{' preview' if lease.preview else ''}", "yellow" if lease.preview else "cyan")


def plain(text: str) -> str:
    """Write a text that others chose on one line, without the characters that a terminal obeys."""
    return "".join(character if character.isprintable() else " " for character in text)


def put(thing: RenderableType, *, stderr: bool = False) -> None:
    """Print something that is drawn: no line of it is broken, and none ends in spaces."""
    terminal = console(stderr=stderr)
    options = terminal.options.update(width=UNBROKEN)
    for line in terminal.render_lines(thing, options, pad=False):
        text = Text.assemble(*((part.text, part.style or "") for part in line))
        text.rstrip()
        terminal.print(text, soft_wrap=True)


def console(*, stderr: bool = False) -> Console:
    """Give the terminal; where there is none, no line is broken, for a log or a pipe."""
    terminal = Console(stderr=stderr, highlight=False)
    return terminal if terminal.is_terminal else Console(stderr=stderr, highlight=False, width=UNBROKEN)
