"""Stacks as holders: what the id of a stack says, and who is the same one again when a stack is made anew.

A stack that is deleted and ordered again has the same name and another id. So what it had is found again by its
account, Region and name, and the logical id of the resource.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipam.domain.owner import OwnerKey

HOLDER_DIGITS: Final = 32
"""Digits that a holder is known by: 128 bits, so that nobody finds another name that comes to the same."""

_STACK_ID: Final = re.compile(
    r"arn:(?P<partition>[a-z0-9-]{1,16}):cloudformation:(?P<region>[a-z0-9-]{1,32}):(?P<account>[0-9]{12})"
    r":stack/(?P<name>[A-Za-z][A-Za-z0-9-]{0,127})/[A-Za-z0-9-]{1,64}"
)


@dataclass(frozen=True, slots=True)
class StackId:
    """What the id of a stack says (CloudFormation user guide, "AWS::StackId")."""

    arn: str
    partition: str
    region: str
    account: str
    name: str

    @classmethod
    def parse(cls, text: str) -> StackId | None:
        """Read the id of a stack; None where it is none."""
        found = _STACK_ID.fullmatch(text)
        return None if found is None else cls(text, **found.groupdict())


def stack_holder(owner: OwnerKey, account: str) -> str:
    """Name whoever holds something in a stack, whatever the stack's id; "" for other holders.

    Args:
        owner: the stack and the resource.
        account: the account that was proved to be theirs; a stack of another one is nobody.
    """
    stack = StackId.parse(owner.party)
    if stack is None or stack.account != account:
        return ""
    facts = [stack.partition, stack.account, stack.region, stack.name, owner.name]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:HOLDER_DIGITS]
