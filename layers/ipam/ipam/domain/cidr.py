"""CIDR blocks as integers.

Everything inside the engine is arithmetic on whole numbers; text is read and written here and nowhere else. netaddr
does the reading and the writing, and what it is lenient about (host bits, netmasks, abbreviations) is refused, because
two spellings of one block must never look like two blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import netaddr

from ipam.domain.errors import MalformedCidrError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Family = Literal[4, 6]

WIDTHS: Final[dict[Family, int]] = {4: 32, 6: 128}
"""Bits of an address, by IP version."""


@dataclass(frozen=True, slots=True, order=True)
class Cidr:
    """A block of addresses.

    Attributes:
        family: the IP version, 4 or 6.
        first: the lowest address, as a whole number.
        length: the netmask length in bits, 0 to 32 or 0 to 128.
    """

    family: Family
    first: int
    length: int

    def __post_init__(self) -> None:
        """Refuse what is not a block: a caller that gets here with one has a fault."""
        width = WIDTHS[self.family]
        if not 0 <= self.length <= width or not 0 <= self.first < 1 << width or self.first & (self.size - 1):
            message = f"not an aligned block: family {self.family}, first {self.first}, length {self.length}"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> Cidr:
        """Read the one canonical spelling of a block, as EC2 prints it (RFC 4632, RFC 5952).

        Raises:
            MalformedCidrError: for anything else, with the canonical spelling where one can be told.
        """
        try:
            network = netaddr.IPNetwork(text)
        except (netaddr.AddrFormatError, ValueError, TypeError):
            raise MalformedCidrError(text, None) from None
        canonical = f"{network.network}/{network.prefixlen}"
        if text != canonical:
            raise MalformedCidrError(text, canonical if "/" in text else None)
        return cls(network.version, int(network.first), int(network.prefixlen))

    def __str__(self) -> str:
        """Write the canonical spelling."""
        return f"{netaddr.IPAddress(self.first, self.family)}/{self.length}"

    @property
    def size(self) -> int:
        """Number of addresses."""
        return 1 << (WIDTHS[self.family] - self.length)

    @property
    def host_bits(self) -> int:
        """Bits left for hosts: the exponent of the size."""
        return WIDTHS[self.family] - self.length

    @property
    def last(self) -> int:
        """Highest address, as a whole number."""
        return self.first + self.size - 1

    @property
    def buddy(self) -> Cidr:
        """Return the other half of the block that this one is a half of."""
        return Cidr(self.family, self.first ^ self.size, self.length)

    @property
    def parent(self) -> Cidr:
        """The block twice as large that this one is a half of."""
        return self.supernet(self.length - 1)

    def supernet(self, length: int) -> Cidr:
        """The block of that netmask length around this one."""
        size = 1 << (WIDTHS[self.family] - length)
        return Cidr(self.family, self.first & ~(size - 1), length)

    def subnets(self, length: int) -> Iterator[Cidr]:
        """All blocks of that netmask length inside this one, in address order."""
        step = 1 << (WIDTHS[self.family] - length)
        return (Cidr(self.family, first, length) for first in range(self.first, self.last + 1, step))

    def contains(self, other: Cidr) -> bool:
        """Whether the other block lies inside this one (or is this one)."""
        return self.family == other.family and self.first <= other.first and other.last <= self.last

    def overlaps(self, other: Cidr) -> bool:
        """Whether the two share an address."""
        return self.family == other.family and self.first <= other.last and other.first <= self.last


def spans(blocks: Iterable[Cidr]) -> list[tuple[Family, int, int]]:
    """The addresses that blocks cover, as maximal ranges (family, first, last), in order.

    Raises:
        ValueError: if two of the blocks overlap.
    """
    ranges: list[tuple[Family, int, int]] = []
    for block in sorted(blocks):
        if ranges and ranges[-1][0] == block.family:
            family, first, last = ranges[-1]
            if block.first <= last:
                message = f"two blocks cover {block}"
                raise ValueError(message)
            if block.first == last + 1:
                ranges[-1] = (family, first, block.last)
                continue
        ranges.append((block.family, block.first, block.last))
    return ranges
