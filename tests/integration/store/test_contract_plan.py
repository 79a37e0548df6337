"""What every store has to do with the parts of the plan: they change and go only as they were seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.change import (
    Operation,
    PutName,
    PutPool,
    PutProvisioned,
    PutScope,
    PutTenant,
    RemoveName,
    RemovePool,
    RemoveProvisioned,
    RemoveScope,
    ReplacePool,
    ReplaceScope,
    ReplaceTenant,
    TouchPool,
    TouchScope,
)
from ipam.domain.pool import AllocationRules, Pool, ProvisionedCidr, Quota, Scope, SourceResource
from ipam.domain.tenant import Tenant
from ipam.services.ports.store import Refusal
from tests.builders import ACCOUNT, NOON, REGION, blocks
from tests.integration.store.contract import POOL, PROVISIONED, SCOPE, SIX, B, P, commit, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.services.ports.store import Store

RULES = AllocationRules(
    min_netmask_length=0,
    max_netmask_length=32,
    default_netmask_length=0,
    required_tags=(("team", ""), ("stage", "ä=prod")),
    allowed_cidrs=tuple(blocks("10.0.0.0/8", "::/0")),
    disallowed_cidrs=tuple(blocks("10.9.0.0/16")),
    approval_netmask_length=0,
    lease_seconds=1,
    strategy="sparse",
)
FULL = replace(
    POOL,
    rules=RULES,
    tags=(("team", "net"), ("empty", "")),
    shared_with=(ACCOUNT, "ou-abcd-12345678", "o-1234567890"),
    source_resource=SourceResource("vpc-0", ACCOUNT, REGION),
    vpc_ipam_pool_id="ipam-pool-aws",
    auto_import=True,
    sticky=True,
    version=7,
)

TENANT = Tenant(
    ACCOUNT, "shop", "ou-abcd-12345678", NOON, "leaving", (("*", Quota(1, None)), (P, Quota())), 3, NOON, NOON
)

Part = tuple[Operation, "Callable[[int], Operation]", Operation, "Callable[[int], Operation]"]

PARTS: dict[str, Part] = {
    "pool": (
        PutPool(POOL),
        lambda version: ReplacePool(replace(POOL, description="changed", version=version)),
        TouchPool(P),
        lambda version: RemovePool(P, version),
    ),
    "scope": (
        PutScope(SCOPE),
        lambda version: ReplaceScope(replace(SCOPE, description="changed", version=version)),
        TouchScope(SCOPE.scope_id),
        lambda version: RemoveScope(replace(SCOPE, description="whatever else", version=version)),
    ),
}
"""For pools and scopes: how one is put, replaced over a version, touched, and removed at a version."""


@pytest.fixture(params=PARTS)
def part(request: pytest.FixtureRequest) -> Part:
    """A kind of part of the plan."""
    return PARTS[request.param]


def there(store: Store) -> Pool | Scope | None:
    """Read the only part that there is."""
    plan = store.plan()
    parts: list[Pool | Scope] = [*plan.pools.values(), *plan.scopes.values()]
    return next(iter(parts), None)


def version(store: Store) -> int:
    """Read the version of the only part that there is."""
    found = there(store)
    assert found is not None
    return found.version


def test_a_plan_is_read_as_it_was_written(store: Store) -> None:
    """Scopes, pools and provisioned CIDRs come back with every fact, set or not."""
    bare = replace(POOL, pool_id="ipam-pool-b", source_pool_id=P, name="b", rules=AllocationRules(), quota=Quota())
    six = replace(POOL, pool_id="ipam-pool-c", name="c", family=6, locale="", allocation_types=frozenset())
    plain = replace(SCOPE, scope_id="ipam-scope-1", description="", scope_type="public")
    provisioned = [ProvisionedCidr(pool_id, cidr, "x", NOON) for pool_id, cidr in ((P, B), ("ipam-pool-c", SIX))]
    puts: list[Operation] = [PutScope(SCOPE), PutScope(plain), PutName("corporate", "ipam-scope-0")]
    puts += [*map(PutPool, (POOL, bare, six)), *map(PutProvisioned, provisioned)]
    commit(store, *puts)
    plan = store.plan()
    assert plan.scopes == {scope.scope_id: scope for scope in (SCOPE, plain)}
    assert plan.pools == {pool.pool_id: pool for pool in (POOL, bare, six)}
    assert plan.space(P).provisioned == (B,)
    assert plan.space("ipam-pool-c").provisioned == (SIX,)
    assert plan.space("ipam-pool-b").provisioned == ()


def test_every_fact_of_a_pool_and_a_scope_is_kept(store: Store) -> None:
    """With all that can be set set, and zero is set; replaced, they are one version on and otherwise as they are."""
    scope = replace(SCOPE, tags=(("team", "net"),), is_default=True, version=3)
    commit(store, PutPool(FULL), PutScope(scope))
    assert (store.plan().pools[P], store.plan().scopes[scope.scope_id]) == (FULL, scope)
    commit(store, ReplacePool(replace(POOL, version=7)), ReplaceScope(replace(SCOPE, version=3)))
    assert store.plan().pools[P] == replace(POOL, version=8)
    assert store.plan().scopes[scope.scope_id] == replace(SCOPE, version=4)


def test_a_part_is_replaced_over_the_version_that_was_seen(store: Store, part: Part) -> None:
    """I3: a part that is not there, or of another version, is left as it is; a replacement counts the version on."""
    put, changed, _, _ = part
    assert refused(store, changed(1)) == [Refusal(changed(1))]
    commit(store, put)
    for other in (0, 2):
        assert refused(store, changed(other)) == [Refusal(changed(other))]
    commit(store, changed(1))
    found = there(store)
    assert found is not None and (found.description, found.version) == ("changed", 2)
    assert refused(store, changed(1)) == [Refusal(changed(1))]


def test_a_part_is_touched_where_it_is(store: Store, part: Part) -> None:
    """I3: nothing is attached to what is not there; what is there is one version on, and otherwise as it was."""
    put, _, touch, remove = part
    assert refused(store, touch) == [Refusal(touch)]
    commit(store, put)
    before = there(store)
    commit(store, touch)
    commit(store, touch)
    assert before is not None and there(store) == replace(before, version=3)
    commit(store, remove(3))
    assert refused(store, touch) == [Refusal(touch)]


def test_a_part_that_was_touched_is_not_removed(store: Store, part: Part) -> None:
    """I3: something was attached to it since it was seen to be empty; whoever looks again may remove it, once."""
    put, changed, touch, remove = part
    assert refused(store, remove(1)) == [Refusal(remove(1))]
    commit(store, put)
    for meanwhile in (touch, changed(2)):
        before = version(store)
        commit(store, meanwhile)
        assert refused(store, remove(before)) == [Refusal(remove(before))]
    commit(store, remove(3))
    assert there(store) is None
    assert refused(store, remove(3)) == [Refusal(remove(3))]


def test_a_part_that_was_removed_can_be_put_again(store: Store, part: Part) -> None:
    """Nothing of it is left in the way."""
    put, _, _, remove = part
    for _ in range(2):
        commit(store, put)
        commit(store, remove(1))
    assert there(store) is None


def test_a_name_is_given_back_by_its_holder(store: Store) -> None:
    """What another pool has taken stays taken; given back, the name can be taken again."""
    remove = RemoveName("vpcs", P)
    assert refused(store, remove) == [Refusal(remove)]
    commit(store, PutName("vpcs", "ipam-pool-other"))
    assert refused(store, remove) == [Refusal(remove)]
    taken = PutName("vpcs", P)
    assert refused(store, taken) == [Refusal(taken)]
    commit(store, RemoveName("vpcs", "ipam-pool-other"))
    commit(store, taken)
    commit(store, remove)
    assert refused(store, remove) == [Refusal(remove)]


@pytest.mark.parametrize(
    "wrong", [{"allocation_id": "alloc-x"}, {"cidr": B.buddy}, {"cidr": SIX}, {"pool_id": "ipam-pool-other"}], ids=str
)
def test_only_what_was_provisioned_is_deprovisioned(store: Store, wrong: dict[str, Any]) -> None:
    """I3: exactly this block of this pool, by the allocation that it came with, and only once."""
    remove = RemoveProvisioned(PROVISIONED)
    assert refused(store, remove) == [Refusal(remove)]
    commit(store, PutPool(POOL), PutProvisioned(PROVISIONED))
    other = RemoveProvisioned(replace(PROVISIONED, **wrong))
    assert refused(store, other) == [Refusal(other)]
    assert store.plan().provisioned(P) == (PROVISIONED,)
    commit(store, RemoveProvisioned(replace(PROVISIONED, created=NOON + 5)))
    assert store.plan().provisioned(P) == ()
    assert refused(store, remove) == [Refusal(remove)]


def test_a_tenant_changes_and_goes_only_as_it_was_seen(store: Store) -> None:
    """An account is a tenant once; a change counts its version on, and an older sight of it changes nothing.

    One that was removed is no tenant, and is still known.
    """
    put, changed = PutTenant(TENANT), ReplaceTenant(replace(TENANT, name="changed"))
    assert refused(store, changed) == [Refusal(changed)]
    commit(store, put)
    assert store.plan().tenants == {ACCOUNT: TENANT}
    assert refused(store, put) == [Refusal(put)]
    commit(store, changed)
    assert store.plan().tenants == {ACCOUNT: replace(TENANT, name="changed", version=2)}
    for late in (changed, ReplaceTenant(TENANT.removed())):
        assert refused(store, late) == [Refusal(late)]
    gone = replace(TENANT, version=2, quotas=((P, Quota(1, None)),), previous_until=NOON).removed()
    commit(store, ReplaceTenant(gone))
    assert (store.plan().tenants, store.plan().removed) == ({}, {ACCOUNT: replace(gone, version=3)})
    assert (gone.standing, gone.quotas, gone.previous_until) == ("removed", (), None)
    assert refused(store, put) == [Refusal(put)]
