"""The twin's DynamoDB engine for the tests: ministack without our bridges, on loopback, for as long as needed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from ipam.adapters.dynamodb import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"
START = 60
"""Seconds that the engine may take to answer, on a machine that has much else to do."""

# It ends when its standard input does: so it never outlives the tests, however they end.
LAUNCHER = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
sys.argv = ["ministack"]
from ministack import app
app.main()
"""


def client(endpoint: str, **settings: Any) -> Any:
    """Make a client of an endpoint; it tries a call once, so that a test sees what happens."""
    defaults: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "connect_timeout": 5, "read_timeout": 30}
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="111122223333",
        aws_secret_access_key="test",
        config=Config(**(defaults | settings)),
    )


def create_table(of: Any, name: str) -> None:
    """Create a table with the keys of the deployed one."""
    of.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": keys.PARTITION_KEY, "AttributeType": "S"},
            {"AttributeName": keys.SORT_KEY, "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": keys.PARTITION_KEY, "KeyType": "HASH"},
            {"AttributeName": keys.SORT_KEY, "KeyType": "RANGE"},
        ],
    )
    of.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


@contextlib.contextmanager
def engine() -> Iterator[str]:
    """Run the engine, and give its endpoint."""
    with tempfile.TemporaryDirectory(prefix="ipam-engine-") as folder, socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
        place.close()
        # Nothing is inherited: certificate settings of the machine would break its workers.
        environment = {
            "PATH": os.defpath,
            "HOME": folder,
            "TMPDIR": folder,
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "localhost",
            "GATEWAY_PORT": str(port),
        }
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", LAUNCHER],
                env=environment,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            _await(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the engine answers.

    Raises:
        RuntimeError: it ended, or does not answer in time; with what it said.
    """
    for _ in range(START * 10):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    message = f"the engine does not answer: {log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)
