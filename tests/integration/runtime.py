"""The built function in Lambda's own runtime, on this machine.

What `sam build` made runs under AWS's Python runtime client (awslambdaric) and AWS's Runtime Interface Emulator, the
program that the SAM command line carries for its containers. So a test sees what Lambda would load: the artifact and
the layer, and beside them only what the managed runtime brings along, not the packages of the tests' environment.

    with runtime("CnCidrFunction", {"IPAM_TABLE_NAME": "t"}) as invoke:
        answer = invoke(event)

An exception that the handler raises is an answer as on Lambda: a mapping with `errorType`. The emulator takes one
request at a time, and a second one beside it ends it: a test that wants several at once opens as many runtimes. In any
Region and account, the emulator calls the function arn:aws:lambda:us-east-1:012345678912:function:NAME.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samtranslator.yaml_helper import yaml_parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".aws-sam" / "build"

# What the managed Python runtime has beside the standard library: its client, and boto3 with what that stands on.
MANAGED = (
    "awslambdaric",
    "runtime_client*",
    "snapshot_restore_py",
    "simplejson",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "dateutil",
    "six.py",
    "urllib3",
)
START_SECONDS = 10.0
STOP_SECONDS = 5.0


class Unanswered(Exception):  # noqa: N818 - what happened, not that it is an error
    """The runtime gave no answer: the function ran out of time, or its process ended."""


@dataclass(frozen=True)
class Runtime:
    """One execution environment: call it with an event, as often as it is to be warm. Its processes are a session."""

    url: str
    timeout: int
    output: Path
    session: int

    def __call__(self, event: object) -> Any:
        """What the handler returned, or a mapping with `errorType`; `Unanswered` when it ran out of time."""
        request = urllib.request.Request(  # noqa: S310 - the address is the emulator's, on loopback
            self.url, data=json.dumps(event).encode(), headers={"Content-Type": "application/json"}
        )
        # Loopback is not for a proxy, whatever the environment says.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=self.timeout + START_SECONDS) as response:
            body = response.read().decode()
        try:
            return json.loads(body)
        except json.JSONDecodeError:
            raise Unanswered(body) from None

    def log(self) -> list[dict[str, Any]]:
        """The JSON lines that the function has written so far; the emulator's own lines are left out."""
        lines = []
        for line in self.output.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    lines.append(entry)
        return lines


@contextlib.contextmanager
def runtime(function: str, env: Mapping[str, str] | None = None) -> Iterator[Runtime]:
    """An execution environment of `function` (its logical id in template.yaml), ended when the block is left.

    Time limit, memory size, handler and the constant environment variables are the template's; `env` adds to them.
    """
    properties = _properties(function)
    timeout = int(properties["Timeout"])
    with tempfile.TemporaryDirectory(prefix="ipam-runtime-") as scratch:
        managed = Path(scratch) / "managed"
        _link_managed_packages(managed)
        output = Path(scratch) / "output"
        port, api_port = _free_ports(2)
        constants = {
            name: value
            for name, value in properties.get("Environment", {}).get("Variables", {}).items()
            if isinstance(value, str)
        }
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "LAMBDA_TASK_ROOT": str(BUILD / function),
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"]),
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PYTHONPATH": os.pathsep.join([str(BUILD / "IpamLayer" / "python"), str(managed)]),
            "PYTHONDONTWRITEBYTECODE": "1",  # as in Lambda, where the code's place can't be written to
            **constants,
            **(env or {}),
        }
        with output.open("wb") as sink:
            # A session of its own, so that the emulator is ended with what is under it, and nobody else is.
            process = subprocess.Popen(
                [
                    str(_emulator()),
                    *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                    *("--runtime-api-address", f"127.0.0.1:{api_port}"),
                    # The interpreter without its site-packages: what the layer forgot to bring must be missed.
                    *(interpreter(), "-S", "-m", "awslambdaric", properties["Handler"]),
                ],
                cwd=BUILD / function,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                _wait_until_listening(port, process, output)
                url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
                yield Runtime(url, timeout, output, process.pid)
            finally:
                _end(process)


def _properties(function: str) -> dict[str, Any]:
    template = BUILD / "template.yaml"
    if not template.exists():
        raise FileNotFoundError(f"{template.relative_to(ROOT)} is missing: run `make build` first")
    properties: dict[str, Any] = yaml_parse(template.read_text())["Resources"][function]["Properties"]
    return properties


def _emulator() -> Path:
    """The emulator for this processor, from the SAM command line's package."""
    if sys.platform != "linux":
        raise RuntimeError("the Runtime Interface Emulator is a Linux program; run these tests on Linux")
    processor = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    places = sorted(ROOT.glob(f".venv-sam/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{processor}"))
    if not places:
        raise FileNotFoundError("the Runtime Interface Emulator is missing: run `make build` first")
    return places[0]


def interpreter() -> str:
    """The interpreter behind the virtual environment."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _link_managed_packages(target: Path) -> None:
    target.mkdir()
    for base in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for pattern in MANAGED:
            for found in Path(base).glob(pattern):
                link = target / found.name
                if not link.exists():
                    link.symlink_to(found)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, different from each other."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_listening(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise Unanswered(f"the emulator did not start: {output.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the emulator's session: ask first, then insist."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            break
    # The emulator may be gone before the runtime under it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
