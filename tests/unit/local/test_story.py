"""How the demo is told, on terminals and in pipes of several widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from local.demo.story import WIDEST, Story

LONG = "10.128.131.32/27 and 10.128.131.0/27 of the VPC's 10.128.131.0/24, lent to account 333333333333"


def told(columns: int, *, terminal: bool = False) -> list[str]:
    """Tell a story, and give its lines."""
    out = io.StringIO()
    story = Story(Console(file=out, width=columns, force_terminal=terminal, color_system=None))
    story.chapter("Networks")
    story.step(f"A stack orders {LONG}.")
    story.note(LONG)
    table = Table.grid()
    table.add_row(LONG)
    story.show(table)
    story.tick(LONG)
    story.end("Every step was verified.", {"make local": LONG, "docs/deploying.md": "more"})
    return out.getvalue().splitlines()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_no_line_is_wider_than_there_is_room(columns: int, *, terminal: bool) -> None:
    """Nothing is cut and nothing is too wide: each word is there, on lines that fit."""
    lines = told(columns, terminal=terminal)
    assert max(map(len, lines)) <= min(columns, WIDEST)
    assert " ".join(" ".join(lines).split()).count(LONG) == 5


def test_a_step_is_said_and_then_ticked() -> None:
    """The step stands above its tick, which has the seconds, and goes on below its own beginning."""
    lines = told(60)
    (tick,) = [number for number, line in enumerate(lines) if line.startswith("  ✓ ")]
    assert lines.index("  A stack orders 10.128.131.32/27 and 10.128.131.0/27 of the") < tick
    assert lines[tick + 1].startswith("    ")
    assert lines[tick + 1].endswith("(0.0\N{NO-BREAK SPACE}s)")


def test_why_it_failed_is_told_line_by_line() -> None:
    """The lines of a log stay lines."""
    out = io.StringIO()
    Story(Console(file=out, width=80)).fail("the emulator ended\n  first line\n  second line")
    assert out.getvalue().splitlines() == ["", "failed: the emulator ended", "  first line", "  second line"]
