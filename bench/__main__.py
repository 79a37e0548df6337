"""`python -m bench`: measure, show, and write README.md."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench.report import readme, terminal
from bench.run import GOALS, measure, steps

if TYPE_CHECKING:
    from bench.run import Step

README = Path(__file__).with_name("README.md")


def main() -> int:
    """Measure what the command line asks for; a count that misses its goal without a reason makes the exit code 1."""
    asked = _arguments()
    # The client is never to reach anything: what the environment says of profiles and endpoints is for others.
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_CA_BUNDLE"):
        os.environ.pop(name, None)
    goals = asked.only or GOALS
    console = Console()
    number = sum(not step.goals.isdisjoint(goals) for step in steps(quick=asked.quick))
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=number)
        begun = 0

        def begin(step: Step) -> None:
            nonlocal begun
            progress.update(task, description=step.title, completed=begun)
            begun += 1

        figures = measure(goals, quick=asked.quick, begin=begin)
        progress.update(task, description="done", completed=number)
    console.print(terminal(figures))
    output = asked.output or (None if asked.quick or asked.only else README)
    if output is not None:
        output.write_text(readme(figures), encoding="utf-8")
        console.print(f"written to {output.name}")
    faulty = [figure for figure in figures if figure.faulty]
    for figure in faulty:
        console.print(f"[red]missed:[/] {figure.goal} {figure.what}")
    return 1 if faulty else 0


def _arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure the goals, and write bench/README.md."
    )
    parser.add_argument("--only", action="append", choices=GOALS, help="measure this goal; may be given several times")
    parser.add_argument("--quick", action="store_true", help="for tests: a few seconds, the times mean little")
    parser.add_argument("--output", type=Path, help="write the report here; a part of a run is not written otherwise")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
