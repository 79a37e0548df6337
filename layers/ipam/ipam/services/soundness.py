"""Soundness: what I1 to I4 say of what is stored, and of leases and quotas, checked without reading anything.

`ipam.services.doctor` reads and asks; each function here takes what was read and gives the violations, with their
facts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from ipam.domain.cidr import Cidr, spans
from ipam.domain.pool import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ipam.domain.allocation import Allocation, CoolingBlock, Lease
    from ipam.domain.change import ChangeQuota
    from ipam.domain.cidr import Family
    from ipam.domain.owner import Grant, OwnerRecord
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, ProvisionedCidr, Space

Invariant = Literal["I1", "I2", "I3", "I4", "lease", "quota"]
Kind = Literal[
    "overlap",
    "gap",
    "outside",
    "free-buddies",
    "no-such-parent",
    "not-from-parent",
    "not-provisioned",
    "not-divided",
    "divided-by-none",
    "no-grant",
    "no-allocation",
    "other-facts",
    "granted-twice",
    "asked-once-granted-twice",
    "held-and-returned",
    "lease-of-none",
    "other-end",
    "no-lease",
    "count",
]

Span = tuple["Family", int, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be so.

    Attributes:
        invariant: which one is broken.
        kind: in which way.
        pool_id: the pool or scope concerned.
        pool: its name.
        cidr: the block concerned, or None.
        other: the other block, of an overlap or of buddies.
        allocation_id: of the allocation concerned, or "".
        party: the stack or pool that holds, or "".
        name: the holder's resource, or "".
        account: whose quota, or "".
        expected: what should be stored, by what else is; "" where `kind` says it.
        found: what is stored.
    """

    invariant: Invariant
    kind: Kind
    pool_id: str
    pool: str
    cidr: Cidr | None = None
    other: Cidr | None = None
    allocation_id: str = ""
    party: str = ""
    name: str = ""
    account: str = ""
    expected: str = ""
    found: str = ""

    @property
    def hint(self) -> bool:
        """Whether this comes and goes in good order: buddies stand side by side until upkeep joins them (I2)."""
        return self.invariant == "I2"


@dataclass(slots=True)
class Content:
    """What is stored of one pool or scope."""

    space: Space
    free: list[Cidr]
    cooling: list[CoolingBlock]
    allocations: list[Allocation]
    leases: list[Lease]
    by_id: dict[str, Allocation] = field(init=False)
    by_block: dict[Cidr, Allocation] = field(init=False)
    by_party: dict[str, list[Allocation]] = field(init=False)

    def __post_init__(self) -> None:
        """Index the allocations."""
        self.by_id = {each.allocation_id: each for each in self.allocations}
        self.by_block = {each.cidr: each for each in self.allocations}
        self.by_party = {}
        for each in self.allocations:
            self.by_party.setdefault(each.owner.party, []).append(each)

    def blocks(self) -> list[tuple[Cidr, str]]:
        """Give every block in address order, with the id of its allocation, or of the one that it cools after."""
        found = [(cidr, "") for cidr in self.free]
        found += [(each.cidr, each.allocation_id) for each in self.cooling]
        return sorted(found + [(each.cidr, each.allocation_id) for each in self.allocations])


def partition(content: Content) -> Iterator[Finding]:
    """I1: free, allocated and cooling blocks cover the provisioned CIDRs, each address once."""
    space = content.space
    blocks = content.blocks()
    widest: tuple[Cidr, str] | None = None
    for cidr, allocation_id in blocks:
        if widest is not None and widest[0].overlaps(cidr):
            named = allocation_id or widest[1]
            yield Finding("I1", "overlap", space.pool_id, space.name, cidr, widest[0], named)
        if widest is None or (cidr.family, cidr.last) > (widest[0].family, widest[0].last):
            widest = cidr, allocation_id
    provisioned = _joined(space.provisioned)
    covered = _joined(cidr for cidr, _ in blocks)
    for cidr in _without(provisioned, covered):
        yield Finding("I1", "gap", space.pool_id, space.name, cidr)
    for cidr in _without(covered, provisioned):
        yield Finding("I1", "outside", space.pool_id, space.name, cidr)


def buddies(content: Content) -> Iterator[Finding]:
    """I2: no two free buddies stand side by side inside one provisioned CIDR."""
    free = set(content.free)
    for cidr in sorted(free):
        inside = content.space.around(cidr)
        if inside is not None and cidr.length > inside.length and cidr < cidr.buddy and cidr.buddy in free:
            yield Finding("I2", "free-buddies", content.space.pool_id, content.space.name, cidr, cidr.buddy)


def provisioned(plan: Plan, pool: Pool, parent: Content | None) -> Iterator[Finding]:
    """I3: what a pool has was given by its parent, and what the parent gave it, it has.

    What a subnet pool has is a VPC's allocation, which knows that the pool divides it and has a holder of its own.
    """
    if parent is None:
        yield Finding("I3", "no-such-parent", pool.pool_id, pool.name, expected=pool.parent_id)
        return
    has = {block.cidr: block for block in plan.provisioned(pool.pool_id)}
    divides = pool.source_resource is not None
    for cidr, block in sorted(has.items()):
        if not _is_given(block, parent.by_block.get(cidr), divides=divides):
            kind: Kind = "not-divided" if divides else "not-from-parent"
            yield Finding(
                "I3", kind, pool.pool_id, pool.name, cidr, None, block.allocation_id, expected=parent.space.name
            )
    for held in parent.by_party.get(pool.pool_id, ()):
        if held.cidr not in has:
            about = (held.cidr, None, held.allocation_id, pool.pool_id, held.owner.name)
            yield Finding("I3", "not-provisioned", pool.pool_id, pool.name, *about)


def divided(plan: Plan, content: Content) -> Iterator[Finding]:
    """I3: an allocation that a subnet pool divides is what that pool has."""
    space = content.space
    for each in content.allocations:
        if not each.divided_by:
            continue
        pool = plan.pools.get(each.divided_by)
        divides = pool is not None and pool.source_resource is not None and pool.parent_id == space.pool_id
        has = any(_is_given(block, each, divides=True) for block in plan.provisioned(each.divided_by))
        if not divides or not has:
            about = (each.cidr, None, each.allocation_id, *_named(each))
            name = pool.name if pool is not None else each.divided_by
            yield Finding("I3", "divided-by-none", space.pool_id, space.name, *about, expected=name)


def holders(contents: Mapping[str, Content], records: Iterable[OwnerRecord]) -> Iterator[Finding]:
    """I4: allocations and the grants of their owners are the same facts, and no ask has two grants."""
    granted: set[str] = set()
    for record in records:
        yield from _grants_of(contents, record)
        for grant in record.grants:
            if grant.allocation_id in granted:
                yield _about("granted-twice", record, grant, contents.get(grant.pool_id))
            granted.add(grant.allocation_id)
            yield from _same_facts(record, grant, contents.get(grant.pool_id))
    for content in contents.values():
        space = content.space
        for each in content.allocations:
            if each.allocation_id not in granted:
                yield Finding(
                    "I4", "no-grant", space.pool_id, space.name, each.cidr, None, each.allocation_id, *_named(each)
                )


def leases(contents: Mapping[str, Content], records: Iterable[OwnerRecord]) -> Iterator[Finding]:
    """Each lease is that of a live allocation and ends when the owner's record says, and none is missing."""
    granted = {grant.allocation_id: (record, grant) for record in records for grant in record.grants}
    for content in contents.values():
        for lease in content.leases:
            yield from _lease(content, lease, granted.get(lease.allocation_id))
    leased = {lease.allocation_id for content in contents.values() for lease in content.leases}
    for record, grant in granted.values():
        around = contents.get(grant.pool_id)
        there = around is not None and grant.allocation_id in around.by_id
        if there and grant.expires is not None and grant.allocation_id not in leased:
            expected = _end(grant.expires, preview=grant.preview)
            yield replace(_about("no-lease", record, grant, around), invariant="lease", expected=expected)


def quotas(contents: Mapping[str, Content], counted: Iterable[ChangeQuota]) -> Iterator[Finding]:
    """What is counted for an account's quota of a pool is what it holds of the pool."""
    held: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for pool_id, content in contents.items():
        for each in content.allocations:
            held[each.account, pool_id] += 1
            sizes[each.account, pool_id] += units(each.cidr)
    for count in counted:
        key = (count.account, count.pool_id)
        facts = (held[key], sizes[key])
        if facts != (count.allocations, count.units):
            yield Finding(
                "quota",
                "count",
                count.pool_id,
                contents[count.pool_id].space.name,
                account=count.account,
                expected=_amount(*facts),
                found=_amount(count.allocations, count.units),
            )


def _is_given(block: ProvisionedCidr, held: Allocation | None, *, divides: bool) -> bool:
    """Whether a pool has a block by this allocation of its parent: its own one, or a VPC's that it divides."""
    if held is None or (held.cidr, held.allocation_id) != (block.cidr, block.allocation_id):
        return False
    own = held.owner.party == block.pool_id
    return (held.divided_by == block.pool_id and not own) if divides else own


def _lease(content: Content, lease: Lease, granted: tuple[OwnerRecord, Grant] | None) -> Iterator[Finding]:
    """Check one lease against its allocation, and against the grant of the allocation's owner, if there is one."""
    space = content.space
    about = (lease.cidr, None, lease.allocation_id, lease.owner.party, lease.owner.name)
    found = _end(lease.until, preview=lease.preview)
    allocation = content.by_id.get(lease.allocation_id)
    facts = (lease.cidr, lease.owner, lease.account)
    if allocation is None or (allocation.cidr, allocation.owner, allocation.account) != facts:
        yield Finding("lease", "lease-of-none", space.pool_id, space.name, *about, found=found)
    elif granted is not None:
        expected = _end(granted[1].expires, preview=granted[1].preview)
        if expected != found:
            yield Finding("lease", "other-end", space.pool_id, space.name, *about, expected=expected, found=found)


def _grants_of(contents: Mapping[str, Content], record: OwnerRecord) -> Iterator[Finding]:
    """Check what an owner's record says by itself."""
    asked = Counter(ask for grant in record.grants for ask in grant.asks)
    for grant in record.grants:
        if any(asked[ask] > 1 for ask in grant.asks):
            yield _about("asked-once-granted-twice", record, grant, contents.get(grant.pool_id))
        if grant.allocation_id in record.returned:
            yield _about("held-and-returned", record, grant, contents.get(grant.pool_id))


def _same_facts(record: OwnerRecord, grant: Grant, content: Content | None) -> Iterator[Finding]:
    """Check that a grant names an allocation which is there, and says the same of it."""
    allocation = content.by_id.get(grant.allocation_id) if content is not None else None
    if allocation is None:
        yield _about("no-allocation", record, grant, content)
    elif (allocation.cidr, allocation.owner) != (grant.cidr, record.owner):
        owner = allocation.owner
        expected = f"{allocation.cidr} of {owner.party} {owner.name}"
        found = f"{grant.cidr} of {record.owner.party} {record.owner.name}"
        yield replace(_about("other-facts", record, grant, content), expected=expected, found=found)


def _about(kind: Kind, record: OwnerRecord, grant: Grant, content: Content | None) -> Finding:
    """Make a finding about a grant."""
    name = content.space.name if content is not None else grant.pool_id
    held = (grant.cidr, None, grant.allocation_id)
    return Finding("I4", kind, grant.pool_id, name, *held, record.owner.party, record.owner.name)


def _named(allocation: Allocation) -> tuple[str, str]:
    return allocation.owner.party, allocation.owner.name


def _amount(allocations: int, size: int) -> str:
    return f"{allocations} allocations, {size} units"


def _end(until: int | None, *, preview: bool) -> str:
    """Write the end of a lease: its time, UTC, or `never`."""
    if until is None:
        return "never"
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=until)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{until % 1000:03d}Z" + (" as a preview" if preview else "")


def _joined(blocks: Iterable[Cidr]) -> list[Span]:
    """Tell the addresses that blocks cover, as maximal ranges, also where blocks overlap."""
    kept: list[Cidr] = []
    for block in sorted(blocks):
        # Of two aligned blocks that meet, one lies in the other, and the larger one sorts first.
        if not kept or not kept[-1].contains(block):
            kept.append(block)
    return list(spans(kept))


def _without(these: list[Span], those: list[Span]) -> Iterator[Cidr]:
    """Give what is in the first ranges and not in the second, as the largest aligned blocks."""
    for family, first, last in these:
        for other, low, high in those:
            if other == family and low <= last and first <= high:
                if first < low:
                    yield from _as_blocks(family, first, low - 1)
                first = high + 1  # noqa: PLW2901 - what is left of the range
        if first <= last:
            yield from _as_blocks(family, first, last)


def _as_blocks(family: Family, first: int, last: int) -> Iterator[Cidr]:
    """Cut a range into the fewest aligned blocks."""
    width = {4: 32, 6: 128}[family]
    while first <= last:
        bits = min((first & -first).bit_length() - 1 if first else width, (last - first + 1).bit_length() - 1)
        yield Cidr(family, first, width - bits)
        first += 1 << bits
