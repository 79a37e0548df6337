"""A blueprint: the address plan as it is meant to be, and the steps from the plan as it is.

A blueprint names every scope and pool that it is about; others are left alone. What it says of a pool is the whole
truth about that pool: a rule that it leaves out is one that the pool is not to have.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

from ipam.domain.cidr import Cidr, spans
from ipam.domain.differences import changes_between, facts_of
from ipam.domain.errors import BlueprintError, InvalidPoolError, NoSuchPoolError, NoSuchScopeError
from ipam.domain.plan import Plan, check_change, check_name, check_new_pool
from ipam.domain.pool import Pool, ProvisionedCidr, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.pool import ScopeType, Tag


Action = Literal["create-scope", "edit-scope", "create-pool", "edit-pool", "delete-pool", "deprovision", "provision"]

ORDER: Final[tuple[Action, ...]] = get_args(Action)
"""In which order the steps are taken."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something is said: line and column, from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        """Write it for people."""
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True)
class PoolBlueprint:
    """A pool as it is meant to be.

    Attributes:
        pool: its facts, without what is only known once it exists: ids, when it was made, and its version.
        cidrs: the exact blocks that it is to have, and the netmask lengths of others, wherever they lie.
        pools: those that get their space from it.
        place: where it is said.
    """

    pool: Pool
    cidrs: tuple[Cidr | int, ...]
    pools: tuple[PoolBlueprint, ...]
    place: Place = field(compare=False)


@dataclass(frozen=True)
class ScopeBlueprint:
    """A scope as it is meant to be; `place` is where it is said."""

    name: str
    scope_type: ScopeType
    description: str
    tags: tuple[Tag, ...]
    pools: tuple[PoolBlueprint, ...]
    place: Place = field(compare=False)


@dataclass(frozen=True)
class Step:
    """One change of the plan.

    Attributes:
        action: what is done.
        scope: the name of the scope that it is done in, or to.
        pool: the name of the pool, or "" where a scope is concerned.
        source: the name of the pool that the pool gets its space from, or "".
        wanted: the pool as it is to be, where one is created or edited.
        cidr: the block, or netmask length, that is provisioned, or the block that is deprovisioned.
        token: names the order of a block, so that taking the step again gives the same one.
        changes: what is edited: its name, how it is and how it is to be.
        blueprint: of a scope that is created or edited.
    """

    action: Literal["create-scope", "edit-scope", "create-pool", "edit-pool", "provision", "deprovision", "delete-pool"]
    scope: str
    pool: str = ""
    source: str = ""
    wanted: Pool | None = None
    cidr: Cidr | int | None = None
    token: str = ""
    changes: tuple[tuple[str, str, str], ...] = ()
    blueprint: ScopeBlueprint | None = None


def steps(plan: Plan, scopes: tuple[ScopeBlueprint, ...], *, prune: bool) -> list[Step]:
    """Tell what has to be done, in an order in which it can be done; nothing, if the plan is as it is meant to be.

    Args:
        plan: as it is.
        scopes: as they are meant to be.
        prune: whether pools of these scopes that the blueprint does not name are deleted, and blocks of pools that it
            names no more are deprovisioned.

    Raises:
        BlueprintError: it contradicts itself or what cannot change, with the place.
    """
    _check_names(scopes)
    found: list[Step] = []
    for scope in scopes:
        found += _scope_steps(plan, scope)
        for pool in scope.pools:
            found += _pool_steps(_Where(plan, scope.name, "", ()), pool)
    if prune:
        found += _pruning(plan, scopes)
    # What goes makes room for what comes; and what comes is there from the top down already.
    return sorted(found, key=lambda step: ORDER.index(step.action))


def _check_names(scopes: tuple[ScopeBlueprint, ...]) -> None:
    """Refuse a name that stands for two things: names are unique in the whole plan."""
    seen: dict[str, Place] = {}
    named = [(scope.name, scope.place) for scope in scopes]
    named += [(each.pool.name, each.place) for scope in scopes for each in all_pools(scope.pools)]
    for name, place in named:
        if name in seen:
            raise BlueprintError(str(place), f"the name {name!r} is taken", f"it stands at {seen[name]}")
        seen[name] = place


def all_pools(pools: tuple[PoolBlueprint, ...]) -> Iterator[PoolBlueprint]:
    """Give pools and those below them, from the top down."""
    for each in pools:
        yield each
        yield from all_pools(each.pools)


def _scope_steps(plan: Plan, wanted: ScopeBlueprint) -> list[Step]:
    """Tell what is to be done to a scope itself."""
    try:
        scope = plan.named_scope(wanted.name)
    except NoSuchScopeError:
        _check_scope_name(wanted)
        return [Step("create-scope", wanted.name, blueprint=wanted)]
    if scope.scope_type != wanted.scope_type:
        why = f"the scope is {scope.scope_type}, and its type is fixed when it is made"
        raise BlueprintError(str(wanted.place), f"type {wanted.scope_type}", why)
    changes = changes_between(
        {"description": scope.description, "tags": scope.tags},
        {"description": wanted.description, "tags": wanted.tags},
    )
    return [Step("edit-scope", wanted.name, changes=changes, blueprint=wanted)] if changes else []


def _check_scope_name(wanted: ScopeBlueprint) -> None:
    """Refuse the name of a new scope before anything is done."""
    try:
        check_name(wanted.name)
    except InvalidPoolError as error:
        raise BlueprintError(str(wanted.place), f"the name {wanted.name!r}", error.why) from None


@dataclass(frozen=True)
class _Where:
    """Where a pool is meant to stand: its scope, and its source pool with the blocks that this is to have."""

    plan: Plan
    scope: str
    source: str
    blocks: tuple[Cidr, ...]


def _pool_steps(where: _Where, wanted: PoolBlueprint) -> list[Step]:
    """Tell what is to be done to a pool and to those below it."""
    present = _present(where, wanted)
    found = [] if present is None else _edits(where, present, wanted)
    if present is None:
        _check_new(where, wanted)
        found = [Step("create-pool", where.scope, wanted.pool.name, where.source, wanted.pool)]
    _check_blocks(where, wanted)
    has = () if present is None else tuple(each.cidr for each in where.plan.provisioned(present.pool_id))
    found += _missing(where, wanted, has)
    exact = tuple(block for block in wanted.cidrs if isinstance(block, Cidr))
    below = _Where(where.plan, where.scope, wanted.pool.name, (*exact, *has))
    for child in wanted.pools:
        found += _pool_steps(below, child)
    return found


def _present(where: _Where, wanted: PoolBlueprint) -> Pool | None:
    """Find the pool of that name, which has to stand where it is meant to."""
    try:
        pool = where.plan.named(wanted.pool.name)
    except NoSuchPoolError:
        return None
    source = where.plan.pools[pool.source_pool_id].name if pool.source_pool_id else ""
    scope = where.plan.scopes[pool.scope_id].name
    if (scope, source) != (where.scope, where.source):
        stands = f"in scope {scope!r}" + (f" below {source!r}" if source else "")
        raise BlueprintError(str(wanted.place), f"pool {pool.name!r} stands {stands}", "a pool is not moved")
    return pool


def _edits(where: _Where, present: Pool, wanted: PoolBlueprint) -> list[Step]:
    """Tell what is to be edited of a pool that is there."""
    meant = as_present(present, wanted.pool)
    try:
        check_change(present, meant, where.plan)
    except InvalidPoolError as error:
        raise _refused(wanted, error) from None
    changes = changes_between(facts_of(present), facts_of(meant))
    return [Step("edit-pool", where.scope, present.name, wanted=wanted.pool, changes=changes)] if changes else []


def as_present(present: Pool, wanted: Pool) -> Pool:
    """Give a pool that is there as it is meant to be."""
    return replace(
        wanted,
        pool_id=present.pool_id,
        scope_id=present.scope_id,
        source_pool_id=present.source_pool_id,
        created=present.created,
        version=present.version,
    )


def _check_new(where: _Where, wanted: PoolBlueprint) -> None:
    """Refuse a new pool that could not work; its source pool may be new as well, and is then not looked at."""
    scope = next((each for each in where.plan.scopes.values() if each.name == where.scope), None)
    scopes = tuple(where.plan.scopes.values()) or ()
    if scope is None:
        scope = Scope("new", where.scope, "private", "", 0)
        scopes = (*scopes, scope)
    source = next((pool for pool in where.plan.pools.values() if pool.name == where.source), None)
    pool = replace(wanted.pool, scope_id=scope.scope_id, source_pool_id=None if source is None else source.pool_id)
    if source is None and where.source and pool.source_resource is not None:
        # Only whether there is a source pool matters for it.
        pool = replace(pool, source_resource=None)
    try:
        check_new_pool(pool, Plan(scopes, tuple(where.plan.pools.values()), ()))
    except InvalidPoolError as error:
        raise _refused(wanted, error) from None


def _refused(wanted: PoolBlueprint, error: InvalidPoolError) -> BlueprintError:
    """Say where a pool is refused."""
    said = f"{error.property_name} {error.value!r} of pool {wanted.pool.name!r}"
    return BlueprintError(str(wanted.place), said, error.why)


def _check_blocks(where: _Where, wanted: PoolBlueprint) -> None:
    """Refuse exact blocks that a pool could not have, as far as the blueprint tells."""
    name = wanted.pool.name
    exact = [block for block in wanted.cidrs if isinstance(block, Cidr)]
    stray = next((block for block in exact if block.family != wanted.pool.family), None)
    if stray is not None:
        raise BlueprintError(str(wanted.place), f"{stray} of pool {name!r}", f"the pool is ipv{wanted.pool.family}")
    outside = next((block for block in exact if not any(each.contains(block) for each in where.blocks)), None)
    if where.source and outside is not None and where.blocks:
        raise BlueprintError(str(wanted.place), f"{outside} of pool {name!r}", f"{where.source!r} does not have it")
    siblings = [block for child in wanted.pools for block in child.cidrs if isinstance(block, Cidr)]
    for what, blocks in (("the pool's own", exact), ("its child pools'", siblings)):
        try:
            spans(blocks)
        except ValueError as error:
            raise BlueprintError(str(wanted.place), f"pool {name!r}", f"{what} CIDRs overlap: {error}") from None


def _missing(where: _Where, wanted: PoolBlueprint, has: tuple[Cidr, ...]) -> list[Step]:
    """Tell which blocks a pool still has to get; one of a length is any that no exact one of the blueprint is."""
    exact = [block for block in wanted.cidrs if isinstance(block, Cidr)]
    found = [_provision(where, wanted, block, str(block)) for block in exact if block not in has]
    lengths = [length for length in wanted.cidrs if isinstance(length, int)]
    for length in sorted(set(lengths)):
        there = [block for block in has if block.length == length and block not in exact]
        beside = ", ".join(str(block) for block in sorted(there)) or "nothing"
        numbers = range(len(there) + 1, lengths.count(length) + 1)
        tokens = (f"/{length} number {number} beside {beside}" for number in numbers)
        found += [_provision(where, wanted, length, token) for token in tokens]
    return found


def _provision(where: _Where, wanted: PoolBlueprint, cidr: Cidr | int, token: str) -> Step:
    return Step("provision", where.scope, wanted.pool.name, where.source, cidr=cidr, token=token)


def _pruning(plan: Plan, scopes: tuple[ScopeBlueprint, ...]) -> list[Step]:
    """Tell what the blueprint names no more: from the bottom up, pools first and then blocks."""
    wanted = {each.pool.name: each for scope in scopes for each in all_pools(scope.pools)}
    names = {scope.name for scope in scopes}
    inside = [pool for pool in plan.pools.values() if plan.scopes[pool.scope_id].name in names]
    inside.sort(key=lambda pool: (-plan.depth(pool), pool.name))
    found = []
    for pool in inside:
        scope = plan.scopes[pool.scope_id].name
        if pool.name not in wanted:
            found.append(Step("delete-pool", scope, pool.name))
        else:
            surplus = _surplus(wanted[pool.name], plan.provisioned(pool.pool_id))
            found += [Step("deprovision", scope, pool.name, cidr=block) for block in surplus]
    return found


def _surplus(wanted: PoolBlueprint, has: tuple[ProvisionedCidr, ...]) -> list[Cidr]:
    """Tell the blocks of a pool that the blueprint does not ask for; of those of one length, the oldest are kept."""
    lengths = [length for length in wanted.cidrs if isinstance(length, int)]
    surplus = []
    for block in sorted(has, key=lambda each: (each.created, each.cidr)):
        if block.cidr in wanted.cidrs:
            continue
        if block.cidr.length in lengths:
            lengths.remove(block.cidr.length)
        else:
            surplus.append(block.cidr)
    return surplus
