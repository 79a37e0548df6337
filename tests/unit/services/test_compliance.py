from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.errors import AllocationRuleError, MissingTagError, NetmaskLengthError, PoolMismatchError
from ipam.domain.pool import AllocationRules
from ipam.services.compliance import non_compliant
from ipam.services.pools import NewPool, edit_pool
from tests.builders import REGION, Desk, blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.errors import PermanentError
    from ipam.domain.pool import Pool

    MakePool = Callable[..., Pool]

TEAM = (("team", "net"),)

CHANGES: list[tuple[dict[str, Any], dict[str, PermanentError]]] = [
    ({}, {}),
    (
        {"allocation_types": frozenset({"vpc"})},
        {"10.0.0.64/27": PoolMismatchError("vpcs", "allocation_type", "vpc", "subnet")},
    ),
    (
        {"rules": AllocationRules(27, 28)},
        {"10.0.0.0/26": NetmaskLengthError("vpcs", 26, "AllocationMinNetmaskLength", 27)},
    ),
    (
        {"rules": AllocationRules(16, 26, 24)},
        {
            "10.0.0.64/27": NetmaskLengthError("vpcs", 27, "AllocationMaxNetmaskLength", 26),
            "10.0.0.96/28": NetmaskLengthError("vpcs", 28, "AllocationMaxNetmaskLength", 26),
        },
    ),
    (
        {"rules": AllocationRules(required_tags=TEAM)},
        {
            "10.0.0.0/26": MissingTagError("vpcs", "team", "net", None),
            "10.0.0.64/27": MissingTagError("vpcs", "team", "net", "web"),
        },
    ),
    (
        {"rules": AllocationRules(allowed_cidrs=tuple(blocks("10.0.0.0/26", "10.0.0.96/27")))},
        {"10.0.0.64/27": AllocationRuleError("vpcs", "AllowedCidrs", "10.0.0.64/27", "10.0.0.0/26, 10.0.0.96/27")},
    ),
    (
        {"rules": AllocationRules(disallowed_cidrs=tuple(blocks("10.0.0.32/27")))},
        {"10.0.0.0/26": AllocationRuleError("vpcs", "DisallowedCidrs", "10.0.0.0/26", "10.0.0.32/27")},
    ),
    (
        # Of several rules, the first that an order would be refused for.
        {"allocation_types": frozenset({"vpc"}), "rules": AllocationRules(28, 28, required_tags=TEAM)},
        {
            "10.0.0.0/26": MissingTagError("vpcs", "team", "net", None),
            "10.0.0.64/27": PoolMismatchError("vpcs", "allocation_type", "vpc", "subnet"),
        },
    ),
]


@pytest.mark.parametrize(("facts", "told"), CHANGES)
def test_what_the_rules_of_today_would_refuse_is_told(
    desk: Desk, pool_of: MakePool, facts: dict[str, Any], told: dict[str, PermanentError]
) -> None:
    """Each allocation with the rule, the value and the pool; what child pools have is no resource's and never told."""
    pool = pool_of("10.0.0.0/24")
    desk.allocate(desk.request("a", 26, pool=pool))
    subnet = desk.request("b", 27, pool=pool, allocation_type="subnet")
    desk.allocate(replace(subnet, tags=(("team", "web"),)))
    desk.allocate(replace(desk.request("c", 28, pool=pool), tags=(("stage", "x"), *TEAM)))
    desk.pool(NewPool("child", pool.scope_id, source_pool_id=pool.pool_id, locale=REGION), "10.0.0.128/25")
    edited = edit_pool(desk.ports, pool.pool_id, lambda old: replace(old, **facts), "test")
    found = list(non_compliant(desk.ports, desk.store.plan(), edited))
    assert [(str(allocation.cidr), error) for allocation, error in found] == list(told.items())
