"""The address plan's function on a store in memory, with CloudFormation and Lambda around it played by the test.

A test says what a template says; the stage sends it as CloudFormation does, each request a minute after the last, and
remembers what CloudFormation would: each resource's physical id and properties.
"""

from __future__ import annotations

import io
import itertools
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam.adapters.memory.store import MemoryStore
from ipam.domain.cidr import Cidr
from ipam.entrypoints.address_plan.function import Collaborators, provider
from ipam.entrypoints.cn_cidr.dates import EPOCH, written
from ipam.entrypoints.logs import make_logger
from ipam.services.provision import provision
from tests.builders import Desk, FixedClock, SeededChance
from tests.unit.entrypoints.stage import SETTINGS, FakeContext, Mailbox, at, readdressed

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from ipam.services.ports.store import Store

EVENTS = Path(__file__).parents[3] / "events" / "address_plan"
NAMES = sorted(path.stem for path in EVENTS.glob("*.json"))

NETWORK_ACCOUNT = "123456789012"
STACK = f"arn:aws:cloudformation:eu-central-1:{NETWORK_ACCOUNT}:stack/address-plan/7d1f0a52-0b1c-4d6e-9f3a-2c4b6d8e0f10"
TOKEN = f"arn:aws:lambda:eu-central-1:{NETWORK_ACCOUNT}:function:cn-ipam-address-plan:live"
MINUTE = 60_000

_services = itertools.count()


def event(name: str) -> dict[str, Any]:
    """Load an event."""
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return loaded


@dataclass
class Resource:
    """What CloudFormation has of a resource."""

    kind: str
    name: str
    properties: dict[str, Any]
    physical_id: str = ""
    data: dict[str, str] = field(default_factory=dict)


class PlanStage:
    """One warm function, and a stack of the network account."""

    def __init__(self, store: Store | None = None) -> None:
        self.clock = FixedClock(at(7))
        self.chance = SeededChance()
        self.desk = Desk(store or MemoryStore(), self.clock, self.chance)
        self.mailbox = Mailbox()
        self.context = FakeContext(invoked_function_arn=TOKEN)
        self.stack = STACK
        self._log = io.StringIO()
        self._ids = itertools.count(1)
        self.restart()

    def restart(self, store: Store | None = None) -> None:
        """Start the function anew: it remembers nothing, and may see the store through another."""
        self.desk = self.desk.another(store)
        logger = make_logger(f"plan-{next(_services)}", self._log)
        self.provider = provider(SETTINGS, Collaborators(self.desk.ports, self.mailbox, logger))

    # ------------------------------------------------------------------------------------------- what is sent

    def request(self, verb: str, resource: Resource, **changes: Any) -> dict[str, Any]:
        """Make the event of a request that CloudFormation makes a minute after the last."""
        self.clock.milliseconds += MINUTE
        date = written(self.clock.milliseconds).partition(".")[0].replace("-", "").replace(":", "") + "Z"
        made = {
            "RequestType": verb,
            "ServiceToken": TOKEN,
            "ResponseURL": "",
            "StackId": self.stack,
            "RequestId": str(uuid.UUID(int=next(self._ids))),
            "LogicalResourceId": resource.name,
            "ResourceType": f"Custom::{resource.kind}",
            "ResourceProperties": {"ServiceToken": TOKEN, "ServiceTimeout": "600"} | resource.properties,
        }
        if verb != "Create":
            made["PhysicalResourceId"] = resource.physical_id
        return readdressed(made | changes, query=f"X-Amz-Date={date}&X-Amz-Expires=7200")

    def deliver(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Deliver an event, and give the answer.

        Raises:
            Exception: what the function raised; Lambda would deliver the event again.
        """
        before = len(self.mailbox.taken)
        self.provider.handle(sent, self.context)
        (answer,) = self.mailbox.taken[before:]
        return answer

    def twice(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Deliver an event two times, the second one to a function that remembers nothing: both answers are one."""
        first = self.deliver(sent)
        self.restart()
        assert self.deliver(sent) == first
        return first

    def create(self, kind: str, name: str, **properties: Any) -> Resource:
        """Create a resource."""
        resource = Resource(kind, name, properties)
        answer = self.twice(self.request("Create", resource))
        assert answer["Status"] == "SUCCESS", answer["Reason"]
        resource.physical_id, resource.data = answer["PhysicalResourceId"], answer["Data"]
        return resource

    def refused(self, kind: str, name: str, **properties: Any) -> str:
        """Have a Create refused, and then deleted as CloudFormation does; give the reason."""
        resource = Resource(kind, name, properties)
        answer = self.twice(self.request("Create", resource))
        assert answer["Status"] == "FAILED"
        resource.physical_id = answer["PhysicalResourceId"]
        assert self.twice(self.request("Delete", resource))["Status"] == "SUCCESS"
        return str(answer["Reason"])

    def update(self, resource: Resource, **properties: Any) -> Resource:
        """Update a resource; None takes a property out. Give what it is then, and leave the old one to be deleted."""
        merged = {name: value for name, value in (resource.properties | properties).items() if value is not None}
        new = Resource(resource.kind, resource.name, merged, resource.physical_id)
        answer = self.twice(self.updating(resource, new))
        assert answer["Status"] == "SUCCESS", answer["Reason"]
        new.physical_id, new.data = answer["PhysicalResourceId"], answer["Data"]
        return new

    def updating(self, old: Resource, new: Resource) -> dict[str, Any]:
        """Make the event of an Update."""
        before = {"ServiceToken": TOKEN, "ServiceTimeout": "600"} | old.properties
        return self.request("Update", new, OldResourceProperties=before)

    def refused_update(self, resource: Resource, **properties: Any) -> str:
        """Have an Update refused, and rolled back as CloudFormation does; give the reason."""
        new = Resource(resource.kind, resource.name, resource.properties | properties, resource.physical_id)
        answer = self.twice(self.updating(resource, new))
        assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", resource.physical_id)
        back = self.twice(self.updating(new, resource))
        assert (back["Status"], back["PhysicalResourceId"]) == ("SUCCESS", resource.physical_id)
        return str(answer["Reason"])

    def delete(self, resource: Resource) -> dict[str, Any]:
        """Delete a resource."""
        return self.twice(self.request("Delete", resource))

    # ------------------------------------------------------------------------------------------- what is there

    @property
    def outcome(self) -> str:
        """How the last event ended, by the log."""
        return str(self.lines()[-1]["outcome"])

    def lines(self) -> list[dict[str, Any]]:
        """Read the log."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def pool(self, resource: Resource) -> Pool:
        """Read the pool that a resource stands for."""
        return self.desk.store.plan().pools[resource.physical_id]

    def pools(self) -> list[str]:
        """Read the pools' names."""
        return sorted(pool.name for pool in self.desk.store.plan().pools.values())

    def provisioned(self, resource: Resource) -> list[str]:
        """Read the CIDRs of the pool that a resource stands for."""
        return [str(cidr) for cidr in sorted(self.desk.store.plan().space(resource.physical_id).provisioned)]

    def top(self, **properties: Any) -> Resource:
        """Create a top-level pool of 10.0.0.0/8."""
        said = {
            "AddressFamily": "ipv4",
            "IpamScopeId": "private",
            "Name": "top",
            "ProvisionedCidrs": [{"Cidr": "10.0.0.0/8"}],
        }
        return self.create("IpamPool", "Top", **(said | properties))

    def by_hand(self, pool: Resource, cidr: str) -> None:
        """Provision a CIDR as an administrator does."""
        provision(self.desk.ports, pool.physical_id, Cidr.parse(cidr), "by-hand", "test")


__all__ = ["EPOCH", "NAMES", "PlanStage", "Resource", "event"]
