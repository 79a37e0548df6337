"""What can be said of a pool at the keyboard: the options that `ipam pool create` and `ipam pool edit` share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from ipam.domain.cidr import Cidr
from ipam.domain.pool import NO_RULES
from ipam.entrypoints.cli import words

if TYPE_CHECKING:
    from collections.abc import Collection

    from ipam.domain.pool import AllocationRules, AllocationType, Pool, Quota, Tag

V = TypeVar("V")


class Kind(StrEnum):
    """Types of allocations that a pool may serve, as EC2 IPAM names them."""

    vpc = "vpc"
    subnet = "subnet"
    eip = "eip"
    custom = "custom"


ALL_TYPES: Final = frozenset(kind.value for kind in Kind)


class AddressFamily(StrEnum):
    """Address families, as EC2 IPAM names them."""

    ipv4 = "ipv4"
    ipv6 = "ipv6"


class Choice(StrEnum):
    """Ways to choose a block."""

    best_fit = "best-fit"
    sparse = "sparse"


LENGTH: Final[Any] = {"metavar": "LENGTH", "parser": words.netmask_length}
NUMBER: Final[Any] = {"metavar": "NUMBER", "parser": words.number}
"""How numbers are read, so that a wrong one is named."""

Name = Annotated[str, typer.Argument(metavar="POOL", help="Pool, by name or id.")]
Minimum = Annotated[int | None, typer.Option("--min", **LENGTH, help="Shortest netmask: the largest block.")]
Maximum = Annotated[int | None, typer.Option("--max", **LENGTH, help="Longest netmask: the smallest block.")]
Default = Annotated[int | None, typer.Option("--default", **LENGTH, help="Netmask length when a request says none.")]
Types = Annotated[list[Kind] | None, typer.Option("--type", help="What may be allocated; all if none is given.")]
Cooling = Annotated[int | None, typer.Option(**NUMBER, help="How long a released block is kept from everyone.")]
MaxAllocations = Annotated[int | None, typer.Option(**NUMBER, help="Allocations that one account may hold.")]
MaxUnits = Annotated[int | None, typer.Option(**NUMBER, help="IPv4 addresses, or IPv6 /64, that one account may hold.")]
Description = Annotated[
    str | None, typer.Option(metavar="TEXT", parser=words.description, help="What it is for, in words.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Tag of the pool.")]
RequiredTags = Annotated[
    list[str] | None,
    typer.Option("--require-tag", metavar="KEY=VALUE", help="Tag that a resource has to have."),
]
Allowed = Annotated[
    list[str] | None, typer.Option("--allow", metavar="CIDR", help="Blocks are given inside of these only.")
]
Disallowed = Annotated[
    list[str] | None, typer.Option("--disallow", metavar="CIDR", help="No block is given that overlaps one of these.")
]
ApproveAbove = Annotated[
    int | None,
    typer.Option("--approve-above", **LENGTH, help="Blocks larger than of this netmask length wait for approval."),
]
LeaseTime = Annotated[
    int | None,
    typer.Option(
        "--lease", metavar="TIME", parser=words.duration, help="How long an allocation lasts: 86400, 12h, 30d."
    ),
]
ByStrategy = Annotated[
    Choice | None,
    typer.Option("--strategy", help="best-fit keeps large blocks whole; sparse leaves room to grow."),
]
Shares = Annotated[
    list[str] | None,
    typer.Option(
        "--share", metavar="PRINCIPAL", help="Account, organisational unit or organisation that may use it; else all."
    ),
]
AutoImport = Annotated[
    bool | None, typer.Option("--auto-import/--no-auto-import", help="Whether what is discovered in it is imported.")
]
Sticky = Annotated[
    bool | None,
    typer.Option("--sticky/--no-sticky", help="Whether who orders again gets back its block that still cools."),
]


class Part(StrEnum):
    """Properties of a pool that can be taken away, by the options that set them."""

    minimum = "min"
    maximum = "max"
    default = "default"
    types = "type"
    max_allocations = "max-allocations"
    max_units = "max-units"
    tags = "tag"
    required_tags = "require-tag"
    allowed = "allow"
    disallowed = "disallow"
    approve_above = "approve-above"
    lease = "lease"
    shares = "share"


RULES: Final[dict[Part, str]] = {
    Part.minimum: "min_netmask_length",
    Part.maximum: "max_netmask_length",
    Part.default: "default_netmask_length",
    Part.required_tags: "required_tags",
    Part.allowed: "allowed_cidrs",
    Part.disallowed: "disallowed_cidrs",
    Part.approve_above: "approval_netmask_length",
    Part.lease: "lease_seconds",
}
QUOTAS: Final[dict[Part, str]] = {Part.max_allocations: "allocations", Part.max_units: "units"}

Cleared = Annotated[
    list[Part] | None,
    typer.Option("--clear", help="Take this away, before what else is said: --clear tag --tag A=1 leaves one tag."),
]


def without(pool: Pool, parts: Collection[Part]) -> Pool:
    """Give a pool without some of its properties."""
    rules = {name: getattr(NO_RULES, name) for part, name in RULES.items() if part in parts}
    quotas = {name: None for part, name in QUOTAS.items() if part in parts}
    return replace(
        pool,
        rules=replace(pool.rules, **rules),
        quota=replace(pool.quota, **quotas),
        allocation_types=ALL_TYPES if Part.types in parts else pool.allocation_types,
        tags=() if Part.tags in parts else pool.tags,
        shared_with=() if Part.shares in parts else pool.shared_with,
    )


@dataclass(frozen=True, slots=True)
class Given:
    """What was said; None, and an empty list, leave a property as it is."""

    minimum: int | None
    maximum: int | None
    default: int | None
    types: list[Kind] | None
    cooling_seconds: int | None
    max_allocations: int | None
    max_units: int | None
    description: str | None
    tags: list[str] | None
    required_tags: list[str] | None
    allowed: list[str] | None
    disallowed: list[str] | None
    approve_above: int | None
    lease: int | None
    strategy: Choice | None
    shares: list[str] | None
    auto_import: bool | None
    sticky: bool | None

    @property
    def nothing(self) -> bool:
        """Whether nothing was said."""
        return all(getattr(self, name) in (None, []) for name in self.__slots__)

    def __post_init__(self) -> None:
        """Read what is more than one fact, so that it is refused before anything is done."""
        words.tags(self.tags, "--tag")
        words.tags(self.required_tags, "--require-tag")
        words.principals(self.shares)
        _cidrs(self.allowed)
        _cidrs(self.disallowed)

    def pool_tags(self, old: tuple[Tag, ...]) -> tuple[Tag, ...]:
        """Give a pool's tags, those of the same key replaced."""
        return words.merged(old, words.tags(self.tags, "--tag"))

    def shared_with(self, old: tuple[str, ...]) -> tuple[str, ...]:
        """Give whom a pool is for."""
        return _added(old, words.principals(self.shares))

    def kinds(self, old: frozenset[AllocationType]) -> frozenset[AllocationType]:
        """Give what a pool serves."""
        return frozenset(kind.value for kind in self.types) if self.types else old

    def rules(self, old: AllocationRules) -> AllocationRules:
        """Change rules by what was said."""
        return replace(
            old,
            min_netmask_length=_said(self.minimum, old.min_netmask_length),
            max_netmask_length=_said(self.maximum, old.max_netmask_length),
            default_netmask_length=_said(self.default, old.default_netmask_length),
            required_tags=words.merged(old.required_tags, words.tags(self.required_tags, "--require-tag")),
            allowed_cidrs=_added(old.allowed_cidrs, _cidrs(self.allowed)),
            disallowed_cidrs=_added(old.disallowed_cidrs, _cidrs(self.disallowed)),
            approval_netmask_length=_said(self.approve_above, old.approval_netmask_length),
            lease_seconds=_said(self.lease, old.lease_seconds),
            strategy=self.strategy.value if self.strategy else old.strategy,
        )

    def quota(self, old: Quota) -> Quota:
        """Change a quota by what was said."""
        return replace(
            old,
            allocations=_said(self.max_allocations, old.allocations),
            units=_said(self.max_units, old.units),
        )

    def change(self, old: Pool) -> Pool:
        """Change a pool by what was said."""
        return replace(
            old,
            description=old.description if self.description is None else self.description,
            allocation_types=self.kinds(old.allocation_types),
            rules=self.rules(old.rules),
            quota=self.quota(old.quota),
            cooling_seconds=old.cooling_seconds if self.cooling_seconds is None else self.cooling_seconds,
            tags=self.pool_tags(old.tags),
            shared_with=self.shared_with(old.shared_with),
            auto_import=old.auto_import if self.auto_import is None else self.auto_import,
            sticky=old.sticky if self.sticky is None else self.sticky,
        )


def _said(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


def _cidrs(texts: list[str] | None) -> tuple[Cidr, ...]:
    return tuple(Cidr.parse(text) for text in texts or ())


def _added(old: tuple[V, ...], new: tuple[V, ...]) -> tuple[V, ...]:
    """Put values to those that there are, none twice."""
    return tuple(dict.fromkeys((*old, *new)))
