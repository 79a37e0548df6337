from __future__ import annotations

import pytest

from ipam.domain.authorization import derive, matches
from tests.builders import ACCOUNT

OLD, NEW = b"old master key", b"new master key"


def test_a_key_is_the_hmac_of_the_account() -> None:
    """The key can be derived by any HMAC-SHA256 (RFC 2104), and is 64 hexadecimal digits."""
    # printf %s "cn-ipam tenant 111122223333" | openssl dgst -sha256 -hmac k
    assert derive(b"k", ACCOUNT) == "6c0e25c43b6563ef91015f957f510836640fdd3039955d0090bd339267ad4b6d"


@pytest.mark.parametrize("master", [OLD, NEW])
def test_the_current_and_the_previous_key_match(master: bytes) -> None:
    """A key that was handed out before a rotation still opens."""
    assert matches(derive(master, ACCOUNT), (NEW, OLD), ACCOUNT)


@pytest.mark.parametrize(
    "presented",
    ["", "x", derive(b"third", ACCOUNT), derive(NEW, "444455556666"), derive(NEW, ACCOUNT).upper(), "ä" * 64],
)
def test_nothing_else_matches(presented: str) -> None:
    """Another master key's, another account's, or no key at all opens nothing."""
    assert not matches(presented, (NEW, OLD), ACCOUNT)


def test_without_master_keys_nothing_matches() -> None:
    """An empty secret opens nothing."""
    assert not matches(derive(b"", ACCOUNT), (), ACCOUNT)
