"""What was found, as people read it: the answer first, then the way up to the scope, then the space around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ipam.entrypoints.cli.render import plain
from ipam.entrypoints.cli.render_rows import shown_end
from ipam.entrypoints.cli.rows import Holder, when
from ipam.entrypoints.cli.rows.values import pairs

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ipam.domain.plan import Plan
    from ipam.services.find import Block, Place

SHOWN: Final = 12
"""Blocks inside the one looked for that are drawn; JSON and CSV have all."""

STYLES: Final = {"allocated": "magenta", "cooling": "yellow", "free": "green"}


def picture(plan: Plan, place: Place) -> RenderableType:
    """Draw a place."""
    parts: list[RenderableType] = [_headline(place), _facts(plan, place), _surroundings(plan, place)]
    if not place.settled:
        warning = "These blocks don't add up: they changed while they were read. Ask again; if it stays, `ipam doctor`."
        parts.append(Text(warning, "red"))
    return Group(*parts)


def _headline(place: Place) -> Text:
    """Say in one line what is at the place."""
    where = f"pool {place.path[0].pool.name}" if place.path else f"scope {place.scope.name}, in no pool"
    match place.blocks:
        case (block,) if block.cidr.contains(place.cidr):
            preview = block.lease is not None and block.lease.preview
            what = Text("held by a preview" if preview else block.state, STYLES[block.state])
            inside = f", in {block.cidr}" if block.cidr != place.cidr else ""
            return Text.assemble((str(place.cidr), "bold"), ": ", what, inside, f", {where}")
        case blocks:
            return Text.assemble((str(place.cidr), "bold"), f": {len(blocks)} blocks, {where}")


def _facts(plan: Plan, place: Place) -> Table:
    """Draw who holds it, and the way up."""
    grid = Table.grid(padding=(0, 2))
    if len(place.blocks) == 1:
        for name, value in _about(plan, place.blocks[0]).items():
            grid.add_row(Text(f"  {name}", "dim"), Text(plain(value)))
    for label, level in zip(("in", *["of"] * len(place.path)), place.path, strict=False):
        since = "" if level.since is None else f", since {_time(level.since)} UTC"
        grid.add_row(Text(f"  {label}", "dim"), Text(plain(f"pool {level.pool.name}, {level.cidr}{since}")))
        if level.divides is not None:
            vpc = Holder.of(plan, level.divides.owner)
            named = level.pool.source_resource.resource_id if level.pool.source_resource else "VPC"
            words = f"{named} of account {level.divides.account}, held by {vpc.shown}"
            grid.add_row(Text("  divides", "dim"), Text(plain(words)))
    grid.add_row(Text("  of" if place.path else "  in", "dim"), Text(f"scope {place.scope.name}"))
    return grid


def _about(plan: Plan, block: Block) -> dict[str, str]:
    """Tell the facts of a block by their names."""
    held, cooling = block.allocation, block.cooling
    if cooling is not None:
        return {"until": shown_end(when(cooling.until)), "was": cooling.allocation_id}
    if held is None:
        return {}
    holder = Holder.of(plan, held.owner)
    facts = {"held by": holder.shown}
    if holder.holder_type != "pool":
        facts |= {"resource": holder.resource, "account": held.account}
    if holder.holder_type == "stack":
        facts["stack id"] = holder.holder_id
    facts |= {"since": f"{_time(held.created)} UTC", "by": block.cause}
    if block.lease is not None:
        facts["held until" if block.lease.preview else "lease ends"] = shown_end(when(block.lease.until))
    facts |= {"allocation": held.allocation_id, "for": held.description, "tags": ", ".join(pairs(held.tags))}
    return {name: value for name, value in facts.items() if value}


def _surroundings(plan: Plan, place: Place) -> Table:
    """Draw the blocks around, in address order, with an arrow at those that were looked for."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
    for block in place.before:
        table.add_row("   ", *_line(plan, block))
    for block in place.blocks[:SHOWN]:
        table.add_row(" ->", *_line(plan, block))
    if len(place.blocks) > SHOWN:
        table.add_row(" ->", Text(f"and {len(place.blocks) - SHOWN} more", "dim"))
    for block in place.after:
        table.add_row("   ", *_line(plan, block))
    return table


def _line(plan: Plan, block: Block) -> tuple[Text, Text, Text]:
    """Draw a block in one line."""
    facts = _about(plan, block)
    if block.allocation is not None:
        what = " / ".join(facts[name] for name in ("held by", "resource") if name in facts)
    else:
        what = f"until {facts['until']}" if block.cooling is not None else ""
    return Text(str(block.cidr)), Text(block.state, STYLES[block.state]), Text(plain(what))


def _time(milliseconds: int) -> str:
    return f"{when(milliseconds):%Y-%m-%d %H:%M}"
