"""Tenants: the accounts that may order addresses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from ipam.domain.pool import Quota

EVERY_POOL: Final = "*"
"""Stands for all pools that a tenant has no quota of its own for."""

Standing = Literal["active", "leaving", "removed"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account that may order addresses, or one that might once.

    Attributes:
        account: twelve digits.
        name: what people call it, or "".
        unit: the organisational unit that it is in, for people, or "".
        standing: whether it may order; one that is leaving only gives back, and one that was removed is no tenant: its
            record stays, so that no key it ever had is good again.
        quotas: how much it may hold of a pool, by the pool's id or `EVERY_POOL`, in the place of what the pool allows
            every account.
        generation: of its key; each rotation counts it on.
        previous_until: until when the key before is good as well, milliseconds of the epoch; None: it is not.
        created: milliseconds of the epoch.
        left: since when it is leaving, or was before it was removed, milliseconds of the epoch; None: it is not.
        version: counts its changes.
    """

    account: str
    name: str
    unit: str
    created: int
    standing: Standing = "active"
    quotas: tuple[tuple[str, Quota], ...] = ()
    generation: int = 1
    previous_until: int | None = None
    left: int | None = None
    version: int = 1

    def quota(self, pool_id: str) -> Quota | None:
        """How much it may hold of a pool; None where the pool says that."""
        quotas = dict(self.quotas)
        return quotas.get(pool_id) or quotas.get(EVERY_POOL)

    def removed(self) -> Tenant:
        """What stays of it when it is removed: its names, and which keys it had."""
        return replace(self, standing="removed", quotas=(), previous_until=None)

    def let_in_again(self, now: int) -> Tenant:
        """What it begins with when it is back after it was removed: a key that it never had."""
        return replace(self, standing="active", left=None, created=now, generation=self.generation + 1)

    def generations(self, now: int) -> tuple[int, ...]:
        """The generations of its key that are good, the current one first."""
        if self.previous_until is None or self.previous_until <= now or self.generation == 1:
            return (self.generation,)
        return (self.generation, self.generation - 1)
