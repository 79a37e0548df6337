from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
import pytest

from ipam.domain.errors import (
    InvalidPoolError,
    NoPoolForRequestError,
    NoSuchPoolError,
    NoSuchScopeError,
    PoolMismatchError,
    SeveralScopesError,
)
from ipam.domain.plan import (
    Ask,
    Plan,
    check_change,
    check_name,
    check_new_pool,
    check_pool,
    check_scope_change,
    is_region,
)
from ipam.domain.pool import MAX_DEPTH, AllocationRules, Pool, ProvisionedCidr, Quota, Scope, SourceResource, Space
from tests.builders import ACCOUNT, NOON, REGION, blocks

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


VPC = SourceResource("vpc-0", ACCOUNT, REGION)
SUBNETS = frozenset({"subnet"})


def subnets_of_a_vpc(name: str, **facts: object) -> Pool:
    """Make a pool for the subnets of a VPC whose CIDR is from the pool `vpcs`."""
    usual: dict[str, object] = {
        "source_pool_id": "ipam-pool-vpcs",
        "source_resource": VPC,
        "allocation_types": SUBNETS,
    }
    return pool(name, **(usual | facts))


ASK = Ask(None, None, REGION, "vpc", 4, 24, None)


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


@pytest.mark.parametrize(
    ("scopes", "default"),
    [
        ([], None),
        ([Scope("p", "private", "public", "", NOON)], None),
        ([OTHER], OTHER),
        ([OTHER, Scope("p", "public", "public", "", NOON, is_default=True)], OTHER),
        ([OTHER, PRIVATE], None),
        ([OTHER, replace(PRIVATE, name="private")], replace(PRIVATE, name="private")),
        ([OTHER, replace(PRIVATE, is_default=True)], replace(PRIVATE, is_default=True)),
        ([replace(OTHER, name="private"), replace(PRIVATE, is_default=True)], replace(PRIVATE, is_default=True)),
        ([replace(OTHER, is_default=True), replace(PRIVATE, is_default=True)], None),
    ],
)
def test_the_default_scope_is_the_one_that_is_meant_unnamed(scopes: list[Scope], default: Scope | None) -> None:
    """The only private one; of several the one that the plan began with, or else the one that is called so."""
    assert Plan(tuple(scopes), (), ()).default_scope == default


@pytest.mark.parametrize("tags", [(), (("stage", "prod"),)])
def test_only_pools_of_one_scope_are_chosen_unnamed(tags: tuple[tuple[str, str], ...]) -> None:
    """Those of the default scope where several have pools that fit; the one that has any, where only one does."""
    marked = replace(PRIVATE, is_default=True)
    ask = replace(ASK, pool_tags=tags)
    lab = pool("a", scope_id=OTHER.scope_id, tags=tags)
    ours = [pool("b", tags=tags), pool("c", tags=tags)]
    both = Plan((OTHER, marked), (lab, *ours), ())
    assert both.asked_for(ask) == both.candidates(ask) == ours
    for named in (replace(ask, pool_name="a"), replace(ask, pools=("a", "b"))):
        assert both.asked_for(named)[0] == lab
    alone = Plan((OTHER, marked), (lab, pool("b", locale="us-east-1", tags=tags)), ())
    assert alone.asked_for(ask) == [lab]


def test_a_scope_is_not_guessed() -> None:
    """Several scopes with pools that fit, none of them the default one: the request has to name a pool."""
    third = replace(OTHER, scope_id="ipam-scope-c", name="branch")
    there = (pool("a", scope_id=OTHER.scope_id), pool("b", scope_id=third.scope_id))
    for scopes in ((OTHER, third), (OTHER, third, replace(PRIVATE, is_default=True))):
        with pytest.raises(SeveralScopesError) as refused:
            Plan(scopes, there, ()).asked_for(ASK)
        assert refused.value == SeveralScopesError(REGION, "vpc", 4, ("branch", "lab"))


def test_what_is_held_may_be_in_any_scope() -> None:
    """What a stack has of a pool that fits is what it asks for, whatever scope a new block would be of."""
    lab, far = pool("a", scope_id=OTHER.scope_id), pool("far", locale="us-east-1")
    both = plan(lab, pool("b"), far)
    assert both.may_hold(ASK, lab.pool_id)
    assert both.may_hold(ASK, "ipam-pool-b")
    assert not both.may_hold(ASK, far.pool_id)
    assert not both.may_hold(ASK, "ipam-pool-gone")
    assert both.may_hold(replace(ASK, pool_name="a"), lab.pool_id)
    assert not both.may_hold(replace(ASK, pool_name="b"), lab.pool_id)
    assert not both.may_hold(replace(ASK, pools=("b", "far")), far.pool_id)


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


def test_the_first_of_several_pools_is_tried_first() -> None:
    """Named by id or by name, in the order in which they are named."""
    a, b, c = pool("a"), pool("b"), pool("c")
    asked = replace(ASK, pools=("c", a.pool_id, "b"))
    assert asked.named == ("c", a.pool_id, "b")
    assert plan(a, b, c).candidates(asked) == [c, a, b]


def test_of_several_pools_those_that_fit_are_tried() -> None:
    """One that is for something else is passed over; if none fits, the first says why not."""
    six, virginia, here = pool("six", family=6), pool("virginia", locale="us-east-1"), pool("here")
    there = plan(six, virginia, here)
    assert there.candidates(replace(ASK, pools=("six", "here", "virginia"))) == [here]
    with pytest.raises(PoolMismatchError) as refused:
        there.candidates(replace(ASK, pools=("virginia", "six")))
    assert (refused.value.pool, refused.value.fact) == ("virginia", "locale")


def test_the_pools_that_are_meant_are_told_whether_they_fit_or_not() -> None:
    """Named ones all, each once, in the order given; of all others only those that fit."""
    six, here = pool("six", family=6), pool("here")
    there = plan(six, here)
    assert there.asked_for(replace(ASK, pools=("six", "here", six.pool_id))) == [six, here]
    assert there.asked_for(replace(ASK, pool_name="six")) == [six]
    assert there.asked_for(ASK) == [here]


def test_one_of_several_pools_that_does_not_exist_is_an_error() -> None:
    """A misspelt name is told, though another would serve."""
    with pytest.raises(NoSuchPoolError) as refused:
        plan(pool("a")).candidates(replace(ASK, pools=("a", "aa")))
    assert refused.value.selector == "aa"


def test_a_pool_is_chosen_by_its_tags() -> None:
    """Of the pools that fit, those that have all the tags, key and value, by name."""
    prod, both, neither = ("stage", "prod"), ("team", "net"), ("stage", "lab")
    pools = [
        pool("b", tags=(both, prod)),
        pool("a", tags=(prod, both)),
        pool("c", tags=(prod,)),
        pool("d", tags=(neither,)),
    ]
    the_plan = plan(*pools, pool("e"), pool("f", tags=(prod, both), family=6))
    assert [each.name for each in the_plan.candidates(replace(ASK, pool_tags=(prod,)))] == ["a", "b", "c"]
    assert [each.name for each in the_plan.candidates(replace(ASK, pool_tags=(prod, both)))] == ["a", "b"]
    with pytest.raises(NoPoolForRequestError) as refused:
        the_plan.candidates(replace(ASK, pool_tags=(("stage", "test"),)))
    assert refused.value.tags == (("stage", "test"),)


@pytest.mark.parametrize(("tags", "has"), [((("stage", "lab"),), "lab"), ((), ""), ((("Stage", "prod"),), "")])
def test_a_named_pool_has_to_have_the_tags_too(tags: tuple[tuple[str, str], ...], has: str) -> None:
    """What is asked for in two ways has to fit both; the error tells the tag, and what the pool has for its key."""
    asked = replace(ASK, pool_name="a", pool_tags=(("stage", "prod"),))
    with pytest.raises(PoolMismatchError) as refused:
        plan(pool("a", tags=tags)).candidates(asked)
    assert refused.value == PoolMismatchError("a", "tags", has, "stage=prod")
    assert plan(pool("a", tags=(("stage", "prod"),))).candidates(asked)


def test_a_pool_whose_vpcs_are_divided_goes_on_giving() -> None:
    """A level of the plan is not chosen unnamed, but a pool of a VPC's subnets makes none of the VPC's own pool."""
    vpcs, level = pool("vpcs"), pool("level")
    below = pool("below", source_pool_id=level.pool_id)
    assert plan(level, vpcs, below, subnets_of_a_vpc("s")).candidates(ASK) == [below, vpcs]


def test_the_pool_of_a_vpcs_subnets_is_not_met_by_chance() -> None:
    """It is for the subnets of that VPC: chosen by name, id or tags, and never because of its Region alone."""
    shared, divided = pool("shared", allocation_types=SUBNETS), subnets_of_a_vpc("divided", tags=(("vpc", "vpc-0"),))
    there = plan(pool("vpcs", allocation_types=frozenset({"vpc"})), divided, shared)
    asked = replace(ASK, allocation_type="subnet")
    assert there.candidates(asked) == [shared]
    for chosen in ({"pool_name": "divided"}, {"pools": (divided.pool_id,)}, {"pool_tags": (("vpc", "vpc-0"),)}):
        assert there.candidates(replace(asked, **chosen)) == [divided]


def test_a_scope_is_found_by_its_id_and_its_name() -> None:
    """There is no third way."""
    assert plan().named_scope("ipam-scope-b") == plan().named_scope("lab") == OTHER
    with pytest.raises(NoSuchScopeError) as refused:
        plan(pool("a")).named_scope("a")
    assert refused.value.selector == "a"


def test_the_holder_of_a_name_is_a_pool_or_a_scope() -> None:
    """A name is unique in the whole plan; one that nobody has is free."""
    there = plan(pool("a"))
    assert [there.holder_of(name) for name in ("a", "lab", "b")] == ["ipam-pool-a", "ipam-scope-b", None]


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
    """A pool's space is its provisioned CIDRs, with its quota, its cooling time and its rules."""
    a = pool("a", quota=Quota(3), cooling_seconds=7, rules=AllocationRules(16))
    given = tuple(ProvisionedCidr(a.pool_id, cidr, "x", NOON) for cidr in blocks("10.0.0.0/16", "10.2.0.0/16"))
    the_plan = plan(a, pool("b"), provisioned=given)
    assert the_plan.provisioned(a.pool_id) == given
    assert not the_plan.provisioned("ipam-pool-b") and not the_plan.space("ipam-pool-b").provisioned
    assert the_plan.space(a.pool_id) == Space(
        a.pool_id, "a", tuple(blocks("10.0.0.0/16", "10.2.0.0/16")), Quota(3), 7, AllocationRules(16)
    )


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
        ({"rules": AllocationRules(approval_netmask_length=33)}, "ApprovalNetmaskLength"),
        ({"rules": AllocationRules(approval_netmask_length=-1)}, "ApprovalNetmaskLength"),
        ({"rules": AllocationRules(lease_seconds=0)}, "LeaseSeconds"),
        ({"rules": AllocationRules(lease_seconds=-1)}, "LeaseSeconds"),
        ({"rules": AllocationRules(allowed_cidrs=tuple(blocks("10.0.0.0/8", "::/0")))}, "AllowedCidrs"),
        ({"rules": AllocationRules(disallowed_cidrs=tuple(blocks("::/0")))}, "DisallowedCidrs"),
        ({"family": 6, "rules": AllocationRules(allowed_cidrs=tuple(blocks("10.0.0.0/8")))}, "AllowedCidrs"),
        ({"source_pool_id": "ipam-pool-divided"}, "SourceIpamPoolId"),
        ({"source_pool_id": "ipam-pool-amazon"}, "SourceIpamPoolId"),
        ({"source_resource": VPC, "allocation_types": SUBNETS}, "SourceIpamPoolId"),
        ({"source_pool_id": "ipam-pool-vpcs", "source_resource": VPC}, "AllocationTypes"),
        (
            {"source_pool_id": "ipam-pool-vpcs", "source_resource": VPC, "allocation_types": frozenset()},
            "AllocationTypes",
        ),
        (
            {"source_pool_id": "ipam-pool-top", "source_resource": VPC, "allocation_types": SUBNETS, "locale": ""},
            "Locale",
        ),
        (
            {
                "source_pool_id": "ipam-pool-vpcs",
                "source_resource": replace(VPC, region="us-east-1"),
                "allocation_types": SUBNETS,
            },
            "Locale",
        ),
    ],
)
def test_a_pool_that_could_not_work_is_refused(facts: dict[str, object], property_name: str) -> None:
    """The error names the property that is wrong."""
    there = plan(
        pool("lab", scope_id=OTHER.scope_id),
        pool("six", family=6),
        pool("virginia", locale="us-east-1"),
        pool("top", locale=""),
        pool("vpcs"),
        subnets_of_a_vpc("divided"),
        pool("amazon", vpc_ipam_pool_id="ipam-pool-aws"),
    )
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
        {
            "rules": AllocationRules(
                allowed_cidrs=tuple(blocks("10.0.0.0/8")), disallowed_cidrs=tuple(blocks("0.0.0.0/0"))
            )
        },
        {"rules": AllocationRules(approval_netmask_length=32, lease_seconds=1, strategy="sparse")},
        {"rules": AllocationRules(24, approval_netmask_length=16)},
        {"family": 6, "rules": AllocationRules(disallowed_cidrs=tuple(blocks("::/0")), approval_netmask_length=128)},
        {"source_pool_id": "ipam-pool-here", "source_resource": VPC, "allocation_types": SUBNETS},
        {"vpc_ipam_pool_id": "ipam-pool-aws", "shared_with": (ACCOUNT,), "auto_import": True},
    ],
)
def test_a_pool_that_can_work_is_accepted(facts: dict[str, object]) -> None:
    """Limits may be equal, IPv6 has longer netmasks, and a source without a locale may have children anywhere.

    What only makes little sense, such as to disallow all or to approve what is not given anyway, is nobody's harm.
    """
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


@pytest.mark.parametrize(
    ("facts", "property_name", "value", "was"),
    [
        ({"locale": "us-east-1"}, "Locale", "us-east-1", REGION),
        ({"locale": ""}, "Locale", "", REGION),
        ({"family": 6}, "AddressFamily", "ipv6", "ipv4"),
        ({"scope_id": OTHER.scope_id}, "IpamScopeId", OTHER.scope_id, PRIVATE.scope_id),
        ({"source_pool_id": None}, "SourceIpamPoolId", "", "ipam-pool-vpcs"),
        ({"source_pool_id": "ipam-pool-top"}, "SourceIpamPoolId", "ipam-pool-top", "ipam-pool-vpcs"),
        ({"source_resource": None}, "SourceResource", "", "vpc-0 of 111122223333 in eu-central-1"),
        (
            {"source_resource": replace(VPC, resource_id="vpc-1")},
            "SourceResource",
            "vpc-1 of 111122223333 in eu-central-1",
            "vpc-0",
        ),
        ({"vpc_ipam_pool_id": "ipam-pool-aws"}, "VpcIpamPoolId", "ipam-pool-aws", "none"),
    ],
)
def test_what_a_pool_is_made_as_does_not_change(
    facts: dict[str, object], property_name: str, value: str, was: str
) -> None:
    """Its place in the plan, its family and its Region are fixed; the error tells which of them, and what it is."""
    old = subnets_of_a_vpc("s")
    with pytest.raises(InvalidPoolError) as refused:
        check_change(old, replace(old, **facts), plan(pool("top", locale=""), pool("vpcs"), old))  # type: ignore[arg-type]
    error = refused.value
    assert (error.property_name, error.value) == (property_name, value)
    assert was in error.why


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"name": "renamed", "description": "words", "tags": (("team", "net"),), "shared_with": (ACCOUNT,)},
        {"rules": AllocationRules(24, 28, 26, lease_seconds=60), "quota": Quota(1, 256), "cooling_seconds": 60},
        {"version": 9, "auto_import": True, "sticky": True},
    ],
)
def test_everything_else_of_a_pool_may_change(facts: dict[str, object]) -> None:
    """Rules, quotas, sharing, tags and words change whenever they make sense."""
    old = pool("a", version=4)
    check_change(old, replace(old, **facts), plan(old))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "property_name"),
    [
        ({"rules": AllocationRules(28, 16)}, "AllocationMinNetmaskLength"),
        ({"rules": AllocationRules(disallowed_cidrs=tuple(blocks("::/0")))}, "DisallowedCidrs"),
        ({"cooling_seconds": -1}, "CoolingSeconds"),
    ],
)
def test_a_change_to_what_could_not_work_is_refused(facts: dict[str, object], property_name: str) -> None:
    """A changed pool has to make as much sense as a new one."""
    old = pool("a")
    with pytest.raises(InvalidPoolError) as refused:
        check_change(old, replace(old, **facts), plan(old))  # type: ignore[arg-type]
    assert refused.value.property_name == property_name


@pytest.mark.parametrize(
    ("facts", "property_name"), [({"scope_type": "public"}, "IpamScopeType"), ({"is_default": True}, "IsDefault")]
)
def test_what_a_scope_is_made_as_does_not_change(facts: dict[str, object], property_name: str) -> None:
    """Its type is fixed, and whether the plan begins with it; its name, words and tags are not."""
    check_scope_change(PRIVATE, replace(PRIVATE, name="new", description="words", tags=(("team", "net"),), version=7))
    with pytest.raises(InvalidPoolError) as refused:
        check_scope_change(PRIVATE, replace(PRIVATE, **facts))  # type: ignore[arg-type]
    assert refused.value.property_name == property_name


# ---------------------------------------------------------------------------------------------------- names and Regions
@pytest.mark.parametrize("name", ["", " ", " vpcs", "vpcs ", "a\nb", "a\u2028b", "\x1b[31mred"])
def test_a_name_can_be_said(name: str) -> None:
    """It is not empty, and nobody has to guess what is around it or in it."""
    with pytest.raises(InvalidPoolError) as refused:
        check_name(name)
    assert (refused.value.property_name, refused.value.value) == ("Name", name)
    old = pool("old")
    with pytest.raises(InvalidPoolError):
        check_new_pool(replace(old, name=name), plan())
    with pytest.raises(InvalidPoolError):
        check_change(old, replace(old, name=name), plan(old))
    with pytest.raises(InvalidPoolError):
        check_scope_change(OTHER, replace(OTHER, name=name))
    odd = replace(old, name=name)
    check_change(odd, replace(odd, description="it can be edited all the same"), plan(odd))
    check_scope_change(replace(OTHER, name=name), replace(OTHER, name=name, description="so can a scope"))


@pytest.mark.parametrize("name", ["a", "Netze in Köln", "vpc-eu-central-1", "東京"])
def test_a_name_may_be_of_any_language(name: str) -> None:
    """Letters and spaces inside it are fine."""
    check_name(name)


@pytest.mark.parametrize(
    "region", ["eu-centrl-1", "nowhere-1", "eu-central", "eu-central-0", "EU-CENTRAL-1", "eu-central-1a", ""]
)
def test_what_is_no_region_is_no_locale_of_a_new_pool(region: str) -> None:
    """It could not be corrected later; a pool that has one already can be edited all the same."""
    assert not is_region(region)
    if region:
        odd = pool("odd", locale=region)
        with pytest.raises(InvalidPoolError) as refused:
            check_new_pool(odd, plan())
        assert refused.value.property_name == "Locale"
        check_change(odd, replace(odd, description="words"), plan(odd))


def test_every_region_that_the_client_library_knows_has_the_form() -> None:
    """Of all partitions."""
    session = boto3.Session()
    partitions = session.get_available_partitions()
    known = [name for each in partitions for name in session.get_available_regions("ec2", partition_name=each)]
    assert len(known) > 30
    assert [name for name in known if not is_region(name)] == []
    check_new_pool(pool("new", locale=known[0]), plan())
