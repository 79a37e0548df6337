"""How an event reaches the function: asynchronously, again when it fails, and more than once if told so."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from local import twin as local_twin
from tests.e2e.twin.account import PROBE, Account, until

if TYPE_CHECKING:
    from pathlib import Path


def test_failing_function_is_tried_again(member: Account, tmp_path: Path) -> None:
    """A function that raises once gets the same payload again, and the stack never notices."""
    assert member.create("again", {"A": member.probe(f"once:{tmp_path / 'seen'}")}) == "CREATE_COMPLETE"
    first, second = member.records("again")
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["event"] == second["event"]


def test_function_that_always_fails_is_given_up(member: Account) -> None:
    """After three attempts the event is on the on-failure queue; the stack waits for its ServiceTimeout."""
    began = time.monotonic()
    resources = {"A": member.probe({"Create": "raise"}, ServiceTimeout=2)}
    assert member.create("given-up", resources) == "ROLLBACK_COMPLETE"
    assert time.monotonic() - began > 2
    create = [r for r in member.records("given-up") if r["event"]["RequestType"] == "Create"]
    assert [record["attempt"] for record in create] == [1, 2, 3]
    assert len({json.dumps(record["event"]) for record in create}) == 1
    sqs = member.twin.session("111111111111").client("sqs")

    def payloads() -> list[Any]:
        got = sqs.receive_message(QueueUrl=member.twin.outputs["QueueUrl"], MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [json.loads(message["Body"])["requestPayload"] for message in got.get("Messages", [])]

    assert until(payloads)[0]["RequestId"] == create[0]["event"]["RequestId"]


def test_function_that_runs_out_of_time_is_tried_again(member: Account) -> None:
    """A timeout of the function is a failure like another."""
    resources = {"A": member.probe({"Create": "sleep:9"}, ServiceTimeout=5)}
    assert member.create("slow", resources) == "ROLLBACK_COMPLETE"
    create = [r["attempt"] for r in member.records("slow") if r["event"]["RequestType"] == "Create"]
    assert create[:2] == [1, 2]


def test_duplicates(tmp_path: Path) -> None:
    """With IPAM_LOCAL_DUPLICATES each event is delivered twice, with one request id, and the first answer counts."""
    with local_twin.start(template=PROBE, directory=tmp_path, record=True, duplicates=True) as twin:
        account = Account(twin)
        assert account.create("twice", {"A": account.probe()}) == "CREATE_COMPLETE"
        assert until(lambda: len(account.records("twice", "answer")) == 2)
        first, second = account.records("twice")
        assert {first["copy"], second["copy"]} == {0, 1}
        assert first["event"] == second["event"]


def test_stack_waits_for_the_answer_and_not_for_the_function(member: Account) -> None:
    """The function is invoked asynchronously: a stack is complete while its function still runs."""
    began = time.monotonic()
    assert member.create("async", {"A": member.probe({"Create": "linger:2.5"})}) == "CREATE_COMPLETE"
    assert time.monotonic() - began < 2


def test_response_url_is_a_presigned_put(member: Account) -> None:
    """The URL takes a PUT without a content type and with its own signature only, and as often as it is used."""
    outputs = {name: {"Fn::GetAtt": ["A", name]} for name in ("Codes", "Query", "Value")}
    assert member.create("url", {"A": member.probe({"Create": "inspect"}, Value="first")}, outputs=outputs) == (
        "CREATE_COMPLETE"
    )
    seen = member.outputs("url")
    # With a content type, with another signature, with another date, read, for another request; then as it should be.
    assert seen["Codes"] == "403 403 403 403 403"
    assert seen["Value"] == "first"
    query = dict(parse_qsl(seen["Query"]))
    assert query.keys() == {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"}
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]) == (
        "AWS4-HMAC-SHA256",
        "7199",
        "host",
    )
    date = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - date).total_seconds()) < 30


def test_later_answer_changes_nothing(member: Account) -> None:
    """The first answer to a request counts; S3 takes the second one all the same."""
    outputs = {"Value": {"Fn::GetAtt": ["A", "Value"]}}
    assert member.create("later", {"A": member.probe({"Create": "twice"}, Value="first")}, outputs=outputs) == (
        "CREATE_COMPLETE"
    )
    assert until(lambda: len(member.records("later", "answer")) == 2)
    assert member.outputs("later") == {"Value": "first"}


def test_records_give_nobody_the_right_to_answer(member: Account) -> None:
    """A record's URL has no query."""
    member.create("safe", {"A": member.probe()})
    assert "X-Amz" not in json.dumps(member.records("safe"))


def test_burst_waits_in_the_queue(member: Account) -> None:
    """More events than the function has reserved concurrency for are throttled, tried again, and all answered."""
    names = [f"A{number}" for number in range(6)]
    lambdas = member.twin.session("111111111111").client("lambda")
    name = member.twin.outputs["FunctionArn"]
    assert lambdas.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 12
    lambdas.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    try:
        began = time.monotonic()
        resources = {name: member.probe({"Create": "sleep:0.5"}) for name in names}
        assert member.create("burst", resources) == "CREATE_COMPLETE"
        assert time.monotonic() - began > 1.5
    finally:
        lambdas.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=12)
    assert [record["attempt"] for record in member.records("burst")] == [1] * 6
