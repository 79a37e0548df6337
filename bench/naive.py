"""The usual design, to compare with: read all allocations, take the first gap, write under a version.

What the public samples on DynamoDB do, made as fast and as safe as the idea allows: one consistent Query instead of a
Scan with a filter, small items, netaddr's sets built in one go, and a version of the pool that two writers cannot both
move on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import netaddr

from bench.endpoint import TABLE

if TYPE_CHECKING:
    from bench.endpoint import Endpoint
    from bench.layouts import Layout

PARTITION = "NAIVE#pool"
VERSION = {"PK": {"S": "NAIVE#versions"}, "SK": {"S": "pool"}}


class NaivePool:
    """One pool in that design."""

    def __init__(self, endpoint: Endpoint, layout: Layout, client: Any) -> None:
        """Store a layout, and use it through a client."""
        self._client = client
        self._provisioned = str(layout.provisioned)
        endpoint.put(VERSION | {"version": {"N": "1"}})
        for number, (first, length) in enumerate(layout.held):
            endpoint.put(_item(f"{netaddr.IPAddress(first)}/{length}", f"NetworkCidr{number}"))

    def allocate(self, length: int, owner: str) -> str:
        """Give the owner the first block of a netmask length that is free."""
        answer = self._client.get_item(TableName=TABLE, Key=VERSION, ConsistentRead=True)
        version = int(answer["Item"]["version"]["N"])
        free = netaddr.IPSet([self._provisioned]) - netaddr.IPSet(self._used())
        gap = next(network for network in free.iter_cidrs() if network.prefixlen <= length)
        cidr = str(next(gap.subnet(length)))
        put = {"TableName": TABLE, "Item": _item(cidr, owner), "ConditionExpression": "attribute_not_exists(PK)"}
        bump = {
            "TableName": TABLE,
            "Item": VERSION | {"version": {"N": str(version + 1)}},
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {":version": {"N": str(version)}},
        }
        self._client.transact_write_items(TransactItems=[{"Put": put}, {"Put": bump}])
        return cidr

    def _used(self) -> list[str]:
        """Read all that is allocated."""
        used = []
        request: dict[str, Any] = {
            "TableName": TABLE,
            "KeyConditionExpression": "PK = :partition",
            "ExpressionAttributeValues": {":partition": {"S": PARTITION}},
            "ConsistentRead": True,
        }
        while True:
            page = self._client.query(**request)
            used += [item["SK"]["S"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return used
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _item(cidr: str, owner: str) -> dict[str, Any]:
    return {
        "PK": {"S": PARTITION},
        "SK": {"S": cidr},
        "account": {"S": "111122223333"},
        "owner": {"S": owner},
        "created": {"N": "1800000000000"},
    }
