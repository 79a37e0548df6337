"""The order of work: which goals are measured, on how much, and how the result is written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import artifact, contention, counts, fragmentation, timings
from bench.layouts import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from bench.figures import Figure

GOALS: Final = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10")


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the run, the goals that need it, and what it takes to know its figures."""

    goals: frozenset[str]
    title: str
    figures: Callable[[], Iterator[Figure]]


def steps(*, quick: bool) -> list[Step]:
    """Give the whole run, or a short one: fewer allocations, fewer repetitions."""
    many = 10_000 if quick else 1_000_000
    sizes = (100, 10_000) if quick else (100, 10_000, 100_000, 1_000_000)
    return [
        Step(
            frozenset({"P1", "P2", "P7"}),
            "two ways to count have to agree",
            lambda: counts.agreement(150 if quick else 1000, 300 if quick else 2000),
        ),
        Step(frozenset({"P1"}), "requests per allocation", lambda: counts.allocation_requests(10_000, 240)),
        Step(
            frozenset({"P2"}),
            "capacity units per allocation",
            lambda: counts.allocation_units(sizes, 24, 1000 if quick else 10_000),
        ),
        Step(
            frozenset({"P7"}),
            "requests and capacity units per release",
            lambda: counts.release_units(1000 if quick else 10_000, 2000 if quick else 10_000),
        ),
        Step(
            frozenset({"P3"}), f"processor time, N={many:,} over N=100", lambda: timings.growth(100, many, many // 1000)
        ),
        Step(
            frozenset({"P4"}),
            "processor time against query-all",
            lambda: timings.against_naive(10_000, 30 if quick else 300, 3 if quick else 7),
        ),
        Step(
            frozenset({"P5", "P6"}), "64 writers at once", lambda: contention.many_writers(2 if quick else 16, 10_000)
        ),
        Step(
            frozenset({"P8"}),
            "free space after a churn",
            lambda: fragmentation.wear(1000 if quick else 10_000, 2000 if quick else 10_000),
        ),
        Step(frozenset({"P9"}), "the built function's cold start", lambda: artifact.cold_start(3 if quick else 15)),
        Step(frozenset({"P10"}), "the built function, warm", lambda: artifact.warm(20 if quick else 200)),
    ]


def measure(
    goals: Collection[str] = GOALS, *, quick: bool = False, begin: Callable[[Step], None] | None = None
) -> list[Figure]:
    """Measure, and give the figures in the order of their goals.

    Args:
        goals: those to measure.
        quick: for tests: every count is as good as in a whole run, the times are not.
        begin: is told of every step as it begins.
    """
    found: list[Figure] = []
    for step in steps(quick=quick):
        if step.goals.isdisjoint(goals):
            continue
        if begin is not None:
            begin(step)
        found += step.figures()
    layout.cache_clear()
    return sorted(found, key=lambda figure: _number(figure.goal))


def _number(goal: str) -> int:
    """Tell a goal's place; of several, the first one's."""
    return int(goal.partition(",")[0].removeprefix("P"))
