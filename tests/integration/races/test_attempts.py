"""Many who try at once, at one table of the twin's engine: each attempt is counted once, and the last ones are kept."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.attempt import KEPT, Attempt
from ipam.services.attempts import note_attempt
from ipam.services.ports import NoDeadline
from tests.builders import ACCOUNT, NOON, STACK, Desk
from tests.engine import client, create_table

if TYPE_CHECKING:
    from ipam.services.ports import Ports

ATTEMPT = Attempt(NOON, ACCOUNT, "forged", "a reason", "Delete", "Custom::GetCnCIDR", STACK, "Net", "request", "lambda")
TRIED = 3 * KEPT + 17


def test_a_flood_from_many_sides_is_counted_and_bounded(twin_engine: str) -> None:
    """No number is given twice, none is left out, and of two that meet at one place the later one stays."""
    table = f"ipam-attempts-{uuid.uuid4().hex}"
    at = client(twin_engine)
    create_table(at, table)
    ports: Ports = Desk(DynamoDbStore(table, at)).ports

    def attempt(number: int) -> None:
        note_attempt(ports, replace(ATTEMPT, request_id=str(number)), NoDeadline())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, range(TRIED)))
    kept = list(ports.store.attempts(ATTEMPT.day))
    assert sorted(each.number for each in kept) == list(range(TRIED - KEPT + 1, TRIED + 1))
    assert len({each.request_id for each in kept}) == KEPT
    assert ports.store.count_attempt(ATTEMPT) == TRIED + 1
    at.delete_table(TableName=table)
