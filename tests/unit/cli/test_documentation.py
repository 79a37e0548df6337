"""docs/command-line.md against the commands: what it promises to programs and to whoever grants permissions."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ipam.domain.change import RemoveAllocation, TakeCooling, TakeFree
from ipam.entrypoints.cli import rows
from ipam.services.plan import NewPool

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

PAGE = Path("docs/command-line.md").read_text()

READS = {"quota": "GetItem", "owner": "GetItem", "owner_hint": "GetItem", "free_among": "BatchGetItem"}
"""Methods of the store that are not Queries."""

DELETES = (TakeFree, TakeCooling, RemoveAllocation)


def table(heading: str) -> dict[str, list[str]]:
    """Read a table of the page: the words in backquotes of the second column, by the text of the first."""
    _, _, rest = PAGE.partition(f"| {heading} |")
    lines = rest.split("\n\n")[0].splitlines()[2:]
    cells = [line.strip("| ").split(" | ") for line in lines]
    return {cell[0].replace("`", ""): re.findall(r"`([^`]+)`", cell[1]) for cell in cells}


def actions(ipam: Keyboard) -> set[str]:
    """Tell the actions that the last command needed."""
    reads = {READS.get(call, "Query") for call in ipam.calls if call != "commit"}
    operations = [operation for change in ipam.committed for operation in change.operations]
    writes = {"DeleteItem" if isinstance(operation, DELETES) else "PutItem" for operation in operations}
    return {f"dynamodb:{action}" for action in reads | writes}


COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "scope create": [("new",)],
    "scope list": [()],
    "pool create": [("new",)],
    "pool list": [()],
    "pool show": [("vpcs",)],
    "cidr provision": [("below", "10.0.128.0/24"), ("below", "/24")],
    "cidr list": [()],
    "allocation list": [("vpcs",)],
    "find": [("10.0.0.1",), ("10.0.9.9",)],
    "history": [("vpcs",)],
    "export": [()],
    "plan show": [("vpcs",)],
    "doctor": [()],
    "doctor --repair": [()],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_needs_what_is_documented(ipam: Keyboard, vpcs: Pool, desk: Desk, command: str) -> None:
    """The actions that the page names for a command are those that it uses: none is missing and none too many."""
    desk.pool(NewPool("below", vpcs.scope_id, source_pool_id=vpcs.pool_id, locale="eu-central-1", cooling_seconds=0))
    open_pool = desk.pool(NewPool("open", vpcs.scope_id, locale="eu-central-1"), "172.16.0.0/16")
    gone = desk.allocate(desk.request("Gone", 24, pool=open_pool)).grant
    desk.release("Gone", gone.allocation_id)
    desk.allocate(desk.request("Stays", 24, pool=vpcs))
    used = set()
    for words in COMMANDS[command]:
        ipam(*command.split(), *words)
        used |= actions(ipam)
    assert used == set(table("Command | Actions")[command])


def test_every_command_has_its_permissions() -> None:
    """The page names the permissions of all commands, and of these only."""
    assert set(table("Command | Actions")) == {*COMMANDS, "tenant key"}


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ("scope list", rows.ScopeRow),
        ("pool list", rows.PoolRow),
        ("cidr list", rows.CidrRow),
        ("allocation list, export", rows.AllocationRow),
        ("find", rows.FoundRow),
        ("history", rows.HistoryRow),
        ("doctor", rows.FindingRow),
    ],
)
def test_the_fields_are_documented(record: str, kind: type) -> None:
    """JSON and CSV have the fields that the page lists, in its order."""
    assert table("Record of | Fields")[record] == [field.name for field in fields(kind)]


def test_the_fields_of_a_shown_pool_are_documented(ipam: Keyboard, vpcs: Pool) -> None:
    """`pool show` has the fields of `pool list`, and after them those that the page adds."""
    del vpcs
    documented = table("Record of | Fields")
    assert list(ipam.json("pool", "show", "vpcs")) == documented["pool list"] + documented["pool show"][1:]
