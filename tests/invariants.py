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
from ipam.domain.stack import stack_holder

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation, AuditRecord, CoolingBlock, Lease
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import Grant
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Space
    from ipam.services.ports.store import Store

ALL = 1_000_000
"""More cooling blocks than any test has."""

MADE = frozenset({"allocated", "imported", "previewed", "redeemed"})
"""Events with which an allocation begins."""

ENDED = frozenset({"released", "lease-ended", "preview-ended", "deprovisioned"})
"""Events with which one ends. A preview ends without a record of its own when another allocation of its block is
`redeemed`."""


@dataclass
class Content:
    """What a store holds of one pool or scope."""

    space: Space
    free: list[Cidr]
    allocations: list[Allocation]
    cooling: list[CoolingBlock]
    audit: list[AuditRecord]
    leases: list[Lease]
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
            list(store.leases(pool_id)),
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
    divided_by_who_has_it(plan, contents)
    leased_until_the_end(contents, one_holder_each(store, contents))
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
    """I3: each provisioned CIDR is the pool's own allocation of its parent, and each such allocation is provisioned.

    That of a subnet pool is somebody else's: the VPC's that the pool divides.
    """
    for pool in plan.pools.values():
        parent = contents[pool.parent_id]
        has = {(block.cidr, block.allocation_id) for block in plan.provisioned(pool.pool_id)}
        own = {(each.cidr, each.allocation_id) for each in parent.allocations if each.owner.party == pool.pool_id}
        if pool.source_resource is None:
            assert own == has, f"I3: {pool.name}"
            continue
        assert not own, f"I3: {pool.name} divides a VPC and holds something itself"
        for cidr, allocation_id in has:
            vpc = parent.by_id.get(allocation_id)
            assert vpc is not None and vpc.cidr == cidr, f"I3: {pool.name} divides {cidr}, which is not there"
            assert vpc.divided_by == pool.pool_id, f"I3: {cidr} does not know that {pool.name} divides it"


def divided_by_who_has_it(plan: Plan, contents: dict[str, Content]) -> None:
    """I3: an allocation that says who divides it is exactly what that pool has, and the pool is one of its subnets."""
    for content in contents.values():
        for each in content.allocations:
            if each.divided_by:
                pool = plan.pools[each.divided_by]
                assert pool.source_resource is not None, f"I3: {pool.name} divides {each.cidr}, and no VPC"
                assert pool.parent_id == content.space.pool_id, f"I3: {pool.name} divides {each.cidr} of another pool"
                has = {(block.cidr, block.allocation_id) for block in plan.provisioned(pool.pool_id)}
                assert (each.cidr, each.allocation_id) in has, f"I3: {pool.name} does not have {each.cidr}"


def one_holder_each(store: Store, contents: dict[str, Content]) -> dict[str, Grant]:
    """I4, I5: allocations and the grants of their owners are the same facts, and no ask has two grants.

    Returns:
        The grants, by the ids of the allocations.
    """
    parties = set(contents)
    for content in contents.values():
        parties |= {allocation.owner.party for allocation in content.allocations}
        parties |= {record.owner.party for record in content.audit if record.owner is not None}
    granted: dict[str, Grant] = {}
    for record in (record for party in sorted(parties) for record in store.owners(party)):
        owner = record.owner
        asks = Counter(ask for grant in record.grants for ask in grant.asks)
        assert all(count == 1 for count in asks.values()), f"I4: {owner} has two allocations for one ask"
        for grant in record.grants:
            allocation = contents[grant.pool_id].by_id.get(grant.allocation_id)
            assert allocation is not None, f"I4: {owner} is granted {grant.allocation_id}, which is not there"
            assert (allocation.cidr, allocation.owner) == (grant.cidr, owner), f"I5: {grant} is not {allocation}"
            assert grant.allocation_id not in granted, f"I4: {grant.allocation_id} is granted twice"
            assert grant.allocation_id not in record.returned, f"I4: {grant.allocation_id} is held and given back"
            granted[grant.allocation_id] = grant
    held = {allocation_id for content in contents.values() for allocation_id in content.by_id}
    assert held == set(granted), f"I4: held without an owner who knows: {held - set(granted)}"
    return granted


def leased_until_the_end(contents: dict[str, Content], granted: dict[str, Grant]) -> None:
    """Each lease is that of a live allocation and ends when its grant says; whatever ends has exactly one lease."""
    leased: set[str] = set()
    for content in contents.values():
        for lease in content.leases:
            allocation = content.by_id.get(lease.allocation_id)
            assert allocation is not None, f"the lease of {lease.allocation_id} has outlived it"
            facts = (allocation.cidr, allocation.owner, allocation.account)
            assert facts == (lease.cidr, lease.owner, lease.account), f"{lease} is not of {allocation}"
            grant = granted[lease.allocation_id]
            assert (grant.expires, grant.preview) == (lease.until, lease.preview), f"{lease} is not as {grant}"
            leased.add(lease.allocation_id)
    ending = {allocation_id for allocation_id, grant in granted.items() if grant.expires is not None}
    assert leased == ending, f"to end, without a lease: {ending - leased}"
    previews = {allocation_id for allocation_id, grant in granted.items() if grant.preview}
    assert previews <= ending, f"held for nobody, for ever: {previews - ending}"


def lives(content: Content) -> tuple[dict[str, AuditRecord], dict[str, AuditRecord]]:
    """I6: tell how each allocation began and how it ended, by its id; both are recorded once at most.

    To deprovision what a subnet pool has ends no allocation: that is the VPC's, and not the pool's.
    """
    made: dict[str, AuditRecord] = {}
    ended: dict[str, AuditRecord] = {}
    for record in content.audit:
        if record.event in MADE:
            assert record.allocation_id not in made, f"I6: {record.event} twice: {record.allocation_id}"
            made[record.allocation_id] = record
    for record in content.audit:
        begin = made.get(record.allocation_id)
        if record.event in ENDED and (record.event != "deprovisioned" or (begin and begin.owner == record.owner)):
            assert record.allocation_id not in ended, f"I6: {record.event} twice: {record.allocation_id}"
            ended[record.allocation_id] = record
    return made, ended


def one_life_each(content: Content) -> None:
    """I5, I6: an allocation lives from when it was made until it is ended, for its owner."""
    made, ended = lives(content)
    gone = set(made) - set(ended) - set(content.by_id)
    assert set(content.by_id) <= set(made) - set(ended), f"I6: the audit of {content.space.name} tells another story"
    # What was redeemed took the place of a preview of the same block: that one has no end of its own.
    redeemed = Counter(record.cidr for record in made.values() if record.event == "redeemed")
    assert Counter(made[allocation_id].cidr for allocation_id in gone) == redeemed, f"I6: {gone} ended untold"
    assert all(made[allocation_id].event == "previewed" for allocation_id in gone), f"I6: {gone} were no previews"
    for allocation_id, end in ended.items():
        begin = made[allocation_id]
        assert (begin.owner, begin.cidr) == (end.owner, end.cidr), f"I5: {end} is not the owner's own release"
        assert begin.at <= end.at


def kept_cool(content: Content) -> None:
    """I7: nothing is allocated over a released block before its cooling is over, and cooling blocks were released.

    Nobody ever had what was only held as a preview: it does not cool. Where the pool's cooling time has changed, only
    the order of the times is known here.
    """
    made, ended = lives(content)
    changed = any(record.event == "pool-changed" for record in content.audit)
    pause = content.space.cooling_seconds * 1000
    joined = {(record.cidr, record.allocation_id) for record in content.audit if record.event == "joined"}
    for block in content.cooling:
        end = ended.get(block.allocation_id)
        assert end is not None and end.cidr is not None, f"I7: {block} was never released"
        whole = (block.cidr, block.allocation_id) in joined
        assert end.cidr == block.cidr or (whole and block.cidr.contains(end.cidr)), f"I7: {block} was never released"
        wait = 0 if made[block.allocation_id].event == "previewed" else pause
        # What a pool gives back goes on cooling in its parent, for as long as the last that was released in it has to.
        longer = changed or end.event == "deprovisioned"
        assert block.until == end.at + wait or (longer and block.until >= end.at), f"I7: {block} cools too long"
    if not pause or changed:
        return
    had = [end for allocation_id, end in ended.items() if made[allocation_id].event != "previewed"]
    for end, begin in itertools.product(had, made.values()):
        if begin.allocation_id != end.allocation_id and end.at <= begin.at < end.at + pause:
            if content.space.sticky and given_again(end, begin):
                continue
            assert end.cidr is not None and begin.cidr is not None
            assert not end.cidr.overlaps(begin.cidr), f"I7: {begin.cidr} was given again while {end.cidr} cooled"


def given_again(end: AuditRecord, begin: AuditRecord) -> bool:
    """Whether a block that cooled went to the one that had it: the same stack of the same account, made anew."""
    if end.owner is None or begin.owner is None or begin.event != "allocated":
        return False
    had, has = stack_holder(end.owner, end.account), stack_holder(begin.owner, begin.account)
    return bool(had) and had == has and end.cidr == begin.cidr


def quotas_add_up(store: Store, contents: dict[str, Content]) -> None:
    """The quota of an account counts what it holds of a pool, and is within the limits that it was counted against.

    These are the tenant's own or the pool's, unless they have changed since, or what was there already was imported.
    """
    plan = store.plan()
    for pool_id, content in contents.items():
        accounts = {record.account for record in content.audit} - {""}
        for account in accounts:
            held = [allocation.cidr for allocation in content.allocations if allocation.account == account]
            counted = store.quota(account, pool_id)
            assert (counted.allocations, counted.units) == (len(held), sum(map(units, held))), f"quota of {account}"
            if any(record.event in {"pool-changed", "imported"} for record in content.audit):
                continue
            tenant = plan.tenants.get(account)
            if tenant is not None and tenant.version > 1:
                continue
            limit = (tenant.quota(pool_id) if tenant else None) or content.space.quota
            assert limit.allocations is None or counted.allocations <= limit.allocations
            assert limit.units is None or counted.units <= limit.units
