"""The bridges: where ministack 1.5.33 falls short of AWS's contract, one module a gap.

Each module's docstring gives the gap and the page of the AWS documentation whose contract it restores. They hook into
the emulator at names that its pinned version has; `register` fails at once when a name is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.bridges import (
    conditions,
    custom_resource,
    flow_logs,
    functions,
    gateway,
    nat,
    network,
    network_acls,
    ram,
    routes,
    service_catalog,
    stacks,
    transit,
    workers,
)

if TYPE_CHECKING:
    from local.settings import BridgeSettings


def register(settings: BridgeSettings) -> None:
    """Close every gap, before the emulator serves its first request."""
    gateway.register()
    workers.register(settings)
    functions.register()
    network.register()
    nat.register()
    network_acls.register()
    transit.register()
    routes.register()
    flow_logs.register()
    ram.register(settings)
    service_catalog.register(settings)
    conditions.register()
    driver = custom_resource.register(settings)
    stacks.register(driver)
