"""Upkeep as the schedule runs it: the deployed function, asked through the Lambda API."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam.domain.cidr import Cidr
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT
from local.stacks import Stack
from tests import invariants
from tests.e2e.system.conftest import new_pool
from tests.e2e.system.test_networks import order

if TYPE_CHECKING:
    from ipam.services.ports import Ports
    from local.twin import Twin

EVENT = Path("events/upkeep/scheduled.json")
COOLING_SECONDS = 2
PATIENCE = 30
"""Seconds after which what cools for two has to be due."""


def run_upkeep(twin: Twin) -> None:
    """Have the function run once; a run that fails is a failed test."""
    functions: Any = twin.session(NETWORK_ACCOUNT).client("lambda")
    answer = functions.invoke(FunctionName=twin.outputs["UpkeepFunctionArn"], Payload=EVENT.read_bytes())
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert json.loads(answer["Payload"].read()) is None


def test_what_a_stack_gave_back_is_whole_again(twin: Twin, ports: Ports) -> None:
    """Networks of a deleted stack cool; once that is over a run makes one free block of them again."""
    pool_id = new_pool(ports, "z-upkept", "172.20.0.0/22", COOLING_SECONDS)
    stack = Stack(twin, "z-upkept", MEMBER_ACCOUNT)
    template = order("z-upkept", {"First": "25", "Second": "26", "Third": "26"})
    stack.create(template, {"IpamFunctionArn": twin.service_token})
    stack.delete()
    cooling = ports.store.cooling(pool_id, 10)
    assert sorted(block.cidr.length for block in cooling) == [25, 26, 26]

    end = time.monotonic() + PATIENCE
    while ports.clock.now() < max(block.until for block in cooling):
        assert time.monotonic() < end
        time.sleep(0.1)
    run_upkeep(twin)
    assert list(ports.store.all_free(pool_id, 4)) == [Cidr.parse("172.20.0.0/22")]
    assert ports.store.cooling(pool_id, 10) == []
    invariants.check(ports.store)


def test_the_schedule_is_deployed(twin: Twin) -> None:
    """The rule of five minutes is on, and its target is the function's alias."""
    events: Any = twin.session(NETWORK_ACCOUNT).client("events")
    (rule,) = events.list_rules()["Rules"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(5 minutes)", "ENABLED")
    targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert [target["Arn"] for target in targets] == [twin.outputs["UpkeepFunctionArn"]]
