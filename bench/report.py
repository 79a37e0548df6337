"""The figures for people: a table on the terminal, and README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.figures import Figure

HEAD: Final = """\
# Figures

Written by `make bench`; do not edit. `.venv/bin/python -m bench --only P1` measures one goal, `--quick` takes seconds.

- Counts are those of the store in memory: requests, and capacity units by the size of the items. A churn is counted a
  second time by the items that the real client sends, and both have to agree. A refused transaction is counted as if it
  had been carried out.
- Processor time is the client's own (`time.process_time`): the engine and the whole of botocore, which serialises,
  signs and parses. The store answers inside the process; its time is taken off, and there is no network. What is
  compared takes turns, and medians are compared. Ratios are goals; a figure in ms is only for scale.
- Pools: 10.0.0.0/8, or what is larger around it where N needs more. `contiguous` is N allocations of /24 side by side,
  `mix` N of /20 to /28 with a quarter of holes. `warm` is a process that has served before, `cold` one that has not.
- A churn: a pool is filled with 13,333 blocks of /20 to /28, a quarter of them is given back, then come 10,000
  operations, allocations and releases by lot, of random sizes and places.
- The plan (pools and their rules) is read once in 30 s by each process, and its reading counted apart.
- 64 writers: each is a process that knows the plan and nothing else, and orders one /24 for an account of its own; all
  begin at once, 16 times over. Time is simulated: a read takes 7.5 ms, a transaction 25 ms, both log-normal with 92 ms
  for the slowest transaction in a hundred, and two transactions that meet at an item refuse the later one.
  Query-all computes in no time, tries for ever, and waits as briefly as serves it best.
- First fit gets the same orders and releases, takes the lowest free address, and joins free blocks at once.
- P9 and P10 are the function and the layer that `make build` made, under the machine's Python without its packages,
  with byte code of everything; beside them only boto3 and what else Lambda's Python runtime has. The table is the
  twin's DynamoDB engine without TLS, answers go to a TLS server, both on loopback and outside of the process that is
  measured. P9 is `time.process_time` when a process that was started for it has had its first order answered, or has
  made `boto3.client("dynamodb")`. P10 is what the function's process under AWS's runtime client and emulator took by
  the kernel's count, divided by its orders.
"""


def text_of(value: float) -> str:
    """Write a value with as many digits as mean something."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.3f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004 - four digits are enough


def wanted(figure: Figure) -> str:
    """Write what is wanted."""
    if figure.limit is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'} {text_of(figure.limit)}"


def _reached(figure: Figure, notes: Sequence[str]) -> str:
    """Write whether it is reached, with the number of the note that says why not."""
    if figure.reached is None:
        return ""
    if figure.reached:
        return "yes"
    return f"no ({notes.index(figure.reason) + 1})" if figure.reason else "**no**"


def terminal(figures: Iterable[Figure]) -> Table:
    """Make the table for the terminal; what only helps to read the others is dim."""
    table = Table(title="cn-ipam: figures")
    for name in ("goal", "what", "figure", "wanted", "reached"):
        table.add_column(name, justify="right" if name in {"figure", "wanted"} else "left")
    for figure in figures:
        colour = {None: "dim", True: "green", False: "yellow" if figure.reason else "red"}[figure.reached]
        said = {None: "", True: "yes", False: "no"}[figure.reached]
        table.add_row(figure.goal, figure.what, text_of(figure.value), wanted(figure), said, style=colour)
    return table


def readme(figures: Sequence[Figure]) -> str:
    """Write README.md."""
    notes = list(dict.fromkeys(figure.reason for figure in figures if figure.reached is False and figure.reason))
    goals = [figure for figure in figures if figure.limit is not None]
    others = [figure for figure in figures if figure.limit is None]
    lines = [HEAD, "## Goals", "", "| goal | what | figure | wanted | reached | command |", "|-|-|-:|-:|-|-|"]
    lines += [
        f"| {figure.goal} | {figure.what} | {text_of(figure.value)} | {wanted(figure)} | {_reached(figure, notes)} "
        f"| {_command(figure)} |"
        for figure in goals
    ]
    lines += ["", *(f"({number}) Not reached, and known: {note}." for number, note in enumerate(notes, start=1))]
    lines += [
        "" if notes else "All goals are reached.",
        "## For comparison",
        "",
        "| goal | what | figure |",
        "|-|-|-:|",
    ]
    lines += [f"| {figure.goal} | {figure.what} | {text_of(figure.value)} |" for figure in others]
    return "\n".join(lines).rstrip() + "\n"


def _command(figure: Figure) -> str:
    """Name the command that measures this figure again."""
    return f"`python -m bench {' '.join(f'--only {goal}' for goal in figure.goal.split(', '))}`"
