"""The function on a store in memory, with CloudFormation and Lambda around it played by the test.

The events are the files of events/cn_cidr, as they stand, but for the Authorizationkey, which is filled in. Their ids
fit: allocation ids are counted here (…01, …02), and the clock shows the moment at which each event was signed.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ipam.domain.authorization import derive
from ipam.domain.ids import ALLOCATION_DIGITS
from ipam.domain.pool import AllocationRules
from ipam.entrypoints.cn_cidr.dates import EPOCH
from ipam.entrypoints.cn_cidr.function import Collaborators, provider
from ipam.entrypoints.errors import UndeliveredError
from ipam.entrypoints.logs import make_logger
from ipam.entrypoints.response_url import Place, _signed
from ipam.services.pools import NewPool
from ipam.settings import Settings
from tests.builders import REGION, Desk, FixedClock, SeededChance

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.pool import Pool
    from ipam.entrypoints.response_url import ResponseUrl
    from ipam.services.ports.store import Store

EVENTS = Path(__file__).parents[3] / "events" / "cn_cidr"
NAMES = sorted(path.stem for path in EVENTS.glob("*.json"))

ACCOUNT = "111111111111"
TENANTS = (ACCOUNT, "222222222222")
MASTER = b"the master key of the tests"
PLACEHOLDER = "replace-with-the-output-of-ipam-tenant-key"
FUNCTION_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr:live"
PLACE = Place(REGION, "aws", "")
SETTINGS = Settings(table_name="table", master_key_secret="secret", response_endpoint="", region=REGION, ca_bundle="")
HOST = "cloudformation-custom-resource-response-eucentral1.s3.eu-central-1.amazonaws.com"

_services = itertools.count()


def allocation_id(number: int) -> str:
    """Give the id of the allocation with that number."""
    return f"ipam-pool-alloc-{number:032x}"


def event(name: str, key: str = "", **changes: Any) -> dict[str, Any]:
    """Load an event, with the account's key in place of the placeholder and some fields changed."""
    text = (EVENTS / f"{name}.json").read_text().replace(PLACEHOLDER, key or derive(MASTER, ACCOUNT))
    loaded: dict[str, Any] = json.loads(text)
    return loaded | copy.deepcopy(changes)


def with_properties(name: str, **properties: Any) -> dict[str, Any]:
    """Load an event and change properties of its resource; None takes one out."""
    loaded = event(name)
    merged = loaded["ResourceProperties"] | properties
    loaded["ResourceProperties"] = {key: value for key, value in merged.items() if value is not None}
    return loaded


def readdressed(loaded: dict[str, Any], query: str | None = None, host: str = HOST, **changes: str) -> dict[str, Any]:
    """Change an event's StackId, LogicalResourceId or RequestId, and give it the URL that belongs to them."""
    changed = loaded | changes
    key = quote(f"{changed['StackId']}|{changed['LogicalResourceId']}|{changed['RequestId']}", safe="/")
    asked = loaded["ResponseURL"].partition("?")[2] if query is None else query
    changed["ResponseURL"] = f"https://{host}/{key}" + (f"?{asked}" if asked else "")
    return changed


def at(hours: int, minutes: int = 0, seconds: int = 0) -> int:
    """Give a moment of the day of the events, milliseconds of the epoch."""
    return int((EPOCH.replace(year=2026, month=11, day=20) - EPOCH).total_seconds() * 1000) + 1000 * (
        3600 * hours + 60 * minutes + seconds
    )


class CountingChance(SeededChance):
    """Chance whose allocation ids count up from one."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0x1000

    def hex_digits(self, count: int) -> str:
        """See the port."""
        if count != ALLOCATION_DIGITS:
            return super().hex_digits(count)
        self.count += 1
        return f"{self.count:0{count}x}"


class FakeSecrets:
    """Master keys; `rotate` puts a new one before the current one."""

    def __init__(self, *keys: bytes) -> None:
        self.keys = keys
        self.remembered = keys
        self.asked = 0

    def master_keys(self, *, fresh: bool = False) -> tuple[bytes, ...]:
        """See the port."""
        self.asked += 1
        if fresh:
            self.remembered = self.keys
        return self.remembered

    def rotate(self, key: bytes) -> None:
        """Make a new key the current one, and keep the one before it."""
        self.keys = (key, *self.keys)[:2]


@dataclass
class Mailbox:
    """CloudFormation's end: takes answers, unless it is told to be out of reach."""

    taken: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    failures: int = 0

    def __call__(self, url: ResponseUrl, body: bytes, remaining: Callable[[], int]) -> None:
        """See `Deliver`."""
        assert remaining() > 0
        self.hosts.append(url.host)
        if self.failures:
            self.failures -= 1
            raise UndeliveredError(url.host, "status 503", 4)
        self.bodies.append(body)
        self.taken.append(json.loads(body))


@dataclass
class FakeContext:
    """Lambda's context."""

    remaining: int = 30_000
    aws_request_id: str = "b4a5b2f6-0000-4000-8000-00000000c0de"
    invoked_function_arn: str = FUNCTION_ARN

    def get_remaining_time_in_millis(self) -> int:
        """Tell how long the invocation may still take."""
        return self.remaining


class Stage:
    """One warm function, the plan that it serves, and everybody around it."""

    def __init__(self, store: Store | None = None, settings: Settings = SETTINGS) -> None:
        self.clock = FixedClock(at(7))
        self.chance = CountingChance()
        self.desk = (
            Desk(clock=self.clock, chance=self.chance) if store is None else Desk(store, self.clock, self.chance)
        )
        self.secrets = FakeSecrets(MASTER)
        self.mailbox = Mailbox()
        self.context = FakeContext()
        self.settings = settings
        self._log = io.StringIO()
        scope = self.desk.scope()
        self.vpcs = self._pool(scope, "vpcs", "10.0.0.0/16", rules=AllocationRules(16, 28))
        self._pool(scope, "subnets", "10.1.0.0/16", allocation_types=frozenset({"subnet"}))
        self._pool(scope, "vpcs6", "fd00::/40", family=6)
        for account in TENANTS:
            self.desk.tenant(account)
        self.chance.count = 0
        self.restart()

    def _pool(self, scope: str, name: str, cidr: str, **facts: Any) -> Pool:
        facts = {"locale": REGION, "allocation_types": frozenset({"vpc"})} | facts
        return self.desk.pool(NewPool(name, scope, **facts), cidr)

    def restart(self, store: Store | None = None) -> None:
        """Start the function anew: it remembers nothing, and may see the store through another."""
        self.desk = self.desk.another(store)
        logger = make_logger(f"test-{next(_services)}", self._log)
        collaborators = Collaborators(self.desk.ports, self.secrets, self.mailbox, logger)
        self.provider = provider(self.settings, collaborators)

    def send(self, sent: str | dict[str, Any], late: int = 0) -> dict[str, Any]:
        """Deliver an event, some milliseconds after it was signed, and give the answer.

        Raises:
            Exception: what the function raised; Lambda would deliver the event again.
        """
        loaded = event(sent) if isinstance(sent, str) else sent
        inner = json.loads(loaded["Records"][0]["Sns"]["Message"]) if "Records" in loaded else loaded
        signed = _signed(inner["ResponseURL"].partition("?")[2])
        self.clock.milliseconds = max(self.clock.milliseconds, (signed or 0) + late)
        before = len(self.mailbox.taken)
        self.provider.handle(loaded, self.context)
        answers = self.mailbox.taken[before:]
        assert len(answers) <= 1
        return answers[0] if answers else {}

    def lines(self) -> list[dict[str, Any]]:
        """Read the log: each line has to be JSON."""
        return [json.loads(line) for line in self.text().splitlines()]

    def text(self) -> str:
        """Read the log as it stands."""
        return self._log.getvalue()

    @property
    def outcome(self) -> str:
        """How the last event ended, by the log."""
        return str(self.lines()[-1]["outcome"])

    def held(self) -> list[str]:
        """Read what stacks hold of the pool for VPCs."""
        return self.desk.held(self.vpcs.pool_id)
