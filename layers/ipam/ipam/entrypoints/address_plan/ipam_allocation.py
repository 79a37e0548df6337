"""Custom::IpamAllocation: a block of a named pool, for whatever it is to be used. `Ref` is the allocation id.

It is an order like Custom::GetCnCIDR's, from an administrator: whom the pool is shared with, and how large a block may
be without an approval, is not for it. Another pool, block or size makes it another allocation; description and tags
change in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.owner import OwnerKey
from ipam.entrypoints.address_plan.properties import allocation, pool_named
from ipam.entrypoints.address_plan.resources import find_pool
from ipam.entrypoints.answers import Answer
from ipam.entrypoints.cn_cidr.get_cn_cidr import GetCnCidr, attributes, end_allocation
from ipam.services.allocate import allocate
from ipam.services.request import AllocateRequest
from ipam.services.revise import revise

if TYPE_CHECKING:
    from ipam.domain.owner import Grant
    from ipam.entrypoints.answers import Outcome
    from ipam.entrypoints.events import Request
    from ipam.services.ports import Deadline, Ports


class IpamAllocation:
    """The resource type, for one request."""

    def __init__(self, ports: Ports, account: str, deadline: Deadline) -> None:
        """Serve a request of an account within a time."""
        self._ports = ports
        self._account = account
        self._deadline = deadline
        self._network = GetCnCidr(ports, account, deadline)

    def create(self, request: Request) -> Answer:
        """Allocate; a Create that comes again gets what it got before."""
        allocated = allocate(self._ports, self._asked(request), self._deadline)
        return _answer(allocated.outcome, allocated.grant)

    def update(self, request: Request) -> Answer:
        """Keep what still serves, or allocate beside it."""
        revised = revise(self._ports, self._asked(request), self._deadline)
        kept = revised.grant.allocation_id == request.physical_resource_id
        return _answer("kept" if kept else "replaced", revised.grant)

    def delete(self, request: Request) -> Answer:
        """Release, as a network's order does: its owner record is of the same kind."""
        return end_allocation(self._ports, request, self._account, self._deadline, lambda: self._asked(request).ask)

    def failed_id(self, request: Request) -> str:
        """Name the resource in a refusal, as a network's order does."""
        return self._network.failed_id(request)

    def _asked(self, request: Request) -> AllocateRequest:
        """Say to the engine who asks for what."""
        pool = find_pool(self._ports, pool_named(request.properties))
        wanted = allocation(request.properties, pool, request.region)
        return AllocateRequest(
            owner=OwnerKey(request.stack_id, request.logical_resource_id),
            account=self._account,
            ask=wanted.ask,
            description=wanted.description,
            tags=wanted.tags,
            preview_seconds=wanted.preview_seconds,
            requested=request.requested,
            cause=request.cause,
            held=request.physical_resource_id,
            by_administrator=True,
        )


def _answer(outcome: Outcome, grant: Grant) -> Answer:
    """Give a grant's attributes."""
    known = attributes(grant, ())
    names = ("Cidr", "NetmaskLength", "IpamPoolId", "CreationDate", "PreviewToken", "ExpiresAt")
    data = {"IpamPoolAllocationId": grant.allocation_id, **{name: known[name] for name in names}}
    facts = {"allocation_id": grant.allocation_id, "cidr": str(grant.cidr), "ipam_pool_id": grant.pool_id}
    return Answer(outcome, grant.allocation_id, data=data, facts=facts)
