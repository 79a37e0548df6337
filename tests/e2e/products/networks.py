"""Networks as EC2 describes them: what was really made of a product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TARGETS = ("GatewayId", "NatGatewayId", "TransitGatewayId")


def tags(described: dict[str, Any]) -> dict[str, str]:
    """Give a resource's own tags."""
    shown = {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}
    return {key: value for key, value in shown.items() if not key.startswith("aws:")}


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet, with the routes and the network ACL that apply to it.

    Attributes:
        subnet_id: its id.
        cidr: its IPv4 block.
        six: its IPv6 block, or "".
        zone: its availability zone.
        public: whether what is in it gets public addresses.
        table: the route table that it is associated with itself, or "".
        routes: that table's routes, from destinations to targets, but for the local ones.
        acl: the network ACL that it is associated with itself, or "".
    """

    subnet_id: str
    cidr: str
    six: str
    zone: str
    public: bool
    table: str
    routes: dict[str, str]
    acl: str


class Network:
    """A VPC and what is in it."""

    def __init__(self, ec2: Any, vpc_id: str) -> None:
        """Look."""
        self._ec2, self.vpc_id = ec2, vpc_id
        self._here = [{"Name": "vpc-id", "Values": [vpc_id]}]
        (self.vpc,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]

    @property
    def cidrs(self) -> list[str]:
        """Its IPv4 blocks, the first one first."""
        return [each["CidrBlock"] for each in self.vpc["CidrBlockAssociationSet"]]

    @property
    def sixes(self) -> list[str]:
        """Its IPv6 blocks."""
        return [each["Ipv6CidrBlock"] for each in self.vpc["Ipv6CidrBlockAssociationSet"]]

    def dns(self) -> tuple[bool, bool]:
        """Whether it resolves names, and whether instances get some."""
        said = [
            self._ec2.describe_vpc_attribute(VpcId=self.vpc_id, Attribute=name)
            for name in ("enableDnsSupport", "enableDnsHostnames")
        ]
        return said[0]["EnableDnsSupport"]["Value"], said[1]["EnableDnsHostnames"]["Value"]

    def subnets(self) -> dict[str, Subnet]:
        """Its subnets, by the names in their tags."""
        tables = self._ec2.describe_route_tables(Filters=self._here)["RouteTables"]
        acls = self._ec2.describe_network_acls(Filters=self._here)["NetworkAcls"]
        found = {}
        for subnet in self._ec2.describe_subnets(Filters=self._here)["Subnets"]:
            subnet_id = subnet["SubnetId"]
            table = _associated(tables, subnet_id)
            six = subnet.get("Ipv6CidrBlockAssociationSet") or [{"Ipv6CidrBlock": ""}]
            found[tags(subnet)["Name"]] = Subnet(
                subnet_id,
                subnet["CidrBlock"],
                six[0]["Ipv6CidrBlock"],
                subnet["AvailabilityZone"],
                subnet["MapPublicIpOnLaunch"],
                table.get("RouteTableId", ""),
                {route["DestinationCidrBlock"]: _target(route) for route in table.get("Routes", []) if _leads(route)},
                _associated(acls, subnet_id).get("NetworkAclId", ""),
            )
        return found

    def attachments(self) -> list[dict[str, Any]]:
        """Its attachments to transit gateways."""
        found: list[dict[str, Any]] = self._ec2.describe_transit_gateway_vpc_attachments(Filters=self._here)[
            "TransitGatewayVpcAttachments"
        ]
        return found

    def flow_logs(self) -> list[dict[str, Any]]:
        """Its flow logs."""
        named = [{"Name": "resource-id", "Values": [self.vpc_id]}]
        found: list[dict[str, Any]] = self._ec2.describe_flow_logs(Filters=named)["FlowLogs"]
        return found

    def nat_gateways(self) -> list[dict[str, Any]]:
        """Its NAT gateways that are not deleted."""
        found = self._ec2.describe_nat_gateways(Filters=self._here)["NatGateways"]
        return [each for each in found if each["State"] == "available"]

    def internet_gateways(self) -> list[str]:
        """The internet gateways that are attached to it."""
        named = [{"Name": "attachment.vpc-id", "Values": [self.vpc_id]}]
        found = self._ec2.describe_internet_gateways(Filters=named)["InternetGateways"]
        return [each["InternetGatewayId"] for each in found]


def _associated(described: list[dict[str, Any]], subnet_id: str) -> dict[str, Any]:
    return next(
        (each for each in described if subnet_id in {a.get("SubnetId") for a in each["Associations"]}),
        {},
    )


def _leads(route: dict[str, Any]) -> bool:
    return route.get("GatewayId") != "local"


def _target(route: dict[str, Any]) -> str:
    return str(next(route[name] for name in TARGETS if route.get(name)))


def entries(acl: dict[str, Any]) -> set[tuple[str, int, str, str, tuple[int, int] | None]]:
    """Give an ACL's entries: direction, number, protocol, CIDR, ports."""
    return {
        (
            "out" if entry["Egress"] else "in",
            entry["RuleNumber"],
            entry["Protocol"],
            entry["CidrBlock"],
            (entry["PortRange"]["From"], entry["PortRange"]["To"]) if "PortRange" in entry else None,
        )
        for entry in acl["Entries"]
    }
