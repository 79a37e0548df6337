"""What an account's stacks are answered while it is no tenant, is one, leaves, and comes back; from event to answer."""

from __future__ import annotations

import pytest

from ipam.domain.authorization import derive
from ipam.domain.errors import InUseError
from ipam.domain.pool import Quota
from ipam.domain.tenant import EVERY_POOL
from ipam.services.tenancy import remove_tenant, rotate_key
from tests.invariants import check
from tests.unit.entrypoints.stage import ACCOUNT, MASTER, Stage, event

OTHER = "222222222222"


@pytest.fixture
def stage() -> Stage:
    return Stage()


def leave(stage: Stage, account: str = ACCOUNT) -> None:
    """Have an account leave, which holds something, and the function hear of it."""
    with pytest.raises(InUseError):
        remove_tenant(stage.desk.ports, account, "test")
    stage.restart()


def test_an_account_that_is_no_tenant_is_told_so(stage: Stage) -> None:
    """Its stack fails with the reason and what to do; nothing was given, and its Delete succeeds."""
    remove_tenant(stage.desk.ports, OTHER, "test")
    answer = stage.send("create_other_account")
    assert answer["Status"] == "FAILED"
    assert f"Account {OTHER} may not order addresses" in answer["Reason"] and "network team" in answer["Reason"]
    assert stage.held() == []
    stage.desk.tenant(OTHER)
    assert stage.send("create_other_account")["Status"] == "SUCCESS"
    check(stage.desk.store)


def test_a_leaving_tenants_stack_lives_on_and_ends(stage: Stage) -> None:
    """An Update in place and a redelivery are answered with what it has; another size is refused; it gives back."""
    first = stage.send("create")
    leave(stage)
    assert stage.send("redelivery") == first
    kept = stage.send("update_in_place")
    assert (kept["Status"], kept["PhysicalResourceId"]) == ("SUCCESS", first["PhysicalResourceId"])
    refused = stage.send("update_replacement")
    assert refused["Status"] == "FAILED" and f"Account {ACCOUNT} may not order" in refused["Reason"]
    assert refused["PhysicalResourceId"] == first["PhysicalResourceId"]
    assert stage.send("delete_cn_cidr_create")["Status"] == "SUCCESS"
    assert stage.send("delete_cn_cidr_delete")["Status"] == "SUCCESS"
    assert stage.held() == []
    remove_tenant(stage.desk.ports, ACCOUNT, "test")
    assert set(stage.desk.store.plan().tenants) == {OTHER}
    check(stage.desk.store)


def test_a_rotated_key_is_good_and_the_one_before_for_its_grace(stage: Stage) -> None:
    """Both announce a release during the grace; afterwards only the new one; a Delete needs none."""
    stage.send("create")
    rotate_key(stage.desk.ports, ACCOUNT, 3600, "test")
    second = event("delete_cn_cidr_create", key=derive(MASTER, ACCOUNT, 2))
    assert stage.send("delete_cn_cidr_create")["Status"] == "SUCCESS"
    assert stage.send(second)["Status"] == "SUCCESS"
    stage.clock.advance(3600)
    assert stage.send(second)["Status"] == "SUCCESS"
    refused = stage.send("delete_cn_cidr_create")
    assert refused["Status"] == "FAILED" and "Authorizationkey" in refused["Reason"]
    assert stage.send("delete_cn_cidr_delete")["Status"] == "SUCCESS"
    check(stage.desk.store)


def test_a_tenants_quota_is_told_with_its_limit(stage: Stage) -> None:
    """Its own limit refuses its stack, and no other tenant's."""
    stage.desk.tenant(quotas=((EVERY_POOL, Quota(allocations=0)),), account=ACCOUNT)
    refused = stage.send("create")
    assert refused["Status"] == "FAILED" and "0 allocations" in refused["Reason"]
    assert stage.send("create_other_account")["Status"] == "SUCCESS"
