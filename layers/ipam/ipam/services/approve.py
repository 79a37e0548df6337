"""Approval: a request for a large block waits for an administrator's word.

    request -> asked for (stored with the event) -> decided by `ipam approve` -> the event is handled again -> allocated
                                                 |
                                                 +-- not in time: handled once more, and refused

Nothing waits but the stored request. One approval is for one request: this owner, these words, this pool, this size,
this moment of CloudFormation's clock; the allocation takes it away in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.allocation import Approval
from ipam.domain.change import Change, DecideApproval, PutApproval, PutAudit
from ipam.domain.errors import ApprovalPendingError, DeniedError, NoSuchApprovalError
from ipam.services.audit import OnBehalf, note_request
from ipam.services.ports import Conflict, Happening

if TYPE_CHECKING:
    from ipam.domain.allocation import AuditEvent
    from ipam.domain.pool import Pool
    from ipam.services.order import AllocateRequest
    from ipam.services.ports import Ports

PREFIX: Final = "approval-"
DIGITS: Final = 17


def approved(ports: Ports, request: AllocateRequest, digest: str, pool: Pool, length: int) -> str:
    """Give the id of the approval that a request has, or let it wait for one.

    Raises:
        ApprovalPendingError: it has to wait; that is written down, with the event.
        DeniedError: it was refused, or nobody decided in time, or it cannot wait.
    """
    facts = [request.owner.party, request.owner.name, digest, pool.pool_id, length, request.requested]
    approval_id = PREFIX + hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:DIGITS]
    if request.waiting is None:
        raise DeniedError(pool.name, length, "", "")
    approval = ports.store.approval(approval_id) or _ask(ports, request, pool, length, approval_id)
    if approval.decision == "approved":
        return approval_id
    if approval.decision == "denied" or ports.clock.now() >= approval.until:
        raise DeniedError(pool.name, length, approval.decided_by, approval.note)
    raise ApprovalPendingError(approval_id, pool.name, length, approval.until)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an administrator decides: who that is, and why."""

    decision: Literal["approved", "denied"]
    by: str
    note: str = ""


def decide(ports: Ports, approval_id: str, verdict: Verdict, cause: str) -> Approval:
    """Store an administrator's word; whoever calls this has the event handled again.

    Deciding the same again changes nothing and is no error, so that an interrupted run can be repeated.

    Raises:
        NoSuchApprovalError: there is none of that id, or it was decided otherwise, or it is too late.
    """
    approval = ports.store.approval(approval_id)
    if approval is None:
        raise NoSuchApprovalError(approval_id, "unknown")
    if approval.decision == "waiting" and ports.clock.now() < approval.until:
        decided = replace(approval, decision=verdict.decision, decided_by=verdict.by, note=verdict.note)
        audit = note_request(ports, verdict.decision, OnBehalf(approval.owner, approval.account, cause), None)
        try:
            ports.store.commit(Change((DecideApproval(decided), PutAudit(audit))))
        except Conflict:
            decided = ports.store.approval(approval_id) or approval
        approval = decided
    if approval.decision != verdict.decision:
        why = "too late" if approval.decision == "waiting" else approval.decision
        raise NoSuchApprovalError(approval_id, why)
    return approval


def _ask(ports: Ports, request: AllocateRequest, pool: Pool, length: int, approval_id: str) -> Approval:
    """Write down that a request waits, and tell whoever listens."""
    waiting = request.waiting
    approval = Approval(
        approval_id=approval_id,
        owner=request.owner,
        account=request.account,
        pool_id=pool.pool_id,
        netmask_length=length,
        description=request.description,
        asked=ports.clock.now(),
        until=0 if waiting is None else waiting.until,
        event="" if waiting is None else waiting.event,
    )
    event: AuditEvent = "approval-asked"
    try:
        ports.store.commit(Change((PutApproval(approval), PutAudit(note_request(ports, event, request, None)))))
    except Conflict:
        return ports.store.approval(approval_id) or approval
    ports.happenings.tell(
        Happening(
            "Approval Asked",
            {
                "approvalId": approval_id,
                "account": request.account,
                "stackId": request.owner.party,
                "logicalResourceId": request.owner.name,
                "poolName": pool.name,
                "netmaskLength": length,
                "description": request.description,
                "until": approval.until,
            },
        )
    )
    return approval
