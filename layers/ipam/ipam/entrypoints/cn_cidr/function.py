"""The function that serves both types, put together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ipam import bootstrap
from ipam.entrypoints.cn_cidr.delete_cn_cidr import DeleteCnCidr
from ipam.entrypoints.cn_cidr.get_cn_cidr import GetCnCidr
from ipam.entrypoints.cn_cidr.properties import DELETE, GET, SECRET_PROPERTIES
from ipam.entrypoints.delivery import HttpsDelivery
from ipam.entrypoints.logs import make_logger
from ipam.entrypoints.provider import Provider
from ipam.services.attempts import note_attempt
from ipam.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger

    from ipam.entrypoints.delivery import Deliver
    from ipam.services.ports import Deadline, Ports
    from ipam.services.ports.outside import Secrets


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the function works with; tests bring their own."""

    ports: Ports
    secrets: Secrets
    deliver: Deliver
    logger: Logger


def provider(settings: Settings, collaborators: Collaborators) -> Provider:
    """Make the function on given collaborators."""
    ports, secrets = collaborators.ports, collaborators.secrets

    def get(account: str, deadline: Deadline) -> GetCnCidr:
        return GetCnCidr(ports, account, deadline)

    def delete(account: str, deadline: Deadline) -> DeleteCnCidr:
        return DeleteCnCidr(ports, secrets, account, deadline)

    return Provider(
        settings,
        {GET: get, DELETE: delete},
        ports.clock,
        collaborators.deliver,
        collaborators.logger,
        partial(note_attempt, ports),
        SECRET_PROPERTIES,
        ports.happenings,
        ports.networks,
    )


def deployed() -> Provider:
    """Make the function as the environment says."""
    settings = Settings.from_environment()
    ports = bootstrap.ports(settings)
    deliver = HttpsDelivery(ports.clock, ports.chance, settings.ca_bundle)
    return provider(settings, Collaborators(ports, bootstrap.secrets(settings), deliver, make_logger()))
