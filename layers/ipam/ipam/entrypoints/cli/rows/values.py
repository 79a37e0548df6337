"""What a field of a row may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import Tag

Value: TypeAlias = str | bool | int | float | datetime | tuple[str, ...] | None

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def when(milliseconds: int) -> datetime:
    """Give a time of the engine, milliseconds of the epoch, as a date."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def when_if(milliseconds: int | None) -> datetime | None:
    """Give a time as a date, if there is one."""
    return None if milliseconds is None else when(milliseconds)


def texts(cidrs: Iterable[Cidr]) -> tuple[str, ...]:
    """Write blocks, in the order given."""
    return tuple(str(cidr) for cidr in cidrs)


def pairs(tags: Iterable[Tag]) -> tuple[str, ...]:
    """Write tags as options have them, by key."""
    return tuple(f"{key}={value}" for key, value in sorted(tags))
