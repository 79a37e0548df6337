"""Ask before what cannot be taken back."""

from __future__ import annotations

import sys

from rich.text import Text

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render import console, plain


def say(text: str) -> None:
    """Tell people something, on standard error: programs read standard output only."""
    console(stderr=True).print(Text(plain(text)), soft_wrap=True)


def ask(question: str, *, yes: bool) -> None:
    """Go on only if a person says so, or `--yes` has.

    Raises:
        RefusedError: nobody is there to be asked, or the answer is no; nothing was changed.
    """
    if yes:
        return
    if not shared.is_attended():
        raise RefusedError(f"{question} There is no terminal to answer at: say --yes.")
    # Not by click's own prompt, which prints a space to standard output.
    console(stderr=True).print(Text(f"{plain(question)} [y/N] "), end="", soft_wrap=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise RefusedError("Nothing was changed.")
