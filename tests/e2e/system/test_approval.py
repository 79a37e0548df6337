"""A stack that waits for an administrator: stack, functions, event bus and command line, as they are deployed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.cidr import Cidr
from ipam.domain.pool import AllocationRules
from ipam.services.pools import NewPool, create_pool
from ipam.services.provision import provision
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, REGION
from local.stacks import Stack, StackError
from tests import invariants
from tests.e2e.system.conftest import ports_of
from tests.e2e.system.test_upkeep import run_upkeep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.allocation import Approval
    from ipam.services.ports import Ports
    from local.twin import Twin
    from tests.e2e.system.conftest import CommandLine

POOL = "z-large"
PATIENCE = 30
"""Seconds after which what has been ordered has to be seen to wait."""

ORDER = f"""
Parameters:
  IpamFunctionArn: {{ Type: String }}
Resources:
  Network:
    Type: Custom::GetCnCIDR
    Properties:
      ServiceToken: !Ref IpamFunctionArn
      ServiceTimeout: 3600
      PoolName: {POOL}
      CnCidrMask: "22"
      Description: for a data centre
Outputs:
  Cidr: {{ Value: !GetAtt Network.Cidr }}
"""


@pytest.fixture(scope="module", autouse=True)
def pool(twin: Twin) -> str:
    """A pool whose blocks larger than a /24 need an administrator's word."""
    ports = ports_of(twin)
    (scope,) = (scope for scope in ports.store.plan().scopes.values() if scope.name == "private")
    rules = AllocationRules(16, 28, 24, approval_netmask_length=24)
    made = create_pool(ports, NewPool(POOL, scope.scope_id, locale=REGION, rules=rules), "test")
    provision(ports, made.pool_id, Cidr.parse("172.24.0.0/20"), "172.24.0.0/20", "test")
    return made.pool_id


@pytest.fixture(scope="module")
def told(twin: Twin) -> Iterator[Any]:
    """A queue that a rule of the default bus sends our events to; it gives those that have come."""
    session = twin.session(NETWORK_ACCOUNT)
    queues: Any = session.client("sqs")
    events: Any = session.client("events")
    url = queues.create_queue(QueueName="told")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["cn-ipam"]}))
    events.put_targets(Rule="told", Targets=[{"Id": "told", "Arn": arn}])

    def received() -> list[dict[str, Any]]:
        messages = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    yield received
    events.remove_targets(Rule="told", Ids=["told"])
    events.delete_rule(Name="told")
    queues.delete_queue(QueueUrl=url)


def ordered(twin: Twin, ports: Ports, name: str) -> tuple[Stack, Approval]:
    """Begin to create a stack, and wait until its request waits."""
    stack = Stack(twin, name, MEMBER_ACCOUNT)
    stack.start_create(ORDER, {"IpamFunctionArn": twin.service_token})
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = [each for each in ports.store.approvals() if each.owner.party == stack.stack_id]
        if found:
            return stack, found[0]
        time.sleep(0.2)
    raise AssertionError("nothing waits")


def test_an_approved_stack_goes_on(twin: Twin, ports: Ports, ipam: CommandLine, told: Any) -> None:
    """It waits without a failure, is listed and told of, and has its network as soon as it is approved."""
    stack, approval = ordered(twin, ports, "large")
    assert stack.status == "CREATE_IN_PROGRESS"
    (event,) = told()
    assert (event["detail-type"], event["detail"]["approvalId"]) == ("Approval Asked", approval.approval_id)
    assert approval.approval_id in ipam("approve")
    ipam("approve", approval.approval_id, "--note", "agreed")
    stack.wait_created()
    assert stack.outputs["Cidr"] == "172.24.0.0/22"
    assert ports.store.approvals() == []
    stack.delete()
    invariants.check(ports.store)


def test_a_denied_stack_fails_with_the_note(twin: Twin, ports: Ports, ipam: CommandLine) -> None:
    """Its event says who refused it and why, and it rolls back without a trace."""
    stack, approval = ordered(twin, ports, "too-large")
    ipam("approve", approval.approval_id, "--deny", "--note", "take a /24")
    with pytest.raises(StackError, match=r"refused a /22 .*take a /24"):
        stack.wait_created()
    stack.delete()
    invariants.check(ports.store)


def test_upkeep_hands_over_what_the_command_line_could_not(twin: Twin, ports: Ports, ipam: CommandLine) -> None:
    """A decision whose event was not taken reaches the stack by the next run."""
    stack, approval = ordered(twin, ports, "later")
    done = ipam.run("approve", approval.approval_id, IPAM_CN_CIDR_FUNCTION="")
    assert done.returncode == 0, done.stderr
    assert stack.status == "CREATE_IN_PROGRESS"
    run_upkeep(twin)
    stack.wait_created()
    stack.delete()
    invariants.check(ports.store)
