"""An order: one request on its way to one block of one pool.

One consistent read for the best fit (none where a warm function remembers an exact one) and one transaction. The owner
is taken to be new, which it nearly always is; where it is not, the refused transaction brings back its record and with
it the allocation that it already has (I4).
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

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
    TakeSticky,
)
from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.errors import (
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    NetmaskLengthError,
    PermanentError,
    QuotaExceededError,
    SupersededError,
)
from ipam.domain.free_space import NO_LIMITS, Limits, carve, pick, remainders
from ipam.domain.owner import Grant, OwnerRecord, digest
from ipam.domain.pool import units
from ipam.domain.stack import stack_holder
from ipam.services.audit import note, note_request
from ipam.services.contention import back_off
from ipam.services.leases import end_previews, lease_of
from ipam.services.ports import Conflict
from ipam.services.reclaim import reclaim
from ipam.services.shortage import MAX_COOLING, shortage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import AuditEvent, CoolingBlock
    from ipam.domain.change import Operation
    from ipam.domain.cidr import Family
    from ipam.domain.owner import OwnerKey
    from ipam.domain.plan import Ask
    from ipam.domain.pool import Space, Tag
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 10
"""Tries before a request gives way to the others; the infrastructure delivers it again."""

CANDIDATES: Final = 40
"""Free blocks read at once: what fits one read unit of 4 KB, so that the next requests of a warm function need none."""

CROWD: Final = 2 * CANDIDATES
"""Free blocks read at once after a collision: the more there are to draw lots among, the fewer collide again."""

MAX_SPARE: Final = 4
"""Halvings left undone after collisions: at most 16 blocks are cut for those who come next."""

MAX_HALVINGS: Final = 64
"""Halvings in one transaction. IPv6 may need more: then a smaller free block is cut first, in a change of its own."""

MAX_STICKY: Final = 20
"""Blocks that cool after one and the same holder, of which one may be given back to it."""

EVERYTHING: Final = -1
"""A netmask length that is waited for in vain: all that can be made free is."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a request may wait for an administrator.

    Attributes:
        until: when it is too late for an answer, milliseconds of the epoch.
        event: what is to be handled again once it is decided. It may hold a pre-signed URL: never shown.
    """

    until: int
    event: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AllocateRequest:
    """Who asks for what.

    Attributes:
        owner: the holder to be.
        account: the AWS account whose quota counts; "" for none (what a pool gets from its parent).
        ask: what is asked for.
        description: free text for people.
        requested: when the request was made, milliseconds of the epoch by the requester's clock.
        cause: what made it, for the audit record.
        held: the allocation id that an Update names as the resource's own; "" on Create.
        tags: those of the resource.
        preview_seconds: how long a preview is held.
        by_administrator: whether whoever may use the command line asks: sharing and approval are not for them.
        waiting: how the request may wait for approval; None: it cannot.
        by_tenant: whether the account has to be a tenant to be given something new.
        replaceable: whether an Update may get another block than the resource has.
    """

    owner: OwnerKey
    account: str
    ask: Ask
    description: str
    requested: int
    cause: str
    held: str = ""
    tags: tuple[Tag, ...] = ()
    preview_seconds: int = 0
    by_administrator: bool = False
    waiting: Waiting | None = None
    by_tenant: bool = False
    replaceable: bool = True


@dataclass(frozen=True, slots=True)
class Allocated:
    """The answer: the allocation, and whether it is new or was there already."""

    grant: Grant
    outcome: Literal["allocated", "kept"]


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

    def serve(self, space: Space, length: int) -> Allocated:
        """Find a block in one space and commit it, against all others who try the same."""
        if self.exact is not None and space.around(self.exact) is None:
            raise CidrNotInPoolError(space.name, self.exact)
        if not 0 <= length <= WIDTHS[self._family]:
            raise NetmaskLengthError(space.name, length, "AddressFamily", WIDTHS[self._family])
        again = self._again(space, length) if space.sticky else None
        if again is not None:
            return again
        attempt = 0
        opened: Cidr | None = None
        for _ in range(MAX_ATTEMPTS):
            known = self.known()
            if known is not None:
                return known
            block, hinted = self.find(space, length, attempt) if opened is None else (opened, True)
            wanted = self._wanted(space, block, length)
            too_large = length - block.length > MAX_HALVINGS
            opened = self._open(space, block, wanted or block) if too_large else None
            if too_large:
                continue
            taken, rest = _cut(block, length, attempt) if wanted is None else (wanted, remainders(block, wanted))
            allocation = self.allocation(space, taken)
            try:
                return self._commit(space, (TakeFree(space.pool_id, block),), rest, allocation)
            except Conflict as conflict:
                self.ports.memory.forget_free(space.pool_id)
                if self._lost(space, taken, conflict) and not hinted:
                    attempt += 1
                    back_off(self.ports, attempt)
        raise ContendedError(space.name, MAX_ATTEMPTS)

    def _again(self, space: Space, length: int) -> Allocated | None:
        """Give what this very holder has given back and what still cools; None if nothing of it is what is asked for.

        Nobody else can have it (I7): whose it was is written down with the cooling, and only that cooling is ended.
        """
        holder = "" if self.request.ask.preview else stack_holder(self.request.owner, self.request.account)
        gone: set[CoolingBlock] = set()
        for attempt in range(MAX_ATTEMPTS if holder else 0):
            known = self.known()
            if known is not None:
                return known
            had = self.ports.store.sticky(space.pool_id, holder, self.ports.clock.now(), MAX_STICKY)
            cools = next((each for each in had if each not in gone and self._is_wanted(space, each.cidr, length)), None)
            if cools is None:
                return None
            taking = (TakeCooling(cools), TakeSticky(holder, cools))
            try:
                return self._commit(space, taking, [], self.allocation(space, cools.cidr))
            except Conflict as conflict:
                if self._lost(space, cools.cidr, conflict) and not any(each.busy for each in conflict.refusals):
                    gone.add(cools)
                back_off(self.ports, attempt)
        return None

    def _is_wanted(self, space: Space, cidr: Cidr, length: int) -> bool:
        """Whether a block is what is asked for, and may be given."""
        if space.around(cidr) is None or (cidr.family, cidr.length) != (self._family, length):
            return False
        return cidr == self.exact if self.exact is not None else self._limits(space).permit(cidr)

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

    def find(self, space: Space, length: int, attempt: int = 0) -> tuple[Cidr, bool]:
        """Find a free block to cut from, and say whether it is only remembered.

        Raises:
            PoolExhaustedError: no block is large enough, though all that has cooled was made free.
            CidrNotFreeError: the exact block is not free.
        """
        if self.exact is None and attempt == 0 and space.rules.strategy == "best-fit" and not self._limits(space).any:
            hint = self.ports.memory.free_block(space.pool_id, self._family, length)
            if hint is not None:
                return hint, True
        fits = self._fits(space, length, attempt) or self._reclaimed(space, length)
        return pick(fits, attempt, lambda blocks: blocks[self.ports.chance.below(len(blocks))]), False

    def _reclaimed(self, space: Space, length: int) -> list[Cidr]:
        """Make free what has cooled, against all others who do the same, and give what fits then.

        Raises:
            PermanentError: nothing does, and there is nothing left to make free.
            ContendedError: there may be, but others were always faster.
        """
        # Within limits a free block that is large enough may be one that is of no use.
        wanted = EVERYTHING if self._limits(space).any else self.exact or length
        for attempt in range(MAX_ATTEMPTS):
            again = end_previews(self.ports, space, self.deadline)
            again |= reclaim(self.ports, space, self._family, wanted, self.deadline)
            # Even if there was nothing left to do: somebody else may just have done it.
            fits = self._fits(space, length)
            if fits:
                return fits
            if not again:
                raise self._why_not(space, length)
            back_off(self.ports, attempt)
        raise ContendedError(space.name, MAX_ATTEMPTS)

    def _fits(self, space: Space, length: int, attempt: int = 0) -> list[Cidr]:
        """Read the free blocks that what is asked can be cut from, the one to be cut first."""
        store, exact = self.ports.store, self.exact
        if exact is not None:
            inside = space.around(exact)
            lowest = exact.length if inside is None else inside.length
            around = [exact.supernet(shorter) for shorter in range(lowest, exact.length + 1)]
            return sorted(store.free_among(space.pool_id, around))
        limits = self._limits(space)
        sparse = space.rules.strategy == "sparse" and attempt == 0
        if limits.any:
            free = (block for block in store.all_free(space.pool_id, self._family) if block.length <= length)
            permitted = (block for block in free if limits.first_in(block, length))
            # Smallest first: the last one is the largest.
            return list(deque(permitted, 1) if sparse else itertools.islice(permitted, CANDIDATES))
        if sparse:
            largest = store.largest_free(space.pool_id, self._family)
            return [largest] if largest is not None and largest.length <= length else []
        fits = store.free_blocks(space.pool_id, self._family, length, CROWD if attempt else CANDIDATES)
        self.ports.memory.read_free(space.pool_id, fits)
        return fits

    def _limits(self, space: Space) -> Limits:
        """Tell where in a space the block may lie."""
        ask, rules = self.request.ask, space.rules
        if self.exact is not None:
            return NO_LIMITS
        return Limits((rules.allowed_cidrs, ask.allowed_cidrs), rules.disallowed_cidrs + ask.disallowed_cidrs)

    def _wanted(self, space: Space, block: Cidr, length: int) -> Cidr | None:
        """Tell the block that has to be cut out of a free one; None if any will do."""
        limits = self._limits(space)
        return limits.first_in(block, length) if limits.any else self.exact

    def _open(self, space: Space, block: Cidr, wanted: Cidr) -> Cidr | None:
        """Cut a smaller free block out of one that is too large for a single transaction; None if it was taken."""
        part = Cidr(block.family, wanted.first, WIDTHS[block.family]).supernet(block.length + MAX_HALVINGS)
        frees = (PutFree(space.pool_id, free) for free in (part, *remainders(block, part)))
        audit = note(self.ports, space.pool_id, "split", self.request.cause, block)
        self.deadline.ensure()
        self.ports.memory.forget_free(space.pool_id)
        try:
            self.ports.store.commit(Change((TakeFree(space.pool_id, block), *frees, PutAudit(audit))))
        except Conflict:
            return None
        return part

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

    def _commit(
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
        change = Change(tuple(operations))
        self.deadline.ensure()
        self.ports.store.commit(change)
        for each in taking:
            if isinstance(each, TakeFree):
                self.ports.memory.use_free(space.pool_id, each.cidr)
        self.ports.memory.see_free(space.pool_id, rest)
        self.ports.memory.see_owner(record.stored())
        return Allocated(grant, "allocated")

    def _lost(self, space: Space, taken: Cidr, conflict: Conflict) -> bool:
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

    def _until(self, space: Space, exact: Cidr) -> int | None:
        """Tell when an exact block will be free, if all of it that is not free is cooling."""
        store = self.ports.store
        cooling = [each for each in store.cooling(space.pool_id, MAX_COOLING) if each.cidr.overlaps(exact)]
        free = [block for block in store.all_free(space.pool_id, exact.family) if block.overlaps(exact)]
        covered = sum(min(block.size, exact.size) for block in [*free, *(each.cidr for each in cooling)])
        return max((each.until for each in cooling), default=None) if covered == exact.size else None

    def _why_not(self, space: Space, length: int) -> PermanentError:
        """Explain why nothing fits."""
        exact = self.exact
        if exact is not None:
            return CidrNotFreeError(space.name, exact, self._until(space, exact))
        return shortage(self.ports.store, space, self.request.ask, length)

    @property
    def _family(self) -> Family:
        return self.request.ask.family


def _cut(block: Cidr, length: int, attempt: int) -> tuple[Cidr, list[Cidr]]:
    """Decide what is taken of a free block and what stays free, where any part of it will do.

    After a first collision blocks for three others are cut, not for one: 64 writers of a fresh pool then need a tenth
    fewer attempts.
    """
    return carve(block, length, min(attempt + 1, MAX_SPARE) if attempt else 0)
