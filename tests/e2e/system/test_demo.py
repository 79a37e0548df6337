"""`make demo`: what a newcomer sees first, told in a pipe as on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

COLUMNS = 80


@pytest.mark.timeout(300)
def test_the_demo_tells_what_it_does() -> None:
    """Each step is said, then ticked; all were verified; every line fits; the end says what to do next."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS)}
    done = subprocess.run(
        [sys.executable, "-m", "local.demo"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    steps = [paragraph for paragraph in done.stdout.split("\n\n") if re.match(r"  [A-Z]", paragraph)]
    assert len(steps) == 13
    assert [step for step in steps if not re.search(r"^  ✓ ", step, re.MULTILINE)] == []
    end = next(number for number, line in enumerate(lines) if line.startswith("Every step was verified"))
    assert [line.split("  ")[1] for line in lines[end + 3 :]] == ["make local", "docs/deploying.md", "README.md"]
