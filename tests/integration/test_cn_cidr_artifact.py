"""The artifact that `sam build` made, in Lambda's runtime: events in, answers out, the table in between."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.services.pools import NewPool
from tests import invariants
from tests.builders import REGION, Desk
from tests.engine import client, create_table
from tests.integration.runtime import runtime
from tests.unit.entrypoints.bucket import Bucket, make_certificate
from tests.unit.entrypoints.stage import HOST, event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.runtime import Runtime

OWNER = "111122223333"
"""Whom the engine's client belongs to (tests/engine.py)."""


TENANT = "111111111111"
"""The account of the events."""


@pytest.fixture
def desk(twin_engine: str) -> Iterator[Desk]:
    """Services on a table of the twin's engine."""
    at, name = client(twin_engine), f"ipam-test-{uuid.uuid4().hex}"
    create_table(at, name)
    desk = Desk(DynamoDbStore(name, at))
    desk.tenant(TENANT)
    yield desk
    at.delete_table(TableName=name)


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    opened = Bucket(make_certificate(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def invoke(desk: Desk, bucket: Bucket, twin_engine: str, tmp_path: Path) -> Iterator[Runtime]:
    """The built function, told of the table and of the bucket."""
    environment = {
        "IPAM_TABLE_NAME": desk.store._table,  # type: ignore[attr-defined]
        "IPAM_MASTER_KEY_SECRET": "none of these events needs one",
        "IPAM_RESPONSE_ENDPOINT": f"https://localhost:{bucket.url.port}",
        "AWS_ENDPOINT_URL": twin_engine,
        "AWS_ACCESS_KEY_ID": OWNER,
        "AWS_CA_BUNDLE": str(tmp_path / "localhost.pem"),
    }
    with runtime("CnCidrFunction", environment) as started:
        yield started


def local(name: str, bucket: Bucket) -> dict[str, Any]:
    """Load an event that waits for its answer at the bucket here."""
    loaded = event(name)
    return loaded | {"ResponseURL": loaded["ResponseURL"].replace(HOST, f"localhost:{bucket.url.port}")}


def answers(bucket: Bucket) -> list[dict[str, Any]]:
    """Give what was answered so far."""
    return [json.loads(request["body"]) for request in bucket.requests]


def test_a_resource_lives_in_the_built_function(desk: Desk, bucket: Bucket, invoke: Runtime) -> None:
    """Created, delivered again, refused for a bad mask, deleted: each answer as CloudFormation expects it."""
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    for name in ("create", "redelivery", "bad_mask"):
        assert invoke(local(name, bucket)) is None
    created, again, refused = answers(bucket)
    assert created["Status"] == "SUCCESS"
    assert created["Data"] == again["Data"]
    assert desk.held(pool.pool_id) == [created["Data"]["Cidr"]]
    assert (refused["Status"], "CnCidrMask" in refused["Reason"]) == ("FAILED", True)
    invoke(local("delete", bucket) | {"PhysicalResourceId": created["PhysicalResourceId"]})
    assert answers(bucket)[-1]["Status"] == "SUCCESS"
    assert desk.held(pool.pool_id) == []
    lines = [line for line in invoke.log() if "outcome" in line]
    assert [line["outcome"] for line in lines] == ["allocated", "kept", "refused", "released"]
    assert "X-Amz-Signature" not in json.dumps(lines)
    invariants.check(desk.store)


def test_an_answer_that_is_not_taken_fails_the_invocation(desk: Desk, bucket: Bucket, invoke: Runtime) -> None:
    """So Lambda delivers the event again, and then the same block is answered."""
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    bucket.statuses = [403, 200]
    assert invoke(local("create", bucket))["errorType"] == "UndeliveredError"
    held = desk.held(pool.pool_id)
    assert invoke(local("create", bucket)) is None
    assert [answers(bucket)[-1]["Data"]["Cidr"]] == held == desk.held(pool.pool_id)


def test_a_forged_event_reaches_nobody(desk: Desk, bucket: Bucket, invoke: Runtime) -> None:
    """An address that is not the deployment's is neither connected to nor served."""
    pool = desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/16")
    assert invoke(event("forged_url")) is None
    assert invoke(event("create")) is None
    assert bucket.requests == []
    assert desk.held(pool.pool_id) == []
    assert [line["outcome"] for line in invoke.log() if "outcome" in line] == ["forged", "forged"]
