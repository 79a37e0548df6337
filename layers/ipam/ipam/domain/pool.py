"""Scopes, pools and what is provisioned to them: the address plan.

A scope is the pool that owns everything: it starts with one free block for each address family, and whatever a
top-level pool has is an allocation from it. So one mechanism serves all levels, and a scope's id stands wherever the id
of a parent pool does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ipam.domain.cidr import WIDTHS, Cidr, Family
from ipam.domain.errors import (
    InvalidPoolError,
    NetmaskLengthError,
    NoPoolForRequestError,
    NoSuchPoolError,
    PoolMismatchError,
)

ScopeType = Literal["private", "public"]
AllocationType = Literal["vpc", "subnet", "eip", "custom", "ipam-pool"]

REGIONAL: Final = frozenset({"vpc", "subnet"})
"""Types whose allocations have to come from a pool of their Region (VPC IPAM user guide, "Create a VPC"); a pool
without a Region is a level of the plan."""

MAX_DEPTH: Final = 10
"""Levels of pools below a scope (Amazon VPC IPAM quota "pool depth")."""

MAX_PROVISIONED_CIDRS: Final = 50
"""CIDRs of one pool (Amazon VPC IPAM quota "CIDRs per pool")."""

UNIT_BITS: Final[dict[Family, int]] = {4: 0, 6: 64}
"""Quotas count single IPv4 addresses and IPv6 /64 networks: this many host bits make one unit."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A separate address world: the same CIDR may be in use once in each."""

    scope_id: str
    name: str
    scope_type: ScopeType
    description: str
    created: int

    def world(self) -> list[Cidr]:
        """Every address there is: what the scope, as the root pool, has to give from."""
        return [Cidr(family, 0, 0) for family in WIDTHS]


@dataclass(frozen=True, slots=True)
class AllocationRules:
    """What may be allocated from a pool, by netmask length.

    As in EC2 IPAM the *minimum* netmask length is the largest block and all three may be equal. None sets no limit;
    without a default the request has to say a length. Rules are not inherited by child pools.
    """

    min_netmask_length: int | None = None
    max_netmask_length: int | None = None
    default_netmask_length: int | None = None

    def resolve(self, pool: str, asked: int | None) -> int:
        """Give the netmask length to allocate.

        Raises:
            NetmaskLengthError: it is outside the rules, or neither asked for nor set by default.
        """
        length = self.default_netmask_length if asked is None else asked
        if length is None:
            raise NetmaskLengthError(pool, asked, "AllocationDefaultNetmaskLength", None)
        if self.min_netmask_length is not None and length < self.min_netmask_length:
            raise NetmaskLengthError(pool, length, "AllocationMinNetmaskLength", self.min_netmask_length)
        if self.max_netmask_length is not None and length > self.max_netmask_length:
            raise NetmaskLengthError(pool, length, "AllocationMaxNetmaskLength", self.max_netmask_length)
        return length


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of a pool one account may hold; None sets no limit. Units: see `UNIT_BITS`."""

    allocations: int | None = None
    units: int | None = None


NO_RULES: Final = AllocationRules()
NO_QUOTA: Final = Quota()


@dataclass(frozen=True, slots=True)
class Pool:
    """A part of the plan with rules of its own.

    Attributes:
        pool_id: `ipam-pool-` and 17 hexadecimal digits.
        scope_id: the address world that it belongs to.
        source_pool_id: the pool that its space comes from; None takes it from the scope.
        name: unique in the whole plan, so that a template can name it.
        family: IP version.
        locale: the Region that may use it, "" for none (a planning level).
        allocation_types: what may be allocated from it.
        cooling_seconds: how long a released block is kept from everyone (I7).
    """

    pool_id: str
    scope_id: str
    source_pool_id: str | None
    name: str
    family: Family
    locale: str
    description: str
    allocation_types: frozenset[AllocationType]
    rules: AllocationRules
    quota: Quota
    cooling_seconds: int
    created: int

    @property
    def parent_id(self) -> str:
        """The pool or scope that its space is allocated from (I3)."""
        return self.source_pool_id or self.scope_id


@dataclass(frozen=True, slots=True)
class ProvisionedCidr:
    """A block that a pool has to give from: an allocation of the pool's parent (I3)."""

    pool_id: str
    cidr: Cidr
    allocation_id: str
    created: int


@dataclass(frozen=True, slots=True)
class Space:
    """What blocks are cut from: a pool, or a scope in its part as the pool that owns everything.

    Attributes:
        pool_id: the id of the pool or scope.
        name: its name.
        provisioned: the blocks that it has to give from.
        quota: how much of it one account may hold.
        cooling_seconds: how long a released block is kept from everyone (I7).
    """

    pool_id: str
    name: str
    provisioned: tuple[Cidr, ...]
    quota: Quota
    cooling_seconds: int

    def around(self, cidr: Cidr) -> Cidr | None:
        """The provisioned block that a block lies in."""
        return next((block for block in self.provisioned if block.contains(cidr)), None)


def units(cidr: Cidr) -> int:
    """What a block counts for in a quota; a part of a unit counts as a whole one."""
    return 1 << max(0, cidr.host_bits - UNIT_BITS[cidr.family])


@dataclass(frozen=True)
class Ask:
    """What a requester asks for, as it said it.

    A pool by id, or by name, or else the pools of a Region for an allocation type; a netmask length, or an exact block,
    or else the pool's default.
    """

    pool_id: str | None
    pool_name: str | None
    locale: str
    allocation_type: AllocationType
    family: Family
    netmask_length: int | None
    cidr: Cidr | None


class Plan:
    """All scopes, pools and provisioned CIDRs, as they were when they were read."""

    def __init__(
        self, scopes: tuple[Scope, ...], pools: tuple[Pool, ...], provisioned: tuple[ProvisionedCidr, ...]
    ) -> None:
        """Index the plan."""
        self.scopes = {scope.scope_id: scope for scope in scopes}
        self.pools = {pool.pool_id: pool for pool in pools}
        self._names = {pool.name: pool for pool in pools}
        self._sources = {pool.source_pool_id for pool in pools}
        self._cidrs: dict[str, list[Cidr]] = {}
        for block in provisioned:
            self._cidrs.setdefault(block.pool_id, []).append(block.cidr)

    def named(self, id_or_name: str) -> Pool:
        """Find a pool.

        Raises:
            NoSuchPoolError: there is none.
        """
        pool = self.pools.get(id_or_name) or self._names.get(id_or_name)
        if pool is None:
            raise NoSuchPoolError(id_or_name)
        return pool

    def space(self, pool_id: str) -> Space:
        """Tell what a pool or scope has to give from. A scope has every address there is."""
        scope = self.scopes.get(pool_id)
        if scope is not None:
            return Space(pool_id, scope.name, tuple(scope.world()), NO_QUOTA, 0)
        pool = self.named(pool_id)
        return Space(pool_id, pool.name, tuple(self._cidrs.get(pool_id, ())), pool.quota, pool.cooling_seconds)

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

        A pool that is named has to fit; otherwise all that fit are tried by name, so that the answer does not depend on
        chance. Only pools of a Region that no other pool gets its space from are chosen unnamed: the others are levels
        of the plan.

        Raises:
            NoSuchPoolError: the named pool does not exist.
            PoolMismatchError: the named pool is for something else.
            NoPoolForRequestError: no pool fits.
        """
        selector = ask.pool_id or ask.pool_name
        if selector is not None:
            pool = self.pools.get(selector) if ask.pool_id else self._names.get(selector)
            if pool is None:
                raise NoSuchPoolError(selector)
            mismatch = _mismatch(pool, ask)
            if mismatch is not None:
                raise mismatch
            return [pool]
        fitting = [
            pool
            for pool in sorted(self.pools.values(), key=lambda pool: pool.name)
            if pool.locale and pool.pool_id not in self._sources and _mismatch(pool, ask) is None
        ]
        if not fitting:
            raise NoPoolForRequestError(ask.locale, ask.allocation_type, ask.family)
        return fitting


def _mismatch(pool: Pool, ask: Ask) -> PoolMismatchError | None:
    """Say why a pool may not serve a request, or None."""
    if pool.family != ask.family:
        return PoolMismatchError(pool.name, "family", f"ipv{pool.family}", f"ipv{ask.family}")
    if pool.locale != ask.locale and (pool.locale or ask.allocation_type in REGIONAL):
        return PoolMismatchError(pool.name, "locale", pool.locale, ask.locale)
    if ask.allocation_type not in pool.allocation_types:
        return PoolMismatchError(
            pool.name, "allocation_type", ", ".join(sorted(pool.allocation_types)), ask.allocation_type
        )
    return None


def check_new_pool(pool: Pool, plan: Plan) -> None:
    """Refuse a pool that could not work where it is meant to stand.

    Raises:
        InvalidPoolError: with the property that is wrong.
    """
    width = WIDTHS[pool.family]
    rules = pool.rules
    lengths = {
        "AllocationMinNetmaskLength": rules.min_netmask_length,
        "AllocationMaxNetmaskLength": rules.max_netmask_length,
        "AllocationDefaultNetmaskLength": rules.default_netmask_length,
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
    if pool.cooling_seconds < 0:
        raise InvalidPoolError("CoolingSeconds", str(pool.cooling_seconds), "a time is not negative")
    if pool.scope_id not in plan.scopes:
        raise InvalidPoolError("IpamScopeId", pool.scope_id, "there is no such scope")
    if pool.source_pool_id is not None:
        _check_source(pool, plan)


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
    if plan.depth(source) >= MAX_DEPTH:
        raise InvalidPoolError("SourceIpamPoolId", source.pool_id, f"pools nest to depth {MAX_DEPTH}")
