"""What a figure is, and which are wanted (bench/README.md lists them)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        goal: the number of the goal that it belongs to.
        what: what was measured.
        value: what it came to.
        limit: what is wanted, at most; None for a figure that only helps to read the others.
        at_least: the limit is the least that is wanted, not the most.
        counted: it is a count, the same on every machine, and not a comparison of times.
        reason: why it may miss its limit; one that misses without a reason is a fault.
    """

    goal: str
    what: str
    value: float
    limit: float | None = None
    at_least: bool = False
    counted: bool = True
    reason: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether it is as wanted; None if nothing is."""
        if self.limit is None:
            return None
        # Averages of counts are sums of fractions: what is equal must not miss by the last bit.
        slack = 1e-9
        return self.value >= self.limit - slack if self.at_least else self.value <= self.limit + slack

    @property
    def faulty(self) -> bool:
        """Whether a count misses its limit, and nobody said why."""
        return self.counted and self.reached is False and not self.reason
