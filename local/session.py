"""Sessions of boto3 that lead to the twin, whatever the surroundings say.

Apart from `local.twin`, because importing boto3 takes longer than starting the emulator's process.
"""

from __future__ import annotations

from typing import Any, cast

import boto3
from botocore.config import Config

from local.settings import REGION

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    # The twin is on loopback; a proxy of the surroundings must not be asked for it.
    proxies=cast("Any", {"http": None, "https": None}),
    s3={"addressing_style": "path"},
)


class TwinSession(boto3.Session):
    """A session whose clients speak to the twin, in one Region; an access key of twelve digits is the account."""

    def __init__(self, endpoint: str, ca_bundle: str, account: str, region: str = REGION) -> None:
        super().__init__(aws_access_key_id=account, aws_secret_access_key="local", region_name=region)  # noqa: S106
        self._where = {"endpoint_url": endpoint, "verify": ca_bundle}

    def client(self, service_name: Any, *args: Any, **named: Any) -> Any:
        """Give a client, at the twin's endpoint unless another is named."""
        config = named.pop("config", None)
        named["config"] = _CONFIG.merge(config) if config is not None else _CONFIG
        return super().client(service_name, *args, **{**self._where, **named})

    def resource(self, service_name: Any, *args: Any, **named: Any) -> Any:
        """Give a resource, at the twin's endpoint unless another is named."""
        return super().resource(service_name, *args, **{**self._where, "config": _CONFIG, **named})
