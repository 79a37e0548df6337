"""The demo's chapters, in order; 0 only if every step was verified."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError
from rich.console import Console
from rich.tree import Tree

from ipam.domain.errors import IpamError
from local import twin as twins
from local.demo.catalogue import Catalogue
from local.demo.networks import Networks
from local.demo.stage import DemoError, Stage
from local.demo.story import Story
from local.deployment import DeploymentError
from local.settings import NETWORK_ACCOUNT
from local.stacks import StackError
from tools.publish import PublishError

EXPORTS: Final = Path(".local/demo")
"""Apart from those of `make local`, which may run beside it."""

FAILURES: Final = (DemoError, StackError, PublishError, DeploymentError, twins.TwinError, ClientError, IpamError)
NEXT: Final = {
    "make local": "such a twin for stacks and commands of your own",
    "docs/deploying.md": "the same template in your AWS account, step by step",
    "README.md": "what can be ordered, and all the rest",
}


def tell(story: Story) -> None:
    """Take all steps."""
    began = time.monotonic()
    story.chapter("The system")
    story.step("A local twin of AWS starts, and template.yaml is deployed to it.")
    with twins.start(directory=EXPORTS) as twin:
        stage = Stage(twin, story)
        story.tick(f"Stack cn-ipam runs in the network account, {NETWORK_ACCOUNT}, with an example plan")
        story.show(plan_of(stage))
        Networks(stage).run()
        Catalogue(stage).run()
        story.end(f"Every step was verified, in {time.monotonic() - began:.0f} s.", NEXT)


def plan_of(stage: Stage) -> Tree:
    """Draw the IPv4 pools, each below the one that its addresses are from."""
    plan = stage.ports.store.plan()

    def grow(branch: Tree, parent_id: str) -> Tree:
        for pool in plan.children(parent_id):
            if pool.family == 4:  # noqa: PLR2004
                blocks = ", ".join(map(str, plan.space(pool.pool_id).provisioned))
                grow(branch.add(f"{pool.name}  [magenta]{blocks}[/]"), pool.pool_id)
        return branch

    scope = plan.named_scope("private")
    return grow(Tree(f"{scope.name} scope", guide_style="dim"), scope.scope_id)


def main() -> int:
    """Run the demo."""
    story = Story(Console(highlight=False))
    try:
        tell(story)
    except FAILURES as error:
        story.fail(str(error))
        return 1
    except KeyboardInterrupt:
        story.fail("stopped before its end")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
