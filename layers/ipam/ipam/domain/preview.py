"""The token of a preview: which allocation it is, and where."""

from __future__ import annotations

from dataclasses import dataclass

from ipam.domain.cidr import Cidr
from ipam.domain.errors import MalformedCidrError
from ipam.domain.ids import is_allocation_id


@dataclass(frozen=True, slots=True)
class Token:
    """A preview: the id of its allocation, which nobody can guess, its pool and its block."""

    allocation_id: str
    pool_id: str
    cidr: Cidr

    def __str__(self) -> str:
        """Write the token."""
        return f"{self.allocation_id}@{self.pool_id}@{self.cidr}"


def read_token(text: str) -> Token | None:
    """Read a token; None if it is none."""
    allocation_id, _, rest = text.partition("@")
    pool_id, _, block = rest.partition("@")
    if not is_allocation_id(allocation_id) or not pool_id:
        return None
    try:
        return Token(allocation_id, pool_id, Cidr.parse(block))
    except MalformedCidrError:
        return None
