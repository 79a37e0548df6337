"""Soundness: what I1 to I4 say of what is stored, checked without reading anything.

`ipam.services.doctor` reads and asks; each function here takes what was read and gives the violations, with their
facts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ipam.domain.cidr import Cidr, spans
from ipam.domain.pool import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ipam.domain.allocation import Allocation, CoolingBlock
    from ipam.domain.change import ChangeQuota
    from ipam.domain.cidr import Family
    from ipam.domain.owner import Grant, OwnerRecord
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, Space

Invariant = Literal["I1", "I2", "I3", "I4", "quota"]
Kind = Literal[
    "overlap",
    "gap",
    "outside",
    "free-buddies",
    "no-such-parent",
    "not-from-parent",
    "not-provisioned",
    "no-grant",
    "no-allocation",
    "other-facts",
    "granted-twice",
    "asked-once-granted-twice",
    "held-and-returned",
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
    by_id: dict[str, Allocation] = field(init=False)

    def __post_init__(self) -> None:
        """Index the allocations."""
        self.by_id = {each.allocation_id: each for each in self.allocations}

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
    """I3: what a pool has was given by its parent, and what the parent gave it, it has."""
    if parent is None:
        yield Finding("I3", "no-such-parent", pool.pool_id, pool.name, expected=pool.parent_id)
        return
    given = {each.cidr: each for each in parent.allocations if each.owner.party == pool.pool_id}
    has = set(plan.space(pool.pool_id).provisioned)
    for cidr in sorted(has - given.keys()):
        yield Finding("I3", "not-from-parent", pool.pool_id, pool.name, cidr, expected=parent.space.name)
    for cidr in sorted(given.keys() - has):
        held = given[cidr]
        name = held.owner.name
        yield Finding(
            "I3", "not-provisioned", pool.pool_id, pool.name, cidr, None, held.allocation_id, pool.pool_id, name
        )


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
