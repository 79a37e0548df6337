"""`ipam apply`: the plan becomes what a reviewed file says."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.errors import BlueprintError, IpamError
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.ask import ask, say
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.plan_file import read_plan
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render import plain
from ipam.entrypoints.cli.render_rows import show
from ipam.services.apply import difference, take

if TYPE_CHECKING:
    from ipam.domain.blueprint import ScopeBlueprint, Step
    from ipam.services.ports import Ports

COLUMNS: Final = ("action", "scope", "pool", "cidr", "changes")

MAX_ROUNDS: Final = 3
"""How often the plan is compared with the file: what somebody else changed meanwhile is found and done too."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step from the plan as it is to what the file says."""

    action: str
    scope: str
    pool: str
    source_pool: str
    cidr: str
    changes: tuple[str, ...]

    @classmethod
    def of(cls, step: Step) -> StepRow:
        """Describe a step."""
        cidr = "" if step.cidr is None else f"/{step.cidr}" if isinstance(step.cidr, int) else str(step.cidr)
        changes = tuple(f"{name}: {was} -> {meant}" for name, was, meant in step.changes)
        return cls(step.action, step.scope, step.pool, step.source, cidr, changes)

    @property
    def text(self) -> str:
        """Name the step in a sentence."""
        return " ".join(part for part in (self.action, self.pool or self.scope, self.cidr) if part)


def apply(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="The plan, in YAML; - for standard input.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference and change nothing.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete pools of these scopes, and CIDRs, that the file does not name.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = None,
) -> None:
    """Make the plan what a file says: show the difference, ask, apply. A second run changes nothing.

    An interrupted run is run again. Scopes, and without --prune pools and CIDRs, that the file does not name are left
    alone. Nothing is applied if anything in the file is refused.
    """
    scopes = read_plan(_text(file))
    ports = shared.ports()
    steps = difference(ports, scopes, prune=prune)
    form = shared.chosen(context, output)
    if steps or form is not Format.table:
        show(StepRow, (StepRow.of(step) for step in steps), COLUMNS, form)
    if not steps:
        say("The plan is what the file says: there is nothing to do.")
    elif not dry_run:
        ask(f"Take {'this step' if len(steps) == 1 else f'these {len(steps)} steps'}?", yes=yes)
        _carry_out(ports, scopes, steps, prune=prune)


def _text(file: str) -> str:
    """Read the file.

    Raises:
        RefusedError: it cannot be read.
    """
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise RefusedError(f"{plain(file)} cannot be read: {why}.") from None


def _carry_out(ports: Ports, scopes: tuple[ScopeBlueprint, ...], steps: list[Step], *, prune: bool) -> None:
    """Take the steps, and compare again until there are none."""
    taken = 0
    with watching("applying") as watch:
        for _ in range(MAX_ROUNDS):
            for number, step in enumerate(steps):
                watch(StepRow.of(step).text, number, len(steps))
                try:
                    take(ports, step, f"{shared.cause()}, ipam apply")
                except IpamError:
                    say(f"{taken} steps were taken; this one was refused: {StepRow.of(step).text}. Run it again.")
                    raise
                taken += 1
            steps = difference(ports, scopes, prune=prune)
            if not steps:
                say(f"{taken} steps were taken: the plan is what the file says.")
                return
    raise BlueprintError("the plan", f"{len(steps)} steps are still open", "somebody else changes the plan meanwhile")
