from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from ipam.domain.errors import ContendedError, NameTakenError, StoreUnavailableError
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
    assert "is cooling until 2027-01-15 08:02 UTC. Try again then" in told


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
