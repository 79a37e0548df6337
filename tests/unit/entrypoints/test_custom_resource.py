"""Each measured fault of crhelper 2.0.12 has a test here that it cannot happen (docs/decisions/0003)."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from typing import Any

import boto3
import crhelper.resource_helper
import crhelper.utils
import pytest
from crhelper import CfnResource

from ipam.domain.errors import OutOfTimeError
from ipam.entrypoints.custom_resource import _Contained, dispatch
from ipam.entrypoints.events import Request, parse
from tests.unit.entrypoints.stage import PLACE, FakeContext, Stage, allocation_id, at, event


class Told:
    """Handlers that note what they are called with, and return or raise what they are told."""

    def __init__(self, result: Any = "result") -> None:
        self.result = result
        self.calls: list[tuple[str, Request]] = []

    def _call(self, name: str, request: Request) -> Any:
        self.calls.append((name, request))
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def create(self, request: Request) -> Any:
        """See `Handlers`."""
        return self._call("create", request)

    def update(self, request: Request) -> Any:
        """See `Handlers`."""
        return self._call("update", request)

    def delete(self, request: Request) -> Any:
        """See `Handlers`."""
        return self._call("delete", request)


def request(name: str = "create") -> Request:
    return parse(event(name), PLACE, at(12))


@pytest.fixture(autouse=True)
def nothing_goes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make crhelper's own ways out, its waits and its clients fail the test."""

    def never(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("crhelper did something of its own")

    monkeypatch.setattr(crhelper.utils, "_send_response", never)
    monkeypatch.setattr(crhelper.resource_helper, "_send_response", never)
    monkeypatch.setattr(crhelper.resource_helper, "sleep", never)
    monkeypatch.setattr(crhelper.log_helper, "setup", never)
    monkeypatch.setattr(boto3, "client", never)
    monkeypatch.setattr(threading, "Timer", never)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", never)
    monkeypatch.setattr(time, "sleep", never)


@pytest.mark.parametrize(("name", "kind"), [("create", "create"), ("update_in_place", "update"), ("delete", "delete")])
def test_a_request_reaches_its_handler_once(name: str, kind: str) -> None:
    """The library dispatches by request type; what the handler returns comes out as it is, and not as a text."""
    handlers = Told(result=["anything"])
    asked = request(name)
    assert dispatch(asked, FakeContext(), handlers) is handlers.result
    assert handlers.calls == [(kind, asked)]


@pytest.mark.parametrize("fault", [OutOfTimeError(), RuntimeError("a bug"), KeyError("x"), SystemExit(1)])
def test_no_exception_is_swallowed(fault: BaseException) -> None:
    """The library would answer FAILED with the exception's text; here it comes out as it was raised."""
    with pytest.raises(type(fault)) as raised:
        dispatch(request(), FakeContext(), Told(fault))
    assert raised.value is fault


def test_a_fault_inside_crhelper_is_raised_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would send it as FAILED; nothing is sent, and the fault comes out."""
    fault = RuntimeError("inside")

    def broken(_self: Any) -> None:
        raise fault

    monkeypatch.setattr(_Contained, "_poll_enabled", broken)
    with pytest.raises(RuntimeError) as raised:
        dispatch(request(), FakeContext(), Told())
    assert raised.value is fault


def test_a_missing_handler_is_no_success() -> None:
    """The library answers SUCCESS where no handler was registered; here that is a fault."""
    resource = _Contained[str]()
    resource(
        {"RequestType": "Create", "RequestId": "r", "ResponseURL": "", "LogicalResourceId": "L", "StackId": "s"}, None
    )
    with pytest.raises(LookupError):
        resource.result()


def test_crhelper_learns_no_url_and_no_property(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not know it cannot log, store in a rule or send an answer to."""
    seen: list[dict[str, Any]] = []
    original = CfnResource.__call__

    def spy(self: Any, given: dict[str, Any], context: Any) -> None:
        seen.append(given)
        original(self, given, context)

    monkeypatch.setattr(CfnResource, "__call__", spy)
    dispatch(request("delete_cn_cidr_create"), FakeContext(), Told())
    assert seen[0]["ResponseURL"] == ""
    assert "X-Amz-Signature" not in str(seen)
    assert "ResourceProperties" not in seen[0]


def test_no_poll_mode_can_be_smuggled_in(stage: Stage) -> None:
    """The library obeys CrHelperPoll and CrHelperData in an event; ours never get there."""
    sent = event(
        "create", CrHelperPoll=True, CrHelperData={"Cidr": "0.0.0.0/0"}, CrHelperRule="arn:aws:events:x:y:rule/z"
    )
    answer = stage.send(sent)
    assert answer["Data"]["Cidr"] == "10.0.0.0/24"


def test_nothing_survives_into_the_next_event(stage: Stage) -> None:
    """An event that cannot be read does not answer the one before it, and Data does not stick."""
    stage.send("create_with_subnets")
    stage.provider.handle({"RequestType": "Create"}, stage.context)
    assert len(stage.mailbox.taken) == 1
    other = stage.send("create_other_account")
    assert "SubnetCidr1" not in other["Data"]
    assert "NoEcho" not in other


def test_no_timer_is_started_and_no_thread(stage: Stage) -> None:
    """Its timer sends FAILED while the main thread may still commit; here there is one thread."""
    before = threading.active_count()
    stage.context.remaining = 1
    dispatch(request(), stage.context, Told())
    assert threading.active_count() == before


def test_duplicates_get_one_id(stage: Stage) -> None:
    """The library makes a random id for each delivery."""
    assert stage.send("bad_mask")["PhysicalResourceId"] == stage.send("bad_mask")["PhysicalResourceId"]
    assert stage.send("create")["PhysicalResourceId"] == allocation_id(1)
    assert stage.send("redelivery")["PhysicalResourceId"] == allocation_id(1)


def test_the_root_logger_is_left_alone(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The library sets the root logger's level and formatter, and logs the event at DEBUG; here it is silent."""
    level = logging.getLogger().level
    with caplog.at_level(logging.DEBUG):
        stage.send("create")
        dispatch(request("delete"), FakeContext(), Told())
    assert [record for record in caplog.records if record.name.startswith("crhelper")] == []
    assert logging.getLogger().level == level


def test_a_delete_does_not_wait(stage: Stage) -> None:
    """`sleep_on_delete` waits two minutes by default."""
    stage.send("create")
    assert stage.send("delete")["Status"] == "SUCCESS"
    assert stage.clock.slept == []


def test_the_containment_knows_every_attribute_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of crhelper whose constructor sets more cannot go unnoticed."""
    monkeypatch.setattr(crhelper.log_helper, "setup", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(boto3, "client", lambda *_args, **_kwargs: None)
    theirs = set(vars(CfnResource())) - {"_lambda_client", "_events_client", "_logs_client"}
    ours = set(vars(_Contained()))
    assert theirs - ours == set()
    assert ours - theirs == {"_kept", "_fault"}
