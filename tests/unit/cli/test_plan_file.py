"""The plan as a file: what is read, what is refused and where, and that what is written says the same."""

from __future__ import annotations

import pytest

from ipam.domain.blueprint import PoolBlueprint, ScopeBlueprint, all_pools, steps
from ipam.domain.cidr import Cidr
from ipam.domain.errors import BlueprintError
from ipam.domain.plan import Plan
from ipam.domain.pool import AllocationRules, Pool, Quota, SourceResource
from ipam.entrypoints.cli.plan_file import read_plan, write_plan
from ipam.entrypoints.reasons import reason
from ipam.services.pools import NewPool
from tests.builders import REGION, Desk, block

EMPTY = Plan((), (), ())

EVERYTHING = f"""
scopes:
  private:
    description: inside
    tags: {{team: network}}
    pools:
      corporate:
        cidrs: [10.0.0.0/8]
        pools:
          vpcs:
            locale: {REGION}
            description: for VPCs
            allocation_types: [vpc]
            cidrs: [10.1.0.0/16, /16, /16]
            rules:
              min_netmask_length: 16
              max_netmask_length: 28
              default_netmask_length: 24
              required_tags: {{cost-centre: 0042}}
              allowed_cidrs: [10.1.0.0/17]
              disallowed_cidrs: [10.1.0.0/24]
              approval_netmask_length: 20
              lease_seconds: 86400
              strategy: sparse
            quota: {{max_allocations: 3, max_units: 1024}}
            cooling_seconds: 3600
            tags: {{tier: gold}}
            shared_with: ["111122223333", ou-ab12-11111111, o-exampleorgid]
            auto_import: true
            sticky: true
          subnets:
            locale: {REGION}
            allocation_types: [subnet]
            source_resource: {{resource_id: vpc-0a, owner: "111122223333", region: {REGION}}}
      six:
        address_family: ipv6
        cidrs: [fd00::/32]
        pools:
          below: {{}}
  public:
    type: public
"""


def only(text: str) -> PoolBlueprint:
    """Read the one pool of a file."""
    (scope,) = read_plan(text)
    (pool,) = scope.pools
    return pool


def test_everything_is_read() -> None:
    """Each key is what the pool is meant to be; a child pool has its parent's address family."""
    private, public = read_plan(EVERYTHING)
    assert (private.name, private.scope_type, private.description) == ("private", "private", "inside")
    assert private.tags == (("team", "network"),)
    assert public.scope_type == "public"
    pools = {each.pool.name: each for each in all_pools(private.pools)}
    assert pools["vpcs"].cidrs == (block("10.1.0.0/16"), 16, 16)
    assert pools["vpcs"].pool == Pool(
        pool_id="",
        scope_id="",
        source_pool_id=None,
        name="vpcs",
        family=4,
        locale=REGION,
        description="for VPCs",
        allocation_types=frozenset({"vpc"}),
        rules=AllocationRules(
            16,
            28,
            24,
            (("cost-centre", "0042"),),
            (block("10.1.0.0/17"),),
            (block("10.1.0.0/24"),),
            20,
            86400,
            "sparse",
        ),
        quota=Quota(3, 1024),
        cooling_seconds=3600,
        created=0,
        tags=(("tier", "gold"),),
        shared_with=("111122223333", "ou-ab12-11111111", "o-exampleorgid"),
        auto_import=True,
        sticky=True,
    )
    assert pools["subnets"].pool.source_resource == SourceResource("vpc-0a", "111122223333", REGION)
    assert pools["below"].pool.family == 6


REFUSED = {
    "": ("line 1, column 1", "empty"),
    "scopes: [": ("line 1, column 10", "not YAML"),
    "scope: {}": ("line 1, column 1", "did you mean 'scopes'?"),
    "scopes:\n  private:\n    pool: {}": ("line 3, column 5", "did you mean 'pools'?"),
    "scopes:\n  private:\n    pools:\n      a:\n        loacle: x": ("line 5, column 9", "did you mean 'locale'?"),
    "scopes: {private: {pools: {a: {rules: {min_netmask: 16}}}}}": ("line 1, column 40", "did you mean"),
    "scopes: {private: {pools: {a: {zzz: 16}}}}": ("line 1, column 32", "there are address_family"),
    "scopes: {private: {type: secret}}": ("line 1, column 26", "none of private, public"),
    "scopes: {private: {pools: [a]}}": ("line 1, column 27", "not a mapping"),
    "scopes: {private: {}, private: {}}": ("line 1, column 23", "there twice"),
    "scopes: {private: {pools: {a: {cidrs: 10.0.0.0/8}}}}": ("line 1, column 39", "not a list"),
    "scopes: {private: {pools: {a: {cidrs: [10.0.0.1/8]}}}}": ("line 1, column 40", "write 10.0.0.0/8"),
    "scopes: {private: {pools: {a: {cidrs: [ten]}}}}": ("line 1, column 40", "not a canonical CIDR"),
    "scopes: {private: {pools: {a: {cooling_seconds: -1}}}}": ("line 1, column 49", "not a whole number"),
    "scopes: {private: {pools: {a: {auto_import: maybe}}}}": ("line 1, column 45", "neither true nor false"),
    "scopes: {private: {pools: {a: {sticky: maybe}}}}": ("line 1, column 40", "neither true nor false"),
    "scopes: {private: {pools: {a: {shared_with: [me]}}}}": ("line 1, column 46", "no account"),
    "scopes: {private: {pools: {a: {source_resource: {owner: x}}}}}": ("line 1, column 49", "no 'resource_id'"),
    "scopes: {private: {pools: {a: {description: [x]}}}}": ("line 1, column 45", "not a text"),
    f"scopes: {{private: {{description: {'x' * 256}}}}}": ("line 1, column 33", "it has 256 characters"),
    'scopes: {private: {description: "a\\e[31m"}}': ("line 1, column 33", "control character"),
    "scopes: &all\n  private:\n    pools: *all": ("line", ""),
    "scopes: {p: {pools: {a: {pools: &x {b: {pools: *x}}}}}}": ("line 1, column 1", "contains itself"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_no_plan_can_say_is_refused_with_its_place(text: str) -> None:
    """An unknown key, a malformed value, a file that is no YAML: line and column, and what was meant."""
    place, why = REFUSED[text]
    with pytest.raises(BlueprintError) as refused:
        read_plan(text)
    assert refused.value.place.startswith(place)
    assert why in refused.value.why
    assert reason(refused.value).isprintable()


CONTRADICTIONS = {
    "a name twice": ("scopes: {s: {pools: {a: {}, b: {pools: {a: {}}}}}}", "taken"),
    "a scope without a name": ("scopes: {'': {}}", "a name is not empty"),
    "a pool without a name": ("scopes: {s: {pools: {'': {}}}}", "a name is not empty"),
    "a Locale that is no Region": ("scopes: {s: {pools: {a: {locale: eu-centrl-1}}}}", "not a Region"),
    "a scope's name for a pool": ("scopes: {s: {pools: {s: {}}}}", "taken"),
    "minimum above maximum": (
        "scopes: {s: {pools: {a: {rules: {min_netmask_length: 24, max_netmask_length: 16}}}}}",
        "AllocationMinNetmaskLength",
    ),
    "a default outside": (
        "scopes: {s: {pools: {a: {rules: {max_netmask_length: 24, default_netmask_length: 28}}}}}",
        "AllocationDefaultNetmaskLength",
    ),
    "another family": ("scopes: {s: {pools: {a: {cidrs: ['fd00::/32']}}}}", "ipv4"),
    "outside the parent": (
        "scopes: {s: {pools: {a: {cidrs: [10.0.0.0/8], pools: {b: {cidrs: [11.0.0.0/16]}}}}}}",
        "does not have it",
    ),
    "overlapping children": (
        "scopes: {s: {pools: {a: {pools: {b: {cidrs: [10.0.0.0/16]}, c: {cidrs: [10.0.0.0/24]}}}}}}",
        "overlap",
    ),
    "overlapping blocks": ("scopes: {s: {pools: {a: {cidrs: [10.0.0.0/8, 10.0.0.0/16]}}}}", "overlap"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_plan_that_contradicts_itself_is_refused_as_a_whole(name: str) -> None:
    """Nothing is done of a file that could not be done wholly."""
    text, why = CONTRADICTIONS[name]
    with pytest.raises(BlueprintError) as refused:
        steps(EMPTY, read_plan(text), prune=False)
    assert refused.value.place.startswith("line ")
    assert why in f"{refused.value.said} {refused.value.why}"


def test_what_is_written_says_the_same() -> None:
    """A plan that is written and read again asks for nothing."""
    desk = Desk()
    scope = desk.scope()
    top = desk.pool(NewPool("top", scope, description="all: of it"), "10.0.0.0/8")
    rules = AllocationRules(16, 28, 24, (("a", "b: c"),), (block("10.0.0.0/9"),), (), 20, 60, "sparse")
    below = NewPool("below", scope, source_pool_id=top.pool_id, locale=REGION, rules=rules, cooling_seconds=9)
    desk.pool(below, "10.0.0.0/16", "10.4.0.0/16")
    desk.pool(NewPool("six", scope, family=6, quota=Quota(0, 1)), "fd00::/32")
    plan = desk.store.plan()
    written = read_plan(write_plan(plan))
    assert steps(plan, written, prune=True) == []
    assert isinstance(written[0], ScopeBlueprint)


def test_a_length_is_any_block_of_that_size() -> None:
    """Of two /16 that are asked for, one is there: one more is ordered, beside it."""
    desk = Desk()
    desk.pool(NewPool("top", desk.scope()), "10.0.0.0/16", "10.2.0.0/24")
    wanted = read_plan("scopes: {corporate: {pools: {top: {cidrs: [10.2.0.0/24, /16, /16]}}}}")
    (step,) = steps(desk.store.plan(), wanted, prune=True)
    assert (step.action, step.cidr) == ("provision", 16)
    assert "10.0.0.0/16" in step.token


def test_what_goes_makes_room_for_what_comes() -> None:
    """With --prune, a block that moves to another pool is deprovisioned before it is provisioned."""
    desk = Desk()
    desk.pool(NewPool("from", desk.scope()), "10.0.0.0/16", "10.1.0.0/16")
    text = "scopes: {corporate: {pools: {from: {cidrs: [10.0.0.0/16]}, to: {cidrs: [10.1.0.0/16]}}}}"
    found = steps(desk.store.plan(), read_plan(text), prune=True)
    assert [(step.action, step.pool) for step in found] == [
        ("create-pool", "to"),
        ("deprovision", "from"),
        ("provision", "to"),
    ]
    assert [step.action for step in steps(desk.store.plan(), read_plan(text), prune=False)] == [
        "create-pool",
        "provision",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("scopes: {corporate: {type: public}}", "fixed"),
        ("scopes: {corporate: {pools: {top: {locale: eu-west-1}}}}", "fixed"),
        ("scopes: {corporate: {pools: {other: {pools: {top: {}}}}}}", "not moved"),
    ],
)
def test_what_cannot_change_is_refused(text: str, why: str) -> None:
    """A scope's type, a pool's Region and a pool's place are fixed."""
    desk = Desk()
    desk.pool(NewPool("top", desk.scope()))
    with pytest.raises(BlueprintError) as refused:
        steps(desk.store.plan(), read_plan(text), prune=False)
    assert why in refused.value.why


def test_what_is_edited_is_told_with_what_it_was() -> None:
    """The difference names each fact, as it is and as it is to be."""
    desk = Desk()
    desk.pool(NewPool("top", desk.scope(), cooling_seconds=5), "10.0.0.0/16")
    text = "scopes: {corporate: {pools: {top: {cidrs: [10.0.0.0/16], quota: {max_allocations: 2}}}}}"
    (step,) = steps(desk.store.plan(), read_plan(text), prune=False)
    assert step.changes == (("max_allocations", "none", "2"), ("cooling_seconds", "5", "0"))
    assert isinstance(step.wanted, Pool)
    assert Cidr.parse("10.0.0.0/16") not in {each.cidr for each in steps(desk.store.plan(), (), prune=False)}
