"""Accounts are let in and shown out, whatever happens in between."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import PutTenant, RemoveTenant, ReplaceTenant
from ipam.domain.errors import (
    ContendedError,
    InUseError,
    NoSuchTenantError,
    OutOfTimeError,
    QuotaExceededError,
    RotationUnfinishedError,
    ServiceUnavailableError,
    StoreUnavailableError,
)
from ipam.domain.pool import Quota
from ipam.domain.tenant import EVERY_POOL, Tenant
from ipam.services.ports import NoAliases, NoDeadline
from ipam.services.tenancy import (
    LAST_ORDERS,
    MAX_ATTEMPTS,
    MAX_MOVED,
    add_tenant,
    follow_live,
    remove_tenant,
    rotate_key,
)
from tests.builders import ACCOUNT, STACK, Desk
from tests.faults import Faulty, Interrupted, Recorder
from tests.interleaving import explore
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool
    from ipam.services.order import Allocated, AllocateRequest
    from ipam.services.ports import Store
    from tests.faults import Fault
    from tests.interleaving import Scene

    MakePool = Callable[..., Pool]

OTHER = "444455556666"
DAY = 24 * 3600


def tenant(desk: Desk, account: str = ACCOUNT) -> Tenant | None:
    """Read a tenant."""
    return desk.store.plan().tenants.get(account)


def events(desk: Desk, account: str = ACCOUNT) -> list[str]:
    """Read what happened to a tenant, in order."""
    return [record.event for record in sorted(desk.store.audit(account), key=lambda record: record.at)]


def by_tenant(desk: Desk, name: str = "Net", length: int = 26, **said: Any) -> AllocateRequest:
    """Say what a tenant's stack asks for."""
    return replace(desk.request(name, length, **said), by_tenant=True)


def order(desk: Desk, name: str = "Net", length: int = 26, **said: Any) -> Allocated:
    """Order as a tenant's stack."""
    return desk.allocate(by_tenant(desk, name, length, **said))


def add(desk: Desk) -> Tenant:
    """Let the account in, unchanged."""
    return add_tenant(desk.ports, ACCOUNT, lambda present: present, "test")


def remove(desk: Desk) -> None:
    """Show the account out."""
    remove_tenant(desk.ports, ACCOUNT, "test")


# ---------------------------------------------------------------------------------------------------------------- in


def test_an_account_is_let_in(desk: Desk) -> None:
    """It is recorded with what is said of it, has a way in, and both are written down (I6)."""
    desk.tenant(name="shop", unit="ou-abcd-12345678")
    assert tenant(desk) == Tenant(ACCOUNT, "shop", "ou-abcd-12345678", desk.clock.now())
    assert desk.outside.aliases.open == {ACCOUNT: 1}
    assert events(desk) == ["tenant-added"]


def test_adding_it_again_changes_what_is_said_and_nothing_else(desk: Desk) -> None:
    """Without a change nothing is written; its key stays what it is."""
    desk.tenant(name="shop")
    rotate_key(desk.ports, ACCOUNT, DAY, "test")
    before = tenant(desk)
    watched = Recorder(desk.store)
    desk.another(watched).tenant()
    assert watched.committed == [] and tenant(desk) == before
    desk.clock.advance(1)
    desk.tenant(name="till")
    now = tenant(desk)
    assert before and now == replace(before, name="till", version=before.version + 1)
    assert events(desk)[-1] == "tenant-changed"


def test_one_that_was_leaving_is_back(desk: Desk, pool_of: MakePool) -> None:
    """It orders again, with the key that it had."""
    pool_of("10.0.0.0/24")
    desk.tenant()
    rotate_key(desk.ports, ACCOUNT, DAY, "test")
    order(desk)
    with pytest.raises(InUseError):
        remove(desk)
    desk.tenant()
    back = tenant(desk)
    assert back and (back.standing, back.left, back.generation) == ("active", None, 2)
    assert order(desk, "Another").outcome == "allocated"


def test_an_alias_that_could_not_be_made_is_made_when_it_is_done_again(desk: Desk) -> None:
    """The record is there first; who runs it again finishes it, and so does upkeep."""
    desk.outside.aliases.shut = True
    with pytest.raises(ServiceUnavailableError):
        add(desk)
    assert tenant(desk) and not desk.outside.aliases.open
    desk.outside.aliases.shut = False
    add(desk)
    assert desk.outside.aliases.open == {ACCOUNT: 1}
    assert events(desk) == ["tenant-added"]


def test_a_process_without_aliases_says_so() -> None:
    """Every deed of it is unavailable, and it knows no ServiceToken."""
    aliases = NoAliases()
    assert aliases.service_token(ACCOUNT) == ""
    deeds: list[Callable[[], object]] = [
        lambda: aliases.outdated([ACCOUNT]),
        lambda: aliases.let_in(ACCOUNT),
        lambda: aliases.shut_out(ACCOUNT),
    ]
    for do in deeds:
        with pytest.raises(ServiceUnavailableError, match="not configured"):
            do()


# --------------------------------------------------------------------------------------------------------------- out


def test_one_that_holds_nothing_is_gone(desk: Desk, pool_of: MakePool) -> None:
    """Its record and its way in; what it held before is no hindrance, though it cools."""
    pool_of("10.0.0.0/24", cooling_seconds=DAY)
    desk.tenant()
    desk.release("Net", order(desk).grant.allocation_id)
    desk.clock.advance(1)
    remove(desk)
    assert tenant(desk) is None and not desk.outside.aliases.open
    assert events(desk) == ["tenant-added", "tenant-changed", "tenant-removed"]
    with pytest.raises(NoSuchTenantError):
        remove(desk)
    check(desk.store)


def test_it_is_gone_only_when_no_order_of_before_can_come(desk: Desk) -> None:
    """A function may remember for a while that it is a tenant: so long is waited, from when it began to leave."""
    desk.tenant()
    desk.outside.aliases.shut = True
    with pytest.raises(ServiceUnavailableError):
        remove(desk)
    assert sum(desk.clock.slept) == LAST_ORDERS
    desk.outside.aliases.shut = False
    remove(desk)
    assert sum(desk.clock.slept) == LAST_ORDERS
    assert tenant(desk) is None


def test_an_order_from_before_is_seen(desk: Desk, pool_of: MakePool) -> None:
    """A function that has not heard that the account leaves serves it; then it holds something, and stays."""
    pool_of("10.0.0.0/24")
    desk.tenant()
    function = desk.another()
    order(function)

    def late(milliseconds: int) -> None:
        if milliseconds == LAST_ORDERS:
            assert order(function, "Late").outcome == "allocated"
        desk.clock.milliseconds += milliseconds

    function.release("Net", function.record().grants[0].allocation_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.clock, "sleep", late)
        with pytest.raises(InUseError):
            remove(desk)
    leaving = tenant(desk)
    assert leaving and leaving.standing == "leaving" and desk.outside.aliases.open
    with pytest.raises(NoSuchTenantError):
        order(function, "Later")


def test_one_that_holds_something_is_leaving(desk: Desk, pool_of: MakePool) -> None:
    """It orders no more, keeps what it has and how it comes in, and is told by pools what it holds."""
    pool_of("10.0.0.0/24", name="a")
    pool_of("10.1.0.0/24", name="b")
    desk.tenant()
    order(desk, "A", pool_name="a")
    order(desk, "B", pool_name="a")
    order(desk, "C", pool_name="b")
    with pytest.raises(InUseError) as raised:
        remove(desk)
    assert (raised.value.what, raised.value.users) == (f"tenant {ACCOUNT}", ("2 of a", "1 of b"))
    assert desk.clock.slept == []
    for wanted in ("A new one", "Another"):
        with pytest.raises(NoSuchTenantError):
            order(desk.another(), wanted)
    assert desk.outside.aliases.open == {ACCOUNT: 1}
    with pytest.raises(InUseError):
        remove(desk)


def test_a_leaving_tenant_keeps_and_gives_back(desk: Desk, pool_of: MakePool) -> None:
    """A redelivered Create and an Update in place succeed, another network is refused, a Delete releases."""
    pool = pool_of("10.0.0.0/24")
    desk.tenant()
    first = order(desk)
    asked = by_tenant(desk)
    with pytest.raises(InUseError):
        remove(desk)
    function = desk.another()
    assert function.allocate(asked).grant == first.grant
    desk.clock.advance(1)
    described = replace(by_tenant(desk), description="another")
    assert function.revise(described, first.grant.allocation_id).outcome == "kept"
    with pytest.raises(NoSuchTenantError):
        function.revise(by_tenant(desk, length=25), first.grant.allocation_id)
    desk.clock.advance(1)
    assert function.release("Net", first.grant.allocation_id) == "released"
    assert desk.held(pool.pool_id) == []
    remove(desk)
    assert tenant(desk) is None
    check(desk.store)


def test_only_tenants_are_given_something(desk: Desk, pool_of: MakePool) -> None:
    """An account that is none is refused by name; whoever needs not be one is not."""
    pool_of("10.0.0.0/24")
    with pytest.raises(NoSuchTenantError) as raised:
        order(desk)
    assert raised.value.account == ACCOUNT
    assert desk.allocate(desk.request(length=26)).outcome == "allocated"
    check(desk.store)


def test_a_new_tenant_may_order_at_once(desk: Desk, pool_of: MakePool) -> None:
    """A function that remembers the plan from before looks again before it refuses."""
    pool_of("10.0.0.0/24")
    function = desk.another()
    with pytest.raises(NoSuchTenantError):
        order(function)
    desk.tenant()
    assert order(function).outcome == "allocated"


# ------------------------------------------------------------------------------------------------------------- quota


def test_a_tenants_own_quota_stands_in_the_place_of_the_pools(desk: Desk, pool_of: MakePool) -> None:
    """Above or below it, in the same transaction; another account has the pool's."""
    pool_of("10.0.0.0/16", quota=Quota(allocations=2))
    desk.tenant(quotas=((EVERY_POOL, Quota(allocations=1)),))
    desk.tenant(OTHER, quotas=((EVERY_POOL, Quota(allocations=3)),))
    order(desk, "A")
    with pytest.raises(QuotaExceededError) as raised:
        order(desk, "B")
    assert (raised.value.account, raised.value.limit) == (ACCOUNT, 1)
    theirs = STACK.replace(ACCOUNT, OTHER)
    for name in ("A", "B", "C"):
        order(desk, name, account=OTHER, stack=theirs)
    with pytest.raises(QuotaExceededError):
        order(desk, "D", account=OTHER, stack=theirs)
    check(desk.store)


def test_a_quota_of_one_pool_goes_before_that_of_all(desk: Desk, pool_of: MakePool) -> None:
    """A limit that it does not name is none."""
    pool = pool_of("10.0.0.0/16", name="a", quota=Quota(units=64))
    pool_of("10.1.0.0/16", name="b")
    desk.tenant(quotas=((EVERY_POOL, Quota(units=64)), (pool.pool_id, Quota(allocations=2))))
    order(desk, "A", 24, pool_name="a")
    with pytest.raises(QuotaExceededError):
        order(desk, "B", 25, pool_name="b")
    assert order(desk, "B", 26, pool_name="b").outcome == "allocated"


def test_a_quota_holds_in_the_transaction(desk: Desk, pool_of: MakePool) -> None:
    """Two orders at once, of two processes, are held to it: the one that comes second is refused."""
    pool = pool_of("10.0.0.0/16")
    desk.tenant(quotas=((EVERY_POOL, Quota(allocations=1)),))
    racing = desk.another(Interrupted(desk.store, lambda: order(desk, "First")))
    with pytest.raises(QuotaExceededError):
        order(racing, "Second")
    assert len(desk.held(pool.pool_id)) == 1
    check(desk.store)


# -------------------------------------------------------------------------------------------------------------- keys


def test_a_rotation_counts_on_and_leaves_a_grace(desk: Desk) -> None:
    """The key before is good for as long as was said, and for no longer than one rotation."""
    desk.tenant()
    now = desk.clock.now()
    rotated = rotate_key(desk.ports, ACCOUNT, DAY, "test")
    assert rotated.generations(now) == (2, 1)
    assert rotated.generations(now + DAY * 1000) == (2,)
    with pytest.raises(RotationUnfinishedError) as raised:
        rotate_key(desk.ports, ACCOUNT, DAY, "test")
    assert raised.value.until == now + DAY * 1000
    desk.clock.advance(DAY)
    assert rotate_key(desk.ports, ACCOUNT, DAY, "test").generations(desk.clock.now()) == (3, 2)
    assert rotate_key(desk.ports, ACCOUNT, 0, "test").generations(desk.clock.now()) == (4,)
    with pytest.raises(NoSuchTenantError):
        rotate_key(desk.ports, OTHER, DAY, "test")


def test_a_rotation_whose_answer_was_lost_is_not_made_twice(desk: Desk) -> None:
    """Whoever runs it again is told: a second rotation would end the key that stacks still have."""
    desk.tenant()
    lost = desk.another(Faulty(desk.store, iter(["lost-after"])))
    with pytest.raises(StoreUnavailableError):
        rotate_key(lost.ports, ACCOUNT, DAY, "test")
    with pytest.raises(RotationUnfinishedError):
        rotate_key(lost.ports, ACCOUNT, DAY, "test")
    now = tenant(desk)
    assert now and now.generations(desk.clock.now()) == (2, 1)


def test_two_rotations_at_once_are_one(desk: Desk) -> None:
    """The one that comes second is refused, so that the key before the first is good for its grace."""
    desk.tenant()
    racing = desk.another(Interrupted(desk.store, lambda: rotate_key(desk.ports, ACCOUNT, DAY, "test")))
    with pytest.raises(RotationUnfinishedError):
        rotate_key(racing.ports, ACCOUNT, DAY, "test")


# ----------------------------------------------------------------------------------------------------------- follows


def test_aliases_follow_what_is_live(desk: Desk) -> None:
    """Those of all tenants, leaving ones too: stacks still give back by them. A second run has nothing to do."""
    for account in (ACCOUNT, OTHER):
        desk.tenant(account)
    assert follow_live(desk.ports, NoDeadline()) == (0, ())
    desk.outside.aliases.live = 2
    del desk.outside.aliases.open[OTHER]
    assert follow_live(desk.another().ports, NoDeadline()) == (2, ())
    assert desk.outside.aliases.open == {ACCOUNT: 2, OTHER: 2}
    assert follow_live(desk.another().ports, NoDeadline()) == (0, ())


def test_without_tenants_nobody_is_asked(desk: Desk) -> None:
    """A system that has no tenants needs no right to look at aliases."""
    desk.outside.aliases.shut = True
    assert follow_live(desk.ports, NoDeadline()) == (0, ())


def test_an_alias_that_fails_does_not_keep_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and tried again by the next run; where not even the list is to be had, that is told."""
    for account in (ACCOUNT, OTHER):
        desk.tenant(account)
    doors = desk.outside.aliases
    doors.live = 2
    let_in = doors.let_in

    def fail(account: str) -> None:
        if account == ACCOUNT:
            raise ServiceUnavailableError("AWS Lambda", "TooManyRequestsException")
        let_in(account)

    monkeypatch.setattr(doors, "let_in", fail)
    assert follow_live(desk.ports, NoDeadline()) == (
        1,
        (ServiceUnavailableError("AWS Lambda", "TooManyRequestsException"),),
    )
    assert doors.open == {ACCOUNT: 1, OTHER: 2}
    doors.shut = True
    assert [str(error) for error in follow_live(desk.ports, NoDeadline())[1]] != []


def test_a_run_moves_so_many_at_most(desk: Desk) -> None:
    """The next one goes on with those that are behind."""
    for number in range(MAX_MOVED + 3):
        desk.tenant(f"{number:012d}")
    desk.outside.aliases.live = 2
    assert [follow_live(desk.ports, NoDeadline()) for _ in range(3)] == [(MAX_MOVED, ()), (3, ()), (0, ())]


def test_it_ends_when_the_time_does(desk: Desk) -> None:
    """The next run goes on."""

    class Late:
        def ensure(self) -> None:
            raise OutOfTimeError

    desk.tenant()
    desk.outside.aliases.live = 2
    done, errors = follow_live(desk.ports, Late())
    assert (done, [type(error) for error in errors]) == (0, [OutOfTimeError])
    assert desk.outside.aliases.open == {ACCOUNT: 1}


# ------------------------------------------------------------------------------------------------- races, and crashes


def settled(desk: Desk) -> None:
    """Whatever has happened, the record and the way in tell the same story once upkeep has run."""
    follow_live(desk.another().ports, NoDeadline())
    assert set(desk.store.plan().tenants) <= set(desk.outside.aliases.open)
    check(desk.store)


def steps(*wanted: str) -> Callable[[], Scene]:
    """Set a scene: a tenant that has begun to leave long ago, and what is done to it at once."""

    def make() -> Scene:
        desk = Desk()
        desk.tenant()
        outsides.append(desk)
        deeds: dict[str, Callable[[Store], object]] = {
            "add": lambda store: add(desk.another(store)),
            "remove": lambda store: remove(desk.another(store)),
            "rotate": lambda store: rotate_key(desk.another(store).ports, ACCOUNT, 0, "test"),
        }
        return desk.store, [deeds[name] for name in wanted]

    return make


outsides: list[Desk] = []


@pytest.mark.parametrize("wanted", [("add", "remove"), ("remove", "remove"), ("rotate", "remove"), ("add", "rotate")])
def test_in_every_interleaving_both_come_to_an_end(wanted: tuple[str, str]) -> None:
    """Each is done, or is told that there is no tenant; a tenant has a way in, and no rotation is lost."""
    outsides.clear()
    for count, (schedule, store, results) in enumerate(explore(steps(*wanted), 20_000)):
        desk = outsides[count]
        failed = [result for result in results if isinstance(result, Exception)]
        assert all(isinstance(error, NoSuchTenantError) for error in failed), (schedule, results)
        now = store.plan().tenants.get(ACCOUNT)
        assert now is None or desk.outside.aliases.open == {ACCOUNT: 1}, schedule
        if wanted == ("add", "rotate"):
            assert now and now.generation == 2
        settled(desk)
    assert count > 1


DEEDS: dict[str, Callable[[Desk], object]] = {
    "add": add,
    "change": lambda desk: desk.tenant(name="another"),
    "remove": remove,
    "rotate": lambda desk: rotate_key(desk.ports, ACCOUNT, 0, "test"),
}
FAULTS: list[Fault] = ["busy", "lost-before", "lost-after"]


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("faults", list(itertools.product([*FAULTS, "none"], FAULTS)))
def test_whatever_befalls_a_commit_it_can_be_done_again(deed: str, faults: tuple[Fault, ...]) -> None:
    """Done again until there is an answer, it comes to what one undisturbed run comes to."""
    desk = Desk()
    if deed != "add":
        desk.tenant()
    faulty = Faulty(desk.store, iter(faults))
    for _ in range(4):
        try:
            DEEDS[deed](desk.another(faulty))
        except StoreUnavailableError:
            continue
        except NoSuchTenantError:
            assert deed == "remove"
        break
    now = tenant(desk)
    if deed == "remove":
        assert now is None and not desk.outside.aliases.open
    else:
        assert now and now.standing == "active"
        assert now.generation > 1 if deed == "rotate" else now.generation == 1
    settled(desk)


@pytest.mark.parametrize("deed", ["add", "remove", "rotate"])
def test_a_store_that_is_always_busy_is_given_up(deed: str) -> None:
    """After a bounded number of tries."""
    desk = Desk()
    if deed != "add":
        desk.tenant()
    busy = Faulty(desk.store, itertools.repeat("busy"))
    with pytest.raises(ContendedError) as raised:
        DEEDS[deed](desk.another(busy))
    assert raised.value.attempts == MAX_ATTEMPTS


def test_one_that_is_back_when_it_was_to_be_gone_has_its_way_in(desk: Desk) -> None:
    """Between the last look and the last change it was let in again: its alias is made again before all else."""
    desk.tenant()
    back = Interrupted(desk.store, None, lambda: add(desk))
    shut = desk.outside.aliases
    remover = desk.another(back)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remover.ports.store, "_meanwhile", [None, lambda: add(desk)])
        remove(remover)
    assert tenant(desk) is None and shut.asked.count("let_in") == 3


def test_each_change_is_one_operation_and_its_record(desk: Desk) -> None:
    """The record of the tenant, and the audit record, and nothing else."""
    watched = Recorder(desk.store)
    at = desk.another(watched)
    add(at)
    rotate_key(at.ports, ACCOUNT, DAY, "test")
    remove(at)
    first = [type(change.operations[0]) for change in watched.committed]
    assert first == [PutTenant, ReplaceTenant, ReplaceTenant, RemoveTenant]
    assert {len(change.operations) for change in watched.committed} == {2}
