"""Custom::IpamScope: an address world of its own. `Ref` is the scope's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ipam.domain import ids
from ipam.entrypoints.address_plan import properties
from ipam.entrypoints.address_plan.identity import derived_id, derived_name, turn_of
from ipam.entrypoints.address_plan.resources import IPAM, PlanPart, arn
from ipam.entrypoints.answers import Answer
from ipam.services.plan import current_plan
from ipam.services.scopes import ensure_default_scopes
from ipam.services.settle import NewScope, end_scope, settle_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.domain.pool import Scope
    from ipam.entrypoints.answers import Outcome
    from ipam.entrypoints.events import Request
    from ipam.services.settle import Ended
    from ipam.services.turns import Turn


class IpamScope(PlanPart):
    """The resource type, for one request."""

    PREFIX: ClassVar = ids.SCOPE_PREFIX
    DIGITS: ClassVar = ids.SCOPE_DIGITS
    FACT: ClassVar = "ipam_scope_id"

    def create(self, request: Request) -> Answer:
        """Create the scope, beside the default ones."""
        ensure_default_scopes(self._ports, request.cause)
        return self.update(request)

    def update(self, request: Request) -> Answer:
        """Change name, description and tags in place; another type makes it another scope."""
        said = properties.scope(request.properties)
        scope_id = derived_id(self.PREFIX, self.DIGITS, request, said.facts)
        if request.request_type == "Update":
            self._drop_unaccepted(request, scope_id)
        name = said.name or derived_name(request, scope_id)
        wanted = NewScope(name, said.scope_type, said.description, said.tags)
        turn = turn_of(request, self._account, scope_id)
        scope, made = settle_scope(self._ports, turn, scope_id, wanted, self._deadline)
        replaced = request.physical_resource_id not in {"", scope_id}
        return self._answer(request, "replaced" if replaced else made, scope)

    def _facts(self, values: Mapping[str, Any]) -> tuple[object, ...]:
        return properties.scope(values).facts

    def _end(self, turn: Turn, part_id: str, *, cascade: bool) -> Ended:  # noqa: ARG002 - a scope has to be empty
        return end_scope(self._ports, turn, part_id, self._deadline)

    def _answer(self, request: Request, outcome: Outcome, scope: Scope) -> Answer:
        """Give a scope's attributes."""
        pools = current_plan(self._ports).pools.values()
        data = {
            "IpamScopeId": scope.scope_id,
            "Arn": arn(request, "ipam-scope", scope.scope_id),
            "IpamArn": arn(request, "ipam", IPAM),
            "IpamScopeType": scope.scope_type,
            "IsDefault": "false",
            "PoolCount": str(sum(pool.scope_id == scope.scope_id for pool in pools)),
            "Name": scope.name,
        }
        return Answer(outcome, scope.scope_id, data=data, facts={self.FACT: scope.scope_id})
