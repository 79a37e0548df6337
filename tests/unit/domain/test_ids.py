from __future__ import annotations

import pytest

from ipam.domain.ids import ALLOCATION_DIGITS, ALLOCATION_PREFIX, is_allocation_id

GOOD = ALLOCATION_PREFIX + "0123456789abcdef" * 2


def test_an_allocation_id_is_known_by_its_form() -> None:
    """The prefix and 32 hexadecimal digits, as EC2 IPAM has them."""
    assert is_allocation_id(GOOD)
    assert len(GOOD) == len("ipam-pool-alloc-") + ALLOCATION_DIGITS == 48


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD + "0",
        GOOD.upper(),
        GOOD + "\n",
        " " + GOOD,
        GOOD.replace("0", "g"),
        GOOD.replace("1", "\u0661"),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    """Ids that CloudFormation or somebody else made up do not pass for ours."""
    assert not is_allocation_id(text)
