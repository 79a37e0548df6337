"""The built function itself (P9, P10): what its first answer and each further one take of the processor.

On this machine and without a network: the table is the twin's DynamoDB engine, the answer goes to a TLS server, both on
loopback and in processes of their own, so that what they take is not in the figures. The function is what `make build`
made; beside the layer it has only what Lambda's managed runtime brings along.
"""

from __future__ import annotations

import compileall
import contextlib
import itertools
import json
import os
import py_compile
import shutil
import statistics
import subprocess
import sysconfig
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.figures import Figure
from bench.layouts import LENGTH
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.services.pools import NewPool
from tests.builders import REGION, Desk
from tests.engine import client, create_table, engine
from tests.integration.runtime import BUILD, MANAGED, interpreter, runtime
from tests.unit.entrypoints.bucket import Bucket, make_certificate
from tests.unit.entrypoints.stage import ACCOUNT, event, readdressed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FUNCTION: Final = "CnCidrFunction"
OWNER: Final = "111122223333"
"""Whom the engine's client belongs to."""

WARM_UP: Final = 20
"""Orders that a process has served before its time is taken."""

COLD: Final = (
    "boto3 with its client is two thirds of it; the rest are three requests to the table and one to CloudFormation, "
    "the authorities that its certificate is checked against, Powertools' Logger, netaddr, our modules, and most of "
    "all the making of some hundred dataclasses, which Python repeats in every process"
)
SLOW: Final = "it is a time, and longer where the processor is slower or shared"

MILLI: Final = 1000
NANO: Final = 1_000_000_000

TAKEN: Final = "import time\n{}\nprint(time.process_time())"
MADE: Final = "import boto3\nclient = boto3.client('dynamodb')"
ANSWERED: Final = "\nclient.get_item(TableName={table!r}, Key={{'PK': {{'S': 'a'}}, 'SK': {{'S': 'a'}}}})"
OURS: Final = """\
import handler
class Context:
    aws_request_id = "bench"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr:live"
    get_remaining_time_in_millis = staticmethod(lambda: 30000)
handler.lambda_handler({event!r}, Context)"""


@dataclass
class Stage:
    """A table with a pool, and a bucket for the answers."""

    desk: Desk
    bucket: Bucket
    environment: dict[str, str]
    table: str
    _served: Iterator[int]

    def event(self) -> dict[str, Any]:
        """Give an order of a resource that has nothing yet."""
        host = f"localhost:{self.bucket.url.port}"
        number = next(self._served)
        return readdressed(event("create"), None, host, LogicalResourceId=f"Network{number}")

    def fragment(self, count: int) -> None:
        """Leave so many free blocks of the size that is ordered, with held ones between them."""
        grants = [self.desk.allocate(self.desk.request(f"n{number}", LENGTH)).grant for number in range(2 * count)]
        for number in range(0, 2 * count, 2):
            self.desk.release(f"n{number}", grants[number].allocation_id)

    def check(self) -> None:
        """Make sure that each event was answered, and with a block.

        Raises:
            AssertionError: one was not.
        """
        answers = [json.loads(request["body"])["Status"] for request in self.bucket.requests]
        if answers != ["SUCCESS"] * (next(self._served)):
            raise AssertionError(answers)


@contextlib.contextmanager
def _stage() -> Iterator[Stage]:
    """Set it up, and take it down."""
    with tempfile.TemporaryDirectory(prefix="ipam-bench-") as folder, engine() as endpoint:
        at, table = client(endpoint), f"bench-{uuid.uuid4().hex}"
        create_table(at, table)
        desk = Desk(DynamoDbStore(table, at))
        desk.tenant(ACCOUNT)
        desk.pool(NewPool("vpcs", desk.scope(), locale=REGION), "10.0.0.0/8")
        bucket = Bucket(make_certificate(Path(folder)))
        # As many authorities as there are to trust elsewhere: to load them is a part of every cold start.
        bundle = Path(folder) / "authorities.pem"
        authorities = Path(sysconfig.get_path("purelib")) / "botocore" / "cacert.pem"
        bundle.write_bytes(authorities.read_bytes() + (Path(folder) / "localhost.pem").read_bytes())
        environment = {
            "IPAM_TABLE_NAME": table,
            "IPAM_MASTER_KEY_SECRET": "none of these events needs one",
            "IPAM_RESPONSE_ENDPOINT": f"https://localhost:{bucket.url.port}",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": OWNER,
            "AWS_CA_BUNDLE": str(bundle),
        }
        try:
            yield Stage(desk, bucket, environment, table, itertools.count())
        finally:
            bucket.close()


def cold_start(repetitions: int) -> Iterator[Figure]:
    """P9: a fresh process until its first order is answered, over one until it has a client of boto3."""
    with _stage() as stage, tempfile.TemporaryDirectory(prefix="ipam-bench-") as folder:
        managed = _managed(Path(folder))
        made: list[float] = []
        answered: list[float] = []
        ours: list[float] = []
        for _ in range(repetitions):
            made.append(_fresh(MADE, stage.environment, managed))
            answered.append(_fresh(MADE + ANSWERED.format(table=stage.table), stage.environment, managed))
            ours.append(_fresh(OURS.format(event=stage.event()), stage.environment, managed))
        stage.check()
    bare, first, whole = (statistics.median(some) for some in (made, answered, ours))
    until = "processor time of a fresh process until its first order is answered"
    yield Figure("P9", f"{until}, over until it has a bare client", whole / bare, 1.2, counted=False, reason=COLD)
    yield Figure("P9", f"{until}, over until a bare client has its first answer", whole / first, counted=False)
    yield Figure("P9", "ms of it where this was run: the first order answered", whole * MILLI, counted=False)
    yield Figure("P9", "ms of it where this was run: a bare client", bare * MILLI, counted=False)
    yield Figure("P9", "ms of it where this was run: a bare client's first answer", first * MILLI, counted=False)


def _managed(folder: Path) -> Path:
    """Copy what the managed runtime has, and compile it as the layer is compiled."""
    for base in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for found in (found for pattern in MANAGED for found in Path(base).glob(pattern)):
            target = folder / found.name
            if found.is_dir():
                shutil.copytree(found, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copy(found, target)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, invalidation_mode=mode)
    return folder


def _fresh(program: str, environment: Mapping[str, str], managed: Path) -> float:
    """Run a program in a process of its own, and take the seconds that it prints last."""
    answer = subprocess.run(
        [interpreter(), "-S", "-c", TAKEN.format(program)],
        cwd=BUILD / FUNCTION,
        env={
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "test",
            "PYTHONPATH": os.pathsep.join([str(BUILD / "IpamLayer" / "python"), str(managed)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        capture_output=True,
        check=True,
        text=True,
    )
    return float(answer.stdout.splitlines()[-1])


def warm(events: int) -> Iterator[Figure]:
    """P10: processor time of the function's process for one order, from event to answer sent."""
    for fragmented, pool in ((True, "exact fit"), (False, "fresh pool, every other order reads and splits")):
        with _stage() as stage, runtime(FUNCTION, stage.environment) as invoke:
            if fragmented:
                stage.fragment(events + WARM_UP)
            for _ in range(WARM_UP):
                invoke(stage.event())
            before, started = _spent(invoke.session), time.perf_counter()
            for _ in range(events):
                invoke(stage.event())
            spent, passed = _spent(invoke.session) - before, time.perf_counter() - started
            stage.check()
        what = "ms of the function's process for an order, from event to answer sent, warm"
        limit = 5 if fragmented else None
        yield Figure("P10", f"{what}, {pool}", spent / events * MILLI, limit, counted=False, reason=SLOW)
        passing = "ms that pass, the same, with emulator, store and bucket"
        yield Figure("P10", f"{passing}, {pool}", passed / events * MILLI, counted=False)


def _spent(session: int) -> float:
    """Tell the seconds of processor time that a session's Python has taken, all its threads."""
    spent = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            of = int((process / "stat").read_text().rpartition(")")[2].split()[3])
            # The emulator is of this session as well, and has the same words on its command line.
            if of == session and (process / "cmdline").read_bytes().startswith(interpreter().encode()):
                threads = (process / "task").glob("*/schedstat")
                spent += sum(int(thread.read_text().split()[0]) for thread in threads)
    return spent / NANO
