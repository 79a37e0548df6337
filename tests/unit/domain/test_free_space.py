from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.cidr import Cidr, spans
from ipam.domain.errors import SubnetsDoNotFitError
from ipam.domain.free_space import NO_LIMITS, Limits, carve, join, joined, pack, pick, remainders
from tests.builders import block, blocks
from tests.strategies import cidrs, parts

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_remainders_are_one_half_a_halving() -> None:
    """Taking a /24 out of a /21 leaves a /24, a /23 and a /22."""
    assert remainders(block("10.0.0.0/21"), block("10.0.3.0/24")) == blocks("10.0.2.0/24", "10.0.0.0/23", "10.0.4.0/22")
    assert remainders(block("10.0.0.0/24"), block("10.0.0.0/24")) == []


@given(parts())
def test_remainders_and_the_part_cover_the_block(pair: tuple[Cidr, Cidr]) -> None:
    """Nothing is lost, nothing is invented (I1), and no two remainders are buddies (I2)."""
    whole, part = pair
    rest = remainders(whole, part)
    assert spans([part, *rest]) == spans([whole])
    assert all(one.buddy != other for one, other in itertools.combinations(rest, 2))


@given(parts(), st.integers(0, 4))
def test_carving_takes_the_lowest_and_keeps_the_rest(pair: tuple[Cidr, Cidr], spare: int) -> None:
    """What is carved is the lowest block of its length, and with the rest it covers the block (I1)."""
    whole, part = pair
    taken, rest = carve(whole, part.length, spare)
    assert taken == Cidr(whole.family, whole.first, part.length)
    assert spans([taken, *rest]) == spans([whole])


@given(parts(), st.integers(0, 4))
def test_carving_with_spares_cuts_a_cluster(pair: tuple[Cidr, Cidr], spare: int) -> None:
    """With n halvings left undone, the block is the first of 2**n of its length, as far as the block reaches."""
    whole, part = pair
    taken, rest = carve(whole, part.length, spare)
    cluster = min(spare, part.length - whole.length)
    alike = [cidr for cidr in (taken, *rest) if cidr.length == part.length]
    assert len(alike) == max(2**cluster, 1 + (part.length > whole.length))


@st.composite
def small(draw: st.DrawFn) -> Cidr:
    """A block of 64 addresses, a part of it, or one around it: so that blocks meet often."""
    length = draw(st.integers(25, 32))
    return Cidr(4, draw(st.integers(0, 63)) >> (32 - length) << (32 - length), length)


several = st.lists(small(), max_size=4).map(tuple)


@given(small(), st.integers(25, 32), st.lists(several, max_size=3).map(tuple), several)
def test_the_lowest_permitted_block_is_found(
    whole: Cidr, length: int, allowed: tuple[tuple[Cidr, ...], ...], disallowed: tuple[Cidr, ...]
) -> None:
    """It is the first of all blocks of that length that lies in one of each allowed set and touches none disallowed."""
    limits = Limits(allowed, disallowed)
    permitted = (
        cidr
        for cidr in (whole.subnets(length) if whole.length <= length else ())
        if all(not each or any(one.contains(cidr) for one in each) for each in allowed)
        and not any(one.overlaps(cidr) for one in disallowed)
    )
    found = limits.first_in(whole, length)
    assert found == next(permitted, None)
    assert limits.permit(whole) == (limits.first_in(whole, whole.length) == whole)
    assert limits.any or found == (Cidr(4, whole.first, length) if whole.length <= length else None)


def test_without_limits_everything_is_permitted() -> None:
    """An empty set allows all; the other family is another matter."""
    assert not NO_LIMITS.any and not Limits(((), ()), ()).any
    assert NO_LIMITS.permit(block("::/0"))
    six = Limits((tuple(blocks("2001:db8::/32")),), tuple(blocks("2001:db8::/48")))
    assert six.any
    assert six.first_in(block("2001::/16"), 48) == block("2001:db8:1::/48")
    assert six.first_in(block("0.0.0.0/0"), 24) is None
    assert Limits((), tuple(blocks("::/0"))).first_in(block("10.0.0.0/8"), 24) == block("10.0.0.0/24")


def test_a_large_space_with_few_limits_is_not_walked_through() -> None:
    """Of 2**64 blocks the first that is free is found at once: what is disallowed is stepped over as a whole."""
    half, more = block("2001:db8::/33"), block("2001:db8:8000::/34")
    limits = Limits((), (half, more, block("2001:db8:c000::/128")))
    assert limits.first_in(block("2001:db8::/32"), 96) == block("2001:db8:c000::1:0:0/96")


def test_the_first_attempt_takes_the_best_fit() -> None:
    """Without a collision the smallest block that is large enough is chosen, and of these the lowest."""
    fits = blocks("10.0.1.0/24", "10.0.9.0/24", "10.0.4.0/22")
    assert pick(fits, 0, lambda _: pytest.fail("chance has no part in it")) == fits[0]


def test_later_attempts_draw_lots_among_equals() -> None:
    """After a collision one of the best fits is drawn, while there are more of them than collisions."""
    fits = blocks("10.0.1.0/24", "10.0.9.0/24", "10.0.4.0/22")
    drawn_from: list[list[Cidr]] = []

    def draw(among: Sequence[Cidr]) -> Cidr:
        drawn_from.append(list(among))
        return among[0]

    for attempt in (1, 2):
        pick(fits, attempt, draw)
    assert drawn_from == [fits[:2], fits]


def test_joining_stops_at_what_is_not_free() -> None:
    """A block grows over free buddies and no further."""
    free = set(blocks("10.0.1.0/24", "10.0.2.0/23", "10.0.8.0/21"))
    assert join(block("10.0.0.0/24"), free, block("10.0.0.0/8")) == (
        block("10.0.0.0/22"),
        blocks("10.0.1.0/24", "10.0.2.0/23"),
    )


def test_joining_stops_at_the_provisioned_cidr() -> None:
    """Two provisioned CIDRs side by side stay two, even where both are free."""
    alone = block("10.0.0.0/24")
    assert join(alone, {alone.buddy}, alone) == (alone, [])


@given(parts())
def test_joining_undoes_carving(pair: tuple[Cidr, Cidr]) -> None:
    """What was cut, and is free again, becomes the block that it was cut from (I2)."""
    whole, part = pair
    rest = remainders(whole, part)
    grown: Cidr = part
    for _ in range(1 + len(rest)):
        grown, swallowed = join(grown, rest, whole)
        if not swallowed:
            break
    assert grown == whole
    assert joined([*rest, part], [whole]) == [whole]


def test_what_is_joined_stays_inside_of_what_is_provisioned() -> None:
    """Buddies of all sizes become one; what lies side by side without being buddies does not, nor do two CIDRs."""
    inside = blocks("10.0.0.0/24", "10.0.1.0/24")
    halves = blocks("10.0.0.0/25", "10.0.0.128/26", "10.0.0.192/26", "10.0.1.0/25", "10.0.1.128/25")
    assert sorted(joined(halves, inside)) == inside
    apart = blocks("10.0.0.64/26", "10.0.0.128/26")
    assert sorted(joined(apart, inside)) == apart
    assert joined([], inside) == []


@given(cidrs(), st.data())
def test_what_fits_by_its_sum_is_packed(network: Cidr, data: st.DataObject) -> None:
    """Subnets of any sizes, in any order, are placed whenever together they are no larger than the network."""
    lengths: list[int] = []
    room = network.size
    for _ in range(data.draw(st.integers(0, 12))):
        if not room:
            break
        smallest = network.length + network.host_bits - (room.bit_length() - 1)
        lengths.append(data.draw(st.integers(smallest, network.length + network.host_bits)))
        room -= network.size >> (lengths[-1] - network.length)
    placed = pack(network, lengths)
    assert [cidr.length for cidr in placed] == lengths
    assert all(network.contains(cidr) for cidr in placed)
    spans(placed)  # refuses an overlap


def test_subnets_are_aligned_by_best_fit() -> None:
    """Each subnet takes the smallest hole that holds it, so that a large one still fits afterwards."""
    assert pack(block("10.0.0.0/24"), [26, 28, 25, 28]) == blocks(
        "10.0.0.0/26", "10.0.0.64/28", "10.0.0.128/25", "10.0.0.80/28"
    )


@given(st.lists(st.integers(24, 32), max_size=6), st.integers(24, 32))
def test_a_subnet_that_is_appended_moves_no_other(lengths: list[int], more: int) -> None:
    """The places of the first subnets do not depend on those that follow."""
    network = block("10.0.0.0/20")
    assert pack(network, [*lengths, more])[: len(lengths)] == pack(network, lengths)


@pytest.mark.parametrize("lengths", [[23], [25, 25, 32], [24, 24], [25, 26, 26, 28]])
def test_what_is_too_large_together_is_refused(lengths: list[int]) -> None:
    """Subnets that exceed their network are refused with the lengths that were asked."""
    with pytest.raises(SubnetsDoNotFitError) as refused:
        pack(block("10.0.0.0/24"), lengths)
    assert (refused.value.network_length, refused.value.lengths) == (24, tuple(lengths))


@pytest.mark.parametrize("lengths", [[33], [-1], [24, 64]])
def test_a_length_that_no_block_has_is_no_subnet(lengths: list[int]) -> None:
    """A length outside the family is the caller's fault and never a block."""
    with pytest.raises((ValueError, SubnetsDoNotFitError)):
        pack(block("10.0.0.0/20"), lengths)
