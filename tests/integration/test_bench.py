"""The figures that are counts: requests and capacity units, in a short run of the benchmark."""

from __future__ import annotations

from bench.run import measure


def test_no_count_misses_its_goal() -> None:
    """Every goal that is a count, and for which no reason is given in the table, is reached."""
    figures = measure(quick=True)
    counted = [figure for figure in figures if figure.counted]
    assert {figure.goal.split(",")[0] for figure in counted} >= {"P1", "P2", "P5", "P6", "P7", "P8"}
    assert not [figure for figure in figures if figure.faulty]
