"""An order changes, and ends: the new network stands before the old one goes, or the change is refused in words."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ipam.adapters.clocks import SystemClock
from ipam.adapters.stacks import MemberStacks
from ipam.domain.cidr import Cidr
from ipam.services.orphans import YOUNG, seek_orphans
from ipam.services.ports import NO_DEADLINE
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT
from local.stacks import Stack, StackError
from tests.builders import FixedClock
from tests.e2e.products.networks import Network
from tests.e2e.system.conftest import CommandLine
from tests.outside import Listeners
from tests.templates import PRODUCTS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from ipam.services.ports import Ports
    from tests.e2e.products.conftest import Catalogue, Shared


@pytest.fixture
def ended() -> Iterator[list[Stack]]:
    """Orders that are terminated at the end of a test, if they are not before."""
    stacks: list[Stack] = []
    yield stacks
    for stack in stacks:
        if stack.status != "DELETE_COMPLETE":
            stack.delete()


def in_days(catalogue: Catalogue, days: int) -> Ports:
    """Give the services of a process that may ask stacks, some days later: each has one search for orphans."""
    clock = FixedClock(SystemClock().now() + days * YOUNG)

    def connect(role: str, region: str) -> Any:
        return catalogue.twin.session(role.split(":")[4], region).client("cloudformation")

    stacks = MemberStacks("cn-ipam-discovery", clock, connect)
    return replace(catalogue.ports, clock=clock, happenings=Listeners(), stacks=stacks)


def asking(catalogue: Catalogue, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, so that it may ask stacks and networks."""
    return CommandLine(catalogue.twin).run(*words, IPAM_DISCOVERY_ROLE="cn-ipam-discovery")


def new_before_old(catalogue: Catalogue, stack: Stack, network: str, release: str) -> bool:
    """Whether the last update made a network before it gave the address of the one before back."""
    events = catalogue.events(stack)
    made = len(events) - 1 - events[::-1].index((network, "UPDATE_COMPLETE"))
    ended = len(events) - 1 - events[::-1].index((network, "DELETE_COMPLETE"))
    released = len(events) - 1 - events[::-1].index((release, "DELETE_IN_PROGRESS"))
    return made < ended < released


def test_another_size_is_another_network(catalogue: Catalogue, ended: list[Stack]) -> None:
    """A connected VPC with everything is made anew beside the old one, which goes when the new one stands."""
    everything = {"TransitGatewayId": catalogue.transit_gateway, "Zones": "3", "SecondCnCidrMask": "26"}
    stack = catalogue.order("grows", "corporate-network-vpc", **everything)
    ended.append(stack)
    before = stack.outputs
    catalogue.update(stack, "corporate-network-vpc", **everything, CnCidrMask="23", SubnetMask="25")
    after = stack.outputs
    assert Cidr.parse(after["Cidr"]).length == 23
    assert not Cidr.parse(after["Cidr"]).overlaps(Cidr.parse(before["Cidr"]))
    assert after["SecondCidr"] == before["SecondCidr"]
    network = Network(catalogue.ec2(), after["VpcId"])
    assert network.cidrs == [after["Cidr"], after["SecondCidr"]]
    assert len(network.subnets()) == 9
    assert before["VpcId"] not in {vpc["VpcId"] for vpc in catalogue.ec2().describe_vpcs()["Vpcs"]}
    assert before["AllocationId"] not in catalogue.held()
    assert new_before_old(catalogue, stack, "Vpc", "DeleteCnCIDR")


def test_a_zone_and_a_connection_can_follow(catalogue: Catalogue, ended: list[Stack]) -> None:
    """A connection made later, a third zone, IPv6 and a second CIDR leave the VPC and its subnets where they are."""
    stack = catalogue.order("follows", "corporate-network-vpc")
    ended.append(stack)
    vpc_id, subnets = stack.outputs["VpcId"], stack.outputs["SubnetIds"]
    said: dict[str, str] = {}
    for more in (
        {"TransitGatewayId": catalogue.transit_gateway},
        {"Zones": "3"},
        {"SecondCnCidrMask": "26"},
        {"Ipv6": "yes", "Ipv6Pool": "ipv6pool-ec2-0123456789abcdef0"},
        {"Owner": "others@example.com"},
    ):
        said |= more
        catalogue.update(stack, "corporate-network-vpc", **said)
        assert stack.outputs["VpcId"] == vpc_id
        assert stack.outputs["SubnetIds"].startswith(subnets)
    network = Network(catalogue.ec2(), vpc_id)
    (attachment,) = network.attachments()
    assert len(attachment["SubnetIds"]) == 3
    assert {tag["Value"] for tag in attachment["Tags"] if tag["Key"] == "Owner"} == {"others@example.com"}
    assert len(network.subnets()) == 9
    # And away again.
    second = stack.outputs["SecondAllocationId"]
    catalogue.update(stack, "corporate-network-vpc", TransitGatewayId=catalogue.transit_gateway, Zones="3")
    network = Network(catalogue.ec2(), vpc_id)
    assert (network.cidrs, network.sixes, len(network.subnets())) == ([stack.outputs["Cidr"]], [], 6)
    assert second not in catalogue.held()


def test_other_subnets_in_the_same_network_are_refused(catalogue: Catalogue, ended: list[Stack]) -> None:
    """EC2 makes no subnet over another: the update is rolled back, says so, and changes nothing."""
    stack = catalogue.order("subnets", "corporate-network-vpc")
    ended.append(stack)
    before, held = stack.outputs, catalogue.held()
    stack.start_update(PRODUCTS / "corporate-network-vpc.yaml", catalogue.parameters(MEMBER_ACCOUNT, SubnetMask="27"))
    with pytest.raises(StackError, match="conflicts with another subnet"):
        stack.wait_updated()
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert (stack.outputs, catalogue.held()) == (before, held)
    assert len(Network(catalogue.ec2(), before["VpcId"]).subnets()) == 2


def test_an_egress_vpc_keeps_its_size(catalogue: Catalogue, ended: list[Stack]) -> None:
    """Its internet gateway stays where it is, so another size is refused, with the reason, before anything is done."""
    said = {"TransitGatewayId": catalogue.transit_gateway}
    stack = catalogue.order("exits", "egress-vpc", **said)
    ended.append(stack)
    before, held = stack.outputs, catalogue.held()
    wanted = catalogue.parameters(MEMBER_ACCOUNT, **said, CnCidrMask="24")
    stack.start_update(PRODUCTS / "egress-vpc.yaml", wanted)
    with pytest.raises(StackError, match=rf"another block than {before['Cidr']}.*Order another one"):
        stack.wait_updated()
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert ("Vpc", "UPDATE_IN_PROGRESS") not in catalogue.events(stack)
    assert (stack.outputs, catalogue.held()) == (before, held)
    network = Network(catalogue.ec2(), before["VpcId"])
    assert len(network.internet_gateways()) == 1
    assert len(network.nat_gateways()) == 2
    assert len([vpc for vpc in catalogue.ec2().describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]) == 1


def test_nat_gateways_come_and_go(catalogue: Catalogue, ended: list[Stack]) -> None:
    """From one in each zone to a single one and back, and to a third zone: routes follow, nothing else is touched."""
    said = {"TransitGatewayId": catalogue.transit_gateway}
    stack = catalogue.order("saves", "egress-vpc", **said)
    ended.append(stack)
    first = stack.outputs
    for changed, count, zones in (
        ({"NatGateways": "one"}, 1, 2),
        ({"NatGateways": "one", "Zones": "3"}, 1, 3),
        ({"Zones": "3"}, 3, 3),
    ):
        catalogue.update(stack, "egress-vpc", **said, **changed)
        network = Network(catalogue.ec2(), first["VpcId"])
        here = {each["NatGatewayId"] for each in network.nat_gateways()}
        assert len(here) == count
        leads = [each.routes["0.0.0.0/0"] for name, each in network.subnets().items() if "transit" in name]
        assert set(leads) == here
        assert len(leads) == zones
        assert stack.outputs["PublicAddresses"].startswith(first["PublicAddresses"].split(",")[0])
        assert len(catalogue.ec2().describe_addresses()["Addresses"]) == count


def test_dedicated_subnets_change_size_and_zones(catalogue: Catalogue, shared: Shared) -> None:
    """New subnets beside the old ones, lent to the same account; a third zone leaves the others alone."""
    said = {"VpcId": shared.vpc_id, "RouteTableA": shared.tables[0], "OrderingAccountId": MEMBER_ACCOUNT}
    stack = catalogue.order("resized", "dedicated-subnets", NETWORK_ACCOUNT, **said)
    first = stack.outputs
    catalogue.update(stack, "dedicated-subnets", NETWORK_ACCOUNT, **said, Zones="3")
    assert stack.outputs["SubnetIds"].startswith(first["SubnetIds"])
    catalogue.update(stack, "dedicated-subnets", NETWORK_ACCOUNT, **said, Zones="3", SubnetMask="27")
    second = stack.outputs
    assert new_before_old(catalogue, stack, "SubnetA", "DeleteCidrA")
    assert {Cidr.parse(cidr).length for cidr in second["SubnetCidrs"].split(",")} == {27}
    assert second["ShareArn"] == first["ShareArn"]
    ram: Any = catalogue.twin.session(NETWORK_ACCOUNT).client("ram")
    lent = ram.get_resource_share_associations(associationType="RESOURCE", resourceShareArns=[second["ShareArn"]])
    arns = [each["associatedEntity"] for each in lent["resourceShareAssociations"]]
    assert [arn.rpartition("/")[2] for arn in arns] == second["SubnetIds"].split(",")
    assert not set(first["AllocationIds"].split(",")) & catalogue.held().keys()
    stack.delete()
    assert not set(second["AllocationIds"].split(",")) & catalogue.held().keys()


def test_a_range_is_renewed_and_resized(catalogue: Catalogue) -> None:
    """Another word makes the lease begin anew and leaves the range alone; another size is another range."""
    stack = catalogue.order("leased", "reserved-range", Place="Bonn")
    first = stack.outputs
    catalogue.update(stack, "reserved-range", Place="Bonn", Renewal="2026-12-01")
    second = stack.outputs
    assert {key: second[key] for key in ("Cidr", "AllocationId")} == {
        key: first[key] for key in ("Cidr", "AllocationId")
    }
    assert second["ExpiresAt"] > first["ExpiresAt"]
    catalogue.update(stack, "reserved-range", Place="Bonn", CnCidrMask="23")
    third = stack.outputs
    assert Cidr.parse(third["Cidr"]).length == 23
    assert first["AllocationId"] not in catalogue.held()
    stack.delete()
    assert third["AllocationId"] not in catalogue.held()


def test_what_is_left_in_a_vpc_keeps_its_address(catalogue: Catalogue) -> None:
    """CloudFormation asks for the address though the VPC could not go: both are refused, and nobody else gets it."""
    catalogue.pool("narrow", "172.30.0.0/22", allocation_types=frozenset({"vpc"}))
    stack = catalogue.order("occupied", "private-vpc", PoolName="narrow")
    outputs, ec2 = stack.outputs, catalogue.ec2()
    subnet = outputs["SubnetIds"].split(",")[0]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    stack.start_delete()
    with pytest.raises(StackError, match=rf"{outputs['Cidr']} is in use by {outputs['VpcId']}, account"):
        stack.wait_deleted()
    assert stack.status == "DELETE_FAILED"
    events = catalogue.events(stack)
    for resource in ("Vpc", "DeleteCnCIDR", "GetCnCIDR"):
        assert (resource, "DELETE_FAILED") in events
    assert catalogue.held()[outputs["AllocationId"]] == outputs["Cidr"]
    # The pool has room for one: whoever asks now gets nothing, and not this.
    other = Stack(catalogue.twin, "hungry", MEMBER_ACCOUNT)
    other.start_create(PRODUCTS / "private-vpc.yaml", catalogue.parameters(MEMBER_ACCOUNT, PoolName="narrow"))
    with pytest.raises(StackError, match="no free /22"):
        other.wait_created()
    assert seek_orphans(in_days(catalogue, 2), NO_DEADLINE).found == 1
    (shown,) = json.loads(asking(catalogue, "orphans", "--output", "json").stdout)
    found = (shown["allocation_id"], shown["why"], shown["used_by"])
    assert found == (outputs["AllocationId"], "deletion-stuck", outputs["VpcId"])
    refused = asking(catalogue, "orphans", "release", "--all", "--yes", "--in-use")
    assert refused.returncode == 1 and "when it is deleted again" in refused.stderr
    assert catalogue.held()[outputs["AllocationId"]] == outputs["Cidr"]
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    stack.delete()
    assert outputs["AllocationId"] not in catalogue.held()
    assert json.loads(asking(catalogue, "orphans", "--output", "json").stdout) == []


def test_what_an_update_leaves_behind_keeps_its_address(catalogue: Catalogue) -> None:
    """The clean-up tries three times and goes on: the update is complete, and the old address is found as an orphan."""
    stack = catalogue.order("moves", "private-vpc")
    before, ec2 = stack.outputs, catalogue.ec2()
    subnet = before["SubnetIds"].split(",")[0]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    catalogue.update(stack, "private-vpc", CnCidrMask="23", SubnetMask="25")
    assert stack.status == "UPDATE_COMPLETE"
    assert catalogue.events(stack).count(("DeleteCnCIDR", "DELETE_FAILED")) == 3
    after = stack.outputs
    held = catalogue.held()
    assert (held[before["AllocationId"]], held[after["AllocationId"]]) == (before["Cidr"], after["Cidr"])
    assert before["VpcId"] in {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]}
    ports = in_days(catalogue, 4)
    assert seek_orphans(ports, NO_DEADLINE).found == 1
    (orphan,) = json.loads(asking(catalogue, "orphans", "--output", "json").stdout)
    found = (orphan["allocation_id"], orphan["why"], orphan["used_by"])
    assert found == (before["AllocationId"], "not-in-stack", before["VpcId"])
    refused = asking(catalogue, "orphans", "release", "--all", "--yes")
    assert refused.returncode == 1 and f"{before['Cidr']} is in use by {before['VpcId']}" in refused.stderr
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    for left in before["SubnetIds"].split(","):
        with contextlib.suppress(ClientError):  # gone with the update
            ec2.delete_subnet(SubnetId=left)
    ec2.delete_vpc(VpcId=before["VpcId"])
    assert asking(catalogue, "orphans", "release", "--all", "--yes").returncode == 0
    assert before["AllocationId"] not in catalogue.held()
    stack.delete()


def test_a_network_that_is_ordered_again_gets_its_address_back(catalogue: Catalogue) -> None:
    """While it cools, a sticky pool keeps it for the stack of that name and resource; any other stack gets another."""
    catalogue.pool("sticky", "172.29.0.0/16", allocation_types=frozenset({"vpc"}), cooling_seconds=3600, sticky=True)
    first = catalogue.order("again", "private-vpc", PoolName="sticky")
    cidr = first.outputs["Cidr"]
    first.delete()
    other = catalogue.order("another", "private-vpc", PoolName="sticky")
    assert other.outputs["Cidr"] != cidr
    second = catalogue.order("again", "private-vpc", PoolName="sticky")
    assert second.outputs["Cidr"] == cidr
    for stack in (second, other):
        stack.delete()
