"""`ipam tenant`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ipam.domain.authorization import derive
from ipam.domain.errors import NotSetUpError
from ipam.services.pools import NewPool
from ipam.services.ports.outside import NoAliases
from tests.builders import ACCOUNT, REGION
from tests.unit.cli.conftest import ADMINISTRATOR, MASTER_KEY

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

OTHER = "444455556666"
UNIT = "ou-abcd-12345678"
DAY = 24 * 3600


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
    assert {row["standing"] for row in listed} == {None}
    assert ipam.json("tenant", "show", ACCOUNT) == listed[:2]
    assert [row["account"] for row in ipam.csv("tenant", "list")] == [ACCOUNT, ACCOUNT, OTHER]
    assert "4,096" in ipam("tenant", "list")
    ipam("release", gone.allocation_id, "--yes")
    assert ipam.json("tenant", "show", OTHER) == []
    assert [row["account"] for row in ipam.json("tenant", "list")] == [ACCOUNT, ACCOUNT]


def test_an_account_is_let_in(ipam: Keyboard, desk: Desk) -> None:
    """What its stacks name is printed alone; the record has what was said, and who said it."""
    done = ipam.run("tenant", "add", ACCOUNT, "--name", "shop", "--unit", UNIT)
    token = desk.outside.aliases.service_token(ACCOUNT)
    assert (done.exit_code, done.stdout) == (0, f"{token}\n")
    assert "`ipam tenant key`" in done.stderr
    assert ipam.json("tenant", "add", ACCOUNT) == {
        "account": ACCOUNT,
        "name": "shop",
        "unit": UNIT,
        "standing": "active",
        "key_generation": 1,
        "previous_key_until": None,
        "created": "2027-01-15T08:00:00.000Z",
        "service_token": token,
        "service_tokens": [token],
    }
    (record,) = desk.store.audit(ACCOUNT)
    assert (record.event, record.cause) == ("tenant-added", f"ipam command line, {ADMINISTRATOR}")
    assert ipam.json("tenant", "add", ACCOUNT, "--name", "")["name"] is None


def test_a_tenant_that_holds_nothing_is_listed(ipam: Keyboard, vpcs: Pool) -> None:
    """With its limits for all pools, or those for one; taken back, they are the pool's."""
    ipam("pool", "edit", "vpcs", "--max-units", "4096")
    ipam("tenant", "add", ACCOUNT, "--name", "shop", "--max-allocations", "7")
    (row,) = ipam.json("tenant", "list")
    assert (row["name"], row["standing"], row["key_generation"]) == ("shop", "active", 1)
    assert (row["pool"], row["pool_id"], row["allocations"], row["max_allocations"], row["max_units"]) == (
        *(None, None, 0, 7),
        None,
    )
    ipam("tenant", "add", ACCOUNT, "--pool", "vpcs", "--max-units", "0")
    ipam("tenant", "add", ACCOUNT, "--pool", "vpcs", "--max-allocations", "1")
    (row,) = ipam.json("tenant", "show", ACCOUNT)
    assert (row["pool"], row["max_allocations"], row["max_units"]) == ("vpcs", 1, 0)
    ipam("tenant", "add", ACCOUNT, "--pool", vpcs.pool_id, "--no-quota")
    ipam("tenant", "add", ACCOUNT, "--no-quota")
    (row,) = ipam.json("tenant", "show", ACCOUNT)
    assert (row["pool"], row["max_allocations"], row["max_units"]) == (None, None, None)


def test_its_own_limits_are_shown_where_it_holds_something(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Those that count, and not the pool's."""
    ipam("pool", "edit", "vpcs", "--max-allocations", "5")
    ipam("tenant", "add", ACCOUNT, "--max-units", "512")
    desk.allocate(desk.request("A", 24, pool=vpcs))
    (row,) = ipam.json("tenant", "list")
    assert (row["pool"], row["allocations"], row["max_allocations"], row["max_units"]) == ("vpcs", 1, None, 512)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "1234"), "twelve digits"),
        (("add", ACCOUNT, "--pool", "vpcs"), "--max-allocations"),
        (("add", ACCOUNT, "--no-quota", "--max-units", "1"), "stands alone"),
        (("add", ACCOUNT, "--unit", "r-abcd"), "organisational unit"),
        (("add", ACCOUNT, "--name", "a\nb"), "one line"),
        (("add", ACCOUNT, "--max-units", "-1"), "max-units"),
        (("rotate", ACCOUNT, "--grace", "soon"), "no time"),
        (("rotate", ACCOUNT, "--grace", "1d", "--no-grace"), "stands alone"),
    ],
)
def test_what_is_said_wrongly_is_not_done(ipam: Keyboard, desk: Desk, words: tuple[str, ...], told: str) -> None:
    """The option is named, and nothing was written."""
    assert told in ipam.misused("tenant", *words)
    assert desk.store.plan().tenants == {}


def test_limits_of_a_pool_that_is_not_there_are_refused(ipam: Keyboard, desk: Desk) -> None:
    """With how to find those that are."""
    assert "`ipam pool list`" in ipam.refused("tenant", "add", ACCOUNT, "--pool", "nix", "--max-units", "1")
    assert desk.store.plan().tenants == {}


def test_an_account_is_let_in_everywhere_by_one_command(ipam: Keyboard, desk: Desk) -> None:
    """A ServiceToken for each Region, home's first: when it is let in, in the list, and when it is shown."""
    home = desk.outside.aliases
    tokens = [doors.service_token(ACCOUNT) for doors in (home, home.elsewhere("us-east-1"))]
    assert ipam("tenant", "add", ACCOUNT).splitlines() == tokens
    added = ipam.json("tenant", "add", ACCOUNT)
    assert (added["service_token"], added["service_tokens"]) == (tokens[0], tokens)
    (row,) = ipam.json("tenant", "list")
    assert row["service_tokens"] == tokens
    (line,) = ipam.csv("tenant", "show", ACCOUNT)
    assert line["service_tokens"].split() == tokens
    shown = ipam.run("tenant", "show", ACCOUNT)
    assert shown.stderr.splitlines() == [f"ServiceToken {token}" for token in tokens]
    assert "arn:" not in shown.stdout


def test_a_region_that_fails_is_named(ipam: Keyboard, desk: Desk) -> None:
    """Whether the account comes or goes; the others are done, and the same command does the rest."""
    home = desk.outside.aliases
    there = home.elsewhere("us-east-1")
    there.shut = True
    assert "AWS Lambda in us-east-1 did not answer" in ipam.refused("tenant", "add", ACCOUNT)
    assert (home.open, there.open) == ({ACCOUNT: 1}, {})
    there.shut = False
    ipam("tenant", "add", ACCOUNT)
    there.shut = True
    assert "AWS Lambda in us-east-1 did not answer" in ipam.refused("tenant", "remove", ACCOUNT, "--yes")
    assert (home.open, there.open) == ({}, {ACCOUNT: 1})
    assert ipam.json("tenant", "list")[0]["standing"] == "leaving"
    there.shut = False
    ipam("tenant", "remove", ACCOUNT, "--yes")
    assert there.open == {} and ipam.json("tenant", "list") == []


def test_who_does_not_know_the_function_still_sees_tenants(
    ipam: Keyboard, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its ARN, or the right to ask it, there are no ServiceTokens to tell."""
    ipam("tenant", "add", ACCOUNT)
    monkeypatch.setattr(desk.outside.aliases, "regions", NoAliases().regions)
    (row,) = ipam.json("tenant", "list")
    assert (row["account"], row["service_tokens"]) == (ACCOUNT, [])
    assert ipam.run("tenant", "show", ACCOUNT).stderr == ""
    assert "not configured" in ipam.refused("tenant", "add", ACCOUNT)


def test_an_alias_that_cannot_be_made_is_told(ipam: Keyboard, desk: Desk) -> None:
    """The same command finishes it."""
    desk.outside.aliases.shut = True
    assert "Run the command again" in ipam.refused("tenant", "add", ACCOUNT)
    desk.outside.aliases.shut = False
    ipam("tenant", "add", ACCOUNT)
    assert desk.outside.aliases.open == {ACCOUNT: 1}


@pytest.mark.parametrize("command", [("add",), ("remove", "--yes")])
def test_without_the_function_nothing_is_written(
    ipam: Keyboard, desk: Desk, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """The refusal names the setting and where its value is to be had."""

    def unknown() -> list[object]:
        raise NotSetUpError("AWS Lambda", "IPAM_CN_CIDR_FUNCTION is not set")

    desk.tenant(OTHER)
    monkeypatch.setattr(desk.outside.aliases, "regions", unknown)
    name, *options = command
    account = OTHER if name == "remove" else ACCOUNT
    told = ipam.refused("tenant", name, account, *options)
    assert "IPAM_CN_CIDR_FUNCTION is not set. Set it to the output CnCidrServiceToken" in told
    assert {each.standing for each in desk.store.plan().tenants.values()} == {"active"}
    assert set(desk.store.plan().tenants) == {OTHER}


def test_an_account_is_removed_once_it_holds_nothing(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """It asks first; while something is held the account is leaving, and that is said with what to do."""
    ipam("tenant", "add", ACCOUNT, "--name", "shop")
    grant = desk.allocate(desk.request("A", 24, pool=vpcs)).grant
    no = ipam.run("tenant", "remove", ACCOUNT, answer="n\n")
    assert no.exit_code == 1 and f"Account {ACCOUNT} (shop) will order nothing more" in no.stderr
    assert desk.store.plan().is_tenant(ACCOUNT)
    told = ipam.refused("tenant", "remove", ACCOUNT, "--yes")
    assert "holds 1 of vpcs." in told and "Remove it again" in told
    (row,) = ipam.json("tenant", "list")
    assert row["standing"] == "leaving"
    desk.release("A", grant.allocation_id)
    done = ipam.json("tenant", "remove", ACCOUNT, "--yes")
    assert (done["account"], done["standing"], done["service_token"]) == (ACCOUNT, "removed", None)
    assert desk.store.plan().tenants == {} and not desk.outside.aliases.open
    assert ipam.json("tenant", "list") == []
    (row,) = ipam.json("tenant", "list", "--all")
    assert ipam.json("tenant", "show", ACCOUNT) == [row]
    assert (row["account"], row["name"], row["standing"], row["key_generation"]) == (ACCOUNT, "shop", "removed", 1)
    assert "`ipam tenant add" in ipam.refused("tenant", "key", ACCOUNT)
    assert "is no tenant: there is nothing to remove." in ipam.refused("tenant", "remove", ACCOUNT, "--yes")
    ipam("tenant", "add", OTHER)
    assert ipam("tenant", "remove", OTHER, "--yes") == f"{OTHER}\n"


def test_an_account_that_is_back_has_another_key(ipam: Keyboard) -> None:
    """What it had before opens nothing."""
    ipam("tenant", "add", ACCOUNT)
    first = ipam("tenant", "key", ACCOUNT)
    ipam("tenant", "remove", ACCOUNT, "--yes")
    assert ipam.json("tenant", "add", ACCOUNT)["key_generation"] == 2
    assert ipam("tenant", "key", ACCOUNT) != first


def test_a_leaving_tenant_of_many_pools_is_told_a_few(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """The refusal stays one line."""
    ipam("tenant", "add", ACCOUNT)
    for number in range(7):
        desk.pool(NewPool(f"pool-{number}", vpcs.scope_id, locale=REGION), f"172.16.{number}.0/24")
        desk.allocate(desk.request(f"N{number}", 26, pool_name=f"pool-{number}"))
    assert "1 of pool-4 and 2 more." in ipam.refused("tenant", "remove", ACCOUNT, "--yes")


def test_a_tenants_key_is_printed_alone(ipam: Keyboard) -> None:
    """The key is its account's: 64 hexadecimal digits, another one for another account. Others have none."""
    assert f"`ipam tenant add {ACCOUNT}`" in ipam.refused("tenant", "key", ACCOUNT)
    ipam("tenant", "add", ACCOUNT)
    ipam("tenant", "add", OTHER)
    first, second = ipam("tenant", "key", ACCOUNT), ipam("tenant", "key", OTHER)
    assert len(first.strip()) == 64 and int(first, 16)
    assert first != second
    assert ipam.json("tenant", "key", ACCOUNT) == {
        "account": ACCOUNT,
        "authorizationkey": first.strip(),
        "key_generation": 1,
        "previous_key_until": None,
    }
    assert "twelve digits" in ipam.misused("tenant", "key", "1234")


def test_a_key_is_rotated(ipam: Keyboard, desk: Desk) -> None:
    """The new one is printed, which `key` prints from then on, and until when the one before is good."""
    ipam("tenant", "add", ACCOUNT)
    done = ipam.run("tenant", "rotate", ACCOUNT, "--grace", "2d")
    assert done.stdout.strip() == derive(MASTER_KEY, ACCOUNT, 2)
    assert "good until 2027-01-17 08:00:00 UTC" in done.stderr
    assert ipam("tenant", "key", ACCOUNT) == done.stdout
    assert "`--no-grace`" in ipam.refused("tenant", "rotate", ACCOUNT)
    assert "good until 2027-01-17 08:00:00 UTC" in ipam.refused("tenant", "rotate", ACCOUNT)
    assert "Every key that account" in ipam.refused("tenant", "rotate", ACCOUNT, "--no-grace")
    assert "say --yes" in ipam.refused("tenant", "rotate", ACCOUNT, "--no-grace")
    assert desk.store.plan().tenants[ACCOUNT].generation == 2
    at_once = ipam.run("tenant", "rotate", ACCOUNT, "--no-grace", "-o", "json", "--yes")
    assert json.loads(at_once.stdout) == {
        "account": ACCOUNT,
        "authorizationkey": derive(MASTER_KEY, ACCOUNT, 3),
        "key_generation": 3,
        "previous_key_until": None,
    }
    assert "No other key is good" in at_once.stderr
    assert ipam.json("tenant", "rotate", ACCOUNT)["previous_key_until"] == "2027-02-14T08:00:00.000Z"
    assert "is no tenant" in ipam.refused("tenant", "rotate", OTHER)
    assert [record.event for record in desk.store.audit(ACCOUNT)].count("key-rotated") == 3
    told = [(row["event"], row["cause"]) for row in ipam.json("history", ACCOUNT)]
    assert [row["note"] for row in ipam.json("history", ACCOUNT) if row["event"] == "tenant-added"] == [
        "standing: none -> active; key_generation: none -> 1"
    ]
    assert len(told) == 4 and set(told[1:]) | {told[0]} >= {("tenant-added", f"ipam command line, {ADMINISTRATOR}")}
    assert not any(derive(MASTER_KEY, ACCOUNT, 2) in record.cause for record in desk.store.audit(ACCOUNT))


def test_a_key_that_cannot_be_printed_is_not_made(ipam: Keyboard, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the secret nothing is rotated."""
    ipam("tenant", "add", ACCOUNT)

    def fail(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("tests.unit.cli.conftest.OneKey.master_keys", fail)
    assert ipam.run("tenant", "rotate", ACCOUNT).exit_code == 1
    assert desk.store.plan().tenants[ACCOUNT].generation == 1
