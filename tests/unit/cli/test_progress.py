"""Progress bars of long work."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ipam.entrypoints.cli import progress

if TYPE_CHECKING:
    import pytest

    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Give the command line a terminal, and what is drawn on it."""
    screen = io.StringIO()
    monkeypatch.setattr(progress, "console", lambda **_: Console(file=screen, force_terminal=True, width=100))
    return screen


def test_every_change_is_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks whether there is time before each change moves the bar; hostile names stay words."""
    screen = terminal(monkeypatch)
    with progress.stepping("deleting", "[red]x\x07", 3) as steps:
        steps.ensure()
        steps.ensure()
    drawn = screen.getvalue()
    assert "deleting [red]x" in drawn and "2/3" in drawn and "\x07" not in drawn


def test_what_is_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being read, how much is done, and how much there is."""
    screen = terminal(monkeypatch)
    with progress.watching("reading") as watch:
        watch("allocations of vpcs", 2, 7)
    assert "reading allocations of vpcs" in screen.getvalue() and "2/7" in screen.getvalue()


def test_a_cascade_moves_a_bar(ipam: Keyboard, vpcs: Pool, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool with all that is in it goes in as many changes as were listed, and standard output has its id only."""
    screen = terminal(monkeypatch)
    for name in ("A", "B", "C"):
        desk.allocate(desk.request(name, 24, pool=vpcs))
    done: Any = ipam("pool", "delete", "vpcs", "--cascade", "--yes")
    assert done.strip() == vpcs.pool_id
    assert "deleting vpcs" in screen.getvalue() and "5/5" in screen.getvalue()
