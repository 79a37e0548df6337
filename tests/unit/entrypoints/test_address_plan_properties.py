"""The properties of the address plan's types, read strictly, in AWS's own names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import Session

from ipam.domain.pool import Quota, SourceResource
from ipam.entrypoints.address_plan import properties
from ipam.entrypoints.address_plan.properties import (
    ALLOCATION_PROPERTIES,
    POOL_CIDR_PROPERTIES,
    POOL_PROPERTIES,
    SCOPE_PROPERTIES,
)
from ipam.entrypoints.errors import InvalidPropertyError, UnknownPropertyError
from ipam.entrypoints.reasons import MAX_REASON, reason

if TYPE_CHECKING:
    from collections.abc import Callable

POOL: dict[str, Any] = {"AddressFamily": "ipv4", "IpamScopeId": "private"}
VPC = {
    "ResourceId": "vpc-0123456789abcdef0",
    "ResourceOwner": "222222222222",
    "ResourceRegion": "eu-central-1",
    "ResourceType": "vpc",
}

AWS_SCOPE = {"Description", "ExternalAuthorityConfiguration", "IpamId", "Tags"}
AWS_POOL = {
    "AddressFamily",
    "AllocationDefaultNetmaskLength",
    "AllocationMaxNetmaskLength",
    "AllocationMinNetmaskLength",
    "AllocationResourceTags",
    "AutoImport",
    "AwsService",
    "Description",
    "IpamScopeId",
    "Locale",
    "ProvisionedCidrs",
    "PublicIpSource",
    "PubliclyAdvertisable",
    "SourceIpamPoolId",
    "SourceResource",
    "Tags",
}
AWS_POOL_CIDR = {"Cidr", "IpamPoolId", "NetmaskLength"}
AWS_ALLOCATION = {"Cidr", "Description", "IpamPoolId", "NetmaskLength"}
"""Properties that a template may set (CloudFormation template reference, AWS::EC2::IPAMScope and its like)."""


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (AWS_SCOPE, SCOPE_PROPERTIES),
        (AWS_POOL, POOL_PROPERTIES),
        (AWS_POOL_CIDR, POOL_CIDR_PROPERTIES),
        (AWS_ALLOCATION, ALLOCATION_PROPERTIES),
    ],
)
def test_every_property_of_awss_own_type_is_known(theirs: set[str], ours: tuple[str, ...]) -> None:
    """A template moves over with the properties that it has."""
    assert theirs <= set(ours)
    assert list(ours) == sorted(ours)


def test_the_names_of_a_pool_are_ec2s() -> None:
    """CreateIpamPool has the same members, but for what a call has beside."""
    call = Session().get_service_model("ec2").operation_model("CreateIpamPool").input_shape
    assert call is not None
    beside = {"DryRun", "ClientToken", "TagSpecifications"}
    assert set(call.members) - beside <= AWS_POOL


def test_a_template_of_awss_own_reads_as_it_is() -> None:
    """Numbers and booleans come as strings; defaults, empty lists and capitals are what they are there."""
    read = properties.pool(
        POOL
        | {
            "AddressFamily": "IPv4",
            "AllocationMinNetmaskLength": "16",
            "AllocationMaxNetmaskLength": "28",
            "AllocationDefaultNetmaskLength": "24",
            "AllocationResourceTags": [{"Key": "stage", "Value": "prod"}],
            "AutoImport": "false",
            "AwsService": "ec2",
            "Description": "",
            "Locale": "None",
            "ProvisionedCidrs": [{"Cidr": "10.1.0.0/16"}, {"Cidr": "10.0.0.0/16"}],
            "PublicIpSource": "byoip",
            "PubliclyAdvertisable": "false",
            "Tags": [{"Key": "Name", "Value": "corporate"}],
            "AllowedCidrs": [],
        }
    )
    assert (read.family, read.locale, read.name, read.auto_import) == (4, "", "corporate", False)
    assert (read.rules.min_netmask_length, read.rules.max_netmask_length) == (16, 28)
    assert read.rules.required_tags == (("stage", "prod"),)
    assert [str(cidr) for cidr in read.cidrs] == ["10.0.0.0/16", "10.1.0.0/16"]
    assert read.allocation_types == {"vpc", "subnet", "eip", "custom"}
    assert (read.quota, read.cooling_seconds, read.shared_with) == (Quota(), 0, ())


def test_what_cannot_be_promised_is_promised_by_a_pool_behind() -> None:
    """With VpcIpamPoolId, Amazon's own pool advertises and provisions; without, each is refused with that way."""
    promises = {"AwsService": "global-services", "PublicIpSource": "amazon", "PubliclyAdvertisable": "true"}
    behind = {"VpcIpamPoolId": "ipam-pool-0123456789abcdef0"}
    assert properties.pool(POOL | promises | behind).vpc_ipam_pool_id == behind["VpcIpamPoolId"]
    for name, value in promises.items():
        with pytest.raises(InvalidPropertyError) as refused:
            properties.pool(POOL | {name: value})
        assert refused.value.property_name == name
        assert value in refused.value.shown and "VpcIpamPoolId" in refused.value.remedy


def test_a_vpcs_pool_is_for_subnets_in_its_region() -> None:
    """SourceResource decides what Locale and AllocationTypes are, where the template does not."""
    read = properties.pool(POOL | {"SourceIpamPoolId": "vpcs", "SourceResource": VPC})
    assert read.source_resource == SourceResource("vpc-0123456789abcdef0", "222222222222", "eu-central-1")
    assert (read.locale, read.allocation_types) == ("eu-central-1", frozenset({"subnet"}))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (["222222222222"], ("222222222222",)),
        (["arn:aws:organizations::111111111111:organization/o-exampleorg1"], ("o-exampleorg1",)),
        (["arn:aws:organizations::111111111111:ou/o-exampleorg1/ou-abcd-12345678"], ("ou-abcd-12345678",)),
        (["arn:aws:organizations::111111111111:root/o-exampleorg1/r-abcd"], ("r-abcd",)),
        (["arn:aws:organizations::111111111111:account/o-exampleorg1/333333333333"], ("333333333333",)),
        (["ou-abcd-12345678", "222222222222", "ou-abcd-12345678"], ("222222222222", "ou-abcd-12345678")),
    ],
)
def test_whom_a_pool_is_shared_with_is_an_id(said: list[str], read: tuple[str, ...]) -> None:
    """ARNs as resource shares have them become ids; order and repetition mean nothing."""
    assert properties.pool(POOL | {"SharedWith": said}).shared_with == read


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"AddressFamily": "ipv5"}, ["AddressFamily", '"ipv5"', "ipv4 or ipv6"]),
        ({"AddressFamily": None}, ["AddressFamily", "missing"]),
        ({"IpamScopeId": None}, ["IpamScopeId", "missing", "id or name"]),
        ({"ProvisionedCidrs": [{"Cidr": "10.0.0.1/8"}]}, ["ProvisionedCidrs", "10.0.0.1/8", "Write 10.0.0.0/8"]),
        ({"ProvisionedCidrs": [{"Cidr": "10.0.0.0"}]}, ["ProvisionedCidrs", "canonical"]),
        ({"ProvisionedCidrs": [{"Cidr": "10.0.0.0/8"}, {"Cidr": "10.1.0.0/16"}]}, ["10.1.0.0/16", "overlaps 10.0"]),
        ({"ProvisionedCidrs": [{"Cidr": "10.0.0.0/8"}, {"Cidr": "10.0.0.0/8"}]}, ["overlaps"]),
        ({"ProvisionedCidrs": ["10.0.0.0/8"]}, ["map of Cidr alone"]),
        ({"ProvisionedCidrs": [{"Cidr": "10.0.0.0/8", "NetmaskLength": "8"}]}, ["map of Cidr alone"]),
        ({"ProvisionedCidrs": "10.0.0.0/8"}, ["ProvisionedCidrs", "not a list"]),
        ({"ProvisionedCidrs": [{"Cidr": "fd00::/48"}]}, ["fd00::/48", "ipv4", "AddressFamily"]),
        ({"AllocationMinNetmaskLength": "/16"}, ["AllocationMinNetmaskLength", "decimal digits"]),
        ({"AllocationMaxNetmaskLength": "129"}, ["0 to 128"]),
        ({"LeaseSeconds": "0"}, ["LeaseSeconds", "from 1"]),
        ({"CoolingSeconds": "-1"}, ["CoolingSeconds"]),
        ({"QuotaAddresses": "many"}, ["QuotaAddresses"]),
        ({"Locale": "Frankfurt"}, ["Locale", "eu-central-1"]),
        ({"Locale": "us-west-2-lax-1a"}, ["Locale", "not a Region"]),
        ({"Locale": "eu-centrl-1"}, ["Locale", "not a Region"]),
        ({"Name": ""}, ["Name", "it is empty"]),
        ({"AutoImport": "yes"}, ["AutoImport", "true or false"]),
        ({"AutoImport": "true"}, ["AutoImport", "Locale"]),
        ({"Sticky": "yes"}, ["Sticky", "true or false"]),
        ({"Cascade": "yes"}, ["Cascade", "true or false"]),
        ({"Strategy": "worst-fit"}, ["Strategy", "best-fit or sparse"]),
        ({"AllocationTypes": ["vpc", "ipam-pool"]}, ["AllocationTypes", '"ipam-pool"']),
        ({"AllowedCidrs": ["10.0.0.0/33"]}, ["AllowedCidrs"]),
        ({"SharedWith": ["everybody"]}, ["SharedWith", '"everybody"', "ou-…"]),
        ({"SharedWith": "222222222222"}, ["SharedWith", "not a list"]),
        ({"Tags": [{"Key": "a"}]}, ["Tags", "Key and Value"]),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, ["Tags", "twice"]),
        ({"AllocationResourceTags": {"a": "1"}}, ["AllocationResourceTags", "not a list"]),
        ({"Name": ""}, ["Name", "empty"]),
        ({"Name": "ipam-pool-0123456789abcdef0"}, ["Name", "like an id"]),
        ({"Tags": [{"Key": "Name", "Value": "ipam-scope-x"}]}, ["Name", "like an id"]),
        ({"VpcIpamPoolId": "pool-1"}, ["VpcIpamPoolId", "Amazon VPC IPAM"]),
        ({"SourceResource": VPC}, ["SourceIpamPoolId", "missing", "VPC's CIDR"]),
        ({"SourceResource": "vpc-1"}, ["SourceResource", "not a map"]),
        ({"SourceResource": VPC | {"Vpc": "x"}}, ["SourceResource has no property", '"Vpc"']),
        ({"SourceResource": {"ResourceId": "vpc-0123456789abcdef0"}}, ["SourceResource.ResourceOwner", "missing"]),
        ({"SourceResource": VPC | {"ResourceType": "subnet"}}, ["ResourceType"]),
        ({"SourceResource": VPC | {"ResourceId": "vpc"}}, ["ResourceId", "vpc-…"]),
        ({"SourceResource": VPC | {"ResourceOwner": "me"}}, ["ResourceOwner", "twelve digits"]),
        ({"AllocationMinNetmaskLenght": "16"}, ["no property", "AllocationMinNetmaskLength?"]),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused(values: dict[str, Any], told: list[str]) -> None:
    """The reason names the property, its value where that helps, and what to write instead."""
    said = {name: value for name, value in (POOL | values).items() if value is not None}
    with pytest.raises((InvalidPropertyError, UnknownPropertyError)) as refused:
        properties.pool(said)
    sentence = reason(refused.value)
    assert [each for each in told if each not in sentence] == [], sentence
    assert len(sentence) <= MAX_REASON


@pytest.mark.parametrize(
    ("read", "values", "told"),
    [
        (properties.scope, {"IpamScopeType": "secret"}, ["IpamScopeType", "private or public"]),
        (properties.scope, {"ExternalAuthorityConfiguration": {}}, ["ExternalAuthorityConfiguration", "ipam import"]),
        (properties.scope, {"Nmae": "lab"}, ["Did you mean Name?"]),
        (properties.pool_cidr, {"IpamPoolId": "vpcs", "Cidr": "10.0.0.0/8 "}, ["Cidr", "canonical"]),
        (properties.pool_cidr, {"Cidr": "10.0.0.0/8"}, ["IpamPoolId", "missing", "!Ref"]),
        (properties.pool_cidr, {"IpamPoolId": "vpcs", "NetmaskLength": "16", "Cascade": "?"}, ["Cascade"]),
        (properties.pool_cidr, {"IpamPoolId": "vpcs", "Netmask": "16"}, ["Did you mean NetmaskLength?"]),
    ],
)
def test_the_other_types_are_read_as_strictly(
    read: Callable[[dict[str, Any]], object], values: dict[str, Any], told: list[str]
) -> None:
    """What is wrong is named, with the way out."""
    with pytest.raises((InvalidPropertyError, UnknownPropertyError)) as refused:
        read(values)
    sentence = reason(refused.value)
    assert [each for each in told if each not in sentence] == [], sentence


def test_a_scope_takes_what_means_nothing_here() -> None:
    """IpamId is accepted whatever it names: there is one IPAM, and this is it."""
    read = properties.scope({"IpamId": "ipam-0123456789abcdef0", "Tags": []})
    assert (read.name, read.scope_type, read.description, read.tags) == ("", "private", "", ())


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("Custom::IpamScope", SCOPE_PROPERTIES),
        ("Custom::IpamPool", POOL_PROPERTIES),
        ("Custom::IpamPoolCidr", POOL_CIDR_PROPERTIES),
        ("Custom::IpamAllocation", ALLOCATION_PROPERTIES),
    ],
)
def test_every_property_is_documented(section: str, names: tuple[str, ...]) -> None:
    """docs/address-plan.md has each of them in the section of its type."""
    text = (Path(__file__).parents[3] / "docs" / "address-plan.md").read_text()
    told = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    assert [name for name in names if f"`{name}`" not in told] == []
