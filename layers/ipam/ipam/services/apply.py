"""Apply: the plan becomes what a blueprint says, step by step.

Each step is a change of its own, and is found again to be done by whoever compares the plan with the blueprint after an
interruption: so a run that ends early is simply run again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam.domain.blueprint import as_present, steps
from ipam.domain.errors import NameTakenError
from ipam.services.deprovision import deprovision
from ipam.services.plan import current_plan
from ipam.services.pools import NewPool, create_pool, delete_pool, edit_pool
from ipam.services.provision import provision
from ipam.services.scopes import create_scope, edit_scope

if TYPE_CHECKING:
    from ipam.domain.blueprint import ScopeBlueprint, Step
    from ipam.domain.cidr import Cidr
    from ipam.domain.pool import Pool, Scope
    from ipam.services.ports import Ports


def difference(ports: Ports, scopes: tuple[ScopeBlueprint, ...], *, prune: bool) -> list[Step]:
    """Tell the steps from the plan as it is now to a blueprint.

    Raises:
        BlueprintError: the blueprint contradicts itself, or what cannot change.
    """
    return steps(current_plan(ports, fresh=True), scopes, prune=prune)


def take(ports: Ports, step: Step, cause: str) -> None:
    """Take one step.

    Raises:
        PermanentError: it is refused; the steps before it stay taken.
        TemporaryError: not now.
    """
    match step.action:
        case "create-scope" | "edit-scope":
            _scope(ports, step, cause)
        case "create-pool":
            _create_pool(ports, step, cause)
        case "edit-pool":
            edit_pool(ports, _pool(ports, step).pool_id, lambda pool: as_present(pool, _wanted(step)), cause)
        case "delete-pool":
            delete_pool(ports, _pool(ports, step).pool_id, cause)
        case "deprovision":
            deprovision(ports, _pool(ports, step).pool_id, _block(step), cause)
        case "provision":
            _provision(ports, step, cause)


def _scope(ports: Ports, step: Step, cause: str) -> None:
    """Create a scope, or change what is said of it."""
    wanted = step.blueprint
    if wanted is None:
        raise TypeError(step)
    if step.action == "create-scope":
        create_scope(ports, wanted.name, wanted.scope_type, wanted.description, cause, tags=wanted.tags)
        return

    def change(scope: Scope) -> Scope:
        return replace(scope, description=wanted.description, tags=wanted.tags)

    scope = current_plan(ports, fresh=True).named_scope(wanted.name)
    edit_scope(ports, scope.scope_id, change, cause)


def _create_pool(ports: Ports, step: Step, cause: str) -> None:
    """Create a pool where it is meant to stand."""
    plan = current_plan(ports, fresh=True)
    wanted = _wanted(step)
    new = NewPool(
        name=wanted.name,
        scope_id=plan.named_scope(step.scope).scope_id,
        family=wanted.family,
        source_pool_id=plan.named(step.source).pool_id if step.source else None,
        locale=wanted.locale,
        description=wanted.description,
        allocation_types=wanted.allocation_types,
        rules=wanted.rules,
        quota=wanted.quota,
        cooling_seconds=wanted.cooling_seconds,
        tags=wanted.tags,
        shared_with=wanted.shared_with,
        source_resource=wanted.source_resource,
        vpc_ipam_pool_id=wanted.vpc_ipam_pool_id,
        auto_import=wanted.auto_import,
        sticky=wanted.sticky,
    )
    try:
        create_pool(ports, new, cause)
    except NameTakenError:
        # An answer that was lost: the pool is there. Whether it is as it should be is seen by comparing anew.
        if all(pool.name != wanted.name for pool in current_plan(ports, fresh=True).pools.values()):
            raise


def _provision(ports: Ports, step: Step, cause: str) -> None:
    """Give a pool a block; the same step again gives the same one."""
    wanted = step.cidr if isinstance(step.cidr, int) else _block(step)
    provision(ports, _pool(ports, step).pool_id, wanted, step.token, cause)


def _pool(ports: Ports, step: Step) -> Pool:
    """Find the pool of a step, which may have been created by the one before."""
    return current_plan(ports, fresh=True).named(step.pool)


def _wanted(step: Step) -> Pool:
    """Give the pool as it is to be."""
    if step.wanted is None:
        raise TypeError(step)
    return step.wanted


def _block(step: Step) -> Cidr:
    """Give the exact block of a step."""
    if step.cidr is None or isinstance(step.cidr, int):
        raise TypeError(step)
    return step.cidr
