from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.allocation import PendingOrder
from ipam.domain.change import Change, PutAudit, PutOwner, PutPending, TakePending
from ipam.domain.errors import (
    ContendedError,
    InUseError,
    InvalidPoolError,
    NameTakenError,
    NoSuchPoolError,
    OutOfTimeError,
)
from ipam.domain.owner import OwnerRecord
from ipam.domain.pool import MAX_DEPTH, AllocationRules, Quota, SourceResource
from ipam.services.audit import note
from ipam.services.pools import MAX_ATTEMPTS, NewPool, create_pool, delete_pool, edit_pool
from ipam.services.provision import provision
from tests.builders import ACCOUNT, NOON, REGION, Desk, block, blocks, owner_key
from tests.faults import Faulty, Interrupted, Recorder, Torn
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]
    Edit = Callable[[Pool], Pool]

POOL_ID = "ipam-pool-0123456789abcdef0"


class Late:
    """No time is left."""

    def ensure(self) -> None:
        """See the port."""
        raise OutOfTimeError


def events(desk: Desk, subject: str) -> list[str]:
    """Read what happened to a pool itself, in no order: a test has no time."""
    return sorted(record.event for record in desk.store.audit(subject) if record.cidr is None)


def described(text: str) -> Edit:
    """Say something else of a pool."""
    return lambda pool: replace(pool, description=text)


def record_of(desk: Desk, name: str = "Pool") -> PutOwner:
    """Make the record of the resource that a pool is created for."""
    return PutOwner(replace(desk.record(name), fence=NOON), expires=None)


# --- create ---


def test_a_pool_is_stored_as_it_was_described(desk: Desk) -> None:
    """Every property of a pool is what was asked for, and it has no space yet."""
    scope = desk.scope()
    rules = AllocationRules(48, 64, 56, required_tags=(("team", "net"),), allowed_cidrs=(block("fd00::/16"),))
    new = NewPool(
        "vpcs",
        scope,
        6,
        None,
        REGION,
        "for VPCs",
        frozenset({"vpc"}),
        rules,
        Quota(3, 9),
        60,
        tags=(("stage", "prod"),),
        shared_with=(ACCOUNT, "ou-abcd-12345678"),
        vpc_ipam_pool_id="ipam-pool-aws",
        auto_import=True,
        sticky=True,
    )
    pool = create_pool(desk.ports, new, "test")
    stored = desk.store.plan().named("vpcs")
    assert stored == pool
    assert (stored.family, stored.locale, stored.description) == (6, REGION, "for VPCs")
    assert (stored.allocation_types, stored.rules) == (new.allocation_types, new.rules)
    assert (stored.quota, stored.cooling_seconds, stored.created) == (new.quota, 60, NOON)
    assert (stored.tags, stored.shared_with) == (new.tags, new.shared_with)
    assert (stored.vpc_ipam_pool_id, stored.auto_import, stored.sticky) == ("ipam-pool-aws", True, True)
    assert desk.free(pool.pool_id, 6) == []
    check(desk.store, canonical=True)


def test_names_are_unique_in_the_whole_plan(desk: Desk) -> None:
    """A name belongs to one scope or pool, also where two are created at once."""
    scope = desk.scope("corporate")
    desk.pool(NewPool("vpcs", scope))
    with pytest.raises(NameTakenError):
        desk.scope("corporate")
    with pytest.raises(NameTakenError):
        desk.scope("vpcs")
    with pytest.raises(NameTakenError):
        desk.pool(NewPool("corporate", scope))
    racing = Interrupted(desk.store, lambda: desk.pool(NewPool("subnets", scope)))
    with pytest.raises(NameTakenError):
        desk.another(racing).pool(NewPool("subnets", scope))
    assert len(desk.store.plan().pools) == 2
    check(desk.store, canonical=True)


@pytest.mark.parametrize(
    "facts",
    [
        {"rules": AllocationRules(28, 16)},
        {"rules": AllocationRules(16, 24, 28)},
        {"scope_id": "ipam-scope-0"},
        {"source_pool_id": "ipam-pool-0"},
        {"cooling_seconds": -1},
        {"source_resource": SourceResource("vpc-0", ACCOUNT, REGION)},
    ],
)
def test_a_pool_that_could_not_work_is_not_created(desk: Desk, facts: dict[str, object]) -> None:
    """A refused pool reserves no name and leaves no trace."""
    scope = desk.scope()
    before = len(list(desk.store.audit(scope)))
    with pytest.raises(InvalidPoolError):
        desk.pool(NewPool(**({"name": "bad", "scope_id": scope} | facts)))  # type: ignore[arg-type]
    assert desk.store.plan().pools == {}
    assert len(list(desk.store.audit(scope))) == before
    assert desk.pool(NewPool("bad", scope)).name == "bad"


def test_pools_nest_ten_deep(desk: Desk) -> None:
    """Ten levels can be made and provisioned through, the eleventh can't (I3)."""
    scope = desk.scope()
    source = None
    for level in range(MAX_DEPTH):
        pool = desk.pool(NewPool(f"level {level}", scope, source_pool_id=source), f"10.0.0.0/{8 + level}")
        source = pool.pool_id
    with pytest.raises(InvalidPoolError):
        desk.pool(NewPool("too deep", scope, source_pool_id=source))
    check(desk.store, canonical=True)


def test_a_pool_counts_on_the_version_of_its_parent(desk: Desk) -> None:
    """Whoever saw the parent without it is refused what depends on that."""
    scope = desk.scope()
    parent = desk.pool(NewPool("parent", scope))
    assert desk.store.plan().scopes[scope].version == 2
    desk.pool(NewPool("child", scope, source_pool_id=parent.pool_id))
    assert desk.store.plan().scopes[scope].version == 2
    assert desk.store.plan().pools[parent.pool_id].version == 2


def test_the_same_pool_again_is_the_one_that_is_there(desk: Desk) -> None:
    """With an id that follows from what asks for it, a repeated order writes nothing; another one is refused."""
    new = NewPool("vpcs", desk.scope(), tags=(("a", "b"),))
    record = record_of(desk)
    pool = create_pool(desk.ports, new, "test", pool_id=POOL_ID, record=record)
    assert pool.pool_id == POOL_ID
    assert desk.record("Pool") == record.record.stored()
    desk.clock.advance(5)
    desk.provision(POOL_ID, "10.0.0.0/24")
    watched = Recorder(desk.store)
    again = create_pool(desk.another(watched).ports, new, "test", pool_id=POOL_ID, record=record)
    assert (again.created, again.version) == (pool.created, 2)
    assert watched.committed == []
    with pytest.raises(NameTakenError):
        create_pool(desk.ports, replace(new, tags=()), "test", pool_id=POOL_ID)
    check(desk.store, canonical=True)


@pytest.mark.parametrize("facts", [{}, {"description": "another"}])
def test_one_pool_is_created_twice_at_once(desk: Desk, facts: dict[str, Any]) -> None:
    """The slower one finds the pool; if it wanted another one, it is refused."""
    new = NewPool("vpcs", desk.scope())
    first = lambda: create_pool(desk.ports, new, "test", pool_id=POOL_ID)  # noqa: E731
    racing = desk.another(Interrupted(desk.store, first)).ports
    try:
        create_pool(racing, replace(new, **facts), "test", pool_id=POOL_ID)
    except NameTakenError:
        assert facts
    else:
        assert not facts
    assert desk.store.plan().pools.keys() == {POOL_ID}
    assert events(desk, POOL_ID) == ["pool-created"]
    check(desk.store, canonical=True)


def test_what_belongs_to_the_same_change_is_decided_anew(desk: Desk) -> None:
    """With a record there is one try; who tries again finds what the other one has created."""
    new = NewPool("vpcs", desk.scope())
    record = record_of(desk)
    first = lambda: create_pool(desk.ports, new, "test", pool_id=POOL_ID, record=record)  # noqa: E731
    racing = desk.another(Interrupted(desk.store, first)).ports
    with pytest.raises(ContendedError):
        create_pool(racing, new, "test", pool_id=POOL_ID, record=record)
    assert create_pool(racing, new, "test", pool_id=POOL_ID, record=record).pool_id == POOL_ID


def test_a_pool_is_not_created_on_an_old_record(desk: Desk) -> None:
    """What belongs to the same change decides with it: nothing is written, and the request is to be decided anew."""
    scope = desk.scope()
    old = PutOwner(replace(OwnerRecord(owner_key("Pool")), version=7), expires=None)
    with pytest.raises(ContendedError):
        create_pool(desk.ports, NewPool("vpcs", scope), "test", pool_id=POOL_ID, record=old)
    assert desk.store.plan().pools == {}


def test_a_pool_whose_parent_is_deleted_meanwhile_is_not_created(desk: Desk) -> None:
    """I3: there is no pool without the one that its space comes from."""
    scope = desk.scope()
    parent = desk.pool(NewPool("parent", scope))
    at = desk.another(Interrupted(desk.store, lambda: delete_pool(desk.ports, parent.pool_id, "test")))
    with pytest.raises(InvalidPoolError) as refused:
        create_pool(at.ports, NewPool("child", scope, source_pool_id=parent.pool_id), "test")
    assert refused.value.property_name == "SourceIpamPoolId"
    assert desk.store.plan().pools == {}
    check(desk.store, canonical=True)


# --- edit ---


def test_a_pool_is_changed_as_wanted(desk: Desk, pool_of: MakePool) -> None:
    """Whatever may change does, at once, the version counts on, and it is written down (I6)."""
    pool = pool_of("10.0.0.0/24")
    facts: dict[str, Any] = {
        "description": "ours",
        "allocation_types": frozenset({"custom"}),
        "rules": AllocationRules(24, 28, 26, disallowed_cidrs=tuple(blocks("10.0.0.0/28")), lease_seconds=60),
        "quota": Quota(1, 2),
        "cooling_seconds": 60,
        "tags": (("a", "b"),),
        "shared_with": ("o-1234567890",),
        "auto_import": True,
        "sticky": True,
    }
    edited = edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, **facts), "test")
    assert desk.store.plan().pools[pool.pool_id] == edited
    assert edited == replace(pool, version=3, **facts)
    assert events(desk, pool.pool_id) == ["pool-changed", "pool-created"]
    check(desk.store, canonical=True)


def test_what_is_allocated_stays_when_the_rules_change(desk: Desk, pool_of: MakePool) -> None:
    """A rule is for what comes: what is held, and what it asks for again, stays (I4)."""
    pool = pool_of("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 26)).grant
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, rules=AllocationRules(28, 28)), "test")
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    assert desk.allocate(desk.request("a", 26)).grant.allocation_id == grant.allocation_id
    check(desk.store, canonical=True)


def test_a_pool_that_is_as_wanted_is_left_alone(desk: Desk, pool_of: MakePool) -> None:
    """Nothing is written."""
    pool = pool_of()
    watched = Recorder(desk.store)
    assert edit_pool(desk.another(watched).ports, pool.pool_id, lambda old: old, "test") == pool
    assert "commit" not in watched.calls


def test_the_identity_of_a_pool_is_not_for_editing(desk: Desk, pool_of: MakePool) -> None:
    """A pool that is given whole may be made anew: its id, its age and its version are what they are."""
    pool = pool_of()
    fresh = replace(pool, pool_id="ipam-pool-0", created=0, version=99)
    assert edit_pool(desk.ports, pool.pool_id, lambda _: fresh, "test") == pool


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("Locale", {"locale": "eu-west-1"}),
        ("AddressFamily", {"family": 6}),
        ("IpamScopeId", {"scope_id": "ipam-scope-0"}),
        ("SourceIpamPoolId", {"source_pool_id": "ipam-pool-0"}),
        ("SourceResource", {"source_resource": SourceResource("vpc-0", ACCOUNT, REGION)}),
        ("VpcIpamPoolId", {"vpc_ipam_pool_id": "ipam-pool-aws"}),
        ("AllocationMinNetmaskLength", {"rules": AllocationRules(28, 16)}),
        ("CoolingSeconds", {"cooling_seconds": -1}),
    ],
)
def test_a_change_that_contradicts_the_pool_is_refused(
    desk: Desk, pool_of: MakePool, name: str, facts: dict[str, Any]
) -> None:
    """What is fixed when a pool is made stays, and no pool comes to be that could not work."""
    pool = pool_of()
    with pytest.raises(InvalidPoolError) as refused:
        edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, **facts), "test")
    assert refused.value.property_name == name
    assert desk.store.plan().pools == {pool.pool_id: pool}


def test_a_pool_is_renamed_with_its_name(desk: Desk, pool_of: MakePool) -> None:
    """The new name is reserved, the old one is free again, and a name that is taken is refused."""
    pool = pool_of(name="one")
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, name="two"), "test")
    assert desk.store.plan().named("two").pool_id == pool.pool_id
    other = desk.pool(NewPool("one", pool.scope_id))
    for taken in ("two", "scope of one"):
        with pytest.raises(NameTakenError):
            edit_pool(desk.ports, other.pool_id, lambda old, taken=taken: replace(old, name=taken), "test")  # type: ignore[misc]
    check(desk.store, canonical=True)


def test_a_name_that_is_taken_meanwhile_is_not_taken_twice(desk: Desk, pool_of: MakePool) -> None:
    """Two want one name; one gets it."""
    one, two = pool_of(name="one"), pool_of(name="two")
    named: Edit = lambda old: replace(old, name="vpcs")  # noqa: E731
    at = desk.another(Interrupted(desk.store, lambda: edit_pool(desk.ports, two.pool_id, named, "test")))
    with pytest.raises(NameTakenError):
        edit_pool(at.ports, one.pool_id, named, "test")
    assert desk.store.plan().named("vpcs").pool_id == two.pool_id


def test_two_edits_of_a_pool_both_hold(desk: Desk, pool_of: MakePool) -> None:
    """The later one is made from what the earlier one left."""
    pool = pool_of()
    tagged: Edit = lambda old: replace(old, tags=(("a", "b"),))  # noqa: E731
    meanwhile = lambda: edit_pool(desk.ports, pool.pool_id, tagged, "test")  # noqa: E731
    edited = edit_pool(desk.another(Interrupted(desk.store, meanwhile)).ports, pool.pool_id, described("ours"), "test")
    assert (edited.description, edited.tags) == ("ours", (("a", "b"),))
    check(desk.store, canonical=True)


def test_a_pool_that_is_gone_is_not_edited(desk: Desk, pool_of: MakePool) -> None:
    """An unknown id is refused, and so is one that is deleted meanwhile."""
    pool = pool_of()
    at = desk.another(Interrupted(desk.store, lambda: delete_pool(desk.ports, pool.pool_id, "test")))
    for _ in range(2):
        with pytest.raises(NoSuchPoolError):
            edit_pool(at.ports, pool.pool_id, described("ours"), "test")


def test_an_edit_of_a_pool_gives_way_in_the_end(desk: Desk, pool_of: MakePool) -> None:
    """Whoever never gets a turn is told so."""
    pool = pool_of()
    at = desk.another(Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS)))
    with pytest.raises(ContendedError):
        edit_pool(at.ports, pool.pool_id, described("ours"), "test")
    with pytest.raises(ContendedError):
        create_pool(
            desk.another(Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS))).ports, NewPool("x", pool.scope_id), "test"
        )


# --- delete ---


def test_a_free_pool_is_deleted_with_its_space(desk: Desk, pool_of: MakePool) -> None:
    """Its CIDRs are free where they came from, its name too, and what happened stays written down (I1, I3, I6)."""
    pool = pool_of("10.0.0.0/24", "10.7.0.0/16")
    delete_pool(desk.ports, pool.pool_id, "test")
    assert desk.store.plan().pools == {}
    assert desk.free(pool.pool_id) == []
    assert events(desk, pool.pool_id) == ["pool-created", "pool-deleted"]
    check(desk.store)
    desk.reclaim(pool.scope_id)
    assert desk.free(pool.scope_id) == ["0.0.0.0/0"]
    assert pool_of("10.0.0.0/24", scope=pool.scope_id).name == pool.name
    check(desk.store, canonical=True)


def test_a_pool_in_use_is_not_deleted(desk: Desk, pool_of: MakePool) -> None:
    """The refusal names child pools, holders and what cools, and how many there are; nothing is changed."""
    pool = pool_of("10.0.0.0/24", "10.7.0.0/16", name="parent", cooling_seconds=60)
    child = desk.pool(NewPool("child", pool.scope_id, source_pool_id=pool.pool_id, locale=REGION), "10.0.0.0/26")
    grant = desk.allocate(desk.request("a", 26, pool=pool)).grant
    desk.allocate(desk.request("b", 28, pool=pool, stack="somebody"))
    desk.release("a", grant.allocation_id)
    with pytest.raises(InUseError) as refused:
        delete_pool(desk.ports, pool.pool_id, "test")
    users = ("pool child", "10.0.0.128/28 of somebody/b", "10.0.0.64/26 cooling until 2027-01-15 08:01 UTC")
    assert refused.value == InUseError("parent", users, 3)
    assert desk.store.plan().pools.keys() == {pool.pool_id, child.pool_id}
    assert len(desk.store.plan().provisioned(pool.pool_id)) == 2
    check(desk.store, canonical=True)


def test_a_refusal_names_the_first_few_and_counts_them_all(desk: Desk, pool_of: MakePool) -> None:
    """Who reads it sees where to begin, and how much there is."""
    pool = pool_of("10.0.0.0/24")
    for number in range(8):
        desk.allocate(desk.request(f"n{number}", 28))
    with pytest.raises(InUseError) as refused:
        delete_pool(desk.ports, pool.pool_id, "test")
    assert refused.value.count == 8
    assert refused.value.users[0] == "10.0.0.0/28 of net/n0"
    assert len(refused.value.users) == 5


def test_what_has_cooled_keeps_no_pool(desk: Desk, pool_of: MakePool) -> None:
    """Once its time is over a block is as good as free, whether upkeep has come by or not (I7)."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", grant.allocation_id)
    desk.clock.advance(60)
    delete_pool(desk.ports, pool.pool_id, "test")
    assert desk.store.plan().pools == {}
    check(desk.store)


def test_a_preview_whose_time_is_over_keeps_no_pool(desk: Desk, pool_of: MakePool) -> None:
    """Nobody came for it."""
    pool = pool_of("10.0.0.0/24")
    wanted = desk.request("a", 26)
    desk.allocate(replace(wanted, ask=replace(wanted.ask, preview=True), preview_seconds=60))
    with pytest.raises(InUseError):
        delete_pool(desk.ports, pool.pool_id, "test")
    desk.clock.advance(60)
    delete_pool(desk.ports, pool.pool_id, "test")
    assert desk.store.plan().pools == {}
    check(desk.store)


def test_a_pool_that_is_gone_is_deleted_again_with_cascade_only(desk: Desk, pool_of: MakePool) -> None:
    """An interrupted run is run again; who names a pool that never was is told so."""
    pool = pool_of()
    delete_pool(desk.ports, pool.pool_id, "test")
    with pytest.raises(NoSuchPoolError):
        delete_pool(desk.ports, pool.pool_id, "test")
    delete_pool(desk.ports, pool.pool_id, "test", cascade=True)


def test_cascade_ends_all_that_there_is_below(desk: Desk, pool_of: MakePool) -> None:
    """Child pools and allocations, however deep, go with the pool; each release is told, and quotas count nothing."""
    top = pool_of("10.0.0.0/16", name="top", locale="")
    middle = desk.pool(NewPool("middle", top.scope_id, source_pool_id=top.pool_id, locale=REGION), "10.0.0.0/20")
    leaf = desk.pool(NewPool("leaf", top.scope_id, source_pool_id=middle.pool_id, locale=REGION), "10.0.0.0/24")
    for pool in (leaf, middle):
        for number in range(2):
            desk.allocate(desk.request(f"{pool.name}{number}", 26, pool=pool))
    delete_pool(desk.ports, top.pool_id, "by hand", cascade=True)
    assert desk.store.plan().pools == {}
    for pool in (leaf, middle):
        assert desk.store.quota(ACCOUNT, pool.pool_id).allocations == 0
        released = [record for record in desk.store.audit(pool.pool_id) if record.event == "released"]
        assert [record.cause for record in released] == ["by hand"] * 2
    for record in (desk.record("leaf0"), desk.record("middle1")):
        assert record.grants == () and len(record.returned) == 1
    check(desk.store)
    desk.reclaim(top.scope_id)
    assert desk.free(top.scope_id) == ["0.0.0.0/0"]


def test_an_order_on_its_way_to_amazon_keeps_a_pool(desk: Desk, pool_of: MakePool) -> None:
    """What comes of it has to find its pool, with cascade too."""
    pool = pool_of(vpc_ipam_pool_id="ipam-pool-aws")
    order = PendingOrder(pool.pool_id, "token", owner_key("a"), ACCOUNT, NOON)
    desk.store.commit(Change((PutPending(order), PutAudit(note(desk.ports, pool.pool_id, "ordered", "test")))))
    for cascade in (False, True):
        with pytest.raises(InUseError) as refused:
            delete_pool(desk.ports, pool.pool_id, "test", cascade=cascade)
        assert refused.value.users == ("the order of net/a at Amazon VPC IPAM",)
    struck = TakePending(pool.pool_id, "token")
    desk.store.commit(Change((struck, PutAudit(note(desk.ports, pool.pool_id, "order-ended", "test")))))
    delete_pool(desk.ports, pool.pool_id, "test")


@pytest.mark.parametrize("cascade", [True, False])
@pytest.mark.parametrize("what", ["child", "cidr", "edit"])
def test_what_comes_while_a_pool_is_deleted_is_not_lost(desk: Desk, what: str, *, cascade: bool) -> None:
    """A child pool keeps the pool, or goes with it; a CIDR that is free, and an edit, are for nothing (I1, I3)."""
    scope = desk.scope()
    parent = desk.pool(NewPool("parent", scope))
    meanwhile: dict[str, Callable[[], object]] = {
        "child": lambda: desk.pool(NewPool("child", scope, source_pool_id=parent.pool_id)),
        "cidr": lambda: desk.provision(parent.pool_id, "10.0.0.0/24"),
        "edit": lambda: edit_pool(desk.ports, parent.pool_id, described("ours"), "test"),
    }
    at = desk.another(Interrupted(desk.store, meanwhile[what]))
    if what == "child" and not cascade:
        with pytest.raises(InUseError):
            delete_pool(at.ports, parent.pool_id, "test")
        assert len(desk.store.plan().pools) == 2
    else:
        delete_pool(at.ports, parent.pool_id, "test", cascade=cascade)
        assert desk.store.plan().pools == {}
    check(desk.store)


@pytest.mark.parametrize("what", ["child", "cidr"])
def test_a_plan_that_is_read_in_parts_hides_nothing(desk: Desk, what: str) -> None:
    """What comes between two pages of one read is seen by the next one, and what comes then is refused (I3)."""
    scope = desk.scope()
    parent = desk.pool(NewPool("parent", scope))
    meanwhile: dict[str, Callable[[], object]] = {
        "child": lambda: desk.pool(NewPool("child", scope, source_pool_id=parent.pool_id)),
        "cidr": lambda: desk.provision(parent.pool_id, "10.0.0.0/24"),
    }
    torn = desk.another(Torn(desk.store, meanwhile[what]))
    if what == "child":
        with pytest.raises(InUseError):
            delete_pool(torn.ports, parent.pool_id, "test")
    else:
        delete_pool(torn.ports, parent.pool_id, "test")
        assert desk.store.plan().pools == {}
    check(desk.store)


def test_two_deletions_of_a_pool_are_one(desk: Desk, pool_of: MakePool) -> None:
    """The slower one finds done what it wanted, wherever it was."""
    for place in range(3):
        pool = pool_of("10.0.0.0/24", name=f"pool {place}")
        deleting = lambda pool=pool: delete_pool(desk.ports, pool.pool_id, "a")  # noqa: E731
        at = desk.another(Interrupted(desk.store, *[None] * place, deleting))
        delete_pool(at.ports, pool.pool_id, "b")
        assert events(desk, pool.pool_id) == ["pool-created", "pool-deleted"]
        check(desk.store)


def test_a_deletion_of_a_pool_gives_way_in_the_end(desk: Desk, pool_of: MakePool) -> None:
    """Whoever never gets a turn is told so, and so is who has no time."""
    pool = pool_of("10.0.0.0/24")
    for faults in (["busy"] * MAX_ATTEMPTS, ["none", *["busy"] * MAX_ATTEMPTS]):
        with pytest.raises(ContendedError):
            delete_pool(desk.another(Faulty(desk.store, iter(faults))).ports, pool.pool_id, "test")  # type: ignore[arg-type]
    with pytest.raises(OutOfTimeError):
        delete_pool(desk.ports, pool.pool_id, "test", deadline=Late())
    assert desk.store.plan().pools.keys() == {pool.pool_id}


def test_a_pool_that_is_deleted_is_provisioned_nothing(desk: Desk, pool_of: MakePool) -> None:
    """The transaction itself refuses, and nothing of the parent is taken (I3)."""
    pool = pool_of()
    at = desk.another(Interrupted(desk.store, lambda: delete_pool(desk.ports, pool.pool_id, "test")))
    with pytest.raises(NoSuchPoolError):
        provision(at.ports, pool.pool_id, block("10.0.0.0/24"), "t", "test")
    assert desk.held(pool.scope_id) == []
    check(desk.store, canonical=True)
