"""The commands that documents print for the local twin, as printed, in a shell that knows what `. .local/env` says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import twin as twins

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PUBLISH = f"{sys.executable} -m tools.publish "


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("exports")
    with twins.start(directory=folder):
        yield folder / "env"


def below(page: str, heading: str) -> str:
    """Give the first commands below a heading of a page."""
    _, _, rest = (ROOT / page).read_text().partition(f"\n## {heading}\n")
    found = re.search(r"^```sh\n(.*?)^```$", rest, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no commands below {heading}"
    return found[1]


def run(commands: str, exports: Path) -> str:
    """Run them on the twin that is there, in the repository's folder; what make would do is done by its program."""
    commands = re.sub(r"^make local .*\n", "", commands)
    commands = re.sub(r'^make publish PUBLISH_ARGS="(.*)"', rf"{PUBLISH}\1", commands, flags=re.MULTILINE)
    if ". .local/env" not in commands:
        commands = f". .local/env\n{commands}"
    script = commands.replace(". .local/env", f". {exports}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={"PATH": os.defpath, "HOME": str(exports.parent), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(300)
def test_the_first_stack_on_the_twin(exports: Path) -> None:
    """README: a stack orders a network, and the plan shows it."""
    printed = run(below("README.md", "The local twin"), exports)
    assert re.search(r"^10\.128\.\d+\.0/24 +111111111111 +shop / GetCnCIDR ", printed, re.MULTILINE)


@pytest.mark.timeout(300)
def test_the_catalogue_on_the_twin(exports: Path) -> None:
    """docs/local-twin.md: roles, portfolio and access, in this order, and a team is offered products."""
    printed = run(below("docs/local-twin.md", "Service Catalog"), exports)
    assert '"Corporate-network VPC"' in printed and '"Reserved range"' in printed


@pytest.mark.timeout(300)
def test_the_plan_of_a_company_on_the_twin(exports: Path) -> None:
    """docs/address-plan.md: the plan stands beside the example that the twin has."""
    printed = run(below("docs/address-plan.md", "The plan of a company"), exports)
    assert " company-vpc-eu-west-1 " in printed and " vpc-eu-west-1 " in printed
