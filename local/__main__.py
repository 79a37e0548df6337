"""`python -m local`: the twin in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from local.settings import SettingError, Settings
from local.twin import Twin, TwinError

if TYPE_CHECKING:
    from types import FrameType


class _Stopped(BaseException):
    """Somebody asked for the end; no Exception, so that nothing on the way takes it for a failure."""


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    # Once is enough: what follows is the way out, and nothing may interrupt it.
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise _Stopped


def main() -> int:
    """Run the twin; 0 when it was asked to stop, 1 when it failed."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, _stop)
    twin = None
    try:
        settings = Settings.from_environment()
        twin = Twin(settings)
        began = time.monotonic()
        print("starting the local twin", flush=True)
        twin.start()
        print(f"ready {twin.endpoint} after {time.monotonic() - began:.1f} s", flush=True)
        print(f"exports: . {settings.directory / 'env'}    log: {twin.log}    end: Ctrl-C", flush=True)
        twin.wait()
    except _Stopped:
        return 0
    except (SettingError, TwinError) as error:
        print(f"local twin: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        # Imported late, as boto3 is, which it brings along.
        from local.deployment import DeploymentError  # noqa: PLC0415

        if not isinstance(error, DeploymentError):
            raise
        print(f"local twin: {error}", file=sys.stderr)
        return 1
    finally:
        if twin is not None:
            twin.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
