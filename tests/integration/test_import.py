"""The import against the twin's engine: real transactions, few of them, and sound afterwards."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.imports import networks
from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.services import doctor
from ipam.services.import_allocations import Outcome, import_allocations
from ipam.services.import_check import check
from ipam.services.import_rows import Row
from ipam.services.pools import NewPool
from tests.builders import Desk
from tests.engine import client, create_table
from tests.faults import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 1500


@pytest.fixture
def desk(twin_engine: str) -> Iterator[Desk]:
    """One process on an empty table, with the machine's clock and chance."""
    at, name = client(twin_engine), f"ipam-import-{uuid.uuid4().hex}"
    create_table(at, name)
    clock, chance = SystemClock(), SystemChance()
    yield Desk(DynamoDbStore(name, at), clock, chance)  # type: ignore[arg-type]
    at.delete_table(TableName=name)


def rows_of(count: int) -> list[Row]:
    """Make rows of existing networks."""
    return [
        Row(line, cidr, account=account, description=f"network {line}", tags=(("env", "prod"),))
        for line, (cidr, account) in enumerate(networks(count), 2)
    ]


def bring_in(desk: Desk, rows: list[Row]) -> tuple[Outcome, int]:
    """Import rows; give what came of it, and how many transactions it took."""
    outcome = Outcome()
    store = Recorder(desk.store)
    ports = replace(desk.ports, store=store)
    intake = check(ports, store.plan(), rows, "", lambda *_: None)
    import_allocations(ports, intake, "test", outcome, lambda *_: None)
    outcome.kept += intake.kept
    return outcome, len(store.committed)


def test_networks_are_imported_in_few_transactions_and_soundly(desk: Desk) -> None:
    """A transaction takes fifteen networks and more: that is what makes it fast; doctor finds nothing."""
    desk.pool(NewPool("corporate", desk.scope("private")), "10.0.0.0/8")
    rows = rows_of(ROWS)
    first, transactions = bring_in(desk.another(), rows)
    assert (len(first.imported), first.bad) == (ROWS, [])
    assert transactions <= ROWS / 15
    again, transactions = bring_in(desk.another(), rows)
    assert (len(again.kept), again.imported, again.bad, transactions) == (ROWS, [], [], 0)
    diagnosis = doctor.examine(desk.another().ports, lambda *_: None, history=True)
    assert (diagnosis.allocations, diagnosis.findings) == (ROWS + 1, ())
