"""Who is calling, from AWS STS: the one answer that needs no permission (STS API reference, GetCallerIdentity)."""

from __future__ import annotations

from typing import Any, Final

from ipam.adapters.aws import answering

SERVICE: Final = "AWS STS"


def caller_arn(client: Any) -> str:
    """Give the ARN of the user, or of the session of a role, whose credentials the client has.

    Raises:
        ServiceUnavailableError: it did not answer.
    """
    with answering(SERVICE):
        return str(client.get_caller_identity()["Arn"])
