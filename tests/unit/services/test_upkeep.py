from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import Change, PutAudit, PutFree, TakeFree
from ipam.domain.errors import ContendedError, OutOfTimeError, StoreUnavailableError
from ipam.services.audit import note
from ipam.services.plan import current_plan
from ipam.services.ports import NoDeadline, Ports
from ipam.services.upkeep import Failure, Report, keep_up
from tests.builders import Desk, SeededChance, block
from tests.faults import Around, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.errors import TemporaryError
    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]

COOLING = 60


class Steps:
    """A deadline that is over after so many questions."""

    def __init__(self, left: int) -> None:
        self.left = left

    def ensure(self) -> None:
        """See the port."""
        self.left -= 1
        if self.left < 0:
            raise OutOfTimeError


class Closed(Around):
    """A store that some pools cannot be read from."""

    def __init__(self, desk: Desk, faults: dict[str, TemporaryError]) -> None:
        super().__init__(desk.store)
        self._faults = faults

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name == "all_free" and args[0] in self._faults:
            raise self._faults[args[0]]
        return super().call(name, do, args)


@pytest.fixture
def scope(desk: Desk) -> str:
    return desk.scope()


def cooled(desk: Desk, pool_of: MakePool, scope: str, names: str) -> dict[str, Pool]:
    """Make pools of 16 blocks each, all of them released and cooled."""
    pools = {
        name: pool_of(f"10.0.{number}.0/28", name=name, scope=scope, cooling_seconds=COOLING)
        for number, name in enumerate(names)
    }
    for name, pool in pools.items():
        owners = [f"{name}{number}" for number in range(16)]
        held = [desk.allocate(desk.request(owner, 32, pool=pool)).grant for owner in owners]
        for owner, grant in zip(owners, held, strict=True):
            desk.release(owner, grant.allocation_id)
    desk.clock.advance(COOLING)
    return pools


def split(desk: Desk, pool_id: str, whole: str) -> None:
    """Leave the halves of a free block side by side, as colliding writers do."""
    halves = (PutFree(pool_id, half) for half in block(whole).subnets(block(whole).length + 1))
    audit = PutAudit(note(desk.ports, pool_id, "split", "test"))
    desk.store.commit(Change((TakeFree(pool_id, block(whole)), *halves, audit)))


def whole(desk: Desk, pools: dict[str, Pool]) -> set[str]:
    """Tell which pools are one free block again."""
    return {name for name, pool in pools.items() if len(desk.free(pool.pool_id)) == 1}


def test_every_pool_is_served_in_one_run(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """I2: what has cooled anywhere is free and whole again, and the report counts it."""
    pools = cooled(desk, pool_of, scope, "abc")
    assert keep_up(desk.ports, NoDeadline()) == Report(pools=4, looked_at=4, changed=3, failures=())
    assert whole(desk, pools) == {"a", "b", "c"}
    assert not any(desk.cooling(pool.pool_id) for pool in pools.values())
    check(desk.store, canonical=True)


def test_what_still_cools_is_left(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """I7: no run ends a cooling before its time."""
    pools = cooled(desk, pool_of, scope, "a")
    desk.clock.advance(-0.001)
    assert keep_up(desk.ports, NoDeadline()).changed == 0
    assert len(desk.cooling(pools["a"].pool_id)) == 16


@pytest.mark.parametrize("world", ["0.0.0.0/0", "::/0"])
def test_a_scope_is_served_in_both_families(desk: Desk, scope: str, world: str) -> None:
    """I2: free halves of a scope are joined, whatever family they are of."""
    split(desk, scope, world)
    assert keep_up(desk.ports, NoDeadline()) == Report(pools=1, looked_at=1, changed=1, failures=())
    assert desk.free(scope, block(world).family) == [world]


def test_a_pool_is_served_in_its_own_family(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """An IPv6 pool is joined like another, and nobody pays for looking for IPv4 in it."""
    pool = pool_of("fd00::/40", name="six", scope=scope, family=6)
    split(desk, pool.pool_id, "fd00::/40")
    watched = Recorder(desk.store)
    keep_up(desk.another(watched).ports, NoDeadline())
    assert desk.free(pool.pool_id, 6) == ["fd00::/40"]
    assert watched.calls.count("all_free") == 3


def test_with_nothing_to_do_nothing_is_written(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """A run over a plan in order reads, and that is all."""
    pool_of("10.0.0.0/24", scope=scope)
    watched = Recorder(desk.store)
    assert keep_up(desk.another(watched).ports, NoDeadline()).changed == 0
    assert "commit" not in watched.calls


def test_without_a_plan_there_is_nothing_to_do(desk: Desk) -> None:
    """A system that nobody has planned for yet is no error."""
    assert keep_up(desk.ports, NoDeadline()) == Report(pools=0, looked_at=0, changed=0, failures=())


@pytest.mark.parametrize("fault", [StoreUnavailableError("ThrottlingException"), ContendedError("b", 8)])
def test_a_pool_that_fails_does_not_stop_the_others(
    desk: Desk, pool_of: MakePool, scope: str, fault: TemporaryError
) -> None:
    """The others are served, whichever comes first, and the failure is told with its cause; the next run makes good."""
    pools = cooled(desk, pool_of, scope, "abc")
    store = Closed(desk, {pools["b"].pool_id: fault})
    report = keep_up(desk.another(store).ports, NoDeadline())
    assert report == Report(pools=4, looked_at=4, changed=2, failures=(Failure("b", fault),))
    assert not report.out_of_time
    assert whole(desk, pools) == {"a", "c"}
    keep_up(desk.ports, NoDeadline())
    assert whole(desk, pools) == {"a", "b", "c"}
    check(desk.store, canonical=True)


def test_a_fault_of_our_own_is_not_hidden(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """What is not expected to pass by itself is raised."""
    pool = pool_of("10.0.0.0/24", scope=scope)
    store = Closed(desk, {pool.pool_id: ValueError("a broken item")})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="a broken item"):
        keep_up(desk.another(store).ports, NoDeadline())


def test_without_the_plan_the_run_fails(desk: Desk) -> None:
    """A run that knows of no pool cannot say that all is well."""

    class Down(Around):
        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            del name, do, args
            raise StoreUnavailableError("ThrottlingException")

    with pytest.raises(StoreUnavailableError):
        keep_up(desk.another(Down(desk.store)).ports, NoDeadline())


@pytest.mark.parametrize("steps", range(0, 60, 7))
def test_a_run_that_runs_out_of_time_is_gone_on_with(desk: Desk, pool_of: MakePool, scope: str, steps: int) -> None:
    """I1: wherever the time ends, whole changes are left, and later runs finish."""
    pools = cooled(desk, pool_of, scope, "abc")
    report = keep_up(desk.ports, Steps(steps))
    assert report.out_of_time == (report.looked_at < 4)
    assert report.failures == ()
    check(desk.store)
    keep_up(desk.ports, NoDeadline())
    assert whole(desk, pools) == {"a", "b", "c"}
    check(desk.store, canonical=True)


def test_reading_alone_heeds_the_time_too(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """A run over many pools without work ends in time as well."""
    for number in range(5):
        pool_of(f"10.0.{number}.0/24", name=f"pool {number}", scope=scope)
    report = keep_up(desk.ports, Steps(3))
    assert report.out_of_time
    assert 1 <= report.looked_at <= 3


def test_runs_that_never_finish_leave_no_pool_out(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """Runs with time for one pool only serve all of them before long, because each starts at another."""
    pools = {name: pool_of(f"10.0.{number}.0/24", name=name, scope=scope) for number, name in enumerate("abcdef")}
    for pool in pools.values():
        split(desk, pool.pool_id, desk.free(pool.pool_id)[0])
    for _ in range(40):
        assert keep_up(desk.ports, Steps(2)).out_of_time
    assert whole(desk, pools) == set("abcdef")


def test_a_run_starts_anywhere_and_goes_round(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """Chance says where it begins; from there every pool has its turn once."""
    order = [scope, *(pool_of(f"10.0.{number}.0/24", name=f"{number}", scope=scope).pool_id for number in range(3))]

    class At(SeededChance):
        def below(self, limit: int) -> int:
            assert limit == 4
            return start

    class Order(Around):
        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == "all_free" and args[0] not in seen:
                seen.append(args[0])
            return super().call(name, do, args)

    for start in range(4):
        seen: list[str] = []
        at = desk.another(Order(desk.store)).ports
        keep_up(Ports(at.store, at.clock, At(), at.memory), NoDeadline())
        assert sorted(seen) == sorted(order)
        assert seen[0] == [*desk.store.plan().scopes, *desk.store.plan().pools][start]


def test_a_pool_made_since_the_last_run_is_served(desk: Desk, pool_of: MakePool, scope: str) -> None:
    """The plan is read anew, however fresh what the process remembers is."""
    at = desk.another()
    assert current_plan(at.ports).pools == {}
    pool = pool_of("10.0.0.0/24", scope=scope)
    split(desk, pool.pool_id, "10.0.0.0/24")
    assert keep_up(at.ports, NoDeadline()).changed == 1
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]
