"""Deprovision: a pool gives address space back to where it came from (I3).

A provisioned CIDR goes back when it is one free block of its pool: one transaction takes it out of the pool's partition
and ends the allocation of the parent that it was. There it cools for as long as the parent says.

With `cascade` everything that is in use is ended first, from the bottom up, in changes of their own. What cools in the
CIDR then goes on cooling in the parent: the whole CIDR does, until the last of it has (I7). So an interrupted run has
lost nothing, and the next one goes on from there.

A subnet pool's CIDR is the VPC's own allocation and stays its holder's. What still cools in it cannot go on cooling
there, and has to be waited for. What Amazon VPC IPAM gave has to go back there before anything else becomes of it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipam.domain.allocation import CoolingBlock
from ipam.domain.change import (
    PutAudit,
    PutCooling,
    PutFree,
    PutOwner,
    RemoveAllocation,
    RemoveProvisioned,
    TakeCooling,
    TakeFree,
    TouchPool,
    UniteAllocation,
)
from ipam.domain.cidr import Cidr
from ipam.domain.errors import CidrNotInPoolError, ContendedError, InUseError
from ipam.domain.free_space import remainders
from ipam.services.audit import OnBehalf, note, note_request
from ipam.services.contention import back_off
from ipam.services.leases import forgettable
from ipam.services.plan import change_plan, current_plan
from ipam.services.ports import NO_DEADLINE
from ipam.services.reclaim import reclaim
from ipam.services.release_by_administrator import release_by_administrator
from ipam.services.usage import cooling, refuse_if_used, users_of_block

if TYPE_CHECKING:
    from ipam.domain.change import Operation
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool, ProvisionedCidr
    from ipam.services.ports import Deadline, Ports

    Part = Cidr | CoolingBlock

MAX_ATTEMPTS: Final = 20
"""Tries, against others who change the same blocks."""

MAX_PARTS: Final = 80
"""Blocks that one change takes; of more, those that stand together are joined before."""

MAX_COOLING: Final = 1_000_000
"""Cooling blocks of one pool that are looked at."""


def deprovision(  # noqa: PLR0913 - what is given back, and how
    ports: Ports, pool_id: str, cidr: Cidr, cause: str, *, cascade: bool = False, deadline: Deadline = NO_DEADLINE
) -> None:
    """Give a pool's CIDR back to its parent.

    Args:
        ports: the collaborators.
        pool_id: the pool.
        cidr: exactly as it was provisioned.
        cause: who wants it, for the audit records.
        cascade: end whatever is in use: what child pools have of it is deprovisioned, allocations are released.
        deadline: ends the work before a commit that could not be answered; what is done so far stays done.

    Raises:
        NoSuchPoolError: there is no such pool.
        CidrNotInPoolError: the pool does not have it, or has it no more.
        InUseError: it is in use; with `cascade`, something cools that has to be waited for, or that Amazon VPC IPAM
            does not take back.
        ContendedError: others were always faster.
        OutOfTimeError: there is more to do than the time that is left.
    """
    if not deprovision_if_there(ports, pool_id, cidr, cause, cascade=cascade, deadline=deadline):
        raise CidrNotInPoolError(current_plan(ports).named(pool_id).name, cidr)


def deprovision_if_there(  # noqa: PLR0913 - what is given back, and how
    ports: Ports, pool_id: str, cidr: Cidr, cause: str, *, cascade: bool, deadline: Deadline
) -> bool:
    """Give a pool's CIDR back to its parent, as `deprovision` does; say whether the pool had it at first."""
    for attempt in range(MAX_ATTEMPTS):
        plan = current_plan(ports, fresh=True)
        block = next((each for each in plan.provisioned(pool_id) if each.cidr == cidr), None)
        if block is None or pool_id not in plan.pools:
            return attempt > 0
        run = _Run(ports, plan, plan.pools[pool_id], block, cause, deadline)
        if cascade:
            run.empty()
        else:
            refuse_if_used(str(cidr), users_of_block(ports, plan, run.pool, cidr, deadline))
        parts = run.parts(cascade=cascade)
        if parts is not None and run.give_back(parts):
            return True
        back_off(ports, attempt)
    raise ContendedError(str(cidr), MAX_ATTEMPTS)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a CIDR consists of, as it is taken out of its pool, and until when it has to cool."""

    operations: tuple[Operation, ...]
    until: int


@dataclass(frozen=True, slots=True)
class _Run:
    """One try to give one CIDR back."""

    ports: Ports
    plan: Plan
    pool: Pool
    block: ProvisionedCidr
    cause: str
    deadline: Deadline

    def empty(self) -> None:
        """End whatever is in use, from the bottom up."""
        for held in self.ports.store.allocations(self.pool.pool_id, self.block.cidr):
            child_id = held.owner.party if held.allocation_type == "ipam-pool" else held.divided_by
            if child_id:
                deprovision_if_there(self.ports, child_id, held.cidr, self.cause, cascade=True, deadline=self.deadline)
            if held.allocation_type != "ipam-pool":
                # Divided by another pool meanwhile: the next try sees that.
                with contextlib.suppress(InUseError):
                    release_by_administrator(self.ports, held, self.cause, self.deadline)

    def parts(self, *, cascade: bool) -> _Parts | None:
        """Tell how the CIDR is taken out of its pool; None: it cannot be now, because somebody is at it.

        Raises:
            InUseError: something cools in it that cannot go on cooling in the parent.
        """
        cidr, pool_id = self.block.cidr, self.pool.pool_id
        reclaim(self.ports, self.plan.space(pool_id), cidr.family, cidr, self.deadline)
        # Upkeep by a plan that is older than the CIDR may have joined it with its neighbour.
        around = [cidr.supernet(length) for length in range(cidr.length + 1)]
        free = next(iter(self.ports.store.free_among(pool_id, around)), None)
        if free is not None:
            rest = (PutFree(pool_id, each) for each in remainders(free, cidr))
            return _Parts((TakeFree(pool_id, free), *rest), 0)
        cools = [each for each in self.ports.store.cooling(pool_id, MAX_COOLING) if cidr.contains(each.cidr)]
        refuse_if_used(str(cidr), (cooling(each) for each in cools if self._stays(each)))
        return self._cooling_parts(cools) if cascade else None

    def _stays(self, block: CoolingBlock) -> bool:
        """Whether something cannot go on cooling in the parent.

        The parent of a subnet pool has a holder for it; and what Amazon VPC IPAM gave goes back there first.
        """
        due = block.until <= self.ports.clock.now()
        return bool(block.vpc_ipam_allocation_id) or (self.pool.source_resource is not None and not due)

    def _cooling_parts(self, cools: list[CoolingBlock]) -> _Parts | None:
        """Tell how a CIDR is taken out of its pool in which something cools."""
        pool_id, cidr = self.pool.pool_id, self.block.cidr
        free = [each for each in self.ports.store.all_free(pool_id, cidr.family) if cidr.contains(each)]
        blocks: list[Part] = [*free, *cools]
        blocks.sort(key=_cidr)
        parts = self._joined(cidr, blocks) if _covers(cidr, blocks) else None
        return None if parts is None else _Parts(tuple(_take(pool_id, part) for part in parts), _until(parts))

    def _joined(self, inside: Cidr, parts: list[Part]) -> list[Part] | None:
        """Join the parts of a block until one change can take them all; None: somebody else has changed one."""
        if len(parts) <= MAX_PARTS:
            return parts
        joined: list[Part] = []
        for half in inside.subnets(inside.length + 1):
            of_half = self._joined(half, [part for part in parts if half.contains(_cidr(part))])
            if of_half is not None and len(of_half) > MAX_PARTS // 2:
                of_half = self._join(half, of_half)
            if of_half is None:
                return None
            joined += of_half
        return joined

    def _join(self, cidr: Cidr, parts: list[Part]) -> list[Part] | None:
        """Let a block cool as one, until the last of its parts has; None: somebody else has changed one."""
        pool_id = self.pool.pool_id
        cools = [part for part in parts if isinstance(part, CoolingBlock)]
        if not cools:
            return None
        last = max(cools, key=lambda part: part.until)
        whole = CoolingBlock(pool_id, cidr, last.until, last.allocation_id)
        audit = note(self.ports, pool_id, "joined", self.cause, whole)
        self.deadline.ensure()
        done = change_plan(self.ports, (*(_take(pool_id, part) for part in parts), PutCooling(whole), PutAudit(audit)))
        return [whole] if done else None

    def give_back(self, parts: _Parts) -> bool:
        """Take the CIDR from the pool; say whether that was done, or somebody was faster."""
        pool_id, block = self.pool.pool_id, self.block
        taken = (*parts.operations, RemoveProvisioned(block), TouchPool(pool_id))
        self.deadline.ensure()
        done = self._unite(taken) if self.pool.source_resource is not None else self._return(taken, parts.until)
        if done:
            self.ports.memory.forget_free(pool_id)
            self.ports.memory.forget_free(self.pool.parent_id)
        return done

    def _unite(self, taken: tuple[Operation, ...]) -> bool:
        """Leave the CIDR to the VPC whose allocation it is."""
        block, pool_id = self.block, self.pool.pool_id
        unite = UniteAllocation(self.pool.parent_id, block.cidr, block.allocation_id, pool_id)
        audit = note(self.ports, pool_id, "deprovisioned", self.cause, block.cidr)
        return change_plan(self.ports, (*taken, unite, PutAudit(audit)))

    def _return(self, taken: tuple[Operation, ...], until: int) -> bool:
        """Give the CIDR back to the parent, and let it cool there."""
        block, parent = self.block, self.plan.space(self.pool.parent_id)
        held = self.ports.store.allocation(parent.pool_id, block.cidr)
        if held is None or held.allocation_id != block.allocation_id:
            return False
        record = self.ports.store.owner(held.owner)
        after = record.without_grant(held.allocation_id)
        audit = note_request(self.ports, "deprovisioned", OnBehalf(held.owner, "", self.cause), held)
        until = max(until, audit.at + parent.cooling_seconds * 1000)
        cools = CoolingBlock(parent.pool_id, block.cidr, until, held.allocation_id)
        return change_plan(
            self.ports,
            (
                *taken,
                RemoveAllocation(parent.pool_id, block.cidr, held.allocation_id),
                PutFree(parent.pool_id, block.cidr) if until <= audit.at else PutCooling(cools),
                PutOwner(after, forgettable(self.ports, after)),
                PutAudit(audit),
            ),
        )


def _cidr(part: Part) -> Cidr:
    return part if isinstance(part, Cidr) else part.cidr


def _covers(cidr: Cidr, parts: list[Part]) -> bool:
    """Whether parts, in address order, cover a block exactly: they were read one after the other."""
    at = cidr.first
    for part in map(_cidr, parts):
        if part.first != at:
            return False
        at = part.last + 1
    return at == cidr.last + 1


def _take(pool_id: str, part: Part) -> TakeFree | TakeCooling:
    return TakeFree(pool_id, part) if isinstance(part, Cidr) else TakeCooling(part)


def _until(parts: list[Part]) -> int:
    """Tell when the last of the parts has cooled."""
    return max((part.until for part in parts if isinstance(part, CoolingBlock)), default=0)
