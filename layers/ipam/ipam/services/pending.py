"""Orders on their way to Amazon VPC IPAM: what is allocated there, and not, or not yet, here.

    written down ---------------- struck out, by the change that allocates the block here
         |
         +-- ended -------------- forgotten, when nothing of it is to be seen there any more

Whatever an order comes to, the transaction that takes it away decides it, and there is one such transaction. So:

- a block is allocated here only while its order is open: a slow process, or a second delivery, that comes after the
  end of the order allocates nothing;
- an allocation is given back there only by its id, and only after its order was ended: so never one that is used here;
- a token is random, and no order has that of another: Amazon VPC IPAM answers a token that it knows with the same
  allocation, even if that was given back long ago.

An order is known there by its token, which is the allocation's description. What has our description and no order here
is none of ours to end: it may be another deployment's.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.allocation import PendingOrder
from ipam.domain.change import Change, PutAudit, PutPending, TakePending, TouchPool
from ipam.domain.errors import ContendedError, NoSuchPoolError, VpcIpamRefusedError
from ipam.services.audit import OnBehalf, note_request
from ipam.services.contention import back_off
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from ipam.services.audit import Requester
    from ipam.services.ports import Deadline, Ports
    from ipam.services.ports.outside import Chosen

CAUSE: Final = "vpc-ipam"

MAX_ATTEMPTS: Final = 10
"""Tries of one change, against other transactions on the same items."""

REUSED: Final = 600_000
"""Milliseconds for which another delivery of the request goes on with an order."""

PATIENCE: Final = 900_000
"""Milliseconds after which an order is ended that nobody has any more: whoever goes on with one has begun before
`REUSED`, and runs for a minute or two."""

WATCHED: Final = 3_600_000
"""Milliseconds for which an ended order is looked for at Amazon VPC IPAM: so long what was done there may not be to be
seen yet."""

ENDED: Final = "ended-"
"""What the token of an order that was ended begins with."""

DIGITS: Final = 16
"""Random digits of a token, beside as many that name what is ordered."""

_DESCRIPTION = re.compile(r"cn-ipam order ([0-9a-f]+)")


def write_down(ports: Ports, pool: Pool, requester: Requester, facts: str, deadline: Deadline) -> PendingOrder:
    """Give the order of an earlier delivery of the same request, or write down a new one.

    Args:
        ports: the collaborators.
        pool: our pool.
        requester: who asks.
        facts: digits that name all that is asked of Amazon VPC IPAM: the same token has to mean the same there.
        deadline: ends the work before a commit that could not be answered.

    Raises:
        ContendedError: other transactions were always in the way.
    """
    now = ports.clock.now()
    for order in ports.store.orders(pool.pool_id):
        if order.owner == requester.owner and order.token.startswith(facts) and now - order.ordered < REUSED:
            return order
    token = facts + ports.chance.hex_digits(DIGITS)
    order = PendingOrder(pool.pool_id, token, requester.owner, requester.account, now)
    for attempt in range(MAX_ATTEMPTS):
        deadline.ensure()
        audit = note_request(ports, "ordered", requester, None)
        try:
            # A pool that goes meanwhile takes nothing with it that nobody looks for.
            ports.store.commit(Change((PutPending(order), TouchPool(pool.pool_id), PutAudit(audit))))
        except Conflict as conflict:
            if any(isinstance(each.operation, TouchPool) and not each.busy for each in conflict.refusals):
                raise NoSuchPoolError(pool.name) from None
            back_off(ports, attempt)
        else:
            return order
    raise ContendedError(pool.name, MAX_ATTEMPTS)


def describe(order: PendingOrder) -> str:
    """Say what the allocation of an order is called at Amazon VPC IPAM."""
    return f"cn-ipam order {order.token}" + (f" for account {order.account}" if order.account else "")


def end(ports: Ports, order: PendingOrder, cause: str, deadline: Deadline) -> bool:
    """End an order, so that nothing is allocated here by it any more.

    Returns:
        Whether this has ended it: only then may be given back what it came to. Otherwise it was struck out or ended
        already, or it is left to upkeep.
    """
    ended = replace(order, token=ENDED + order.token, ordered=ports.clock.now())
    requester = OnBehalf(order.owner, order.account, cause)
    for attempt in range(MAX_ATTEMPTS):
        deadline.ensure()
        audit = note_request(ports, "order-ended", requester, None)
        try:
            ports.store.commit(Change((TakePending(order.pool_id, order.token), PutPending(ended), PutAudit(audit))))
        except Conflict as conflict:
            if not any(refusal.busy for refusal in conflict.refusals):
                return False
            back_off(ports, attempt)
        else:
            return True
    return False


def mend(ports: Ports, pool: Pool, deadline: Deadline) -> bool:
    """End the orders of a pool that nobody has any more, and give back what ended ones came to; nothing is allocated.

    Returns:
        Whether anything was changed, here or at Amazon VPC IPAM.

    Raises:
        OutOfTimeError: there is more to do than the time that is left.
        ServiceUnavailableError: Amazon VPC IPAM did not answer; the next run goes on.
        VpcIpamRefusedError: it does not take something back.
    """
    now = ports.clock.now()
    orders = ports.store.orders(pool.pool_id)
    ended = [order for order in orders if _is_ended(order)]
    late = [order for order in orders if not _is_ended(order) and now - order.ordered >= PATIENCE]
    # One that is not ended by this, though it is late, may have been allocated here just now.
    tokens = {order.token for order in late if end(ports, order, CAUSE, deadline)}
    changed = bool(tokens)
    tokens |= {order.token.removeprefix(ENDED) for order in ended}
    if not tokens:
        return changed
    there = ports.vpc_ipam.allocations(pool.locale, pool.vpc_ipam_pool_id)
    left = [chosen for chosen in there if _token(chosen) in tokens]
    refusals: list[VpcIpamRefusedError] = []
    for chosen in left:
        deadline.ensure()
        try:
            changed |= _give_back(ports, pool, chosen)
        except VpcIpamRefusedError as refusal:
            refusals.append(refusal)
    seen = {ENDED + _token(chosen) for chosen in left}
    for order in ended:
        if order.token not in seen and now - order.ordered >= WATCHED:
            changed |= _forget(ports, order, deadline)
    if refusals:
        raise refusals[0]
    return changed


def _is_ended(order: PendingOrder) -> bool:
    return order.token.startswith(ENDED)


def _token(chosen: Chosen) -> str:
    """Read of which order of ours an allocation there is; "" of none."""
    ours = _DESCRIPTION.match(chosen.description)
    return "" if ours is None else ours[1]


def _give_back(ports: Ports, pool: Pool, chosen: Chosen) -> bool:
    """Give back what an ended order came to; say whether it was still there.

    That its order was ended says that it is not used here; it is looked up all the same, before a network loses its
    address.
    """
    held = ports.store.allocations(pool.pool_id, chosen.cidr)
    if any(each.vpc_ipam_allocation_id == chosen.allocation_id for each in held):
        return False
    return ports.vpc_ipam.release(pool.locale, pool.vpc_ipam_pool_id, chosen.cidr, chosen.allocation_id)


def _forget(ports: Ports, order: PendingOrder, deadline: Deadline) -> bool:
    """Forget an order that was ended long ago; say whether it was done here."""
    audit = note_request(ports, "order-ended", OnBehalf(order.owner, order.account, CAUSE), None)
    deadline.ensure()
    try:
        ports.store.commit(Change((TakePending(order.pool_id, order.token), PutAudit(audit))))
    except Conflict:
        return False
    return True
