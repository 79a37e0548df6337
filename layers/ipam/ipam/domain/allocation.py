"""Blocks that are held, blocks that cool, and the record of how they came to be so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr
    from ipam.domain.orphan import Orphan
    from ipam.domain.owner import OwnerKey
    from ipam.domain.pool import AllocationType, Tag

AuditEvent = Literal[
    "scope-created",
    "scope-changed",
    "scope-deleted",
    "pool-created",
    "pool-changed",
    "pool-deleted",
    "provisioned",
    "deprovisioned",
    "imported",
    "previewed",
    "redeemed",
    "preview-ended",
    "renewed",
    "lease-warned",
    "lease-ended",
    "lease-overdue",
    "approval-asked",
    "approved",
    "denied",
    "redelivered",
    "tenant-added",
    "tenant-changed",
    "quota-changed",
    "key-rotated",
    "tenant-left",
    "tenant-removed",
    "ordered",
    "order-ended",
    "allocated",
    "acknowledged",
    "kept",
    "released",
    "cooled",
    "joined",
    "split",
    "fenced",
    "orphan-found",
    "orphan-cleared",
    "orphans-sought",
]

Decision = Literal["waiting", "approved", "denied"]


@dataclass(frozen=True, slots=True)
class Allocation:
    """A block with its one holder.

    Times are milliseconds of the epoch, by our clock.

    Attributes:
        tags: those of the resource that it is for.
        divided_by: the subnet pool that divides it, which has to go first; "" for none.
        vpc_ipam_allocation_id: its allocation in Amazon VPC IPAM, where that chose it; or "".
        orphan: that no stack will give it back, if it was found so.
    """

    allocation_id: str
    pool_id: str
    cidr: Cidr
    owner: OwnerKey
    account: str
    allocation_type: AllocationType
    description: str
    created: int
    tags: tuple[Tag, ...] = ()
    divided_by: str = ""
    vpc_ipam_allocation_id: str = ""
    orphan: Orphan | None = None


@dataclass(frozen=True, slots=True)
class CoolingBlock:
    """A block that was released and is kept from everyone until a time (I7).

    Where Amazon VPC IPAM chose it, it has to be given back there first: `vpc_ipam_allocation_id`.
    """

    pool_id: str
    cidr: Cidr
    until: int
    allocation_id: str
    vpc_ipam_allocation_id: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when an allocation lasts.

    Attributes:
        pool_id: where it is allocated from.
        cidr: its block.
        allocation_id: its id.
        owner: its holder.
        account: the holder's account, or "".
        until: its end, milliseconds of the epoch, by our clock.
        preview: whether it is only held for someone to redeem.
        warned: whether its owner was told that it ends.
        ended: whether the end was reported, of an allocation that does not end with its lease.
    """

    pool_id: str
    cidr: Cidr
    allocation_id: str
    owner: OwnerKey
    account: str
    until: int
    preview: bool = False
    warned: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Approval:
    """A request that needs an administrator's word.

    Attributes:
        approval_id: `approval-` and 16 digits, made from the owner and what it asks for.
        owner: who asks.
        account: its account.
        pool_id: where the block is to come from.
        netmask_length: how large it is to be.
        description: what the requester says of it.
        asked: when, milliseconds of the epoch, by our clock.
        until: when it is too late for an answer.
        decision: what was decided.
        decided_by: by whom; or "".
        note: why; or "".
        event: the request as it came, to be handled again once it is decided; "" once it was handed over. It holds a
            pre-signed URL: never shown.
    """

    approval_id: str
    owner: OwnerKey
    account: str
    pool_id: str
    netmask_length: int
    description: str
    asked: int
    until: int
    decision: Decision = "waiting"
    decided_by: str = ""
    note: str = ""
    event: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order on its way to Amazon VPC IPAM: written down before, and struck out with the allocation that comes of it.

    Attributes:
        pool_id: our pool.
        token: the ClientToken of the order, and what it is found by; with `ended-` before it, of one that was ended.
        owner: who asks.
        account: its account.
        ordered: when, or when it was ended, milliseconds of the epoch, by our clock.
    """

    pool_id: str
    token: str
    owner: OwnerKey
    account: str
    ordered: int


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
        note: what the event does not say: why a request was decided so, or what was changed, and to what; or "".
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
    note: str = ""
