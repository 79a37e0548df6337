from __future__ import annotations

import logging
from typing import Any

import pytest

from ipam.domain.authorization import derive
from ipam.entrypoints.errors import UnansweredError, UndeliveredError
from ipam.entrypoints.logs import QUIET, trace
from tests.faults import Around
from tests.unit.entrypoints.stage import ACCOUNT, MASTER, NAMES, Stage, allocation_id, event, with_properties

KEY = derive(MASTER, ACCOUNT)
SIGNATURE = "5ec2e7" * 10


def signed(name: str) -> dict[str, Any]:
    """Load an event whose signature can be told from everything else."""
    loaded = event(name)
    return loaded | {"ResponseURL": loaded["ResponseURL"].replace("0" * 64, SIGNATURE)}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "create_over_sns"])
def test_an_event_is_one_line_without_a_secret(
    stage: Stage, name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """At every level and on every stream, neither the URL nor its signature nor a key appears, and no second line."""
    with caplog.at_level(logging.DEBUG):
        stage.send(signed(name))
    out, err = capfd.readouterr()
    everything = stage.text() + caplog.text + out + err
    for secret in (SIGNATURE, "X-Amz", "https://cloudformation", KEY):
        assert secret not in everything
    assert len(stage.text().splitlines()) == 1
    assert out + err == ""


def test_the_line_says_what_became_of_the_event(stage: Stage) -> None:
    """Alarms read the outcome, people the rest."""
    stage.send("create")
    (line,) = stage.lines()
    sent = event("create")
    assert {
        "outcome": "allocated",
        "answer": "allocated",
        "request_type": "Create",
        "resource_type": "Custom::GetCnCIDR",
        "stack_id": sent["StackId"],
        "logical_resource_id": "GetCnCIDR",
        "request_id": sent["RequestId"],
        "physical_resource_id": allocation_id(1),
        "account": ACCOUNT,
        "allocation_id": allocation_id(1),
        "cidr": "10.0.0.0/24",
        "ipam_pool_id": stage.vpcs.pool_id,
        "duration_ms": 0,
        "cold_start": True,
        "aws_request_id": stage.context.aws_request_id,
        "level": "INFO",
        "message": "allocated",
    }.items() <= line.items()
    assert "reason" not in line
    stage.send("bad_mask")
    assert (stage.lines()[1]["cold_start"], stage.lines()[1]["reason"][:10]) == (False, "CnCidrMask")


@pytest.mark.parametrize(
    ("name", "level"),
    [("create", "INFO"), ("bad_mask", "INFO"), ("delete_foreign_id", "WARNING"), ("forged_url", "WARNING")],
)
def test_the_level_says_who_has_to_look(stage: Stage, name: str, level: str) -> None:
    """What the requester can mend is information; what somebody has to look at is a warning."""
    stage.send(name)
    assert stage.lines()[-1]["level"] == level


@pytest.mark.parametrize("text", ["a\nb", '"}\n{"outcome":"forged"}', "\u2028\u2029\x85", "\r\n"])
def test_a_property_cannot_end_the_line(stage: Stage, text: str) -> None:
    """Newlines of every script stay inside their field, wherever the log shows a property."""
    stage.send(with_properties("create", CnCidrMask=text))
    stage.send(with_properties("create", Description=text))
    forged = event("create", LogicalResourceId=text)
    stage.provider.handle(forged, stage.context)
    assert len(stage.text().splitlines()) == 3
    assert stage.outcome == "forged"
    assert stage.lines()[-1]["logical_resource_id"] == text


def test_half_a_surrogate_pair_does_not_lose_the_line(stage: Stage) -> None:
    """A character that no encoding can write is escaped; the line is written all the same."""
    stage.provider.handle(event("create", LogicalResourceId="\ud800"), stage.context)
    stage.send(with_properties("create", Description="\ud800"))
    assert [line["outcome"] for line in stage.lines()] == ["forged", "refused"]
    assert stage.text().isascii()


class Indiscreet(Around):
    """A store whose failure quotes all it can get hold of."""

    secrets = ""

    def call(self, name: str, do: Any, args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name in {"owners", "owner"}:
            raise RuntimeError(f"then {self.secrets}") from ValueError(f"first {self.secrets}")
        return super().call(name, do, args)


def test_a_fault_that_quotes_the_event_is_masked(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is kept, with its cause, and every secret in it is not; neither does the exception carry one."""
    sent = signed("delete_cn_cidr_create")
    store = Indiscreet(stage.desk.store)
    store.secrets = f"{sent['ResponseURL']} {SIGNATURE} {KEY}"
    stage.restart(store)
    with caplog.at_level(logging.DEBUG), pytest.raises(UnansweredError) as raised:
        stage.send(sent)
    (line,) = stage.lines()
    assert "RuntimeError: then" in line["exception"]
    assert "ValueError: first" in line["exception"]
    for text in (stage.text(), caplog.text, str(raised.value), repr(raised.value)):
        assert SIGNATURE not in text
        assert KEY not in text
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_an_undelivered_answer_is_one_line_too(stage: Stage) -> None:
    """It says what had been answered, where it should have gone, and how long it took."""
    stage.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        stage.send("create")
    (line,) = stage.lines()
    assert (line["outcome"], line["answer"], line["level"]) == ("undelivered", "allocated", "ERROR")
    assert "status 503" in line["cause"]


def test_libraries_are_quiet() -> None:
    """The libraries that log requests say nothing below a warning."""
    assert {logging.getLogger(name).level for name in QUIET} == {logging.WARNING}
    assert logging.getLogger("crhelper").level >= logging.WARNING


def test_a_long_traceback_keeps_its_end() -> None:
    """The line stays within what a log takes, and shows where the fault was raised."""
    text = trace(RuntimeError("x" * 20_000 + "the end"), [])
    assert len(text) <= 6_000
    assert text.rstrip().endswith("the end")
