"""What is put on the event bus, and what becomes of what is not taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import ANY

from ipam.adapters.eventbridge import MAX_UNTOLD, EventBridge
from ipam.services.ports.outside import Happening
from tests.unit.adapters.stubs import Made, stubbed, unreachable

if TYPE_CHECKING:
    from botocore.stub import Stubber

HAPPENING = Happening("Lease Ends Soon", {"cidr": "10.0.0.0/24", "until": 1_800_000_000_000})


@pytest.fixture
def bus() -> tuple[Any, Stubber]:
    return stubbed("events")


def test_a_happening_is_one_event_of_the_default_bus(bus: tuple[Any, Stubber]) -> None:
    """Its source is ours, its detail type the kind, its detail the facts as JSON."""
    client, stubber = bus
    entry = {"Source": "cn-ipam", "DetailType": "Lease Ends Soon", "Detail": json.dumps(dict(HAPPENING.facts))}
    answer = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
    stubber.add_response("put_events", answer, {"Entries": [entry]})
    bridge = EventBridge(Made(client))
    assert bridge.tell(HAPPENING)
    assert bridge.untold() == ()


def test_what_the_bus_refuses_is_noted(bus: tuple[Any, Stubber]) -> None:
    """An entry that failed in an answer that did not is noted with its code, once."""
    client, stubber = bus
    answer = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]}
    stubber.add_response("put_events", answer, {"Entries": ANY})
    bridge = EventBridge(Made(client))
    assert not bridge.tell(HAPPENING)
    assert bridge.untold() == ("Lease Ends Soon: ThrottlingException",)
    assert bridge.untold() == ()


def test_a_bus_that_may_not_be_used_fails_nobody(bus: tuple[Any, Stubber]) -> None:
    """Whatever error there is, what has happened has happened."""
    client, stubber = bus
    stubber.add_client_error("put_events", "AccessDeniedException")
    bridge = EventBridge(Made(client))
    assert not bridge.tell(HAPPENING)
    assert bridge.untold() == ("Lease Ends Soon: AccessDeniedException",)


@pytest.mark.parametrize("fault", [EndpointConnectionError(endpoint_url="x"), NoCredentialsError()])
def test_a_bus_out_of_reach_fails_nobody(fault: Exception) -> None:
    """Neither does one that does not answer, or nobody to ask it as."""
    bridge = EventBridge(unreachable(fault))
    assert not bridge.tell(HAPPENING)
    assert bridge.untold() == (f"Lease Ends Soon: {type(fault).__name__}",)


def test_what_is_noted_is_bounded() -> None:
    """A bus that is away for long does not fill the memory, or the line."""
    bridge = EventBridge(unreachable(NoCredentialsError()))
    for _ in range(MAX_UNTOLD + 5):
        bridge.tell(HAPPENING)
    assert len(bridge.untold()) == MAX_UNTOLD


def test_the_client_is_made_once_and_late(bus: tuple[Any, Stubber]) -> None:
    """A function that tells nothing makes none."""
    client, stubber = bus
    made = Made(client)
    bridge = EventBridge(made)
    assert made.count == 0
    for _ in range(2):
        stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": ANY})
        bridge.tell(HAPPENING)
    assert made.count == 1
