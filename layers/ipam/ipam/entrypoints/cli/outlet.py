"""Standard output: what becomes of a command when nobody reads it any more, or it has no room."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from ipam.entrypoints.cli.render import console

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREAD: Final = 141
"""Exit code where nobody reads any more: as if SIGPIPE had ended the command, which is what a shell expects."""

UNWRITABLE: Final = frozenset({errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})
"""What an output says that has no room, or fails."""


@contextmanager
def printing() -> Iterator[None]:
    """Have all written that a command prints, or say in one line that it cannot be.

    Raises:
        SystemExit: nobody reads it, or it cannot be written.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except SystemExit as ended:
        # What prints for us, tables and help, ends the command by itself then.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        _let_go()
        raise SystemExit(UNREAD) from None
    except BrokenPipeError:
        _let_go()
        raise SystemExit(UNREAD) from None
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        _let_go()
        line = f"refused: standard output cannot be written: {error.strerror}."
        console(stderr=True).print(line, markup=False, soft_wrap=True)
        raise SystemExit(1) from None


def _let_go() -> None:
    """Let what is still to be written go nowhere: else the interpreter tries again when it ends, and fails."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
