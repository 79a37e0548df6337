"""Approval: a request for a large block waits for an administrator's word.

    request -> waits, stored with its event -> decided by `ipam approve` ------> handed over: handled again and answered
                                            |                               |
                                            +-- not in time: upkeep denies -+

Nothing waits but the stored request. One approval is for one request: this owner, these words, this pool, this size,
this moment of CloudFormation's clock; the allocation takes it away in the same transaction.

A decided request is handed over at least once: the function takes its event, then the event is struck out. Whoever
decides does both; what he did not get to, upkeep does (docs/decisions/0008).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.allocation import Approval
from ipam.domain.change import Change, CloseApproval, DecideApproval, PutApproval, PutAudit, UseApproval
from ipam.domain.errors import (
    ApprovalPendingError,
    DeniedError,
    NoSuchApprovalError,
    QuotaExceededError,
    TemporaryError,
)
from ipam.domain.stack import StackId
from ipam.services.audit import OnBehalf, note_request
from ipam.services.ports.outside import Happening
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from ipam.services.order import Order
    from ipam.services.ports import Deadline, Ports
    from ipam.services.request import Allocated, AllocateRequest

PREFIX: Final = "approval-"
DIGITS: Final = 32
"""128 bits: nobody finds two requests that have one name."""


CAUSE: Final = "approvals"

MARGIN: Final = 600_000
"""Milliseconds between the latest moment for a decision and the one at which CloudFormation gives up: upkeep comes by
within five minutes, and Lambda needs three for all of its tries to answer."""

SHORTEST: Final = 120_000
"""Milliseconds that there have to be for a decision: no administrator is asked for a word that cannot come in time."""

MAX_WAITING: Final = 20
"""Requests of one account that may wait at once: each is an errand for an administrator."""

WAITING_REQUESTS: Final = "waiting requests"
"""What an account has too much of that may not let another request wait."""

MAX_HANDED_OVER: Final = 200
"""Requests that one run of upkeep hands over."""

MAX_FAILED: Final = 3
"""Requests that a Region does not take before a run leaves its others to the next one: each may take seconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an administrator decides: who that is, and why."""

    decision: Literal["approved", "denied"]
    by: str
    note: str = ""


def approved(order: Order, pool: Pool, length: int) -> Allocated | None:
    """Let an order go on with the approval that it has, which goes in the change of the allocation, or let it wait.

    Returns:
        The allocation that the owner has already: its approval is gone. None lets the order go on.

    Raises:
        ApprovalPendingError: it has to wait; that is written down, with the event.
        DeniedError: it was refused, or nobody decided in time, or it cannot wait.
        QuotaExceededError: too many requests of the account wait already.
        SupersededError: a later request has ended what this one asks for.
    """
    ports = order.ports
    approval_id = _name(order, pool, length)
    approval = ports.store.approval(approval_id)
    if approval is None:
        # Read after the approval, which goes when the allocation comes: one of the two is seen.
        known = order.reread()
        if known is not None:
            return known
        approval = _ask(ports, order.request, pool, length, approval_id)
    if not _is_of(approval, order, pool, length):
        raise DeniedError(pool.name, length, "", "")
    if approval.decision == "approved":
        order.extend = lambda _: (UseApproval(approval_id),)
        return None
    if approval.decision == "denied" or ports.clock.now() >= approval.until:
        raise DeniedError(pool.name, length, approval.decided_by, approval.note)
    raise ApprovalPendingError(approval_id, pool.name, length, approval.until)


def decide(ports: Ports, approval_id: str, verdict: Verdict, cause: str) -> Approval:
    """Store an administrator's word; whoever calls this then has the request handled again, by `hand_over`.

    Deciding the same again changes nothing and is no error, so that an interrupted run can be repeated.

    Raises:
        NoSuchApprovalError: there is none of that id, or it was decided otherwise, or it is too late.
    """
    approval = ports.store.approval(approval_id)
    if approval is None:
        raise NoSuchApprovalError(approval_id, "unknown")
    if approval.decision == "waiting" and ports.clock.now() < approval.until:
        decided = replace(approval, decision=verdict.decision, decided_by=verdict.by, note=verdict.note)
        approval = _decide(ports, decided, cause) or ports.store.approval(approval_id) or approval
    if approval.decision == "waiting" or not approval.decided_by:
        raise NoSuchApprovalError(approval_id, "too late")
    if approval.decision != verdict.decision:
        raise NoSuchApprovalError(approval_id, approval.decision)
    return approval


def hand_over(ports: Ports, approval: Approval, cause: str) -> None:
    """Have a decided request handled again, and strike its event out once it was taken; a second time does nothing.

    Raises:
        ServiceUnavailableError: it was not taken; upkeep tries again.
        StoreUnavailableError: it was taken, but that could not be written down; upkeep hands it over once more.
    """
    if not approval.event:
        return
    ports.redelivery.redeliver(approval.event)
    audit = note_request(ports, "redelivered", OnBehalf(approval.owner, approval.account, cause), None)
    # A conflict says that it has been used, or struck out, meanwhile.
    with contextlib.suppress(Conflict):
        ports.store.commit(Change((CloseApproval(replace(approval, event="")), PutAudit(audit))))


def overdue(ports: Ports) -> list[Approval]:
    """Give the requests that have to be handled again: decided and not handed over, or not decided in time.

    Once CloudFormation has given up there is nobody left to answer.
    """
    now = ports.clock.now()
    kept = [each for each in ports.store.approvals() if each.event and now < each.until + MARGIN]
    late = (each for each in kept if each.decision != "waiting" or each.until <= now)
    return sorted(late, key=lambda each: (each.until, each.approval_id))


def keep_approvals(ports: Ports, deadline: Deadline) -> tuple[int, tuple[TemporaryError, ...]]:
    """Hand over what is overdue; deny first what nobody has decided in time.

    The word is written before the event is handed over, so that what handles it can only refuse, whatever its clock
    says. Neither a request that fails keeps the others, nor a Region that takes none.

    Returns:
        How many were handed over, and why others could not be; the next run tries again.
    """
    done = 0
    errors: list[TemporaryError] = []
    failed: Counter[str] = Counter()
    try:
        for approval in overdue(ports):
            region = _region(approval)
            if failed[region] == MAX_FAILED:
                continue
            if done + len(errors) == MAX_HANDED_OVER:
                break
            deadline.ensure()
            denied = replace(approval, decision="denied")
            decided = _decide(ports, denied, CAUSE) if approval.decision == "waiting" else approval
            if decided is None:
                continue
            try:
                hand_over(ports, decided, CAUSE)
                done += 1
            except TemporaryError as error:
                errors.append(error)
                failed[region] += 1
    except TemporaryError as error:
        errors.append(error)
    return done, tuple(errors)


def _region(approval: Approval) -> str:
    """Tell the Region whose function a request goes back to."""
    stack = StackId.parse(approval.owner.party)
    return "" if stack is None else stack.region


def _name(order: Order, pool: Pool, length: int) -> str:
    """Name the approval of a request."""
    request = order.request
    facts = [request.owner.party, request.owner.name, order.digest, pool.pool_id, length, request.requested]
    return PREFIX + hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:DIGITS]


def _is_of(approval: Approval, order: Order, pool: Pool, length: int) -> bool:
    """Whether an approval is of this very order: its short name alone is no proof."""
    wanted = (order.request.owner, order.request.account, pool.pool_id, length)
    return wanted == (approval.owner, approval.account, approval.pool_id, approval.netmask_length)


def _decide(ports: Ports, decided: Approval, cause: str) -> Approval | None:
    """Store a decision; None if there was one before it."""
    requester = OnBehalf(decided.owner, decided.account, cause)
    event: Literal["approved", "denied"] = "approved" if decided.decision == "approved" else "denied"
    audit = note_request(ports, event, requester, None, said=decided.note)
    try:
        ports.store.commit(Change((DecideApproval(decided), PutAudit(audit))))
    except Conflict:
        return None
    return decided


def _ask(ports: Ports, request: AllocateRequest, pool: Pool, length: int, approval_id: str) -> Approval:
    """Tell whoever listens that a request waits, and write it down.

    In this order, so that it is told once at least: a delivery that is interrupted in between comes again.

    Raises:
        DeniedError: it cannot wait.
        QuotaExceededError: too many requests of the account wait already.
    """
    waiting, now = request.waiting, ports.clock.now()
    if waiting is None or waiting.until < now + SHORTEST:
        raise DeniedError(pool.name, length, "", "", waits=False)
    # What is too late by now counts until it was handed over: else many short waits would fill the list.
    others = (each for each in ports.store.approvals() if each.account == request.account and each.event)
    if sum(each.decision == "waiting" for each in others) >= MAX_WAITING:
        raise QuotaExceededError(pool.name, request.account, WAITING_REQUESTS, MAX_WAITING)
    approval = Approval(
        approval_id=approval_id,
        owner=request.owner,
        account=request.account,
        pool_id=pool.pool_id,
        netmask_length=length,
        description=request.description,
        asked=now,
        until=waiting.until,
        event=waiting.event,
    )
    _tell(ports, approval, pool)
    try:
        audit = note_request(ports, "approval-asked", request, None)
        ports.store.commit(Change((PutApproval(approval), PutAudit(audit))))
    except Conflict:
        return ports.store.approval(approval_id) or approval
    return approval


def _tell(ports: Ports, approval: Approval, pool: Pool) -> None:
    """Tell that a request waits."""
    facts: dict[str, str | int] = {
        "approvalId": approval.approval_id,
        "account": approval.account,
        "stackId": approval.owner.party,
        "logicalResourceId": approval.owner.name,
        "poolId": pool.pool_id,
        "poolName": pool.name,
        "netmaskLength": approval.netmask_length,
        "description": approval.description,
        "until": approval.until,
    }
    ports.happenings.tell(Happening("Approval Asked", facts))
