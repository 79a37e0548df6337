"""What a network still has is not given back, whatever its stack says; and nothing else keeps it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import NetworkInUseError, OutOfTimeError, ServiceUnavailableError
from ipam.domain.pool import SourceResource
from ipam.services.divide import divide
from ipam.services.in_use import NAMED, WAITS
from ipam.services.memory import USED_AGE
from ipam.services.pools import NewPool
from tests.builders import ACCOUNT, REGION, STACK, Desk, claim
from tests.faults import Interrupted, Recorder
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import Grant
    from ipam.domain.pool import AllocationType, Pool

    MakePool = Callable[..., Pool]

ANOTHER = STACK.replace("/net/", "/shop/")
GIVERS = ["GetCnCIDR", "DeleteCnCIDR"]


@pytest.fixture
def pool(pool_of: MakePool) -> Pool:
    return pool_of("10.0.0.0/16")


def ordered(desk: Desk, length: int = 24, **said: Any) -> Grant:
    """Let a stack order a block, and announce its return."""
    grant = desk.allocate(desk.request("GetCnCIDR", length, **said)).grant
    desk.verify("DeleteCnCIDR", claim(grant))
    desk.clock.advance(600)
    return grant


def give_back(desk: Desk, giver: str, grant: Grant) -> str:
    """Serve the Delete of one of the two resources."""
    if giver == "GetCnCIDR":
        return desk.release(giver, grant.allocation_id)
    return desk.release_in_stack(giver, grant)


def image(desk: Desk) -> str:
    """Tell all that the store has."""
    return repr(desk.store._partitions)  # type: ignore[attr-defined]


@pytest.mark.parametrize("giver", GIVERS)
def test_what_a_vpc_has_stays(desk: Desk, pool: Pool, giver: str) -> None:
    """Its Delete is refused, with the VPC and where it is, and changes nothing, however often it comes."""
    grant = ordered(desk)
    desk.outside.networks.put("vpc-1", "10.0.0.0/24", STACK, of=STACK)
    before = image(desk)
    for _ in range(2):
        with pytest.raises(NetworkInUseError) as refused:
            give_back(desk, giver, grant)
        assert refused.value == NetworkInUseError(grant.cidr, ("vpc-1",), 1, ACCOUNT, REGION)
    assert image(desk) == before
    desk.outside.networks.there.clear()
    assert give_back(desk, giver, grant) == "released"
    assert give_back(desk, giver, grant) == "already-released"
    assert desk.held(pool.pool_id) == []
    check(desk.store)


@pytest.mark.parametrize("giver", GIVERS)
def test_what_was_deleted_just_now_may_be_shown_for_a_moment(desk: Desk, pool: Pool, giver: str) -> None:
    """EC2 is asked again for some seconds before it is believed."""
    grant = ordered(desk)
    networks = desk.outside.networks
    gone = networks.put("vpc-1", "10.0.0.0/24", of=STACK)
    networks.there.clear()
    networks.stale = [(gone,)] * len(WAITS)
    desk.clock.slept.clear()
    assert give_back(desk, giver, grant) == "released"
    assert desk.clock.slept == list(WAITS)
    del pool


def test_who_asks_over_and_over_does_not_hold_the_function(desk: Desk, pool: Pool) -> None:
    """What was found in use a moment ago is looked at once more, and soon; later as patiently as before."""
    grant = ordered(desk)
    desk.outside.networks.put("vpc-1", "10.0.0.0/24", of=STACK)
    for pause, waits in ((0, WAITS), (10, WAITS[:1]), (USED_AGE // 1000, WAITS)):
        desk.clock.advance(pause)
        desk.clock.slept.clear()
        with pytest.raises(NetworkInUseError):
            desk.release("GetCnCIDR", grant.allocation_id)
        assert desk.clock.slept == list(waits)
    assert desk.held(pool.pool_id) == ["10.0.0.0/24"]


def test_there_has_to_be_time_for_another_look(desk: Desk, pool: Pool) -> None:
    """Without it the event comes again; FAILED is not said of what may be gone."""
    grant = ordered(desk)
    desk.outside.networks.put("vpc-1", "10.0.0.0/24", of=STACK)

    class Over:
        def ensure(self) -> None:
            raise OutOfTimeError

    late = replace(desk, deadline=Over())
    with pytest.raises(OutOfTimeError):
        late.release("GetCnCIDR", grant.allocation_id)
    assert desk.held(pool.pool_id) == ["10.0.0.0/24"]


@pytest.mark.parametrize("giver", GIVERS)
def test_who_does_not_answer_for_the_moment_is_asked_again(desk: Desk, pool: Pool, giver: str) -> None:
    """That is no refusal: the same Delete comes again."""
    grant = ordered(desk)
    desk.outside.networks.fault = ServiceUnavailableError("Amazon EC2", "RequestLimitExceeded")
    before = image(desk)
    with pytest.raises(ServiceUnavailableError):
        give_back(desk, giver, grant)
    assert image(desk) == before
    desk.outside.networks.fault = None
    assert give_back(desk, giver, grant) == "released"
    del pool


def test_who_cannot_be_asked_keeps_nothing(desk: Desk, pool: Pool) -> None:
    """An account without the role gives back on its stack's word, and that is said."""
    grant = ordered(desk)
    desk.outside.networks.put("vpc-1", "10.0.0.0/24", of=STACK)
    desk.outside.networks.closed = "AccessDenied"
    assert desk.release("GetCnCIDR", grant.allocation_id) == "released"
    assert desk.outside.networks.unasked() == "AccessDenied"
    del pool


@pytest.mark.parametrize(
    ("cidr", "stack", "in_larger", "allocation_type", "used"),
    [
        ("10.0.0.0/24", "", False, "vpc", True),
        ("10.0.0.128/26", "", False, "vpc", True),
        ("10.0.0.0/24", ANOTHER, False, "vpc", True),
        # A VPC around it is not in it, and its subnets are not of this order.
        ("10.0.0.0/23", "", False, "vpc", False),
        ("10.0.1.0/24", "", False, "vpc", False),
        ("10.0.0.0/26", "", True, "vpc", False),
        ("10.0.0.0/26", ANOTHER, True, "vpc", False),
        ("10.0.0.0/26", STACK, True, "vpc", True),
        ("10.0.0.0/24", "", True, "subnet", True),
        ("10.0.0.0/26", ANOTHER, True, "subnet", True),
    ],
)
def test_what_counts_as_use(  # noqa: PLR0913, PLR0917 - cases
    desk: Desk,
    cidr: str,
    stack: str,
    in_larger: bool,  # noqa: FBT001
    allocation_type: Any,
    used: bool,  # noqa: FBT001
) -> None:
    """VPCs in the block; subnets of larger ones where the block is for a subnet, or the stack made them."""
    desk.pool(NewPool("all", desk.scope(), locale=REGION, allocation_types=frozenset({"vpc", "subnet"})), "10.0.0.0/16")
    grant = ordered(desk, allocation_type=allocation_type)
    desk.outside.networks.put("net-1", cidr, stack, in_larger=in_larger, of=STACK)
    if used:
        with pytest.raises(NetworkInUseError):
            desk.release("GetCnCIDR", grant.allocation_id)
    else:
        assert desk.release("GetCnCIDR", grant.allocation_id) == "released"
    check(desk.store)


def test_ipv6_is_in_use_as_well(desk: Desk, pool_of: MakePool) -> None:
    """A VPC's IPv6 CIDR keeps the block as an IPv4 one does."""
    pool_of("fd00::/40", family=6)
    grant = ordered(desk, 56, family=6)
    desk.outside.networks.put("vpc-6", str(grant.cidr), of=STACK)
    with pytest.raises(NetworkInUseError, match="vpc-6"):
        desk.release("GetCnCIDR", grant.allocation_id)
    desk.outside.networks.there.clear()
    assert desk.release("GetCnCIDR", grant.allocation_id) == "released"


def test_the_same_addresses_of_another_scope_are_another_network(desk: Desk, pool: Pool) -> None:
    """What another stack made of its own allocation keeps nobody else's; without one it would."""
    apart = desk.pool(NewPool("apart", desk.scope("another"), locale=REGION), "10.0.0.0/16")
    theirs = desk.allocate(desk.request("GetCnCIDR", 24, pool=apart, stack=ANOTHER)).grant
    ours = ordered(desk, pool=pool)
    assert ours.cidr == theirs.cidr
    desk.outside.networks.put("vpc-theirs", "10.0.0.0/24", ANOTHER, of=STACK)
    assert desk.release("GetCnCIDR", ours.allocation_id) == "released"
    assert desk.held(apart.pool_id) == ["10.0.0.0/24"]
    check(desk.store)


@pytest.mark.parametrize("made_by", [STACK, ANOTHER, ""])
def test_an_allocation_of_another_scope_excuses_one_network(desk: Desk, pool: Pool, made_by: str) -> None:
    """Whoever made it: the same stack, one nested in another, a person. A second of the same CIDR is in use."""
    apart = desk.pool(NewPool("apart", desk.scope("another"), locale=REGION), "10.0.0.0/16")
    theirs = desk.allocate(desk.request("Other", 24, pool=apart, stack=f"{STACK}-parent")).grant
    ours = ordered(desk, pool=pool)
    assert ours.cidr == theirs.cidr
    desk.outside.networks.put("vpc-theirs", "10.0.0.0/24", made_by, of=STACK)
    second = desk.outside.networks.put("vpc-ours", "10.0.0.0/24", STACK, of=STACK)
    with pytest.raises(NetworkInUseError):
        desk.release("GetCnCIDR", ours.allocation_id)
    for there in desk.outside.networks.there.values():
        there.remove(second)
    assert desk.release("GetCnCIDR", ours.allocation_id) == "released"
    assert desk.held(apart.pool_id) == ["10.0.0.0/24"]


def test_a_larger_allocation_of_the_same_scope_excuses_nobody(desk: Desk, pool: Pool) -> None:
    """A subnet that the VPC's own stack has made is in use, though that stack has the whole VPC's address."""
    vpc = desk.allocate(desk.request("Vpc", 20, pool=pool, stack=ANOTHER)).grant
    source = SourceResource("vpc-12345678", ACCOUNT, REGION)
    types: frozenset[AllocationType] = frozenset({"subnet"})
    new = NewPool("subnets", pool.scope_id, 4, pool.pool_id, REGION, allocation_types=types, source_resource=source)
    subnets = desk.pool(new)
    divide(desk.ports, subnets.pool_id, vpc.cidr, "test")
    ours = ordered(desk, pool=subnets, allocation_type="subnet")
    desk.outside.networks.put("subnet-1", str(ours.cidr), ANOTHER, in_larger=True, of=STACK)
    with pytest.raises(NetworkInUseError):
        desk.release("GetCnCIDR", ours.allocation_id)


def test_a_few_networks_are_named_and_all_counted(desk: Desk, pool: Pool) -> None:
    """Each once, whatever it has."""
    grant = ordered(desk)
    for number in range(5):
        for part in (0, 16):
            desk.outside.networks.put(f"vpc-{number}", f"10.0.0.{32 * number + part}/28", of=STACK)
    with pytest.raises(NetworkInUseError) as refused:
        desk.release("GetCnCIDR", grant.allocation_id)
    assert (refused.value.networks, refused.value.count) == (("vpc-0", "vpc-1", "vpc-2"), 5)
    assert len(refused.value.networks) == NAMED
    del pool


def test_only_the_stacks_own_account_and_region_are_asked(desk: Desk, pool: Pool) -> None:
    """Nothing else follows from its Delete, and another account's network keeps nothing of it."""
    grant = ordered(desk)
    desk.outside.networks.put("vpc-1", "10.0.0.0/24", of=STACK.replace(ACCOUNT, "444455556666"))
    desk.outside.networks.put("vpc-2", "10.0.0.0/24", of=STACK.replace(REGION, "eu-west-1"))
    assert desk.release("GetCnCIDR", grant.allocation_id) == "released"
    assert desk.outside.networks.asked == [(ACCOUNT, REGION, "10.0.0.0/24")]
    del pool


def test_nobody_is_asked_for_what_is_not_released(desk: Desk, pool: Pool) -> None:
    """A stolen id, a second Delete, a late one, and one of two resources that stand for the release."""
    grant = ordered(desk)
    desk.verify("Second", claim(grant))
    desk.clock.advance(600)
    networks = desk.outside.networks
    networks.put("vpc-1", "10.0.0.0/24", of=STACK)
    assert desk.release("Other", grant.allocation_id) == "unverified-delete"
    assert desk.release_in_stack("Nobody", grant) == "unverified-delete"
    assert desk.release_in_stack("Second", grant, at=1) == "unverified-delete"
    assert desk.release_in_stack("Second", grant) == "nothing-to-release"
    assert networks.asked == []
    del pool


def test_what_was_never_known_is_not_asked_for(desk: Desk, pool: Pool) -> None:
    """Nothing can have been made of it: a Create whose answer was lost, and an Update that a rollback overtook."""
    first = desk.allocate(desk.request("GetCnCIDR", 24)).grant
    networks = desk.outside.networks
    networks.put("vpc-1", "10.0.0.0/16", of=STACK)
    networks.put("vpc-2", "10.0.0.0/22", of=STACK)
    desk.clock.advance(60)
    desk.revise(desk.request("GetCnCIDR", 23), first.allocation_id)
    desk.clock.advance(60)
    assert desk.revise(desk.request("GetCnCIDR", 24), first.allocation_id).outcome == "kept"
    assert desk.held(pool.pool_id) == [str(first.cidr)]
    assert networks.asked == []


def test_a_record_that_is_a_moment_old_refuses_nothing(desk: Desk, pool: Pool) -> None:
    """Given back by another process, and in use by whoever has it now: the second Delete finds it given back."""
    grant = ordered(desk)
    stale = desk.another()
    stale.ports.memory.see_owner(desk.store.owner(desk.record("GetCnCIDR").owner))
    assert desk.another().release("GetCnCIDR", grant.allocation_id) == "released"
    desk.allocate(desk.request("Next", cidr="10.0.0.0/24", stack=ANOTHER))
    desk.outside.networks.put("vpc-next", "10.0.0.0/24", ANOTHER + "-unknown", of=STACK)
    assert stale.release("GetCnCIDR", grant.allocation_id) == "already-released"
    assert desk.held(pool.pool_id) == ["10.0.0.0/24"]


def test_a_rollback_while_ec2_is_asked_keeps_it(desk: Desk, pool: Pool) -> None:
    """The refusal is said only of what the Delete could have ended: an answer in between makes it a late one."""
    grant = ordered(desk)
    desk.outside.networks.put("vpc-1", "10.0.0.0/24", of=STACK)

    def answered_again() -> None:
        later = desk.another()
        later.clock.advance(600)
        later.revise(later.request("GetCnCIDR", 24), grant.allocation_id)

    at = desk.clock.now()
    desk.outside.networks.meanwhile = answered_again
    with_time = desk.release_in_stack("DeleteCnCIDR", grant, at=at)
    assert with_time == "unverified-delete"
    assert desk.held(pool.pool_id) == ["10.0.0.0/24"]


def test_two_deletes_at_once_release_once(desk: Desk, pool: Pool) -> None:
    """Both resources' Deletes look at once, and one of them releases."""
    grant = ordered(desk)
    other = desk.another()
    slow = desk.another(Interrupted(desk.store, lambda: other.release("GetCnCIDR", grant.allocation_id)))
    assert slow.release_in_stack("DeleteCnCIDR", grant) == "already-released"
    assert desk.held(pool.pool_id) == []
    check(desk.store)


def test_a_look_that_finds_nothing_costs_the_store_nothing(desk: Desk, pool: Pool) -> None:
    """Only what is found is looked up."""
    grant = ordered(desk)
    store: Any = Recorder(desk.store)
    there = desk.another(store)
    there.release("GetCnCIDR", grant.allocation_id)
    assert desk.outside.networks.asked
    assert [call for call in store.calls if call in {"allocation", "owner", "owners_hint"}] == []
    del pool
