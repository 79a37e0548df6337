"""The emulator's process: the bridges registered, then ministack served until it is told to stop.

Started by `local.twin` in a process group of its own, as `python -m local.emulator SETTINGS`. The launcher keeps the
other end of a pipe, the lifeline: when it closes, the launcher has ended, however it died. Then the state is saved, if
it is to be kept, and the whole group ends, Lambda workers and all. (The emulator's own way to end waits half a minute
for clients that keep a TLS connection open, and saves only after that.)
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from local.settings import BridgeSettings

_SAVE_SECONDS = 10


def main() -> None:
    """Serve until the launcher is gone."""
    settings = BridgeSettings.from_json(sys.argv[1])
    # First of all: a launcher that dies while the imports below run must not leave this process behind.
    threading.Thread(target=_watch, args=(settings,), daemon=True, name="lifeline").start()

    from ministack import app  # noqa: PLC0415

    from local import bridges  # noqa: PLC0415

    bridges.register(settings)
    sys.argv = ["ministack"]  # it reads the command line too
    app.main()


def _watch(settings: BridgeSettings) -> None:
    os.read(settings.lifeline, 1)
    try:
        Path(settings.exports).unlink(missing_ok=True)
        if settings.keep:
            _save()
        else:
            shutil.rmtree(settings.folder, ignore_errors=True)
    finally:
        os.killpg(0, signal.SIGKILL)


def _save() -> None:
    """Save on the thread that serves requests, between two of them."""
    from ministack import app  # noqa: PLC0415
    from ministack.core import persistence  # noqa: PLC0415

    if app._MAIN_LOOP is None:  # noqa: SLF001
        return  # it has not begun to serve: what was saved last is what there is

    async def save() -> None:
        persistence.save_all(app._build_persistence_save_dict())  # noqa: SLF001

    asyncio.run_coroutine_threadsafe(save(), app._MAIN_LOOP).result(_SAVE_SECONDS)  # noqa: SLF001


if __name__ == "__main__":
    main()
