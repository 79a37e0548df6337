"""An order: one request on its way to one block of one pool, and the one change that gives it that.

The owner is taken to be new, which it nearly always is; where it is not, the refused transaction brings back its record
and with it the allocation that it already has (I4). Which block it is, `choose` says; `serve` tries again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipam.domain import ids
from ipam.domain.allocation import Allocation
from ipam.domain.change import (
    Change,
    ChangeQuota,
    PutAllocation,
    PutAudit,
    PutFree,
    PutOwner,
    SetLease,
    TakeCooling,
    TakeFree,
    TakePending,
)
from ipam.domain.errors import ContendedError, QuotaExceededError, SupersededError
from ipam.domain.owner import Grant, OwnerRecord, digest
from ipam.domain.pool import units
from ipam.services.audit import note_request
from ipam.services.leases import end_previews, lease_of
from ipam.services.request import Allocated

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import AuditEvent
    from ipam.domain.change import Operation
    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import Space
    from ipam.services.ports import Deadline, Ports
    from ipam.services.ports.store import Conflict
    from ipam.services.request import AllocateRequest


@dataclass
class Order:
    """One request on its way: what it has learned so far of its owner.

    Attributes:
        ports: the collaborators.
        request: who asks for what.
        deadline: ends the work before a commit that could not be answered.
        record: the owner's record, as far as it is known.
        extend: tells what else belongs to the same change.
        exact: the block that has to be given; at first the one that is asked for.
        vpc_ipam_allocation_id: its allocation in Amazon VPC IPAM, where that has chosen it.
        passed_over: pools that could not serve it, with the reason's name.
        digest: short name of what is asked for.
    """

    ports: Ports
    request: AllocateRequest
    deadline: Deadline
    record: OwnerRecord
    extend: Callable[[Allocation], tuple[Operation, ...]] | None = None
    exact: Cidr | None = field(init=False)
    vpc_ipam_allocation_id: str = field(default="", init=False)
    passed_over: tuple[tuple[str, str], ...] = field(default=(), init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.digest = digest(self.request.ask)
        self.exact = self.request.ask.cidr

    def known(self) -> Allocated | None:
        """Answer from the owner's record, where that says all.

        Raises:
            SupersededError: a later request has ended what this one asks for.
        """
        grant = self.record.for_ask(self.digest)
        if grant is not None:
            return Allocated(grant, "kept")
        if self.record.supersedes(self.request.requested):
            raise SupersededError
        return None

    def reread(self) -> Allocated | None:
        """Read the owner's record, and answer from it, where that says all.

        Raises:
            SupersededError: a later request has ended what this one asks for.
        """
        self.record = self.ports.store.owner(self.request.owner).knowing(self.request.held)
        return self.known()

    def allocation(self, space: Space, taken: Cidr) -> Allocation:
        """Name the allocation to be."""
        return Allocation(
            allocation_id=ids.ALLOCATION_PREFIX + self.ports.chance.hex_digits(ids.ALLOCATION_DIGITS),
            pool_id=space.pool_id,
            cidr=taken,
            owner=self.request.owner,
            account=self.request.account,
            allocation_type=self.request.ask.allocation_type,
            description=self.request.description,
            created=self.ports.clock.now(),
            tags=self.request.tags,
            vpc_ipam_allocation_id=self.vpc_ipam_allocation_id,
        )

    def granted(self, space: Space, allocation: Allocation) -> Grant:
        """Say what the owner is to have of an allocation."""
        seconds = self.request.preview_seconds if self.request.ask.preview else space.rules.lease_seconds
        return Grant(
            allocation_id=allocation.allocation_id,
            asks=(self.digest,),
            pool_id=space.pool_id,
            cidr=allocation.cidr,
            created=allocation.created,
            requested=self.request.requested,
            by_create=not self.request.held,
            expires=None if seconds is None else allocation.created + seconds * 1000,
            preview=self.request.ask.preview,
            vpc_ipam_allocation_id=self.vpc_ipam_allocation_id,
            passed_over=self.passed_over,
        )

    def commit(
        self, space: Space, taking: tuple[Operation, ...], rest: list[Cidr], allocation: Allocation
    ) -> Allocated:
        """Take the block, give its part to the owner, and write all that belongs to it, at once."""
        grant = self.granted(space, allocation)
        record = self.record.with_grant(grant)
        event: AuditEvent = "previewed" if grant.preview else "allocated"
        audit = note_request(self.ports, event, self.request, allocation)
        operations: list[Operation] = [
            *taking,
            PutAllocation(allocation),
            PutOwner(record, expires=None),
            PutAudit(audit),
            *(PutFree(space.pool_id, part) for part in rest),
        ]
        if self.request.account:
            operations.append(
                ChangeQuota(
                    self.request.account,
                    space.pool_id,
                    1,
                    units(allocation.cidr),
                    space.quota.allocations,
                    space.quota.units,
                )
            )
        if grant.expires is not None:
            operations.append(SetLease(lease_of(grant, self.request.owner, self.request.account)))
        if self.extend is not None:
            operations += self.extend(allocation)
        self.deadline.ensure()
        self.ports.store.commit(Change(tuple(operations)))
        for each in taking:
            if isinstance(each, TakeFree):
                self.ports.memory.use_free(space.pool_id, each.cidr)
        self.ports.memory.see_free(space.pool_id, rest)
        self.ports.memory.see_owner(record.stored())
        return Allocated(grant, "allocated")

    def lost(self, space: Space, taken: Cidr, conflict: Conflict) -> bool:
        """Learn from a refused change; say whether the block was lost to another writer.

        Raises:
            QuotaExceededError: the account's quota does not allow it.
            ContendedError: the order at Amazon VPC IPAM that the block is from was ended.
        """
        refused = {type(refusal.operation): refusal for refusal in conflict.refusals if not refusal.busy}
        if PutOwner in refused:
            stored = refused[PutOwner].current or OwnerRecord(self.request.owner)
            self.record = stored.knowing(self.request.held)
            return False
        if TakePending in refused:
            # Upkeep, or another delivery, has ended the order at Amazon VPC IPAM: another try makes another one.
            raise ContendedError(space.name, 1)
        over = self.over_quota(space, taken, conflict)
        if over is not None and not end_previews(self.ports, space, self.deadline):
            raise over
        # While another transaction is under way, what it puts may show before what it takes is gone.
        busy = any(refusal.busy for refusal in conflict.refusals)
        if not busy and not {TakeFree, TakeCooling} & refused.keys() and {PutAllocation, PutFree} & refused.keys():
            message = f"I1: a free block of {space.pool_id} was held by someone"
            raise AssertionError(message)
        return True

    def over_quota(self, space: Space, taken: Cidr, conflict: Conflict) -> QuotaExceededError | None:
        """Tell which limit of the quota was met; None if it no longer is, because something was just released."""
        if not any(isinstance(refusal.operation, ChangeQuota) and not refusal.busy for refusal in conflict.refusals):
            return None
        return self.exceeds(space, taken)

    def exceeds(self, space: Space, wanted: Cidr) -> QuotaExceededError | None:
        """Tell which limit of the account's quota a block more would exceed, by what it holds now."""
        held = self.ports.store.quota(self.request.account, space.pool_id)
        limits = {
            "allocations": (space.quota.allocations, held.allocations + 1),
            "units": (space.quota.units, held.units + units(wanted)),
        }
        for what, (limit, amount) in limits.items():
            if limit is not None and amount > limit:
                return QuotaExceededError(space.name, self.request.account, what, limit)
        return None
