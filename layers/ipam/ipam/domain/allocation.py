"""Blocks that are held, blocks that cool, and the record of how they came to be so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import OwnerKey
    from ipam.domain.pool import AllocationType

AuditEvent = Literal[
    "scope-created",
    "pool-created",
    "provisioned",
    "allocated",
    "acknowledged",
    "kept",
    "released",
    "cooled",
    "joined",
    "split",
    "fenced",
]


@dataclass(frozen=True, slots=True)
class Allocation:
    """A block with its one holder.

    Times are milliseconds of the epoch, by our clock.
    """

    allocation_id: str
    pool_id: str
    cidr: Cidr
    owner: OwnerKey
    account: str
    allocation_type: AllocationType
    description: str
    created: int


@dataclass(frozen=True, slots=True)
class CoolingBlock:
    """A block that was released and is kept from everyone until a time (I7)."""

    pool_id: str
    cidr: Cidr
    until: int
    allocation_id: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What was done to a block, when, for whom and why (I6).

    Attributes:
        subject: the pool or scope; the stack, where no block is concerned.
        cidr: the block; None where none is concerned.
        at: milliseconds of the epoch, by our clock.
        event: what was done.
        allocation_id: of the allocation concerned, or "".
        owner: on whose request; None where nobody asked (cooling is over).
        account: the owner's account, or "".
        cause: the request: its type and RequestId, or the name of the job.
        serial: random, so that two records of one millisecond stay two.
    """

    subject: str
    cidr: Cidr | None
    at: int
    event: AuditEvent
    allocation_id: str
    owner: OwnerKey | None
    account: str
    cause: str
    serial: str
