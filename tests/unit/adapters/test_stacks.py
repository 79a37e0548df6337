"""Stacks of member accounts, by the answers that CloudFormation gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ipam.adapters.members import MAX_CLIENTS, REFUSAL_AGE
from ipam.adapters.stacks import MemberStacks
from ipam.domain.errors import ServiceUnavailableError
from ipam.domain.stack import StackId
from tests.builders import ACCOUNT, STACK
from tests.unit.adapters.stubs import stubbed

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from ipam.services.ports.outside import Standing
    from tests.builders import FixedClock

ROLE = "cn-ipam-discovery"
WHEN = datetime(2026, 11, 21, tzinfo=UTC)


def stack(text: str = STACK) -> StackId:
    """Read the id of a stack."""
    found = StackId.parse(text)
    assert found is not None
    return found


class Accounts:
    """Gives clients of accounts, and notes for whom and where."""

    def __init__(self, client: Any, *faults: Exception) -> None:
        self.client = client
        self.faults = list(faults)
        self.taken: list[tuple[str, str]] = []

    def __call__(self, role: str, region: str) -> Any:
        """Take on a role."""
        self.taken.append((role, region))
        if self.faults:
            raise self.faults.pop(0)
        return self.client


@pytest.fixture
def service() -> tuple[Any, Stubber]:
    return stubbed("cloudformation")


def described(stubber: Stubber, status: str) -> None:
    """Say how the stack is."""
    one = {"StackName": "net", "StackId": STACK, "CreationTime": WHEN, "StackStatus": status}
    stubber.add_response("describe_stacks", {"Stacks": [one]}, {"StackName": STACK})


def with_resource(stubber: Stubber, status: str, **facts: str) -> None:
    """Say what the stack has."""
    one = {"LogicalResourceId": "Net", "ResourceType": "Custom::GetCnCIDR", "Timestamp": WHEN, "ResourceStatus": status}
    asked = {"StackName": STACK, "LogicalResourceId": "Net"}
    stubber.add_response("describe_stack_resources", {"StackResources": [one | facts]}, asked)


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("CREATE_COMPLETE", "there"),
        ("UPDATE_COMPLETE", "there"),
        ("UPDATE_ROLLBACK_COMPLETE", "there"),
        ("ROLLBACK_COMPLETE", "there"),
        ("IMPORT_COMPLETE", "there"),
        ("DELETE_COMPLETE", "gone"),
        ("DELETE_FAILED", "deleting-failed"),
        ("DELETE_IN_PROGRESS", "changing"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "changing"),
        ("UPDATE_ROLLBACK_FAILED", "changing"),
        ("CREATE_FAILED", "changing"),
        ("REVIEW_IN_PROGRESS", "changing"),
    ],
)
def test_a_stack_is_as_its_status_says(
    service: tuple[Any, Stubber], clock: FixedClock, status: str, standing: Standing
) -> None:
    """At rest, gone, not wholly gone, or on its way; it is asked for by its id, as the role of its account."""
    client, stubber = service
    described(stubber, status)
    accounts = Accounts(client)
    assert MemberStacks(ROLE, clock, accounts).standing(stack()) == standing
    assert accounts.taken == [(f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", "eu-central-1")]


def test_what_does_not_exist_is_gone(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """After ninety days a deleted stack is not found any more."""
    client, stubber = service
    stubber.add_client_error("describe_stacks", "ValidationError", f"Stack with id {STACK} does not exist")
    assert MemberStacks(ROLE, clock, Accounts(client)).standing(stack()) == "gone"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ValidationError", "1 validation error detected"),
        ("AccessDenied", "User does not exist, or may not"),
        ("InvalidClientTokenId", "the Region is not enabled"),
        ("SomethingNew", "does not exist"),
    ],
)
def test_nothing_follows_from_other_errors(
    service: tuple[Any, Stubber], clock: FixedClock, code: str, said: str
) -> None:
    """Whatever else an account answers, its stack is not known to be gone, and neither is a resource."""
    client, stubber = service
    stacks = MemberStacks(ROLE, clock, Accounts(client))
    stubber.add_client_error("describe_stacks", code, said)
    assert stacks.standing(stack()) == "unknown"
    stubber.add_client_error("describe_stack_resources", code, said)
    assert stacks.resource(stack(), "Net") is None


def test_no_stack_and_two_stacks_are_unknown(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """One id is one stack."""
    client, stubber = service
    stubber.add_response("describe_stacks", {"Stacks": []})
    assert MemberStacks(ROLE, clock, Accounts(client)).standing(stack()) == "unknown"


@pytest.mark.parametrize("code", ["Throttling", "RequestLimitExceeded", "ServiceUnavailable"])
def test_too_much_at_once_is_said(service: tuple[Any, Stubber], clock: FixedClock, code: str) -> None:
    """The same question may be answered in a minute, whichever it is."""
    client, stubber = service
    stacks = MemberStacks(ROLE, clock, Accounts(client))
    stubber.add_client_error("describe_stacks", code)
    with pytest.raises(ServiceUnavailableError) as raised:
        stacks.standing(stack())
    assert (raised.value.service, raised.value.code) == ("AWS CloudFormation", code)
    stubber.add_client_error("describe_stack_resources", code)
    with pytest.raises(ServiceUnavailableError):
        stacks.resource(stack(), "Net")


def test_the_role_may_be_asked_for_too_often(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """That is no answer of the account's either, and is not remembered as one."""
    client, stubber = service
    busy = ClientError({"Error": {"Code": "Throttling", "Message": ""}}, "AssumeRole")
    stacks = MemberStacks(ROLE, clock, Accounts(client, busy))
    with pytest.raises(ServiceUnavailableError):
        stacks.standing(stack())
    described(stubber, "CREATE_COMPLETE")
    assert stacks.standing(stack()) == "there"


def test_an_account_that_lets_nobody_in_is_asked_once(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """Its stacks are unknown, whatever the message says; the role is tried again after a minute."""
    refused = ClientError({"Error": {"Code": "ValidationError", "Message": "role does not exist"}}, "AssumeRole")
    accounts = Accounts(service[0], refused)
    stacks = MemberStacks(ROLE, clock, accounts)
    assert stacks.standing(stack()) == "unknown"
    assert stacks.resource(stack(), "Net") is None
    assert len(accounts.taken) == 1
    clock.sleep(REFUSAL_AGE)
    described(service[1], "CREATE_COMPLETE")
    assert stacks.standing(stack()) == "there"


def test_what_cannot_be_reached_is_unknown(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """A Region that there is not has no endpoint."""
    lost = EndpointConnectionError(endpoint_url="x")
    stacks = MemberStacks(ROLE, clock, Accounts(service[0], lost, lost))
    assert stacks.standing(stack()) == "unknown"
    assert stacks.resource(stack(), "Net") is None


@pytest.mark.parametrize(
    ("status", "facts", "known"),
    [
        ("CREATE_COMPLETE", {"PhysicalResourceId": "alloc-a"}, "alloc-a"),
        ("UPDATE_COMPLETE", {"PhysicalResourceId": "alloc-a"}, "alloc-a"),
        ("DELETE_FAILED", {"PhysicalResourceId": "alloc-a"}, "alloc-a"),
        ("DELETE_COMPLETE", {"PhysicalResourceId": "alloc-a"}, ""),
        ("DELETE_SKIPPED", {"PhysicalResourceId": "alloc-a"}, ""),
        ("CREATE_IN_PROGRESS", {}, None),
    ],
)
def test_a_resource_is_what_the_stack_has(
    service: tuple[Any, Stubber], clock: FixedClock, status: str, facts: dict[str, str], known: str | None
) -> None:
    """Its physical id; none, where it was deleted or retained; unknown, where it has none yet."""
    client, stubber = service
    with_resource(stubber, status, **facts)
    assert MemberStacks(ROLE, clock, Accounts(client)).resource(stack(), "Net") == known


def test_a_resource_that_is_not_there(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """An error that says so, and an answer without it, are the same."""
    client, stubber = service
    stacks = MemberStacks(ROLE, clock, Accounts(client))
    stubber.add_client_error("describe_stack_resources", "ValidationError", "Resource Net does not exist for stack net")
    assert stacks.resource(stack(), "Net") == ""
    stubber.add_response("describe_stack_resources", {"StackResources": []})
    assert stacks.resource(stack(), "Net") == ""


def test_clients_are_kept_an_account_and_region(service: tuple[Any, Stubber], clock: FixedClock) -> None:
    """One each, made anew in time; no more than so many."""
    client, stubber = service
    accounts = Accounts(client)
    stacks = MemberStacks(ROLE, clock, accounts)
    for text in (STACK, STACK, STACK.replace("eu-central-1", "eu-west-1"), STACK.replace(ACCOUNT, "444455556666")):
        stubber.add_response("describe_stacks", {"Stacks": []})
        stacks.standing(stack(text))
    assert len(accounts.taken) == 3
    for number in range(MAX_CLIENTS):
        stubber.add_response("describe_stacks", {"Stacks": []})
        stacks.standing(stack(STACK.replace(ACCOUNT, f"{number:012d}")))
    assert len(stacks._clients) <= MAX_CLIENTS
