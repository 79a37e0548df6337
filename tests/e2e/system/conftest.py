"""The deployed system on the twin: what the tests of whole stacks share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.cidr import Cidr
from ipam.domain.pool import AllocationRules
from ipam.services.memory import Memory
from ipam.services.pools import NewPool, create_pool
from ipam.services.ports import Ports
from ipam.services.provision import provision
from local import twin as twins
from local.settings import NETWORK_ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.twin import Twin


def ports_of(twin: Twin) -> Ports:
    """Give the services the twin's table."""
    client = twin.session(NETWORK_ACCOUNT).client("dynamodb")
    return Ports(DynamoDbStore(twin.outputs["TableName"], client), SystemClock(), SystemChance(), Memory())


@pytest.fixture(scope="session")
def twin() -> Iterator[Twin]:
    with twins.start(record=True) as started:
        yield started


@pytest.fixture
def ports(twin: Twin) -> Ports:
    return ports_of(twin)


@pytest.fixture(scope="session")
def ipam(twin: Twin) -> CommandLine:
    return CommandLine(twin)


class CommandLine:
    """The command line `ipam`, as an administrator of the network account runs it."""

    def __init__(self, twin: Twin) -> None:
        self._environment = {**os.environ, **twin.env()}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it, with some variables of the environment changed."""
        command = [str(Path(sys.executable).with_name("ipam")), *words]
        return subprocess.run(command, env=self._environment | environment, capture_output=True, text=True, check=False)

    def __call__(self, *words: str) -> str:
        """Run it, and give what it prints."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def new_pool(ports: Ports, name: str, cidr: str, cooling_seconds: int = 0) -> str:
    """Make a pool of its own for a test; its name sorts behind the others, so it serves only stacks that name it."""
    assert name > "vpc-eu-central-1"
    (scope,) = (scope for scope in ports.store.plan().scopes.values() if scope.name == "private")
    new = NewPool(
        name, scope.scope_id, locale=REGION, rules=AllocationRules(16, 28, 24), cooling_seconds=cooling_seconds
    )
    pool = create_pool(ports, new, "test")
    provision(ports, pool.pool_id, Cidr.parse(cidr), cidr, "test")
    return pool.pool_id


def allocated(ports: Ports, pool: str) -> dict[str, Cidr]:
    """Tell what is allocated from a pool, by allocation id."""
    pool_id = ports.store.plan().named(pool).pool_id
    return {each.allocation_id: each.cidr for each in ports.store.allocations(pool_id)}
