"""Upkeep as it is deployed: the built function, and what it asks of DynamoDB."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.pool import AllocationRules
from ipam.services.approve import keep_approvals
from ipam.services.leases import keep_leases
from ipam.services.memory import Memory
from ipam.services.pools import NewPool
from ipam.services.ports import NoDeadline, Ports
from ipam.services.upkeep import keep_up
from tests import invariants
from tests.builders import Desk, FixedClock
from tests.engine import client, create_table
from tests.integration.runtime import runtime
from tests.integration.test_template import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.pool import Pool

EVENT = json.loads((Path(__file__).parents[2] / "events" / "upkeep" / "scheduled.json").read_text())
ACCOUNT = "111122223333"
"""Whom the engine's client belongs to (tests/engine.py)."""


@pytest.fixture
def table(twin_engine: str) -> Iterator[str]:
    at, name = client(twin_engine), f"ipam-test-{uuid.uuid4().hex}"
    create_table(at, name)
    yield name
    at.delete_table(TableName=name)


def cooled(desk: Desk) -> Pool:
    """Make a pool whose blocks were all released and have cooled, an hour ago and more."""
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale="eu-central-1", cooling_seconds=60), "10.0.0.0/26")
    held = {name: desk.allocate(desk.request(name, 28)).grant for name in "abcd"}
    for name, grant in held.items():
        desk.release(name, grant.allocation_id)
    return pool


def over(desk: Desk) -> Pool:
    """Make a pool of which a lease has ended since its owner was warned."""
    rules = AllocationRules(lease_seconds=60)
    pool = desk.pool(NewPool("leased", desk.scope("other"), locale="eu-central-1", rules=rules), "10.1.0.0/26")
    desk.allocate(desk.request("leased", 28, pool=pool, allocation_type="custom"))
    desk.clock.advance(60)
    assert keep_leases(desk.ports, pool, NoDeadline())
    return pool


def an_hour_ago() -> FixedClock:
    """A clock that stands an hour before now."""
    return FixedClock(SystemClock().now() - 3_600_000)


def test_the_built_function_makes_free_what_has_cooled(twin_engine: str, table: str) -> None:
    """The artifact of `sam build`, in Lambda's runtime: the blocks are one again, and a second run finds nothing."""
    desk = Desk(DynamoDbStore(table, client(twin_engine)), an_hour_ago())
    pool = cooled(desk)
    environment = {
        "IPAM_TABLE_NAME": table,
        "AWS_ENDPOINT_URL": twin_engine,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
    }
    with runtime("UpkeepFunction", environment) as invoke:
        assert invoke(EVENT) is None
        assert (desk.free(pool.pool_id), desk.cooling(pool.pool_id)) == (["10.0.0.0/26"], [])
        assert invoke(EVENT) is None
        lines = [line for line in invoke.log() if "outcome" in line]
    assert [line["outcome"] for line in lines] == ["reclaimed", "nothing-to-do"]
    assert lines[0]["service"] == "upkeep"
    invariants.check(desk.store, canonical=True)


def test_the_role_allows_what_upkeep_asks_for_and_no_more(
    twin_engine: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The actions of its role are those of a run that ends, frees and joins, a transaction's by its parts."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    desk = Desk(DynamoDbStore(table, client(twin_engine)), an_hour_ago())
    cooled(desk)
    leased = over(desk)
    watched = client(twin_engine)
    used: set[str] = set()

    def note(params: dict[str, Any], model: Any, **_named: Any) -> None:
        parts = [f"{kind}Item" for part in params.get("TransactItems", ()) for kind in part]
        used.update(f"dynamodb:{action}" for action in parts or [model.name])

    watched.meta.events.register("before-parameter-build.dynamodb", note)
    ports = Ports(DynamoDbStore(table, watched), SystemClock(), SystemChance(), Memory())
    assert keep_approvals(ports, NoDeadline()) == (0, ())
    assert keep_up(ports, NoDeadline()).changed == 2
    assert desk.held(leased.pool_id) == []
    statements = expand()["Resources"]["UpkeepRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (allowed,) = (set(each["Action"]) for each in statements if each["Sid"] == "KeepFreeSpace")
    assert used == allowed
