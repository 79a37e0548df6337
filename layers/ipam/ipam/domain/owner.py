"""Who holds what, and in which order the requests of one resource are to be believed.

CloudFormation delivers the requests of a resource at least once and in any order. The owner record decides what each of
them may still do:

- a *grant* is a live allocation, found again by what was asked for (I4) or by its id;
- the *fence* is the time of the latest request that ended something. No older request may allocate any more, or a
  Create that is overtaken by its Delete would leak an address;
- *returned* names the last allocations that were given back, so that the second of two releases is known to be one.

Its times are CloudFormation's own: the moment at which it signed the request's ResponseURL (milliseconds of the epoch,
to the second).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr
    from ipam.domain.plan import Ask

RETURNED_KEPT: Final = 8
"""How many ids of returned allocations an owner record remembers: bounded, and far more than one resource has."""

ASKS_KEPT: Final = 16
"""In how many words an allocation may be asked for; a block that satisfies older ones is found again all the same."""

RETURNERS_KEPT: Final = 8
"""How many resources of a stack may stand for the release of one allocation; a sensible template has one."""

SKEW: Final = 5_000
"""Milliseconds by which the clocks of CloudFormation's hosts may differ: each signs with its own, to the second."""


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """A holder of allocations.

    Attributes:
        party: a StackId, or the id of a pool, which holds what is provisioned to it.
        name: the logical resource id in the stack, or the provisioned block.
    """

    party: str
    name: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A live allocation of an owner.

    Attributes:
        allocation_id: its id.
        asks: digests of what was asked for; more than one where a later request is satisfied by the same block.
        pool_id: where the block is allocated from.
        cidr: the block.
        created: when, milliseconds of the epoch by our clock.
        requested: when CloudFormation made the latest request that was answered with it.
        by_create: whether a Create made it, or an Update.
        acknowledged: whether a later request has proved that the stack knows it.
        returners: names of the resources of the stack that stand for its release; when the last one goes, it goes.
        expires: when its lease ends, milliseconds of the epoch by our clock; None: never.
        preview: whether it is only held for someone to redeem.
        vpc_ipam_allocation_id: its allocation in Amazon VPC IPAM, where that chose the block; or "".
        passed_over: pools that were tried first and could not serve it, each with the name of the reason.
        resumed: when CloudFormation made the latest request that took it up again, of a resource that was not known to
            have it then: with that another life of it began. 0: it has had one.
    """

    allocation_id: str
    asks: tuple[str, ...]
    pool_id: str
    cidr: Cidr
    created: int
    requested: int
    by_create: bool
    acknowledged: bool = False
    returners: tuple[str, ...] = ()
    expires: int | None = None
    preview: bool = False
    vpc_ipam_allocation_id: str = ""
    passed_over: tuple[tuple[str, str], ...] = ()
    resumed: int = 0

    def may_be_known(self, at: int) -> bool:
        """Whether the stack knows it at a time, or may: another Create was answered with it, while the first failed."""
        return self.acknowledged or not self.by_create or self.created < self.requested <= at

    def ends_with(self, requested: int) -> bool:
        """Whether a Delete made at that time may end it: an older one is not of this life of the allocation."""
        return self.requested <= requested

    def ends_by_id(self, requested: int) -> bool:
        """Whether a Delete that names it, made at that time, may end it.

        CloudFormation names what it was told of: such a Delete has followed the request that the life began with,
        whatever the clocks say. So these may differ a little, but not over the beginning of another life.
        """
        return self.resumed <= requested and self.requested <= requested + SKEW

    def answered(self, requested: int) -> Grant:
        """The grant once another request is answered with it."""
        return replace(self, requested=max(self.requested, requested))

    def taken_up(self, requested: int) -> Grant:
        """The grant once a request is answered with it whose resource was not known to have it."""
        return replace(self.answered(requested), resumed=requested) if requested > self.requested else self

    def standing_for(self, ask: str) -> Grant:
        """The grant once it answers what is asked in these words too."""
        return self if ask in self.asks else replace(self, asks=(*self.asks, ask)[-ASKS_KEPT:])

    def returned_by(self, name: str, requested: int) -> Grant:
        """The grant once a resource of the stack stands for its release, which proves that the stack knows it."""
        names = self.returners if name in self.returners else (*self.returners, name)[-RETURNERS_KEPT:]
        return replace(self.answered(requested), acknowledged=True, returners=names)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a stack says of an allocation: all three facts have to be right.

    Attributes:
        allocation_id: its id.
        cidr: its block, as text.
        created: when it was made, milliseconds of the epoch.
    """

    allocation_id: str
    cidr: str
    created: int

    def fits(self, grant: Grant) -> bool:
        """Whether this is that allocation."""
        return (self.allocation_id, self.cidr, self.created) == (grant.allocation_id, str(grant.cidr), grant.created)


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """What one owner holds. `version` counts its changes; 0 says that it is not stored."""

    owner: OwnerKey
    version: int = 0
    fence: int | None = None
    grants: tuple[Grant, ...] = ()
    returned: tuple[str, ...] = ()

    def stored(self) -> OwnerRecord:
        """The record as the store has it once it has taken this one."""
        return replace(self, version=self.version + 1)

    def for_ask(self, digest: str) -> Grant | None:
        """The live allocation for what is asked, if there is one (I4)."""
        return next((grant for grant in self.grants if digest in grant.asks), None)

    def for_id(self, allocation_id: str | None) -> Grant | None:
        """The live allocation of that id."""
        return next((grant for grant in self.grants if grant.allocation_id == allocation_id), None)

    def has_had(self, allocation_id: str) -> bool:
        """Whether the owner holds the allocation of that id, or has given it back lately."""
        return allocation_id in self.returned or self.for_id(allocation_id) is not None

    def supersedes(self, requested: int) -> bool:
        """Whether a request that was made at that time comes too late to allocate."""
        return self.fence is not None and requested <= self.fence

    def knowing(self, allocation_id: str) -> OwnerRecord:
        """Note that the stack knows the allocation of that id, if the owner has it."""
        grant = self.for_id(allocation_id)
        return self if grant is None else self.with_grant(replace(grant, acknowledged=True))

    def with_grant(self, grant: Grant) -> OwnerRecord:
        """Add an allocation, or put it in place of the one with its id."""
        others = tuple(kept for kept in self.grants if kept.allocation_id != grant.allocation_id)
        return replace(self, grants=(*others, grant))

    def without_grant(self, allocation_id: str) -> OwnerRecord:
        """Note that an allocation was given back."""
        kept = tuple(grant for grant in self.grants if grant.allocation_id != allocation_id)
        return replace(self, grants=kept, returned=(*self.returned, allocation_id)[-RETURNED_KEPT:])

    def fenced(self, at: int) -> OwnerRecord:
        """Move the fence forward; it never moves back."""
        return self if self.supersedes(at) else replace(self, fence=at)

    def never_accepted(self, held: str, wanted: Grant | None, at: int) -> tuple[Grant, ...]:
        """Allocations of Updates before that time whose answers CloudFormation never took over.

        Had it taken one over, it would hold that one; to hold another again it would have sent an Update that named the
        first, and that would have acknowledged it. An id that the owner has not had proves nothing.
        """
        if not self.has_had(held):
            return ()
        return tuple(
            grant
            for grant in self.grants
            if not (grant.by_create or grant.acknowledged or grant == wanted or grant.allocation_id == held)
            and grant.requested < at
        )

    def unaccepted(self, asked: str, at: int) -> tuple[Grant, ...]:
        """Allocations of Creates up to that time that asked for this, and whose answers the stack may not know."""
        return tuple(
            grant for grant in self.grants if asked in grant.asks and grant.ends_with(at) and not grant.may_be_known(at)
        )


def digest(ask: Ask) -> str:
    """Short name of what is asked for, equal for equal asks.

    A preview's token says all of the block: whatever else is said of it can only repeat that.
    """
    if ask.preview_token:
        return _short([ask.preview_token, ask.locale, ask.allocation_type, ask.family])
    facts: list[object] = [
        ask.pool_id,
        ask.pool_name,
        ask.locale,
        ask.allocation_type,
        ask.family,
        ask.netmask_length,
        None if ask.cidr is None else [ask.cidr.first, ask.cidr.length],
    ]
    if ask.pools or ask.pool_tags or ask.allowed_cidrs or ask.disallowed_cidrs or ask.preview:
        facts += [
            ask.pools,
            ask.pool_tags,
            [[cidr.first, cidr.length] for cidr in ask.allowed_cidrs],
            [[cidr.first, cidr.length] for cidr in ask.disallowed_cidrs],
            ask.preview,
        ]
    return _short(facts)


def _short(facts: list[object]) -> str:
    """Name some facts in short."""
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()[:16]
