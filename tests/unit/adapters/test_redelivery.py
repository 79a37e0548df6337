"""How a parked event gets back into the function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from ipam.adapters.redelivery import REDELIVERED, LambdaRedelivery
from ipam.domain.errors import ServiceUnavailableError
from ipam.entrypoints import events
from tests.builders import NOON
from tests.unit.adapters.stubs import Made, stubbed, unreachable

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from tests.builders import FixedClock

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr:live"


@pytest.fixture
def service() -> tuple[Any, Stubber]:
    return stubbed("lambda")


def test_the_event_is_invoked_asynchronously_with_the_time(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """The alias is invoked and nobody waits; the function is told when, to count its tries from then."""
    client, stubber = service
    payload = json.dumps({"RequestType": "Create", REDELIVERED: NOON}).encode()
    asked = {"FunctionName": FUNCTION, "InvocationType": "Event", "Payload": payload}
    stubber.add_response("invoke", {"StatusCode": 202}, asked)
    LambdaRedelivery(FUNCTION, clock, Made(client)).redeliver('{"RequestType": "Create"}')
    stubber.assert_no_pending_responses()


def test_both_sides_mean_the_same_field() -> None:
    """What is added here is what the function reads."""
    assert REDELIVERED == events.REDELIVERED


@pytest.mark.parametrize("code", ["TooManyRequestsException", "AccessDeniedException", "ResourceNotFoundException"])
def test_an_event_that_is_not_taken_is_said_so(service: tuple[Any, Stubber], clock: FixedClock, code: str) -> None:
    """Whoever sends it on its way tries again."""
    client, stubber = service
    stubber.add_client_error("invoke", code)
    with pytest.raises(ServiceUnavailableError) as raised:
        LambdaRedelivery(FUNCTION, clock, Made(client)).redeliver("{}")
    assert (raised.value.service, raised.value.code) == ("AWS Lambda", code)


def test_a_service_out_of_reach_is_unavailable(clock: FixedClock) -> None:
    """So is one that does not answer at all."""
    with pytest.raises(ServiceUnavailableError):
        LambdaRedelivery(FUNCTION, clock, unreachable(ConnectTimeoutError(endpoint_url="x"))).redeliver("{}")


def test_an_unknown_error_passes_untouched(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """What nobody expects is a fault, and looks like one."""
    client, stubber = service
    stubber.add_client_error("invoke", "InvalidRequestContentException")
    with pytest.raises(ClientError):
        LambdaRedelivery(FUNCTION, clock, Made(client)).redeliver("{}")


def test_a_process_that_knows_no_function_says_so(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """The setting that is missing is named, and no client is made."""
    made = Made(service[0])
    with pytest.raises(ServiceUnavailableError, match="IPAM_CN_CIDR_FUNCTION"):
        LambdaRedelivery("", clock, made).redeliver("{}")
    assert made.count == 0
