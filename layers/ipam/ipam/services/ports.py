"""What the services need from outside, as narrow as they use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ipam.domain.allocation import Allocation, Approval, AuditRecord, CoolingBlock, Lease, PendingOrder
    from ipam.domain.attempt import Attempt
    from ipam.domain.change import Change, ChangeQuota, Operation
    from ipam.domain.cidr import Cidr, Family
    from ipam.domain.network import Network
    from ipam.domain.orphan import Round
    from ipam.domain.owner import OwnerKey, OwnerRecord
    from ipam.domain.plan import Plan
    from ipam.domain.stack import StackId
    from ipam.services.memory import Memory


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one operation of a change was refused.

    Attributes:
        operation: the one whose condition did not hold.
        current: for `PutOwner`, the record that is stored instead; None for others.
        busy: its condition was not even tried, because another transaction held the item.
    """

    operation: Operation
    current: OwnerRecord | None = None
    busy: bool = False


class Conflict(Exception):  # noqa: N818 - the other writer is no error; it is what a service expects and handles
    """A change did not happen, because something was not as it was believed to be."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        """Keep the refusals, in the order of the operations."""
        super().__init__(f"{len(refusals)} refused")
        self.refusals = refusals


class Store(Protocol):
    """Where the truth is kept. Reads are consistent unless they say otherwise.

    Any method may raise StoreUnavailableError.
    """

    def plan(self) -> Plan:
        """Read all scopes, pools and provisioned CIDRs."""
        ...

    def free_blocks(self, pool_id: str, family: Family, length: int, limit: int) -> list[Cidr]:
        """Read the free blocks that can hold a netmask length, best fit first: smallest, then lowest address."""
        ...

    def largest_free(self, pool_id: str, family: Family) -> Cidr | None:
        """Read the largest free block."""
        ...

    def free_among(self, pool_id: str, blocks: Sequence[Cidr]) -> set[Cidr]:
        """Tell which of these exact blocks are free."""
        ...

    def all_free(self, pool_id: str, family: Family) -> Iterator[Cidr]:
        """Read every free block, smallest first; pages are fetched as they are needed."""
        ...

    def cooling(self, pool_id: str, limit: int, until: int | None = None) -> list[CoolingBlock]:
        """Read cooling blocks, the next to become free first; with `until`, those due by then only."""
        ...

    def sticky(self, pool_id: str, holder: str, after: int, limit: int) -> list[CoolingBlock]:
        """Read what a holder had and what cools beyond a time, the last to become free first."""
        ...

    def allocation(self, pool_id: str, cidr: Cidr) -> Allocation | None:
        """Read the allocation of exactly this block."""
        ...

    def allocations(self, pool_id: str, within: Cidr | None = None) -> Iterator[Allocation]:
        """Read the allocations, all or those inside a block, in address order; pages are fetched as they are needed."""
        ...

    def allocations_beyond(self, pool_id: str, after: Cidr) -> Iterator[Allocation]:
        """Read the allocations that come after a block, in address order; pages are fetched as they are needed."""
        ...

    def orphans_round(self) -> Round:
        """Read how far the search for orphans is; version 0 if there never was one."""
        ...

    def lease(self, pool_id: str, cidr: Cidr) -> Lease | None:
        """Read the lease of exactly this block."""
        ...

    def leases(self, pool_id: str) -> Iterator[Lease]:
        """Read the leases of a pool in address order; pages are fetched as they are needed."""
        ...

    def approval(self, approval_id: str) -> Approval | None:
        """Read an approval, whatever was decided."""
        ...

    def approvals(self) -> list[Approval]:
        """Read all approvals that are not used or forgotten yet."""
        ...

    def orders(self, pool_id: str) -> list[PendingOrder]:
        """Read the orders of a pool that are on their way to Amazon VPC IPAM."""
        ...

    def owner(self, key: OwnerKey) -> OwnerRecord:
        """Read an owner's record; version 0 if there is none."""
        ...

    def owner_hint(self, key: OwnerKey) -> OwnerRecord:
        """Read an owner's record, possibly a moment old, at half the price."""
        ...

    def owners(self, party: str) -> list[OwnerRecord]:
        """Read all records of a stack, or of a pool as the holder of what is provisioned to it."""
        ...

    def owners_hint(self, party: str) -> list[OwnerRecord]:
        """Read the same, possibly a moment old, at half the price."""
        ...

    def quota(self, account: str, pool_id: str) -> ChangeQuota:
        """Read what an account holds of a pool."""
        ...

    def quotas(self, account: str) -> list[ChangeQuota]:
        """Read what an account holds, of each pool that it ever held something of."""
        ...

    def audit(self, subject: str, cidr: Cidr | None = None) -> Iterator[AuditRecord]:
        """Read the audit records of a pool, a scope or a stack, or of one block there, by block and then by time."""
        ...

    def attempts(self, day: int, account: str | None = None) -> Iterator[Attempt]:
        """Read the attempts of a day that are kept, of all accounts or one; pages are fetched as they are needed."""
        ...

    def count_attempt(self, attempt: Attempt) -> int:
        """Count an attempt of its account on its day, and tell how many there were with it."""
        ...

    def keep_attempt(self, attempt: Attempt) -> None:
        """Keep an attempt in its place, unless a later one has that."""
        ...

    def commit(self, change: Change) -> None:
        """Carry out a change, wholly or not at all.

        Raises:
            Conflict: a condition did not hold; nothing was changed.
        """
        ...


class Organization(Protocol):
    """Where an account stands in the organisation."""

    def standing(self, account: str) -> tuple[str, ...]:
        """Give the ids of everything above an account: organisational units, the root, the organisation.

        Raises:
            UnknownAccountError: the organisation has no such account.
            ServiceUnavailableError: it did not answer.
        """
        ...


class NoOrganization:
    """For a process that was given no way to ask."""

    def standing(self, account: str) -> tuple[str, ...]:  # noqa: ARG002 - it is the port's
        """See the port."""
        service, code = "AWS Organizations", "not configured"
        raise ServiceUnavailableError(service, code)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that people or programs may want to react to.

    Attributes:
        kind: its detail type, such as `Lease Ends Soon`.
        facts: what is known of it; never a secret.
    """

    kind: str
    facts: Mapping[str, str | int]


class Happenings(Protocol):
    """Where happenings are told."""

    def tell(self, happening: Happening) -> bool:
        """Tell one, and say whether it was taken: for whoever must not go on unheard. It never fails."""
        ...

    def untold(self) -> tuple[str, ...]:
        """Give what was not taken since this was last asked, each by its kind and the cause: it belongs in the log."""
        ...


class NoHappenings:
    """For a process that tells nobody."""

    def tell(self, happening: Happening) -> bool:  # noqa: ARG002 - it is the port's
        """See the port."""
        return False

    def untold(self) -> tuple[str, ...]:
        """See the port."""
        return ()


class Redelivery(Protocol):
    """The way back for an event that was put aside: into the function of its stack's Region."""

    def redeliver(self, event: str) -> None:
        """Have an event handled again. When this returns, the event will not be lost.

        Raises:
            ServiceUnavailableError: it was not taken.
        """
        ...


class RegionAliases(Protocol):
    """The ways into the function that serves the stacks of one Region, one a tenant account."""

    def service_token(self, account: str) -> str:
        """Tell what an account's stacks have to name to come in by its way; "" if this process does not know."""
        ...

    def outdated(self, tenants: Iterable[str], removed: Iterable[str] = ()) -> tuple[list[str], list[str]]:
        """Tell whose way in is amiss.

        Returns:
            The tenants whose way in is not there, not finished, or not as the one that is live; and the removed that
            have one.

        Raises:
            ServiceUnavailableError: it is not known now.
        """
        ...

    def let_in(self, account: str) -> None:
        """Make the way in for an account, to the version that is live, or finish it.

        Raises:
            ServiceUnavailableError: it could not be done now.
        """
        ...

    def shut_out(self, account: str) -> None:
        """Take the way in away; one that is not there is no error.

        Raises:
            ServiceUnavailableError: it could not be done now.
        """
        ...


class Aliases(Protocol):
    """The ways in, in every Region that has a function which serves stacks."""

    def regions(self) -> Sequence[RegionAliases]:
        """Give the ways in of each Region, the home Region's first.

        Raises:
            ServiceUnavailableError: it is not known now which Regions these are.
        """
        ...


class NoAliases:
    """For a process that was given no ways to make."""

    def regions(self) -> Sequence[RegionAliases]:
        """See the port."""
        service, code = "AWS Lambda", "not configured"
        raise ServiceUnavailableError(service, code)


class NoRedelivery:
    """For a process that was given no way back."""

    def redeliver(self, event: str) -> None:  # noqa: ARG002 - it is the port's
        """See the port."""
        service, code = "AWS Lambda", "not configured"
        raise ServiceUnavailableError(service, code)


@dataclass(frozen=True, slots=True)
class VpcIpamOrder:
    """What is asked of a pool of Amazon VPC IPAM.

    Attributes:
        locale: the Region that the pool is for, "" where it is for none: there it has to be asked.
        vpc_ipam_pool_id: the pool there.
        token: names the order; the same order again gives the same block.
        description: what the allocation is called there.
        netmask_length: how large the block is to be.
        cidr: the exact block, or None.
        allowed: without an exact block: only inside of these; empty allows all.
        disallowed: without an exact block: not overlapping these.
    """

    locale: str
    vpc_ipam_pool_id: str
    token: str
    description: str
    netmask_length: int
    cidr: Cidr | None = None
    allowed: tuple[Cidr, ...] = ()
    disallowed: tuple[Cidr, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A block that Amazon VPC IPAM has allocated: its id there, and what it is called there."""

    allocation_id: str
    cidr: Cidr
    description: str


class VpcIpam(Protocol):
    """Amazon VPC IPAM, which stands behind some pools. A pool there is named by its locale and its id.

    Any method may raise ServiceUnavailableError, where it did not do what it was asked, or did it and did not say so,
    and VpcIpamRefusedError, where it will not.
    """

    def allocate(self, order: VpcIpamOrder) -> Chosen:
        """Have a block allocated. No two allocations of a pool there overlap."""
        ...

    def release(self, locale: str, vpc_ipam_pool_id: str, cidr: Cidr, allocation_id: str) -> bool:
        """Give exactly this allocation back; False where there is none, or none yet: see `allocations`."""
        ...

    def allocations(self, locale: str, vpc_ipam_pool_id: str) -> Iterator[Chosen]:
        """Read the allocations of a pool as they were a moment ago; pages are fetched as they are needed."""
        ...

    def cidrs(self, locale: str, vpc_ipam_pool_id: str) -> tuple[Cidr, ...]:
        """Read what is provisioned to a pool."""
        ...


class NoVpcIpam:
    """For a process that was given no way to it."""

    def allocate(self, order: VpcIpamOrder) -> Chosen:  # noqa: ARG002 - it is the port's
        """See the port."""
        raise self._error()

    def release(self, locale: str, vpc_ipam_pool_id: str, cidr: Cidr, allocation_id: str) -> bool:  # noqa: ARG002
        """See the port."""
        raise self._error()

    def allocations(self, locale: str, vpc_ipam_pool_id: str) -> Iterator[Chosen]:  # noqa: ARG002 - it is the port's
        """See the port."""
        raise self._error()

    def cidrs(self, locale: str, vpc_ipam_pool_id: str) -> tuple[Cidr, ...]:  # noqa: ARG002 - it is the port's
        """See the port."""
        raise self._error()

    def _error(self) -> ServiceUnavailableError:
        service, code = "Amazon VPC IPAM", "not configured"
        return ServiceUnavailableError(service, code)


Standing = Literal["there", "changing", "deleting-failed", "gone", "unknown"]
"""How a stack is: at rest; on its way, or stopped on it; not wholly deleted; deleted; or nobody says so."""


class Stacks(Protocol):
    """The stacks of member accounts. Whatever an account does not tell is unknown, and never gone.

    Any method may raise ServiceUnavailableError: too much was asked for now.
    """

    @property
    def can_ask(self) -> bool:
        """Whether there is a way to ask at all."""
        ...

    def standing(self, stack: StackId) -> Standing:
        """Tell how a stack is."""
        ...

    def resource(self, stack: StackId, logical_id: str) -> str | None:
        """Give the physical id of a resource; "" where the stack has none of that name any more; None: unknown."""
        ...


class NoStacks:
    """For a process that was given no way to ask."""

    can_ask = False

    def standing(self, stack: StackId) -> Standing:  # noqa: ARG002 - it is the port's
        """See the port."""
        return "unknown"

    def resource(self, stack: StackId, logical_id: str) -> str | None:  # noqa: ARG002 - it is the port's
        """See the port."""
        return None


class Networks(Protocol):
    """The networks of member accounts."""

    def using(self, stack: StackId, cidr: Cidr) -> tuple[Network, ...]:
        """Tell what has addresses of a block in the account and Region of a stack, as it was a moment ago.

        A VPC with a CIDR that is the block or in it, and a subnet that is, in a VPC with a larger one. None where
        nobody could be asked; `unasked` says that.

        Raises:
            ServiceUnavailableError: it is not known now.
        """
        ...

    def unasked(self) -> str:
        """Give the cause for which somebody could not be asked since this was last called, or "": for the log."""
        ...


class NoNetworks:
    """For a process that was given no way to ask."""

    def __init__(self) -> None:
        """Nobody wanted to ask yet."""
        self._unasked = ""

    def using(self, stack: StackId, cidr: Cidr) -> tuple[Network, ...]:  # noqa: ARG002 - it is the port's
        """See the port."""
        self._unasked = "no discovery role"
        return ()

    def unasked(self) -> str:
        """See the port."""
        why, self._unasked = self._unasked, ""
        return why


class Clock(Protocol):
    """Time, in milliseconds of the epoch."""

    def now(self) -> int:
        """Tell the time."""
        ...

    def sleep(self, milliseconds: int) -> None:
        """Wait."""
        ...


class Chance(Protocol):
    """Randomness."""

    def hex_digits(self, count: int) -> str:
        """Digits for an id that nobody can guess."""
        ...

    def below(self, limit: int) -> int:
        """A number from 0 to one below the limit."""
        ...


class Deadline(Protocol):
    """How long a request may still take."""

    def ensure(self) -> None:
        """Go on only while a change can be committed and answered in time.

        Raises:
            OutOfTimeError: it cannot.
        """
        ...


class NoDeadline:
    """For work that nobody waits for."""

    def ensure(self) -> None:
        """Go on."""


NO_DEADLINE: Final = NoDeadline()


@dataclass(frozen=True, slots=True)
class Ports:
    """The collaborators that every service is given."""

    store: Store
    clock: Clock
    chance: Chance
    memory: Memory
    organization: Organization = field(default_factory=NoOrganization)
    happenings: Happenings = field(default_factory=NoHappenings)
    redelivery: Redelivery = field(default_factory=NoRedelivery)
    vpc_ipam: VpcIpam = field(default_factory=NoVpcIpam)
    aliases: Aliases = field(default_factory=NoAliases)
    stacks: Stacks = field(default_factory=NoStacks)
    networks: Networks = field(default_factory=NoNetworks)


class Secrets(Protocol):
    """The master keys that authorisation keys are derived from."""

    def master_keys(self, *, fresh: bool = False) -> Iterable[bytes]:
        """The current key and, after a rotation, the previous one; `fresh` asks past what is remembered."""
        ...
