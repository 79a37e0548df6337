from __future__ import annotations

import pytest

from ipam.domain.errors import AllocationRuleError, MissingTagError, NetmaskLengthError
from ipam.domain.pool import AllocationRules, Quota, Scope, Space, units
from tests.builders import NOON, block, blocks


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


TEAM_AND_STAGE = AllocationRules(required_tags=(("team", "net"), ("stage", "")))


def test_a_resource_with_all_required_tags_is_served() -> None:
    """In any order, among others; a pool that requires none asks for none."""
    TEAM_AND_STAGE.check_tags("vpcs", (("stage", ""), ("more", "of it"), ("team", "net")))
    AllocationRules().check_tags("vpcs", ())


@pytest.mark.parametrize(
    ("tags", "key", "value", "has"),
    [
        ((), "team", "net", None),
        ((("stage", ""),), "team", "net", None),
        ((("team", "Net"), ("stage", "")), "team", "net", "Net"),
        ((("Team", "net"), ("stage", "")), "team", "net", None),
        ((("team", "net"),), "stage", "", None),
        ((("team", "net"), ("stage", "prod")), "stage", "", "prod"),
    ],
)
def test_a_resource_without_a_required_tag_is_refused(
    tags: tuple[tuple[str, str], ...], key: str, value: str, has: str | None
) -> None:
    """Key and value count, letter by letter; the error tells the first that is missing, and what is there instead."""
    with pytest.raises(MissingTagError) as refused:
        TEAM_AND_STAGE.check_tags("vpcs", tags)
    assert refused.value == MissingTagError("vpcs", key, value, has)


TEN = AllocationRules(
    allowed_cidrs=tuple(blocks("10.0.0.0/16", "10.1.0.0/16")), disallowed_cidrs=tuple(blocks("10.0.128.0/24"))
)


@pytest.mark.parametrize("cidr", ["10.0.0.0/24", "10.0.0.0/17", "10.1.0.0/16", "10.0.129.0/24", "10.0.255.255/32"])
def test_a_block_that_the_rules_allow_is_given(cidr: str) -> None:
    """Inside one of the allowed blocks, or all of it, and beside the disallowed ones; without rules any block."""
    TEN.check_block("vpcs", block(cidr))
    AllocationRules().check_block("vpcs", block(cidr))
    AllocationRules(disallowed_cidrs=tuple(blocks("::/0"))).check_block("vpcs", block(cidr))


@pytest.mark.parametrize(
    ("cidr", "rule", "limit"),
    [
        ("10.2.0.0/24", "AllowedCidrs", "10.0.0.0/16, 10.1.0.0/16"),
        ("10.0.0.0/15", "AllowedCidrs", "10.0.0.0/16, 10.1.0.0/16"),
        ("::/16", "AllowedCidrs", "10.0.0.0/16, 10.1.0.0/16"),
        ("10.0.0.0/16", "DisallowedCidrs", "10.0.128.0/24"),
        ("10.0.128.0/24", "DisallowedCidrs", "10.0.128.0/24"),
        ("10.0.128.64/26", "DisallowedCidrs", "10.0.128.0/24"),
    ],
)
def test_a_block_against_the_rules_is_refused(cidr: str, rule: str, limit: str) -> None:
    """Partly outside every allowed block, or touching a disallowed one; the error tells the rule and its value."""
    with pytest.raises(AllocationRuleError) as refused:
        TEN.check_block("vpcs", block(cidr))
    assert refused.value == AllocationRuleError("vpcs", rule, cidr, limit)


@pytest.mark.parametrize(
    ("threshold", "length", "waits"),
    [(None, 0, False), (16, 15, True), (16, 16, False), (16, 17, False), (0, 0, False), (32, 31, True)],
)
def test_what_is_larger_than_the_threshold_waits_for_approval(
    threshold: int | None, length: int, *, waits: bool
) -> None:
    """The threshold itself is given at once; a pool without one lets nothing wait."""
    assert AllocationRules(approval_netmask_length=threshold).waits_for_approval(length) == waits


@pytest.mark.parametrize(
    ("cidr", "count"),
    [("10.0.0.0/24", 256), ("10.0.0.0/32", 1), ("2001:db8::/48", 65536), ("2001:db8::/64", 1), ("::1/128", 1)],
)
def test_quotas_count_addresses_and_64s(cidr: str, count: int) -> None:
    """A unit is one IPv4 address or an IPv6 /64; a part of one counts as a whole."""
    assert units(block(cidr)) == count


def test_a_scope_is_every_address_of_both_families() -> None:
    """Nothing is outside of a scope."""
    assert Scope("ipam-scope-a", "corporate", "private", "", NOON).world() == blocks("0.0.0.0/0", "::/0")


def test_a_block_lies_in_one_provisioned_cidr_or_in_none() -> None:
    """What reaches over the edge of it, or is beside it, or of the other family, lies in none."""
    space = Space("ipam-pool-a", "a", tuple(blocks("10.0.0.0/16", "10.2.0.0/16")), Quota(3), 7)
    assert space.around(block("10.2.3.0/24")) == space.around(block("10.2.0.0/16")) == block("10.2.0.0/16")
    assert [space.around(cidr) for cidr in blocks("10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/15", "::/24")] == [None] * 4
