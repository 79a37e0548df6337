from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest
from sortedcontainers import SortedDict

from ipam.adapters.dynamodb import keys
from ipam.domain.allocation import Lease
from ipam.domain.change import ChangeQuota
from ipam.domain.owner import Grant, OwnerKey
from ipam.domain.pool import ProvisionedCidr, SourceResource
from ipam.entrypoints.cli.render_doctor import SENTENCES
from ipam.services.soundness import Kind
from tests.builders import ACCOUNT, NOON, REGION, STACK, block
from tests.faults import Around
from tests.invariants import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.owner import OwnerRecord
    from ipam.domain.pool import Pool
    from ipam.services.ports.store import Store
    from tests.builders import Desk
    from tests.unit.cli.conftest import Keyboard

    Violation = tuple[Callable[["Surgeon"], None], str, Kind, str]


SUBNETS = "ipam-pool-subnets"


class Surgeon:
    """Breaks what is stored, as no service ever would."""

    def __init__(self, desk: Desk, pool: Pool) -> None:
        self.desk = desk
        self.pool = pool
        self.rows: dict[str, Any] = desk.store._partitions  # type: ignore[attr-defined]

    def put(self, key: keys.Key, record: object) -> None:
        """Store a record under any key."""
        self.rows.setdefault(key.partition, SortedDict())[key.sort] = record

    def remove(self, key: keys.Key) -> None:
        """Lose a record."""
        del self.rows[key.partition][key.sort]

    def free(self, cidr: str) -> None:
        """Make a block free, whoever holds it."""
        self.put(keys.free(self.pool.pool_id, block(cidr)), block(cidr))

    def change_owner(self, name: str, change: Callable[[OwnerRecord], OwnerRecord], to: str = "") -> None:
        """Change an owner's record, or store it as another owner's."""
        record = self.desk.store.owner(OwnerKey(STACK, name))
        key = OwnerKey(STACK, to or name)
        self.put(keys.owner(key), replace(change(record), owner=key))

    def grant(self, name: str) -> Grant:
        """Read the only grant of an owner."""
        (grant,) = self.desk.record(name).grants
        return grant

    def change_grant(self, name: str, **facts: Any) -> Grant:
        """Change the only grant of an owner."""
        grant = replace(self.grant(name), **facts)
        self.change_owner(name, lambda record: replace(record, grants=(grant,)))
        return grant

    def lease(self, name: str, **facts: Any) -> None:
        """Give an allocation a lease until noon, or a little another one."""
        grant = self.grant(name)
        of = OwnerKey(STACK, name)
        plain = Lease(self.pool.pool_id, grant.cidr, grant.allocation_id, of, ACCOUNT, NOON)
        lease = replace(plain, **facts)
        self.put(keys.lease(self.pool.pool_id, lease.cidr), lease)

    def divide(self, name: str, **facts: Any) -> None:
        """Let a pool for subnets divide an allocation as it should be, or let the pool be a little another one."""
        grant = self.grant(name)
        vpc = SourceResource("vpc-0", ACCOUNT, REGION)
        plain = replace(
            self.pool, pool_id=SUBNETS, name="subnets", source_pool_id=self.pool.pool_id, source_resource=vpc
        )
        self.put(keys.pool(SUBNETS), replace(plain, **facts))
        self.put(keys.provisioned(SUBNETS, grant.cidr), ProvisionedCidr(SUBNETS, grant.cidr, grant.allocation_id, 0))
        self.put(keys.free(SUBNETS, grant.cidr), grant.cidr)
        self.change_allocation(name, divided_by=SUBNETS)

    def change_allocation(self, name: str, **facts: Any) -> None:
        """Change the only allocation of an owner."""
        key = keys.allocation(self.pool.pool_id, self.grant(name).cidr)
        self.put(key, replace(self.rows[key.partition][key.sort], **facts))


@pytest.fixture
def surgeon(desk: Desk, vpcs: Pool) -> Surgeon:
    """At a table with two allocations, `A` 10.0.0.0/24 and `B` 10.0.1.0/24, of which nothing is broken yet."""
    desk.allocate(desk.request("A", 24, pool=vpcs))
    desk.allocate(desk.request("B", 24, pool=vpcs))
    return Surgeon(desk, vpcs)


def overlap(at: Surgeon) -> None:
    at.free("10.0.0.128/25")


def gap(at: Surgeon) -> None:
    at.remove(keys.free(at.pool.pool_id, block("10.0.2.0/23")))


def outside(at: Surgeon) -> None:
    at.free("10.99.0.0/24")


def not_from_parent(at: Surgeon) -> None:
    cidr = block("10.4.0.0/24")
    at.put(keys.provisioned(at.pool.pool_id, cidr), ProvisionedCidr(at.pool.pool_id, cidr, "", 0))
    at.free("10.4.0.0/24")


def not_provisioned(at: Surgeon) -> None:
    at.remove(keys.provisioned(at.pool.pool_id, block("10.0.0.0/16")))


def other_allocation(at: Surgeon) -> None:
    cidr = block("10.0.0.0/16")
    at.put(keys.provisioned(at.pool.pool_id, cidr), ProvisionedCidr(at.pool.pool_id, cidr, "alloc-other", 0))


def not_divided(at: Surgeon) -> None:
    at.divide("A")
    at.change_allocation("A", divided_by="")


def divided_as_another(at: Surgeon) -> None:
    at.divide("A")
    at.put(keys.provisioned(SUBNETS, block("10.0.0.0/24")), ProvisionedCidr(SUBNETS, block("10.0.0.0/24"), "other", 0))


def divided_by_nobody(at: Surgeon) -> None:
    at.change_allocation("A", divided_by="ipam-pool-lost")


def divided_by_another(at: Surgeon) -> None:
    at.divide("A")
    at.change_allocation("B", divided_by=SUBNETS)


def divided_from_afar(at: Surgeon) -> None:
    at.divide("A", source_pool_id=at.pool.source_pool_id)


def divided_by_a_pool_of_its_own(at: Surgeon) -> None:
    at.divide("A", source_resource=None)


def lease_of_none(at: Surgeon) -> None:
    at.lease("A", cidr=block("10.0.9.0/24"), allocation_id="alloc-gone")


def lease_of_another(at: Surgeon) -> None:
    at.change_grant("A", expires=NOON)
    at.lease("A", account="444455556666")


def other_end(at: Surgeon) -> None:
    at.change_grant("A", expires=NOON + 1001)
    at.lease("A")


def lease_without_end(at: Surgeon) -> None:
    at.lease("A")


def lease_of_a_preview(at: Surgeon) -> None:
    at.change_grant("A", expires=NOON, preview=True)
    at.lease("A")


def no_lease(at: Surgeon) -> None:
    at.change_grant("A", expires=NOON)


def no_such_parent(at: Surgeon) -> None:
    at.put(keys.pool(at.pool.pool_id), replace(at.pool, source_pool_id=None, scope_id="ipam-scope-lost"))


def no_grant(at: Surgeon) -> None:
    at.change_owner("A", lambda record: replace(record, grants=()))


def no_allocation(at: Surgeon) -> None:
    at.remove(keys.allocation(at.pool.pool_id, block("10.0.0.0/24")))
    at.free("10.0.0.0/24")


def other_facts(at: Surgeon) -> None:
    def elsewhere(record: OwnerRecord) -> OwnerRecord:
        return replace(record, grants=(replace(record.grants[0], cidr=block("10.0.9.0/24")),))

    at.change_owner("A", elsewhere)


def granted_twice(at: Surgeon) -> None:
    at.change_owner("A", lambda record: record, to="Copy")


def asked_once(at: Surgeon) -> None:
    (grant,) = at.desk.record("B").grants
    at.change_owner("A", lambda record: replace(record, grants=(*record.grants, grant)))
    at.remove(keys.owner(OwnerKey(STACK, "B")))


def held_and_returned(at: Surgeon) -> None:
    at.change_owner("A", lambda record: replace(record, returned=(record.grants[0].allocation_id,)))


def count(at: Surgeon) -> None:
    at.put(keys.quota(ACCOUNT, at.pool.pool_id), ChangeQuota(ACCOUNT, at.pool.pool_id, 3, 512))


VIOLATIONS: list[Violation] = [
    (overlap, "I1", "overlap", "10.0.0.128/25 and 10.0.0.0/24 both are blocks of pool vpcs"),
    (gap, "I1", "gap", "10.0.2.0/23 is provisioned to pool vpcs"),
    (outside, "I1", "outside", "10.99.0.0/24 is a block of pool vpcs"),
    (not_from_parent, "I3", "not-from-parent", "10.4.0.0/24 is provisioned to pool vpcs, but corporate"),
    (other_allocation, "I3", "not-from-parent", "10.0.0.0/16 is provisioned to pool vpcs, but corporate"),
    (not_provisioned, "I3", "not-provisioned", "gives 10.0.0.0/16 to pool vpcs"),
    (not_divided, "I3", "not-divided", "10.0.0.0/24 is provisioned to pool subnets, but ipam-pool-alloc-"),
    (divided_as_another, "I3", "not-divided", "but other of vpcs is no VPC that it divides"),
    (divided_by_nobody, "I3", "divided-by-none", "(10.0.0.0/24 of pool vpcs) is divided by pool ipam-pool-lost"),
    (divided_by_another, "I3", "divided-by-none", "(10.0.1.0/24 of pool vpcs) is divided by pool subnets, which does"),
    (divided_from_afar, "I3", "divided-by-none", "(10.0.0.0/24 of pool vpcs) is divided by pool subnets, which does"),
    (divided_by_a_pool_of_its_own, "I3", "divided-by-none", "(10.0.0.0/24 of pool vpcs) is divided by pool subnets"),
    (no_grant, "I4", "no-grant", "(10.0.0.0/24 of pool vpcs) is unknown to its owner, A of arn:aws:"),
    (no_allocation, "I4", "no-allocation", "(10.0.0.0/24 of pool vpcs), which is not there"),
    (other_facts, "I4", "other-facts", "is 10.0.0.0/24 of arn:aws:"),
    (granted_twice, "I4", "granted-twice", "is in two owner records"),
    (asked_once, "I4", "asked-once-granted-twice", "A of arn:aws:"),
    (held_and_returned, "I4", "held-and-returned", "both holds and has returned"),
    (
        lease_of_none,
        "lease",
        "lease-of-none",
        "alloc-gone (10.0.9.0/24 of pool vpcs) has a lease until 2027-01-15T08:00:00",
    ),
    (lease_of_another, "lease", "lease-of-none", "but is not there or another's"),
    (other_end, "lease", "other-end", "ends 2027-01-15T08:00:00.000Z, by its owner's record 2027-01-15T08:00:01.001Z"),
    (lease_without_end, "lease", "other-end", "by its owner's record never"),
    (lease_of_a_preview, "lease", "other-end", "by its owner's record 2027-01-15T08:00:00.000Z as a preview"),
    (no_lease, "lease", "no-lease", "has no lease, but its owner's record ends it 2027-01-15T08:00:00.000Z"),
    (
        count,
        "quota",
        "count",
        "account 111122223333 holds 2 allocations, 512 units of pool vpcs, but its quota counts 3",
    ),
]
IDS = [each[0].__name__ for each in VIOLATIONS]


def test_a_sound_table_is_sound(ipam: Keyboard, surgeon: Surgeon, desk: Desk) -> None:
    """Exit code 0, the word sound, what was read; nothing is written and nothing waited for."""
    told = ipam("doctor")
    assert "read 3 pools and scopes, 4 allocations, 4 holders" in told
    assert told.endswith("sound\n")
    assert ipam.json("doctor") == []
    assert "commit" not in ipam.calls
    assert desk.clock.slept == []
    check(surgeon.desk.store)


def test_leases_and_subnet_pools_are_sound(ipam: Keyboard, surgeon: Surgeon, desk: Desk) -> None:
    """A lease that fits its allocation and its owner's record, and a VPC whose pool and allocation know each other."""
    surgeon.change_grant("A", expires=NOON)
    surgeon.lease("A", warned=True)
    surgeon.change_grant("B", expires=NOON + 1, preview=True)
    surgeon.lease("B", until=NOON + 1, preview=True)
    surgeon.divide("A")
    assert ipam("doctor").endswith("sound\n")
    check(desk.store)


@pytest.mark.parametrize("violation", VIOLATIONS, ids=IDS)
def test_the_tests_own_check_finds_it_too(surgeon: Surgeon, violation: Violation) -> None:
    """What the doctor reports, and what every test of the services ends with, do not depend on each other."""
    violation[0](surgeon)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check(surgeon.desk.store)


@pytest.mark.parametrize("violation", VIOLATIONS, ids=IDS)
def test_a_violation_is_found(ipam: Keyboard, surgeon: Surgeon, violation: Violation) -> None:
    """Each way to break an invariant is reported under its number, with its facts in a sentence; exit code 2."""
    breaks, invariant, kind, words = violation
    breaks(surgeon)
    done = ipam.run("doctor")
    assert done.exit_code == 2
    assert f"{invariant} " in done.stdout and words in done.stdout
    pool = "subnets" if kind == "not-divided" else "vpcs"
    assert f"violation,{invariant},{kind},{pool}," in ipam.run("doctor", "-o", "csv").stdout


def test_a_lost_scope_is_found(ipam: Keyboard, surgeon: Surgeon) -> None:
    """A pool whose parent is gone is told, and so is the space that its old parent still gives it."""
    no_such_parent(surgeon)
    told = ipam.run("doctor").stdout
    assert "pool vpcs has its space from ipam-scope-lost, which does not exist" in told


def test_every_violation_has_a_sentence_and_a_test() -> None:
    """No kind of finding is without words, and none without an example here."""
    assert set(SENTENCES) == set(get_args(Kind))
    assert set(get_args(Kind)) == {each[2] for each in VIOLATIONS} | {"free-buddies", "no-such-parent"}


def test_free_buddies_are_a_hint_and_can_be_joined(ipam: Keyboard, surgeon: Surgeon, desk: Desk) -> None:
    """Buddies that stand side by side are no violation; --repair joins them as upkeep does, and they are gone."""
    pool_id = surgeon.pool.pool_id
    surgeon.remove(keys.free(pool_id, block("10.0.2.0/23")))
    surgeon.free("10.0.2.0/24")
    surgeon.free("10.0.3.0/24")
    (hint,) = ipam.json("doctor")
    assert (hint["severity"], hint["invariant"], hint["kind"]) == ("hint", "I2", "free-buddies")
    assert (hint["cidr"], hint["other"], hint["pool_id"]) == ("10.0.2.0/24", "10.0.3.0/24", pool_id)
    assert "`ipam doctor --repair`" in ipam("doctor")
    assert "joined free buddies in 1 pools" in ipam("doctor", "--repair")
    assert "10.0.2.0/23" in desk.free(pool_id)
    assert "nothing to repair" in ipam("doctor", "--repair")
    check(desk.store, canonical=True)


def test_only_the_history_knows_a_lost_holder(ipam: Keyboard, surgeon: Surgeon) -> None:
    """A stack whose only allocation is lost is found through the audit records; --quick does not read these."""
    surgeon.desk.allocate(surgeon.desk.request("C", 24, pool=surgeon.pool, stack=f"{STACK}-two"))
    surgeon.remove(keys.allocation(surgeon.pool.pool_id, block("10.0.2.0/24")))
    kinds = {"gap", "no-allocation", "count"}
    found = {line.split(",")[2] for line in ipam.run("doctor", "-o", "csv").stdout.splitlines()[1:]}
    assert found == kinds
    assert "audit" in ipam.calls
    quick = {line.split(",")[2] for line in ipam.run("doctor", "--quick", "-o", "csv").stdout.splitlines()[1:]}
    assert quick == kinds - {"no-allocation"}
    assert "audit" not in ipam.calls


class Busy(Around):
    """A store in which something happens between the readings of a pool's free and its allocated blocks."""

    def __init__(self, store: Store, pool_id: str, meanwhile: Callable[[], object]) -> None:
        super().__init__(store)
        self.pool_id = pool_id
        self.meanwhile = [meanwhile]

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if (name, args[:1]) == ("allocations", (self.pool_id,)) and self.meanwhile:
            self.meanwhile.pop()()
        return super().call(name, do, args)


def test_work_in_progress_is_no_violation(ipam: Keyboard, surgeon: Surgeon, desk: Desk) -> None:
    """What only looks broken because something changed between two reads is read again, and not reported."""
    orderer = desk.another()
    busy: Any = Busy(
        desk.store,
        surgeon.pool.pool_id,
        lambda: orderer.allocate(orderer.request("Meanwhile", 24, pool=surgeon.pool)),
    )
    desk.store = busy
    assert ipam("doctor").endswith("sound\n")
    assert desk.clock.slept == [1000]
