"""Fixtures for the tests of the door: the function, and a network that ends at this machine."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.entrypoints.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(autouse=True)
def closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing out: a forged address that was connected to is a failed test and not a leak."""

    def guarded(reach: Callable[..., Any]) -> Callable[..., Any]:
        def guard(*args: Any, **kwargs: Any) -> Any:
            found = next((arg for arg in args if isinstance(arg, tuple | str)), "")
            host = found[0] if isinstance(found, tuple) else found
            if host not in LOOPBACK:
                raise AssertionError(f"a connection to {host} was tried")
            return reach(*args, **kwargs)

        return guard

    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket, "getaddrinfo", guarded(socket.getaddrinfo))
