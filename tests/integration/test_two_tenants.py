"""Two tenants, of whom one is hostile: what it forges changes nothing, reveals nothing, and leaves a record.

The hostile account may invoke the function directly, by its own alias, with any event that it can write. It knows the
victim's stack, names, CIDR and even the allocation id; what it does not have is the victim's alias and key.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from ipam.domain.attempt import KEPT
from ipam.domain.authorization import derive
from ipam.entrypoints.errors import UnansweredError, UndeliveredError
from ipam.services.attempts import attempts
from ipam.services.pools import NewPool
from tests.builders import REGION
from tests.invariants import check
from tests.unit.entrypoints.plan_stage import STACK, PlanStage, Resource
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

    from ipam.domain.attempt import Attempt

HOSTILE = "222222222222"
ALIAS = "arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr:tenant-"
VICTIMS_STACK = event("create")["StackId"]
OWN_STACK = event("create_other_account")["StackId"]
TAKEN = allocation_id(1)
"""The victim's allocation."""

UNKNOWN = allocation_id(0xDEAD)
KEY = derive(MASTER, HOSTILE)
SECRETS = (KEY, derive(MASTER, ACCOUNT), "X-Amz", "https://")
"""What no record may have: keys, signatures, and where answers go."""

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
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
    "the announcement of a stolen allocation id": (lambda: announcing(TAKEN), "denied"),
    "the same with the victim's key": (lambda: announcing(TAKEN, derive(MASTER, ACCOUNT)), "denied"),
    "the same with a key that it made up": (lambda: announcing(TAKEN, "0" * 64), "denied"),
    "the return of a stolen allocation id": (
        lambda: own("delete_cn_cidr_delete", {"IpamPoolAllocationId": TAKEN}, PhysicalResourceId=f"return-of-{TAKEN}"),
        "unverified-delete",
    ),
    "an Update that names a stolen id and a block in use": (
        lambda: own("update_in_place", {"Cidr": "10.0.0.0/24"}, PhysicalResourceId=TAKEN),
        "refused",
    ),
    "the exact block of the victim": (lambda: own("create_exact_cidr", {"Cidr": "10.0.0.0/24"}), "refused"),
    "a pool that is the victim's": (lambda: own("create", {"PoolName": "vpcs-of-theirs"}), "denied"),
    "a preview that is the victim's": (
        lambda: own("create_from_preview", {"PreviewToken": f"{TAKEN}@ipam-pool-{0:017x}@10.0.0.0/24"}),
        "denied",
    ),
}
"""Events of its own stack that reach for what is the victim's, and how they end.

Which exact blocks are free an account may find out by asking: that is `refused`, and no attempt.
"""


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


def stored(stage: Stage | PlanStage) -> dict[str, dict[str, Any]]:
    """Copy all that is stored."""
    store: Any = stage.desk.store
    return {name: dict(rows) for name, rows in store._partitions.items() if rows}


def content(stage: Stage) -> Any:
    """Copy all that is stored, but for what was noted of attempts."""
    return {name: rows for name, rows in stored(stage).items() if name.split("#")[0] not in {"ATTEMPT", "TALLY"}}


def noted(stage: Stage | PlanStage, account: str | None = None) -> list[Attempt]:
    """Read the attempts of today, of all accounts or one."""
    (today,) = attempts(stage.desk.ports, 1, account)
    return today


def counted(stage: Stage | PlanStage, log: str = "CnCidrLogGroup") -> list[str]:
    """Tell the metrics of the deployed log that count the last line, as their filters' patterns have it."""
    (*_, line) = stage.lines()
    filters = [each["Properties"] for each in yaml_parse(TEMPLATE.read_text())["Resources"].values()]
    found = []
    for each in filters:
        if each.get("LogGroupName") == {"Ref": log} and "FilterPattern" in each:
            pattern = re.fullmatch(r'{ \$\.(\w+) = "([\w-]+|\*)" }', each["FilterPattern"])
            assert pattern, f"a pattern that this test cannot judge: {each['FilterPattern']}"
            if line.get(pattern[1]) == pattern[2] or (pattern[2] == "*" and pattern[1] in line):
                found.append(each["MetricTransformations"][0]["MetricName"])
    return found


@pytest.mark.parametrize("name", FORGED)
def test_what_cloudformation_cannot_have_sent_is_forged(stage: Stage, name: str) -> None:
    """Nothing is changed, nobody is answered, nothing is connected to; it leaves a record of its own and is counted."""
    before, told = content(stage), len(stage.mailbox.hosts)
    stage.provider.handle(FORGED[name](), stage.context)
    assert content(stage) == before
    assert len(stage.mailbox.hosts) == told
    assert stage.outcome == "forged"
    check(stage.desk.store)
    (record,) = noted(stage)
    assert (record.account, record.kind, record.number) == (HOSTILE, "forged", 1)
    assert (record.at, record.aws_request_id) == (stage.clock.now(), stage.context.aws_request_id)
    assert record.reason == stage.lines()[-1]["reason"]
    assert not [secret for secret in SECRETS if secret in repr(record)]
    assert "attempt_unrecorded" not in stage.lines()[-1]
    assert counted(stage) == ["Forged"]


def test_there_are_as_many_as_were_asked_for() -> None:
    """Thirty at least, each of its own kind."""
    assert len({json.dumps(make(), default=str) for make in FORGED.values()}) == len(FORGED) >= 30


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
    assert [record.kind for record in noted(stage)] == ([] if outcome == "refused" else [outcome])
    assert counted(stage) == {"refused": [], "denied": ["Denied"], "unverified-delete": ["UnverifiedDelete"]}[outcome]
    for record in noted(stage):
        assert (record.account, record.stack_id) == (HOSTILE, OWN_STACK)
        assert not [secret for secret in SECRETS if secret in repr(record)]


@pytest.mark.parametrize("claimed", [TAKEN, UNKNOWN])
@pytest.mark.parametrize("name", ["update_in_place", "update_replacement"])
def test_an_update_of_what_is_anothers_gets_something_of_its_own(stage: Stage, name: str, claimed: str) -> None:
    """A stolen id and a made-up one are answered alike; the victim's stays, and the attempt is noted and counted."""
    (victims_own,) = stage.desk.store.allocations(stage.vpcs.pool_id)
    answer = stage.send(own(name, PhysicalResourceId=claimed))
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] not in {TAKEN, UNKNOWN}
    held = list(stage.desk.store.allocations(stage.vpcs.pool_id))
    assert victims_own in held
    assert {each.account for each in held if each != victims_own} == {HOSTILE}
    assert stage.outcome == "unverified-update"
    (record,) = noted(stage)
    assert (record.account, record.kind) == (HOSTILE, "unverified-update")
    assert counted(stage) == ["Denied"]
    check(stage.desk.store)


@pytest.mark.parametrize("name", [name for name, (_, outcome) in REFUSED.items() if outcome != "refused"])
def test_what_cannot_be_answered_is_noted_too(stage: Stage, name: str) -> None:
    """Whoever forges an event has no signature, so S3 does not take its answer: each try leaves its record."""
    make, outcome = REFUSED[name]
    stage.mailbox.failures = 2
    for _ in range(2):
        with pytest.raises(UndeliveredError):
            stage.send(make())
    assert [record.kind for record in noted(stage)] == [outcome] * 2
    assert counted(stage) == ["Undelivered"]


def test_a_flood_leaves_a_bounded_number_of_items(stage: Stage) -> None:
    """Of ten thousand events of an account on a day the last ones are kept whole, and all are counted."""
    forged = victims("delete")
    before = sum(len(rows) for rows in stored(stage).values())
    for number in range(10_000):
        stage.context.aws_request_id = f"{number:08d}"
        stage.provider.handle(forged, stage.context)
    kept = noted(stage)
    assert sum(len(rows) for rows in stored(stage).values()) == before + KEPT + 1
    assert [record.number for record in kept] == list(range(10_001 - KEPT, 10_001))
    assert kept[-1].aws_request_id == "00009999"
    stage.clock.advance(24 * 3600)
    stage.provider.handle(forged, stage.context)
    assert sum(len(rows) for rows in stored(stage).values()) == before + KEPT + 1 + 2


def test_an_attempt_is_its_invokers_and_not_that_of_whom_it_names(stage: Stage) -> None:
    """The alias proves the account. By an alias that is for none, nobody knows whose it was; that is bounded too."""
    stage.provider.handle(victims("create"), stage.context)
    stage.clock.advance(1)
    stage.context.invoked_function_arn = f"{ALIAS.removesuffix('tenant-')}live"
    stage.provider.handle({}, stage.context)
    assert [record.account for record in noted(stage)] == [HOSTILE, ""]
    assert noted(stage, ACCOUNT) == []
    assert [record.stack_id for record in noted(stage, HOSTILE)] == [VICTIMS_STACK]
    assert [record.stack_id for record in noted(stage, "")] == [""]


def test_the_address_plan_notes_attempts_as_well() -> None:
    """Its function has an alias for no account; who may invoke it is in the network account."""
    plan = PlanStage()
    request = plan.request("Create", Resource("IpamScope", "Scope", {}))
    plan.provider.handle(request | {"RequestId": "another"}, plan.context)
    (record,) = noted(plan)
    assert (record.account, record.kind, record.stack_id) == ("", "forged", STACK)
    assert counted(plan, "AddressPlanLogGroup") == ["Forged"]
    assert set(plan.desk.store.plan().scopes) == set()


def test_yours_not_and_nowhere_look_alike(stage: Stage) -> None:
    """A stolen id and one that does not exist are answered in the same words, whatever the request."""
    for make in (announcing, lambda alloc: own("delete", PhysicalResourceId=alloc)):
        stolen, unknown = stage.send(make(TAKEN)), stage.send(make(UNKNOWN))
        assert json.dumps(stolen).replace(TAKEN, UNKNOWN) == json.dumps(unknown)


def test_no_key_and_no_signature_is_in_the_log(stage: Stage) -> None:
    """Whatever was tried, log and records name the attempt and none of its secrets."""
    for make in (*FORGED.values(), *(make for make, _ in REFUSED.values())):
        stage.provider.handle(make(), stage.context)
    assert len(stage.lines()) == 1 + len(FORGED) + len(REFUSED)
    for secret in SECRETS:
        assert secret not in stage.text()
        assert secret not in repr(noted(stage))


def test_an_account_that_is_no_tenant_is_given_nothing(stage: Stage) -> None:
    """A third account, whom the organisation's policy might let in, is refused until it is a tenant."""
    stack = OWN_STACK.replace(HOSTILE, "333333333333")
    stage.context.invoked_function_arn = ALIAS + "333333333333"
    before = content(stage)
    answer = stage.send(readdressed(event("create"), StackId=stack))
    assert (answer["Status"], content(stage)) == ("FAILED", before)
    assert [(record.account, record.kind) for record in noted(stage)] == [("333333333333", "denied")]
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
