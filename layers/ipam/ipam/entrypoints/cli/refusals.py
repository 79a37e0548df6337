"""Refusals: one line on standard error, with the next step, and exit code 1.

Where a stack is told of properties of its template, a person at a keyboard is told of options and other commands.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Final

import typer
from rich.text import Text
from typer.core import TyperGroup

from ipam.domain.errors import (
    AllocationRuleError,
    BlueprintError,
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    InUseError,
    IpamError,
    MissingTagError,
    NetmaskLengthError,
    NetworkInUseError,
    NoPoolForRequestError,
    NoSuchAllocationError,
    NoSuchPoolError,
    NoSuchPreviewError,
    NoSuchScopeError,
    NoSuchTenantError,
    NotSetUpError,
    PoolExhaustedError,
    PoolMismatchError,
    QuotaExceededError,
    RotationUnfinishedError,
    ServiceRefusedError,
    ServiceUnavailableError,
    SeveralScopesError,
    StoreUnavailableError,
    SupersededError,
)
from ipam.entrypoints.cli import aws_words
from ipam.entrypoints.cli.outlet import printing
from ipam.entrypoints.cli.render import console, plain
from ipam.entrypoints.cli.render_rows import shown_end
from ipam.entrypoints.cli.rows.values import when
from ipam.entrypoints.properties import shown
from ipam.entrypoints.reasons import beside, sentence
from ipam.entrypoints.reasons.pools import LISTS, WIDTH, whose
from ipam.settings import SettingError


class RefusedError(Exception):
    """A command that the command line itself refuses: the whole sentence, with the next step."""


OPTIONS: Final = {"locale": "--locale", "family": "--family", "allocation_type": "--type", "tags": "--pool-tag"}
"""Options of `ipam allocate` by the fact of a pool that they are compared with."""


class RefusingGroup(TyperGroup):
    """The commands, of which each may be refused."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line: also what is printed before there is a command may have no room."""
        with printing():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with printing():
            return self._run(ctx)

    def _run(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except IpamError as error:
            text = " ".join(each for each in (refusal(error), beside(error)) if each)
        except RefusedError as error:
            text = str(error)
        except SettingError as error:
            text = f"{error}; they are outputs of the stack."
        except Exception as error:
            if not aws_words.is_from_aws(error):
                raise
            text = aws_words.said(error)
        console(stderr=True).print(Text.assemble(("refused: ", "bold red"), plain(text)), soft_wrap=True)
        raise typer.Exit(1)


@singledispatch
def refusal(error: IpamError) -> str:
    """Say why a command is refused: as a stack is told, but where the next step is another one at a keyboard."""
    return sentence(error)


@refusal.register
def _(error: NoSuchPoolError) -> str:
    return f"There is no pool {shown(error.selector)}. `ipam pool list` lists them."


@refusal.register
def _(error: BlueprintError) -> str:
    end = "" if error.why.endswith("?") else "."
    return f"{error.place}: {error.said} is refused: {error.why}{end}"


@refusal.register
def _(error: NoSuchScopeError) -> str:
    return f"There is no scope {shown(error.selector)}. `ipam scope list` lists them."


@refusal.register
def _(error: RotationUnfinishedError) -> str:
    return (
        f"Account {error.account} was given another key lately, and the one before is good until "
        f"{shown_end(when(error.until))}: a rotation now would end it. Wait, or end all others at once (`--no-grace`)."
    )


@refusal.register
def _(error: NoSuchTenantError) -> str:
    return f"Account {error.account} is no tenant. `ipam tenant add {error.account}` lets it in."


@refusal.register
def _(error: NoPoolForRequestError) -> str:
    region = f" in {shown(error.locale)}" if error.locale else ""
    tags = " with " + ", ".join(shown(f"{key}={value}") for key, value in error.tags) if error.tags else ""
    return (
        f"No IPv{error.family} pool serves the type {error.allocation_type}{region}{tags}. "
        "Name pools, or choose by --locale, --type, --family and --pool-tag; `ipam pool list` lists them."
    )


@refusal.register
def _(error: SeveralScopesError) -> str:
    return (
        f"IPv{error.family} pools of several scopes serve the type {error.allocation_type} in {shown(error.locale)}, "
        f"and none of the default scope: {', '.join(shown(scope) for scope in error.scopes)}. "
        "Name pools; `ipam pool list` lists them."
    )


@refusal.register
def _(error: PoolMismatchError) -> str:
    option = OPTIONS.get(error.fact, error.fact)
    has = shown(error.has) if error.has else "none"
    return f"Pool {shown(error.pool)} does not serve {option} {shown(error.wants)}: it has {has}. Name another pool."


@refusal.register
def _(error: NetmaskLengthError) -> str:
    pool = shown(error.pool)
    if error.asked is None:
        return f"Pool {pool} has no default netmask length. Say one with --netmask-length."
    if error.rule == "AllocationMinNetmaskLength":
        return f"A /{error.asked} is larger than pool {pool} allows: its largest block is a /{error.limit}."
    if error.rule == "AllocationMaxNetmaskLength":
        return f"A /{error.asked} is smaller than pool {pool} allows: its smallest block is a /{error.limit}."
    if error.rule == WIDTH:
        return f"{pool} has no /{error.asked}: its netmask lengths end at {error.limit}. Say another length."
    return f"A /{error.asked} is against {error.rule} {error.limit} of pool {pool}. Say another length."


@refusal.register
def _(error: MissingTagError) -> str:
    has = "" if error.has is None else f", not {shown(error.has)}"
    return (
        f"Pool {shown(error.pool)} requires the tag {shown(error.key)} with the value {shown(error.value)}{has}. "
        "Add it with --tag."
    )


@refusal.register
def _(error: AllocationRuleError) -> str:
    return (
        f"{error.value} is against {error.rule} {error.limit} of pool {shown(error.pool)}. "
        "Take another block, or change the rule with `ipam pool edit`."
    )


@refusal.register
def _(_error: NoSuchPreviewError) -> str:
    # A token is a right to its block: it is not repeated.
    return (
        "That token names no block that is held and fits what is asked: it may be redeemed or over already. "
        "`ipam preview` holds another one."
    )


@refusal.register
def _(error: PoolExhaustedError) -> str:
    if not error.provisioned:
        return f"Pool {shown(error.pool)} has no CIDR yet. `ipam cidr provision` gives it one."
    if not error.permitted:
        return (
            f"{LISTS} of {whose(error.limited_by)} leave no /{error.asked} of {shown(error.pool)}. "
            f"Say another length, or change the pool's with `ipam pool edit {error.pool}`."
        )
    within = f" within {LISTS} of {whose(error.limited_by)}" if error.limited_by else ""
    largest = "nothing is free" if error.largest is None else f"the largest free block is {error.largest}"
    cooling = "nothing is cooling"
    if error.cooling_until is not None:
        cooling = f"{error.cooling_blocks} cooling, the next free {when(error.cooling_until):%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"Pool {shown(error.pool)} has no free /{error.asked}{within}: {largest}; {cooling}. "
        f"`ipam plan show {error.pool}` shows who has it."
    )


@refusal.register
def _(error: InUseError) -> str:
    users = ", ".join(error.users) + (
        f" and {error.count - len(error.users)} more" if error.count > len(error.users) else ""
    )
    return (
        f"{shown(error.what)} is in use by {users}. End that first; "
        "`ipam pool delete` and `ipam cidr deprovision` do so with --cascade."
    )


@refusal.register
def _(error: NetworkInUseError) -> str:
    told = sentence(error).split(". ")[0]
    return f"{told}. Delete that first; with --in-use the address is taken back all the same."


@refusal.register
def _(error: QuotaExceededError) -> str:
    return f"{sentence(error).split('. ')[0]}. `ipam tenant show {error.account}` tells what it has."


@refusal.register
def _(_error: SupersededError) -> str:
    return "What this token was for has been released since. Order again, with another token."


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
        until = shown_end(when(error.until))
        return f"{error.cidr} of {shown(error.pool)} is cooling until {until}. Try again then, or take another block."
    return f"{error.cidr} of {shown(error.pool)} is in use, at least in part. `ipam find {error.cidr}` shows by whom."


@refusal.register
def _(error: ContendedError) -> str:
    return f"Too many changes of {shown(error.pool)} at once ({error.attempts} attempts). Run the command again."


@refusal.register
def _(error: ServiceRefusedError) -> str:
    return f"{error.service} refuses {error.what} ({error.code}). If there is no such account, `ipam tenant remove` it."


@refusal.register
def _(error: NotSetUpError) -> str:
    return f"{error.code}. Set it to the output CnCidrServiceToken of the stack in the home Region."


@refusal.register
def _(error: ServiceUnavailableError) -> str:
    return f"{error.service} did not answer{aws_words.place(error)} ({error.code}). Run the command again in a minute."


@refusal.register
def _(error: StoreUnavailableError) -> str:
    where = aws_words.place(error)
    return f"The table did not answer{where} ({error.code}). Nothing is half done: run the command again in a minute."
