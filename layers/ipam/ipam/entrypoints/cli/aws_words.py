"""What AWS refused, as people at a keyboard read it: with the value that was asked for and the setting that says it.

The client library is spoken in the adapters only, and they let through what they don't know: what is needed of its
errors here are their names and the facts that they carry.
"""

from __future__ import annotations

from typing import Any, Final

from ipam.entrypoints.cli import context as shared

TABLE_OPERATIONS: Final = frozenset(
    {"BatchGetItem", "GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"},
)
SECRET_OPERATIONS: Final = frozenset({"GetSecretValue"})

MISSING: Final = "ResourceNotFoundException"


def is_from_aws(error: Exception) -> bool:
    """Whether an error is AWS's own or its client's: not allowed, not logged in, no such table."""
    return any(kind.__module__ == "botocore.exceptions" for kind in type(error).__mro__)


def said(error: Any) -> str:
    """Say what AWS, or its client, refused, and what to check."""
    known = shared.known()
    region = known.region or "the Region of the profile"
    operation = getattr(error, "operation_name", "")
    what, name, setting = "", "", ""
    if operation in TABLE_OPERATIONS:
        what, name, setting = "table", known.table_name, "IPAM_TABLE_NAME"
    elif operation in SECRET_OPERATIONS:
        what, name, setting = "secret", known.master_key_secret, "IPAM_MASTER_KEY_SECRET"
    response = getattr(error, "response", None) or {}
    if what and response.get("Error", {}).get("Code") == MISSING:
        return f'There is no {what} "{name}" in {region}. Check {setting}, AWS_REGION and AWS_PROFILE.'
    asked = f' That was the {what} "{name}" ({setting}) in {region}.' if what else ""
    return f"{str(error).rstrip('.')}.{asked} Check credentials, AWS_PROFILE, AWS_REGION and the command's permissions."


def place(error: Exception) -> str:
    """Tell where nobody answered, where that is known."""
    endpoint = getattr(error.__cause__, "kwargs", {}).get("endpoint_url")
    return f" at {endpoint}" if endpoint else ""
