"""DynamoDB in this very process, behind the real client.

A client of botocore does all its work (it serialises, signs, parses and checks); only where it would send the request,
the answer is made here. The time that this takes is known and is taken off, so that what is left is the client's own.
There is no network and no TLS in it, for any design that is measured.

It understands what `ipam.adapters.dynamodb.store` and `bench.naive` say, and refuses everything else. It counts
capacity units by the items on the wire; `ipam.adapters.memory` counts by records, and the two have to agree.
"""

from __future__ import annotations

import json
import math
import re
import time
import zlib
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.awsrequest import AWSResponse
from sortedcontainers import SortedDict

from bench.counting import Counts, is_block
from ipam.adapters.aws import client as aws_client
from ipam.adapters.dynamodb import attributes, block_items, keys
from ipam.domain.allocation import Allocation
from ipam.domain.cidr import Cidr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.layouts import Layout
    from ipam.adapters.dynamodb.attributes import Item

TABLE: Final = "bench"
NOBODY: Final = "nobody"
PAGE: Final = 1 << 20
"""Bytes of one page of a Query."""

READ_UNIT: Final = 4096
WRITE_UNIT: Final = 1024

_RANGE: Final = re.compile(r"PK = (:\w+)(?: AND SK BETWEEN (:\w+) AND (:\w+))?")
_COMPARED: Final = re.compile(r"(\w+) (=|<=) (:\w+)")
_ADDED: Final = re.compile(r"ADD (\w+ :\w+(?:, \w+ :\w+)*)")
_ABSENT: Final = re.compile(r"attribute_not_exists\((\w+)\)")
_NEW: Final = "attribute_not_exists(PK)"
_THERE: Final = "attribute_exists(PK)"


class _Body:
    """The body of an answer, as urllib3 gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        """Give all of it."""
        yield self._content


class Endpoint:
    """One table, its answers, what they cost, and the processor time that they took here."""

    def __init__(self) -> None:
        """Start with an empty table."""
        self._partitions: dict[str, SortedDict[str, Any]] = {}
        self.counts = Counts()
        self.seconds = 0.0

    def connect(self) -> Any:
        """Make the client that the functions use, with its calls answered here."""
        boto3.setup_default_session(aws_access_key_id=NOBODY, aws_secret_access_key=NOBODY, region_name="eu-central-1")
        client = aws_client("dynamodb")
        client.meta.events.register("before-send.dynamodb", self._answer)
        return client

    def seed(self, layout: Layout, pool_id: str) -> None:
        """Put a layout in place of what a pool has; its items are written out when they are asked for."""
        self._partitions[keys.free_partition(pool_id)] = SortedDict(layout.free_records(pool_id))
        self._partitions[keys.used_partition(pool_id)] = SortedDict(layout.held_records(pool_id))

    def put(self, item: Item) -> None:
        """Store an item, unasked and uncounted."""
        self._rows(item["PK"]["S"])[item["SK"]["S"]] = item

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        """Answer a request in place of the network."""
        started = time.process_time()
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).rsplit(".", 1)[1]
        calls = {
            "Query": self._query,
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get_item,
            "TransactWriteItems": self._transact_write_items,
        }
        body = json.loads(request.body)
        answer = calls[operation](body)
        content = json.dumps(answer).encode()
        headers: Any = {"Content-Type": "application/x-amz-json-1.0", "x-amz-crc32": str(zlib.crc32(content))}
        response = AWSResponse(request.url, 400 if "__type" in answer else 200, headers, _Body(content))
        self.seconds += time.process_time() - started
        return response

    def _query(self, body: dict[str, Any]) -> dict[str, Any]:
        """Read a partition or a range of it."""
        asked = _RANGE.fullmatch(body["KeyConditionExpression"])
        if asked is None or body["TableName"] != TABLE:
            raise NotImplementedError(body)
        values = body["ExpressionAttributeValues"]
        partition, low, high = (values[name]["S"] if name else None for name in asked.groups())
        backwards = not body.get("ScanIndexForward", True)
        start = body.get("ExclusiveStartKey", {}).get("SK", {}).get("S")
        if start is not None:
            low, high = (low, start) if backwards else (start, high)
        found: list[Item] = []
        read = 0
        answer: dict[str, Any] = {"Items": found}
        for sort in self._rows(partition).irange(low, high, reverse=backwards):
            if sort == start:
                continue
            item = self._item(partition, sort)
            found.append(item)
            read += attributes.size(item)
            if len(found) == body.get("Limit") or read >= PAGE:
                answer["LastEvaluatedKey"] = {"PK": item["PK"], "SK": item["SK"]}
                break
        answer["Count"] = len(found)
        self._count_read(partition, read, consistent=body.get("ConsistentRead", False))
        return answer

    def _get_item(self, body: dict[str, Any]) -> dict[str, Any]:
        """Read one item."""
        partition, sort = _key(body["Key"])
        item = self._item(partition, sort)
        self._count_read(partition, attributes.size(item) if item else 0, consistent=body.get("ConsistentRead", False))
        return {"Item": item} if item else {}

    def _batch_get_item(self, body: dict[str, Any]) -> dict[str, Any]:
        """Read some items."""
        asked = body["RequestItems"][TABLE]
        found = []
        units = 0.0
        for partition, sort in map(_key, asked["Keys"]):
            item = self._item(partition, sort)
            if item:
                found.append(item)
            units += _read_units(attributes.size(item) if item else 0, consistent=asked.get("ConsistentRead", False))
        self.counts += Counts(1, units)
        return {"Responses": {TABLE: found}, "UnprocessedKeys": {}}

    def _transact_write_items(self, body: dict[str, Any]) -> dict[str, Any]:
        """Write some items, all or none."""
        writes = [_Write(self, *next(iter(write.items()))) for write in body["TransactItems"]]
        if len({write.key for write in writes}) != len(writes):
            raise NotImplementedError(body)
        blocks = sum(write.units for write in writes if is_block(write.key[0]))
        self.counts += Counts(1, 0, blocks, sum(write.units for write in writes) - blocks)
        reasons = [write.reason() for write in writes]
        if any(reason["Code"] != "None" for reason in reasons):
            self.counts += Counts(refused_units=blocks)
            return {
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": "Transaction cancelled",
                "CancellationReasons": reasons,
            }
        for write in writes:
            partition, sort = write.key
            if write.after is None:
                self._rows(partition).pop(sort, None)
            else:
                self._rows(partition)[sort] = write.after
        return {}

    def _rows(self, partition: str | None) -> SortedDict[str, Any]:
        return self._partitions.setdefault(partition or "", SortedDict())

    def _item(self, partition: str | None, sort: str) -> Any:
        """Give an item as the table has it."""
        rows = self._partitions.get(partition or "")
        stored = None if rows is None else rows.get(sort)
        if isinstance(stored, Cidr):
            return {"PK": {"S": partition}, "SK": {"S": sort}}
        return block_items.from_allocation(stored) if isinstance(stored, Allocation) else stored

    def _count_read(self, partition: str | None, read: int, *, consistent: bool) -> None:
        units = _read_units(read, consistent=consistent)
        of_plan = partition == keys.PLAN
        self.counts += Counts(plan_requests=1, plan_units=units) if of_plan else Counts(1, units)


class _Write:
    """One item of a transaction: before, after, and whether its condition holds."""

    def __init__(self, endpoint: Endpoint, kind: str, write: dict[str, Any]) -> None:
        self._write = write
        self.key = _key(write.get("Key") or write["Item"])
        self.before: Item | None = endpoint._item(*self.key)  # noqa: SLF001 - the endpoint's own part
        self.after: Item | None = self._after(kind)
        size = max(attributes.size(item) if item else 0 for item in (self.before, self.after))
        self.units = 2 * max(1, math.ceil(size / WRITE_UNIT))

    def _after(self, kind: str) -> Any:
        """Give the item as it is to be."""
        match kind:
            case "Put":
                return self._write["Item"]
            case "Delete":
                return None
            case "ConditionCheck":
                return self.before
            case _:
                return self._update()

    def _update(self) -> Item:
        """Add to numbers."""
        added = _ADDED.fullmatch(self._write["UpdateExpression"])
        if added is None:
            raise NotImplementedError(self._write)
        item = dict(self.before or self._write["Key"])
        for pair in added[1].split(", "):
            name, value = pair.split(" ")
            total = int(item.get(name, {"N": "0"})["N"]) + int(self._write["ExpressionAttributeValues"][value]["N"])
            item[name] = {"N": str(total)}
        return item

    def reason(self) -> dict[str, Any]:
        """Say why it cancels the transaction, or that it does not."""
        condition = self._write.get("ConditionExpression")
        if condition is None or all(self._holds(clause) for clause in condition.split(" AND ")):
            return {"Code": "None"}
        reason = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
        wanted = self._write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        return reason | {"Item": self.before} if wanted and self.before else reason

    def _holds(self, clause: str) -> bool:
        """Judge a part of a condition."""
        if " OR " in clause:
            return any(self._holds(part) for part in clause.removeprefix("(").removesuffix(")").split(" OR "))
        if clause in {_NEW, _THERE}:
            return (self.before is None) == (clause == _NEW)
        absent = _ABSENT.fullmatch(clause)
        if absent is not None:
            return absent[1] not in (self.before or {})
        compared = _COMPARED.fullmatch(clause)
        if compared is None:
            raise NotImplementedError(clause)
        name, how, value = compared.groups()
        held = (self.before or {}).get(name)
        asked = self._write["ExpressionAttributeValues"][value]
        if held is None:
            return False
        return bool(held == asked) if how == "=" else int(held["N"]) <= int(asked["N"])


def _key(item: Item) -> tuple[str, str]:
    return item["PK"]["S"], item["SK"]["S"]


def _read_units(read: int, *, consistent: bool) -> float:
    return max(1, math.ceil(read / READ_UNIT)) * (1 if consistent else 0.5)
