"""The items of requests: what an owner was granted, what waits for somebody, and what is written down of it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from ipam.adapters.dynamodb import keys
from ipam.adapters.dynamodb.attributes import entries, from_tags, number, optional, pack, text, texts, to_tags
from ipam.domain.allocation import Approval, AuditEvent, AuditRecord, Decision, PendingOrder
from ipam.domain.attempt import Attempt, Kind, date_of
from ipam.domain.owner import Grant, OwnerKey, OwnerRecord

if TYPE_CHECKING:
    from ipam.adapters.dynamodb.attributes import Item

APPROVAL_KEPT: Final = 30 * 24 * 3600
"""Seconds for which an approval that has come too late is remembered."""


def from_owner(record: OwnerRecord, expires: int | None) -> Item:
    """Write an owner's record as the store has it after this change."""
    return pack(
        keys.owner(record.owner),
        version=record.version + 1,
        fence=record.fence,
        grants=[_from_grant(grant) for grant in record.grants],
        returned=list(record.returned),
        expires=expires,
    )


def _from_grant(grant: Grant) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "allocation_id": grant.allocation_id,
        "asks": list(grant.asks),
        "pool_id": grant.pool_id,
        "block": keys.block(grant.cidr),
        "created": grant.created,
        "requested": grant.requested,
        "by_create": grant.by_create,
        "acknowledged": grant.acknowledged,
        "returners": list(grant.returners),
    }
    if grant.expires is not None:
        fields["expires"] = grant.expires
    if grant.preview:
        fields["preview"] = True
    if grant.vpc_ipam_allocation_id:
        fields["vpc_ipam_allocation_id"] = grant.vpc_ipam_allocation_id
    if grant.passed_over:
        fields["passed_over"] = from_tags(grant.passed_over)
    if grant.resumed:
        fields["resumed"] = grant.resumed
    return fields


def to_owner(item: Item) -> OwnerRecord:
    """Read an owner's record."""
    return OwnerRecord(
        owner=OwnerKey(text(item, keys.PARTITION_KEY).split("#", 1)[1], text(item, keys.SORT_KEY)),
        version=number(item, "version"),
        fence=optional(item, "fence"),
        grants=tuple(_to_grant(entry["M"]) for entry in entries(item, "grants")),
        returned=texts(item, "returned"),
    )


def _to_grant(item: Item) -> Grant:
    return Grant(
        allocation_id=text(item, "allocation_id"),
        asks=texts(item, "asks"),
        pool_id=text(item, "pool_id"),
        cidr=keys.parse_block(text(item, "block")),
        created=number(item, "created"),
        requested=number(item, "requested"),
        by_create=item["by_create"]["BOOL"],
        acknowledged=item["acknowledged"]["BOOL"],
        returners=texts(item, "returners"),
        expires=optional(item, "expires"),
        preview="preview" in item,
        vpc_ipam_allocation_id=text(item, "vpc_ipam_allocation_id"),
        passed_over=to_tags(item, "passed_over"),
        resumed=optional(item, "resumed") or 0,
    )


def from_approval(approval: Approval) -> Item:
    """Write an approval; the store forgets it some time after it has come too late."""
    return pack(
        keys.approval(approval.approval_id),
        party=approval.owner.party,
        owner=approval.owner.name,
        account=approval.account,
        pool_id=approval.pool_id,
        netmask_length=approval.netmask_length,
        description=approval.description,
        asked=approval.asked,
        until=approval.until,
        decision=approval.decision,
        decided_by=approval.decided_by,
        note=approval.note,
        event=approval.event,
        expires=approval.until // 1000 + APPROVAL_KEPT,
    )


def to_approval(item: Item) -> Approval:
    """Read an approval."""
    return Approval(
        approval_id=text(item, keys.SORT_KEY),
        owner=OwnerKey(text(item, "party"), text(item, "owner")),
        account=text(item, "account"),
        pool_id=text(item, "pool_id"),
        netmask_length=number(item, "netmask_length"),
        description=text(item, "description"),
        asked=number(item, "asked"),
        until=number(item, "until"),
        decision=cast("Decision", text(item, "decision")),
        decided_by=text(item, "decided_by"),
        note=text(item, "note"),
        event=text(item, "event"),
    )


def from_order(order: PendingOrder) -> Item:
    """Write an order that is on its way to Amazon VPC IPAM."""
    return pack(
        keys.order(order.pool_id, order.token),
        party=order.owner.party,
        owner=order.owner.name,
        account=order.account,
        ordered=order.ordered,
    )


def to_order(item: Item) -> PendingOrder:
    """Read an order."""
    return PendingOrder(
        pool_id=text(item, keys.PARTITION_KEY).split("#", 1)[1],
        token=text(item, keys.SORT_KEY),
        owner=OwnerKey(text(item, "party"), text(item, "owner")),
        account=text(item, "account"),
        ordered=number(item, "ordered"),
    )


def from_audit(record: AuditRecord) -> Item:
    """Write an audit record."""
    return pack(
        keys.audit(record.subject, record.cidr, record.at, record.serial),
        event=record.event,
        cidr=None if record.cidr is None else str(record.cidr),
        allocation_id=record.allocation_id,
        party=None if record.owner is None else record.owner.party,
        owner=None if record.owner is None else record.owner.name,
        account=record.account,
        cause=record.cause,
        note=record.note,
    )


def to_audit(item: Item) -> AuditRecord:
    """Read an audit record."""
    block, at, serial = text(item, keys.SORT_KEY).rsplit("#", 2)
    return AuditRecord(
        subject=text(item, keys.PARTITION_KEY).split("#", 1)[1],
        cidr=None if block == "-" else keys.parse_block(block),
        at=int(at),
        event=cast("AuditEvent", text(item, "event")),
        allocation_id=text(item, "allocation_id"),
        owner=OwnerKey(text(item, "party"), text(item, "owner")) if "owner" in item else None,
        account=text(item, "account"),
        cause=text(item, "cause"),
        serial=serial,
        note=text(item, "note"),
    )


def from_attempt(attempt: Attempt) -> Item:
    """Write an attempt; the store forgets it with its day."""
    return pack(
        keys.attempt(date_of(attempt.day), attempt.account, attempt.slot),
        at=attempt.at,
        account=attempt.account,
        kind=attempt.kind,
        reason=attempt.reason,
        request_type=attempt.request_type,
        resource_type=attempt.resource_type,
        stack_id=attempt.stack_id,
        logical_resource_id=attempt.logical_resource_id,
        request_id=attempt.request_id,
        aws_request_id=attempt.aws_request_id,
        nth=attempt.number,
        expires=attempt.expires,
    )


def to_attempt(item: Item) -> Attempt:
    """Read an attempt."""
    return Attempt(
        at=number(item, "at"),
        account=text(item, "account"),
        kind=cast("Kind", text(item, "kind")),
        reason=text(item, "reason"),
        request_type=text(item, "request_type"),
        resource_type=text(item, "resource_type"),
        stack_id=text(item, "stack_id"),
        logical_resource_id=text(item, "logical_resource_id"),
        request_id=text(item, "request_id"),
        aws_request_id=text(item, "aws_request_id"),
        number=number(item, "nth"),
    )
