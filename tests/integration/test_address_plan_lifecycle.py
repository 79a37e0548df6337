"""Scopes, pools, CIDRs and allocations of a stack, event by event as CloudFormation sends them, each twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ipam.domain.errors import StoreUnavailableError
from ipam.domain.pool import AllocationRules, Quota, SourceResource
from ipam.entrypoints.errors import UnansweredError, UndeliveredError
from ipam.services.pools import delete_pool
from tests import invariants
from tests.faults import Faulty
from tests.unit.entrypoints.plan_stage import NAMES, NETWORK_ACCOUNT, PlanStage, Resource, event

VPC = "vpc-0123456789abcdef0"


@pytest.fixture
def stage() -> PlanStage:
    return PlanStage()


@pytest.fixture
def top(stage: PlanStage) -> Resource:
    """A top-level pool of 10.0.0.0/8."""
    return stage.top()


@pytest.fixture
def leaf(stage: PlanStage, top: Resource) -> Resource:
    """A pool of the Region with a /16 of its own, below the top-level pool."""
    return leaf_of(stage, top, ProvisionedCidrs=[{"Cidr": "10.0.0.0/16"}])


def leaf_of(stage: PlanStage, top: Resource, **properties: Any) -> Resource:
    """Create a pool of the Region."""
    said = {
        "AddressFamily": "ipv4",
        "IpamScopeId": top.data["IpamScopeId"],
        "SourceIpamPoolId": top.physical_id,
        "Locale": "eu-central-1",
        "Name": "leaf",
    }
    return stage.create("IpamPool", "Leaf", **(said | properties))


# ------------------------------------------------------------------------------------------------------------- scopes


def test_a_scope_lives(stage: PlanStage) -> None:
    """Created beside the default ones, renamed in place, refused while a pool is in it, deleted."""
    scope = stage.create("IpamScope", "Lab", Name="lab", IpamId="ipam-0123456789abcdef0")
    assert scope.data == {
        "IpamScopeId": scope.physical_id,
        "Arn": f"arn:aws:ec2::{NETWORK_ACCOUNT}:ipam-scope/{scope.physical_id}",
        "IpamArn": f"arn:aws:ec2::{NETWORK_ACCOUNT}:ipam/cn-ipam",
        "IpamScopeType": "private",
        "IsDefault": "false",
        "PoolCount": "0",
        "Name": "lab",
    }
    assert sorted(each.name for each in stage.desk.store.plan().scopes.values()) == ["lab", "private", "public"]
    renamed = stage.update(scope, Name="laboratory", Tags=[{"Key": "team", "Value": "net"}])
    assert (renamed.physical_id, renamed.data["Name"]) == (scope.physical_id, "laboratory")
    pool = stage.top(IpamScopeId="laboratory")
    assert stage.update(renamed, Description="for trying out").data["PoolCount"] == "1"
    refused = stage.delete(renamed)
    assert (refused["Status"], "pool top" in refused["Reason"]) == ("FAILED", True)
    stage.delete(pool)
    assert stage.delete(renamed)["Status"] == "SUCCESS"
    assert sorted(each.name for each in stage.desk.store.plan().scopes.values()) == ["private", "public"]


def test_a_scope_of_another_type_is_another_scope(stage: PlanStage) -> None:
    """It needs a name of its own, which a made one has by itself; a rollback finds the first again."""
    scope = stage.create("IpamScope", "Lab")
    new = stage.update(scope, IpamScopeType="public")
    assert new.physical_id != scope.physical_id
    assert new.data["Name"] != scope.data["Name"]
    back = stage.update(new, IpamScopeType=None)
    assert back.physical_id == scope.physical_id
    assert stage.delete(new)["Status"] == "SUCCESS"
    assert [each for each in stage.desk.store.plan().scopes if each in {new.physical_id, scope.physical_id}] == [
        scope.physical_id
    ]


# -------------------------------------------------------------------------------------------------------------- pools


def test_a_pool_answers_with_every_attribute(stage: PlanStage, top: Resource, leaf: Resource) -> None:
    """Those of AWS's own type, the ids of what it stands in, and its name; Ref is its id."""
    scope_id = top.data["IpamScopeId"]
    assert leaf.data == {
        "IpamPoolId": leaf.physical_id,
        "Arn": f"arn:aws:ec2::{NETWORK_ACCOUNT}:ipam-pool/{leaf.physical_id}",
        "IpamArn": f"arn:aws:ec2::{NETWORK_ACCOUNT}:ipam/cn-ipam",
        "IpamScopeArn": f"arn:aws:ec2::{NETWORK_ACCOUNT}:ipam-scope/{scope_id}",
        "IpamScopeId": scope_id,
        "IpamScopeType": "private",
        "PoolDepth": "2",
        "State": "create-complete",
        "StateMessage": "",
        "Name": "leaf",
    }
    assert stage.provisioned(leaf) == ["10.0.0.0/16"]
    invariants.check(stage.desk.store)


def test_everything_that_can_change_changes_in_place(stage: PlanStage, leaf: Resource) -> None:
    """Name, description, rules, quota, sharing, cooling, tags: the id stays, and so does what is allocated."""
    held = stage.create("IpamAllocation", "Net", IpamPoolId=leaf.physical_id, NetmaskLength="24")
    new = stage.update(
        leaf,
        Name="leaves",
        Description="for VPCs",
        AllocationMinNetmaskLength="26",
        AllocationMaxNetmaskLength="28",
        AllocationDefaultNetmaskLength="27",
        AllocationResourceTags=[{"Key": "stage", "Value": "prod"}],
        AllowedCidrs=["10.0.0.0/17"],
        DisallowedCidrs=["10.0.4.0/24", "10.0.1.0/24"],
        ApprovalNetmaskLength="27",
        LeaseSeconds="86400",
        Strategy="sparse",
        CoolingSeconds="3600",
        QuotaAllocations="5",
        QuotaAddresses="1024",
        SharedWith=["arn:aws:organizations::111111111111:ou/o-exampleorg1/ou-abcd-12345678", "222222222222"],
        AllocationTypes=["vpc", "custom"],
        AutoImport="true",
        Sticky="true",
        Tags=[{"Key": "use", "Value": "vpcs"}],
    )
    assert (new.physical_id, new.data["State"]) == (leaf.physical_id, "modify-complete")
    pool = stage.pool(new)
    rules = pool.rules
    assert (pool.name, pool.description, pool.cooling_seconds) == ("leaves", "for VPCs", 3600)
    assert (pool.auto_import, pool.sticky) == (True, True)
    assert (rules.min_netmask_length, rules.max_netmask_length, rules.default_netmask_length) == (26, 28, 27)
    assert (rules.required_tags, rules.strategy, rules.lease_seconds) == ((("stage", "prod"),), "sparse", 86400)
    assert [str(cidr) for cidr in rules.disallowed_cidrs] == ["10.0.1.0/24", "10.0.4.0/24"]
    assert (pool.quota, rules.approval_netmask_length) == (Quota(5, 1024), 27)
    assert (pool.shared_with, pool.tags) == (("222222222222", "ou-abcd-12345678"), (("use", "vpcs"),))
    assert pool.allocation_types == {"vpc", "custom"}
    assert stage.desk.held(leaf.physical_id) == [held.data["Cidr"]]
    plain = stage.update(new, **dict.fromkeys(set(new.properties) - set(leaf.properties)), Name="leaf")
    assert replace(stage.pool(plain), version=1) == replace(stage.pool(leaf), version=1)
    assert stage.pool(plain).rules == AllocationRules()


def test_provisioned_cidrs_come_and_go(stage: PlanStage, leaf: Resource) -> None:
    """Adding an entry provisions it, taking one out gives it back; what somebody else provisioned stays."""
    stage.by_hand(leaf, "10.9.0.0/16")
    more = stage.update(leaf, ProvisionedCidrs=[{"Cidr": "10.0.0.0/16"}, {"Cidr": "10.1.0.0/16"}])
    assert stage.provisioned(more) == ["10.0.0.0/16", "10.1.0.0/16", "10.9.0.0/16"]
    less = stage.update(more, ProvisionedCidrs=[{"Cidr": "10.1.0.0/16"}])
    assert stage.provisioned(less) == ["10.1.0.0/16", "10.9.0.0/16"]
    none = stage.update(less, ProvisionedCidrs=[])
    assert stage.provisioned(none) == ["10.9.0.0/16"]
    invariants.check(stage.desk.store)


def test_a_cidr_makes_way_for_one_that_overlaps_it(stage: PlanStage, leaf: Resource) -> None:
    """A /16 grows to a /15 in one update, as long as nothing is allocated from it."""
    wider = stage.update(leaf, ProvisionedCidrs=[{"Cidr": "10.0.0.0/15"}])
    assert stage.provisioned(wider) == ["10.0.0.0/15"]
    stage.create("IpamAllocation", "Net", IpamPoolId=leaf.physical_id, NetmaskLength="24")
    reason = stage.refused_update(wider, ProvisionedCidrs=[{"Cidr": "10.0.0.0/14"}])
    assert '"10.0.0.0/15" is in use by 10.0.0.0/24 of address-plan/Net' in reason
    assert stage.provisioned(wider) == ["10.0.0.0/15"]


def test_a_cidr_in_use_is_not_given_back(stage: PlanStage, leaf: Resource) -> None:
    """The Update is refused with what uses it, and its rollback takes away what it had added."""
    stage.create("IpamAllocation", "Net", IpamPoolId=leaf.physical_id, NetmaskLength="24")
    reason = stage.refused_update(leaf, ProvisionedCidrs=[{"Cidr": "10.1.0.0/16"}])
    assert "in use" in reason and "address-plan/Net" in reason
    assert stage.provisioned(leaf) == ["10.0.0.0/16"]
    invariants.check(stage.desk.store)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Locale": "eu-west-1"}, ['Locale "eu-west-1"', "eu-central-1", "another pool for the Region"]),
        ({"Locale": "None"}, ['Locale ""', "another pool"]),
        ({"AllocationMinNetmaskLength": "24", "AllocationMaxNetmaskLength": "20"}, ["AllocationMinNetmaskLength"]),
        ({"AllocationMaxNetmaskLength": "20", "AllocationDefaultNetmaskLength": "24"}, ["AllocationDefaultNetmask"]),
        ({"AllocationMaxNetmaskLength": "33"}, ["AllocationMaxNetmaskLength", "0 to 32"]),
        ({"AllowedCidrs": ["fd00::/8"]}, ["AllowedCidrs", "ipv4"]),
        ({"Name": "top"}, ['"top" is taken']),
        ({"Name": " top"}, ['Name " top"', "spaces around it"]),
        ({"ProvisionedCidrs": [{"Cidr": "192.168.0.0/16"}]}, ["192.168.0.0/16", "not in the space", '"top"']),
        ({"ProvisionedCidrs": [{"Cidr": "10.0.0.1/16"}]}, ["ProvisionedCidrs", "Write 10.0.0.0/16"]),
        ({"ProvisionedCidrs": [{"Cidr": "fd00::/48"}]}, ["ProvisionedCidrs", "ipv4"]),
        ({"ProvisionedCidrs": [{"Cidr": "10.0.0.0/15"}, {"Cidr": "10.0.0.0/16"}]}, ["overlaps 10.0.0.0/15"]),
        ({"AddressFamily": "ipv6", "Name": "leaf-ipv6"}, ["AddressFamily", "source pool is ipv4"]),
        ({"AddressFamily": "ipv6"}, ['Name "leaf"', "Change Name in the same update"]),
        ({"Localle": "eu-west-1"}, ["Did you mean Locale?"]),
    ],
)
def test_a_refused_update_is_rolled_back(
    stage: PlanStage, top: Resource, change: dict[str, Any], told: list[str]
) -> None:
    """The reason names property and value, the pool keeps its id, and the rollback finds it as it was."""
    leaf = leaf_of(stage, top)
    before = stage.pool(leaf)
    reason = stage.refused_update(leaf, **change)
    assert [each for each in told if each not in reason] == [], reason
    assert replace(stage.pool(leaf), version=1) == replace(before, version=1)
    assert stage.pools() == ["leaf", "top"]
    invariants.check(stage.desk.store)


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"IpamScopeId": "nowhere"}, ['no scope "nowhere"', "`ipam scope list`"]),
        ({"SourceIpamPoolId": "nowhere"}, ['SourceIpamPoolId "nowhere"', "no such pool", "`ipam pool list`"]),
        ({"IpamScopeId": "public"}, ["SourceIpamPoolId", "another scope"]),
        ({"ProvisionedCidrs": [{"Cidr": "10.0.0.0/16"}]}, ["10.0.0.0/16", "in use"]),
        ({"ProvisionedCidrs": [{"Cidr": "11.0.0.0/16"}]}, ["11.0.0.0/16", "not in the space"]),
        ({"Name": "leaf"}, ['"leaf" is taken']),
        ({"Name": " "}, ['Name " "', "a name is not empty"]),
        ({"Locale": "eu-centrl-1"}, ['Locale "eu-centrl-1"', "not a Region"]),
        ({"Locale": "nowhere-1"}, ['Locale "nowhere-1"', "not a Region"]),
        ({"AwsService": "global-services"}, ["AwsService", "VpcIpamPoolId"]),
        (
            {"SourceResource": {"ResourceId": VPC, "ResourceOwner": "1" * 12, "ResourceRegion": "eu-west-1",
                                "ResourceType": "vpc"}},
            ["Locale", "eu-west-1"],
        ),
    ],
)  # fmt: skip
def test_a_refused_create_leaves_nothing(
    stage: PlanStage, top: Resource, leaf: Resource, properties: dict[str, Any], told: list[str]
) -> None:
    """The reason says what is wrong, and the Delete that follows takes away what was made before the refusal."""
    said = {"AddressFamily": "ipv4", "IpamScopeId": "private", "SourceIpamPoolId": top.physical_id}
    said["Locale"] = "eu-central-1"
    reason = stage.refused("IpamPool", "Other", **(said | properties))
    assert [each for each in told if each not in reason] == [], reason
    assert stage.pools() == ["leaf", "top"]
    assert stage.provisioned(leaf) == ["10.0.0.0/16"]
    invariants.check(stage.desk.store)


def test_a_replacement_stands_beside_what_it_replaces(stage: PlanStage) -> None:
    """Another source is another pool under another name; a rollback finds the first one, and the second is deleted."""
    stage.top()
    other = stage.create("IpamPool", "Other", AddressFamily="ipv4", IpamScopeId="private", Name="other")
    pool = stage.create("IpamPool", "Leaf", AddressFamily="ipv4", IpamScopeId="private", SourceIpamPoolId="top")
    new = stage.update(pool, SourceIpamPoolId="other")
    assert new.physical_id != pool.physical_id
    assert {stage.pool(new).source_pool_id} == {other.physical_id}
    assert stage.pool(pool).name != stage.pool(new).name
    back = stage.update(new, SourceIpamPoolId="top")
    assert (back.physical_id, back.data["Name"]) == (pool.physical_id, pool.data["Name"])
    assert stage.delete(new)["Status"] == "SUCCESS"
    assert stage.pools() == sorted(["top", "other", stage.pool(pool).name])


def test_a_replacement_needs_a_name_of_its_own(stage: PlanStage, top: Resource, leaf: Resource) -> None:
    """A name that the template gives is the old pool's until that is gone, and the reason says what to do."""
    stage.create("IpamPool", "Other", AddressFamily="ipv4", IpamScopeId="private", Name="other")
    reason = stage.refused_update(leaf, SourceIpamPoolId="other", ProvisionedCidrs=[])
    assert 'Name "leaf"' in reason and "Change Name in the same update" in reason
    new = stage.update(leaf, SourceIpamPoolId="other", Name="leaf-2", ProvisionedCidrs=[])
    assert stage.delete(leaf)["Status"] == "SUCCESS"
    assert stage.pools() == ["leaf-2", "other", "top"]
    assert stage.pool(new).name == "leaf-2"
    del top


def test_the_same_pool_in_other_words_stays(stage: PlanStage, top: Resource, leaf: Resource) -> None:
    """Scope and source pool may be named by id or by name; another spelling is no replacement."""
    words = stage.update(leaf, IpamScopeId="private", SourceIpamPoolId="top", AddressFamily="IPv4")
    assert words.physical_id == leaf.physical_id
    renamed = stage.update(top, Name="corporate")
    again = stage.update(words, SourceIpamPoolId="corporate", Description="new")
    assert again.physical_id == leaf.physical_id
    assert stage.delete(again)["Status"] == "SUCCESS"
    assert stage.delete(renamed)["Status"] == "SUCCESS"
    assert stage.pools() == []


def test_a_replacement_that_nobody_learned_of_goes_with_the_rollback(stage: PlanStage, leaf: Resource) -> None:
    """An Update whose answer was lost leaves neither pool nor CIDR behind."""
    stage.create("IpamPool", "Other", AddressFamily="ipv4", IpamScopeId="private", Name="other",
                 ProvisionedCidrs=[{"Cidr": "172.16.0.0/12"}])  # fmt: skip
    lost = {"SourceIpamPoolId": "other", "Name": "leaf-2", "ProvisionedCidrs": [{"Cidr": "172.16.0.0/16"}]}
    new = Resource(leaf.kind, leaf.name, leaf.properties | lost, leaf.physical_id)
    stage.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        stage.deliver(stage.updating(leaf, new))
    assert "leaf-2" in stage.pools()
    answer = stage.twice(stage.updating(new, leaf))
    assert answer["PhysicalResourceId"] == leaf.physical_id
    assert stage.pools() == ["leaf", "other", "top"]
    invariants.check(stage.desk.store)


def test_a_pool_that_somebody_deleted_is_made_anew(stage: PlanStage, leaf: Resource) -> None:
    """The next Update finds nothing of what its stack holds, and makes the same pool again, with its CIDR."""
    delete_pool(stage.desk.ports, leaf.physical_id, "an administrator")
    assert stage.pools() == ["top"]
    again = stage.update(leaf, Description="again")
    assert again.physical_id == leaf.physical_id
    assert stage.provisioned(again) == ["10.0.0.0/16"]
    invariants.check(stage.desk.store)


def test_a_pool_in_use_is_not_deleted(stage: PlanStage, top: Resource, leaf: Resource) -> None:
    """The Reason lists the first few of its users, child pools and allocations; once they are gone it works."""
    held = [
        stage.create("IpamAllocation", f"Net{number}", IpamPoolId=leaf.physical_id, NetmaskLength="24")
        for number in range(7)
    ]
    reason = stage.delete(leaf)["Reason"]
    assert "10.0.0.0/24 of address-plan/Net0" in reason and "more" in reason
    assert "pool leaf" in stage.delete(top)["Reason"]
    for each in held:
        stage.delete(each)
    assert stage.delete(leaf)["Status"] == "SUCCESS"
    assert stage.delete(top)["Status"] == "SUCCESS"
    assert stage.pools() == []
    invariants.check(stage.desk.store)


def test_cascade_takes_everything_along(stage: PlanStage, top: Resource) -> None:
    """With Cascade, allocations and child pools go with the pool; Cascade may be set at the last moment."""
    leaf = leaf_of(stage, top, ProvisionedCidrs=[{"Cidr": "10.0.0.0/16"}])
    stage.create("IpamAllocation", "Net", IpamPoolId=leaf.physical_id, NetmaskLength="24")
    assert stage.delete(top)["Status"] == "FAILED"
    armed = stage.update(top, Cascade="true")
    assert armed.physical_id == top.physical_id
    assert stage.delete(armed)["Status"] == "SUCCESS"
    assert stage.pools() == []
    invariants.check(stage.desk.store)


def test_a_vpcs_space_is_divided(stage: PlanStage, leaf: Resource) -> None:
    """SourceResource makes the pool of a VPC's subnets; the VPC is kept while it is divided, and may go afterwards."""
    vpc = stage.create("IpamAllocation", "Vpc", IpamPoolId=leaf.physical_id, Cidr="10.0.4.0/22", AllocationType="vpc")
    subnets = stage.create(
        "IpamPool",
        "Subnets",
        AddressFamily="ipv4",
        IpamScopeId="private",
        SourceIpamPoolId=leaf.physical_id,
        SourceResource={
            "ResourceId": VPC,
            "ResourceOwner": "222222222222",
            "ResourceRegion": "eu-central-1",
            "ResourceType": "vpc",
        },
        ProvisionedCidrs=[{"Cidr": "10.0.4.0/22"}],
    )
    pool = stage.pool(subnets)
    assert (pool.locale, sorted(pool.allocation_types)) == ("eu-central-1", ["subnet"])
    assert pool.source_resource == SourceResource(VPC, "222222222222", "eu-central-1")
    assert stage.provisioned(subnets) == ["10.0.4.0/22"]
    assert "pool" in stage.delete(vpc)["Reason"]
    invariants.check(stage.desk.store)
    assert stage.delete(subnets)["Status"] == "SUCCESS"
    assert stage.delete(vpc)["Status"] == "SUCCESS"
    invariants.check(stage.desk.store)


def test_a_vpcs_space_is_divided_by_a_resource_of_its_own(stage: PlanStage, leaf: Resource) -> None:
    """Custom::IpamPoolCidr does it as well, late Deletes of it do nothing, and taking the entry out gives it back."""
    stage.create("IpamAllocation", "Vpc", IpamPoolId=leaf.physical_id, Cidr="10.0.4.0/22", AllocationType="vpc")
    of = {"ResourceId": VPC, "ResourceOwner": "2" * 12, "ResourceRegion": "eu-central-1", "ResourceType": "vpc"}
    subnets = stage.create("IpamPool", "Subnets", AddressFamily="ipv4", IpamScopeId="private", SourceResource=of,
                           SourceIpamPoolId=leaf.physical_id)  # fmt: skip
    assert "a VPC's space" in stage.refused("IpamPoolCidr", "Cidr", IpamPoolId=subnets.physical_id, NetmaskLength="22")
    cidr = Resource("IpamPoolCidr", "Cidr", {"IpamPoolId": subnets.physical_id, "Cidr": "10.0.4.0/22"})
    early = stage.request("Delete", replace(cidr, physical_id=f"{subnets.physical_id}|10.0.4.0/22"))
    cidr = stage.create("IpamPoolCidr", "Cidr", **cidr.properties)
    assert stage.deliver(early)["Status"] == "SUCCESS"
    assert (stage.outcome, stage.provisioned(subnets)) == ("unverified-delete", ["10.0.4.0/22"])
    assert stage.delete(cidr)["Status"] == "SUCCESS"
    assert stage.provisioned(subnets) == []
    listed = stage.update(subnets, ProvisionedCidrs=[{"Cidr": "10.0.4.0/22"}])
    assert stage.provisioned(listed) == ["10.0.4.0/22"]
    assert stage.provisioned(stage.update(listed, ProvisionedCidrs=None)) == []
    invariants.check(stage.desk.store)


# -------------------------------------------------------------------------------------------------------- pool CIDRs


def test_a_cidr_is_ordered_by_its_size(stage: PlanStage, top: Resource) -> None:
    """Any block of that size will do, the same in every delivery; Ref is pool and CIDR."""
    leaf = leaf_of(stage, top)
    cidr = stage.create("IpamPoolCidr", "Cidr", IpamPoolId="leaf", NetmaskLength="12")
    assert cidr.physical_id == f"{leaf.physical_id}|10.0.0.0/12"
    assert cidr.data["State"] == "provisioned"
    assert (cidr.data["Cidr"], cidr.data["NetmaskLength"]) == ("10.0.0.0/12", "12")
    assert cidr.data["IpamPoolId"] == leaf.physical_id
    assert cidr.data["IpamPoolCidrId"].startswith("ipam-pool-cidr-")
    same = stage.update(cidr, NetmaskLength=None, Cidr="10.0.0.0/12", IpamPoolId=leaf.physical_id)
    assert same.physical_id == cidr.physical_id
    assert stage.delete(same)["Status"] == "SUCCESS"
    assert stage.provisioned(leaf) == []
    invariants.check(stage.desk.store)


def test_an_allocation_that_a_network_has_is_not_given_back(stage: PlanStage, top: Resource) -> None:
    """Custom::IpamAllocation is asked for as a network's order is, in its own stack's account."""
    leaf = leaf_of(stage, top)
    stage.create("IpamPoolCidr", "Cidr", IpamPoolId=leaf.physical_id, NetmaskLength="16")
    held = stage.create("IpamAllocation", "Net", IpamPoolId=leaf.physical_id, NetmaskLength="24")
    networks = stage.desk.outside.networks
    networks.put("vpc-0a1b2c3d", held.data["Cidr"], of=stage.stack)
    refused = stage.delete(held)
    assert (refused["Status"], refused["PhysicalResourceId"]) == ("FAILED", held.physical_id)
    assert f"{held.data['Cidr']} is in use by vpc-0a1b2c3d" in refused["Reason"]
    networks.there.clear()
    networks.closed = "AccessDenied"
    assert stage.delete(held)["Status"] == "SUCCESS"
    assert [line.get("use_unchecked") for line in stage.lines()[-2:]] == ["AccessDenied", None]
    invariants.check(stage.desk.store)


def test_another_size_is_another_cidr(stage: PlanStage, top: Resource) -> None:
    """The old one stays until its own Delete; a rollback finds it again; in use it is not given back."""
    leaf = leaf_of(stage, top)
    old = stage.create("IpamPoolCidr", "Cidr", IpamPoolId=leaf.physical_id, NetmaskLength="16")
    new = stage.update(old, NetmaskLength="15")
    assert stage.provisioned(leaf) == ["10.0.0.0/16", "10.2.0.0/15"]
    back = stage.update(new, NetmaskLength="16")
    assert back.physical_id == old.physical_id
    assert stage.delete(new)["Status"] == "SUCCESS"
    held = stage.create("IpamAllocation", "Net", IpamPoolId=leaf.physical_id, NetmaskLength="24")
    refused = stage.delete(old)
    assert (refused["Status"], "address-plan/Net" in refused["Reason"]) == ("FAILED", True)
    armed = stage.update(old, Cascade="true")
    assert (armed.physical_id, stage.outcome) == (old.physical_id, "kept")
    assert stage.delete(armed)["Status"] == "SUCCESS"
    assert stage.provisioned(leaf) == []
    assert stage.delete(held)["Status"] == "SUCCESS"
    invariants.check(stage.desk.store)


def test_a_cidr_that_nobody_learned_of_goes_with_the_rollback(stage: PlanStage, top: Resource) -> None:
    """An Update whose answer was lost leaves nothing provisioned, in whichever pool it was."""
    leaf = leaf_of(stage, top)
    said = {"AddressFamily": "ipv4", "IpamScopeId": "private", "SourceIpamPoolId": "top"}
    other = stage.create("IpamPool", "Other", Name="other", **said)
    old = stage.create("IpamPoolCidr", "Cidr", IpamPoolId="leaf", NetmaskLength="16")
    for lost in ({"NetmaskLength": "15"}, {"IpamPoolId": "other"}):
        new = Resource(old.kind, old.name, old.properties | lost, old.physical_id)
        stage.mailbox.failures = 1
        with pytest.raises(UndeliveredError):
            stage.deliver(stage.updating(old, new))
        assert len(stage.provisioned(leaf) + stage.provisioned(other)) == 2
        assert stage.twice(stage.updating(new, old))["PhysicalResourceId"] == old.physical_id
        assert stage.provisioned(leaf) + stage.provisioned(other) == ["10.0.0.0/16"]
    invariants.check(stage.desk.store)


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"Cidr": "10.0.0.1/16"}, ["Cidr", "Write 10.0.0.0/16"]),
        ({"Cidr": "11.0.0.0/16"}, ["11.0.0.0/16", "not in the space", "NetmaskLength instead of Cidr"]),
        ({"Cidr": "fd00::/48"}, ["Cidr", "the pool is ipv4"]),
        ({"Cidr": "10.0.0.0/16", "NetmaskLength": "16"}, ["NetmaskLength", "Leave out one"]),
        ({}, ["Cidr is refused", "missing", "NetmaskLength"]),
        ({"NetmaskLength": "7"}, ["no free /7"]),
        ({"NetmaskLength": "33"}, ["33"]),
        ({"IpamPoolId": "nowhere", "NetmaskLength": "16"}, ['IpamPoolId "nowhere"', "no such pool"]),
    ],
)
def test_a_cidr_that_cannot_be_is_refused(
    stage: PlanStage, top: Resource, properties: dict[str, Any], told: list[str]
) -> None:
    """Host bits, another parent, another family, two sizes or none: refused, with the way out."""
    leaf = leaf_of(stage, top)
    reason = stage.refused("IpamPoolCidr", "Cidr", **({"IpamPoolId": "leaf"} | properties))
    assert [each for each in told if each not in reason] == [], reason
    assert stage.provisioned(leaf) == []


# -------------------------------------------------------------------------------------------------------- allocations


def test_an_allocation_lives(stage: PlanStage, leaf: Resource) -> None:
    """Allocated, described anew in place, replaced by another size, given back; sharing and approval are not for it."""
    stage.update(leaf, SharedWith=["999999999999"], ApprovalNetmaskLength="28")
    held = stage.create("IpamAllocation", "Net", IpamPoolId="leaf", NetmaskLength="24", Description="data centre")
    assert held.data == {
        "IpamPoolAllocationId": held.physical_id,
        "Cidr": "10.0.0.0/24",
        "NetmaskLength": "24",
        "IpamPoolId": leaf.physical_id,
        "CreationDate": held.data["CreationDate"],
        "PreviewToken": "",
        "ExpiresAt": "",
    }
    told = stage.update(held, Description="DC 1", Tags=[{"Key": "site", "Value": "dc1"}])
    assert told.data == held.data
    (allocation,) = stage.desk.store.allocations(leaf.physical_id)
    assert (allocation.description, allocation.tags, allocation.allocation_type) == (
        "DC 1",
        (("site", "dc1"),),
        "custom",
    )
    larger = stage.update(told, NetmaskLength="23")
    assert stage.desk.held(leaf.physical_id) == ["10.0.0.0/24", "10.0.2.0/23"]
    assert stage.delete(told)["Status"] == "SUCCESS"
    assert stage.delete(larger)["Status"] == "SUCCESS"
    assert stage.desk.held(leaf.physical_id) == []
    invariants.check(stage.desk.store)


def test_a_preview_is_held_and_redeemed(stage: PlanStage, leaf: Resource) -> None:
    """Preview holds a block for a time; its token gets that block, once."""
    preview = stage.create("IpamAllocation", "Look", IpamPoolId="leaf", NetmaskLength="24", Preview="true")
    assert preview.data["PreviewToken"] and preview.data["ExpiresAt"]
    held = stage.create("IpamAllocation", "Net", IpamPoolId="leaf", PreviewToken=preview.data["PreviewToken"])
    assert (held.data["Cidr"], held.data["PreviewToken"]) == (preview.data["Cidr"], "")
    reason = stage.refused("IpamAllocation", "Late", IpamPoolId="leaf", PreviewToken=preview.data["PreviewToken"])
    assert "redeemed" in reason
    assert stage.delete(preview)["Status"] == "SUCCESS"
    assert stage.desk.held(leaf.physical_id) == [held.data["Cidr"]]


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({}, ["NetmaskLength is missing", "no default"]),
        ({"NetmaskLength": "8"}, ["larger than pool", "Ask for NetmaskLength 20 or above"]),
        ({"Cidr": "10.0.0.0/16"}, ["larger than pool"]),
        ({"Cidr": "10.0.0.1/24"}, ["Cidr", "Write 10.0.0.0/24"]),
        ({"Cidr": "fd00::/64"}, ["address family"]),
        ({"Cidr": "10.1.0.0/24"}, ["not in the space", "NetmaskLength instead of Cidr"]),
        ({"Cidr": "10.0.0.0/24", "NetmaskLength": "25"}, ['NetmaskLength "25"', "Cidr is a /24"]),
        ({"NetmaskLength": "24", "PreviewSeconds": "60"}, ["PreviewSeconds", "Preview is not true"]),
        ({"NetmaskLength": "24", "AllocationType": "ipam-pool"}, ["AllocationType"]),
        ({"CnCidrMask": "24"}, ["no property"]),
        ({"PreviewToken": "x"}, ["PreviewToken", "Custom::IpamAllocation"]),
    ],
)
def test_an_allocation_that_cannot_be_is_refused(
    stage: PlanStage, leaf: Resource, properties: dict[str, Any], told: list[str]
) -> None:
    """The reason speaks of the properties that this type has."""
    stage.update(leaf, AllocationMinNetmaskLength="20")
    reason = stage.refused("IpamAllocation", "Net", **({"IpamPoolId": "leaf"} | properties))
    assert [each for each in told if each not in reason] == [], reason
    assert stage.desk.held(leaf.physical_id) == []


# ------------------------------------------------------------------------------------------------- late, early, lost


CREATES: list[tuple[str, dict[str, Any]]] = [
    ("IpamScope", {"Name": "part"}),
    ("IpamPool", {"Name": "part", "AddressFamily": "ipv4", "IpamScopeId": "private", "SourceIpamPoolId": "top",
                  "ProvisionedCidrs": [{"Cidr": "10.0.0.0/16"}]}),
    ("IpamPoolCidr", {"IpamPoolId": "leaf", "NetmaskLength": "16"}),
    ("IpamAllocation", {"IpamPoolId": "leaf", "NetmaskLength": "24"}),
]  # fmt: skip


def left(stage: PlanStage, leaf: Resource) -> tuple[int, int, int]:
    """Count what is in the plan: scopes and pools, CIDRs of the leaf, allocations from it."""
    plan = stage.desk.store.plan()
    return len(plan.scopes) + len(plan.pools), len(stage.provisioned(leaf)), len(stage.desk.held(leaf.physical_id))


@pytest.fixture
def plain(stage: PlanStage, top: Resource) -> Resource:
    """A leaf with a /16 that nobody's template names."""
    leaf = leaf_of(stage, top)
    stage.by_hand(leaf, "10.9.0.0/16")
    return leaf


@pytest.mark.parametrize(("kind", "properties"), CREATES, ids=[kind for kind, _ in CREATES])
def test_a_delete_that_overtakes_its_create(
    stage: PlanStage, plain: Resource, kind: str, properties: dict[str, Any]
) -> None:
    """Cancelled before it was served, a Create makes nothing any more, however late it comes."""
    before = left(stage, plain)
    resource = Resource(kind, "Part", properties)
    create = stage.request("Create", resource)
    resource.physical_id = "address-plan-Part-1ABCDEFGHIJKL"
    assert stage.delete(resource)["Status"] == "SUCCESS"
    for _ in range(2):
        refused = stage.deliver(create)
        assert (refused["Status"], "later request" in refused["Reason"]) == ("FAILED", True)
        stage.restart()
    assert left(stage, plain) == before
    invariants.check(stage.desk.store)


@pytest.mark.parametrize(("kind", "properties"), CREATES, ids=[kind for kind, _ in CREATES])
def test_a_create_that_nobody_learned_of(
    stage: PlanStage, plain: Resource, kind: str, properties: dict[str, Any]
) -> None:
    """The Delete with CloudFormation's own id ends what the Create made before its answer was lost."""
    before = left(stage, plain)
    resource = Resource(kind, "Part", properties)
    stage.mailbox.failures = 1
    with pytest.raises(UndeliveredError):
        stage.deliver(stage.request("Create", resource))
    assert left(stage, plain) != before
    resource.physical_id = "address-plan-Part-1ABCDEFGHIJKL"
    assert stage.delete(resource)["Status"] == "SUCCESS"
    assert left(stage, plain) == before
    invariants.check(stage.desk.store)


@pytest.mark.parametrize(("kind", "properties"), CREATES, ids=[kind for kind, _ in CREATES])
def test_what_comes_again_after_the_end_makes_nothing(
    stage: PlanStage, plain: Resource, kind: str, properties: dict[str, Any]
) -> None:
    """A Create of the dead-letter queue finds that its resource is gone; one of a later update makes it anew."""
    before = left(stage, plain)
    resource = Resource(kind, "Part", properties)
    create = stage.request("Create", resource)
    resource.physical_id = stage.twice(create)["PhysicalResourceId"]
    delete = stage.request("Delete", resource)
    assert stage.twice(delete)["Status"] == "SUCCESS"
    assert stage.deliver(create)["Status"] == "FAILED"
    assert left(stage, plain) == before
    stage.create(kind, "Part", **properties)
    after = left(stage, plain)
    assert after != before
    assert stage.deliver(delete)["Status"] == "SUCCESS"
    assert left(stage, plain) == after
    invariants.check(stage.desk.store)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("IpamPool", {"ProvisionedCidrs": [{"Cidr": "11.0.0.0/16"}]}),
        ("IpamPoolCidr", {"NetmaskLength": "7"}),
        ("IpamAllocation", {"NetmaskLength": "7"}),
    ],
)
def test_the_clean_up_of_a_refused_create_leaves_what_a_later_one_made(
    stage: PlanStage, plain: Resource, kind: str, wrong: dict[str, Any]
) -> None:
    """A stack that is kept after a failure, mended and deployed again, deletes the failed one's id at the end."""
    properties = dict(CREATES)[kind]
    failed = Resource(kind, "Part", properties | wrong)
    answer = stage.twice(stage.request("Create", failed))
    assert answer["Status"] == "FAILED"
    failed.physical_id = answer["PhysicalResourceId"]
    made = stage.create(kind, "Part", **properties)
    assert made.physical_id != failed.physical_id
    after = left(stage, plain)
    assert stage.delete(failed)["Status"] == "SUCCESS"
    assert (stage.outcome, left(stage, plain)) == ("nothing-to-release", after)
    assert stage.delete(made)["Status"] == "SUCCESS"
    assert left(stage, plain) != after
    invariants.check(stage.desk.store)


@pytest.mark.parametrize("kind", ["IpamScope", "IpamPool", "IpamPoolCidr"])
def test_an_id_that_no_request_of_the_resource_made(
    stage: PlanStage, plain: Resource, top: Resource, kind: str
) -> None:
    """Another resource's pool, scope or CIDR is not deleted by a Delete that names it; the stack is not wedged."""
    before = left(stage, plain)
    foreign = {
        "IpamScope": top.data["IpamScopeId"],
        "IpamPool": top.physical_id,
        "IpamPoolCidr": f"{plain.physical_id}|10.9.0.0/16",
    }
    made = dict(CREATES)[kind]
    assert stage.delete(Resource(kind, "Stranger", made, foreign[kind]))["Status"] == "SUCCESS"
    assert stage.outcome in {"unverified-delete", "nothing-to-release"}
    assert left(stage, plain) == before


def test_a_delete_needs_no_properties_that_make_sense(stage: PlanStage, leaf: Resource) -> None:
    """What an Update left in a template does not keep the stack from being deleted."""
    broken = replace(leaf, properties={"AddressFamily": "ipv5", "Cascade": ["?"]})
    assert stage.delete(broken)["Status"] == "SUCCESS"
    assert stage.pools() == ["top"]
    never = Resource("IpamPool", "Never", {"AddressFamily": "ipv5"}, "not-created-0123456789abcdef")
    assert stage.delete(never)["Status"] == "SUCCESS"
    assert stage.outcome == "nothing-to-release"


def test_a_store_that_fails_has_the_event_delivered_again(stage: PlanStage, leaf: Resource) -> None:
    """No answer is given for what is not done; the next delivery does it."""
    delete = stage.request("Delete", leaf)
    stage.restart(Faulty(stage.desk.store, iter(["none", "none", "lost-before"])))
    with pytest.raises(UnansweredError):
        stage.deliver(delete)
    assert stage.outcome == "retried"
    stage.restart(stage.desk.store.inner)  # type: ignore[attr-defined]
    assert stage.deliver(delete)["Status"] == "SUCCESS"
    assert stage.pools() == ["top"]
    invariants.check(stage.desk.store)


ORDER = (
    "create_scope",
    "create_pool",
    "create_leaf_pool",
    "create_pool_cidr",
    "create_allocation",
    "create_subnet_pool",
    "create_min_above_max",
    "create_unknown_property",
    "update_rules",
    "update_locale",
    "update_replacement",
)
REFUSED = {
    "create_min_above_max": "AllocationMinNetmaskLength",
    "create_unknown_property": "Did you mean Locale?",
    "update_locale": "another pool for the Region",
    "update_replacement": "laboratory-network-ipv6",
    "delete_pool_cidr": "is in use by 172.16.0.0/24",
    "delete_pool": "is in use by pool laboratory-subnets",
    "delete_invented_id": "is in use by pool laboratory-vpcs",
}


def test_the_events_of_the_folder_tell_a_story(stage: PlanStage) -> None:
    """In their order, each file is served or refused as its name says, and its ids fit those of the others."""
    assert set(NAMES) == {*ORDER, *REFUSED}
    reasons = {}
    stage.clock.advance(24 * 3600)
    for name in (*ORDER, *(each for each in REFUSED if each not in ORDER)):
        sent = event(name)
        answer = stage.twice(sent)
        assert (answer["RequestId"], answer["LogicalResourceId"]) == (sent["RequestId"], sent["LogicalResourceId"])
        if "PhysicalResourceId" in sent:
            assert answer["PhysicalResourceId"] == sent["PhysicalResourceId"]
        if answer["Status"] == "FAILED":
            reasons[name] = answer["Reason"]
    assert {name: told in reasons.get(name, "") for name, told in REFUSED.items()} == dict.fromkeys(REFUSED, True)
    assert set(reasons) == set(REFUSED)
    invariants.check(stage.desk.store)


def test_the_store_unavailable_is_no_refusal(stage: PlanStage, leaf: Resource) -> None:
    """An Update that the store did not answer is tried again, and the pool is then as wanted."""
    new = Resource(leaf.kind, leaf.name, leaf.properties | {"Description": "new"}, leaf.physical_id)
    update = stage.updating(leaf, new)
    stage.restart(Faulty(stage.desk.store, iter(["lost-after"])))
    with pytest.raises(UnansweredError, match=StoreUnavailableError.__name__):
        stage.deliver(update)
    stage.restart(stage.desk.store.inner)  # type: ignore[attr-defined]
    assert stage.deliver(update)["Status"] == "SUCCESS"
    assert stage.pool(leaf).description == "new"
