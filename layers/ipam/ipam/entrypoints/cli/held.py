"""What a command means that names an allocation: by its id, or by its block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ipam.domain.allocation import Allocation
from ipam.domain.cidr import Cidr
from ipam.domain.ids import ALLOCATION_DIGITS, ALLOCATION_PREFIX, is_allocation_id
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render_rows import shown_end
from ipam.entrypoints.cli.rows import when
from ipam.services.find import locate

if TYPE_CHECKING:
    from ipam.domain.plan import Plan
    from ipam.services.ports import Ports


def allocation_id(text: str) -> str:
    """Read the id of an allocation."""
    if not is_allocation_id(text):
        why = f"{text!r} is not an allocation id: {ALLOCATION_PREFIX} and {ALLOCATION_DIGITS} hexadecimal digits"
        raise typer.BadParameter(why, param_hint="ID")
    return text


def allocation(ports: Ports, plan: Plan, what: str, pool: str | None) -> Allocation:
    """Find the allocation that is meant.

    Args:
        ports: the collaborators.
        plan: the plan.
        what: its id, or exactly its block.
        pool: where it is from, by name or id; without it, wherever it is.

    Raises:
        NoSuchAllocationError: there is none of that id.
        RefusedError: it cools already; or no pool gave that block to anyone, or several pools did.
    """
    if what.startswith(ALLOCATION_PREFIX):
        wanted = allocation_id(what)
        with watching("reading") as watch:
            found = locate(ports, plan, wanted, watch)
        if isinstance(found, Allocation):
            return found
        until = shown_end(when(found.until))
        raise RefusedError(f"{wanted} is released already: {found.cidr} is cooling until {until}.")
    return _by_block(ports, plan, Cidr.parse(what), pool)


def _by_block(ports: Ports, plan: Plan, cidr: Cidr, pool: str | None) -> Allocation:
    """Find the allocation of exactly a block."""
    if pool is not None:
        spaces = [plan.named(pool).pool_id]
    else:
        spaces = [each.pool_id for each in plan.pools.values() if plan.space(each.pool_id).around(cidr) is not None]
    found = [held for held in (ports.store.allocation(space_id, cidr) for space_id in spaces) if held is not None]
    # What a pool has from another is meant only where nothing else is.
    found = [held for held in found if held.owner.party not in plan.pools] or found
    if not found:
        raise RefusedError(f"{cidr} is not allocated as one block. `ipam find {cidr}` shows what is there.")
    if len(found) > 1:
        names = ", ".join(plan.space(held.pool_id).name for held in found)
        raise RefusedError(f"{cidr} is allocated from several pools: {names}. Say one with --pool.")
    return found[0]
