"""Two Regions, one home: the same stack deployed in both, on a twin that has both, with one table behind them."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ipam.adapters.aliases import TenantAliasesOfRegions
from ipam.adapters.clocks import SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.cidr import Cidr
from ipam.domain.pool import AllocationRules
from ipam.services.pools import NewPool, create_pool
from ipam.services.ports import Ports
from ipam.services.provision import provision
from ipam.services.tenancy import remove_tenant
from local import twin as twins
from local.deployment import DeploymentError
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, REGION
from local.stacks import Stack, StackError
from tests import invariants
from tests.e2e.system.conftest import CommandLine, allocated, ports_of
from tests.e2e.system.test_networks import order
from tests.e2e.system.test_upkeep import run_upkeep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.twin import Twin

ELSEWHERE = "us-east-1"
STRANGER = "333333333333"
POOLS = {REGION: "z-europe", ELSEWHERE: "z-america"}
CIDRS = {REGION: "172.30.0.0/20", ELSEWHERE: "172.30.16.0/20"}
PATIENCE = 30
"""Seconds after which what has been ordered has to be seen to wait."""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """A twin of its own, because others count on there being one Region."""
    with twins.start(record=True, directory=tmp_path_factory.mktemp("regions")) as started:
        yield started


@pytest.fixture(scope="module")
def ipam(twin: Twin) -> CommandLine:
    return CommandLine(twin)


@pytest.fixture(scope="module", autouse=True)
def elsewhere(twin: Twin) -> dict[str, str]:
    """What the deployment elsewhere gives; home knows of it, and each Region has a pool of the same scope."""
    home = {"HomeTableName": twin.outputs["TableName"], "HomeMasterKeySecretArn": twin.outputs["MasterKeySecretArn"]}
    there = twin.deploy(ELSEWHERE, HomeRegion=REGION, **home)
    assert twin.deploy(OtherRegions=ELSEWHERE) == twin.outputs
    ports = ports_of(twin)
    (scope,) = (scope for scope in ports.store.plan().scopes.values() if scope.name == "private")
    rules = AllocationRules(16, 28, 24, approval_netmask_length=22)
    for region, name in POOLS.items():
        pool = create_pool(ports, NewPool(name, scope.scope_id, locale=region, rules=rules), "test")
        provision(ports, pool.pool_id, Cidr.parse(CIDRS[region]), name, "test")
    return there


@pytest.fixture(scope="module")
def tokens(twin: Twin, ipam: CommandLine, elsewhere: dict[str, str]) -> dict[str, str]:
    """What the member account's stacks name in each Region: one command has let it in in both."""
    del elsewhere
    printed = ipam("tenant", "add", MEMBER_ACCOUNT).splitlines()
    assert printed == ipam("tenant", "add", MEMBER_ACCOUNT).splitlines()
    found = {token.split(":")[3]: token for token in printed}
    assert list(found) == [REGION, ELSEWHERE]
    assert found[REGION] == twin.service_token
    return found


def functions(twin: Twin, region: str) -> Any:
    """Give a client of AWS Lambda."""
    return twin.session(NETWORK_ACCOUNT, region).client("lambda")


def test_elsewhere_has_nothing_that_remembers(twin: Twin, elsewhere: dict[str, str]) -> None:
    """Neither a table nor a secret, neither upkeep nor an address plan: nothing that could disagree with home."""
    session = twin.session(NETWORK_ACCOUNT, ELSEWHERE)
    found: Any = session.client("cloudformation").describe_stack_resources(StackName="cn-ipam")["StackResources"]
    kinds = [each["ResourceType"] for each in found]
    assert kinds.count("AWS::Lambda::Function") == 1
    assert not {"AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::Events::Rule"} & set(kinds)
    tables: Any = session.client("dynamodb")
    assert tables.list_tables()["TableNames"] == []
    assert not {"TableName", "MasterKeySecretArn", "UpkeepFunctionArn", "AddressPlanServiceToken"} & set(elsewhere)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"HomeRegion": REGION}, "HomeTableName and HomeMasterKeySecretArn as well"),
        ({"HomeTableName": "a-table"}, "this is the home Region"),
        ({"OtherRegions": "eu-west-1,eu-west-2"}, "those beside this one"),
    ],
)
def test_a_deployment_that_means_two_things_is_refused(twin: Twin, wrong: dict[str, str], told: str) -> None:
    """Before anything is made, in words: half of what elsewhere needs, home with another's table, itself as another."""
    with pytest.raises((ClientError, DeploymentError), match=told):
        twin.deploy("eu-west-1", **wrong)
    stacks: Any = twin.session(NETWORK_ACCOUNT, "eu-west-1").client("cloudformation")
    assert [each for each in stacks.list_stacks()["StackSummaries"] if each["StackStatus"] != "DELETE_COMPLETE"] == []


def test_stacks_of_both_regions_order_from_one_plan(twin: Twin, ports: Ports, tokens: dict[str, str]) -> None:
    """Made at once, in both Regions: every block has one holder, all stand in the one table, and all come back."""
    stacks = {
        (region, number): Stack(twin, f"net-{number}", MEMBER_ACCOUNT, region)
        for region in POOLS
        for number in range(3)
    }
    for (region, _), stack in stacks.items():
        stack.start_create(order(POOLS[region], {"One": "26", "Two": "27"}), {"IpamFunctionArn": tokens[region]})
    blocks = []
    for (region, _), stack in stacks.items():
        stack.wait_created()
        own = [Cidr.parse(cidr) for cidr in stack.outputs.values()]
        assert all(Cidr.parse(CIDRS[region]).contains(each) for each in own)
        blocks += own
    assert len(blocks) == 12
    assert not any(one.overlaps(other) for one in blocks for other in blocks if one is not other)
    assert {*allocated(ports, POOLS[REGION]).values(), *allocated(ports, POOLS[ELSEWHERE]).values()} == set(blocks)
    invariants.check(ports.store)
    for stack in stacks.values():
        stack.start_delete()
    for stack in stacks.values():
        stack.wait_deleted()
    assert allocated(ports, POOLS[REGION]) == allocated(ports, POOLS[ELSEWHERE]) == {}
    invariants.check(ports.store)


def test_a_region_has_its_own_pools_and_its_own_way_in(twin: Twin, tokens: dict[str, str]) -> None:
    """A stack gets nothing from another Region's pool, and not in by another Region's alias."""
    for name, pool, token, told in (
        ("wrong-pool", POOLS[REGION], tokens[ELSEWHERE], "does not serve"),
        ("wrong-token", POOLS[ELSEWHERE], tokens[REGION], "not in the stack's Region"),
    ):
        with pytest.raises(StackError, match=told):
            Stack(twin, name, MEMBER_ACCOUNT, ELSEWHERE).create(order(pool, {"Net": "26"}), {"IpamFunctionArn": token})


def test_an_event_of_another_region_is_forged(twin: Twin, ports: Ports, tokens: dict[str, str]) -> None:
    """What a stack elsewhere was served by its own function, home's takes for nobody's, and does not answer."""
    stack = Stack(twin, "replayed", MEMBER_ACCOUNT, ELSEWHERE)
    stack.create(order(POOLS[ELSEWHERE], {"Net": "26"}), {"IpamFunctionArn": tokens[ELSEWHERE]})
    (event,) = (
        each["event"]
        for each in twin.records()
        if each["kind"] == "delivery" and each["event"]["StackId"] == stack.stack_id
    )
    before = allocated(ports, POOLS[ELSEWHERE])
    answers = len([each for each in twin.records() if each["kind"] == "answer"])
    forged = event | {"RequestType": "Delete", "PhysicalResourceId": next(iter(before))}
    called = functions(twin, REGION).invoke(
        FunctionName=tokens[REGION], Payload=json.dumps(forged).encode(), LogType="Tail"
    )
    assert "FunctionError" not in called
    (line,) = (text for text in base64.b64decode(called["LogResult"]).decode().splitlines() if '"outcome"' in text)
    written = json.loads(line[line.index("{") :])
    assert (written["outcome"], written["stack_id"]) == ("forged", stack.stack_id)
    assert written["reason"] == "the stack is in another Region or partition than the function"
    assert allocated(ports, POOLS[ELSEWHERE]) == before
    assert len([each for each in twin.records() if each["kind"] == "answer"]) == answers
    stack.delete()


def test_upkeep_brings_every_regions_aliases_to_what_is_live_there(twin: Twin, tokens: dict[str, str]) -> None:
    """A deployment elsewhere moves `live` there; who was a tenant before there was an elsewhere gets its alias."""
    there = functions(twin, ELSEWHERE)
    function, _, alias = tokens[ELSEWHERE].rpartition(":")
    settings = there.get_function_event_invoke_config(FunctionName=function, Qualifier="live")["DestinationConfig"]
    before = functions(twin, REGION).get_alias(FunctionName=tokens[REGION].rpartition(":")[0], Name=alias)
    there.update_function_configuration(FunctionName=function, Description="another")
    version = there.publish_version(FunctionName=function)["Version"]
    there.update_alias(FunctionName=function, Name="live", FunctionVersion=version)
    with pytest.raises(ClientError):
        there.get_alias(FunctionName=function, Name=f"tenant-{NETWORK_ACCOUNT}")
    run_upkeep(twin)
    for name in (alias, f"tenant-{NETWORK_ACCOUNT}"):
        assert there.get_alias(FunctionName=function, Name=name)["FunctionVersion"] == version
        own = there.get_function_event_invoke_config(FunctionName=function, Qualifier=name)["DestinationConfig"]
        assert own == settings and f":{ELSEWHERE}:" in own["OnFailure"]["Destination"]
    after = functions(twin, REGION).get_alias(FunctionName=tokens[REGION].rpartition(":")[0], Name=alias)
    assert after["FunctionVersion"] == before["FunctionVersion"]


def waiting(twin: Twin, ports: Ports, name: str, tokens: dict[str, str]) -> tuple[Stack, str]:
    """Begin to create a stack elsewhere that needs an administrator's word, and wait until its request waits."""
    stack = Stack(twin, name, MEMBER_ACCOUNT, ELSEWHERE)
    patient = order(POOLS[ELSEWHERE], {"Net": "21"}).replace("ServiceTimeout: 300", "ServiceTimeout: 3600")
    stack.start_create(patient, {"IpamFunctionArn": tokens[ELSEWHERE]})
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = [each for each in ports.store.approvals() if each.owner.party == stack.stack_id]
        if found:
            return stack, found[0].approval_id
        time.sleep(0.2)
    raise AssertionError("nothing waits")


@pytest.mark.parametrize("function", ["as exported", ""])
def test_a_word_given_at_home_reaches_a_stack_elsewhere(
    twin: Twin, ports: Ports, ipam: CommandLine, tokens: dict[str, str], function: str
) -> None:
    """By the command line at once, or else by upkeep; that it waits is told on the bus at home."""
    session = twin.session(NETWORK_ACCOUNT)
    queues: Any = session.client("sqs")
    events: Any = session.client("events")
    url = queues.create_queue(QueueName="told")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["cn-ipam"]}))
    events.put_targets(Rule="told", Targets=[{"Id": "told", "Arn": arn}])

    stack, approval = waiting(twin, ports, f"large-{len(function)}", tokens)
    (message,) = queues.receive_message(QueueUrl=url)["Messages"]
    queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert json.loads(message["Body"])["detail"]["approvalId"] == approval

    done = ipam.run("approve", approval, **({} if function else {"IPAM_CN_CIDR_FUNCTION": ""}))
    assert done.returncode == 0, done.stderr
    if not function:
        run_upkeep(twin)
    stack.wait_created()
    assert Cidr.parse(stack.outputs["Net"]).length == 21
    stack.delete()
    invariants.check(ports.store)


class Hasty(SystemClock):
    """The machine's clock, for whoever does not want to wait: it goes on by as much as was to be slept."""

    def __init__(self) -> None:
        self._slept = 0

    def now(self) -> int:
        """See the port."""
        return super().now() + self._slept

    def sleep(self, milliseconds: int) -> None:
        """See the port."""
        self._slept += milliseconds


def test_an_account_is_shown_out_of_every_region(twin: Twin, ipam: CommandLine, ports: Ports) -> None:
    """Its aliases go everywhere before it is no tenant any more; while a Region does not answer it stays."""
    added = json.loads(ipam("tenant", "add", STRANGER, "-o", "json"))
    assert added["service_token"] == added["service_tokens"][0] and len(added["service_tokens"]) == 2
    shown = json.loads(ipam("tenant", "show", STRANGER, "-o", "json"))
    assert shown[0]["service_tokens"] == added["service_tokens"]

    def connect(region: str) -> Any:
        return functions(twin, region)

    def broken(region: str) -> Any:
        client = twin.session(NETWORK_ACCOUNT, region).client("lambda", endpoint_url="https://localhost:9")
        return client if region == ELSEWHERE else functions(twin, region)

    live = twin.outputs["CnCidrServiceToken"]
    facts = ports.store, Hasty(), ports.chance, ports.memory
    with pytest.raises(Exception, match=ELSEWHERE):
        remove_tenant(Ports(*facts, aliases=TenantAliasesOfRegions(live, broken)), STRANGER, "test")
    assert ports.store.plan().tenants[STRANGER].standing == "leaving"
    remove_tenant(Ports(*facts, aliases=TenantAliasesOfRegions(live, connect)), STRANGER, "test")
    assert STRANGER not in ports.store.plan().tenants
    for region in POOLS:
        function = live.replace(REGION, region).rpartition(":")[0]
        with pytest.raises(ClientError):
            functions(twin, region).get_alias(FunctionName=function, Name=f"tenant-{STRANGER}")


def restored(twin: Twin, region: str) -> tuple[str, str]:
    """Restore table and secret in another Region, as from a backup; give the table's name and the secret's ARN."""
    there, home = (twin.session(NETWORK_ACCOUNT, each) for each in (region, REGION))
    tables: Any = there.client("dynamodb")
    made = tables.create_table(
        TableName="restored",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")],
    )
    lost: Any = home.client("dynamodb")
    for page in lost.get_paginator("scan").paginate(TableName=twin.outputs["TableName"]):
        for item in page["Items"]:
            tables.put_item(TableName="restored", Item=item)
    secrets: Any = home.client("secretsmanager")
    key = secrets.get_secret_value(SecretId=twin.outputs["MasterKeySecretArn"])["SecretString"]
    replica: Any = there.client("secretsmanager")
    return made["TableDescription"]["TableName"], replica.create_secret(Name="restored", SecretString=key)["ARN"]


def test_a_lost_home_is_taken_over_by_another_region(twin: Twin, ports: Ports, tokens: dict[str, str]) -> None:
    """An update of its stack makes it home: with upkeep and plan, the restored table, and the tokens of its stacks."""
    held = allocated(ports, POOLS[ELSEWHERE])
    table, secret = restored(twin, ELSEWHERE)
    # The last of the file: from here on the old home is gone, as far as anybody may know.
    outputs = twin.deploy(ELSEWHERE, HomeRegion=ELSEWHERE, HomeTableName=table, HomeMasterKeySecretArn=secret)
    assert (outputs["TableName"], outputs["MasterKeySecretArn"]) == (table, secret)
    session = twin.session(NETWORK_ACCOUNT, ELSEWHERE)
    tables: Any = session.client("dynamodb")
    assert tables.list_tables()["TableNames"] == [table]
    lambdas: Any = session.client("lambda")
    live = lambdas.get_function_configuration(FunctionName=outputs["CnCidrFunctionArn"], Qualifier="live")
    assert live["Environment"]["Variables"]["IPAM_TABLE_NAME"] == table
    for name in (tokens[ELSEWHERE].rpartition(":")[2], f"tenant-{NETWORK_ACCOUNT}"):
        lambdas.delete_alias(FunctionName=outputs["CnCidrFunctionArn"], Name=name)
    answer = lambdas.invoke(FunctionName=outputs["UpkeepFunctionArn"], Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()

    stack = Stack(twin, "after", MEMBER_ACCOUNT, ELSEWHERE)
    stack.create(order(POOLS[ELSEWHERE], {"Net": "26"}), {"IpamFunctionArn": tokens[ELSEWHERE]})
    store = DynamoDbStore(table, tables)
    pool_id = store.plan().named(POOLS[ELSEWHERE]).pool_id
    assert str(next(store.allocations(pool_id)).cidr) == stack.outputs["Net"]
    assert allocated(ports, POOLS[ELSEWHERE]) == held == {}
    invariants.check(store)
