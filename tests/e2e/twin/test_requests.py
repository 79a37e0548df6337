"""What CloudFormation sends to a custom resource, and when."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.twin.account import Account


def test_create_carries_what_the_user_guide_says(member: Account) -> None:
    """A Create has every field of the protocol, no physical id, no old properties, and only strings as values."""
    assert (
        member.create("carries", {"A": member.probe(Count=24, Flag=True, Nested={"Deep": [1, False]})})
        == "CREATE_COMPLETE"
    )
    [event] = member.requests("carries")
    url = event.pop("ResponseURL")
    request_id, stack_id = event.pop("RequestId"), event.pop("StackId")
    assert event == {
        "RequestType": "Create",
        "ServiceToken": member.twin.service_token,
        "ResourceType": "Custom::Probe",
        "LogicalResourceId": "A",
        "ResourceProperties": {
            "ServiceToken": member.twin.service_token,
            "Count": "24",
            "Flag": "true",
            "Nested": {"Deep": ["1", "false"]},
        },
    }
    assert stack_id.startswith("arn:aws:cloudformation:eu-central-1:222222222222:stack/carries/")
    assert url.startswith(f"{member.twin.endpoint}/cloudformation-custom-resource-response-eucentral1/arn%3Aaws%3A")
    assert url.endswith(f"%7CA%7C{request_id}")


def test_update_and_delete_carry_the_physical_id(member: Account) -> None:
    """An Update has the old properties too; a Delete has the physical id and the properties of the last success."""
    assert member.create("life", {"A": member.probe(Value="1")}) == "CREATE_COMPLETE"
    assert member.update("life", {"A": member.probe(Value="2")}) == "UPDATE_COMPLETE"
    assert member.delete("life") == "DELETE_COMPLETE"
    create, update, delete = member.requests("life")
    assert "PhysicalResourceId" not in create and "OldResourceProperties" not in create
    assert update["PhysicalResourceId"] == delete["PhysicalResourceId"] == "probe-A"
    assert update["OldResourceProperties"] == create["ResourceProperties"]
    assert delete["ResourceProperties"] == update["ResourceProperties"]
    assert "OldResourceProperties" not in delete
    assert len({create["RequestId"], update["RequestId"], delete["RequestId"]}) == 3


def test_unchanged_resource_is_left_alone(member: Account) -> None:
    """An update that does not change a resource's properties sends it nothing."""
    member.create("still", {"A": member.probe(Value="1")})
    assert member.update("still", {"A": member.probe(Value="1"), "B": member.probe()}) == "UPDATE_COMPLETE"
    assert member.said("still") == [("Create", "A", None), ("Create", "B", None)]


def test_answer_resolves(member: Account) -> None:
    """Ref is the physical id; attributes are strings or lists, and lists can be split and selected from."""
    outputs: dict[str, Any] = {
        "Ref": {"Ref": "A"},
        "Number": {"Fn::GetAtt": ["A", "Number"]},
        "Second": {"Fn::Select": [1, {"Fn::Split": [",", {"Fn::GetAtt": ["A", "List"]}]}]},
        "Item": {"Fn::Select": [1, {"Fn::GetAtt": ["A", "Items"]}]},
    }
    member.create("answer", {"A": member.probe()}, outputs=outputs)
    assert member.outputs("answer") == {"Ref": "probe-A", "Number": "7", "Second": "b", "Item": "y"}


def test_built_function_answers_with_what_was_built(member: Account) -> None:
    """The function sees its layer and the SDK, not this project's source or the emulator."""
    outputs = {name: {"Fn::GetAtt": ["A", name]} for name in ("Source", "Invoked", "Account")}
    member.create("built", {"A": member.probe()}, outputs=outputs)
    assert member.outputs("built") == {
        "Source": "None",
        "Invoked": member.twin.service_token,
        "Account": "111111111111",
    }


def test_independent_resources_run_at_once(member: Account) -> None:
    """Three resources that do not refer to each other take as long as one; so do their Deletes."""
    began = time.monotonic()
    names = ("A", "B", "C")
    assert member.create("wide", {name: member.probe("sleep:1.5") for name in names}) == "CREATE_COMPLETE"
    assert member.delete("wide") == "DELETE_COMPLETE"
    assert time.monotonic() - began < 6
    order = member.said("wide")
    assert {kind for kind, _, _ in order[:3]} == {"Create"} and {kind for kind, _, _ in order[3:]} == {"Delete"}


def test_dependencies_are_made_first_and_deleted_last(member: Account) -> None:
    """What is referred to is created before, and deleted after."""
    second = member.probe(Value={"Fn::GetAtt": ["Z", "List"]})
    third = member.probe(depends_on="B")
    member.create("ordered", {"A": third, "B": second, "Z": member.probe()})
    member.delete("ordered")
    names = [name for _, name, _ in member.said("ordered")]
    assert names == ["Z", "B", "A", "A", "B", "Z"]


def test_two_requests_of_a_resource_are_never_in_one_second(member: Account) -> None:
    """X-Amz-Date has a resolution of a second and tells a resource's requests apart."""
    member.create("seconds", {"A": member.probe(Value="1")})
    member.update("seconds", {"A": member.probe(Value="2")})
    member.delete("seconds")
    seconds = [datetime.fromisoformat(record["at"]).replace(microsecond=0) for record in member.records("seconds")]
    assert len(set(seconds)) == 3


def test_retained_resource_gets_no_delete(member: Account) -> None:
    """DeletionPolicy Retain sends nothing."""
    member.create("retained", {"A": member.probe(policy="Retain"), "B": member.probe()})
    assert member.delete("retained") == "DELETE_COMPLETE"
    assert ("Delete", "A", "probe-A") not in member.said("retained")
    assert ("Delete", "B", "probe-B") in member.said("retained")


@pytest.mark.parametrize("timeout", ["0", "3601", "soon"])
def test_service_timeout_is_within_an_hour(member: Account, timeout: str) -> None:
    """ServiceTimeout is a number of seconds from 1 to 3600, or the function is not asked."""
    name = f"timeout-{timeout}"
    assert member.create(name, {"A": member.probe(ServiceTimeout=timeout)}) == "ROLLBACK_COMPLETE"
    assert "ServiceTimeout" in member.reason(name, "A", "CREATE_FAILED")
    assert member.requests(name) == []


def test_service_token_cannot_be_changed(member: Account) -> None:
    """An update that names another function fails, and asks neither."""
    member.create("token", {"A": member.probe()})
    changed = member.probe()
    changed["Properties"]["ServiceToken"] = member.twin.outputs["FunctionArn"]
    assert member.update("token", {"A": changed}) == "UPDATE_ROLLBACK_COMPLETE"
    assert member.reason("token", "A", "UPDATE_FAILED") == "Modifying service token is not allowed."
    assert len(member.requests("token")) == 1


def test_stack_id_is_a_genuine_one(member: Account) -> None:
    """A StackId is the ARN that DescribeStacks gives."""
    member.create("ids", {"A": member.probe()})
    [event] = member.requests("ids")
    assert event["StackId"] == member.describe("ids")["StackId"]
    assert re.fullmatch(r"arn:aws:cloudformation:eu-central-1:222222222222:stack/ids/[0-9a-f-]{36}", event["StackId"])


def test_change_set(member: Account) -> None:
    """A stack made and changed by change sets, as `aws cloudformation deploy` does it, sends the same requests."""
    for kind, value in (("CREATE", "1"), ("UPDATE", "2")):
        template = json.dumps({"Resources": {"A": member.probe(Value=value)}})
        named = {"StackName": "changes", "ChangeSetName": f"change-{value}"}
        member.cloudformation.create_change_set(**named, ChangeSetType=kind, TemplateBody=template)
        member.cloudformation.execute_change_set(**named)
        assert member.rest("changes") == f"{kind}_COMPLETE"
    assert member.said("changes") == [("Create", "A", None), ("Update", "A", "probe-A")]


def test_loop_in_a_template(member: Account) -> None:
    """AWS::LanguageExtensions' Fn::ForEach makes as many resources, which are asked for at once."""
    loop = {"Fn::ForEach::Blocks": ["Name", ["One", "Two", "Three"], {"Block${Name}": member.probe(Value="${Name}")}]}
    template = json.dumps({"Transform": "AWS::LanguageExtensions", "Resources": loop})
    named = {"StackName": "loop", "TemplateBody": template, "Capabilities": ["CAPABILITY_AUTO_EXPAND"]}
    member.cloudformation.create_stack(**named)
    assert member.rest("loop") == "CREATE_COMPLETE"
    assert {name for _, name, _ in member.said("loop")} == {"BlockOne", "BlockTwo", "BlockThree"}


def test_conditions_can_split_and_substitute(member: Account) -> None:
    """A condition may compare a part of a string."""
    part = {"Fn::Select": [1, {"Fn::Split": [",", {"Fn::Sub": "${Accounts},,"}]}]}
    template = {
        "Parameters": {"Accounts": {"Type": "String", "Default": "1,2"}},
        "Conditions": {"Second": {"Fn::Equals": [part, "2"]}, "Empty": {"Fn::Equals": [part, ""]}},
        "Resources": {"A": {**member.probe(), "Condition": "Second"}, "B": {**member.probe(), "Condition": "Empty"}},
    }
    member.cloudformation.create_stack(StackName="parts", TemplateBody=json.dumps(template))
    assert member.rest("parts") == "CREATE_COMPLETE"
    assert member.said("parts") == [("Create", "A", None)]


def test_conditions_know_the_account_and_the_region(member: Account) -> None:
    """A condition may ask where the stack is."""
    here = {"Fn::Equals": [{"Ref": "AWS::AccountId"}, member.id]}
    there = {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]}
    template = {
        "Conditions": {"Here": here, "There": there},
        "Resources": {"A": {**member.probe(), "Condition": "Here"}, "B": {**member.probe(), "Condition": "There"}},
    }
    member.cloudformation.create_stack(StackName="where", TemplateBody=json.dumps(template))
    assert member.rest("where") == "CREATE_COMPLETE"
    assert member.said("where") == [("Create", "A", None)]
