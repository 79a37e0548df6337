"""Custom::DeleteCnCIDR: stands in a stack for the return of a block, and makes it when it is deleted.

Create and Update check that the stack may and can return the block, and change no allocation. The physical id is made
from the allocation id, so that another allocation is a replacement, whose Delete carries the old properties and returns
the old block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipam.domain.errors import PermanentError
from ipam.domain.owner import OwnerKey
from ipam.entrypoints.answers import Answer, unmade_id
from ipam.entrypoints.cn_cidr.properties import announcement, claim
from ipam.entrypoints.errors import WrongKeyError
from ipam.services.authorize import is_authorized
from ipam.services.release import ReleaseRequest, release_in_stack
from ipam.services.verify import verify

if TYPE_CHECKING:
    from ipam.entrypoints.events import Request
    from ipam.services.ports import Deadline, Ports
    from ipam.services.ports.outside import Secrets

PREFIX: Final = "return-of-"


class DeleteCnCidr:
    """The resource type, for one request."""

    def __init__(self, ports: Ports, secrets: Secrets, account: str, deadline: Deadline) -> None:
        """Serve a request of an account within a time."""
        self._ports = ports
        self._secrets = secrets
        self._account = account
        self._deadline = deadline

    def create(self, request: Request) -> Answer:
        """Check the key first, and what is said of the allocation only then."""
        said, key = announcement(request.properties)
        if not is_authorized(self._ports, self._secrets, self._account, key):
            raise WrongKeyError(self._account)
        grant = verify(self._ports, self._releasing(request), said, self._deadline)
        known = {"allocation_id": grant.allocation_id, "cidr": str(grant.cidr), "ipam_pool_id": grant.pool_id}
        return Answer("verified", PREFIX + grant.allocation_id, facts=known)

    def update(self, request: Request) -> Answer:
        """Check anew; another allocation makes it another resource."""
        return self.create(request)

    def delete(self, request: Request) -> Answer:
        """Return the block that the id and all three facts agree on; ownership decides, and no key.

        Keys rotate, and a stack must stay deletable. What cannot be verified changes nothing and is no failure, for the
        same reason; an alarm reads the log.
        """
        held = request.physical_resource_id
        if not held.startswith(PREFIX):
            # Its Create was refused, or never answered: so it stands for nothing.
            return Answer("nothing-to-release", held)
        try:
            said = claim(request.properties)
        except PermanentError:
            return Answer("unverified-delete", held)
        if held != PREFIX + said.allocation_id:
            return Answer("unverified-delete", held)
        outcome = release_in_stack(self._ports, self._releasing(request), said, self._deadline)
        return Answer(outcome, held, facts={"allocation_id": said.allocation_id, "cidr": said.cidr})

    def failed_id(self, request: Request) -> str:
        """Name the resource in a refusal: an Update leaves the id as it was."""
        return request.physical_resource_id or unmade_id("not-verified", request)

    def _releasing(self, request: Request) -> ReleaseRequest:
        """Say to the engine who returns."""
        owner = OwnerKey(request.stack_id, request.logical_resource_id)
        return ReleaseRequest(owner, self._account, request.requested, request.cause)
