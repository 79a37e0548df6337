"""Tenants: which accounts hold something, and how much of their quotas it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam.domain.change import ChangeQuota
    from ipam.domain.plan import Plan
    from ipam.services.ports import Ports
    from ipam.services.ports.outside import RegionAliases


def accounts(ports: Ports, plan: Plan, watch: Callable[[str, int, int], None]) -> list[str]:
    """Tell the accounts that hold something, in order. Reads the allocations of every pool.

    Args:
        ports: the collaborators.
        plan: the plan.
        watch: is told what is being read, how much of it is done, and how much there is.
    """
    found: set[str] = set()
    for done, pool in enumerate(plan.pools.values()):
        watch(f"allocations of {pool.name}", done, len(plan.pools))
        found.update(held.account for held in ports.store.allocations(pool.pool_id))
    return sorted(found - {""})


def held_by(ports: Ports, plan: Plan, account: str) -> list[ChangeQuota]:
    """Tell what an account holds of each pool, by the pools' names; of a pool that was deleted nothing is held."""
    held = [count for count in ports.store.quotas(account) if count.allocations or count.units]
    return sorted(held, key=lambda count: plan.pools[count.pool_id].name if count.pool_id in plan.pools else "")


def ways_in(ports: Ports) -> Sequence[RegionAliases]:
    """Give the ways in of every Region, the home Region's first; none, where this process does not know them."""
    try:
        return ports.aliases.regions()
    except ServiceUnavailableError:
        return ()
