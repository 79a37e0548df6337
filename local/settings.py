"""What the twin can be told: the only module of `local/` that reads the environment.

| Variable                  | Default              | Meaning |
|-|-|-|
| IPAM_LOCAL_PORT           | 4566                 | port on 127.0.0.1; 0 takes any free one |
| IPAM_LOCAL_DIR            | .local               | where `env` is written, and the log when a start fails |
| IPAM_LOCAL_STATE          | none                 | folder that keeps all state; without it state ends with the twin |
| IPAM_LOCAL_BUILD          | .aws-sam/build       | folder of the built template |
| IPAM_LOCAL_ACCOUNT        | 111111111111         | the network account, which the system is deployed in |
| IPAM_LOCAL_ORGANIZATION   | o-exampleorg1=111111111111,222222222222,333333333333 | organisation and its accounts |
| IPAM_LOCAL_RETRY_DELAYS   | 0.5,1                | seconds before the second and the third attempt (60,120 in AWS) |
| IPAM_LOCAL_CONCURRENCY    | 8                    | events at work at once; the others wait in Lambda's queue |
| IPAM_LOCAL_DUPLICATES     | 0                    | 1 delivers every event twice |
| IPAM_LOCAL_JITTER         | 0                    | seconds, at most, that a deletion takes; chance decides |
| IPAM_LOCAL_RECORD         | 0                    | 1 keeps every event delivered in `records.jsonl` of the state |
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REGION = "eu-central-1"
NETWORK_ACCOUNT = "111111111111"
MEMBER_ACCOUNT = "222222222222"
OUTSIDE_ACCOUNT = "999999999999"

_ORGANIZATION = "o-exampleorg1=111111111111,222222222222,333333333333"
_ACCOUNT_DIGITS = 12
_HIGHEST_PORT = 65535


def _is_account(text: str) -> bool:
    return len(text) == _ACCOUNT_DIGITS and text.isascii() and text.isdigit()


class SettingError(Exception):
    """A setting that cannot be used; its text names the variable and what it takes."""


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation as policies see it: its id, and the accounts that are in it."""

    id: str
    accounts: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Organization:
        """Read `o-id=account,account`."""
        name, separator, accounts = text.partition("=")
        members = frozenset(filter(None, (account.strip() for account in accounts.split(","))))
        if not separator or not name.startswith("o-") or not all(_is_account(member) for member in members):
            raise SettingError(f"IPAM_LOCAL_ORGANIZATION={text}: give an id and its accounts, like {_ORGANIZATION}")
        return cls(name.strip(), members)

    def __str__(self) -> str:
        return f"{self.id}={','.join(sorted(self.accounts))}"


@dataclass(frozen=True, slots=True)
class Settings:
    """One twin: where it listens, what it keeps, what it deploys, and how CloudFormation behaves in it."""

    port: int = 0
    directory: Path = Path(".local")
    state: Path | None = None
    template: Path | None = None
    account: str = NETWORK_ACCOUNT
    organization: Organization = field(default_factory=lambda: Organization.parse(_ORGANIZATION))
    retry_delays: tuple[float, ...] = (0.5, 1.0)
    concurrency: int = 8
    duplicates: bool = False
    jitter: float = 0.0
    record: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the variables of this module's table.

        Raises:
            SettingError: one of them has a value that it does not take.
        """
        given = os.environ if environment is None else environment
        state = given.get("IPAM_LOCAL_STATE")
        account = given.get("IPAM_LOCAL_ACCOUNT", NETWORK_ACCOUNT)
        if not _is_account(account):
            raise SettingError(f"IPAM_LOCAL_ACCOUNT={account}: give an account id of twelve digits")
        return cls(
            port=_port(given.get("IPAM_LOCAL_PORT", "4566")),
            directory=Path(given.get("IPAM_LOCAL_DIR") or ".local"),
            state=Path(state) if state else None,
            template=Path(given.get("IPAM_LOCAL_BUILD") or ".aws-sam/build") / "template.yaml",
            account=account,
            organization=Organization.parse(given.get("IPAM_LOCAL_ORGANIZATION", _ORGANIZATION)),
            retry_delays=_delays(given.get("IPAM_LOCAL_RETRY_DELAYS", "0.5,1")),
            concurrency=_count(given.get("IPAM_LOCAL_CONCURRENCY", "8")),
            duplicates=_flag(given, "IPAM_LOCAL_DUPLICATES"),
            jitter=_jitter(given.get("IPAM_LOCAL_JITTER", "0")),
            record=_flag(given, "IPAM_LOCAL_RECORD"),
        )


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """What the emulator's process is told by the launcher, as one JSON argument.

    An argument and not the environment, because Lambda workers inherit the emulator's environment.
    """

    port: int
    certificate: str
    interpreter: str
    runtime: str
    organization: str
    retry_delays: tuple[float, ...]
    concurrency: int
    duplicates: bool
    jitter: float
    records: str | None
    lifeline: int
    keep: bool
    folder: str
    exports: str

    def to_json(self) -> str:
        """Give the argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BridgeSettings:
        """Read the argument."""
        fields = json.loads(text)
        fields["retry_delays"] = tuple(fields["retry_delays"])
        return cls(**fields)


def inherited() -> dict[str, str]:
    """Give what a child process needs of this one's environment: where programs and locales are, and nothing else.

    Certificates and proxies of the surroundings break connections to loopback, and a person's AWS profile has no
    business in an emulator.
    """
    return {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL", "TZ"}}


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT:
        return int(text)
    raise SettingError(f"IPAM_LOCAL_PORT={text}: give a port number, or 0 for any free one")


def _delays(text: str) -> tuple[float, ...]:
    try:
        delays = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        delays = (-1.0,)
    if any(delay < 0 for delay in delays) or not delays:
        raise SettingError(f"IPAM_LOCAL_RETRY_DELAYS={text}: give seconds separated by commas, like 0.5,1")
    return delays


def _jitter(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise SettingError(f"IPAM_LOCAL_JITTER={text}: give a number of seconds, like 0.05")
    return seconds


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    raise SettingError(f"IPAM_LOCAL_CONCURRENCY={text}: give a number of events, 1 or more")


def _flag(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "0").lower()
    if value not in {"0", "1", "true", "false", ""}:
        raise SettingError(f"{name}={value}: give 1 or 0")
    return value in {"1", "true"}
