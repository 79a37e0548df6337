"""What can go wrong at the door, beside what the domain refuses.

Like the domain's errors they carry facts; `ipam.entrypoints.reasons` makes sentences of those that a person reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ipam.domain.errors import (
    NoSuchAllocationError,
    NoSuchPreviewError,
    NoSuchTenantError,
    PermanentError,
    PoolNotSharedError,
    UnknownAccountError,
)


@dataclass(eq=False)
class NotGenuineError(Exception):
    """CloudFormation cannot have sent this event: nothing is done, nobody is answered. `why` names no secret."""

    why: str


@dataclass(eq=False)
class InvalidPropertyError(PermanentError):
    """A property has a value that cannot be served.

    Attributes:
        property_name: which one.
        shown: its value as it may be shown, or "" for one that is missing or secret.
        why: what is wrong with it.
        remedy: what to write instead.
    """

    property_name: str
    shown: str
    why: str
    remedy: str


@dataclass(eq=False)
class UnknownPropertyError(PermanentError):
    """A resource has a property that its type does not know; `meant` is the known one it resembles, or ""."""

    property_name: str
    resource_type: str
    meant: str


@dataclass(eq=False)
class WrongKeyError(PermanentError):
    """The Authorizationkey is not that of the stack's account."""

    account: str


@dataclass(eq=False)
class UnservedTypeError(PermanentError):
    """No such resource type is served here."""

    resource_type: str
    served: tuple[str, ...]


@dataclass(eq=False)
class UndeliveredError(Exception):
    """The answer did not reach CloudFormation. Raised out of the function, so that Lambda delivers the event again.

    Attributes:
        host: where it should have gone; never the URL, which is a right to answer.
        cause: the status, or the kind of failure, of the last attempt.
        attempts: how many were made.
    """

    host: str
    cause: str
    attempts: int

    def __str__(self) -> str:
        """Say it for Lambda's own log."""
        return f"no answer delivered to {self.host} in {self.attempts} attempt(s): {self.cause}"


@dataclass(eq=False)
class UnansweredError(Exception):
    """The request could not be served now. Raised out of the function, so that Lambda delivers the event again.

    It stands for the failure, of which only the kind is told: Lambda logs the message of what a function raises.
    """

    cause: str

    def __str__(self) -> str:
        """Say it for Lambda's own log."""
        return f"not answered, to be delivered again: {self.cause}"


@dataclass(eq=False)
class UpkeepFailedError(Exception):
    """A part of a run could not be done. Raised out of the function, so that Lambda counts the run as an error.

    Attributes:
        failed: pools that could not be served,
        pools: of how many.
        approvals: decided requests that could not be handed over.
        untold: things that nobody could be told.
        aliases: aliases of tenants that could not be brought to the version that is live.
    """

    failed: int
    pools: int
    approvals: int = 0
    untold: int = 0
    aliases: int = 0

    def __str__(self) -> str:
        """Say it for Lambda's own log."""
        return (
            f"{self.failed} of {self.pools} pool(s) could not be served, "
            f"{self.approvals} request(s) not handed over, {self.untold} happening(s) not told, "
            f"{self.aliases} alias(es) not moved"
        )


BEYOND_ONES_OWN: Final = (
    NoSuchAllocationError,
    NoSuchPreviewError,
    NoSuchTenantError,
    PoolNotSharedError,
    UnknownAccountError,
    WrongKeyError,
)
"""Refusals of what is not the requester's to have. One may be a slip of the pen; many are not."""
