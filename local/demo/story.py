"""How the demo is told: line by line as things happen, alike on a terminal, in a pipe and in a log.

A chapter has steps. Each step is said before it is done, and what was found to be so is ticked below it, with the
seconds it took. Lines are broken here, so that the second one stands below the first.
"""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console, RenderableType

WIDEST: Final = 110
"""Columns of a line at most: longer ones are hard to read."""


class Story:
    """What is told on one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._since = time.monotonic()

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._console.print()
        self._write("", title, "bold")

    def step(self, text: str) -> None:
        """Say what is done next."""
        self._console.print()
        self._write("  ", text)
        self._since = time.monotonic()

    def tick(self, text: str) -> None:
        """Say what was done, and found to be so."""
        now = time.monotonic()
        self._write("  ✓ ", f"{text} ({now - self._since:.1f}\N{NO-BREAK SPACE}s)", "green")
        self._since = now

    def note(self, text: str) -> None:
        """Say what else is to be known."""
        self._write("    ", text, "dim")

    def show(self, picture: RenderableType) -> None:
        """Show a table or a tree."""
        self._console.print()
        self._console.print(Padding(picture, (0, 0, 0, 4), expand=False))

    def end(self, text: str, then: Mapping[str, str]) -> None:
        """Say that it came out well, and what to go on with: each by its name, and what there is to it."""
        self._console.print()
        self._write("", text, "bold green")
        self._console.print()
        self._write("", "What next", "bold")
        longest = max(map(len, then))
        for name, what in then.items():
            self._write(f"  {name:<{longest}}  ", what)

    def fail(self, text: str) -> None:
        """Say that it did not, and why, line by line as it is told."""
        self._console.print()
        self._console.print(Text(f"failed: {text}", "bold red"), soft_wrap=True)

    def _write(self, margin: str, text: str, style: str = "") -> None:
        """Write a paragraph behind a margin; if that has a mark or a name, nothing else is coloured."""
        width = min(self._console.width, WIDEST)
        broken = textwrap.fill(
            text,
            width,
            initial_indent=margin,
            subsequent_indent=" " * len(margin),
            break_long_words=False,
            break_on_hyphens=False,
        )
        line = Text(broken)
        line.stylize(style, 0, len(margin) if margin.strip() else len(broken))
        self._console.print(line, soft_wrap=True)
