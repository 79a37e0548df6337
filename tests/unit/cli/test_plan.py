from __future__ import annotations

from typing import TYPE_CHECKING

from tests.invariants import check

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard


def test_a_plan_is_laid_out_by_commands(ipam: Keyboard, desk: Desk) -> None:
    """Scope, pools and CIDRs made one after the other stand in the plan as they were described, and it is sound."""
    scope = ipam("scope", "create", "private", "--description", "inside").strip()
    top = ipam("pool", "create", "corporate").strip()
    leaf = ipam(
        *("pool", "create", "vpcs", "--source", "corporate", "--locale", "eu-central-1", "--type", "vpc"),
        *("--min", "16", "--max", "28", "--default", "24", "--cooling-seconds", "60", "--max-allocations", "3"),
    ).strip()
    assert ipam("cidr", "provision", "corporate", "10.0.0.0/8") == "10.0.0.0/8\n"
    assert ipam("cidr", "provision", "vpcs", "/16") == "10.0.0.0/16\n"
    plan = desk.store.plan()
    pool = plan.named("vpcs")
    assert (pool.pool_id, pool.source_pool_id, pool.scope_id) == (leaf, top, scope)
    assert (pool.rules.min_netmask_length, pool.rules.max_netmask_length) == (16, 28)
    assert (pool.rules.default_netmask_length, pool.quota.allocations, pool.cooling_seconds) == (24, 3, 60)
    assert pool.allocation_types == {"vpc"}
    check(desk.store, canonical=True)


def test_what_is_created_is_printed_as_it_is_listed(ipam: Keyboard) -> None:
    """For programs, create prints the record that list has."""
    scope = ipam.json("scope", "create", "private", "--type", "private")
    pool = ipam.json("pool", "create", "corporate")
    cidr = ipam.json("cidr", "provision", "corporate", "10.0.0.0/8")
    assert [scope | {"pools": 1}] == ipam.json("scope", "list")
    assert [pool | {"cidrs": ["10.0.0.0/8"]}] == ipam.json("pool", "list")
    assert [cidr] == ipam.json("cidr", "list")


def test_a_cidr_of_a_size_is_a_new_order_each_time(ipam: Keyboard, vpcs: Pool) -> None:
    """Ordered by size twice, two blocks are given; with a token, or as an exact block, one."""
    first, second = (ipam("cidr", "provision", "vpcs", "/20") for _ in range(2))
    assert first != second
    named, again = (ipam("cidr", "provision", "vpcs", "/20", "--token", "order 1") for _ in range(2))
    assert named == again
    exact, once_more = (ipam("cidr", "provision", vpcs.pool_id, "10.8.0.0/16") for _ in range(2))
    assert exact == once_more
    assert len(ipam.json("cidr", "list", "vpcs")) == 5


def test_scopes_are_listed_by_name(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Each scope with its type, and how many pools it has."""
    desk.scope("another")
    listed = ipam.json("scope", "list")
    assert [(scope["name"], scope["scope_type"], scope["pools"]) for scope in listed] == [
        ("another", "private", 0),
        ("private", "private", 2),
    ]
    assert listed[1]["scope_id"] == vpcs.scope_id
    assert "another" in ipam("scope", "list")


def test_pools_are_listed_from_the_top_down(ipam: Keyboard, vpcs: Pool) -> None:
    """A pool stands below the one that its space comes from, with names and not ids of both."""
    corporate, leaf = ipam.json("pool", "list")
    assert (corporate["name"], corporate["source_pool"], corporate["depth"]) == ("corporate", None, 1)
    assert (leaf["name"], leaf["source_pool"], leaf["depth"]) == ("vpcs", "corporate", 2)
    assert (leaf["pool_id"], leaf["scope"], leaf["locale"]) == (vpcs.pool_id, "private", "eu-central-1")
    assert (leaf["cidrs"], leaf["address_family"]) == (["10.0.0.0/16"], "ipv4")
    assert leaf["created"] == "2027-01-15T08:01:00.000Z"


def test_a_pool_is_shown_with_its_use(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Held, cooling and free addresses add up to what is provisioned."""
    given = desk.allocate(desk.request("Gone", 24, pool=vpcs)).grant
    desk.allocate(desk.request("Stays", 24, pool=vpcs))
    desk.release("Gone", given.allocation_id)
    shown = ipam.json("pool", "show", "vpcs")
    assert (shown["provisioned"], shown["allocated"], shown["cooling"]) == (65536, 256, 256)
    assert shown["free"] == 65536 - 512
    assert (shown["largest_free"], shown["percent_allocated"]) == ("10.0.128.0/17", 0.391)
    assert ipam.json("pool", "show", "corporate")["child_pools"] == ["vpcs"]
    (line,) = ipam.csv("pool", "show", vpcs.pool_id)
    assert (line["name"], line["cidrs"], line["max_units"]) == ("vpcs", "10.0.0.0/16", "")
    assert "65,536" in ipam("pool", "show", "vpcs")


def test_cidrs_are_listed_with_their_origin(ipam: Keyboard, vpcs: Pool) -> None:
    """Each provisioned CIDR names the pool or scope that gave it, by which allocation and when."""
    top, leaf = ipam.json("cidr", "list")
    assert (top["cidr"], top["pool"], top["source"]) == ("10.0.0.0/8", "corporate", "private")
    assert (leaf["cidr"], leaf["pool_id"], leaf["source"]) == ("10.0.0.0/16", vpcs.pool_id, "corporate")
    (given,) = ipam.json("allocation", "list", "corporate")
    assert (leaf["allocation_id"], leaf["created"]) == (given["allocation_id"], given["created"])
    assert ipam.json("cidr", "list", "corporate") == [top]


def test_the_plan_is_drawn(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The tree has every pool under its source; of a pool that is named, its own part and its allocations."""
    desk.allocate(desk.request(length=24, pool=vpcs, description="[/bold] \x1b[31mred"))
    whole = ipam("plan", "show")
    assert whole.index("private scope") < whole.index("corporate") < whole.index("vpcs")
    drawn = ipam("plan", "show", "vpcs")
    assert drawn.startswith("vpcs  eu-central-1  10.0.0.0/16") and "corporate" not in drawn
    assert "[/bold]  [31mred" in drawn
    assert "\x1b" not in drawn
    above = ipam("plan", "show", "corporate")
    assert above.index("corporate") < above.index("vpcs") < above.index("allocations of corporate")


def test_a_bar_is_read_without_colours(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What is filled is drawn otherwise than what is not, and a little is seen."""
    assert f"{'░' * 10} 0.0% allocated" in ipam("plan", "show", "vpcs")
    desk.allocate(desk.request(cidr="10.0.0.0/24", pool=vpcs))
    assert f"█{'░' * 9} 0.4% allocated" in ipam("plan", "show", "vpcs")
    desk.allocate(desk.request("Half", cidr="10.0.128.0/17", pool=vpcs))
    assert f"{'█' * 5}{'░' * 5} 50.4% allocated" in ipam("plan", "show", "vpcs")


def test_the_form_is_said_before_or_after_the_command(ipam: Keyboard, vpcs: Pool) -> None:
    """`ipam --output json` holds for its command, whose own option stands above it."""
    del vpcs
    assert ipam("--output", "json", "pool", "list") == ipam("pool", "list", "--output", "json")
    assert ipam("--output", "json", "pool", "list", "-o", "csv") == ipam("pool", "list", "--output", "csv")


def test_nothing_to_list_is_said(ipam: Keyboard) -> None:
    """An empty listing is the word none, an empty array, or a header alone."""
    assert ipam("pool", "list") == "none\n"
    assert ipam("pool", "list", "-o", "json") == "[]\n"
    assert ipam("scope", "list", "-o", "csv").startswith("scope_id,name,scope_type,description,pools")
