"""Where the command line finds the Region, and who it says is at the keyboard."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import boto3
import pytest

from ipam import bootstrap
from ipam.entrypoints.cli import context

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A shell with a profile and nothing else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_text("[profile network]\nregion = eu-west-3\naws_access_key_id = x\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "network")
    monkeypatch.setenv("IPAM_TABLE_NAME", "table")
    # boto3 keeps a session with what it read first.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return monkeypatch


def region() -> str:
    """Tell the Region that the table is looked for in."""
    store = context.ports().store
    return str(store._client.meta.region_name)  # type: ignore[attr-defined]


def test_a_profile_says_the_region(environment: pytest.MonkeyPatch) -> None:
    """Without AWS_REGION the profile's own is taken; with it, that."""
    assert region() == "eu-west-3"
    environment.setenv("AWS_REGION", "eu-central-1")
    assert region() == "eu-central-1"


def test_the_cause_names_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit records have the ARN that AWS knows the person by, not what the machine calls them."""
    monkeypatch.setattr(bootstrap, "caller", lambda _: "arn:aws:iam::111122223333:user/ana")
    assert context.cause() == "ipam command line, arn:aws:iam::111122223333:user/ana"
