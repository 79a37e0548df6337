"""Clients of AWS services, the only place that makes them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError

from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    Service = Literal["cloudformation", "dynamodb", "ec2", "events", "lambda", "organizations", "secretsmanager", "sts"]

SESSION: Final = "cn-ipam"
"""What the history of a role that is taken on calls us."""

UNANSWERED: Final = frozenset(
    {
        "AWSOrganizationsNotInUseException",
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredTokenException",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "ResourceConflictException",
        "ResourceNotFoundException",
        "ServiceException",
        "ServiceUnavailable",
        "ThrottlingException",
        "TooManyRequestsException",
        "UnrecognizedClientException",
    }
)
"""Codes of errors that say nothing about a request: the service is busy, or this system may not use it, or not yet. The
same call succeeds when that is over, or when somebody has put it right."""


def client(service: Service, region: str | None = None, patience: int = 2, **rights: Any) -> Any:
    """Make a client whose calls, with their retries, end well within a function's time.

    Args:
        service: which service.
        region: its Region; None, or "", takes the one that the ordinary configuration of AWS clients says.
        patience: seconds that an answer may take; more than a function has are for the command line.
        rights: credentials, where they are not the process's own.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=patience,
        # The store writes typed items, and the table checks them: to do it here too takes a third of an import's time.
        parameter_validation=service != "dynamodb",
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    return boto3.client(service, region_name=region or None, config=config, **rights)


def client_as(role: str, service: Service, region: str | None = None, at: str | None = None) -> Any:
    """Make such a client with the rights of a role. They last for an hour: a role can take on another for no longer.

    The role is taken on in the client's Region, or `at` another.
    """
    given = client("sts", at or region).assume_role(RoleArn=role, RoleSessionName=SESSION)["Credentials"]
    rights = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    return client(service, region, **rights)


@contextlib.contextmanager
def answering(service: str) -> Iterator[None]:
    """Raise the domain's error where a service does not do what it is asked; unknown errors pass untouched.

    Raises:
        ServiceUnavailableError: with the service's name, and its word for the cause.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in UNANSWERED:
            raise
        raise ServiceUnavailableError(service, code) from error
    except (ConnectTimeoutError, EndpointConnectionError, HTTPClientError) as error:
        raise ServiceUnavailableError(service, type(error).__name__) from error
