"""Stacks of one account of the twin, watched until they come to rest: what every test of the twin is written with."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local.settings import MEMBER_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.twin import Twin

PROBE: Final = Path(__file__).parent / "probe" / "template.yaml"


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Wait until the condition is true, and give what made it so; what it last was, if it never is."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


class Account:
    """Stacks of one account, watched until they come to rest."""

    def __init__(self, twin: Twin, account: str = MEMBER_ACCOUNT) -> None:
        self.twin, self.id = twin, account
        self.session = twin.session(account)
        self.cloudformation = self.session.client("cloudformation")
        self.ec2 = self.session.client("ec2")

    def probe(self, do: dict[str, str] | str | None = None, **properties: Any) -> dict[str, Any]:
        """Give a resource of the probe, which is told what to do by request type, or one thing for all of them."""
        told = {"Any": do} if isinstance(do, str) else do
        known = {"ServiceToken": self.twin.service_token, **({"Do": told} if told else {})}
        attributes = {"DependsOn": properties.pop("depends_on", None), "DeletionPolicy": properties.pop("policy", None)}
        resource = {"Type": "Custom::Probe", "Properties": {**known, **properties}}
        return resource | {name: value for name, value in attributes.items() if value is not None}

    def create(
        self, name: str, resources: dict[str, Any], *, outputs: dict[str, Any] | None = None, **named: Any
    ) -> str:
        """Create a stack and give the status that it comes to rest in."""
        self.cloudformation.create_stack(StackName=name, TemplateBody=_template(resources, outputs), **named)
        return self.rest(name)

    def update(self, name: str, resources: dict[str, Any], *, outputs: dict[str, Any] | None = None) -> str:
        """Update a stack and give the status that it comes to rest in."""
        self.cloudformation.update_stack(StackName=name, TemplateBody=_template(resources, outputs))
        return self.rest(name)

    def delete(self, name: str) -> str:
        """Delete a stack and give the status that it comes to rest in."""
        stack_id = self.describe(name)["StackId"]
        self.cloudformation.delete_stack(StackName=name)
        return self.rest(stack_id)

    def rest(self, name: str) -> str:
        """Wait until nothing is in progress."""
        for _ in range(400):
            status = str(self.describe(name)["StackStatus"])
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.05)
        raise TimeoutError(name)

    def describe(self, name: str) -> dict[str, Any]:
        """Give the stack as DescribeStacks does."""
        return dict(self.cloudformation.describe_stacks(StackName=name)["Stacks"][0])

    def outputs(self, name: str) -> dict[str, str]:
        """Give the stack's outputs."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe(name)["Outputs"]}

    def events(self, name: str) -> list[tuple[str, str]]:
        """Give every event's logical id and status, oldest first."""
        return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in self._events(name)]

    def reason(self, name: str, logical_id: str, status: str) -> str:
        """Give the reason of a resource's event."""
        return next(
            str(event.get("ResourceStatusReason", ""))
            for event in self._events(name)
            if (event["LogicalResourceId"], event["ResourceStatus"]) == (logical_id, status)
        )

    def _events(self, name: str) -> list[dict[str, Any]]:
        return list(reversed(self.cloudformation.describe_stack_events(StackName=name)["StackEvents"]))

    def requests(self, name: str) -> list[dict[str, Any]]:
        """Give the requests that were sent for a stack, each once, in order."""
        requests: dict[str, dict[str, Any]] = {}
        for record in self.records(name):
            requests.setdefault(record["event"]["RequestId"], record["event"])
        return list(requests.values())

    def records(self, name: str, kind: str = "delivery") -> list[dict[str, Any]]:
        """Give what was recorded of a stack."""
        return [
            record
            for record in self.twin.records()
            if record["kind"] == kind and f":{self.id}:stack/{name}/" in record["event"]["StackId"]
        ]

    def said(self, name: str) -> list[tuple[str, str, str | None]]:
        """Give the request type, logical id and physical id of every request of a stack."""
        return [(r["RequestType"], r["LogicalResourceId"], r.get("PhysicalResourceId")) for r in self.requests(name)]


def _template(resources: dict[str, Any], outputs: dict[str, Any] | None) -> str:
    shown = {name: {"Value": value} for name, value in (outputs or {}).items()}
    return json.dumps({"Resources": resources, **({"Outputs": shown} if shown else {})})
