"""Deliver an answer: a bounded number of tries, each of bounded time, and only 2xx counts as delivered.

The request is the one that CloudFormation has signed: a PUT with an empty content type (user guide, "Custom resource
response objects"). What S3 says in return is not read beyond its status, redirections are not followed, and the URL is
told to nobody.
"""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, Final, Protocol

from ipam.entrypoints.errors import UndeliveredError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.entrypoints.response_url import ResponseUrl
    from ipam.services.ports import Chance, Clock

MAX_ATTEMPTS: Final = 4

SOCKET_TIMEOUT: Final = 4_000
"""Milliseconds that one step of a connection may take; S3 needs some tens."""

BACKOFF: Final = 200
"""Milliseconds of the longest wait after a first failure; twice as long each further time. Drawn by lot."""

RESERVE: Final = 500
"""Milliseconds of the invocation that are kept to log the failure and to raise it."""

MIN_TIMEOUT: Final = 250
"""Milliseconds below which another attempt is not worth its start."""

AGAIN: Final = frozenset({408, 429})
"""Client errors that may pass; any other 4xx says that this URL will never take the answer."""

OK: Final = range(200, 300)
SERVER_ERRORS: Final = range(500, 600)


class Deliver(Protocol):
    """The way an answer goes out."""

    def __call__(self, url: ResponseUrl, body: bytes, remaining: Callable[[], int]) -> None:
        """Deliver a body, within the milliseconds that remain.

        Raises:
            UndeliveredError: it was not taken.
        """
        ...


class HttpsDelivery:
    """`Deliver` over the network."""

    def __init__(self, clock: Clock, chance: Chance, ca_bundle: str = "") -> None:
        """Load the certificate authorities to trust: once, as it takes about 20 ms."""
        self._clock = clock
        self._chance = chance
        self._tls = ssl.create_default_context(cafile=ca_bundle or None)

    def __call__(self, url: ResponseUrl, body: bytes, remaining: Callable[[], int]) -> None:
        """See `Deliver`."""
        cause = "no time was left"
        for attempt in range(MAX_ATTEMPTS):
            timeout = min(SOCKET_TIMEOUT, remaining() - RESERVE)
            if timeout < MIN_TIMEOUT:
                raise UndeliveredError(url.host, cause, attempt)
            try:
                status = self._put(url, body, timeout / 1000)
            except (OSError, http.client.HTTPException) as failure:
                # Its text may quote the URL; its name does not.
                cause = type(failure).__name__
            else:
                if status in OK:
                    return
                cause = f"status {status}"
                if status not in SERVER_ERRORS and status not in AGAIN:
                    raise UndeliveredError(url.host, cause, attempt + 1)
            self._clock.sleep(min(self._chance.below(BACKOFF << attempt), max(0, remaining() - RESERVE)))
        raise UndeliveredError(url.host, cause, MAX_ATTEMPTS)

    def _put(self, url: ResponseUrl, body: bytes, timeout: float) -> int:
        """Send the body once and give the status."""
        connection = http.client.HTTPSConnection(url.host, url.port, timeout=timeout, context=self._tls)
        try:
            headers = {"Content-Type": "", "Content-Length": str(len(body))}
            connection.request("PUT", url.target, body=body, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()
