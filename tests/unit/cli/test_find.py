from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.services.pools import NewPool
from tests.builders import ACCOUNT, STACK
from tests.faults import Around

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipam.domain.pool import Pool
    from ipam.services.ports.store import Store
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard


def at(found: list[dict[str, Any]], position: str) -> list[tuple[str, str]]:
    """Tell the blocks of a position, with their states."""
    return [(each["cidr"], each["state"]) for each in found if each["position"] == position]


def test_an_address_leads_to_its_holder(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Who holds it, since when, for which stack, the way up to the scope, and what is on both sides."""
    for name in ("A", "B", "C", "D"):
        desk.allocate(desk.request(name, 24, pool=vpcs))
    found = ipam.json("find", "10.0.1.77")
    here = found[0]
    assert (here["looked_for"], here["cidr"], here["state"]) == ("10.0.1.77/32", "10.0.1.0/24", "allocated")
    assert (here["pool"], here["scope"]) == ("vpcs", "private")
    assert (here["holder"], here["holder_id"], here["resource"]) == ("net", STACK, "B")
    assert (here["account"], here["since"]) == (ACCOUNT, "2027-01-15T08:01:00.000Z")
    assert at(found, "before") == [("10.0.0.0/24", "allocated")]
    assert at(found, "after") == [("10.0.2.0/24", "allocated"), ("10.0.3.0/24", "allocated")]
    above = [(each["holder"], each["cidr"], each["pool"]) for each in found if each["position"] == "above"]
    assert above == [("vpcs", "10.0.0.0/16", "corporate"), ("corporate", "10.0.0.0/8", "private")]
    assert [each["since"] for each in found if each["position"] == "above"] == [
        "2027-01-15T08:01:00.000Z",
        "2027-01-15T08:00:00.000Z",
    ]


def test_people_read_the_answer_first(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The first line says what is there; the path runs from the leaf up to the scope; an arrow marks the place."""
    given = desk.allocate(desk.request("Net", 24, pool=vpcs, description="for the [shop]")).grant
    told = ipam("find", "10.0.0.9")
    first, *rest = told.splitlines()
    assert first == "10.0.0.9/32: allocated, in 10.0.0.0/24, pool vpcs"
    way = [line.split(maxsplit=1)[1].rstrip() for line in rest if line.startswith(("  in ", "  of "))]
    assert way == [
        "pool vpcs, 10.0.0.0/16, since 2027-01-15 08:01 UTC",
        "pool corporate, 10.0.0.0/8, since 2027-01-15 08:00 UTC",
        "scope private",
    ]
    assert all(fact in told for fact in ("stack net", STACK, ACCOUNT, given.allocation_id, "for the [shop]"))
    (marked,) = (line for line in rest if "->" in line)
    assert "10.0.0.0/24" in marked and "10.0.1.0/24" not in marked


def test_a_cooling_block_says_until_when(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What was released is found as cooling, with its end and the allocation that it was."""
    given = desk.allocate(desk.request(length=24, pool=vpcs)).grant
    desk.release("Net", given.allocation_id)
    (here,) = (each for each in ipam.json("find", "10.0.0.0/24") if each["position"] == "here")
    assert (here["state"], here["until"]) == ("cooling", "2027-01-15T08:02:00.000Z")
    assert (here["allocation_id"], here["holder"]) == (given.allocation_id, None)
    assert "until 2027-01-15 08:02" in ipam("find", "10.0.0.1")
    assert ipam.json("find", given.allocation_id)[0] == here


def test_a_free_block_is_found_as_free(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """An address that nobody holds is told with the free block that it is in, and who is beside it."""
    desk.allocate(desk.request(length=24, pool=vpcs))
    found = ipam.json("find", "10.0.1.1")
    assert at(found, "here") == [("10.0.1.0/24", "free")]
    assert at(found, "before") == [("10.0.0.0/24", "allocated")]
    assert at(found, "after") == [("10.0.2.0/23", "free"), ("10.0.4.0/22", "free")]


def test_a_block_may_hold_several(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Of a block that is cut up, all parts are told, of the last pool that has the whole of it."""
    desk.allocate(desk.request("A", 24, pool=vpcs))
    desk.allocate(desk.request("B", 25, pool=vpcs))
    assert at(ipam.json("find", "10.0.0.0/23"), "here") == [
        ("10.0.0.0/24", "allocated"),
        ("10.0.1.0/25", "allocated"),
        ("10.0.1.128/25", "free"),
    ]
    assert ipam("find", "10.0.0.0/23").startswith("10.0.0.0/23: 3 blocks, pool vpcs\n")
    assert at(ipam.json("find", "10.0.0.0/12"), "here")[0] == ("10.0.0.0/16", "allocated")


def test_every_scope_is_looked_at(ipam: Keyboard, vpcs: Pool, pool_of: Callable[..., Pool]) -> None:
    """The same address may be held once in each scope; one that no pool has is free space of them all."""
    del vpcs
    pool_of("10.0.0.0/8", name="other")
    here = [each for each in ipam.json("find", "10.0.0.1") if each["position"] == "here"]
    assert [(each["scope"], each["pool"]) for each in here] == [("private", "vpcs"), ("scope of other", "other")]
    nowhere = [each for each in ipam.json("find", "192.0.2.1") if each["position"] == "here"]
    assert [(each["pool"], each["state"]) for each in nowhere] == [("private", "free"), ("scope of other", "free")]
    assert "in no pool" in ipam("find", "192.0.2.1")


def test_ipv6_is_found_too(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """An IPv6 address is looked for among IPv6 blocks only."""
    six = desk.pool(NewPool("six", vpcs.scope_id, 6, locale="eu-central-1"), "fd00::/32")
    desk.allocate(desk.request(length=56, pool=six, family=6))
    (here,) = (each for each in ipam.json("find", "fd00::1") if each["position"] == "here")
    assert (here["cidr"], here["pool"], here["holder"]) == ("fd00::/56", "six", "net")
    assert at(ipam.json("find", "2001:db8::1"), "here") == [("::/1", "free")]


def test_ids_are_found(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """An allocation by its id; all that a stack holds, and all that a pool has of its parent."""
    first = desk.allocate(desk.request("A", 24, pool=vpcs)).grant
    desk.allocate(desk.request("B", 24, pool=vpcs))
    assert ipam.json("find", first.allocation_id)[0]["resource"] == "A"
    assert at(ipam.json("find", STACK), "here") == [("10.0.0.0/24", "allocated"), ("10.0.1.0/24", "allocated")]
    (own,) = (each for each in ipam.json("find", vpcs.pool_id) if each["position"] == "here")
    assert (own["cidr"], own["pool"], own["holder_type"], own["holder"]) == ("10.0.0.0/16", "corporate", "pool", "vpcs")
    assert ipam("find", f"{STACK}0") == f"{STACK}0 holds nothing\n"


def test_words_and_tags_are_found(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """A word of the description, of who holds it and of what it is called there, an account, and a whole tag."""
    first = desk.request("Front", 24, pool=vpcs, description="Shop, the blue one")
    desk.allocate(replace(first, tags=(("env", "prod"), ("team", "a b"))))
    ipam("allocate", "vpcs", "-n", "24", "--token", "printers")
    for word in ("BLUE", "front", "net", ACCOUNT, "env=prod", "team=a b"):
        (here,) = ipam.json("find", word)
        assert (here["position"], here["cidr"], here["state"], here["pool"]) == (
            "here",
            "10.0.0.0/24",
            "allocated",
            "vpcs",
        )
    assert [each["cidr"] for each in ipam.json("find", "printers")] == ["10.0.1.0/24"]
    for word in ("cloudformation", "env=pro", "violet"):
        assert ipam.json("find", word) == []
    assert "Shop, the blue one" in ipam("find", "blue")
    assert ipam("find", "violet") == "none\n"
    assert set(ipam.calls) == {"plan", "owners", "allocations"}
    assert ipam.json("find", "vpcs") == ipam.json("find", vpcs.pool_id)


def test_a_vpc_is_found(ipam: Keyboard, vpcs: Pool, desk: Desk, tmp_path: Path) -> None:
    """By its id: as the holder of an imported network, and as the network that a subnet pool divides."""
    networks = tmp_path / "networks.csv"
    networks.write_text("cidr,pool,holder_id\n10.0.64.0/24,vpcs,vpc-0a1b2c3d4e5f60718\n")
    ipam("import", str(networks))
    assert ipam.json("find", "vpc-0a1b2c3d4e5f60718")[0]["cidr"] == "10.0.64.0/24"
    assert ipam("find", "vpc-0a1b2c3d4e5f60718").startswith("10.0.64.0/24: allocated, pool vpcs\n")
    desk.allocate(desk.request("Net", cidr="10.0.0.0/24", pool=vpcs))
    divided = ("--source-vpc", "vpc-00000000000000001", "--vpc-owner", ACCOUNT, "--locale", "eu-central-1")
    ipam("pool", "create", "subnets", "--source", "vpcs", *divided)
    ipam("cidr", "provision", "subnets", "10.0.0.0/24")
    (here,) = ipam.json("find", "vpc-00000000000000001")
    assert (here["cidr"], here["divided_by"]) == ("10.0.0.0/24", "subnets")


def test_what_is_not_there_is_refused(ipam: Keyboard, vpcs: Pool) -> None:
    """An unknown id is refused with the next step; a word that is neither address nor id is wrong use."""
    del vpcs
    assert "`ipam history POOL`" in ipam.refused("find", f"ipam-pool-alloc-{'0' * 32}")
    assert "`ipam pool list`" in ipam.refused("find", f"ipam-pool-{'0' * 17}")
    assert "10.0.0.0/24" in ipam.refused("find", "10.0.0.5/24")
    assert "32 hexadecimal digits" in ipam.misused("find", "ipam-pool-alloc-x")
    assert "no address" in ipam.misused("find", "10.0.0.256")
    assert "it is empty" in ipam.misused("find", " ")
    assert "write fd00::1" in ipam.misused("find", "FD00::1")


class Moving(Around):
    """A store whose free blocks have just moved, the first times that they are looked at."""

    def __init__(self, store: Store, times: int) -> None:
        super().__init__(store)
        self.left = times

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name != "all_free" or not self.left:
            return super().call(name, do, args)
        self.left -= 1
        return iter(())


@pytest.mark.parametrize(("times", "settled"), [(1, True), (9, False)])
def test_what_moves_is_read_again(ipam: Keyboard, vpcs: Pool, desk: Desk, times: int, settled: bool) -> None:  # noqa: FBT001
    """Blocks that don't add up are read again; if they never do, the answer says so and names doctor."""
    del vpcs
    moving: Any = Moving(desk.store, times)
    desk.store = moving
    assert ("`ipam doctor`" not in ipam("find", "10.0.0.1")) is settled
