"""Clients for member accounts, by a role of the same name in each: made when they are needed, and kept for a while.

A role that does not let us in is remembered too, but not for long: it may be deployed any moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.stack import StackId
    from ipam.services.ports import Clock

CLIENT_AGE: Final = 45 * 60_000
"""Milliseconds for which a client serves: the rights of the role last for an hour."""

REFUSAL_AGE: Final = 60_000
"""Milliseconds for which a role that did not let us in is not asked again."""

MAX_CLIENTS: Final = 50
"""Clients that are kept, one an account and Region; beyond that the oldest goes. Each takes some 2.3 MB."""

BUSY: Final = frozenset(
    {
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Codes of errors after which the same question may be answered in a minute."""


class MemberClients:
    """Clients of one service, for the accounts and Regions of stacks."""

    def __init__(self, service: str, role: str, clock: Clock, connect: Callable[[str, str], Any]) -> None:
        """Connect to nothing yet.

        Args:
            service: its name, for people.
            role: the role's name.
            clock: tells when a client's rights run out.
            connect: makes a client by the ARN of a role, in a Region.
        """
        self._service = service
        self._role = role
        self._clock = clock
        self._connect = connect
        self._clients: dict[tuple[str, str], tuple[int, Any]] = {}

    def __len__(self) -> int:
        """Tell how many are kept."""
        return len(self._clients)

    def of(self, stack: StackId) -> Any:
        """Give a client for the stack's account and Region whose rights have not run out.

        Raises:
            ClientError: the role is not there, or not for us.
            ServiceUnavailableError: nobody says so for the moment.
        """
        key, now = (stack.account, stack.region), self._clock.now()
        made, client = self._clients.get(key, (now, None))
        age = REFUSAL_AGE if isinstance(client, ClientError) else CLIENT_AGE
        if client is None or not 0 <= now - made < age:
            self._clients.pop(key, None)
            while len(self._clients) >= MAX_CLIENTS:
                del self._clients[next(iter(self._clients))]
            client = self._connected(stack)
            self._clients[key] = (now, client)
        if isinstance(client, ClientError):
            raise client
        return client

    def forget(self, stack: StackId) -> None:
        """Make a client anew for the next question: this one's rights may have ended before their time."""
        self._clients.pop((stack.account, stack.region), None)

    def _connected(self, stack: StackId) -> Any:
        """Make a client, or give the reason for which there is none."""
        try:
            return self._connect(f"arn:{stack.partition}:iam::{stack.account}:role/{self._role}", stack.region)
        except ClientError as error:
            raise_if_busy(self._service, error)
            return error


def raise_if_busy(service: str, error: ClientError) -> None:
    """Raise the domain's error where too much was asked for now."""
    code = error.response["Error"]["Code"]
    if code in BUSY:
        raise ServiceUnavailableError(service, code) from error
