"""What `sam build` made, deployed to the twin as `sam deploy` would: packaged, uploaded, a stack created or updated.

Through the same CloudFormation calls, without the sam executable, which takes seconds to start.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import boto3

STACK = "cn-ipam"

# The properties that name a local folder in a built template, by resource type.
_LOCAL_CODE = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Lambda::Function": "Code",
    "AWS::Lambda::LayerVersion": "Content",
}
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_SECONDS = 120
_EPOCH = (1980, 1, 1, 0, 0, 0)


class DeploymentError(Exception):
    """The system could not be deployed; its text says what failed, and why."""


def deploy(session: boto3.Session, template: Path, parameters: Mapping[str, str]) -> dict[str, str]:
    """Deploy a built template; parameters that it does not have are left out.

    Returns the stack's outputs.

    Raises:
        DeploymentError: nothing was built, or the stack failed.
    """
    if not template.is_file():
        raise DeploymentError(f"{template} is not there: run `make build` first (it runs `sam build`)")
    body = _read(template)
    uploads = _Uploads(session)
    _package(uploads, body, template.parent)
    known = body.get("Parameters", {})
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items() if key in known]
    url = uploads.url(*uploads.put(yaml.safe_dump(body, sort_keys=False).encode(), "template"))
    # The client's own types describe each call's literal arguments; these are put together at run time.
    cloudformation = cast("Any", session.client("cloudformation"))
    arguments = {"StackName": STACK, "TemplateURL": url, "Parameters": given, "Capabilities": _CAPABILITIES}
    try:
        if _describe(cloudformation) is None:
            cloudformation.create_stack(**arguments)
        else:
            cloudformation.update_stack(**arguments)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise DeploymentError(f"stack {STACK}: {error}") from error
    stack = _wait(cloudformation)
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _describe(cloudformation: Any) -> dict[str, Any] | None:
    try:
        stacks = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    except ClientError:
        return None
    return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None


def _wait(cloudformation: Any) -> dict[str, Any]:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        stack = _describe(cloudformation) or {}
        status = stack.get("StackStatus", "")
        if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            return stack
        if not status.endswith("_IN_PROGRESS"):
            raise DeploymentError(f"stack {STACK} ended as {status or 'nothing'}\n" + _failures(cloudformation))
        time.sleep(0.1)
    raise DeploymentError(f"stack {STACK} was not ready after {_SECONDS} s\n" + _failures(cloudformation))


def _failures(cloudformation: Any) -> str:
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    return "\n".join(
        f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED")
    )


# ---------------------------------------------------------------------------------------------------------- packaging


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms, like `!Ref`, as what they are short for."""


def _long_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)
# A date such as the template's version is the text that it looks like.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: node.value)


def _read(template: Path) -> dict[str, Any]:
    # A safe loader with more tags.
    return cast("dict[str, Any]", yaml.load(template.read_text(), Loader=_Loader))  # noqa: S506


def _package(uploads: _Uploads, body: dict[str, Any], folder: Path) -> None:
    """Upload every local folder that the template names, and name the upload instead."""
    for resource in body.get("Resources", {}).values():
        name = _LOCAL_CODE.get(resource.get("Type", ""))
        properties = resource.get("Properties", {})
        local = properties.get(name) if name else None
        if not isinstance(local, str) or local.startswith("s3://"):
            continue
        bucket, key = uploads.put(archive(folder / local), Path(local).name)
        if resource["Type"].startswith("AWS::Lambda"):
            properties[name] = {"S3Bucket": bucket, "S3Key": key}
        else:
            properties[name] = f"s3://{bucket}/{key}"


def archive(folder: Path) -> bytes:
    """Zip a folder: the same bytes for the same files, whenever they were made."""
    if not folder.is_dir():
        raise DeploymentError(f"{folder} is not there: run `make build` first (it runs `sam build`)")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for path in _files(folder):
            member = zipfile.ZipInfo(str(path.relative_to(folder)), _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            file.writestr(member, path.read_bytes())
    return made.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


class _Uploads:
    """The Region's bucket for what is deployed, made if it is not there."""

    def __init__(self, session: boto3.Session) -> None:
        # The client's own types describe literal arguments; see `deploy`.
        self._s3 = cast("Any", session.client("s3"))
        account = session.get_credentials().access_key  # type: ignore[union-attr]
        self._bucket = f"{STACK}-artifacts-{account}-{session.region_name}"
        where = {"CreateBucketConfiguration": {"LocationConstraint": session.region_name}}
        with contextlib.suppress(self._s3.exceptions.BucketAlreadyOwnedByYou):
            # S3's oldest Region is the one that must not be named.
            self._s3.create_bucket(Bucket=self._bucket, **({} if session.region_name == "us-east-1" else where))

    def put(self, content: bytes, name: str) -> tuple[str, str]:
        """Upload under a key that says what the content is, so that what did not change is not deployed again.

        Returns the bucket and the key.
        """
        key = f"{name}-{hashlib.sha256(content).hexdigest()[:32]}"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)
        return self._bucket, key

    def url(self, bucket: str, key: str) -> str:
        """Give the address of an upload."""
        return f"{self._s3.meta.endpoint_url}/{bucket}/{key}"
