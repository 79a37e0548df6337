"""What the resource types of the address plan have in common."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ipam.domain.errors import InUseError, NoSuchPoolError, PermanentError
from ipam.entrypoints.address_plan.identity import derived_id, turn_of
from ipam.entrypoints.address_plan.properties import cascade
from ipam.entrypoints.answers import Answer, ended, ends_up_to, unmade_id
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import shown
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.domain.pool import Pool
    from ipam.entrypoints.events import Request
    from ipam.services.ports import Deadline, Ports
    from ipam.services.settle import Ended
    from ipam.services.turns import Turn


IPAM: Final = "cn-ipam"
"""What this system is called where EC2 has the id of an IPAM."""


class PlanPart(ABC):
    """A resource type that stands for a scope or a pool, for one request.

    Whoever may call the function is an administrator of the plan, so an event proves enough by having come: what ends,
    ends before the answer, because the parent's own Delete follows that at once.
    """

    PREFIX: ClassVar[str]
    DIGITS: ClassVar[int]
    FACT: ClassVar[str]
    """What the log calls the id."""

    def __init__(self, ports: Ports, account: str, deadline: Deadline) -> None:
        """Serve a request of an account within a time."""
        self._ports = ports
        self._account = account
        self._deadline = deadline

    @abstractmethod
    def create(self, request: Request) -> Answer:
        """Create the part; a Create that comes again gets the one that it made."""

    @abstractmethod
    def update(self, request: Request) -> Answer:
        """Change in place what can change; otherwise make another part beside it."""

    @abstractmethod
    def _facts(self, values: Mapping[str, Any]) -> tuple[object, ...]:
        """Read what cannot change of the part."""

    @abstractmethod
    def _end(self, turn: Turn, part_id: str, *, cascade: bool) -> Ended:
        """Delete the part."""

    def delete(self, request: Request) -> Answer:
        """Delete the part that CloudFormation names by our id; with any other id, what its Create would have made.

        So a Create that was cancelled, or whose answer was lost, leaves nothing, even if it is overtaken. An id of our
        form that no request of the resource has made is somebody else's: nothing happens to that.
        """
        held = request.physical_resource_id
        derived = self._derived(request, request.properties)
        part_id = held if held.startswith(self.PREFIX) else derived
        if part_id is None:
            return Answer("nothing-to-release", held)
        turn = replace(turn_of(request, self._account, part_id), requested=ends_up_to(request))
        if part_id != derived and not self._ports.store.owner(turn.owner).version:
            return Answer("unverified-delete", held)
        outcome = self._end(turn, part_id, cascade=cascade(request.properties))
        return Answer(ended(request, outcome), held, facts={self.FACT: part_id})

    def failed_id(self, request: Request) -> str:
        """Name the resource in a refusal: as it was; on Create as nothing, of which the Delete ends what that has made.

        By what it would have made is another one to be called, which was deployed after it and has succeeded.
        """
        return request.physical_resource_id or unmade_id("not-created", request)

    def _derived(self, request: Request, values: Mapping[str, Any]) -> str | None:
        """Give the id of the part that properties describe; None if they describe none."""
        try:
            return derived_id(self.PREFIX, self.DIGITS, request, self._facts(values))
        except PermanentError:
            return None

    def _drop_unaccepted(self, request: Request, wanted: str) -> None:
        """Delete what an Update made whose answer CloudFormation never took over: it would hold that by now.

        What is in use by now stays.
        """
        made = self._derived(request, request.old_properties)
        if made is None or made in {wanted, request.physical_resource_id}:
            return
        turn = turn_of(request, self._account, made)
        if self._ports.store.owner(turn.owner).version:
            with contextlib.suppress(InUseError):
                self._end(turn, made, cascade=False)


def find_pool(ports: Ports, id_or_name: str, property_name: str = "IpamPoolId") -> Pool:
    """Find the pool that a property names, however new it is.

    Raises:
        InvalidPropertyError: there is none.
    """
    for fresh in (False, True):
        with contextlib.suppress(NoSuchPoolError):
            return current_plan(ports, fresh=fresh).named(id_or_name)
    remedy = "Use !Ref of the Custom::IpamPool, or a name that `ipam pool list` shows"
    raise InvalidPropertyError(property_name, shown(id_or_name), "there is no such pool", remedy)


def arn(request: Request, kind: str, name: str) -> str:
    """Write an ARN as EC2 does. It names a part of this system's plan, which no service of AWS knows."""
    partition = request.stack_id.split(":")[1]
    return f"arn:{partition}:ec2::{request.account}:{kind}/{name}"
