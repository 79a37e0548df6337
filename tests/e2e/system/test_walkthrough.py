"""docs/from-vpc-ipam.md against a run: what it shows is what its commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local import twin as twins
from local.walkthrough import PAGE, walk_through

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(600)  # some fifty processes one after another, which a busy machine takes its time for
def test_the_document_shows_what_its_commands_print(tmp_path: Path) -> None:
    """Every command of the document is run, on a twin that nobody else uses, and prints what stands below it."""
    page = PAGE.read_text()
    with twins.start(directory=tmp_path) as twin:
        assert walk_through(page, twin).splitlines() == page.splitlines()
