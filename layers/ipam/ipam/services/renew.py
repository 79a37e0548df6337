"""Renew: an administrator lets an allocation last longer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.change import SetLease
from ipam.domain.errors import ContendedError, NoSuchAllocationError
from ipam.services.audit import OnBehalf, note_request
from ipam.services.contention import back_off, note_owner
from ipam.services.leases import lease_of

if TYPE_CHECKING:
    from ipam.domain.allocation import Lease
    from ipam.services.ports import Deadline, Ports

MAX_ATTEMPTS: Final = 10
"""Tries, against other requests of the same resource."""


def renew(ports: Ports, lease: Lease, seconds: int, cause: str, deadline: Deadline) -> Lease:
    """Let a lease end that many seconds from now, or as late as it does, whichever is later.

    Its end, a release and the owner's own requests change the owner's record: whoever is first wins, and the others see
    it.

    Raises:
        NoSuchAllocationError: there is no such lease any more, or it is a preview's, which is not renewed.
        ContendedError: others changed its owner again and again.
    """
    for attempt in range(MAX_ATTEMPTS):
        record = ports.store.owner(lease.owner)
        grant = record.for_id(lease.allocation_id)
        if grant is None or grant.preview or grant.expires is None:
            raise NoSuchAllocationError(lease.allocation_id)
        renewed = replace(grant, expires=max(grant.expires, ports.clock.now() + seconds * 1000))
        after = lease_of(renewed, lease.owner, lease.account)
        audit = note_request(ports, "renewed", OnBehalf(lease.owner, lease.account, cause), grant)
        if note_owner(ports, record.with_grant(renewed), None, deadline, audit, SetLease(after)):
            return after
        back_off(ports, attempt)
    raise ContendedError(lease.owner.name, MAX_ATTEMPTS)
