"""What each operation of a change means to the records in memory: where it writes, when it may, and what is then there.

The table is told the same in expressions of its own (`ipam.adapters.dynamodb.writes`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipam.adapters.dynamodb import keys
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
    from ipam.domain.change import Operation

REMOVALS = (
    TakeFree,
    TakeCooling,
    TakeSticky,
    TakePending,
    RemoveAllocation,
    EndLease,
    UseApproval,
    RemoveScope,
    RemovePool,
    RemoveName,
    RemoveProvisioned,
)
"""Operations that leave nothing where they were."""


def holds(operation: Operation, current: Any) -> bool:  # noqa: C901, PLR0911, PLR0912 - one a kind
    """Judge the condition of an operation by what is stored where it writes; None if nothing is."""
    match operation:
        case TakeFree() | TakeSticky() | TakePending() | TouchScope() | TouchPool():
            return current is not None
        case TakeCooling(block):
            return _is(current, block.allocation_id)
        case RemoveAllocation() | DivideAllocation():
            return _is(current, operation.allocation_id) and not current.divided_by
        case UniteAllocation():
            return _is(current, operation.allocation_id) and current.divided_by == operation.divided_by
        case DescribeAllocation() | MarkOrphan():
            return _is(current, operation.allocation_id)
        case RemoveProvisioned(block):
            return _is(current, block.allocation_id)
        case PassAllocation(_, previous_id):
            return _is(current, previous_id) and not current.divided_by
        case SetLease(lease, replaces):
            is_ours = _is(current, replaces or lease.allocation_id)
            return is_ours or (current is None and not replaces)
        case EndLease(_, _, allocation_id, until):
            return _is(current, allocation_id) and until in {None, current.until}
        case DecideApproval():
            return current is not None and current.decision == "waiting"
        case CloseApproval(approval):
            return current is not None and current.decision == approval.decision
        case UseApproval():
            return current is not None and current.decision == "approved"
        case RemoveName(_, holder_id):
            return current is not None and current == holder_id
        case ReplaceScope(part) | ReplacePool(part) | ReplaceTenant(part) | RemoveScope(part):
            return current is not None and current.version == part.version
        case RemovePool(_, version):
            return current is not None and current.version == version
        case PutOwner(record) | PutRound(record):
            return (0 if current is None else current.version) == record.version
        case ChangeQuota(_, _, allocations, units, max_allocations, max_units):
            held = current or ChangeQuota("", "", 0, 0)
            within = max_allocations is None or held.allocations + allocations <= max_allocations
            return within and (max_units is None or held.units + units <= max_units)
        case _:
            return current is None


def key_of(operation: Operation) -> keys.Key:  # noqa: C901, PLR0911, PLR0912 - one a kind
    """Tell which item an operation is about."""
    match operation:
        case TakeFree(pool_id, cidr) | PutFree(pool_id, cidr):
            return keys.free(pool_id, cidr)
        case PutAllocation(allocation) | PassAllocation(allocation):
            return keys.allocation(allocation.pool_id, allocation.cidr)
        case RemoveAllocation() | DescribeAllocation() | DivideAllocation() | UniteAllocation() | MarkOrphan():
            return keys.allocation(operation.pool_id, operation.cidr)
        case PutRound():
            return keys.orphans_round()
        case SetLease(lease):
            return keys.lease(lease.pool_id, lease.cidr)
        case EndLease(pool_id, cidr):
            return keys.lease(pool_id, cidr)
        case PutApproval(approval) | DecideApproval(approval) | CloseApproval(approval):
            return keys.approval(approval.approval_id)
        case UseApproval(approval_id):
            return keys.approval(approval_id)
        case PutPending(order):
            return keys.order(order.pool_id, order.token)
        case TakePending(pool_id, token):
            return keys.order(pool_id, token)
        case PutCooling(block) | TakeCooling(block):
            return keys.cooling(block.pool_id, block.cidr, block.until)
        case PutSticky(holder, block) | TakeSticky(holder, block):
            return keys.sticky(block.pool_id, holder, block.cidr, block.until)
        case PutOwner(record):
            return keys.owner(record.owner)
        case PutAudit(record):
            return keys.audit(record.subject, record.cidr, record.at, record.serial)
        case ChangeQuota(account, pool_id):
            return keys.quota(account, pool_id)
        case PutScope(scope) | ReplaceScope(scope) | RemoveScope(scope):
            return keys.scope(scope.scope_id)
        case TouchScope(scope_id):
            return keys.scope(scope_id)
        case PutPool(pool) | ReplacePool(pool):
            return keys.pool(pool.pool_id)
        case TouchPool(pool_id) | RemovePool(pool_id):
            return keys.pool(pool_id)
        case PutTenant(tenant) | ReplaceTenant(tenant):
            return keys.tenant(tenant.account)
        case PutName(name) | RemoveName(name):
            return keys.name(name)
        case PutProvisioned(block) | RemoveProvisioned(block):
            return keys.provisioned(block.pool_id, block.cidr)


def record_of(operation: Operation) -> Any:  # noqa: PLR0911 - one a kind
    """Give the record that an operation stores; None if it stores none."""
    match operation:
        case PutFree(_, cidr):
            return cidr
        case PutOwner(record):
            return record.stored()
        case PutAllocation(record) | PassAllocation(record) | PutAudit(record) | PutScope(record) | PutPool(record):
            return record
        case PutCooling(block) | PutProvisioned(block) | PutSticky(_, block):
            return block
        case PutName(_, holder_id):
            return holder_id
        case PutApproval(record) | DecideApproval(record) | CloseApproval(record):
            return record
        case SetLease(record) | PutPending(record):
            return record
        case PutTenant(record):
            return record
        case ReplaceScope(part) | ReplacePool(part) | ReplaceTenant(part) | PutRound(part):
            return replace(part, version=part.version + 1)
        case _:
            return None


def _is(record: Any, allocation_id: str) -> bool:
    """Whether a record is there, and of that allocation."""
    return record is not None and record.allocation_id == allocation_id
