"""An Amazon VPC IPAM pool that can be imported and allocated from, for the walkthrough: no emulator has one.

It answers four calls of EC2 in the form that EC2 does (EC2 API reference, "Query requests"), so that what is shown was
asked by the ordinary client. Tests of what may go wrong with such a pool have another one, with faults.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Answer = str | list["Answer"] | dict[str, "Answer"]

VPCS: Final = "ipam-pool-0a1b2c3d4e5f60718"
"""A pool with VPCs that are to be moved over."""

SIX: Final = "ipam-pool-0b2c3d4e5f6071829"
"""A pool with an IPv6 block of Amazon's, of which nothing is allocated yet."""

CIDRS: Final[Mapping[str, str]] = {VPCS: "10.3.0.0/16", SIX: "2600:1f14:abc:d000::/52"}
DESCRIPTIONS: Final[Mapping[str, str]] = {VPCS: "Existing VPCs", SIX: "IPv6 Pool"}
GIVEN: Final = "2600:1f14:abc:d000::/56"
"""What the IPv6 pool gives."""

ALLOCATIONS: Final[Mapping[str, list[Answer]]] = {
    VPCS: [
        {
            "cidr": "10.3.0.0/20",
            "ipamPoolAllocationId": "ipam-pool-alloc-0c3d4e5f60718293a4b5c6d7e8f901234",
            "resourceId": "vpc-0d4e5f60718293a4b",
            "resourceType": "vpc",
            "resourceOwner": "222222222222",
        },
        {
            "cidr": "10.3.16.0/22",
            "ipamPoolAllocationId": "ipam-pool-alloc-0e5f60718293a4b5c6d7e8f9012345678",
            "resourceId": "vpc-0f60718293a4b5c6d",
            "resourceType": "vpc",
            "resourceOwner": "333333333333",
        },
    ]
}


def answer(asked: Mapping[str, str]) -> dict[str, Answer]:
    """Answer a call."""
    pool_id = asked.get("IpamPoolId") or asked["IpamPoolId.1"]
    match asked["Action"]:
        case "DescribeIpamPools":
            known = {"ipamPoolId": pool_id, "description": DESCRIPTIONS[pool_id], "locale": "eu-central-1"}
            return {"ipamPoolSet": [dict(known)]}
        case "GetIpamPoolCidrs":
            return {"ipamPoolCidrSet": [{"cidr": CIDRS[pool_id], "state": "provisioned"}]}
        case "GetIpamPoolAllocations":
            return {"ipamPoolAllocationSet": ALLOCATIONS.get(pool_id, [])}
        case "AllocateIpamPoolCidr":
            made = {"cidr": GIVEN, "ipamPoolAllocationId": f"ipam-pool-alloc-{1:033x}", "resourceType": "custom"}
            return {"ipamPoolAllocation": dict(made)}
        case action:
            raise NotImplementedError(action)


def xml(value: Answer) -> str:
    """Write an answer as EC2 does: the elements of a list are items."""
    match value:
        case str():
            return escape(value)
        case list():
            return "".join(f"<item>{xml(each)}</item>" for each in value)
        case _:
            return "".join(f"<{name}>{xml(each)}</{name}>" for name, each in value.items())


class _Handler(BaseHTTPRequestHandler):
    """Takes one call after another."""

    def do_POST(self) -> None:
        """Answer a call."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        content = f"<{asked['Action']}Response>{xml(answer(asked))}</{asked['Action']}Response>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: what came of a call is said by who made it."""


@contextmanager
def amazon_ipam() -> Iterator[str]:
    """Give the endpoint of EC2 with these pools, for as long as it is needed."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
