"""`ipam find`: who holds what, and what is around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam.domain.cidr import Cidr
from ipam.domain.errors import MalformedCidrError, NoSuchPoolError
from ipam.domain.ids import ALLOCATION_PREFIX, POOL_PREFIX, is_allocation_id
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli.context import Format, Output
from ipam.entrypoints.cli.render import UNBROKEN, console
from ipam.entrypoints.cli.render_find import picture
from ipam.entrypoints.cli.render_rows import show
from ipam.entrypoints.cli.rows import FoundRow
from ipam.services.find import find_allocation, find_block, find_held
from ipam.services.plan import current_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.plan import Plan
    from ipam.services.find import Place
    from ipam.services.ports import Ports

STACK_PREFIX: Final = "arn:"


def find(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(metavar="ADDRESS|CIDR|ID", help="Address or block, or the id of an allocation, pool or stack."),
    ],
    output: Output = None,
) -> None:
    """Tell who holds an address, since when and for which stack, where it is in the plan, and what is around it.

    An address is looked for in every scope. Of a stack or a pool, all that it holds is found.
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
    if what.startswith(ALLOCATION_PREFIX):
        if not is_allocation_id(what):
            why = f"{what!r} is not an allocation id: {ALLOCATION_PREFIX} and 32 hexadecimal digits"
            raise typer.BadParameter(why, param_hint="ID")
        return [find_allocation(ports, plan, what)]
    if what.startswith(POOL_PREFIX):
        if what not in plan.pools:
            raise NoSuchPoolError(what)
        return find_held(ports, plan, what)
    if what.startswith(STACK_PREFIX):
        return find_held(ports, plan, what)
    return find_block(ports, plan, _block(what))


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
