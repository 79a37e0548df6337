"""The only place that chooses real collaborators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.adapters.aws import client
from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.adapters.secrets import MasterKeys
from ipam.services.memory import Memory
from ipam.services.ports import Ports

if TYPE_CHECKING:
    from ipam.settings import Settings


def ports(settings: Settings) -> Ports:
    """Give the services the table, the machine's clock and its source of chance."""
    return Ports(
        DynamoDbStore(settings.table_name, client("dynamodb", settings.region)), SystemClock(), SystemChance(), Memory()
    )


def secrets(settings: Settings) -> MasterKeys:
    """Give the services the master keys."""
    return MasterKeys(settings.master_key_secret, SystemClock(), lambda: client("secretsmanager", settings.region))
