"""Allocate: give one free block to one owner.

One consistent read for the best fit (none where a warm function remembers an exact one) and one transaction. The owner
is taken to be new, which it nearly always is; where it is not, the refused transaction brings back its record and with
it the allocation that it already has (I4).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain import ids
from ipam.domain.allocation import Allocation
from ipam.domain.change import Change, ChangeQuota, PutAllocation, PutAudit, PutFree, PutOwner, TakeFree
from ipam.domain.cidr import WIDTHS, Cidr
from ipam.domain.errors import (
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    NetmaskLengthError,
    PermanentError,
    PoolExhaustedError,
    QuotaExceededError,
    SupersededError,
)
from ipam.domain.free_space import carve, pick, remainders
from ipam.domain.owner import Grant, OwnerRecord, digest
from ipam.domain.pool import units
from ipam.services.audit import note, note_request
from ipam.services.contention import back_off
from ipam.services.keep import keep
from ipam.services.plan import current_plan
from ipam.services.ports import Conflict
from ipam.services.reclaim import reclaim

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.change import Operation
    from ipam.domain.cidr import Family
    from ipam.domain.owner import OwnerKey
    from ipam.domain.pool import Ask, Plan, Space
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 10
"""Tries before a request gives way to the others; the infrastructure delivers it again."""

CANDIDATES: Final = 40
"""Free blocks read at once: what fits one read unit of 4 KB, so that the next requests of a warm function need none."""

MAX_SPARE: Final = 4
"""Halvings left undone after collisions: at most 16 blocks are cut for those who come next."""

MAX_HALVINGS: Final = 64
"""Halvings in one transaction. IPv6 may need more: then a smaller free block is cut first, in a change of its own."""

MAX_COOLING: Final = 10_000
"""Cooling blocks that are looked at to explain a refusal."""


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
    """

    owner: OwnerKey
    account: str
    ask: Ask
    description: str
    requested: int
    cause: str
    held: str = ""


@dataclass(frozen=True, slots=True)
class Allocated:
    """The answer: the allocation, and whether it is new or was there already."""

    grant: Grant
    outcome: Literal["allocated", "kept"]


def allocate(
    ports: Ports, request: AllocateRequest, deadline: Deadline, record: OwnerRecord | None = None
) -> Allocated:
    """Give the owner a block, or the one that it already has for the same ask.

    Args:
        ports: the collaborators.
        request: who asks for what.
        deadline: ends the work before a commit that could not be answered.
        record: the owner's record, where it has been read already.

    Raises:
        PermanentError: no block can be given; the subclass says why.
        TemporaryError: not now.
    """
    order = _Order(ports, request, deadline, record or OwnerRecord(request.owner))
    return _unless_granted(order, lambda: _from_first_with_room(order))


def allocate_for_pool(
    ports: Ports,
    parent_id: str,
    request: AllocateRequest,
    deadline: Deadline,
    extend: Callable[[Allocation], tuple[Operation, ...]],
) -> Allocated:
    """Give a pool a block of its parent. Allocation rules are for resources and do not apply.

    Args:
        ports: the collaborators.
        parent_id: the pool or scope to take it from.
        request: with a netmask length or an exact block.
        deadline: as for `allocate`.
        extend: tells what else belongs to the same change.

    Raises:
        PermanentError: no block can be given; the subclass says why.
        TemporaryError: not now.
    """
    order = _Order(ports, request, deadline, OwnerRecord(request.owner), extend)
    space = current_plan(ports, fresh=True).space(parent_id)
    length = request.ask.netmask_length if request.ask.cidr is None else request.ask.cidr.length
    if length is None:
        raise NetmaskLengthError(space.name, None, "NetmaskLength", None)
    return _unless_granted(order, lambda: order.serve(space, length))


def _unless_granted(order: _Order, serve: Callable[[], Allocated]) -> Allocated:
    """Serve an order, but never refuse what was granted: rules may have changed since, and the pool may be full now.

    Raises:
        ContendedError: other requests of the same owner changed its record again and again.
    """
    try:
        allocated = serve()
    except PermanentError:
        order.record = order.ports.store.owner(order.request.owner)
        grant = order.record.for_ask(order.digest)
        if grant is None:
            raise
        allocated = Allocated(grant, "kept")
    for _ in range(MAX_ATTEMPTS):
        if allocated.outcome == "allocated":
            return allocated
        if keep(order.ports, order.request, order.record, allocated.grant, order.deadline):
            return allocated
        order.record = order.ports.store.owner(order.request.owner)
        grant = order.record.for_ask(order.digest)
        allocated = serve() if grant is None else Allocated(grant, "kept")
    raise ContendedError(order.request.owner.name, MAX_ATTEMPTS)


def _from_first_with_room(order: _Order) -> Allocated:
    """Serve an order by the plan; what a remembered plan refuses is tried once more by the plan as it is now."""
    remembered = order.ports.memory.plan(order.ports.clock.now())
    if remembered is not None:
        with contextlib.suppress(PermanentError):
            return _by_plan(order, remembered)
    return _by_plan(order, current_plan(order.ports, fresh=True))


def _by_plan(order: _Order, plan: Plan) -> Allocated:
    """Try the pools that fit in their order; if none serves, the first one's refusal is the answer."""
    ask = order.request.ask
    asked = ask.netmask_length if ask.cidr is None else ask.cidr.length
    refusals: list[PermanentError] = []
    for pool in plan.candidates(ask):
        try:
            return order.serve(plan.space(pool.pool_id), pool.rules.resolve(pool.name, asked))
        except SupersededError:
            raise
        except PermanentError as refusal:
            refusals.append(refusal)
    raise refusals[0]


@dataclass
class _Order:
    """One request on its way: what it has learned so far of its owner."""

    ports: Ports
    request: AllocateRequest
    deadline: Deadline
    record: OwnerRecord
    extend: Callable[[Allocation], tuple[Operation, ...]] | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.digest = digest(self.request.ask)

    def serve(self, space: Space, length: int) -> Allocated:
        """Find a block in one space and commit it, against all others who try the same."""
        if self.request.ask.cidr is not None and space.around(self.request.ask.cidr) is None:
            raise CidrNotInPoolError(space.name, self.request.ask.cidr)
        if not 0 <= length <= WIDTHS[self._family]:
            raise NetmaskLengthError(space.name, length, "AddressFamily", WIDTHS[self._family])
        attempt = 0
        for _ in range(MAX_ATTEMPTS):
            known = self._known()
            if known is not None:
                return known
            block, hinted = self._find(space, length, attempt)
            if length - block.length > MAX_HALVINGS:
                self._open(space, block)
                continue
            taken, rest = self._cut(block, length, attempt)
            allocation = self._allocation(space, taken)
            try:
                return self._commit(space, block, rest, allocation)
            except Conflict as conflict:
                self.ports.memory.forget_free(space.pool_id)
                if self._lost(space, taken, conflict) and not hinted:
                    attempt += 1
                    back_off(self.ports, attempt)
        raise ContendedError(space.name, MAX_ATTEMPTS)

    def _known(self) -> Allocated | None:
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

    def _find(self, space: Space, length: int, attempt: int) -> tuple[Cidr, bool]:
        """Find a free block to cut from, and say whether it is only remembered.

        Raises:
            PoolExhaustedError: no block is large enough, though all that has cooled was made free.
            CidrNotFreeError: the exact block is not free.
        """
        exact = self.request.ask.cidr
        if exact is None and attempt == 0:
            hint = self.ports.memory.free_block(space.pool_id, self._family, length)
            if hint is not None:
                return hint, True
        fits = self._fits(space, length) or self._reclaimed(space, length)
        return pick(fits, attempt, lambda blocks: blocks[self.ports.chance.below(len(blocks))]), False

    def _reclaimed(self, space: Space, length: int) -> list[Cidr]:
        """Make free what has cooled, against all others who do the same, and give what fits then.

        Raises:
            PermanentError: nothing does, and there is nothing left to make free.
            ContendedError: there may be, but others were always faster.
        """
        for attempt in range(MAX_ATTEMPTS):
            again = reclaim(self.ports, space, self._family, self.request.ask.cidr or length, self.deadline)
            # Even if there was nothing left to do: somebody else may just have done it.
            fits = self._fits(space, length)
            if fits:
                return fits
            if not again:
                raise self._why_not(space, length)
            back_off(self.ports, attempt)
        raise ContendedError(space.name, MAX_ATTEMPTS)

    def _fits(self, space: Space, length: int) -> list[Cidr]:
        """Read the free blocks that what is asked can be cut from."""
        store, exact = self.ports.store, self.request.ask.cidr
        if exact is not None:
            inside = space.around(exact)
            lowest = exact.length if inside is None else inside.length
            around = [exact.supernet(shorter) for shorter in range(lowest, exact.length + 1)]
            return sorted(store.free_among(space.pool_id, around))
        fits = store.free_blocks(space.pool_id, self._family, length, CANDIDATES)
        self.ports.memory.read_free(space.pool_id, fits)
        return fits

    def _open(self, space: Space, block: Cidr) -> None:
        """Cut a smaller free block out of one that is too large for a single transaction."""
        wanted = self.request.ask.cidr or block
        part = Cidr(block.family, wanted.first, WIDTHS[block.family]).supernet(block.length + MAX_HALVINGS)
        frees = (PutFree(space.pool_id, free) for free in (part, *remainders(block, part)))
        audit = note(self.ports, space.pool_id, "split", self.request.cause, block)
        self.deadline.ensure()
        with contextlib.suppress(Conflict):
            self.ports.store.commit(Change((TakeFree(space.pool_id, block), *frees, PutAudit(audit))))
        self.ports.memory.forget_free(space.pool_id)

    def _cut(self, block: Cidr, length: int, attempt: int) -> tuple[Cidr, list[Cidr]]:
        """Decide what is taken of a free block and what stays free."""
        exact = self.request.ask.cidr
        if exact is not None:
            return exact, remainders(block, exact)
        return carve(block, length, min(attempt, MAX_SPARE))

    def _allocation(self, space: Space, taken: Cidr) -> Allocation:
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
        )

    def _commit(self, space: Space, block: Cidr, rest: list[Cidr], allocation: Allocation) -> Allocated:
        """Take the block, give its part to the owner, and write all that belongs to it, at once."""
        grant = Grant(
            allocation_id=allocation.allocation_id,
            asks=(self.digest,),
            pool_id=space.pool_id,
            cidr=allocation.cidr,
            created=allocation.created,
            requested=self.request.requested,
            by_create=not self.request.held,
        )
        record = self.record.with_grant(grant)
        audit = note_request(self.ports, "allocated", self.request, allocation)
        operations: list[Operation] = [
            TakeFree(space.pool_id, block),
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
        if self.extend is not None:
            operations += self.extend(allocation)
        change = Change(tuple(operations))
        self.deadline.ensure()
        self.ports.store.commit(change)
        self.ports.memory.use_free(space.pool_id, block)
        self.ports.memory.see_free(space.pool_id, rest)
        self.ports.memory.see_owner(record.stored())
        return Allocated(grant, "allocated")

    def _lost(self, space: Space, taken: Cidr, conflict: Conflict) -> bool:
        """Learn from a refused change; say whether the block was lost to another writer.

        Raises:
            QuotaExceededError: the account's quota does not allow it.
        """
        refused = {type(refusal.operation): refusal for refusal in conflict.refusals if not refusal.busy}
        if PutOwner in refused:
            stored = refused[PutOwner].current or OwnerRecord(self.request.owner)
            self.record = stored.knowing(self.request.held)
            return False
        if ChangeQuota in refused:
            over = self._over_quota(space, taken)
            if over is not None:
                raise over
        # While another transaction is under way, what it puts may show before what it takes is gone.
        busy = any(refusal.busy for refusal in conflict.refusals)
        if not busy and TakeFree not in refused and {PutAllocation, PutFree} & refused.keys():
            message = f"I1: a free block of {space.pool_id} was held by someone"
            raise AssertionError(message)
        return True

    def _over_quota(self, space: Space, taken: Cidr) -> QuotaExceededError | None:
        """Tell which limit of the quota was met; None if it no longer is, because something was just released."""
        held = self.ports.store.quota(self.request.account, space.pool_id)
        limits = {
            "allocations": (space.quota.allocations, held.allocations + 1),
            "units": (space.quota.units, held.units + units(taken)),
        }
        for what, (limit, wanted) in limits.items():
            if limit is not None and wanted > limit:
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
        exact = self.request.ask.cidr
        if exact is not None:
            return CidrNotFreeError(space.name, exact, self._until(space, exact))
        cooling = self.ports.store.cooling(space.pool_id, MAX_COOLING)
        cooling = [block for block in cooling if block.cidr.family == self._family]
        return PoolExhaustedError(
            pool=space.name,
            asked=length,
            largest=self.ports.store.largest_free(space.pool_id, self._family),
            cooling_blocks=len(cooling),
            cooling_addresses=sum(block.cidr.size for block in cooling),
            cooling_until=cooling[0].until if cooling else None,
            provisioned=bool(space.provisioned),
        )

    @property
    def _family(self) -> Family:
        return self.request.ask.family
