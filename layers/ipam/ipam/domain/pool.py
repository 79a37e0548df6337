"""Scopes, pools and what is provisioned to them.

A scope is the pool that owns everything: it starts with one free block for each address family, and whatever a
top-level pool has is an allocation from it. So one mechanism serves all levels, and a scope's id stands wherever the id
of a parent pool does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ipam.domain.cidr import WIDTHS, Cidr, Family
from ipam.domain.errors import AllocationRuleError, MissingTagError, NetmaskLengthError

ScopeType = Literal["private", "public"]
AllocationType = Literal["vpc", "subnet", "eip", "custom", "ipam-pool"]
Strategy = Literal["best-fit", "sparse"]

Tag = tuple[str, str]
"""A tag's key and its value."""

REGIONAL: Final = frozenset({"vpc", "subnet"})
"""Types whose allocations have to come from a pool of their Region (VPC IPAM user guide, "Create a VPC"); a pool
without a Region is a level of the plan."""

EXPIRING: Final = frozenset({"custom"})
"""Types whose allocations end with their lease. What AWS itself uses is only reported when its lease ends: it is never
taken from under a network that runs."""

MAX_DEPTH: Final = 10
"""Levels of pools below a scope (Amazon VPC IPAM quota "pool depth")."""

MAX_PROVISIONED_CIDRS: Final = 50
"""CIDRs of one pool (Amazon VPC IPAM quota "CIDRs per pool")."""

UNIT_BITS: Final[dict[Family, int]] = {4: 0, 6: 64}
"""Quotas count single IPv4 addresses and IPv6 /64 networks: this many host bits make one unit."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A separate address world: the same CIDR may be in use once in each. `version` counts its changes."""

    scope_id: str
    name: str
    scope_type: ScopeType
    description: str
    created: int
    tags: tuple[Tag, ...] = ()
    is_default: bool = False
    version: int = 1

    def world(self) -> list[Cidr]:
        """Every address there is: what the scope, as the root pool, has to give from."""
        return [Cidr(family, 0, 0) for family in WIDTHS]


@dataclass(frozen=True, slots=True)
class AllocationRules:
    """What may be allocated from a pool, and how. Rules are not inherited by child pools.

    Attributes:
        min_netmask_length: of the *largest* block, as in EC2 IPAM; None sets no limit. All three lengths may be equal.
        max_netmask_length: of the smallest block.
        default_netmask_length: where a request says none; without it, the request has to.
        required_tags: the tags that a resource has to have, key and value.
        allowed_cidrs: blocks are given inside of these only; empty allows all that the pool has.
        disallowed_cidrs: no block is given that overlaps one of these.
        approval_netmask_length: a shorter netmask, so a larger block, waits for an administrator; None: none does.
        lease_seconds: an allocation ends after that, unless it is renewed; None: never.
        strategy: `best-fit` keeps large blocks whole; `sparse` leaves each allocation room to grow.
    """

    min_netmask_length: int | None = None
    max_netmask_length: int | None = None
    default_netmask_length: int | None = None
    required_tags: tuple[Tag, ...] = ()
    allowed_cidrs: tuple[Cidr, ...] = ()
    disallowed_cidrs: tuple[Cidr, ...] = ()
    approval_netmask_length: int | None = None
    lease_seconds: int | None = None
    strategy: Strategy = "best-fit"

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

    def check_tags(self, pool: str, tags: tuple[Tag, ...]) -> None:
        """Refuse a resource that lacks a required tag.

        Raises:
            MissingTagError: with the first that is missing.
        """
        for key, value in self.required_tags:
            if (key, value) not in tags:
                raise MissingTagError(pool, key, value, dict(tags).get(key))

    def check_block(self, pool: str, cidr: Cidr) -> None:
        """Refuse an exact block that the pool does not give.

        Raises:
            AllocationRuleError: with the rule.
        """
        if self.allowed_cidrs and not any(allowed.contains(cidr) for allowed in self.allowed_cidrs):
            raise AllocationRuleError(pool, "AllowedCidrs", str(cidr), _listed(self.allowed_cidrs))
        hit = next((block for block in self.disallowed_cidrs if block.overlaps(cidr)), None)
        if hit is not None:
            raise AllocationRuleError(pool, "DisallowedCidrs", str(cidr), str(hit))

    def waits_for_approval(self, length: int) -> bool:
        """Whether a block of that netmask length needs an administrator's word."""
        return self.approval_netmask_length is not None and length < self.approval_netmask_length


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of a pool one account may hold; None sets no limit. Units: see `UNIT_BITS`."""

    allocations: int | None = None
    units: int | None = None


@dataclass(frozen=True, slots=True)
class SourceResource:
    """The VPC whose address space a subnet pool divides (EC2 API reference, IpamPoolSourceResource).

    Attributes:
        resource_id: `vpc-…`.
        owner: its account.
        region: its Region.
    """

    resource_id: str
    owner: str
    region: str


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
        tags: for people, and to be chosen by.
        shared_with: accounts, ids of organisational units (`ou-…`, `r-…`) and of the organisation (`o-…`) that may
            allocate from it; empty: whoever the deployment lets in.
        source_resource: the VPC whose space a subnet pool divides; None for others.
        vpc_ipam_pool_id: the Amazon VPC IPAM pool that chooses the blocks; "" where we do. What is provisioned here is
            what that pool has.
        auto_import: whether discovery takes over what it finds.
        sticky: whether a block that cools is given back to the one that had it, if that orders again. Where Amazon VPC
            IPAM chooses the blocks it has no effect.
        version: counts its changes, and those of what is attached to it.
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
    tags: tuple[Tag, ...] = ()
    shared_with: tuple[str, ...] = ()
    source_resource: SourceResource | None = None
    vpc_ipam_pool_id: str = ""
    auto_import: bool = False
    sticky: bool = False
    version: int = 1

    @property
    def parent_id(self) -> str:
        """The pool or scope that its space is allocated from (I3)."""
        return self.source_pool_id or self.scope_id


@dataclass(frozen=True, slots=True)
class ProvisionedCidr:
    """A block that a pool has to give from: an allocation of the pool's parent (I3).

    That of a subnet pool is the allocation of the VPC whose space it divides, and has a holder of its own; `claimant`
    names the resource that has it provisioned, or is "".
    """

    pool_id: str
    cidr: Cidr
    allocation_id: str
    created: int
    claimant: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """What blocks are cut from: a pool, or a scope in its part as the pool that owns everything.

    Attributes:
        pool_id: the id of the pool or scope.
        name: its name.
        provisioned: the blocks that it has to give from.
        quota: how much of it one account may hold.
        cooling_seconds: how long a released block is kept from everyone (I7).
        rules: how blocks are given.
        sticky: whether a block that cools is given back to the one that had it.
    """

    pool_id: str
    name: str
    provisioned: tuple[Cidr, ...]
    quota: Quota
    cooling_seconds: int
    rules: AllocationRules = NO_RULES
    sticky: bool = False

    def around(self, cidr: Cidr) -> Cidr | None:
        """The provisioned block that a block lies in."""
        return next((block for block in self.provisioned if block.contains(cidr)), None)


def units(cidr: Cidr) -> int:
    """What a block counts for in a quota; a part of a unit counts as a whole one."""
    return 1 << max(0, cidr.host_bits - UNIT_BITS[cidr.family])


def _listed(blocks: tuple[Cidr, ...]) -> str:
    """Write blocks one after the other."""
    return ", ".join(str(block) for block in blocks)
