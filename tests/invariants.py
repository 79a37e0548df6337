"""The invariants of docs/invariants.md, read off whatever a store holds.

Nothing here calls a service: `check` takes the content of a store as it stands, at rest, and asserts that it could have
come about rightly. Every test that stirs a store ends with it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipam.domain.cidr import WIDTHS, spans
from ipam.domain.pool import units

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation, AuditRecord, CoolingBlock
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import OwnerKey
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Space
    from ipam.services.ports import Store

ALL = 1_000_000
"""More cooling blocks than any test has."""


@dataclass
class Content:
    """What a store holds of one pool or scope."""

    space: Space
    free: list[Cidr]
    allocations: list[Allocation]
    cooling: list[CoolingBlock]
    audit: list[AuditRecord]
    by_id: dict[str, Allocation] = field(init=False)

    def __post_init__(self) -> None:
        self.by_id = {allocation.allocation_id: allocation for allocation in self.allocations}


def read(store: Store) -> dict[str, Content]:
    """Read everything that a plan's pools and scopes hold, by their ids."""
    plan = store.plan()
    return {
        pool_id: Content(
            plan.space(pool_id),
            [cidr for family in WIDTHS for cidr in store.all_free(pool_id, family)],
            list(store.allocations(pool_id)),
            store.cooling(pool_id, ALL),
            list(store.audit(pool_id)),
        )
        for pool_id in (*plan.scopes, *plan.pools)
    }


def check(store: Store, *, canonical: bool = False) -> None:
    """Assert I1 to I7 of a store at rest.

    Args:
        store: any store.
        canonical: assert I2 as well: true after upkeep, and always where no writers have collided.
    """
    contents = read(store)
    plan = store.plan()
    for content in contents.values():
        partition(content)
        if canonical:
            no_free_buddies(content)
        one_life_each(content)
        kept_cool(content)
    provisioned_from_parent(plan, contents)
    one_holder_each(store, contents)
    quotas_add_up(store, contents)


def partition(content: Content) -> None:
    """I1: free, allocated and cooling blocks cover the provisioned CIDRs exactly, each address once."""
    held = [allocation.cidr for allocation in content.allocations]
    cooled = [block.cidr for block in content.cooling]
    covered = spans([*content.free, *held, *cooled])
    assert covered == spans(content.space.provisioned), f"I1: {content.space.name} has lost or invented addresses"


def no_free_buddies(content: Content) -> None:
    """I2: no two free buddies inside one provisioned CIDR."""
    free = set(content.free)
    for cidr in free:
        inside = content.space.around(cidr)
        assert inside is not None
        if cidr.length > inside.length:
            assert cidr.buddy not in free, f"I2: {cidr} and {cidr.buddy} of {content.space.name} are both free"


def provisioned_from_parent(plan: Plan, contents: dict[str, Content]) -> None:
    """I3: each provisioned CIDR is an allocation of the parent, and each such allocation is provisioned."""
    for pool in plan.pools.values():
        given = {
            allocation.cidr
            for allocation in contents[pool.parent_id].allocations
            if allocation.owner.party == pool.pool_id
        }
        assert given == set(contents[pool.pool_id].space.provisioned), f"I3: {pool.name}"


def one_holder_each(store: Store, contents: dict[str, Content]) -> None:
    """I4, I5: allocations and the grants of their owners are the same facts, and no ask has two grants."""
    owners: set[OwnerKey] = set()
    for content in contents.values():
        owners |= {allocation.owner for allocation in content.allocations}
        owners |= {record.owner for record in content.audit if record.owner is not None}
    granted: dict[str, OwnerKey] = {}
    for owner in owners:
        record = store.owner(owner)
        asks = Counter(ask for grant in record.grants for ask in grant.asks)
        assert all(count == 1 for count in asks.values()), f"I4: {owner} has two allocations for one ask"
        for grant in record.grants:
            allocation = contents[grant.pool_id].by_id.get(grant.allocation_id)
            assert allocation is not None, f"I4: {owner} is granted {grant.allocation_id}, which is not there"
            assert (allocation.cidr, allocation.owner) == (grant.cidr, owner), f"I5: {grant} is not {allocation}"
            assert grant.allocation_id not in granted, f"I4: {grant.allocation_id} is granted twice"
            assert grant.allocation_id not in record.returned, f"I4: {grant.allocation_id} is held and given back"
            granted[grant.allocation_id] = owner
    held = {allocation_id for content in contents.values() for allocation_id in content.by_id}
    assert held == set(granted), f"I4: held without an owner who knows: {held - set(granted)}"


def one_life_each(content: Content) -> None:
    """I5, I6: an allocation is recorded as made once and released at most once, by its owner, and lives in between."""
    made: dict[str, AuditRecord] = {}
    ended: dict[str, AuditRecord] = {}
    for record in content.audit:
        if record.event in {"allocated", "released"}:
            lives = made if record.event == "allocated" else ended
            assert record.allocation_id not in lives, f"I6: {record.event} twice: {record.allocation_id}"
            lives[record.allocation_id] = record
    assert set(content.by_id) == set(made) - set(ended), f"I6: the audit of {content.space.name} tells another story"
    for allocation_id, end in ended.items():
        begin = made[allocation_id]
        assert (begin.owner, begin.cidr) == (end.owner, end.cidr), f"I5: {end} is not the owner's own release"
        assert begin.at <= end.at


def kept_cool(content: Content) -> None:
    """I7: nothing is allocated over a released block before its cooling is over, and cooling blocks were released."""
    pause = content.space.cooling_seconds * 1000
    ended = [record for record in content.audit if record.event == "released"]
    for block in content.cooling:
        assert any(
            (end.allocation_id, end.cidr) == (block.allocation_id, block.cidr) and block.until == end.at + pause
            for end in ended
        ), f"I7: {block} was never released"
    if not pause:
        return
    made = [record for record in content.audit if record.event == "allocated"]
    for end, begin in itertools.product(ended, made):
        if begin.allocation_id != end.allocation_id and end.at <= begin.at < end.at + pause:
            assert end.cidr is not None and begin.cidr is not None
            assert not end.cidr.overlaps(begin.cidr), f"I7: {begin.cidr} was given again while {end.cidr} cooled"


def quotas_add_up(store: Store, contents: dict[str, Content]) -> None:
    """The quota of an account counts what it holds of a pool, and is within the pool's limits."""
    for pool_id, content in contents.items():
        accounts = {record.account for record in content.audit} - {""}
        for account in accounts:
            held = [allocation.cidr for allocation in content.allocations if allocation.account == account]
            counted = store.quota(account, pool_id)
            assert (counted.allocations, counted.units) == (len(held), sum(map(units, held))), f"quota of {account}"
            limit = content.space.quota
            assert limit.allocations is None or counted.allocations <= limit.allocations
            assert limit.units is None or counted.units <= limit.units
