"""Progress of long work, on standard error, if a person is there to see it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ipam.entrypoints.cli.render import console, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def watching(verb: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show what is being done, how much of it is done, and how much there is."""
    with _progress(verb) as progress:
        task = progress.add_task("")
        yield lambda what, done, total: progress.update(task, description=plain(what), completed=done, total=total)


class Steps:
    """A deadline that never comes, and tells each time that a service asks for it: before every change."""

    def __init__(self, tell: Callable[[], object]) -> None:
        """Tell each step."""
        self._tell = tell

    def ensure(self) -> None:
        """See the port."""
        self._tell()


@contextmanager
def stepping(verb: str, what: str, total: int) -> Iterator[Steps]:
    """Show how many changes of a long work are made, out of as many as are expected."""
    with _progress(verb) as progress:
        task = progress.add_task(plain(what), total=total)
        yield Steps(lambda: progress.advance(task))


def _progress(verb: str) -> Progress:
    terminal = console(stderr=True)
    columns = TextColumn(f"{verb} {{task.description}}", markup=False), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal)
