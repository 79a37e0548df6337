"""`ipam allocate` and `ipam preview`: a block for whoever asks at the keyboard.

Each order is a holder of its own, named by its token. So the same order again, with the same token, gives the same
block; and what the command line holds never grows into one large record, or into one partition of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from ipam.domain.cidr import Cidr
from ipam.domain.errors import NoSuchPreviewError
from ipam.domain.ids import ALLOCATION_PREFIX
from ipam.domain.owner import digest
from ipam.domain.plan import Ask
from ipam.domain.preview import Token, read_token
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.ask import say
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.pool_options import AddressFamily, Kind
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render_rows import show_one, shown_end
from ipam.entrypoints.cli.rows import GrantRow
from ipam.entrypoints.cli.rows.holders import by_command
from ipam.entrypoints.explanations import OTHERWISE, WHY
from ipam.services.allocate import allocate as serve
from ipam.services.plan import current_plan
from ipam.services.ports import NoDeadline
from ipam.services.request import AllocateRequest

if TYPE_CHECKING:
    from ipam.domain.cidr import Family
    from ipam.domain.plan import Plan
    from ipam.domain.pool import AllocationType, Pool, Tag
    from ipam.services.ports import Ports
    from ipam.services.request import Allocated

TOKEN_DIGITS: Final = 16
"""Hexadecimal digits of the token of an order that was not given one."""

MAX_HOLD: Final = 30 * 24 * 3600
"""Seconds for which a preview is held at most."""

CUSTOM: Final = "custom"


Pools = Annotated[list[str] | None, typer.Argument(metavar="POOL", help="Pools, by name or id, tried in this order.")]
Length = Annotated[
    int | None,
    typer.Option(
        "--netmask-length", "-n", metavar="LENGTH", parser=words.netmask_length, help="How large; else the pool's."
    ),
]
Block = Annotated[
    Cidr | None, typer.Option("--cidr", metavar="CIDR", parser=Cidr.parse, help="This exact block instead of any.")
]
Locale = Annotated[str | None, typer.Option(help="Region that it is for; by itself, it chooses among its pools.")]
Type = Annotated[Kind | None, typer.Option("--type", help="What it is for; else what the pool serves, or custom.")]
OfFamily = Annotated[AddressFamily | None, typer.Option("--family", help="Else the pool's, or ipv4.")]
PoolTags = Annotated[
    list[str] | None, typer.Option("--pool-tag", metavar="KEY=VALUE", help="Only from pools with this tag.")
]
Description = Annotated[str, typer.Option(metavar="TEXT", parser=words.description, help="What it is for, in words.")]
Account = Annotated[
    str | None,
    typer.Option(metavar="ACCOUNT", parser=words.account, help="AWS account that it is for, whose quota counts."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Tag of the network that it is for.")
]
OrderToken = Annotated[
    str | None,
    typer.Option("--token", parser=words.token, help="Names this order: the same token again gives the same."),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for at the keyboard, and what is still left open."""

    pools: tuple[str, ...]
    length: int | None
    cidr: Cidr | None
    locale: str | None
    kind: str | None
    family: AddressFamily | None
    pool_tags: tuple[Tag, ...]
    description: str
    account: str
    tags: tuple[Tag, ...]
    token: str

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.length is not None and self.cidr is not None:
            raise typer.BadParameter("an exact block has its length: say one of the two", param_hint="--netmask-length")


def allocate(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    pools: Pools = None,
    *,
    length: Length = None,
    cidr: Block = None,
    locale: Locale = None,
    kind: Type = None,
    family: OfFamily = None,
    pool_tags: PoolTags = None,
    description: Description = "",
    account: Account = None,
    tags: Tags = None,
    token: OrderToken = None,
    preview_token: Annotated[
        str, typer.Option(metavar="TOKEN", help="Take the block that `ipam preview` holds under this token.")
    ] = "",
    output: Output = None,
) -> None:
    """Allocate a block: from the first of the named pools with room, or of those that fit. Prints it and its id.

    Standard error explains the choice. Sharing and approval are rules for tenants and do not apply; all others do.
    """
    chosen, own = words.tags(pool_tags, "--pool-tag"), words.tags(tags, "--tag")
    facts = (description, account or "", own, token or "")
    wanted = Wanted(tuple(pools or ()), length, cidr, locale, kind, family, chosen, *facts)
    ports = shared.ports()
    plan = current_plan(ports)
    if preview_token:
        wanted = _redeemed(ports, plan, wanted, preview_token)
    wanted = _ordered(ports, wanted)
    allocated = _serve(ports, wanted, replace(_ask(plan, wanted), preview_token=preview_token), seconds=0)
    _tell(context, GrantRow.of(plan, allocated, wanted.account, wanted.token, None), output)


def preview(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    pools: Pools = None,
    *,
    length: Length = None,
    cidr: Block = None,
    locale: Locale = None,
    kind: Type = None,
    family: OfFamily = None,
    pool_tags: PoolTags = None,
    description: Description = "",
    account: Account = None,
    tags: Tags = None,
    token: OrderToken = None,
    hold: Annotated[
        int, typer.Option("--for", metavar="TIME", parser=words.duration, help="How long: 600, 90m, 12h, 2d.")
    ] = "1h",  # type: ignore[assignment] # a default is read as the option is
    output: Output = None,
) -> None:
    """Hold a block for a time, for whoever comes with its token first. Prints the block and the token.

    It is redeemed by `ipam allocate --preview-token`, or by PreviewToken in a template: of the account that it was
    held for, or of any if none was named. Unredeemed, it is free again afterwards.
    """
    if hold > MAX_HOLD:
        raise typer.BadParameter(f"a preview is held for {words.lasting(MAX_HOLD)} at most", param_hint="--for")
    chosen, own = words.tags(pool_tags, "--pool-tag"), words.tags(tags, "--tag")
    facts = (description, account or "", own, token or "")
    wanted = Wanted(tuple(pools or ()), length, cidr, locale, kind, family, chosen, *facts)
    ports = shared.ports()
    plan = current_plan(ports)
    wanted = _ordered(ports, wanted)
    allocated = _serve(ports, wanted, replace(_ask(plan, wanted), preview=True), seconds=hold)
    grant = allocated.grant
    held = Token(grant.allocation_id, grant.pool_id, grant.cidr)
    _tell(context, GrantRow.of(plan, allocated, wanted.account, wanted.token, str(held)), output)


def _ordered(ports: Ports, wanted: Wanted) -> Wanted:
    """Name the order, if it was not."""
    return wanted if wanted.token else replace(wanted, token=ports.chance.hex_digits(TOKEN_DIGITS))


def _redeemed(ports: Ports, plan: Plan, wanted: Wanted, text: str) -> Wanted:
    """Complete an order by what is known of the preview that it redeems.

    The order is named by the preview, so that a repetition finds what it was given.
    """
    token = read_token(text)
    if token is None or token.pool_id not in plan.pools:
        raise NoSuchPreviewError(text)
    if wanted.pools or wanted.locale or wanted.pool_tags:
        raise typer.BadParameter("the token says the pool: leave the choice out", param_hint="--preview-token")
    order = wanted.token or token.allocation_id.removeprefix(ALLOCATION_PREFIX)
    wanted = replace(wanted, pools=(token.pool_id,), token=order)
    held = ports.store.allocation(token.pool_id, token.cidr)
    if held is None:
        return wanted
    return replace(
        wanted,
        kind=wanted.kind or held.allocation_type,
        account=wanted.account or held.account,
        description=wanted.description or held.description,
        tags=wanted.tags or held.tags,
    )


def _ask(plan: Plan, wanted: Wanted) -> Ask:
    """Say to the engine what is asked for; what was left open is as the first of the named pools has it."""
    pools = [plan.named(name) for name in wanted.pools]
    first = pools[0] if pools else None
    family = int(wanted.family.value[-1]) if wanted.family else None
    if family is None:
        family = wanted.cidr.family if wanted.cidr else first.family if first else 4
    kind = wanted.kind
    if kind is None:
        kind = next(iter(first.allocation_types)) if first and len(first.allocation_types) == 1 else CUSTOM
    return Ask(
        pool_id=None,
        pool_name=None,
        locale=_locale(pools) if wanted.locale is None else wanted.locale,
        allocation_type=cast("AllocationType", kind),
        family=cast("Family", family),
        netmask_length=wanted.length,
        cidr=wanted.cidr,
        pools=wanted.pools,
        pool_tags=wanted.pool_tags,
    )


def _locale(pools: list[Pool]) -> str:
    """Tell the Region that all of the named pools are for."""
    locales = sorted({pool.locale for pool in pools})
    if not pools:
        raise typer.BadParameter("name pools, or choose by --locale", param_hint="POOL")
    if len(locales) > 1:
        several = ", ".join(locale or "none" for locale in locales)
        raise typer.BadParameter(f"the pools are for several Regions ({several}): say one", param_hint="--locale")
    return locales[0]


def _serve(ports: Ports, wanted: Wanted, ask: Ask, *, seconds: int) -> Allocated:
    """Have an order served.

    Raises:
        RefusedError: its token names another order, which has something.
    """
    request = AllocateRequest(
        owner=by_command(wanted.token),
        account=wanted.account,
        ask=ask,
        description=wanted.description,
        requested=ports.clock.now(),
        cause=shared.cause(),
        tags=wanted.tags,
        preview_seconds=seconds,
        by_administrator=True,
    )
    record = ports.store.owner(request.owner)
    for grant in record.grants:
        redeemed = grant.preview and ask.preview_token.startswith(grant.allocation_id)
        if not redeemed and digest(ask) not in grant.asks:
            raise RefusedError(f"The token {wanted.token} names another order, which has {grant.cidr}. Take another.")
    allocated = serve(ports, request, NoDeadline(), record)
    expires = allocated.grant.expires
    if expires is not None and expires <= ports.clock.now():
        raise RefusedError(f"What the order {wanted.token} had is over. Take another token.")
    return allocated


def _tell(context: typer.Context, row: GrantRow, output: Format | None) -> None:
    """Print what was given; for people, the explanation beside it."""
    form = shared.chosen(context, output)
    if form is not Format.table:
        show_one([row], form)
        return
    print(row.cidr, row.preview_token or row.allocation_id)
    for passed in row.passed_over:
        name, _, why = passed.rpartition(":")
        say(f"Pool {name} was passed over: it {WHY.get(why, OTHERWISE)}.")
    if row.outcome == "kept":
        say(f"From pool {row.pool}. The order {row.token} was given it before: nothing was changed.")
    else:
        say(f"From pool {row.pool}. `--token {row.token}` with the same words gives the same again.")
    if row.preview_token:
        say(f"Held until {shown_end(row.expires)}; `ipam allocate --preview-token` or PreviewToken takes it.")
    elif row.expires is not None:
        say(f"Its lease ends {shown_end(row.expires)}; `ipam renew {row.allocation_id}` prolongs it.")
