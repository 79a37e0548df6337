"""The forms of identifiers, as EC2 IPAM has them (Amazon VPC IPAM API reference)."""

from __future__ import annotations

import re
from typing import Final

SCOPE_PREFIX: Final = "ipam-scope-"
POOL_PREFIX: Final = "ipam-pool-"
ALLOCATION_PREFIX: Final = "ipam-pool-alloc-"

SCOPE_DIGITS: Final = 17
POOL_DIGITS: Final = 17
ALLOCATION_DIGITS: Final = 32

_ALLOCATION = re.compile(rf"{ALLOCATION_PREFIX}[0-9a-f]{{{ALLOCATION_DIGITS}}}")


def is_allocation_id(text: str) -> bool:
    """Whether a text has the form of an allocation id that this system gives out."""
    return _ALLOCATION.fullmatch(text) is not None
