"""`ipam apply`: the difference, the question, the steps, and that nothing is left half-done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import StoreUnavailableError
from ipam.entrypoints.cli import context
from ipam.services.memory import Memory
from ipam.services.ports import Ports
from tests.faults import Faulty
from tests.invariants import check

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders import Desk
    from tests.faults import Fault
    from tests.unit.cli.conftest import Keyboard

PLAN = """
scopes:
  private:
    pools:
      corporate:
        cidrs: [10.0.0.0/8]
        pools:
          vpcs:
            locale: eu-central-1
            allocation_types: [vpc]
            cidrs: [10.1.0.0/16, /16]
            rules: {default_netmask_length: 24}
  lab:
    description: a world of its own
    pools:
      lab-all:
        address_family: ipv6
        cidrs: [fd00::/32]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def write(file: Path, *changes: tuple[str, str]) -> str:
    """Change the file, and give its name."""
    text = file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return str(file)


def test_a_plan_is_applied_and_applied_again_changes_nothing(ipam: Keyboard, desk: Desk, file: Path) -> None:
    """Scopes, pools, rules and CIDRs are as the file says; the second run has no step and commits nothing."""
    ipam("apply", str(file), "--yes")
    plan = desk.store.plan()
    assert sorted(scope.name for scope in plan.scopes.values()) == ["lab", "private"]
    vpcs = plan.named("vpcs")
    assert vpcs.rules.default_netmask_length == 24
    assert [str(cidr) for cidr in plan.space(vpcs.pool_id).provisioned] == ["10.0.0.0/16", "10.1.0.0/16"]
    assert ipam.json("apply", str(file), "--yes") == []
    assert not ipam.committed
    check(desk.store, canonical=True)


def test_a_dry_run_shows_the_difference_and_changes_nothing(ipam: Keyboard, desk: Desk, file: Path) -> None:
    """Each step is a row; the store is as it was."""
    rows = ipam.json("apply", str(file), "--dry-run")
    assert [(row["action"], row["pool"], row["cidr"]) for row in rows] == [
        ("create-scope", None, None),
        ("create-scope", None, None),
        ("create-pool", "corporate", None),
        ("create-pool", "vpcs", None),
        ("create-pool", "lab-all", None),
        ("provision", "corporate", "10.0.0.0/8"),
        ("provision", "vpcs", "10.1.0.0/16"),
        ("provision", "vpcs", "/16"),
        ("provision", "lab-all", "fd00::/32"),
    ]
    assert not ipam.committed
    assert desk.store.plan().pools == {}


def test_what_is_written_of_a_plan_applies_without_a_step(ipam: Keyboard, file: Path, tmp_path: Path) -> None:
    """`ipam plan export` is a file for `ipam apply`."""
    ipam("apply", str(file), "--yes")
    written = tmp_path / "written.yaml"
    written.write_text(ipam("plan", "export"))
    assert ipam.json("apply", str(written), "--prune", "--yes") == []


def test_without_a_terminal_nothing_is_done_unasked(ipam: Keyboard, desk: Desk, file: Path) -> None:
    """Where nobody can be asked, --yes has to be said; the difference is shown all the same."""
    done = ipam.run("apply", str(file))
    assert done.exit_code == 1
    assert "--yes" in done.stderr
    assert desk.store.plan().pools == {}


def test_rules_change_in_place(ipam: Keyboard, desk: Desk, file: Path) -> None:
    """An edit names what was and what is to be; what is allocated stays."""
    ipam("apply", str(file), "--yes")
    desk.allocate(desk.request("Net"))
    changed = write(file, ("{default_netmask_length: 24}", "{default_netmask_length: 26, strategy: sparse}"))
    (row,) = ipam.json("apply", changed, "--yes")
    assert row["changes"] == ["default_netmask_length: 24 -> 26", "strategy: best-fit -> sparse"]
    vpcs = desk.store.plan().named("vpcs")
    assert (vpcs.rules.default_netmask_length, vpcs.rules.strategy) == (26, "sparse")
    assert desk.held(vpcs.pool_id)
    check(desk.store)


def test_what_the_file_does_not_name_stays_unless_it_is_pruned(ipam: Keyboard, desk: Desk, file: Path) -> None:
    """With --prune, pools and CIDRs that are not named go; without, they are left alone."""
    ipam("apply", str(file), "--yes")
    smaller = write(file, ("[10.1.0.0/16, /16]", "[10.1.0.0/16]"))
    assert ipam.json("apply", smaller, "--yes") == []
    rows = ipam.json("apply", smaller, "--prune", "--yes")
    assert [(row["action"], row["cidr"]) for row in rows] == [("deprovision", "10.0.0.0/16")]
    assert ipam.json("apply", smaller, "--prune", "--yes") == []
    check(desk.store)


def test_pruning_never_takes_what_is_in_use(ipam: Keyboard, desk: Desk, file: Path) -> None:
    """A CIDR with an allocation in it is refused; what was done before stays done, and the next run goes on."""
    ipam("apply", str(file), "--yes")
    desk.allocate(desk.request("Net", cidr="10.0.3.0/24"))
    smaller = write(file, ("[10.1.0.0/16, /16]", "[10.1.0.0/16]"))
    done = ipam.run("apply", smaller, "--prune", "--yes")
    assert done.exit_code == 1
    assert "deprovision vpcs 10.0.0.0/16" in done.stderr
    assert "10.0.3.0/24" in done.stderr
    check(desk.store)


@pytest.mark.parametrize("fault", ["busy", "lost-before", "lost-after"])
@pytest.mark.parametrize("place", range(9))
def test_an_interrupted_run_is_run_again(  # noqa: PLR0913, PLR0917 - a fault, where it strikes, and the stage
    ipam: Keyboard, desk: Desk, file: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, place: int
) -> None:
    """Whatever step a run ends at, the next one brings the plan to what the file says, without anything twice."""
    well: Fault = "none"
    faulty = Ports(Faulty(desk.store, iter([*[well] * place, fault])), desk.clock, desk.chance, Memory())
    with monkeypatch.context() as broken:
        broken.setattr(context, "ports", lambda: faulty)
        ipam.run("apply", str(file), "--yes")
    check(desk.store)
    ipam("apply", str(file), "--yes")
    assert ipam.json("apply", str(file), "--prune", "--yes") == []
    assert len(desk.store.plan().pools) == 3
    check(desk.store, canonical=True)


def test_a_file_that_cannot_be_applied_is_refused_with_its_place(ipam: Keyboard, desk: Desk, file: Path) -> None:
    """An unknown key: line, column, and what was meant; nothing is done."""
    wrong = write(file, ("locale:", "lokale:"))
    assert "line 9, column 13" in ipam.refused("apply", wrong, "--yes")
    assert desk.store.plan().scopes == {}


def test_a_store_that_is_away_is_told(ipam: Keyboard, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal for now says how far it came, and that it is to be run again."""

    def away(*_: object) -> None:
        code = "ThrottlingException"
        raise StoreUnavailableError(code)

    monkeypatch.setattr("ipam.entrypoints.cli.apply.take", away)
    done = ipam.run("apply", str(file), "--yes")
    assert done.exit_code == 1
    assert "0 steps were taken" in done.stderr


def test_a_file_that_cannot_be_read_is_refused(ipam: Keyboard, tmp_path: Path) -> None:
    """It is named with the reason, as by an import: the words are right, and something else is wrong."""
    (tmp_path / "plan.yaml").write_bytes(b"\xff")
    for command in ("apply", "import"):
        told = ipam.refused(command, "nowhere.txt")
        assert told == "refused: nowhere.txt cannot be read: No such file or directory."
        assert f"{tmp_path} cannot be read: Is a directory." in ipam.refused(command, str(tmp_path))
    assert "no text in UTF-8" in ipam.refused("apply", str(tmp_path / "plan.yaml"))
