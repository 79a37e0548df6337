"""Who is calling, by the answers that AWS STS gives."""

from __future__ import annotations

import pytest

from ipam.adapters.identity import caller_arn
from ipam.domain.errors import ServiceUnavailableError
from tests.unit.adapters.stubs import stubbed

ARN = "arn:aws:sts::111122223333:assumed-role/network/ana@example.com"


def test_the_caller_is_named_by_an_arn() -> None:
    """The session of a role has the name of the person in it."""
    client, stubber = stubbed("sts")
    stubber.add_response("get_caller_identity", {"Arn": ARN, "Account": "111122223333", "UserId": "AROA:ana"}, {})
    assert caller_arn(client) == ARN


def test_a_service_that_does_not_answer_is_named() -> None:
    """An expired session is no fault of ours."""
    client, stubber = stubbed("sts")
    stubber.add_client_error("get_caller_identity", "ExpiredTokenException")
    with pytest.raises(ServiceUnavailableError) as refused:
        caller_arn(client)
    assert (refused.value.service, refused.value.code) == ("AWS STS", "ExpiredTokenException")
