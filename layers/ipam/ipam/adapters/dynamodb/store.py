"""The store on a DynamoDB table.

    read          choose, decide           TransactWriteItems
    |-------------|------------------------|----------------------> committed: all of it
                                           |----------------------> cancelled: nothing of it, with a reason an item

Between the read and the commit anybody may have changed anything; the conditions (`ipam.adapters.dynamodb.keys` lists
them) are what decides. A transaction that timed out is sent again by the client with the same token: it happens once.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, HTTPClientError

from ipam.adapters.dynamodb import attributes, block_items, keys, plan_items, request_items
from ipam.adapters.dynamodb.writes import NEW, Writes
from ipam.domain.attempt import date_of
from ipam.domain.change import ChangeQuota, PutOwner
from ipam.domain.cidr import WIDTHS
from ipam.domain.errors import StoreUnavailableError
from ipam.domain.orphan import Round
from ipam.domain.owner import OwnerRecord
from ipam.domain.plan import Plan
from ipam.services.ports.store import Conflict, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ipam.adapters.dynamodb.attributes import Item
    from ipam.domain.allocation import Allocation, Approval, AuditRecord, CoolingBlock, Lease, PendingOrder
    from ipam.domain.attempt import Attempt
    from ipam.domain.change import Change
    from ipam.domain.cidr import Cidr, Family
    from ipam.domain.owner import OwnerKey

P = ParamSpec("P")
R = TypeVar("R")


BATCH: Final = 100
"""Keys of one BatchGetItem (DynamoDB API reference)."""

BATCH_TRIES: Final = 5
"""Calls for one batch whose keys come back unprocessed."""

TEMPORARY: Final = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Error codes after which the same call may succeed (DynamoDB developer guide, "Error handling")."""


def _translated(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method raise the domain's error where the store cannot answer; unknown errors pass untouched."""

    @functools.wraps(method)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in TEMPORARY:
                raise StoreUnavailableError(code) from error
            raise
        except (ConnectTimeoutError, EndpointConnectionError, HTTPClientError) as error:
            raise StoreUnavailableError(type(error).__name__) from error

    return translated


class DynamoDbStore:
    """`ipam.services.ports.Store` on one table."""

    def __init__(self, table: str, client: Any) -> None:
        """Use a table through a client."""
        self._table = table
        self._client = client
        self._writes = Writes(table)

    @_translated
    def plan(self) -> Plan:
        """See the port."""
        scopes, pools, provisioned, tenants = [], [], [], []
        for item in self._query(keys.PLAN):
            match item[keys.SORT_KEY]["S"].split("#", 1)[0]:
                case "SCOPE":
                    scopes.append(plan_items.to_scope(item))
                case "POOL":
                    pools.append(plan_items.to_pool(item))
                case "CIDR":
                    provisioned.append(plan_items.to_provisioned(item))
                case "TENANT":
                    tenants.append(plan_items.to_tenant(item))
                case _:
                    continue
        return Plan(tuple(scopes), tuple(pools), tuple(provisioned), tuple(tenants))

    @_translated
    def free_blocks(self, pool_id: str, family: Family, length: int, limit: int) -> list[Cidr]:
        """See the port."""
        sizes = (keys.free_from(family, WIDTHS[family] - length), keys.free_until(family))
        found = self._query(keys.free_partition(pool_id), between=sizes, limit=limit)
        return [block_items.to_free(item) for item in found]

    @_translated
    def largest_free(self, pool_id: str, family: Family) -> Cidr | None:
        """See the port."""
        sizes = (keys.free_from(family, 0), keys.free_until(family))
        found = self._query(keys.free_partition(pool_id), between=sizes, limit=1, backwards=True)
        return next((block_items.to_free(item) for item in found), None)

    @_translated
    def free_among(self, pool_id: str, blocks: Sequence[Cidr]) -> set[Cidr]:
        """See the port."""
        found: set[Cidr] = set()
        for start in range(0, len(blocks), BATCH):
            wanted = [attributes.key_of(keys.free(pool_id, block)) for block in blocks[start : start + BATCH]]
            found.update(block_items.to_free(item) for item in self._batch_get(wanted))
        return found

    def all_free(self, pool_id: str, family: Family) -> Iterator[Cidr]:
        """See the port."""
        sizes = (keys.free_from(family, 0), keys.free_until(family))
        return (block_items.to_free(item) for item in self._query(keys.free_partition(pool_id), between=sizes))

    @_translated
    def cooling(self, pool_id: str, limit: int, until: int | None = None) -> list[CoolingBlock]:
        """See the port."""
        due = None if until is None else (" ", keys.cooling_until(until))
        found = self._query(keys.cooling_partition(pool_id), between=due, limit=limit)
        return [block_items.to_cooling(item) for item in found]

    @_translated
    def sticky(self, pool_id: str, holder: str, after: int, limit: int) -> list[CoolingBlock]:
        """See the port."""
        sought = keys.sticky_after(holder, after)
        found = self._query(keys.sticky_partition(pool_id), between=sought, limit=limit, backwards=True)
        return [block_items.to_sticky(item) for item in found]

    def allocation(self, pool_id: str, cidr: Cidr) -> Allocation | None:
        """See the port."""
        item = self._get(keys.allocation(pool_id, cidr), consistent=True)
        return None if item is None else block_items.to_allocation(item)

    def allocations_beyond(self, pool_id: str, after: Cidr) -> Iterator[Allocation]:
        """See the port."""
        found = self._query(keys.used_partition(pool_id), between=keys.blocks_beyond(after))
        return (block_items.to_allocation(item) for item in found)

    def orphans_round(self) -> Round:
        """See the port."""
        item = self._get(keys.orphans_round(), consistent=True)
        return Round() if item is None else block_items.to_round(item)

    def allocations(self, pool_id: str, within: Cidr | None = None) -> Iterator[Allocation]:
        """See the port."""
        between = None if within is None else (keys.blocks_from(within), keys.blocks_until(within))
        return (block_items.to_allocation(item) for item in self._query(keys.used_partition(pool_id), between=between))

    def lease(self, pool_id: str, cidr: Cidr) -> Lease | None:
        """See the port."""
        item = self._get(keys.lease(pool_id, cidr), consistent=True)
        return None if item is None else block_items.to_lease(item)

    def leases(self, pool_id: str) -> Iterator[Lease]:
        """See the port."""
        return (block_items.to_lease(item) for item in self._query(keys.lease_partition(pool_id)))

    def approval(self, approval_id: str) -> Approval | None:
        """See the port."""
        item = self._get(keys.approval(approval_id), consistent=True)
        return None if item is None else request_items.to_approval(item)

    @_translated
    def approvals(self) -> list[Approval]:
        """See the port."""
        return [request_items.to_approval(item) for item in self._query(keys.APPROVALS)]

    @_translated
    def orders(self, pool_id: str) -> list[PendingOrder]:
        """See the port."""
        return [request_items.to_order(item) for item in self._query(keys.order_partition(pool_id))]

    def owner(self, key: OwnerKey) -> OwnerRecord:
        """See the port."""
        return self._owner(key, consistent=True)

    def owner_hint(self, key: OwnerKey) -> OwnerRecord:
        """See the port."""
        return self._owner(key, consistent=False)

    @_translated
    def owners(self, party: str) -> list[OwnerRecord]:
        """See the port."""
        return [request_items.to_owner(item) for item in self._query(keys.owner_partition(party))]

    @_translated
    def owners_hint(self, party: str) -> list[OwnerRecord]:
        """See the port."""
        return [request_items.to_owner(item) for item in self._query(keys.owner_partition(party), consistent=False)]

    @_translated
    def quota(self, account: str, pool_id: str) -> ChangeQuota:
        """See the port."""
        item = self._get(keys.quota(account, pool_id), consistent=True)
        return ChangeQuota(account, pool_id, 0, 0) if item is None else block_items.to_quota(item)

    @_translated
    def quotas(self, account: str) -> list[ChangeQuota]:
        """See the port."""
        return [block_items.to_quota(item) for item in self._query(keys.quota_partition(account))]

    def audit(self, subject: str, cidr: Cidr | None = None) -> Iterator[AuditRecord]:
        """See the port."""
        between = None if cidr is None else keys.audit_of(cidr)
        return (request_items.to_audit(item) for item in self._query(keys.audit_partition(subject), between=between))

    def attempts(self, day: int, account: str | None = None) -> Iterator[Attempt]:
        """See the port."""
        between = None if account is None else keys.attempts_of(account)
        found = self._query(keys.attempt_partition(date_of(day)), between=between)
        return (request_items.to_attempt(item) for item in found)

    @_translated
    def count_attempt(self, attempt: Attempt) -> int:
        """See the port. A call that is sent again, because no answer came, may count twice."""
        counted = self._client.update_item(
            TableName=self._table,
            Key=attributes.key_of(keys.tally(date_of(attempt.day), attempt.account)),
            UpdateExpression="ADD nth :one SET expires = :expires",
            ExpressionAttributeValues={":one": {"N": "1"}, ":expires": {"N": str(attempt.expires)}},
            ReturnValues="UPDATED_NEW",
        )
        return int(counted["Attributes"]["nth"]["N"])

    @_translated
    def keep_attempt(self, attempt: Attempt) -> None:
        """See the port."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=request_items.from_attempt(attempt),
                ConditionExpression=f"{NEW} OR nth < :nth",
                ExpressionAttributeValues={":nth": {"N": str(attempt.number)}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    @_translated
    def commit(self, change: Change) -> None:
        """See the port."""
        operations = [self._writes.of(operation) for operation in change.operations]
        try:
            self._client.transact_write_items(TransactItems=operations)
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            raise Conflict(_refusals(change, error)) from error

    def _owner(self, key: OwnerKey, *, consistent: bool) -> OwnerRecord:
        item = self._get(keys.owner(key), consistent=consistent)
        return OwnerRecord(key) if item is None else request_items.to_owner(item)

    @_translated
    def _get(self, key: keys.Key, *, consistent: bool) -> Item | None:
        """Read one item."""
        answer = self._client.get_item(TableName=self._table, Key=attributes.key_of(key), ConsistentRead=consistent)
        return cast("Item | None", answer.get("Item"))

    def _query(
        self,
        partition: str,
        *,
        between: tuple[str, str] | None = None,
        limit: int | None = None,
        backwards: bool = False,
        consistent: bool = True,
    ) -> Iterator[Item]:
        """Read a partition, or a range of it, page by page, up to a limit."""
        names = "PK = :partition"
        values: dict[str, Any] = {":partition": {"S": partition}}
        if between is not None:
            names += " AND SK BETWEEN :low AND :high"
            values |= {":low": {"S": between[0]}, ":high": {"S": between[1]}}
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": names,
            "ExpressionAttributeValues": values,
            "ConsistentRead": consistent,
            "ScanIndexForward": not backwards,
        }
        if limit is not None:
            request["Limit"] = limit
        left = limit
        while True:
            page = self._page(request)
            yield from page["Items"]
            left = None if left is None else left - len(page["Items"])
            if "LastEvaluatedKey" not in page or left == 0:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    @_translated
    def _page(self, request: dict[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", self._client.query(**request))

    def _batch_get(self, wanted: list[Item]) -> Iterator[Item]:
        """Read items by their keys, asking again for those that the table did not get to.

        Raises:
            StoreUnavailableError: it did not get to them in several calls.
        """
        pending: dict[str, Any] = {self._table: {"Keys": wanted, "ConsistentRead": True}}
        for _ in range(BATCH_TRIES):
            answer = self._client.batch_get_item(RequestItems=pending)
            yield from answer["Responses"].get(self._table, ())
            pending = answer.get("UnprocessedKeys") or {}
            if not pending:
                return
        code = "UnprocessedKeys"
        raise StoreUnavailableError(code)


def _refusals(change: Change, error: ClientError) -> tuple[Refusal, ...]:
    """Translate the reasons of a cancelled transaction.

    A condition that did not hold brings the item that is there, where it was asked for. Everything else that cancels
    (another transaction on the item, throttling) is `busy`.
    """
    reasons = cast("dict[str, Any]", error.response).get("CancellationReasons", [])
    refusals = []
    for operation, reason in zip(change.operations, reasons, strict=True):
        code = reason.get("Code", "None")
        if code == "None":
            continue
        if code == "ValidationError":
            raise error
        current = (
            request_items.to_owner(reason["Item"]) if isinstance(operation, PutOwner) and "Item" in reason else None
        )
        refusals.append(Refusal(operation, current, busy=code != "ConditionalCheckFailed"))
    return tuple(refusals)
