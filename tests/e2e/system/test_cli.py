"""The installed command line against the deployed system: what an administrator types, and what stacks do meanwhile."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from local.settings import MEMBER_ACCOUNT
from local.stacks import Stack

if TYPE_CHECKING:
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
        *("--min", "16", "--max", "28", "--cooling-seconds", "3600"),
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
    assert read(ipam, "doctor", "--quick") == []


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


def test_refusals_are_one_line(ipam: CommandLine, twin: Twin) -> None:
    """Exit code 1 and one line for what is refused, by us or by AWS; 2 for wrong use; never a traceback."""
    for words, code, told in (
        (("pool", "show", "nix"), 1, "`ipam pool list`"),
        (("find", "10.0.0.1/8"), 1, "10.0.0.0/8"),
        (("find", "shop"), 2, "no address"),
    ):
        done = ipam.run(*words)
        assert (done.returncode, done.stdout) == (code, "")
        assert told in done.stderr and "Traceback" not in done.stderr
    lost = CommandLineElsewhere(ipam, IPAM_TABLE_NAME="no-such-table").run("pool", "list")
    assert (lost.returncode, lost.stdout) == (1, "")
    assert "ResourceNotFoundException" in lost.stderr and "IPAM_TABLE_NAME" in lost.stderr
    assert len(lost.stderr.splitlines()) == 1
    assert twin.outputs["TableName"] not in lost.stderr


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
    assert CommandLineElsewhere(ipam, **shell).run().stdout.split() == ["allocation"]


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
