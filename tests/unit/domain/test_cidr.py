from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.cidr import WIDTHS, Cidr, spans
from ipam.domain.errors import MalformedCidrError
from tests.builders import block, blocks
from tests.strategies import cidrs

if TYPE_CHECKING:
    from ipam.domain.cidr import Family


@pytest.mark.parametrize(
    ("text", "first", "length"),
    [
        ("10.0.0.0/8", 0x0A000000, 8),
        ("0.0.0.0/0", 0, 0),
        ("255.255.255.255/32", 0xFFFFFFFF, 32),
        ("2001:db8::/32", 0x20010DB8 << 96, 32),
        ("::/0", 0, 0),
        ("::1/128", 1, 128),
        ("2001:db8::1:0:0:1/128", (0x20010DB8 << 96) + (1 << 48) + 1, 128),
    ],
)
def test_reads_the_canonical_spelling(text: str, first: int, length: int) -> None:
    """The spelling that EC2 prints is read, and written again as it was."""
    cidr = Cidr.parse(text)
    assert (cidr.first, cidr.length) == (first, length)
    assert str(cidr) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.1/24", "10.0.0.0/24"),
        ("10.0.0.0/255.255.255.0", "10.0.0.0/24"),
        ("10.0.0.0/0.0.0.255", "10.0.0.0/24"),
        ("10.0.0.0/08", "10.0.0.0/8"),
        ("10.0.0.0/+8", "10.0.0.0/8"),
        ("10.0.0.0/8\n", "10.0.0.0/8"),
        ("10.0.0.0/\u0668", "10.0.0.0/8"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8:0::/32", "2001:db8::/32"),
        ("2001:0db8::/32", "2001:db8::/32"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:a00:0/120", "::ffff:10.0.0.0/120"),
    ],
)
def test_names_the_canonical_spelling_of_what_it_refuses(text: str, canonical: str) -> None:
    """A block in any other spelling is refused, and the error says what may have been meant."""
    with pytest.raises(MalformedCidrError) as refused:
        Cidr.parse(text)
    assert (refused.value.text, refused.value.canonical) == (text, canonical)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "10/8",
        "10.0.0.0",
        "::1",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "::/129",
        " 10.0.0.0/8",
        "010.0.0.0/8",
        "0x0a.0.0.0/8",
        "10.0.0/24",
        "10.0.0.0/8/8",
        "[::]/0",
        "fe80::%1/64",
        "\0",
        "\u0661\u0660.0.0.0/8",
        "vpc",
    ],
)
def test_guesses_nothing(text: str) -> None:
    """What is no block in any spelling, or a mere address, is refused without a suggestion."""
    with pytest.raises(MalformedCidrError) as refused:
        Cidr.parse(text)
    assert (refused.value.text, refused.value.canonical) == (text, None)


def test_a_mapped_address_stays_ipv6() -> None:
    """An IPv4-mapped IPv6 block has one spelling and is not the IPv4 block inside it."""
    mapped = Cidr.parse("::ffff:10.0.0.0/120")
    assert mapped.family == 6
    assert str(mapped) == "::ffff:10.0.0.0/120"
    assert not mapped.overlaps(block("10.0.0.0/24"))


@given(cidrs())
def test_every_block_is_read_as_it_is_written(cidr: Cidr) -> None:
    """Each block has exactly one spelling, which reads back as the block."""
    assert Cidr.parse(str(cidr)) == cidr


@given(st.text(alphabet="0123456789abcdefABCDEF.:/%+- \n", max_size=24))
def test_no_text_has_two_readings(text: str) -> None:
    """Whatever is read is written again letter by letter; all else is refused by its own error."""
    try:
        cidr = Cidr.parse(text)
    except MalformedCidrError as refused:
        assert refused.text == text  # noqa: PT017 - either outcome is right; each has its own fact
    else:
        assert str(cidr) == text


@pytest.mark.parametrize(
    ("family", "first", "length"), [(4, 1, 31), (4, 0, 33), (4, -1, 32), (4, 1 << 32, 32), (6, 0, -1)]
)
def test_refuses_what_is_not_a_block(family: Family, first: int, length: int) -> None:
    """A block that is not aligned or outside its family cannot exist."""
    with pytest.raises(ValueError, match="not an aligned block"):
        Cidr(family, first, length)


@given(cidrs(), cidrs())
def test_agrees_with_the_standard_library(one: Cidr, other: Cidr) -> None:
    """Size, last address, containment and overlap are what Python's own ipaddress says."""
    here, there = ipaddress.ip_network(str(one)), ipaddress.ip_network(str(other))
    assert one.size == here.num_addresses
    assert one.last == int(here.broadcast_address)
    if one.family == other.family:
        assert one.overlaps(other) == here.overlaps(there)
        assert one.contains(other) == there.subnet_of(here)  # type: ignore[arg-type]
    else:
        assert not one.overlaps(other)
        assert not one.contains(other)


@given(cidrs(min_length=1))
def test_buddies_are_the_halves_of_their_parent(cidr: Cidr) -> None:
    """A block and its buddy cover their parent and share nothing (I1, I2)."""
    assert cidr.buddy.buddy == cidr
    assert cidr.buddy.parent == cidr.parent
    assert spans([cidr, cidr.buddy]) == spans([cidr.parent])
    assert sorted([cidr, cidr.buddy]) == list(cidr.parent.subnets(cidr.length))


@given(cidrs(), st.data())
def test_supernet_is_the_one_block_of_its_length_around(cidr: Cidr, data: st.DataObject) -> None:
    """The supernet of a length contains the block and has that length."""
    length = data.draw(st.integers(0, cidr.length))
    around = cidr.supernet(length)
    assert around.length == length
    assert around.contains(cidr)


def test_subnets_come_in_address_order() -> None:
    """Subnets cover the block, lowest first."""
    assert list(block("10.0.0.0/22").subnets(24)) == blocks("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24")
    assert list(block("10.0.0.0/24").subnets(24)) == blocks("10.0.0.0/24")


def test_spans_are_maximal() -> None:
    """Blocks side by side are one range, whatever their sizes and order; families are kept apart."""
    assert spans(blocks("10.0.1.0/24", "::/128", "10.0.0.0/24", "10.0.2.0/23", "10.1.0.0/32")) == [
        (4, 0x0A000000, 0x0A0003FF),
        (4, 0x0A010000, 0x0A010000),
        (6, 0, 0),
    ]
    assert spans([]) == []


def test_spans_refuse_an_address_that_is_covered_twice() -> None:
    """Blocks that overlap are no partition of anything (I1)."""
    with pytest.raises(ValueError, match="two blocks cover"):
        spans(blocks("10.0.0.0/23", "10.0.1.0/24"))
    with pytest.raises(ValueError, match="two blocks cover"):
        spans(blocks("10.0.0.0/24", "10.0.0.0/24"))


@given(cidrs())
def test_host_bits_and_length_are_the_width(cidr: Cidr) -> None:
    """What is not network is host."""
    assert cidr.length + cidr.host_bits == WIDTHS[cidr.family]
    assert cidr.size == 2**cidr.host_bits
