"""What the store makes of everything that DynamoDB can answer, injected below the client: no emulator says it."""

from __future__ import annotations

import io
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError

from ipam.adapters.dynamodb import attributes, keys, request_items
from ipam.adapters.dynamodb.store import BATCH_TRIES, TEMPORARY, DynamoDbStore
from ipam.domain.allocation import AuditRecord
from ipam.domain.attempt import Attempt
from ipam.domain.change import Change, PutAudit, PutFree, PutOwner, TakeFree
from ipam.domain.errors import StoreUnavailableError
from ipam.domain.owner import OwnerRecord
from ipam.services.ports.store import Conflict, Refusal, Store
from tests.builders import NOON, block, owner_key
from tests.engine import client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

P = "ipam-pool-0"
B = block("10.0.0.0/24")
OWNER = OwnerRecord(owner_key())
CHANGE = Change(
    (
        TakeFree(P, B),
        PutFree(P, B),
        PutOwner(OWNER, expires=None),
        PutAudit(AuditRecord(P, None, NOON, "split", "", None, "", "", "0")),
    )
)
ATTEMPT = Attempt(NOON, "", "forged", "a reason", "", "", "", "", "", "lambda", 1)
CALLS: dict[str, Callable[[DynamoDbStore], object]] = {
    "plan": lambda store: store.plan(),
    "free_blocks": lambda store: store.free_blocks(P, 4, 24, 10),
    "largest_free": lambda store: store.largest_free(P, 4),
    "free_among": lambda store: store.free_among(P, [B]),
    "all_free": lambda store: list(store.all_free(P, 4)),
    "cooling": lambda store: store.cooling(P, 10),
    "sticky": lambda store: store.sticky(P, "0f", NOON, 10),
    "allocations_beyond": lambda store: list(store.allocations_beyond(P, B)),
    "orphans_round": lambda store: store.orphans_round(),
    "allocation": lambda store: store.allocation(P, B),
    "allocations": lambda store: list(store.allocations(P)),
    "lease": lambda store: store.lease(P, B),
    "leases": lambda store: list(store.leases(P)),
    "approval": lambda store: store.approval("approval-0"),
    "approvals": lambda store: store.approvals(),
    "orders": lambda store: store.orders(P),
    "owner": lambda store: store.owner(owner_key()),
    "owner_hint": lambda store: store.owner_hint(owner_key()),
    "owners": lambda store: store.owners("stack"),
    "owners_hint": lambda store: store.owners_hint("stack"),
    "quota": lambda store: store.quota("111122223333", P),
    "quotas": lambda store: store.quotas("111122223333"),
    "audit": lambda store: list(store.audit(P)),
    "attempts": lambda store: list(store.attempts(20_833)),
    "count_attempt": lambda store: store.count_attempt(ATTEMPT),
    "keep_attempt": lambda store: store.keep_attempt(ATTEMPT),
    "commit": lambda store: store.commit(CHANGE),
}

HINTS = ("owner_hint", "owners_hint")
NOTES = ("count_attempt", "keep_attempt")
"""Writes that are no change."""


class _Body(io.BytesIO):
    """What urllib3 would have read."""

    def stream(self, *_: object, **__: object) -> Sequence[bytes]:
        return [self.read()]


def answer(status: int, body: dict[str, Any]) -> AWSResponse:
    """Make an HTTP response of DynamoDB."""
    return AWSResponse("http://127.0.0.1", status, HTTPHeaders(), _Body(json.dumps(body).encode()))


def error(code: str, status: int = 400, **more: Any) -> AWSResponse:
    """Make an error response of DynamoDB."""
    return answer(status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **more})


def answered_by(*answers: AWSResponse | Exception, **settings: Any) -> tuple[DynamoDbStore, list[dict[str, Any]]]:
    """Make a store whose calls are answered so, one after the other, and the list of what it sends."""
    sent: list[dict[str, Any]] = []
    queue = list(answers)

    def before_send(request: Any, **_: object) -> AWSResponse:
        sent.append(json.loads(request.body))
        following = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(following, Exception):
            raise following
        return following

    at = client("http://127.0.0.1:1", **settings)
    at.meta.events.register("before-send.dynamodb.*", before_send)
    return DynamoDbStore("ipam", at), sent


def cancelled(*codes: str, **more: Any) -> AWSResponse:
    """Make the answer to a cancelled transaction."""
    reasons = [{"Code": code} | ({"Message": "injected"} if code != "None" else {}) for code in codes]
    for place, item in more.items():
        reasons[int(place.removeprefix("item_"))]["Item"] = item
    return error("TransactionCanceledException", CancellationReasons=reasons)


def test_every_method_of_the_port_is_called_here() -> None:
    """A new one cannot be forgotten."""
    assert set(CALLS) == {name for name in vars(Store) if not name.startswith("_")}


def test_a_condition_that_did_not_hold_is_a_refusal() -> None:
    """Each refused operation is named, with the owner's record that is there instead (I4)."""
    current = OWNER.fenced(NOON)
    there = request_items.from_owner(current, None)
    store, _ = answered_by(cancelled("ConditionalCheckFailed", "None", "ConditionalCheckFailed", "None", item_2=there))
    with pytest.raises(Conflict) as conflict:
        store.commit(CHANGE)
    assert conflict.value.refusals == (
        Refusal(CHANGE.operations[0]),
        Refusal(CHANGE.operations[2], current.stored()),
    )


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_what_was_not_even_tried_is_busy(code: str) -> None:
    """Another transaction on the item, or throttling, says nothing about the condition."""
    store, _ = answered_by(cancelled(code, "None", "ConditionalCheckFailed", "None"))
    with pytest.raises(Conflict) as conflict:
        store.commit(CHANGE)
    assert conflict.value.refusals == (
        Refusal(CHANGE.operations[0], busy=True),
        Refusal(CHANGE.operations[2], None, busy=False),
    )


def test_a_fault_of_ours_is_not_a_refusal() -> None:
    """An operation that DynamoDB finds malformed must not be tried again as if somebody had been faster."""
    store, _ = answered_by(cancelled("None", "ValidationError", "None", "None"))
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        store.commit(CHANGE)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_throttling_and_trouble_may_pass(call: str, code: str) -> None:
    """Every method says so with the domain's own error, which carries DynamoDB's word for it."""
    store, _ = answered_by(error(code, 500 if code.startswith("Internal") else 400))
    with pytest.raises(StoreUnavailableError) as unavailable:
        CALLS[call](store)
    assert unavailable.value.code == code


@pytest.mark.parametrize("code", sorted(TEMPORARY))
def test_every_temporary_code_is_temporary(code: str) -> None:
    """The list of codes is what the store goes by."""
    store, _ = answered_by(error(code))
    with pytest.raises(StoreUnavailableError):
        store.commit(CHANGE)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"])
def test_what_will_not_pass_is_left_as_it_is(call: str, code: str) -> None:
    """A fault of the deployment or of ours passes through untouched: nobody is told to try again."""
    store, _ = answered_by(error(code))
    with pytest.raises(ClientError, match=code):
        CALLS[call](store)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "trouble",
    [
        ReadTimeoutError(endpoint_url="http://127.0.0.1"),
        ConnectTimeoutError(endpoint_url="http://127.0.0.1"),
        ConnectionClosedError(endpoint_url="http://127.0.0.1"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_a_lost_connection_may_come_back(call: str, trouble: Exception) -> None:
    """A call without an answer, whether it was carried out or not, may be tried again."""
    store, _ = answered_by(trouble)
    with pytest.raises(StoreUnavailableError) as unavailable:
        CALLS[call](store)
    assert unavailable.value.code == type(trouble).__name__


def test_nobody_at_the_other_end_is_unavailable() -> None:
    """A connection that is refused is as temporary as one that is lost."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    with pytest.raises(StoreUnavailableError) as unavailable:
        DynamoDbStore("ipam", client(f"http://127.0.0.1:{port}")).plan()
    assert unavailable.value.code == "EndpointConnectionError"


def test_a_transaction_is_sent_again_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a lost answer the client repeats the very same transaction, so it happens once (I1)."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    lost = ReadTimeoutError(endpoint_url="http://127.0.0.1")
    store, sent = answered_by(
        lost, error("InternalServerError", 500), answer(200, {}), retries={"mode": "standard", "total_max_attempts": 3}
    )
    store.commit(CHANGE)
    assert len(sent) == 3
    assert sent[0] == sent[1] == sent[2]
    assert sent[0]["ClientRequestToken"]
    store.commit(CHANGE)
    assert sent[3]["ClientRequestToken"] != sent[0]["ClientRequestToken"]


def test_keys_that_were_not_read_are_asked_for_again() -> None:
    """A batch read goes on with what the table did not get to."""
    key = attributes.key_of(keys.free(P, B))
    store, sent = answered_by(
        answer(200, {"Responses": {}, "UnprocessedKeys": {"ipam": {"Keys": [key], "ConsistentRead": True}}}),
        answer(200, {"Responses": {"ipam": [key]}, "UnprocessedKeys": {}}),
    )
    assert store.free_among(P, [B]) == {B}
    assert [each["RequestItems"]["ipam"]["ConsistentRead"] for each in sent] == [True, True]


def test_keys_that_are_never_read_are_unavailable() -> None:
    """After bounded tries a batch read gives up."""
    key = attributes.key_of(keys.free(P, B))
    store, sent = answered_by(answer(200, {"Responses": {}, "UnprocessedKeys": {"ipam": {"Keys": [key]}}}))
    with pytest.raises(StoreUnavailableError):
        store.free_among(P, [B])
    assert len(sent) == BATCH_TRIES


@pytest.mark.parametrize("call", sorted(CALLS.keys() - {"commit", "free_among", *HINTS, *NOTES}))
def test_reads_are_consistent(call: str) -> None:
    """Every read but the hints asks for the truth."""
    store, sent = answered_by(answer(200, {"Items": [], "Count": 0}))
    CALLS[call](store)
    assert [each["ConsistentRead"] for each in sent] == [True]


@pytest.mark.parametrize("call", HINTS)
def test_a_hint_is_read_at_half_the_price(call: str) -> None:
    """The hints, and they alone, may be a moment old."""
    store, sent = answered_by(answer(200, {"Items": [], "Count": 0} if call == "owners_hint" else {}))
    CALLS[call](store)
    assert [each["ConsistentRead"] for each in sent] == [False]
