"""Time and chance, as the machine has them."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """`ipam.services.ports.Clock` by the system's own clock."""

    def now(self) -> int:
        """See the port."""
        return time.time_ns() // 1_000_000

    def sleep(self, milliseconds: int) -> None:
        """See the port."""
        time.sleep(milliseconds / 1000)


class SystemChance:
    """`ipam.services.ports.Chance` by the operating system's source."""

    def hex_digits(self, count: int) -> str:
        """See the port."""
        return secrets.token_hex((count + 1) // 2)[:count]

    def below(self, limit: int) -> int:
        """See the port."""
        return secrets.randbelow(limit)
