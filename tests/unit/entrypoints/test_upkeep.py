from __future__ import annotations

import importlib.util
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import ApprovalPendingError, StoreUnavailableError
from ipam.domain.pool import AllocationRules
from ipam.entrypoints import upkeep
from ipam.entrypoints.errors import UpkeepFailedError
from ipam.entrypoints.logs import make_logger
from ipam.entrypoints.upkeep import MAX_NAMED, Upkeep
from ipam.services.approve import Verdict, decide
from ipam.services.request import Waiting
from tests.builders import STACK
from tests.faults import Around, Recorder
from tests.unit.entrypoints.stage import FakeContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import Approval
    from ipam.domain.pool import Pool
    from ipam.services.ports.store import Store
    from tests.builders import Desk

    MakePool = Callable[..., Pool]

ROOT = Path(__file__).parents[3]
EVENT = json.loads((ROOT / "events" / "upkeep" / "scheduled.json").read_text())

_services = itertools.count()


class Function:
    """One warm function on a store, and its log."""

    def __init__(self, desk: Desk, store: Store | None = None) -> None:
        self._log = io.StringIO()
        self.upkeep = Upkeep(desk.another(store).ports, make_logger(f"test-upkeep-{next(_services)}", self._log))
        self.context = FakeContext(remaining=120_000)

    def run(self) -> dict[str, Any]:
        """Do one run, and give its line."""
        self.upkeep.run(self.context)
        return self.lines()[-1]

    def lines(self) -> list[dict[str, Any]]:
        """Read the log: each line has to be JSON."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]


class Fails(Around):
    """A store that some pools, or all, cannot be read from."""

    def __init__(self, store: Store, fault: Exception, *names: str) -> None:
        super().__init__(store)
        self._fault = fault
        self._names = names

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name in self._names:
            raise self._fault
        return super().call(name, do, args)


@pytest.fixture
def cooled(desk: Desk, pool_of: MakePool) -> Pool:
    """A pool of which a block has cooled."""
    pool = pool_of("10.0.0.0/24", cooling_seconds=60)
    grant = desk.allocate(desk.request("a", 26)).grant
    desk.release("a", grant.allocation_id)
    desk.clock.advance(60)
    return pool


def test_a_run_is_one_line(desk: Desk, cooled: Pool) -> None:
    """The line says what the run came to, and how long it took; the next run has nothing to do."""
    function = Function(desk)
    line = function.run()
    assert {
        "outcome": "reclaimed",
        "message": "reclaimed",
        "level": "INFO",
        "pools": 2,
        "pools_looked_at": 2,
        "pools_changed": 1,
        "duration_ms": 0,
        "cold_start": True,
        "aws_request_id": function.context.aws_request_id,
    }.items() <= line.items()
    assert not {"failures", "pools_failed", "cause", "exception"} & line.keys()
    assert desk.free(cooled.pool_id) == ["10.0.0.0/24"]
    assert (function.run()["outcome"], function.lines()[1]["cold_start"]) == ("nothing-to-do", False)
    assert len(function.lines()) == 2


def test_a_run_without_time_is_no_error(desk: Desk, cooled: Pool) -> None:
    """It says so, changes nothing more, and leaves the rest to the next run."""
    function = Function(desk)

    class Late(FakeContext):
        asked = 0

        def get_remaining_time_in_millis(self) -> int:
            self.asked += 1
            return 120_000 if self.asked == 1 else 7_999

    function.context = Late()
    line = function.run()
    assert (line["outcome"], line["level"]) == ("out-of-time", "INFO")
    assert (line["pools"], line["pools_looked_at"], line["pools_changed"]) == (2, 0, 0)
    assert desk.cooling(cooled.pool_id) == ["10.0.0.0/26"]
    function.context = FakeContext(remaining=120_000)
    assert function.run()["outcome"] == "reclaimed"


def test_a_pool_that_fails_makes_an_error_of_the_run(desk: Desk, pool_of: MakePool, cooled: Pool) -> None:
    """The others are served first; the line names the pool and the cause, and Lambda counts an error."""
    broken = pool_of("10.9.0.0/24", name="broken")

    class Broken(Around):
        def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            if name == "all_free" and args[0] == broken.pool_id:
                raise StoreUnavailableError("ThrottlingException")
            return super().call(name, do, args)

    function = Function(desk, Broken(desk.store))
    with pytest.raises(UpkeepFailedError, match=r"1 of 4 pool\(s\) could not be served"):
        function.run()
    (line,) = function.lines()
    assert (line["outcome"], line["level"]) == ("failed", "ERROR")
    assert line["failures"] == [{"pool": "broken", "cause": "StoreUnavailableError(code='ThrottlingException')"}]
    assert (line["pools_failed"], line["pools_looked_at"], line["pools_changed"]) == (1, 4, 1)
    assert desk.free(cooled.pool_id) == ["10.0.0.0/24"]


def test_the_line_stays_short_when_everything_fails(desk: Desk, pool_of: MakePool) -> None:
    """A store that is down fails every pool; the line counts all and names some."""
    scope = desk.scope()
    for number in range(MAX_NAMED + 5):
        pool_of(f"10.0.{number}.0/24", name=f"pool {number}", scope=scope)
    function = Function(desk, Fails(desk.store, StoreUnavailableError("ThrottlingException"), "all_free"))
    with pytest.raises(UpkeepFailedError):
        function.run()
    (line,) = function.lines()
    assert (line["pools_failed"], len(line["failures"])) == (MAX_NAMED + 6, MAX_NAMED)


def test_a_plan_that_cannot_be_read_is_an_error(desk: Desk, cooled: Pool) -> None:
    """The line says why, without a trace: the store's bad moment is no fault of the program."""
    function = Function(desk, Fails(desk.store, StoreUnavailableError("ThrottlingException"), "plan"))
    with pytest.raises(StoreUnavailableError):
        function.run()
    (line,) = function.lines()
    assert (line["outcome"], line["cause"]) == ("failed", "StoreUnavailableError(code='ThrottlingException')")
    assert "exception" not in line
    assert desk.cooling(cooled.pool_id) == ["10.0.0.0/26"]


@pytest.mark.usefixtures("cooled")
def test_an_unknown_fault_is_traced(desk: Desk) -> None:
    """A fault of our own is raised as it is, and the line shows where it came from."""
    function = Function(desk, Fails(desk.store, RuntimeError("what is this"), "cooling"))
    with pytest.raises(RuntimeError):
        function.run()
    (line,) = function.lines()
    assert line["outcome"] == "failed"
    assert "RuntimeError: what is this" in line["exception"]


def test_a_part_that_fails_keeps_no_other(desk: Desk, cooled: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of our own with the aliases is raised at the end, when all else is done."""

    def fail() -> None:
        raise RuntimeError("what is this")

    desk.tenant()
    monkeypatch.setattr(desk.outside.aliases, "regions", fail)
    function = Function(desk)
    with pytest.raises(RuntimeError):
        function.run()
    (line,) = function.lines()
    assert (line["outcome"], line["pools_changed"]) == ("failed", 1)
    assert "RuntimeError: what is this" in line["exception"]
    assert desk.cooling(cooled.pool_id) == []


def test_the_handler_asks_nothing_of_its_event(desk: Desk, cooled: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduled event, or an empty one sent by hand, is a run; nothing in it is read."""
    watched = Recorder(desk.store)
    function = Function(desk, watched)
    monkeypatch.setattr(upkeep, "deployed", lambda: function.upkeep)
    spec = importlib.util.spec_from_file_location("upkeep_handler", ROOT / "functions" / "upkeep" / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    handler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(handler)
    handler.lambda_handler(EVENT, function.context)
    handler.lambda_handler({}, function.context)
    assert [line["outcome"] for line in function.lines()] == ["reclaimed", "nothing-to-do"]
    assert desk.free(cooled.pool_id) == ["10.0.0.0/24"]
    assert watched.calls.count("plan") == 4


@pytest.mark.usefixtures("cooled")
def test_tenants_follow_what_is_live(desk: Desk) -> None:
    """After a deployment the line counts the aliases that were moved; the next run has nothing to do."""
    for account in ("111122223333", "444455556666"):
        desk.tenant(account)
    function = Function(desk)
    assert (function.run()["outcome"], "aliases_moved" in function.lines()[0]) == ("reclaimed", False)
    desk.outside.aliases.live = 2
    line = function.run()
    assert (line["outcome"], line["aliases_moved"]) == ("aliases-moved", 2)
    assert function.run()["outcome"] == "nothing-to-do"


def test_an_alias_that_does_not_move_makes_an_error_of_the_run(desk: Desk, cooled: Pool) -> None:
    """The pools and the other Regions are served all the same; the line says why, and Lambda counts an error."""
    desk.tenant()
    desk.outside.aliases.live = 2
    desk.outside.aliases.elsewhere("us-east-1").shut = True
    function = Function(desk)
    with pytest.raises(UpkeepFailedError, match=r"1 alias\(es\) not moved"):
        function.run()
    (line,) = function.lines()
    assert line["aliases_moved"] == 1
    cause = "ServiceUnavailableError(service='AWS Lambda in us-east-1', code='TooManyRequestsException')"
    assert (line["outcome"], line["aliases_failed"]) == ("failed", [cause])
    assert line["pools_changed"] == 1 and desk.free(cooled.pool_id) == ["10.0.0.0/24"]


def parked(desk: Desk, pool_of: MakePool) -> Approval:
    """A request that waits for an administrator, until ten minutes from now."""
    pool_of(
        "10.8.0.0/16", name="large", scope=desk.scope("of large"), rules=AllocationRules(approval_netmask_length=24)
    )
    request = desk.request("large", 20, pool_name="large")
    with pytest.raises(ApprovalPendingError):
        desk.allocate(replace(request, waiting=Waiting(desk.clock.now() + 600_000, '{"RequestType": "Create"}')))
    return desk.store.approvals()[0]


def test_what_nobody_decided_is_handed_over(desk: Desk, pool_of: MakePool) -> None:
    """The function that serves stacks gets the event back, and the line counts it; the next run has nothing to do."""
    parked(desk, pool_of)
    function = Function(desk)
    assert function.run()["outcome"] == "nothing-to-do"
    desk.clock.advance(600)
    line = function.run()
    assert (line["outcome"], line["approvals_handed_over"]) == ("handed-over", 1)
    assert desk.outside.redelivery.taken == [{"RequestType": "Create"}]
    assert function.run()["outcome"] == "nothing-to-do"


@pytest.mark.usefixtures("cooled")
def test_what_is_not_taken_makes_an_error_of_the_run(desk: Desk, pool_of: MakePool) -> None:
    """The pools are served all the same; the line has the cause, without the event."""
    decide(desk.ports, parked(desk, pool_of).approval_id, Verdict("approved", "ada"), "test")
    desk.outside.redelivery.closed = True
    function = Function(desk)
    with pytest.raises(UpkeepFailedError, match=r"0 of 4 pool\(s\) .*, 1 request\(s\) not handed over"):
        function.run()
    (line,) = function.lines()
    assert (line["outcome"], line["pools_changed"]) == ("failed", 1)
    assert line["approvals_failed"] == [
        "ServiceUnavailableError(service='AWS Lambda', code='TooManyRequestsException')"
    ]
    assert "RequestType" not in json.dumps(line)


@pytest.mark.usefixtures("cooled")
def test_who_cannot_be_told_makes_an_error_of_the_run(desk: Desk, pool_of: MakePool) -> None:
    """A lease that nobody can be warned of goes on; somebody has to see to that."""
    leased = pool_of(
        "10.9.0.0/24", name="leased", scope=desk.scope("of leased"), rules=AllocationRules(lease_seconds=80)
    )
    desk.allocate(desk.request("leased", 26, pool=leased, allocation_type="custom"))
    desk.clock.advance(80)
    desk.outside.happenings.deaf = True
    function = Function(desk)
    with pytest.raises(UpkeepFailedError, match=r"1 happening\(s\) not told"):
        function.run()
    (line,) = function.lines()
    assert (line["outcome"], line["happenings_untold"]) == ("failed", ["Lease Ends Soon: Deaf"])
    assert line["pools_changed"] == 1
    desk.outside.happenings.deaf = False
    assert function.run()["outcome"] == "reclaimed"
    desk.clock.advance(80)
    assert function.run()["outcome"] == "reclaimed"
    assert desk.held(leased.pool_id) == []
    assert desk.outside.happenings.kinds() == ["Lease Ends Soon", "Lease Ended"]


def test_stacks_are_asked_once_a_day(desk: Desk, pool_of: MakePool) -> None:
    """The line of that run says how many, how many are unknown and what was found; other lines say nothing of it."""
    pool_of("10.0.0.0/24")
    desk.outside.stacks.can_ask = True
    desk.allocate(desk.request("a", 28))
    desk.outside.stacks.standings[STACK] = "gone"
    desk.clock.advance(2 * 24 * 3600)
    function = Function(desk)
    line = function.run()
    assert (line["stacks_asked"], line["stacks_unknown"], line["orphans_found"]) == (1, 0, 1)
    assert desk.outside.happenings.kinds() == ["Orphan Found"]
    assert not {"stacks_asked", "orphans_found"} & function.run().keys()
