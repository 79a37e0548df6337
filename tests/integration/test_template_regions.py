"""template.yaml at home, elsewhere, and as a home that takes over what exists: what there is, and what it reaches.

Conditions, functions and rules are decided as CloudFormation does (user guide, "Intrinsic function reference" and
"Rules"), on the template as the SAM translator expands it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.integration.test_template import expand, of_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOME, ELSEWHERE = "eu-central-1", "us-east-1"
SECRET: Final = f"arn:aws:secretsmanager:{HOME}:111111111111:secret:master-AbCdEf"
TABLE: Final = f"arn:aws:dynamodb:{HOME}:111111111111:table/home-table"
OF_HOME: Final = {"HomeRegion": HOME, "HomeTableName": "home-table", "HomeMasterKeySecretArn": SECRET}
SHAPES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "home": (HOME, {}),
    "home of others": (HOME, {"OtherRegions": "us-east-1,eu-west-1"}),
    "home of what exists": (HOME, OF_HOME | {"OtherRegions": "us-east-1"}),
    "elsewhere": (ELSEWHERE, OF_HOME),
}
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")
_ABSENT: Final = object()


class Deployed:
    """The template with parameters, in a Region."""

    def __init__(self, template: Mapping[str, Any], region: str, given: Mapping[str, str]) -> None:
        self.template = template
        self._values: dict[str, Any] = {}
        for name, parameter in template["Parameters"].items():
            value = given.get(name, str(parameter.get("Default", "")))
            listed = [each for each in value.split(",") if each]
            self._values[name] = listed if parameter["Type"] == "CommaDelimitedList" else value
        self._values |= {
            "AWS::Region": region,
            "AWS::AccountId": "111111111111",
            "AWS::Partition": "aws",
            "AWS::StackName": "cn-ipam",
        }
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::If": self._if,
            "Fn::Join": lambda operand: operand[0].join(self.resolved(operand[1])),
            "Fn::Split": lambda operand: self.resolved(operand[1]).split(operand[0]),
            "Fn::Select": lambda operand: self.resolved(operand[1])[int(operand[0])],
            "Fn::Sub": self._substituted,
        }

    def holds(self, said: Any) -> bool:
        """Decide a condition."""
        ((function, operands),) = said.items()
        match function:
            case "Condition":
                return self.holds(self.template["Conditions"][operands])
            case "Fn::Equals":
                one, other = (self.resolved(operand) for operand in operands)
                return bool(one == other)
            case "Fn::Contains":
                many, one = (self.resolved(operand) for operand in operands)
                return one in many
            case "Fn::EachMemberEquals":
                many, one = (self.resolved(operand) for operand in operands)
                return all(each == one for each in many)
        held = [self.holds(operand) for operand in operands]
        return {"Fn::Not": not held[0], "Fn::And": all(held), "Fn::Or": any(held)}[function]

    def broken(self) -> list[str]:
        """Give what the rules refuse, in their words."""
        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            if "RuleCondition" not in rule or self.holds(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self.holds(assertion["Assert"])
        ]

    def resolved(self, node: Any) -> Any:
        """Resolve what can be: parameters, conditions, strings. What a resource gives stays as it is said."""
        if isinstance(node, list):
            return [each for each in map(self.resolved, node) if each is not _ABSENT]
        if not isinstance(node, dict):
            return node
        ((function, operand), *more) = node.items() or [("", None)]
        if not more and function in self._functions:
            return self._functions[function](operand)
        items = {name: self.resolved(value) for name, value in node.items()}
        return {name: value for name, value in items.items() if value is not _ABSENT}

    def _ref(self, name: str) -> Any:
        return _ABSENT if name == "AWS::NoValue" else self._values.get(name, {"Ref": name})

    def _if(self, operand: list[Any]) -> Any:
        return self.resolved(operand[1] if self.holds({"Condition": operand[0]}) else operand[2])

    def _substituted(self, operand: Any) -> str:
        text, given = (operand, {}) if isinstance(operand, str) else operand
        values = self._values | {name: self.resolved(value) for name, value in given.items()}

        def value(found: re.Match[str]) -> str:
            there = values.get(found[1], found[0])
            return ",".join(there) if isinstance(there, list) else str(there)

        return _VARIABLE.sub(value, text)

    def there(self, section: str) -> dict[str, Any]:
        """Give the resources or outputs that there are, resolved."""
        return {
            name: self.resolved(said)
            for name, said in self.template[section].items()
            if "Condition" not in said or self.holds({"Condition": said["Condition"]})
        }

    def environment(self, function: str) -> dict[str, Any]:
        """Give the environment of a function."""
        variables: dict[str, Any] = self.there("Resources")[function]["Properties"]["Environment"]["Variables"]
        return variables

    def statements(self, role: str) -> Iterator[dict[str, Any]]:
        """Give the statements of a role."""
        for policy in self.there("Resources")[role]["Properties"]["Policies"]:
            yield from policy["PolicyDocument"]["Statement"]


def named(node: Any) -> Iterator[str]:
    """Find the resources that something names."""
    if isinstance(node, list):
        for each in node:
            yield from named(each)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "Ref":
                yield value
            elif name == "Fn::GetAtt":
                yield (value if isinstance(value, str) else value[0]).partition(".")[0]
            else:
                yield from named(value)
    elif isinstance(node, str):
        yield from (variable.partition(".")[0] for variable in _VARIABLE.findall(node))


@pytest.fixture(scope="module", autouse=True)
def region_for_module() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", HOME)
        yield


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return expand()


@pytest.fixture(params=SHAPES)
def deployed(request: pytest.FixtureRequest, template: dict[str, Any]) -> Deployed:
    region, given = SHAPES[request.param]
    return Deployed(template, region, given)


def shape(template: dict[str, Any], name: str) -> Deployed:
    """Deploy the template in one of its shapes."""
    region, given = SHAPES[name]
    return Deployed(template, region, given)


def test_nothing_names_what_is_not_there(deployed: Deployed) -> None:
    """A resource or an output that a condition leaves in names only what is left in as well."""
    resources = deployed.there("Resources")
    known = resources.keys() | {"AWS::NoValue"}
    wanted = {
        (name, each)
        for section in (resources, deployed.there("Outputs"))
        for name, said in section.items()
        for each in [*named({key: value for key, value in said.items() if key != "Metadata"})]
        if each in deployed.template["Resources"] and each not in known
    }
    waits = {
        (name, each)
        for name, said in resources.items()
        for each in ([said["DependsOn"]] if isinstance(said.get("DependsOn"), str) else said.get("DependsOn", []))
        if each not in known
    }
    assert wanted | waits == set()
    assert deployed.broken() == []


def test_elsewhere_there_is_the_function_and_nothing_that_remembers(template: dict[str, Any]) -> None:
    """The function with its role, log, queue and alarms; all the rest is at home alone."""
    home, there = (set(shape(template, name).there("Resources")) for name in ("home", "elsewhere"))
    assert there < home
    missing = home - there
    assert {"Table", "MasterKeySecret"} <= missing
    assert all(name.startswith(("AddressPlan", "Upkeep")) for name in missing - {"Table", "MasterKeySecret"})
    assert not [name for name in there if name.startswith(("AddressPlan", "Upkeep"))]
    kept = {"IpamLayer", "CnCidrFunction", "CnCidrFunctionAliaslive", "CnCidrRole", "CnCidrLogGroup", "DeadLetterQueue"}
    assert kept <= {re.sub(r"^(IpamLayer).*", r"\1", name) for name in there}
    alarms = {name for name, each in shape(template, "elsewhere").there("Resources").items() if "Alarm" in each["Type"]}
    assert {"DeadLetterQueueAlarm", "CnCidrErrorsAlarm", "ForgedAlarm", "FailedAlarm"} <= alarms
    outputs = set(template["Outputs"]) - set(shape(template, "elsewhere").there("Outputs"))
    assert outputs == {"AddressPlanServiceToken", "TableName", "MasterKeySecretArn", "UpkeepFunctionArn"}
    assert set(shape(template, "home").there("Outputs")) == set(template["Outputs"])


def test_a_home_that_takes_over_makes_no_second_table(template: dict[str, Any]) -> None:
    """It has everything that a home has but these two, and names those that exist."""
    new, old = shape(template, "home of what exists"), shape(template, "home")
    assert old.there("Resources").keys() - new.there("Resources").keys() == {"Table", "MasterKeySecret"}
    outputs = new.there("Outputs")
    assert (outputs["TableName"]["Value"], outputs["MasterKeySecretArn"]["Value"]) == ("home-table", SECRET)
    for function in ("CnCidrFunction", "AddressPlanFunction", "UpkeepFunction"):
        assert new.environment(function)["IPAM_TABLE_NAME"] == "home-table"
        assert old.environment(function)["IPAM_TABLE_NAME"] == {"Ref": "Table"}


def test_elsewhere_the_function_is_told_where_home_is(template: dict[str, Any]) -> None:
    """Its table, its secret, its Region; at home, which others there are, where whoever asks the function finds it."""
    there = shape(template, "elsewhere").environment("CnCidrFunction")
    assert (there["IPAM_TABLE_NAME"], there["IPAM_MASTER_KEY_SECRET"]) == ("home-table", SECRET)
    assert (there["IPAM_HOME_REGION"], there["IPAM_OTHER_REGIONS"]) == (HOME, "")
    home = shape(template, "home of others").environment("CnCidrFunction")
    assert (home["IPAM_HOME_REGION"], home["IPAM_OTHER_REGIONS"]) == ("", "us-east-1,eu-west-1")


def test_what_the_environment_says_is_live_at_once(template: dict[str, Any]) -> None:
    """SAM makes no version for a changed parameter; a version that is described by the parameters is made anew.

    Which other Regions there are is read of what was deployed last, and need not be in a version.
    """
    region, given = SHAPES["elsewhere"]
    others = {
        "HomeRegion": "eu-west-1",
        "HomeTableName": "another-table",
        "HomeMasterKeySecretArn": f"{SECRET}-another",
        "DiscoveryRoleName": "another",
        "OrganizationsRoleArn": "arn:aws:iam::123456789012:role/another",
        "ResponseEndpoint": "https://another",
    }

    def said(function: str, **changed: str) -> tuple[str, dict[str, Any]]:
        deployed = Deployed(template, region, given | changed)
        resources = template["Resources"]
        (version,) = (
            each
            for each in of_type(template, "AWS::Lambda::Version").values()
            if each["Properties"]["FunctionName"] == {"Ref": function}
        )
        variables = resources[function]["Properties"]["Environment"]["Variables"]
        return deployed.resolved(version["Properties"]["Description"]), deployed.resolved(variables)

    for function in of_type(template, "AWS::Lambda::Function"):
        description, environment = said(function)
        assert len(description) <= 256
        for name, value in others.items():
            described, told = said(function, **{name: value})
            assert told == environment or described != description, (function, name)


def test_elsewhere_the_role_reaches_the_home_table_and_secret_and_nothing_else(template: dict[str, Any]) -> None:
    """The same actions as at home, on exactly these; what is its own, queue and log, is of its own Region."""
    there, home = shape(template, "elsewhere"), shape(template, "home")
    reach = {each["Sid"]: each["Resource"] for each in there.statements("CnCidrRole")}
    assert reach["KeepAllocations"] == TABLE
    assert reach["DeriveTenantKeys"] == SECRET
    assert reach["TellWhatHappens"] == f"arn:aws:events:{HOME}:111111111111:event-bus/default"
    own = {"KeepWhatFailed": "DeadLetterQueue", "Log": "CnCidrLogGroup"}
    assert {sid: reach[sid]["Fn::GetAtt"][0] for sid in own} == own
    actions = {each["Sid"]: each["Action"] for each in there.statements("CnCidrRole")}
    assert actions == {each["Sid"]: each["Action"] for each in home.statements("CnCidrRole")}
    reach = {each["Sid"]: each["Resource"] for each in home.statements("CnCidrRole")}
    assert reach["KeepAllocations"] == {"Fn::GetAtt": ["Table", "Arn"]}
    assert reach["TellWhatHappens"] == f"arn:aws:events:{HOME}:111111111111:event-bus/default"


def test_upkeep_reaches_the_functions_of_the_other_regions_and_no_others(template: dict[str, Any]) -> None:
    """The same actions as at home, on the same functions of those Regions; without others, on none."""
    policies = shape(template, "home of others").there("Resources")["UpkeepRole"]["Properties"]["Policies"]
    (policy,) = (each["PolicyDocument"] for each in policies if each["PolicyName"] == "other-regions")
    function = "arn:aws:lambda:*:111111111111:function:cn-ipam-cn-cidr"
    home = {each["Sid"]: each for each in policies[0]["PolicyDocument"]["Statement"]}
    for each in policy["Statement"]:
        resources = each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]]
        assert {resource.removeprefix(function) for resource in resources} <= {"", ":live", ":tenant-*"}
        assert each["Condition"]["StringEquals"] == {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}
        others, own = ({each["Action"]} if isinstance(each["Action"], str) else set(each["Action"]), home[each["Sid"]])
        assert others == set(own["Action"] if isinstance(own["Action"], list) else [own["Action"]]) - {
            "lambda:GetFunctionConfiguration"
        }
        assert len(resources) == (len(own["Resource"]) if isinstance(own["Resource"], list) else 1)
    statements = {each["Sid"]: each for each in policy["Statement"]}
    assert statements.keys() == {sid for sid, each in home.items() if "lambda:" in str(each["Action"])}
    assert statements["HandOverParkedRequests"]["Resource"] == f"{function}:live"
    assert statements["LetTenantsIn"]["Resource"] == f"{function}:tenant-*"
    assert statements["LetTenantsIn"]["Condition"]["StringLike"] == {"lambda:Principal": "?" * 12}
    alone = shape(template, "home").there("Resources")["UpkeepRole"]["Properties"]["Policies"]
    assert "other-regions" not in {each["PolicyName"] for each in alone}


@pytest.mark.parametrize(
    ("region", "given", "told"),
    [
        (ELSEWHERE, {"HomeRegion": HOME}, "HomeTableName and HomeMasterKeySecretArn as well"),
        (
            ELSEWHERE,
            {"HomeRegion": HOME, "HomeTableName": "home-table"},
            "HomeTableName and HomeMasterKeySecretArn as well",
        ),
        (ELSEWHERE, {"HomeRegion": HOME, "HomeMasterKeySecretArn": SECRET}, "as well"),
        (HOME, {"HomeTableName": "home-table"}, "this is the home Region"),
        (HOME, {"HomeTableName": "home-table", "HomeMasterKeySecretArn": SECRET}, "this is the home Region"),
        (HOME, {"HomeRegion": HOME}, "as well"),
        (HOME, {"OtherRegions": f"{ELSEWHERE},{HOME}"}, "those beside this one"),
        (ELSEWHERE, OF_HOME | {"OtherRegions": "eu-west-1"}, "for the home Region"),
    ],
)
def test_what_means_two_things_is_refused(
    template: dict[str, Any], region: str, given: dict[str, str], told: str
) -> None:
    """Before anything is made, and in words that say what to do."""
    (broken,) = Deployed(template, region, given).broken()
    assert told in broken


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        (
            "HomeRegion",
            ["", "eu-central-1", "us-gov-west-1"],
            ["*", "eu-central", "eu-central-1,us-east-1", "EU-CENTRAL-1"],
        ),
        ("OtherRegions", ["", "ap-southeast-2"], ["*", "us-*", "us-east-1a"]),
        ("HomeTableName", ["", "cn-ipam-Table-1ABC"], ["*", "table/x", "a" * 201, TABLE]),
        ("HomeMasterKeySecretArn", ["", SECRET], ["*", f"{SECRET}*", "master", TABLE]),
    ],
)
def test_a_parameter_takes_only_what_it_means(
    template: dict[str, Any], parameter: str, accepted: list[str], refused: list[str]
) -> None:
    """The patterns refuse a wildcard, which would end up in a policy."""
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    assert [value for value in accepted if not re.search(pattern, value)] == []
    assert [value for value in refused if re.search(pattern, value)] == []
    assert template["Parameters"][parameter]["Default"] == ""
