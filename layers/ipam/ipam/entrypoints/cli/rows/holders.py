"""Who holds a block, by the party that its owner's record is kept under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ipam.domain.ids import POOL_PREFIX
from ipam.domain.owner import OwnerKey
from ipam.services.import_rows import IMPORTED

if TYPE_CHECKING:
    from ipam.domain.plan import Plan

COMMAND_LINE: Final = "cli:"
"""How the party of what the command line holds begins; the token of the order follows. So each order is a party of its
own, and no record, and no partition of them, grows with their number."""

ORDERED: Final = "allocation"
"""The name of what an order of the command line holds."""

STACK: Final = ":cloudformation:"

HolderType = Literal["stack", "pool", "administrator", "import", "resource"]


def by_command(token: str) -> OwnerKey:
    """Name the holder of what was ordered at a keyboard with a token."""
    return OwnerKey(COMMAND_LINE + token, ORDERED)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds.

    Attributes:
        holder_type: a stack; a pool, which holds what is provisioned to it; an administrator, by the command line;
            whoever had it before it was imported; or another resource, of AWS or elsewhere, that an import named.
        holder: its name; of an administrator's order, the token.
        holder_id: what it is found by.
        resource: the logical id in a stack, or which of the holder's it is.
    """

    holder_type: HolderType
    holder: str
    holder_id: str
    resource: str

    @classmethod
    def of(cls, plan: Plan, owner: OwnerKey) -> Holder:
        """Describe an owner; a stack goes by its name, which its id contains."""
        party = owner.party
        if party in plan.pools or party.startswith(POOL_PREFIX):
            pool = plan.pools.get(party)
            return cls("pool", pool.name if pool else party, party, owner.name)
        if STACK in party:
            return cls("stack", party.split("/")[1] if "/" in party else party, party, owner.name)
        if party.startswith(COMMAND_LINE):
            return cls("administrator", party.removeprefix(COMMAND_LINE), party, "")
        if party.startswith(IMPORTED):
            return cls("import", owner.name, party, owner.name)
        return cls("resource", party, party, owner.name)

    @property
    def shown(self) -> str:
        """Name it in a word or two."""
        return f"{self.holder_type} {self.holder}"
