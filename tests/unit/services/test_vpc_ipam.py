from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.allocation import Allocation, PendingOrder
from ipam.domain.change import Change, PutAllocation, PutAudit, PutFree, PutOwner, PutPending, TakeFree
from ipam.domain.errors import (
    AllocationRuleError,
    ApprovalPendingError,
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    NetmaskLengthError,
    OutOfTimeError,
    QuotaExceededError,
    ServiceUnavailableError,
    StoreUnavailableError,
    SupersededError,
    VpcIpamRefusedError,
)
from ipam.domain.free_space import remainders
from ipam.domain.owner import OwnerKey, OwnerRecord
from ipam.domain.pool import AllocationRules, Quota
from ipam.services.approve import Verdict, decide
from ipam.services.audit import note
from ipam.services.doctor import examine, join_buddies
from ipam.services.pending import mend
from ipam.services.pools import NewPool, edit_pool
from ipam.services.ports.outside import NoVpcIpam, VpcIpamOrder
from ipam.services.upkeep import Failure
from ipam.services.vpc_ipam import MAX_CHOICES
from tests.builders import ACCOUNT, NOON, REGION, Desk, block, blocks, owner_key
from tests.faults import Faulty, Interrupted, Recorder
from tests.orders import from_pools, limited, patient, previewed, redeeming, token_of
from tests.vpc_ipam import AmazonPool, BackedDesk, agree, backed, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.change import Operation
    from ipam.domain.pool import Pool

ALLOCATE, RELEASE, LIST = "AllocateIpamPoolCidr", "ReleaseIpamPoolAllocation", "GetIpamPoolAllocations"

MINUTE = 60

Place = tuple[BackedDesk, AmazonPool, "Pool"]


@pytest.fixture
def place() -> Place:
    """A pool of 256 addresses, the same here and there."""
    return backed("10.0.0.0/24")


def hold(place: Place, cidr: str, name: str = "elsewhere") -> Allocation:
    """Hold a block here that Amazon VPC IPAM knows nothing of."""
    desk, _, pool = place
    grant = desk.allocate(desk.request(name, cidr=cidr)).grant
    (allocation,) = (each for each in desk.store.allocations(pool.pool_id) if each.cidr == grant.cidr)
    place[1].held.pop(allocation.vpc_ipam_allocation_id)
    return allocation


def put_here(place: Place, cidr: str, owner: OwnerKey, there: str = "") -> None:
    """Write an allocation as an import does, past Amazon; the pool is wholly free."""
    desk, _, pool = place
    whole, part = block("10.0.0.0/24"), block(cidr)
    named = Allocation(
        f"ipam-pool-alloc-{0:032x}", pool.pool_id, part, owner, "", "vpc", "", NOON, vpc_ipam_allocation_id=there
    )
    operations: tuple[Operation, ...] = (
        TakeFree(pool.pool_id, whole),
        PutAllocation(named),
        PutOwner(OwnerRecord(owner), None),
        *(PutFree(pool.pool_id, rest) for rest in remainders(whole, part)),
        PutAudit(note(desk.ports, pool.pool_id, "imported", "test", part)),
    )
    desk.store.commit(Change(operations))


def events(desk: Desk, subject: str) -> list[str]:
    """Name what was written down of a stack's orders."""
    return [record.event for record in desk.store.audit(subject)]


# ------------------------------------------------------------------------------------------------------------- allocate


def test_the_block_is_the_one_that_amazon_chooses(place: Place) -> None:
    """Others use the pool too: where it gives, we take, with its id kept for the way back."""
    desk, amazon, pool = place
    theirs = amazon.take("10.0.0.0/26", resource_type="vpc")
    allocated = desk.allocate(desk.request("a", 26))
    (there,) = amazon.held.keys() - {theirs}
    assert (allocated.outcome, str(allocated.grant.cidr)) == ("allocated", "10.0.0.64/26")
    assert allocated.grant.vpc_ipam_allocation_id == there
    assert desk.orders(pool.pool_id) == []
    agree(desk, amazon, pool, (theirs,))


def test_what_is_asked_there_names_the_order_and_the_account(place: Place) -> None:
    """A person who looks there finds who has it, and mending finds what it is of."""
    desk, amazon, pool = place
    watched = Recorder(desk.store)
    desk.another(watched).allocate(desk.request("a", 26))
    (asked,) = amazon.asked(ALLOCATE)
    order = next(each.order for each in watched.committed[0].operations if isinstance(each, PutPending))
    token = asked.pop("ClientToken")
    assert (token, order.token) == (order.token, token)
    assert len(token) == 32
    assert asked == {
        "IpamPoolId": amazon.pool_id,
        "NetmaskLength": 26,
        "Description": f"cn-ipam order {token} for account {ACCOUNT}",
    }
    assert order == PendingOrder(pool.pool_id, token, owner_key("a"), ACCOUNT, NOON)
    assert events(desk, owner_key("a").party) == ["ordered"]


def test_the_order_is_struck_out_by_the_change_that_allocates(place: Place) -> None:
    """One transaction writes it down, one allocates and strikes it out; what is read is little."""
    desk, _, _ = place
    watched = Recorder(desk.store)
    desk.another(watched).allocate(desk.request("a", 26))
    assert len(watched.committed) == 2
    assert watched.calls == ["plan", "owner", "orders", "commit", "free_among", "commit"]


@pytest.mark.parametrize("later", [0, 60])
def test_a_request_that_was_served_is_answered_without_amazon(place: Place, later: int) -> None:
    """I4: the same request again, and a new one of the same words, get what there is."""
    desk, amazon, pool = place
    first = desk.allocate(desk.request("a", 26))
    desk.clock.advance(later)
    again = desk.another().allocate(desk.request("a", 26))
    assert (again.outcome, again.grant.cidr) == ("kept", first.grant.cidr)
    assert len(amazon.calls) == 1
    agree(desk, amazon, pool)


def test_an_exact_block_is_asked_for_there(place: Place) -> None:
    """Amazon takes no limits beside an exact block, so it is told none."""
    desk, amazon, pool = place
    grant = desk.allocate(desk.request("a", cidr="10.0.0.128/26")).grant
    assert str(grant.cidr) == "10.0.0.128/26"
    (asked,) = amazon.asked(ALLOCATE)
    assert asked["Cidr"] == "10.0.0.128/26"
    assert not asked.keys() & {"NetmaskLength", "AllowedCidrs", "DisallowedCidrs"}
    agree(desk, amazon, pool)


def test_an_exact_block_that_is_held_here_is_not_even_asked_for(place: Place) -> None:
    """It is refused as in every pool."""
    desk, amazon, _ = place
    desk.allocate(desk.request("a", cidr="10.0.0.0/26"))
    with pytest.raises(CidrNotFreeError):
        desk.allocate(desk.request("b", cidr="10.0.0.0/27"))
    assert len(amazon.asked(ALLOCATE)) == 1


def test_an_exact_block_that_is_taken_here_meanwhile_is_refused(place: Place) -> None:
    """No other one would do, so it is given back and that is the end of it."""
    desk, amazon, _ = place
    amazon.meanwhile = [lambda: put_here(place, "10.0.0.0/27", owner_key("imported"))]
    with pytest.raises(CidrNotFreeError):
        desk.allocate(desk.request("a", cidr="10.0.0.0/26"))
    assert len(amazon.asked(ALLOCATE)) == 1
    assert amazon.blocks() == []


def test_an_exact_block_that_others_have_there_is_refused(place: Place) -> None:
    """Amazon's word for it is told, and the order leaves nothing."""
    desk, amazon, pool = place
    theirs = amazon.take("10.0.0.0/26")
    with pytest.raises(VpcIpamRefusedError) as refused:
        desk.allocate(desk.request("a", cidr="10.0.0.0/27"))
    assert refused.value.vpc_ipam_pool_id == amazon.pool_id
    assert refused.value.code == "InvalidParameterValue"
    assert "conflicts" in refused.value.message
    assert "open" not in desk.orders(pool.pool_id)
    settle(desk, amazon, pool, (theirs,))


def test_an_exact_block_that_has_cooled_is_given_back_for_the_order() -> None:
    """What Amazon still has allocated for an old holder is given back on demand, then allocated for the new one."""
    desk, amazon, pool = backed("10.0.0.0/24", cooling_seconds=60)
    grant = desk.allocate(desk.request("a", cidr="10.0.0.0/26")).grant
    desk.release("a", grant.allocation_id)
    with pytest.raises(CidrNotFreeError) as early:
        desk.allocate(desk.request("b", cidr="10.0.0.0/26"))
    assert early.value.until == NOON + 60_000
    assert amazon.blocks() == ["10.0.0.0/26"]
    desk.clock.advance(60)
    assert desk.allocate(desk.request("b", cidr="10.0.0.0/26")).outcome == "allocated"
    agree(desk, amazon, pool)


def test_an_exact_block_that_could_not_be_given_back_is_asked_for_again() -> None:
    """Amazon may answer the next time; what it refuses to take back is in use, for the time being."""
    desk, amazon, pool = backed("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", cidr="10.0.0.0/26")).grant
    desk.release("a", grant.allocation_id)
    amazon.faults = iter(["lost-before", "refused", "refused"])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request("b", cidr="10.0.0.0/26"))
    with pytest.raises(CidrNotFreeError):
        desk.allocate(desk.request("b", cidr="10.0.0.0/26"))
    assert desk.allocate(desk.request("b", cidr="10.0.0.0/26")).outcome == "allocated"
    agree(desk, amazon, pool)


def test_limits_of_the_pool_and_of_the_request_are_told_to_amazon() -> None:
    """Of two sets of allowed blocks what is in both, and all that either disallows."""
    rules = AllocationRules(
        allowed_cidrs=tuple(blocks("10.0.0.0/25", "10.0.0.192/27")), disallowed_cidrs=tuple(blocks("10.0.0.0/27"))
    )
    desk, amazon, pool = backed("10.0.0.0/24", rules=rules)
    request = limited(desk.request("a", 27), allowed=("10.0.0.0/26", "10.0.0.192/26"), disallowed=("10.0.0.32/28",))
    assert str(desk.allocate(request).grant.cidr) == "10.0.0.192/27"
    (asked,) = amazon.asked(ALLOCATE)
    assert asked["AllowedCidrs"] == ["10.0.0.0/26", "10.0.0.192/27"]
    assert asked["DisallowedCidrs"] == ["10.0.0.0/27", "10.0.0.32/28"]
    agree(desk, amazon, pool)


@pytest.mark.parametrize(
    ("allowed", "asked", "value", "limit"),
    [
        ("10.0.0.0/25", "10.0.0.128/25", "10.0.0.128/25", "10.0.0.0/25"),
        ("10.0.0.0/26", "10.0.0.32/27", "10.0.0.32/27", "10.0.0.0/26"),
        ("10.0.0.0/27", None, "/26", "10.0.0.0/27"),
        (None, "10.0.0.0/27", "/26", "10.0.0.0/27"),
    ],
)
def test_limits_that_leave_nothing_are_refused_here(
    allowed: str | None, asked: str | None, value: str, limit: str
) -> None:
    """What cannot be is not asked for."""
    rules = AllocationRules(allowed_cidrs=tuple(blocks(*[allowed] if allowed else [])))
    desk, amazon, _ = backed("10.0.0.0/24", rules=rules)
    with pytest.raises(AllocationRuleError) as refused:
        desk.allocate(limited(desk.request("a", 26), allowed=(asked,) if asked else ()))
    assert (refused.value.rule, refused.value.value, refused.value.limit) == ("AllowedCidrs", value, limit)
    assert amazon.calls == []


def test_a_netmask_length_that_there_is_not_is_refused_here(place: Place) -> None:
    """It is, as in every pool."""
    desk, amazon, _ = place
    with pytest.raises(NetmaskLengthError):
        desk.allocate(desk.request("a", 33))
    assert amazon.calls == []


def test_ipv6_is_ordered_the_same_way() -> None:
    """So it is the way to address space that only Amazon has."""
    desk, amazon, pool = backed("2001:db8::/44")
    grant = desk.allocate(desk.request("a", 56, family=6)).grant
    assert str(grant.cidr) == "2001:db8::/56"
    agree(desk, amazon, pool)


def test_a_network_without_an_account_says_none_there(place: Place) -> None:
    """An administrator's own order has no account."""
    desk, amazon, _ = place
    desk.allocate(desk.request("a", 26, account=""))
    (asked,) = amazon.asked(ALLOCATE)
    assert asked["Description"] == f"cn-ipam order {asked['ClientToken']}"


# --------------------------------------------------------------------------------------------------------- provisioning


def test_what_amazon_got_more_is_provisioned_here_when_it_gives_of_it() -> None:
    """The space here follows that there, without anybody's doing (I3)."""
    desk, amazon, pool = backed(there=("10.0.0.0/24",))
    assert desk.store.plan().space(pool.pool_id).provisioned == ()
    assert str(desk.allocate(desk.request("a", 26)).grant.cidr) == "10.0.0.0/26"
    amazon.cidrs["10.1.0.0/16"] = "provisioned"
    amazon.cidrs["10.2.0.0/16"] = "provisioned"
    assert str(desk.allocate(desk.request("b", 20)).grant.cidr) == "10.1.0.0/20"
    assert [str(cidr) for cidr in desk.store.plan().space(pool.pool_id).provisioned] == ["10.0.0.0/24", "10.1.0.0/16"]
    agree(desk, amazon, pool)


def test_an_exact_block_of_what_is_new_there_is_had() -> None:
    """It need not have been chosen first."""
    desk, amazon, pool = backed("10.0.0.0/24", there=("10.0.0.0/24", "10.1.0.0/16"))
    assert desk.allocate(desk.request("a", cidr="10.1.7.0/24")).outcome == "allocated"
    agree(desk, amazon, pool)


def test_an_exact_block_that_neither_has_is_refused() -> None:
    """A CIDR that is only on its way to the pool there is none that it has."""
    desk, amazon, _ = backed("10.0.0.0/24")
    amazon.cidrs["10.1.0.0/16"] = "pending-provision"
    with pytest.raises(CidrNotInPoolError):
        desk.allocate(desk.request("a", cidr="10.1.0.0/24"))
    assert amazon.asked(ALLOCATE) == []


def test_what_is_provisioned_by_somebody_else_meanwhile_is_used(place: Place) -> None:
    """Two orders that meet new space at once both get of it."""
    desk, amazon, pool = place
    desk.allocate(desk.request("warm", 30))
    amazon.cidrs = {"10.1.0.0/16": "provisioned"}
    other = desk.another()
    amazon.meanwhile = [lambda: other.allocate(other.request("b", 24))]
    assert str(desk.allocate(desk.request("a", 24)).grant.cidr) == "10.1.0.0/24"
    assert sorted(desk.held(pool.pool_id)) == ["10.0.0.0/30", "10.1.0.0/24", "10.1.1.0/24"]


def test_space_that_the_plan_has_given_to_another_pool_is_not_taken() -> None:
    """I3: the refusal is that of the plan, and what was allocated there is given back."""
    desk, amazon, pool = backed(there=("10.0.0.0/24",))
    desk.pool(NewPool("other", pool.scope_id), "10.0.0.0/25")
    with pytest.raises(CidrNotFreeError):
        desk.allocate(desk.request("a", 26))
    assert amazon.blocks() == []
    settle(desk, amazon, pool)


def test_space_that_amazon_has_no_more_is_not_taken(place: Place) -> None:
    """A block that lies in nothing that is provisioned there is given back."""
    desk, amazon, pool = place
    desk.allocate(desk.request("warm", 30))
    amazon.cidrs = {"10.1.0.0/16": "provisioned"}
    amazon.provisioned = lambda params: {"IpamPoolCidrs": []}  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(CidrNotInPoolError):
        desk.allocate(desk.request("a", 24))
    assert amazon.blocks() == ["10.0.0.0/30"]
    settle(desk, amazon, pool)


# ------------------------------------------------------------------------------------------------ refused here or there


def test_a_block_that_is_held_here_without_amazon_is_passed_by(place: Place) -> None:
    """I1: it is given back, and the next one is asked for beside it."""
    desk, amazon, pool = place
    hold(place, "10.0.0.0/26")
    grant = desk.allocate(desk.request("a", 27)).grant
    assert str(grant.cidr) == "10.0.0.64/27"
    assert [asked.get("DisallowedCidrs", []) for asked in amazon.asked(ALLOCATE)[1:]] == [
        [],
        ["10.0.0.0/27"],
        ["10.0.0.0/27", "10.0.0.32/27"],
    ]
    assert amazon.blocks() == ["10.0.0.64/27"]
    assert desk.orders(pool.pool_id) == ["ended", "ended"]


def test_a_block_that_cools_here_without_amazon_is_passed_by() -> None:
    """I7: whoever released it there early, it is not given again before its time."""
    desk, amazon, pool = backed("10.0.0.0/24", cooling_seconds=60)
    first = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", first.allocation_id)
    del amazon.held[first.vpc_ipam_allocation_id]
    assert str(desk.allocate(desk.request("b", 26)).grant.cidr) == "10.0.0.64/26"
    settle(desk, amazon, pool)


def test_a_pool_that_is_full_of_what_amazon_does_not_know_is_given_up(place: Place) -> None:
    """The tries are bounded, and all that they came to is given back."""
    desk, amazon, pool = place
    hold(place, "10.0.0.0/25")
    with pytest.raises(ContendedError):
        desk.allocate(desk.request("a", 29))
    assert len(amazon.asked(ALLOCATE)) == 1 + MAX_CHOICES
    assert amazon.blocks() == []
    assert desk.orders(pool.pool_id) == ["ended"] * MAX_CHOICES


@pytest.mark.parametrize("exact", [None, "10.0.0.128/26"])
def test_a_block_that_was_not_asked_for_is_not_taken(place: Place, exact: str | None) -> None:
    """Whatever is answered, nobody gets another size or place than its rules allow."""
    desk, amazon, pool = place
    answers = iter(["10.0.0.0/28", "10.0.0.64/26", "10.0.0.128/26"])
    amazon.allocate = lambda params: {  # type: ignore[method-assign]
        "IpamPoolAllocation": amazon._item(amazon.take(next(answers), params["Description"]))
    }
    request = desk.request("a", cidr=exact) if exact else limited(desk.request("a", 26), disallowed=("10.0.0.64/26",))
    assert str(desk.allocate(request).grant.cidr) == "10.0.0.128/26"
    agree(desk, amazon, pool)


def test_a_quota_is_kept_before_anything_is_allocated_there() -> None:
    """An account that may have no more is no load on Amazon VPC IPAM."""
    desk, amazon, _ = backed("10.0.0.0/24", quota=Quota(units=64))
    desk.allocate(desk.request("a", 27))
    with pytest.raises(QuotaExceededError):
        desk.allocate(desk.request("b", 26))
    desk.allocate(desk.request("b", 27))
    assert len(amazon.asked(ALLOCATE)) == 2


def test_a_quota_that_is_used_up_meanwhile_gives_back() -> None:
    """The transaction is what counts; what it refuses is nobody's there either."""
    desk, amazon, pool = backed("10.0.0.0/24", quota=Quota(allocations=1))
    other = desk.another()
    amazon.meanwhile = [lambda: other.allocate(other.request("b", 26))]
    with pytest.raises(QuotaExceededError):
        desk.allocate(desk.request("a", 26))
    assert desk.held(pool.pool_id) == amazon.blocks() == ["10.0.0.64/26"]
    settle(desk, amazon, pool)


def test_a_preview_that_is_over_makes_room_in_a_quota() -> None:
    """It is ended, and the order goes on."""
    desk, amazon, pool = backed("10.0.0.0/24", quota=Quota(allocations=1))
    desk.allocate(previewed(desk.request("p", 26), 60))
    desk.clock.advance(60)
    assert desk.allocate(desk.request("a", 26)).outcome == "allocated"
    settle(desk, amazon, pool)


def test_what_has_cooled_is_given_back_for_an_order_without_room() -> None:
    """A full pool there may be full of what was released here; then the order is made once more."""
    desk, amazon, pool = backed("10.0.0.0/24", cooling_seconds=60)
    grant = desk.allocate(desk.request("a", 24)).grant
    desk.release("a", grant.allocation_id)
    with pytest.raises(VpcIpamRefusedError):
        desk.allocate(desk.request("b", 25))
    assert amazon.blocks() == ["10.0.0.0/24"]
    desk.clock.advance(60)
    assert str(desk.allocate(desk.request("b", 25)).grant.cidr) == "10.0.0.0/25"
    agree(desk, amazon, pool)


def test_a_preview_that_is_over_makes_room_there() -> None:
    """It is ended, given back, and its block allocated for the order."""
    desk, amazon, pool = backed("10.0.0.0/24")
    desk.allocate(previewed(desk.request("p", 24), 60))
    with pytest.raises(VpcIpamRefusedError):
        desk.allocate(desk.request("a", 24))
    desk.clock.advance(60)
    assert desk.allocate(desk.request("a", 24)).outcome == "allocated"
    agree(desk, amazon, pool)


def test_without_an_answer_what_has_cooled_makes_no_room() -> None:
    """The order is refused as before, or made again if something else came free."""
    desk, amazon, pool = backed("10.0.0.0/24")
    grant = desk.allocate(desk.request("a", 24)).grant
    desk.release("a", grant.allocation_id)
    amazon.faults = iter(["none", "throttled", "none", "none", "throttled"])
    with pytest.raises(VpcIpamRefusedError):
        desk.allocate(desk.request("b", 25))
    settle(desk, amazon, pool)


def test_what_amazon_refuses_is_tried_in_the_next_pool() -> None:
    """Pools in order: the answer says which were passed over, and the next one is served by ourselves."""
    desk, amazon, pool = backed("10.0.0.0/24")
    amazon.take("10.0.0.0/24")
    desk.pool(NewPool("ours", pool.scope_id, locale=REGION), "10.1.0.0/24")
    grant = desk.allocate(from_pools(desk.request("a", 26), "backed", "ours")).grant
    assert (str(grant.cidr), grant.vpc_ipam_allocation_id) == ("10.1.0.0/26", "")
    assert grant.passed_over == (("backed", "VpcIpamRefused"),)


def test_what_another_pool_has_learned_is_not_taken_along() -> None:
    """A block that was chosen in one pool is nothing to the next."""
    place = backed("10.0.0.0/24")
    desk, amazon, pool = place
    desk.pool(NewPool("other", pool.scope_id), "10.2.0.0/25")
    amazon.cidrs = {"10.2.0.0/24": "provisioned"}
    desk.pool(NewPool("ours", pool.scope_id, locale=REGION), "10.1.0.0/24")
    grant = desk.allocate(from_pools(desk.request("a", 26), "backed", "ours")).grant
    assert (str(grant.cidr), grant.vpc_ipam_allocation_id) == ("10.1.0.0/26", "")
    assert amazon.blocks() == []


def test_a_pool_of_another_region_is_used_from_anywhere() -> None:
    """Ordered from, looked up, mended and given back to in its own Region, by a process that runs in another one."""
    desk, amazon, pool = backed("10.0.0.0/24", there=("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"), locale="us-east-1")
    grant = desk.allocate(desk.request("Net", 24, pool=pool, locale="us-east-1")).grant
    more = desk.allocate(desk.request("More", 24, pool=pool, locale="us-east-1")).grant
    assert amazon.blocks() == [str(grant.cidr), str(more.cidr)]
    amazon.faults = iter(["lost-after"])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request("Lost", 28, pool=pool, locale="us-east-1"))
    for name, each in (("Net", grant), ("More", more)):
        desk.release(name, each.allocation_id)
    settle(desk, amazon, pool)
    assert amazon.blocks() == []


def test_a_process_without_a_way_there_says_so() -> None:
    """Whatever it would do."""
    nowhere = NoVpcIpam()
    tries: list[Callable[[], object]] = [
        lambda: nowhere.allocate(VpcIpamOrder(REGION, "p", "t", "d", 26)),
        lambda: nowhere.release(REGION, "p", block("10.0.0.0/26"), "a"),
        lambda: nowhere.allocations(REGION, "p"),
        lambda: nowhere.cidrs(REGION, "p"),
    ]
    for each in tries:
        with pytest.raises(ServiceUnavailableError) as raised:
            each()
        assert raised.value == ServiceUnavailableError("Amazon VPC IPAM", "not configured")


# ------------------------------------------------------------------------------------------------- deliveries and races


@pytest.mark.parametrize("fault", ["throttled", "lost-before", "lost-after"])
def test_another_delivery_goes_on_with_the_same_order(place: Place, fault: Any) -> None:
    """The token is the same, so whatever became of the first try, there is one allocation."""
    desk, amazon, pool = place
    amazon.faults = iter([fault])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request("a", 26))
    assert desk.orders(pool.pool_id) == ["open"]
    assert desk.another().allocate(desk.request("a", 26)).outcome == "allocated"
    first, second = amazon.asked(ALLOCATE)
    assert first == second
    agree(desk, amazon, pool)


def test_an_order_that_is_old_is_not_gone_on_with(place: Place) -> None:
    """Upkeep may be about to end it; another one is made beside it."""
    desk, amazon, pool = place
    amazon.faults = iter(["lost-after"])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request("a", 26))
    desk.clock.advance(10 * MINUTE)
    desk.allocate(desk.request("a", 26))
    assert amazon.blocks() == ["10.0.0.0/26", "10.0.0.64/26"]
    settle(desk, amazon, pool)


def test_the_rules_may_change_between_deliveries(place: Place) -> None:
    """What is asked in other words is another order, or Amazon would refuse its token."""
    desk, amazon, pool = place
    amazon.faults = iter(["lost-after"])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request("a", 26))
    rules = AllocationRules(disallowed_cidrs=tuple(blocks("10.0.0.0/26")))
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, rules=rules), "test")
    assert str(desk.allocate(desk.request("a", 26)).grant.cidr) == "10.0.0.64/26"
    settle(desk, amazon, pool)


def test_another_resource_does_not_get_the_order(place: Place) -> None:
    """Nor does another ask of the same one."""
    desk, amazon, pool = place
    amazon.faults = iter(["lost-after"])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request("a", 26))
    desk.allocate(desk.request("b", 26))
    desk.allocate(desk.request("a", 27))
    assert len({asked["ClientToken"] for asked in amazon.asked(ALLOCATE)}) == 3
    settle(desk, amazon, pool)


def test_one_request_that_is_delivered_twice_at_once_has_one_allocation(place: Place) -> None:
    """I4: the delivery that comes second is answered with what the first has got, and gives its own back."""
    desk, amazon, pool = place
    other = desk.another()
    amazon.meanwhile = [lambda: other.allocate(other.request("a", 26))]
    assert desk.allocate(desk.request("a", 26)).outcome == "kept"
    agree(desk, amazon, pool)
    assert len(amazon.held) == 1


def test_two_deliveries_that_share_an_order_share_its_allocation(place: Place) -> None:
    """The second gives nothing back, because it is the first one's."""
    desk, amazon, pool = place
    amazon.faults = iter(["lost-before"])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request("a", 26))
    other = desk.another()
    amazon.meanwhile = [lambda: other.allocate(other.request("a", 26))]
    assert desk.allocate(desk.request("a", 26)).outcome == "kept"
    assert len(amazon.held) == 1
    agree(desk, amazon, pool)


def test_a_create_that_its_delete_overtakes_gives_back(place: Place) -> None:
    """I4: the fence holds, and what was allocated there is nobody's."""
    desk, amazon, pool = place
    amazon.meanwhile = [lambda: desk.another().abandon("a", at=NOON + 1000)]
    with pytest.raises(SupersededError):
        desk.allocate(desk.request("a", 26))
    assert amazon.blocks() == []
    settle(desk, amazon, pool)


def test_a_create_that_is_fenced_orders_nothing(place: Place) -> None:
    """It is too late before it begins."""
    desk, amazon, _ = place
    desk.abandon("a", at=NOON + 1000)
    with pytest.raises(SupersededError):
        desk.allocate(desk.request("a", 26))
    assert amazon.calls == []


def test_a_slow_process_allocates_nothing_once_its_order_was_ended(place: Place) -> None:
    """It holds an allocation that is given back meanwhile, must not answer with it, and gets another the next time."""
    desk, amazon, pool = place

    def sleep() -> None:
        desk.clock.advance(20 * MINUTE)
        assert mend(desk.another().ports, pool, desk.deadline)

    amazon.meanwhile = [sleep]
    with pytest.raises(ContendedError):
        desk.allocate(desk.request("a", 26))
    assert desk.held(pool.pool_id) == amazon.blocks() == []
    assert desk.clock.slept == []
    assert desk.allocate(desk.request("a", 26)).outcome == "allocated"
    settle(desk, amazon, pool)


def test_mending_leaves_alone_what_is_allocated_while_it_looks(place: Place) -> None:
    """An order that is struck out between its look and its change is no order that it has ended."""
    desk, amazon, pool = place
    amazon.faults = iter(["lost-after"])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request("a", 26))
    desk.clock.advance(9 * MINUTE)
    slow = desk.another()

    def commit_late() -> None:
        desk.clock.advance(-10 * MINUTE)
        slow.allocate(slow.request("a", 26, at=NOON))
        desk.clock.advance(10 * MINUTE)

    desk.clock.advance(10 * MINUTE)
    mend(desk.another(Interrupted(desk.store, commit_late)).ports, pool, desk.deadline)
    assert desk.held(pool.pool_id) == amazon.blocks() == ["10.0.0.0/26"]
    settle(desk, amazon, pool)


def test_a_lost_commit_is_found_by_the_next_delivery(place: Place) -> None:
    """The allocation was made and struck out; the request is answered with it."""
    desk, amazon, pool = place
    with pytest.raises(StoreUnavailableError):
        desk.another(Faulty(desk.store, iter(["none", "lost-after"]))).allocate(desk.request("a", 26))
    assert desk.allocate(desk.request("a", 26)).outcome == "kept"
    assert len(amazon.asked(ALLOCATE)) == 1
    agree(desk, amazon, pool)


@pytest.mark.parametrize("faults", [["busy"] * 3, ["none", "busy", "busy"]])
def test_transactions_in_the_way_are_waited_for(place: Place, faults: list[Any]) -> None:
    """Another transaction on the same items is no refusal."""
    desk, amazon, pool = place
    assert desk.another(Faulty(desk.store, iter(faults))).allocate(desk.request("a", 26)).outcome == "allocated"
    agree(desk, amazon, pool)


def test_an_order_that_can_never_be_written_down_is_given_up(place: Place) -> None:
    """Nothing was asked there."""
    desk, amazon, _ = place
    with pytest.raises(ContendedError):
        desk.another(Faulty(desk.store, iter(["busy"] * 10))).allocate(desk.request("a", 26))
    assert amazon.calls == []


def test_an_order_that_cannot_be_ended_now_is_left_to_upkeep() -> None:
    """Nothing is given back before its order is ended: another delivery might just be using it."""
    desk, amazon, pool = backed("10.0.0.0/24", quota=Quota(allocations=1))
    other = desk.another()
    amazon.meanwhile = [lambda: other.allocate(other.request("b", 26))]
    faults: list[Any] = ["none", "none", *["busy"] * 10]
    store = Faulty(desk.store, iter(faults))
    with pytest.raises(QuotaExceededError):
        desk.another(store).allocate(desk.request("a", 26))
    assert len(amazon.held) == 2
    assert desk.orders(pool.pool_id) == ["open"]
    settle(desk, amazon, pool)


class Clockwork:
    """A deadline that is over after so many questions."""

    def __init__(self, left: int) -> None:
        self.left = left

    def ensure(self) -> None:
        """See the port."""
        self.left -= 1
        if self.left < 0:
            raise OutOfTimeError


@pytest.mark.parametrize(("left", "asked"), [(0, 0), (1, 0), (2, 1)])
def test_without_time_nothing_more_is_begun(place: Place, left: int, asked: int) -> None:
    """It is asked before each step, and the next delivery goes on."""
    desk, amazon, pool = place
    desk.deadline = Clockwork(left)
    with pytest.raises(OutOfTimeError):
        desk.allocate(desk.request("a", 26))
    assert len(amazon.calls) == asked
    desk.deadline = Clockwork(9)
    assert desk.allocate(desk.request("a", 26)).outcome == "allocated"
    assert len(amazon.held) == 1
    agree(desk, amazon, pool)


def test_what_there_is_no_time_to_give_back_is_given_back_by_upkeep() -> None:
    """The refusal is told all the same: it is certain."""
    desk, amazon, pool = backed("10.0.0.0/24", quota=Quota(allocations=1))
    other = desk.another()
    amazon.meanwhile = [lambda: other.allocate(other.request("b", 26))]
    desk.deadline = Clockwork(4)
    with pytest.raises(QuotaExceededError):
        desk.allocate(desk.request("a", 26))
    assert len(amazon.held) == 2
    desk.deadline = Clockwork(1000)
    settle(desk, amazon, pool)


@pytest.mark.parametrize("fault", ["throttled", "lost-before", "lost-after", "refused"])
def test_what_amazon_does_not_take_back_now_is_given_back_by_upkeep(fault: Any) -> None:
    """The refusal is told all the same: it is certain."""
    desk, amazon, pool = backed("10.0.0.0/24", quota=Quota(allocations=1))
    other = desk.another()
    amazon.meanwhile = [lambda: other.allocate(other.request("b", 26))]
    amazon.faults = iter(["none", "none", fault])
    with pytest.raises(QuotaExceededError):
        desk.allocate(desk.request("a", 26))
    settle(desk, amazon, pool)


# ------------------------------------------------------------------------------------------ previews, approval, leases


def test_a_preview_holds_the_block_there_too(place: Place) -> None:
    """Redeemed, it stays the same allocation there; so it can be given back one day."""
    desk, amazon, pool = place
    preview = desk.allocate(previewed(desk.request("p", 26))).grant
    grant = desk.allocate(redeeming(desk.request("a"), token_of(preview))).grant
    assert (grant.cidr, grant.vpc_ipam_allocation_id) == (preview.cidr, preview.vpc_ipam_allocation_id)
    assert len(amazon.asked(ALLOCATE)) == 1
    agree(desk, amazon, pool)
    desk.release("a", grant.allocation_id)
    settle(desk, amazon, pool)


def test_a_preview_that_is_over_is_given_back_there(place: Place) -> None:
    """Nobody had it, and still it is free here only when it is free there."""
    desk, amazon, pool = place
    desk.allocate(previewed(desk.request("p", 26), 60))
    desk.clock.advance(60)
    amazon.faults = iter(["lost-before"])
    assert [each.pool for each in desk.keep_up().failures] == ["backed"]
    assert desk.cooling(pool.pool_id) == ["10.0.0.0/26"]
    desk.keep_up()
    assert amazon.blocks() == desk.cooling(pool.pool_id) == []
    assert desk.free(pool.pool_id) == ["10.0.0.0/24"]


def test_an_approval_is_used_by_the_change_that_strikes_the_order_out() -> None:
    """Nothing is ordered before the word is given, and it serves once."""
    desk, amazon, pool = backed("10.0.0.0/16", rules=AllocationRules(approval_netmask_length=24))
    request = patient(desk, desk.request("a", 20))
    with pytest.raises(ApprovalPendingError):
        desk.allocate(request)
    assert amazon.calls == []
    (approval,) = desk.store.approvals()
    decide(desk.ports, approval.approval_id, Verdict("approved", "ada"), "test")
    assert desk.another().allocate(request).outcome == "allocated"
    assert desk.store.approvals() == []
    agree(desk, amazon, pool)


# -------------------------------------------------------------------------------------------------------------- release


def test_a_released_block_is_given_back_there_before_it_is_free_here() -> None:
    """I7: it cools here, and is allocated there meanwhile, so that nobody there gets it either."""
    desk, amazon, pool = backed("10.0.0.0/24", cooling_seconds=60)
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", grant.allocation_id)
    desk.keep_up()
    assert (desk.cooling(pool.pool_id), amazon.blocks()) == (["10.0.0.0/26"], ["10.0.0.0/26"])
    desk.clock.advance(60)
    assert desk.keep_up().changed == 1
    assert (desk.cooling(pool.pool_id), amazon.blocks()) == ([], [])
    assert amazon.asked(RELEASE) == [
        {
            "IpamPoolId": amazon.pool_id,
            "Cidr": "10.0.0.0/26",
            "IpamPoolAllocationId": grant.vpc_ipam_allocation_id,
        }
    ]
    settle(desk, amazon, pool)


def test_a_pool_without_cooling_lets_the_block_wait_for_amazon(place: Place) -> None:
    """It cools for no time, and until then nobody gets it."""
    desk, amazon, pool = place
    grant = desk.allocate(desk.request("a", 24)).grant
    desk.release("a", grant.allocation_id)
    assert (desk.free(pool.pool_id), desk.cooling(pool.pool_id)) == ([], ["10.0.0.0/24"])
    desk.keep_up()
    assert (desk.free(pool.pool_id), amazon.blocks()) == (["10.0.0.0/24"], [])


@pytest.mark.parametrize("fault", ["throttled", "lost-before"])
def test_while_amazon_does_not_answer_blocks_go_on_cooling(place: Place, fault: Any) -> None:
    """It is asked once a run, the failure is told, and other pools are served all the same."""
    desk, amazon, pool = place
    ours = desk.pool(NewPool("ours", pool.scope_id, locale=REGION, cooling_seconds=1), "10.1.0.0/24")
    grants = [desk.allocate(desk.request(f"n{number}", 28, pool=pool)).grant for number in range(4)]
    own = desk.allocate(desk.request("own", 26, pool=ours)).grant
    for number, grant in enumerate(grants):
        desk.release(f"n{number}", grant.allocation_id)
    desk.release("own", own.allocation_id)
    desk.clock.advance(1)
    amazon.faults = iter([fault] * 9)
    amazon.calls.clear()
    report = desk.keep_up()
    (failure,) = report.failures
    assert isinstance(failure.error, ServiceUnavailableError)
    assert (failure.pool, failure.error.service) == ("backed", "Amazon VPC IPAM")
    assert (report.looked_at, len(amazon.calls)) == (3, 1)
    assert len(desk.cooling(pool.pool_id)) == 4
    assert desk.free(ours.pool_id) == ["10.1.0.0/24"]
    settle(desk, amazon, pool)


def test_orders_are_mended_though_nothing_is_taken_back_now(place: Place) -> None:
    """Each of the two is done as far as it goes, and a pool is told of once."""
    desk, amazon, pool = place
    grant = desk.allocate(desk.request("a", 26)).grant
    crash(place, "b")
    desk.release("a", grant.allocation_id)
    desk.clock.advance(15 * MINUTE)
    amazon.faults = iter(["throttled", "throttled"])
    assert [failure.pool for failure in desk.keep_up().failures] == ["backed"]
    assert desk.orders(pool.pool_id) == ["ended"]
    amazon.faults = iter(["throttled"])
    assert [failure.pool for failure in desk.keep_up().failures] == ["backed"]
    assert amazon.blocks() == desk.cooling(pool.pool_id) == ["10.0.0.0/26"]
    settle(desk, amazon, pool)


def test_what_amazon_refuses_to_take_back_does_not_keep_the_others(place: Place) -> None:
    """A network that runs there keeps its block, which goes on cooling here; a person has to know of it."""
    desk, amazon, pool = place
    grants = [desk.allocate(desk.request(f"n{number}", 26)).grant for number in range(3)]
    for number, grant in enumerate(grants):
        desk.release(f"n{number}", grant.allocation_id)
    amazon.held[grants[0].vpc_ipam_allocation_id].resource_type = "vpc"
    (failure,) = desk.keep_up().failures
    refused = VpcIpamRefusedError(amazon.pool_id, "InvalidParameterValue", "Only a manual allocation can be released.")
    assert failure == Failure("backed", refused)
    assert desk.cooling(pool.pool_id) == amazon.blocks() == ["10.0.0.0/26"]
    amazon.held[grants[0].vpc_ipam_allocation_id].resource_type = "custom"
    settle(desk, amazon, pool)


def test_a_repair_joins_what_is_free_though_amazon_does_not_answer(place: Place) -> None:
    """A person at a keyboard may have no rights there, and needs none for this."""
    desk, amazon, pool = place
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", grant.allocation_id)
    halves = (PutFree(pool.pool_id, half) for half in blocks("10.0.0.128/26", "10.0.0.192/26"))
    split = PutAudit(note(desk.ports, pool.pool_id, "split", "test"))
    desk.store.commit(Change((TakeFree(pool.pool_id, block("10.0.0.128/25")), *halves, split)))
    amazon.faults = iter(["throttled"] * 9)
    diagnosis = examine(desk.ports, lambda *_: None, history=False)
    assert (diagnosis.violations, join_buddies(desk.ports, diagnosis)) == ((), 1)
    assert desk.free(pool.pool_id) == ["10.0.0.64/26", "10.0.0.128/25"]
    settle(desk, amazon, pool)


def test_a_release_whose_answer_was_lost_is_believed_in_time(place: Place) -> None:
    """That there is no such allocation may also mean that it is not to be seen yet: so it is believed later only."""
    desk, amazon, pool = place
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", grant.allocation_id)
    amazon.faults = iter(["lost-after"])
    desk.keep_up()
    assert amazon.blocks() == []
    desk.clock.advance(9 * MINUTE)
    assert desk.keep_up().failures == ()
    assert desk.cooling(pool.pool_id) == ["10.0.0.0/26"]
    desk.clock.advance(MINUTE)
    desk.keep_up()
    assert desk.cooling(pool.pool_id) == []
    settle(desk, amazon, pool)


def test_an_allocation_that_is_not_to_be_seen_yet_is_given_back_later(place: Place) -> None:
    """Released the moment after it was made: it is not taken for gone."""
    desk, amazon, pool = place
    grant = desk.allocate(desk.request("a", 26)).grant
    amazon.hazy = True
    desk.release("a", grant.allocation_id)
    desk.keep_up()
    assert desk.cooling(pool.pool_id) == amazon.blocks() == ["10.0.0.0/26"]
    amazon.hazy = False
    desk.keep_up()
    assert desk.cooling(pool.pool_id) == amazon.blocks() == []


def test_a_block_that_was_given_back_and_is_chosen_again_is_had(place: Place) -> None:
    """Between the two steps of a release it may come to an order of ours: that ends the cooling, and takes it."""
    desk, amazon, pool = place
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", grant.allocation_id)
    amazon.faults = iter(["lost-after"])
    desk.keep_up()
    again = desk.allocate(desk.request("b", 27)).grant
    assert str(again.cidr) == "10.0.0.0/27"
    assert again.vpc_ipam_allocation_id != grant.vpc_ipam_allocation_id
    agree(desk, amazon, pool)
    settle(desk, amazon, pool)


def test_a_cooling_that_two_orders_end_at_once_is_ended_once(place: Place) -> None:
    """Whoever is second goes on as if it had done it."""
    desk, amazon, pool = place
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", grant.allocation_id)
    amazon.faults = iter(["lost-after"])
    desk.keep_up()
    other = desk.another()
    store = Interrupted(desk.store, None, lambda: other.allocate(other.request("c", 27)))
    assert desk.another(store).allocate(desk.request("b", 27)).outcome == "allocated"
    assert desk.held(pool.pool_id) == ["10.0.0.0/27", "10.0.0.32/27"]
    settle(desk, amazon, pool)


def test_a_block_that_was_never_amazons_becomes_free_without_it(place: Place) -> None:
    """What was imported without an id there is nothing to it."""
    desk, amazon, pool = place
    allocation = hold(place, "10.0.0.0/26")
    record = desk.store.owner(allocation.owner)
    (grant,) = record.grants
    bare = replace(record, grants=(replace(grant, vpc_ipam_allocation_id=""),))
    desk.store.commit(Change((PutOwner(bare, None), PutAudit(note(desk.ports, pool.pool_id, "kept", "test")))))
    desk.another().release("elsewhere", grant.allocation_id)
    assert (desk.cooling(pool.pool_id), amazon.asked(RELEASE)) == ([], [])


# -------------------------------------------------------------------------------------------------------------- mending


def crash(place: Place, name: str = "a", length: int = 26, fault: Any = "lost-after") -> None:
    """Let a delivery end after Amazon has been asked."""
    desk, amazon, _ = place
    amazon.faults = iter([fault])
    with pytest.raises(ServiceUnavailableError):
        desk.allocate(desk.request(name, length))


def test_an_order_that_nobody_has_any_more_is_ended_and_given_back(place: Place) -> None:
    """Not before a quarter of an hour, and looked after for an hour; nothing is ever allocated for it."""
    desk, amazon, pool = place
    crash(place)
    desk.clock.advance(15 * MINUTE - 1)
    assert desk.keep_up().changed == 0
    assert amazon.blocks() == ["10.0.0.0/26"]
    desk.clock.advance(1)
    assert desk.keep_up().changed == 1
    assert (amazon.blocks(), desk.orders(pool.pool_id)) == ([], ["ended"])
    desk.clock.advance(60 * MINUTE - 1)
    assert desk.keep_up().changed == 0
    desk.clock.advance(1)
    assert desk.keep_up().changed == 1
    assert desk.orders(pool.pool_id) == []
    assert len(amazon.asked(ALLOCATE)) == 1
    assert events(desk, owner_key("a").party) == ["ordered", "order-ended", "order-ended"]
    settle(desk, amazon, pool)


def test_a_pool_without_orders_is_not_asked_about(place: Place) -> None:
    """A run costs one read a pool, and Amazon nothing."""
    desk, amazon, pool = place
    desk.allocate(desk.request("a", 26))
    amazon.calls.clear()
    desk.keep_up()
    assert amazon.calls == []
    assert desk.orders(pool.pool_id) == []


def test_what_is_not_to_be_seen_yet_is_found_later(place: Place) -> None:
    """The list there may be old: an ended order is looked for until that is over."""
    desk, amazon, pool = place
    crash(place)
    amazon.hazy = True
    desk.clock.advance(15 * MINUTE)
    desk.keep_up()
    assert amazon.blocks() == ["10.0.0.0/26"]
    amazon.hazy = False
    desk.clock.advance(5 * MINUTE)
    desk.keep_up()
    assert amazon.blocks() == []
    settle(desk, amazon, pool)


def test_an_order_is_watched_for_as_long_as_something_of_it_is_seen(place: Place) -> None:
    """What is refused, or still listed, is tried again."""
    desk, amazon, pool = place
    crash(place)
    (held,) = amazon.held.values()
    held.resource_type = "vpc"
    for _ in range(3):
        desk.clock.advance(60 * MINUTE)
        (failure,) = desk.keep_up().failures
        assert isinstance(failure.error, VpcIpamRefusedError)
        assert desk.orders(pool.pool_id) == ["ended"]
    held.resource_type = "custom"
    settle(desk, amazon, pool)


def test_one_that_is_refused_does_not_keep_the_others(place: Place) -> None:
    """All are tried, and then the refusal is told."""
    desk, amazon, pool = place
    for name in "abc":
        crash(place, name)
    next(iter(amazon.held.values())).resource_type = "vpc"
    desk.clock.advance(15 * MINUTE)
    assert len(desk.keep_up().failures) == 1
    assert amazon.blocks() == ["10.0.0.0/26"]
    assert desk.orders(pool.pool_id) == ["ended"] * 3


def test_what_is_not_of_our_orders_is_left_alone(place: Place) -> None:
    """Another deployment describes its allocations as we do: only an order here says that something is ours to end."""
    desk, amazon, pool = place
    theirs = tuple(
        amazon.take(cidr, description)
        for cidr, description in {
            "10.0.0.128/28": f"cn-ipam order {'0' * 32} for account 999999999999",
            "10.0.0.144/28": "cn-ipam order ",
            "10.0.0.160/28": "a network",
            "10.0.0.176/28": "",
        }.items()
    )
    crash(place)
    settle(desk, amazon, pool, theirs)


def test_what_an_allocation_here_names_is_never_given_back(place: Place) -> None:
    """Whatever the orders say: before a network loses its address, it is looked up."""
    desk, amazon, pool = place
    crash(place)
    (order,) = desk.store.orders(pool.pool_id)
    ((there, held),) = amazon.held.items()
    put_here(place, str(held.cidr), order.owner, there)
    desk.clock.advance(15 * MINUTE)
    mend(desk.ports, pool, desk.deadline)
    assert amazon.blocks() == ["10.0.0.0/26"]


@pytest.mark.parametrize("fault", ["throttled", "lost-before"])
def test_mending_goes_on_when_amazon_answers_again(place: Place, fault: Any) -> None:
    """The order was ended, and nothing of it is forgotten."""
    desk, amazon, pool = place
    crash(place)
    desk.clock.advance(15 * MINUTE)
    amazon.faults = iter([fault])
    assert len(desk.keep_up().failures) == 1
    assert desk.orders(pool.pool_id) == ["ended"]
    desk.keep_up()
    assert amazon.blocks() == []
    settle(desk, amazon, pool)


def test_an_order_that_a_busy_run_could_not_end_is_ended_by_the_next(place: Place) -> None:
    """Nothing of it is given back before."""
    desk, amazon, pool = place
    crash(place)
    desk.clock.advance(15 * MINUTE)
    assert not mend(desk.another(Faulty(desk.store, iter(["busy"] * 10))).ports, pool, desk.deadline)
    assert amazon.blocks() == ["10.0.0.0/26"]
    settle(desk, amazon, pool)


def test_two_runs_at_once_forget_an_order_once(place: Place) -> None:
    """Whoever is second finds nothing to do."""
    desk, amazon, pool = place
    crash(place)
    desk.clock.advance(15 * MINUTE)
    desk.keep_up()
    desk.clock.advance(60 * MINUTE)
    other = desk.another()
    store = Interrupted(desk.store, lambda: mend(other.ports, pool, desk.deadline))
    assert not mend(desk.another(store).ports, pool, desk.deadline)
    settle(desk, amazon, pool)


def test_a_pool_of_many_allocations_is_looked_through_page_by_page(place: Place) -> None:
    """What is left of an order may be on any page."""
    desk, amazon, pool = place
    theirs = tuple(amazon.take(f"10.0.0.{number}/32") for number in range(128, 148))
    amazon.page = 5
    crash(place)
    desk.clock.advance(15 * MINUTE)
    desk.keep_up()
    assert len(amazon.asked(LIST)) == 5
    settle(desk, amazon, pool, theirs)


def test_mending_ends_with_the_time_of_the_run(place: Place) -> None:
    """What is left is left to the next one."""
    desk, amazon, pool = place
    crash(place)
    crash(place, "b")
    desk.clock.advance(15 * MINUTE)
    for left in (0, 1, 2):
        with pytest.raises(OutOfTimeError):
            mend(desk.ports, pool, Clockwork(left))
    settle(desk, amazon, pool)
