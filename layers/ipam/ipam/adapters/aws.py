"""Clients of AWS services, the only place that makes them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError
from botocore.loaders import Loader

from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

Service = Literal["cloudformation", "dynamodb", "ec2", "events", "lambda", "organizations", "secretsmanager", "sts"]

SERVICES: Final[tuple[Service, ...]] = get_args(Service)

SESSION: Final = "cn-ipam"
"""What the history of a role that is taken on calls us."""

REGION: Final = 3
"""Where an ARN has its Region, counted in colons."""

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


class _Models(Loader):
    """Finds the models of our services without a look at all the others.

    To see whether it knows a service, botocore walks through the folders of four hundred, twice for the first client: a
    tenth of a cold start.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - it is the parent's
        """Name the services that have a model."""
        return list(SERVICES)


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
    # Nobody else makes clients in a process of ours: what boto3 would set up by default is set up here.
    if boto3.DEFAULT_SESSION is None:
        session = botocore.session.get_session()
        session.register_component("data_loader", _Models())
        boto3.setup_default_session(botocore_session=session)
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


def known_regions() -> frozenset[str]:
    """Name the Regions of all partitions that the client library knows; a newer one is not among them."""
    partitions = Loader().load_data("partitions")["partitions"]
    return frozenset(region for each in partitions for region in each["regions"])


def region_of(arn: str) -> str:
    """Tell the Region that an ARN names."""
    return arn.split(":")[REGION]


def in_region(arn: str, region: str) -> str:
    """Give the ARN of what is called the same in another Region of the account."""
    parts = arn.split(":")
    return ":".join((*parts[:REGION], region, *parts[REGION + 1 :]))


@contextlib.contextmanager
def answering(service: str) -> Iterator[None]:
    """Raise the domain's error where a service does not do what it is asked; unknown errors pass untouched.

    Raises:
        ServiceUnavailableError: with the service's name, and its word for the cause.
    """
    try:
        with in_reach(service):
            yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in UNANSWERED:
            raise
        raise ServiceUnavailableError(service, code) from error


@contextlib.contextmanager
def in_reach(service: str) -> Iterator[None]:
    """Raise the domain's error where a service does not answer at all; what it answers passes untouched.

    Raises:
        ServiceUnavailableError: with the service's name, and the client's word for the cause.
    """
    try:
        yield
    except (ConnectTimeoutError, EndpointConnectionError, HTTPClientError) as error:
        raise ServiceUnavailableError(service, type(error).__name__) from error
