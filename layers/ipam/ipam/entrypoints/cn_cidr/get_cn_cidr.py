"""Custom::GetCnCIDR: a block for a network of the stack.

`Ref` is the allocation id. An Update that asks for another block gets another allocation, and with it a replacement:
the old one stays until CloudFormation's own Delete of it comes, or for good if the Update is rolled back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.free_space import pack
from ipam.domain.ids import is_allocation_id
from ipam.domain.owner import OwnerKey
from ipam.entrypoints.answers import Answer, unmade_id
from ipam.entrypoints.cn_cidr import dates
from ipam.entrypoints.cn_cidr.properties import order
from ipam.services.allocate import allocate
from ipam.services.order import AllocateRequest
from ipam.services.release import ReleaseRequest, abandon, release
from ipam.services.revise import revise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam.domain.owner import Grant
    from ipam.entrypoints.answers import Outcome
    from ipam.entrypoints.cn_cidr.properties import Order
    from ipam.entrypoints.events import Request
    from ipam.services.ports import Deadline, Ports


class GetCnCidr:
    """The resource type, for one request."""

    def __init__(self, ports: Ports, account: str, deadline: Deadline) -> None:
        """Serve a request of an account within a time."""
        self._ports = ports
        self._account = account
        self._deadline = deadline

    def create(self, request: Request) -> Answer:
        """Allocate; a Create that comes again gets what it got before."""
        wanted = order(request.properties, request.region)
        allocated = allocate(self._ports, self._asked(request, wanted), self._deadline)
        return _answer(allocated.outcome, allocated.grant, wanted.subnets)

    def update(self, request: Request) -> Answer:
        """Keep what still serves, or allocate beside it."""
        wanted = order(request.properties, request.region)
        revised = revise(self._ports, self._asked(request, wanted), self._deadline)
        outcome: Outcome = "kept" if revised.grant.allocation_id == request.physical_resource_id else "replaced"
        return _answer(outcome, revised.grant, wanted.subnets)

    def delete(self, request: Request) -> Answer:
        """Release what CloudFormation names by our id; with any other id, only what it never learned of.

        Our ids cannot be guessed, so one that is right is proof enough. Any other proves nothing, and what to release
        is found by names that others may know: so it waits until S3 has taken the answer, which it does for none but
        CloudFormation's own signature.
        """
        held = request.physical_resource_id
        releasing = ReleaseRequest(_owner(request), self._account, request.requested, request.cause)
        if is_allocation_id(held):
            outcome = release(self._ports, releasing, held, self._deadline)
            return Answer(outcome, held, facts={"allocation_id": held})
        return Answer("nothing-to-release", held, afterwards=lambda: abandon(self._ports, releasing, self._deadline))

    def failed_id(self, request: Request) -> str:
        """Name the resource in a refusal: an Update leaves the id as it was."""
        return request.physical_resource_id or unmade_id("not-allocated", request)

    def _asked(self, request: Request, wanted: Order) -> AllocateRequest:
        """Say to the engine who asks for what."""
        return AllocateRequest(
            owner=_owner(request),
            account=self._account,
            ask=wanted.ask,
            description=wanted.description,
            requested=request.requested,
            cause=request.cause,
            held=request.physical_resource_id,
        )


def _owner(request: Request) -> OwnerKey:
    return OwnerKey(request.stack_id, request.logical_resource_id)


def _answer(outcome: Outcome, grant: Grant, subnets: Sequence[int]) -> Answer:
    """Give a grant's attributes. Without SubnetMasks, SubnetCidrs is empty: a reference to it then still resolves."""
    cidrs = [str(subnet) for subnet in pack(grant.cidr, subnets)]
    data = {
        "Cidr": str(grant.cidr),
        "Returned_IpamPoolAllocationId": grant.allocation_id,
        "CreationDate": dates.written(grant.created),
        "IpamPoolId": grant.pool_id,
        "NetmaskLength": str(grant.cidr.length),
        "SubnetCidrs": ",".join(cidrs),
        **{f"SubnetCidr{number}": cidr for number, cidr in enumerate(cidrs, start=1)},
    }
    known = {"allocation_id": grant.allocation_id, "cidr": str(grant.cidr), "ipam_pool_id": grant.pool_id}
    return Answer(outcome, grant.allocation_id, data=data, facts=known)
