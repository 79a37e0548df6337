"""The world outside: what a deployment has around it, Amazon VPC IPAM, and the stacks and networks of member accounts.

Each port but the keys' has a stand-in here for a process that was given no way there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ipam.domain.cidr import Cidr
    from ipam.domain.network import Network
    from ipam.domain.stack import StackId


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


class Secrets(Protocol):
    """The master keys that authorisation keys are derived from."""

    def master_keys(self, *, fresh: bool = False) -> Iterable[bytes]:
        """The current key and, after a rotation, the previous one; `fresh` asks past what is remembered."""
        ...


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


class NoRedelivery:
    """For a process that was given no way back."""

    def redeliver(self, event: str) -> None:  # noqa: ARG002 - it is the port's
        """See the port."""
        service, code = "AWS Lambda", "not configured"
        raise ServiceUnavailableError(service, code)


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
