"""Everything that can be refused, divided by what the caller should do.

Errors carry facts as fields; entrypoints make prose from them. `PermanentError` is refused for good: the request has to
change. `TemporaryError` may pass when tried again with the same request. A fault of our own is neither and stays an
ordinary exception.

They are not frozen, because Python itself writes to an exception on its way, as it leaves a `with` block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr, Family


class IpamError(Exception):
    """Root of the tree."""


class PermanentError(IpamError):
    """The same request will be refused again."""


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
class NoPoolForRequestError(PermanentError):
    """No pool serves this Region, allocation type and address family."""

    locale: str
    allocation_type: str
    family: Family


@dataclass(unsafe_hash=True)
class PoolMismatchError(PermanentError):
    """The named pool is not one that may serve this request.

    `fact` is `locale`, `family` or `allocation_type`; `has` is the pool's, `wants` the request's.
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
    """

    pool: str
    asked: int
    largest: Cidr | None
    cooling_blocks: int
    cooling_addresses: int
    cooling_until: int | None
    provisioned: bool


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
    """A pool cannot be as described: `property_name` has a value that `why` explains."""

    property_name: str
    value: str
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
