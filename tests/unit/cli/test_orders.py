"""`ipam allocate` and `ipam preview`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.pool import AllocationRules, Quota
from ipam.domain.preview import read_token
from ipam.services.leases import keep_leases
from ipam.services.pools import NewPool, edit_pool
from ipam.services.ports import NoDeadline
from tests.builders import ACCOUNT, REGION
from tests.invariants import check
from tests.unit.cli.conftest import ADMINISTRATOR

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard


def rule(desk: Desk, pool: Pool, **rules: Any) -> None:
    """Change rules of a pool."""
    edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, rules=replace(old.rules, **rules)), "test")


def test_a_block_is_allocated_and_explained(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Standard output has the block and its id, for programs; standard error where it is from and how to repeat it."""
    done = ipam.run("allocate", "vpcs", "-n", "24", "--type", "vpc", "--description", "legacy", "--token", "order-1")
    cidr, allocation_id = done.stdout.split()
    (held,) = desk.store.allocations(vpcs.pool_id)
    assert (cidr, allocation_id) == (str(held.cidr), held.allocation_id)
    assert (held.owner.party, held.description, held.account) == ("cli:order-1", "legacy", "")
    assert "From pool vpcs." in done.stderr and "--token order-1" in done.stderr
    (record,) = (each for each in desk.store.audit(vpcs.pool_id) if each.event == "allocated")
    assert record.cause == f"ipam command line, {ADMINISTRATOR}"
    check(desk.store)


def test_the_same_token_gives_the_same_block(ipam: Keyboard, vpcs: Pool) -> None:
    """Repeated, an order is answered with what it has; without a token each order is another one."""
    words = ("allocate", "vpcs", "--netmask-length", "/24", "--type", "vpc")
    first = ipam.json(*words, "--token", "once")
    again = ipam.json(*words, "--token", "once")
    assert (first["outcome"], again["outcome"]) == ("allocated", "kept")
    assert {name: first[name] for name in ("cidr", "allocation_id", "created")} == {
        name: again[name] for name in ("cidr", "allocation_id", "created")
    }
    assert "nothing was changed" in ipam.run(*words, "--token", "once").stderr
    assert ipam.json(*words)["cidr"] != ipam.json(*words)["cidr"]
    assert len(ipam.json("allocation", "list", vpcs.pool_id)) == 3


def test_a_token_is_for_one_order(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Another order under the same token is refused with what the first has; released, the token orders anew."""
    del vpcs
    first = ipam.json("allocate", "vpcs", "-n", "24", "--type", "vpc", "--token", "x")
    assert first["cidr"] in ipam.refused("allocate", "vpcs", "-n", "25", "--type", "vpc", "--token", "x")
    ipam("release", first["cidr"], "--yes")
    desk.clock.advance(1)
    second = ipam.json("allocate", "vpcs", "-n", "25", "--type", "vpc", "--token", "x")
    assert second["outcome"] == "allocated"


def test_what_is_allocated_can_be_imported(ipam: Keyboard, vpcs: Pool) -> None:
    """The limits of words are those of an import, so that an export is read by one."""
    del vpcs
    assert "it has 300 characters" in ipam.misused("allocate", "vpcs", "-n", "24", "--description", "x" * 300)
    assert "at most 128 characters" in ipam.misused("preview", "vpcs", "-n", "24", "--tag", f"{'k' * 129}=v")
    ipam("allocate", "vpcs", "-n", "24", "--description", "x" * 255)


def test_pools_are_tried_in_their_order(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The first pool with room serves, and it is said which were passed over, and why."""
    small = desk.pool(NewPool("small", vpcs.scope_id, locale=REGION), "172.16.0.0/28")
    told = ipam.json("allocate", "small", "vpcs", "-n", "24")
    assert (told["pool"], told["passed_over"]) == ("vpcs", ["small:PoolExhausted"])
    assert ipam.json("allocate", small.pool_id, "vpcs", "-n", "28")["pool"] == "small"
    assert "Pool small was passed over: it has no room." in ipam.run("allocate", "small", "vpcs", "-n", "24").stderr


def test_pools_are_chosen_by_what_they_are(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """By Region, type, family and tags; without names and without a Region nothing is chosen."""
    tagged = NewPool("tagged", vpcs.scope_id, locale="eu-west-1", tags=(("env", "prod"),))
    desk.pool(tagged, "172.16.0.0/16")
    assert ipam.json("allocate", "--locale", REGION, "--type", "vpc", "-n", "24")["pool"] == "vpcs"
    assert ipam.json("allocate", "--locale", "eu-west-1", "--pool-tag", "env=prod", "-n", "24")["pool"] == "tagged"
    refused = ipam.refused("allocate", "--locale", "eu-west-1", "--pool-tag", "env=test", "-n", "24")
    assert '"env=test"' in refused and "`ipam pool list`" in refused
    assert "IPv6" in ipam.refused("allocate", "--locale", REGION, "--family", "ipv6", "-n", "56")
    assert "--locale" in ipam.misused("allocate", "-n", "24")
    assert "eu-central-1, eu-west-1" in ipam.misused("allocate", "vpcs", "tagged", "-n", "24")


def test_pools_of_one_scope_are_chosen_among(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Of the default one; where that has none, whoever asks has to name a pool."""
    for name in ("lab", "branch"):
        scope = desk.scope(f"the {name}")
        desk.pool(NewPool(f"a {name}", scope, locale=REGION), "10.0.0.0/16")
        desk.pool(NewPool(name, scope, locale="eu-west-1"), "10.1.0.0/16")
    for command in ("allocate", "preview"):
        assert ipam.json(command, "--locale", REGION, "--type", "vpc", "-n", "24")["pool"] == vpcs.name
        told = ipam.refused(command, "--locale", "eu-west-1", "--type", "vpc", "-n", "24")
        assert '"the branch", "the lab"' in told and "Name pools" in told
        assert ipam.json(command, "lab", "-n", "24")["pool"] == "lab"


def test_each_of_the_pools_says_why_not(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The first refusal that tells something in full, the others in short."""
    desk.pool(NewPool("small", vpcs.scope_id, locale=REGION), "172.16.0.0/28")
    told = ipam.refused("allocate", "small", "vpcs", "-n", "12", "--type", "vpc")
    assert told.startswith('refused: Pool "small" has no free /12')
    assert told.endswith('As to the others: "vpcs" has no room.')


def test_limits_that_leave_nothing_are_named(ipam: Keyboard, vpcs: Pool) -> None:
    """A free pool is not said to be full."""
    ipam("pool", "edit", "vpcs", "--disallow", "10.0.0.0/16", "--disallow", "10.1.0.0/16")
    told = ipam.refused("allocate", "vpcs", "-n", "24", "--type", "vpc")
    assert "AllowedCidrs and DisallowedCidrs of the pool" in told
    del vpcs


def test_a_length_that_no_address_has_is_named(ipam: Keyboard, vpcs: Pool) -> None:
    """In words that are not those of the engine."""
    del vpcs
    assert "has no /99: its netmask lengths end at 32" in ipam.refused("cidr", "provision", "vpcs", "/99")


def test_what_is_left_open_is_the_pools(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Length, Region, family, and the type where a pool serves one only; else it is a custom allocation."""
    six = NewPool(
        "six", vpcs.scope_id, 6, locale=REGION, allocation_types=frozenset({"vpc"}), rules=AllocationRules(44, 60, 56)
    )
    pool = desk.pool(six, "fd00::/40")
    assert ipam.json("allocate", "six")["cidr"] == "fd00::/56"
    (held,) = desk.store.allocations(pool.pool_id)
    assert held.allocation_type == "vpc"
    ipam("allocate", "vpcs", "--cidr", "10.0.9.0/24")
    (other,) = desk.store.allocations(vpcs.pool_id)
    assert (str(other.cidr), other.allocation_type) == ("10.0.9.0/24", "custom")


def test_rules_hold_for_administrators_too(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Each refusal names the rule and the option that helps; sharing and approval are for tenants only."""
    rule(desk, vpcs, min_netmask_length=20, max_netmask_length=26, required_tags=(("owner", "net"),))
    assert "its largest block is a /20" in ipam.refused("allocate", "vpcs", "-n", "19", "--tag", "owner=net")
    assert "its smallest block is a /26" in ipam.refused("allocate", "vpcs", "-n", "27", "--tag", "owner=net")
    assert "--netmask-length" in ipam.refused("allocate", "vpcs", "--tag", "owner=net")
    assert 'requires the tag "owner" with the value "net"' in ipam.refused("allocate", "vpcs", "-n", "24")
    assert 'not "me". Add it with --tag' in ipam.refused("allocate", "vpcs", "-n", "24", "--tag", "owner=me")
    rule(desk, vpcs, required_tags=(), disallowed_cidrs=(vpcs_block := vpcs_first(desk, vpcs),))
    assert "`ipam pool edit`" in ipam.refused("allocate", "vpcs", "--cidr", str(vpcs_block))
    edit_pool(desk.ports, vpcs.pool_id, lambda old: replace(old, shared_with=("999999999999",)), "test")
    rule(desk, vpcs, approval_netmask_length=24)
    assert ipam.json("allocate", "vpcs", "-n", "22", "--account", ACCOUNT)["account"] == ACCOUNT


def vpcs_first(desk: Desk, pool: Pool) -> Any:
    """Give the first /24 of a pool."""
    return next(desk.store.plan().space(pool.pool_id).provisioned[0].subnets(24))


def test_an_accounts_quota_counts(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """What is allocated for an account is counted for it, and refused beyond its quota with where to look."""
    edit_pool(desk.ports, vpcs.pool_id, lambda old: replace(old, quota=Quota(1, None)), "test")
    ipam("allocate", "vpcs", "-n", "24", "--account", ACCOUNT)
    assert desk.store.quota(ACCOUNT, vpcs.pool_id).allocations == 1
    refused = ipam.refused("allocate", "vpcs", "-n", "24", "--account", ACCOUNT)
    assert f"`ipam tenant show {ACCOUNT}`" in refused
    ipam("allocate", "vpcs", "-n", "24")
    check(desk.store)


def test_no_room_is_refused_with_what_there_is(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The largest free block, what cools, and the next step; a pool without CIDRs says so."""
    desk.pool(NewPool("empty", vpcs.scope_id, locale=REGION))
    assert "`ipam cidr provision`" in ipam.refused("allocate", "empty", "-n", "24")
    ipam("allocate", "vpcs", "--cidr", "10.0.0.0/17")
    gone = ipam.json("allocate", "vpcs", "--cidr", "10.0.128.0/18")
    ipam("release", gone["allocation_id"], "--yes")
    refused = ipam.refused("allocate", "vpcs", "-n", "17")
    assert "largest free block is 10.0.192.0/18; 1 cooling, the next free 2027-01-15 08:02:00 UTC" in refused
    assert "`ipam plan show vpcs`" in refused
    assert "`ipam find 10.0.0.0/24`" in ipam.refused("allocate", "vpcs", "--cidr", "10.0.0.0/24")


def test_wrong_words_are_told(ipam: Keyboard, vpcs: Pool) -> None:
    """Exit code 2 and what is right, before anything is asked of the table."""
    del vpcs
    for words, told in (
        (("-n", "x"), "no netmask length"),
        (("-n", "24", "--cidr", "10.0.0.0/24"), "say one of the two"),
        (("-n", "24", "--account", "12"), "twelve digits"),
        (("-n", "24", "--tag", "owner"), "KEY=VALUE"),
        (("-n", "24", "--tag", "a=1", "--tag", "a=2"), "said twice"),
        (("-n", "24", "--token", "two words"), "is no token"),
    ):
        assert told in ipam.misused("allocate", "vpcs", *words)
        assert ipam.committed == []
    for text in ("0", "1y", "-5", "99999d", "٣"):
        assert "is no time" in ipam.misused("preview", "vpcs", "-n", "24", "--for", text)
    assert "30d at most" in ipam.misused("preview", "vpcs", "-n", "24", "--for", "31d")


def test_a_preview_holds_its_block(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """It prints the block and the token; meanwhile nobody else gets it; redeemed, it is exactly that block, once."""
    cidr, token = ipam("preview", "vpcs", "-n", "24", "--type", "vpc", "--for", "10m", "--account", ACCOUNT).split()
    read = read_token(token)
    assert read is not None and str(read.cidr) == cidr
    assert ipam.json("allocate", "vpcs", "-n", "24", "--type", "vpc")["cidr"] != cidr
    given = ipam.json("allocate", "--preview-token", token)
    assert (given["cidr"], given["account"], given["expires"]) == (cidr, ACCOUNT, None)
    assert given["allocation_id"] != read.allocation_id
    again = ipam.json("allocate", "--preview-token", token)
    assert (again["outcome"], again["allocation_id"]) == ("kept", given["allocation_id"])
    assert "`ipam preview`" in ipam.refused("allocate", "--preview-token", token, "--token", "another")
    (held, _) = desk.store.allocations(vpcs.pool_id)
    assert (held.allocation_type, held.account) == ("vpc", ACCOUNT)
    check(desk.store)


def test_a_preview_ends(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """An hour is what is meant otherwise; afterwards the token is worth nothing, and the order says that it is over."""
    held = ipam.json("preview", "vpcs", "-n", "24", "--type", "vpc", "--token", "plan")
    assert held["expires"] == "2027-01-15T09:01:00.000Z"
    assert ipam.json("preview", "vpcs", "-n", "24", "--type", "vpc", "--token", "plan")["outcome"] == "kept"
    desk.clock.advance(3600)
    assert "Take another token" in ipam.refused("preview", "vpcs", "-n", "24", "--type", "vpc", "--token", "plan")
    assert "`ipam preview`" in ipam.refused("allocate", "--preview-token", held["preview_token"])
    keep_leases(desk.ports, vpcs, NoDeadline())
    assert desk.held(vpcs.pool_id) == []
    desk.clock.advance(1)
    assert ipam.json("preview", "vpcs", "-n", "24", "--type", "vpc", "--token", "plan")["outcome"] == "allocated"
    check(desk.store)


def test_a_preview_is_taken_under_its_own_token(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The order that holds a block may be the one that takes it."""
    held = ipam.json("preview", "vpcs", "-n", "24", "--type", "vpc", "--token", "one")
    words = ("allocate", "--preview-token", held["preview_token"], "--token", "one")
    assert ipam.json(*words)["cidr"] == held["cidr"]
    assert ipam.json(*words)["outcome"] == "kept"
    check(desk.store)
    del vpcs


def test_a_stack_takes_what_was_held_for_it(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """PreviewToken of a stack in the account that the preview was for; of another account it is refused."""
    token = ipam.json("preview", "vpcs", "-n", "24", "--type", "vpc", "--account", ACCOUNT)["preview_token"]
    asked = desk.request("Net", 24, pool=vpcs)
    order = replace(asked, ask=replace(asked.ask, preview_token=token))
    assert str(desk.allocate(order).grant.cidr) == str(read_cidr(token))
    check(desk.store)


def read_cidr(token: str) -> Any:
    """Tell the block of a token."""
    read = read_token(token)
    return None if read is None else read.cidr


@pytest.mark.parametrize("token", ["x", "ipam-pool-alloc-x@y@z", f"ipam-pool-alloc-{'0' * 32}@ipam-pool-1@10.0.0.0/24"])
def test_a_token_that_is_none_is_refused(ipam: Keyboard, vpcs: Pool, token: str) -> None:
    """What is no token, and a token of nothing, are refused alike; a choice beside a token is wrong use."""
    assert "names no block that is held" in ipam.refused("allocate", "--preview-token", token)
    good = ipam.json("preview", "vpcs", "-n", "24")["preview_token"]
    assert "leave the choice out" in ipam.misused("allocate", "vpcs", "--preview-token", good)
    del vpcs


def test_find_and_history_know_the_order(ipam: Keyboard, vpcs: Pool) -> None:
    """What the command line holds is found by its block and by its token, with who ordered it."""
    del vpcs
    ipam("allocate", "vpcs", "--cidr", "10.0.3.0/24", "--token", "legacy-7", "--tag", "owner=net")
    (here, *_) = ipam.json("find", "10.0.3.7")
    assert (here["holder_type"], here["holder"], here["holder_id"]) == ("administrator", "legacy-7", "cli:legacy-7")
    assert (here["cause"], here["tags"]) == (f"ipam command line, {ADMINISTRATOR}", ["owner=net"])
    assert ipam.json("find", "cli:legacy-7")[0] == here | {"looked_for": "10.0.3.0/24"}
    told = ipam("find", "10.0.3.7")
    assert "held by     administrator legacy-7" in told and ADMINISTRATOR in told
    assert ipam.json("history", "vpcs", "10.0.3.0/24")[0]["holder"] == "legacy-7"
    held = ipam.json("preview", "vpcs", "--cidr", "10.0.4.0/24")
    (here, *_) = ipam.json("find", held["preview_token"])
    assert (here["cidr"], here["preview"], here["expires"]) == ("10.0.4.0/24", True, held["expires"])
    assert ipam("find", "10.0.4.1").startswith("10.0.4.1/32: held by a preview, in 10.0.4.0/24")


@pytest.mark.parametrize("command", ["allocate", "preview"])
def test_an_order_has_one_record(ipam: Keyboard, vpcs: Pool, command: str) -> None:
    """JSON and CSV have the same fields, and nothing else is on standard output."""
    del vpcs
    fields = list(ipam.json(command, "vpcs", "-n", "24"))
    (line,) = ipam.csv(command, "vpcs", "-n", "24")
    assert list(line) == fields
