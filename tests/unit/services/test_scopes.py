from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import (
    ContendedError,
    DefaultScopeError,
    InUseError,
    InvalidPoolError,
    NameTakenError,
    NoSuchScopeError,
)
from ipam.services.deprovision import deprovision
from ipam.services.pools import NewPool, create_pool, delete_pool
from ipam.services.scopes import MAX_ATTEMPTS, create_scope, delete_scope, edit_scope, ensure_default_scopes
from tests.builders import Desk, block
from tests.faults import Faulty, Interrupted, Recorder, Torn
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool, Scope

    MakePool = Callable[..., Pool]


def events(desk: Desk, subject: str) -> list[str]:
    """Read what happened to a scope itself, in no order: a test has no time."""
    return sorted(record.event for record in desk.store.audit(subject) if record.cidr is None)


def described(text: str) -> Callable[[Scope], Scope]:
    """Say something else of a scope."""
    return lambda scope: replace(scope, description=text)


def test_a_scope_begins_with_every_address_free(desk: Desk) -> None:
    """A new scope has one free block for each family, an id of the right form, and is written down (I1, I6)."""
    scope = create_scope(desk.ports, "corporate", "private", "all of it", "test", tags=(("team", "net"),))
    assert (desk.free(scope.scope_id, 4), desk.free(scope.scope_id, 6)) == (["0.0.0.0/0"], ["::/0"])
    assert desk.store.plan().scopes == {scope.scope_id: scope}
    assert scope.tags == (("team", "net"),) and not scope.is_default
    assert scope.scope_id.startswith("ipam-scope-") and len(scope.scope_id) == len("ipam-scope-") + 17
    assert events(desk, scope.scope_id) == ["scope-created"]
    check(desk.store, canonical=True)


def test_the_same_scope_again_is_the_one_that_is_there(desk: Desk) -> None:
    """With an id that follows from what asks for it, a repeated order writes nothing; another one is refused."""
    facts: dict[str, Any] = {"scope_id": "ipam-scope-0", "tags": (("team", "net"),)}
    scope = create_scope(desk.ports, "corporate", "private", "", "test", **facts)
    desk.clock.advance(5)
    pool = desk.pool(NewPool("vpcs", scope.scope_id))
    watched = Recorder(desk.store)
    again = create_scope(desk.another(watched).ports, "corporate", "private", "", "test", **facts)
    assert (again.created, again.version) == (scope.created, 2)
    assert watched.committed == []
    with pytest.raises(NameTakenError):
        create_scope(desk.ports, "corporate", "public", "", "test", **facts)
    assert desk.store.plan().pools.keys() == {pool.pool_id}
    check(desk.store, canonical=True)


def test_a_scope_whose_answer_was_lost_is_found_by_its_id(desk: Desk) -> None:
    """The other one who created it meanwhile was the same order."""

    def make(at: Desk) -> Scope:
        return create_scope(at.ports, "corporate", "private", "", "test", scope_id="ipam-scope-0")

    racing = desk.another(Interrupted(desk.store, lambda: make(desk)))
    assert make(racing) == desk.store.plan().scopes["ipam-scope-0"]
    check(desk.store, canonical=True)


def test_a_name_is_reserved_while_the_store_is_busy(desk: Desk) -> None:
    """It is tried again; whoever never gets a turn is told so."""
    at = desk.another(Faulty(desk.store, iter(["busy", "busy"])))
    assert at.scope("corporate") in desk.store.plan().scopes
    assert len(desk.clock.slept) == 2
    with pytest.raises(ContendedError):
        desk.another(Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS))).scope("lab")
    check(desk.store, canonical=True)


def test_a_plan_begins_with_a_private_and_a_public_scope(desk: Desk) -> None:
    """Both are there, once, however often it is ensured."""
    for _ in range(2):
        ensure_default_scopes(desk.ports, "test")
    scopes = desk.store.plan().scopes.values()
    assert {(scope.name, scope.scope_type, scope.is_default) for scope in scopes} == {
        ("private", "private", True),
        ("public", "public", True),
    }
    check(desk.store, canonical=True)


def test_a_plan_that_has_a_scope_gets_no_others(desk: Desk) -> None:
    """Somebody has laid it out already."""
    scope = desk.scope("corporate")
    ensure_default_scopes(desk.ports, "test")
    assert desk.store.plan().scopes.keys() == {scope}


@pytest.mark.parametrize("faults", [["busy"], ["busy"] * 3])
def test_the_default_scopes_are_made_where_the_store_is_busy(desk: Desk, faults: list[Any]) -> None:
    """They are tried again, and are never half there."""
    ensure_default_scopes(desk.another(Faulty(desk.store, iter(faults))).ports, "test")
    assert len(desk.store.plan().scopes) == 2


def test_the_default_scopes_give_way_in_the_end(desk: Desk) -> None:
    """Whoever never gets a turn is told so."""
    with pytest.raises(ContendedError):
        ensure_default_scopes(desk.another(Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS))).ports, "test")
    assert desk.store.plan().scopes == {}


def test_what_is_said_of_a_scope_can_change(desk: Desk) -> None:
    """The description and the tags are as wanted, the version counts on, and it is written down (I6)."""
    scope = desk.scope()
    edited = edit_scope(desk.ports, scope, lambda old: replace(old, description="ours", tags=(("a", "b"),)), "test")
    assert desk.store.plan().scopes == {scope: edited}
    assert (edited.description, edited.tags, edited.version) == ("ours", (("a", "b"),), 2)
    assert events(desk, scope) == ["scope-changed", "scope-created"]
    assert {each.note for each in desk.store.audit(scope)} == {"", "description: none -> ours; tags: none -> a=b"}
    check(desk.store, canonical=True)


def test_a_scope_that_is_as_wanted_is_left_alone(desk: Desk) -> None:
    """Nothing is written."""
    scope = desk.scope()
    watched = Recorder(desk.store)
    edit_scope(desk.another(watched).ports, scope, lambda old: old, "test")
    assert "commit" not in watched.calls


def test_a_scope_is_renamed_with_its_name(desk: Desk) -> None:
    """The new name is reserved, the old one is free again, and a name that is taken is refused."""
    scope, _ = desk.scope("one"), desk.scope("two")
    edit_scope(desk.ports, scope, lambda old: replace(old, name="three"), "test")
    assert desk.store.plan().named_scope("three").scope_id == scope
    assert desk.scope("one") != scope
    for taken in ("one", "two"):
        with pytest.raises(NameTakenError):
            edit_scope(desk.ports, scope, lambda old, taken=taken: replace(old, name=taken), "test")  # type: ignore[misc]
    check(desk.store, canonical=True)


@pytest.mark.parametrize("facts", [{"scope_type": "public"}, {"is_default": True}])
def test_a_scope_stays_what_it_is(desk: Desk, facts: dict[str, Any]) -> None:
    """Its type, and whether the plan begins with it, are fixed."""
    with pytest.raises(InvalidPoolError):
        edit_scope(desk.ports, desk.scope(), lambda old: replace(old, **facts), "test")


def test_two_edits_of_a_scope_both_hold(desk: Desk) -> None:
    """The later one is made from what the earlier one left."""
    scope = desk.scope()
    tagged: Callable[[Scope], Scope] = lambda old: replace(old, tags=(("a", "b"),))  # noqa: E731
    meanwhile = lambda: edit_scope(desk.ports, scope, tagged, "test")  # noqa: E731
    edited = edit_scope(desk.another(Interrupted(desk.store, meanwhile)).ports, scope, described("ours"), "test")
    assert (edited.description, edited.tags, edited.version) == ("ours", (("a", "b"),), 3)
    check(desk.store, canonical=True)


def test_an_edit_of_a_scope_gives_way_in_the_end(desk: Desk) -> None:
    """Whoever never gets a turn is told so."""
    scope = desk.scope()
    at = desk.another(Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS)))
    with pytest.raises(ContendedError):
        edit_scope(at.ports, scope, described("ours"), "test")


def test_a_scope_that_does_not_exist_is_neither_edited_nor_deleted(desk: Desk) -> None:
    """An unknown id is refused."""
    with pytest.raises(NoSuchScopeError):
        edit_scope(desk.ports, "ipam-scope-0", lambda old: old, "test")
    with pytest.raises(NoSuchScopeError):
        delete_scope(desk.ports, "ipam-scope-0", "test")


def test_an_empty_scope_is_deleted_without_a_trace_but_its_history(desk: Desk) -> None:
    """Its blocks and its name are gone; what happened stays written down (I1, I6)."""
    scope = desk.scope("lab")
    delete_scope(desk.ports, scope, "test")
    assert desk.store.plan().scopes == {}
    assert desk.free(scope, 4) == desk.free(scope, 6) == []
    assert events(desk, scope) == ["scope-created", "scope-deleted"]
    assert desk.scope("lab") != scope
    check(desk.store, canonical=True)


def test_a_scope_with_pools_is_not_deleted(desk: Desk, pool_of: MakePool) -> None:
    """The refusal names the pools; once they are gone it can be."""
    scope = desk.scope("lab")
    pools = [pool_of("10.0.0.0/24", name="vpcs", scope=scope), pool_of(name="subnets", scope=scope)]
    with pytest.raises(InUseError) as refused:
        delete_scope(desk.ports, scope, "test")
    assert refused.value == InUseError("lab", ("pool subnets", "pool vpcs"), 2)
    for pool in pools:
        delete_pool(desk.ports, pool.pool_id, "test")
    delete_scope(desk.ports, scope, "test")
    assert desk.store.plan().scopes == {}
    check(desk.store, canonical=True)


def test_a_scope_whose_space_was_in_use_is_deleted(desk: Desk, pool_of: MakePool) -> None:
    """What lies in pieces is joined first."""
    scope = desk.scope("lab")
    pool = pool_of("10.0.0.0/24", "10.7.0.0/16", name="vpcs", scope=scope)
    six = pool_of("fd00::/64", name="six", scope=scope, family=6)
    deprovision(desk.ports, pool.pool_id, block("10.0.0.0/24"), "test")
    for each in (pool, six):
        delete_pool(desk.ports, each.pool_id, "test")
    assert len(desk.free(scope, 4)) > 1
    delete_scope(desk.ports, scope, "test")
    assert desk.store.plan().scopes == {}


def test_a_default_scope_is_never_deleted(desk: Desk) -> None:
    """The refusal names it."""
    ensure_default_scopes(desk.ports, "test")
    for scope in list(desk.store.plan().scopes.values()):
        with pytest.raises(DefaultScopeError) as refused:
            delete_scope(desk.ports, scope.scope_id, "test")
        assert refused.value.scope == scope.name
    assert len(desk.store.plan().scopes) == 2


def test_a_scope_in_which_something_cools_is_not_deleted_yet(desk: Desk, pool_of: MakePool) -> None:
    """What a deleted pool left to cool there is named, with its time (I7)."""
    scope = desk.scope("lab")
    pool = pool_of("10.0.0.0/24", scope=scope, cooling_seconds=60)
    desk.allocate(desk.request("a", 26))
    delete_pool(desk.ports, pool.pool_id, "test", cascade=True)
    with pytest.raises(InUseError) as refused:
        delete_scope(desk.ports, scope, "test")
    assert refused.value.users == ("10.0.0.0/24 cooling until 2027-01-15 08:01 UTC",)
    desk.clock.advance(60)
    delete_scope(desk.ports, scope, "test")
    assert desk.store.plan().scopes == {}


def test_a_pool_that_comes_while_its_scope_is_deleted_keeps_it(desk: Desk) -> None:
    """The deletion is refused by the scope's version, and then by the pool (I3)."""
    scope = desk.scope("lab")
    at = desk.another(Interrupted(desk.store, lambda: create_pool(desk.ports, NewPool("vpcs", scope), "test")))
    with pytest.raises(InUseError):
        delete_scope(at.ports, scope, "test")
    assert desk.store.plan().scopes.keys() == {scope}
    check(desk.store, canonical=True)


def test_a_plan_that_is_read_in_parts_hides_no_pool(desk: Desk) -> None:
    """What comes between two pages of one read is seen by the next one (I3)."""
    scope = desk.scope("lab")
    torn = desk.another(Torn(desk.store, lambda: desk.pool(NewPool("vpcs", scope))))
    with pytest.raises(InUseError):
        delete_scope(torn.ports, scope, "test")
    check(desk.store, canonical=True)


def test_two_deletions_of_a_scope_are_one(desk: Desk) -> None:
    """The slower one finds done what it wanted."""
    scope = desk.scope("lab")
    delete_scope(desk.another(Interrupted(desk.store, lambda: delete_scope(desk.ports, scope, "a"))).ports, scope, "b")
    assert events(desk, scope) == ["scope-created", "scope-deleted"]


def test_a_deletion_of_a_scope_gives_way_in_the_end(desk: Desk) -> None:
    """Whoever never gets a turn is told so."""
    scope = desk.scope("lab")
    at = desk.another(Faulty(desk.store, iter(["busy"] * MAX_ATTEMPTS)))
    with pytest.raises(ContendedError):
        delete_scope(at.ports, scope, "test")
    assert desk.store.plan().scopes.keys() == {scope}
