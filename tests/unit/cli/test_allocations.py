from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.builders import ACCOUNT, STACK
from tests.unit.cli.conftest import ADMINISTRATOR

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard


def test_allocations_are_listed_by_address(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Each with its holder: stack, resource, account, since when and what for."""
    desk.clock.milliseconds += 7
    desk.allocate(desk.request("Second", 24, pool=vpcs, description='of the shop, "large"'))
    desk.allocate(desk.request("First", cidr="10.0.200.0/24", pool=vpcs))
    held, other = ipam.json("allocation", "list", "vpcs")
    assert (held["cidr"], other["cidr"]) == ("10.0.0.0/24", "10.0.200.0/24")
    assert (held["holder_type"], held["holder"], held["holder_id"]) == ("stack", "net", STACK)
    assert (held["resource"], held["account"], held["allocation_type"]) == ("Second", ACCOUNT, "vpc")
    assert (held["created"], held["description"]) == ("2027-01-15T08:01:00.007Z", 'of the shop, "large"')
    assert (held["tags"], held["preview"], held["expires"]) == ([], False, None)
    (line, _) = ipam.csv("allocation", "list", vpcs.pool_id)
    assert list(line) == list(held)
    assert (line["description"], line["tags"], line["preview"], line["expires"]) == (
        held["description"],
        "",
        "false",
        "",
    )
    assert "net" in ipam("allocation", "list", "vpcs")


def test_export_has_every_allocation(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What scopes gave to pools, pools to pools, and pools to stacks: all of it, in both forms alike."""
    given = desk.allocate(desk.request(length=24, pool=vpcs)).grant
    exported = json.loads(ipam("export", "--format", "json"))
    assert [(each["pool"], each["holder_type"], each["holder"], each["cidr"]) for each in exported] == [
        ("private", "pool", "corporate", "10.0.0.0/8"),
        ("corporate", "pool", "vpcs", "10.0.0.0/16"),
        ("vpcs", "stack", "net", "10.0.0.0/24"),
    ]
    assert exported[2]["allocation_id"] == given.allocation_id
    header, *lines = ipam("export").splitlines()
    assert header.split(",") == list(exported[0])
    assert len(lines) == 3


def test_history_tells_a_life(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What happened to a pool is told oldest first, though it is stored by address."""
    late = desk.allocate(desk.request("Late", cidr="10.0.128.0/24", pool=vpcs)).grant
    desk.clock.advance(5)
    desk.allocate(desk.request("Early", cidr="10.0.0.0/24", pool=vpcs))
    desk.clock.advance(5)
    desk.release("Late", late.allocation_id)
    told = ipam.json("history", "vpcs")
    assert [(each["event"], each["resource"]) for each in told] == [
        ("pool-created", None),
        ("allocated", "Late"),
        ("allocated", "Early"),
        ("released", "Late"),
    ]
    assert (told[3]["cidr"], told[3]["allocation_id"]) == ("10.0.128.0/24", late.allocation_id)
    assert [each["at"] for each in told] == sorted(each["at"] for each in told)
    assert (told[1]["holder"], told[1]["holder_id"], told[1]["account"]) == ("net", STACK, ACCOUNT)


def test_history_of_a_block(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """With a CIDR only records are told whose block is it, in it or around it."""
    desk.allocate(desk.request("Inside", cidr="10.0.1.0/24", pool=vpcs))
    desk.allocate(desk.request("Beside", cidr="10.0.4.0/24", pool=vpcs))
    assert [each["resource"] for each in ipam.json("history", "vpcs", "10.0.0.0/22")] == ["Inside"]
    assert [each["resource"] for each in ipam.json("history", "vpcs", "10.0.1.128/25")] == ["Inside"]
    assert ipam("history", "vpcs", "10.0.8.0/24") == "none\n"


def test_history_of_exactly_a_block(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What happened to one block is one small read; what happened beside it, and to parts of it, is not in it."""
    desk.allocate(desk.request("Net", cidr="10.0.1.0/24", pool=vpcs))
    assert [each["resource"] for each in ipam.json("history", "vpcs", "10.0.1.0/24", "--exact")] == ["Net"]
    assert ipam.json("history", "vpcs", "10.0.0.0/22", "--exact") == []
    assert "say the block" in ipam.misused("history", "vpcs", "--exact")


def test_history_of_a_block_alone(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Every pool that has it now is looked at, and each record names its own; with an address too."""
    desk.allocate(desk.request(length=24, pool=vpcs))
    for words in (("10.0.0.0/24",), ("10.0.0.77",), ("10.0.0.0/24", "--output", "json")):
        assert "allocated" in ipam("history", *words)
    told = ipam.json("history", "10.0.0.0/24")
    assert [(each["subject"], each["event"], each["cidr"]) for each in told] == [
        ("corporate", "allocated", "10.0.0.0/16"),
        ("vpcs", "allocated", "10.0.0.0/24"),
    ]
    assert [each["event"] for each in ipam.json("history", "10.0.0.0/24", "--exact")] == ["allocated"]
    assert "No pool has 192.0.2.0/24" in ipam.refused("history", "192.0.2.0/24")
    assert "Write 10.0.0.0/24" in ipam.refused("history", "10.0.0.1/24")


def test_what_was_deleted_has_a_history(ipam: Keyboard, vpcs: Pool) -> None:
    """By the id that it had; a name that nobody has is no subject."""
    ipam("pool", "delete", "vpcs", "--yes")
    told = ipam.json("history", vpcs.pool_id)
    assert [each["event"] for each in told] == ["pool-created", "pool-deleted"]
    assert told[1]["cause"] == f"ipam command line, {ADMINISTRATOR}"
    assert "no pool" in ipam.refused("history", "vpcs")
    assert "no pool" in ipam.refused("history", f"ipam-pool-alloc-{0:032x}")


def test_what_lasts_for_a_time_says_so(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """A lease and a preview have their ends in the listing, in the export, and in the drawing."""
    ipam("pool", "edit", "vpcs", "--lease", "30d")
    desk.allocate(desk.request("Leased", cidr="10.0.0.0/24", pool=vpcs))
    ipam("preview", "vpcs", "--cidr", "10.0.1.0/24", "--type", "vpc", "--for", "10m")
    leased, held = ipam.json("allocation", "list", "vpcs")
    assert (leased["expires"], leased["preview"]) == ("2027-02-14T08:01:00.000Z", False)
    assert (held["expires"], held["preview"]) == ("2027-01-15T08:11:00.000Z", True)
    assert [each["expires"] for each in ipam.csv("plan", "show", "vpcs")] == [leased["expires"], held["expires"]]
    drawn = ipam("plan", "show", "vpcs")
    assert "1 leased, 1 held by previews" in drawn
    assert "2027-01-15 08:11:00 preview" in drawn
    (corporate, pool) = ipam.json("plan", "show")
    assert (corporate["pool"], corporate["leases"], corporate["percent_allocated"]) == ("corporate", 0, 0.391)
    assert (pool["pool"], pool["leases"], pool["previews"], pool["allocated"]) == ("vpcs", 1, 1, 512)


def test_export_takes_either_option(ipam: Keyboard, vpcs: Pool) -> None:
    """The form of the file may be said as everywhere, or as of a file; CSV is what is meant otherwise."""
    del vpcs
    assert ipam("export", "-o", "json") == ipam("export", "--format", "json") == ipam("-o", "json", "export")
    assert ipam("export") == ipam("-o", "csv", "export")


def test_a_scope_has_a_history_too(ipam: Keyboard, vpcs: Pool) -> None:
    """By name or id; what it gave to pools is in it."""
    told = ipam.json("history", "private")
    assert [each["event"] for each in told] == ["scope-created", "allocated"]
    assert told[1]["holder"] == "corporate"
    assert ipam.json("history", vpcs.scope_id) == told
