"""Requests of one resource of the plan: in every order in which their reads and commits can fall, and with every fault."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import InUseError, NoSuchPoolError, SupersededError, TemporaryError
from ipam.domain.owner import OwnerKey
from ipam.domain.pool import SourceResource
from ipam.services.pools import NewPool
from ipam.services.settle import NewScope, end_pool, end_scope, settle_pool, settle_scope
from ipam.services.settle_cidrs import Holding
from ipam.services.turns import Turn
from tests.builders import ACCOUNT, NOON, REGION, STACK, Desk, SeededChance, block
from tests.faults import Faulty
from tests.interleaving import explore
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam.domain.cidr import Cidr
    from ipam.services.ports import Store
    from tests.faults import Fault
    from tests.interleaving import Scene

LIMIT = 20_000
DELIVERIES = 8
FAULTS: list[Fault] = ["busy", "lost-before", "lost-after"]
POOL_ID = "ipam-pool-0123456789abcdef0"
SCOPE_ID = "ipam-scope-0123456789abcdef0"
SECOND = 1000

Work = "Callable[[Desk], object]"


def turn(at: int, name: str = "Part", party: str = STACK) -> Turn:
    """One request, some seconds after noon."""
    return Turn(OwnerKey(party, name), ACCOUNT, NOON + at * SECOND, f"request {at}")


class World:
    """A desk with a parent pool, the same each time."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.scope = self.desk.scope()
        self.parent = self.desk.pool(NewPool("parent", self.scope), "10.0.0.0/8")
        self.wanted = NewPool("part", self.scope, source_pool_id=self.parent.pool_id)

    def settle(self, at: int, desk: Desk, description: str = "") -> str:
        """Serve a request that wants the pool."""
        wanted = NewPool("part", self.scope, source_pool_id=self.parent.pool_id, description=description)
        return settle_pool(desk.ports, turn(at), POOL_ID, wanted, desk.deadline)[1]

    def end(self, at: int, desk: Desk, *, cascade: bool = False) -> str:
        """Serve a request that ends the pool."""
        return end_pool(desk.ports, turn(at), POOL_ID, desk.deadline, cascade=cascade)

    def holding(self, at: int, desk: Desk, *claimed: str) -> Holding:
        """What the pool has on behalf of a resource."""
        return Holding(desk.ports, turn(at, "Cidrs", POOL_ID), desk.deadline, [block(cidr) for cidr in claimed])

    def provision(self, at: int, desk: Desk, wanted: str | int = "10.0.0.0/16") -> str:
        """Serve a request that wants a CIDR."""
        return str(self.holding(at, desk).settle(block(wanted) if isinstance(wanted, str) else wanted))

    def deprovision(self, at: int, desk: Desk) -> str:
        """Serve a request that gives all of the resource's CIDRs back."""
        return self.holding(at, desk, "10.0.0.0/16").end()

    def at_own_desk(self, work: Callable[[Desk], object], number: int) -> Callable[[Store], object]:
        """Let a work happen at a desk of its own."""

        def act(store: Store) -> object:
            desk = self.desk.another(store)
            desk.chance = SeededChance(f"client {number}")
            desk.__post_init__()
            return work(desk)

        return act

    def described(self) -> list[str]:
        """Read the description of the pool, if it is there."""
        return [pool.description for pool in self.desk.store.plan().pools.values() if pool.pool_id == POOL_ID]

    def provisioned(self) -> list[str]:
        """Read the pool's CIDRs."""
        return [str(cidr) for cidr in self.desk.store.plan().space(POOL_ID).provisioned]


def every_order(make: Callable[[], tuple[World, Sequence[Callable[[Desk], object]]]]) -> set[tuple[str, ...]]:
    """Run works in every order, check the store after each, and give the ways in which it all ended."""
    worlds: list[World] = []
    seen = set()

    def scene() -> Scene:
        world, works = make()
        worlds.append(world)
        return world.desk.store, [world.at_own_desk(work, number) for number, work in enumerate(works)]

    for _, store, results in explore(scene, LIMIT):
        check(store)
        ends = [result if isinstance(result, str) else type(result).__name__ for result in results]
        seen.add((*ends, *worlds[-1].described()))
    return seen


def test_a_create_beside_its_delete() -> None:
    """Whoever is first, nothing is left: the pool is deleted, or never created."""

    def make() -> tuple[World, Sequence[Callable[[Desk], object]]]:
        world = World()
        return world, [partial(world.settle, 0), partial(world.end, 60)]

    assert every_order(make) == {
        ("created", "deleted"),
        ("SupersededError", "nothing-to-release"),
        ("SupersededError", "deleted"),
        ("ContendedError", "nothing-to-release"),
    }
