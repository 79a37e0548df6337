"""The items of blocks: free, held, cooling or leased; of how many an account holds, and of the search for orphans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ipam.adapters.dynamodb import keys
from ipam.adapters.dynamodb.attributes import from_tags, key_of, number, pack, text, to_tags, typed
from ipam.domain.allocation import Allocation, CoolingBlock, Lease
from ipam.domain.change import ChangeQuota
from ipam.domain.orphan import Orphan, OrphanReason, Round
from ipam.domain.owner import OwnerKey

if TYPE_CHECKING:
    from ipam.adapters.dynamodb.attributes import Attribute, Item
    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import AllocationType, Tag


def from_free(pool_id: str, cidr: Cidr) -> Item:
    """Write a free block: its key says all."""
    return key_of(keys.free(pool_id, cidr))


def to_free(item: Item) -> Cidr:
    """Read a free block."""
    return keys.parse_free(text(item, keys.SORT_KEY))


def from_allocation(allocation: Allocation) -> Item:
    """Write an allocation."""
    return pack(
        keys.allocation(allocation.pool_id, allocation.cidr),
        allocation_id=allocation.allocation_id,
        cidr=str(allocation.cidr),
        party=allocation.owner.party,
        owner=allocation.owner.name,
        account=allocation.account,
        allocation_type=allocation.allocation_type,
        description=allocation.description,
        created=allocation.created,
        tags=from_tags(allocation.tags),
        divided_by=allocation.divided_by,
        vpc_ipam_allocation_id=allocation.vpc_ipam_allocation_id,
        orphan=None if allocation.orphan is None else _from_orphan(allocation.orphan),
    )


def description_of(description: str, tags: tuple[Tag, ...]) -> Item:
    """Write what is said of an allocation; what is empty is left out."""
    said: dict[str, Attribute] = {"description": description, "tags": from_tags(tags)}
    return {name: typed(value) for name, value in said.items() if value}


def to_allocation(item: Item) -> Allocation:
    """Read an allocation."""
    return Allocation(
        allocation_id=text(item, "allocation_id"),
        pool_id=text(item, keys.PARTITION_KEY).split("#", 1)[1],
        cidr=keys.parse_block(text(item, keys.SORT_KEY)),
        owner=OwnerKey(text(item, "party"), text(item, "owner")),
        account=text(item, "account"),
        allocation_type=cast("AllocationType", text(item, "allocation_type")),
        description=text(item, "description"),
        created=number(item, "created"),
        tags=to_tags(item),
        divided_by=text(item, "divided_by"),
        vpc_ipam_allocation_id=text(item, "vpc_ipam_allocation_id"),
        orphan=_to_orphan(item),
    )


def orphan_of(orphan: Orphan) -> Item:
    """Write that an allocation is an orphan, as it has it."""
    return typed(_from_orphan(orphan))


def _from_orphan(orphan: Orphan) -> dict[str, Any]:
    return {"since": orphan.since, "why": orphan.why}


def _to_orphan(item: Item) -> Orphan | None:
    if "orphan" not in item:
        return None
    fields = item["orphan"]["M"]
    return Orphan(number(fields, "since"), cast("OrphanReason", text(fields, "why")))


def from_round(progress: Round) -> Item:
    """Write how far the search for orphans is, as the store has it after this change."""
    return pack(
        keys.orphans_round(),
        version=progress.version + 1,
        began=progress.began,
        pool_id=progress.pool_id,
        after=None if progress.after is None else keys.block(progress.after),
    )


def to_round(item: Item) -> Round:
    """Read how far the search for orphans is."""
    after = text(item, "after")
    return Round(
        version=number(item, "version"),
        began=number(item, "began"),
        pool_id=text(item, "pool_id"),
        after=keys.parse_block(after) if after else None,
    )


def from_cooling(block: CoolingBlock) -> Item:
    """Write a cooling block."""
    return pack(
        keys.cooling(block.pool_id, block.cidr, block.until),
        cidr=str(block.cidr),
        allocation_id=block.allocation_id,
        vpc_ipam_allocation_id=block.vpc_ipam_allocation_id,
    )


def to_cooling(item: Item) -> CoolingBlock:
    """Read a cooling block."""
    until, block = text(item, keys.SORT_KEY).split("#", 1)
    pool_id = text(item, keys.PARTITION_KEY).split("#", 1)[1]
    return CoolingBlock(
        pool_id,
        keys.parse_block(block),
        int(until),
        text(item, "allocation_id"),
        text(item, "vpc_ipam_allocation_id"),
    )


def from_sticky(holder: str, block: CoolingBlock) -> Item:
    """Write whose a cooling block was; the store forgets it when it has cooled."""
    return pack(
        keys.sticky(block.pool_id, holder, block.cidr, block.until),
        allocation_id=block.allocation_id,
        expires=block.until // 1000 + 1,
    )


def to_sticky(item: Item) -> CoolingBlock:
    """Read a block that cools, from what says whose it was."""
    _, until, block = text(item, keys.SORT_KEY).split("#", 2)
    pool_id = text(item, keys.PARTITION_KEY).split("#", 1)[1]
    return CoolingBlock(pool_id, keys.parse_block(block), int(until), text(item, "allocation_id"))


def from_lease(lease: Lease) -> Item:
    """Write a lease."""
    return pack(
        keys.lease(lease.pool_id, lease.cidr),
        cidr=str(lease.cidr),
        allocation_id=lease.allocation_id,
        party=lease.owner.party,
        owner=lease.owner.name,
        account=lease.account,
        until=lease.until,
        preview=lease.preview or None,
        warned=lease.warned or None,
        ended=lease.ended or None,
    )


def to_lease(item: Item) -> Lease:
    """Read a lease."""
    return Lease(
        pool_id=text(item, keys.PARTITION_KEY).split("#", 1)[1],
        cidr=keys.parse_block(text(item, keys.SORT_KEY)),
        allocation_id=text(item, "allocation_id"),
        owner=OwnerKey(text(item, "party"), text(item, "owner")),
        account=text(item, "account"),
        until=number(item, "until"),
        preview="preview" in item,
        warned="warned" in item,
        ended="ended" in item,
    )


def to_quota(item: Item) -> ChangeQuota:
    """Read what an account holds of a pool."""
    account = text(item, keys.PARTITION_KEY).split("#", 1)[1]
    return ChangeQuota(account, text(item, keys.SORT_KEY), number(item, "allocations"), number(item, "units"))
