"""The function that does upkeep on a schedule: one run an event, one line a run.

    event -> decided requests are handed over -> tenants' aliases -> every pool, while there is time -> line -> done
                                                                                                         |
                                                  a part of it failed: raised, for the alarm on errors to see

Whatever a run has left, for want of time or of an answer of the store, the next one does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from ipam import bootstrap
from ipam.domain.errors import StoreUnavailableError
from ipam.entrypoints.deadlines import LambdaDeadline
from ipam.entrypoints.errors import UpkeepFailedError
from ipam.entrypoints.logs import make_logger, trace, write_line
from ipam.services.approve import keep_approvals
from ipam.services.orphans import Sought, seek_orphans
from ipam.services.tenancy import follow_live
from ipam.services.upkeep import Report, keep_up
from ipam.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.logging import Logger

    from ipam.domain.errors import TemporaryError
    from ipam.entrypoints.provider import Context
    from ipam.services.ports import Ports

_Done = TypeVar("_Done")

ASKING: Final = 45_000
"""Milliseconds that asking for one stack, and writing down how far the search is, may need at worst: a role is taken
on, and two questions are asked, each of them three times without an answer (`ipam.adapters.aws`)."""

NOTHING: Final[tuple[int, tuple[TemporaryError, ...]]] = (0, ())
"""What a part came to that failed: nothing was done, and nothing has failed in itself."""

MAX_NAMED: Final = 20
"""Failed pools that the line names: a store that is down fails them all."""


@dataclass
class Upkeep:
    """Does the runs; one for the life of a process."""

    ports: Ports
    logger: Logger
    _cold: bool = field(default=True, init=False)

    def run(self, context: Context) -> None:
        """Do one run, within the time that Lambda gives.

        Raises:
            UpkeepFailedError: some pools could not be served, some requests not be handed over, some aliases not be
                brought to the version that is live, or somebody not be told; the others were, as far as the time went.
            StoreUnavailableError: none could, because not even the plan could be read.
        """
        line: dict[str, object] = {"cold_start": self._cold, "aws_request_id": context.aws_request_id}
        self._cold = False
        started = self.ports.clock.now()
        outcome = "failed"
        try:
            deadline = LambdaDeadline(context.get_remaining_time_in_millis)
            while_asking = LambdaDeadline(context.get_remaining_time_in_millis, ASKING)
            parts = _Parts()
            # First, because stacks wait for it.
            handed_over, errors = parts.do(lambda: keep_approvals(self.ports, deadline), NOTHING)
            line.update(_handed_over(handed_over, errors))
            # A few of them once in a while, after a deployment; else two calls.
            moved, stuck = parts.do(lambda: follow_live(self.ports, deadline), NOTHING)
            line.update(_moved(moved, stuck))
            report = parts.do(lambda: keep_up(self.ports, deadline), Report(0, 0, 0, ()))
            line.update(_facts(report))
            # Last, because nobody waits for it.
            line.update(_orphans(parts.do(lambda: seek_orphans(self.ports, while_asking), Sought())))
            untold = self.ports.happenings.untold()
            line["happenings_untold"] = untold or ""
            parts.end()
            failed = bool(report.failures or errors or stuck or untold)
            outcome = "failed" if failed else _outcome(report, handed_over, moved)
        except StoreUnavailableError as unreadable:
            line["cause"] = repr(unreadable)
            raise
        except Exception as unknown:
            line["exception"] = trace(unknown, ())
            raise
        finally:
            line["duration_ms"] = self.ports.clock.now() - started
            write_line(self.logger, outcome, line)
        if failed:
            raise UpkeepFailedError(len(report.failures), report.pools, len(errors), len(untold), len(stuck))


class _Parts:
    """The parts of a run: none that fails keeps another from being done."""

    def __init__(self) -> None:
        self._faults: list[Exception] = []

    def do(self, work: Callable[[], _Done], instead: _Done) -> _Done:
        """Do a part; what it did not come to is told at the end.

        Raises:
            StoreUnavailableError: no other part could be done either.
        """
        try:
            return work()
        except StoreUnavailableError:
            raise
        except Exception as fault:  # noqa: BLE001 - raised at the end
            self._faults.append(fault)
            return instead

    def end(self) -> None:
        """Raise the first fault, if there was one."""
        if self._faults:
            raise self._faults[0]


def deployed() -> Upkeep:
    """Make the function as the environment says; tenants' keys are none of its business."""
    settings = Settings.from_environment(optional=("IPAM_MASTER_KEY_SECRET",))
    return Upkeep(bootstrap.ports(settings), make_logger("upkeep"))


def _outcome(report: Report, handed_over: int, moved: int) -> str:
    """Sum a run without failures up in a word."""
    if report.out_of_time:
        return "out-of-time"
    if report.changed:
        return "reclaimed"
    if handed_over:
        return "handed-over"
    return "aliases-moved" if moved else "nothing-to-do"


def _handed_over(count: int, errors: tuple[TemporaryError, ...]) -> dict[str, object]:
    """Tell what the log says of decided requests, if there were any."""
    facts: dict[str, object] = {"approvals_handed_over": count} if count else {}
    if errors:
        facts["approvals_failed"] = [repr(error) for error in errors[:MAX_NAMED]]
    return facts


def _moved(count: int, errors: tuple[TemporaryError, ...]) -> dict[str, object]:
    """Tell what the log says of tenants' aliases, if there was anything to do about them."""
    facts: dict[str, object] = {"aliases_moved": count} if count else {}
    if errors:
        facts["aliases_failed"] = [repr(error) for error in errors[:MAX_NAMED]]
    return facts


def _orphans(sought: Sought) -> dict[str, object]:
    """Tell what the log says of stacks that were asked, if there were any."""
    if not sought.asked:
        return {}
    return {"stacks_asked": sought.asked, "stacks_unknown": sought.unknown, "orphans_found": sought.found}


def _facts(report: Report) -> dict[str, object]:
    """Tell what the log says of a run."""
    facts: dict[str, object] = {
        "pools": report.pools,
        "pools_looked_at": report.looked_at,
        "pools_changed": report.changed,
    }
    if report.failures:
        named = report.failures[:MAX_NAMED]
        facts["pools_failed"] = len(report.failures)
        facts["failures"] = [{"pool": failure.pool, "cause": repr(failure.error)} for failure in named]
    return facts
