from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from ipam.entrypoints import delivery
from ipam.entrypoints.delivery import MAX_ATTEMPTS, HttpsDelivery
from ipam.entrypoints.errors import UndeliveredError
from ipam.entrypoints.response_url import ResponseUrl
from tests.unit.entrypoints.bucket import TARGET, Bucket, make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.builders import FixedClock, SeededChance

BODY = b'{"Status":"SUCCESS"}'


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def bucket(certificate: Path) -> Iterator[Bucket]:
    opened = Bucket(certificate)
    yield opened
    opened.close()


@pytest.fixture
def deliver(clock: FixedClock, chance: SeededChance, certificate: Path) -> HttpsDelivery:
    return HttpsDelivery(clock, chance, str(certificate))


def remaining() -> int:
    return 20_000


def test_an_answer_is_put_as_it_was_signed(bucket: Bucket, deliver: HttpsDelivery) -> None:
    """One PUT of the very path and query, with an empty content type and the right length."""
    deliver(bucket.url, BODY, remaining)
    (sent,) = bucket.requests
    assert (sent["target"], sent["body"]) == (TARGET, BODY)
    assert sent["headers"]["Content-Type"] == ""
    assert sent["headers"]["Content-Length"] == str(len(BODY))
    assert "Transfer-Encoding" not in sent["headers"]


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_2xx_is_delivered(bucket: Bucket, deliver: HttpsDelivery, status: int) -> None:
    """Success is what S3 calls success."""
    bucket.statuses = [status]
    deliver(bucket.url, BODY, remaining)
    assert len(bucket.requests) == 1


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 413])
def test_a_refusal_is_final_and_no_redirection_is_followed(bucket: Bucket, deliver: HttpsDelivery, status: int) -> None:
    """What S3 refuses it will refuse again; crhelper takes a 403 for a success."""
    bucket.statuses = [status]
    with pytest.raises(UndeliveredError) as raised:
        deliver(bucket.url, BODY, remaining)
    assert (raised.value.cause, raised.value.attempts) == (f"status {status}", 1)
    assert len(bucket.requests) == 1


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_may_pass_is_tried_again(bucket: Bucket, deliver: HttpsDelivery, clock: FixedClock, status: int) -> None:
    """A server's trouble is met with another try after a wait."""
    bucket.statuses = [status, status, 200]
    deliver(bucket.url, BODY, remaining)
    assert len(bucket.requests) == 3
    assert len(clock.slept) == 2


def test_the_tries_are_bounded(bucket: Bucket, deliver: HttpsDelivery, clock: FixedClock) -> None:
    """A server that never takes it gets a handful of tries, and then Lambda delivers the event again."""
    bucket.statuses = [503]
    with pytest.raises(UndeliveredError) as raised:
        deliver(bucket.url, BODY, remaining)
    assert len(bucket.requests) == raised.value.attempts == MAX_ATTEMPTS
    assert sum(clock.slept) < 4_000


def test_a_server_that_hangs_is_left(bucket: Bucket, deliver: HttpsDelivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try ends by its socket's timeout; crhelper waits for ever."""
    monkeypatch.setattr(delivery, "SOCKET_TIMEOUT", 300)
    monkeypatch.setattr(delivery, "MAX_ATTEMPTS", 2)
    bucket.wait = 1.0
    started = time.monotonic()
    with pytest.raises(UndeliveredError) as raised:
        deliver(bucket.url, BODY, remaining)
    assert raised.value.cause == "TimeoutError"
    assert time.monotonic() - started < 3


def test_a_slow_server_is_waited_for(bucket: Bucket, deliver: HttpsDelivery) -> None:
    """Slow is not gone."""
    bucket.wait = 0.3
    deliver(bucket.url, BODY, remaining)
    assert len(bucket.requests) == 1


def test_a_refused_connection_is_bounded(deliver: HttpsDelivery) -> None:
    """Nobody listens: the tries end, and the failure is told by its kind."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = ResponseUrl("localhost", unused.getsockname()[1], TARGET, None)
    with pytest.raises(UndeliveredError) as raised:
        deliver(url, BODY, remaining)
    assert (raised.value.cause, raised.value.attempts) == ("ConnectionRefusedError", MAX_ATTEMPTS)


def test_a_server_that_nobody_vouches_for_gets_nothing(bucket: Bucket, clock: FixedClock, chance: SeededChance) -> None:
    """With the system's certificate authorities the test's server is a stranger, and sees no request."""
    with pytest.raises(UndeliveredError) as raised:
        HttpsDelivery(clock, chance)(bucket.url, BODY, remaining)
    assert raised.value.cause == "SSLCertVerificationError"
    assert bucket.requests == []


def test_without_time_nothing_is_tried(bucket: Bucket, deliver: HttpsDelivery) -> None:
    """The last moments of an invocation are kept for saying that it failed."""
    with pytest.raises(UndeliveredError) as raised:
        deliver(bucket.url, BODY, lambda: 700)
    assert raised.value.attempts == 0
    assert bucket.requests == []


def test_the_tries_end_with_the_time(bucket: Bucket, deliver: HttpsDelivery) -> None:
    """When time runs out between two tries, the next one is not begun."""
    bucket.statuses = [503]
    left = iter([2_000, 2_000, 600, 600])
    with pytest.raises(UndeliveredError) as raised:
        deliver(bucket.url, BODY, lambda: next(left))
    assert (raised.value.cause, raised.value.attempts) == ("status 503", 1)


def test_a_failure_tells_the_host_and_no_more(bucket: Bucket, deliver: HttpsDelivery) -> None:
    """Whoever reads the exception, which Lambda logs, learns no part of the right to answer."""
    bucket.statuses = [403]
    with pytest.raises(UndeliveredError) as raised:
        deliver(bucket.url, BODY, remaining)
    for text in (str(raised.value), repr(raised.value)):
        assert "localhost" in text
        assert "arn" not in text
        assert "5ec2e7" not in text
