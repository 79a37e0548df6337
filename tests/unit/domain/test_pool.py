from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import (
    InvalidPoolError,
    NetmaskLengthError,
    NoPoolForRequestError,
    NoSuchPoolError,
    PoolMismatchError,
)
from ipam.domain.plan import Ask, Plan, check_pool
from ipam.domain.pool import MAX_DEPTH, AllocationRules, Pool, ProvisionedCidr, Quota, Scope, Space, units
from tests.builders import NOON, REGION, block, blocks

if TYPE_CHECKING:
    from ipam.domain.pool import AllocationType

PRIVATE = Scope("ipam-scope-a", "corporate", "private", "", NOON)
OTHER = Scope("ipam-scope-b", "lab", "private", "", NOON)


def pool(name: str, **facts: object) -> Pool:
    """Make a pool for VPCs and subnets of the Region."""
    plain = Pool(
        f"ipam-pool-{name}",
        PRIVATE.scope_id,
        None,
        name,
        4,
        REGION,
        "",
        frozenset({"vpc", "subnet"}),
        AllocationRules(),
        Quota(),
        0,
        NOON,
    )
    return replace(plain, **facts)  # type: ignore[arg-type]


def plan(*pools: Pool, provisioned: tuple[ProvisionedCidr, ...] = ()) -> Plan:
    """Make a plan of these pools."""
    return Plan((PRIVATE, OTHER), pools, provisioned)


ASK = Ask(None, None, REGION, "vpc", 4, 24, None)


@pytest.mark.parametrize(
    ("rules", "asked", "given"),
    [
        (AllocationRules(), 24, 24),
        (AllocationRules(16, 28, 24), None, 24),
        (AllocationRules(16, 28, 24), 16, 16),
        (AllocationRules(16, 28, 24), 28, 28),
        (AllocationRules(24, 24, 24), 24, 24),
        (AllocationRules(0, 32, 0), None, 0),
    ],
)
def test_a_length_within_the_rules_is_given(rules: AllocationRules, asked: int | None, given: int) -> None:
    """The length asked for is allocated, or else the default; both limits belong to the range."""
    assert rules.resolve("vpcs", asked) == given


@pytest.mark.parametrize(
    ("rules", "asked", "rule", "limit"),
    [
        (AllocationRules(), None, "AllocationDefaultNetmaskLength", None),
        (AllocationRules(16, 28), None, "AllocationDefaultNetmaskLength", None),
        (AllocationRules(16, 28), 15, "AllocationMinNetmaskLength", 16),
        (AllocationRules(16, 28), 29, "AllocationMaxNetmaskLength", 28),
        (AllocationRules(0, 0), 1, "AllocationMaxNetmaskLength", 0),
    ],
)
def test_a_length_outside_the_rules_is_refused(
    rules: AllocationRules, asked: int | None, rule: str, limit: int | None
) -> None:
    """The error names the rule that was broken and its limit."""
    with pytest.raises(NetmaskLengthError) as refused:
        rules.resolve("vpcs", asked)
    error = refused.value
    assert (error.pool, error.asked, error.rule, error.limit) == ("vpcs", asked, rule, limit)


@pytest.mark.parametrize(
    ("cidr", "count"),
    [("10.0.0.0/24", 256), ("10.0.0.0/32", 1), ("2001:db8::/48", 65536), ("2001:db8::/64", 1), ("::1/128", 1)],
)
def test_quotas_count_addresses_and_64s(cidr: str, count: int) -> None:
    """A unit is one IPv4 address or an IPv6 /64; a part of one counts as a whole."""
    assert units(block(cidr)) == count


def test_a_pool_is_chosen_by_region_and_type() -> None:
    """Without a name, the pools of the Region for the type and family are tried by their names."""
    fitting = [pool("a"), pool("b")]
    others = [
        pool("elsewhere", locale="us-east-1"),
        pool("planning", locale=""),
        pool("six", family=6),
        pool("only-subnets", allocation_types=frozenset({"subnet"})),
    ]
    assert plan(*reversed(fitting), *others).candidates(ASK) == fitting


def test_a_pool_that_is_named_is_the_only_one() -> None:
    """By id or by name, exactly that pool serves."""
    a, b = pool("a"), pool("b")
    the_plan = plan(a, b)
    assert the_plan.candidates(replace(ASK, pool_id=b.pool_id)) == [b]
    assert the_plan.candidates(replace(ASK, pool_name="b")) == [b]
    assert the_plan.named(b.pool_id) == the_plan.named("b") == b


def test_an_id_is_not_looked_up_as_a_name() -> None:
    """What is said to be an id is none of the names, and the other way round."""
    a = pool("a")
    for wrong in (replace(ASK, pool_id="a"), replace(ASK, pool_name=a.pool_id)):
        with pytest.raises(NoSuchPoolError):
            plan(a).candidates(wrong)


@pytest.mark.parametrize(
    ("facts", "fact", "has", "wants"),
    [
        ({"family": 6}, "family", "ipv6", "ipv4"),
        ({"locale": "us-east-1"}, "locale", "us-east-1", REGION),
        ({"locale": ""}, "locale", "", REGION),
        ({"allocation_types": frozenset({"subnet", "eip"})}, "allocation_type", "eip, subnet", "vpc"),
    ],
)
def test_a_named_pool_has_to_fit(facts: dict[str, object], fact: str, has: str, wants: str) -> None:
    """A named pool that is for something else is refused with what it is for."""
    with pytest.raises(PoolMismatchError) as refused:
        plan(pool("a", **facts)).candidates(replace(ASK, pool_name="a"))
    error = refused.value
    assert (error.pool, error.fact, error.has, error.wants) == ("a", fact, has, wants)


@pytest.mark.parametrize("allocation_type", ["vpc", "subnet"])
@pytest.mark.parametrize("how", [{"pool_id": "ipam-pool-planning"}, {"pool_name": "planning"}, {}])
def test_a_level_of_the_plan_gives_no_network(allocation_type: AllocationType, how: dict[str, str]) -> None:
    """A pool without a Region is there for pools below it: for a VPC or a subnet it is refused, named or not."""
    planning = pool("planning", locale="", allocation_types=frozenset({"vpc", "subnet"}))
    with pytest.raises(PoolMismatchError if how else NoPoolForRequestError):
        plan(planning).candidates(replace(ASK, allocation_type=allocation_type, **how))  # type: ignore[arg-type]


def test_what_has_no_region_may_come_from_a_pool_without_one() -> None:
    """Other types than VPCs and subnets are given from a pool without a locale that is named."""
    everywhere = pool("everywhere", locale="", allocation_types=frozenset({"custom"}))
    asked = replace(ASK, allocation_type="custom", pool_name="everywhere")
    assert plan(everywhere).candidates(asked) == [everywhere]


def test_no_pool_at_all_is_an_error_of_its_own() -> None:
    """When nothing serves the Region, the error says what was looked for."""
    with pytest.raises(NoPoolForRequestError) as refused:
        plan().candidates(ASK)
    assert (refused.value.locale, refused.value.allocation_type, refused.value.family) == (REGION, "vpc", 4)


def test_a_scope_has_every_address() -> None:
    """A scope is the pool that owns everything, for both families, without limits."""
    assert plan().space(PRIVATE.scope_id) == Space(
        PRIVATE.scope_id, "corporate", tuple(blocks("0.0.0.0/0", "::/0")), Quota(), 0
    )


def test_a_pool_has_what_is_provisioned() -> None:
    """A pool's space is its provisioned CIDRs; a block lies in the one around it, or in none."""
    a = pool("a", quota=Quota(3), cooling_seconds=7)
    given = tuple(ProvisionedCidr(a.pool_id, cidr, "x", NOON) for cidr in blocks("10.0.0.0/16", "10.2.0.0/16"))
    space = plan(a, provisioned=given).space(a.pool_id)
    assert space == Space(a.pool_id, "a", tuple(blocks("10.0.0.0/16", "10.2.0.0/16")), Quota(3), 7)
    assert space.around(block("10.2.3.0/24")) == block("10.2.0.0/16")
    assert space.around(block("10.1.0.0/16")) is None
    assert space.around(block("10.0.0.0/8")) is None


def test_children_are_found_by_their_parent() -> None:
    """A top-level pool is a child of its scope, any other of its source pool."""
    top = pool("top")
    below = pool("below", source_pool_id=top.pool_id)
    the_plan = plan(top, below)
    assert the_plan.children(PRIVATE.scope_id) == [top]
    assert the_plan.children(top.pool_id) == [below]
    assert (the_plan.depth(top), the_plan.depth(below)) == (1, 2)


@pytest.mark.parametrize(
    ("facts", "property_name"),
    [
        ({"rules": AllocationRules(33)}, "AllocationMinNetmaskLength"),
        ({"rules": AllocationRules(None, -1)}, "AllocationMaxNetmaskLength"),
        ({"rules": AllocationRules(None, None, 64)}, "AllocationDefaultNetmaskLength"),
        ({"rules": AllocationRules(28, 16)}, "AllocationMinNetmaskLength"),
        ({"rules": AllocationRules(16, 24, 28)}, "AllocationDefaultNetmaskLength"),
        ({"rules": AllocationRules(16, 24, 8)}, "AllocationDefaultNetmaskLength"),
        ({"cooling_seconds": -1}, "CoolingSeconds"),
        ({"scope_id": "ipam-scope-z"}, "IpamScopeId"),
        ({"source_pool_id": "ipam-pool-z"}, "SourceIpamPoolId"),
        ({"source_pool_id": "ipam-pool-lab"}, "SourceIpamPoolId"),
        ({"source_pool_id": "ipam-pool-six"}, "AddressFamily"),
        ({"source_pool_id": "ipam-pool-virginia"}, "Locale"),
        ({"source_pool_id": "ipam-pool-virginia", "locale": ""}, "Locale"),
    ],
)
def test_a_pool_that_could_not_work_is_refused(facts: dict[str, object], property_name: str) -> None:
    """The error names the property that is wrong."""
    there = plan(pool("lab", scope_id=OTHER.scope_id), pool("six", family=6), pool("virginia", locale="us-east-1"))
    with pytest.raises(InvalidPoolError) as refused:
        check_pool(pool("new", **facts), there)
    assert refused.value.property_name == property_name
    assert refused.value.why


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"rules": AllocationRules(16, 28, 24)},
        {"rules": AllocationRules(24, 24, 24)},
        {"source_pool_id": "ipam-pool-top"},
        {"source_pool_id": "ipam-pool-here"},
        {"family": 6, "rules": AllocationRules(32, 128, 64)},
    ],
)
def test_a_pool_that_can_work_is_accepted(facts: dict[str, object]) -> None:
    """Limits may be equal, IPv6 has longer netmasks, and a source without a locale may have children anywhere."""
    check_pool(pool("new", **facts), plan(pool("top", locale=""), pool("here")))


def test_pools_nest_ten_deep() -> None:
    """The tenth level can be made, the eleventh can't."""
    chain = [pool("p1")]
    while len(chain) < MAX_DEPTH:
        new = pool(f"p{len(chain) + 1}", source_pool_id=chain[-1].pool_id)
        check_pool(new, plan(*chain))
        chain.append(new)
    with pytest.raises(InvalidPoolError, match="SourceIpamPoolId"):
        check_pool(pool("p11", source_pool_id=chain[-1].pool_id), plan(*chain))
