"""The installed command line against the deployed system: what an administrator types, and what stacks do meanwhile."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT
from local.stacks import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.twin import Twin
    from tests.e2e.system.conftest import CommandLine

POOL = "zz-laboratory-vpcs"
"""Sorts behind the pools of the example plan, so that only a stack that names it is served from it."""

ORDER = f"""
Parameters:
  IpamFunctionArn: {{ Type: String }}
Resources:
  Network:
    Type: Custom::GetCnCIDR
    Properties:
      ServiceToken: !Ref IpamFunctionArn
      ServiceTimeout: 300
      PoolName: {POOL}
      CnCidrMask: "24"
      Description: for the laboratory
Outputs:
  AllocationId: {{ Value: !Ref Network }}
  Cidr: {{ Value: !GetAtt Network.Cidr }}
"""


def read(ipam: CommandLine, *words: str) -> Any:
    """Run a command, and read its JSON."""
    return json.loads(ipam("--output", "json", *words))


@pytest.fixture(scope="module")
def laboratory(ipam: CommandLine) -> str:
    """A scope with a pool of its own, made by commands; the pool's id."""
    ipam("scope", "create", "laboratory")
    ipam("pool", "create", "zz-laboratory", "--scope", "laboratory")
    ipam("cidr", "provision", "zz-laboratory", "172.20.0.0/14")
    pool_id = ipam(
        *("pool", "create", POOL, "--source", "zz-laboratory", "--locale", "eu-central-1", "--type", "vpc"),
        *("--min", "16", "--max", "28", "--cooling-seconds", "3600", "--approve-above", "22"),
    )
    assert ipam("cidr", "provision", POOL, "/16") == "172.20.0.0/16"
    return pool_id


def test_a_plan_made_by_commands_serves_a_stack(twin: Twin, ipam: CommandLine, laboratory: str) -> None:
    """Laid out, ordered from, looked up, given back, looked up again: every command tells the same story."""
    stack = Stack(twin, "laboratory", MEMBER_ACCOUNT)
    stack.create(ORDER, {"IpamFunctionArn": twin.service_token})
    cidr, allocation_id = stack.outputs["Cidr"], stack.outputs["AllocationId"]
    assert cidr == "172.20.0.0/24"

    here, *around = read(ipam, "find", "172.20.0.77")
    assert (here["cidr"], here["state"], here["allocation_id"]) == (cidr, "allocated", allocation_id)
    assert (here["holder"], here["holder_id"], here["resource"]) == ("laboratory", stack.stack_id, "Network")
    assert (here["account"], here["description"]) == (MEMBER_ACCOUNT, "for the laboratory")
    assert [(each["holder"], each["pool"]) for each in around if each["position"] == "above"] == [
        (POOL, "zz-laboratory"),
        ("zz-laboratory", "laboratory"),
    ]
    assert [each["state"] for each in around if each["position"] == "after"] == ["free", "free"]
    for what in (allocation_id, stack.stack_id, cidr):
        assert (read(ipam, "find", what)[0]["position"], read(ipam, "find", what)[0]["cidr"]) == ("here", cidr)

    (held,) = read(ipam, "allocation", "list", laboratory)
    assert (held["allocation_id"], held["created"]) == (allocation_id, here["since"])
    assert allocation_id in ipam("export")

    stack.delete()
    assert read(ipam, "allocation", "list", POOL) == []
    gone = read(ipam, "find", cidr)[0]
    assert (gone["state"], gone["allocation_id"]) == ("cooling", allocation_id)
    assert gone["until"] > here["since"]
    told = [each["event"] for each in read(ipam, "history", POOL, cidr)]
    assert told == ["allocated", "released"]
    assert ipam("doctor").endswith("sound")
    # Blocks of the twin's own pools, which other tests have used, may wait for upkeep to join them: that is a hint.
    assert [
        each for each in read(ipam, "doctor", "--quick") if each["severity"] != "hint" or each["pool"] == POOL
    ] == []


def test_the_plan_is_listed(ipam: CommandLine, laboratory: str) -> None:
    """The scopes, pools and CIDRs of the example plan and of the laboratory, with what is used of a pool."""
    assert {"private", "public", "laboratory"} <= {scope["name"] for scope in read(ipam, "scope", "list")}
    pools = {pool["pool_id"]: pool for pool in read(ipam, "pool", "list")}
    assert (pools[laboratory]["scope"], pools[laboratory]["source_pool"]) == ("laboratory", "zz-laboratory")
    (own,) = read(ipam, "cidr", "list", POOL)
    assert (own["cidr"], own["source"]) == ("172.20.0.0/16", "zz-laboratory")
    shown = read(ipam, "pool", "show", POOL)
    assert shown["provisioned"] == 65536 == shown["allocated"] + shown["cooling"] + shown["free"]
    assert POOL in ipam("plan", "show")


def test_an_administrator_holds_takes_and_gives_back(ipam: CommandLine, laboratory: str) -> None:
    """Held by a preview, taken by its token, found with who did it, released: sound all the time."""
    held = read(ipam, "preview", laboratory, "-n", "26", "--for", "10m", "--token", "e2e")
    given = read(ipam, "allocate", "--preview-token", held["preview_token"], "--description", "printers")
    assert (given["cidr"], given["pool"], given["outcome"]) == (held["cidr"], POOL, "allocated")
    here = read(ipam, "find", held["cidr"])[0]
    assert (here["holder_type"], here["description"]) == ("administrator", "printers")
    assert here["cause"].startswith(f"ipam command line, arn:aws:iam::{NETWORK_ACCOUNT}:")
    refused = ipam.run("release", given["cidr"])
    assert (refused.returncode, refused.stdout) == (1, "") and "say --yes" in refused.stderr
    assert ipam("release", given["cidr"], "--yes") == f"{given['cidr']} {given['allocation_id']}"
    assert read(ipam, "find", held["cidr"])[0]["state"] == "cooling"
    assert ipam("doctor").endswith("sound")


def test_a_large_request_waits_for_a_word(twin: Twin, ipam: CommandLine, laboratory: str) -> None:
    """A stack orders more than anybody gets unasked; it goes on as soon as an administrator says so."""
    stack = Stack(twin, "large", MEMBER_ACCOUNT)
    with ThreadPoolExecutor(1) as another:
        order = ORDER.replace('"24"', '"20"').replace("300", "3600")
        creation = another.submit(stack.create, order, {"IpamFunctionArn": twin.service_token})
        waiting = until(lambda: read(ipam, "approve"))
        assert (waiting[0]["holder"], waiting[0]["netmask_length"]) == ("large", 20)
        done = read(ipam, "approve", waiting[0]["approval_id"], "--note", "agreed")
        assert (done["decision"], done["note"]) == ("approved", "agreed")
        creation.result(120)
    assert stack.outputs["Cidr"].endswith("/20")
    assert "X-Amz" not in ipam("approve", "--all", "-o", "json")
    assert [row["account"] for row in read(ipam, "tenant", "show", MEMBER_ACCOUNT) if row["pool"] == POOL]
    stack.delete()
    del laboratory


def test_a_part_of_the_plan_goes_whole(ipam: CommandLine) -> None:
    """A pool with pools and allocations below it is deleted at one word, and leaves nothing behind."""
    ipam("pool", "create", "zz-short-lived", "--locale", "eu-central-1", "--scope", "private")
    ipam("cidr", "provision", "zz-short-lived", "192.168.0.0/16")
    ipam("pool", "create", "zz-shorter-lived", "--source", "zz-short-lived", "--locale", "eu-central-1")
    ipam("cidr", "provision", "zz-shorter-lived", "192.168.128.0/17")
    for number in range(3):
        ipam("allocate", "zz-shorter-lived", "-n", "24", "--token", f"short-{number}")
    refused = ipam.run("pool", "delete", "zz-short-lived", "--yes")
    assert refused.returncode == 1 and "in use by pool zz-shorter-lived" in refused.stderr
    listed = ipam.run("pool", "delete", "zz-short-lived", "--cascade", "--yes")
    assert listed.returncode == 0 and listed.stderr.count("administrator short-") == 3
    assert not {"zz-short-lived", "zz-shorter-lived"} & {pool["name"] for pool in read(ipam, "pool", "list")}
    assert ipam("doctor").endswith("sound")


def until(ask: Callable[[], Any], seconds: float = 60) -> Any:
    """Ask until there is an answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.5)
    raise TimeoutError(f"nothing after {seconds} s")


def test_refusals_are_one_line(ipam: CommandLine, twin: Twin) -> None:
    """Exit code 1 and one line for what is refused, by us or by AWS; 2 for wrong use; never a traceback."""
    for words, code, told in (
        (("pool", "show", "nix"), 1, "`ipam pool list`"),
        (("find", "10.0.0.1/8"), 1, "10.0.0.0/8"),
        (("find", "10.0.0.256"), 2, "no address"),
    ):
        done = ipam.run(*words)
        assert (done.returncode, done.stdout) == (code, "")
        assert told in done.stderr and "Traceback" not in done.stderr
    for name, what, words in (
        ("IPAM_TABLE_NAME", "table", ("pool", "list")),
        ("IPAM_MASTER_KEY_SECRET", "secret", ("tenant", "key", MEMBER_ACCOUNT)),
    ):
        lost = CommandLineElsewhere(ipam, **{name: "no-such-one"}).run(*words)
        assert (lost.returncode, lost.stdout) == (1, "")
        assert f'There is no {what} "no-such-one" in eu-central-1. Check {name},' in lost.stderr
        assert len(lost.stderr.splitlines()) == 1
        assert twin.outputs["TableName"] not in lost.stderr
    down = CommandLineElsewhere(ipam, AWS_ENDPOINT_URL="http://127.0.0.1:9").run("pool", "list")
    assert (down.returncode, down.stdout) == (1, "") and " at http://127.0.0.1:9/ " in down.stderr


def test_only_a_key_needs_the_secret(ipam: CommandLine) -> None:
    """Without the secret's name every command works but `tenant key`, which alone prints a secret."""
    keyless = CommandLineElsewhere(ipam, IPAM_MASTER_KEY_SECRET="")
    assert keyless.run("scope", "list").returncode == 0
    refused = keyless.run("tenant", "key", MEMBER_ACCOUNT)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "IPAM_MASTER_KEY_SECRET" in refused.stderr
    assert ipam("tenant", "key", MEMBER_ACCOUNT) not in ipam("export")


def test_the_shell_completes(ipam: CommandLine) -> None:
    """The shell is told the commands that begin with what was typed."""
    shell = {"_IPAM_COMPLETE": "complete_bash", "COMP_WORDS": "ipam al", "COMP_CWORD": "1"}
    assert CommandLineElsewhere(ipam, **shell).run().stdout.split() == ["allocate", "allocation"]


class CommandLineElsewhere:
    """The same command line where the environment says something else."""

    def __init__(self, ipam: CommandLine, **others: str) -> None:
        self._command = ipam.run("--help").args[0]
        self._environment = ipam._environment | others

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        return subprocess.run(
            [self._command, *words], env=self._environment, capture_output=True, text=True, check=False
        )
