"""Records as items of the table and back, in DynamoDB's own attribute values.

Addresses and blocks are strings: DynamoDB's numbers have 38 digits and an IPv6 address may need 39. Optional attributes
that are not set are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from ipam.adapters.dynamodb import keys
from ipam.domain.allocation import (
    Allocation,
    Approval,
    AuditEvent,
    AuditRecord,
    CoolingBlock,
    Decision,
    Lease,
    PendingOrder,
)
from ipam.domain.attempt import Attempt, Kind, date_of
from ipam.domain.change import ChangeQuota
from ipam.domain.orphan import Orphan, OrphanReason, Round
from ipam.domain.owner import Grant, OwnerKey, OwnerRecord
from ipam.domain.pool import (
    AllocationRules,
    AllocationType,
    Pool,
    ProvisionedCidr,
    Quota,
    Scope,
    ScopeType,
    SourceResource,
    Strategy,
)
from ipam.domain.tenant import Standing, Tenant

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr, Family
    from ipam.domain.pool import Tag

Item = dict[str, Any]
"""Attribute names to DynamoDB attribute values, such as {"S": "text"}."""

APPROVAL_KEPT: Final = 30 * 24 * 3600
"""Seconds for which an approval that has come too late is remembered."""

Attribute = str | int | bool | list[Any] | dict[str, Any]


def key_of(key: keys.Key) -> Item:
    """A primary key as DynamoDB wants it."""
    return {keys.PARTITION_KEY: {"S": key.partition}, keys.SORT_KEY: {"S": key.sort}}


def _pack(key: keys.Key, **attributes: Attribute | None) -> Item:
    """Make an item; None and empty values are left out."""
    item = key_of(key)
    for name, value in attributes.items():
        if value is not None and value not in ("", []):
            item[name] = _value(value)
    return item


def _value(value: Attribute) -> dict[str, Any]:
    """Make an attribute value."""
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list():
            return {"L": [_value(entry) for entry in value]}
        case dict():
            return {"M": {name: _value(entry) for name, entry in value.items()}}


def _text(item: Item, name: str) -> str:
    return cast("str", item[name]["S"]) if name in item else ""


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"])


def _optional(item: Item, name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None


def _list(item: Item, name: str) -> list[Any]:
    return cast("list[Any]", item[name]["L"]) if name in item else []


def _texts(item: Item, name: str) -> tuple[str, ...]:
    return tuple(entry["S"] for entry in _list(item, name))


def _from_tags(tags: tuple[Tag, ...]) -> list[list[str]]:
    return [list(tag) for tag in tags]


def _tags(item: Item, name: str = "tags") -> tuple[Tag, ...]:
    pairs = ((entry["L"][0]["S"], entry["L"][1]["S"]) for entry in _list(item, name))
    return tuple(pairs)


def from_scope(scope: Scope) -> Item:
    """Write a scope."""
    return _pack(
        keys.scope(scope.scope_id),
        scope_id=scope.scope_id,
        name=scope.name,
        scope_type=scope.scope_type,
        description=scope.description,
        created=scope.created,
        tags=_from_tags(scope.tags),
        is_default=scope.is_default or None,
        version=scope.version,
    )


def to_scope(item: Item) -> Scope:
    """Read a scope."""
    return Scope(
        scope_id=_text(item, "scope_id"),
        name=_text(item, "name"),
        scope_type=cast("ScopeType", _text(item, "scope_type")),
        description=_text(item, "description"),
        created=_number(item, "created"),
        tags=_tags(item),
        is_default="is_default" in item,
        version=_number(item, "version"),
    )


def from_pool(pool: Pool) -> Item:
    """Write a pool."""
    return _pack(
        keys.pool(pool.pool_id),
        pool_id=pool.pool_id,
        scope_id=pool.scope_id,
        source_pool_id=pool.source_pool_id,
        name=pool.name,
        family=pool.family,
        locale=pool.locale,
        description=pool.description,
        allocation_types=sorted(pool.allocation_types),
        min_netmask_length=pool.rules.min_netmask_length,
        max_netmask_length=pool.rules.max_netmask_length,
        default_netmask_length=pool.rules.default_netmask_length,
        required_tags=_from_tags(pool.rules.required_tags),
        allowed_cidrs=[keys.block(cidr) for cidr in pool.rules.allowed_cidrs],
        disallowed_cidrs=[keys.block(cidr) for cidr in pool.rules.disallowed_cidrs],
        approval_netmask_length=pool.rules.approval_netmask_length,
        lease_seconds=pool.rules.lease_seconds,
        strategy=pool.rules.strategy,
        quota_allocations=pool.quota.allocations,
        quota_units=pool.quota.units,
        cooling_seconds=pool.cooling_seconds,
        created=pool.created,
        tags=_from_tags(pool.tags),
        shared_with=list(pool.shared_with),
        source_resource=_from_source(pool.source_resource),
        vpc_ipam_pool_id=pool.vpc_ipam_pool_id,
        auto_import=pool.auto_import or None,
        sticky=pool.sticky or None,
        version=pool.version,
    )


def to_pool(item: Item) -> Pool:
    """Read a pool."""
    return Pool(
        pool_id=_text(item, "pool_id"),
        scope_id=_text(item, "scope_id"),
        source_pool_id=_text(item, "source_pool_id") or None,
        name=_text(item, "name"),
        family=cast("Family", _number(item, "family")),
        locale=_text(item, "locale"),
        description=_text(item, "description"),
        allocation_types=frozenset(cast("tuple[AllocationType, ...]", _texts(item, "allocation_types"))),
        rules=AllocationRules(
            min_netmask_length=_optional(item, "min_netmask_length"),
            max_netmask_length=_optional(item, "max_netmask_length"),
            default_netmask_length=_optional(item, "default_netmask_length"),
            required_tags=_tags(item, "required_tags"),
            allowed_cidrs=tuple(keys.parse_block(text) for text in _texts(item, "allowed_cidrs")),
            disallowed_cidrs=tuple(keys.parse_block(text) for text in _texts(item, "disallowed_cidrs")),
            approval_netmask_length=_optional(item, "approval_netmask_length"),
            lease_seconds=_optional(item, "lease_seconds"),
            strategy=cast("Strategy", _text(item, "strategy")),
        ),
        quota=Quota(_optional(item, "quota_allocations"), _optional(item, "quota_units")),
        cooling_seconds=_number(item, "cooling_seconds"),
        created=_number(item, "created"),
        tags=_tags(item),
        shared_with=_texts(item, "shared_with"),
        source_resource=_to_source(item),
        vpc_ipam_pool_id=_text(item, "vpc_ipam_pool_id"),
        auto_import="auto_import" in item,
        sticky="sticky" in item,
        version=_number(item, "version"),
    )


def _from_source(resource: SourceResource | None) -> dict[str, str] | None:
    if resource is None:
        return None
    return {"resource_id": resource.resource_id, "owner": resource.owner, "region": resource.region}


def _to_source(item: Item) -> SourceResource | None:
    if "source_resource" not in item:
        return None
    fields = item["source_resource"]["M"]
    return SourceResource(_text(fields, "resource_id"), _text(fields, "owner"), _text(fields, "region"))


def from_provisioned(block: ProvisionedCidr) -> Item:
    """Write a provisioned CIDR."""
    return _pack(
        keys.provisioned(block.pool_id, block.cidr),
        pool_id=block.pool_id,
        cidr=str(block.cidr),
        allocation_id=block.allocation_id,
        created=block.created,
        claimant=block.claimant,
    )


def to_provisioned(item: Item) -> ProvisionedCidr:
    """Read a provisioned CIDR."""
    return ProvisionedCidr(
        pool_id=_text(item, "pool_id"),
        cidr=keys.parse_block(_text(item, keys.SORT_KEY).split("#", 2)[2]),
        allocation_id=_text(item, "allocation_id"),
        created=_number(item, "created"),
        claimant=_text(item, "claimant"),
    )


def from_name(name: str, holder_id: str) -> Item:
    """Write a reserved name."""
    return _pack(keys.name(name), holder_id=holder_id)


def from_tenant(tenant: Tenant) -> Item:
    """Write a tenant."""
    return _pack(
        keys.tenant(tenant.account),
        account=tenant.account,
        name=tenant.name,
        unit=tenant.unit,
        standing=tenant.standing,
        quotas=[_from_tenant_quota(pool_id, quota) for pool_id, quota in tenant.quotas],
        generation=tenant.generation,
        previous_until=tenant.previous_until,
        left=tenant.left,
        created=tenant.created,
        version=tenant.version,
    )


def _from_tenant_quota(pool_id: str, quota: Quota) -> dict[str, Any]:
    limits = {"allocations": quota.allocations, "units": quota.units}
    return {"pool_id": pool_id} | {name: limit for name, limit in limits.items() if limit is not None}


def to_tenant(item: Item) -> Tenant:
    """Read a tenant."""
    quotas = (entry["M"] for entry in _list(item, "quotas"))
    return Tenant(
        account=_text(item, "account"),
        name=_text(item, "name"),
        unit=_text(item, "unit"),
        created=_number(item, "created"),
        standing=cast("Standing", _text(item, "standing")),
        quotas=tuple(
            (_text(each, "pool_id"), Quota(_optional(each, "allocations"), _optional(each, "units"))) for each in quotas
        ),
        generation=_number(item, "generation"),
        previous_until=_optional(item, "previous_until"),
        left=_optional(item, "left"),
        version=_number(item, "version"),
    )


def from_free(pool_id: str, cidr: Cidr) -> Item:
    """Write a free block: its key says all."""
    return key_of(keys.free(pool_id, cidr))


def to_free(item: Item) -> Cidr:
    """Read a free block."""
    return keys.parse_free(_text(item, keys.SORT_KEY))


def from_allocation(allocation: Allocation) -> Item:
    """Write an allocation."""
    return _pack(
        keys.allocation(allocation.pool_id, allocation.cidr),
        allocation_id=allocation.allocation_id,
        cidr=str(allocation.cidr),
        party=allocation.owner.party,
        owner=allocation.owner.name,
        account=allocation.account,
        allocation_type=allocation.allocation_type,
        description=allocation.description,
        created=allocation.created,
        tags=_from_tags(allocation.tags),
        divided_by=allocation.divided_by,
        vpc_ipam_allocation_id=allocation.vpc_ipam_allocation_id,
        orphan=None if allocation.orphan is None else _from_orphan(allocation.orphan),
    )


def description_of(description: str, tags: tuple[Tag, ...]) -> Item:
    """Write what is said of an allocation; what is empty is left out."""
    said: dict[str, Attribute] = {"description": description, "tags": _from_tags(tags)}
    return {name: _value(value) for name, value in said.items() if value}


def to_allocation(item: Item) -> Allocation:
    """Read an allocation."""
    return Allocation(
        allocation_id=_text(item, "allocation_id"),
        pool_id=_text(item, keys.PARTITION_KEY).split("#", 1)[1],
        cidr=keys.parse_block(_text(item, keys.SORT_KEY)),
        owner=OwnerKey(_text(item, "party"), _text(item, "owner")),
        account=_text(item, "account"),
        allocation_type=cast("AllocationType", _text(item, "allocation_type")),
        description=_text(item, "description"),
        created=_number(item, "created"),
        tags=_tags(item),
        divided_by=_text(item, "divided_by"),
        vpc_ipam_allocation_id=_text(item, "vpc_ipam_allocation_id"),
        orphan=_to_orphan(item),
    )


def orphan_of(orphan: Orphan) -> Item:
    """Write that an allocation is an orphan, as it has it."""
    return _value(_from_orphan(orphan))


def _from_orphan(orphan: Orphan) -> dict[str, Any]:
    return {"since": orphan.since, "why": orphan.why}


def _to_orphan(item: Item) -> Orphan | None:
    if "orphan" not in item:
        return None
    fields = item["orphan"]["M"]
    return Orphan(_number(fields, "since"), cast("OrphanReason", _text(fields, "why")))


def from_round(progress: Round) -> Item:
    """Write how far the search for orphans is, as the store has it after this change."""
    return _pack(
        keys.orphans_round(),
        version=progress.version + 1,
        began=progress.began,
        pool_id=progress.pool_id,
        after=None if progress.after is None else keys.block(progress.after),
    )


def to_round(item: Item) -> Round:
    """Read how far the search for orphans is."""
    after = _text(item, "after")
    return Round(
        version=_number(item, "version"),
        began=_number(item, "began"),
        pool_id=_text(item, "pool_id"),
        after=keys.parse_block(after) if after else None,
    )


def from_cooling(block: CoolingBlock) -> Item:
    """Write a cooling block."""
    return _pack(
        keys.cooling(block.pool_id, block.cidr, block.until),
        cidr=str(block.cidr),
        allocation_id=block.allocation_id,
        vpc_ipam_allocation_id=block.vpc_ipam_allocation_id,
    )


def to_cooling(item: Item) -> CoolingBlock:
    """Read a cooling block."""
    until, block = _text(item, keys.SORT_KEY).split("#", 1)
    pool_id = _text(item, keys.PARTITION_KEY).split("#", 1)[1]
    return CoolingBlock(
        pool_id,
        keys.parse_block(block),
        int(until),
        _text(item, "allocation_id"),
        _text(item, "vpc_ipam_allocation_id"),
    )


def from_sticky(holder: str, block: CoolingBlock) -> Item:
    """Write whose a cooling block was; the store forgets it when it has cooled."""
    return _pack(
        keys.sticky(block.pool_id, holder, block.cidr, block.until),
        allocation_id=block.allocation_id,
        expires=block.until // 1000 + 1,
    )


def to_sticky(item: Item) -> CoolingBlock:
    """Read a block that cools, from what says whose it was."""
    _, until, block = _text(item, keys.SORT_KEY).split("#", 2)
    pool_id = _text(item, keys.PARTITION_KEY).split("#", 1)[1]
    return CoolingBlock(pool_id, keys.parse_block(block), int(until), _text(item, "allocation_id"))


def from_lease(lease: Lease) -> Item:
    """Write a lease."""
    return _pack(
        keys.lease(lease.pool_id, lease.cidr),
        cidr=str(lease.cidr),
        allocation_id=lease.allocation_id,
        party=lease.owner.party,
        owner=lease.owner.name,
        account=lease.account,
        until=lease.until,
        preview=lease.preview or None,
        warned=lease.warned or None,
        ended=lease.ended or None,
    )


def to_lease(item: Item) -> Lease:
    """Read a lease."""
    return Lease(
        pool_id=_text(item, keys.PARTITION_KEY).split("#", 1)[1],
        cidr=keys.parse_block(_text(item, keys.SORT_KEY)),
        allocation_id=_text(item, "allocation_id"),
        owner=OwnerKey(_text(item, "party"), _text(item, "owner")),
        account=_text(item, "account"),
        until=_number(item, "until"),
        preview="preview" in item,
        warned="warned" in item,
        ended="ended" in item,
    )


def from_approval(approval: Approval) -> Item:
    """Write an approval; the store forgets it some time after it has come too late."""
    return _pack(
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
        approval_id=_text(item, keys.SORT_KEY),
        owner=OwnerKey(_text(item, "party"), _text(item, "owner")),
        account=_text(item, "account"),
        pool_id=_text(item, "pool_id"),
        netmask_length=_number(item, "netmask_length"),
        description=_text(item, "description"),
        asked=_number(item, "asked"),
        until=_number(item, "until"),
        decision=cast("Decision", _text(item, "decision")),
        decided_by=_text(item, "decided_by"),
        note=_text(item, "note"),
        event=_text(item, "event"),
    )


def from_order(order: PendingOrder) -> Item:
    """Write an order that is on its way to Amazon VPC IPAM."""
    return _pack(
        keys.order(order.pool_id, order.token),
        party=order.owner.party,
        owner=order.owner.name,
        account=order.account,
        ordered=order.ordered,
    )


def to_order(item: Item) -> PendingOrder:
    """Read an order."""
    return PendingOrder(
        pool_id=_text(item, keys.PARTITION_KEY).split("#", 1)[1],
        token=_text(item, keys.SORT_KEY),
        owner=OwnerKey(_text(item, "party"), _text(item, "owner")),
        account=_text(item, "account"),
        ordered=_number(item, "ordered"),
    )


def to_quota(item: Item) -> ChangeQuota:
    """Read what an account holds of a pool."""
    account = _text(item, keys.PARTITION_KEY).split("#", 1)[1]
    return ChangeQuota(account, _text(item, keys.SORT_KEY), _number(item, "allocations"), _number(item, "units"))


def from_owner(record: OwnerRecord, expires: int | None) -> Item:
    """Write an owner's record as the store has it after this change."""
    return _pack(
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
        fields["passed_over"] = _from_tags(grant.passed_over)
    if grant.resumed:
        fields["resumed"] = grant.resumed
    return fields


def to_owner(item: Item) -> OwnerRecord:
    """Read an owner's record."""
    return OwnerRecord(
        owner=OwnerKey(_text(item, keys.PARTITION_KEY).split("#", 1)[1], _text(item, keys.SORT_KEY)),
        version=_number(item, "version"),
        fence=_optional(item, "fence"),
        grants=tuple(_to_grant(entry["M"]) for entry in _list(item, "grants")),
        returned=_texts(item, "returned"),
    )


def _to_grant(item: Item) -> Grant:
    return Grant(
        allocation_id=_text(item, "allocation_id"),
        asks=_texts(item, "asks"),
        pool_id=_text(item, "pool_id"),
        cidr=keys.parse_block(_text(item, "block")),
        created=_number(item, "created"),
        requested=_number(item, "requested"),
        by_create=item["by_create"]["BOOL"],
        acknowledged=item["acknowledged"]["BOOL"],
        returners=_texts(item, "returners"),
        expires=_optional(item, "expires"),
        preview="preview" in item,
        vpc_ipam_allocation_id=_text(item, "vpc_ipam_allocation_id"),
        passed_over=_tags(item, "passed_over"),
        resumed=_optional(item, "resumed") or 0,
    )


def from_audit(record: AuditRecord) -> Item:
    """Write an audit record."""
    return _pack(
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
    block, at, serial = _text(item, keys.SORT_KEY).rsplit("#", 2)
    return AuditRecord(
        subject=_text(item, keys.PARTITION_KEY).split("#", 1)[1],
        cidr=None if block == "-" else keys.parse_block(block),
        at=int(at),
        event=cast("AuditEvent", _text(item, "event")),
        allocation_id=_text(item, "allocation_id"),
        owner=OwnerKey(_text(item, "party"), _text(item, "owner")) if "owner" in item else None,
        account=_text(item, "account"),
        cause=_text(item, "cause"),
        serial=serial,
        note=_text(item, "note"),
    )


def from_attempt(attempt: Attempt) -> Item:
    """Write an attempt; the store forgets it with its day."""
    return _pack(
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
        at=_number(item, "at"),
        account=_text(item, "account"),
        kind=cast("Kind", _text(item, "kind")),
        reason=_text(item, "reason"),
        request_type=_text(item, "request_type"),
        resource_type=_text(item, "resource_type"),
        stack_id=_text(item, "stack_id"),
        logical_resource_id=_text(item, "logical_resource_id"),
        request_id=_text(item, "request_id"),
        aws_request_id=_text(item, "aws_request_id"),
        number=_number(item, "nth"),
    )


def size(item: Item) -> int:
    """Bytes that DynamoDB counts for an item (developer guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    """Bytes of one attribute value."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return (len(content.lstrip("-").strip("0")) + 1) // 2 + 1
        case "BOOL":
            return 1
        case "L":
            return 3 + sum(1 + _value_size(entry) for entry in content)
        case _:
            return 3 + sum(len(name.encode()) + 1 + _value_size(entry) for name, entry in content.items())
