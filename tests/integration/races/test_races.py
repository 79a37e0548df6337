"""Eight processes at one table of the twin's engine, whose transactions are real: nobody ever wins what another has."""

from __future__ import annotations

import itertools
import random
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.owner import digest
from ipam.domain.pool import Quota
from ipam.services.pools import NewPool
from tests.builders import REGION, Desk, FixedClock, SeededChance
from tests.engine import client, create_table
from tests.invariants import check
from tests.workers import Order, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.domain.pool import Pool
    from tests.workers import Result, Workers

TABLE = f"ipam-races-{uuid.uuid4().hex}"
ROUNDS = 8
names = (f"n{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def desk(twin_engine: str) -> Desk:
    """The administrator's desk: what it sets up, the processes race for."""
    at = client(twin_engine)
    create_table(at, TABLE)
    return Desk(DynamoDbStore(TABLE, at), FixedClock(time.time_ns() // 1_000_000), SeededChance(uuid.uuid4().hex))


@pytest.fixture(scope="module")
def eight(twin_engine: str, desk: Desk) -> Iterator[Workers]:
    """Eight warm processes."""
    assert desk.store.plan().pools == {}
    with workers(twin_engine, TABLE) as some:
        yield some


@pytest.fixture
def pool_of(desk: Desk) -> Callable[..., Pool]:
    """Make a pool in a scope of its own, which no other race uses."""

    def make(cidr: str, cooling: int = 0, quota: Quota | None = None) -> Pool:
        new = NewPool(
            next(names), desk.scope(next(names)), locale=REGION, cooling_seconds=cooling, quota=quota or Quota()
        )
        return desk.pool(new, cidr)

    return make


def order(desk: Desk, pool: Pool, length: int, name: str | None = None) -> Order:
    """Order a block for a resource of its own, or for the one that is named."""
    return Order("allocate", desk.request(name or next(names), length, pool=pool, at=1))


def ends(results: list[list[Result]]) -> Counter[str]:
    """Count how the requests ended."""
    return Counter(result.end for each in results for result in each)


def test_blocks_of_one_size_from_a_fresh_pool(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """Forty orders at once for the same size get forty blocks (I1)."""
    pool = pool_of("10.0.0.0/16")
    results = eight.together(*[[order(desk, pool, 24) for _ in range(5)] for _ in range(8)])
    assert ends(results) == {"allocated": 40}
    assert len({result.cidr for each in results for result in each}) == 40
    check(desk.store)


def test_blocks_of_many_sizes(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """A /22, a /28, three /24 and others at once, by eight stacks: all served, none overlap (I1)."""
    pool = pool_of("10.0.0.0/16")
    sizes = (24, 24, 24, 22, 28)
    chance = random.Random(1)
    results = eight.together(
        *[[order(desk, pool, length) for length in chance.sample(sizes, len(sizes))] for _ in range(8)]
    )
    assert ends(results) == {"allocated": 40}
    check(desk.store)


def test_the_last_blocks(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """Where there are two blocks for eight orders, two are served and six are told that there are no more (I1)."""
    for _ in range(ROUNDS):
        pool = pool_of("10.0.0.0/25")
        results = eight.together(*[[order(desk, pool, 26)] for _ in range(8)])
        assert ends(results) == {"allocated": 2, "PoolExhaustedError": 6}
    check(desk.store, canonical=False)


def test_one_request_delivered_eight_times_at_once(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """However often an event is delivered at once, its owner has one allocation, and all answers name it (I4)."""
    for _ in range(ROUNDS):
        pool, name = pool_of("10.0.0.0/25"), next(names)
        results = eight.together(*[[order(desk, pool, 26, name)] for _ in range(8)])
        assert ends(results) == {"allocated": 1, "kept": 7}
        assert len({result.allocation_id for each in results for result in each}) == 1
    check(desk.store)


def test_a_quota_under_eight_orders_at_once(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """An account that may have three gets three."""
    pool = pool_of("10.0.0.0/16", quota=Quota(allocations=3))
    results = eight.together(*[[order(desk, pool, 24)] for _ in range(8)])
    assert ends(results) == {"allocated": 3, "QuotaExceededError": 5}
    check(desk.store)


def test_one_release_delivered_eight_times_at_once(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """One of eight gives the block back; the others find it done (I5)."""
    for cooling in (0, 60) * (ROUNDS // 2):
        pool, name = pool_of("10.0.0.0/24", cooling), next(names)
        grant = desk.allocate(desk.request(name, 26, pool=pool, at=1)).grant
        back = Order("release", desk.giving_back(name, at=2), grant.allocation_id)
        assert ends(eight.together(*[[back]] * 8)) == {"released": 1, "already-released": 7}
    check(desk.store, canonical=False)


def test_neighbours_given_back_at_once(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """Eight buddies come back at once, and upkeep, eight times at once too, makes one block of them again (I2)."""
    for _ in range(ROUNDS // 2):
        pool = pool_of("10.0.0.0/24")
        holders = [next(names) for _ in range(8)]
        held = [desk.allocate(desk.request(name, 27, pool=pool, at=1)).grant for name in holders]
        backs = [
            Order("release", desk.giving_back(name, at=2), grant.allocation_id)
            for name, grant in zip(holders, held, strict=True)
        ]
        assert ends(eight.together(*[[back] for back in backs])) == {"released": 8}
        eight.together(*[[Order("reclaim", pool.pool_id)]] * 8)
        desk.reclaim(pool.pool_id)
        assert desk.free(pool.pool_id) == ["10.0.0.0/24"]


def test_creates_and_their_deletes_at_once(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """A Delete that meets its Create leaves nothing behind, in whichever order they are served (I4)."""
    pool = pool_of("10.0.0.0/24")
    for _ in range(ROUNDS):
        name = next(names)
        create = order(desk, pool, 26, name)
        delete = Order("abandon", desk.giving_back(name, at=2), digest(create.request.ask))
        eight.together(*[[create], [delete]] * 4)
        assert desk.held(pool.pool_id) == []
    check(desk.store)


def test_release_allocate_and_upkeep_at_once(desk: Desk, eight: Workers, pool_of: Callable[..., Pool]) -> None:
    """Five rounds in which half of what is held comes back while others order and upkeep runs (I1, I2, I4, I7)."""
    pool = pool_of("10.0.0.0/22", cooling=3600)
    held: dict[str, str] = {}
    chance = random.Random(2)
    for hour in range(1, 6):
        leaving = chance.sample(sorted(held), len(held) // 2)
        backs = [Order("release", desk.giving_back(name, at=2), held.pop(name)) for name in leaving]
        new = [next(names) for _ in range(12)]
        work = backs + [order(desk, pool, chance.choice((26, 27, 28)), name) for name in new]
        chance.shuffle(work)
        work += [Order("reclaim", pool.pool_id)] * 2
        lists = [work[start::8] for start in range(8)]
        results = eight.together(*lists, shift=hour * 2 * 3_600_000)
        for did, answers in zip(lists, results, strict=True):
            for what, result in zip(did, answers, strict=True):
                if what.verb == "allocate" and result.end == "allocated":
                    held[what.request.owner.name] = result.allocation_id
        assert ends(results)["released"] == len(backs)
        assert not {"ContendedError", "StoreUnavailableError"} & ends(results).keys()
        check(desk.store)
    desk.clock.advance(24 * 3600)
    desk.reclaim(pool.pool_id)
    check(desk.store)
    assert len(desk.held(pool.pool_id)) == len(held) > 0
    assert desk.cooling(pool.pool_id) == []
