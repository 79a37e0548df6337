"""One listener and no more.

Gap: with TLS, and as root, the emulator also opens port 443 for a service that the twin has no use for. A second twin
would meet it, and so might something of the machine's.
"""

from __future__ import annotations

from ministack import app


def register() -> None:
    """Leave port 443 alone."""
    if not callable(app._port_is_bindable):  # noqa: SLF001
        raise TypeError
    app._port_is_bindable = lambda _host, _port: False  # noqa: SLF001
