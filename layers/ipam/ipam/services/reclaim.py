"""Reclaim: blocks that have cooled become free, and free buddies are joined.

Done in the background, and whenever a request would otherwise fail for want of space. Each step is a change of its own,
so an interrupted run has lost nothing and the next one goes on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.change import Change, PutAudit, PutFree, TakeCooling, TakeFree
from ipam.domain.cidr import Cidr
from ipam.domain.errors import ServiceUnavailableError, VpcIpamRefusedError
from ipam.domain.free_space import MAX_JOINED, join
from ipam.services.audit import note
from ipam.services.give_back import given_back
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from ipam.domain.allocation import CoolingBlock
    from ipam.domain.cidr import Family
    from ipam.domain.pool import Space
    from ipam.services.ports import Deadline, Ports

CAUSE: Final = "reclaim"

BATCH: Final = 100
"""Cooled blocks that are read at once."""

MAX_BATCHES: Final = 1000
"""Batches of one run."""

MAX_FREE: Final = 100_000
"""Free blocks that one run looks at."""


def reclaim(ports: Ports, space: Space, family: Family, wanted: Cidr | int | None, deadline: Deadline) -> bool:
    """Free what has cooled and join what can be joined, until what is waited for is free.

    Args:
        ports: the collaborators.
        space: the pool or scope.
        family: IP version.
        wanted: the exact block, or the netmask length of any, that is waited for; None does all there is to do.
        deadline: ends the work early; what is done so far stays done.

    Returns:
        Whether it is worth to look again: anything was changed, here or by somebody who was faster, or what is waited
        for was found to be free.

    Raises:
        OutOfTimeError: there is more to do than the time that is left.
        ServiceUnavailableError: Amazon VPC IPAM did not answer, and what it has to take back goes on cooling: something
            of it, or what is waited for. All else is done.
        VpcIpamRefusedError: so, and it does not take it back; only where nothing is waited for.
    """
    run = _Run(ports, space, family, wanted)
    for _ in range(MAX_BATCHES):
        if not run.free_cooled(deadline):
            break
    run.join_free(deadline)
    if run.changed:
        ports.memory.forget_free(space.pool_id)
    if run.failure is not None and (wanted is None or run.may_be_answered):
        raise run.failure
    return run.changed or run.beaten or run.satisfied


class _Run:
    """One run over the free blocks of a space, as they were read."""

    def __init__(self, ports: Ports, space: Space, family: Family, wanted: Cidr | int | None) -> None:
        self._ports = ports
        self._space = space
        self._family = family
        self._wanted = wanted
        self._free: set[Cidr] = set()
        self.satisfied = False
        self.changed = False
        self.beaten = False
        self.failure: ServiceUnavailableError | VpcIpamRefusedError | None = None
        for block in ports.store.all_free(space.pool_id, family):
            self._note_free(block)
            if len(self._free) >= MAX_FREE:
                break

    @property
    def may_be_answered(self) -> bool:
        """Whether what is waited for is not free, and may be when Amazon VPC IPAM answers again."""
        return not self.satisfied and isinstance(self.failure, ServiceUnavailableError)

    def free_cooled(self, deadline: Deadline) -> bool:
        """Make a batch of cooled blocks free, each joined with its free buddies; say whether to go on."""
        due = self._ports.store.cooling(self._space.pool_id, BATCH, until=self._ports.clock.now())
        progress = False
        for cooled in due:
            if self.satisfied:
                return False
            if cooled.cidr.family == self._family:
                deadline.ensure()
                progress |= self._given_back(cooled) and self._commit(cooled.cidr, TakeCooling(cooled))
        return progress and len(due) == BATCH

    def join_free(self, deadline: Deadline) -> None:
        """Join free blocks that stand beside their free buddy, smallest first."""
        pairs = (block for block in self._free if block.length and block < block.buddy and block.buddy in self._free)
        for block in sorted(pairs, key=lambda block: (-block.length, block.first)):
            if self.satisfied:
                return
            if block in self._free:
                deadline.ensure()
                self._commit(block, TakeFree(self._space.pool_id, block))

    def _given_back(self, cooled: CoolingBlock) -> bool:
        """Give a block back where it came from, if that is Amazon VPC IPAM; where it is not taken it goes on cooling.

        Once that has not answered it is not asked again; what it refuses is one block, and says nothing of the others.
        """
        if isinstance(self.failure, ServiceUnavailableError) and cooled.vpc_ipam_allocation_id:
            return False
        try:
            return given_back(self._ports, cooled)
        except (ServiceUnavailableError, VpcIpamRefusedError) as failure:
            self.failure = failure
            return False

    def _note_free(self, block: Cidr) -> None:
        """Remember a free block, and see whether it is what is waited for."""
        self._free.add(block)
        match self._wanted:
            case Cidr():
                self.satisfied |= block.contains(self._wanted)
            case int():
                self.satisfied |= block.length <= self._wanted
            case _:
                pass

    def _commit(self, block: Cidr, take: TakeCooling | TakeFree) -> bool:
        """Replace a block and its free buddies by one free block."""
        inside = self._space.around(block)
        if inside is None:
            return False
        joined, swallowed = join(block, self._free, inside)
        if isinstance(take, TakeFree) and not swallowed:
            return False
        if isinstance(take, TakeCooling):
            audit = note(self._ports, self._space.pool_id, "cooled", CAUSE, take.block)
        else:
            audit = note(self._ports, self._space.pool_id, "joined", CAUSE, block)
        takes = (TakeFree(self._space.pool_id, buddy) for buddy in swallowed)
        change = Change((take, *takes, PutFree(self._space.pool_id, joined), PutAudit(audit)))
        try:
            self._ports.store.commit(change)
        except Conflict:
            # Somebody was faster; what of it is still to do is done by the next run.
            self.beaten = True
            return False
        self._free.difference_update(swallowed, (block,))
        self._note_free(joined)
        self.changed = True
        if len(swallowed) == MAX_JOINED:
            self._commit(joined, TakeFree(self._space.pool_id, joined))
        return True
