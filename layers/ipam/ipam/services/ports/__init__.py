"""What the services need from outside, as narrow as they use it.

Here is what every service is given, with the small ones of it: time, chance and how long a request may take. The store
and the world outside have rooms of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from ipam.services.ports.outside import (
    NoAliases,
    NoHappenings,
    NoNetworks,
    NoOrganization,
    NoRedelivery,
    NoStacks,
    NoVpcIpam,
)

if TYPE_CHECKING:
    from ipam.services.memory import Memory
    from ipam.services.ports.outside import Aliases, Happenings, Networks, Organization, Redelivery, Stacks, VpcIpam
    from ipam.services.ports.store import Store


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
