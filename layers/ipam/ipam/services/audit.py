"""Write down what was done (I6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from ipam.domain.allocation import AuditRecord, CoolingBlock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam.domain.allocation import Allocation, AuditEvent
    from ipam.domain.cidr import Cidr
    from ipam.domain.owner import Grant, OwnerKey
    from ipam.services.ports import Ports

SERIAL_DIGITS: Final = 8

MAX_NOTE: Final = 1000
"""Characters of a note: a record stays one small read."""


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


def note(  # noqa: PLR0913 - the facts of a record
    ports: Ports,
    subject: str,
    event: AuditEvent,
    cause: str,
    block: Cidr | CoolingBlock | None = None,
    *,
    said: str = "",
) -> AuditRecord:
    """Make the audit record of a change that no resource asked for; `said` is what the event does not say."""
    cidr, allocation_id = (block.cidr, block.allocation_id) if isinstance(block, CoolingBlock) else (block, "")
    return _record(ports, AuditRecord(subject, cidr, 0, event, allocation_id, None, "", cause, "", said))


def note_request(
    ports: Ports, event: AuditEvent, requester: Requester, block: Grant | Allocation | None, *, said: str = ""
) -> AuditRecord:
    """Make the audit record of what happens to a block, or to no block, on a resource's request."""
    subject, cidr, allocation_id = requester.owner.party, None, ""
    if block is not None:
        subject, cidr, allocation_id = block.pool_id, block.cidr, block.allocation_id
    owner, account, cause = requester.owner, requester.account, requester.cause
    return _record(ports, AuditRecord(subject, cidr, 0, event, allocation_id, owner, account, cause, "", said))


def told(changes: Iterable[tuple[str, str, str]]) -> str:
    """Write for a record what was changed: the name of each fact, what it was and what it is."""
    text = "; ".join(f"{name}: {was} -> {now}" for name, was, now in changes)
    return text if len(text) <= MAX_NOTE else f"{text[: MAX_NOTE - 1]}…"


def _record(ports: Ports, record: AuditRecord) -> AuditRecord:
    """Say when, and make it different from all others."""
    return replace(record, at=ports.clock.now(), serial=ports.chance.hex_digits(SERIAL_DIGITS))
