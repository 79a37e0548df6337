"""Which accounts a pool lets in, by where they stand, and how often the organisation is asked for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import NoPoolForRequestError, PoolNotSharedError, ServiceUnavailableError, UnknownAccountError
from ipam.services.ports import Ports
from ipam.services.sharing import REFUSAL_AGE, STANDING_AGE, check_shared
from tests.builders import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool
    from tests.builders import Desk

    MakePool = Callable[..., Pool]

OTHER = "999988887777"
UNIT, NESTED, ELSEWHERE, ROOT = "ou-abcd-11111111", "ou-abcd-22222222", "ou-abcd-33333333", "r-abcd"
ORGANIZATION = "o-exampleorgid"
ABOVE = (NESTED, UNIT, ROOT, ORGANIZATION)


@pytest.fixture(autouse=True)
def chart(desk: Desk) -> None:
    """The account stands in a unit of a unit."""
    desk.outside.organization.move(ACCOUNT, *ABOVE)


def admitted(desk: Desk, pool: Pool, account: str = ACCOUNT) -> bool:
    """Ask whether an account may use a pool."""
    try:
        check_shared(desk.ports, pool, account)
    except PoolNotSharedError:
        return False
    return True


def test_a_pool_that_names_nobody_is_for_everybody(desk: Desk, pool_of: MakePool) -> None:
    """Whoever the deployment lets in; nobody is asked."""
    assert admitted(desk, pool_of("10.0.0.0/24"))
    assert desk.outside.organization.asked == []


def test_an_account_that_is_named_may(desk: Desk, pool_of: MakePool) -> None:
    """An account, beside others or a unit, is let in without a question."""
    assert admitted(desk, pool_of(shared_with=(OTHER, ELSEWHERE, ACCOUNT)))
    assert desk.outside.organization.asked == []


def test_a_pool_for_accounts_asks_nobody(desk: Desk, pool_of: MakePool) -> None:
    """Where only accounts are named, another one is refused without a question."""
    assert not admitted(desk, pool_of(shared_with=(OTHER,)))
    assert desk.outside.organization.asked == []


@pytest.mark.parametrize("principal", ABOVE)
def test_whoever_stands_below_what_is_named_may(desk: Desk, pool_of: MakePool, principal: str) -> None:
    """Its unit, a unit above that, the root, the organisation."""
    assert admitted(desk, pool_of(shared_with=(OTHER, principal)))


@pytest.mark.parametrize("principal", [ELSEWHERE, "r-efgh", "o-anotherorgid", OTHER])
def test_whoever_stands_elsewhere_may_not(desk: Desk, pool_of: MakePool, principal: str) -> None:
    """Another unit, root, organisation or account is not theirs."""
    with pytest.raises(PoolNotSharedError) as raised:
        check_shared(desk.ports, pool_of(shared_with=(principal,)), ACCOUNT)
    assert (raised.value.pool, raised.value.account) == ("vpcs", ACCOUNT)


def test_an_account_that_the_organisation_does_not_have_is_unknown(desk: Desk, pool_of: MakePool) -> None:
    """It is told so, and asked about once in a while only, however often it comes."""
    pool = pool_of(shared_with=(ORGANIZATION,))
    for _ in range(5):
        with pytest.raises(UnknownAccountError) as raised:
            check_shared(desk.ports, pool, OTHER)
        assert raised.value.account == OTHER
        desk.clock.advance(1)
    assert desk.outside.organization.asked == [OTHER]


def test_an_account_that_has_just_been_made_waits_for_seconds(desk: Desk, pool_of: MakePool) -> None:
    """What was unknown is looked up again after that."""
    pool = pool_of(shared_with=(ORGANIZATION,))
    with pytest.raises(UnknownAccountError):
        check_shared(desk.ports, pool, OTHER)
    desk.outside.organization.move(OTHER, ROOT, ORGANIZATION)
    desk.clock.sleep(REFUSAL_AGE)
    assert admitted(desk, pool, OTHER)


def test_whoever_was_let_in_is_let_in_for_minutes(desk: Desk, pool_of: MakePool) -> None:
    """The organisation is asked once in that time; an account that moves out keeps its old place so long."""
    pool = pool_of(shared_with=(UNIT,))
    assert admitted(desk, pool)
    desk.outside.organization.move(ACCOUNT, ELSEWHERE, ROOT, ORGANIZATION)
    desk.clock.sleep(STANDING_AGE - 1)
    assert admitted(desk, pool)
    assert desk.outside.organization.asked == [ACCOUNT]
    desk.clock.sleep(1)
    assert not admitted(desk, pool)
    assert desk.outside.organization.asked == [ACCOUNT] * 2


def test_an_account_that_moves_in_waits_for_seconds(desk: Desk, pool_of: MakePool) -> None:
    """A refusal rests on what is known for sure, so an old answer is not enough for it."""
    theirs, new = pool_of(shared_with=(UNIT,)), pool_of(shared_with=(ELSEWHERE,), name="new", scope=desk.scope("s"))
    assert admitted(desk, theirs)
    desk.outside.organization.move(ACCOUNT, ELSEWHERE, ROOT, ORGANIZATION)
    desk.clock.sleep(REFUSAL_AGE - 1)
    assert not admitted(desk, new)
    assert desk.outside.organization.asked == [ACCOUNT]
    desk.clock.sleep(1)
    assert admitted(desk, new)
    assert desk.outside.organization.asked == [ACCOUNT] * 2


def test_a_caller_who_insists_does_not_make_us_ask(desk: Desk, pool_of: MakePool) -> None:
    """An hour of refusals, one every second, is a question every half minute."""
    pool = pool_of(shared_with=(ELSEWHERE,))
    for _ in range(3600):
        assert not admitted(desk, pool)
        desk.clock.advance(1)
    assert len(desk.outside.organization.asked) == 3600 * 1000 // REFUSAL_AGE


def test_an_organisation_that_does_not_answer_refuses_nobody(desk: Desk, pool_of: MakePool) -> None:
    """The request may come again; what was learned before lets in all the same, and keeps nobody out."""
    pool, new = pool_of(shared_with=(UNIT,)), pool_of(shared_with=(ELSEWHERE,), name="new", scope=desk.scope("s"))
    assert admitted(desk, pool)
    desk.outside.organization.fault = ServiceUnavailableError("AWS Organizations", "TooManyRequestsException")
    desk.clock.sleep(REFUSAL_AGE)
    assert admitted(desk, pool)
    with pytest.raises(ServiceUnavailableError):
        check_shared(desk.ports, new, ACCOUNT)


def test_a_process_without_a_way_to_ask_refuses_nobody(desk: Desk, pool_of: MakePool) -> None:
    """It cannot say, and says so."""
    ports = Ports(desk.store, desk.clock, desk.chance, desk.ports.memory)
    with pytest.raises(ServiceUnavailableError):
        check_shared(ports, pool_of(shared_with=(UNIT,)), ACCOUNT)


def test_an_order_is_refused_by_the_pool_it_names(desk: Desk, pool_of: MakePool) -> None:
    """The check is made at allocation, for the account of the stack; one that names no pool is told of none."""
    pool = pool_of("10.0.0.0/24", shared_with=(ELSEWHERE,))
    with pytest.raises(PoolNotSharedError):
        desk.allocate(desk.request("a", 26, pool=pool))
    with pytest.raises(NoPoolForRequestError):
        desk.allocate(desk.request("a", 26))
    desk.outside.organization.move(ACCOUNT, ELSEWHERE, ROOT)
    desk.clock.sleep(REFUSAL_AGE)
    assert desk.allocate(desk.request("a", 26)).outcome == "allocated"
