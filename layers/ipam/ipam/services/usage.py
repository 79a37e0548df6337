"""Usage: what keeps a part of the plan from being ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ipam.domain.errors import InUseError
from ipam.services.leases import end_previews

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam.domain.allocation import Allocation, CoolingBlock
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import OwnerKey
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, Scope
    from ipam.services.ports import Deadline, Ports

NAMED: Final = 5
"""Users that a refusal names."""

COUNTED: Final = 10_000
"""Users that are counted; of more, so many are told."""


def refuse_if_used(what: str, users: Iterable[str]) -> None:
    """Refuse to end what is in use.

    Raises:
        InUseError: with the first few of its users.
    """
    named: list[str] = []
    count = 0
    for count, user in zip(range(1, COUNTED + 1), users, strict=False):  # noqa: B007 - the last one is how many
        if len(named) < NAMED:
            named.append(user)
    if named:
        raise InUseError(what, tuple(named), count)


def users_of_scope(ports: Ports, plan: Plan, scope: Scope) -> Iterator[str]:
    """Name the pools of a scope, and what still cools there."""
    yield from (f"pool {pool.name}" for pool in plan.children(scope.scope_id))
    now = ports.clock.now()
    yield from (cooling(each) for each in ports.store.cooling(scope.scope_id, COUNTED) if each.until > now)


def users_of_pool(ports: Ports, plan: Plan, pool: Pool, deadline: Deadline) -> Iterator[str]:
    """Name the child pools of a pool, what is allocated from it, and what cools in it.

    A preview whose time is over is no user; it is ended.
    """
    yield from (f"pool {child.name}" for child in plan.children(pool.pool_id))
    end_previews(ports, plan.space(pool.pool_id), deadline)
    # What a child pool has is said with the child pool.
    held = (each for each in ports.store.allocations(pool.pool_id) if each.owner.party not in plan.pools)
    yield from (_holder_of(plan, each) for each in held)
    yield from _cooling_in(ports, pool, None)


def users_of_block(ports: Ports, plan: Plan, pool: Pool, cidr: Cidr, deadline: Deadline) -> Iterator[str]:
    """Name what is allocated from a provisioned CIDR of a pool, to child pools too, and what cools in it."""
    end_previews(ports, plan.space(pool.pool_id), deadline)
    yield from (_holder_of(plan, each) for each in ports.store.allocations(pool.pool_id, cidr))
    yield from _cooling_in(ports, pool, cidr)


def orders_of(ports: Ports, pool: Pool) -> Iterator[str]:
    """Name the orders of a pool that are on their way to Amazon VPC IPAM."""
    if pool.vpc_ipam_pool_id:
        for order in ports.store.orders(pool.pool_id):
            yield f"the order of {_holder(order.owner)} at Amazon VPC IPAM"


def _holder_of(plan: Plan, allocation: Allocation) -> str:
    """Name an allocation by its block and its holder."""
    pool = plan.pools.get(allocation.owner.party)
    holder = _holder(allocation.owner) if pool is None else f"pool {pool.name}"
    return f"{allocation.cidr} of {holder}"


def _holder(owner: OwnerKey) -> str:
    """Name a holder in short: a stack by its name alone."""
    party = owner.party.split("/")[1] if owner.party.startswith("arn:") and "/" in owner.party else owner.party
    return f"{party}/{owner.name}"


def _cooling_in(ports: Ports, pool: Pool, cidr: Cidr | None) -> Iterator[str]:
    """Name the blocks that cool in a pool, or in one block of it, and are not to become free yet."""
    now = ports.clock.now()
    for each in ports.store.cooling(pool.pool_id, COUNTED):
        if (cidr is None or cidr.overlaps(each.cidr)) and each.until > now:
            yield cooling(each)


def cooling(block: CoolingBlock) -> str:
    """Say until when a block cools, to the minute, the next one."""
    if block.vpc_ipam_allocation_id:
        return f"{block.cidr}, which Amazon VPC IPAM is to get back"
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=-(-block.until // 60_000))
    return f"{block.cidr} cooling until {at:%Y-%m-%d %H:%M} UTC"
