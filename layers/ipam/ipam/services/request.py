"""A request for a block, and its answer: what whoever orders says, what it is told, and how often it is tried.

Everybody who orders needs these, and nothing of how an order is served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from ipam.domain.owner import Grant, OwnerKey
    from ipam.domain.plan import Ask
    from ipam.domain.pool import Tag

MAX_ATTEMPTS: Final = 10
"""Tries before a request gives way to the others; the infrastructure delivers it again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a request may wait for an administrator.

    Attributes:
        until: when it is too late for an answer, milliseconds of the epoch.
        event: what is to be handled again once it is decided. It may hold a pre-signed URL: never shown.
    """

    until: int
    event: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AllocateRequest:
    """Who asks for what.

    Attributes:
        owner: the holder to be.
        account: the AWS account whose quota counts; "" for none (what a pool gets from its parent).
        ask: what is asked for.
        description: free text for people.
        requested: when the request was made, milliseconds of the epoch by the requester's clock.
        cause: what made it, for the audit record.
        held: the allocation id that an Update names as the resource's own; "" on Create.
        tags: those of the resource.
        preview_seconds: how long a preview is held.
        by_administrator: whether whoever may use the command line asks: sharing and approval are not for them.
        waiting: how the request may wait for approval; None: it cannot.
        by_tenant: whether the account has to be a tenant to be given something new.
        replaceable: whether an Update may get another block than the resource has.
    """

    owner: OwnerKey
    account: str
    ask: Ask
    description: str
    requested: int
    cause: str
    held: str = ""
    tags: tuple[Tag, ...] = ()
    preview_seconds: int = 0
    by_administrator: bool = False
    waiting: Waiting | None = None
    by_tenant: bool = False
    replaceable: bool = True


@dataclass(frozen=True, slots=True)
class Allocated:
    """The answer: the allocation, and whether it is new or was there already.

    `unverified`: the request named an allocation as its own that its owner has never had.
    """

    grant: Grant
    outcome: Literal["allocated", "kept"]
    unverified: bool = False
