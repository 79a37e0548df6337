"""Every product, with every branch of its conditions: what EC2 has of it, and that nothing is left after its end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from ipam.domain.cidr import Cidr, spans
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, REGION
from local.stacks import Stack, StackError
from tests.e2e.products.conftest import IPV6_POOL, LEASE_SECONDS, Catalogue, Shared
from tests.e2e.products.networks import Network, entries, tags
from tests.templates import NAMES, PRODUCTS, Template

OWN: Final = {"Owner": "team@example.com", "CostCentre": "4711"}
CORPORATE: Final = "10.0.0.0/8"
ANYWHERE: Final = "0.0.0.0/0"
TGW: Final = "<transit gateway>"
ZONES: Final = [f"{REGION}{letter}" for letter in "abc"]

ORDERS: Final[dict[str, list[dict[str, str]]]] = {
    "corporate-network-vpc": [
        {},
        {"Zones": "3", "DnsHostnames": "false"},
        {"TransitGatewayId": TGW, "SecondCnCidrMask": "25", "SecondSubnetMask": "27"},
        {"Ipv6": "yes", "Ipv6Pool": IPV6_POOL, "CnCidrMask": "23", "SubnetMask": "25"},
        {
            "Zones": "3",
            "TransitGatewayId": TGW,
            "SecondCnCidrMask": "26",
            "Ipv6": "yes",
            "Ipv6Pool": IPV6_POOL,
            "PoolName": "another-vpc-pool",
        },
    ],
    "private-vpc": [{}, {"Zones": "3", "PoolName": "another-vpc-pool", "DnsHostnames": "false"}],
    "egress-vpc": [
        {"TransitGatewayId": TGW},
        {"TransitGatewayId": TGW, "Zones": "3"},
        {"TransitGatewayId": TGW, "Zones": "3", "NatGateways": "one", "PoolName": "another-vpc-pool"},
    ],
    "dedicated-subnets": [
        {"OrderingAccountId": MEMBER_ACCOUNT},
        {"OrderingAccountId": MEMBER_ACCOUNT, "Zones": "3", "InternetAccess": "https", "RouteTableB": "b"},
        {"OrderingAccountId": NETWORK_ACCOUNT, "Zones": "3", "RouteTableC": "c", "PoolName": "<pool>"},
    ],
    "reserved-range": [{}, {"PoolName": "another-reserved", "CnCidrMask": "30"}],
}
"""Orders that between them take every branch."""


@pytest.mark.parametrize("name", NAMES)
def test_the_orders_take_every_branch(name: str) -> None:
    """Each condition of each product is true in one of the orders below, and false in another."""
    template = Template.named(name)
    seen = [template.conditions(template.defaults() | {"TransitGatewayId": ""} | said) for said in ORDERS[name]]
    if name == "egress-vpc":
        assert all("TransitGatewayId" in said for said in ORDERS[name])
    for condition in template.body["Conditions"]:
        assert {decided[condition] for decided in seen} == {True, False}, condition


def blocks(cidrs: list[str], within: str) -> list[int]:
    """Give the netmask lengths of blocks that don't overlap and are inside of another."""
    parsed = sorted(Cidr.parse(text) for text in cidrs)
    assert spans(parsed)
    assert all(Cidr.parse(within).contains(each) for each in parsed)
    return sorted(each.length for each in parsed)


def lettered(name: str, zones: int) -> list[str]:
    """Give the names of the subnets of all zones."""
    return [f"{name}-{letter}" for letter in "abc"[:zones]]


def check_records(catalogue: Catalogue, network: Network) -> None:
    """A VPC's connections are recorded in a log group that forgets them after a year."""
    (log,) = network.flow_logs()
    assert (log["FlowLogStatus"], log["TrafficType"], tags(log)) == ("ACTIVE", "ALL", {"Name": "shop", **OWN})
    logs: Any = catalogue.twin.session(MEMBER_ACCOUNT).client("logs")
    (group,) = logs.describe_log_groups(logGroupNamePrefix=log["LogDestination"])["logGroups"]
    assert group["retentionInDays"] == 365


def end(catalogue: Catalogue, stack: Stack, *, vpc: bool = True) -> None:
    """Terminate an order: its VPC is gone, its allocations are."""
    outputs = stack.outputs
    allocated = [outputs[key] for key in outputs if key.endswith("AllocationId")]
    assert allocated and all(each in catalogue.held() for each in allocated)
    stack.delete()
    assert not any(each in catalogue.held() for each in allocated)
    vpcs = [each["VpcId"] for each in catalogue.ec2().describe_vpcs()["Vpcs"]]
    assert not vpc or outputs["VpcId"] not in vpcs


# ------------------------------------------------------------------------------------------------------- corporate VPC


@pytest.mark.parametrize("said", ORDERS["corporate-network-vpc"], ids=lambda said: "+".join(said) or "defaults")
def test_corporate_network_vpc(catalogue: Catalogue, said: dict[str, str]) -> None:
    """A VPC and subnets of the sizes asked for, in each zone, with routes, flow logs, and what else was asked for."""
    said = {key: catalogue.transit_gateway if value == TGW else value for key, value in said.items()}
    stack = catalogue.order("corporate", "corporate-network-vpc", **said)
    outputs, zones = stack.outputs, int(said.get("Zones", "2"))
    network = Network(catalogue.ec2(), outputs["VpcId"])
    assert tags(network.vpc) == {"Name": "shop", **OWN}
    assert network.dns() == (True, said.get("DnsHostnames") != "false")
    assert Cidr.parse(outputs["Cidr"]).length == int(said.get("CnCidrMask", "24"))
    assert Cidr.parse("172.20.0.0/14" if "PoolName" in said else CORPORATE).contains(Cidr.parse(outputs["Cidr"]))

    subnets = network.subnets()
    own = [subnets.pop(name) for name in lettered("shop", zones)]
    assert [each.subnet_id for each in own] == outputs["SubnetIds"].split(",")
    assert [each.cidr for each in own] == outputs["SubnetCidrs"].split(",")
    assert [each.zone for each in own] == ZONES[:zones]
    assert [each.table for each in own] == outputs["RouteTableIds"].split(",")
    assert len({each.table for each in own}) == zones
    assert blocks([each.cidr for each in own], outputs["Cidr"]) == [int(said.get("SubnetMask", "26"))] * zones

    connected = "TransitGatewayId" in said
    routes = {CORPORATE: catalogue.transit_gateway} if connected else {}
    assert all(each.routes == routes for each in own)
    transit = [subnets.pop(name) for name in lettered("shop-transit", zones)] if connected else []
    assert blocks([each.cidr for each in (*own, *transit)], outputs["Cidr"]).count(28) == len(transit)
    assert [each.zone for each in transit] == ZONES[: len(transit)]
    for attachment in network.attachments():
        assert attachment["TransitGatewayAttachmentId"] == outputs["AttachmentId"]
        assert attachment["TransitGatewayId"] == catalogue.transit_gateway
        assert sorted(attachment["SubnetIds"]) == sorted(each.subnet_id for each in transit)
    assert len(network.attachments()) == connected

    second = [subnets.pop(name) for name in lettered("shop-second", zones)] if "SecondCnCidrMask" in said else []
    assert network.cidrs == [outputs["Cidr"], *([outputs["SecondCidr"]] if second else [])]
    if second:
        assert [each.table for each in second] == [each.table for each in own]
        assert [each.subnet_id for each in second] == outputs["SecondSubnetIds"].split(",")
        lengths = blocks([each.cidr for each in second], outputs["SecondCidr"])
        assert lengths == [int(said.get("SecondSubnetMask", "28"))] * zones

    assert network.sixes == ([outputs["Ipv6Cidr"]] if "Ipv6" in said else [])
    sixes = [each.six for each in own]
    assert (blocks(sixes, outputs["Ipv6Cidr"]) == [64] * zones) if "Ipv6" in said else not any(sixes)
    assert not any(each.public for each in own)
    assert not subnets
    check_records(catalogue, network)
    end(catalogue, stack)


# --------------------------------------------------------------------------------------------------------- private VPC


@pytest.mark.parametrize("said", ORDERS["private-vpc"], ids=lambda said: "+".join(said) or "defaults")
def test_private_vpc(catalogue: Catalogue, said: dict[str, str]) -> None:
    """A VPC with addresses of the private tree, from which no route leads anywhere."""
    stack = catalogue.order("private", "private-vpc", **said)
    outputs, zones = stack.outputs, int(said.get("Zones", "2"))
    network = Network(catalogue.ec2(), outputs["VpcId"])
    assert network.cidrs == [outputs["Cidr"]]
    assert network.dns() == (True, said.get("DnsHostnames") != "false")
    tree = "172.20.0.0/14" if "PoolName" in said else "100.64.0.0/13"
    assert Cidr.parse(tree).contains(Cidr.parse(outputs["Cidr"]))
    subnets = network.subnets()
    assert sorted(subnets) == lettered("shop", zones)
    own = [subnets[name] for name in lettered("shop", zones)]
    assert [each.cidr for each in own] == outputs["SubnetCidrs"].split(",")
    assert [each.subnet_id for each in own] == outputs["SubnetIds"].split(",")
    assert blocks([each.cidr for each in own], outputs["Cidr"]) == [24] * zones
    assert [each.zone for each in own] == ZONES[:zones]
    assert {each.table for each in own} == {outputs["RouteTableId"]}
    assert all(each.routes == {} for each in own)
    check_records(catalogue, network)
    end(catalogue, stack)


# ---------------------------------------------------------------------------------------------------------- egress VPC


@pytest.mark.parametrize("said", ORDERS["egress-vpc"], ids="+".join)
def test_egress_vpc(catalogue: Catalogue, said: dict[str, str]) -> None:
    """Traffic comes in from the transit gateway, leaves by NAT and the internet gateway, and replies find back."""
    stack = catalogue.order("egress", "egress-vpc", **said | {"TransitGatewayId": catalogue.transit_gateway})
    outputs, zones = stack.outputs, int(said.get("Zones", "2"))
    network = Network(catalogue.ec2(), outputs["VpcId"])
    tree = "172.20.0.0/14" if "PoolName" in said else "100.80.0.0/16"
    assert Cidr.parse(tree).contains(Cidr.parse(outputs["Cidr"]))
    subnets = network.subnets()
    assert sorted(subnets) == sorted(lettered("shop-public", zones) + lettered("shop-transit", zones))
    public = [subnets[name] for name in lettered("shop-public", zones)]
    transit = [subnets[name] for name in lettered("shop-transit", zones)]
    assert blocks([each.cidr for each in subnets.values()], outputs["Cidr"]) == [28] * 2 * zones
    assert [each.zone for each in public] == [each.zone for each in transit] == ZONES[:zones]
    assert [each.subnet_id for each in public] == outputs["PublicSubnetIds"].split(",")
    assert [each.subnet_id for each in transit] == outputs["TransitSubnetIds"].split(",")

    (gateway,) = network.internet_gateways()
    assert all(each.routes == {ANYWHERE: gateway, CORPORATE: catalogue.transit_gateway} for each in public)
    natted = {each["SubnetId"]: each for each in network.nat_gateways()}
    count = 1 if said.get("NatGateways") == "one" else zones
    assert [each.subnet_id in natted for each in public] == [True] * count + [False] * (zones - count)
    ids = [natted[each.subnet_id]["NatGatewayId"] for each in public[:count]]
    assert ids == outputs["NatGatewayIds"].split(",")
    # In each zone by its own NAT gateway, or all by the first.
    assert [each.routes for each in transit] == [{ANYWHERE: nat} for nat in (ids if count > 1 else ids * zones)]
    addresses = [natted[each.subnet_id]["NatGatewayAddresses"][0]["PublicIp"] for each in public[:count]]
    assert addresses == outputs["PublicAddresses"].split(",")
    (attachment,) = network.attachments()
    assert attachment["TransitGatewayAttachmentId"] == outputs["AttachmentId"]
    assert sorted(attachment["SubnetIds"]) == sorted(each.subnet_id for each in transit)
    assert not any(each.public for each in subnets.values())
    check_records(catalogue, network)
    end(catalogue, stack)
    assert not network.nat_gateways()
    assert not catalogue.ec2().describe_addresses()["Addresses"]


# --------------------------------------------------------------------------------------------------- dedicated subnets


@pytest.mark.parametrize("said", ORDERS["dedicated-subnets"], ids="+".join)
def test_dedicated_subnets(catalogue: Catalogue, shared: Shared, said: dict[str, str]) -> None:
    """Subnets of a shared VPC from its own pool, behind an ACL of their own, lent to the account that ordered them."""
    named = {"a": shared.tables[0], "b": shared.tables[1], "c": shared.tables[2], "<pool>": shared.pool}
    said = {key: named.get(value, value) for key, value in said.items()}
    always = {"VpcId": shared.vpc_id, "RouteTableA": named["a"]}
    stack = catalogue.order("dedicated", "dedicated-subnets", NETWORK_ACCOUNT, **always, **said)
    outputs, zones = stack.outputs, int(said.get("Zones", "2"))
    ec2 = catalogue.ec2(NETWORK_ACCOUNT)
    subnets = Network(ec2, shared.vpc_id).subnets()
    own = [subnets[name] for name in lettered("shop", zones)]
    assert [each.subnet_id for each in own] == outputs["SubnetIds"].split(",")
    assert [each.cidr for each in own] == outputs["SubnetCidrs"].split(",")
    assert blocks([each.cidr for each in subnets.values()], shared.cidr).count(26) == zones + 3
    assert [each.zone for each in own] == ZONES[:zones]
    tables = [named["a"], said.get("RouteTableB", named["a"]), said.get("RouteTableC", named["a"])]
    assert [each.table for each in own] == tables[:zones]
    held = catalogue.held()
    assert [held[each] for each in outputs["AllocationIds"].split(",")] == [each.cidr for each in own]

    (acl,) = ec2.describe_network_acls(NetworkAclIds=[outputs["NetworkAclId"]])["NetworkAcls"]
    assert {each.acl for each in own} == {acl["NetworkAclId"]}
    assert {each["SubnetId"] for each in acl["Associations"]} == {each.subnet_id for each in own}
    internet = {("out", 200, "6", ANYWHERE, (443, 443)), ("in", 200, "6", ANYWHERE, (32768, 65535))}
    inside = {("in", 100, "-1", CORPORATE, None), ("out", 100, "-1", CORPORATE, None)}
    assert entries(acl) == inside | (internet if "InternetAccess" in said else set())
    assert lent(catalogue) == (
        {f"{MEMBER_ACCOUNT}: {each.subnet_id}" for each in own}
        if said["OrderingAccountId"] == MEMBER_ACCOUNT
        else set()
    )

    stack.delete()
    assert not catalogue.held().keys() & set(outputs["AllocationIds"].split(","))
    assert sorted(Network(ec2, shared.vpc_id).subnets()) == lettered("shared", 3)
    assert lent(catalogue) == set()
    assert all(each["IsDefault"] for each in ec2.describe_network_acls()["NetworkAcls"])


def lent(catalogue: Catalogue) -> set[str]:
    """Tell which subnets the network account lends to whom."""
    ram: Any = catalogue.twin.session(NETWORK_ACCOUNT).client("ram")
    found = set()
    for share in ram.get_resource_shares(resourceOwner="SELF")["resourceShares"]:
        assert share["allowExternalPrincipals"] is False
        of = {"resourceShareArns": [share["resourceShareArn"]]}
        accounts, resources = (
            [
                each["associatedEntity"]
                for each in ram.get_resource_share_associations(associationType=kind, **of)["resourceShareAssociations"]
            ]
            for kind in ("PRINCIPAL", "RESOURCE")
        )
        found |= {f"{account}: {arn.rpartition('/')[2]}" for account in accounts for arn in resources}
    return found


# ------------------------------------------------------------------------------------------------------ reserved range


@pytest.mark.parametrize("said", ORDERS["reserved-range"], ids=lambda said: "+".join(said) or "defaults")
def test_reserved_range(catalogue: Catalogue, said: dict[str, str]) -> None:
    """A range of the size asked for, with the lease that its pool sets, or none."""
    began = datetime.now(UTC)
    stack = catalogue.order("reserved", "reserved-range", Place="Bonn, hall 2", **said)
    outputs = stack.outputs
    assert catalogue.held()[outputs["AllocationId"]] == outputs["Cidr"]
    assert Cidr.parse(outputs["Cidr"]).length == int(said.get("CnCidrMask", "24"))
    (allocation,) = catalogue.ports.store.allocations(
        catalogue.ports.store.plan().named(said.get("PoolName", "reserved")).pool_id
    )
    assert (allocation.allocation_type, dict(allocation.tags)["Place"]) == ("custom", "Bonn, hall 2")
    if "PoolName" in said:
        assert outputs["ExpiresAt"] == ""
    else:
        lasts = (datetime.fromisoformat(outputs["ExpiresAt"]) - began).total_seconds()
        assert LEASE_SECONDS <= lasts < LEASE_SECONDS + 60
    end(catalogue, stack, vpc=False)


# --------------------------------------------------------------------------------------------------- a member's roles


def test_member_account(catalogue: Catalogue) -> None:
    """The roles of a member account have the names that others count on, and let in those alone that they are for."""
    readers = ",".join(f"arn:aws:iam::{NETWORK_ACCOUNT}:role/{name}" for name in ("cn-cidr", "upkeep"))
    stack = Stack(catalogue.twin, "member", MEMBER_ACCOUNT)
    said = {"NetworkAccountId": NETWORK_ACCOUNT, "ReaderRoleArns": readers}
    stack.start_create(PRODUCTS / "member-account.yaml", said, Capabilities=["CAPABILITY_NAMED_IAM"])
    stack.wait_created()
    iam: Any = catalogue.twin.session(MEMBER_ACCOUNT).client("iam")
    launch = iam.get_role(RoleName="cn-ipam-launch")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    look = iam.get_role(RoleName="cn-ipam-discovery")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert [each["Principal"] for each in launch] == [{"Service": "servicecatalog.amazonaws.com"}]
    assert [each["Principal"] for each in look] == [{"AWS": f"arn:aws:iam::{NETWORK_ACCOUNT}:root"}]
    assert look[0]["Condition"] == {"ArnEquals": {"aws:PrincipalArn": readers.split(",")}}
    policy = iam.get_role_policy(RoleName="cn-ipam-discovery", PolicyName="look")["PolicyDocument"]
    actions = [action for statement in policy["Statement"] for action in statement["Action"]]
    assert all(action.split(":")[1].startswith("Describe") for action in actions)
    addresses = iam.get_role_policy(RoleName="cn-ipam-launch", PolicyName="addresses")["PolicyDocument"]
    assert addresses["Statement"][0]["Resource"].endswith(f":function:cn-ipam-cn-cidr:tenant-{MEMBER_ACCOUNT}")
    stack.delete()


# --------------------------------------------------------------------------------------------------------- what's wrong


def test_another_accounts_key_leaves_nothing(catalogue: Catalogue) -> None:
    """The key is checked before there is a VPC, and what was ordered goes back."""
    stack = Stack(catalogue.twin, "thief", MEMBER_ACCOUNT)
    said = catalogue.parameters(MEMBER_ACCOUNT)
    said["AuthorizationKey"] = catalogue.parameters(NETWORK_ACCOUNT)["AuthorizationKey"]
    stack.start_create(PRODUCTS / "private-vpc.yaml", said)
    with pytest.raises(StackError, match="Authorizationkey"):
        stack.wait_created()
    assert ("Vpc", "CREATE_IN_PROGRESS") not in catalogue.events(stack)


@pytest.mark.parametrize(
    ("product", "said", "reason"),
    [
        ("private-vpc", {"CnCidrMask": "26", "SubnetMask": "26"}, "A /26 has no room"),
        ("corporate-network-vpc", {"Zones": "3", "SecondCnCidrMask": "27"}, "A /27 has no room"),
        ("private-vpc", {"PoolName": "no-such-pool"}, "no-such-pool"),
        ("reserved-range", {"PoolName": "another-vpc-pool", "Place": "Bonn"}, "custom"),
        ("egress-vpc", {"TransitGatewayId": "tgw-00000000"}, "tgw-00000000"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    catalogue: Catalogue, product: str, said: dict[str, str], reason: str
) -> None:
    """Whoever orders is told what does not fit; nothing is left of the try."""
    stack = Stack(catalogue.twin, "wrong", MEMBER_ACCOUNT)
    stack.start_create(PRODUCTS / f"{product}.yaml", catalogue.parameters(MEMBER_ACCOUNT, **said))
    with pytest.raises(StackError, match=reason):
        stack.wait_created()
    assert stack.status == "ROLLBACK_COMPLETE"


def test_ipv6_needs_its_pool(catalogue: Catalogue) -> None:
    """A rule of the template says so before anything is made."""
    stack = Stack(catalogue.twin, "six", MEMBER_ACCOUNT)
    said = catalogue.parameters(MEMBER_ACCOUNT, Ipv6="yes")
    with pytest.raises(ClientError, match="Ipv6Pool"):
        stack.start_create(PRODUCTS / "corporate-network-vpc.yaml", said)
