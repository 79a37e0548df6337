"""The demo's steps, in order; 0 only if every one was verified."""

from __future__ import annotations

import sys
import time

from botocore.exceptions import ClientError
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ipam.domain.errors import IpamError
from local import twin as twins
from local.demo.catalogue import Catalogue
from local.demo.networks import Networks
from local.demo.stage import DemoError, Stage, console
from local.stacks import StackError
from tools.publish import PublishError


def main() -> int:
    """Run the demo."""
    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), TimeElapsedColumn())
    began = time.monotonic()
    with Progress(*columns, console=console) as progress:
        start = progress.add_task("the local twin starts, and template.yaml is deployed to it", total=1)
        try:
            with twins.start() as twin:
                progress.update(start, completed=1, description="the local twin runs template.yaml [green]✓")
                stage = Stage(twin, progress)
                Networks(stage).run()
                Catalogue(stage).run()
        except (DemoError, StackError, PublishError, ClientError, IpamError, twins.TwinError) as error:
            progress.stop()
            console.print(f"[bold red]failed:[/] {error}", soft_wrap=True)
            return 1
    console.print(f"[bold green]every step was verified[/], in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
