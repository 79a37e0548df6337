"""How a process starts: without the garbage collector."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Put the garbage collector off while modules are loaded and clients are made.

    All of that stays for the life of the process, and a tenth of a cold start is spent in finding that out again and
    again. What is there at the end is not looked through later either.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
