"""Answers Custom::GetCnCIDR and Custom::DeleteCnCIDR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.entrypoints.starting import starting

if TYPE_CHECKING:
    from ipam.entrypoints.provider import Context

# Made while Lambda starts the process, which it does with a whole processor, and kept for all its events; the first
# event would make it with the fraction that the function's memory buys.
with starting():
    from ipam.entrypoints.cn_cidr.function import deployed

    PROVIDER = deployed()


def lambda_handler(event: object, context: Context) -> None:
    """Serve one event; what it is and what became of it is one line in the log."""
    PROVIDER.handle(event, context)
