"""Aliases of tenants: made, moved, finished, taken away, each held to the model of AWS Lambda."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from botocore.stub import ANY

from ipam.adapters.aliases import UNFINISHED, TenantAliases, TenantAliasesOfRegions
from ipam.domain.errors import ServiceRefusedError, ServiceUnavailableError
from ipam.entrypoints.provider import TENANT_ALIAS
from tests.outside import CALLS
from tests.unit.adapters.stubs import Made, stubbed, unreachable

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:cn-ipam-cn-cidr"
ACCOUNT = "222222222222"
ALIAS = f"tenant-{ACCOUNT}"
AT: dict[str, Any] = {"FunctionName": FUNCTION, "Qualifier": ALIAS}
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:queue"
SETTINGS: dict[str, Any] = {
    "MaximumRetryAttempts": 2,
    "MaximumEventAgeInSeconds": 3600,
    "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
}
CONFIG = SETTINGS | {"FunctionArn": f"{FUNCTION}:live"}


class Lambda:
    """AWS Lambda, which answers what a test says, in its order, and notes what was called."""

    def __init__(self) -> None:
        self.client, self.stubber = stubbed("lambda")
        self.called: list[str] = []
        self.client.meta.events.register("before-parameter-build.lambda", self._note)
        self.aliases = TenantAliases(FUNCTION, Made(self.client))

    def _note(self, model: Any, **_: Any) -> None:
        self.called.append(model.name)

    def answers(self, call: str, answer: dict[str, Any] | None, asked: dict[str, Any]) -> None:
        """Expect a call; without an answer, what it is about is not there."""
        if answer is None:
            self.stubber.add_client_error(call, "ResourceNotFoundException", expected_params=asked)
        else:
            self.stubber.add_response(call, answer, asked)

    def live(self, version: str = "7", config: dict[str, Any] | None = CONFIG) -> None:
        """Expect to be asked for the alias that aliases follow."""
        self.answers("get_alias", {"FunctionVersion": version}, {"FunctionName": FUNCTION, "Name": "live"})
        self.answers("get_function_event_invoke_config", config, AT | {"Qualifier": "live"})

    def present(self, alias: dict[str, Any] | None) -> None:
        """Expect to be asked for the tenant's alias."""
        self.answers("get_alias", alias, {"FunctionName": FUNCTION, "Name": ALIAS})

    def settings(self, config: dict[str, Any] | None) -> None:
        """Expect to be asked where what fails goes."""
        self.answers("get_function_event_invoke_config", config, AT)

    def policy(self, *statements: str) -> None:
        """Expect to be asked who may come in."""
        policy = {"Policy": json.dumps({"Statement": [{"Sid": sid} for sid in statements]})}
        self.answers("get_policy", policy if statements else None, AT)

    def permits(self) -> None:
        """Expect that the account is let in."""
        asked = {"StatementId": f"LetIn{ACCOUNT}", "Principal": ACCOUNT, "Action": "lambda:InvokeFunction"}
        self.answers("add_permission", {}, AT | asked)

    def updates(self, version: str = "7") -> None:
        """Expect that the alias is moved, and described."""
        asked = {"FunctionName": FUNCTION, "Name": ALIAS, "FunctionVersion": version, "Description": ANY}
        self.answers("update_alias", {}, asked)

    def lists(self, *aliases: dict[str, Any]) -> None:
        """Expect to be asked for all aliases, and answer in two pages."""
        half = len(aliases) // 2
        self.answers("list_aliases", {"Aliases": aliases[:half], "NextMarker": "next"}, {"FunctionName": FUNCTION})
        self.answers("list_aliases", {"Aliases": aliases[half:]}, {"FunctionName": FUNCTION, "Marker": "next"})

    def done(self) -> list[str]:
        """Give what was called, which has to be all that was expected."""
        self.stubber.assert_no_pending_responses()
        called, self.called = self.called, []
        return called


@pytest.fixture
def service() -> Lambda:
    return Lambda()


def described(service: Lambda, config: dict[str, Any] | None = CONFIG) -> str:
    """How a finished alias is described, as it is written when one is made."""
    told: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        told.append(params["Description"])

    service.client.meta.events.register("provide-client-params.lambda.UpdateAlias", note)
    service.live(config=config)
    service.present({"FunctionVersion": "7", "Description": "another"})
    if config is not None:
        service.settings(config)
    service.policy(f"LetIn{ACCOUNT}")
    service.updates()
    service.aliases.let_in(ACCOUNT)
    service.done()
    return told[0]


def test_an_alias_is_made_closed_then_opened_and_described_last(service: Lambda) -> None:
    """Nobody comes in before it is said where what fails goes; what is interrupted is seen to be unfinished."""
    service.live()
    service.present(None)
    made = {"FunctionName": FUNCTION, "Name": ALIAS, "FunctionVersion": "7", "Description": UNFINISHED}
    service.answers("create_alias", {"FunctionVersion": "7", "Description": UNFINISHED}, made)
    service.settings(None)
    service.answers("put_function_event_invoke_config", {}, AT | SETTINGS)
    service.policy()
    service.permits()
    service.updates()
    service.aliases.let_in(ACCOUNT)
    called = service.done()
    assert called[-3:] == ["GetPolicy", "AddPermission", "UpdateAlias"]
    assert called.index("PutFunctionEventInvokeConfig") < called.index("AddPermission")
    assert set(called) == set(CALLS["let_in"])


def test_what_is_there_is_left_as_it_is(service: Lambda) -> None:
    """An alias that is as it should be is only looked at."""
    description = described(service)
    service.live()
    service.present({"FunctionVersion": "7", "Description": description})
    service.settings(CONFIG | {"FunctionArn": f"{FUNCTION}:{ALIAS}"})
    service.policy("another", f"LetIn{ACCOUNT}")
    service.aliases.let_in(ACCOUNT)
    assert {name[:3] for name in service.done()} == {"Get"}


def test_an_alias_follows_live(service: Lambda) -> None:
    """To its version, and to its settings for what fails."""
    description = described(service)
    service.live("8", CONFIG | {"MaximumRetryAttempts": 1})
    service.present({"FunctionVersion": "7", "Description": description})
    service.settings(CONFIG)
    service.answers("put_function_event_invoke_config", {}, AT | SETTINGS | {"MaximumRetryAttempts": 1})
    service.policy(f"LetIn{ACCOUNT}")
    service.updates("8")
    service.aliases.let_in(ACCOUNT)
    service.done()


def test_one_that_was_left_unfinished_is_finished(service: Lambda) -> None:
    """Whatever is missing of it is made: here, who may come in."""
    service.live()
    service.present({"FunctionVersion": "7", "Description": UNFINISHED})
    service.settings(CONFIG)
    service.policy("another")
    service.permits()
    service.updates()
    service.aliases.let_in(ACCOUNT)
    service.done()


def test_without_settings_of_live_an_alias_has_lambdas_own(service: Lambda) -> None:
    """Nothing is said for an alias that is not said for `live`."""
    assert described(service, None) != described(service)


def test_outdated_are_those_missing_unfinished_or_behind(service: Lambda) -> None:
    """Seen in the list of all aliases, however many pages it has."""
    description = described(service)
    others = {"FunctionVersion": "7", "Description": description}

    def named(account: str, **facts: str) -> dict[str, Any]:
        text = description.replace(ACCOUNT, account)
        return {"Name": f"tenant-{account}", "FunctionVersion": "7", "Description": text} | facts

    accounts = [f"{number:012d}" for number in range(5)]
    service.live()
    service.lists(
        {"Name": "live", "FunctionVersion": "7"},
        named(accounts[0]),
        named(accounts[1], FunctionVersion="6"),
        named(accounts[2], Description=UNFINISHED),
        {"Name": f"tenant-{accounts[3]}"} | others,
    )
    assert service.aliases.outdated(accounts, [accounts[0], "9" * 12]) == (accounts[1:], [accounts[0]])
    assert set(service.done()) == set(CALLS["outdated"])


def test_an_account_is_shut_out_first_of_all(service: Lambda) -> None:
    """Its permission goes, then the rest; what is not there already is no error."""
    statement = AT | {"StatementId": f"LetIn{ACCOUNT}"}
    named = {"FunctionName": FUNCTION, "Name": ALIAS}
    for there in (True, False):
        answer: dict[str, Any] | None = {} if there else None
        service.answers("remove_permission", answer, statement)
        service.answers("delete_function_event_invoke_config", answer, AT)
        service.answers("delete_alias", answer, named)
        service.aliases.shut_out(ACCOUNT)
    assert service.done() == CALLS["shut_out"] * 2


@pytest.mark.parametrize("code", ["TooManyRequestsException", "AccessDeniedException", "ResourceConflictException"])
def test_what_lambda_does_not_do_now_is_unavailable(service: Lambda, code: str) -> None:
    """Whoever asked asks again: somebody else may be making the same alias."""
    service.stubber.add_client_error("get_alias", code)
    with pytest.raises(ServiceUnavailableError) as raised:
        service.aliases.let_in(ACCOUNT)
    assert (raised.value.service, raised.value.code) == ("AWS Lambda in eu-central-1", code)


@pytest.mark.parametrize("deed", ["let_in", "shut_out"])
def test_what_is_refused_concerns_one_account(service: Lambda, deed: str) -> None:
    """Such as one that there is not; it is told apart from a service that does not answer."""
    call = "get_alias" if deed == "let_in" else "remove_permission"
    service.stubber.add_client_error(call, "InvalidParameterValueException")
    with pytest.raises(ServiceRefusedError) as raised:
        getattr(service.aliases, deed)(ACCOUNT)
    assert ACCOUNT in raised.value.what
    assert raised.value.code == "InvalidParameterValueException"


def test_an_unknown_error_of_the_list_passes_untouched(service: Lambda) -> None:
    """What nobody expects is a fault, and looks like one."""
    service.stubber.add_client_error("get_alias", "InvalidParameterValueException")
    with pytest.raises(ClientError):
        service.aliases.outdated([ACCOUNT])


def test_a_service_out_of_reach_is_unavailable() -> None:
    """So is one that does not answer at all."""
    aliases = TenantAliases(FUNCTION, unreachable(ConnectTimeoutError(endpoint_url="x")))
    with pytest.raises(ServiceUnavailableError):
        aliases.outdated([ACCOUNT])


def told(*regions: str) -> dict[str, Any]:
    """What the home Region's function says of the others; without any, that it was told of none."""
    return {"Environment": {"Variables": {"IPAM_OTHER_REGIONS": ",".join(regions)}}}


@pytest.mark.parametrize(
    ("answer", "others"),
    [(told("us-east-1", "eu-west-1"), ["us-east-1", "eu-west-1"]), (told(), []), ({}, [])],
)
def test_the_home_regions_function_says_which_others_there_are(
    service: Lambda, answer: dict[str, Any], others: list[str]
) -> None:
    """One deployed with others, with none, and one that knows of no such thing."""
    service.answers("get_function_configuration", answer, {"FunctionName": FUNCTION})
    regions = TenantAliasesOfRegions(f"{FUNCTION}:live", Made(service.client)).regions()
    assert [region.service_token(ACCOUNT).split(":")[3] for region in regions] == ["eu-central-1", *others]
    assert service.done() == CALLS["regions"]


def test_the_function_of_another_region_does_not_know(service: Lambda) -> None:
    """Who names it by mistake is told of home: by what it says, an account would be forgotten that has ways in."""
    at_home = told("us-east-1")
    at_home["Environment"]["Variables"]["IPAM_HOME_REGION"] = "eu-central-1"
    elsewhere = told()
    elsewhere["Environment"]["Variables"]["IPAM_HOME_REGION"] = "us-east-1"
    service.answers("get_function_configuration", at_home, {"FunctionName": FUNCTION})
    assert len(TenantAliasesOfRegions(f"{FUNCTION}:live", Made(service.client)).regions()) == 2
    service.answers("get_function_configuration", elsewhere, {"FunctionName": FUNCTION})
    with pytest.raises(ServiceUnavailableError, match="has to be that of us-east-1"):
        TenantAliasesOfRegions(f"{FUNCTION}:live", Made(service.client)).regions()


def test_each_region_has_a_client_and_a_function_of_its_own(service: Lambda) -> None:
    """Called the same there as at home, which comes first and alone is asked which others there are."""
    elsewhere, made = FUNCTION.replace("eu-central-1", "us-east-1"), Made(service.client)
    aliases = TenantAliasesOfRegions(f"{FUNCTION}:live", made)
    assert made.count == 0
    service.answers("get_function_configuration", told("us-east-1"), {"FunctionName": FUNCTION})
    home, other = aliases.regions()
    assert made.regions == ["eu-central-1"]
    assert home.service_token(ACCOUNT) == f"{FUNCTION}:{ALIAS}"
    assert other.service_token(ACCOUNT) == f"{elsewhere}:{ALIAS}"
    service.answers("get_alias", {"FunctionVersion": "3"}, {"FunctionName": elsewhere, "Name": "live"})
    service.stubber.add_client_error("get_function_event_invoke_config", "TooManyRequestsException")
    with pytest.raises(ServiceUnavailableError) as raised:
        other.outdated([ACCOUNT])
    assert raised.value.service == "AWS Lambda in us-east-1"
    service.answers("get_function_configuration", told("us-east-1"), {"FunctionName": FUNCTION})
    service.stubber.add_client_error("get_alias", "TooManyRequestsException")
    with pytest.raises(ServiceUnavailableError):
        aliases.regions()[1].outdated([ACCOUNT])
    assert made.regions == ["eu-central-1", "us-east-1"], "a client is made once"


@pytest.mark.parametrize("function", ["", FUNCTION, f"{FUNCTION}:other"])
def test_a_process_that_knows_no_function_says_so(service: Lambda, function: str) -> None:
    """The setting that is missing, or wrong, is named, and no client is made."""
    made = Made(service.client)
    with pytest.raises(ServiceUnavailableError, match="IPAM_CN_CIDR_FUNCTION"):
        TenantAliasesOfRegions(function, made).regions()
    assert made.count == 0


def test_the_alias_is_what_the_function_takes_for_the_accounts(service: Lambda) -> None:
    """A stack names it as its ServiceToken, and the function compares its account with it."""
    assert service.aliases.service_token(ACCOUNT) == f"{FUNCTION}:{TENANT_ALIAS}{ACCOUNT}"
