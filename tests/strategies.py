"""What Hypothesis draws for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ipam.domain.cidr import WIDTHS, Cidr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipam.domain.cidr import Family

FAMILIES: Sequence[Family] = (4, 6)


@st.composite
def cidrs(draw: st.DrawFn, min_length: int = 0, families: Sequence[Family] = FAMILIES) -> Cidr:
    """Any block."""
    family = draw(st.sampled_from(families))
    length = draw(st.integers(min_length, WIDTHS[family]))
    return Cidr(family, draw(st.integers(0, (1 << length) - 1)) << (WIDTHS[family] - length), length)


@st.composite
def parts(draw: st.DrawFn) -> tuple[Cidr, Cidr]:
    """A block and one aligned part of it."""
    part = draw(cidrs())
    return part.supernet(draw(st.integers(0, part.length))), part
