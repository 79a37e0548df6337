"""`ipam release` and `ipam renew`: what an administrator does to what somebody else holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import held, words
from ipam.entrypoints.cli.ask import ask, say
from ipam.entrypoints.cli.context import Format, Output, Yes
from ipam.entrypoints.cli.in_use import InUseToo  # noqa: TC001 - typer reads it
from ipam.entrypoints.cli.refusals import RefusedError
from ipam.entrypoints.cli.render_rows import show_one, shown_end, shown_time
from ipam.entrypoints.cli.rows import AllocationRow, Holder, when
from ipam.services.in_use import used_now
from ipam.services.plan import current_plan
from ipam.services.ports import NoDeadline
from ipam.services.release_by_administrator import release_by_administrator
from ipam.services.renew import renew as prolong

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation
    from ipam.domain.plan import Plan

What = Annotated[str, typer.Argument(metavar="ID|CIDR", help="The id of an allocation, or exactly its block.")]
OfPool = Annotated[str | None, typer.Option("--pool", help="Where the block is from, by name or id.")]


def release(  # noqa: PLR0913 - each parameter is an option
    context: typer.Context,
    what: What,
    *,
    pool: OfPool = None,
    in_use_too: InUseToo = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Take a block back from whoever holds it. It cools as long as its pool says. Asks first.

    Nothing tells the holder, and what runs there goes on running: this is for what nobody will give back any more. What
    a network of its stack's account still uses stays, where the role IPAM_DISCOVERY_ROLE lets that be seen.
    """
    ports = shared.ports()
    plan = current_plan(ports)
    found = held.allocation(ports, plan, what, pool)
    _check(plan, found)
    used = None if in_use_too else used_now(ports, found.owner, found)
    if used is not None:
        raise used
    holder = Holder.of(plan, found.owner)
    of = f", account {found.account}" if found.account else ""
    since = shown_time(when(found.created))
    ask(f"{found.cidr} of pool {_pool(plan, found)} is held by {holder.shown}{of}, since {since}. Release it?", yes=yes)
    lease = ports.store.lease(found.pool_id, found.cidr)
    outcome = release_by_administrator(ports, found, shared.cause(), NoDeadline())
    form = shared.chosen(context, output)
    if form is not Format.table:
        show_one([AllocationRow.of(plan, found, lease)], form)
        return
    print(found.cidr, found.allocation_id)
    if outcome == "already-released":
        say("Somebody else has given it back meanwhile: nothing was changed.")
        return
    seconds = 0 if lease is not None and lease.preview else plan.space(found.pool_id).cooling_seconds
    say(f"Released. It cools for {words.lasting(seconds)}." if seconds else "Released.")


def renew(
    context: typer.Context,
    what: What,
    *,
    pool: OfPool = None,
    lasts: Annotated[
        int | None,
        typer.Option(
            "--for", metavar="TIME", parser=words.duration, help="From now on; else as long as the pool says."
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Let the lease of an allocation begin anew. It never ends earlier for that. Prints when it ends now."""
    ports = shared.ports()
    plan = current_plan(ports)
    found = held.allocation(ports, plan, what, pool)
    lease = ports.store.lease(found.pool_id, found.cidr)
    if lease is None or lease.allocation_id != found.allocation_id:
        raise RefusedError(f"{found.cidr} of pool {_pool(plan, found)} has no lease: it lasts until it is released.")
    if lease.preview:
        raise RefusedError(f"{found.cidr} is only held by a preview: `ipam allocate --preview-token` takes it.")
    seconds = lasts or plan.space(found.pool_id).rules.lease_seconds
    if seconds is None:
        raise RefusedError(f"Pool {_pool(plan, found)} gives no leases any more. Say how long with --for.")
    renewed = prolong(ports, lease, seconds, shared.cause(), NoDeadline())
    form = shared.chosen(context, output)
    if form is Format.table:
        print(found.cidr, found.allocation_id)
        say(f"Its lease ends {shown_end(when(renewed.until))}.")
    else:
        show_one([AllocationRow.of(plan, found, renewed)], form)


def _check(plan: Plan, found: Allocation) -> None:
    """Refuse what is not to be released by itself.

    Raises:
        RefusedError: with the command that ends it.
    """
    if found.owner.party in plan.pools:
        name = plan.pools[found.owner.party].name
        why = f"{found.cidr} is what pool {name} gives from."
        raise RefusedError(f"{why} `ipam cidr deprovision {name} {found.cidr}` takes it back.")
    if found.divided_by:
        divider = plan.pools.get(found.divided_by)
        name = found.divided_by if divider is None else divider.name
        raise RefusedError(
            f"{found.cidr} is divided by the subnet pool {name}. `ipam pool delete {name}` ends that first."
        )


def _pool(plan: Plan, found: Allocation) -> str:
    return plan.space(found.pool_id).name
