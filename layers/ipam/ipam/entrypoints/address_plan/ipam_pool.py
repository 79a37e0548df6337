"""Custom::IpamPool: a part of the plan with rules of its own. `Ref` is the pool's id.

Rules, quota, sharing, tags, description and name change in place and leave alone what is allocated. The Region cannot
change: what was allocated from the pool is used there. Whatever else cannot change makes it another pool, which is made
beside the old one; that stays until CloudFormation deletes it, or for good if the Update is rolled back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ipam.domain import ids
from ipam.domain.errors import NameTakenError, PermanentError
from ipam.entrypoints.address_plan import properties
from ipam.entrypoints.address_plan.identity import cidrs_of, derived_id, derived_name, turn_of
from ipam.entrypoints.address_plan.resources import IPAM, PlanPart, arn, find_pool
from ipam.entrypoints.answers import Answer
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import shown
from ipam.services.plan import current_plan
from ipam.services.pools import NewPool
from ipam.services.scopes import ensure_default_scopes
from ipam.services.settle import end_pool, settle_pool
from ipam.services.settle_cidrs import Holding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import Pool
    from ipam.entrypoints.address_plan.properties import PoolProperties
    from ipam.entrypoints.answers import Outcome
    from ipam.entrypoints.events import Request
    from ipam.services.settle import Ended
    from ipam.services.turns import Turn

STATES: Final = {"Create": "create-complete", "Update": "modify-complete"}
"""States of a pool (EC2 API reference, IpamPool), by the request that brings it there."""


class IpamPool(PlanPart):
    """The resource type, for one request."""

    PREFIX: ClassVar = ids.POOL_PREFIX
    DIGITS: ClassVar = ids.POOL_DIGITS
    FACT: ClassVar = "ipam_pool_id"

    def create(self, request: Request) -> Answer:
        """Create the pool, and provision to it what the template says."""
        return self._settle(request, ())

    def update(self, request: Request) -> Answer:
        """Change in place what can change, CIDRs among it; otherwise make another pool."""
        return self._settle(request, self._before(request))

    def _settle(self, request: Request, before: tuple[Cidr, ...]) -> Answer:
        """Let the pool be as its properties say."""
        said = properties.pool(request.properties)
        ensure_default_scopes(self._ports, request.cause)
        new = self._resolved(said)
        pool_id = self._pool_id(request, said, new)
        if request.request_type == "Update":
            self._drop_unaccepted(request, pool_id)
        new = replace(new, name=said.name or derived_name(request, pool_id))
        turn = turn_of(request, self._account, pool_id)
        self._check_region(pool_id, new)
        pool, made = self._settled(request, turn, pool_id, new)
        holding = Holding(self._ports, turn.about(cidrs_of(request, pool_id)), self._deadline, before)
        holding.settle_all(said.cidrs)
        replaced = request.physical_resource_id not in {"", pool_id}
        return self._answer(request, "replaced" if replaced else made, pool)

    def _resolved(self, said: PoolProperties) -> NewPool:
        """Find the scope and the source pool that the properties name."""
        plan = current_plan(self._ports, fresh=True)
        return NewPool(
            name=said.name,
            scope_id=plan.named_scope(said.scope).scope_id,
            family=said.family,
            source_pool_id=find_pool(self._ports, said.source, "SourceIpamPoolId").pool_id if said.source else None,
            locale=said.locale,
            description=said.description,
            allocation_types=said.allocation_types,
            rules=said.rules,
            quota=said.quota,
            cooling_seconds=said.cooling_seconds,
            tags=said.tags,
            shared_with=said.shared_with,
            source_resource=said.source_resource,
            vpc_ipam_pool_id=said.vpc_ipam_pool_id,
            auto_import=said.auto_import,
            sticky=said.sticky,
        )

    def _pool_id(self, request: Request, said: PoolProperties, new: NewPool) -> str:
        """Tell which pool is meant: the one that there is, if it is what is described now, in whatever words."""
        held = request.physical_resource_id
        pool = current_plan(self._ports).pools.get(held)
        if pool is not None and _fixed(new.as_pool(held, 0)) == _fixed(pool):
            turn = turn_of(request, self._account, held)
            if self._ports.store.owner(turn.owner).version:
                return held
        return derived_id(self.PREFIX, self.DIGITS, request, said.facts)

    def _check_region(self, pool_id: str, new: NewPool) -> None:
        """Refuse another Region for a pool that is there."""
        pool = current_plan(self._ports).pools.get(pool_id)
        if pool is not None and pool.locale != new.locale:
            why = f"the pool is for {pool.locale or 'no Region'}, and what was allocated from it is used there"
            remedy = "Make another pool for the Region, under another logical id"
            raise InvalidPropertyError("Locale", shown(new.locale), why, remedy)

    def _settled(self, request: Request, turn: Turn, pool_id: str, new: NewPool) -> tuple[Pool, Outcome]:
        """Let the pool be as described, and say what a replacement needs beside it."""
        try:
            return settle_pool(self._ports, turn, pool_id, new, self._deadline)
        except NameTakenError:
            if current_plan(self._ports).holder_of(new.name) != request.physical_resource_id:
                raise
            why = "the pool that this one replaces has the name until it is deleted"
            raise InvalidPropertyError("Name", shown(new.name), why, "Change Name in the same update") from None

    def _before(self, request: Request) -> tuple[Cidr, ...]:
        """Tell the CIDRs that the template wanted before; those of properties that made no sense were never made."""
        try:
            return properties.pool(request.old_properties).cidrs
        except PermanentError:
            return ()

    def _facts(self, values: Mapping[str, Any]) -> tuple[object, ...]:
        return properties.pool(values).facts

    def _end(self, turn: Turn, part_id: str, *, cascade: bool) -> Ended:
        return end_pool(self._ports, turn, part_id, self._deadline, cascade=cascade)

    def _answer(self, request: Request, outcome: Outcome, pool: Pool) -> Answer:
        """Give a pool's attributes."""
        plan = current_plan(self._ports)
        data = {
            "IpamPoolId": pool.pool_id,
            "Arn": arn(request, "ipam-pool", pool.pool_id),
            "IpamArn": arn(request, "ipam", IPAM),
            "IpamScopeArn": arn(request, "ipam-scope", pool.scope_id),
            "IpamScopeId": pool.scope_id,
            "IpamScopeType": plan.scopes[pool.scope_id].scope_type,
            "PoolDepth": str(plan.depth(pool)),
            "State": STATES[request.request_type],
            "StateMessage": "",
            "Name": pool.name,
        }
        return Answer(outcome, pool.pool_id, data=data, facts={self.FACT: pool.pool_id})


def _fixed(pool: Pool) -> tuple[object, ...]:
    """Tell what cannot change of a pool, but makes it another."""
    return (pool.family, pool.scope_id, pool.source_pool_id, pool.source_resource, pool.vpc_ipam_pool_id)
