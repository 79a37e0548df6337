"""Accounts are let in and shown out, whatever happens in between."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import PutTenant, ReplaceTenant
from ipam.domain.errors import (
    ContendedError,
    InUseError,
    NoSuchTenantError,
    NotSetUpError,
    OutOfTimeError,
    QuotaExceededError,
    RotationUnfinishedError,
    ServiceRefusedError,
    ServiceUnavailableError,
    StoreUnavailableError,
)
from ipam.domain.pool import Quota
from ipam.domain.tenant import EVERY_POOL, Tenant
from ipam.services.audit import MAX_NOTE
from ipam.services.ports import NoDeadline
from ipam.services.ports.outside import NoAliases
from ipam.services.tenancy import (
    LAST_ORDERS,
    MAX_ATTEMPTS,
    MAX_FAILED,
    MAX_MOVED,
    add_tenant,
    follow_live,
    remove_tenant,
    rotate_key,
)
from ipam.services.tenants import ways_in
from tests.builders import ACCOUNT, STACK, Desk
from tests.faults import Faulty, Interrupted, Recorder
from tests.interleaving import explore
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool
    from ipam.services.ports.store import Store
    from ipam.services.request import Allocated, AllocateRequest
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


def test_the_history_says_what_was_changed(desk: Desk, pool_of: MakePool) -> None:
    """Each event has a name of its own, and what it does not say stands in its note: facts as they were and are."""
    pool = pool_of("10.0.0.0/24")
    desk.tenant(name="shop", quotas=((EVERY_POOL, Quota(allocations=5)),))
    deeds: list[Callable[[], object]] = [
        lambda: desk.tenant(quotas=((EVERY_POOL, Quota(allocations=5)), (pool.pool_id, Quota(units=256)))),
        lambda: desk.tenant(name="till", quotas=()),
        lambda: rotate_key(desk.ports, ACCOUNT, DAY, "test"),
        lambda: desk.tenant(name="x" * 2000),
        lambda: remove(desk),
        lambda: desk.tenant(name="back"),
    ]
    for deed in deeds:
        desk.clock.advance(1)
        deed()
    told = [(each.event, each.note) for each in sorted(desk.store.audit(ACCOUNT), key=lambda record: record.at)]
    assert told[:4] == [
        (
            "tenant-added",
            "name: none -> shop; standing: none -> active; key_generation: none -> 1; max_allocations: none -> 5",
        ),
        ("quota-changed", f"max_units of {pool.name}: none -> 256"),
        (
            "tenant-changed",
            f"name: shop -> till; max_allocations: 5 -> none; max_units of {pool.name}: 256 -> none",
        ),
        ("key-rotated", "key_generation: 1 -> 2; previous_key_until: none -> 2027-01-16 08:00:03"),
    ]
    assert (told[4][0], len(told[4][1])) == ("tenant-changed", MAX_NOTE)
    assert told[5] == ("tenant-left", "standing: active -> leaving")
    assert [event for event, _ in told[6:]] == ["tenant-removed", "tenant-added"]


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


def test_a_process_without_aliases_says_so(desk: Desk) -> None:
    """It knows of no Region, and of none does it know a ServiceToken."""
    with pytest.raises(ServiceUnavailableError, match="not configured"):
        NoAliases().regions()
    assert ways_in(replace(desk.ports, aliases=NoAliases())) == ()


def test_an_account_is_let_in_everywhere(desk: Desk) -> None:
    """One that fails keeps no other Region, is told by its name, and is made up for when it is done again."""
    home = desk.outside.aliases
    dead, there = home.elsewhere("us-east-1"), home.elsewhere("eu-west-1")
    for shut in (home, dead):
        shut.shut = True
    with pytest.raises(ServiceUnavailableError, match="eu-central-1"):
        add(desk)
    assert (home.open, dead.open, there.open) == ({}, {}, {ACCOUNT: 1})
    home.shut = False
    with pytest.raises(ServiceUnavailableError, match="us-east-1"):
        add(desk)
    assert (home.open, dead.open) == ({ACCOUNT: 1}, {})
    dead.shut = False
    add(desk)
    assert dead.open == {ACCOUNT: 1}
    assert events(desk) == ["tenant-added"]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_it_is_removed_only_when_it_is_shut_out_everywhere(desk: Desk, failing: int) -> None:
    """Whichever Region fails, the others are done and it is leaving still; doing it again does what is left."""
    home = desk.outside.aliases
    regions = [home, home.elsewhere("us-east-1"), home.elsewhere("eu-west-1")]
    desk.tenant()
    regions[failing].shut = True
    with pytest.raises(ServiceUnavailableError, match=regions[failing].region):
        remove(desk)
    leaving = tenant(desk)
    assert leaving and leaving.standing == "leaving"
    assert [region.region for region in regions if region.open] == [regions[failing].region]
    regions[failing].shut = False
    remove(desk)
    assert tenant(desk) is None and not any(region.open for region in regions)


# --------------------------------------------------------------------------------------------------------------- out


def test_one_that_holds_nothing_is_gone(desk: Desk, pool_of: MakePool) -> None:
    """It is no tenant and has no way in; what it held before is no hindrance, though it cools."""
    pool_of("10.0.0.0/24", cooling_seconds=DAY)
    desk.tenant(name="shop", quotas=((EVERY_POOL, Quota(allocations=1)),))
    rotate_key(desk.ports, ACCOUNT, DAY, "test")
    desk.release("Net", order(desk).grant.allocation_id)
    desk.clock.advance(1)
    remove(desk)
    assert tenant(desk) is None and not desk.outside.aliases.open
    kept = desk.store.plan().removed[ACCOUNT]
    assert (kept.name, kept.standing, kept.quotas) == ("shop", "removed", ())
    assert (kept.generation, kept.previous_until) == (2, None)
    assert sorted(events(desk)) == ["key-rotated", "tenant-added", "tenant-left", "tenant-removed"]
    for deed in (remove, lambda desk: rotate_key(desk.ports, ACCOUNT, DAY, "test")):
        with pytest.raises(NoSuchTenantError):
            deed(desk)
    check(desk.store)


def test_one_that_was_removed_does_nothing_and_is_given_nothing(desk: Desk, pool_of: MakePool) -> None:
    """Upkeep makes no way in for it, and what it orders is refused."""
    pool_of("10.0.0.0/24")
    desk.tenant()
    remove(desk)
    assert follow_live(desk.another().ports, NoDeadline()) == (0, ())
    assert not desk.outside.aliases.open
    with pytest.raises(NoSuchTenantError):
        order(desk)


def test_one_that_was_removed_comes_back_with_another_key(desk: Desk, pool_of: MakePool) -> None:
    """No key that it ever had is good, not even for a grace; of what was said of it only names are left."""
    pool_of("10.0.0.0/24")
    desk.tenant(name="shop", quotas=((EVERY_POOL, Quota(allocations=0)),))
    for again in (1, 2):
        rotate_key(desk.ports, ACCOUNT, DAY, "test")
        remove(desk)
        desk.clock.advance(1)
        desk.tenant()
        back = tenant(desk)
        assert back and (back.standing, back.left, back.name, back.quotas) == ("active", None, "shop", ())
        assert back.generations(desk.clock.now()) == (1 + 2 * again,)
        assert back.created == desk.clock.now()
        assert desk.outside.aliases.open == {ACCOUNT: 1}
        assert add(desk) == back
    assert events(desk).count("tenant-added") == 3
    assert order(desk).outcome == "allocated"
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


def test_what_a_removal_left_goes(desk: Desk) -> None:
    """An alias that was being made while its account was removed is taken away by upkeep, in whichever Region it is."""
    doors = [desk.outside.aliases, desk.outside.aliases.elsewhere("us-east-1")]
    desk.tenant(OTHER)
    desk.tenant()
    remove(desk)
    for each in doors:
        each.open[ACCOUNT] = each.live
    assert follow_live(desk.another().ports, NoDeadline()) == (2, ())
    assert [each.open for each in doors] == [{OTHER: 1}, {OTHER: 1}]


@pytest.mark.parametrize("deed", [add, lambda desk: remove_tenant(desk.ports, OTHER, "test")])
def test_who_does_not_know_where_the_ways_in_are_changes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, deed: Callable[[Desk], object]
) -> None:
    """A command without the function's ARN is refused before it has written half of what it should do."""
    desk.tenant(OTHER)
    before = desk.store.plan()

    def unknown() -> list[object]:
        raise NotSetUpError("AWS Lambda", "IPAM_CN_CIDR_FUNCTION is not set")

    monkeypatch.setattr(desk.outside.aliases, "regions", unknown)
    with pytest.raises(NotSetUpError):
        deed(desk)
    assert desk.store.plan().tenants == before.tenants


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


def test_an_account_that_there_is_not_keeps_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistyped, or closed: AWS Lambda lets it in nowhere. Whoever adds it is told; upkeep goes on with the others."""
    doors = desk.outside.aliases
    let_in = doors.let_in

    def refuse(account: str) -> None:
        if account == ACCOUNT:
            raise ServiceRefusedError("AWS Lambda", "the alias", "InvalidParameterValueException")
        let_in(account)

    monkeypatch.setattr(doors, "let_in", refuse)
    with pytest.raises(ServiceRefusedError):
        desk.tenant()
    desk.tenant(OTHER)
    doors.live = 2
    done, errors = follow_live(desk.another().ports, NoDeadline())
    assert (done, [type(error) for error in errors], doors.open) == (1, [ServiceRefusedError], {OTHER: 2})


def test_those_that_fail_each_time_do_not_keep_the_others_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends in a Region after so many faults, and the next one begins elsewhere."""
    doors = desk.outside.aliases
    accounts = [f"{number:012d}" for number in range(MAX_FAILED + 5)]
    for account in accounts:
        desk.tenant(account)
    doors.live = 2
    let_in = doors.let_in

    def refuse(account: str) -> None:
        if account in accounts[:MAX_FAILED]:
            raise ServiceUnavailableError("AWS Lambda", "TooManyRequestsException")
        let_in(account)

    monkeypatch.setattr(doors, "let_in", refuse)
    for _ in range(50):
        follow_live(desk.another().ports, NoDeadline())
    assert [account for account in accounts if doors.open[account] == 2] == accounts[MAX_FAILED:]


def test_a_run_moves_so_many_at_most(desk: Desk) -> None:
    """The next one goes on with those that are behind."""
    for number in range(MAX_MOVED + 3):
        desk.tenant(f"{number:012d}")
    desk.outside.aliases.live = 2
    assert [follow_live(desk.ports, NoDeadline()) for _ in range(3)] == [(MAX_MOVED, ()), (3, ()), (0, ())]


def test_aliases_follow_what_is_live_in_each_region(desk: Desk) -> None:
    """A Region has versions of its own; one that is new gets all that it lacks, but no more in a run than its share."""
    home = desk.outside.aliases
    for number in range(MAX_MOVED):
        desk.tenant(f"{number:012d}")
    there = home.elsewhere("us-east-1")
    home.live = 7
    there.live = 3
    share = MAX_MOVED // 2
    assert [follow_live(desk.another().ports, NoDeadline()) for _ in range(3)] == [
        (2 * share, ()),
        (2 * share, ()),
        (0, ()),
    ]
    assert set(home.open.values()) == {7} and set(there.open.values()) == {3}
    assert home.open.keys() == there.open.keys()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_region_that_fails_does_not_keep_the_others(desk: Desk, failing: int) -> None:
    """It is told, by its name, and tried again by the next run."""
    home = desk.outside.aliases
    regions = [home, home.elsewhere("us-east-1"), home.elsewhere("eu-west-1")]
    desk.tenant()
    for region in regions:
        region.live = 2
    regions[failing].shut = True
    done, errors = follow_live(desk.another().ports, NoDeadline())
    assert (done, [str(error) for error in errors]) == (
        2,
        [str(ServiceUnavailableError(f"AWS Lambda in {regions[failing].region}", "TooManyRequestsException"))],
    )
    regions[failing].shut = False
    assert follow_live(desk.another().ports, NoDeadline()) == (1, ())


def test_a_region_that_fails_again_and_again_is_left_to_the_next_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try may take seconds, which the other Regions and the pools need."""
    home = desk.outside.aliases
    there = home.elsewhere("us-east-1")
    for number in range(MAX_FAILED + 3):
        desk.tenant(f"{number:012d}")
    home.live = there.live = 2

    def fail(account: str) -> None:
        raise ServiceUnavailableError("AWS Lambda in eu-central-1", account)

    monkeypatch.setattr(home, "let_in", fail)
    done, errors = follow_live(desk.another().ports, NoDeadline())
    assert (done, len(errors)) == (MAX_FAILED + 3, MAX_FAILED)


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
        assert desk.outside.aliases.open == ({} if now is None else {ACCOUNT: 1}), schedule
        assert set(store.plan().removed) == ({ACCOUNT} if now is None else set()), schedule
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
        assert desk.store.plan().removed[ACCOUNT].generation == 1
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


def test_one_that_is_shown_out_while_it_is_let_in_is_let_in_again(desk: Desk) -> None:
    """Between its record and its way in it was removed: it does not come to have the one without the other."""
    doors, adding = desk.outside.aliases, desk.another()
    let_in = doors.let_in

    def late(account: str) -> None:
        doors.let_in = let_in  # type: ignore[method-assign]
        remove(desk)
        let_in(account)

    doors.let_in = late  # type: ignore[method-assign]
    add(adding)
    now = tenant(desk)
    assert now and (now.standing, now.generation) == ("active", 2)
    assert desk.outside.aliases.open == {ACCOUNT: 1}


@pytest.mark.parametrize("faults", list(itertools.product([*FAULTS, "none"], FAULTS)))
def test_whatever_befalls_a_return_one_generation_is_passed_over(faults: tuple[Fault, ...]) -> None:
    """Let in again over and over until there is an answer, it has one new key and not several."""
    desk = Desk()
    desk.tenant()
    remove(desk)
    faulty = Faulty(desk.store, iter(faults))
    for _ in range(4):
        try:
            add(desk.another(faulty))
        except StoreUnavailableError:
            continue
        break
    now = tenant(desk)
    assert now and (now.standing, now.generation) == ("active", 2)
    settled(desk)


def test_each_change_is_one_operation_and_its_record(desk: Desk) -> None:
    """The record of the tenant, and the audit record, and nothing else."""
    watched = Recorder(desk.store)
    at = desk.another(watched)
    add(at)
    rotate_key(at.ports, ACCOUNT, DAY, "test")
    remove(at)
    first = [type(change.operations[0]) for change in watched.committed]
    assert first == [PutTenant, ReplaceTenant, ReplaceTenant, ReplaceTenant]
    assert {len(change.operations) for change in watched.committed} == {2}
