"""Orphans: allocations that no stack will give back any more, and how far the search for them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr

OrphanReason = Literal["stack-gone", "deletion-failed", "not-in-stack", "deletion-stuck"]
"""The stack is deleted; its deletion has failed, but not at this; or it stands. It has nothing of this allocation any
more: what it was for was deleted, retained, skipped, or replaced without a Delete that was heard. Or its deletion has
failed and it has it still: it gives it back when it is deleted again, which somebody has to do."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """That an allocation was found to be one: since when, milliseconds of the epoch by our clock, and why."""

    since: int
    why: OrphanReason


@dataclass(frozen=True, slots=True)
class Round:
    """How far a search through all allocations is. It is a hint: a search that begins anew does no harm.

    Attributes:
        version: counts its changes; 0 says that it is not stored.
        began: when it began, milliseconds of the epoch by our clock.
        pool_id: where it goes on; "": it is done.
        after: beyond which block of that pool; None: at its beginning.
    """

    version: int = 0
    began: int = 0
    pool_id: str = ""
    after: Cidr | None = None
