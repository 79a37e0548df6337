"""`ipam pool create`, `edit`, `show` and `delete`, and `ipam cidr`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.pool import AllocationRules, Quota, SourceResource
from ipam.entrypoints.cli import cascade
from ipam.services.pools import NewPool
from tests.builders import ACCOUNT, REGION, block
from tests.invariants import check
from tests.unit.cli.conftest import ADMINISTRATOR

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

RULES = (
    *("--require-tag", "owner=net", "--allow", "10.0.0.0/17", "--disallow", "10.0.64.0/18"),
    *("--approve-above", "24", "--lease", "30d", "--strategy", "sparse"),
)
ALL = (
    *("--min", "16", "--max", "28", "--default", "24", "--type", "vpc", "--type", "custom"),
    *("--max-allocations", "3", "--max-units", "4096", "--cooling-seconds", "60", "--description", "of the shop"),
    *("--tag", "env=prod", "--share", ACCOUNT, "--share", "ou-ab12-cd34ef56", "--auto-import", "--sticky"),
    *RULES,
)


def test_a_pool_is_created_with_all_that_it_has(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Every property has an option, and every one of them is shown."""
    pool_id = ipam("pool", "create", "full", "--source", "vpcs", "--locale", REGION, *ALL).strip()
    pool = desk.store.plan().pools[pool_id]
    assert pool.rules == AllocationRules(
        16, 28, 24, (("owner", "net"),), (block("10.0.0.0/17"),), (block("10.0.64.0/18"),), 24, 30 * 86400, "sparse"
    )
    assert (pool.quota, pool.cooling_seconds, pool.source_pool_id) == (Quota(3, 4096), 60, vpcs.pool_id)
    assert (pool.tags, pool.shared_with) == ((("env", "prod"),), (ACCOUNT, "ou-ab12-cd34ef56"))
    assert (sorted(pool.allocation_types), pool.auto_import, pool.sticky, pool.description) == (
        ["custom", "vpc"],
        True,
        True,
        "of the shop",
    )
    shown = ipam.json("pool", "show", "full")
    assert (shown["allocation_resource_tags"], shown["allowed_cidrs"], shown["lease_seconds"]) == (
        ["owner=net"],
        ["10.0.0.0/17"],
        2_592_000,
    )
    assert (shown["shared_with"], shown["auto_import"], shown["tags"]) == (
        [ACCOUNT, "ou-ab12-cd34ef56"],
        True,
        ["env=prod"],
    )
    (line,) = ipam.csv("pool", "show", "full")
    assert (line["auto_import"], line["sticky"], line["shared_with"]) == ("true", "true", f"{ACCOUNT} ou-ab12-cd34ef56")
    assert "auto import" in ipam("pool", "show", "full")


def test_only_what_is_given_changes(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """An edit leaves alone what it does not name; lists grow, and are emptied first where that is said."""
    ipam("pool", "create", "full", "--source", "vpcs", "--locale", REGION, *ALL)
    before = desk.store.plan().named("full")
    assert ipam("pool", "edit", "full", "--default", "25").strip() == before.pool_id
    after = desk.store.plan().named("full")
    assert after == replace(before, rules=replace(before.rules, default_netmask_length=25), version=before.version + 1)
    edited = ipam.json(
        *("pool", "edit", "full", "--name", "fuller", "--share", "o-abcdefghij", "--clear", "tag", "--tag", "x=1"),
        *(
            "--clear",
            "min",
            "--clear",
            "allow",
            "--allow",
            "10.0.128.0/17",
            "--no-auto-import",
            "--no-sticky",
            "--strategy",
            "best-fit",
        ),
    )
    assert (edited["name"], edited["tags"], edited["allocation_min_netmask_length"]) == ("fuller", ["x=1"], None)
    assert edited["shared_with"] == [ACCOUNT, "ou-ab12-cd34ef56", "o-abcdefghij"]
    assert (edited["allowed_cidrs"], edited["auto_import"], edited["sticky"], edited["strategy"]) == (
        ["10.0.128.0/17"],
        False,
        False,
        "best-fit",
    )
    told = sorted(each["event"] for each in ipam.json("history", "fuller"))
    assert told == ["pool-changed", "pool-changed", "pool-created"]
    notes = [each["note"] for each in ipam.json("history", "fuller") if each["event"] == "pool-changed"]
    assert "name: " in notes[1] and " -> fuller; " in notes[1] and "allocation_min_netmask_length" not in notes[1]
    check(desk.store)
    del vpcs


def test_everything_can_be_taken_away(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Each property that may be absent is, after it was cleared."""
    ipam("pool", "create", "full", "--source", "vpcs", "--locale", REGION, *ALL)
    parts = (
        *("min", "max", "default", "type", "max-allocations", "max-units", "tag", "require-tag"),
        *("allow", "disallow", "approve-above", "lease", "share"),
    )
    ipam("pool", "edit", "full", *(word for part in parts for word in ("--clear", part)))
    pool = desk.store.plan().named("full")
    assert pool.rules == AllocationRules(strategy="sparse")
    assert (pool.quota, pool.tags, pool.shared_with) == (Quota(), (), ())
    assert pool.allocation_types == {"vpc", "subnet", "eip", "custom"}
    del vpcs


def test_a_wrong_pool_is_refused(ipam: Keyboard, vpcs: Pool) -> None:
    """Contradictions, words that are none, and nothing to change: before anything is written."""
    create = ("pool", "create", "more", "--locale", REGION)
    for words, told in (
        (("--min", "24", "--max", "16"), "AllocationMinNetmaskLength"),
        (("--default", "40"), "AllocationDefaultNetmaskLength"),
        (("--source", "vpcs", "--family", "ipv6"), "AddressFamily"),
        (("--allow", "fd00::/8"), "AllowedCidrs"),
        (("--allow", "10.0.0.1/8"), "canonical"),
        (("--source", "nix"), "`ipam pool list`"),
        (("--scope", "nix"), "`ipam scope list`"),
    ):
        assert told in ipam.refused(*create, *words)
    wrong: list[tuple[tuple[str, ...], str]] = [
        (("--share", "everybody"), "no account"),
        (("--tag", "env"), "KEY=VALUE"),
        (("--lease", "soon"), "no time"),
        (("--source-vpc", "vpc-0123456789abcdef0"), "with its account"),
        (("--source-vpc", "10.0.0.0/16", "--vpc-owner", ACCOUNT), "id of a VPC"),
        (("--vpc-ipam-pool", "x"), "Amazon VPC IPAM pool"),
        (("--cooling-seconds", "-1"), "'-1' is not a whole number from 0"),
        (("--default", "abc"), "'abc' is no netmask length"),
        (("--max", "129"), "'129' is no netmask length"),
        (("--max-units", "many"), "'many' is not a whole number from 0"),
        (("--description", "x" * 256), "it has 256 characters"),
        (("--description", "\x1b[1m"), "control character"),
        (("--tag", f"{'k' * 129}=v"), "at most 128 characters"),
        (("--tag", f"k={'v' * 257}"), "at most 128 characters, a value 256"),
        (tuple(word for number in range(51) for word in ("--tag", f"{number}=x")), "at most 50"),
    ]
    for said, why in wrong:
        assert why in ipam.misused(*create, *said)
    assert "say what to change" in ipam.misused("pool", "edit", "vpcs")
    assert "name" in ipam.refused("pool", "edit", "vpcs", "--name", "corporate")
    assert "AllocationMinNetmaskLength" in ipam.refused("pool", "edit", "vpcs", "--min", "24", "--max", "20")
    assert [pool["name"] for pool in ipam.json("pool", "list")] == ["corporate", "vpcs"]
    del vpcs


@pytest.mark.parametrize(
    "words", [("pool", "create", ""), ("pool", "edit", "vpcs", "--name", " "), ("scope", "create", "")]
)
def test_what_has_no_name_is_refused(ipam: Keyboard, vpcs: Pool, words: tuple[str, ...]) -> None:
    """Nobody could name it."""
    del vpcs
    assert "a name is not empty" in ipam.refused(*words)
    assert len(ipam.json("pool", "list")) == 2


@pytest.mark.parametrize("locale", ["eu-centrl-1", "nowhere-1", "eu-central"])
def test_a_locale_that_is_no_region_is_refused(ipam: Keyboard, vpcs: Pool, locale: str) -> None:
    """It could never be changed."""
    del vpcs
    assert f'Locale "{locale}" is refused' in ipam.refused("pool", "create", "more", "--locale", locale)
    assert len(ipam.json("pool", "list")) == 2


def test_a_region_that_nobody_knows_is_pointed_out(ipam: Keyboard, vpcs: Pool) -> None:
    """It may be newer than this version, so it is taken; one that is known is not worth a word."""
    del vpcs
    told = ipam.run("pool", "create", "new", "--locale", "eu-central-9").stderr
    assert "No Region eu-central-9 is known" in told and "`ipam pool delete new`" in told
    for words in (("--locale", "eu-central-2"), ()):
        assert ipam.run("pool", "create", f"known {len(words)}", *words).stderr == ""


def test_a_changed_rule_is_said_to_take_a_moment(ipam: Keyboard, vpcs: Pool) -> None:
    """On standard error: who closes a pool has to know for how long it stays open."""
    done = ipam.run("pool", "edit", "vpcs", "--share", ACCOUNT)
    assert done.stdout == f"{vpcs.pool_id}\n"
    assert "within 30 seconds" in done.stderr


def test_the_private_scope_is_meant(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """A top-level pool is in the one private scope, in the one of that name, or in the one that is said."""
    desk.scope("another")
    assert ipam.json("pool", "create", "top")["scope"] == "private"
    assert ipam.json("pool", "create", "other", "--scope", "another")["scope"] == "another"
    assert "another scope" in ipam.misused("pool", "create", "x", "--scope", "another", "--source", "vpcs")
    ipam("scope", "edit", "private", "--name", "inside")
    assert "`ipam scope list`" in ipam.misused("pool", "create", "x")
    del vpcs


def test_what_no_longer_complies_is_shown(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """A stricter rule touches nothing; `show` names each block with the rule."""
    desk.allocate(desk.request("A", cidr="10.0.0.0/24", pool=vpcs))
    desk.allocate(desk.request("B", cidr="10.0.1.0/26", pool=vpcs))
    assert ipam.json("pool", "show", "vpcs")["noncompliant"] == []
    ipam("pool", "edit", "vpcs", "--max", "25", "--disallow", "10.0.0.0/24")
    shown = ipam.json("pool", "show", "vpcs")["noncompliant"]
    assert shown == ["10.0.0.0/24:DisallowedCidrs=10.0.0.0/24", "10.0.1.0/26:AllocationMaxNetmaskLength=25"]
    ipam("pool", "edit", "vpcs", "--require-tag", "owner=net")
    assert ipam.json("pool", "show", "vpcs")["noncompliant"][0] == "10.0.0.0/24:AllocationResourceTags=owner=net"
    ipam("pool", "edit", "vpcs", "--type", "subnet")
    assert ipam.json("pool", "show", "vpcs")["noncompliant"][0] == "10.0.0.0/24:allocation_type=subnet"
    assert "10.0.1.0/26:allocation_type=subnet" in ipam("pool", "show", "vpcs")


def test_an_empty_pool_is_deleted(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Its CIDR goes back to where it came from; in use, it is refused with by whom, and with what to do."""
    desk.allocate(desk.request(length=24, pool=vpcs))
    refused = ipam.refused("pool", "delete", "vpcs", "--yes")
    assert "10.0.0.0/24 of net/Net" in refused and "--cascade" in refused
    assert "is in use by pool vpcs" in ipam.refused("pool", "delete", "corporate", "--yes")
    ipam("release", "10.0.0.0/24", "--yes")
    desk.clock.advance(60)
    desk.reclaim(vpcs.pool_id)
    assert ipam.refused("pool", "delete", "vpcs").endswith("say --yes.")
    assert ipam("pool", "delete", "vpcs", "--yes").strip() == vpcs.pool_id
    assert [pool["name"] for pool in ipam.json("pool", "list")] == ["corporate"]
    assert ipam.json("pool", "show", "corporate")["allocated"] == 0
    check(desk.store)


def tree(desk: Desk, pool: Pool) -> None:
    """Let there be something below a pool: a child pool, and an allocation of each."""
    desk.pool(NewPool("below", pool.scope_id, source_pool_id=pool.pool_id, locale=REGION), "10.0.128.0/20")
    desk.allocate(desk.request("A", cidr="10.0.0.0/24", pool=pool))
    desk.allocate(desk.request("B", cidr="10.0.130.0/24", pool_name="below"))


def test_a_cascade_is_listed_before(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """All that would go is named with its holder; no leaves all of it, yes ends it and says so in the history."""
    tree(desk, vpcs)
    no = ipam.run("pool", "delete", "vpcs", "--cascade", answer="n\n")
    assert no.exit_code == 1
    assert no.stderr.splitlines()[:-1] == [
        "pool vpcs",
        "pool below",
        "CIDR 10.0.0.0/16 of pool vpcs",
        "CIDR 10.0.128.0/20 of pool below",
        "10.0.0.0/24 of pool vpcs: stack net / A, account 111122223333",
        "10.0.130.0/24 of pool below: stack net / B, account 111122223333",
    ]
    assert len(ipam.json("pool", "list")) == 3
    done = ipam.run("pool", "delete", "vpcs", "--cascade", answer="y\n")
    assert (done.exit_code, done.stdout.strip()) == (0, vpcs.pool_id)
    assert [pool["name"] for pool in ipam.json("pool", "list")] == ["corporate"]
    released = [each for each in ipam.json("history", vpcs.pool_id) if each["event"] == "released"]
    assert [each["cause"] for each in released] == [f"ipam command line, {ADMINISTRATOR}"]
    check(desk.store)


def test_a_long_list_is_cut(ipam: Keyboard, vpcs: Pool, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many, the first are named, and how many more there are."""
    monkeypatch.setattr(cascade, "SHOWN", 1)
    tree(desk, vpcs)
    told = ipam.run("pool", "delete", "vpcs", "--cascade", answer="n\n").stderr
    assert told.count("and 1 more") == 3 and "10.0.130.0/24" not in told


def test_a_cidr_is_taken_back(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Free, it goes; in use, it is refused, or goes with all that is in it, listed before."""
    tree(desk, vpcs)
    (shown,) = ipam.json("cidr", "list", "below")
    assert ipam.json("cidr", "show", "below", "10.0.128.0/20") == shown
    assert ipam.csv("cidr", "show", "below", "10.0.128.0/20")[0]["source"] == "vpcs"
    assert "`ipam cidr list vpcs`" in ipam.refused("cidr", "show", "vpcs", "10.0.128.0/20")
    assert "`ipam cidr list vpcs`" in ipam.refused("cidr", "deprovision", "vpcs", "10.0.128.0/20", "--yes")
    assert "10.0.130.0/24 of net/B" in ipam.refused("cidr", "deprovision", "below", "10.0.128.0/20", "--yes")
    done = ipam.run("cidr", "deprovision", "below", "10.0.128.0/20", "--cascade", answer="y\n")
    assert (done.exit_code, done.stdout) == (0, "10.0.128.0/20\n")
    assert "10.0.130.0/24 of pool below: stack net / B" in done.stderr and "10.0.0.0/24" not in done.stderr
    assert ipam.json("cidr", "list", "below") == []
    check(desk.store)


def test_a_deprovisioned_cidr_has_a_record(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """For programs it is the CIDR as it was."""
    (shown,) = ipam.json("cidr", "list", "vpcs")
    assert ipam.json("cidr", "deprovision", "vpcs", "10.0.0.0/16", "--yes") == shown
    check(desk.store)
    del vpcs


def test_a_subnet_pool_divides_a_vpc(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """It is made of the VPC and its account, and serves subnets; its CIDR is the VPC's own."""
    desk.allocate(desk.request(length=24, pool=vpcs))
    vpc = ("--source-vpc", "vpc-0123456789abcdef0", "--vpc-owner", ACCOUNT)
    pool = ipam.json("pool", "create", "subnets", "--source", "vpcs", "--locale", REGION, *vpc)
    assert (pool["source_resource"], pool["source_resource_owner"]) == ("vpc-0123456789abcdef0", ACCOUNT)
    assert pool["allocation_types"] == ["subnet"]
    ipam("cidr", "provision", "subnets", "10.0.0.0/24")
    given = ipam.json("allocate", "subnets", "-n", "26")
    assert given["cidr"] == "10.0.0.0/26"
    assert desk.store.plan().named("subnets").source_resource == SourceResource(vpc[1], ACCOUNT, REGION)
    assert "vpc-0123456789abcdef0" in ipam("plan", "show")
    check(desk.store)


def test_a_backed_pool_names_its_pool(ipam: Keyboard, vpcs: Pool) -> None:
    """The pool of Amazon VPC IPAM stands in the record and in the drawing."""
    del vpcs
    words = ("--vpc-ipam-pool", "ipam-pool-0a1b2c3d4e5f60718", "--locale", REGION)
    assert ipam.json("pool", "create", "backed", *words)["vpc_ipam_pool_id"] == words[1]
    assert "from ipam-pool-0a1b2c3d4e5f60718 of Amazon VPC IPAM" in ipam("plan", "show")
