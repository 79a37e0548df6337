"""Clients with the rights of a role, and errors that say nothing of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.loaders import Loader
from moto import mock_aws

from ipam.adapters.aws import SERVICES, UNANSWERED, answering, client, client_as
from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = "arn:aws:iam::222233334444:role/organization-reader"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "111122223333")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    with mock_aws():
        yield


@pytest.mark.usefixtures("world")
def test_a_client_can_have_the_rights_of_a_role() -> None:
    """What it asks, it asks as the role, in the role's account."""
    identity = client_as(ROLE, "sts", "eu-central-1").get_caller_identity()
    assert identity["Arn"].startswith("arn:aws:sts::222233334444:assumed-role/organization-reader/cn-ipam")


@pytest.mark.usefixtures("world")
def test_a_client_is_made_without_a_look_at_all_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of ours has one; botocore's own way to find out is a tenth of a cold start."""
    looked = []
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(Loader, "list_available_services", lambda *_: looked.append(True))
    assert [client(service, "eu-central-1").meta.service_model.service_name for service in SERVICES] == list(SERVICES)
    assert looked == []


@pytest.mark.parametrize("code", sorted(UNANSWERED))
def test_a_service_that_cannot_now_is_unavailable(code: str) -> None:
    """Its name and its word are kept; the request may be tried again."""
    with pytest.raises(ServiceUnavailableError) as raised, answering("a service"):
        raise ClientError({"Error": {"Code": code, "Message": ""}}, "Ask")
    assert (raised.value.service, raised.value.code) == ("a service", code)


def test_no_answer_is_no_answer() -> None:
    """A time-out has no code, but a name."""
    with pytest.raises(ServiceUnavailableError, match="ReadTimeoutError"), answering("a service"):
        raise ReadTimeoutError(endpoint_url="x")


def test_what_is_wrong_with_the_request_passes_untouched() -> None:
    """That will be wrong the next time too."""
    with pytest.raises(ClientError), answering("a service"):
        raise ClientError({"Error": {"Code": "ValidationException", "Message": ""}}, "Ask")
