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

STACK = "arn:aws:cloudformation:eu-central-1:222222222222:stack/net/5e0a1b2c"
EVENT: dict[str, Any] = {"RequestType": "Create", "StackId": STACK}
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr:live"


@pytest.fixture
def service() -> tuple[Any, Stubber]:
    return stubbed("lambda")


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1"])
def test_the_event_is_invoked_asynchronously_with_the_time(
    service: tuple[Any, Stubber], clock: FixedClock, region: str
) -> None:
    """In the stack's Region, which alone serves it; nobody waits; the function is told when, to count its tries."""
    client, stubber = service
    event = EVENT | {"StackId": STACK.replace("eu-central-1", region)}
    payload = json.dumps(event | {REDELIVERED: NOON}).encode()
    there = FUNCTION.replace("eu-central-1", region)
    made = Made(client)
    redelivery = LambdaRedelivery(FUNCTION, clock, made)
    for _ in range(2):
        asked = {"FunctionName": there, "InvocationType": "Event", "Payload": payload}
        stubber.add_response("invoke", {"StatusCode": 202}, asked)
        redelivery.redeliver(json.dumps(event))
    stubber.assert_no_pending_responses()
    assert made.regions == [region]


def test_both_sides_mean_the_same_field() -> None:
    """What is added here is what the function reads."""
    assert REDELIVERED == events.REDELIVERED


@pytest.mark.parametrize("code", ["TooManyRequestsException", "AccessDeniedException", "ResourceNotFoundException"])
def test_an_event_that_is_not_taken_is_said_so(service: tuple[Any, Stubber], clock: FixedClock, code: str) -> None:
    """Whoever sends it on its way tries again."""
    client, stubber = service
    stubber.add_client_error("invoke", code)
    with pytest.raises(ServiceUnavailableError) as raised:
        LambdaRedelivery(FUNCTION, clock, Made(client)).redeliver(json.dumps(EVENT))
    assert (raised.value.service, raised.value.code) == ("AWS Lambda in eu-central-1", code)


def test_a_service_out_of_reach_is_unavailable(clock: FixedClock) -> None:
    """So is one that does not answer at all."""
    with pytest.raises(ServiceUnavailableError):
        LambdaRedelivery(FUNCTION, clock, unreachable(ConnectTimeoutError(endpoint_url="x"))).redeliver(
            json.dumps(EVENT)
        )


def test_an_unknown_error_passes_untouched(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """What nobody expects is a fault, and looks like one."""
    client, stubber = service
    stubber.add_client_error("invoke", "InvalidRequestContentException")
    with pytest.raises(ClientError):
        LambdaRedelivery(FUNCTION, clock, Made(client)).redeliver(json.dumps(EVENT))


def test_a_process_that_knows_no_function_says_so(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """The setting that is missing is named, and no client is made."""
    made = Made(service[0])
    with pytest.raises(ServiceUnavailableError, match="IPAM_CN_CIDR_FUNCTION"):
        LambdaRedelivery("", clock, made).redeliver(json.dumps(EVENT))
    assert made.count == 0
