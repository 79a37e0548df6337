"""Whole events whose answers go out over TLS, to a bucket on this machine that the deploy parameter names."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from ipam.entrypoints.delivery import HttpsDelivery
from ipam.entrypoints.errors import UndeliveredError
from tests.unit.entrypoints.bucket import Bucket, make_certificate
from tests.unit.entrypoints.stage import HOST, SETTINGS, Stage, allocation_id, at, event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.fixture
def bucket(certificate: Path) -> Iterator[Bucket]:
    opened = Bucket(certificate)
    yield opened
    opened.close()


@pytest.fixture
def stage(bucket: Bucket, certificate: Path) -> Stage:
    """The function, told that answers go to the bucket here."""
    endpoint = f"https://localhost:{bucket.url.port}"
    made = Stage(settings=dataclasses.replace(SETTINGS, response_endpoint=endpoint))
    made.clock.milliseconds = at(8)
    made.provider.deliver = HttpsDelivery(made.clock, made.chance, str(certificate))
    return made


def local(name: str, stage: Stage) -> dict[str, Any]:
    """Load an event that waits for its answer at the bucket here."""
    loaded = event(name)
    return loaded | {"ResponseURL": loaded["ResponseURL"].replace(f"https://{HOST}", stage.settings.response_endpoint)}


def test_an_answer_arrives_as_it_was_meant(stage: Stage, bucket: Bucket) -> None:
    """From the event to the bytes in the bucket: one PUT of the signed path with the whole answer."""
    sent = local("create", stage)
    stage.provider.handle(sent, stage.context)
    (put,) = bucket.requests
    assert sent["ResponseURL"].endswith(put["target"])
    answer = json.loads(put["body"])
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", allocation_id(1))
    assert answer["RequestId"] == sent["RequestId"]


def test_a_bucket_that_is_down_gets_the_same_answer_later(stage: Stage, bucket: Bucket) -> None:
    """After all tries have failed the event is raised; its redelivery sends the very same bytes."""
    sent = local("create", stage)
    bucket.statuses = [503]
    with pytest.raises(UndeliveredError):
        stage.provider.handle(sent, stage.context)
    assert stage.outcome == "undelivered"
    bucket.statuses = [200]
    stage.clock.advance(60)
    stage.provider.handle(sent, stage.context)
    assert {put["body"] for put in bucket.requests} == {bucket.requests[0]["body"]}
    assert stage.held() == ["10.0.0.0/24"]


def test_a_refused_delivery_frees_nothing(stage: Stage, bucket: Bucket) -> None:
    """A 403 is a failure to deliver, not a failure to allocate: the block stays, and the event is raised."""
    bucket.statuses = [403]
    with pytest.raises(UndeliveredError):
        stage.provider.handle(local("create", stage), stage.context)
    assert stage.held() == ["10.0.0.0/24"]
    assert len(bucket.requests) == 1


def test_with_the_parameter_set_aws_is_not_answered(stage: Stage, bucket: Bucket) -> None:
    """The parameter replaces CloudFormation's hosts; it does not add one."""
    stage.provider.handle(event("create"), stage.context)
    assert stage.outcome == "forged"
    assert bucket.requests == []
