from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ipam.domain.authorization import derive
from ipam.services.authorize import is_authorized
from ipam.services.tenancy import remove_tenant, rotate_key
from tests.builders import ACCOUNT

if TYPE_CHECKING:
    from tests.builders import Desk

DAY = 24 * 3600


class Keys:
    """Master keys that may have been rotated since they were read."""

    def __init__(self, remembered: tuple[bytes, ...], fresh: tuple[bytes, ...]) -> None:
        self.remembered, self.fresh = remembered, fresh
        self.asked: list[bool] = []

    def master_keys(self, *, fresh: bool = False) -> tuple[bytes, ...]:
        """See the port."""
        self.asked.append(fresh)
        return self.fresh if fresh else self.remembered


def opens(desk: Desk, generation: int, master_key: bytes = b"new") -> bool:
    """Whether the account's key of a generation is good."""
    keys = Keys((b"new", b"old"), (b"new", b"old"))
    return is_authorized(desk.ports, keys, ACCOUNT, derive(master_key, ACCOUNT, generation))


def test_the_accounts_own_key_opens(desk: Desk) -> None:
    """By the current master key or the one before, without asking for them anew."""
    desk.tenant()
    keys = Keys((b"new", b"old"), ())
    assert is_authorized(desk.ports, keys, ACCOUNT, derive(b"new", ACCOUNT))
    assert is_authorized(desk.ports, keys, ACCOUNT, derive(b"old", ACCOUNT))
    assert keys.asked == [False, False]


def test_a_rotation_since_the_keys_were_read_is_noticed(desk: Desk) -> None:
    """A key of the newest master key opens, though only older ones are remembered."""
    desk.tenant()
    keys = Keys((b"old",), (b"new", b"old"))
    assert is_authorized(desk.ports, keys, ACCOUNT, derive(b"new", ACCOUNT))


def test_a_wrong_key_does_not_open(desk: Desk) -> None:
    """Neither another account's key, nor one of a master key that is gone, nor of a later generation, nor none."""
    desk.tenant()
    keys = Keys((b"new",), (b"new",))
    others = derive(b"new", "444455556666"), derive(b"gone", ACCOUNT), derive(b"new", ACCOUNT, 2), ""
    for wrong in others:
        assert not is_authorized(desk.ports, keys, ACCOUNT, wrong)


def test_the_key_before_is_good_for_its_grace(desk: Desk) -> None:
    """After a rotation both are, by either master key; after the grace the new one alone is."""
    desk.tenant()
    rotate_key(desk.ports, ACCOUNT, 30 * DAY, "test")
    desk.clock.advance(30 * DAY - 1)
    assert [opens(desk, generation) for generation in (1, 2, 3)] == [True, True, False]
    assert opens(desk, 1, b"old") and opens(desk, 2, b"old")
    desk.clock.advance(1)
    assert [opens(desk, generation) for generation in (1, 2, 3)] == [False, True, False]


def test_without_grace_the_key_before_is_good_no_more(desk: Desk) -> None:
    """A key that got out ends with the rotation, and so does one whose grace was not over."""
    desk.tenant()
    rotate_key(desk.ports, ACCOUNT, 30 * DAY, "test")
    rotate_key(desk.ports, ACCOUNT, 0, "test")
    assert [opens(desk, generation) for generation in (1, 2, 3)] == [False, False, True]


def test_a_new_key_is_good_at_once(desk: Desk) -> None:
    """A process that remembers the plan from before a tenant's rotation looks again before it refuses."""
    desk.tenant()
    other = desk.another()
    assert opens(other, 1)
    rotate_key(desk.ports, ACCOUNT, DAY, "test")
    assert opens(other, 2)


def test_an_account_that_never_was_a_tenant_has_the_first_key(desk: Desk) -> None:
    """What it held before can be announced to be given back; a leaving tenant keeps its own generation."""
    assert [opens(desk, generation) for generation in (1, 2)] == [True, False]
    desk.tenant(generation=4)
    plan = desk.store.plan().tenants[ACCOUNT]
    assert plan == replace(plan, standing="active", generation=4)
    assert [opens(desk, generation) for generation in (1, 4)] == [False, True]


def test_one_that_was_removed_has_no_key(desk: Desk) -> None:
    """It holds nothing that it could announce; let in again it has another key than it ever had."""
    desk.tenant()
    rotate_key(desk.ports, ACCOUNT, 30 * DAY, "test")
    remove_tenant(desk.ports, ACCOUNT, "test")
    assert [opens(desk.another(), generation) for generation in (1, 2, 3)] == [False, False, False]
    desk.tenant()
    assert [opens(desk.another(), generation) for generation in (1, 2, 3)] == [False, False, True]
