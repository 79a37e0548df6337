"""Two tenants, of whom one is hostile: what it forges changes nothing, reveals nothing, and leaves a record.

The hostile account may invoke the function directly, by its own alias, with any event that it can write. It knows the
victim's stack, names, CIDR and even the allocation id; what it does not have is the victim's alias and key.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.authorization import derive
from ipam.entrypoints.errors import UnansweredError
from ipam.services.pools import NewPool
from tests.builders import REGION
from tests.invariants import check
from tests.unit.entrypoints.stage import (
    ACCOUNT,
    MASTER,
    Stage,
    allocation_id,
    event,
    readdressed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "222222222222"
ALIAS = "arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr:tenant-"
VICTIMS_STACK = event("create")["StackId"]
OWN_STACK = event("create_other_account")["StackId"]
TAKEN = allocation_id(1)
"""The victim's allocation."""

UNKNOWN = allocation_id(0xDEAD)
KEY = derive(MASTER, HOSTILE)
Event = dict[str, Any]


def victims(name: str, **changes: Any) -> Event:
    """Write an event as the victim's stack would send it."""
    return event(name, **changes)


def own(name: str, properties: dict[str, Any] | None = None, **changes: str) -> Event:
    """Write an event of the hostile account's own stack."""
    made = readdressed(event(name), StackId=OWN_STACK, **changes)
    made["ResourceProperties"] = made.get("ResourceProperties", {}) | (properties or {})
    return made


def to(url: str) -> Event:
    """Write a Create whose answer is to go elsewhere."""
    return event("create") | {"StackId": OWN_STACK, "ResponseURL": url}


def bent(old: str, new: str) -> Event:
    """Write a Create of its own stack with a bent ResponseURL."""
    made = own("create")
    assert old in made["ResponseURL"]
    return made | {"ResponseURL": made["ResponseURL"].replace(old, new, 1)}


def without(name: str) -> Event:
    """Leave a field out."""
    made = own("create")
    del made[name]
    return made


def over_sns(made: Event) -> Event:
    """Wrap an event as a topic does."""
    wrapped = copy.deepcopy(event("create_over_sns"))
    wrapped["Records"][0]["Sns"]["Message"] = json.dumps(made)
    return wrapped


def announcing(alloc: str, key: str = KEY) -> Event:
    """Announce the return of an allocation in its own stack."""
    properties = {"IpamPoolAllocationId": alloc, "Cidr": "10.0.0.0/24", "Authorizationkey": key}
    return own("delete_cn_cidr_create", properties)


HOST = "cloudformation-custom-resource-response-eucentral1.s3.eu-central-1.amazonaws.com"

FORGED: dict[str, Callable[[], Any]] = {
    "the victim's Create, replayed": lambda: victims("create"),
    "the victim's Update, replayed": lambda: victims("update_replacement"),
    "the victim's Delete, replayed": lambda: victims("delete"),
    "the victim's DeleteCnCIDR, replayed": lambda: victims("delete_cn_cidr_delete"),
    "a Delete of the victim's resource with an invented id": lambda: victims("delete_invented_id"),
    "the victim's Create over a topic": lambda: over_sns(victims("create")),
    "the victim's Delete over a topic": lambda: over_sns(victims("delete")),
    "an order in the victim's name, new logical id": lambda: readdressed(
        victims("create"), LogicalResourceId="Another", StackId=VICTIMS_STACK
    ),
    "an answer for the victim's stack": lambda: victims("create") | {"StackId": OWN_STACK},
    "its own answer for the victim's request": lambda: own("create") | {"StackId": VICTIMS_STACK},
    "its own answer with another request id": lambda: own("create") | {"RequestId": "stolen"},
    "its own answer with another logical id": lambda: own("create") | {"LogicalResourceId": "Other"},
    "a logical id that shifts the key": lambda: own("create") | {"LogicalResourceId": "GetCnCIDR|x"},
    "an answer to a host of its own": lambda: to("https://evil.example.com/answer"),
    "an answer without encryption": lambda: bent("https://", "http://"),
    "an answer to a name that begins like the right one": lambda: bent(HOST, f"{HOST}.evil.example.com"),
    "an answer to a bucket of its own": lambda: bent("cloudformation-custom-resource-response", "evil"),
    "an answer to another Region": lambda: bent("eucentral1.s3.eu-central-1", "euwest1.s3.eu-west-1"),
    "an answer with a user": lambda: bent("https://", "https://evil@"),
    "an answer with a port": lambda: bent(HOST, f"{HOST}:8443"),
    "an answer with a fragment": lambda: own("create") | {"ResponseURL": own("create")["ResponseURL"] + "#x"},
    "an answer to the instance's metadata": lambda: to("https://169.254.169.254/latest"),
    "an answer by another scheme": lambda: to("file:///etc/passwd"),
    "no address for the answer": lambda: without("ResponseURL"),
    "no stack": lambda: without("StackId"),
    "a stack in another Region": lambda: readdressed(
        event("create"), StackId=OWN_STACK.replace("eu-central-1", "eu-west-1")
    ),
    "a stack in another partition": lambda: readdressed(
        event("create"), StackId=OWN_STACK.replace("arn:aws:", "arn:x:")
    ),
    "a stack of an account with other digits": lambda: readdressed(
        event("create"), StackId=OWN_STACK.replace(HOSTILE, "\N{FULLWIDTH DIGIT TWO}" * 12)
    ),
    "a request that does not exist": lambda: own("create") | {"RequestType": "Read"},
    "a list": lambda: [own("create")],
    "nothing": dict,
    "a number": lambda: 7,
}
"""Events that CloudFormation cannot have sent for a stack of whoever invoked."""

REFUSED: dict[str, tuple[Callable[[], Event], str]] = {
    "the release of a stolen allocation id": (lambda: own("delete", PhysicalResourceId=TAKEN), "unverified-delete"),
    "the announcement of a stolen allocation id": (lambda: announcing(TAKEN), "refused"),
    "the same with the victim's key": (lambda: announcing(TAKEN, derive(MASTER, ACCOUNT)), "refused"),
    "the same with a key that it made up": (lambda: announcing(TAKEN, "0" * 64), "refused"),
    "the return of a stolen allocation id": (
        lambda: own("delete_cn_cidr_delete", {"IpamPoolAllocationId": TAKEN}, PhysicalResourceId=f"return-of-{TAKEN}"),
        "unverified-delete",
    ),
    "an Update that names a stolen id and a block in use": (
        lambda: own("update_in_place", {"Cidr": "10.0.0.0/24"}, PhysicalResourceId=TAKEN),
        "refused",
    ),
    "the exact block of the victim": (lambda: own("create_exact_cidr", {"Cidr": "10.0.0.0/24"}), "refused"),
    "a pool that is the victim's": (lambda: own("create", {"PoolName": "vpcs-of-theirs"}), "refused"),
    "a preview that is the victim's": (
        lambda: own("create_from_preview", {"PreviewToken": f"{TAKEN}@ipam-pool-{0:017x}@10.0.0.0/24"}),
        "refused",
    ),
}
"""Events of its own stack that reach for what is the victim's, and how they end."""


@pytest.fixture
def stage() -> Stage:
    """The victim holds a network; the hostile account invokes by its own alias from now on."""
    made = Stage()
    made.chance.count = 0x2000
    theirs = NewPool("vpcs-of-theirs", made.vpcs.scope_id, locale=REGION, shared_with=(ACCOUNT,))
    made.desk.pool(theirs, "10.9.0.0/24")
    made.restart()
    made.chance.count = 0
    made.context.invoked_function_arn = ALIAS + ACCOUNT
    made.send("create")
    assert made.outcome == "allocated"
    made.context.invoked_function_arn = ALIAS + HOSTILE
    return made


def content(stage: Stage) -> Any:
    """Copy all that is stored."""
    store: Any = stage.desk.store
    return {name: dict(rows) for name, rows in store._partitions.items() if rows}


@pytest.mark.parametrize("name", FORGED)
def test_what_cloudformation_cannot_have_sent_is_forged(stage: Stage, name: str) -> None:
    """Nothing is written, nobody is answered, nothing is connected to; the log has a line that a metric counts."""
    before, told = content(stage), len(stage.mailbox.hosts)
    stage.provider.handle(FORGED[name](), stage.context)
    assert content(stage) == before
    assert len(stage.mailbox.hosts) == told
    assert stage.outcome == "forged"
    check(stage.desk.store)


@pytest.mark.parametrize("name", REFUSED)
def test_what_reaches_for_anothers_is_refused(stage: Stage, name: str) -> None:
    """The answer goes to its own stack, and nothing that is the victim's changes."""
    make, outcome = REFUSED[name]
    before = content(stage)
    answer = stage.send(make())
    assert content(stage) == before
    assert stage.outcome == outcome
    assert answer["StackId"] == OWN_STACK
    assert VICTIMS_STACK not in json.dumps(answer)
    check(stage.desk.store)


def test_yours_not_and_nowhere_look_alike(stage: Stage) -> None:
    """A stolen id and one that does not exist are answered in the same words, whatever the request."""
    for make in (announcing, lambda alloc: own("delete", PhysicalResourceId=alloc)):
        stolen, unknown = stage.send(make(TAKEN)), stage.send(make(UNKNOWN))
        assert json.dumps(stolen).replace(TAKEN, UNKNOWN) == json.dumps(unknown)


def test_no_key_and_no_signature_is_in_the_log(stage: Stage) -> None:
    """Whatever was tried, the log names the attempt and none of its secrets."""
    for make in (*FORGED.values(), *(make for make, _ in REFUSED.values())):
        stage.provider.handle(make(), stage.context)
    assert len(stage.lines()) == 1 + len(FORGED) + len(REFUSED)
    for secret in (KEY, derive(MASTER, ACCOUNT), "X-Amz-Signature"):
        assert secret not in stage.text()


def test_an_account_that_is_no_tenant_is_given_nothing(stage: Stage) -> None:
    """A third account, whom the organisation's policy might let in, is refused until it is a tenant."""
    stack = OWN_STACK.replace(HOSTILE, "333333333333")
    stage.context.invoked_function_arn = ALIAS + "333333333333"
    before = content(stage)
    answer = stage.send(readdressed(event("create"), StackId=stack))
    assert (answer["Status"], content(stage)) == ("FAILED", before)
    assert "ipam tenant add" in answer["Reason"]


def test_the_victim_is_served_as_if_nothing_had_happened(stage: Stage) -> None:
    """After all of it, the victim's own Delete releases its network."""
    for make in (*FORGED.values(), *(make for make, _ in REFUSED.values())):
        try:
            stage.provider.handle(make(), stage.context)
        except UnansweredError:
            pytest.fail("an attempt was left to be delivered again")
    stage.context.invoked_function_arn = ALIAS + ACCOUNT
    stage.send("delete")
    assert stage.outcome == "released"
    check(stage.desk.store)
