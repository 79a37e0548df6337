"""The repository can be taken anywhere: no file of it names a machine, a person's folder or a package index."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME = re.compile(r"(?<![\w.])/(?:root|home/[a-z]|Users/[A-Za-z])[\w./-]*")
INDEX = re.compile(
    r"^\s*(?:-i|--(?:extra-)?index-url|--find-links|--trusted-host|-f)\b|\bfiles\.pythonhosted\b|\bpypi\.org\b",
    re.MULTILINE,
)
REQUIREMENTS = sorted([*ROOT.glob("requirements/*.txt"), ROOT / "layers" / "ipam" / "requirements.txt"])


def files() -> list[Path]:
    """What is or would be in the repository: tracked files, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file() and path != Path(__file__)]


@pytest.mark.parametrize("pattern", [HOME, INDEX], ids=["home", "index"])
def test_no_file_names_a_place_that_only_one_machine_has(pattern: re.Pattern[str]) -> None:
    """Neither a folder of somebody's home nor the address of a package index stands in any file."""
    found = []
    for path in files():
        text = path.read_bytes().decode(errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_requirement_is_pinned_with_hashes(path: Path) -> None:
    """Each package stands at one version with the digest of its files, and no address is named."""
    text = path.read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).strip())
    assert [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_one_botocore_everywhere() -> None:
    """The twin, the function in it and the tests speak with one version of AWS's library."""
    pins = re.findall(r"^(boto3|botocore)==(\S+)", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
    assert len(pins) == 2
    assert len({number for _, number in pins}) == 1
