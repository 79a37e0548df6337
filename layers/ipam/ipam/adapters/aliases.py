"""Aliases of the function that serves stacks, one a tenant account, each with a policy for that account alone.

A stack's function is invoked with the rights of whoever deploys the stack. An alias that one account only may invoke
therefore proves the account, which nothing in an event does (Lambda developer guide, "Working with resource-based IAM
policies in Lambda"). What fails is sent to the same queue as everywhere: that is said for each alias, too.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ipam.adapters.aws import answering
from ipam.domain.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE: Final = "AWS Lambda"
LIVE: Final = "live"
PREFIX: Final = "tenant-"
STATEMENT: Final = "LetInTheTenant"
THERE: Final = "ResourceConflictException"
NOT_THERE: Final = "ResourceNotFoundException"


class TenantAliases:
    """`ipam.services.ports.Aliases` of one function."""

    def __init__(self, function: str, connect: Callable[[], Any]) -> None:
        """Work on a function by the ARN of its alias `live`; the client is made with `connect` when it is needed."""
        self._function, _, self._alias = function.rpartition(":")
        self._connect = functools.cache(connect)

    def let_in(self, account: str) -> bool:
        """See the port."""
        if self._alias != LIVE:
            raise ServiceUnavailableError(SERVICE, "IPAM_CN_CIDR_FUNCTION is not the ARN of the alias `live`")
        with answering(SERVICE):
            version = self._connect().get_alias(FunctionName=self._function, Name=LIVE)["FunctionVersion"]
            changed = self._point(PREFIX + account, version)
            changed |= self._permit(PREFIX + account, account)
            return changed | self._keep_what_fails(PREFIX + account)

    def shut_out(self, account: str) -> None:
        """See the port."""
        with answering(SERVICE):
            # The policy and the rest of the alias go with it.
            self._connect().delete_alias(FunctionName=self._function, Name=PREFIX + account)

    def _point(self, alias: str, version: str) -> bool:
        """Make an alias, or bring it to a version; say whether it was not there already."""
        lambdas = self._connect()
        wanted = {"FunctionName": self._function, "Name": alias, "FunctionVersion": version}
        present = self._found(lambda: lambdas.get_alias(FunctionName=self._function, Name=alias))
        if present is None:
            lambdas.create_alias(**wanted, Description="Of one tenant account of cn-ipam.")
        elif present["FunctionVersion"] != version:
            lambdas.update_alias(**wanted)
        return present is None or present["FunctionVersion"] != version

    def _permit(self, alias: str, account: str) -> bool:
        """Let the account, and nobody else, invoke its alias; say whether it was not let already."""
        try:
            self._connect().add_permission(
                FunctionName=self._function,
                Qualifier=alias,
                StatementId=STATEMENT,
                Action="lambda:InvokeFunction",
                Principal=account,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != THERE:
                raise
            return False
        return True

    def _keep_what_fails(self, alias: str) -> bool:
        """Give an alias the settings of `live` for events that fail; say whether it had others."""
        lambdas = self._connect()
        names = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")

        def settings(of: str) -> dict[str, Any] | None:
            found = self._found(
                lambda: lambdas.get_function_event_invoke_config(FunctionName=self._function, Qualifier=of)
            )
            return None if found is None else {name: found[name] for name in names if name in found}

        wanted = settings(LIVE)
        if wanted is None or wanted == settings(alias):
            return False
        lambdas.put_function_event_invoke_config(FunctionName=self._function, Qualifier=alias, **wanted)
        return True

    @staticmethod
    def _found(ask: Callable[[], Any]) -> Any:
        """Give what is asked for; None if it is not there."""
        try:
            return ask()
        except ClientError as error:
            if error.response["Error"]["Code"] != NOT_THERE:
                raise
            return None
