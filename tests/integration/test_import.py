"""The import against the twin's engine: real transactions, at the rate that is promised, and sound afterwards."""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.cidr import Cidr
from ipam.services import doctor
from ipam.services.import_allocations import Outcome, import_allocations
from ipam.services.import_check import check
from ipam.services.import_rows import Row
from ipam.services.pools import NewPool
from tests.builders import Desk
from tests.engine import client, create_table

if TYPE_CHECKING:
    from collections.abc import Iterator

PART = 1000
RATE = 300
"""Networks a second."""


@pytest.fixture
def desk(twin_engine: str) -> Iterator[Desk]:
    """One process on an empty table, with the machine's clock and chance."""
    at, name = client(twin_engine), f"ipam-import-{uuid.uuid4().hex}"
    create_table(at, name)
    clock, chance = SystemClock(), SystemChance()
    yield Desk(DynamoDbStore(name, at), clock, chance)  # type: ignore[arg-type]
    at.delete_table(TableName=name)


def networks(count: int) -> list[Row]:
    """Make rows of /20 to /28 in 10.0.0.0/8, in any order, some with room beside them, of 200 accounts."""
    chance = random.Random(3)
    blocks: list[Cidr] = []
    at = 10 << 24
    while len(blocks) < count:
        length = chance.choices(range(20, 29), [1, 1, 1, 2, 12, 6, 20, 32, 50])[0]
        size = 1 << (32 - length)
        at = -(-at // size) * size
        blocks.append(Cidr(4, at, length))
        at += size * chance.choice([1, 1, 1, 1, 2])
    chance.shuffle(blocks)
    return [
        Row(line, cidr, account=f"{chance.randrange(200):012}", description=f"network {line}", tags=(("env", "prod"),))
        for line, cidr in enumerate(blocks, 2)
    ]


def bring_in(desk: Desk, rows: list[Row]) -> tuple[Outcome, float]:
    """Import rows; give what came of it, and how many a second were written."""
    outcome = Outcome()
    intake = check(desk.ports, desk.store.plan(), rows, "", lambda *_: None)
    started = time.monotonic()
    import_allocations(desk.ports, intake, "test", outcome, lambda *_: None)
    outcome.kept += intake.kept
    return outcome, len(outcome.imported) / (time.monotonic() - started)


def test_networks_are_imported_fast_and_soundly(desk: Desk) -> None:
    """At least 300 networks a second in one of three parts, as the machine may be busy; doctor finds nothing."""
    desk.pool(NewPool("corporate", desk.scope("private")), "10.0.0.0/8")
    rows = networks(3 * PART)
    parts = [bring_in(desk.another(), rows[start : start + PART]) for start in range(0, len(rows), PART)]
    assert [len(outcome.imported) for outcome, _ in parts] == [PART] * 3
    assert max(rate for _, rate in parts) >= RATE
    again, _ = bring_in(desk.another(), rows)
    assert (len(again.kept), again.imported, again.bad) == (len(rows), [], [])
    diagnosis = doctor.examine(desk.another().ports, lambda *_: None, history=True)
    assert (diagnosis.allocations, diagnosis.findings) == (len(rows) + 1, ())
