"""Custom::GetCnCIDR: a block for a network of the stack.

`Ref` is the allocation id. An Update that asks for another block gets another allocation, and with it a replacement:
the old one stays until CloudFormation's own Delete of it comes, or for good if the Update is rolled back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ipam.domain.errors import NoSuchPoolError, PermanentError
from ipam.domain.free_space import pack
from ipam.domain.ids import is_allocation_id
from ipam.domain.owner import OwnerKey, digest
from ipam.domain.preview import Token
from ipam.entrypoints.answers import Answer, ends_up_to, fitted, room, unmade_id
from ipam.entrypoints.cn_cidr import dates
from ipam.entrypoints.cn_cidr.order import order
from ipam.entrypoints.explanations import explanation
from ipam.entrypoints.waiting import waiting
from ipam.services.allocate import allocate
from ipam.services.plan import current_space
from ipam.services.release import ReleaseRequest, abandon, release
from ipam.services.request import AllocateRequest
from ipam.services.revise import revise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipam.domain.owner import Grant
    from ipam.domain.plan import Ask
    from ipam.entrypoints.answers import Outcome
    from ipam.entrypoints.cn_cidr.order import Order
    from ipam.entrypoints.events import Request
    from ipam.services.ports import Deadline, Ports


MAX_POOL_NAME: Final = 255
"""Bytes of a pool's name in an answer: a name that a template can use has room in it."""


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
        return self._answer(request, allocated.outcome, allocated.grant, wanted.subnets)

    def update(self, request: Request) -> Answer:
        """Keep what still serves, or allocate beside it."""
        wanted = order(request.properties, request.region)
        revised = revise(self._ports, self._asked(request, wanted), self._deadline)
        outcome: Outcome = "kept" if revised.grant.allocation_id == request.physical_resource_id else "replaced"
        if revised.unverified:
            # Served all the same, from the account's own quota: to refuse it could wedge a rollback.
            outcome = "unverified-update"
        return self._answer(request, outcome, revised.grant, wanted.subnets)

    def delete(self, request: Request) -> Answer:
        """Release what CloudFormation names by our id; with any other id, only what it never learned of."""

        def asked() -> Ask:
            return order(request.properties, request.region).ask

        return end_allocation(self._ports, request, self._account, self._deadline, asked)

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
            tags=wanted.tags,
            preview_seconds=wanted.preview_seconds,
            requested=request.requested,
            cause=request.cause,
            held=request.physical_resource_id,
            by_tenant=True,
            replaceable=wanted.replaceable,
            waiting=waiting(request),
        )

    def _answer(self, request: Request, outcome: Outcome, grant: Grant, subnets: Sequence[int]) -> Answer:
        """Give a grant's attributes, and what it is to be explained by, as far as there is room for that."""
        pool = self._pool_name(grant)
        known = {"allocation_id": grant.allocation_id, "cidr": str(grant.cidr), "ipam_pool_id": grant.pool_id}
        data = attributes(grant, subnets) | {"IpamPoolName": fitted(pool, MAX_POOL_NAME), "Explanation": ""}
        answer = Answer(outcome, grant.allocation_id, data=data, facts=known)
        said = fitted(explanation(pool, grant.passed_over), room(request, answer))
        return replace(answer, data=data | {"Explanation": said})

    def _pool_name(self, grant: Grant) -> str:
        """Tell the name that a grant's pool has now; an administrator may have deleted it under our hands."""
        try:
            return current_space(self._ports, grant.pool_id).name
        except NoSuchPoolError:
            return grant.pool_id


def end_allocation(
    ports: Ports, request: Request, account: str, deadline: Deadline, asked: Callable[[], Ask]
) -> Answer:
    """Release what CloudFormation names by our id; with any other id, only what it never learned of.

    Our ids cannot be guessed, so one that is right is proof enough. Any other proves nothing, and what to release is
    found by names that others may know: so it waits until S3 has taken the answer, which it does for none but
    CloudFormation's own signature.

    Args:
        ports: the collaborators.
        request: the Delete.
        account: whose it is.
        deadline: ends the work before a commit that could not be answered.
        asked: tells what its resource asked for.
    """
    held, owner = request.physical_resource_id, _owner(request)
    if is_allocation_id(held):
        releasing = ReleaseRequest(owner, account, request.requested, request.cause)
        return Answer(release(ports, releasing, held, deadline), held, facts={"allocation_id": held})
    ending = ReleaseRequest(owner, account, ends_up_to(request), request.cause)
    return Answer("nothing-to-release", held, afterwards=lambda: abandon(ports, ending, _name(asked), deadline))


def _name(asked: Callable[[], Ask]) -> str:
    """Name what a resource asked for; "" for what cannot be served, which was given nothing."""
    try:
        return digest(asked())
    except PermanentError:
        return ""


def _owner(request: Request) -> OwnerKey:
    return OwnerKey(request.stack_id, request.logical_resource_id)


def attributes(grant: Grant, subnets: Sequence[int]) -> dict[str, str]:
    """Tell what is known of a grant. What it does not have is empty, so that a reference to it still resolves."""
    cidrs = [str(subnet) for subnet in pack(grant.cidr, subnets)]
    return {
        "Cidr": str(grant.cidr),
        "Returned_IpamPoolAllocationId": grant.allocation_id,
        "CreationDate": dates.written(grant.created),
        "IpamPoolId": grant.pool_id,
        "NetmaskLength": str(grant.cidr.length),
        "PreviewToken": str(Token(grant.allocation_id, grant.pool_id, grant.cidr)) if grant.preview else "",
        "ExpiresAt": "" if grant.expires is None else dates.written(grant.expires),
        "SubnetCidrs": ",".join(cidrs),
        **{f"SubnetCidr{number}": cidr for number, cidr in enumerate(cidrs, start=1)},
    }
