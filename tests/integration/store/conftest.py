"""The stores that have to keep the same contract."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.adapters.memory.store import MemoryStore
from tests.engine import client, create_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.services.ports.store import Store

ENDPOINT = os.environ.get("IPAM_TEST_DYNAMODB_ENDPOINT", "")
"""Any further DynamoDB, such as DynamoDB Local; its tests exist only where it is named."""

STORES = ["memory", "moto", "twin", *(["endpoint"] if ENDPOINT else [])]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One empty store of each kind."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "moto":
        with mock_aws():
            yield from table("https://dynamodb.eu-central-1.amazonaws.com")
        return
    yield from table(ENDPOINT if request.param == "endpoint" else request.getfixturevalue("twin_engine"))


def table(endpoint: str) -> Iterator[Store]:
    """Make a store on a table of its own."""
    at, name = client(endpoint), f"ipam-test-{uuid.uuid4().hex}"
    create_table(at, name)
    yield DynamoDbStore(name, at)
    at.delete_table(TableName=name)
