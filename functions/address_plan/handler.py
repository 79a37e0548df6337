"""Answers Custom::IpamScope, Custom::IpamPool, Custom::IpamPoolCidr and Custom::IpamAllocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.entrypoints.starting import starting

if TYPE_CHECKING:
    from ipam.entrypoints.provider import Context

# Made while Lambda starts the process, and kept for all its events; functions/cn_cidr/handler.py says why.
with starting():
    from ipam.entrypoints.address_plan.function import deployed

    PROVIDER = deployed()


def lambda_handler(event: object, context: Context) -> None:
    """Serve one event; what it is and what became of it is one line in the log."""
    PROVIDER.handle(event, context)
