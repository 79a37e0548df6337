"""One twin for all of these tests, with a custom resource in it that does what a template tells it to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local import twin as local_twin
from tests.e2e.twin.account import PROBE, Account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.twin import Twin


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    folder = tmp_path_factory.mktemp("twin")
    with local_twin.start(template=PROBE, directory=folder, record=True, retry_delays=(0.1, 0.2)) as started:
        yield started


@pytest.fixture(scope="session")
def member(twin: Twin) -> Account:
    return Account(twin)
