"""What to do when somebody else was faster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.change import Change, PutAudit, PutOwner
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from ipam.domain.allocation import AuditRecord
    from ipam.domain.change import Operation
    from ipam.domain.owner import OwnerRecord
    from ipam.services.ports import Deadline, Ports

BACKOFF: Final = 10
"""Milliseconds of the longest first wait; each further one may be twice as long. Drawn by lot."""

MAX_DOUBLINGS: Final = 6
"""Doublings of the wait: at most 640 ms."""


def back_off(ports: Ports, attempt: int) -> None:
    """Wait for a moment that is longer the more often this request has already lost."""
    ports.clock.sleep(ports.chance.below(BACKOFF << min(attempt, MAX_DOUBLINGS)))


def note_owner(
    ports: Ports, after: OwnerRecord, expires: int | None, deadline: Deadline, audit: AuditRecord, *more: Operation
) -> bool:
    """Store an owner's record, with what else belongs to the same change.

    Returns:
        Whether it is stored; if not, the record has changed, and what to do has to be decided anew.
    """
    deadline.ensure()
    try:
        ports.store.commit(Change((PutOwner(after, expires), *more, PutAudit(audit))))
    except Conflict:
        return False
    ports.memory.see_owner(after.stored())
    return True
