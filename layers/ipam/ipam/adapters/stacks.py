"""Stacks of member accounts, as CloudFormation there tells them to a role that may only look.

A stack is asked for by its id: a deleted one is found so for 90 days, and does not exist afterwards (CloudFormation API
reference, "DescribeStacks"). One made anew under its name is another stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ipam.adapters.members import MemberClients, raise_if_busy

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.stack import StackId
    from ipam.services.ports import Clock
    from ipam.services.ports.outside import Standing

SERVICE: Final = "AWS CloudFormation"

NOT_THERE: Final = "does not exist"
"""What the message of a ValidationError says of a stack or a resource that is not there; there is no code for it."""

ENDED: Final = frozenset({"DELETE_COMPLETE", "DELETE_SKIPPED"})
"""How a resource is that its stack has no more: deleted, or retained."""


class MemberStacks:
    """`ipam.services.ports.Stacks` by a role of the same name in every account."""

    can_ask = True

    def __init__(self, role: str, clock: Clock, connect: Callable[[str, str], Any]) -> None:
        """Ask nothing yet.

        Args:
            role: the role's name.
            clock: tells when a client's rights run out.
            connect: makes a client by the ARN of a role, in a Region.
        """
        self._clients = MemberClients(SERVICE, role, clock, connect)

    def standing(self, stack: StackId) -> Standing:
        """See the port."""
        try:
            found = self._clients.of(stack).describe_stacks(StackName=stack.arn)["Stacks"]
        except ClientError as error:
            return "gone" if _is_not_there(error) else "unknown"
        except BotoCoreError:
            return "unknown"
        return _standing(found[0]["StackStatus"]) if len(found) == 1 else "unknown"

    def resource(self, stack: StackId, logical_id: str) -> str | None:
        """See the port."""
        try:
            found = self._clients.of(stack).describe_stack_resources(StackName=stack.arn, LogicalResourceId=logical_id)
        except ClientError as error:
            return "" if _is_not_there(error) else None
        except BotoCoreError:
            return None
        for each in found["StackResources"]:
            if each["LogicalResourceId"] == logical_id:
                return "" if each["ResourceStatus"] in ENDED else each.get("PhysicalResourceId")
        return ""


def _is_not_there(error: ClientError) -> bool:
    """Whether an error says that something does not exist.

    Raises:
        ServiceUnavailableError: it only says to ask later.
    """
    raise_if_busy(SERVICE, error)
    said = error.response["Error"]
    # Of a role, or of anything else than what was asked for, nothing follows for the stack.
    asked = error.operation_name.startswith("DescribeStack")
    return asked and said["Code"] == "ValidationError" and NOT_THERE in said.get("Message", "")


def _standing(status: str) -> Standing:
    """Tell how a stack is by its status (CloudFormation user guide, "Stack status codes")."""
    if status == "DELETE_COMPLETE":
        return "gone"
    if status == "DELETE_FAILED":
        return "deleting-failed"
    return "there" if status.endswith("_COMPLETE") else "changing"
