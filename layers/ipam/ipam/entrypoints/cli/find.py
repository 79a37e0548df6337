"""`ipam find`: who holds what, and what is around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.cidr import Cidr
from ipam.domain.errors import MalformedCidrError, NoSuchAllocationError, NoSuchPoolError
from ipam.domain.ids import ALLOCATION_PREFIX, POOL_PREFIX
from ipam.domain.preview import read_token
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.held import allocation_id
from ipam.entrypoints.cli.progress import watching
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render import UNBROKEN, console
from ipam.entrypoints.cli.render_find import picture
from ipam.entrypoints.cli.render_rows import show, shown_time
from ipam.entrypoints.cli.rows import FoundRow, when
from ipam.entrypoints.cli.rows.holders import COMMAND_LINE
from ipam.services.find import find_allocation, find_block, find_held, last_record
from ipam.services.find import place as place_of
from ipam.services.import_rows import IMPORTED
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.plan import Plan
    from ipam.services.find import Place
    from ipam.services.ports import Ports

PARTIES: Final = ("arn:", COMMAND_LINE, IMPORTED)
"""How the ids of holders begin that are no pools."""


def find(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(metavar="ADDRESS|CIDR|ID", help="Address or block, or the id of an allocation, pool or holder."),
    ],
    output: Output = None,
) -> None:
    """Tell who holds an address, since when and for which stack, where it is in the plan, and what is around it.

    An address is looked for in every scope. Of a stack, a pool or another holder, all that it holds is found.
    """
    ports = shared.ports()
    plan = current_plan(ports)
    places = _places(ports, plan, what)
    form = shared.chosen(context, output)
    if form is not Format.table:
        show(FoundRow, _rows(plan, places), (), form)
        return
    for place in places:
        console(width=UNBROKEN).print(picture(plan, place))
    if not places:
        console().print(f"{what} holds nothing", markup=False)


def _places(ports: Ports, plan: Plan, what: str) -> list[Place]:
    """Find what is meant, by the form of the word."""
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
    return find_block(ports, plan, _block(what))


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


def _block(text: str) -> Cidr:
    """Read an address, which is the smallest block, or a block."""
    if "/" in text:
        return Cidr.parse(text)
    try:
        return Cidr.parse(f"{text}/{128 if ':' in text else 32}")
    except MalformedCidrError as error:
        canonical = (error.canonical or "").partition("/")[0]
        meant = f"; write {canonical}" if canonical else ""
        why = f"{text!r} is no address, CIDR, or id of an allocation, a pool or a stack{meant}"
        raise typer.BadParameter(why, param_hint="ADDRESS|CIDR|ID") from None


def _rows(plan: Plan, places: list[Place]) -> Iterator[FoundRow]:
    """Give what was found, then its neighbours, then the levels above."""
    for place in places:
        yield from (FoundRow.block(plan, place, "here", block) for block in place.blocks)
        yield from (FoundRow.block(plan, place, "before", block) for block in place.before)
        yield from (FoundRow.block(plan, place, "after", block) for block in place.after)
        yield from (FoundRow.level(plan, place, level) for level in place.path)
