"""What an import is made of: rows as they were read, what is wrong with a row, and what becomes of a good one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.owner import OwnerKey

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import AllocationType, Pool, Tag

IMPORTED: Final = "import:"
"""How the party of an imported network begins, where its row names no holder."""

CHUNK: Final = 10
"""Netmask lengths between an imported network and the block that its party is named after: so a party has 1,024 owners
at most, which one read shows, and 50,000 networks have some hundred parties instead of one, or of 50,000."""

Kind = Literal["network", "container", "pool"]
"""What a row is: a network, a level of the plan that holds nothing itself, or what a pool has from its parent."""

Problem = Literal[
    "unreadable",
    "cells",
    "cidr",
    "account",
    "type",
    "text",
    "tags",
    "holder",
    "account-of-stack",
    "vrf",
    "no-such-scope",
    "no-such-pool",
    "other-scope",
    "no-pool",
    "several-pools",
    "all-of-pool",
    "family",
    "not-in-pool",
    "type-not-served",
    "backed",
    "no-level",
    "holds-too-much",
    "twice",
    "overlaps-line",
    "held",
    "cooling",
    "taken",
]


@dataclass(frozen=True, slots=True)
class Row:
    """An existing network, as its source describes it.

    Attributes:
        line: where it stands: the line of a file, or the number of the record.
        cidr: its block.
        kind: what it is.
        pool: where it belongs, by id or name; "" leaves it to the plan.
        scope: the address world, by id or name; "" where the pool says it, or where there is no doubt.
        allocation_type: what it is; None leaves it to the pool.
        account: whose it is, or "".
        description: free text.
        tags: those of the resource.
        party: who holds it: a stack, or a resource of AWS or elsewhere; "" where the source does not say.
        name: which of the holder's it is; "" names it by its block.
        vpc_ipam_pool_id: the Amazon VPC IPAM pool that has it, or "".
        vpc_ipam_allocation_id: its allocation there, or "".
    """

    line: int
    cidr: Cidr
    kind: Kind = "network"
    pool: str = ""
    scope: str = ""
    allocation_type: AllocationType | None = None
    account: str = ""
    description: str = ""
    tags: tuple[Tag, ...] = ()
    party: str = ""
    name: str = ""
    vpc_ipam_pool_id: str = ""
    vpc_ipam_allocation_id: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be imported, and why.

    Attributes:
        line: where it stands.
        value: what is wrong: its block, or the value of one column.
        problem: in which way.
        column: the column that is wrong, or "".
        pool: the name of the pool concerned, or "".
        other: what would be right, or the block that is in the way; or "".
        other_line: the line that is in the way; 0 for none.
        holder: who has the block that is in the way; None for nobody.
        until: when that becomes free, milliseconds of the epoch; None: never by itself.
    """

    line: int
    value: str
    problem: Problem
    column: str = ""
    pool: str = ""
    other: str = ""
    other_line: int = 0
    holder: OwnerKey | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row with its place in the plan."""

    row: Row
    pool: Pool
    owner: OwnerKey
    allocation_type: AllocationType


def owner_of(row: Row, pool: Pool) -> OwnerKey:
    """Name the holder of an imported network, the same each time that its row is read."""
    party = row.party
    if not party:
        around = row.cidr.supernet(max(0, row.cidr.length - CHUNK))
        party = f"{IMPORTED}{pool.pool_id}:{around}"
    return OwnerKey(party, row.name or str(row.cidr))
