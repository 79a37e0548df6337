"""The twin as a program: what it says, what it leaves behind, and what survives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local import twin as local_twin
from local.settings import SettingError, Settings
from tests.e2e.twin.account import PROBE, Account, until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]


class Program:
    """`python -m local`, as `make local` runs it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.output = folder / "output"
        environment = {
            **os.environ,
            "IPAM_LOCAL_PORT": "0",
            "IPAM_LOCAL_DIR": str(folder / "local"),
            "IPAM_LOCAL_BUILD": str(PROBE.parent),
            "TMPDIR": str(folder),
            **variables,
        }
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exports(self) -> Path:
        """What is there while it is ready."""
        return self.folder / "local" / "env"

    def ready(self) -> str:
        """Wait for the line that says so, and give the endpoint."""
        line = until(
            lambda: (
                [line for line in self.output.read_text().splitlines() if line.startswith("ready ")]
                or self.process.poll() is not None
            ),
            30,
        )
        assert isinstance(line, list), self.output.read_text()
        return str(line[0].split()[1])

    def processes(self) -> set[int]:
        """Give every process that works on this twin's folder: the launcher, the emulator and the workers."""
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    mine = str(self.folder).encode() in (entry / "environ").read_bytes()
                except OSError:
                    continue
                if mine:
                    found.add(int(entry.name))
        return found

    def end(self, how: signal.Signals) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(how)
        return self.process.wait(20)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    # Whatever a failed test left.
    for pid in {*Program.processes(_Folder(tmp_path))}:  # type: ignore[arg-type]
        os.kill(pid, signal.SIGKILL)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder


def _with_exports(program: Program, command: str) -> str:
    # Of the programs beside the interpreter the shell knows by the exports alone.
    shell = ["sh", "-euc", f". {program.exports}; . {program.exports}; {command}"]
    ran = subprocess.run(shell, env={"PATH": os.defpath}, check=False, capture_output=True, text=True, cwd="/")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_program(folder: Path, how: signal.Signals) -> None:
    """It writes exports that lead its own `aws` and `ipam` to it, and a signal ends all of it, even a busy worker."""
    program = Program(folder)
    endpoint = program.ready()
    assert endpoint.startswith("https://localhost:")
    stacks = "aws cloudformation describe-stacks --query Stacks[].StackName --output text"
    assert _with_exports(program, stacks).split() == ["cn-ipam"]
    here = str(Path(sys.executable).parent)
    assert _with_exports(program, "command -v ipam; echo $PATH").split() == [f"{here}/ipam", f"{here}:{os.defpath}"]
    invoke = "aws lambda invoke --function-name $CN_CIDR_FUNCTION_ARN --invocation-type Event --payload"
    sleeping = '{"RequestType":"Create","ResourceProperties":{"Do":{"Any":"sleep:60"}},"LogicalResourceId":"A",'
    sleeping += '"StackId":"s","RequestId":"r","ResponseURL":"none"}'
    _with_exports(program, f"{invoke} '{sleeping}' /dev/null")
    # The launcher, the emulator, the worker.
    assert until(lambda: len(program.processes()) >= 3)
    assert program.end(how) == 0
    assert until(lambda: not program.processes())
    assert not program.exports.exists()
    assert not list(folder.glob("cn-ipam-twin-*"))


def test_killed_launcher_takes_everything_along(folder: Path) -> None:
    """Without a chance to clean up, the emulator notices and ends itself, and the temporary folder goes."""
    program = Program(folder)
    program.ready()
    program.end(signal.SIGKILL)
    assert until(lambda: not program.processes())
    assert not program.exports.exists()
    assert not list(folder.glob("cn-ipam-twin-*"))


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.8, 1.2])
def test_stopped_while_it_starts(folder: Path, delay: float) -> None:
    """A signal at any moment of the start leaves nothing."""
    program = Program(folder)
    assert until(program.output.read_text)
    time.sleep(delay)
    assert program.end(signal.SIGTERM) == 0
    assert until(lambda: not program.processes())
    assert not program.exports.exists()


def test_port_in_use(folder: Path) -> None:
    """It says which port, and how to name another, starts nothing, and leaves the exports of whoever is there."""
    exports = folder / "local" / "env"
    exports.parent.mkdir()
    exports.write_text("export OF=another\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        program = Program(folder, IPAM_LOCAL_PORT=str(port))
        assert program.process.wait(20) == 1
    said = program.output.read_text()
    assert f"port {port} " in said and "IPAM_LOCAL_PORT" in said and "Traceback" not in said
    assert exports.exists()
    assert not list(folder.glob("cn-ipam-twin-*"))


def test_nothing_built(folder: Path) -> None:
    """It says what to run first, and starts nothing."""
    program = Program(folder, IPAM_LOCAL_BUILD=str(folder / "nothing"))
    assert program.process.wait(20) == 1
    assert "make build" in program.output.read_text()
    assert not list(folder.glob("cn-ipam-twin-*"))


def test_system_that_cannot_be_deployed(folder: Path) -> None:
    """It names the resource and the reason, and leaves nothing running."""
    (folder / "template.yaml").write_text("Resources: {Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10/8}}}")
    program = Program(folder, IPAM_LOCAL_BUILD=str(folder))
    assert program.process.wait(30) == 1
    assert "Vpc: Value (10/8) for parameter cidrBlock is invalid" in program.output.read_text()
    assert until(lambda: not program.processes())


def test_listens_on_loopback_only(twin: local_twin.Twin) -> None:
    """No other interface, and no other port than its own."""
    listening = _listeners(twin.pid)
    assert listening == {("127.0.0.1", twin.port)}


def _listeners(pid: int | None) -> set[tuple[str, int]]:
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink()) if descriptor.is_symlink() else ""
        if target.startswith("socket:["):
            sockets.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                address, port = fields[1].split(":")
                shown = ".".join(str(int(address[i : i + 2], 16)) for i in (6, 4, 2, 0)) if table == "tcp" else address
                found.add((shown, int(port, 16)))
    return found


def test_state_survives_a_restart(tmp_path: Path) -> None:
    """With IPAM_LOCAL_STATE stacks, their resources and the function are there again, and work."""
    named: dict[str, Any] = {"template": PROBE, "directory": tmp_path, "state": tmp_path / "state", "record": True}
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.7.0.0/24"}}
    with local_twin.start(**named) as twin:
        account = Account(twin)
        gateway = account.ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
        assert account.create("kept", {"A": account.probe(Value="1"), "Vpc": vpc}) == "CREATE_COMPLETE"
        token, port = twin.service_token, twin.port
    with local_twin.start(**named, port=port) as twin:
        account = Account(twin)
        assert twin.service_token == token
        assert account.describe("kept")["StackStatus"] == "CREATE_COMPLETE"
        assert account.update("kept", {"A": account.probe(Value="2"), "Vpc": vpc}) == "UPDATE_COMPLETE"
        assert [vpc["CidrBlock"] for vpc in account.ec2.describe_vpcs()["Vpcs"]].count("10.7.0.0/24") == 1
        shown = account.ec2.describe_transit_gateways()["TransitGateways"]
        assert [each["TransitGatewayId"] for each in shown] == [gateway]
        assert account.delete("kept") == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IPAM_LOCAL_PORT", "http"),
        ("IPAM_LOCAL_PORT", "70000"),
        ("IPAM_LOCAL_ACCOUNT", "me"),
        ("IPAM_LOCAL_ORGANIZATION", "example"),
        ("IPAM_LOCAL_RETRY_DELAYS", "soon"),
        ("IPAM_LOCAL_CONCURRENCY", "0"),
        ("IPAM_LOCAL_DUPLICATES", "twice"),
        ("IPAM_LOCAL_JITTER", "-1"),
    ],
)
def test_setting_that_cannot_be_used(name: str, value: str) -> None:
    """The error names the variable and its value."""
    with pytest.raises(SettingError, match=f"{name}={value}"):
        Settings.from_environment({name: value})
