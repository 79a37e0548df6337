"""In use: whether a network in a stack's account still has addresses of the block that the stack gives back.

CloudFormation deletes what a resource depends on although that resource's own deletion has failed, so a Delete of ours
proves nothing of the VPC (docs/decisions/0020).

    the block       in use by
    ----------      --------------------------------------------------------------------------------------------
    any             a VPC with a CIDR that is the block, or in it
    of a subnet     a subnet as well, of a VPC whose CIDR is larger
    any             such a subnet, where the stack itself made it
    none of these   what another stack made that holds the same addresses itself, from another scope
    none of these   as many networks of one CIDR as the account has allocations of it from other scopes
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from ipam.domain.errors import NetworkInUseError
from ipam.domain.stack import StackId
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Collection

    from ipam.domain.allocation import Allocation
    from ipam.domain.cidr import Cidr
    from ipam.domain.network import Network
    from ipam.domain.owner import Grant, OwnerKey
    from ipam.domain.plan import Plan
    from ipam.services.ports import Deadline, Ports

WAITS: Final = (500, 1_000, 2_000)
"""Milliseconds before another look: EC2 may show for a moment what was deleted just now (EC2 API reference, "Eventual
consistency")."""

NAMED: Final = 3
"""How many networks are named."""


def still_used(ports: Ports, owner: OwnerKey, held: Grant | Allocation, deadline: Deadline) -> NetworkInUseError | None:
    """Tell why a block is not to be given back, if it is in use and stays so for some seconds.

    Raises:
        ServiceUnavailableError: it is not known now.
        OutOfTimeError: there is no time to wait for another look.
    """
    waits = WAITS[:1] if ports.memory.used(held.allocation_id, ports.clock.now()) else WAITS
    refusal = used_now(ports, owner, held)
    for wait in waits:
        if refusal is None:
            return None
        deadline.ensure()
        ports.clock.sleep(wait)
        refusal = used_now(ports, owner, held)
    if refusal is not None:
        ports.memory.see_used(held.allocation_id, ports.clock.now())
    return refusal


def used_now(ports: Ports, owner: OwnerKey, held: Grant | Allocation) -> NetworkInUseError | None:
    """Tell whether a block is in use, by one look; None as well where nobody could be asked.

    Raises:
        ServiceUnavailableError: it is not known now.
    """
    stack = StackId.parse(owner.party)
    if stack is None:
        return None
    found = ports.networks.using(stack, held.cidr)
    users = _users(ports, stack, held, found) if found else []
    if not users:
        return None
    named = tuple(dict.fromkeys(each.network_id for each in users))
    return NetworkInUseError(held.cidr, named[:NAMED], len(named), stack.account, stack.region)


def _users(ports: Ports, stack: StackId, held: Grant | Allocation, found: tuple[Network, ...]) -> list[Network]:
    """Give those of the networks in a block that have their addresses from this very allocation, or from nobody."""
    allocation = ports.store.allocation(held.pool_id, held.cidr)
    for_subnet = allocation is not None and allocation.allocation_type == "subnet"
    users = [each for each in found if not each.in_larger or for_subnet or each.stack == stack.arn]
    plan = current_plan(ports, fresh=True) if users else None
    if plan is None or len(plan.scopes) == 1:
        return users
    apart = {
        (other, grant.cidr)
        for other in {each.stack for each in users} - {"", stack.arn}
        for record in ports.store.owners_hint(other)
        for grant in record.grants
        if _world(plan, grant.pool_id) != _world(plan, held.pool_id)
    }
    others = _held_elsewhere(ports, plan, stack.account, held, {each.cidr for each in users})
    seen = Counter(each.cidr for each in users)
    return [
        each
        for each in users
        if not any(each.stack == of and cidr.contains(each.cidr) for of, cidr in apart)
        and seen[each.cidr] > others[each.cidr]
    ]


def _held_elsewhere(
    ports: Ports, plan: Plan, account: str, held: Grant | Allocation, cidrs: Collection[Cidr]
) -> Counter[Cidr]:
    """Count the allocations of exactly these CIDRs that an account has from other scopes.

    As many networks of a CIDR as that need none of this scope, whichever stack has made them.
    """
    pools = [count.pool_id for count in ports.store.quotas(account) if count.allocations]
    apart = [pool_id for pool_id in pools if _world(plan, pool_id) != _world(plan, held.pool_id)]
    there = (ports.store.allocation(pool_id, cidr) for pool_id in apart for cidr in cidrs)
    return Counter(each.cidr for each in there if each is not None and each.account == account)


def _world(plan: Plan, pool_id: str) -> str:
    """Name the scope that a pool, or a scope itself, is in."""
    pool = plan.pools.get(pool_id)
    return pool_id if pool is None else pool.scope_id
