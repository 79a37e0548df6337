"""Previews: a block is held for a while, and is somebody's once, if they come in time with its token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import PassAllocation
from ipam.domain.errors import (
    CidrNotFreeError,
    ContendedError,
    MissingTagError,
    NoSuchPreviewError,
    OnlyPreviewedError,
    OutOfTimeError,
    PoolNotSharedError,
    QuotaExceededError,
    StoreUnavailableError,
    SupersededError,
)
from ipam.domain.ids import is_allocation_id
from ipam.domain.pool import AllocationRules, Quota
from ipam.services.leases import ENDED_KEPT, end_preview, keep_leases, lease_of
from ipam.services.pools import edit_pool
from ipam.services.ports.store import Conflict, Refusal
from ipam.services.release import release_never_accepted
from ipam.services.request import MAX_ATTEMPTS
from tests.builders import ACCOUNT, NOON, STACK, Desk, claim
from tests.faults import Around, Interrupted
from tests.invariants import check
from tests.orders import (
    HOUR,
    by_administrator,
    from_pools,
    limited,
    previewed,
    redeeming,
    selecting,
    tagged,
    token_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]

OTHER = "444455556666"
OTHER_STACK = STACK.replace("net", "other")
LEASE = 7 * 24 * 3600


@pytest.fixture
def pool(pool_of: MakePool) -> Pool:
    """A pool that has room for four /26."""
    return pool_of("10.0.0.0/24", cooling_seconds=60)


@pytest.fixture
def preview(desk: Desk, pool: Pool) -> Grant:  # noqa: ARG001 - it has to be there
    """A /26 that is held for an hour."""
    return desk.allocate(previewed(desk.request("held", 26))).grant


def redeem(desk: Desk, preview: Grant, name: str = "a", **facts: Any) -> Grant:
    """Redeem a preview for a resource, some time after it was made."""
    desk.clock.advance(1)
    return desk.allocate(redeeming(desk.request(name, **facts), token_of(preview))).grant


def refused(desk: Desk, preview: Grant, name: str = "a", **facts: Any) -> NoSuchPreviewError:
    """Try in vain to redeem a preview."""
    before = (desk.record(name), desk.record("held"))
    with pytest.raises(NoSuchPreviewError) as why:
        redeem(desk, preview, name, **facts)
    assert (desk.record(name), desk.record("held")) == before
    check(desk.store)
    return why.value


# ----------------------------------------------------------------------------------------------------------- it is held
def test_a_preview_holds_its_block(desk: Desk, pool: Pool, preview: Grant) -> None:
    """Nobody else gets it, it counts in the quota, and it has a lease that ends after the time that was asked for."""
    assert preview.preview
    assert preview.expires == NOON + HOUR * 1000
    assert desk.held(pool.pool_id) == ["10.0.0.0/26"]
    assert str(desk.allocate(desk.request("b", 26)).grant.cidr) == "10.0.0.64/26"
    with pytest.raises(CidrNotFreeError):
        desk.allocate(desk.request("c", cidr="10.0.0.0/28"))
    assert desk.store.quota(ACCOUNT, pool.pool_id).allocations == 2
    assert list(desk.store.leases(pool.pool_id)) == [lease_of(preview, desk.record("held").owner, ACCOUNT)]
    assert [record.event for record in desk.store.audit(pool.pool_id, preview.cidr)] == ["previewed"]
    check(desk.store)


def test_a_preview_that_is_asked_for_again_is_the_same(desk: Desk, preview: Grant) -> None:
    """Delivered again, and by a later Update, it is answered as it was: its time does not begin anew (I4)."""
    request = previewed(desk.request("held", 26))
    assert desk.another().allocate(request).grant == preview
    desk.clock.advance(600)
    later = previewed(desk.request("held", 26), 2 * HOUR)
    kept = desk.revise(later, preview.allocation_id)
    assert (kept.outcome, kept.grant.allocation_id, kept.grant.expires) == (
        "kept",
        preview.allocation_id,
        preview.expires,
    )
    check(desk.store)


def test_the_rules_hold_for_a_preview(desk: Desk, pool_of: MakePool) -> None:
    """What could not be given cannot be held."""
    pool_of("10.0.0.0/24", quota=Quota(allocations=0))
    with pytest.raises(QuotaExceededError):
        desk.allocate(previewed(desk.request("held", 26)))


# ------------------------------------------------------------------------------------------------------- it is redeemed
def test_a_preview_is_redeemed(desk: Desk, pool: Pool, preview: Grant) -> None:
    """The very block is an allocation of its own then, with an id, a description and tags of its own, and lasts."""
    desk.clock.advance(1)
    request = tagged(desk.request("a", description="a network of its own"), ("team", "a"))
    redeemed = desk.allocate(redeeming(request, token_of(preview)))
    grant = redeemed.grant
    assert redeemed.outcome == "allocated"
    assert (grant.cidr, grant.pool_id, grant.preview, grant.expires) == (preview.cidr, pool.pool_id, False, None)
    assert is_allocation_id(grant.allocation_id)
    assert grant.allocation_id != preview.allocation_id
    assert (grant.created, grant.requested, grant.by_create) == (NOON + 1000, NOON + 1000, True)
    (allocation,) = desk.store.allocations(pool.pool_id)
    assert (allocation.allocation_id, allocation.owner, allocation.tags) == (
        grant.allocation_id,
        desk.record("a").owner,
        (("team", "a"),),
    )
    assert allocation.description == "a network of its own"
    assert list(desk.store.leases(pool.pool_id)) == []
    held = desk.record("held")
    assert (held.grants, held.returned, held.fence) == ((), (preview.allocation_id,), preview.requested)
    assert desk.store.quota(ACCOUNT, pool.pool_id).allocations == 1
    assert [record.event for record in desk.store.audit(pool.pool_id, preview.cidr)] == ["previewed", "redeemed"]
    check(desk.store, canonical=True)


def test_what_is_redeemed_in_a_pool_with_leases_has_one(desk: Desk, pool_of: MakePool) -> None:
    """The pool's lease takes the place of the preview's."""
    pool = pool_of("10.0.0.0/24", rules=AllocationRules(lease_seconds=LEASE))
    preview = desk.allocate(previewed(desk.request("held", 26))).grant
    grant = redeem(desk, preview)
    assert grant.expires == NOON + 1000 + LEASE * 1000
    assert list(desk.store.leases(pool.pool_id)) == [lease_of(grant, desk.record("a").owner, ACCOUNT)]
    check(desk.store)


def test_another_stack_of_the_account_may_redeem_it(desk: Desk, preview: Grant) -> None:
    """The token is what counts within the account."""
    assert redeem(desk, preview, stack=OTHER_STACK).cidr == preview.cidr
    check(desk.store)


def test_a_preview_is_redeemed_once(desk: Desk, preview: Grant) -> None:
    """Whoever comes second is told that there is nothing; who was served is answered again."""
    grant = redeem(desk, preview)
    refused(desk, preview, "b")
    again = redeeming(desk.request("a", at=grant.requested), token_of(preview))
    assert desk.another().allocate(again).grant == grant
    check(desk.store)


@pytest.mark.parametrize("length", [None, 26])
@pytest.mark.parametrize("cidr", [None, "10.0.0.0/26"])
def test_what_the_block_is_may_be_said(desk: Desk, preview: Grant, length: int | None, cidr: str | None) -> None:
    """A netmask length or a Cidr beside the token only repeats what that says, in this request and in the next."""
    grant = redeem(desk, preview, length=length, cidr=cidr)
    assert grant.cidr == preview.cidr
    desk.clock.advance(1)
    again = redeeming(desk.request("a"), token_of(preview))
    assert desk.revise(again, grant.allocation_id).grant.allocation_id == grant.allocation_id
    check(desk.store)


def test_the_token_may_be_taken_out_of_the_template(desk: Desk, preview: Grant) -> None:
    """Once it has served, the same block in plain words is what the resource has already."""
    grant = redeem(desk, preview)
    desk.clock.advance(1)
    assert desk.revise(desk.request("a", 26), grant.allocation_id).grant.allocation_id == grant.allocation_id


def test_the_pool_may_be_named_beside_the_token(desk: Desk, pool: Pool, preview: Grant, pool_of: MakePool) -> None:
    """By name, by id, among several or by its tags; another pool makes it another preview, which there is none of."""
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, tags=(("stage", "prod"),)), "test")
    pool_of("10.1.0.0/24", name="b")
    token = token_of(preview)
    desk.clock.advance(1)
    wrong = [
        desk.request("a", pool_name="b"),
        from_pools(desk.request("a"), "b"),
        selecting(desk.request("a"), ("stage", "test")),
    ]
    for request in wrong:
        with pytest.raises(NoSuchPreviewError):
            desk.allocate(redeeming(request, token))
    right = selecting(from_pools(desk.request("a"), "b", pool.pool_id), ("stage", "prod"))
    assert desk.allocate(redeeming(right, token)).grant.cidr == preview.cidr


def test_a_preview_of_a_level_of_the_plan_is_redeemed_by_its_token_alone(desk: Desk, pool_of: MakePool) -> None:
    """A pool that is only chosen by name need not be named again: the token says where the block is."""
    scope = desk.scope()
    level = pool_of("10.0.0.0/16", name="level", scope=scope)
    pool_of("10.0.0.0/24", name="below", scope=scope, source_pool_id=level.pool_id)
    preview = desk.allocate(previewed(desk.request("held", 26, pool_name="level"))).grant
    assert redeem(desk, preview).pool_id == level.pool_id


# ------------------------------------------------------------------------------------------------------------ it is not
def test_another_account_is_told_what_anybody_is_told_of_nothing(desk: Desk, preview: Grant) -> None:
    """That a token is real, but somebody else's, cannot be told from a token that was made up."""
    unknown = replace(preview, allocation_id=preview.allocation_id[:-1] + "0")
    one = refused(desk, preview, account=OTHER)
    other = refused(desk, unknown, account=OTHER)
    assert replace_token(one) == replace_token(other)


def replace_token(error: NoSuchPreviewError) -> dict[str, object]:
    """All that a refusal says but the token itself."""
    return {name: value for name, value in vars(error).items() if name != "token"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"pool_id": "ipam-pool-0123456789abcdef0"},
        {"allocation_id": "ipam-pool-alloc-" + "0" * 32},
    ],
    ids=str,
)
def test_a_made_up_token_is_none(desk: Desk, preview: Grant, wrong: dict[str, Any]) -> None:
    """Each of its three parts has to be right."""
    refused(desk, replace(preview, **wrong))
    refused(desk, replace(preview, cidr=preview.cidr.buddy))


@pytest.mark.parametrize("token", ["", "x", "@@", "ipam-pool-alloc-" + "0" * 32])
def test_what_is_no_token_is_refused(desk: Desk, preview: Grant, token: str) -> None:
    """An empty one asks for no preview at all; anything else that is none is refused like a made-up one."""
    request = redeeming(desk.request("a", 26), token)
    if not token:
        assert desk.allocate(request).grant.cidr != preview.cidr
        return
    with pytest.raises(NoSuchPreviewError):
        desk.allocate(request)


def test_what_contradicts_the_block_is_refused(desk: Desk, preview: Grant) -> None:
    """Another size, another block, another family, another type, or limits that exclude it."""
    refused(desk, preview, length=27)
    refused(desk, preview, cidr="10.0.0.64/26")
    refused(desk, preview, family=6)
    refused(desk, preview, allocation_type="eip", locale="us-east-1")
    with pytest.raises(NoSuchPreviewError):
        desk.allocate(limited(redeeming(desk.request("a"), token_of(preview)), disallowed=("10.0.0.0/28",)))


@pytest.mark.usefixtures("pool")
def test_an_ordinary_allocation_has_no_token(desk: Desk) -> None:
    """The id, pool and block of what somebody has are no right to it, even for its owner."""
    grant = desk.allocate(desk.request("held", 26)).grant
    refused(desk, replace(grant, preview=True))
    refused(desk, replace(grant, preview=True), "held")


def test_a_preview_that_is_over_is_not_redeemed(desk: Desk, pool: Pool, preview: Grant) -> None:
    """To the millisecond, and whether or not anybody has noticed yet."""
    desk.clock.advance(HOUR - 1)
    refused(desk, preview)
    keep_leases(desk.another().ports, pool, desk.deadline)
    refused(desk, preview)
    assert desk.free(pool.pool_id) == ["10.0.0.0/26", "10.0.0.64/26", "10.0.0.128/25"]


def test_a_preview_is_redeemed_to_the_last_millisecond(desk: Desk, preview: Grant) -> None:
    """Whoever comes in time has it, however close it was."""
    desk.clock.advance(HOUR - 1.001)
    assert redeem(desk, preview).cidr == preview.cidr


def test_tags_and_shares_are_looked_at_again(desk: Desk, pool: Pool, preview: Grant) -> None:
    """Who may use the pool, and what a resource has to be tagged with, is asked of whoever redeems."""
    edit_pool(
        desk.ports, pool.pool_id, lambda old: replace(old, rules=AllocationRules(required_tags=(("a", "b"),))), "t"
    )
    with pytest.raises(MissingTagError):
        redeem(desk, preview)
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, shared_with=(OTHER,)), "t")
    with pytest.raises(PoolNotSharedError):
        redeem(desk, preview)
    assert desk.record("held").grants == (preview,)


def test_rules_for_the_block_are_not(desk: Desk, pool: Pool, preview: Grant) -> None:
    """What is held was given by the rules of its day."""
    strict = AllocationRules(max_netmask_length=24, disallowed_cidrs=(preview.cidr,), approval_netmask_length=28)
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, rules=strict, quota=Quota(0, 0)), "t")
    assert redeem(desk, preview).cidr == preview.cidr


# ------------------------------------------------------------------------------------------- an administrator's preview
def test_an_administrators_preview_is_for_whoever_has_the_token(desk: Desk, pool: Pool) -> None:
    """It counts for nobody until it is redeemed, and for the account that does from then on."""
    preview = desk.allocate(by_administrator(previewed(desk.request("held", 26)))).grant
    assert desk.store.quota(ACCOUNT, pool.pool_id).allocations == 0
    redeem(desk, preview, account=OTHER)
    counted = desk.store.quota(OTHER, pool.pool_id)
    assert (counted.allocations, counted.units) == (1, 64)
    check(desk.store)


def test_an_administrators_preview_does_not_exceed_a_quota(desk: Desk, pool_of: MakePool) -> None:
    """That it is beyond the account's quota is told at once, and not after ten tries."""
    pool_of("10.0.0.0/24", quota=Quota(units=63))
    preview = desk.allocate(by_administrator(previewed(desk.request("held", 26)))).grant
    before = list(desk.clock.slept)
    with pytest.raises(QuotaExceededError):
        redeem(desk, preview)
    assert desk.clock.slept == before
    check(desk.store)


def test_an_administrator_does_not_take_an_accounts_preview(desk: Desk, preview: Grant) -> None:
    """What an account holds is that account's."""
    desk.clock.advance(1)
    with pytest.raises(NoSuchPreviewError):
        desk.allocate(by_administrator(redeeming(desk.request("a"), token_of(preview))))


def test_what_amazons_ipam_chose_stays_its_own(desk: Desk, pool: Pool, preview: Grant) -> None:
    """The allocation there is that of whoever has the block here, and is given back there one day."""
    theirs = "ipam-pool-alloc-theirs"
    record = desk.record("held")
    backed = replace(preview, vpc_ipam_allocation_id=theirs)
    store: Any = desk.store
    owners = store._partitions[f"OWNER#{STACK}"]
    owners["held"] = replace(record, grants=(backed,))
    grant = redeem(desk, preview)
    assert grant.vpc_ipam_allocation_id == theirs
    (allocation,) = desk.store.allocations(pool.pool_id)
    assert allocation.vpc_ipam_allocation_id == theirs
    desk.release("a", grant.allocation_id)
    (cooling,) = desk.store.cooling(pool.pool_id, 9)
    assert cooling.vpc_ipam_allocation_id == theirs


# --------------------------------------------------------------------------------------------- the stack of the preview
def test_an_update_from_a_preview_to_its_token_is_a_replacement(desk: Desk, pool: Pool, preview: Grant) -> None:
    """The same resource redeems its own preview: another id, the same block, and the cleanup finds the old one gone."""
    desk.clock.advance(1)
    update = redeeming(desk.request("held"), token_of(preview))
    redeemed = desk.revise(update, preview.allocation_id)
    assert (redeemed.outcome, redeemed.grant.cidr) == ("allocated", preview.cidr)
    assert desk.another().revise(update, preview.allocation_id).grant.allocation_id == redeemed.grant.allocation_id
    desk.clock.advance(1)
    assert desk.release("held", preview.allocation_id) == "already-released"
    assert desk.held(pool.pool_id) == ["10.0.0.0/26"]
    assert desk.release("held", redeemed.grant.allocation_id) == "released"
    assert desk.cooling(pool.pool_id) == ["10.0.0.0/26"]
    check(desk.store)


def test_a_rollback_of_that_update_holds_another_block(desk: Desk, pool: Pool, preview: Grant) -> None:
    """What was redeemed is nobody's preview any more: going back asks for a new one, and what was redeemed goes."""
    desk.clock.advance(1)
    forward = desk.revise(redeeming(desk.request("held"), token_of(preview)), preview.allocation_id).grant
    desk.clock.advance(1)
    back = desk.revise(previewed(desk.request("held", 26)), forward.allocation_id).grant
    assert back.preview and back.cidr != preview.cidr
    desk.clock.advance(1)
    assert desk.release("held", forward.allocation_id) == "released"
    assert desk.held(pool.pool_id) == [str(back.cidr)]
    check(desk.store)


def test_a_stack_that_goes_leaves_what_was_redeemed(desk: Desk, pool: Pool, preview: Grant) -> None:
    """The preview's own stack has nothing to give back any more, and the block stays its new owner's (I5)."""
    grant = redeem(desk, preview)
    desk.clock.advance(1)
    assert desk.release("held", preview.allocation_id) == "already-released"
    assert desk.another().release("held", preview.allocation_id) == "already-released"
    assert desk.release("held", grant.allocation_id) == "unverified-delete"
    assert desk.held(pool.pool_id) == [str(grant.cidr)]
    check(desk.store)


def test_a_warm_function_that_remembers_the_preview_is_not_wrong(desk: Desk, preview: Grant) -> None:
    """A process that made the preview, and did not hear of the redemption, finds out by its own change."""
    redeem(desk.another(), preview)
    desk.clock.advance(1)
    assert desk.release("held", preview.allocation_id) == "already-released"


def test_a_stack_that_goes_first_takes_its_preview_along(desk: Desk, pool: Pool, preview: Grant) -> None:
    """The block is free at once, as nobody ever had it, and the token is worth nothing."""
    desk.clock.advance(1)
    assert desk.release("held", preview.allocation_id) == "released"
    assert (desk.held(pool.pool_id), desk.cooling(pool.pool_id)) == ([], [])
    refused(desk, preview)
    check(desk.store)


def test_nothing_stands_for_the_return_of_a_preview(desk: Desk, preview: Grant) -> None:
    """I7: Custom::DeleteCnCIDR would vouch for a block that is used, and a preview ends by itself."""
    with pytest.raises(OnlyPreviewedError) as refused_:
        desk.verify("return", claim(preview))
    assert refused_.value == OnlyPreviewedError(preview.cidr)
    assert not desk.record("held").grants[0].acknowledged
    grant = redeem(desk, preview, stack=OTHER_STACK)
    desk.clock.advance(1)
    assert desk.release_in_stack("return", preview) == "already-released"
    assert desk.release_in_stack("return", grant) == "unverified-delete"
    check(desk.store)


@pytest.mark.parametrize("end", ["redeemed", "over"])
def test_a_create_whose_preview_is_gone_holds_no_second_one(desk: Desk, pool: Pool, preview: Grant, end: str) -> None:
    """Delivered again, it was overtaken by what became of its preview; a later request of the resource is served."""
    create = previewed(desk.request("held", 26, at=preview.requested))
    if end == "redeemed":
        redeem(desk, preview)
    else:
        desk.clock.advance(HOUR)
        keep_leases(desk.another().ports, pool, desk.deadline)
    for process in (desk, desk.another()):
        with pytest.raises(SupersededError):
            process.allocate(create)
    desk.clock.advance(1)
    again = desk.revise(previewed(desk.request("held", 26)), preview.allocation_id)
    assert (again.outcome, again.grant.preview) == ("allocated", True)
    check(desk.store)


@pytest.mark.parametrize("warm", [True, False])
def test_an_update_finds_that_its_preview_is_over(desk: Desk, pool: Pool, preview: Grant, *, warm: bool) -> None:
    """Before upkeep comes by, too, it ends what is over and holds a block anew; the same again changes nothing."""
    desk.clock.advance(HOUR)
    process = desk if warm else desk.another()
    update = previewed(desk.request("held", 26))
    revised = process.revise(update, preview.allocation_id)
    assert revised.outcome == "allocated"
    assert revised.grant.expires == desk.clock.now() + HOUR * 1000
    assert desk.another().revise(update, preview.allocation_id).grant == revised.grant
    assert desk.release("held", preview.allocation_id) == "already-released"
    assert desk.held(pool.pool_id) == [str(revised.grant.cidr)]
    check(desk.store)


def test_an_owner_whose_preview_is_gone_is_remembered_for_years(desk: Desk, preview: Grant) -> None:
    """Its stack may stand that long, and its Delete is then known to be of something that was given back."""

    class Expiring(Around):
        """Notes until when owners are kept."""

        def __init__(self, store: Any) -> None:
            super().__init__(store)
            self.kept: list[int | None] = []

        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == "commit":
                self.kept += [getattr(each, "expires", None) for each in args[0].operations if hasattr(each, "expires")]
            return super().call(name, do, args)

    watched = Expiring(desk.store)
    redeem(desk.another(watched), preview)
    assert watched.kept == [None, desk.clock.now() // 1000 + ENDED_KEPT]


# ----------------------------------------------------------------------------------------- what nobody has accepted yet
def test_an_abandoned_create_gives_its_preview_back(desk: Desk, pool: Pool, preview: Grant) -> None:
    """A Delete with an id that nobody made ends the preview that its Create left."""
    assert desk.abandon("held", preview, at=preview.requested + 1000) == "released"
    assert desk.held(pool.pool_id) == []
    assert desk.cooling(pool.pool_id) == []
    refused(desk, preview)
    check(desk.store)


def test_an_abandoned_create_whose_preview_was_redeemed_gives_nothing_back(desk: Desk, preview: Grant) -> None:
    """Whoever redeemed it has it."""
    grant = redeem(desk, preview)
    assert desk.abandon("held", preview, at=preview.requested + 5000) == "nothing-to-release"
    assert desk.record("a").grants == (grant,)
    check(desk.store)


def test_an_abandoned_redemption_gives_the_block_back(desk: Desk, pool: Pool, preview: Grant) -> None:
    """It was made by a Create like any other; it cools, for somebody had it, and is no preview any more."""
    grant = redeem(desk, preview)
    assert desk.abandon("a", grant, at=grant.requested) == "released"
    assert desk.cooling(pool.pool_id) == [str(preview.cidr)]
    refused(desk, preview, "b")
    check(desk.store)


def test_a_preview_of_an_update_that_nobody_accepted_is_given_back(desk: Desk, pool: Pool) -> None:
    """A rollback shows that the stack never took it over."""
    held = desk.allocate(desk.request("held", 26)).grant
    desk.clock.advance(1)
    forward = desk.revise(previewed(desk.request("held", 27)), held.allocation_id).grant
    assert forward.preview and not forward.by_create
    desk.clock.advance(1)
    desk.revise(desk.request("held", 26), held.allocation_id)
    assert desk.held(pool.pool_id) == [str(held.cidr)]
    assert desk.cooling(pool.pool_id) == []
    check(desk.store)


def test_a_preview_of_an_update_that_was_redeemed_meanwhile_is_not(desk: Desk, pool: Pool) -> None:
    """Between reading that it was never accepted and giving it back somebody may redeem it: then it is theirs (I5)."""
    held = desk.allocate(desk.request("held", 26)).grant
    desk.clock.advance(1)
    forward = desk.revise(previewed(desk.request("held", 27)), held.allocation_id).grant
    other = desk.another()
    watched = Interrupted(desk.store, lambda: redeem(other, forward))
    releasing = desk.giving_back("held")
    assert release_never_accepted(desk.another(watched).ports, releasing, forward, desk.deadline) == "already-released"
    assert len(desk.held(pool.pool_id)) == 2
    check(desk.store)


# -------------------------------------------------------------------------------------------------- in each other's way
def test_a_redemption_without_time_changes_nothing(desk: Desk, preview: Grant) -> None:
    """The deadline is asked before the change."""

    class Over:
        def ensure(self) -> None:
            raise OutOfTimeError

    at = desk.another()
    at.deadline = Over()
    with pytest.raises(OutOfTimeError):
        redeem(at, preview)
    assert desk.record("held").grants == (preview,)


def test_a_redemption_that_never_gets_its_turn_gives_way(desk: Desk, preview: Grant) -> None:
    """Where the items are busy again and again it is tried so many times, with waits, and may come again."""

    class Busy(Around):
        tries = 0

        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name != "commit":
                return super().call(name, do, args)
            self.tries += 1
            (passed,) = (each for each in args[0].operations if isinstance(each, PassAllocation))
            raise Conflict((Refusal(passed, busy=True),))

    busy = Busy(desk.store)
    with pytest.raises(ContendedError):
        redeem(desk.another(busy), preview)
    assert busy.tries == MAX_ATTEMPTS
    assert len(desk.clock.slept) == MAX_ATTEMPTS
    check(desk.store)


def test_an_owner_that_changes_meanwhile_is_read_again(desk: Desk, preview: Grant) -> None:
    """An Update of the preview's own resource, and another order of the redeeming one, are no reason to refuse."""
    other = desk.another()
    desk.clock.advance(1)
    watched = Interrupted(
        desk.store,
        lambda: other.revise(previewed(desk.request("held", 26, at=desk.clock.now())), preview.allocation_id),
        lambda: other.allocate(desk.request("a", 28)),
    )
    grant = redeem(desk.another(watched), preview)
    assert grant.cidr == preview.cidr
    assert {held.cidr.length for held in desk.record("a").grants} == {26, 28}
    check(desk.store)


def test_a_redemption_that_its_delete_has_overtaken_redeems_nothing(desk: Desk, pool: Pool, preview: Grant) -> None:
    """The fence of the redeeming resource holds here as everywhere; the preview stays for another one."""
    at = desk.clock.now()
    desk.clock.advance(1)
    desk.abandon("a")
    with pytest.raises(SupersededError):
        desk.allocate(redeeming(desk.request("a", at=at), token_of(preview)))
    assert redeem(desk, preview, "b").cidr == preview.cidr
    assert desk.held(pool.pool_id) == [str(preview.cidr)]
    check(desk.store)


def test_a_lost_answer_is_found_again(desk: Desk, preview: Grant) -> None:
    """The redemption was made, and nobody heard of it: delivered again it is the same (I4)."""

    class Lost(Around):
        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            answer = super().call(name, do, args)
            if name == "commit":
                raise StoreUnavailableError("lost")
            return answer

    desk.clock.advance(1)
    request = redeeming(desk.request("a"), token_of(preview))
    with pytest.raises(StoreUnavailableError):
        desk.another(Lost(desk.store)).allocate(request)
    (grant,) = desk.record("a").grants
    assert desk.another().allocate(request).grant == grant
    check(desk.store)


def test_a_preview_is_not_ended_for_somebody_elses_lease(desk: Desk, pool_of: MakePool) -> None:
    """A run that read the preview's lease finds another one in its place, and leaves that alone."""
    pool = pool_of("10.0.0.0/24", rules=AllocationRules(lease_seconds=LEASE))
    preview = desk.allocate(previewed(desk.request("held", 26))).grant
    (lease,) = desk.store.leases(pool.pool_id)
    grant = redeem(desk, preview)
    desk.clock.advance(HOUR)
    assert not end_preview(desk.another().ports, lease)
    assert desk.record("a").grants == (grant,)
    check(desk.store)
