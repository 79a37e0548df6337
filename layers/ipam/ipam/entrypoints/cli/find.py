"""`ipam find`: who holds what, and what is around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from ipam.domain.errors import MalformedCidrError, NoSuchAllocationError, NoSuchPoolError
from ipam.domain.ids import ALLOCATION_PREFIX, POOL_PREFIX
from ipam.domain.preview import read_token
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.held import allocation_id
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render import plain, put
from ipam.entrypoints.cli.render_find import picture
from ipam.entrypoints.cli.render_rows import show, shown_time
from ipam.entrypoints.cli.rows import FoundRow, when
from ipam.entrypoints.cli.rows.holders import COMMAND_LINE
from ipam.services.find import find_allocation, find_block, find_held, last_record, search
from ipam.services.find import place as place_of
from ipam.services.import_rows import IMPORTED
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.cidr import Cidr
    from ipam.domain.plan import Plan
    from ipam.services.find import Place
    from ipam.services.ports import Ports

COLUMNS: Final = ("cidr", "pool", "account", "holder", "resource", "since", "allocation_id", "description", "tags")

PARTIES: Final = ("arn:", COMMAND_LINE, IMPORTED)
"""How the ids of holders begin that are no pools."""


def find(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS|CIDR|ID|WORD|KEY=VALUE",
            help="Address or block; the id of an allocation, pool or holder; a word of what is said of it; or a tag.",
        ),
    ],
    output: Output = None,
) -> None:
    """Tell who holds an address, since when and for which stack, where it is in the plan, and what is around it.

    An address is looked for in every scope. Of a stack, a pool or another holder, all that it holds is found. Any
    other word is looked for in the description, holder, account and resource of every allocation, and in the VPC that
    a pool divides, whatever its letters' case; KEY=VALUE among the tags. What is found so is listed.
    """
    ports = shared.ports()
    plan = current_plan(ports)
    form = shared.chosen(context, output)
    places = _places(ports, plan, what)
    if places is None:
        with watching("reading") as watch:
            listed = list(search(ports, plan, what, watch))
        rows = (FoundRow.block(plan, place, "here", place.blocks[0]) for place in listed)
        show(FoundRow, rows, COLUMNS, form)
    elif form is not Format.table:
        show(FoundRow, _rows(plan, places), (), form)
    elif not places:
        put(Text(plain(f"{what} holds nothing")))
    else:
        for place in places:
            put(picture(plan, place))


def _places(ports: Ports, plan: Plan, what: str) -> list[Place] | None:
    """Find what is meant, by the form of the word; None if it is a word to be looked for."""
    token = read_token(what)
    if token is not None and token.pool_id in plan.pools:
        return [place_of(ports, plan, token.pool_id, token.cidr)]
    if what.startswith(ALLOCATION_PREFIX):
        return [_by_id(ports, plan, allocation_id(what))]
    if what.startswith(POOL_PREFIX):
        if what not in plan.pools:
            raise NoSuchPoolError(what)
        return find_held(ports, plan, what)
    if what.startswith(PARTIES):
        return find_held(ports, plan, what)
    block = _block(what)
    if block is not None:
        return find_block(ports, plan, block)
    if not what.strip():
        raise typer.BadParameter("it is empty", param_hint="ADDRESS|CIDR|ID|WORD|KEY=VALUE")
    named = [pool.pool_id for pool in plan.pools.values() if pool.name == what]
    return find_held(ports, plan, named[0] if named else what) or None


def _by_id(ports: Ports, plan: Plan, wanted: str) -> Place:
    """Find an allocation, or say what became of it.

    Raises:
        RefusedError: it is gone: with the last that was written down of it.
        NoSuchAllocationError: it never was.
    """
    with watching("reading") as watch:
        try:
            return find_allocation(ports, plan, wanted, watch)
        except NoSuchAllocationError:
            last = last_record(ports, plan, wanted, watch)
    if last is None or last.cidr is None:
        raise NoSuchAllocationError(wanted)
    pool = plan.space(last.subject).name
    was = f"{wanted} was {last.cidr} of {pool}: {last.event} {shown_time(when(last.at))}, by {last.cause}."
    raise RefusedError(f"{was} `ipam history {pool} {last.cidr}` tells the rest.")


def _block(text: str) -> Cidr | None:
    """Read an address, or a block; None if it is neither."""
    try:
        return words.block(text)
    except MalformedCidrError as error:
        if "/" in text:
            raise
        canonical = (error.canonical or "").partition("/")[0]
        meant = f"; write {canonical}" if canonical else ""
        raise typer.BadParameter(
            f"{text!r} is no address{meant}", param_hint="ADDRESS|CIDR|ID|WORD|KEY=VALUE"
        ) from None


def _rows(plan: Plan, places: list[Place]) -> Iterator[FoundRow]:
    """Give what was found, then its neighbours, then the levels above."""
    for place in places:
        yield from (FoundRow.block(plan, place, "here", block) for block in place.blocks)
        yield from (FoundRow.block(plan, place, "before", block) for block in place.before)
        yield from (FoundRow.block(plan, place, "after", block) for block in place.after)
        yield from (FoundRow.level(plan, place, level) for level in place.path)
