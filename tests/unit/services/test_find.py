from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.cidr import WIDTHS, Cidr
from ipam.services.find import NEIGHBOURS, place
from ipam.services.pools import NewPool
from tests.builders import REGION, block
from tests.faults import Around

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.cidr import Family
    from ipam.domain.pool import Pool
    from ipam.services.ports.store import Store
    from tests.builders import Desk


class Counting(Around):
    """A store that counts the allocations which are read."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.read = 0

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name != "allocations":
            return super().call(name, do, args)
        held = list(do())
        self.read += len(held)
        return iter(held)


def everything(desk: Desk, pool: Pool) -> list[Cidr]:
    """Read every block of a pool, in address order."""
    store = desk.store
    free = list(store.all_free(pool.pool_id, pool.family))
    held = [each.cidr for each in store.allocations(pool.pool_id)]
    return sorted(free + held + [each.cidr for each in store.cooling(pool.pool_id, 1000)])


@pytest.mark.parametrize(
    ("family", "cidrs", "shortest"), [(4, ("10.0.0.0/20", "10.9.0.0/21"), 26), (6, ("fd00::/116", "fd01::/117"), 122)]
)
def test_a_place_is_what_reading_everything_shows(
    desk: Desk, family: Family, cidrs: tuple[str, ...], shortest: int
) -> None:
    """The blocks at any place, and the two on each side, are those of the whole pool, of which little is read."""
    pool = desk.pool(NewPool("busy", desk.scope(), family, locale=REGION, cooling_seconds=60), *cidrs)
    chance = random.Random(4)
    width = WIDTHS[family]
    for number in range(150):
        desk.allocate(desk.request(f"N{number}", chance.randint(shortest, width - 2), pool=pool, family=family))
    for number in chance.sample(range(150), 70):
        desk.release(f"N{number}", desk.record(f"N{number}").grants[0].allocation_id)
        desk.clock.advance(1)
    desk.reclaim(pool.pool_id, family)
    plan, blocks = desk.store.plan(), everything(desk, pool)
    for _ in range(200):
        inside = block(chance.choice(cidrs))
        wanted = Cidr(family, chance.randrange(inside.first, inside.last + 1), width).supernet(
            chance.randint(inside.length, width)
        )
        found = place(desk.ports, plan, pool.pool_id, wanted)
        assert found.settled
        assert [each.cidr for each in found.blocks] == [each for each in blocks if each.overlaps(wanted)]
        before = [each for each in blocks if each.last < min(wanted.first, found.blocks[0].cidr.first)]
        after = [each for each in blocks if each.first > max(wanted.last, found.blocks[-1].cidr.last)]
        assert [each.cidr for each in found.before] == before[-NEIGHBOURS:]
        assert [each.cidr for each in found.after] == after[:NEIGHBOURS]


def test_little_is_read_of_a_large_pool(desk: Desk, pool_of: Callable[..., Pool]) -> None:
    """Of a thousand allocations those around the place are read, also at the edge of large blocks."""
    pool = pool_of("10.0.0.0/12")
    for number in range(1000):
        desk.allocate(desk.request(f"N{number}", 24, pool=pool))
    plan, store = desk.store.plan(), Counting(desk.store)
    for where in ("10.0.0.0/32", "10.1.0.0/32", "10.0.255.255/32", "10.3.231.7/32", "10.2.0.0/24"):
        store.read = 0
        counted: Any = store
        found = place(desk.another(counted).ports, plan, pool.pool_id, block(where))
        assert found.settled and len(found.blocks) == 1
        assert store.read <= 100
