"""docs/command-line.md against the commands: what it promises to programs and to whoever grants permissions."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import typer
from typer.core import TyperGroup

from ipam.adapters.dynamodb.writes import Writes
from ipam.domain.change import Change, MarkOrphan, PutAudit
from ipam.domain.errors import ApprovalPendingError
from ipam.domain.orphan import Orphan
from ipam.domain.pool import AllocationRules
from ipam.entrypoints.cli import rows
from ipam.entrypoints.cli.apply import StepRow
from ipam.entrypoints.cli.commands import app
from ipam.entrypoints.cli.rows.imports import ImportRow
from ipam.services.audit import note
from ipam.services.pools import NewPool
from ipam.services.request import Waiting
from tests.builders import ACCOUNT, REGION, STACK
from tests.outside import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

PAGE = Path("docs/command-line.md").read_text()

READS = {
    **dict.fromkeys(("quota", "owner", "owner_hint", "allocation", "lease", "approval"), "GetItem"),
    "free_among": "BatchGetItem",
}
"""Methods of the store that are not Queries."""

WRITES = Writes("table")


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
    writes = {f"{kind}Item" for operation in operations for kind in WRITES.of(operation)}
    used = {f"dynamodb:{action}" for action in reads | writes}
    used |= {"lambda:InvokeFunction"} if ipam.desk.outside.redelivery.taken else set()
    members = (ipam.desk.outside.stacks, ipam.desk.outside.networks)
    used |= {"sts:AssumeRole"} if any(each.asked for each in members) else set()
    used |= {"secretsmanager:GetSecretValue"} if ipam.keys_read else set()
    return used | {f"lambda:{call}" for asked in ipam.desk.outside.aliases.asked for call in CALLS[asked]}


WANTED = """
scopes:
  private:
    description: routed inside
    pools:
      corporate:
        cidrs: [10.0.0.0/8]
        pools:
          more:
            cidrs: [10.9.0.0/16]
          vpcs:
            locale: eu-central-1
            cidrs: [10.0.0.0/16]
            pools:
              below: {locale: eu-central-1}
"""


class World(NamedTuple):
    """What there is for commands to be run on: ids and files that words of them may name."""

    approval: str
    allocation: str
    preview: str
    networks: Path
    plan: Path


def mark_orphan(desk: Desk, grant: Grant) -> None:
    """Note that a stack, of which the accounts say that it is gone, has left an allocation behind."""
    desk.outside.stacks.can_ask = True
    desk.outside.stacks.standings[STACK] = "gone"
    mark = MarkOrphan(grant.pool_id, grant.cidr, grant.allocation_id, Orphan(desk.clock.now(), "stack-gone"))
    desk.store.commit(Change((mark, PutAudit(note(desk.ports, grant.pool_id, "orphan-found", "test", grant.cidr)))))


@pytest.fixture
def world(ipam: Keyboard, vpcs: Pool, desk: Desk, tmp_path: Path) -> World:
    """Pools with what can be in them: held, leased, cooling, previewed, waiting for approval."""
    desk.pool(NewPool("below", vpcs.scope_id, source_pool_id=vpcs.pool_id, locale=REGION), "10.0.192.0/20")
    desk.pool(NewPool("empty", vpcs.scope_id, source_pool_id=vpcs.pool_id, locale=REGION))
    rules = AllocationRules(approval_netmask_length=20, lease_seconds=86400)
    open_pool = desk.pool(NewPool("open", vpcs.scope_id, locale=REGION, rules=rules), "172.16.0.0/16")
    ipam("scope", "create", "spare")
    gone = desk.allocate(desk.request("Gone", 24, pool=open_pool)).grant
    desk.release("Gone", gone.allocation_id)
    held = desk.allocate(desk.request("Stays", 24, pool=vpcs)).grant
    desk.allocate(desk.request("Leased", cidr="172.16.9.0/24", pool=open_pool))
    desk.allocate(desk.request("Below", 24, pool_name="below"))
    preview = ipam.json("preview", "vpcs", "-n", "24", "--account", ACCOUNT)["preview_token"]
    large = replace(desk.request("Large", 19, pool=open_pool), waiting=Waiting(desk.clock.now() + 3_000_000, "{}"))
    with pytest.raises(ApprovalPendingError) as pending:
        desk.allocate(large)
    mark_orphan(desk, desk.allocate(desk.request("Orphan", 24, pool=vpcs)).grant)
    desk.tenant("333333333333")
    desk.clock.advance(1)
    desk.outside.aliases.asked.clear()
    desk.outside.networks.asked.clear()
    networks, plan = tmp_path / "networks.csv", tmp_path / "plan.yaml"
    networks.write_text("cidr,pool,account\n10.0.60.0/24,vpcs,222222222222\n172.16.0.0/23,open,\n")
    plan.write_text(WANTED)
    return World(pending.value.approval_id, held.allocation_id, preview, networks, plan)


COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "scope create": [("new",)],
    "scope list": [()],
    "scope show": [("private",)],
    "scope edit": [("private", "--description", "x")],
    "scope delete": [("spare", "--yes")],
    "pool create": [("new",)],
    "pool list": [()],
    "pool show": [("vpcs",)],
    "pool edit": [("open", "--name", "opened"), ("vpcs", "--description", "x")],
    "pool delete": [("empty", "--yes"), ("below", "--yes", "--cascade")],
    "cidr provision": [("empty", "10.0.128.0/24"), ("empty", "/24")],
    "cidr list": [()],
    "cidr show": [("vpcs", "10.0.0.0/16")],
    "cidr deprovision": [("below", "10.0.192.0/20", "--yes", "--cascade")],
    "allocation list": [("vpcs",)],
    "allocate": [
        ("vpcs", "-n", "24", "--account", ACCOUNT),
        ("open", "-n", "24"),
        ("--locale", REGION, "-n", "28"),
        ("vpcs", "--cidr", "10.0.40.0/24"),
        ("--preview-token", "{preview}"),
    ],
    "preview": [("vpcs", "-n", "24", "--account", ACCOUNT), ("vpcs", "--cidr", "10.0.40.0/24")],
    "release": [("{allocation}", "--yes"), ("172.16.9.0/24", "--yes")],
    "renew": [("172.16.9.0/24",)],
    "approve": [(), ("{approval}",)],
    "find": [
        ("10.0.0.1",),
        ("shop",),
        ("env=prod",),
        ("10.0.9.9",),
        ("10.0.0.0/16",),
        ("{allocation}",),
        ("{preview}",),
    ],
    "history": [("vpcs",), ("vpcs", "10.0.0.0/24", "--exact"), ("10.0.0.0/24",)],
    "attempts": [(), (ACCOUNT, "--days", "2")],
    "export": [()],
    "import": [("{networks}",)],
    "apply": [("{plan}", "--yes")],
    "plan show": [("vpcs",)],
    "plan export": [()],
    "orphans list": [()],
    "orphans release": [("--all", "--yes")],
    "doctor": [()],
    "doctor --repair": [()],
    "tenant add": [("222222222222",), ("333333333333", "--name", "x")],
    "tenant remove": [("333333333333", "--yes")],
    "tenant list": [()],
    "tenant show": [(ACCOUNT,)],
    "tenant key": [("333333333333",)],
    "tenant rotate": [("333333333333",)],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_needs_what_is_documented(ipam: Keyboard, world: World, command: str) -> None:
    """The actions that the page names for a command are those that it uses: none is missing and none too many."""
    used = set()
    for words in COMMANDS[command]:
        ipam(*command.split(), *(word.format(**world._asdict()) for word in words))
        used |= actions(ipam)
    assert used == set(table("Command | Actions")[command])


def commands(group: Any = None, before: str = "") -> Iterator[tuple[str, Any]]:
    """Give every command, by the words that it is called with."""
    root: Any = group or typer.main.get_command(app)
    for name, command in root.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_every_command_has_its_permissions() -> None:
    """The page names the permissions of all commands, and of these only."""
    names = {name for name, _ in commands()}
    assert set(table("Command | Actions")) == names | {"doctor --repair"} == set(COMMANDS)


def test_every_command_prints_for_programs() -> None:
    """Each takes `--output`, but for the one that writes a file of one form."""
    without = {name for name, command in commands() if not any("--output" in each.opts for each in command.params)}
    assert without == {"plan export"}


def test_every_command_that_asks_takes_yes() -> None:
    """What cannot be taken back asks, and `--yes` answers."""
    asking = {name for name, command in commands() if any("--yes" in each.opts for each in command.params)}
    assert asking >= {"scope delete", "pool delete", "cidr deprovision", "release", "apply", "tenant remove"}


KINDS: dict[str, type] = {
    "scope list": rows.ScopeRow,
    "pool list": rows.PoolRow,
    "cidr list": rows.CidrRow,
    "plan show": rows.PlanRow,
    "allocation list, export": rows.AllocationRow,
    "allocate, preview": rows.GrantRow,
    "approve": rows.ApprovalRow,
    "orphans list, orphans release": rows.OrphanRow,
    "tenant list": rows.TenantRow,
    "tenant add, tenant remove": rows.AccountRow,
    "tenant key, tenant rotate": rows.KeyRow,
    "find": rows.FoundRow,
    "history": rows.HistoryRow,
    "attempts": rows.AttemptRow,
    "doctor": rows.FindingRow,
    "import": ImportRow,
    "apply": StepRow,
}


@pytest.mark.parametrize("record", KINDS)
def test_the_fields_are_documented(record: str) -> None:
    """JSON and CSV have the fields that the page lists, in its order."""
    assert table("Record of | Fields")[record] == [field.name for field in fields(KINDS[record])]


def test_every_record_is_documented() -> None:
    """The page lists these records, and what a shown pool adds to them."""
    assert set(table("Record of | Fields")) == {*KINDS, "pool show"}


def test_the_fields_of_a_shown_pool_are_documented(ipam: Keyboard, vpcs: Pool) -> None:
    """`pool show` has the fields of `pool list`, and after them those that the page adds."""
    del vpcs
    documented = table("Record of | Fields")
    assert list(ipam.json("pool", "show", "vpcs")) == documented["pool list"] + documented["pool show"][1:]


@pytest.mark.parametrize("command", ["scope edit", "pool edit", "cidr show", "release", "renew", "approve", "allocate"])
def test_a_single_record_is_an_object(ipam: Keyboard, world: World, command: str) -> None:
    """What was made, changed or ended is one object, and in CSV one line with a header, of the same fields."""
    words = [word.format(**world._asdict()) for word in COMMANDS[command][-1]]
    done = json.loads(ipam(*command.split(), *words, "--output", "json"))
    assert isinstance(done, dict)
    if command != "release":
        (line,) = ipam.csv(*command.split(), *words)
        assert list(line) == list(done)
