"""What CloudFormation makes of a custom resource that fails, and what it sends afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.twin.account import Account


def test_failed_create_is_deleted(member: Account) -> None:
    """After a FAILED Create comes a Delete with the id of that answer; the Reason is in the stack's events."""
    assert member.create("refused", {"A": member.probe({"Create": "id:made-it fail:no-room"})}) == "ROLLBACK_COMPLETE"
    assert member.said("refused") == [("Create", "A", None), ("Delete", "A", "made-it")]
    reason = member.reason("refused", "A", "CREATE_FAILED")
    assert reason.startswith("Received response status [FAILED] from custom resource. Message returned: no-room")
    assert ("A", "DELETE_COMPLETE") in member.events("refused")


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("long", "Response object is too long."),
        ("empty-id", "Invalid PhysicalResourceId"),
        ("empty-id fail:why", "Invalid PhysicalResourceId"),
        ("id:" + "x" * 1025, "Invalid PhysicalResourceId"),
        ("strange-request", "Invalid RequestId"),
    ],
    ids=["too-long", "no-id", "failed-no-id", "long-id", "other-request"],
)
def test_answer_that_is_none(member: Account, do: str, reason: str, request: pytest.FixtureRequest) -> None:
    """An answer that breaks the protocol fails the resource, which is then deleted under an invented id."""
    name = "none-" + request.node.callspec.id
    assert member.create(name, {"A": member.probe({"Create": do})}) == "ROLLBACK_COMPLETE"
    assert member.reason(name, "A", "CREATE_FAILED") == reason
    [_, (kind, _, physical_id)] = member.said(name)
    assert kind == "Delete"
    assert physical_id is not None and physical_id.startswith(f"{name}-A-") and len(physical_id) == len(name) + 16


def test_longest_physical_id_is_taken(member: Account) -> None:
    """1024 bytes are not too many."""
    assert member.create("longest", {"A": member.probe({"Create": "id:" + "x" * 1024})}) == "CREATE_COMPLETE"


def test_no_answer_in_time(member: Account) -> None:
    """A resource without an answer fails after its ServiceTimeout, and is deleted under an invented id."""
    assert member.create("silent", {"A": member.probe({"Create": "silent"}, ServiceTimeout=1)}) == "ROLLBACK_COMPLETE"
    assert member.reason("silent", "A", "CREATE_FAILED").startswith("CloudFormation did not receive a response")
    [_, (_, _, physical_id)] = member.said("silent")
    assert physical_id is not None and physical_id.startswith("silent-A-")


def test_failing_sibling_cancels(member: Account) -> None:
    """A failure cancels what is under way beside it, which is deleted under an id that nobody has answered."""
    # Long enough that the slow one is under way when the other fails, and still is when its Delete comes.
    slow, failing = member.probe({"Create": "sleep:2.5"}), member.probe({"Create": "sleep:1 fail:sorry"})
    assert member.create("siblings", {"Slow": slow, "Failing": failing}) == "ROLLBACK_COMPLETE"
    assert member.reason("siblings", "Slow", "CREATE_FAILED") == "Resource creation cancelled"
    deletes = {name: physical_id for kind, name, physical_id in member.said("siblings") if kind == "Delete"}
    assert deletes["Failing"] == "probe-Failing"
    assert (deletes["Slow"] or "").startswith("siblings-Slow-")


def test_nothing_new_is_begun_after_a_failure(member: Account) -> None:
    """What would have come after the failed resource is never asked for."""
    resources = {"A": member.probe({"Create": "fail"}), "B": member.probe(depends_on="A")}
    assert member.create("stops", resources) == "ROLLBACK_COMPLETE"
    assert {name for _, name, _ in member.said("stops")} == {"A"}


def test_rollback_of_a_create_deletes_what_was_made(member: Account) -> None:
    """A resource that succeeded before the failure gets a Delete, after those that depend on it."""
    resources = {"A": member.probe(), "B": member.probe({"Create": "fail"}, depends_on="A")}
    assert member.create("undone", resources) == "ROLLBACK_COMPLETE"
    assert member.said("undone")[2:] == [("Delete", "B", "probe-B"), ("Delete", "A", "probe-A")]


def test_without_rollback_the_delete_comes_with_the_stack(member: Account) -> None:
    """A stack that may not roll back keeps the failed resource, and its deletion deletes that too."""
    resources = {"A": member.probe({"Create": "fail"})}
    assert member.create("kept", resources, DisableRollback=True) == "CREATE_FAILED"
    assert member.said("kept") == [("Create", "A", None)]
    assert member.delete("kept") == "DELETE_COMPLETE"
    assert member.said("kept")[1:] == [("Delete", "A", "probe-A")]


def test_replacement(member: Account) -> None:
    """A new id from an Update replaces: the old one is deleted with the old properties, once the update is complete."""
    member.create("moved", {"A": member.probe(Value="1")})
    changed = member.probe({"Update": "id:second"}, Value="2")
    assert member.update("moved", {"A": changed}, outputs={"Ref": {"Ref": "A"}}) == "UPDATE_COMPLETE"
    assert member.said("moved")[1:] == [("Update", "A", "probe-A"), ("Delete", "A", "probe-A")]
    assert member.requests("moved")[2]["ResourceProperties"]["Value"] == "1"
    assert member.outputs("moved") == {"Ref": "second"}
    states = member.events("moved")
    assert states.index(("moved", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")) < states.index(("A", "DELETE_COMPLETE"))
    assert member.delete("moved") == "DELETE_COMPLETE"
    assert member.said("moved")[3:] == [("Delete", "A", "second")]


def test_failed_cleanup_does_not_fail_the_update(member: Account) -> None:
    """A replaced resource that cannot be deleted is left behind."""
    member.create("litter", {"A": member.probe({"Delete": "fail"}, Value="1")})
    assert member.update("litter", {"A": member.probe({"Update": "id:second"}, Value="2")}) == "UPDATE_COMPLETE"
    assert ("A", "DELETE_FAILED") in member.events("litter")


def test_rollback_of_an_update_is_an_update_back(member: Account) -> None:
    """What was updated gets an Update with the properties swapped and the id that it has now."""
    failing = {"Update": "fail-if:2"}
    member.create("back", {"A": member.probe(Value="1"), "B": member.probe(failing, Value="1", depends_on="A")})
    changed = {"A": member.probe(Value="2"), "B": member.probe(failing, Value="2", depends_on="A")}
    assert member.update("back", changed) == "UPDATE_ROLLBACK_COMPLETE"
    updates = [r for r in member.requests("back") if r["RequestType"] == "Update"]
    assert [(u["LogicalResourceId"], u["ResourceProperties"]["Value"]) for u in updates] == [
        ("A", "2"),
        ("B", "2"),
        ("A", "1"),
        ("B", "1"),
    ]
    assert updates[2]["OldResourceProperties"]["Value"] == "2"
    assert not [r for r in member.requests("back") if r["RequestType"] == "Delete"]


def test_rollback_of_a_replacement(member: Account) -> None:
    """The Update back names the new id; when the answer is the old one, the new one is deleted in the clean-up."""
    failing = {"Update": "fail-if:2"}
    first = {"A": member.probe({"Update": "id:old"}, Value="1"), "B": member.probe(failing, Value="1", depends_on="A")}
    member.create("return", {**first, "A": member.probe({"Create": "id:old", "Update": "id:old"}, Value="1")})
    changed = {
        "A": member.probe({"Update": "id:new"}, Value="2"),
        "B": member.probe(failing, Value="2", depends_on="A"),
    }
    assert member.update("return", changed, outputs=None) == "UPDATE_ROLLBACK_COMPLETE"
    said = [entry for entry in member.said("return") if entry[1] == "A"]
    assert said == [("Create", "A", None), ("Update", "A", "old"), ("Update", "A", "new"), ("Delete", "A", "new")]
    assert member.requests("return")[-1]["ResourceProperties"]["Value"] == "2"
    assert member.delete("return") == "DELETE_COMPLETE"
    assert ("Delete", "A", "old") in member.said("return")


def test_resource_added_by_a_failed_update_is_deleted(member: Account) -> None:
    """The rollback of an update deletes what the update had made."""
    member.create("added", {"A": member.probe()})
    resources = {"A": member.probe(), "B": member.probe(), "C": member.probe({"Create": "fail"}, depends_on="B")}
    assert member.update("added", resources) == "UPDATE_ROLLBACK_COMPLETE"
    assert {entry for entry in member.said("added") if entry[0] == "Delete"} == {
        ("Delete", "B", "probe-B"),
        ("Delete", "C", "probe-C"),
    }


def test_resource_left_out_is_deleted_in_the_cleanup(member: Account) -> None:
    """A resource that the new template does not have is deleted once the update is complete."""
    member.create("left-out", {"A": member.probe(), "B": member.probe()})
    assert member.update("left-out", {"A": member.probe(Value="2")}) == "UPDATE_COMPLETE"
    assert member.said("left-out")[-1] == ("Delete", "B", "probe-B")


def test_failed_delete_keeps_the_stack(member: Account) -> None:
    """A Delete that fails leaves DELETE_FAILED, but nothing that the resource depends on; the next tries again."""
    member.create("stuck", {"A": member.probe(), "B": member.probe({"Delete": "fail:busy"}, depends_on="A")})
    assert member.delete("stuck") == "DELETE_FAILED"
    assert "busy" in member.reason("stuck", "B", "DELETE_FAILED")
    assert member.said("stuck")[-2:] == [("Delete", "B", "probe-B"), ("Delete", "A", "probe-A")]
    assert ("A", "DELETE_COMPLETE") in member.events("stuck")
    assert member.delete("stuck") == "DELETE_FAILED"
    assert member.said("stuck")[-1] == ("Delete", "B", "probe-B")


def test_a_clean_up_that_fails_is_given_up(member: Account) -> None:
    """What an update leaves out is tried three times, and what that depends on is deleted all the same."""
    member.create("cleaned", {"A": member.probe(), "B": member.probe({"Delete": "fail"}, depends_on="A")})
    assert member.update("cleaned", {"C": member.probe()}) == "UPDATE_COMPLETE"
    deletes = [said for said in member.said("cleaned") if said[0] == "Delete"]
    assert deletes == [("Delete", "B", "probe-B")] * 3 + [("Delete", "A", "probe-A")]


def test_unknown_attribute_fails_the_stack(member: Account) -> None:
    """An attribute that the answer does not have cannot be resolved."""
    outputs = {"Out": {"Fn::GetAtt": ["A", "Nothing"]}}
    assert member.create("unknown", {"A": member.probe()}, outputs=outputs) == "ROLLBACK_COMPLETE"
    assert member.said("unknown")[-1] == ("Delete", "A", "probe-A")


def test_rollback_that_fails_can_be_continued(member: Account) -> None:
    """An Update back that fails leaves UPDATE_ROLLBACK_FAILED; ContinueUpdateRollback sends it again, or skips it."""
    first = {"A": member.probe({"Update": "fail-if:1"}, Value="1"), "B": member.probe(depends_on="A")}
    member.create("continued", first)
    changed = {
        "A": member.probe({"Update": "fail-if:1"}, Value="2"),
        "B": member.probe({"Update": "fail"}, Value="2", depends_on="A"),
    }
    assert member.update("continued", changed) == "UPDATE_ROLLBACK_FAILED"
    member.cloudformation.continue_update_rollback(StackName="continued")
    assert member.rest("continued") == "UPDATE_ROLLBACK_FAILED"
    back = [r for r in member.requests("continued") if r["ResourceProperties"].get("Value") == "1"]
    assert [r["RequestType"] for r in back] == ["Create", "Update", "Update"]
    member.cloudformation.continue_update_rollback(StackName="continued", ResourcesToSkip=["A"])
    assert member.rest("continued") == "UPDATE_ROLLBACK_COMPLETE"


def test_rollback_asked_for(member: Account) -> None:
    """RollbackStack undoes a failed create that was left as it was."""
    resources = {"A": member.probe(), "B": member.probe({"Create": "fail"}, depends_on="A")}
    assert member.create("asked", resources, DisableRollback=True) == "CREATE_FAILED"
    member.cloudformation.rollback_stack(StackName="asked")
    assert member.rest("asked") == "ROLLBACK_COMPLETE"
    assert member.said("asked")[2:] == [("Delete", "B", "probe-B"), ("Delete", "A", "probe-A")]
