"""The import as a service: what is checked, what is written, and what interruptions and other writers leave."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam.adapters.dynamodb import keys
from ipam.domain.change import PutAllocation
from ipam.domain.cidr import Cidr
from ipam.domain.errors import ContendedError, StoreUnavailableError
from ipam.domain.owner import OwnerKey
from ipam.domain.pool import AllocationRules, Pool, Quota
from ipam.services.import_allocations import MAX_SILENT, Outcome, import_allocations
from ipam.services.import_check import MAX_OWNED, check
from ipam.services.import_rows import Bad, Row, owner_of
from ipam.services.pools import NewPool
from ipam.services.release import release
from tests.builders import ACCOUNT, NOON, REGION, STACK, Desk, block
from tests.faults import Around, Faulty, Interrupted, Recorder
from tests.invariants import check as check_invariants

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipam.domain.allocation import Allocation
    from ipam.services.import_check import Intake
    from tests.faults import Fault

IPV6 = "2001:d00::/24"


def nothing(what: str, done: int, total: int) -> None:
    """Watch nothing."""
    del what, done, total


def rows(*cidrs: str, **facts: Any) -> list[Row]:
    """Make rows of a file, the first in line 2."""
    return [Row(line, block(cidr), **facts) for line, cidr in enumerate(cidrs, 2)]


def networks(count: int, seed: int = 1) -> list[Row]:
    """Make rows of many sizes in 10.0.0.0/8, in any order, with some room between them."""
    chance = random.Random(seed)
    made: list[Cidr] = []
    at = 10 << 24
    while len(made) < count:
        size = 1 << chance.randrange(4, 9)
        at = -(-at // size) * size
        made.append(Cidr(4, at, 32 - (size.bit_length() - 1)))
        at += size * chance.choice([1, 1, 1, 2])
    chance.shuffle(made)
    return [Row(line, cidr, account=f"{line % 3:012}", description=f"net {line}") for line, cidr in enumerate(made, 2)]


def look(desk: Desk, read: list[Row], pool: str = "") -> Intake:
    """Check rows by the plan as it is."""
    return check(desk.ports, desk.store.plan(), read, pool, nothing)


def bring_in(desk: Desk, read: list[Row], pool: str = "") -> Outcome:
    """Check rows, and import those that are good."""
    outcome = Outcome()
    import_allocations(desk.ports, look(desk, read, pool), "test", outcome, nothing)
    return outcome


def problems(intake: Intake) -> list[tuple[int, str]]:
    """Tell the lines that are bad, and in which way."""
    return [(bad.line, bad.problem) for bad in intake.bad]


@pytest.fixture
def big(desk: Desk) -> Pool:
    """A pool with 10.0.0.0/8."""
    return desk.pool(NewPool("corporate", desk.scope("private"), locale=REGION, cooling_seconds=60), "10.0.0.0/8")


def test_networks_become_allocations(desk: Desk, big: Pool) -> None:
    """Each has its facts, its holder knows it, its quota counts it, and the history tells who brought it in."""
    first, second = rows("10.0.1.0/24", "10.0.0.0/25", account=ACCOUNT, description="shop", tags=(("env", "prod"),))
    second = replace(second, party="vpc-0abc", allocation_type="vpc")
    outcome = bring_in(desk, [first, second])
    held = {str(each.cidr): each for each in desk.store.allocations(big.pool_id)}
    assert list(held) == ["10.0.0.0/25", "10.0.1.0/24"]
    assert {each.entry.row.line: each.allocation_id for each in outcome.imported} == {
        2: held["10.0.1.0/24"].allocation_id,
        3: held["10.0.0.0/25"].allocation_id,
    }
    vpc = held["10.0.0.0/25"]
    assert (vpc.owner, vpc.allocation_type) == (OwnerKey("vpc-0abc", "10.0.0.0/25"), "vpc")
    other = held["10.0.1.0/24"]
    assert (other.owner, other.allocation_type) == (owner_of(first, big), "custom")
    assert (other.account, other.description, other.tags) == (ACCOUNT, "shop", (("env", "prod"),))
    assert (other.created, other.vpc_ipam_allocation_id) == (NOON, "")
    (told,) = desk.store.audit(big.pool_id, other.cidr)
    assert (told.event, told.cause, told.owner, told.account) == ("imported", "test, line 2", other.owner, ACCOUNT)
    counted = desk.store.quota(ACCOUNT, big.pool_id)
    assert (counted.allocations, counted.units) == (2, 384)
    assert desk.free(big.pool_id)[:2] == ["10.0.0.128/25", "10.0.2.0/23"]
    check_invariants(desk.store, canonical=True)


def test_the_owners_of_many_networks_are_spread(desk: Desk, big: Pool) -> None:
    """One read of a party's owners stays small, and 2,000 networks have a few parties only."""
    bring_in(desk, networks(2000))
    parties = {held.owner.party for held in desk.store.allocations(big.pool_id)}
    assert len(parties) < 50
    assert max(len(desk.store.owners(party)) for party in parties) <= 1024
    check_invariants(desk.store, canonical=True)


def test_a_transaction_takes_many_networks(desk: Desk) -> None:
    """As many as 100 operations have room for: a few for each network, and the free parts once."""
    store: Any = Recorder(desk.store)
    here = desk.another(store)
    here.pool(NewPool("corporate", here.scope("private")), "10.0.0.0/8")
    store.committed.clear()
    bring_in(here, rows(*(f"10.0.{third}.0/24" for third in range(256))))
    assert len(store.committed) < 256 / 22
    assert max(len(change.operations) for change in store.committed) <= 100


def test_large_texts_make_small_transactions(desk: Desk) -> None:
    """What one transaction carries stays far below 4 MB, however long its texts are."""
    store: Any = Recorder(desk.store)
    here = desk.another(store)
    here.pool(NewPool("corporate", here.scope("private")), "10.0.0.0/8")
    tags = tuple((f"{number}{'k' * 120}", "網" * 256) for number in range(50))
    bring_in(here, rows(*(f"10.0.{third}.0/24" for third in range(64)), tags=tags))
    carried = [sum(isinstance(each, PutAllocation) for each in change.operations) for change in store.committed]
    assert max(carried) * 50 * (123 + 3 * 256) < 1_500_000
    check_invariants(desk.store)


def test_a_second_import_keeps_what_the_first_did(desk: Desk, big: Pool) -> None:
    """The same rows again change nothing, whatever their order; new ones among them are imported (I4)."""
    read = networks(200)
    bring_in(desk, read[:150])
    before = list(desk.store.allocations(big.pool_id))
    intake = look(desk, read)
    assert (len(intake.kept), intake.to_write, intake.bad) == (150, 50, [])
    bring_in(desk, read)
    assert set(before) < set(desk.store.allocations(big.pool_id))
    again = look(desk, read[::-1])
    assert (len(again.kept), again.to_write, again.bad) == (200, 0, [])
    check_invariants(desk.store, canonical=True)


class Halted(Exception):  # noqa: N818 - the process ends here
    """The process is gone."""


class Halting(Around):
    """A store whose process ends at a chosen commit: before it is done, or after."""

    def __init__(self, store: Any, at: int, *, done: bool) -> None:
        super().__init__(store)
        self.left = at
        self.done = done

    def call(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """See the parent."""
        if name != "commit":
            return super().call(name, do, args)
        self.left -= 1
        if self.left < 0 and not self.done:
            raise Halted
        answer = do()
        if self.left < 0:
            raise Halted
        return answer


@pytest.mark.parametrize("done", [False, True])
def test_an_import_can_be_interrupted_at_every_commit(done: bool) -> None:  # noqa: FBT001 - a parameter
    """Whatever was written is whole, and the next run gives every network exactly once (I1, I4)."""
    read = networks(120)
    commits = 0
    while True:
        desk = Desk()
        pool = desk.pool(NewPool("corporate", desk.scope("private")), "10.0.0.0/8")
        try:
            bring_in(desk.another(Halting(desk.store, commits, done=done)), read)
        except Halted:
            check_invariants(desk.store, canonical=True)
        else:
            break
        bring_in(desk.another(), read)
        assert desk.held(pool.pool_id) == [str(row.cidr) for row in sorted(read, key=lambda row: row.cidr)]
        check_invariants(desk.store, canonical=True)
        commits += 1
    assert commits > 5


@pytest.mark.parametrize("fault", ["busy", "lost-before", "lost-after"])
@pytest.mark.parametrize("place", range(6))
def test_a_fault_at_a_commit_is_outlived(desk: Desk, big: Pool, fault: Fault, place: int) -> None:
    """A refusal, or an answer that is lost, costs another try: each network is imported once, and told as imported."""
    read = networks(100)
    faults: list[Fault] = [*["none"] * place, fault]  # type: ignore[list-item]
    outcome = bring_in(desk.another(Faulty(desk.store, iter(faults))), read)
    assert {each.entry.row.line for each in outcome.imported} == {row.line for row in read}
    assert (len(outcome.imported), outcome.kept, outcome.bad) == (100, [], [])
    assert len(desk.held(big.pool_id)) == 100
    check_invariants(desk.store, canonical=True)


def test_a_store_that_is_silent_ends_the_import(desk: Desk, big: Pool) -> None:
    """After a few transactions without an answer nothing more is tried; what is written is told, and stays."""
    read = networks(100)
    faults: list[Fault] = ["none", *["lost-before"] * 50]  # type: ignore[list-item]
    outcome = Outcome()
    here = desk.another(Faulty(desk.store, iter(faults)))
    with pytest.raises(StoreUnavailableError):
        import_allocations(here.ports, look(here, read), "test", outcome, nothing)
    assert 0 < len(outcome.imported) == len(desk.held(big.pool_id)) < 100
    assert len(desk.clock.slept) == MAX_SILENT
    bring_in(desk.another(), read)
    assert len(desk.held(big.pool_id)) == 100
    check_invariants(desk.store, canonical=True)


def test_others_may_order_meanwhile(desk: Desk, big: Pool) -> None:
    """A stack that takes from the free block that is about to be cut costs a look, not a network (I1)."""
    other = desk.another()

    def order() -> None:
        other.allocate(other.request(f"n{desk.clock.milliseconds}{len(desk.held(big.pool_id))}", 16, pool=big))

    read = networks(100)
    store = Interrupted(desk.store, *[order] * 3)
    outcome = bring_in(desk.another(store), [replace(row, cidr=shifted(row.cidr)) for row in read])
    assert (len(outcome.imported), outcome.bad) == (100, [])
    assert len(desk.held(big.pool_id)) == 103
    check_invariants(desk.store)


def test_a_lost_block_costs_a_look_and_no_more(desk: Desk, big: Pool) -> None:
    """Even if it is the block that all networks lie in: what is free is read around the next few networks only."""
    other = desk.another()
    store: Any = Recorder(
        Interrupted(desk.store, lambda: other.allocate(other.request("First", cidr="10.200.0.0/16", pool=big)))
    )
    outcome = bring_in(desk.another(store), networks(1500))
    assert (len(outcome.imported), outcome.bad) == (1500, [])
    assert store.calls.count("free_among") < 10
    assert store.calls.count("allocation") == 0
    check_invariants(desk.store)


def test_free_space_that_is_joined_meanwhile(desk: Desk, big: Pool) -> None:
    """Blocks that upkeep joins between check and change are found again, larger than they were."""
    for name in ("a", "b"):
        desk.allocate(desk.request(name, 16, pool=big))
    for name in ("a", "b"):
        desk.release(name, desk.record(name).grants[0].allocation_id)
    desk.clock.advance(61)
    desk.reclaim(big.pool_id, 4, block("10.0.0.0/16"))
    other = desk.another()
    read = rows(*(f"10.{second}.{third}.0/24" for second in (0, 1, 2) for third in range(40)))
    intake = look(desk, read)
    free = intake.free[big.pool_id]
    free.discard(block("10.0.0.0/8"))
    for part in ("10.0.0.0/16", "10.1.0.0/17"):
        free.add(block(part))
    outcome = Outcome()
    other.reclaim(big.pool_id)
    import_allocations(other.ports, intake, "test", outcome, nothing)
    assert (len(outcome.imported), outcome.bad) == (120, [])
    check_invariants(desk.store)


def shifted(cidr: Cidr) -> Cidr:
    """Move a block into the upper half of 10.0.0.0/8."""
    return Cidr(4, cidr.first + (1 << 23), cidr.length)


def test_a_network_that_is_taken_meanwhile_is_told(desk: Desk, big: Pool) -> None:
    """The one that a stack got between check and change is bad, with its holder; the others are imported."""
    other = desk.another()
    store = Interrupted(desk.store, lambda: other.allocate(other.request("Fast", cidr="10.0.1.0/24", pool=big)))
    outcome = bring_in(desk.another(store), rows("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"))
    (bad,) = outcome.bad
    assert (bad.line, bad.value, bad.problem, bad.holder) == (3, "10.0.1.0/24", "taken", OwnerKey(STACK, "Fast"))
    assert [each.entry.row.line for each in outcome.imported] == [2, 4]
    check_invariants(desk.store)


def test_a_network_that_is_taken_in_part_is_told(desk: Desk, big: Pool) -> None:
    """Also where another block than exactly its own is held now: after a few looks it is given up."""
    other = desk.another()
    store = Interrupted(desk.store, lambda: other.allocate(other.request("Fast", cidr="10.0.1.64/26", pool=big)))
    outcome = bring_in(desk.another(store), rows("10.0.0.0/24", "10.0.1.0/24"))
    assert [(bad.line, bad.problem, bad.holder) for bad in outcome.bad] == [(3, "taken", None)]
    assert len(outcome.imported) == 1
    check_invariants(desk.store)


def test_two_imports_of_the_same_rows_at_once(desk: Desk, big: Pool) -> None:
    """What one wrote the other keeps: each network is there once (I4)."""
    read = networks(100)
    inner = desk.another()
    results: list[Outcome] = []
    store = Interrupted(desk.store, None, None, lambda: results.append(bring_in(inner, read)))
    outer = bring_in(desk.another(store), read)
    assert len(outer.imported) + len(results[0].imported) == 100
    assert len(outer.kept) == len(results[0].imported) > 0
    assert len(desk.held(big.pool_id)) == 100
    check_invariants(desk.store, canonical=True)


def test_who_is_always_beaten_gives_up(desk: Desk, big: Pool) -> None:
    """Tries are bounded."""
    del big
    busy: list[Fault] = ["busy"] * 1000
    with pytest.raises(ContendedError):
        bring_in(desk.another(Faulty(desk.store, iter(busy))), rows("10.0.0.0/24"))
    check_invariants(desk.store, canonical=True)


def test_free_space_in_parts_is_joined(desk: Desk, big: Pool) -> None:
    """A network over free buddies that nobody joined yet, or over a block that has cooled, is imported all the same."""
    gone = [desk.allocate(desk.request(name, 24, pool=big)).grant for name in "abcd"]
    for name, grant in zip("abcd", gone, strict=True):
        desk.release(name, grant.allocation_id)
    desk.clock.advance(61)
    read = rows("10.0.0.0/23", "10.0.2.0/23")
    assert look(desk, read).bad == []
    assert len(bring_in(desk, read).imported) == 2
    check_invariants(desk.store)


def test_a_cooling_network_is_bad(desk: Desk, big: Pool) -> None:
    """What cools is kept from everyone (I7); the row says until when."""
    gone = desk.allocate(desk.request("a", cidr="10.0.1.0/24", pool=big)).grant
    desk.release("a", gone.allocation_id)
    (bad,) = look(desk, rows("10.0.0.0/23")).bad
    assert (bad.problem, bad.other, bad.until) == ("cooling", "10.0.1.0/24", NOON + 60_000)


def test_what_is_held_by_others_is_bad(desk: Desk, big: Pool) -> None:
    """Whether the network is exactly the block that is held, in it, or around it: the holder is named."""
    desk.allocate(desk.request("a", cidr="10.0.1.0/24", pool=big))
    desk.allocate(desk.request("b", cidr="10.0.5.0/24", pool=big))
    read = rows("10.0.1.0/24", "10.0.1.128/25", "10.0.4.0/23", "10.0.2.0/24")
    intake = look(desk, read)
    assert problems(intake) == [(2, "held"), (3, "held"), (4, "held")]
    assert [bad.holder for bad in intake.bad] == [OwnerKey(STACK, name) for name in ("a", "a", "b")]
    assert [bad.other for bad in intake.bad] == ["10.0.1.0/24", "10.0.1.0/24", "10.0.5.0/24"]
    assert intake.to_write == 1


def test_the_space_of_a_child_pool_is_not_imported(desk: Desk, big: Pool) -> None:
    """A network that is a child pool's CIDR, or in it, is the child's business; named to the parent it is bad."""
    child = desk.pool(NewPool("vpcs", big.scope_id, source_pool_id=big.pool_id, locale=REGION), "10.1.0.0/16")
    exact, inside = rows("10.1.0.0/16", "10.1.2.0/24")
    named = look(desk, [exact, inside], "corporate")
    assert problems(named) == [(2, "held"), (3, "held")]
    assert {bad.holder for bad in named.bad} == {OwnerKey(child.pool_id, "10.1.0.0/16")}
    assert bring_in(desk, [inside]).imported[0].entry.pool.name == child.name
    check_invariants(desk.store, canonical=True)


def test_the_deepest_pool_is_found(desk: Desk, big: Pool) -> None:
    """A row without a pool goes to the deepest one that has its block; the row's own word, and --pool, stand above."""
    desk.pool(NewPool("vpcs", big.scope_id, source_pool_id=big.pool_id, locale=REGION), "10.1.0.0/16", "10.4.0.0/16")
    deep, shallow, outside = rows("10.4.2.0/24", "10.2.0.0/24", "172.16.0.0/24")
    intake = look(desk, [deep, shallow, outside])
    assert {pool_id: len(good) for pool_id, good in intake.good.items()} == {
        big.pool_id: 1,
        desk.store.plan().named("vpcs").pool_id: 1,
    }
    assert problems(intake) == [(4, "no-pool")]
    assert problems(look(desk, [deep, shallow], "vpcs")) == [(3, "not-in-pool")]
    assert problems(look(desk, [replace(shallow, pool="corporate")], "vpcs")) == []


def test_a_child_with_all_of_its_parent_is_the_deeper_one(desk: Desk, big: Pool) -> None:
    """Where two pools have the very same CIDR, it is the lower one that has it to give."""
    child = desk.pool(NewPool("all", big.scope_id, source_pool_id=big.pool_id, locale=REGION), "10.0.0.0/8")
    assert list(look(desk, rows("10.0.0.0/24")).good) == [child.pool_id]


def test_a_network_that_is_all_of_a_pool(desk: Desk, big: Pool) -> None:
    """It is more likely the pool itself than its only network: only a row that names the pool says so."""
    del big
    (row,) = rows("10.0.0.0/8")
    (bad,) = look(desk, [row]).bad
    assert (bad.problem, bad.pool) == ("all-of-pool", "corporate")
    assert len(bring_in(desk, [replace(row, pool="corporate")]).imported) == 1
    assert look(desk, rows("10.0.1.0/24")).bad[0].holder is not None
    check_invariants(desk.store)


def test_a_bad_row_is_in_nobodys_way(desk: Desk, big: Pool) -> None:
    """A row that overlaps only one that is bad itself is good."""
    desk.allocate(desk.request("a", cidr="10.0.1.0/24", pool=big))
    intake = look(desk, rows("10.0.0.0/16", "10.0.2.0/24"))
    assert (problems(intake), intake.to_write) == ([(2, "held")], 1)


def test_one_address_in_two_scopes(desk: Desk, big: Pool) -> None:
    """Only the scope, or the pool, tells which is meant."""
    other = desk.pool(NewPool("laboratory", desk.scope("lab")), "10.0.0.0/8")
    (row,) = rows("10.0.0.0/24")
    (bad,) = look(desk, [row]).bad
    assert (bad.problem, bad.other) == ("several-pools", "corporate, laboratory")
    assert list(look(desk, [replace(row, scope="lab")]).good) == [other.pool_id]
    assert list(look(desk, [replace(row, pool=big.pool_id)]).good) == [big.pool_id]
    assert problems(look(desk, [replace(row, pool="corporate", scope="lab")])) == [(2, "other-scope")]
    assert problems(look(desk, [replace(row, scope="nix")])) == [(2, "no-such-scope")]
    assert problems(look(desk, [replace(row, pool="nix")])) == [(2, "no-such-pool")]
    both = [replace(row, scope="lab"), replace(row, line=3, scope="private")]
    assert len(bring_in(desk, both).imported) == 2
    check_invariants(desk.store, canonical=True)


def test_rows_against_each_other(desk: Desk, big: Pool) -> None:
    """The earlier line stands; a later one that is the same, in it or around it is bad, and names it."""
    del big
    read = rows("10.0.1.0/24", "10.0.0.0/16", "10.0.1.0/24", "10.0.1.64/26", "10.0.0.0/24", "172.16.0.0/16")
    intake = look(desk, read)
    assert problems(intake) == [(3, "overlaps-line"), (4, "twice"), (5, "overlaps-line"), (7, "no-pool")]
    assert {(bad.other, bad.other_line) for bad in intake.bad[:3]} == {("10.0.1.0/24", 2)}
    assert intake.to_write == 2


def test_a_row_has_to_fit_its_pool(desk: Desk) -> None:
    """Family and allocation type are the pool's; where the row has no type it is one that the pool serves."""
    pool = desk.pool(
        NewPool("vpcs", desk.scope("private"), locale=REGION, allocation_types=frozenset({"vpc", "subnet"})),
        "10.0.0.0/8",
    )
    read = [
        *rows("10.0.0.0/24", pool="vpcs"),
        Row(3, block("2001:db8::/56"), pool="vpcs"),
        Row(4, block("10.0.1.0/24"), allocation_type="custom"),
        Row(5, block("10.0.2.0/24"), party=pool.pool_id),
    ]
    intake = look(desk, read)
    assert problems(intake) == [(3, "family"), (4, "type-not-served"), (5, "holder")]
    assert intake.good[pool.pool_id][0].allocation_type == "vpc"


def test_rules_do_not_refuse_what_exists(desk: Desk) -> None:
    """Netmask lengths, tags and blocks that a pool would not give today are only counted; so is the quota."""
    rules = AllocationRules(20, 24, required_tags=(("env", "prod"),), disallowed_cidrs=(block("10.9.0.0/16"),))
    pool = desk.pool(NewPool("corporate", desk.scope("private"), rules=rules, quota=Quota(1, 256)), "10.0.0.0/8")
    good = rows("10.0.0.0/24", "10.0.1.0/24", account=ACCOUNT, tags=(("env", "prod"),))
    odd = [
        Row(4, block("10.1.0.0/16"), tags=(("env", "prod"),)),
        Row(5, block("10.2.0.0/24")),
        Row(6, block("10.9.1.0/24"), tags=(("env", "prod"),)),
    ]
    intake = look(desk, [*good, *odd])
    assert ([entry.row.line for entry in intake.noncompliant], intake.bad) == ([4, 5, 6], [])
    assert len(bring_in(desk, [*good, *odd]).imported) == 5
    counted = desk.store.quota(ACCOUNT, pool.pool_id)
    assert (counted.allocations, counted.units) == (2, 512)


def test_levels_of_the_plan_are_left_out(desk: Desk, big: Pool) -> None:
    """A container holds nothing; what a pool has of its parent is left out if a pool has it here, else it is bad."""
    del big
    read = [
        Row(2, block("10.0.0.0/8"), kind="container"),
        Row(3, block("10.0.0.0/8"), kind="pool"),
        Row(4, block("10.5.0.0/16"), kind="pool"),
    ]
    intake = look(desk, read)
    assert ([row.line for row in intake.left_out], problems(intake)) == ([2, 3], [(4, "no-level")])


def test_a_pool_that_amazon_chooses_for(desk: Desk) -> None:
    """Only what its own pool there has is imported, and keeps its allocation there; elsewhere that is not kept."""
    scope = desk.scope("private")
    backed = desk.pool(NewPool("backed", scope), "10.0.0.0/8")
    desk.store._partitions["PLAN"][f"POOL#{backed.pool_id}"] = replace(  # type: ignore[attr-defined]
        backed, vpc_ipam_pool_id="ipam-pool-there"
    )
    plain = desk.pool(NewPool("plain", scope), "172.16.0.0/12")
    theirs = {"vpc_ipam_pool_id": "ipam-pool-there", "vpc_ipam_allocation_id": "ipam-pool-alloc-there"}
    read = [
        Row(2, block("10.0.0.0/24")),
        Row(3, block("10.0.1.0/24"), **theirs),  # type: ignore[arg-type]
        Row(4, block("172.16.1.0/24"), **theirs),  # type: ignore[arg-type]
    ]
    (bad,) = look(desk, read).bad
    assert (bad.line, bad.problem, bad.other) == (2, "backed", "ipam-pool-there")
    bring_in(desk, read)
    held = [next(desk.store.allocations(pool.pool_id)) for pool in (backed, plain)]
    assert [each.vpc_ipam_allocation_id for each in held] == ["ipam-pool-alloc-there", ""]


def test_a_holder_of_several_networks(desk: Desk, big: Pool) -> None:
    """A resource that names itself holds several in one record, within one transaction and across them (I4)."""
    several = rows(*(f"10.0.{third}.0/24" for third in range(3)), party=STACK, name="Net")
    between = [Row(100 + third, block(f"10.1.{third}.0/24")) for third in range(60)]
    last = Row(200, block("10.2.0.0/24"), party=STACK, name="Net")
    assert bring_in(desk, [*several, *between, last]).bad == []
    assert len(desk.record("Net").grants) == 4
    check_invariants(desk.store, canonical=True)
    more = rows(*(f"10.3.{third}.0/24" for third in range(MAX_OWNED + 1)), party=STACK, name="Many")
    (bad,) = look(desk, more).bad
    assert (bad.line, bad.problem) == (18, "holds-too-much")
    assert look(desk, rows("10.0.0.0/24", party=STACK, name="Net")).kept[0].pool.name == big.name


def test_a_holder_that_is_known_already(desk: Desk, big: Pool) -> None:
    """Its record is taken over as it is: what it has, and what it has given back (I4)."""
    own = desk.allocate(desk.request("Net", cidr="10.0.0.0/24", pool=big)).grant
    bring_in(desk, rows("10.0.1.0/24", party=STACK, name="Net"))
    assert {str(grant.cidr) for grant in desk.record("Net").grants} == {"10.0.0.0/24", "10.0.1.0/24"}
    desk.release("Net", own.allocation_id)
    desk.clock.advance(61)
    bring_in(desk, rows("10.0.0.0/24", party=STACK, name="Net"))
    assert len(desk.record("Net").grants) == 2
    assert own.allocation_id in desk.record("Net").returned
    check_invariants(desk.store)


def test_a_grant_without_its_allocation_is_not_written_over(desk: Desk, big: Pool) -> None:
    """Where I4 is broken already, the import leaves it to doctor."""
    (row,) = rows("10.0.0.0/24")
    bring_in(desk, [row])
    (held,) = desk.store.allocations(big.pool_id)
    partitions = desk.store._partitions  # type: ignore[attr-defined]
    del partitions[f"USED#{big.pool_id}"]
    partitions[f"FREE#{big.pool_id}"][keys.free(big.pool_id, held.cidr).sort] = held.cidr
    outcome = bring_in(desk.another(), [row])
    assert [(bad.line, bad.problem, bad.holder) for bad in outcome.bad] == [(2, "taken", held.owner)]
    assert desk.held(big.pool_id) == []


def test_ipv6_of_all_sizes(desk: Desk) -> None:
    """From a block that one transaction cannot cut down to the network, a smaller one is cut first."""
    pool = desk.pool(NewPool("v6", desk.scope("private"), family=6), IPV6)
    read = [
        *rows("2001:db8::1/128", "2001:db8:0:1::/64", "2001:db8:1::/48"),
        *[Row(10 + last, block(f"2001:dbf::{last:x}/128")) for last in range(1, 40)],
    ]
    assert len(bring_in(desk, read).imported) == 42
    assert len(desk.held(pool.pool_id)) == 42
    assert len(look(desk, read).kept) == 42
    check_invariants(desk.store, canonical=True)


@pytest.mark.parametrize("fault", ["busy", "lost-before", "lost-after"])
def test_a_fault_while_a_large_block_is_cut(desk: Desk, fault: Fault) -> None:
    """The first cut is a change of its own, and is tried again like the others."""
    desk.pool(NewPool("v6", desk.scope("private"), family=6), IPV6)
    outcome = bring_in(desk.another(Faulty(desk.store, iter([fault]))), rows("2001:db8::1/128"))
    assert len(outcome.imported) == 1
    check_invariants(desk.store, canonical=True)


def test_nothing_is_written_by_the_check(desk: Desk, big: Pool) -> None:
    """It reads the free blocks of the pools concerned; what is held it reads only if something is not free."""
    store: Any = Recorder(desk.store)
    here = desk.another(store)
    look(here, rows("10.0.0.0/24"))
    assert "commit" not in store.calls
    assert "allocations" not in store.calls
    bring_in(here, rows("10.0.0.0/24"))
    look(here, rows("10.0.0.0/24"))
    assert "allocations" in store.calls
    assert desk.held(big.pool_id) == ["10.0.0.0/24"]


def test_a_bad_row_of_the_reader_is_passed_on(desk: Desk, big: Pool) -> None:
    """It stands among the others, in the order of the lines."""
    del big
    unread = Bad(3, "x", "cidr")
    intake = check(desk.ports, desk.store.plan(), [unread, *rows("172.16.0.0/24")], "", nothing)
    assert problems(intake) == [(2, "no-pool"), (3, "cidr")]


BLOCKS = st.builds(
    lambda length, at: Cidr(4, (10 << 24) + (at << (32 - length) & 0xFFFF), length),
    st.integers(18, 30),
    st.integers(0, 1 << 14),
)


@settings(max_examples=60)
@given(st.lists(BLOCKS, max_size=60), st.lists(BLOCKS, max_size=8), st.randoms(use_true_random=False))
def test_any_rows_in_any_pool(wanted: list[Cidr], held: list[Cidr], chance: random.Random) -> None:
    """Good and bad rows are all of them; the good are imported, once; the invariants hold, and a second run keeps."""
    desk = Desk()
    pool = desk.pool(
        NewPool("corporate", desk.scope("private"), locale=REGION, cooling_seconds=chance.choice([0, 60])),
        "10.0.0.0/16",
    )
    for number, cidr in enumerate(held):
        if not any(cidr.overlaps(each.cidr) for each in desk.store.allocations(pool.pool_id)):
            desk.allocate(desk.request(f"n{number}", cidr=str(cidr), pool=pool))
    read = [Row(line, cidr, account=ACCOUNT) for line, cidr in enumerate(wanted, 2)]
    intake = look(desk, read)
    assert len(intake.bad) + intake.to_write == len(read)
    taken = [each.cidr for each in desk.store.allocations(pool.pool_id)]
    expected: list[Row] = []
    for row in read:
        if not any(row.cidr.overlaps(other) for other in (*taken, *(each.cidr for each in expected))):
            expected.append(row)
    free_of_lines = [entry.row for entries in intake.good.values() for entry in entries]
    assert set(free_of_lines) <= set(expected)
    outcome = bring_in(desk, read)
    assert {each.entry.row for each in outcome.imported} == set(free_of_lines)
    check_invariants(desk.store)
    again = look(desk, read)
    assert (len(again.kept), again.to_write) == (len(free_of_lines), 0)


def test_what_is_imported_can_be_released(desk: Desk, big: Pool) -> None:
    """By its owner and its id, as everything is; it cools, and can be imported again."""
    (row,) = rows("10.0.0.0/24", account=ACCOUNT)
    bring_in(desk, [row])
    held: Allocation = next(desk.store.allocations(big.pool_id))
    asked = desk.giving_back(held.owner.name, stack=held.owner.party)
    assert release(desk.ports, asked, held.allocation_id, desk.deadline) == "released"
    desk.clock.advance(61)
    assert len(bring_in(desk, [row]).imported) == 1
    check_invariants(desk.store)
