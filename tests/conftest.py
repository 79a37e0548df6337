"""Fixtures for the tests of the engine: a fixed clock, seeded chance, a store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from ipam.services.pools import NewPool
from tests.builders import REGION, Desk, FixedClock, SeededChance
from tests.engine import engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.domain.pool import Pool

# The same examples on every machine: a failure found by one is a failure for all. `--hypothesis-profile=search` looks
# for new ones, and prints what repeats them.
settings.register_profile(
    "suite", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", settings.get_profile("suite"), derandomize=False, max_examples=2000, print_blob=True
)
settings.load_profile("suite")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def chance() -> SeededChance:
    return SeededChance()


@pytest.fixture
def desk(clock: FixedClock, chance: SeededChance) -> Desk:
    """One process on an empty store in memory."""
    return Desk(clock=clock, chance=chance)


@pytest.fixture
def pool_of(desk: Desk) -> Callable[..., Pool]:
    """Make a pool for VPCs of the Region, in a scope of its own, with these blocks."""

    def make(*cidrs: str, name: str = "vpcs", scope: str | None = None, **facts: object) -> Pool:
        scope_id = scope or desk.scope(f"scope of {name}")
        new = NewPool(name, scope_id, **({"locale": REGION} | facts))  # type: ignore[arg-type]
        return desk.pool(new, *cidrs)

    return make


@pytest.fixture(scope="session")
def twin_engine() -> Iterator[str]:
    """The endpoint of the twin's DynamoDB engine, started when the first test wants it."""
    with engine() as endpoint:
        yield endpoint
