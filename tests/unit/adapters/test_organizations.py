"""Where accounts stand, by the answers that AWS Organizations gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ipam.adapters.organizations import CLIENT_AGE, MAX_LEVELS, Organizations
from ipam.domain.errors import ServiceUnavailableError, UnknownAccountError
from tests.unit.adapters.stubs import Made, stubbed, unreachable

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from tests.builders import FixedClock

ACCOUNT = "111122223333"
UNIT, NESTED, ROOT = "ou-abcd-11111111", "ou-abcd-22222222", "r-abcd"
ORGANIZATION = "o-exampleorgid"


@pytest.fixture
def service() -> tuple[Any, Stubber]:
    return stubbed("organizations")


def above(stubber: Stubber, child: str, parent: str) -> None:
    """Say what stands above an account or a unit."""
    kind = "ROOT" if parent.startswith("r-") else "ORGANIZATIONAL_UNIT"
    stubber.add_response("list_parents", {"Parents": [{"Id": parent, "Type": kind}]}, {"ChildId": child})


def described(stubber: Stubber) -> None:
    """Say which organisation it is."""
    stubber.add_response("describe_organization", {"Organization": {"Id": ORGANIZATION}}, {})


def test_everything_above_an_account_is_told(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """Its units from the nearest up, the root, and the organisation."""
    client, stubber = service
    above(stubber, ACCOUNT, NESTED)
    above(stubber, NESTED, UNIT)
    above(stubber, UNIT, ROOT)
    described(stubber)
    organization = Organizations(clock, Made(client))
    assert organization.standing(ACCOUNT) == (NESTED, UNIT, ROOT, ORGANIZATION)
    stubber.assert_no_pending_responses()


def test_the_organisation_is_asked_its_name_once(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """It never changes; where accounts stand is asked each time, and is the service's to remember."""
    client, stubber = service
    organization = Organizations(clock, Made(client))
    above(stubber, ACCOUNT, ROOT)
    described(stubber)
    assert organization.standing(ACCOUNT) == (ROOT, ORGANIZATION)
    above(stubber, ACCOUNT, UNIT)
    above(stubber, UNIT, ROOT)
    assert organization.standing(ACCOUNT) == (UNIT, ROOT, ORGANIZATION)
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["ChildNotFoundException", "InvalidInputException"])
def test_an_account_that_is_not_there_is_unknown(service: tuple[Any, Stubber], clock: FixedClock, code: str) -> None:
    """Whether the organisation does not have it or it can be none: nobody knows it."""
    client, stubber = service
    stubber.add_client_error("list_parents", code)
    with pytest.raises(UnknownAccountError) as raised:
        Organizations(clock, Made(client)).standing(ACCOUNT)
    assert raised.value.account == ACCOUNT


def test_a_unit_that_goes_meanwhile_is_no_unknown_account(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """The organisation is being rebuilt: the same question is to be asked again."""
    client, stubber = service
    above(stubber, ACCOUNT, UNIT)
    stubber.add_client_error("list_parents", "ChildNotFoundException")
    with pytest.raises(ServiceUnavailableError):
        Organizations(clock, Made(client)).standing(ACCOUNT)


@pytest.mark.parametrize(
    "code",
    ["TooManyRequestsException", "ServiceException", "AccessDeniedException", "AWSOrganizationsNotInUseException"],
)
def test_a_service_that_does_not_answer_is_unavailable(
    service: tuple[Any, Stubber], clock: FixedClock, code: str
) -> None:
    """Busy, or closed to us: nothing is known of the account, and the code says why."""
    client, stubber = service
    stubber.add_client_error("list_parents", code)
    with pytest.raises(ServiceUnavailableError) as raised:
        Organizations(clock, Made(client)).standing(ACCOUNT)
    assert (raised.value.service, raised.value.code) == ("AWS Organizations", code)


def test_the_name_of_the_organisation_may_fail_too(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """A standing without it would keep out whom the whole organisation's share lets in."""
    client, stubber = service
    above(stubber, ACCOUNT, ROOT)
    stubber.add_client_error("describe_organization", "TooManyRequestsException")
    with pytest.raises(ServiceUnavailableError):
        Organizations(clock, Made(client)).standing(ACCOUNT)


REFUSED = ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "AssumeRole")


@pytest.mark.parametrize(
    ("fault", "code"),
    [(REFUSED, "AccessDenied"), (EndpointConnectionError(endpoint_url="x"), "EndpointConnectionError")],
)
def test_a_role_that_may_not_be_taken_on_is_unavailable(clock: FixedClock, fault: Exception, code: str) -> None:
    """Making the client is part of asking."""
    with pytest.raises(ServiceUnavailableError) as raised:
        Organizations(clock, unreachable(fault)).standing(ACCOUNT)
    assert raised.value.code == code


def test_an_unknown_error_passes_untouched(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """What nobody expects is a fault, and looks like one."""
    client, stubber = service
    stubber.add_client_error("list_parents", "ConcurrentModificationException")
    with pytest.raises(ClientError):
        Organizations(clock, Made(client)).standing(ACCOUNT)


def test_the_way_up_is_bounded(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """Units that stand above each other in a circle end the question, and not the function."""
    client, stubber = service
    above(stubber, ACCOUNT, UNIT)
    for _ in range(MAX_LEVELS):
        above(stubber, UNIT, UNIT)
    with pytest.raises(ServiceUnavailableError):
        Organizations(clock, Made(client)).standing(ACCOUNT)


def test_the_client_is_made_late_and_anew_in_time(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """A function that nobody asks makes none; the rights of a role that was taken on run out."""
    client, stubber = service
    made = Made(client)
    organization = Organizations(clock, made)
    assert made.count == 0
    described_once = False
    for count, wait in ((1, 0), (1, CLIENT_AGE - 1), (2, 1), (2, 0)):
        clock.sleep(wait)
        above(stubber, ACCOUNT, ROOT)
        if not described_once:
            described(stubber)
            described_once = True
        organization.standing(ACCOUNT)
        assert made.count == count
