"""What the command line prints for programs: one record a row, the same fields in JSON and CSV.

The fields are a contract (docs/command-line.md lists them, and a test compares): new ones are added at the end, none is
renamed or removed. Times are UTC. A text that is empty is one that there is not: programs are shown null.
"""

from __future__ import annotations

from ipam.entrypoints.cli.rows.attempts import AttemptRow
from ipam.entrypoints.cli.rows.blocks import AllocationRow, FindingRow, FoundRow, HistoryRow, Position
from ipam.entrypoints.cli.rows.holders import Holder
from ipam.entrypoints.cli.rows.orders import ApprovalRow, GrantRow
from ipam.entrypoints.cli.rows.orphans import OrphanRow
from ipam.entrypoints.cli.rows.plans import CidrRow, ComplianceRow, PlanRow, PoolRow, ScopeRow, UtilisationRow
from ipam.entrypoints.cli.rows.tenants import AccountRow, KeyRow, TenantRow
from ipam.entrypoints.cli.rows.values import Value, when

__all__ = [
    "AccountRow",
    "AllocationRow",
    "ApprovalRow",
    "AttemptRow",
    "CidrRow",
    "ComplianceRow",
    "FindingRow",
    "FoundRow",
    "GrantRow",
    "HistoryRow",
    "Holder",
    "KeyRow",
    "OrphanRow",
    "PlanRow",
    "PoolRow",
    "Position",
    "ScopeRow",
    "TenantRow",
    "UtilisationRow",
    "Value",
    "when",
]
