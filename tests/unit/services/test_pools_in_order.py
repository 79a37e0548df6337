"""Several pools for one request: in which order they are tried, which refusal counts, what is kept of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import (
    ApprovalPendingError,
    CidrNotInPoolError,
    DeniedError,
    NetmaskLengthError,
    NoPoolForRequestError,
    NoSuchPoolError,
    PermanentError,
    PoolExhaustedError,
    PoolMismatchError,
    PoolNotSharedError,
    QuotaExceededError,
    ServiceUnavailableError,
    SeveralScopesError,
    SupersededError,
)
from ipam.domain.pool import AllocationRules, Quota
from ipam.services.allocate import PASSED_OVER_KEPT
from ipam.services.approve import Verdict, decide
from ipam.services.pools import edit_pool
from tests.builders import ACCOUNT, REGION, Desk
from tests.invariants import check
from tests.orders import HOUR, by_administrator, from_pools, patient, previewed, selecting, tagged

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]

OTHER = "444455556666"


@pytest.fixture
def make(desk: Desk, pool_of: MakePool) -> Callable[..., Pool]:
    """Make a pool of sixteen /28 in a scope that they all share; full, if that is said."""
    scope = desk.scope()
    count = 0

    def made(name: str, *, full: bool = False, **facts: Any) -> Pool:
        nonlocal count
        pool = pool_of(f"10.0.{count}.0/24", name=name, scope=scope, **facts)
        count += 1
        if full:
            filling = from_pools(desk.request(f"all of {name}", 24, locale=pool.locale), name)
            desk.allocate(by_administrator(tagged(filling, *pool.rules.required_tags)))
        return pool

    return made


def test_the_first_with_room_serves_and_says_what_the_others_did(desk: Desk, make: MakePool) -> None:
    """Full, not shared, too strict, of another Region: each is passed over, and noted with its reason."""
    make("full", full=True)
    make("private", shared_with=(OTHER,))
    make("strict", rules=AllocationRules(required_tags=(("team", "a"),)))
    make("large", rules=AllocationRules(max_netmask_length=24))
    make("far", locale="us-east-1")
    serves = make("z")
    names = ("full", "private", "strict", "large", "far", "z", "full")
    grant = desk.allocate(from_pools(desk.request("a", 28), *names)).grant
    assert grant.pool_id == serves.pool_id
    assert grant.passed_over == (
        ("full", "PoolExhausted"),
        ("private", "PoolNotShared"),
        ("strict", "MissingTag"),
        ("large", "NetmaskLength"),
        ("far", "PoolMismatch"),
    )
    check(desk.store)


def test_the_order_is_the_requesters(desk: Desk, make: MakePool) -> None:
    """Pools are tried as they are named, by id or by name, and not by the alphabet."""
    one, two = make("a"), make("b")
    assert desk.allocate(from_pools(desk.request("x", 28), "b", one.pool_id)).grant.pool_id == two.pool_id
    assert desk.allocate(from_pools(desk.request("y", 28), one.pool_id, "b")).grant.passed_over == ()


def test_a_pool_that_is_named_twice_is_tried_once(desk: Desk, make: MakePool) -> None:
    """By its id and by its name."""
    full = make("full", full=True)
    make("z")
    grant = desk.allocate(from_pools(desk.request("x", 28), "full", full.pool_id, "z")).grant
    assert grant.passed_over == (("full", "PoolExhausted"),)


def test_a_pool_that_does_not_exist_is_no_pool_to_pass_over(desk: Desk, make: MakePool) -> None:
    """A misspelt name is told, though another pool would serve: else nobody would ever notice."""
    make("z")
    with pytest.raises(NoSuchPoolError):
        desk.allocate(from_pools(desk.request("x", 28), "z", "zz"))


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("far", "private", "full", "large"), PoolExhaustedError),
        (("private", "large", "full"), NetmaskLengthError),
        (("private", "far"), PoolNotSharedError),
        (("far", "private"), PoolMismatchError),
    ],
)
def test_where_all_refuse_the_first_that_tells_something_counts(
    desk: Desk, make: MakePool, names: tuple[str, ...], why: type[PermanentError]
) -> None:
    """Not that a pool is for others, or for something else, if there is one that could serve and does not."""
    make("full", full=True)
    make("private", shared_with=(OTHER,))
    make("large", rules=AllocationRules(max_netmask_length=24))
    make("far", locale="us-east-1")
    with pytest.raises(why) as refused:
        desk.allocate(from_pools(desk.request("x", 28), *names))
    assert desk.record("x").grants == ()
    told = {
        PoolExhaustedError: "full",
        NetmaskLengthError: "large",
        PoolMismatchError: "far",
        PoolNotSharedError: "private",
    }
    assert [pool for pool, _ in refused.value.beside] == [name for name in names if name != told[why]]


def test_what_is_passed_over_is_noted_once_though_it_was_tried_twice(desk: Desk, make: MakePool) -> None:
    """By the plan that is remembered and by the plan as it is: one process, one note."""
    make("full", full=True)
    slow = make("slow", rules=AllocationRules(max_netmask_length=24))
    warm = desk.another()
    warm.allocate(from_pools(warm.request("warm", 24), "slow"))
    edit_pool(desk.another().ports, slow.pool_id, lambda old: replace(old, name="quick"), "test")
    make("z")
    grant = warm.allocate(from_pools(warm.request("x", 28), "full", slow.pool_id, "z")).grant
    assert grant.passed_over == (("full", "PoolExhausted"), ("quick", "NetmaskLength"))


def test_only_so_many_are_noted(desk: Desk, make: MakePool) -> None:
    """What is kept in the owner's record is bounded."""
    names = [f"full {number}" for number in range(PASSED_OVER_KEPT + 2)]
    for name in names:
        make(name, full=True)
    make("z")
    grant = desk.allocate(from_pools(desk.request("x", 28), *names, "z")).grant
    assert grant.passed_over == tuple((name, "PoolExhausted") for name in names[:PASSED_OVER_KEPT])


def test_a_create_that_comes_again_says_the_same(desk: Desk, make: MakePool) -> None:
    """What was passed over is stored with the allocation: room that came later explains nothing else."""
    make("full", full=True)
    make("z")
    request = from_pools(desk.request("x", 28), "full", "z")
    grant = desk.allocate(request).grant
    desk.release("all of full", desk.record("all of full").grants[0].allocation_id)
    assert desk.another().allocate(request).grant == grant


def test_an_update_stays_where_it_is_among_the_pools_that_are_named(desk: Desk, make: MakePool) -> None:
    """Another order of the pools, or one more, moves nothing; without the one that it is from it gets another block."""
    make("a")
    make("b")
    held = desk.allocate(from_pools(desk.request("x", 28), "a", "b")).grant
    desk.clock.advance(1)
    same = desk.revise(from_pools(desk.request("x", 28), "b", "a"), held.allocation_id)
    assert same.grant.allocation_id == held.allocation_id
    desk.clock.advance(1)
    other = desk.revise(from_pools(desk.request("x", 28), "b"), held.allocation_id)
    assert other.outcome == "allocated"
    check(desk.store)


def test_an_exact_block_is_found_in_the_pool_that_has_it(desk: Desk, make: MakePool) -> None:
    """The pools before it do not have the block, which is why they are passed over."""
    make("a")
    make("b")
    grant = desk.allocate(from_pools(desk.request("x", cidr="10.0.1.16/28"), "a", "b")).grant
    assert grant.passed_over == (("a", "CidrNotInPool"),)
    with pytest.raises(CidrNotInPoolError):
        desk.allocate(from_pools(desk.request("y", cidr="10.0.1.32/28"), "a"))


# ------------------------------------------------------------------------------------------------------------ selection
def test_pools_are_selected_by_their_tags(desk: Desk, make: MakePool) -> None:
    """Of the pools that have all the tags, and fit, the first by name with room serves."""
    prod, shop = ("stage", "prod"), ("for", "shop")
    make("a", tags=(("stage", "test"),))
    make("b", tags=(prod, shop), full=True)
    make("c", tags=(prod,))
    serves = make("d", tags=(shop, prod))
    make("e", tags=(shop, prod), locale="us-east-1")
    grant = desk.allocate(selecting(desk.request("x", 28), prod, shop)).grant
    assert (grant.pool_id, grant.passed_over) == (serves.pool_id, (("b", "PoolExhausted"),))
    with pytest.raises(NoPoolForRequestError) as refused:
        desk.allocate(selecting(desk.request("y", 28), ("stage", "none")))
    assert refused.value == NoPoolForRequestError(REGION, "vpc", 4, (("stage", "none"),))


def test_an_update_stays_where_its_pool_is_still_selected(desk: Desk, make: MakePool) -> None:
    """Tags that the pool has lost are no reason to move as long as the ask is the same; in other words they are."""
    prod = ("stage", "prod")
    pool = make("a", tags=(prod,))
    make("b", tags=(prod,))
    held = desk.allocate(selecting(desk.request("x", 28), prod)).grant
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, tags=()), "test")
    desk.clock.advance(1)
    assert desk.revise(selecting(desk.request("x", 28), prod), held.allocation_id).outcome == "kept"
    desk.clock.advance(1)
    exact = selecting(desk.request("x", cidr=str(held.cidr)), prod)
    with pytest.raises(CidrNotInPoolError):
        desk.revise(exact, held.allocation_id)
    assert desk.record("x").for_id(held.allocation_id)


# --------------------------------------------------------------------------------------------------------------- scopes
def test_an_order_without_a_pool_stays_in_the_default_scope(desk: Desk, pool_of: MakePool) -> None:
    """Neither a pool's name, nor that the default scope is full, takes it to another scope."""
    pool_of("10.0.0.0/24", name="a", scope=desk.scope("company"))
    default = pool_of("10.0.0.0/24", name="b", scope=desk.scope("private"))
    assert desk.allocate(desk.request("x", 25)).grant.pool_id == default.pool_id
    assert desk.allocate(desk.request("y", 25)).grant.passed_over == ()
    with pytest.raises(PoolExhaustedError) as refused:
        desk.allocate(desk.request("z", 25))
    assert (refused.value.pool, refused.value.beside) == ("b", ())


def test_nobody_guesses_a_scope(desk: Desk, pool_of: MakePool) -> None:
    """Where none is the default one, an order and a preview that name no pool are refused with the scopes."""
    for name in ("lab", "company"):
        pool_of("10.0.0.0/24", name=name, scope=desk.scope(f"the {name}"), tags=(("stage", "prod"),))
    plain = desk.request("x", 28)
    for request in (plain, previewed(plain), selecting(plain, ("stage", "prod")), by_administrator(plain)):
        with pytest.raises(SeveralScopesError) as refused:
            desk.allocate(request)
        assert refused.value == SeveralScopesError(REGION, "vpc", 4, ("the company", "the lab"))
    assert desk.allocate(from_pools(plain, "lab")).outcome == "allocated"


def test_what_is_held_in_another_scope_stays(desk: Desk, pool_of: MakePool) -> None:
    """Pools of the default scope that came later move and refuse nothing, in the same words or in others."""
    lab = pool_of("10.0.0.0/24", name="lab", scope=desk.scope("the lab"))
    request = desk.request("x", 28)
    held = desk.allocate(request).grant
    pool_of("10.0.0.0/24", name="a", scope=desk.scope("private"))
    desk.clock.advance(1)
    exact = desk.request("x", cidr=str(held.cidr))
    for again in (
        request,
        desk.request("x", 28),
        exact,
        from_pools(desk.request("x", 28), "lab"),
        desk.request("x", 28),
    ):
        later = desk.another()
        assert later.allocate(request).grant.allocation_id == held.allocation_id
        desk.clock.advance(1)
        kept = later.revise(replace(again, requested=desk.clock.now()), held.allocation_id)
        assert (kept.outcome, kept.grant.allocation_id) == ("kept", held.allocation_id)
    pool_of("10.1.0.0/24", name="b", scope=desk.scope("third"))
    edit_pool(desk.ports, desk.store.plan().named("a").pool_id, lambda old: replace(old, tags=(("x", "y"),)), "test")
    desk.clock.advance(1)
    assert desk.another().revise(desk.request("x", 28), held.allocation_id).outcome == "kept"
    assert desk.held(lab.pool_id) == [str(held.cidr)]
    check(desk.store)


# ---------------------------------------------------------------------------------------------------------------- quota
def test_each_pool_has_a_quota_of_its_own(desk: Desk, make: MakePool) -> None:
    """What an account may not have more of in one pool it may have in the next, until that says no as well."""
    first = make("a", quota=Quota(allocations=1))
    second = make("b", quota=Quota(units=16))
    ask = ("a", "b")
    given = [desk.allocate(from_pools(desk.request(name, 28), *ask)).grant for name in "xy"]
    assert [grant.pool_id for grant in given] == [first.pool_id, second.pool_id]
    assert given[1].passed_over == (("a", "QuotaExceeded"),)
    with pytest.raises(QuotaExceededError) as refused:
        desk.allocate(from_pools(desk.request("z", 28), *ask))
    assert refused.value.pool == "a"
    assert [desk.store.quota(ACCOUNT, pool.pool_id).allocations for pool in (first, second)] == [1, 1]
    check(desk.store)


# ------------------------------------------------------------------------------------------------------------- approval
LARGE = AllocationRules(approval_netmask_length=26)


def test_a_request_waits_for_the_first_pool_that_has_to_be_approved(desk: Desk, make: MakePool) -> None:
    """The next pool would serve at once, but it is not what was asked for first; approved, the first one does."""
    first = make("a", rules=LARGE)
    make("b")
    request = patient(desk, from_pools(desk.request("x", 25), "a", "b"))
    with pytest.raises(ApprovalPendingError) as waits:
        desk.allocate(request)
    assert desk.record("x").grants == ()
    decide(desk.ports, waits.value.approval_id, Verdict("approved", "someone"), "test")
    grant = desk.another().allocate(request).grant
    assert (grant.pool_id, grant.passed_over) == (first.pool_id, ())
    assert desk.store.approvals() == []
    check(desk.store)


def test_a_pool_before_it_with_room_needs_no_approval(desk: Desk, make: MakePool) -> None:
    """Only where the pools before it could not serve is anybody asked."""
    first = make("a")
    make("b", rules=LARGE)
    request = patient(desk, from_pools(desk.request("x", 25), "a", "b"))
    assert desk.allocate(request).grant.pool_id == first.pool_id
    assert desk.store.approvals() == []


def test_what_an_administrator_has_denied_is_not_given_by_another_pool(desk: Desk, make: MakePool) -> None:
    """A person's word is the end of the request."""
    make("a", rules=LARGE)
    make("b")
    request = patient(desk, from_pools(desk.request("x", 25), "a", "b"))
    with pytest.raises(ApprovalPendingError) as waits:
        desk.allocate(request)
    decide(desk.ports, waits.value.approval_id, Verdict("denied", "someone", "too large"), "test")
    with pytest.raises(DeniedError):
        desk.allocate(request)
    assert desk.record("x").grants == ()


def test_what_nobody_has_decided_in_time_is_not_given_by_another_pool(desk: Desk, make: MakePool) -> None:
    """Silence is no approval: else whoever waits long enough needs none."""
    make("a", rules=LARGE)
    make("b")
    request = patient(desk, from_pools(desk.request("x", 25), "a", "b"))
    with pytest.raises(ApprovalPendingError):
        desk.allocate(request)
    desk.clock.advance(HOUR)
    with pytest.raises(DeniedError) as refused:
        desk.allocate(request)
    assert refused.value == DeniedError("a", 25, "", "")
    assert desk.record("x").grants == ()


@pytest.mark.parametrize("pools", [("a", "b"), ()])
def test_a_request_that_cannot_wait_is_refused(desk: Desk, make: MakePool, pools: tuple[str, ...]) -> None:
    """A short ServiceTimeout is no way around the approval, whether the pools are named or not."""
    make("a", rules=LARGE)
    second = make("b")
    with pytest.raises(DeniedError) as refused:
        desk.allocate(from_pools(desk.request("x", 25), *pools))
    assert refused.value == DeniedError("a", 25, "", "", waits=False)
    assert desk.held(second.pool_id) == []
    assert desk.allocate(from_pools(desk.request("y", 26), *pools)).outcome == "allocated"


def test_an_account_that_lets_too_much_wait_gets_nothing_of_another_pool(
    desk: Desk, make: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full list of requests is no way around the approval either; the quota of a pool still passes on."""
    monkeypatch.setattr("ipam.services.approve.MAX_WAITING", 1)
    make("a", rules=LARGE)
    make("b")
    for name, why in {"x": ApprovalPendingError, "y": QuotaExceededError}.items():
        with pytest.raises(why):
            desk.allocate(patient(desk, from_pools(desk.request(name, 25), "a", "b")))
    assert [desk.record(name).grants for name in "xy"] == [(), ()]


def test_an_approval_is_used_up_and_not_asked_for_again(desk: Desk, make: MakePool) -> None:
    """A request that comes again after it has been served is answered, and bothers nobody (I4)."""
    make("a", rules=LARGE)
    request = patient(desk, desk.request("x", 25))
    with pytest.raises(ApprovalPendingError) as waits:
        desk.allocate(request)
    decide(desk.ports, waits.value.approval_id, Verdict("approved", "someone"), "test")
    grant = desk.another().allocate(request).grant
    assert desk.another().allocate(request).grant == grant
    assert desk.outside.happenings.kinds() == ["Approval Asked"]
    desk.release("x", grant.allocation_id)
    with pytest.raises(SupersededError):
        desk.another().allocate(request)
    assert desk.store.approvals() == []
    check(desk.store)


def test_an_approval_is_for_one_request(desk: Desk, make: MakePool) -> None:
    """A later request of the same resource, even for the same, waits for a word of its own."""
    make("a", rules=LARGE)
    request = patient(desk, desk.request("x", 25))
    with pytest.raises(ApprovalPendingError) as waits:
        desk.allocate(request)
    decide(desk.ports, waits.value.approval_id, Verdict("approved", "someone"), "test")
    desk.clock.advance(1)
    with pytest.raises(ApprovalPendingError) as again:
        desk.allocate(patient(desk, desk.request("x", 25)))
    assert again.value.approval_id != waits.value.approval_id


def test_a_preview_of_a_large_block_waits_and_its_redemption_does_not(desk: Desk, make: MakePool) -> None:
    """Who holds a block was approved to."""
    make("a", rules=LARGE)
    request = patient(desk, previewed(desk.request("x", 25)))
    with pytest.raises(ApprovalPendingError) as waits:
        desk.allocate(request)
    decide(desk.ports, waits.value.approval_id, Verdict("approved", "someone"), "test")
    assert desk.allocate(request).grant.preview


def test_an_administrator_needs_no_share_and_no_approval(desk: Desk, make: MakePool) -> None:
    """Sharing and approval are not for those who decide them; rules of the pool are."""
    make("a", rules=replace(LARGE, required_tags=(("team", "a"),)), shared_with=(OTHER,))
    request = by_administrator(tagged(desk.request("x", 25), ("team", "a")))
    assert desk.allocate(request).outcome == "allocated"
    check(desk.store)


# -------------------------------------------------------------------------------------------------------------- sharing
def test_what_was_granted_is_answered_though_the_organisation_is_silent(desk: Desk, make: MakePool) -> None:
    """A Create that comes again has its block: who may have one is no longer a question."""
    desk.outside.organization.move(ACCOUNT, "ou-abcd-11111111")
    make("a", shared_with=("ou-abcd-11111111",))
    request = desk.request("x", 28)
    grant = desk.allocate(request).grant
    desk.outside.organization.fault = ServiceUnavailableError("AWS Organizations", "TooManyRequestsException")
    assert desk.another().allocate(request).grant == grant
    with pytest.raises(ServiceUnavailableError):
        desk.another().allocate(desk.request("y", 28))
