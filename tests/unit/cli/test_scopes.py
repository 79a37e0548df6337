"""`ipam scope`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.invariants import check
from tests.unit.cli.conftest import ADMINISTRATOR

if TYPE_CHECKING:
    from ipam.domain.pool import Pool
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard


def test_a_scope_is_edited(ipam: Keyboard, desk: Desk) -> None:
    """Only what is given changes; tags are added, replaced by key, or taken away."""
    scope_id = ipam("scope", "create", "lab", "--description", "inside", "--tag", "a=1", "--tag", "b=2").strip()
    assert ipam("scope", "edit", "lab", "--tag", "b=3").strip() == scope_id
    shown = ipam.json("scope", "show", "lab")
    assert (shown["description"], shown["tags"], shown["is_default"]) == ("inside", ["a=1", "b=3"], False)
    edited = ipam.json("scope", "edit", scope_id, "--name", "laboratory", "--description", "", "--clear", "tag")
    assert (edited["name"], edited["description"], edited["tags"]) == ("laboratory", None, [])
    assert ipam.csv("scope", "show", "laboratory")[0]["is_default"] == "false"
    assert "no scope" in ipam.refused("scope", "show", "lab")
    assert "say what to change" in ipam.misused("scope", "edit", "laboratory")
    assert [each["cause"] for each in ipam.json("history", "laboratory")] == [f"ipam command line, {ADMINISTRATOR}"] * 3
    check(desk.store)


def test_a_scope_is_deleted(ipam: Keyboard, vpcs: Pool, desk: Desk) -> None:
    """Without pools, after asking; its name may be used again."""
    scope_id = ipam("scope", "create", "lab").strip()
    assert "is in use by pool corporate" in ipam.refused("scope", "delete", "private", "--yes")
    assert ipam.refused("scope", "delete", "lab").endswith("say --yes.")
    no = ipam.run("scope", "delete", "lab", answer="\n")
    assert no.exit_code == 1 and "Nothing was changed" in no.stderr
    yes = ipam.run("scope", "delete", "lab", answer="yes\n")
    assert (yes.exit_code, yes.stdout.strip()) == (0, scope_id)
    assert ipam.json("scope", "list")[0]["scope_id"] == vpcs.scope_id
    again = ipam.json("scope", "create", "lab", "--type", "public")
    assert ipam.json("scope", "delete", again["scope_id"], "--yes") == again
    check(desk.store)


def test_the_default_scopes_stay(ipam: Keyboard) -> None:
    """A plan that has nothing begins with a private and a public scope; neither is deleted."""
    ipam("pool", "create", "corporate")
    scopes = ipam.json("scope", "list")
    assert [(scope["name"], scope["is_default"], scope["pools"]) for scope in scopes] == [
        ("private", True, 1),
        ("public", True, 0),
    ]
    assert "default scope" in ipam.refused("scope", "delete", "public", "--yes")
