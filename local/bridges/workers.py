"""Lambda workers see what Lambda gives a function, and trust the twin's certificate.

Gap: the emulator runs a function with its own interpreter and all of its packages. A function whose layer lacks a
library would still find it, and find this project's source, where Lambda would fail. Here a worker starts without
site-packages: it has the standard library, the SDK that Lambda's Python runtimes carry (boto3 and what it needs), the
layers and the function, as in
https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html and
https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html

The certificate is named in the worker's environment: the function's own checks stay as they are in AWS.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ministack.core import lambda_runtime

if TYPE_CHECKING:
    from local.settings import BridgeSettings

# The SDK of Lambda's Python runtimes: boto3 and its closure.
_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")


def register(settings: BridgeSettings) -> None:
    """Run Python functions with the interpreter's standard library and the SDK alone."""
    runtime, interpreter = Path(settings.runtime), Path(settings.interpreter)
    _furnish(runtime)
    interpreter.write_text(_script(runtime, settings.certificate))
    interpreter.chmod(0o755)
    ministack_choice = lambda_runtime._detect_runtime_binary  # noqa: SLF001

    def choice(name: str) -> tuple[str, str]:
        binary, worker = ministack_choice(name)
        return (str(interpreter) if binary == sys.executable else binary), worker

    lambda_runtime._detect_runtime_binary = choice  # noqa: SLF001


def _furnish(runtime: Path) -> None:
    runtime.mkdir(parents=True, exist_ok=True)
    for name in _SDK:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name)
        found = Path(spec.origin)
        source = found.parent if found.name == "__init__.py" else found
        link = runtime / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)


def _script(runtime: Path, certificate: str) -> str:
    trusted = "\n".join(
        f"export {name}={shlex.quote(certificate)}" for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    )
    return (
        f"#!/bin/sh\n{trusted}\nexport PYTHONPATH={shlex.quote(str(runtime))}\n"
        # -S: no site-packages. The bytecode of the function's own files stays out of its folder, as in Lambda.
        f'exec {shlex.quote(sys.executable)} -S -B "$@"\n'
    )
