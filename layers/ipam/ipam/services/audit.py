"""Write down what was done (I6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from ipam.domain.allocation import AuditRecord, CoolingBlock

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation, AuditEvent
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import Grant, OwnerKey
    from ipam.services.ports import Ports

SERIAL_DIGITS: Final = 8


class Requester(Protocol):
    """On whose request something is done."""

    @property
    def owner(self) -> OwnerKey:
        """The resource."""
        ...

    @property
    def account(self) -> str:
        """Its AWS account, or ""."""
        ...

    @property
    def cause(self) -> str:
        """What it sent."""
        ...


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """A requester in whose name somebody else acts; the cause says who."""

    owner: OwnerKey
    account: str
    cause: str


def note(
    ports: Ports, subject: str, event: AuditEvent, cause: str, block: Cidr | CoolingBlock | None = None
) -> AuditRecord:
    """Make the audit record of a change that no resource asked for."""
    cidr, allocation_id = (block.cidr, block.allocation_id) if isinstance(block, CoolingBlock) else (block, "")
    return _record(ports, AuditRecord(subject, cidr, 0, event, allocation_id, None, "", cause, ""))


def note_request(
    ports: Ports, event: AuditEvent, requester: Requester, block: Grant | Allocation | None
) -> AuditRecord:
    """Make the audit record of what happens to a block, or to no block, on a resource's request."""
    subject, cidr, allocation_id = requester.owner.party, None, ""
    if block is not None:
        subject, cidr, allocation_id = block.pool_id, block.cidr, block.allocation_id
    owner, account, cause = requester.owner, requester.account, requester.cause
    return _record(ports, AuditRecord(subject, cidr, 0, event, allocation_id, owner, account, cause, ""))


def _record(ports: Ports, record: AuditRecord) -> AuditRecord:
    """Say when, and make it different from all others."""
    return replace(record, at=ports.clock.now(), serial=ports.chance.hex_digits(SERIAL_DIGITS))
