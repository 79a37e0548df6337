"""Refusals: one line on standard error, with the next step, and exit code 1."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from ipam.domain.errors import (
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    IpamError,
    NoSuchAllocationError,
    NoSuchPoolError,
    StoreUnavailableError,
)
from ipam.entrypoints.cli.render import console
from ipam.entrypoints.properties import shown
from ipam.entrypoints.reasons import reason
from ipam.settings import SettingError


class RefusingGroup(TyperGroup):
    """The commands, of which each may be refused."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (IpamError, SettingError) as error:
            text = refusal(error) if isinstance(error, IpamError) else f"{error}; they are outputs of the stack."
        except Exception as error:
            if not _is_from_aws(error):
                raise
            text = (
                f"{error}. Check credentials, AWS_PROFILE, AWS_REGION, IPAM_TABLE_NAME and the command's permissions."
            )
        console(stderr=True).print(Text.assemble(("refused: ", "bold red"), text), soft_wrap=True)
        raise typer.Exit(1)


def _is_from_aws(error: Exception) -> bool:
    """Whether an error is AWS's own or its client's: not allowed, not logged in, no such table.

    The client library is spoken in the adapters only, and they let through what they don't know.
    """
    return any(kind.__module__ == "botocore.exceptions" for kind in type(error).__mro__)


@singledispatch
def refusal(error: IpamError) -> str:
    """Say why a command is refused: as a stack is told, but where the next step is another one at a keyboard."""
    return reason(error)


@refusal.register
def _(error: NoSuchPoolError) -> str:
    return f"There is no pool {shown(error.selector)}. `ipam pool list` lists them."


@refusal.register
def _(error: NoSuchAllocationError) -> str:
    return (
        f"No pool has an allocation {shown(error.allocation_id)}, and none cools. "
        "`ipam history POOL` shows what was released, and when."
    )


@refusal.register
def _(error: CidrNotInPoolError) -> str:
    name = shown(error.pool)
    return f"{error.cidr} is not in the space of {name}. `ipam cidr list {error.pool}` lists what it has."


@refusal.register
def _(error: CidrNotFreeError) -> str:
    if error.until is not None:
        return f"{reason(error).split('. ')[0]}. Try again then, or take another block."
    return f"{error.cidr} of {shown(error.pool)} is in use, at least in part. `ipam find {error.cidr}` shows by whom."


@refusal.register
def _(error: ContendedError) -> str:
    return f"Too many changes of {shown(error.pool)} at once ({error.attempts} attempts). Run the command again."


@refusal.register
def _(error: StoreUnavailableError) -> str:
    return f"The table did not answer ({error.code}). Nothing is half done: run the command again in a minute."
