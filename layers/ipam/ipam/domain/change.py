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
    from ipam.domain.allocation import Allocation, Approval, AuditRecord, CoolingBlock, Lease, PendingOrder
    from ipam.domain.cidr import Cidr
    from ipam.domain.orphan import Orphan, Round
    from ipam.domain.owner import OwnerRecord
    from ipam.domain.pool import Pool, ProvisionedCidr, Scope, Tag
    from ipam.domain.tenant import Tenant

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
class PassAllocation:
    """Let a block change hands, on the condition that it is this very allocation, and that no pool divides it.

    The block is never free meanwhile.
    """

    allocation: Allocation
    previous_id: str


@dataclass(frozen=True, slots=True)
class DescribeAllocation:
    """Change the description and the tags of an allocation, on the condition that it is exactly this one."""

    pool_id: str
    cidr: Cidr
    allocation_id: str
    description: str
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveAllocation:
    """Take a block from its holder, on the condition that it is this very allocation, and that no pool divides it."""

    pool_id: str
    cidr: Cidr
    allocation_id: str


@dataclass(frozen=True, slots=True)
class DivideAllocation:
    """Note the subnet pool that divides an allocation, on the condition that it is this one and none does."""

    pool_id: str
    cidr: Cidr
    allocation_id: str
    divided_by: str


@dataclass(frozen=True, slots=True)
class UniteAllocation:
    """Note that a subnet pool no longer divides an allocation, on the condition that it does."""

    pool_id: str
    cidr: Cidr
    allocation_id: str
    divided_by: str


@dataclass(frozen=True, slots=True)
class MarkOrphan:
    """Note that an allocation is an orphan, or with None that it is none, on the condition that it is this one."""

    pool_id: str
    cidr: Cidr
    allocation_id: str
    orphan: Orphan | None


@dataclass(frozen=True, slots=True)
class PutRound:
    """Note how far the search for orphans is, on the condition that it is what `round` was made from; it counts on."""

    round: Round


@dataclass(frozen=True, slots=True)
class SetLease:
    """Set until when an allocation lasts, on the condition that a lease that is there is of the same one.

    With `replaces`, it has to be of that allocation, which was there before.
    """

    lease: Lease
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class EndLease:
    """Forget a lease, on the condition that it is that of this allocation and, with `until`, still ends then."""

    pool_id: str
    cidr: Cidr
    allocation_id: str
    until: int | None = None


@dataclass(frozen=True, slots=True)
class PutApproval:
    """Ask for approval, on the condition that it was not asked for."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class DecideApproval:
    """Store a decision, on the condition that the approval still waits for one."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class CloseApproval:
    """Put an approval without its event in the place of one that is decided, on the condition that it is, and so."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class UseApproval:
    """Take an approval away, on the condition that it was given: it serves once."""

    approval_id: str


@dataclass(frozen=True, slots=True)
class PutPending:
    """Note an order on its way to Amazon VPC IPAM, on the condition that it is new."""

    order: PendingOrder


@dataclass(frozen=True, slots=True)
class TakePending:
    """Strike out an order, on the condition that nobody has."""

    pool_id: str
    token: str


@dataclass(frozen=True, slots=True)
class PutCooling:
    """Let a block cool."""

    block: CoolingBlock


@dataclass(frozen=True, slots=True)
class TakeCooling:
    """End the cooling of a block, on the condition that it cools after that very allocation."""

    block: CoolingBlock


@dataclass(frozen=True, slots=True)
class PutSticky:
    """Note whose a cooling block was, for as long as it cools: that one may have it again."""

    holder: str
    block: CoolingBlock


@dataclass(frozen=True, slots=True)
class TakeSticky:
    """Strike out whose a cooling block was, on the condition that nobody has."""

    holder: str
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


@dataclass(frozen=True, slots=True)
class ReplaceScope:
    """Change a scope, on the condition that its version is the one that `scope` was made from; it counts on."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class ReplacePool:
    """Change a pool, on the condition that its version is the one that `pool` was made from; it counts on."""

    pool: Pool


@dataclass(frozen=True, slots=True)
class TouchScope:
    """Count a scope's version on, on the condition that it is there: something is attached to it, or detached."""

    scope_id: str


@dataclass(frozen=True, slots=True)
class TouchPool:
    """Count a pool's version on, on the condition that the pool is there: something is attached to it, or detached."""

    pool_id: str


@dataclass(frozen=True, slots=True)
class RemoveScope:
    """Delete a scope, on the condition of its version: nothing was attached to it since it was seen to be empty."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class RemovePool:
    """Delete a pool, on the condition of its version: nothing was attached to it since it was seen to be empty."""

    pool_id: str
    version: int


@dataclass(frozen=True, slots=True)
class RemoveName:
    """Give a name back, on the condition that it is this holder's."""

    name: str
    holder_id: str


@dataclass(frozen=True, slots=True)
class RemoveProvisioned:
    """Forget a provisioned CIDR of a pool, on the condition that it is by this allocation."""

    block: ProvisionedCidr


@dataclass(frozen=True, slots=True)
class PutTenant:
    """Let an account order, on the condition that it never was a tenant."""

    tenant: Tenant


@dataclass(frozen=True, slots=True)
class ReplaceTenant:
    """Change a tenant, on the condition that its version is the one that `tenant` was made from; it counts on."""

    tenant: Tenant


Operation = (
    TakeFree
    | PutFree
    | PutAllocation
    | PassAllocation
    | DescribeAllocation
    | RemoveAllocation
    | DivideAllocation
    | UniteAllocation
    | MarkOrphan
    | PutRound
    | SetLease
    | EndLease
    | PutApproval
    | DecideApproval
    | CloseApproval
    | UseApproval
    | PutPending
    | TakePending
    | PutCooling
    | TakeCooling
    | PutSticky
    | TakeSticky
    | PutOwner
    | PutAudit
    | ChangeQuota
    | PutScope
    | PutPool
    | PutName
    | PutProvisioned
    | ReplaceScope
    | ReplacePool
    | TouchScope
    | TouchPool
    | RemoveScope
    | RemovePool
    | RemoveName
    | RemoveProvisioned
    | PutTenant
    | ReplaceTenant
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

    def _blocks(self) -> tuple[dict[str, list[Cidr]], dict[str, list[Cidr]]]:  # noqa: C901 - one a kind
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
                case RemoveProvisioned(provisioned):
                    placed.setdefault(provisioned.pool_id, []).append(provisioned.cidr)
                case RemoveScope(scope):
                    placed.setdefault(scope.scope_id, []).extend(scope.world())
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
