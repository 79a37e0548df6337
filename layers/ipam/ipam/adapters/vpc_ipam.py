"""Amazon VPC IPAM, as what stands behind a pool.

Two promises carry the whole arrangement (EC2 API reference, AllocateIpamPoolCidr and ReleaseIpamPoolAllocation):

- allocating is strongly consistent, and once for each ClientToken;
- releasing names the pool, the block and the allocation's id: it never ends anybody else's allocation.

Reading is not consistent: an allocation may be missing, or still there, for a while.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError

from ipam.domain.cidr import Cidr
from ipam.domain.errors import ServiceUnavailableError, VpcIpamRefusedError
from ipam.services.ports.outside import Chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.services.ports.outside import VpcIpamOrder

SERVICE: Final = "Amazon VPC IPAM"

NOT_FOUND: Final = "InvalidIpamPoolAllocationId.NotFound"
"""What is said of an allocation that is not there, and of one that is so young that it is not to be seen yet."""

UNANSWERED: Final = frozenset(
    {
        "AuthFailure",
        "Blocked",
        "ConcurrentMutationLimitExceeded",
        "InternalError",
        "InternalFailure",
        "OptInRequired",
        "PendingVerification",
        "RequestExpired",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "Unavailable",
        "UnauthorizedOperation",
    }
)
"""Codes of errors that say nothing about a request: EC2 is busy, or this system may not use it, or not yet (EC2 API
reference, "Error codes"). The same call succeeds when that is over, or when somebody has put it right."""

SERVER_ERROR: Final = 500

PAGE: Final = 1000
"""Entries of one page: the fewest allocations, and the most CIDRs, that may be asked for."""

MAX_PAGES: Final = 1000
"""Pages of one list."""

PROVISIONED: Final = "provisioned"


class VpcIpamPools:
    """`ipam.services.ports.VpcIpam` by EC2's API.

    A pool is asked in its locale, which is the Region that both calls demand ("The Region you use should be the IPAM
    pool locale"), whichever Region this process runs in: upkeep at home gives back what a stack elsewhere had.
    """

    def __init__(self, connect: Callable[[str], Any], home: str) -> None:
        """Ask nothing yet.

        Args:
            connect: makes the client of a Region, when it is first needed.
            home: the Region in which a pool without a locale is asked; the same for all, wherever they run.
        """
        self._connect = functools.cache(connect)
        self._home = home

    def allocate(self, order: VpcIpamOrder) -> Chosen:
        """See the port."""
        request: dict[str, Any] = {
            "IpamPoolId": order.vpc_ipam_pool_id,
            "ClientToken": order.token,
            "Description": order.description,
        }
        if order.cidr is not None:
            request["Cidr"] = str(order.cidr)
        else:
            request["NetmaskLength"] = order.netmask_length
            limits = {"AllowedCidrs": order.allowed, "DisallowedCidrs": order.disallowed}
            request |= {name: [str(cidr) for cidr in cidrs] for name, cidrs in limits.items() if cidrs}
        with _answering(order.vpc_ipam_pool_id):
            answer = self._client(order.locale).allocate_ipam_pool_cidr(**request)
        return _chosen(answer["IpamPoolAllocation"])

    def release(self, locale: str, vpc_ipam_pool_id: str, cidr: Cidr, allocation_id: str) -> bool:
        """See the port."""
        request = {"IpamPoolId": vpc_ipam_pool_id, "Cidr": str(cidr), "IpamPoolAllocationId": allocation_id}
        with _answering(vpc_ipam_pool_id):
            try:
                answer = self._client(locale).release_ipam_pool_allocation(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] == NOT_FOUND:
                    return False
                raise
        if not answer["Success"]:
            code = "Success is false"
            raise ServiceUnavailableError(SERVICE, code)
        return True

    def allocations(self, locale: str, vpc_ipam_pool_id: str) -> Iterator[Chosen]:
        """See the port."""
        for page in self._pages("get_ipam_pool_allocations", locale, vpc_ipam_pool_id):
            yield from (_chosen(item) for item in page["IpamPoolAllocations"])

    def cidrs(self, locale: str, vpc_ipam_pool_id: str) -> tuple[Cidr, ...]:
        """See the port."""
        pages = self._pages("get_ipam_pool_cidrs", locale, vpc_ipam_pool_id)
        items = (item for page in pages for item in page["IpamPoolCidrs"])
        return tuple(Cidr.parse(item["Cidr"]) for item in items if item["State"] == PROVISIONED)

    def _client(self, locale: str) -> Any:
        """Give the client for pools of a locale."""
        return self._connect(locale or self._home)

    def _pages(self, operation: str, locale: str, vpc_ipam_pool_id: str) -> Iterator[dict[str, Any]]:
        """Read a list page by page.

        Raises:
            ServiceUnavailableError: it is longer than this system can use, or was not answered.
        """
        request = {"IpamPoolId": vpc_ipam_pool_id, "MaxResults": PAGE}
        for _ in range(MAX_PAGES):
            with _answering(vpc_ipam_pool_id):
                page = getattr(self._client(locale), operation)(**request)
            yield page
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]
        code = f"more than {MAX_PAGES} pages"
        raise ServiceUnavailableError(SERVICE, code)


@contextlib.contextmanager
def _answering(vpc_ipam_pool_id: str) -> Iterator[None]:
    """Raise the domain's errors where EC2 does not do what it is asked."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in UNANSWERED or error.response["ResponseMetadata"]["HTTPStatusCode"] >= SERVER_ERROR:
            raise ServiceUnavailableError(SERVICE, code) from error
        raise VpcIpamRefusedError(vpc_ipam_pool_id, code, error.response["Error"]["Message"]) from error
    except (ConnectTimeoutError, EndpointConnectionError, HTTPClientError) as error:
        raise ServiceUnavailableError(SERVICE, type(error).__name__) from error


def _chosen(item: dict[str, Any]) -> Chosen:
    """Read an allocation."""
    return Chosen(item["IpamPoolAllocationId"], Cidr.parse(item["Cidr"]), item.get("Description", ""))
