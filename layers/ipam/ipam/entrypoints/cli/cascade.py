"""What goes with a pool, or with a CIDR of it: listed before anybody is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.entrypoints.cli.ask import say
from ipam.entrypoints.cli.rows import Holder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam.domain.allocation import Allocation
    from ipam.domain.cidr import Cidr
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool
    from ipam.services.ports import Ports

SHOWN: Final = 20
"""Lines of each sort; of the rest the number is told."""


def contents(ports: Ports, plan: Plan, pools: Iterable[Pool], within: Cidr | None = None) -> int:
    """List, on standard error, the pools, CIDRs and allocations that go, and tell how many changes that takes.

    Args:
        ports: the collaborators.
        plan: the plan.
        pools: those that go, with all that are below them.
        within: only what is in this block of theirs, and then no pool itself.
    """
    going = [below for pool in pools for below in _below(plan, pool)]
    cidrs = [
        f"CIDR {block.cidr} of pool {pool.name}"
        for pool in going
        for block in plan.provisioned(pool.pool_id)
        if within is None or within.overlaps(block.cidr)
    ]
    held = [
        f"{each.cidr} of pool {pool.name}: {_holder(plan, each)}"
        for pool in going
        for each in ports.store.allocations(pool.pool_id, within)
        if each.owner.party not in plan.pools
    ]
    names = [] if within is not None else [f"pool {pool.name}" for pool in going]
    for lines in (names, cidrs, held):
        for line in lines[:SHOWN]:
            say(line)
        if len(lines) > SHOWN:
            say(f"and {len(lines) - SHOWN:,} more; `ipam export` lists every allocation")
    return len(names) + len(cidrs) + len(held)


def _below(plan: Plan, pool: Pool) -> Iterator[Pool]:
    """Give a pool and all that are below it, from the top down."""
    yield pool
    for child in plan.children(pool.pool_id):
        yield from _below(plan, child)


def _holder(plan: Plan, held: Allocation) -> str:
    """Say who holds, and that it is not asked."""
    holder = Holder.of(plan, held.owner)
    of = " / ".join(part for part in (holder.shown, holder.resource) if part)
    return f"{of}, account {held.account}" if held.account else of
