"""Networks of member accounts, as EC2 there tells them to a role that may only look.

All VPCs of the account and Region are read, a page of them as a rule, and the subnets of those only that reach beyond
the block: whether a filter for CIDRs takes wildcards, EC2's reference does not say, and what it overlooked would be
given away. What is shared by another account is not the stack's to delete, and is left out. So is what AWS itself gives
a default VPC and its subnets (172.31.0.0/16): it is nobody's order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ipam.adapters.members import MemberClients
from ipam.domain.cidr import Cidr
from ipam.domain.errors import MalformedCidrError, ServiceUnavailableError
from ipam.domain.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ipam.domain.stack import StackId
    from ipam.services.ports import Clock

SERVICE: Final = "Amazon EC2"

PAGE: Final = 1000
"""VPCs or subnets in a page: the most that EC2 gives."""

MAX_PAGES: Final = 20
"""Pages that are read. No account has so many VPCs; and of VPCs around one block, none so many subnets."""

DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "OptInRequired", "RegionDisabledException", "UnauthorizedOperation"}
)
"""Codes of errors that say that an account does not let us look: no role, not for us, or without the rights."""

MAX_VALUES: Final = 200
"""Values of one filter (EC2 API reference, "DescribeSubnets")."""

TOO_MANY: Final = "more networks than are read"

ENDED: Final = frozenset({"disassociated", "failed"})
"""How a CIDR is that a VPC or a subnet has no more, or never had (EC2 API reference, "VpcCidrBlockState")."""

STACK_TAG: Final = "aws:cloudformation:stack-id"
"""CloudFormation's own tag; nobody else can set one that begins with `aws:`."""


class MemberNetworks:
    """`ipam.services.ports.Networks` by a role of the same name in every account."""

    def __init__(self, role: str, clock: Clock, connect: Callable[[str, str], Any]) -> None:
        """Ask nothing yet.

        Args:
            role: the role's name.
            clock: tells when a client's rights run out.
            connect: makes a client by the ARN of a role, in a Region.
        """
        self._clients = MemberClients(SERVICE, role, clock, connect)
        self._unasked = ""

    def using(self, stack: StackId, cidr: Cidr) -> tuple[Network, ...]:
        """See the port."""
        found: list[Network] = []
        try:
            # What came before an error stays in the list.
            found.extend(_Account(self._clients.of(stack), stack.account).networks(cidr))
        except _TooManyError:
            self._unasked = TOO_MANY
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in DENIED:
                self._clients.forget(stack)
                raise ServiceUnavailableError(SERVICE, code) from error
            self._unasked = code
        except BotoCoreError as error:
            raise ServiceUnavailableError(SERVICE, type(error).__name__) from error
        # What was seen before somebody said no is there all the same.
        return tuple(found)

    def unasked(self) -> str:
        """See the port."""
        why, self._unasked = self._unasked, ""
        return why


class _TooManyError(Exception):
    """There are more pages than are read."""


class _Account:
    """The networks of one account in one Region."""

    def __init__(self, client: Any, account: str) -> None:
        self._client = client
        self._account = account

    def networks(self, cidr: Cidr) -> Iterator[Network]:
        """Give what has addresses of a block, and of nothing else than that, or is a subnet that has."""
        around: list[str] = []
        for vpc in self._own("describe_vpcs", "Vpcs"):
            given = vpc.get("CidrBlock") if vpc.get("IsDefault") else None
            for text in _cidrs(vpc, "CidrBlockAssociationSet"):
                found = _read(text)
                if found is not None and cidr.contains(found) and text != given:
                    yield Network(vpc["VpcId"], found, _stack(vpc))
                elif found is not None and found.contains(cidr) and found != cidr:
                    around.append(vpc["VpcId"])
        for first in range(0, len(around), MAX_VALUES):
            yield from self._subnets(around[first : first + MAX_VALUES], cidr)

    def _subnets(self, vpcs: list[str], cidr: Cidr) -> Iterator[Network]:
        """Give the subnets in a block, of VPCs that reach beyond it."""
        for subnet in self._own("describe_subnets", "Subnets", Filters=[{"Name": "vpc-id", "Values": vpcs}]):
            four = [] if subnet.get("DefaultForAz") or "CidrBlock" not in subnet else [subnet["CidrBlock"]]
            for text in (*four, *_cidrs(subnet)):
                found = _read(text)
                if found is not None and cidr.contains(found):
                    yield Network(subnet["SubnetId"], found, _stack(subnet), in_larger=True)

    def _own(self, call: str, of: str, **asked: Any) -> Iterator[Mapping[str, Any]]:
        """Give what the account itself has; pages are fetched as they are needed.

        Raises:
            _TooManyError: it has more than is read.
        """
        pages = self._client.get_paginator(call).paginate(PaginationConfig={"PageSize": PAGE}, **asked)
        for number, page in enumerate(pages):
            if number == MAX_PAGES:
                raise _TooManyError
            yield from (each for each in page[of] if each.get("OwnerId") == self._account)


def _cidrs(network: Mapping[str, Any], four: str = "") -> Iterator[str]:
    """Give the CIDRs that a VPC, or a subnet, has or may have still; `four`: where those of IPv4 are listed."""
    for listed, cidr, state in ((four, "CidrBlock", "CidrBlockState"), (_SIX, "Ipv6CidrBlock", "Ipv6CidrBlockState")):
        for each in network.get(listed, ()):
            if each.get(state, {}).get("State") not in ENDED and cidr in each:
                yield each[cidr]


_SIX: Final = "Ipv6CidrBlockAssociationSet"


def _read(text: str) -> Cidr | None:
    """Read a CIDR, however it is spelled; None where it is none."""
    try:
        return Cidr.parse(text)
    except MalformedCidrError as error:
        return None if error.canonical is None else Cidr.parse(error.canonical)


def _stack(network: Mapping[str, Any]) -> str:
    """Tell which stack made a network, or ""."""
    return next((str(tag["Value"]) for tag in network.get("Tags", ()) if tag["Key"] == STACK_TAG), "")
