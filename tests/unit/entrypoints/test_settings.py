from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ipam.domain.errors import OutOfTimeError
from ipam.entrypoints.deadlines import RESERVE, LambdaDeadline
from ipam.settings import MissingSettingError, SettingError, Settings
from tests.unit.entrypoints.stage import FakeContext

if TYPE_CHECKING:
    from types import ModuleType

ENVIRONMENT = {"IPAM_TABLE_NAME": "t", "IPAM_MASTER_KEY_SECRET": "s", "AWS_REGION": "eu-central-1"}
LAMBDAS_OWN = {"AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
HANDLER = Path(__file__).parents[3] / "functions" / "cn_cidr" / "handler.py"


def test_the_environment_is_read_once_and_whole() -> None:
    """What is not said has its default: CloudFormation's own hosts and the system's certificates."""
    assert Settings.from_environment(ENVIRONMENT) == Settings("t", "s", "", "eu-central-1", "")
    more = ENVIRONMENT | {"IPAM_RESPONSE_ENDPOINT": "https://localhost:4566/b", "AWS_CA_BUNDLE": "/ca.pem"}
    assert Settings.from_environment(more) == Settings("t", "s", "https://localhost:4566/b", "eu-central-1", "/ca.pem")


def test_other_services_are_told_where_they_are_needed() -> None:
    """The function that parked requests go to, and the role that reads the organisation; neither is a must."""
    function, role = "arn:aws:lambda:eu-central-1:123456789012:function:f:live", "arn:aws:iam::222222222222:role/r"
    given = Settings.from_environment(
        ENVIRONMENT
        | {"IPAM_CN_CIDR_FUNCTION": function, "IPAM_ORGANIZATIONS_ROLE": role, "IPAM_DISCOVERY_ROLE": "reader"}
    )
    assert (given.cn_cidr_function, given.organizations_role, given.discovery_role) == (function, role, "reader")


def test_the_command_lines_region_will_do() -> None:
    """Outside Lambda the Region may stand in AWS_DEFAULT_REGION."""
    given = {"IPAM_TABLE_NAME": "t", "IPAM_MASTER_KEY_SECRET": "s", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert Settings.from_environment(given).region == "eu-west-1"


def test_everything_that_is_missing_is_named_at_once() -> None:
    """One run tells all that has to be set."""
    with pytest.raises(MissingSettingError, match="IPAM_TABLE_NAME, IPAM_MASTER_KEY_SECRET, AWS_REGION"):
        Settings.from_environment({"IPAM_TABLE_NAME": ""})


def test_a_process_may_do_without_some() -> None:
    """What a process says it does not need may be missing."""
    given = {"IPAM_TABLE_NAME": "t", "AWS_REGION": "eu-central-1"}
    assert Settings.from_environment(given, optional={"IPAM_MASTER_KEY_SECRET"}).master_key_secret == ""


@pytest.mark.parametrize(
    "endpoint",
    ["http://localhost", "localhost:4566", "https://localhost/", "https://u@localhost", "https://localhost?x", " "],
)
def test_a_response_endpoint_has_one_form(endpoint: str) -> None:
    """A prefix that could be read in two ways is none."""
    with pytest.raises(SettingError):
        Settings.from_environment(ENVIRONMENT | {"IPAM_RESPONSE_ENDPOINT": endpoint})


@pytest.mark.parametrize(("remaining", "reserve"), [(30_000, RESERVE), (3_000, 1_500)])
def test_a_deadline_keeps_time_for_the_answer(remaining: int, reserve: int) -> None:
    """A commit is begun only while its answer can still be delivered; a short function keeps half of its time."""
    left = [remaining]
    deadline = LambdaDeadline(lambda: left[0])
    left[0] = reserve
    deadline.ensure()
    left[0] = reserve - 1
    with pytest.raises(OutOfTimeError):
        deadline.ensure()


def load(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the function's file as Lambda does."""
    spec = importlib.util.spec_from_file_location("handler", HANDLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "handler", module)
    spec.loader.exec_module(module)
    return module


def test_the_function_is_made_when_lambda_loads_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Loading needs the environment and no network; an event that is none is forged, on standard output."""
    for name, value in (ENVIRONMENT | LAMBDAS_OWN).items():
        monkeypatch.setenv(name, value)
    module = load(monkeypatch)
    assert module.lambda_handler({}, FakeContext()) is None
    assert '"outcome": "forged"' in capsys.readouterr().out.replace('":"', '": "')


def test_a_function_without_its_settings_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is seen in the first line of the log, and not in the first event."""
    for name in [*ENVIRONMENT, "AWS_DEFAULT_REGION"]:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingSettingError):
        load(monkeypatch)
