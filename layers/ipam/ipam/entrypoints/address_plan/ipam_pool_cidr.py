"""Custom::IpamPoolCidr: a CIDR that a pool gets from its source. `Ref` is `<pool id>|<CIDR>`.

Another pool, block or size makes it another CIDR, which is provisioned beside the old one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ipam.domain import ids
from ipam.domain.cidr import Cidr
from ipam.domain.errors import MalformedCidrError, PermanentError
from ipam.entrypoints.address_plan.identity import cidrs_of, turn_of
from ipam.entrypoints.address_plan.properties import cascade, pool_cidr
from ipam.entrypoints.address_plan.resources import find_pool
from ipam.entrypoints.answers import Answer, ended, ends_up_to, unmade_id
from ipam.services.settle_cidrs import Holding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.entrypoints.answers import Outcome
    from ipam.entrypoints.events import Request
    from ipam.services.ports import Deadline, Ports

CIDR_ID: Final = "ipam-pool-cidr-"
CIDR_DIGITS: Final = 32

PROVISIONED: Final = "provisioned"
"""The state of a pool's CIDR (EC2 API reference, IpamPoolCidr); the others are of work that is under way."""

_POOL_ID: Final = re.compile(rf"{ids.POOL_PREFIX}[0-9a-f]{{{ids.POOL_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Held:
    """What a physical id says: a pool, and a CIDR that it has."""

    pool_id: str
    cidr: Cidr

    def __str__(self) -> str:
        """Write the physical id."""
        return f"{self.pool_id}|{self.cidr}"


def read_held(physical_id: str) -> Held | None:
    """Read a physical id; None if it is none of ours."""
    pool_id, _, block = physical_id.partition("|")
    if _POOL_ID.fullmatch(pool_id) is None:
        return None
    try:
        return Held(pool_id, Cidr.parse(block))
    except MalformedCidrError:
        return None


class IpamPoolCidr:
    """The resource type, for one request."""

    def __init__(self, ports: Ports, account: str, deadline: Deadline) -> None:
        """Serve a request of an account within a time."""
        self._ports = ports
        self._account = account
        self._deadline = deadline

    def create(self, request: Request) -> Answer:
        """Provision; a Create that comes again gets what it got before."""
        said = pool_cidr(request.properties)
        pool_id = find_pool(self._ports, said.pool).pool_id
        made = Held(pool_id, self._holding(request, pool_id).settle(said.wanted))
        return _answer("created", made)

    def update(self, request: Request) -> Answer:
        """Keep what still is what is asked for, or provision another CIDR beside it."""
        said = pool_cidr(request.properties)
        pool_id = find_pool(self._ports, said.pool).pool_id
        holding = self._holding(request, pool_id, said.claimed)
        held = read_held(request.physical_resource_id)
        if held is not None and said.wanted in {held.cidr, held.cidr.length} and _has(holding, held):
            made = Held(pool_id, holding.keep(held.cidr))
        else:
            made = Held(pool_id, holding.settle(said.wanted))
        self._drop_unaccepted(request, {held, made})
        return _answer("kept" if made == held else "replaced", made)

    def delete(self, request: Request) -> Answer:
        """Give back what CloudFormation names by our id; with any other id, what the Create would have provisioned.

        It ends before the answer is given, as a pool does.
        """
        physical_id = request.physical_resource_id
        held, claimed = read_held(physical_id), _claimed(request.properties)
        pool_id = self._pool_id(request.properties) if held is None else held.pool_id
        if pool_id is None:
            return Answer("nothing-to-release", physical_id)
        holding = self._holding(request, pool_id, claimed)
        holding = replace(holding, turn=replace(holding.turn, requested=ends_up_to(request)))
        outcome = holding.end(None if held is None else held.cidr, cascade=cascade(request.properties))
        return Answer(ended(request, outcome), physical_id, facts={"ipam_pool_id": pool_id})

    def failed_id(self, request: Request) -> str:
        """Name the resource in a refusal: an Update leaves the id as it was."""
        return request.physical_resource_id or unmade_id("not-provisioned", request)

    def _holding(self, request: Request, pool_id: str, claimed: tuple[Cidr, ...] = ()) -> Holding:
        """Tell what a pool has on behalf of the resource."""
        turn = turn_of(request, self._account, pool_id).about(cidrs_of(request, pool_id))
        return Holding(self._ports, turn, self._deadline, claimed)

    def _drop_unaccepted(self, request: Request, known: set[Held | None]) -> None:
        """Give back what an Update provisioned whose answer CloudFormation never took over."""
        before = self._pool_id(request.old_properties)
        for pool_id in {each.pool_id for each in known if each is not None} | ({before} if before else set()):
            kept = [each.cidr for each in known if each is not None and each.pool_id == pool_id]
            self._holding(request, pool_id, _claimed(request.old_properties)).drop_all_but(kept)

    def _pool_id(self, values: Mapping[str, Any]) -> str | None:
        """Tell which pool properties name, if they do and it is there."""
        try:
            return find_pool(self._ports, pool_cidr(values).pool).pool_id
        except PermanentError:
            return None


def _has(holding: Holding, held: Held) -> bool:
    """Whether it is this pool that has the CIDR on behalf of the resource."""
    return holding.turn.owner.party == held.pool_id and held.cidr in holding.cidrs()


def _claimed(values: Mapping[str, Any]) -> tuple[Cidr, ...]:
    """Tell the block that properties name, if they do."""
    try:
        return pool_cidr(values).claimed
    except PermanentError:
        return ()


def _answer(outcome: Outcome, made: Held) -> Answer:
    """Give a CIDR's attributes."""
    digits = hashlib.sha256(str(made).encode()).hexdigest()[:CIDR_DIGITS]
    data = {
        "IpamPoolCidrId": f"{CIDR_ID}{digits}",
        "State": PROVISIONED,
        "IpamPoolId": made.pool_id,
        "Cidr": str(made.cidr),
        "NetmaskLength": str(made.cidr.length),
    }
    return Answer(outcome, str(made), data=data, facts={"cidr": str(made.cidr), "ipam_pool_id": made.pool_id})
