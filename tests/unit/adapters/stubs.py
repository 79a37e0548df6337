"""Clients of AWS services that answer what a test says, held to the services' own models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.stub import Stubber

if TYPE_CHECKING:
    from collections.abc import Callable


def stubbed(service: str) -> tuple[Any, Stubber]:
    """Make a client that reaches nothing, and what it is told to answer."""
    client = boto3.client(
        service,
        region_name="eu-central-1",
        aws_access_key_id="111111111111",
        aws_secret_access_key="none",
    )
    stubber = Stubber(client)
    stubber.activate()
    return client, stubber


class Made:
    """Gives a client, counts how often, and notes where, if that is said."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.count = 0
        self.regions: list[str] = []

    def __call__(self, *regions: str) -> Any:
        """Give the client."""
        self.count += 1
        self.regions += regions
        return self.client


def unreachable(fault: Exception) -> Callable[..., Any]:
    """Give a way to connect that leads nowhere."""

    def connect(*_: str) -> Any:
        raise fault

    return connect
