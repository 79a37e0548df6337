"""How a process starts."""

from __future__ import annotations

import gc

import pytest

from ipam.entrypoints.starting import starting


def test_nothing_is_collected_while_a_process_starts() -> None:
    """What was made is left alone from then on; what comes later is collected as ever."""
    kept = gc.get_freeze_count()
    try:
        with starting():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > kept
    finally:
        gc.unfreeze()


def test_a_start_that_fails_leaves_the_collector_on() -> None:
    """The failure comes out."""
    try:
        with pytest.raises(LookupError), starting():
            raise LookupError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
