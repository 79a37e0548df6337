"""A change of the store: operations that all happen or none, each on its condition.

The conditions are the truth; what was read before only helped to choose. Two invariants are asserted on every change
before it is sent: what it removes covers the same addresses as what it puts in place (I1), and it writes an audit
record (I6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ipam.domain.cidr import spans

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation, AuditRecord, CoolingBlock
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import OwnerRecord
    from ipam.domain.pool import Pool, ProvisionedCidr, Scope

MAX_OPERATIONS: Final = 100
"""Items of one transaction (DynamoDB API reference, TransactWriteItems)."""


@dataclass(frozen=True, slots=True)
class TakeFree:
    """Remove a free block, on the condition that it is still free."""

    pool_id: str
    cidr: Cidr


@dataclass(frozen=True, slots=True)
class PutFree:
    """Make a block free, on the condition that it is not."""

    pool_id: str
    cidr: Cidr


@dataclass(frozen=True, slots=True)
class PutAllocation:
    """Give a block to its holder, on the condition that nobody holds it."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class DescribeAllocation:
    """Change the description of an allocation, on the condition that it is exactly this one."""

    pool_id: str
    cidr: Cidr
    allocation_id: str
    description: str


@dataclass(frozen=True, slots=True)
class RemoveAllocation:
    """Take a block from its holder, on the condition that it is exactly this allocation."""

    pool_id: str
    cidr: Cidr
    allocation_id: str


@dataclass(frozen=True, slots=True)
class PutCooling:
    """Let a block cool."""

    block: CoolingBlock


@dataclass(frozen=True, slots=True)
class TakeCooling:
    """End the cooling of a block, on the condition that it has not been ended."""

    block: CoolingBlock


@dataclass(frozen=True, slots=True)
class PutOwner:
    """Store an owner record, on the condition that the stored version is the one that `record` was made from.

    `expires` (seconds of the epoch) is set only while the owner holds nothing: the store may then forget it.
    """

    record: OwnerRecord
    expires: int | None


@dataclass(frozen=True, slots=True)
class PutAudit:
    """Write an audit record."""

    record: AuditRecord


@dataclass(frozen=True, slots=True)
class ChangeQuota:
    """Count what an account holds of a pool, on the condition that it stays within the limits (None: no limit)."""

    account: str
    pool_id: str
    allocations: int
    units: int
    max_allocations: int | None = None
    max_units: int | None = None


@dataclass(frozen=True, slots=True)
class PutScope:
    """Create a scope, on the condition that its id is new."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class PutPool:
    """Create a pool, on the condition that its id is new."""

    pool: Pool


@dataclass(frozen=True, slots=True)
class PutName:
    """Reserve a name of the plan for an id, on the condition that it is not taken."""

    name: str
    holder_id: str


@dataclass(frozen=True, slots=True)
class PutProvisioned:
    """Note a provisioned CIDR of a pool, on the condition that it is new."""

    block: ProvisionedCidr


Operation = (
    TakeFree
    | PutFree
    | PutAllocation
    | DescribeAllocation
    | RemoveAllocation
    | PutCooling
    | TakeCooling
    | PutOwner
    | PutAudit
    | ChangeQuota
    | PutScope
    | PutPool
    | PutName
    | PutProvisioned
)


@dataclass(frozen=True, slots=True)
class Change:
    """Operations that happen together."""

    operations: tuple[Operation, ...]

    def __post_init__(self) -> None:
        """Assert what every change must hold; a change that does not is a fault of ours and is never sent."""
        if len(self.operations) > MAX_OPERATIONS:
            message = f"a change of {len(self.operations)} operations does not fit one transaction"
            raise AssertionError(message)
        if not any(isinstance(operation, PutAudit) for operation in self.operations):
            message = "I6: a change without an audit record"
            raise AssertionError(message)
        removed, placed = self._blocks()
        for pool_id in removed.keys() | placed.keys():
            if spans(removed.get(pool_id, [])) != spans(placed.get(pool_id, [])):
                message = f"I1: a change of {pool_id} would lose or invent addresses"
                raise AssertionError(message)

    def _blocks(self) -> tuple[dict[str, list[Cidr]], dict[str, list[Cidr]]]:
        """Tell the blocks that the change removes from each pool's partition, and those that it puts in place."""
        removed: dict[str, list[Cidr]] = {}
        placed: dict[str, list[Cidr]] = {}
        for operation in self.operations:
            match operation:
                case TakeFree(pool_id, cidr) | RemoveAllocation(pool_id, cidr, _):
                    removed.setdefault(pool_id, []).append(cidr)
                case TakeCooling(block):
                    removed.setdefault(block.pool_id, []).append(block.cidr)
                case PutProvisioned(provisioned):
                    removed.setdefault(provisioned.pool_id, []).append(provisioned.cidr)
                case PutFree(pool_id, cidr):
                    placed.setdefault(pool_id, []).append(cidr)
                case PutAllocation(allocation):
                    placed.setdefault(allocation.pool_id, []).append(allocation.cidr)
                case PutCooling(block):
                    placed.setdefault(block.pool_id, []).append(block.cidr)
                case PutScope(scope):
                    removed.setdefault(scope.scope_id, []).extend(scope.world())
                case _:
                    pass
        return removed, placed
