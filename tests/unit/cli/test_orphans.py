"""`ipam orphans`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import ServiceUnavailableError
from ipam.services.orphans import seek_orphans
from tests.builders import ACCOUNT, STACK
from tests.invariants import check

if TYPE_CHECKING:
    from ipam.domain.owner import Grant
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

OTHER = STACK.replace("/net/", "/shop/")
DAY = 24 * 3600


@pytest.fixture
def lost(desk: Desk, vpcs: Pool) -> list[Grant]:
    """Two orphans, of two stacks: of one that is gone, and of one whose deletion failed."""
    desk.outside.stacks.can_ask = True
    grants = [desk.allocate(desk.request("Net", 24, stack=each, pool=vpcs)).grant for each in (STACK, OTHER)]
    desk.outside.stacks.standings |= {STACK: "gone", OTHER: "deleting-failed"}
    desk.outside.stacks.resources[OTHER, "Net"] = ""
    desk.clock.advance(2 * DAY)
    assert seek_orphans(desk.ports, desk.deadline).found == 2
    return grants


def test_they_are_listed(ipam: Keyboard, lost: list[Grant]) -> None:
    """With whose they were, since when and why; the group alone lists as well, in every form."""
    first, second = ipam.json("orphans", "list")
    assert first == {
        "cidr": "10.0.0.0/24",
        "pool": "vpcs",
        "account": ACCOUNT,
        "holder": "net",
        "resource": "Net",
        "since": "2027-01-17T08:01:00.000Z",
        "why": "stack-gone",
        "used_by": None,
        "allocation_id": lost[0].allocation_id,
        "holder_id": STACK,
        "pool_id": lost[0].pool_id,
        "description": "a network",
    }
    assert (second["why"], second["holder"]) == ("deletion-failed", "shop")
    assert ipam.json("orphans") == [first, second]
    assert [line["cidr"] for line in ipam.csv("orphans")] == ["10.0.0.0/24", "10.0.1.0/24"]
    table = ipam("orphans")
    assert "stack-gone" in table and lost[0].allocation_id in table and "holder id" not in table
    assert ipam("--output", "json", "orphans") == ipam("orphans", "--output", "json")


def test_there_may_be_none(ipam: Keyboard, vpcs: Pool) -> None:
    """Nothing is listed, and nothing to be released."""
    assert ipam.json("orphans") == []
    done = ipam.run("orphans", "release", "--all")
    assert (done.exit_code, done.stdout) == (0, "") and "no orphans" in done.stderr
    del vpcs


def test_they_are_released_by_a_word(ipam: Keyboard, lost: list[Grant], vpcs: Pool, desk: Desk) -> None:
    """Each is named before it asks; what was released is what is printed."""
    no = ipam.run("orphans", "release", "--all", answer="n\n")
    assert (no.exit_code, no.stdout) == (1, "")
    assert "10.0.0.0/24 of pool vpcs: stack net, Net, account 111122223333; the stack is gone" in no.stderr
    assert "its deletion failed" in no.stderr and "Release these 2?" in no.stderr
    assert len(desk.held(vpcs.pool_id)) == 2
    yes = ipam.run("orphans", "release", "--all", "--output", "csv", answer="y\n")
    assert yes.exit_code == 0 and [line.split(",")[0] for line in yes.stdout.splitlines()[1:]] == [
        str(grant.cidr) for grant in lost
    ]
    assert (desk.held(vpcs.pool_id), ipam.json("orphans")) == ([], [])
    check(desk.store)


def test_one_is_released_by_its_id(ipam: Keyboard, lost: list[Grant], vpcs: Pool, desk: Desk) -> None:
    """And no other; the form may be said before the group's command."""
    (done,) = ipam.json("orphans", "release", lost[1].allocation_id, "--yes")
    assert (done["cidr"], desk.held(vpcs.pool_id)) == ("10.0.1.0/24", ["10.0.0.0/24"])
    refused = ipam.refused("orphans", "release", lost[1].allocation_id, "--yes")
    assert "is not among the orphans" in refused


def test_it_has_to_be_said_which(ipam: Keyboard, lost: list[Grant]) -> None:
    """Ids or all, and not both; a text that is no id is none."""
    assert "say which" in ipam.misused("orphans", "release")
    assert "say which" in ipam.misused("orphans", "release", lost[0].allocation_id, "--all")
    assert "not an allocation id" in ipam.misused("orphans", "release", "10.0.0.0/24")


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        ("there", "its stack has it again"),
        ("changing", "is being changed"),
        ("unknown", "nobody says how its stack is"),
    ],
)
def test_a_stack_that_came_back_keeps_its_own(  # noqa: PLR0913, PLR0917 - fixtures
    ipam: Keyboard, lost: list[Grant], vpcs: Pool, desk: Desk, standing: str, said: str
) -> None:
    """It is asked again right before; the others are released, and the exit code says that not all were."""
    desk.outside.stacks.standings[STACK] = standing  # type: ignore[assignment]
    desk.outside.stacks.resources[STACK, "Net"] = lost[0].allocation_id
    done = ipam.run("orphans", "release", "--all", "--yes")
    assert done.exit_code == 1 and said in done.stderr and "refused: 1 of 2 were not released." in done.stderr
    assert str(lost[1].cidr) in done.stdout and lost[0].allocation_id not in done.stdout
    assert desk.held(vpcs.pool_id) == ["10.0.0.0/24"]
    assert len(ipam.json("orphans")) == (standing == "unknown")
    check(desk.store)


def test_without_a_way_to_ask_nothing_is_released(ipam: Keyboard, lost: list[Grant], vpcs: Pool, desk: Desk) -> None:
    """The next step is the setting, or the command that does not ask."""
    desk.outside.stacks.can_ask = False
    done = ipam.run("orphans", "release", "--all", "--yes")
    assert done.exit_code == 1 and "Set IPAM_DISCOVERY_ROLE" in done.stderr and "`ipam release`" in done.stderr
    assert len(desk.held(vpcs.pool_id)) == len(lost)


def test_too_much_asked_is_one_refusal(ipam: Keyboard, lost: list[Grant], vpcs: Pool, desk: Desk) -> None:
    """The others are released all the same."""
    desk.outside.stacks.busy = 1
    done = ipam.run("orphans", "release", "--all", "--yes")
    assert done.exit_code == 1 and "did not answer (Throttling)" in done.stderr
    assert desk.held(vpcs.pool_id) == [str(lost[0].cidr)]


def test_what_still_uses_them_is_shown(ipam: Keyboard, lost: list[Grant], desk: Desk) -> None:
    """By the ids of VPCs and subnets, some of them; what nobody says is a question mark."""
    networks = desk.outside.networks
    for number in range(4):
        networks.put(f"vpc-{number}", f"10.0.1.{number * 16}/28", of=OTHER)
    assert [row["used_by"] for row in ipam.json("orphans")] == [None, "vpc-0, vpc-1, vpc-2 and 1 more"]
    assert "vpc-0, vpc-1" in ipam("orphans") and "used by" in ipam("orphans")
    networks.closed = "AccessDenied"
    assert [row["used_by"] for row in ipam.json("orphans")] == ["?", "?"]
    networks.closed, networks.fault = "", ServiceUnavailableError("Amazon EC2", "RequestLimitExceeded")
    assert [row["used_by"] for row in ipam.json("orphans")] == ["?", "?"]
    del lost


def test_what_is_in_use_stays_unless_that_is_said(ipam: Keyboard, lost: list[Grant], vpcs: Pool, desk: Desk) -> None:
    """The others go; `--in-use` takes it back all the same."""
    desk.outside.networks.put("vpc-1", "10.0.0.0/24", of=STACK)
    done = ipam.run("orphans", "release", "--all", "--yes")
    assert done.exit_code == 1 and "10.0.0.0/24 is in use by vpc-1, account 111122223333" in done.stderr
    assert "--in-use" in done.stderr and "refused: 1 of 2 were not released." in done.stderr
    assert desk.held(vpcs.pool_id) == ["10.0.0.0/24"]
    ipam("orphans", "release", lost[0].allocation_id, "--in-use", "--yes")
    assert desk.held(vpcs.pool_id) == []
    check(desk.store)
