"""The command line `ipam`: for network administrators and platform engineers.

It uses the ordinary AWS credentials, profile and Region, and finds the system by IPAM_TABLE_NAME and
IPAM_MASTER_KEY_SECRET, which are outputs of the stack. docs/command-line.md describes every command.
"""

from __future__ import annotations

from ipam.entrypoints.cli.commands import app


def main() -> None:
    """Run the command line."""
    app()
