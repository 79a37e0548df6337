"""What an import came to, as people read it: one sentence a bad line, made from its facts, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from ipam.entrypoints.cli.render import plain
from ipam.entrypoints.cli.rows import Holder, when
from ipam.entrypoints.properties import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ipam.domain.plan import Plan
    from ipam.services.import_allocations import Outcome
    from ipam.services.import_check import Intake
    from ipam.services.import_rows import Bad, Problem

SENTENCES: Final[dict[Problem, str]] = {
    "unreadable": "cannot be read, {value}: {other}; is a quote not closed?",
    "cells": "has {value}, but the header has {other}",
    "cidr": "{shown} is not a canonical CIDR{meant}",
    "account": "account {shown} is not an AWS account id of twelve digits",
    "type": "allocation type {shown} is none of {other}",
    "text": "{column} {value}: {other}",
    "tags": "tags {shown} are not up to 50 KEY=VALUE, separated by spaces, each key once",
    "account-of-stack": "{shown} is not the account of the stack that holds it, which is {other}",
    "holder": "{shown} is a pool or scope; they hold what is provisioned to them: `ipam cidr provision`",
    "vrf": "VRF {shown} has no scope; add --scope 'VRF=SCOPE'",
    "no-such-scope": "there is no scope {shown}; `ipam scope list` lists them",
    "no-such-pool": "there is no pool {shown}; `ipam pool list` lists them",
    "other-scope": "{value}: pool {pool} is not in scope {other}",
    "no-pool": "{value} is in the space of no pool; provision it to one, or correct it",
    "several-pools": "{value} may be in pool {other}; name the pool, or the scope",
    "all-of-pool": "{value} is all that pool {pool} has there; if it is one network of that pool, name the pool",
    "family": "{value}: pool {pool} is {other}",
    "not-in-pool": "{value} is not in the space of pool {pool}; `ipam cidr list {pool}` lists what it has",
    "type-not-served": "pool {pool} serves {other}, not {value}",
    "backed": "{value}: Amazon VPC IPAM chooses the blocks of pool {pool}; import them with --from-vpc-ipam {other}",
    "no-level": "{value} is a pool's, and no pool has it here; create the pool and provision {value} to it first",
    "holds-too-much": "{shown} would hold more than {other} networks; leave the column resource empty",
    "twice": "{value} stands in line {other_line} already",
    "overlaps-line": "{value} overlaps {other} of line {other_line}",
    "held": "{value} is not free in pool {pool}: {other} is held by {holder}",
    "cooling": "{value} is not free in pool {pool}: {other} cools until {until}",
    "taken": "{value} of pool {pool} was taken while the import ran; `ipam find {value}` shows by whom",
}


def sentence(plan: Plan, bad: Bad) -> str:
    """Say what is wrong with a line."""
    return plain(
        SENTENCES[bad.problem].format(
            value=bad.value,
            shown=shown(bad.value),
            column=bad.column,
            pool=bad.pool,
            other=bad.other,
            meant=f"; write {bad.other}" if bad.other else "",
            other_line=bad.other_line,
            holder=Holder.of(plan, bad.holder).shown if bad.holder else "",
            until="" if bad.until is None else f"{when(bad.until):%Y-%m-%d %H:%M:%S} UTC",
        )
    )


def bad_lines(plan: Plan, bad: Iterable[Bad], word: str) -> Iterator[Text]:
    """Draw what is wrong, one line each; `word` is what a line is called: a line, or a record."""
    for each in bad:
        yield Text.assemble((f"{word} {each.line}: ", "bold red"), sentence(plan, each))


def verdict(intake: Intake, outcome: Outcome, *, written: bool, trial: bool) -> Text:
    """Say in a few words what came of it, and what to do next."""
    bad = len(intake.bad) + len(outcome.bad)
    facts = {
        "imported": len(outcome.imported),
        "kept, imported before": len(intake.kept) + len(outcome.kept),
        "could be imported": 0 if written else intake.to_write,
        "left out, levels of the plan": len(intake.left_out),
        "bad": bad,
    }
    said = "; ".join(f"{count:,} {what}" for what, count in facts.items() if count) or "there is nothing to import"
    text = Text(f"{said}.")
    if intake.noncompliant:
        text.append(f" Not compliant with the rules of their pools: {len(intake.noncompliant):,}.", "yellow")
    if intake.bad and not written and not trial:
        text.append(" Nothing was imported: correct them, or add --skip-bad to leave them out.", "bold red")
    elif outcome.bad:
        text.append(" Look at them, and run the command again.", "bold red")
    return text
