"""Everything that CloudFormation sends is delivered twice: nothing is allocated twice, nothing leaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ipam.domain.cidr import Cidr, spans
from local import twin as twins
from local.settings import MEMBER_ACCOUNT
from local.stacks import Stack
from tests import invariants
from tests.e2e.system.conftest import CommandLine, allocated, ports_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.twin import Twin

STACKS = Path("local/stacks")


@pytest.fixture(scope="module")
def doubling() -> Iterator[Twin]:
    with twins.start(record=True, duplicates=True) as started:
        yield started


def test_everything_twice(doubling: Twin) -> None:
    """Stacks live and die with every event delivered twice, and each resource has one allocation."""
    ports = ports_of(doubling)
    network = Stack(doubling, "network", MEMBER_ACCOUNT)
    key = CommandLine(doubling)("tenant", "key", MEMBER_ACCOUNT)
    token = {"IpamFunctionArn": doubling.service_token}
    many = Stack(doubling, "many", MEMBER_ACCOUNT)
    many.start_create(STACKS / "many-networks.yaml", token)
    network.create(STACKS / "corporate-network.yaml", token | {"CustomerAuthorizationKey": key})
    many.wait_created()
    held = allocated(ports, "vpc-eu-central-1")
    blocks = [Cidr.parse(text) for text in (*many.outputs["Cidrs"].split(","), network.outputs["Cidr"])]
    assert sorted(held.values()) == sorted(blocks)
    assert spans(blocks)
    network.update(STACKS / "corporate-network.yaml", token | {"CustomerAuthorizationKey": key, "CnCidrMask": "22"})
    assert len(allocated(ports, "vpc-eu-central-1")) == 6
    many.start_delete()
    network.delete()
    many.wait_deleted()
    assert not allocated(ports, "vpc-eu-central-1")
    invariants.check(ports.store)
