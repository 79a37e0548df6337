"""The function that serves the address plan, put together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ipam import bootstrap
from ipam.entrypoints.address_plan.ipam_allocation import IpamAllocation
from ipam.entrypoints.address_plan.ipam_pool import IpamPool
from ipam.entrypoints.address_plan.ipam_pool_cidr import IpamPoolCidr
from ipam.entrypoints.address_plan.ipam_scope import IpamScope
from ipam.entrypoints.address_plan.properties import ALLOCATION, NETMASK_LENGTH, POOL, POOL_CIDR, SCOPE
from ipam.entrypoints.delivery import HttpsDelivery
from ipam.entrypoints.logs import make_logger
from ipam.entrypoints.provider import Provider
from ipam.services.attempts import note_attempt
from ipam.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger

    from ipam.entrypoints.delivery import Deliver
    from ipam.entrypoints.provider import MakeResource
    from ipam.services.ports import Ports


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the function works with; tests bring their own."""

    ports: Ports
    deliver: Deliver
    logger: Logger


def provider(settings: Settings, collaborators: Collaborators) -> Provider:
    """Make the function on given collaborators."""
    ports = collaborators.ports
    resources: dict[str, MakeResource] = {
        SCOPE: partial(IpamScope, ports),
        POOL: partial(IpamPool, ports),
        POOL_CIDR: partial(IpamPoolCidr, ports),
        ALLOCATION: partial(IpamAllocation, ports),
    }
    return Provider(
        settings,
        resources,
        ports.clock,
        collaborators.deliver,
        collaborators.logger,
        partial(note_attempt, ports),
        happenings=ports.happenings,
        networks=ports.networks,
        mask_property=NETMASK_LENGTH,
    )


def deployed() -> Provider:
    """Make the function as the environment says."""
    settings = Settings.from_environment(optional=("IPAM_MASTER_KEY_SECRET",))
    ports = bootstrap.ports(settings)
    deliver = HttpsDelivery(ports.clock, ports.chance, settings.ca_bundle)
    return provider(settings, Collaborators(ports, deliver, make_logger()))
