"""Settle CIDRs: a pool has the CIDRs that one resource of a stack wants it to have, and gives them back for it.

Their owner is the pool, under the name of the resource: so the record that holds a resource's CIDRs of a pool also
says which of its requests are over (`ipam.services.turns`), and a request that is over provisions nothing. What
somebody else has provisioned to the same pool is not touched.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipam.domain.errors import CidrNotInPoolError, ContendedError, InUseError, NoSuchPoolError
from ipam.services.audit import note_request
from ipam.services.contention import back_off, note_owner
from ipam.services.deprovision import deprovision
from ipam.services.plan import current_plan
from ipam.services.provision import provision
from ipam.services.turns import begin, end, forget, still_mine

if TYPE_CHECKING:
    from collections.abc import Collection

    from ipam.domain.cidr import Cidr
    from ipam.services.ports import Deadline, Ports
    from ipam.services.settle import Ended
    from ipam.services.turns import Turn

MAX_ATTEMPTS: Final = 20
"""Tries, against other requests of the same resource."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a pool has on behalf of a resource, as one of its requests may change that.

    Attributes:
        ports: the collaborators.
        turn: the request; its owner is the pool, under the resource's name.
        deadline: ends the work before a commit that could not be answered. What is done by then stays done, and the
            same request goes on from there.
        claimed: what the resource wanted before. Of a VPC that the pool divides, there is no other sign of whose wish
            that was.
    """

    ports: Ports
    turn: Turn
    deadline: Deadline
    claimed: Collection[Cidr] = ()

    def cidrs(self) -> list[Cidr]:
        """Tell the blocks, by address."""
        record = self.ports.store.owner(self.turn.owner)
        return sorted({grant.cidr for grant in record.grants} | self._divided())

    def settle(self, wanted: Cidr | int) -> Cidr:
        """Let the pool have a block, an exact one or one of a netmask length. The same again gives the same.

        Raises:
            SupersededError: a later request of the resource was served already.
            PermanentError: the pool cannot have it; the subclass says why.
            TemporaryError: not now.
        """
        still_mine(self.ports, self.turn)
        self.deadline.ensure()
        pool_id, name = self.turn.owner.party, self.turn.owner.name
        return self.keep(provision(self.ports, pool_id, wanted, name, self.turn.cause, requested=self.turn.requested))

    def keep(self, cidr: Cidr) -> Cidr:
        """Note that the request is answered with a block that the pool has.

        Raises:
            SupersededError: a later request of the resource was served already.
            TemporaryError: not now.
        """
        for attempt in range(MAX_ATTEMPTS):
            if self._answered(cidr):
                return cidr
            back_off(self.ports, attempt)
        raise ContendedError(self.turn.owner.name, MAX_ATTEMPTS)

    def _answered(self, cidr: Cidr) -> bool:
        """Note that the request is answered with a block: no older one ends it."""
        record = self.ports.store.owner(self.turn.owner)
        after = self.turn.serves(record)
        for grant in record.grants:
            if grant.cidr == cidr:
                after = after.with_grant(grant.answered(self.turn.requested))
        if after.fence == record.fence and set(after.grants) == set(record.grants):
            return True
        audit = note_request(self.ports, "fenced", self.turn, None)
        return note_owner(self.ports, after, None, self.deadline, audit)

    def settle_all(self, wanted: Collection[Cidr]) -> None:
        """Let the pool have exactly these blocks on behalf of the resource.

        What is no longer wanted goes last, so that a request which is refused has taken nothing away; only what
        overlaps a wanted block has to go first.

        Raises:
            SupersededError: a later request of the resource was served already.
            InUseError: what is no longer wanted is in use.
            PermanentError: the pool cannot have a block; the subclass says why.
            TemporaryError: not now.
        """
        if not wanted and not self.claimed and not self.ports.store.owner(self.turn.owner).version:
            return
        begin(self.ports, self.turn, self.deadline)
        surplus = [cidr for cidr in self.cidrs() if cidr not in wanted]
        in_the_way = [cidr for cidr in surplus if any(cidr.overlaps(each) for each in wanted)]
        for cidr in in_the_way:
            self._give_back(cidr)
        for cidr in sorted(wanted):
            self.settle(cidr)
        for cidr in surplus:
            if cidr not in in_the_way:
                self._give_back(cidr)

    def drop_all_but(self, kept: Collection[Cidr]) -> None:
        """Give back what the resource's stack has shown that it never learned of. What is in use by now stays."""
        for cidr in self.cidrs():
            if cidr not in kept:
                with contextlib.suppress(InUseError):
                    self._give_back(cidr)

    def end(self, only: Cidr | None = None, *, cascade: bool = False) -> Ended:
        """Give back all of it, or one block.

        Raises:
            InUseError: it is in use; with `cascade`, something cools that has to be waited for.
            TemporaryError: not now.
        """
        in_time = end(self.ports, self.turn, self.deadline)
        record = self.ports.store.owner(self.turn.owner)
        late = {grant.cidr for grant in record.grants if not grant.ends_with(self.turn.requested)}
        if not in_time:
            late |= self._divided()
        ended: Ended = "nothing-to-release"
        for cidr in self.cidrs():
            if only not in {None, cidr}:
                continue
            if cidr in late:
                return "unverified-delete"
            self._give_back(cidr, cascade=cascade)
            ended = "deleted"
        forget(self.ports, self.turn, self.deadline)
        return ended

    def _divided(self) -> set[Cidr]:
        """Tell which of the claimed blocks the pool has from a VPC because this very resource wanted it."""
        plan = current_plan(self.ports, fresh=True)
        pool = plan.pools.get(self.turn.owner.party)
        if pool is None or pool.source_resource is None:
            return set()
        mine = (block for block in plan.provisioned(pool.pool_id) if block.claimant == self.turn.owner.name)
        return {block.cidr for block in mine if block.cidr in self.claimed}

    def _give_back(self, cidr: Cidr, *, cascade: bool = False) -> None:
        """Give a block back, if the pool still has it."""
        pool_id = self.turn.owner.party
        self.deadline.ensure()
        with contextlib.suppress(NoSuchPoolError, CidrNotInPoolError):
            deprovision(self.ports, pool_id, cidr, self.turn.cause, cascade=cascade, deadline=self.deadline)
