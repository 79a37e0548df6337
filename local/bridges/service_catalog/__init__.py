"""AWS Service Catalog: portfolios, products, their constraints and shares, and orders that become stacks.

Gap: the emulator has none of it. Here is as much as publishing a portfolio of CloudFormation products and ordering from
it in another account takes:
https://docs.aws.amazon.com/servicecatalog/latest/dg/API_Operations_AWS_Service_Catalog.html
https://docs.aws.amazon.com/servicecatalog/latest/adminguide/constraints-launch.html
https://docs.aws.amazon.com/servicecatalog/latest/adminguide/reference-template_constraints.html
https://docs.aws.amazon.com/servicecatalog/latest/adminguide/catalogs_portfolios_sharing_how-to-share.html
https://docs.aws.amazon.com/servicecatalog/latest/adminguide/tagoptions.html
A call, a parameter of a call, a resource type's property or a kind of constraint that is not there is refused by its
name.

What differs from AWS, all of it towards less: an account is one caller, so a principal of the account that may use a
portfolio opens it for the whole account; the launch role has to be there and to trust Service Catalog, and what it may
do is not asked; a portfolio is shared with accounts and with the organisation, not with organisational units; nothing
is paged; budgets, notifications, plans, service actions and stack sets are not there.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ministack import app
from ministack.core.router import SERVICE_PATTERNS

from local.bridges.service_catalog import calls, types
from local.bridges.service_catalog.catalog import Catalog
from local.bridges.service_catalog.orders import Orders
from local.settings import Organization

if TYPE_CHECKING:
    from typing import Any

    from local.settings import BridgeSettings

_NAME = "servicecatalog"
_catalog: Catalog | None = None


def register(settings: BridgeSettings) -> None:
    """Serve the API, make the types known to CloudFormation, and keep what is ordered with the emulator's state."""
    global _catalog  # noqa: PLW0603 -- the emulator asks a module for its state
    _catalog = Catalog(Organization.parse(settings.organization))
    SERVICE_PATTERNS[_NAME] = {"target_prefixes": [calls.TARGET], "credential_scope": _NAME}
    app.SERVICE_HANDLERS[_NAME] = calls.handler(_catalog, Orders(_catalog))
    app._state_map[_NAME] = _NAME  # noqa: SLF001
    app._loaded_modules[_NAME] = sys.modules[__name__]  # noqa: SLF001
    types.register(_catalog)


def get_state() -> dict[str, Any] | None:
    """Give what is to be kept, when the emulator saves."""
    return _catalog.state if _catalog else None


def load_persisted_state(state: dict[str, Any]) -> None:
    """Take what was kept."""
    if _catalog:
        _catalog.state.update(state)


def reset() -> None:
    """Forget everything."""
    if _catalog:
        _catalog.forget()
