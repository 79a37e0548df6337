"""Standard output that nobody reads, or that has no room; what a terminal is shown."""

from __future__ import annotations

import errno
import io
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from ipam.entrypoints.cli import outlet
from ipam.entrypoints.cli.commands import app

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

PROGRAM = "from ipam.entrypoints.cli import main; main()"


class Full(io.StringIO):
    """An output that fails as it is flushed."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def flush(self) -> None:
        """See the parent."""
        raise self._error


def test_an_output_without_room_is_one_line() -> None:
    """No traceback, whatever prints: the reason, and exit code 1."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" --version > /dev/full', sys.executable, PROGRAM],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "refused: standard output cannot be written: No space left on device.\n",
    )


def test_nobody_reads_the_help_either() -> None:
    """Closed after its first bytes, an output ends the command as a shell expects, silently."""
    command = '"$0" -c "$1" --help | true; exit "${PIPESTATUS[0]}"'
    for _ in range(3):
        done = subprocess.run(
            ["bash", "-c", command, sys.executable, PROGRAM], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("code", "exits"), [(errno.ENOSPC, 1), (errno.EPIPE, 141), (errno.EIO, 1)], ids=["full", "closed", "broken"]
)
def test_every_command_says_so(
    ipam: Keyboard, vpcs: Pool, monkeypatch: pytest.MonkeyPatch, code: int, exits: int
) -> None:
    """A table, a record and a report alike; nobody is told who does not read."""
    del vpcs
    monkeypatch.setattr(sys, "stdout", Full(OSError(code, "why")))
    for words in (("pool", "list"), ("doctor",), ("pool", "list", "-o", "json")):
        with pytest.raises(SystemExit) as ended:
            app(words)
        assert ended.value.code == exits
    assert ipam.calls


def test_another_failure_is_not_disguised() -> None:
    """What is not of the output passes."""
    with pytest.raises(PermissionError), outlet.printing():
        raise PermissionError(errno.EACCES, "why")


def test_a_narrow_terminal_breaks_no_word(
    ipam: Keyboard, vpcs: Pool, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are as long as they are: the terminal goes on in its next line, and ids can be copied whole."""
    given = desk.allocate(desk.request(cidr="10.0.100.0/24", pool=vpcs, description="word " * 40)).grant
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "40")
    for words in (("allocation", "list", "vpcs"), ("plan", "show", "vpcs"), ("find", "10.0.100.1")):
        told = re.sub(r"\x1b\[[0-9;]*m", "", ipam(*words))
        assert given.allocation_id in told and "10.0.100.0/24" in told
        assert "word word" in told


def test_no_line_ends_in_spaces(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Neither of a table, nor of a record, nor of a drawing."""
    desk.allocate(desk.request(length=24, pool=vpcs))
    for words in (("pool", "list"), ("pool", "show", "vpcs"), ("plan", "show", "vpcs"), ("find", "10.0.0.1")):
        assert not [line for line in ipam(*words).splitlines() if line != line.rstrip()]


def test_the_version_is_the_packages(ipam: Keyboard) -> None:
    """It stands in pyproject.toml, and nowhere else."""
    assert re.fullmatch(r"cn-ipam [0-9]+[.][0-9]+[.][0-9]+\n", ipam("--version"))
    assert ipam.calls == []


def test_help_is_not_broken_within_a_sentence(ipam: Keyboard) -> None:
    """A paragraph fills its lines, though it stands in several in the source."""
    assert "Nothing tells the holder, and what runs there goes on running" in " ".join(
        ipam("release", "--help").split()
    )
    wide = ipam.run("release", "--help").stdout
    assert Console().width >= 60
    lines = [line.strip() for line in wide.splitlines()]
    assert not any(line.endswith(" What") or line == "What" for line in lines)
