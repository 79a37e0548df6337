"""The command line `ipam`: for network administrators and platform engineers.

It uses the ordinary AWS credentials, profile and Region, and finds the system by IPAM_TABLE_NAME and
IPAM_MASTER_KEY_SECRET, which are outputs of the stack.
"""

from __future__ import annotations

import sys

from ipam.domain.errors import IpamError
from ipam.entrypoints.cli.commands import app
from ipam.entrypoints.cli.render import console
from ipam.entrypoints.reasons import reason
from ipam.settings import SettingError


def main() -> None:
    """Run the command line; a refusal is one line on standard error and exit code 1."""
    try:
        app()
    except (IpamError, SettingError) as error:
        text = str(error) if isinstance(error, SettingError) else reason(error)
        console(stderr=True).print(f"[bold red]refused:[/] {text}", soft_wrap=True)
        sys.exit(1)
