"""One twin: its process, its folders, its exports.

    with local.twin.start() as twin:
        twin.session("222222222222").client("cloudformation").create_stack(...)

A twin is an emulator in a process group of its own, on one port of 127.0.0.1. Stopping it ends the group, Lambda
workers and all. Should the launcher die without stopping it, the group ends by itself (see `local.emulator`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from local import certificate
from local.settings import MEMBER_ACCOUNT, REGION, BridgeSettings, Settings, inherited

if TYPE_CHECKING:
    from types import TracebackType

    from local.session import TwinSession

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60
# The time to write the state that is to be kept.
_STOP_SECONDS = 15
_LOG_LINES = 25
# Variables of the environment, by the outputs of a built template that they are.
_EXPORTS = {
    "CN_CIDR_FUNCTION_ARN": "CnCidrServiceToken",
    "IPAM_CN_CIDR_FUNCTION": "CnCidrServiceToken",
    "ADDRESS_PLAN_FUNCTION_ARN": "AddressPlanServiceToken",
    "IPAM_TABLE_NAME": "TableName",
    "IPAM_MASTER_KEY_SECRET": "MasterKeySecretArn",
}


class TwinError(Exception):
    """The twin could not be started; its text says why, and where to read on."""


class Twin:
    """A twin, from `start` to `stop`; as a context manager it stops at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._folder: Path | None = None
        self.port = settings.port
        self.outputs: dict[str, str] = {}
        self._sessions: dict[tuple[str, str, int], TwinSession] = {}

    # ----------------------------------------------------------------------------------------------- what it offers

    @property
    def endpoint(self) -> str:
        """Where every AWS call goes."""
        return f"https://localhost:{self.port}"

    @property
    def folder(self) -> Path:
        """Where everything of this twin is kept."""
        if self._folder is None:
            raise TwinError("the twin is not started")
        return self._folder

    @property
    def ca_bundle(self) -> Path:
        """The certificate to trust."""
        return self.folder / "tls" / "server.crt"

    @property
    def log(self) -> Path:
        """What the emulator and the functions have written."""
        return self.folder / "ministack.log"

    @property
    def pid(self) -> int | None:
        """The emulator's process, whose group holds the Lambda workers too."""
        return self._process.pid if self._process else None

    def response_endpoint(self, region: str = REGION) -> str:
        """Where the twin's CloudFormation of a Region takes answers, which the deployed system has to be told."""
        return f"{self.endpoint}/cloudformation-custom-resource-response-{region.replace('-', '')}"

    @property
    def service_token(self) -> str:
        """The ARN that custom resources of the member account name."""
        return self.service_token_of(MEMBER_ACCOUNT)

    def service_token_of(self, account: str) -> str:
        """Give the ARN that custom resources of a tenant account name; without tenants there is one for all."""
        if "CnCidrFunctionArn" in self.outputs:
            return f"{self.outputs['CnCidrFunctionArn']}:tenant-{account}"
        return self.outputs["CnCidrServiceToken"]

    def add_tenant(self, account: str, *options: str) -> str:
        """Let an account order, by the command line as an administrator would; give what its custom resources name."""
        ipam = str(Path(sys.executable).with_name("ipam"))
        command = [ipam, "tenant", "add", account, *options]
        done = subprocess.run(command, env={**inherited(), **self.env()}, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def session(self, account: str = MEMBER_ACCOUNT, region: str = REGION) -> TwinSession:
        """Give a boto3 session with the rights of an account: one a thread, since each reads what it knows once."""
        from local.session import TwinSession  # noqa: PLC0415

        key = (account, region, threading.get_ident())
        if key not in self._sessions:
            self._sessions[key] = TwinSession(self.endpoint, str(self.ca_bundle), account, region)
        return self._sessions[key]

    def deploy(self, region: str = REGION, **parameters: str) -> dict[str, str]:
        """Deploy the system in a Region, or again with other parameters, and give the outputs."""
        from local import deployment  # noqa: PLC0415 -- boto3 is imported while the emulator starts

        if self._settings.template is None:
            raise TwinError("this twin deploys nothing")
        given = {
            "ResponseEndpoint": self.response_endpoint(region),
            "OrganizationId": self._settings.organization.id,
            **parameters,
        }
        return deployment.deploy(self.session(self._settings.account, region), self._settings.template, given)

    def env(self, account: str | None = None) -> dict[str, str]:
        """Give the exports that lead a program to this twin, with an account's rights: the network's by default."""
        exports = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": account or self._settings.account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "localhost,127.0.0.1",
        }
        named = {name: self.outputs[output] for name, output in _EXPORTS.items() if output in self.outputs}
        return exports | named

    def records(self) -> list[dict[str, Any]]:
        """Give what CloudFormation delivered and what it was answered, in order, if the settings say to record it."""
        path = self.folder / "records.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    # ------------------------------------------------------------------------------------------------ start and stop

    def start(self) -> Self:
        """Start the emulator, deploy, seed, and write the exports.

        Raises:
            TwinError: the port is in use, or the emulator did not come up; nothing is left running.
            DeploymentError: the system could not be deployed; nothing is left running.
        """
        self.port = self._free_port()
        self._sessions.clear()
        if self._settings.template is not None and not self._settings.template.is_file():
            raise TwinError(f"{self._settings.template} is not there: run `make build` first, which runs `sam build`")
        try:
            # Of a twin that had no chance to take it away.
            self._exports_path.unlink(missing_ok=True)
            self._make_folder()
            self._spawn()
            from local import deployment  # noqa: F401, PLC0415 -- boto3 is imported while the emulator starts

            self._wait_until_up()
            if self._settings.template is not None:
                self.outputs = self.deploy()
                if "TableName" in self.outputs:
                    from local import plan  # noqa: PLC0415 -- as above

                    plan.seed(self.env(), [self._settings.account, MEMBER_ACCOUNT])
            self._write_exports()
        except BaseException:
            self._keep_log()
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every process of the twin and remove what is not to be kept."""
        if self._lifeline is not None:
            self._exports_path.unlink(missing_ok=True)
            os.close(self._lifeline)
            self._lifeline = None
        process, self._process = self._process, None
        if process is not None:
            # It saves what is to be kept and ends by itself; the rest of its group is ended either way.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS if self._settings.state is not None else 0)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._folder is not None and self._settings.state is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self) -> None:
        """Wait until the emulator ends, which it does not do by itself.

        Raises:
            TwinError: it ended.
        """
        if self._process is not None:
            code = self._process.wait()
            self._keep_log()
            raise TwinError(f"the emulator ended with {code}; its log is {self._shown_log()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ----------------------------------------------------------------------------------------------------- the parts

    def _free_port(self) -> int:
        with socket.socket() as probe:
            # As the emulator will bind it: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self._settings.port))
            except OSError as error:
                raise TwinError(
                    f"port {self._settings.port} of 127.0.0.1 is in use or closed to you ({error.strerror}): "
                    "stop what listens there, or name another with IPAM_LOCAL_PORT"
                ) from error
            return int(probe.getsockname()[1])

    def _make_folder(self) -> None:
        if self._settings.state is None:
            self._folder = Path(tempfile.mkdtemp(prefix="cn-ipam-twin-")).resolve()
        else:
            self._folder = self._settings.state.resolve()
        for name in ("tls", "tmp", "state", "objects"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)

    def _spawn(self) -> None:
        cert, key = certificate.certificate(self.folder / "tls")
        read, self._lifeline = os.pipe()
        keep = self._settings.state is not None
        told = BridgeSettings(
            port=self.port,
            certificate=str(cert),
            interpreter=str(self.folder / "python"),
            runtime=str(self.folder / "runtime"),
            organization=str(self._settings.organization),
            retry_delays=self._settings.retry_delays,
            concurrency=self._settings.concurrency,
            duplicates=self._settings.duplicates,
            jitter=self._settings.jitter,
            records=str(self.folder / "records.jsonl") if self._settings.record else None,
            lifeline=read,
            keep=keep,
            folder=str(self.folder),
            exports=str(self._exports_path.resolve()),
        )
        environment = {
            **inherited(),
            "HOME": str(self.folder / "tmp"),
            "TMPDIR": str(self.folder / "tmp"),
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(cert),
            "MINISTACK_SSL_KEY": str(key),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "localhost",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1" if keep else "0",
            "STATE_DIR": str(self.folder / "state"),
            "S3_PERSIST": "1" if keep else "0",
            "S3_DATA_DIR": str(self.folder / "objects"),
            # Listeners and daemons that the twin has no use for.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "local.emulator", told.to_json()],
                    cwd=_ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(read,),
                    start_new_session=True,
                )
        finally:
            os.close(read)

    def _wait_until_up(self) -> None:
        trust = ssl.create_default_context(cafile=str(self.ca_bundle))
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
        opener = urllib.request.build_opener(*handlers)
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            code = self._process.poll() if self._process else None
            if code is not None:
                raise TwinError(f"the emulator ended with {code} while it started\n{self._log_tail()}")
            with contextlib.suppress(OSError), opener.open(f"{self.endpoint}/_ministack/health", timeout=5) as answer:
                if answer.status == 200:  # noqa: PLR2004
                    return
            time.sleep(0.05)
        raise TwinError(f"the emulator did not answer within {_START_SECONDS} s\n{self._log_tail()}")

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if self.log.exists() else []
        return "\n".join([*(f"  {line}" for line in lines), f"the whole log is {self._shown_log()}"])

    def _shown_log(self) -> Path:
        return self._settings.directory / "twin.log" if self._settings.state is None else self.log

    def _keep_log(self) -> None:
        """Keep the log of a twin that failed, although its folder goes."""
        if self._folder is not None and self._settings.state is None and self.log.exists():
            self._settings.directory.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.log, self._shown_log())

    @property
    def _exports_path(self) -> Path:
        return self._settings.directory / "env"

    def _write_exports(self) -> None:
        """Write the exports at once or not at all: whoever sees the file sees a twin that is ready."""
        self._settings.directory.mkdir(parents=True, exist_ok=True)
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.env().items()]
        lines.append("unset AWS_PROFILE AWS_SESSION_TOKEN AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE")
        # `ipam` and `aws` are installed beside the interpreter.
        programs = shlex.quote(str(Path(sys.executable).parent))
        lines.append(f'case ":$PATH:" in *:{programs}:*) ;; *) export PATH={programs}:"$PATH" ;; esac')
        draft = self._exports_path.with_name(f".env.{os.getpid()}")
        draft.write_text("\n".join(lines) + "\n")
        draft.replace(self._exports_path)


def start(settings: Settings | None = None, **changes: Any) -> Twin:
    """Start a twin on a free port, in a folder of its own; `changes` are fields of `Settings`.

    Without `template`, what `make build` built is deployed; `template=None` deploys nothing. Two twins side by side
    need a `directory` each, for their exports.
    """
    chosen = replace(settings or Settings(template=_ROOT / ".aws-sam" / "build" / "template.yaml"), **changes)
    return Twin(chosen).start()
