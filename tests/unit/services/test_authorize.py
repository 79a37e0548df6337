from __future__ import annotations

from ipam.domain.authorization import derive
from ipam.services.authorize import is_authorized
from tests.builders import ACCOUNT


class Keys:
    """Master keys that may have been rotated since they were read."""

    def __init__(self, remembered: tuple[bytes, ...], fresh: tuple[bytes, ...]) -> None:
        self.remembered, self.fresh = remembered, fresh
        self.asked: list[bool] = []

    def master_keys(self, *, fresh: bool = False) -> tuple[bytes, ...]:
        """See the port."""
        self.asked.append(fresh)
        return self.fresh if fresh else self.remembered


def test_the_accounts_own_key_opens() -> None:
    """By the current master key, without asking for it anew."""
    keys = Keys((b"new", b"old"), ())
    assert is_authorized(keys, ACCOUNT, derive(b"new", ACCOUNT))
    assert is_authorized(keys, ACCOUNT, derive(b"old", ACCOUNT))
    assert keys.asked == [False, False]


def test_a_rotation_since_the_keys_were_read_is_noticed() -> None:
    """A key of the newest master key opens, though only older ones are remembered."""
    assert is_authorized(Keys((b"old",), (b"new", b"old")), ACCOUNT, derive(b"new", ACCOUNT))


def test_a_wrong_key_does_not_open() -> None:
    """Neither another account's key, nor one of a master key that is gone, nor none."""
    keys = Keys((b"new",), (b"new",))
    for wrong in (derive(b"new", "444455556666"), derive(b"gone", ACCOUNT), ""):
        assert not is_authorized(keys, ACCOUNT, wrong)
