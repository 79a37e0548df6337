"""Allocate: give one free block to one owner, from the first pool that may serve it and has room."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.errors import (
    ContendedError,
    DeniedError,
    NetmaskLengthError,
    NoPoolForRequestError,
    NoSuchPreviewError,
    NoSuchTenantError,
    PermanentError,
    PoolMismatchError,
    PoolNotSharedError,
    QuotaExceededError,
    ServiceUnavailableError,
    SupersededError,
    refusal_name,
)
from ipam.domain.owner import OwnerRecord
from ipam.domain.pool import NO_RULES, AllocationRules
from ipam.domain.preview import read_token
from ipam.services.approve import WAITING_REQUESTS, approved
from ipam.services.keep import keep
from ipam.services.order import Order
from ipam.services.plan import current_plan
from ipam.services.redeem import redeem
from ipam.services.request import MAX_ATTEMPTS, Allocated
from ipam.services.serve import serve
from ipam.services.sharing import check_shared
from ipam.services.vpc_ipam import order_from_vpc_ipam

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import Allocation
    from ipam.domain.change import Operation
    from ipam.domain.plan import Ask, Plan
    from ipam.domain.pool import Pool
    from ipam.services.ports import Deadline, Ports
    from ipam.services.request import AllocateRequest

PASSED_OVER_KEPT: Final = 8
"""How many of the pools that could not serve a request its answer names."""

_UNTELLING: Final = (PoolMismatchError, PoolNotSharedError)
"""Refusals that are not the answer where another pool says more: that a pool is for something, or somebody, else."""


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
    order = Order(ports, request, deadline, record or OwnerRecord(request.owner))
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
    order = Order(ports, request, deadline, OwnerRecord(request.owner), extend)
    space = replace(current_plan(ports, fresh=True).space(parent_id), rules=NO_RULES)
    length = request.ask.netmask_length if request.ask.cidr is None else request.ask.cidr.length
    if length is None:
        raise NetmaskLengthError(space.name, None, "NetmaskLength", None)
    return _unless_granted(order, lambda: serve(order, space, length))


def _unless_granted(order: Order, granting: Callable[[], Allocated]) -> Allocated:
    """Serve an order, but never refuse what was granted: rules may have changed since, and the pool may be full now.

    Neither does it matter then that the organisation does not say who may have it.

    Raises:
        ContendedError: other requests of the same owner changed its record again and again.
    """
    try:
        allocated = granting()
    except (PermanentError, ServiceUnavailableError):
        with contextlib.suppress(SupersededError):
            order.reread()
        grant = order.record.for_ask(order.digest)
        if grant is None:
            raise
        allocated = Allocated(grant, "kept")
    for _ in range(MAX_ATTEMPTS):
        if allocated.outcome == "allocated":
            return allocated
        kept = keep(order.ports, order.request, order.record, allocated.grant, order.deadline)
        if kept is not None:
            return Allocated(kept, "kept")
        allocated = order.reread() or granting()
    raise ContendedError(order.request.owner.name, MAX_ATTEMPTS)


def _from_first_with_room(order: Order) -> Allocated:
    """Serve an order by the plan; what a remembered plan refuses is tried once more by the plan as it is now."""
    remembered = order.ports.memory.plan(order.ports.clock.now())
    if remembered is not None:
        with contextlib.suppress(PermanentError):
            return _by_plan(order, remembered)
    return _by_plan(order, current_plan(order.ports, fresh=True))


def _by_plan(order: Order, plan: Plan) -> Allocated:
    """Try the pools in their order; if none serves, the first refusal that tells something is the answer.

    A pool whose block needs an administrator's word is not passed over for the next, whether the request waits for it,
    is denied it, or cannot wait: else whoever has no time would be given what others have to ask for.
    """
    request = order.request
    if request.by_tenant and not plan.is_tenant(request.account):
        # Before anything is told of the plan.
        raise NoSuchTenantError(request.account)
    order.passed_over = ()
    refusals: list[tuple[str, PermanentError]] = []
    for pool in _asked_for(request.ask, plan):
        try:
            return _from_pool(order, plan, pool)
        except PermanentError as refusal:
            if _is_final(refusal):
                raise
            refusals.append((pool.name, refusal))
            order.passed_over = (*order.passed_over, (pool.name, refusal_name(refusal)))[:PASSED_OVER_KEPT]
    raise _answer(request.ask, refusals)


def _answer(ask: Ask, refusals: list[tuple[str, PermanentError]]) -> PermanentError:
    """Choose the refusal to answer with, and note the other pools with it; of those unnamed, what tells something."""
    telling = [(pool, each) for pool, each in refusals if not isinstance(each, _UNTELLING)]
    if not (telling or ask.named or ask.preview_token):
        # None of these is for the account: they are not its business, and it has not reached for them.
        return NoPoolForRequestError(ask.locale, ask.allocation_type, ask.family, ask.pool_tags)
    _, answer = (telling or refusals)[0]
    others = refusals if ask.named else telling
    answer.beside = tuple((pool, refusal_name(each)) for pool, each in others if each is not answer)[:PASSED_OVER_KEPT]
    return answer


def _is_final(refusal: PermanentError) -> bool:
    """Whether no other pool is to be tried: the request is over, or an approval is needed and does not come."""
    waits_in_vain = isinstance(refusal, QuotaExceededError) and refusal.what == WAITING_REQUESTS
    return waits_in_vain or isinstance(refusal, SupersededError | DeniedError)


def _asked_for(ask: Ask, plan: Plan) -> list[Pool]:
    """Tell the pools to try: a preview's block is where its token says, if that is a pool which may serve the request.

    Of any other pool nothing is told: whoever makes up a token learns nothing by it.
    """
    if not ask.preview_token:
        return plan.asked_for(ask)
    token = read_token(ask.preview_token)
    pool = None if token is None else plan.pools.get(token.pool_id)
    if pool is None or plan.mismatch(pool, ask) is not None or (ask.named and pool not in plan.asked_for(ask)):
        raise NoSuchPreviewError(ask.preview_token)
    return [pool]


def _from_pool(order: Order, plan: Plan, pool: Pool) -> Allocated:
    """Serve an order from one pool, if that may serve it."""
    request, rules = order.request, pool.rules
    order.extend = None
    mismatch = plan.mismatch(pool, request.ask)
    if mismatch is not None:
        raise mismatch
    if not request.by_administrator:
        check_shared(order.ports, pool, request.account)
    rules.check_tags(pool.name, request.tags)
    space = plan.space_for(pool.pool_id, request.account)
    if request.ask.preview_token:
        return redeem(order, space)
    asked = request.ask.netmask_length if request.ask.cidr is None else request.ask.cidr.length
    length = rules.resolve(pool.name, asked)
    if request.ask.cidr is not None:
        rules.check_block(pool.name, request.ask.cidr)
        own = AllocationRules(allowed_cidrs=request.ask.allowed_cidrs, disallowed_cidrs=request.ask.disallowed_cidrs)
        own.check_block(pool.name, request.ask.cidr)
    known = order.known()
    if known is not None:
        return known
    if rules.waits_for_approval(length) and not request.by_administrator:
        known = approved(order, pool, length)
        if known is not None:
            return known
    if pool.vpc_ipam_pool_id:
        return order_from_vpc_ipam(order, space, pool, length)
    return serve(order, space, length)
