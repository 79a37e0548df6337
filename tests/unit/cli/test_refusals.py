from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from ipam.domain.errors import (
    BlueprintError,
    ContendedError,
    NameTakenError,
    ServiceUnavailableError,
    StoreUnavailableError,
)
from ipam.entrypoints.cli import context
from ipam.entrypoints.cli.refusals import refusal
from ipam.services.pools import NewPool
from tests.builders import REGION

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

DENIED = ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": "not authorized to perform: dynamodb:Query"}}, "Query"
)


def test_a_refusal_is_one_line_with_the_next_step(ipam: Keyboard, vpcs: Pool) -> None:
    """What was asked, why not, and the command that helps; exit code 1, and nothing on standard output."""
    del vpcs
    assert ipam.refused("pool", "show", "[red]nix") == (
        'refused: There is no pool "[red]nix". `ipam pool list` lists them.'
    )
    assert "no pool" in ipam.refused("history", "nix")
    assert "`ipam scope list`" in ipam.refused("pool", "create", "more", "--scope", "nix")
    assert "`ipam find 10.0.0.0/8`" in ipam.refused("cidr", "provision", "corporate", "10.0.0.0/8", "--token", "new")
    assert "`ipam cidr list corporate`" in ipam.refused("cidr", "provision", "vpcs", "11.0.0.0/16")
    assert "is taken" in ipam.refused("scope", "create", "private")
    assert "canonical" in ipam.refused("cidr", "provision", "vpcs", "10.0.0.1/16")


def test_a_cooling_block_is_refused_with_its_end(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What cools cannot be provisioned; the refusal says until when, and speaks of no template."""
    desk.pool(NewPool("below", vpcs.scope_id, source_pool_id=vpcs.pool_id, locale=REGION))
    gone = desk.allocate(desk.request(length=24, pool=vpcs)).grant
    desk.release("Net", gone.allocation_id)
    told = ipam.refused("cidr", "provision", "below", "10.0.0.0/24")
    assert "is cooling until 2027-01-15 08:02:00 UTC. Try again then" in told


def test_wrong_use_is_told_apart(ipam: Keyboard) -> None:
    """An unknown command, option or scope is exit code 2."""
    assert "No such command" in ipam.misused("scopes")
    assert "table" in ipam.misused("pool", "list", "--output", "xml")


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, ipam: Keyboard) -> None:
    """Without the table's name nothing is tried; the secret's name is needed for keys only."""
    monkeypatch.undo()
    for name in ("IPAM_TABLE_NAME", "IPAM_MASTER_KEY_SECRET", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delitem(os.environ, name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert "set IPAM_TABLE_NAME in" in ipam.refused("pool", "list")
    assert "set IPAM_MASTER_KEY_SECRET in" in ipam.refused("tenant", "rotate", "111122223333")


@pytest.mark.parametrize("error", [DENIED, NoCredentialsError()])
def test_what_aws_refuses_is_a_refusal(ipam: Keyboard, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Not allowed, or not logged in: a line with AWS's own words and what to check, and no traceback."""

    def fail() -> Any:
        raise error

    monkeypatch.setattr(context, "ports", fail)
    told = ipam.refused("pool", "list")
    assert str(error) in told and "AWS_PROFILE" in told


def nothing_there(operation: str) -> ClientError:
    """What AWS answers of a table, or of a secret, that there is not."""
    return ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "not found"}}, operation)


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ("Query", 'There is no table "addresses" in eu-central-1. Check IPAM_TABLE_NAME, AWS_REGION and AWS_PROFILE.'),
        ("GetSecretValue", 'There is no secret "key" in eu-central-1. Check IPAM_MASTER_KEY_SECRET, AWS_REGION and'),
        ("GetFunction", "not found. Check credentials, AWS_PROFILE"),
    ],
)
def test_what_is_not_there_is_named_with_its_setting(
    ipam: Keyboard, monkeypatch: pytest.MonkeyPatch, operation: str, told: str
) -> None:
    """The table, or the secret, its Region, and the variable that says which it is."""
    monkeypatch.setenv("IPAM_TABLE_NAME", "addresses")
    monkeypatch.setenv("IPAM_MASTER_KEY_SECRET", "key")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")

    def fail() -> Any:
        raise nothing_there(operation)

    monkeypatch.setattr(context, "ports", fail)
    assert told in ipam.refused("pool", "list")


def test_where_nobody_answers_is_named(ipam: Keyboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is down, such as that of a local twin, stands in the refusal."""
    unreached = EndpointConnectionError(endpoint_url="http://127.0.0.1:9/")

    for kind in (StoreUnavailableError("EndpointConnectionError"), ServiceUnavailableError("AWS Lambda", "x")):

        def fail(error: Exception = kind) -> Any:
            raise error from unreached

        monkeypatch.setattr(context, "ports", fail)
        assert " did not answer at http://127.0.0.1:9/ (" in ipam.refused("pool", "list")


def test_a_question_ends_a_refusal() -> None:
    """Nothing stands behind its mark."""
    assert refusal(BlueprintError("line 1", "'a'", "no such key; is it 'b'?")).endswith("is it 'b'?")
    assert refusal(BlueprintError("line 1", "'a'", "no such key")).endswith("no such key.")


def test_a_fault_of_ours_is_not_disguised(ipam: Keyboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is neither ours to refuse nor AWS's passes, with its traceback."""

    def fail() -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(context, "ports", fail)
    assert isinstance(ipam.run("pool", "list").exception, ZeroDivisionError)


def test_nobody_at_a_keyboard_is_told_to_deploy() -> None:
    """Where the next step of a stack is no step here, another one is told; else the words are the same."""
    assert "Run the command again" in refusal(ContendedError("vpcs", 3))
    assert "again in a minute" in refusal(StoreUnavailableError("ThrottlingException"))
    assert refusal(NameTakenError("x")) == 'The name "x" is taken. Choose another one.'
