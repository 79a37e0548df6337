"""Orphans: allocations that no stack will give back any more are found and shown, and a person decides.

    allocation, a day old ---- its stack is asked ---- gone ------------------------------------ orphan
                                     |  |  |---------- deletion failed, or at rest:
                                     |  |  |               has another resource, or none ------- orphan
                                     |  |  |               has it, and the deletion failed ----- orphan, not to be taken
                                     |  |  |               has it, at rest --------------------- none, or no more
                                     |  |------------- there, on its way ----------------------- none, or no more
                                     nobody says so --------------------------------------------- as it was

A round through all allocations begins once a day, and goes on from run to run. No timer frees anything; whoever does
asks the stack once more (docs/decisions/0014).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.change import Change, MarkOrphan, PutAudit, PutRound
from ipam.domain.errors import OutOfTimeError, ServiceUnavailableError
from ipam.domain.orphan import Orphan, OrphanReason, Round
from ipam.domain.stack import StackId
from ipam.services.audit import OnBehalf, note, note_request
from ipam.services.in_use import used_now
from ipam.services.plan import current_plan
from ipam.services.ports.outside import Happening
from ipam.services.ports.store import Conflict
from ipam.services.release_by_administrator import release_by_administrator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.allocation import Allocation
    from ipam.domain.plan import Plan
    from ipam.services.ports import Deadline, Ports
    from ipam.services.ports.outside import Standing

CAUSE: Final = "orphans"
SUBJECT: Final = "orphans"
"""What the records of the search itself are about."""

EVERY: Final = 24 * 3_600_000
"""Milliseconds from the beginning of a round to that of the next."""

YOUNG: Final = 24 * 3_600_000
"""Milliseconds for which an allocation is not asked after: its stack may be on its way, or was cancelled on it."""

MAX_ASKED: Final = 100
"""Stacks that one run asks for: at ten a second it is done in ten seconds."""

Verdict = OrphanReason | Literal["held", "unknown"]
Outcome = Literal["released", "already-released", "held", "deletion-stuck", "unknown"]


@dataclass(frozen=True, slots=True)
class Sought:
    """What a run came to.

    Attributes:
        asked: stacks that were asked for.
        unknown: those of which nobody said how they are.
        found: allocations that were found to be orphans, and told.
        done: whether the round is; else the next run goes on.
    """

    asked: int = 0
    unknown: int = 0
    found: int = 0
    done: bool = True


def orphans(ports: Ports, plan: Plan) -> Iterator[Allocation]:
    """Give the allocations that were found to be orphans, by pool and address."""
    for pool_id in sorted(plan.pools, key=lambda pool_id: plan.pools[pool_id].name):
        for held in ports.store.allocations(pool_id):
            if held.orphan is not None:
                yield held


def seek_orphans(ports: Ports, deadline: Deadline) -> Sought:
    """Go on with the round of today, if there is one to be gone on with.

    Raises:
        StoreUnavailableError: the store did not answer; the same run can be done again.
    """
    if not ports.stacks.can_ask:
        return Sought()
    before = ports.store.orphans_round()
    now = ports.clock.now()
    if not before.pool_id and before.version and now - before.began < EVERY:
        return Sought()
    run = _Run(ports, deadline, before if before.pool_id else Round(before.version, now))
    run.go_on()
    audit = note(ports, SUBJECT, "orphans-sought", CAUSE)
    try:
        ports.store.commit(Change((PutRound(run.round), PutAudit(audit))))
    except Conflict:
        # Another run has gone on meanwhile.
        return replace(run.sought, done=False)
    return run.sought


def release_orphan(
    ports: Ports, allocation: Allocation, cause: str, deadline: Deadline, *, in_use_too: bool = False
) -> Outcome:
    """Take an orphan back, if its stack, asked once more, still has nothing of it, and no network has its addresses.

    Args:
        ports: the collaborators.
        allocation: as it was read.
        cause: who does it and why, for the audit record.
        deadline: ends the work before a commit that could not be answered.
        in_use_too: do not ask for networks.

    Returns:
        Whether it was released here; or somebody was faster; or the stack has it; or it does, and has to be deleted
        again; or nobody says so.

    Raises:
        InUseError: a subnet pool divides it.
        NetworkInUseError: a network has addresses of it.
        ServiceUnavailableError: too much was asked for now.
    """
    # Read before the stack is asked: what is answered with the allocation afterwards is seen by the release.
    grant = ports.store.owner(allocation.owner).for_id(allocation.allocation_id)
    if grant is None:
        return "already-released"
    verdict = _Asked(ports).verdict(allocation)
    match verdict:
        case "unknown" | "deletion-stuck":
            return verdict
        case "held":
            _mark(ports, allocation, None)
            return verdict
        case _:
            pass
    refusal = None if in_use_too else used_now(ports, allocation.owner, allocation)
    if refusal is not None:
        raise refusal
    outcome = release_by_administrator(ports, allocation, cause, deadline, unless_answered_after=grant.requested)
    return "already-released" if outcome == "already-released" else "released" if outcome == "released" else "held"


@dataclass
class _Asked:
    """What stacks have said, each asked once."""

    ports: Ports
    standings: dict[str, Standing] = field(default_factory=dict)

    def verdict(self, allocation: Allocation) -> Verdict:
        """Tell what becomes of an allocation that a stack holds, by what the stack says of itself.

        Raises:
            ServiceUnavailableError: too much was asked for now.
        """
        stack = StackId.parse(allocation.owner.party)
        if stack is None:
            return "held"
        if stack.arn not in self.standings:
            self.standings[stack.arn] = self.ports.stacks.standing(stack)
        match self.standings[stack.arn]:
            case "gone":
                return "stack-gone"
            case "deleting-failed":
                verdict = self._in_stack(stack, allocation, "deletion-failed")
                return "deletion-stuck" if verdict == "held" else verdict
            case "changing":
                return "held"
            case "there":
                return self._in_stack(stack, allocation, "not-in-stack")
            case _:
                return "unknown"

    def _in_stack(self, stack: StackId, allocation: Allocation, otherwise: OrphanReason) -> Verdict:
        """Tell whether a stack on which nothing is at work still has the resource that an allocation is for."""
        physical_id = self.ports.stacks.resource(stack, allocation.owner.name)
        if physical_id is None:
            return "unknown"
        if not physical_id:
            return otherwise
        if physical_id == allocation.allocation_id:
            return "held"
        # Replaced, if the resource has another allocation of ours; what was imported for it has no id that it knows.
        owner = self.ports.store.owner(allocation.owner)
        return otherwise if owner.has_had(physical_id) else "held"


class _Run:
    """One run of a round."""

    def __init__(self, ports: Ports, deadline: Deadline, progress: Round) -> None:
        self._ports = ports
        self._deadline = deadline
        self._plan = current_plan(ports, fresh=True)
        self._asked = _Asked(ports)
        self._found = 0
        self._judged = 0
        self.round = progress

    @property
    def sought(self) -> Sought:
        """What it came to."""
        standings = self._asked.standings.values()
        unknown = sum(standing == "unknown" for standing in standings)
        return Sought(len(standings), unknown, self._found, not self.round.pool_id)

    def go_on(self) -> None:
        """Ask on from where the round is, until it is done, or the time is over, or too much was asked."""
        try:
            for allocation in self._left():
                self._deadline.ensure()
                if len(self._asked.standings) >= MAX_ASKED and allocation.owner.party not in self._asked.standings:
                    return
                self._judge(allocation)
                self.round = replace(self.round, pool_id=allocation.pool_id, after=allocation.cidr)
        except (OutOfTimeError, ServiceUnavailableError):
            return
        self.round = replace(self.round, pool_id="", after=None)

    def _left(self) -> Iterator[Allocation]:
        """Give the allocations that the round has still to come to."""
        store, here, after = self._ports.store, self.round.pool_id, self.round.after
        for pool_id in sorted(pool_id for pool_id in self._plan.pools if pool_id >= here):
            if pool_id == here and after is not None:
                yield from store.allocations_beyond(pool_id, after)
                continue
            # Where the run stops before the first allocation of a pool, the round goes on there.
            self.round = replace(self.round, pool_id=pool_id, after=None)
            yield from store.allocations(pool_id)

    def _judge(self, allocation: Allocation) -> None:
        """See to one allocation.

        Raises:
            ServiceUnavailableError: too much was asked for now. What a run begins with is passed over then, or a stack
                that is never told would keep all others from being asked.
        """
        verdict: Verdict
        if allocation.created > self._ports.clock.now() - YOUNG or StackId.parse(allocation.owner.party) is None:
            return
        try:
            verdict = self._asked.verdict(allocation)
        except ServiceUnavailableError:
            if self._judged:
                raise
            self._asked.standings[allocation.owner.party] = verdict = "unknown"
        self._judged += 1
        self._note(allocation, verdict)

    def _note(self, allocation: Allocation, verdict: Verdict) -> None:
        """Write down what was found of an allocation, where it is new."""
        if verdict == "unknown":
            return
        if verdict == "held":
            if allocation.orphan is not None:
                _mark(self._ports, allocation, None)
            return
        if allocation.orphan is not None:
            if allocation.orphan.why != verdict:
                _mark(self._ports, allocation, replace(allocation.orphan, why=verdict))
            return
        orphan = Orphan(self._ports.clock.now(), verdict)
        # Told first, and written down only if it was taken: so it is told once at least.
        if self._tell(allocation, orphan) and _mark(self._ports, allocation, orphan):
            self._found += 1

    def _tell(self, allocation: Allocation, orphan: Orphan) -> bool:
        """Tell of an orphan; say whether it was taken."""
        facts: dict[str, str | int] = {
            "allocationId": allocation.allocation_id,
            "cidr": str(allocation.cidr),
            "poolId": allocation.pool_id,
            "poolName": self._plan.pools[allocation.pool_id].name,
            "account": allocation.account,
            "stackId": allocation.owner.party,
            "logicalResourceId": allocation.owner.name,
            "allocationType": allocation.allocation_type,
            "description": allocation.description,
            "since": orphan.since,
            "why": orphan.why,
        }
        return self._ports.happenings.tell(Happening("Orphan Found", facts))


def _mark(ports: Ports, allocation: Allocation, orphan: Orphan | None) -> bool:
    """Note that an allocation is an orphan, or none; say whether it was still there."""
    behalf = OnBehalf(allocation.owner, allocation.account, CAUSE)
    audit = note_request(ports, "orphan-cleared" if orphan is None else "orphan-found", behalf, allocation)
    mark = MarkOrphan(allocation.pool_id, allocation.cidr, allocation.allocation_id, orphan)
    try:
        ports.store.commit(Change((mark, PutAudit(audit))))
    except Conflict:
        return False
    return True
