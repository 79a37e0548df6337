"""Who gets in, by the deployed function's own resource policies: one alias a tenant, and nobody by another's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ipam.adapters.aliases import TenantAliases
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, OUTSIDE_ACCOUNT
from local.stacks import Stack, StackError
from tests import invariants
from tests.e2e.system.conftest import allocated
from tests.e2e.system.test_networks import order
from tests.e2e.system.test_upkeep import run_upkeep

if TYPE_CHECKING:
    from ipam.services.ports import Ports
    from local.twin import Twin
    from tests.e2e.system.conftest import CommandLine

STRANGER = "333333333333"
"""Of the same organisation, and no tenant until a test lets it in."""

POOL = "vpc-eu-central-1"
ORDER = order(POOL, {"Network": "28"})


@pytest.fixture(scope="module")
def functions(twin: Twin) -> Any:
    return twin.session(NETWORK_ACCOUNT).client("lambda")


def refused(twin: Twin, name: str, account: str, token: str) -> str:
    """Have a stack ordered that has to fail, and give the reasons."""
    stack = Stack(twin, name, account)
    with pytest.raises(StackError) as raised:
        stack.create(ORDER, {"IpamFunctionArn": token})
    return str(raised.value)


def test_a_stack_gets_in_by_its_own_alias_alone(twin: Twin, ports: Ports) -> None:
    """Not by another tenant's, not by `live`, not without an alias; the function hears nothing of it."""
    function = twin.outputs["CnCidrFunctionArn"]
    before = allocated(ports, POOL)
    for number, token in enumerate(
        (twin.service_token_of(NETWORK_ACCOUNT), f"{function}:live", function, f"{function}:1")
    ):
        assert "AccessDenied" in refused(twin, f"member-{number}", MEMBER_ACCOUNT, token)
    assert allocated(ports, POOL) == before
    assert not [each for each in twin.records() if ":stack/member-" in each["event"]["StackId"]]


@pytest.mark.parametrize("account", [STRANGER, OUTSIDE_ACCOUNT])
def test_an_account_that_is_no_tenant_does_not_get_in(twin: Twin, account: str) -> None:
    """By no alias: not by a tenant's, not by one that would be its own, not by `live`. All of them look the same."""
    function = twin.outputs["CnCidrFunctionArn"]
    tokens = twin.service_token, twin.service_token_of(account), f"{function}:live"
    for number, token in enumerate(tokens):
        assert "AccessDenied" in refused(twin, f"stranger-{number}", account, token)


def test_a_tenant_of_the_shared_alias_has_to_be_one(twin: Twin, ports: Ports, functions: Any) -> None:
    """Where `live` is open to more, an account that is no tenant is answered, and given nothing."""
    live = f"{twin.outputs['CnCidrFunctionArn']}:live"
    permission = {"FunctionName": twin.outputs["CnCidrFunctionArn"], "Qualifier": "live", "StatementId": "shared"}
    functions.add_permission(**permission, Action="lambda:InvokeFunction", Principal=STRANGER)
    try:
        assert f"Account {STRANGER} may not order" in refused(twin, "shared", STRANGER, live)
    finally:
        functions.remove_permission(**permission)
    invariants.check(ports.store)


def test_an_account_is_let_in_orders_leaves_and_is_shut_out(
    twin: Twin, ipam: CommandLine, ports: Ports, functions: Any
) -> None:
    """From its first stack to its last: its alias has its policy, and goes when it is taken away."""
    token = twin.add_tenant(STRANGER, "--name", "till", "--max-allocations", "1")
    assert token == twin.service_token_of(STRANGER)
    stack = Stack(twin, "till", STRANGER)
    stack.create(ORDER, {"IpamFunctionArn": token})
    assert "1 allocations" in refused(twin, "till-two", STRANGER, token)
    assert "AccessDenied" in refused(twin, "till-three", STRANGER, twin.service_token)
    rows = json.loads(ipam("tenant", "show", STRANGER, "-o", "json"))
    assert [(row["name"], row["standing"], row["pool"], row["allocations"]) for row in rows] == [
        ("till", "active", POOL, 1)
    ]
    first = ipam("tenant", "key", STRANGER)
    assert ipam("tenant", "rotate", STRANGER) == ipam("tenant", "key", STRANGER) != first

    leaving = ipam.run("tenant", "remove", STRANGER, "--yes")
    assert leaving.returncode == 1 and f"1 of {POOL}" in leaving.stderr
    assert "may not order" in refused(twin, "till-four", STRANGER, token)
    stack.delete()
    assert ports.store.plan().tenants[STRANGER].standing == "leaving"

    aliases = TenantAliases(twin.outputs["CnCidrFunctionArn"], lambda: functions)
    for _ in range(2):
        aliases.shut_out(STRANGER)
    with pytest.raises(ClientError):
        functions.get_alias(FunctionName=twin.outputs["CnCidrFunctionArn"], Name=f"tenant-{STRANGER}")
    assert "AccessDenied" in refused(twin, "till-five", STRANGER, token)
    assert aliases.outdated([STRANGER], [MEMBER_ACCOUNT]) == ([STRANGER], [MEMBER_ACCOUNT])
    # It is a tenant still: upkeep lets it in again, so that it could give back.
    run_upkeep(twin)
    assert aliases.outdated([STRANGER]) == ([], [])


def test_aliases_follow_a_deployment(twin: Twin, functions: Any) -> None:
    """A version that goes live is every tenant's after the next run of upkeep, with its settings for what fails."""
    function = twin.outputs["CnCidrFunctionArn"]
    at = {"FunctionName": function, "Qualifier": "live"}
    settings = functions.get_function_event_invoke_config(**at)
    assert settings["DestinationConfig"]["OnFailure"]["Destination"]
    named = {"FunctionName": function, "Name": f"tenant-{MEMBER_ACCOUNT}"}
    before = functions.get_alias(**named)["FunctionVersion"]
    functions.update_function_configuration(FunctionName=function, Description="another")
    version = functions.publish_version(FunctionName=function)["Version"]
    assert version != before
    functions.update_alias(FunctionName=function, Name="live", FunctionVersion=version)
    run_upkeep(twin)
    assert functions.get_alias(**named)["FunctionVersion"] == version
    own = functions.get_function_event_invoke_config(FunctionName=function, Qualifier=f"tenant-{MEMBER_ACCOUNT}")
    assert own["DestinationConfig"] == settings["DestinationConfig"]
