"""Where accounts stand, from AWS Organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ipam.adapters.aws import answering
from ipam.domain.errors import ServiceUnavailableError, UnknownAccountError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.services.ports import Clock

SERVICE: Final = "AWS Organizations"

MAX_LEVELS: Final = 10
"""Parents that are asked for; units nest five deep below the root (Organizations user guide, "Quotas")."""

CLIENT_AGE: Final = 45 * 60_000
"""Milliseconds for which a client serves: the role that it may have taken on lasts for an hour."""

UNKNOWN: Final = frozenset({"ChildNotFoundException", "InvalidInputException"})
"""What ListParents says of an account that the organisation does not have, or that can be none."""


class Organizations:
    """`ipam.services.ports.Organization` on the organisation that the client's account is in."""

    def __init__(self, clock: Clock, connect: Callable[[], Any]) -> None:
        """Ask nothing yet; the client is made with `connect` when it is first needed, and anew in time."""
        self._clock = clock
        self._connect = connect
        self._client: Any = None
        self._made = 0
        self._organization_id = ""

    def standing(self, account: str) -> tuple[str, ...]:
        """See the port."""
        with answering(SERVICE):
            client = self._current()
            parents: list[str] = []
            kind, child = "ACCOUNT", account
            for _ in range(MAX_LEVELS):
                kind, child = self._parent(client, account, child)
                parents.append(child)
                if kind == "ROOT":
                    return (*parents, self._organization(client))
        code = f"more than {MAX_LEVELS} levels"
        raise ServiceUnavailableError(SERVICE, code)

    def _current(self) -> Any:
        """Give a client whose rights have not run out."""
        now = self._clock.now()
        if self._client is None or not 0 <= now - self._made < CLIENT_AGE:
            self._client = self._connect()
            self._made = now
        return self._client

    def _parent(self, client: Any, account: str, child: str) -> tuple[str, str]:
        """Give the kind and the id of what is right above an account or a unit: there is exactly one."""
        try:
            (parent,) = client.list_parents(ChildId=child)["Parents"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in UNKNOWN:
                raise
            if child == account:
                raise UnknownAccountError(account) from error
            # The unit was there a moment ago: the organisation is being rebuilt.
            raise ServiceUnavailableError(SERVICE, code) from error
        return parent["Type"], parent["Id"]

    def _organization(self, client: Any) -> str:
        """Give the id of the organisation, which is asked for once."""
        if not self._organization_id:
            self._organization_id = client.describe_organization()["Organization"]["Id"]
        return self._organization_id
