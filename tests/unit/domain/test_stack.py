from __future__ import annotations

import pytest

from ipam.domain.owner import OwnerKey
from ipam.domain.stack import HOLDER_DIGITS, StackId, stack_holder
from tests.builders import ACCOUNT, STACK, owner_key

OTHER = "444455556666"


def test_the_id_of_a_stack_is_read() -> None:
    """Partition, Region, account and name stand in it."""
    stack = StackId.parse(STACK)
    assert stack == StackId(STACK, "aws", "eu-central-1", ACCOUNT, "net")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cli:first",
        "ipam-pool-0123456789abcdef0",
        STACK.replace(":stack/", ":stackset/"),
        STACK.replace(ACCOUNT, "1111"),
        STACK.replace("eu-central-1", "eu.central-1"),
        STACK.rpartition("/")[0],
        STACK + "\n",
        STACK + "/more",
    ],
)
def test_other_texts_are_no_stack(text: str) -> None:
    """What has not the form of a stack's id is none."""
    assert StackId.parse(text) is None
    assert stack_holder(OwnerKey(text, "Net"), ACCOUNT) == ""


def test_a_stack_made_anew_is_the_same_holder() -> None:
    """Its id is another one; name, account, Region and resource are the same."""
    holder = stack_holder(owner_key(), ACCOUNT)
    assert len(holder) == HOLDER_DIGITS
    assert stack_holder(owner_key(stack=STACK.replace("5e0a1b2c", "77777777")), ACCOUNT) == holder


@pytest.mark.parametrize(
    ("name", "stack"),
    [
        ("Other", STACK),
        ("Net", STACK.replace("/net/", "/network/")),
        ("Net", STACK.replace("eu-central-1", "eu-west-1")),
        ("Net", STACK.replace("arn:aws:", "arn:aws-cn:")),
    ],
)
def test_another_resource_or_stack_is_another_holder(name: str, stack: str) -> None:
    """Each of the facts tells holders apart."""
    assert stack_holder(OwnerKey(stack, name), ACCOUNT) not in {"", stack_holder(owner_key(), ACCOUNT)}


def test_an_account_is_proved_and_not_said() -> None:
    """A stack that says to be of another account than the one that was proved is nobody."""
    assert stack_holder(owner_key(), OTHER) == ""
    theirs = stack_holder(owner_key(stack=STACK.replace(ACCOUNT, OTHER)), OTHER)
    assert theirs not in {"", stack_holder(owner_key(), ACCOUNT)}
