"""The artifact of the address plan that `sam build` made, in Lambda's runtime: events in, answers out."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from ipam.adapters.dynamodb.store import DynamoDbStore
from tests import invariants
from tests.engine import client, create_table
from tests.integration.runtime import runtime
from tests.unit.entrypoints.bucket import Bucket, make_certificate
from tests.unit.entrypoints.plan_stage import event
from tests.unit.entrypoints.stage import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.runtime import Runtime

OWNER = "111122223333"
"""Whom the engine's client belongs to (tests/engine.py)."""


@pytest.fixture
def store(twin_engine: str) -> Iterator[DynamoDbStore]:
    """A table of the twin's engine."""
    at, name = client(twin_engine), f"ipam-test-{uuid.uuid4().hex}"
    create_table(at, name)
    yield DynamoDbStore(name, at)
    at.delete_table(TableName=name)


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    opened = Bucket(make_certificate(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def invoke(store: DynamoDbStore, bucket: Bucket, twin_engine: str, tmp_path: Path) -> Iterator[Runtime]:
    """The built function, told of the table and of the bucket, and of no secret."""
    environment = {
        "IPAM_TABLE_NAME": store._table,
        "IPAM_RESPONSE_ENDPOINT": f"https://localhost:{bucket.url.port}",
        "AWS_ENDPOINT_URL": twin_engine,
        "AWS_ACCESS_KEY_ID": OWNER,
        "AWS_CA_BUNDLE": str(tmp_path / "localhost.pem"),
    }
    with runtime("AddressPlanFunction", environment) as started:
        yield started


def test_a_plan_lives_in_the_built_function(store: DynamoDbStore, bucket: Bucket, invoke: Runtime) -> None:
    """Pools, a CIDR and an allocation are made, rules change, a pool in use is kept: each answer as it should be."""

    def send(name: str) -> dict[str, Any]:
        loaded = event(name)
        url = loaded["ResponseURL"].replace(HOST, f"localhost:{bucket.url.port}")
        assert invoke(loaded | {"ResponseURL": url}) is None
        answer: dict[str, Any] = json.loads(bucket.requests[-1]["body"])
        return answer

    names = ["create_pool", "create_leaf_pool", "create_leaf_pool", "create_pool_cidr", "create_allocation"]
    made = [send(name) for name in names]
    assert [answer["Status"] for answer in made] == ["SUCCESS"] * len(names)
    assert made[1] == made[2]
    assert made[3]["PhysicalResourceId"] == f"{made[1]['PhysicalResourceId']}|172.16.0.0/16"
    assert send("update_rules")["Data"]["State"] == "modify-complete"
    refused = send("create_min_above_max")
    assert (refused["Status"], "AllocationMinNetmaskLength" in refused["Reason"]) == ("FAILED", True)
    kept = send("delete_pool")
    assert (kept["Status"], "in use by 172.16.0.0/24" in kept["Reason"]) == ("FAILED", True)
    lines = [line for line in invoke.log() if "outcome" in line]
    outcomes = ["created", "created", "kept", "created", "allocated", "changed", "refused", "refused"]
    assert [line["outcome"] for line in lines] == outcomes
    assert "X-Amz-Signature" not in json.dumps(lines)
    pools = {pool.name: pool for pool in store.plan().pools.values()}
    assert pools["laboratory-vpcs"].rules.min_netmask_length == 20
    invariants.check(store)
