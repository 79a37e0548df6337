"""`python -m local.walkthrough`: docs/from-vpc-ipam.md with what its commands print, by a run on a twin of its own.

The document is its own script. In it

    ```console       holds commands, each behind `$ `, and what they print, which a run replaces
    ```yaml NAME     is written to a file NAME, where the commands find it

and everything else is for people. `ipam` works in the network account; `--profile team` is the application team's.
Ids and times differ from run to run: each is replaced by a stand-in of the same length, so that a run whose commands
do the same writes the same document.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local import twin as twins
from local.amazon_ipam import amazon_ipam
from local.settings import MEMBER_ACCOUNT, inherited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.twin import Twin

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "from-vpc-ipam.md"
BLOCK: Final = re.compile(
    r"^```(?P<language>\w+)(?: (?P<name>[\w.-]+))?\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL
)
PROMPT: Final = "$ "
REFUSED: Final = re.compile(r"^(refused:|Usage:)", re.MULTILINE)

IDS: Final = re.compile(
    r"(?P<kind>ipam-scope-|ipam-pool-alloc-|ipam-pool-|approval-|vpc-|--token |stack/[\w-]+/)"
    r"(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,33})\b"
)
UUIDS: Final = re.compile(r"(?P<kind>)(?P<id>\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)")
TIMES: Final = (
    (re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ"), "2026-11-21T09:00:00.000Z"),
    (re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d\b"), "2026-11-21 09:00"),
)

STACK_SECONDS: Final = 60
"""How long a stack may take."""

CONFIG: Final = f"""[profile team]
aws_access_key_id = {MEMBER_ACCOUNT}
aws_secret_access_key = local
"""


class WalkthroughError(Exception):
    """A command did not do what the document is about; its text has the command and what it printed."""


@dataclass
class StandIns:
    """What stands for ids and times; what the document itself says stays as it is."""

    written: str
    known: dict[str, str] = field(default_factory=dict)

    def instead(self, text: str) -> str:
        """Replace what differs from run to run."""
        for ids in (IDS, UUIDS):
            text = ids.sub(self._one, text)
        for times, one in TIMES:
            text = times.sub(one, text)
        return text

    def _one(self, found: re.Match[str]) -> str:
        kind, its = found["kind"], found["id"]
        if its in self.written or its in self.known.values():
            return found[0]
        if its not in self.known:
            digits = iter(hashlib.sha256(f"{kind}{len(self.known)}".encode()).hexdigest())
            self.known[its] = re.sub("[0-9a-f]", lambda _: next(digits), its)
        return kind + self.known[its]


class Walk:
    """One run, on one twin, in a folder of its own."""

    def __init__(self, twin: Twin, folder: Path, amazon: str) -> None:
        self._cloudformation: Any = twin.session(MEMBER_ACCOUNT).client("cloudformation")
        self._folder = folder
        self._amazon = amazon
        config = folder / "config"
        config.write_text(CONFIG)
        path = f"{Path(sys.executable).parent}:{inherited()['PATH']}"
        self._environment = {
            **inherited(),
            **twin.env(),
            "PATH": path,
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),
            "AWS_CONFIG_FILE": str(config),
            "AWS_PAGER": "",
            # Results and what is said beside them come in the order in which a terminal shows them.
            "PYTHONUNBUFFERED": "1",
        }

    def clear(self) -> None:
        """End the example plan that the twin comes up with, but for its scopes."""
        for pool in json.loads(self.run("ipam pool list --output json")):
            if pool["source_pool"] is None:
                self.run(f"ipam pool delete {pool['pool_id']} --cascade --yes")
        self.run("ipam doctor --repair")

    def run(self, command: str) -> str:
        """Run a command, and give what it prints.

        Raises:
            WalkthroughError: it failed without saying why in one line, or refused nothing although it failed.
        """
        environment = dict(self._environment)
        if command.startswith("ipam "):
            # The twin has no VPC IPAM, and the command line asks EC2 for nothing else.
            environment["AWS_ENDPOINT_URL_EC2"] = self._amazon
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if bool(done.returncode) != bool(REFUSED.search(done.stdout)):
            raise WalkthroughError(f"$ {command}\n{done.stdout}exit code {done.returncode}")
        if "cloudformation create-stack" in command:
            self._wait_for_stacks()
        return done.stdout

    def write(self, name: str, content: str) -> None:
        """Write a file where the commands find it."""
        (self._folder / name).write_text(content)

    def _wait_for_stacks(self) -> None:
        """Wait until every stack is what it is to be.

        Raises:
            WalkthroughError: one is not.
        """
        end = time.monotonic() + STACK_SECONDS
        states = self._states()
        while any(state.endswith("IN_PROGRESS") for state in states.values()) and time.monotonic() < end:
            time.sleep(0.2)
            states = self._states()
        for name, state in states.items():
            if state != "CREATE_COMPLETE":
                raise WalkthroughError(f"{name} is {state}: {'; '.join(self._reasons(name))}")

    def _states(self) -> dict[str, str]:
        stacks = self._cloudformation.describe_stacks()["Stacks"]
        return {stack["StackName"]: stack["StackStatus"] for stack in stacks}

    def _reasons(self, stack: str) -> list[str]:
        events = self._cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        return [event["ResourceStatusReason"] for event in events if event["ResourceStatus"].endswith("FAILED")]


def commands(block: str) -> Iterator[str]:
    """Give the commands of a block as they stand there; a line that ends with a backslash goes on in the next."""
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith(PROMPT):
            command = [line]
            while command[-1].endswith("\\"):
                command.append(next(lines))
            yield "\n".join(command)


def walked(page: str, walk: Walk) -> str:
    """Run the commands of a document, and give it with what they print now."""
    said = "\n".join(command for block in BLOCK.finditer(page) for command in commands(block["content"]))
    stand_ins = StandIns(said)

    def fresh(block: re.Match[str]) -> str:
        if block["name"]:
            walk.write(block["name"], block["content"])
        if block["language"] != "console":
            return block[0]
        lines = []
        for command in commands(block["content"]):
            printed = stand_ins.instead(walk.run(command.removeprefix(PROMPT)))
            lines += [command, *(line.rstrip() for line in printed.rstrip().splitlines())]
        return "\n".join(("```console", *lines, "```"))

    return BLOCK.sub(fresh, page)


def walk_through(page: str, twin: Twin) -> str:
    """Run the commands of a document on a twin, whose example plan goes; give the document with what they print."""
    with tempfile.TemporaryDirectory(prefix="cn-ipam-walkthrough-") as folder, amazon_ipam() as amazon:
        walk = Walk(twin, Path(folder), amazon)
        walk.clear()
        return walked(page, walk)


def main() -> int:
    """Write the document anew; 1 if a command of it did not do what it is there for."""
    page = PAGE.read_text()
    try:
        with tempfile.TemporaryDirectory() as exports, twins.start(directory=Path(exports)) as twin:
            fresh = walk_through(page, twin)
    except (WalkthroughError, twins.TwinError) as error:
        print(f"walkthrough: {error}", file=sys.stderr)
        return 1
    PAGE.write_text(fresh)
    print("nothing has changed" if fresh == page else f"{PAGE.name} is new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
