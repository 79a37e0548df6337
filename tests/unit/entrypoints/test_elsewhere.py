"""Which Region a process speaks to, where it runs in another one than home."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ipam import bootstrap
from ipam.services.ports.outside import Happening
from ipam.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

HOME, ELSEWHERE = "eu-central-1", "us-east-1"
ENVIRONMENT = {
    "IPAM_TABLE_NAME": "table",
    "IPAM_MASTER_KEY_SECRET": "secret",
    "IPAM_CN_CIDR_FUNCTION": f"arn:aws:lambda:{HOME}:123456789012:function:cn-ipam-cn-cidr:live",
}
PARKED = json.dumps({"StackId": f"arn:aws:cloudformation:{ELSEWHERE}:222222222222:stack/net/5e0a1b2c"})


class NoAnswer(Exception):  # noqa: N818 - nothing is wrong: it is far enough to see who was asked
    """A client that is made is not used."""


@pytest.mark.parametrize(("runs", "home", "known"), [(ELSEWHERE, HOME, HOME), (HOME, "", HOME), (HOME, HOME, HOME)])
def test_what_is_remembered_is_asked_at_home(monkeypatch: pytest.MonkeyPatch, runs: str, home: str, known: str) -> None:
    """Table, secret, bus, and pools of Amazon's without a Region; what belongs to a Region is asked there."""
    asked: list[tuple[str, str]] = []

    def client(service: str, region: str, *_: Any, **__: Any) -> Any:
        asked.append((service, region))
        if service != "dynamodb":
            raise NoAnswer
        return object()

    monkeypatch.setattr(bootstrap, "client", client)
    settings = Settings.from_environment(ENVIRONMENT | {"AWS_REGION": runs, "IPAM_HOME_REGION": home})
    ports = bootstrap.ports(settings)
    assert asked == [("dynamodb", known)], "other clients are made when they are needed"
    deeds: dict[tuple[str, str], Callable[[], object]] = {
        ("secretsmanager", known): lambda: bootstrap.secrets(settings).master_keys(),
        ("events", known): lambda: ports.happenings.tell(Happening("Orphan Found", {})),
        ("ec2", known): lambda: ports.vpc_ipam.cidrs("", "ipam-pool-0"),
        ("ec2", "ap-south-1"): lambda: ports.vpc_ipam.cidrs("ap-south-1", "ipam-pool-0"),
        ("lambda", ELSEWHERE): lambda: ports.redelivery.redeliver(PARKED),
        ("lambda", HOME): ports.aliases.regions,
    }
    for wanted, do in deeds.items():
        asked.clear()
        with pytest.raises(NoAnswer):
            do()
        assert asked == [wanted]
