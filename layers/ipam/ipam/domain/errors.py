"""Everything that can be refused, divided by what the caller should do.

Errors carry facts as fields; entrypoints make prose from them. `PermanentError` is refused for good: the request has to
change. `TemporaryError` may pass when tried again with the same request. A fault of our own is neither and stays an
ordinary exception.

They are not frozen, because Python itself writes to an exception on its way, as it leaves a `with` block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr, Family


class IpamError(Exception):
    """Root of the tree."""


class PermanentError(IpamError):
    """The same request will be refused again.

    Attributes:
        beside: the other pools that were tried and refused as well, each with the short name of its refusal.
    """

    beside: tuple[tuple[str, str], ...] = ()


class TemporaryError(IpamError):
    """The same request may succeed later. If anything was changed by it after all, the same request finds it."""


@dataclass(unsafe_hash=True)
class MalformedCidrError(PermanentError):
    """A text is not the canonical spelling of a block; `canonical` is what may have been meant."""

    text: str
    canonical: str | None


@dataclass(unsafe_hash=True)
class SubnetsDoNotFitError(PermanentError):
    """Subnets of these netmask lengths are together larger than their network."""

    network_length: int
    lengths: tuple[int, ...]


@dataclass(unsafe_hash=True)
class NoSuchPoolError(PermanentError):
    """No pool has this id or name."""

    selector: str


@dataclass(unsafe_hash=True)
class NoSuchScopeError(PermanentError):
    """No scope has this id or name."""

    selector: str


@dataclass(unsafe_hash=True)
class NoPoolForRequestError(PermanentError):
    """No pool serves this Region, allocation type and address family, or none of these has the tags asked for."""

    locale: str
    allocation_type: str
    family: Family
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(unsafe_hash=True)
class SeveralScopesError(PermanentError):
    """Pools that fit are in several scopes (`scopes`, by name), none of which is the default one, and none is named."""

    locale: str
    allocation_type: str
    family: Family
    scopes: tuple[str, ...]


@dataclass(unsafe_hash=True)
class PoolMismatchError(PermanentError):
    """The named pool is not one that may serve this request.

    `fact` is `locale`, `family`, `allocation_type` or `tags`; `has` is the pool's, `wants` the request's.
    """

    pool: str
    fact: str
    has: str
    wants: str


@dataclass(unsafe_hash=True)
class NetmaskLengthError(PermanentError):
    """A netmask length is outside the rules of a pool (`rule` names which), or is missing (`asked` is None)."""

    pool: str
    asked: int | None
    rule: str
    limit: int | None


@dataclass(unsafe_hash=True)
class MissingTagError(PermanentError):
    """A pool asks for a tag that the resource does not have; `has` is its value for that key, or None."""

    pool: str
    key: str
    value: str
    has: str | None


@dataclass(unsafe_hash=True)
class AllocationRuleError(PermanentError):
    """A rule of a pool (`rule`, whose value is `limit`) does not allow `value`."""

    pool: str
    rule: str
    value: str
    limit: str


@dataclass(unsafe_hash=True)
class PoolNotSharedError(PermanentError):
    """A pool is for other accounts."""

    pool: str
    account: str


@dataclass(unsafe_hash=True)
class NoSuchTenantError(PermanentError):
    """An account is no tenant, or is leaving."""

    account: str


@dataclass(unsafe_hash=True)
class RotationUnfinishedError(PermanentError):
    """A tenant's key was rotated and the one before is still good: another rotation would end that at once.

    Attributes:
        account: the tenant's.
        until: when the grace ends, milliseconds of the epoch.
    """

    account: str
    until: int


@dataclass(unsafe_hash=True)
class UnknownAccountError(PermanentError):
    """The organisation has no such account."""

    account: str


@dataclass(unsafe_hash=True)
class DeniedError(PermanentError):
    """An administrator has refused the request (`by`, with `note`), or nobody decided in time (`by` is "").

    `waits` is whether there was time to decide at all.
    """

    pool: str
    asked: int
    by: str
    note: str
    waits: bool = True


@dataclass(unsafe_hash=True)
class ReplacementRefusedError(PermanentError):
    """An Update asks for another block than the resource has, and says that it cannot be given one."""

    held: Cidr


@dataclass(unsafe_hash=True)
class NoSuchApprovalError(PermanentError):
    """No approval of this id can be decided as asked: `why` is `unknown`, `too late`, `approved` or `denied`."""

    approval_id: str
    why: str


@dataclass(unsafe_hash=True)
class NoSuchPreviewError(PermanentError):
    """No such preview, or not the caller's, or redeemed or over: they look alike on purpose."""

    token: str


@dataclass(unsafe_hash=True)
class OnlyPreviewedError(PermanentError):
    """A block is to be used that is a preview: it is only held for a while."""

    held: Cidr


@dataclass(unsafe_hash=True)
class PoolExhaustedError(PermanentError):
    """A pool has no free block that is large enough.

    Attributes:
        pool: its name.
        asked: netmask length.
        largest: the largest block that is free.
        cooling_blocks: how many blocks are cooling, at least.
        cooling_addresses: how many addresses these hold.
        cooling_until: when the next of them becomes free, milliseconds of the epoch.
        provisioned: whether the pool has any address space at all.
        room_at: when what cools will have made room for such a block; None: it cannot.
        limited_by: whose lists of allowed and disallowed blocks say where it may lie: the `request`'s, the `pool`'s.
            The largest block, and what cools, are then those within the lists.
        permitted: whether the lists leave the pool such a block at all, were it free.
    """

    pool: str
    asked: int
    largest: Cidr | None
    cooling_blocks: int
    cooling_addresses: int
    cooling_until: int | None
    provisioned: bool
    room_at: int | None = None
    limited_by: tuple[Literal["request", "pool"], ...] = ()
    permitted: bool = True


@dataclass(unsafe_hash=True)
class CidrNotInPoolError(PermanentError):
    """The exact block asked for is outside what the pool has."""

    pool: str
    cidr: Cidr


@dataclass(unsafe_hash=True)
class CidrNotFreeError(PermanentError):
    """The exact block asked for is, in part at least, held or cooling (`until`, milliseconds of the epoch)."""

    pool: str
    cidr: Cidr
    until: int | None


@dataclass(unsafe_hash=True)
class QuotaExceededError(PermanentError):
    """The account would hold more of a pool than it may: `limit` `what` (allocations, or address units)."""

    pool: str
    account: str
    what: str
    limit: int


@dataclass(unsafe_hash=True)
class VpcIpamRefusedError(PermanentError):
    """Amazon VPC IPAM does not do what it is asked for a pool of its own; `code` and `message` are its words."""

    vpc_ipam_pool_id: str
    code: str
    message: str


@dataclass(unsafe_hash=True)
class SupersededError(PermanentError):
    """A later request for the same resource has been served already; this one changes nothing any more."""


@dataclass(unsafe_hash=True)
class NoSuchAllocationError(PermanentError):
    """No such allocation, or not the caller's: the two look alike on purpose."""

    allocation_id: str


@dataclass(unsafe_hash=True)
class NameTakenError(PermanentError):
    """A scope or pool of this name exists."""

    name: str


@dataclass(unsafe_hash=True)
class InvalidPoolError(PermanentError):
    """A pool, or a scope, cannot be as described: `property_name` has a value that `why` explains."""

    property_name: str
    value: str
    why: str


@dataclass(unsafe_hash=True)
class DefaultScopeError(PermanentError):
    """A scope that the plan begins with is not deleted; `scope` is its name."""

    scope: str


@dataclass(unsafe_hash=True)
class InUseError(PermanentError):
    """What is to be ended is in use.

    Attributes:
        what: what was to be ended: a pool, a scope, a provisioned CIDR or an allocation, by its name or block.
        users: the first few of what uses it, in words for people.
        count: how many use it.
    """

    what: str
    users: tuple[str, ...]
    count: int


@dataclass(unsafe_hash=True)
class NetworkInUseError(PermanentError):
    """A block is not given back, because networks still have addresses of it.

    Attributes:
        cidr: the block.
        networks: ids of the first few VPCs and subnets.
        count: how many there are.
        account: where they are,
        region: likewise.
    """

    cidr: Cidr
    networks: tuple[str, ...]
    count: int
    account: str
    region: str


@dataclass(unsafe_hash=True)
class ApprovalPendingError(TemporaryError):
    """The request waits for an administrator.

    Attributes:
        approval_id: names it in `ipam approve`.
        pool: the pool's name.
        asked: netmask length.
        until: when it is refused if nobody has decided, milliseconds of the epoch.
    """

    approval_id: str
    pool: str
    asked: int
    until: int


@dataclass(unsafe_hash=True)
class ServiceUnavailableError(TemporaryError):
    """Another service of AWS did not answer. `service` is its name, `code` its word for it."""

    service: str
    code: str


@dataclass(unsafe_hash=True)
class ServiceRefusedError(TemporaryError):
    """Another service of AWS refuses what was asked of it (`what`). `service` is its name, `code` its word for it."""

    service: str
    what: str
    code: str


@dataclass(unsafe_hash=True)
class NotSetUpError(ServiceUnavailableError):
    """A service was not asked, because a setting of this process does not say where. `code` names it and the fault."""


@dataclass(unsafe_hash=True)
class BlueprintError(PermanentError):
    """A file that describes the plan is refused: `place` in it, what it `said` there, and `why`."""

    place: str
    said: str
    why: str


@dataclass(unsafe_hash=True)
class ContendedError(TemporaryError):
    """So many others changed the same blocks, or the same resource, that this request never got its turn.

    `pool` is the pool's name, or the resource's.
    """

    pool: str
    attempts: int


@dataclass(unsafe_hash=True)
class OutOfTimeError(TemporaryError):
    """The time that is left does not suffice for a safe change; nothing was changed."""


@dataclass(unsafe_hash=True)
class StoreUnavailableError(TemporaryError):
    """The store did not answer, or throttled beyond its client's own retries. `code` is its word for it."""

    code: str


def refusal_name(error: PermanentError) -> str:
    """Name the kind of a refusal in short, such as `PoolExhausted`: what is kept of it where its facts are not."""
    return type(error).__name__.removesuffix("Error")
