"""Operations as the parts of a DynamoDB transaction: each a write on its condition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ipam.adapters.dynamodb import attributes, block_items, keys, plan_items, request_items
from ipam.domain.change import (
    ChangeQuota,
    CloseApproval,
    DecideApproval,
    DescribeAllocation,
    DivideAllocation,
    EndLease,
    MarkOrphan,
    PassAllocation,
    PutAllocation,
    PutApproval,
    PutAudit,
    PutCooling,
    PutFree,
    PutName,
    PutOwner,
    PutPending,
    PutPool,
    PutProvisioned,
    PutRound,
    PutScope,
    PutSticky,
    PutTenant,
    RemoveAllocation,
    RemoveName,
    RemovePool,
    RemoveProvisioned,
    RemoveScope,
    ReplacePool,
    ReplaceScope,
    ReplaceTenant,
    SetLease,
    TakeCooling,
    TakeFree,
    TakePending,
    TakeSticky,
    TouchPool,
    TouchScope,
    UniteAllocation,
    UseApproval,
)

if TYPE_CHECKING:
    from ipam.adapters.dynamodb.attributes import Item
    from ipam.domain.change import Operation
    from ipam.domain.owner import OwnerRecord

NEW: Final = "attribute_not_exists(PK)"
THERE: Final = "attribute_exists(PK)"
SAME: Final = "allocation_id = :id"
WHOLE: Final = "attribute_not_exists(divided_by)"
DECIDED: Final = "decision = :decision"


class Writes:
    """Writes for one table."""

    def __init__(self, table: str) -> None:
        """Write to a table."""
        self._table = table

    def of(self, operation: Operation) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 - one a kind
        """Write an operation as one item of a transaction."""
        match operation:
            case TakeFree() | TakeCooling() | TakeSticky() | TakePending() | UseApproval():
                return self._take(operation)
            case RemoveAllocation() | EndLease():
                return self._take(operation)
            case RemoveScope() | RemovePool() | RemoveName() | RemoveProvisioned():
                return self._remove(operation)
            case ReplaceScope(scope):
                return self._put(
                    plan_items.from_scope(replace(scope, version=scope.version + 1)), *_version(scope.version)
                )
            case ReplaceTenant(tenant):
                changed = plan_items.from_tenant(replace(tenant, version=tenant.version + 1))
                return self._put(changed, *_version(tenant.version))
            case ReplacePool(pool):
                return self._put(plan_items.from_pool(replace(pool, version=pool.version + 1)), *_version(pool.version))
            case TouchScope(scope_id):
                return self._count_on(keys.scope(scope_id))
            case TouchPool(pool_id):
                return self._count_on(keys.pool(pool_id))
            case DescribeAllocation():
                return self._describe(operation)
            case DivideAllocation() | UniteAllocation():
                return self._divide(operation)
            case MarkOrphan():
                return self._mark(operation)
            case PutRound(progress):
                seen = _version(progress.version) if progress.version else (NEW,)
                return self._put(block_items.from_round(progress), *seen)
            case PassAllocation(allocation, previous_id):
                values: Item = {":id": {"S": previous_id}}
                return self._put(block_items.from_allocation(allocation), f"{SAME} AND {WHOLE}", values)
            case SetLease(lease, replaces):
                condition = SAME if replaces else f"{NEW} OR {SAME}"
                return self._put(
                    block_items.from_lease(lease), condition, {":id": {"S": replaces or lease.allocation_id}}
                )
            case DecideApproval(approval):
                return self._put(request_items.from_approval(approval), DECIDED, {":decision": {"S": "waiting"}})
            case CloseApproval(approval):
                return self._put(
                    request_items.from_approval(approval), DECIDED, {":decision": {"S": approval.decision}}
                )
            case PutOwner(record, expires):
                return self._put_owner(record, expires)
            case ChangeQuota():
                return self._add_quota(operation)
            case _:
                return self._put(_new_item(operation), NEW)

    def _take(self, operation: Operation) -> dict[str, Any]:  # noqa: PLR0911 - one a kind
        """Take away what is there, if it is the one that is meant."""
        match operation:
            case TakeFree(pool_id, cidr):
                return self._delete(keys.free(pool_id, cidr), THERE)
            case TakeCooling(block):
                values: Item = {":id": {"S": block.allocation_id}}
                return self._delete(keys.cooling(block.pool_id, block.cidr, block.until), SAME, values)
            case TakeSticky(holder, block):
                return self._delete(keys.sticky(block.pool_id, holder, block.cidr, block.until), THERE)
            case TakePending(pool_id, token):
                return self._delete(keys.order(pool_id, token), THERE)
            case RemoveAllocation(pool_id, cidr, allocation_id):
                values = {":id": {"S": allocation_id}}
                return self._delete(keys.allocation(pool_id, cidr), f"{SAME} AND {WHOLE}", values)
            case EndLease(pool_id, cidr, allocation_id, until):
                values = {":id": {"S": allocation_id}}
                if until is None:
                    return self._delete(keys.lease(pool_id, cidr), SAME, values)
                values[":until"] = {"N": str(until)}
                write = self._delete(keys.lease(pool_id, cidr), f"{SAME} AND #until = :until", values)
                write["Delete"]["ExpressionAttributeNames"] = {"#until": "until"}
                return write
            case UseApproval(approval_id):
                return self._delete(keys.approval(approval_id), DECIDED, {":decision": {"S": "approved"}})
            case _:
                message = f"takes nothing away: {operation}"
                raise TypeError(message)

    def _remove(self, operation: Operation) -> dict[str, Any]:
        """Remove a part of the plan, if it is as it was seen."""
        match operation:
            case RemoveScope(scope):
                return self._delete(keys.scope(scope.scope_id), *_version(scope.version))
            case RemovePool(pool_id, version):
                return self._delete(keys.pool(pool_id), *_version(version))
            case RemoveName(name, holder_id):
                return self._delete(keys.name(name), "holder_id = :id", {":id": {"S": holder_id}})
            case RemoveProvisioned(block):
                values: Item = {":id": {"S": block.allocation_id}}
                return self._delete(keys.provisioned(block.pool_id, block.cidr), SAME, values)
            case _:
                message = f"removes nothing: {operation}"
                raise TypeError(message)

    def _count_on(self, key: keys.Key) -> dict[str, Any]:
        """Count the version of a part of the plan on, if that is there."""
        update = {"Key": attributes.key_of(key), "UpdateExpression": "ADD version :one"}
        return {"Update": self._conditional(update, THERE, {":one": {"N": "1"}})}

    def _divide(self, change: DivideAllocation | UniteAllocation) -> dict[str, Any]:
        """Note that a subnet pool divides an allocation, or that it no longer does."""
        update: dict[str, Any] = {"Key": attributes.key_of(keys.allocation(change.pool_id, change.cidr))}
        values: Item = {":id": {"S": change.allocation_id}, ":pool": {"S": change.divided_by}}
        if isinstance(change, DivideAllocation):
            update["UpdateExpression"] = "SET divided_by = :pool"
            return {"Update": self._conditional(update, f"{SAME} AND {WHOLE}", values)}
        update["UpdateExpression"] = "REMOVE divided_by"
        return {"Update": self._conditional(update, f"{SAME} AND divided_by = :pool", values)}

    def _mark(self, change: MarkOrphan) -> dict[str, Any]:
        """Note in an allocation that it is an orphan, or that it is none."""
        update: dict[str, Any] = {"Key": attributes.key_of(keys.allocation(change.pool_id, change.cidr))}
        values: Item = {":id": {"S": change.allocation_id}}
        if change.orphan is None:
            update["UpdateExpression"] = "REMOVE orphan"
        else:
            update["UpdateExpression"] = "SET orphan = :orphan"
            values[":orphan"] = block_items.orphan_of(change.orphan)
        return {"Update": self._conditional(update, SAME, values)}

    def _put(self, item: Item, condition: str, values: Item | None = None) -> dict[str, Any]:
        return {"Put": self._conditional({"Item": item}, condition, values)}

    def _delete(self, key: keys.Key, condition: str, values: Item | None = None) -> dict[str, Any]:
        return {"Delete": self._conditional({"Key": attributes.key_of(key)}, condition, values)}

    def _conditional(self, write: dict[str, Any], condition: str, values: Item | None = None) -> dict[str, Any]:
        """Put a write under its condition."""
        write |= {"TableName": self._table, "ConditionExpression": condition}
        return write | {"ExpressionAttributeValues": values} if values else write

    def _put_owner(self, record: OwnerRecord, expires: int | None) -> dict[str, Any]:
        """Store an owner's record over the version that it was made from, or get back the one that is there."""
        item = request_items.from_owner(record, expires)
        write = self._put(item, *(_version(record.version) if record.version else (NEW,)))
        write["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return write

    def _describe(self, change: DescribeAllocation) -> dict[str, Any]:
        """Set the description and the tags of an allocation; what is empty is left out."""
        values: Item = {":id": {"S": change.allocation_id}}
        said = block_items.description_of(change.description, change.tags)
        values |= {f":{name}": value for name, value in said.items()}
        kept = ", ".join(f"{name} = :{name}" for name in said)
        gone = ", ".join(name for name in ("description", "tags") if name not in said)
        expression = " ".join([f"SET {kept}"] * bool(kept) + [f"REMOVE {gone}"] * bool(gone))
        update = {
            "Key": attributes.key_of(keys.allocation(change.pool_id, change.cidr)),
            "UpdateExpression": expression,
        }
        return {"Update": self._conditional(update, SAME, values)}

    def _add_quota(self, change: ChangeQuota) -> dict[str, Any]:
        """Add to what an account holds of a pool, if there is room for it."""
        values: Item = {":allocations": {"N": str(change.allocations)}, ":units": {"N": str(change.units)}}
        limits = {
            "allocations": (change.max_allocations, change.allocations),
            "units": (change.max_units, change.units),
        }
        conditions = []
        for name, (limit, added) in limits.items():
            if limit is None:
                continue
            room = limit - added
            # An account that has no item holds nothing: then only a limit below the order itself refuses it.
            values[f":{name}_room"] = {"N": str(room)}
            held = f"{name} <= :{name}_room"
            conditions.append(f"({NEW} OR {held})" if room >= 0 else held)
        update: dict[str, Any] = {
            "TableName": self._table,
            "Key": attributes.key_of(keys.quota(change.account, change.pool_id)),
            "UpdateExpression": "ADD allocations :allocations, units :units",
            "ExpressionAttributeValues": values,
        }
        if conditions:
            update["ConditionExpression"] = " AND ".join(conditions)
        return {"Update": update}


def _version(version: int) -> tuple[str, Item]:
    """The condition that a part of the plan is the version that was seen."""
    return "version = :version", {":version": {"N": str(version)}}


def _new_item(operation: Operation) -> Item:  # noqa: C901, PLR0911, PLR0912 - one a kind
    """Write a record that must not be there yet."""
    match operation:
        case PutFree(pool_id, cidr):
            return block_items.from_free(pool_id, cidr)
        case PutAllocation(allocation):
            return block_items.from_allocation(allocation)
        case PutCooling(block):
            return block_items.from_cooling(block)
        case PutAudit(record):
            return request_items.from_audit(record)
        case PutSticky(holder, block):
            return block_items.from_sticky(holder, block)
        case PutScope(scope):
            return plan_items.from_scope(scope)
        case PutPool(pool):
            return plan_items.from_pool(pool)
        case PutName(name, holder_id):
            return plan_items.from_name(name, holder_id)
        case PutProvisioned(block):
            return plan_items.from_provisioned(block)
        case PutTenant(tenant):
            return plan_items.from_tenant(tenant)
        case PutApproval(approval):
            return request_items.from_approval(approval)
        case PutPending(order):
            return request_items.from_order(order)
        case _:
            message = f"not a new record: {operation}"
            raise TypeError(message)
