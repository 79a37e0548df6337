"""Clients of AWS services, the only place that makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from typing import Literal

    Service = Literal["dynamodb", "secretsmanager"]


def client(service: Service, region: str | None = None) -> Any:
    """Make a client whose calls, with their retries, end well within a function's time.

    Args:
        service: which service.
        region: its Region; None takes the one that the ordinary configuration of AWS clients says.
    """
    config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client(service, region_name=region, config=config)
