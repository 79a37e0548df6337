"""Happenings, told to the account's default event bus.

Its rules take them from there to whoever wants to know (docs/events.md). A happening that is not taken is no failure of
what has happened: it is noted here, and whoever serves writes it into the log.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.services.ports.outside import Happening

SOURCE: Final = "cn-ipam"
"""What the rules of the bus know our events by."""

MAX_UNTOLD: Final = 20
"""Happenings that are noted; a bus that takes none says the same of all."""


class EventBridge:
    """`ipam.services.ports.Happenings` on the default event bus."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        """Tell nothing yet; the client is made with `connect` when there is something to tell."""
        self._connect = functools.cache(connect)
        self._untold: list[str] = []

    def tell(self, happening: Happening) -> bool:
        """See the port."""
        entry = {"Source": SOURCE, "DetailType": happening.kind, "Detail": json.dumps(dict(happening.facts))}
        cause = self._put(entry)
        if cause and len(self._untold) < MAX_UNTOLD:
            self._untold.append(f"{happening.kind}: {cause}")
        return not cause

    def untold(self) -> tuple[str, ...]:
        """See the port."""
        untold, self._untold = tuple(self._untold), []
        return untold

    def _put(self, entry: dict[str, str]) -> str:
        """Put one event on the bus; give the cause, if it was not taken, or ""."""
        try:
            (answer,) = self._connect().put_events(Entries=[entry])["Entries"]
        except ClientError as error:
            return error.response["Error"]["Code"]
        except BotoCoreError as error:
            return type(error).__name__
        return str(answer.get("ErrorCode", ""))
