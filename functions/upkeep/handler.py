"""Runs upkeep on a schedule: cooled blocks become free, free buddies are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.entrypoints.starting import starting

if TYPE_CHECKING:
    from ipam.entrypoints.provider import Context

# Made while Lambda starts the process and kept for all its runs, as in functions/cn_cidr.
with starting():
    from ipam.entrypoints.upkeep import deployed

    UPKEEP = deployed()


def lambda_handler(_event: object, context: Context) -> None:
    """Do one run. The event says only that it is time; what became of the run is one line in the log."""
    UPKEEP.run(context)
