"""What the resource types may have as properties, and what each of them means to the engine.

Names and meanings are those of AWS::EC2::IPAMScope, IPAMPool, IPAMPoolCidr and IPAMAllocation (CloudFormation template
reference), so that a template moves over by its types and a ServiceToken. What has no meaning here is accepted where
nothing is lost by that, and refused where somebody would count on it. The properties that are ours alone are named in
docs/address-plan.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ipam.domain.pool import AllocationRules, Quota, SourceResource
from ipam.entrypoints.address_plan.values import (
    MAX_TAGS,
    MAX_TEXT,
    read_cidr,
    read_cidrs,
    read_map,
    read_name,
    read_principals,
    read_provisioned,
    read_region,
    refuse_promise,
)
from ipam.entrypoints.cn_cidr.order import order
from ipam.entrypoints.errors import InvalidPropertyError
from ipam.entrypoints.properties import (
    choice,
    decimal,
    entries,
    flag,
    formed,
    read_tags,
    refuse_unknown,
    required,
    shown,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.domain.cidr import Cidr, Family
    from ipam.domain.pool import AllocationType, Pool, ScopeType, Tag
    from ipam.entrypoints.cn_cidr.order import Order

SCOPE: Final = "Custom::IpamScope"
POOL: Final = "Custom::IpamPool"
POOL_CIDR: Final = "Custom::IpamPoolCidr"
ALLOCATION: Final = "Custom::IpamAllocation"

SCOPE_PROPERTIES: Final = (
    "Description",
    "ExternalAuthorityConfiguration",
    "IpamId",
    "IpamScopeType",
    "Name",
    "Tags",
)
POOL_PROPERTIES: Final = (
    "AddressFamily",
    "AllocationDefaultNetmaskLength",
    "AllocationMaxNetmaskLength",
    "AllocationMinNetmaskLength",
    "AllocationResourceTags",
    "AllocationTypes",
    "AllowedCidrs",
    "ApprovalNetmaskLength",
    "AutoImport",
    "AwsService",
    "Cascade",
    "CoolingSeconds",
    "Description",
    "DisallowedCidrs",
    "IpamScopeId",
    "LeaseSeconds",
    "Locale",
    "Name",
    "ProvisionedCidrs",
    "PublicIpSource",
    "PubliclyAdvertisable",
    "QuotaAddresses",
    "QuotaAllocations",
    "SharedWith",
    "SourceIpamPoolId",
    "SourceResource",
    "Sticky",
    "Strategy",
    "Tags",
    "VpcIpamPoolId",
)
POOL_CIDR_PROPERTIES: Final = ("Cascade", "Cidr", "IpamPoolId", "NetmaskLength")
ALLOCATION_PROPERTIES: Final = (
    "AllocationType",
    "Cidr",
    "Description",
    "IpamPoolId",
    "NetmaskLength",
    "Preview",
    "PreviewSeconds",
    "PreviewToken",
    "Tags",
)
SOURCE_RESOURCE: Final = ("ResourceId", "ResourceOwner", "ResourceRegion", "ResourceType")

TYPES: Final[tuple[AllocationType, ...]] = ("vpc", "subnet", "eip", "custom")
"""What may be allocated from a pool; child pools get of it whatever it says."""

MAX_SECONDS: Final = 10 * 365 * 24 * 3600
MAX_NUMBER: Final = 999_999_999
LONGEST: Final = 128
"""Bits of a netmask, of whichever family: whether it fits the pool's is looked at later."""

MASK: Final = "CnCidrMask"
NETMASK_LENGTH: Final = "NetmaskLength"
"""What a netmask length is called where networks are ordered, and here."""

_VPC: Final = re.compile(r"vpc-[0-9a-f]{8,17}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_VPC_IPAM_POOL: Final = re.compile(r"ipam-pool-[0-9a-f]{8,32}")


@dataclass(frozen=True, slots=True)
class ScopeProperties:
    """What a Custom::IpamScope says; a name of "" is one that is still to be made."""

    name: str
    scope_type: ScopeType
    description: str
    tags: tuple[Tag, ...]

    @property
    def facts(self) -> tuple[object, ...]:
        """What cannot change of the scope."""
        return (self.scope_type,)


@dataclass(frozen=True, slots=True)
class PoolProperties:
    """What a Custom::IpamPool says; see `ipam.domain.pool.Pool` for what most of it means.

    Attributes:
        name: "" is one that is still to be made.
        scope: the id or name of the scope.
        source: the id or name of the source pool, "" for none.
        cidrs: what is to be provisioned to it.
    """

    name: str
    scope: str
    source: str
    family: Family
    locale: str
    description: str
    allocation_types: frozenset[AllocationType]
    rules: AllocationRules
    quota: Quota
    cooling_seconds: int
    tags: tuple[Tag, ...]
    shared_with: tuple[str, ...]
    source_resource: SourceResource | None
    vpc_ipam_pool_id: str
    auto_import: bool
    sticky: bool
    cidrs: tuple[Cidr, ...]

    @property
    def facts(self) -> tuple[object, ...]:
        """What cannot change of the pool, but makes it another; its Region cannot change at all."""
        of = self.source_resource
        vpc = None if of is None else (of.resource_id, of.owner, of.region)
        return (self.family, self.scope, self.source, vpc, self.vpc_ipam_pool_id)


@dataclass(frozen=True, slots=True)
class PoolCidrProperties:
    """What a Custom::IpamPoolCidr says: the id or name of a pool, and an exact block or the netmask length of any."""

    pool: str
    wanted: Cidr | int

    @property
    def claimed(self) -> tuple[Cidr, ...]:
        """The block, if it is an exact one."""
        return () if isinstance(self.wanted, int) else (self.wanted,)


def scope(values: Mapping[str, Any]) -> ScopeProperties:
    """Read the properties of a Custom::IpamScope.

    Raises:
        InvalidPropertyError: a property has a value that cannot be served.
        UnknownPropertyError: there is no such property.
    """
    refuse_unknown(SCOPE, values, SCOPE_PROPERTIES)
    values = _given(values)
    if "ExternalAuthorityConfiguration" in values:
        why = "no other system has a say in this one's scopes"
        remedy = "Leave it out; what an authority has given out can be brought in with `ipam import`"
        raise InvalidPropertyError("ExternalAuthorityConfiguration", "", why, remedy)
    tags = read_tags(values, "Tags", MAX_TAGS)
    return ScopeProperties(
        name=read_name(values, tags),
        scope_type=choice(values, "IpamScopeType", ("private", "public")) or "private",
        description=text(values, "Description", MAX_TEXT, lines=True) or "",
        tags=tags,
    )


def pool(values: Mapping[str, Any]) -> PoolProperties:
    """Read the properties of a Custom::IpamPool.

    Raises:
        InvalidPropertyError: a property has a value that cannot be served.
        UnknownPropertyError: there is no such property.
    """
    refuse_unknown(POOL, values, POOL_PROPERTIES)
    values = _given(values)
    tags = read_tags(values, "Tags", MAX_TAGS)
    source_resource = _source_resource(values)
    by_vpc = "" if source_resource is None else source_resource.region
    locale = read_region(values, "Locale")
    wanted = PoolProperties(
        name=read_name(values, tags),
        scope=required(text(values, "IpamScopeId", MAX_TEXT), "IpamScopeId", "Write a scope's id or name"),
        source=text(values, "SourceIpamPoolId", MAX_TEXT) or "",
        family=_family(values),
        locale=by_vpc if locale is None else locale,
        description=text(values, "Description", MAX_TEXT, lines=True) or "",
        allocation_types=_types(values, source_resource),
        rules=_rules(values),
        quota=Quota(decimal(values, "QuotaAllocations", MAX_NUMBER), decimal(values, "QuotaAddresses", MAX_NUMBER)),
        cooling_seconds=decimal(values, "CoolingSeconds", MAX_SECONDS) or 0,
        tags=tags,
        shared_with=read_principals(values, "SharedWith"),
        source_resource=source_resource,
        vpc_ipam_pool_id=formed(values, "VpcIpamPoolId", _VPC_IPAM_POOL, "Write the id of an Amazon VPC IPAM pool")
        or "",
        auto_import=flag(values, "AutoImport"),
        sticky=flag(values, "Sticky"),
        cidrs=read_provisioned(values),
    )
    flag(values, "Cascade")
    _refuse_promises(values, wanted)
    _refuse_contradictions(wanted)
    return wanted


def pool_cidr(values: Mapping[str, Any]) -> PoolCidrProperties:
    """Read the properties of a Custom::IpamPoolCidr.

    Raises:
        InvalidPropertyError: a property has a value that cannot be served.
        UnknownPropertyError: there is no such property.
    """
    refuse_unknown(POOL_CIDR, values, POOL_CIDR_PROPERTIES)
    flag(values, "Cascade")
    cidr, length = read_cidr(values, "Cidr"), decimal(values, NETMASK_LENGTH, LONGEST)
    if cidr is not None and length is not None:
        raise InvalidPropertyError(NETMASK_LENGTH, shown(str(length)), "Cidr is given", "Leave out one of the two")
    remedy = "Write Cidr, or NetmaskLength for any block of a size"
    wanted = required(length, "Cidr", remedy) if cidr is None else cidr
    return PoolCidrProperties(pool_named(values), wanted)


def pool_named(values: Mapping[str, Any]) -> str:
    """Read IpamPoolId: a pool's id, or its name."""
    remedy = "Use !Ref of the Custom::IpamPool, or a pool's name"
    return required(text(values, "IpamPoolId", MAX_TEXT), "IpamPoolId", remedy)


def allocation(values: Mapping[str, Any], of: Pool, region: str) -> Order:
    """Read the properties of a Custom::IpamAllocation: they are those of an order from one pool.

    Args:
        values: the properties.
        of: the pool that they name.
        region: the stack's Region, which an allocation from a pool without one is for.

    Raises:
        InvalidPropertyError: a property has a value that cannot be served.
        UnknownPropertyError: there is no such property.
    """
    refuse_unknown(ALLOCATION, values, ALLOCATION_PROPERTIES)
    values = _given(values)
    said = {MASK if name == NETMASK_LENGTH else name: value for name, value in values.items()}
    kind = choice(values, "AllocationType", TYPES) or "custom"
    said = {name: value for name, value in said.items() if name not in {"AllocationType", "IpamPoolId"}}
    if not {"Cidr", "PreviewToken"} & said.keys():
        said["AddressFamily"] = f"ipv{of.family}"
    try:
        wanted = order(said, of.locale or region)
    except InvalidPropertyError as refusal:
        raise _in_words(refusal) from None
    return replace(wanted, ask=replace(wanted.ask, pool_id=of.pool_id, allocation_type=kind))


def cascade(values: Mapping[str, Any]) -> bool:
    """Read Cascade for a Delete, which no other property can prevent: what is not "true" is no."""
    return values.get("Cascade") == "true"


def _given(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take out empty lists, which for AWS's own types are lists that are not given."""
    return {name: value for name, value in values.items() if value != []}


def _family(values: Mapping[str, Any]) -> Family:
    """Read AddressFamily, in which AWS's own type makes no difference between small letters and capitals."""
    remedy = "Write ipv4 or ipv6"
    value = required(text(values, "AddressFamily", MAX_TEXT), "AddressFamily", remedy)
    if value.lower() not in {"ipv4", "ipv6"}:
        raise InvalidPropertyError("AddressFamily", shown(value), "there is no such choice", remedy)
    return 4 if value.lower() == "ipv4" else 6


def _types(values: Mapping[str, Any], source_resource: SourceResource | None) -> frozenset[AllocationType]:
    """Read AllocationTypes; a VPC's space is for subnets, and that of other pools for everything."""
    name = "AllocationTypes"
    if name not in values:
        return frozenset(TYPES if source_resource is None else ("subnet",))
    return frozenset(
        required(choice({name: each}, name, TYPES), name, "") for each in entries(values, name, len(TYPES))
    )


def _rules(values: Mapping[str, Any]) -> AllocationRules:
    """Read the rules of a pool."""
    return AllocationRules(
        min_netmask_length=decimal(values, "AllocationMinNetmaskLength", LONGEST),
        max_netmask_length=decimal(values, "AllocationMaxNetmaskLength", LONGEST),
        default_netmask_length=decimal(values, "AllocationDefaultNetmaskLength", LONGEST),
        required_tags=read_tags(values, "AllocationResourceTags", MAX_TAGS),
        allowed_cidrs=read_cidrs(values, "AllowedCidrs"),
        disallowed_cidrs=read_cidrs(values, "DisallowedCidrs"),
        approval_netmask_length=decimal(values, "ApprovalNetmaskLength", LONGEST),
        lease_seconds=decimal(values, "LeaseSeconds", MAX_SECONDS, 1),
        strategy=choice(values, "Strategy", ("best-fit", "sparse")) or "best-fit",
    )


def _source_resource(values: Mapping[str, Any]) -> SourceResource | None:
    """Read SourceResource."""
    said = read_map(values, "SourceResource", SOURCE_RESOURCE)
    if said is None:
        return None
    choice(said, "ResourceType", ("vpc",))
    return SourceResource(
        resource_id=formed(said, "ResourceId", _VPC, "Write the id of a VPC (vpc-…)") or "",
        owner=formed(said, "ResourceOwner", _ACCOUNT, "Write an account id of twelve digits") or "",
        region=read_region(said, "ResourceRegion") or "",
    )


def _refuse_promises(values: Mapping[str, Any], wanted: PoolProperties) -> None:
    """Refuse what only Amazon VPC IPAM can do, unless that is behind the pool."""
    if wanted.vpc_ipam_pool_id:
        return
    refuse_promise(values, "AwsService", "ec2", "this system does not provision anycast addresses")
    refuse_promise(values, "PublicIpSource", "byoip", "this system has no addresses of Amazon's")
    refuse_promise(values, "PubliclyAdvertisable", "false", "this system advertises nothing to the internet")


def _refuse_contradictions(wanted: PoolProperties) -> None:
    """Refuse what excludes each other."""
    if wanted.auto_import and not wanted.locale:
        why = "the pool has no Locale, so there is nothing to look for"
        raise InvalidPropertyError("AutoImport", '"true"', why, "Add Locale, or leave AutoImport out")
    if wanted.source_resource is not None and not wanted.source:
        remedy = "Name the pool that the VPC's CIDR was allocated from"
        raise InvalidPropertyError("SourceIpamPoolId", "", "it is missing, and SourceResource needs it", remedy)
    stray = next((cidr for cidr in wanted.cidrs if cidr.family != wanted.family), None)
    if stray is not None:
        why = f"the pool is ipv{wanted.family}"
        raise InvalidPropertyError("ProvisionedCidrs", shown(str(stray)), why, "Take it out, or change AddressFamily")


def _in_words(refusal: InvalidPropertyError) -> InvalidPropertyError:
    """Say what is wrong with an order in the words of an allocation."""

    def said(sentence: str) -> str:
        return sentence.replace(MASK, NETMASK_LENGTH).replace("Custom::GetCnCIDR", ALLOCATION)

    name = said(refusal.property_name)
    return InvalidPropertyError(name, refusal.shown, said(refusal.why), said(refusal.remedy))
