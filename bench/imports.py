"""`python -m bench.imports 50000 > networks.csv`: existing networks to be imported, as a network team has them.

Blocks of /20 to /28 in 10.0.0.0/8, most of them small, some with room beside them, of 200 accounts, in no order. With a
table to import into, `time ipam import networks.csv --pool <pool>` is the figure.
"""

from __future__ import annotations

import csv
import random
import sys
from typing import TYPE_CHECKING, Final

from ipam.domain.cidr import Cidr

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTHS: Final = dict(zip(range(20, 29), (1, 1, 1, 2, 12, 6, 20, 32, 50), strict=True))
"""Netmask lengths, and how many of each there are, in parts of 125."""

ACCOUNTS: Final = 200
FIRST: Final = 10 << 24
HEADER: Final = ("cidr", "account", "description", "tags")


def networks(count: int, seed: int = 3) -> Iterator[tuple[Cidr, str]]:
    """Give blocks that do not overlap, each with its account."""
    chance = random.Random(seed)
    blocks: list[Cidr] = []
    at = FIRST
    while len(blocks) < count:
        length = chance.choices(list(LENGTHS), list(LENGTHS.values()))[0]
        size = 1 << (32 - length)
        at = -(-at // size) * size
        blocks.append(Cidr(4, at, length))
        at += size * chance.choice([1, 1, 1, 1, 2])
    chance.shuffle(blocks)
    for block in blocks:
        yield block, f"{chance.randrange(ACCOUNTS):012}"


if __name__ == "__main__":
    writer = csv.writer(sys.stdout)
    writer.writerow(HEADER)
    for line, (block, account) in enumerate(networks(int(sys.argv[1])), 2):
        writer.writerow((block, account, f"network {line}", "env=prod"))
