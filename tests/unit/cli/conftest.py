"""The command line on a store in memory: the same commands, no AWS."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ipam.entrypoints.cli import context
from ipam.entrypoints.cli.commands import app
from ipam.services.memory import Memory
from ipam.services.pools import NewPool
from ipam.services.ports import Ports
from tests.builders import REGION, Desk
from tests.faults import Recorder

if TYPE_CHECKING:
    from typer.testing import Result

    from ipam.domain.change import Change
    from ipam.domain.pool import Pool

MASTER_KEY = b"k" * 32

ADMINISTRATOR = "arn:aws:iam::111122223333:user/ana"
"""Who is at the keyboard."""


@dataclass
class OneKey:
    """`ipam.services.ports.Secrets` with one master key."""

    keyboard: Keyboard

    def master_keys(self, *, fresh: bool = False) -> tuple[bytes, ...]:
        """See the port."""
        del fresh
        self.keyboard.keys_read += 1
        return (MASTER_KEY,)


@dataclass
class Keyboard:
    """Where a person runs `ipam`, each time as a new process."""

    desk: Desk
    calls: list[str] = field(default_factory=list)
    committed: list[Change] = field(default_factory=list)
    keys_read: int = 0

    def ports(self) -> Ports:
        """Give a new process its collaborators, and note what it asks the store."""
        store: Any = Recorder(self.desk.store)
        store.calls, store.committed = self.calls, self.committed
        others = self.desk.outside
        process = Ports(store, self.desk.clock, self.desk.chance, Memory())
        process = replace(process, stacks=others.stacks, networks=others.networks)
        return replace(process, redelivery=others.redelivery, aliases=others.aliases)

    def run(self, *words: str, answer: str | None = None) -> Result:
        """Run a command, whatever it comes to; with an answer, at a terminal where somebody types it."""
        self.calls.clear()
        self.committed.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(context, "is_attended", lambda: answer is not None)
            return CliRunner().invoke(app, words, input=answer)

    def __call__(self, *words: str) -> str:
        """Run a command that has to be done, and give what it prints."""
        done = self.run(*words)
        assert done.exit_code == 0, done.output
        return done.stdout

    def json(self, *words: str) -> Any:
        """Run a command, and read its JSON."""
        return json.loads(self(*words, "--output", "json"))

    def csv(self, *words: str) -> list[dict[str, str]]:
        """Run a command, and read its CSV."""
        return list(csv.DictReader(io.StringIO(self(*words, "--output", "csv"))))

    def refused(self, *words: str) -> str:
        """Run a command that has to be refused, and give the one line that it says."""
        done = self.run(*words)
        assert (done.exit_code, done.stdout) == (1, ""), done.output
        (line,) = done.stderr.splitlines()
        assert line.startswith("refused: ")
        return line

    def misused(self, *words: str) -> str:
        """Run a command that is no right use, and give what it says, on one line."""
        done = self.run(*words)
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        return " ".join(done.stderr.replace("│", " ").split())


@pytest.fixture
def ipam(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Keyboard:
    keyboard = Keyboard(desk)
    monkeypatch.setattr(context, "ports", keyboard.ports)
    monkeypatch.setattr(context, "secrets", lambda: OneKey(keyboard))
    monkeypatch.setattr(context, "caller", lambda: ADMINISTRATOR)
    return keyboard


@pytest.fixture
def vpcs(desk: Desk) -> Pool:
    """A pool for VPCs: 10.0.0.0/16 of 10.0.0.0/8 of the scope `private`; what is released cools a minute."""
    scope = desk.scope("private")
    top = desk.pool(NewPool("corporate", scope), "10.0.0.0/8")
    desk.clock.advance(60)
    return desk.pool(
        NewPool("vpcs", scope, source_pool_id=top.pool_id, locale=REGION, cooling_seconds=60), "10.0.0.0/16"
    )
