"""The address plan as a whole: which pool may serve a request, and whether a pool could stand where it is meant to."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ipam.domain.cidr import WIDTHS
from ipam.domain.errors import (
    InvalidPoolError,
    NoPoolForRequestError,
    NoSuchPoolError,
    NoSuchScopeError,
    PoolMismatchError,
    SeveralScopesError,
)
from ipam.domain.free_space import Limits
from ipam.domain.pool import MAX_DEPTH, NO_QUOTA, REGIONAL, Space

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr, Family
    from ipam.domain.pool import AllocationType, Pool, ProvisionedCidr, Scope, SourceResource, Tag
    from ipam.domain.tenant import Tenant

DEFAULT_SCOPE: Final = "private"
"""The scope that is meant where none is named and none is marked as the one that the plan began with."""

_REGION: Final = re.compile(
    r"[a-z]{2,4}(-[a-z]+)?-(central|north|south|east|west|northeast|northwest|southeast|southwest)-[1-9][0-9]?"
)
"""Form of a Region's name (AWS General Reference, "Regional endpoints"): part of the world, of it, and a number."""


@dataclass(frozen=True)
class Ask:
    """What a requester asks for, as it said it.

    A pool by id, or by name, or several in the order in which they are to be tried, or else the pools of a Region for
    an allocation type, all of them or those with certain tags; a netmask length, or an exact block, or else the pool's
    default.

    Attributes:
        pool_id: one pool, by its id.
        pool_name: one pool, by its name.
        locale: the Region that it is for.
        allocation_type: what it is for.
        family: IP version.
        netmask_length: how large.
        cidr: the exact block.
        pools: several pools, by id or name.
        pool_tags: tags that a pool has to have to be chosen.
        allowed_cidrs: only inside of these.
        disallowed_cidrs: not overlapping these.
        preview: whether the block is only to be held for a while.
        preview_token: the preview whose block is to be had.
    """

    pool_id: str | None
    pool_name: str | None
    locale: str
    allocation_type: AllocationType
    family: Family
    netmask_length: int | None
    cidr: Cidr | None
    pools: tuple[str, ...] = ()
    pool_tags: tuple[Tag, ...] = ()
    allowed_cidrs: tuple[Cidr, ...] = ()
    disallowed_cidrs: tuple[Cidr, ...] = ()
    preview: bool = False
    preview_token: str = ""

    @property
    def named(self) -> tuple[str, ...]:
        """The pools that are named, in the order in which they are to be tried."""
        one = self.pool_id or self.pool_name
        return self.pools if one is None else (one,)

    @property
    def limits(self) -> Limits:
        """Where the block may lie, whatever the pool has to say to that."""
        return Limits((self.allowed_cidrs,), self.disallowed_cidrs)


class Plan:
    """All scopes, pools and provisioned CIDRs, as they were when they were read."""

    def __init__(
        self,
        scopes: tuple[Scope, ...],
        pools: tuple[Pool, ...],
        provisioned: tuple[ProvisionedCidr, ...],
        tenants: tuple[Tenant, ...] = (),
    ) -> None:
        """Index the plan; of the tenants, those that were removed go apart."""
        self.scopes = {scope.scope_id: scope for scope in scopes}
        self.pools = {pool.pool_id: pool for pool in pools}
        self.tenants = {tenant.account: tenant for tenant in tenants if tenant.standing != "removed"}
        self.removed = {tenant.account: tenant for tenant in tenants if tenant.standing == "removed"}
        self._names = {pool.name: pool for pool in pools}
        # A pool that divides a VPC has its space from the VPC: the pool which gave that goes on giving.
        self._sources = {pool.source_pool_id for pool in pools if pool.source_resource is None}
        self._provisioned: dict[str, list[ProvisionedCidr]] = {}
        for block in provisioned:
            self._provisioned.setdefault(block.pool_id, []).append(block)

    def named(self, id_or_name: str) -> Pool:
        """Find a pool.

        Raises:
            NoSuchPoolError: there is none.
        """
        pool = self.pools.get(id_or_name) or self._names.get(id_or_name)
        if pool is None:
            raise NoSuchPoolError(id_or_name)
        return pool

    def named_scope(self, id_or_name: str) -> Scope:
        """Find a scope.

        Raises:
            NoSuchScopeError: there is none.
        """
        found = (scope for scope in self.scopes.values() if id_or_name in {scope.scope_id, scope.name})
        scope = next(found, None)
        if scope is None:
            raise NoSuchScopeError(id_or_name)
        return scope

    @property
    def default_scope(self) -> Scope | None:
        """The scope that is meant where none is named, or None where the plan does not tell.

        The only private one; of several the one that the plan began with, or else the one that is called `private`.
        """
        private = [scope for scope in self.scopes.values() if scope.scope_type == "private"]
        if len(private) > 1:
            marked = [scope for scope in private if scope.is_default]
            private = marked or [scope for scope in private if scope.name == DEFAULT_SCOPE]
        return private[0] if len(private) == 1 else None

    def holder_of(self, name: str) -> str | None:
        """The id of the pool or scope that has a name."""
        pool = self._names.get(name)
        if pool is not None:
            return pool.pool_id
        return next((scope.scope_id for scope in self.scopes.values() if scope.name == name), None)

    def provisioned(self, pool_id: str) -> tuple[ProvisionedCidr, ...]:
        """The blocks that a pool has, as the records of them."""
        return tuple(self._provisioned.get(pool_id, ()))

    def space(self, pool_id: str) -> Space:
        """Tell what a pool or scope has to give from. A scope has every address there is."""
        scope = self.scopes.get(pool_id)
        if scope is not None:
            return Space(pool_id, scope.name, tuple(scope.world()), NO_QUOTA, 0)
        pool = self.named(pool_id)
        cidrs = tuple(block.cidr for block in self.provisioned(pool_id))
        sticky = pool.sticky and not pool.vpc_ipam_pool_id
        return Space(pool_id, pool.name, cidrs, pool.quota, pool.cooling_seconds, pool.rules, sticky)

    def space_for(self, pool_id: str, account: str) -> Space:
        """Tell what a pool has to give from, and how much of it an account may hold."""
        space = self.space(pool_id)
        tenant = self.tenants.get(account)
        quota = None if tenant is None else tenant.quota(pool_id)
        return space if quota is None else replace(space, quota=quota)

    def is_tenant(self, account: str) -> bool:
        """Whether an account may order."""
        tenant = self.tenants.get(account)
        return tenant is not None and tenant.standing == "active"

    def children(self, parent_id: str) -> list[Pool]:
        """The pools whose space comes from a pool or scope, by name."""
        return sorted((pool for pool in self.pools.values() if pool.parent_id == parent_id), key=lambda pool: pool.name)

    def depth(self, pool: Pool) -> int:
        """Levels from the scope down to a pool: 1 for a top-level pool."""
        depth = 1
        while pool.source_pool_id is not None:
            pool = self.pools[pool.source_pool_id]
            depth += 1
        return depth

    def candidates(self, ask: Ask) -> list[Pool]:
        """The pools that may serve a request, in the order in which they are tried.

        Raises:
            NoSuchPoolError: a named pool does not exist.
            PoolMismatchError: none of the named pools fits; this is why the first does not.
            NoPoolForRequestError: no pool fits.
            SeveralScopesError: pools of several scopes fit, and it is not clear which scope is meant.
        """
        pools = self.asked_for(ask)
        fitting = [pool for pool in pools if self.mismatch(pool, ask) is None]
        mismatch = self.mismatch(pools[0], ask)
        if mismatch is not None and not fitting:
            raise mismatch
        return fitting

    def asked_for(self, ask: Ask) -> list[Pool]:
        """The pools that a request means, in the order in which they are tried.

        Those that it names, in the order given, whether or not they fit. Otherwise all of one scope that fit, by name,
        so that the answer does not depend on chance. Only pools of a Region that no other pool gets its space from are
        chosen unnamed: the others are levels of the plan. The pool of a VPC's subnets is for that VPC, so it is chosen
        by its tags at least.

        The same addresses may be in use in each scope. So where pools of several fit, only those of the default scope
        are meant, and nobody is moved to another by the name of a pool.

        Raises:
            NoSuchPoolError: a named pool does not exist.
            NoPoolForRequestError: no pool fits.
            SeveralScopesError: pools of several scopes fit, and none is of the default scope.
        """
        if ask.named:
            return list(dict.fromkeys(self._named_by(ask, selector) for selector in ask.named))
        fitting = self._unnamed(ask)
        if not fitting:
            raise NoPoolForRequestError(ask.locale, ask.allocation_type, ask.family, ask.pool_tags)
        scopes = {pool.scope_id for pool in fitting}
        if len(scopes) == 1:
            return fitting
        default = self.default_scope
        if default is None or default.scope_id not in scopes:
            names = tuple(sorted(self.scopes[scope_id].name for scope_id in scopes))
            raise SeveralScopesError(ask.locale, ask.allocation_type, ask.family, names)
        return [pool for pool in fitting if pool.scope_id == default.scope_id]

    def may_hold(self, ask: Ask, pool_id: str) -> bool:
        """Whether a block of a pool is what is asked for, though a new one would be of another scope.

        Raises:
            NoSuchPoolError: a named pool does not exist.
            PoolMismatchError: none of the named pools fits; this is why the first does not.
        """
        pools = self.candidates(ask) if ask.named else self._unnamed(ask)
        return any(pool.pool_id == pool_id for pool in pools)

    def _unnamed(self, ask: Ask) -> list[Pool]:
        """Find the pools of all scopes that fit a request which names none, by name."""
        return [
            pool
            for pool in sorted(self.pools.values(), key=lambda pool: pool.name)
            if pool.locale
            and pool.pool_id not in self._sources
            and self.mismatch(pool, ask) is None
            and (pool.source_resource is None or ask.pool_tags)
        ]

    def _named_by(self, ask: Ask, selector: str) -> Pool:
        """Find a pool as a request names it: an id is no name, and a name no id, unless either will do."""
        if ask.pools:
            return self.named(selector)
        pool = self.pools.get(selector) if ask.pool_id else self._names.get(selector)
        if pool is None:
            raise NoSuchPoolError(selector)
        return pool

    def mismatch(self, pool: Pool, ask: Ask) -> PoolMismatchError | None:
        """Say why a pool may not serve a request, or None."""
        if pool.family != ask.family:
            return PoolMismatchError(pool.name, "family", f"ipv{pool.family}", f"ipv{ask.family}")
        if pool.locale != ask.locale and (pool.locale or ask.allocation_type in REGIONAL):
            return PoolMismatchError(pool.name, "locale", pool.locale, ask.locale)
        if ask.allocation_type not in pool.allocation_types:
            types = ", ".join(sorted(pool.allocation_types))
            return PoolMismatchError(pool.name, "allocation_type", types, ask.allocation_type)
        lacking = next((tag for tag in ask.pool_tags if tag not in pool.tags), None)
        if lacking is not None:
            return PoolMismatchError(pool.name, "tags", dict(pool.tags).get(lacking[0], ""), "=".join(lacking))
        return None


def check_new_pool(pool: Pool, plan: Plan) -> None:
    """Refuse a pool that could not work where it is meant to stand, or be named, or used: its Locale stays.

    Raises:
        InvalidPoolError: with the property that is wrong.
    """
    check_name(pool.name)
    if pool.locale and not is_region(pool.locale):
        raise InvalidPoolError("Locale", pool.locale, "it is not a Region, such as eu-central-1")
    check_pool(pool, plan)


def is_region(text: str) -> bool:
    """Whether a word has the form of a Region's name."""
    return _REGION.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Refuse a name that nobody could say.

    Raises:
        InvalidPoolError: it is empty, or has spaces around it or characters that are not to be seen.
    """
    if not name or name != name.strip() or not name.isprintable():
        raise InvalidPoolError("Name", name, "a name is not empty, nor has it spaces around it or control characters")


def check_pool(pool: Pool, plan: Plan) -> None:
    """Refuse a pool that could not work where it stands, or is meant to stand.

    Raises:
        InvalidPoolError: with the property that is wrong.
    """
    _check_lengths(pool)
    _check_blocks(pool)
    if pool.auto_import and not pool.locale:
        raise InvalidPoolError("AutoImport", "true", "it needs a Locale: what is found is in a Region")
    if pool.cooling_seconds < 0:
        raise InvalidPoolError("CoolingSeconds", str(pool.cooling_seconds), "a time is not negative")
    if pool.rules.lease_seconds is not None and pool.rules.lease_seconds <= 0:
        raise InvalidPoolError("LeaseSeconds", str(pool.rules.lease_seconds), "a lease lasts for a time")
    if pool.scope_id not in plan.scopes:
        raise InvalidPoolError("IpamScopeId", pool.scope_id, "there is no such scope")
    if pool.source_pool_id is not None:
        _check_source(pool, plan)
    if pool.source_resource is not None:
        _check_source_resource(pool)


def check_change(old: Pool, new: Pool, plan: Plan) -> None:
    """Refuse a change of a pool that would contradict what it is, or has.

    Raises:
        InvalidPoolError: with the property that is wrong.
    """
    fixed = {
        "Locale": (old.locale, new.locale),
        "AddressFamily": (f"ipv{old.family}", f"ipv{new.family}"),
        "IpamScopeId": (old.scope_id, new.scope_id),
        "SourceIpamPoolId": (old.source_pool_id or "", new.source_pool_id or ""),
        "SourceResource": (_said(old.source_resource), _said(new.source_resource)),
        "VpcIpamPoolId": (old.vpc_ipam_pool_id, new.vpc_ipam_pool_id),
    }
    for name, (was, wanted) in fixed.items():
        if was != wanted:
            raise InvalidPoolError(name, wanted, f"it is fixed when a pool is made: {was or 'none'}")
    if new.name != old.name:
        check_name(new.name)
    check_pool(new, plan)


def _said(resource: SourceResource | None) -> str:
    """Write a VPC, "" for none."""
    return "" if resource is None else f"{resource.resource_id} of {resource.owner} in {resource.region}"


def check_scope_change(old: Scope, new: Scope) -> None:
    """Refuse a change of a scope that would make it another one.

    Raises:
        InvalidPoolError: with the property that is wrong.
    """
    fixed = {
        "IpamScopeType": (old.scope_type, new.scope_type),
        "IsDefault": (str(old.is_default), str(new.is_default)),
    }
    for name, (was, wanted) in fixed.items():
        if was != wanted:
            raise InvalidPoolError(name, wanted, f"it is fixed when a scope is made: {was}")
    if new.name != old.name:
        check_name(new.name)


def _check_lengths(pool: Pool) -> None:
    """Refuse netmask lengths that contradict each other."""
    width = WIDTHS[pool.family]
    rules = pool.rules
    lengths = {
        "AllocationMinNetmaskLength": rules.min_netmask_length,
        "AllocationMaxNetmaskLength": rules.max_netmask_length,
        "AllocationDefaultNetmaskLength": rules.default_netmask_length,
        "ApprovalNetmaskLength": rules.approval_netmask_length,
    }
    for name, length in lengths.items():
        if length is not None and not 0 <= length <= width:
            raise InvalidPoolError(name, str(length), f"a netmask length of ipv{pool.family} is 0 to {width}")
    lowest = 0 if rules.min_netmask_length is None else rules.min_netmask_length
    highest = width if rules.max_netmask_length is None else rules.max_netmask_length
    if lowest > highest:
        why = f"it is above AllocationMaxNetmaskLength {highest}; the minimum length is the largest block"
        raise InvalidPoolError("AllocationMinNetmaskLength", str(lowest), why)
    if rules.default_netmask_length is not None and not lowest <= rules.default_netmask_length <= highest:
        why = f"it is outside {lowest} to {highest}"
        raise InvalidPoolError("AllocationDefaultNetmaskLength", str(rules.default_netmask_length), why)


def _check_blocks(pool: Pool) -> None:
    """Refuse blocks of the wrong address family in the rules."""
    rules = {"AllowedCidrs": pool.rules.allowed_cidrs, "DisallowedCidrs": pool.rules.disallowed_cidrs}
    for name, blocks in rules.items():
        stray = next((block for block in blocks if block.family != pool.family), None)
        if stray is not None:
            raise InvalidPoolError(name, str(stray), f"the pool is ipv{pool.family}")


def _check_source(pool: Pool, plan: Plan) -> None:
    """Refuse a source pool that cannot be the parent of this one."""
    source = plan.pools.get(pool.source_pool_id or "")
    if source is None:
        raise InvalidPoolError("SourceIpamPoolId", str(pool.source_pool_id), "there is no such pool")
    if source.scope_id != pool.scope_id:
        raise InvalidPoolError("SourceIpamPoolId", source.pool_id, "it is in another scope")
    if source.family != pool.family:
        raise InvalidPoolError("AddressFamily", f"ipv{pool.family}", f"the source pool is ipv{source.family}")
    if source.locale not in {"", pool.locale}:
        raise InvalidPoolError("Locale", pool.locale, f"the source pool is for {source.locale} only")
    if source.source_resource is not None or source.vpc_ipam_pool_id:
        raise InvalidPoolError("SourceIpamPoolId", source.pool_id, "its space is not for other pools to divide")
    if plan.depth(source) >= MAX_DEPTH:
        raise InvalidPoolError("SourceIpamPoolId", source.pool_id, f"pools nest to depth {MAX_DEPTH}")


def _check_source_resource(pool: Pool) -> None:
    """Refuse a pool that could not divide a VPC's space (VPC IPAM user guide, "Plan VPC IP address space")."""
    resource = pool.source_resource
    if resource is None:
        return
    if pool.source_pool_id is None:
        why = "the pool that the VPC's CIDR comes from has to be the source pool"
        raise InvalidPoolError("SourceIpamPoolId", "", why)
    if resource.region != pool.locale:
        raise InvalidPoolError("Locale", pool.locale, f"the VPC is in {resource.region}")
    if pool.allocation_types != {"subnet"}:
        types = ", ".join(sorted(pool.allocation_types))
        raise InvalidPoolError("AllocationTypes", types, "a VPC's space is for subnets only")
