"""Whose stacks the function serves: what its resource policy says, asked as AWS asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.settings import OUTSIDE_ACCOUNT
from tests.e2e.twin.account import Account

if TYPE_CHECKING:
    from local.twin import Twin


@pytest.mark.parametrize(
    "account",
    [
        pytest.param("111111111111", id="its own account"),
        pytest.param("333333333333", id="another account of the organisation"),
        pytest.param("444444444444", id="an account outside it that has a permission of its own"),
    ],
)
def test_permitted_account_is_served(twin: Twin, account: str) -> None:
    """The function runs in its own account, for a stack in another."""
    served = Account(twin, account)
    outputs = {"Account": {"Fn::GetAtt": ["A", "Account"]}}
    assert served.create("served", {"A": served.probe()}, outputs=outputs) == "CREATE_COMPLETE"
    assert served.outputs("served") == {"Account": "111111111111"}
    assert f":{account}:stack/served/" in served.requests("served")[0]["StackId"]
    assert served.delete("served") == "DELETE_COMPLETE"


def test_account_outside_is_refused(twin: Twin) -> None:
    """An account that no permission is for fails with AccessDenied, and the function hears nothing of it."""
    outside = Account(twin, OUTSIDE_ACCOUNT)
    assert outside.create("outside", {"A": outside.probe()}) == "ROLLBACK_COMPLETE"
    reason = outside.reason("outside", "A", "CREATE_FAILED")
    assert "not authorized to perform: lambda:InvokeFunction" in reason and "AccessDenied" in reason
    assert outside.requests("outside") == []


def test_permission_for_the_alias_is_not_one_for_the_function(twin: Twin, member: Account) -> None:
    """A policy names what it opens: the alias. The unqualified function stays closed, and so does the version."""
    for name, token in (("plain", twin.outputs["FunctionArn"]), ("version", twin.outputs["FunctionArn"] + ":1")):
        resource = member.probe()
        resource["Properties"]["ServiceToken"] = token
        assert member.create(name, {"A": resource}) == "ROLLBACK_COMPLETE"
        assert "AccessDenied" in member.reason(name, "A", "CREATE_FAILED")


def test_missing_function_looks_like_a_closed_one(twin: Twin, member: Account) -> None:
    """From another account, what is not there cannot be told from what is not permitted."""
    resource = member.probe()
    resource["Properties"]["ServiceToken"] = twin.outputs["FunctionArn"] + "-missing"
    assert member.create("missing", {"A": resource}) == "ROLLBACK_COMPLETE"
    assert "AccessDenied" in member.reason("missing", "A", "CREATE_FAILED")


def test_other_region_is_refused(member: Account) -> None:
    """A service token is of the stack's Region."""
    resource = member.probe()
    resource["Properties"]["ServiceToken"] = member.twin.service_token.replace("eu-central-1", "eu-west-1")
    assert member.create("region", {"A": resource}) == "ROLLBACK_COMPLETE"
    assert "not in the stack's Region" in member.reason("region", "A", "CREATE_FAILED")
