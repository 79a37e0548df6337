"""Aliases of the functions that serve stacks, one a tenant account, each with a policy for that account alone.

A stack's function is invoked with the rights of whoever deploys the stack. An alias that one account only may invoke
therefore proves the account, which nothing in an event does (Lambda developer guide, "Working with resource-based IAM
policies in Lambda"). What fails is sent to the same queue as everywhere: that is said for each alias, too.

The description of an alias is written last, and says what it was made like: an alias that was left unfinished, or whose
settings are not those of `live` any more, is seen in the list of them all, at one call for fifty.

Every Region has a function of its own, of the same name. Which Regions those are is said at one place, by the
deployment of the home Region, in its function's environment, and read there by all who need it: nobody can forget one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ipam.adapters.aws import UNANSWERED, answering, in_region, region_of
from ipam.domain.errors import NotSetUpError, ServiceRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SERVICE: Final = "AWS Lambda"
LIVE: Final = "live"
PREFIX: Final = "tenant-"
STATEMENT: Final = "LetIn"
NOT_THERE: Final = "ResourceNotFoundException"
UNFINISHED: Final = "cn-ipam is making this alias"
MARK_DIGITS: Final = 16
HOME_REGION: Final = "IPAM_HOME_REGION"
"""Variable in a function's environment that names the home Region, if that is another one."""
OTHER_REGIONS: Final = "IPAM_OTHER_REGIONS"
"""Variable in the home function's environment that names the other Regions, separated by commas. What was deployed last
counts and not what is live: a changed parameter alone publishes no version."""
SETTINGS: Final = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
"""What an alias says of events that fail (Lambda API reference, "PutFunctionEventInvokeConfig")."""


@dataclass(frozen=True)
class _Live:
    """What aliases have to be like: their version, and their settings for events that fail."""

    version: str
    settings: dict[str, Any] | None

    def description(self, account: str) -> str:
        """Describe an alias that is like this."""
        said = json.dumps(self.settings, sort_keys=True).encode()
        return f"For account {account} alone. Settings {hashlib.sha256(said).hexdigest()[:MARK_DIGITS]}"

    def is_followed_by(self, alias: dict[str, Any] | None, account: str) -> bool:
        """Whether an account's alias is there, finished, and like this."""
        if alias is None:
            return False
        return (alias["FunctionVersion"], alias.get("Description")) == (self.version, self.description(account))


class TenantAliasesOfRegions:
    """`ipam.services.ports.Aliases` of a function that is called the same in every Region."""

    def __init__(self, live: str, connect: Callable[[str], Any]) -> None:
        """Ask nothing yet.

        Args:
            live: ARN of the home Region's alias `live`.
            connect: makes the client of a Region, when it is first needed.
        """
        self._function, _, self._alias = live.rpartition(":")
        self._connect = functools.cache(connect)

    def regions(self) -> list[TenantAliases]:
        """See the port."""
        if self._alias != LIVE:
            raise NotSetUpError(SERVICE, f"IPAM_CN_CIDR_FUNCTION is not the ARN of the alias {LIVE}")
        home = self._of(region_of(self._function))
        return [home, *(self._of(region) for region in home.other_regions())]

    def _of(self, region: str) -> TenantAliases:
        """Give the aliases of a Region."""
        return TenantAliases(in_region(self._function, region), functools.partial(self._connect, region))


class TenantAliases:
    """`ipam.services.ports.RegionAliases` of one function."""

    def __init__(self, function: str, connect: Callable[[], Any]) -> None:
        """Work on a function by its ARN, without an alias; the client is made with `connect` when it is needed."""
        self._function = function
        self._service = f"{SERVICE} in {region_of(function)}"
        self._connect = functools.cache(connect)

    def service_token(self, account: str) -> str:
        """See the port."""
        return f"{self._function}:{PREFIX}{account}"

    def other_regions(self) -> list[str]:
        """Read in which other Regions there is such a function: the deployment of the home Region says so.

        Raises:
            ServiceUnavailableError: this is not the one of the home Region, and does not know.
        """
        with answering(self._service):
            said = self._connect().get_function_configuration(FunctionName=self._function)
        variables: dict[str, str] = said.get("Environment", {}).get("Variables", {})
        home = variables.get(HOME_REGION, "")
        if home not in {"", region_of(self._function)}:
            raise NotSetUpError(self._service, f"IPAM_CN_CIDR_FUNCTION has to be that of {home}")
        return [region for region in variables.get(OTHER_REGIONS, "").split(",") if region]

    def outdated(self, tenants: Iterable[str], removed: Iterable[str] = ()) -> tuple[list[str], list[str]]:
        """See the port."""
        with answering(self._service):
            live = self._live()
            pages = self._connect().get_paginator("list_aliases").paginate(FunctionName=self._function)
            aliases = {alias["Name"]: alias for page in pages for alias in page["Aliases"]}
        behind = [account for account in tenants if not live.is_followed_by(aliases.get(PREFIX + account), account)]
        return behind, [account for account in removed if PREFIX + account in aliases]

    def let_in(self, account: str) -> None:
        """See the port."""
        with answering(self._service), _about(self._service, account):
            lambdas, live, name = self._connect(), self._live(), PREFIX + account
            alias = self._found(lambda: lambdas.get_alias(FunctionName=self._function, Name=name))
            wanted = {"FunctionName": self._function, "Name": name, "FunctionVersion": live.version}
            if alias is None:
                alias = lambdas.create_alias(**wanted, Description=UNFINISHED)
            # Nobody comes in before it is said where what fails goes.
            self._keep_what_fails(name, live)
            self._permit(name, account)
            if not live.is_followed_by(alias, account):
                lambdas.update_alias(**wanted, Description=live.description(account))

    def shut_out(self, account: str) -> None:
        """See the port."""
        lambdas, at = self._connect(), {"FunctionName": self._function, "Qualifier": PREFIX + account}
        with answering(self._service), _about(self._service, account):
            self._found(lambda: lambdas.remove_permission(**at, StatementId=STATEMENT + account))
            self._found(lambda: lambdas.delete_function_event_invoke_config(**at))
            self._found(lambda: lambdas.delete_alias(FunctionName=self._function, Name=PREFIX + account))

    def _live(self) -> _Live:
        """Read what aliases have to be like."""
        version = self._connect().get_alias(FunctionName=self._function, Name=LIVE)["FunctionVersion"]
        return _Live(version, self._settings(LIVE))

    def _settings(self, alias: str) -> dict[str, Any] | None:
        """Read the settings of an alias for events that fail; None if it has none."""
        lambdas = self._connect()
        found = self._found(
            lambda: lambdas.get_function_event_invoke_config(FunctionName=self._function, Qualifier=alias)
        )
        return None if found is None else {name: found[name] for name in SETTINGS if name in found}

    def _keep_what_fails(self, alias: str, live: _Live) -> None:
        """Give an alias the settings of `live` for events that fail."""
        if live.settings is not None and live.settings != self._settings(alias):
            at = {"FunctionName": self._function, "Qualifier": alias}
            self._connect().put_function_event_invoke_config(**at, **live.settings)

    def _permit(self, alias: str, account: str) -> None:
        """Let the account, and nobody else, invoke its alias."""
        lambdas, at = self._connect(), {"FunctionName": self._function, "Qualifier": alias}
        policy = self._found(lambda: lambdas.get_policy(**at))
        statements = [] if policy is None else json.loads(policy["Policy"])["Statement"]
        if not any(statement.get("Sid") == STATEMENT + account for statement in statements):
            named = {"StatementId": STATEMENT + account, "Principal": account}
            lambdas.add_permission(**at, **named, Action="lambda:InvokeFunction")

    @staticmethod
    def _found(ask: Callable[[], Any]) -> Any:
        """Do what is asked; None if what it is about is not there."""
        try:
            return ask()
        except ClientError as error:
            if error.response["Error"]["Code"] != NOT_THERE:
                raise
            return None


@contextlib.contextmanager
def _about(service: str, account: str) -> Iterator[None]:
    """Raise the domain's error where a service refuses what is asked for one account: others are not concerned.

    It refuses an account that there is not, or not any more (Lambda API reference, "AddPermission").

    Raises:
        ServiceRefusedError: with the service's word for the cause.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in UNANSWERED:
            raise
        raise ServiceRefusedError(service, f"the alias of account {account}", code) from error
