from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.change import Change, PutAudit, PutFree, TakeFree
from ipam.domain.errors import OutOfTimeError
from ipam.domain.free_space import MAX_JOINED
from ipam.services.audit import note
from ipam.services.reclaim import BATCH, reclaim
from tests.builders import Desk, block
from tests.faults import Interrupted, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]


def cool(desk: Desk, count: int, length: int) -> None:
    """Allocate and release so many blocks."""
    held = [desk.allocate(desk.request(f"n{number}", length)).grant for number in range(count)]
    for number, grant in enumerate(held):
        desk.release(f"n{number}", grant.allocation_id)


def test_nothing_is_freed_before_its_time(desk: Desk, pool_of: MakePool) -> None:
    """I7: one millisecond before the end a block still cools; at the end it is free."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    cool(desk, 1, 24)
    desk.clock.advance(59.999)
    assert not desk.reclaim(pool.pool_id)
    assert desk.cooling(pool.pool_id) == ["10.0.0.0/24"]
    desk.clock.advance(0.001)
    assert desk.reclaim(pool.pool_id)
    assert (desk.cooling(pool.pool_id), desk.free(pool.pool_id)) == ([], ["10.0.0.0/24"])
    check(desk.store, canonical=True)


def test_each_block_has_its_own_time(desk: Desk, pool_of: MakePool) -> None:
    """I7: what was released later cools longer, and its neighbours do not wait for it."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    held = [desk.allocate(desk.request(name, 26)).grant for name in "abcd"]
    for name, grant in zip("abcd", held, strict=True):
        desk.release(name, grant.allocation_id)
        desk.clock.advance(10)
    desk.clock.advance(30)
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/25"]
    assert desk.cooling(pool.pool_id) == ["10.0.0.128/26", "10.0.0.192/26"]
    check(desk.store, canonical=True)


def test_cooled_blocks_are_joined(desk: Desk, pool_of: MakePool) -> None:
    """I2: what becomes free grows over its free buddies."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    cool(desk, 16, 28)
    desk.clock.advance(60)
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]
    check(desk.store, canonical=True)


def test_what_was_done_is_written_down(desk: Desk, pool_of: MakePool) -> None:
    """I6: the end of a cooling has a record that names block and allocation."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    grant = desk.allocate(desk.request("a", 24)).grant
    desk.release("a", grant.allocation_id)
    desk.clock.advance(60)
    desk.reclaim(pool.pool_id)
    (record,) = [record for record in desk.store.audit(pool.pool_id) if record.event == "cooled"]
    assert (record.cidr, record.allocation_id, record.owner) == (grant.cidr, grant.allocation_id, None)


def test_more_than_one_batch_is_done_in_one_run(desk: Desk, pool_of: MakePool) -> None:
    """A run goes on until nothing is left, however much has cooled; the next one finds nothing to do."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    cool(desk, 2 * BATCH + 20, 32)
    desk.clock.advance(60)
    assert desk.reclaim(pool.pool_id)
    assert desk.cooling(pool.pool_id) == []
    assert not desk.reclaim(pool.pool_id)
    check(desk.store, canonical=True)


def test_a_run_for_an_exact_block_stops_when_it_is_free(desk: Desk, pool_of: MakePool) -> None:
    """Room elsewhere is not what is waited for, and what is free beyond it is left to upkeep."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    cool(desk, 12, 28)
    desk.clock.advance(60)
    assert desk.reclaim(pool.pool_id, wanted=block("10.0.0.32/27"))
    assert "10.0.0.0/26" in desk.free(pool.pool_id)
    assert len(desk.cooling(pool.pool_id)) == 8
    check(desk.store, canonical=True)


def test_a_run_for_somebody_stops_when_there_is_room(desk: Desk, pool_of: MakePool) -> None:
    """Who waits for a block of a length waits for no more than that."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    cool(desk, 16, 28)
    desk.clock.advance(60)
    assert desk.reclaim(pool.pool_id, wanted=27)
    assert desk.free(pool.pool_id) == ["10.0.0.0/27"]
    assert len(desk.cooling(pool.pool_id)) == 14
    check(desk.store, canonical=True)


def test_an_interrupted_run_has_lost_nothing(desk: Desk, pool_of: MakePool) -> None:
    """I1: a run that is ended by its deadline leaves whole changes, and another finishes."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    cool(desk, 8, 27)
    desk.clock.advance(60)

    class After:
        def __init__(self, steps: int) -> None:
            self.left = steps

        def ensure(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise OutOfTimeError

    for steps in range(4):
        with pytest.raises(OutOfTimeError):
            reclaim(desk.another().ports, desk.store.plan().space(pool.pool_id), 4, None, After(steps))
        check(desk.store)
    assert len(desk.cooling(pool.pool_id)) == 8 - sum(range(4))
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]
    check(desk.store, canonical=True)


def test_two_runs_at_once_share_the_work(desk: Desk, pool_of: MakePool) -> None:
    """I1: what the other run has done already is left, and the rest is done."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    cool(desk, 8, 27)
    desk.clock.advance(60)
    store = Interrupted(desk.store, None, None, lambda: desk.another().reclaim(pool.pool_id, wanted=26))
    assert desk.another(store).reclaim(pool.pool_id)
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]
    check(desk.store, canonical=True)


def test_halves_left_side_by_side_are_joined(desk: Desk, pool_of: MakePool) -> None:
    """I2: what colliding writers left over becomes whole, across several levels."""
    pool = pool_of("10.0.0.0/24")
    pieces = list(block("10.0.0.0/24").subnets(27))
    frees = (PutFree(pool.pool_id, piece) for piece in pieces)
    audit = PutAudit(note(desk.ports, pool.pool_id, "split", "test"))
    desk.store.commit(Change((TakeFree(pool.pool_id, block("10.0.0.0/24")), *frees, audit)))
    assert desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]
    check(desk.store, canonical=True)


def give_back(desk: Desk, *grants: tuple[str, Grant]) -> None:
    """Release blocks, each by a process of its own."""
    for name, grant in grants:
        assert desk.another().release(name, grant.allocation_id) == "released"


def test_what_is_given_back_is_joined(desk: Desk, pool_of: MakePool) -> None:
    """I2: as blocks come back, in whatever order, upkeep lets each grow over its free buddies."""
    pool = pool_of("10.0.0.0/24")
    held = [desk.allocate(desk.request(f"n{number}", 27)).grant for number in range(8)]
    for number in (3, 0, 7, 2, 5, 1, 4, 6):
        give_back(desk, (f"n{number}", held[number]))
        check(desk.store)
        desk.reclaim(pool.pool_id)
        check(desk.store, canonical=True)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]


def test_an_order_joins_what_was_given_back(desk: Desk, pool_of: MakePool) -> None:
    """I2: what releases leave side by side is no reason to call a pool exhausted."""
    pool_of("10.0.0.0/24")
    held = [desk.allocate(desk.request(f"n{number}", 28)).grant for number in range(16)]
    give_back(desk, *((f"n{number}", grant) for number, grant in enumerate(held)))
    assert desk.another().allocate(desk.request("all", 24)).grant.cidr == block("10.0.0.0/24")
    check(desk.store, canonical=True)


def test_provisioned_cidrs_stay_apart(desk: Desk, pool_of: MakePool) -> None:
    """A free block does not grow beyond the CIDR that was provisioned, though its buddy is free and the pool's own."""
    pool = pool_of("10.0.0.0/24", "10.0.1.0/24")
    give_back(desk, ("a", desk.allocate(desk.request("a", cidr="10.0.0.0/25")).grant))
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/24", "10.0.1.0/24"]
    check(desk.store, canonical=True)


@pytest.mark.parametrize(("provisioned", "length"), [("10.0.0.0/8", 32), ("2001:db8::/32", 128), ("::/0", 128)])
def test_more_levels_than_one_change_takes_are_joined_in_one_run(
    desk: Desk, pool_of: MakePool, provisioned: str, length: int
) -> None:
    """I2: a block grows level by level to the whole CIDR, in as many changes as transactions need."""
    family = block(provisioned).family
    pool = pool_of(provisioned, family=family)
    give_back(desk, ("a", desk.allocate(desk.request("a", length, family=family)).grant))
    watched = Recorder(desk.store)
    assert desk.another(watched).reclaim(pool.pool_id, family)
    assert desk.free(pool.pool_id, family) == [provisioned]
    assert len(watched.committed) == -(-(length - block(provisioned).length) // MAX_JOINED)
    check(desk.store, canonical=True)


@pytest.mark.parametrize("commits", range(3))
def test_a_buddy_that_is_taken_meanwhile_is_not_joined(desk: Desk, pool_of: MakePool, commits: int) -> None:
    """I1, I2: between the read of free buddies and a commit somebody takes one: it is left, and the rest is joined."""
    pool = pool_of("10.0.0.0/24")
    held = [desk.allocate(desk.request(f"n{number}", 27)).grant for number in range(8)]
    give_back(desk, *((f"n{number}", held[number]) for number in (0, 1, 2, 3, 5, 6, 7)))
    taking = lambda: desk.another().allocate(desk.request("b", cidr="10.0.0.192/27"))  # noqa: E731
    desk.another(Interrupted(desk.store, *[None] * commits, taking)).reclaim(pool.pool_id)
    check(desk.store)
    desk.reclaim(pool.pool_id)
    assert desk.free(pool.pool_id) == ["10.0.0.0/25", "10.0.0.160/27", "10.0.0.224/27"]
    check(desk.store, canonical=True)


def test_with_nothing_to_do_nothing_is_written(desk: Desk, pool_of: MakePool) -> None:
    """A canonical pool is left alone, also where two provisioned CIDRs stand side by side."""
    pool = pool_of("10.0.0.0/24", "10.0.1.0/24")
    watched = Recorder(desk.store)
    assert not desk.another(watched).reclaim(pool.pool_id)
    assert "commit" not in watched.calls


def test_what_was_remembered_as_free_is_forgotten(desk: Desk, pool_of: MakePool) -> None:
    """After a change of the free blocks hints would only cost tries."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    at = desk.another()
    held = [at.allocate(desk.request(name, 27)).grant for name in "ab"]
    at.release("a", held[0].allocation_id)
    desk.clock.advance(60)
    assert at.reclaim(pool.pool_id)
    assert at.ports.memory.free_block(pool.pool_id, 4, 26) is None
