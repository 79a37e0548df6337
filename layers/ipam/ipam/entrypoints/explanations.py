"""Explanations: from which pool a block is, and why the pools before it in the order could not give it.

Made from what is stored with the allocation: the names that the passed-over pools had then, and the kinds of their
refusals. So it stays the same, however often it is asked for and whatever became of those pools. Only the pool that the
block is from has the name that it has now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.entrypoints.properties import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_EXPLANATION: Final = 600
"""Characters of an explanation."""

WHY: Final = {
    "AllocationRule": "does not give such a block",
    "CidrNotFree": "has the block in use",
    "CidrNotInPool": "does not have the block",
    "Denied": "gives a block of that size with an approval only",
    "MissingTag": "asks for a tag that the resource lacks",
    "NetmaskLength": "does not give that size",
    "PoolExhausted": "has no room",
    "PoolMismatch": "does not serve this Region, type, family or tags",
    "PoolNotShared": "is not shared with the account",
    "QuotaExceeded": "gives the account no more",
    "UnknownAccount": "is not shared with an account that the organisation does not know",
    "VpcIpamRefused": "is backed by an Amazon VPC IPAM pool that refused",
}
"""What a pool that was passed over did, by the short name of its refusal."""

OTHERWISE: Final = "refused"


def passed_over(pools: Sequence[tuple[str, str]]) -> list[str]:
    """Say of each pool that could not serve why that is, by the short name of its refusal."""
    return [f"{shown(name)} {WHY.get(why, OTHERWISE)}" for name, why in pools]


def explanation(pool: str, others: Sequence[tuple[str, str]]) -> str:
    """Explain an allocation in one sentence.

    Args:
        pool: the name of the pool that it is from.
        others: the pools that were tried before, each with the short name of its refusal.
    """
    said = f"From pool {shown(pool)}"
    reasons = passed_over(others)
    if reasons:
        said += f", because {', '.join(reasons[:-1])}{' and ' if reasons[1:] else ''}{reasons[-1]}"
    return f"{said}." if len(said) < MAX_EXPLANATION else f"{said[: MAX_EXPLANATION - 1]}…"
