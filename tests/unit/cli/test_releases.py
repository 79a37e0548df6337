"""`ipam release` and `ipam renew`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import ServiceUnavailableError
from ipam.domain.pool import SourceResource
from ipam.entrypoints.cli import releases
from ipam.services.pools import NewPool, edit_pool
from ipam.services.provision import provision
from tests.builders import ACCOUNT, REGION, STACK, block
from tests.invariants import check
from tests.unit.cli.conftest import ADMINISTRATOR

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard


def leased(desk: Desk, pool: Pool, days: int = 30) -> Any:
    """Let a stack hold something for a time."""
    edit_pool(
        desk.ports,
        pool.pool_id,
        lambda old: replace(old, rules=replace(old.rules, lease_seconds=days * 86400)),
        "test",
    )
    return desk.allocate(desk.request(length=24, pool=pool)).grant


@pytest.mark.parametrize("by", ["id", "block"])
def test_a_block_is_taken_back(ipam: Keyboard, vpcs: Pool, desk: Desk, by: str) -> None:
    """By its id or exactly its block: it cools, the quota counts it no more, and the record says who did it."""
    grant = desk.allocate(desk.request(length=24, pool=vpcs)).grant
    what = grant.allocation_id if by == "id" else str(grant.cidr)
    assert ipam("release", what, "--yes") == f"10.0.0.0/24 {grant.allocation_id}\n"
    assert (desk.held(vpcs.pool_id), desk.cooling(vpcs.pool_id)) == ([], ["10.0.0.0/24"])
    assert desk.store.quota(ACCOUNT, vpcs.pool_id).allocations == 0
    last = ipam.json("history", "vpcs", "10.0.0.0/24")[-1]
    assert (last["event"], last["cause"]) == ("released", f"ipam command line, {ADMINISTRATOR}")
    assert (last["holder_id"], last["allocation_id"]) == (STACK, grant.allocation_id)
    check(desk.store)


def test_it_asks_first(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The question names the holder; no is a refusal, yes does it; without a terminal `--yes` is the next step."""
    grant = desk.allocate(desk.request(length=24, pool=vpcs)).grant
    no = ipam.run("release", "10.0.0.0/24", answer="n\n")
    assert (no.exit_code, no.stdout) == (1, "")
    assert (
        "10.0.0.0/24 of pool vpcs is held by stack net, account 111122223333, since 2027-01-15 08:01 UTC." in no.stderr
    )
    assert no.stderr.endswith("refused: Nothing was changed.\n")
    refused = ipam.refused("release", "10.0.0.0/24")
    assert "held by stack net" in refused and refused.endswith("There is no terminal to answer at: say --yes.")
    assert desk.held(vpcs.pool_id) == ["10.0.0.0/24"]
    yes = ipam.run("release", "10.0.0.0/24", answer="y\n")
    assert (yes.exit_code, yes.stdout) == (0, f"10.0.0.0/24 {grant.allocation_id}\n")
    assert "It cools for 1m." in yes.stderr


def test_somebody_else_may_be_faster(ipam: Keyboard, vpcs: Pool, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was given back while the question stood is not released again, and that is said."""
    grant = desk.allocate(desk.request(length=24, pool=vpcs)).grant

    def think(*_: object, **__: object) -> None:
        desk.release("Net", grant.allocation_id)

    monkeypatch.setattr(releases, "ask", think)
    done = ipam.run("release", "10.0.0.0/24")
    assert done.exit_code == 0 and "meanwhile: nothing was changed" in done.stderr
    assert len([each for each in ipam.json("history", "vpcs") if each["event"] == "released"]) == 1
    check(desk.store)


def test_what_a_pool_has_is_not_released(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """It is deprovisioned: the refusal has the command."""
    del desk
    assert "`ipam cidr deprovision vpcs 10.0.0.0/16`" in ipam.refused("release", "10.0.0.0/16", "--yes")
    (own,) = ipam.json("cidr", "list", vpcs.pool_id)
    assert "`ipam cidr deprovision vpcs 10.0.0.0/16`" in ipam.refused("release", own["allocation_id"], "--yes")


def test_a_divided_vpc_is_not_released(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The subnet pool goes first: the refusal has the command; `find` shows whose VPC it is."""
    given = desk.allocate(desk.request(length=24, pool=vpcs)).grant
    vpc = SourceResource("vpc-0123456789abcdef0", ACCOUNT, REGION)
    new = NewPool(
        "subnets",
        vpcs.scope_id,
        source_pool_id=vpcs.pool_id,
        locale=REGION,
        allocation_types=frozenset({"subnet"}),
        source_resource=vpc,
    )
    pool = desk.pool(new)
    provision(desk.ports, pool.pool_id, block("10.0.0.0/24"), "vpc", "test")
    assert "`ipam pool delete subnets`" in ipam.refused("release", given.allocation_id, "--yes")
    found = ipam.json("find", "10.0.0.1")
    above = next(each for each in found if each["position"] == "above")
    assert (above["divided_by"], above["holder"], above["account"]) == ("subnets", "net", ACCOUNT)
    assert "divides  vpc-0123456789abcdef0 of account 111122223333, held by stack net" in ipam("find", "10.0.0.1")
    check(desk.store)


def test_what_is_not_there_is_refused(ipam: Keyboard, vpcs: Pool, desk: Desk, pool_of: Any) -> None:
    """A block that is none, a released one, and one of several pools: each with the next step."""
    grant = desk.allocate(desk.request(length=24, pool=vpcs)).grant
    assert "`ipam find 10.0.0.0/25`" in ipam.refused("release", "10.0.0.0/25", "--yes")
    assert "`ipam history POOL`" in ipam.refused("release", f"ipam-pool-alloc-{'0' * 32}", "--yes")
    assert "32 hexadecimal digits" in ipam.misused("release", "ipam-pool-alloc-x")
    assert "canonical" in ipam.refused("release", "10.0.0.1/24", "--yes")
    other = pool_of("10.0.0.0/16", name="other")
    desk.allocate(desk.request("Other", cidr="10.0.0.0/24", pool=other))
    assert "vpcs, other. Say one with --pool" in ipam.refused("release", "10.0.0.0/24", "--yes")
    ipam("release", "10.0.0.0/24", "--pool", "vpcs", "--yes")
    assert desk.held(other.pool_id) == ["10.0.0.0/24"]
    assert "cooling until 2027-01-15 08:02:00 UTC" in ipam.refused("release", grant.allocation_id, "--yes")
    check(desk.store)


def test_an_allocation_that_is_gone_has_an_end(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Cooled and free again, it is still told what it was, and what became of it."""
    grant = desk.allocate(desk.request(length=24, pool=vpcs)).grant
    desk.clock.advance(1)
    ipam("release", "10.0.0.0/24", "--yes")
    desk.clock.advance(60)
    desk.reclaim(vpcs.pool_id)
    refused = ipam.refused("find", grant.allocation_id)
    assert "was 10.0.0.0/24 of vpcs: released 2027-01-15 08:01 UTC" in refused
    assert "`ipam history vpcs 10.0.0.0/24`" in refused


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_release_has_a_record(ipam: Keyboard, vpcs: Pool, desk: Desk, form: str) -> None:
    """It is the allocation as it was."""
    desk.allocate(desk.request(length=24, pool=vpcs))
    listed = getattr(ipam, form)("allocation", "list", "vpcs")
    released = getattr(ipam, form)("release", "10.0.0.0/24", "--yes")
    assert listed == ([released] if form == "json" else released)


def test_hostile_words_stay_words(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What a tenant wrote neither styles nor steers the terminal that it is shown on."""
    desk.allocate(
        desk.request("A\x1b[2J", 24, pool=vpcs, description="[red]\x1b]0;x\x07\r\nrefused: no", stack="x\x1b[1m")
    )
    for words in (("find", "10.0.0.1"), ("plan", "show", "vpcs"), ("allocation", "list", "vpcs"), ("history", "vpcs")):
        told = ipam(*words)
        assert not any(character in told for character in "\x1b\x07\r")
        assert "refused: no" not in told.splitlines()
    question = ipam.run("release", "10.0.0.0/24", answer="n\n").stderr
    assert "\x1b" not in question


def test_a_lease_is_renewed(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """From now on, as long as the pool says; the owner's record, the lease and the history say so."""
    grant = leased(desk, vpcs)
    desk.clock.advance(86400)
    done = ipam.run("renew", grant.allocation_id)
    assert done.stdout == f"10.0.0.0/24 {grant.allocation_id}\n"
    assert "Its lease ends 2027-02-15 08:01:00 UTC." in done.stderr
    until = grant.expires + 86_400_000
    lease = desk.store.lease(vpcs.pool_id, grant.cidr)
    assert lease is not None and lease.until == until == desk.record().grants[0].expires
    assert ipam.json("history", "vpcs", "10.0.0.0/24")[-1]["event"] == "renewed"
    check(desk.store)


def test_a_lease_is_renewed_for_a_time(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """As long as is said, but it never ends earlier for that."""
    leased(desk, vpcs)
    assert ipam.json("renew", "10.0.0.0/24", "--for", "60d")["expires"] == "2027-03-16T08:01:00.000Z"
    assert ipam.json("renew", "10.0.0.0/24", "--for", "1h")["expires"] == "2027-03-16T08:01:00.000Z"
    (line,) = ipam.csv("renew", "10.0.0.0/24")
    assert line["expires"] == "2027-03-16T08:01:00.000Z"


def test_what_has_no_lease_is_not_renewed(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What lasts until it is released; a preview; a pool that gives no leases any more."""
    desk.allocate(desk.request("Stays", cidr="10.0.1.0/24", pool=vpcs))
    assert "has no lease" in ipam.refused("renew", "10.0.1.0/24")
    ipam("preview", "vpcs", "--cidr", "10.0.2.0/24")
    assert "`ipam allocate --preview-token`" in ipam.refused("renew", "10.0.2.0/24")
    leased(desk, vpcs)
    ipam("pool", "edit", "vpcs", "--clear", "lease")
    assert "--for" in ipam.refused("renew", "10.0.0.0/24")
    assert ipam.json("renew", "10.0.0.0/24", "--for", "90d")["expires"] == "2027-04-15T08:01:00.000Z"


def test_what_a_network_still_uses_stays_unless_that_is_said(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Where the stack's account can be asked; `--in-use` does not ask."""
    desk.allocate(desk.request("Net", 24, pool=vpcs))
    desk.outside.networks.put("vpc-1", "10.0.0.0/24", of=STACK)
    refused = ipam.refused("release", "10.0.0.0/24", "--yes")
    assert "10.0.0.0/24 is in use by vpc-1, account 111122223333, eu-central-1." in refused
    assert "--in-use" in refused
    desk.outside.networks.fault = ServiceUnavailableError("Amazon EC2", "RequestLimitExceeded")
    assert "did not answer" in ipam.refused("release", "10.0.0.0/24", "--yes")
    assert desk.held(vpcs.pool_id) == ["10.0.0.0/24"]
    ipam("release", "10.0.0.0/24", "--in-use", "--yes")
    assert desk.held(vpcs.pool_id) == []
    check(desk.store)
