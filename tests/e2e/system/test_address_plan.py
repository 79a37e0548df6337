"""The address plan as one stack: laid out, drawn, ordered from, changed, kept while in use, and gone at last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.cidr import Cidr
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT
from local.stacks import Stack, StackError
from tests import invariants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.services.ports import Ports
    from local.twin import Twin
    from tests.e2e.system.conftest import CommandLine

PLAN = Path("products/address-plan.yaml")
PREFIX = "zz-"
"""Sorts behind the pools of the example plan, so that only a stack that names these pools is served from them."""

SCOPE = "zz-plan-of-two-regions"
REGIONS = {"eucentral1": "eu-central-1", "euwest1": "eu-west-1"}

ORDER = """
Parameters:
  IpamFunctionArn: { Type: String }
  Pool: { Type: String }
  Type: { Type: String, Default: vpc }
  Mask: { Type: String, Default: "24" }
Resources:
  Network:
    Type: Custom::GetCnCIDR
    Properties:
      ServiceToken: !Ref IpamFunctionArn
      ServiceTimeout: 300
      PoolName: !Ref Pool
      AllocationType: !Ref Type
      CnCidrMask: !Ref Mask
Outputs:
  AllocationId: { Value: !Ref Network }
  Cidr: { Value: !GetAtt Network.Cidr }
"""


def parameters(twin: Twin, **others: str) -> dict[str, str]:
    """Give the plan's parameters: a scope of its own, because the example plan has the addresses already."""
    token = twin.outputs["AddressPlanServiceToken"]
    given = {"AddressPlanServiceToken": token, "ScopeName": SCOPE, "NamePrefix": PREFIX, "CoolingSeconds": "0"}
    return given | others


@pytest.fixture(scope="module")
def plan(twin: Twin) -> Iterator[Stack]:
    stack = Stack(twin, "address-plan", NETWORK_ACCOUNT)
    stack.create(PLAN, parameters(twin))
    yield stack
    if stack.status != "DELETE_COMPLETE":
        stack.delete()


def order(twin: Twin, name: str, pool: str, **others: str) -> Stack:
    """Order a network from a pool, in a stack of a member account."""
    stack = Stack(twin, name, MEMBER_ACCOUNT)
    stack.create(ORDER, {"IpamFunctionArn": twin.service_token, "Pool": PREFIX + pool, **others})
    return stack


def cidrs(ports: Ports, pool: str) -> list[Cidr]:
    """Read what is provisioned to a pool."""
    found = ports.store.plan()
    return list(found.space(found.named(PREFIX + pool).pool_id).provisioned)


def test_the_plan_deploys_as_one_stack(plan: Stack, ports: Ports) -> None:
    """AWS Private and the Corporate Network, and below them the pools of each Region, all with their share."""
    found = ports.store.plan()
    scope = found.named_scope(SCOPE)
    assert plan.outputs["ScopeId"] == scope.scope_id
    names = {pool.name for pool in found.pools.values() if pool.scope_id == scope.scope_id}
    of_regions = ("aws-private-shared", "aws-private-dedicated", "aws-private-egress", "shared-vpc-cn", "vpc")
    of_vpcs = ("shared-vpc-a", "shared-vpc-b", "dedicated-subnets-a", "dedicated-subnets-b")
    below = {f"{PREFIX}{kind}-{region}" for kind in (*of_regions, *of_vpcs) for region in REGIONS.values()}
    assert names == below | {f"{PREFIX}{name}" for name in ("aws-private", "corporate-network", "reserved")}
    for kind, parent in (("dedicated-subnets-a", "shared-vpc-a"), ("shared-vpc-a", "shared-vpc-cn")):
        pool = found.named(f"{PREFIX}{kind}-eu-west-1")
        assert found.pools[pool.source_pool_id or ""].name == f"{PREFIX}{parent}-eu-west-1"
    assert [cidr.length for cidr in cidrs(ports, "dedicated-subnets-b-eu-central-1")] == [17]
    regional = [cidr for region in REGIONS.values() for cidr in cidrs(ports, f"shared-vpc-cn-{region}")]
    assert [cidr.length for cidr in regional] == [12, 12]
    assert all(Cidr.parse("10.0.0.0/8").contains(cidr) for cidr in regional)
    invariants.check(ports.store)


def test_the_command_line_draws_it(plan: Stack, ipam: CommandLine) -> None:
    """`ipam plan show` has the tree, each pool below the one that its space is from."""
    lines = ipam("plan", "show").splitlines()
    at = {
        name: next(number for number, line in enumerate(lines) if f" {PREFIX}{name} " in f"{line} ")
        for name in ("corporate-network", "shared-vpc-cn-eu-central-1", "shared-vpc-a-eu-central-1")
    }
    places = list(at.values())
    assert places == sorted(places)
    depth = [lines[place].index(PREFIX) for place in places]
    assert depth == sorted(depth) and len(set(depth)) == len(depth)
    shown = json.loads(ipam("--output", "json", "pool", "show", f"{PREFIX}dedicated-subnets-a-eu-west-1"))
    assert shown["pool_id"] == plan.outputs["DedicatedSubnetseuwest1aPoolId"]


def test_stacks_order_from_it(twin: Twin, plan: Stack, ports: Ports) -> None:
    """A member account gets a VPC's block and a dedicated subnet's, each from its pool."""
    del plan
    vpc = order(twin, "vpc-of-plan", "shared-vpc-a-eu-central-1")
    subnet = order(twin, "subnet-of-plan", "dedicated-subnets-a-eu-central-1", Type="subnet", Mask="27")
    (space,) = cidrs(ports, "shared-vpc-a-eu-central-1")
    (subnets,) = cidrs(ports, "dedicated-subnets-a-eu-central-1")
    assert space.contains(Cidr.parse(vpc.outputs["Cidr"]))
    assert subnets.contains(Cidr.parse(subnet.outputs["Cidr"]))
    assert not subnets.contains(Cidr.parse(vpc.outputs["Cidr"]))
    for stack in (vpc, subnet):
        stack.delete()


def test_rules_change_in_place(twin: Twin, plan: Stack, ports: Ports) -> None:
    """An update of the rules keeps every pool and what is allocated; what becomes allowed may be ordered at once."""
    held = order(twin, "before-the-rules", "aws-private-egress-eu-central-1", Mask="28")
    before = plan.outputs
    plan.update(PLAN, parameters(twin, SmallestVpc="26"))
    assert plan.outputs == before
    found = ports.store.plan()
    pool = found.named(f"{PREFIX}aws-private-egress-eu-central-1")
    assert pool.rules.max_netmask_length == 26
    assert [str(each.cidr) for each in ports.store.allocations(pool.pool_id)] == [held.outputs["Cidr"]]
    plan.update(PLAN, parameters(twin))
    after = order(twin, "after-the-rules", "aws-private-egress-eu-central-1", Mask="28")
    for stack in (held, after):
        stack.delete()


def test_a_region_comes_and_goes(twin: Twin, plan: Stack, ports: Ports) -> None:
    """Another Region gets pools of its own, in any place of the list, and leaves with them."""
    before = plan.outputs
    plan.update(PLAN, parameters(twin, Regions="useast1,eucentral1,euwest1"))
    assert before.items() <= plan.outputs.items()
    assert len(cidrs(ports, "shared-vpc-a-us-east-1")) == 1
    plan.update(PLAN, parameters(twin))
    assert plan.outputs == before
    assert not [pool for pool in ports.store.plan().pools.values() if pool.name.endswith("us-east-1")]
    invariants.check(ports.store)


def test_a_shared_vpc_is_divided(twin: Twin, plan: Stack, ports: Ports) -> None:
    """A VPC that exists has its own CIDR divided into dedicated subnets, and is kept as long as it is."""
    vpc = order(twin, "existing-vpc", "shared-vpc-b-eu-central-1", Mask="20")
    described = {
        "ExistingVpcId": "vpc-0123456789abcdef0",
        "ExistingVpcOwner": MEMBER_ACCOUNT,
        "ExistingVpcRegion": "eu-central-1",
        "ExistingVpcCidr": vpc.outputs["Cidr"],
        "ExistingVpcPool": f"{PREFIX}shared-vpc-b-eu-central-1",
    }
    plan.update(PLAN, parameters(twin, **described))
    pool = "dedicated-subnets-vpc-0123456789abcdef0"
    assert plan.outputs["ExistingVpcSubnetsPoolId"] == ports.store.plan().named(PREFIX + pool).pool_id
    subnet = order(twin, "subnet-of-existing-vpc", pool, Type="subnet", Mask="26")
    assert Cidr.parse(vpc.outputs["Cidr"]).contains(Cidr.parse(subnet.outputs["Cidr"]))
    vpc.start_delete()
    with pytest.raises(StackError, match="is in use by pool"):
        vpc.wait_deleted()
    subnet.delete()
    plan.update(PLAN, parameters(twin))
    vpc.delete()
    invariants.check(ports.store)


def test_a_plan_in_use_is_not_deleted(twin: Twin, plan: Stack, ports: Ports, ipam: CommandLine) -> None:
    """The deletion is refused with what uses the pool, stays refused, and works once that is gone."""
    held = order(twin, "in-the-way", "aws-private-dedicated-eu-central-1")
    plan.start_delete()
    with pytest.raises(StackError, match=r"is in use by .* of in-the-way/Network"):
        plan.wait_deleted()
    assert plan.status == "DELETE_FAILED"
    here: Any = json.loads(ipam("--output", "json", "find", held.outputs["AllocationId"]))[0]
    assert (here["cidr"], here["holder"]) == (held.outputs["Cidr"], "in-the-way")
    held.delete()
    plan.delete()
    found = ports.store.plan()
    names = [pool.name for pool in found.pools.values()] + [scope.name for scope in found.scopes.values()]
    assert not [name for name in names if name.startswith(PREFIX)]
    invariants.check(ports.store)
    assert ipam("doctor").endswith("sound")
