"""`ipam tenant`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.services.pools import NewPool
from tests.builders import ACCOUNT, REGION

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

OTHER = "444455556666"


def test_accounts_are_listed_with_their_quotas(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What each account holds of each pool, and may hold at most; what it has given back is not among it."""
    ipam("pool", "edit", "vpcs", "--max-allocations", "5", "--max-units", "4096")
    desk.pool(NewPool("another", vpcs.scope_id, locale=REGION), "172.16.0.0/16")
    desk.allocate(desk.request("A", 24, pool=vpcs))
    desk.allocate(desk.request("B", 25, pool=vpcs))
    desk.allocate(desk.request("C", 24, pool_name="another"))
    gone = desk.allocate(desk.request("D", 24, pool=vpcs, account=OTHER)).grant
    listed = ipam.json("tenant", "list")
    assert [(row["account"], row["pool"], row["allocations"], row["units"]) for row in listed] == [
        (ACCOUNT, "another", 1, 256),
        (ACCOUNT, "vpcs", 2, 384),
        (OTHER, "vpcs", 1, 256),
    ]
    assert [(row["max_allocations"], row["max_units"]) for row in listed[:2]] == [(None, None), (5, 4096)]
    assert ipam.json("tenant", "show", ACCOUNT) == listed[:2]
    assert [row["account"] for row in ipam.csv("tenant", "list")] == [ACCOUNT, ACCOUNT, OTHER]
    assert "4,096" in ipam("tenant", "list")
    ipam("release", gone.allocation_id, "--yes")
    assert ipam.json("tenant", "show", OTHER) == []
    assert [row["account"] for row in ipam.json("tenant", "list")] == [ACCOUNT, ACCOUNT]


def test_a_tenants_key_is_printed_alone(ipam: Keyboard) -> None:
    """The key is its account's: 64 hexadecimal digits, another one for another account."""
    first, second = ipam("tenant", "key", ACCOUNT), ipam("tenant", "key", OTHER)
    assert len(first.strip()) == 64 and int(first, 16)
    assert first != second
    assert ipam.json("tenant", "key", ACCOUNT) == {"account": ACCOUNT, "authorizationkey": first.strip()}
    assert "twelve digits" in ipam.misused("tenant", "key", "1234")
