"""The master keys from Secrets Manager: the current one, and the one before the last rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from moto import mock_aws

from ipam.adapters.secrets import AGE, FRESH_AGE, MasterKeys
from ipam.domain.errors import ServiceUnavailableError
from tests.unit.adapters.stubs import unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.builders import FixedClock

NAME = "master"


@pytest.fixture
def manager() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client(
            "secretsmanager",
            region_name="eu-central-1",
            aws_access_key_id="111111111111",
            aws_secret_access_key="none",
        )
        client.create_secret(Name=NAME, SecretString="first")
        yield client


def test_a_secret_never_rotated_has_one_key(manager: Any, clock: FixedClock) -> None:
    """Before the first rotation there is the current key and no previous one."""
    assert MasterKeys(NAME, clock, lambda: manager).master_keys() == (b"first",)


def test_after_a_rotation_both_keys_count(manager: Any, clock: FixedClock) -> None:
    """After a rotation the current key comes first and the previous one still counts; the one before does not."""
    manager.put_secret_value(SecretId=NAME, SecretString="second")
    manager.put_secret_value(SecretId=NAME, SecretString="third")
    assert MasterKeys(NAME, clock, lambda: manager).master_keys() == (b"third", b"second")


def test_a_rotation_is_seen_when_somebody_insists(manager: Any, clock: FixedClock) -> None:
    """Keys are remembered for minutes; asked for fresh ones, they are read again, but not at every call."""
    keys = MasterKeys(NAME, clock, lambda: manager)
    assert keys.master_keys() == (b"first",)
    manager.put_secret_value(SecretId=NAME, SecretString="second")
    assert keys.master_keys() == (b"first",)
    assert keys.master_keys(fresh=True) == (b"first",)
    clock.sleep(FRESH_AGE)
    assert keys.master_keys() == (b"first",)
    assert keys.master_keys(fresh=True) == (b"second", b"first")


def test_keys_are_read_again_in_time(manager: Any, clock: FixedClock) -> None:
    """What is remembered ends by itself."""
    keys = MasterKeys(NAME, clock, lambda: manager)
    keys.master_keys()
    manager.put_secret_value(SecretId=NAME, SecretString="second")
    clock.sleep(AGE)
    assert keys.master_keys() == (b"second", b"first")


def test_the_client_is_made_once_and_late(manager: Any, clock: FixedClock) -> None:
    """A function that checks no key makes no client; one that does makes one."""
    made: list[Any] = []

    def connect() -> Any:
        made.append(manager)
        return manager

    keys = MasterKeys(NAME, clock, connect)
    assert not made
    keys.master_keys()
    clock.sleep(AGE)
    keys.master_keys()
    assert made == [manager]


def test_a_home_region_out_of_reach_is_no_fault_of_the_request(clock: FixedClock) -> None:
    """Whoever asked asks again later."""
    nowhere = unreachable(ConnectTimeoutError(endpoint_url="https://secretsmanager"))
    with pytest.raises(ServiceUnavailableError, match="ConnectTimeoutError"):
        MasterKeys(NAME, clock, nowhere).master_keys()


def test_a_missing_secret_is_a_fault(manager: Any, clock: FixedClock) -> None:
    """A secret that is not there is no wrong key: it is raised."""
    with pytest.raises(manager.exceptions.ResourceNotFoundException):
        MasterKeys("another", clock, lambda: manager).master_keys()
