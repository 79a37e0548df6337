"""What the command line says of networks that still have addresses of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.errors import TemporaryError
from ipam.services.in_use import used_now

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation
    from ipam.services.ports import Ports

UNKNOWN: Final = "?"

InUseToo = Annotated[bool, typer.Option("--in-use", help="Even what a VPC or a subnet still uses.")]


def networks_in(ports: Ports, held: Allocation) -> str:
    """Name what uses a block now; "" for nothing, "?" where nobody says so."""
    try:
        used = used_now(ports, held.owner, held)
    except TemporaryError:
        return UNKNOWN
    if used is None:
        return UNKNOWN if ports.networks.unasked() else ""
    more = used.count - len(used.networks)
    return ", ".join(used.networks) + (f" and {more} more" if more else "")
