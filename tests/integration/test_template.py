"""What is deployed keeps what the rest counts on: template.yaml as the SAM translator expands it, and the build."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from tests.outside import CALLS

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".aws-sam" / "build"
LAYER = BUILD / "IpamLayer" / "python"


class _NoManagedPolicies:
    """The translator's door to IAM, which this template never goes through."""

    def load(self) -> dict[str, str]:
        return {}


def expand(layer: str = "layer", function: str = "function") -> dict[str, Any]:
    """template.yaml as CloudFormation gets it, with the artifacts under these names."""
    source = yaml_parse((ROOT / "template.yaml").read_text())
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = f"s3://bucket/{layer}"
        elif resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://bucket/{function}"
    expanded: dict[str, Any] = transform(source, {}, _NoManagedPolicies())
    return expanded


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return expand()


@pytest.fixture(scope="module", autouse=True)
def region_for_module() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        yield


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def test_the_table_survives_the_stack_and_a_mistake(template: dict[str, Any]) -> None:
    """Neither deleting the stack, nor replacing the table, nor a wrong write loses the allocations."""
    table = template["Resources"]["Table"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert "TableName" not in properties


CN_CIDR_ACTIONS = {
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
    "events:PutEvents",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "secretsmanager:GetSecretValue",
    "sqs:SendMessage",
}
ADDRESS_PLAN_ACTIONS = CN_CIDR_ACTIONS - {
    "dynamodb:ConditionCheckItem",
    "events:PutEvents",
    "secretsmanager:GetSecretValue",
}
UPKEEP_ACTIONS = {
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
    "events:PutEvents",
    "lambda:AddPermission",
    "lambda:CreateAlias",
    "lambda:DeleteAlias",
    "lambda:DeleteFunctionEventInvokeConfig",
    "lambda:GetAlias",
    "lambda:GetFunctionConfiguration",
    "lambda:GetFunctionEventInvokeConfig",
    "lambda:GetPolicy",
    "lambda:InvokeFunction",
    "lambda:ListAliases",
    "lambda:PutFunctionEventInvokeConfig",
    "lambda:RemovePermission",
    "lambda:UpdateAlias",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}


@pytest.mark.parametrize(
    ("role", "wanted"),
    [
        ("CnCidrRole", CN_CIDR_ACTIONS),
        ("AddressPlanRole", ADDRESS_PLAN_ACTIONS),
        ("UpkeepRole", UPKEEP_ACTIONS),
    ],
)
def test_a_role_may_do_what_its_function_does_and_no_more(
    template: dict[str, Any], role: str, wanted: set[str]
) -> None:
    """No Scan, no wildcard in an action or, with X-Ray off, in a resource; upkeep knows no secret and no queue."""
    policies = template["Resources"][role]["Properties"]["Policies"]
    statements = policies[0]["PolicyDocument"]["Statement"]
    actions = {
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    assert actions == wanted
    resources = [each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]] for each in statements]
    assert all(isinstance(each, dict) for each in itertools.chain(*resources))
    assert policies[1]["Fn::If"][0] == "IsTraced"
    assert template["Parameters"]["TracingMode"]["Default"] == "PassThrough"


def test_the_organisation_is_read_by_this_account_or_as_one_role(template: dict[str, Any]) -> None:
    """With a role, that role is all there is; without, two reads, which know no resources. Nothing of it is written."""
    (policy,) = (
        each
        for each in template["Resources"]["CnCidrRole"]["Properties"]["Policies"]
        if each.get("PolicyName") == "organization"
    )
    condition, as_role, itself = policy["PolicyDocument"]["Statement"][0]["Fn::If"]
    assert condition == "HasOrganizationsRole"
    assert (as_role["Action"], as_role["Resource"]) == ("sts:AssumeRole", {"Ref": "OrganizationsRoleArn"})
    assert set(itself["Action"]) == {"organizations:DescribeOrganization", "organizations:ListParents"}
    environment = template["Resources"]["CnCidrFunction"]["Properties"]["Environment"]["Variables"]
    assert environment["IPAM_ORGANIZATIONS_ROLE"] == {"Ref": "OrganizationsRoleArn"}
    assert template["Parameters"]["OrganizationsRoleArn"]["Default"] == ""


def test_upkeep_hands_over_to_the_alias_that_stacks_are_given(template: dict[str, Any]) -> None:
    """It may invoke that and nothing else, and tells what happens on the default bus."""
    alias = {"Ref": "CnCidrFunctionAliaslive"}
    environment = template["Resources"]["UpkeepFunction"]["Properties"]["Environment"]["Variables"]
    assert environment["IPAM_CN_CIDR_FUNCTION"] == alias
    statements = template["Resources"]["UpkeepRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    resources = {each["Sid"]: each["Resource"] for each in statements}
    assert resources["HandOverParkedRequests"] == alias
    assert resources["TellWhatHappens"]["Fn::Sub"].endswith(":event-bus/default")


def test_upkeep_keeps_aliases_of_one_function_and_lets_accounts_in_only(template: dict[str, Any]) -> None:
    """It may not open `live`, nor any alias to a service, an organisation or everybody; it closes a tenant's only."""
    statements = template["Resources"]["UpkeepRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    by_sid = {each["Sid"]: each for each in statements}
    function = {"Fn::GetAtt": ["CnCidrFunction", "Arn"]}
    tenants = {"Fn::Sub": "${CnCidrFunction.Arn}:tenant-*"}
    assert by_sid["KeepAliases"]["Resource"] == function
    assert by_sid["ReadAliases"]["Resource"] == [function, {"Ref": "CnCidrFunctionAliaslive"}, tenants]
    assert by_sid["KeepWhatFailsAtAliases"]["Resource"] == [function, tenants]
    assert by_sid["LetTenantsIn"]["Resource"] == tenants
    assert by_sid["LetTenantsIn"]["Condition"] == {"StringLike": {"lambda:Principal": "?" * 12}}
    assert by_sid["ShutOutWhoWasRemoved"]["Resource"] == tenants
    calls = {f"lambda:{call}" for calls in CALLS.values() for call in calls}
    allowed = {action for each in statements for action in [each["Action"]] if isinstance(action, str)}
    allowed |= {action for each in statements if isinstance(each["Action"], list) for action in each["Action"]}
    assert {action for action in allowed if action.startswith("lambda:")} == calls | {"lambda:InvokeFunction"}


def test_a_tenants_service_token_is_made_of_an_output(template: dict[str, Any]) -> None:
    """The function's ARN, without the alias that nobody else may invoke."""
    assert template["Outputs"]["CnCidrFunctionArn"]["Value"] == {"Fn::GetAtt": ["CnCidrFunction", "Arn"]}


def test_upkeep_looks_at_stacks_by_one_role(template: dict[str, Any]) -> None:
    """Of that name in any account, of the organisation alone where that is named; an empty name switches it off."""
    environment = template["Resources"]["UpkeepFunction"]["Properties"]["Environment"]["Variables"]
    assert environment["IPAM_DISCOVERY_ROLE"] == {"Ref": "DiscoveryRoleName"}
    policies = template["Resources"]["UpkeepRole"]["Properties"]["Policies"]
    conditional = [each["Fn::If"] for each in policies if "Fn::If" in each]
    (policy,) = (given for condition, given, _ in conditional if condition == "HasDiscoveryRole")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/${DiscoveryRoleName}"}
    condition, within, without = statement["Condition"]["Fn::If"]
    assert (condition, without) == ("NamesOrganization", {"Ref": "AWS::NoValue"})
    assert within == {"StringEquals": {"aws:ResourceOrgID": {"Ref": "OrganizationId"}}}
    assert template["Parameters"]["DiscoveryRoleName"]["Default"] == "cn-ipam-discovery"


@pytest.mark.parametrize("function", ["CnCidr", "AddressPlan"])
def test_a_release_looks_at_networks_by_the_same_role(template: dict[str, Any], function: str) -> None:
    """Neither function may do anything else in another account, and both are among the readers that are named to it."""
    environment = template["Resources"][f"{function}Function"]["Properties"]["Environment"]["Variables"]
    assert environment["IPAM_DISCOVERY_ROLE"] == {"Ref": "DiscoveryRoleName"}
    granted = []
    for role in (f"{function}Role", "UpkeepRole"):
        conditional = [
            each["Fn::If"] for each in template["Resources"][role]["Properties"]["Policies"] if "Fn::If" in each
        ]
        (policy,) = (given for condition, given, _ in conditional if condition == "HasDiscoveryRole")
        (statement,) = policy["PolicyDocument"]["Statement"]
        granted.append({key: value for key, value in statement.items() if key != "Sid"})
    assert granted[0] == granted[1]
    at_home, elsewhere = template["Outputs"]["DiscoveryReaderArns"]["Value"]["Fn::If"][1:]
    assert at_home == {"Fn::Sub": "${CnCidrRole.Arn},${AddressPlanRole.Arn},${UpkeepRole.Arn}"}
    assert elsewhere == {"Fn::GetAtt": ["CnCidrRole", "Arn"]}


def test_releases_that_nobody_could_check_are_counted(template: dict[str, Any]) -> None:
    """By the field of the log line, which is text wherever it is there; most likely an account lacks the role."""
    metric = template["Resources"]["UseUncheckedMetric"]
    assert metric["Condition"] == "HasDiscoveryRole"
    assert metric["Properties"]["FilterPattern"] == '{ $.use_unchecked = "*" }'
    assert metric["Properties"]["LogGroupName"] == {"Ref": "CnCidrLogGroup"}


@pytest.mark.parametrize(
    ("role", "wanted"),
    [
        ("CnCidrRole", ["ec2:AllocateIpamPoolCidr", "ec2:GetIpamPoolCidrs", "ec2:ReleaseIpamPoolAllocation"]),
        ("AddressPlanRole", ["ec2:AllocateIpamPoolCidr", "ec2:GetIpamPoolCidrs", "ec2:ReleaseIpamPoolAllocation"]),
        ("UpkeepRole", ["ec2:GetIpamPoolAllocations", "ec2:ReleaseIpamPoolAllocation"]),
    ],
)
def test_amazon_vpc_ipam_is_used_only_where_a_parameter_names_its_pools(
    template: dict[str, Any], role: str, wanted: list[str]
) -> None:
    """Each of the actions is allowed on those pools and on nothing else, and by default on none."""
    conditional = [each["Fn::If"] for each in template["Resources"][role]["Properties"]["Policies"] if "Fn::If" in each]
    (policy,) = (given for condition, given, _ in conditional if condition == "HasVpcIpamPools")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == (wanted, {"Ref": "VpcIpamPoolArns"})
    assert template["Parameters"]["VpcIpamPoolArns"]["Default"] == ""


def test_nobody_else_may_invoke_unless_a_parameter_says_so(template: dict[str, Any]) -> None:
    """Every permission is for the alias `live` alone, and only where that is said to be shared, which it is not.

    The schedule's own is the only other one: the address plan is for principals of the network account, who need none.
    """
    permissions = of_type(template, "AWS::Lambda::Permission")
    assert len(permissions) == 12
    scheduled = permissions.pop("UpkeepFunctionEveryFiveMinutesPermission")["Properties"]
    assert scheduled["Principal"] == "events.amazonaws.com"
    assert scheduled["SourceArn"] == {"Fn::GetAtt": ["UpkeepFunctionEveryFiveMinutes", "Arn"]}
    for permission in permissions.values():
        assert permission["Condition"].startswith("Has")
        assert permission["Properties"]["FunctionName"] == {"Ref": "CnCidrFunctionAliaslive"}
        assert permission["Properties"]["Action"] == "lambda:InvokeFunction"
        condition = template["Conditions"][permission["Condition"]]
        assert condition["Fn::And"][0] == {"Condition": "IsShared"}
    assert template["Conditions"]["IsShared"] == {"Fn::Equals": [{"Ref": "SharedAlias"}, "true"]}
    assert template["Parameters"]["SharedAlias"]["Default"] == "false"
    assert template["Parameters"]["SharedAlias"]["AllowedValues"] == ["true", "false"]
    assert permissions["OrganizationPermission"]["Properties"]["PrincipalOrgID"] == {"Ref": "OrganizationId"}
    assert {
        template["Parameters"][name]["Default"] for name in ("OrganizationId", "TenantAccounts", "ResponseEndpoint")
    } == {""}


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        ("OrganizationId", ["", "o-exampleorgid"], ["exampleorgid", "o-short", "*"]),
        (
            "TenantAccounts",
            ["", "111111111111", ",".join(["111111111111"] * 10)],
            ["*", "11111111111", "111111111111, 222222222222", ",".join(["111111111111"] * 11)],
        ),
        (
            "OrganizationsRoleArn",
            ["", "arn:aws:iam::222222222222:role/reader", "arn:aws-cn:iam::222222222222:role/path/reader"],
            ["reader", "arn:aws:iam::222222222222:user/reader", "arn:aws:iam::222222222222:role/*", "*"],
        ),
        (
            "DiscoveryRoleName",
            ["", "cn-ipam-discovery", "reader@network"],
            ["*", "path/reader", "arn:aws:iam::222222222222:role/reader", "r" * 65],
        ),
        (
            "VpcIpamPoolArns",
            ["", "arn:aws:ec2::111111111111:ipam-pool/ipam-pool-0123456789abcdef0"],
            [
                "*",
                "arn:aws:ec2::111111111111:ipam-pool/*",
                "arn:aws:ec2:eu-central-1:111111111111:ipam-pool/ipam-pool-0",
            ],
        ),
        (
            "ResponseEndpoint",
            ["", "https://localhost:4566", "https://localhost:4566/bucket"],
            ["http://localhost:4566", "https://user@localhost", "https://localhost/", "https://localhost/a?b"],
        ),
    ],
)
def test_a_parameter_takes_only_what_it_means(
    template: dict[str, Any], parameter: str, accepted: list[str], refused: list[str]
) -> None:
    """The patterns refuse a wildcard, an eleventh account, and an endpoint that says more than a place."""
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    assert [value for value in accepted if not re.search(pattern, value)] == []
    assert [value for value in refused if re.search(pattern, value)] == []


@pytest.mark.parametrize("function", ["CnCidrFunction", "AddressPlanFunction"])
def test_a_request_that_fails_is_kept_and_heard_of(template: dict[str, Any], function: str) -> None:
    """After two retries Lambda puts it on an encrypted queue, and an alarm watches that queue."""
    config = template["Resources"][f"{function}EventInvokeConfig"]["Properties"]
    assert config["MaximumRetryAttempts"] == 2
    assert config["Qualifier"] == "live"
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert template["Resources"]["DeadLetterQueue"]["Properties"]["SqsManagedSseEnabled"] is True
    alarm = template["Resources"]["DeadLetterQueueAlarm"]["Properties"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}}]
    own = [{"Name": "FunctionName", "Value": {"Ref": function}}]
    alarms = [each["Properties"] for each in of_type(template, "AWS::CloudWatch::Alarm").values()]
    watched = {each["MetricName"] for each in alarms if each.get("Dimensions") == own}
    assert {"Errors", "DestinationDeliveryFailures"} <= watched


def test_what_a_person_must_see_raises_an_alarm(template: dict[str, Any]) -> None:
    """The outcomes that need a person are counted from both logs, and each has an alarm on its count."""
    filters = of_type(template, "AWS::Logs::MetricFilter")
    # It is not an outcome, and nothing that a person must see at once; nor is there such an Update of a plan.
    del filters["UseUncheckedMetric"], filters["UnverifiedUpdateMetric"]
    for log in ("CnCidrLogGroup", "AddressPlanLogGroup"):
        patterns = [
            each["Properties"]["FilterPattern"]
            for each in filters.values()
            if each["Properties"]["LogGroupName"] == {"Ref": log}
        ]
        outcomes = {re.sub(r'.*"(.+)".*', r"\1", pattern) for pattern in patterns}
        assert outcomes == {"unverified-delete", "forged", "denied", "undelivered", "failed"}
    counted = {each["Properties"]["MetricTransformations"][0]["MetricName"] for each in filters.values()}
    watched = {each["Properties"]["MetricName"] for each in of_type(template, "AWS::CloudWatch::Alarm").values()}
    assert counted <= watched


@pytest.mark.parametrize(("function", "seconds"), [("CnCidrFunction", 300), ("AddressPlanFunction", 600)])
def test_three_tries_fit_into_the_service_timeout_that_is_recommended(
    template: dict[str, Any], function: str, seconds: int
) -> None:
    """The ServiceTimeout leaves room for three timeouts and 180 seconds of pauses between asynchronous tries."""
    assert 3 * template["Resources"][function]["Properties"]["Timeout"] + 180 < seconds


def test_upkeep_runs_on_a_schedule_and_one_at_a_time(template: dict[str, Any]) -> None:
    """A run is over before the next is due, and is never repeated: the next one is its retry."""
    (rule,) = of_type(template, "AWS::Events::Rule").values()
    assert rule["Properties"]["ScheduleExpression"] == "rate(5 minutes)"
    assert [target["Arn"] for target in rule["Properties"]["Targets"]] == [{"Ref": "UpkeepFunctionAliaslive"}]
    function = template["Resources"]["UpkeepFunction"]["Properties"]
    assert function["Timeout"] <= 120
    assert function["ReservedConcurrentExecutions"] == {
        "Fn::If": ["HasReservedConcurrency", 1, {"Ref": "AWS::NoValue"}]
    }
    config = template["Resources"]["UpkeepFunctionEventInvokeConfig"]["Properties"]
    assert (config["MaximumRetryAttempts"], config["Qualifier"]) == (0, "live")
    assert config["MaximumEventAgeInSeconds"] < 300
    alarm = template["Resources"]["UpkeepErrorsAlarm"]["Properties"]
    assert (alarm["MetricName"], alarm["Dimensions"]) == (
        "Errors",
        [{"Name": "FunctionName", "Value": {"Ref": "UpkeepFunction"}}],
    )


def test_a_change_of_the_layer_alone_reaches_the_aliases() -> None:
    """SAM makes a version for new function code only, so each function's artifact carries the digest of the layer."""

    def published(layer: str, function: str) -> set[str]:
        return set(of_type(expand(layer, function), "AWS::Lambda::Version"))

    assert published("one", "same") == published("two", "same"), "SAM looks at the layer now: the digest can go"
    assert not published("one", "one") & published("one", "two")
    digest = subprocess.run(
        ["make", "--silent", "--directory", ROOT / "layers" / "ipam", f"PYTHON={sys.executable}", "digest"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    functions = of_type(expand(), "AWS::Lambda::Function")
    assert {name: (BUILD / name / "LAYER").read_text() for name in functions} == dict.fromkeys(functions, digest)


def test_the_layer_carries_what_is_pinned_and_nothing_that_lambda_has() -> None:
    """The pinned packages in the tests' versions; no boto3, nothing compiled, no tests, no command line."""
    pinned = dict(re.findall(r"^([a-z-]+)==(\S+)", (ROOT / "layers/ipam/requirements.txt").read_text(), re.MULTILINE))
    built = {each.name.removesuffix(".dist-info").rsplit("-", 1)[0] for each in LAYER.glob("*.dist-info")}
    assert {name.replace("_", "-") for name in built} == set(pinned)
    assert {name: version(name) for name in pinned} == pinned
    assert (LAYER / "ipam" / "__init__.py").exists()
    assert not [name for name in ("boto3", "botocore", "typer", "rich", "bin") if (LAYER / name).exists()]
    assert not [*LAYER.rglob("*.so"), *LAYER.rglob("tests"), *LAYER.glob("ipam/entrypoints/cli*")]


def test_the_layer_ships_byte_code() -> None:
    """Each module has byte code for this interpreter that is not checked against its source's time."""
    missing = []
    for source in LAYER.rglob("*.py"):
        code = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        # PEP 552: the flags in bytes 4 to 8 are 1 for a hash that is not checked.
        if not code.exists() or code.read_bytes()[4:8] != b"\x01\x00\x00\x00":
            missing.append(source)
    assert missing == []
