"""The master keys, from AWS Secrets Manager."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ipam.adapters.aws import in_reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.services.ports import Clock

SERVICE: Final = "AWS Secrets Manager"

AGE: Final = 300_000
"""Milliseconds for which keys that were read serve further requests."""

FRESH_AGE: Final = 5_000
"""Milliseconds between two reads past what is remembered: wrong keys must not become a load on Secrets Manager."""


class MasterKeys:
    """`ipam.services.ports.Secrets` on one secret: its current version and, after a rotation, the previous one."""

    def __init__(self, secret: str, clock: Clock, connect: Callable[[], Any]) -> None:
        """Use a secret, by its ARN or name; the client is made with `connect` when it is first needed."""
        self._secret = secret
        self._clock = clock
        self._connect = functools.cache(connect)
        self._keys: tuple[bytes, ...] = ()
        self._read: int | None = None

    def master_keys(self, *, fresh: bool = False) -> tuple[bytes, ...]:
        """See the port."""
        age = FRESH_AGE if fresh else AGE
        now = self._clock.now()
        if self._read is None or now - self._read >= age:
            current, previous = self._version("AWSCURRENT"), self._version("AWSPREVIOUS")
            if current is None:
                message = f"the secret {self._secret} has no current version"
                raise LookupError(message)
            self._keys = tuple(key for key in (current, previous) if key is not None)
            self._read = now
        return self._keys

    def _version(self, stage: str) -> bytes | None:
        """Read a version of the secret, if there is one."""
        try:
            with in_reach(SERVICE):
                answer = self._connect().get_secret_value(SecretId=self._secret, VersionStage=stage)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException" and stage == "AWSPREVIOUS":
                return None
            raise
        return str(answer["SecretString"]).encode()
