"""Stacks on the twin, as a person or a pipeline would run them: create, update, delete, wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, WaiterError

from local.settings import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.twin import Twin

WAIT: Final = {"Delay": 0.2, "MaxAttempts": 600}
"""Seconds between two looks at a stack, and how many looks."""


class StackError(Exception):
    """A stack did not come to the state that was waited for; its text has the reasons that its events give."""


class Stack:
    """One stack of one account, in one Region."""

    def __init__(self, twin: Twin, name: str, account: str, region: str = REGION) -> None:
        self._cloudformation: Any = twin.session(account, region).client("cloudformation")
        self.name = name
        self.stack_id = ""

    @property
    def outputs(self) -> dict[str, str]:
        """Its outputs by their keys."""
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe().get("Outputs", ())}

    @property
    def status(self) -> str:
        """Its status, such as CREATE_COMPLETE."""
        return str(self.describe()["StackStatus"])

    def describe(self) -> dict[str, Any]:
        """Describe it; by its id it can be described after its end too."""
        (stack,) = self._cloudformation.describe_stacks(StackName=self.stack_id or self.name)["Stacks"]
        return dict(stack)

    def reasons(self) -> list[str]:
        """Say why its resources failed, the first failure first."""
        events = self._cloudformation.describe_stack_events(StackName=self.stack_id or self.name)["StackEvents"]
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("FAILED")
        ]

    def start_create(self, template: Path | str, parameters: Mapping[str, str], **options: object) -> None:
        """Begin to create it; `options` are the API's own."""
        request = _request(template, parameters) | options
        self.stack_id = self._cloudformation.create_stack(StackName=self.name, **request)["StackId"]

    def start_update(self, template: Path | str, parameters: Mapping[str, str]) -> None:
        """Begin to update it."""
        self._cloudformation.update_stack(StackName=self.stack_id, **_request(template, parameters))

    def start_delete(self) -> None:
        """Begin to delete it."""
        self._cloudformation.delete_stack(StackName=self.stack_id)

    def wait_created(self) -> None:
        """Wait until it is created."""
        self._wait("stack_create_complete")

    def wait_updated(self) -> None:
        """Wait until it is updated."""
        self._wait("stack_update_complete")

    def wait_deleted(self) -> None:
        """Wait until it is gone."""
        self._wait("stack_delete_complete")

    def create(self, template: Path | str, parameters: Mapping[str, str]) -> None:
        """Create it, to its end."""
        self.start_create(template, parameters)
        self.wait_created()

    def update(self, template: Path | str, parameters: Mapping[str, str]) -> None:
        """Update it, to its end."""
        self.start_update(template, parameters)
        self.wait_updated()

    def delete(self) -> None:
        """Delete it, to its end."""
        self.start_delete()
        self.wait_deleted()

    def _wait(self, state: str) -> None:
        try:
            self._cloudformation.get_waiter(state).wait(StackName=self.stack_id, WaiterConfig=WAIT)
        except WaiterError as error:
            raise StackError(f"{self.name} did not reach {state}: {self._explain()}") from error

    def _explain(self) -> str:
        try:
            return f"{self.status}; " + "; ".join(self.reasons())
        except ClientError as error:
            return str(error)


def _request(template: Path | str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Make the API's arguments; a template is a file or its text."""
    return {
        "TemplateBody": template if isinstance(template, str) else template.read_text(),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM"],
    }
