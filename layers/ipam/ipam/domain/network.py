"""Networks in accounts, as far as an address is in use by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipam.domain.cidr import Cidr


@dataclass(frozen=True, slots=True)
class Network:
    """A CIDR of a VPC, or of a subnet.

    Attributes:
        network_id: of the VPC or the subnet.
        cidr: its CIDR, or one of them.
        stack: id of the stack that made it, as CloudFormation's own tag has it; "" where there is none.
        in_larger: it is a subnet of a VPC whose CIDR goes beyond the block that was asked for.
    """

    network_id: str
    cidr: Cidr
    stack: str = ""
    in_larger: bool = False
