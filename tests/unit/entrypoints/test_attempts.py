"""Events that were attempts leave a record; that costs the others nothing, and no event its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ipam.domain.errors import StoreUnavailableError
from ipam.entrypoints.attempts import MAX_CLAIM, NOT_HELD
from ipam.entrypoints.errors import UnansweredError, UndeliveredError
from ipam.services.attempts import attempts
from tests.faults import Around, Recorder
from tests.unit.entrypoints.stage import FUNCTION_ARN, Stage, event

if TYPE_CHECKING:
    from ipam.domain.attempt import Attempt

WRITES = {"count_attempt", "keep_attempt"}


class Refusing(Around):
    """A store that does not take attempts."""

    def __init__(self, store: Any, error: Exception) -> None:
        super().__init__(store)
        self.error = error

    def call(self, name: str, do: Any, args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name in WRITES:
            raise self.error
        return super().call(name, do, args)


def noted(stage: Stage) -> list[Attempt]:
    """Read the attempts of the day."""
    (today,) = attempts(stage.desk.ports, 1, None)
    return today


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("create", "allocated"),
        ("bad_mask", "refused"),
        ("mask_outside_rules", "refused"),
        ("unknown_property", "refused"),
        ("delete_before_create", "nothing-to-release"),
        ("forged_url", "forged"),
        ("delete_cn_cidr_wrong_key", "denied"),
        ("delete_cn_cidr_wrong_date", "denied"),
        ("delete_foreign_id", "unverified-delete"),
    ],
)
def test_only_attempts_are_noted(stage: Stage, name: str, outcome: str) -> None:
    """What is served, and what is a mistake of the requester's, costs the store nothing more."""
    if outcome == "denied":
        stage.send("create")
    watched = Recorder(stage.desk.store)
    stage.restart(watched)
    stage.send(name)
    assert stage.outcome == outcome
    kinds = [record.kind for record in noted(stage)]
    assert kinds == ([outcome] if outcome in {"forged", "denied", "unverified-delete"} else [])
    assert WRITES & set(watched.calls) == (WRITES if kinds else set())


def test_a_record_says_what_was_claimed_and_why_it_came_to_nothing(stage: Stage) -> None:
    """As the log line does; a Delete that is answered with success has a reason all the same."""
    for name in ("delete_cn_cidr_wrong_key", "delete_foreign_id"):
        stage.send(name)
        stage.clock.advance(1)
    denied, unverified = noted(stage)
    sent = event("delete_cn_cidr_wrong_key")
    assert (denied.request_type, denied.resource_type) == ("Create", "Custom::DeleteCnCIDR")
    assert (denied.stack_id, denied.logical_resource_id) == (sent["StackId"], sent["LogicalResourceId"])
    assert (denied.request_id, denied.aws_request_id) == (sent["RequestId"], stage.context.aws_request_id)
    assert denied.reason == stage.mailbox.taken[0]["Reason"]
    assert sent["ResourceProperties"]["Authorizationkey"] not in repr(denied)
    assert unverified.reason == NOT_HELD["unverified-delete"]


@pytest.mark.parametrize("text", ["\ud800", "\x1b[2J", "a\nb", "\u202e", "é" * 1000, "x" * 1000])
def test_what_is_claimed_is_kept_short_and_plain(stage: Stage, text: str) -> None:
    """No text that somebody forges makes the record large, is not to be stored, or rules a terminal."""
    stage.provider.handle(event("create", LogicalResourceId=text), stage.context)
    (record,) = noted(stage)
    assert record.logical_resource_id.isascii() and record.logical_resource_id.isprintable()
    assert 0 < len(record.logical_resource_id) <= MAX_CLAIM


@pytest.mark.parametrize(
    ("alias", "account"),
    [
        ("tenant-222222222222", "222222222222"),
        ("live", ""),
        ("tenant-", ""),
        ("tenant-22222222222", ""),
        ("tenant-\N{FULLWIDTH DIGIT TWO}" * 12, ""),
        ("tenant-222222222222:x", ""),
        ("12", ""),
    ],
)
def test_the_account_is_the_one_that_the_alias_proves(stage: Stage, alias: str, account: str) -> None:
    """Only an alias that is for an account alone proves one."""
    stage.context.invoked_function_arn = FUNCTION_ARN.replace("live", alias)
    stage.send("create")
    assert [record.account for record in noted(stage)] == ([account] if alias.startswith("tenant") else [])
    stage.context.invoked_function_arn = FUNCTION_ARN.removesuffix(":live")
    stage.provider.handle({}, stage.context)
    assert "" in {record.account for record in noted(stage)}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreUnavailableError("ThrottlingException"), "ThrottlingException"),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "UpdateItem"), "ClientError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_attempt_that_cannot_be_noted_is_told_in_the_log(stage: Stage, error: Exception, told: str) -> None:
    """The outcome and the answer are what they were, and nothing is raised: Lambda has no reason to try again."""
    expected = stage.send("delete_cn_cidr_wrong_key")
    stage.restart(Refusing(stage.desk.store, error))
    assert stage.send("delete_cn_cidr_wrong_key") == expected
    stage.send("forged_url")
    for line, outcome in zip(stage.lines()[1:], ("denied", "forged"), strict=True):
        assert (line["outcome"], line["attempt_unrecorded"], line["level"]) == (outcome, told, "WARNING")


def test_it_is_noted_only_while_there_is_time(stage: Stage) -> None:
    """An invocation that is ended has no line in the log, and an alarm would miss it."""

    def slow(url: object, body: bytes, remaining: object) -> None:
        del url, body, remaining
        stage.context.remaining = 5_000

    stage.provider.deliver = slow
    stage.send("delete_cn_cidr_wrong_key")
    assert stage.lines()[-1]["attempt_unrecorded"] == "no time was left"
    assert noted(stage) == []


def test_an_attempt_whose_answer_was_not_taken_is_noted(stage: Stage) -> None:
    """It is raised as before; each try of Lambda's leaves its record."""
    stage.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        stage.send("delete_cn_cidr_wrong_key")
    assert (stage.outcome, stage.lines()[-1]["answer"]) == ("undelivered", "denied")
    stage.send("delete_cn_cidr_wrong_key")
    assert [record.kind for record in noted(stage)] == ["denied", "denied"]


def test_what_is_retried_is_no_attempt_yet(stage: Stage) -> None:
    """Only what is decided is one."""

    class Silent(Around):
        def call(self, name: str, do: Any, args: tuple[Any, ...]) -> Any:
            if name == "owners":
                raise StoreUnavailableError(name)
            return super().call(name, do, args)

    stage.restart(Silent(stage.desk.store))
    with pytest.raises(UnansweredError):
        stage.send("delete_cn_cidr_wrong_date")
    assert (stage.outcome, noted(stage)) == ("retried", [])
