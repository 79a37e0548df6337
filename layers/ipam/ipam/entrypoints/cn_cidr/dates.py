"""CreationDate: a time as templates carry it, from one resource to the other and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FORM: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def written(milliseconds: int) -> str:
    """Write milliseconds of the epoch as ISO 8601 in UTC, such as 2026-11-21T07:00:00.000Z."""
    at = EPOCH + timedelta(milliseconds=milliseconds)
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def read(text: str) -> int | None:
    """Read what `written` writes, to the millisecond; None if it is anything else."""
    if _FORM.fullmatch(text) is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at - EPOCH) // timedelta(milliseconds=1)
