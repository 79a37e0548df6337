"""The only place that chooses real collaborators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipam.adapters.aliases import TenantAliasesOfRegions
from ipam.adapters.aws import client, client_as, known_regions
from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.adapters.eventbridge import EventBridge
from ipam.adapters.identity import caller_arn
from ipam.adapters.networks import MemberNetworks
from ipam.adapters.organizations import Organizations
from ipam.adapters.redelivery import LambdaRedelivery
from ipam.adapters.secrets import MasterKeys
from ipam.adapters.stacks import MemberStacks
from ipam.adapters.vpc_ipam import VpcIpamPools
from ipam.adapters.vpc_ipam_export import VpcIpamExport
from ipam.services.memory import Memory
from ipam.services.ports import Ports
from ipam.services.ports.outside import NoNetworks, NoStacks

if TYPE_CHECKING:
    from ipam.services.ports.outside import Networks, Stacks
    from ipam.settings import Settings


def ports(settings: Settings, patience: int = 2) -> Ports:
    """Give the services the table, the machine's clock and its source of chance, and the ways to other services.

    Few requests need those: their clients are made when they are needed, and cost no cold start anything. An answer of
    the table may take `patience` seconds.
    """
    clock, home = SystemClock(), settings.home_region or settings.region

    def lambdas(region: str) -> Any:
        return client("lambda", region)

    return Ports(
        DynamoDbStore(settings.table_name, client("dynamodb", home, patience)),
        clock,
        SystemChance(),
        Memory(),
        Organizations(clock, lambda: _organizations(settings)),
        # One bus for all Regions, so that one rule sees everything.
        EventBridge(lambda: client("events", home)),
        LambdaRedelivery(settings.cn_cidr_function, clock, lambdas),
        VpcIpamPools(lambda region: client("ec2", region), home),
        TenantAliasesOfRegions(settings.cn_cidr_function, lambdas),
        _stacks(settings, clock),
        _networks(settings, clock),
    )


def _stacks(settings: Settings, clock: SystemClock) -> Stacks:
    """Make the way to the stacks of member accounts, where the deployment has a role for that."""
    if not settings.discovery_role:
        return NoStacks()

    def connect(role: str, region: str) -> Any:
        return client_as(role, "cloudformation", region, at=settings.region)

    return MemberStacks(settings.discovery_role, clock, connect)


def _networks(settings: Settings, clock: SystemClock) -> Networks:
    """Make the way to the networks of member accounts, where the deployment has a role for that."""
    if not settings.discovery_role:
        return NoNetworks()

    def connect(role: str, region: str) -> Any:
        return client_as(role, "ec2", region, at=settings.region)

    return MemberNetworks(settings.discovery_role, clock, connect)


def _organizations(settings: Settings) -> Any:
    """Make a client of AWS Organizations, by the role that may ask it where the network account itself may not."""
    if settings.organizations_role:
        return client_as(settings.organizations_role, "organizations", settings.region)
    return client("organizations", settings.region)


def vpc_ipam_export(region: str) -> VpcIpamExport:
    """Give an import the Amazon VPC IPAM of a Region; "" takes the one that the ordinary configuration says."""
    return VpcIpamExport(lambda where: client("ec2", where, patience=30), region or None)


def secrets(settings: Settings) -> MasterKeys:
    """Give the services the master keys."""
    return MasterKeys(
        settings.master_key_secret,
        SystemClock(),
        lambda: client("secretsmanager", settings.home_region or settings.region),
    )


def regions() -> frozenset[str]:
    """Name the Regions that there are, as far as is known without asking anybody."""
    return known_regions()


def caller(settings: Settings) -> str:
    """Tell whose credentials these are, as AWS STS knows them: an ARN."""
    return caller_arn(client("sts", settings.region))
