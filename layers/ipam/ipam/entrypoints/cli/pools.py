"""`ipam pool`: parts of the plan with rules of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from ipam.domain.errors import (
    AllocationRuleError,
    MissingTagError,
    NetmaskLengthError,
    PoolMismatchError,
    refusal_name,
)
from ipam.domain.pool import NO_QUOTA, NO_RULES, SourceResource
from ipam.entrypoints.cli import context as shared
from ipam.entrypoints.cli import pool_options as options
from ipam.entrypoints.cli import words
from ipam.entrypoints.cli.ask import ask, say
from ipam.entrypoints.cli.cascade import contents
from ipam.entrypoints.cli.context import Format, Output, Yes
from ipam.entrypoints.cli.pool_options import ALL_TYPES, AddressFamily, Given
from ipam.entrypoints.cli.progress import stepping
from ipam.entrypoints.cli.render_rows import show, show_one
from ipam.entrypoints.cli.rows import ComplianceRow, PoolRow, UtilisationRow
from ipam.services.compliance import non_compliant
from ipam.services.memory import PLAN_AGE
from ipam.services.plan import current_plan
from ipam.services.pools import NewPool, create_pool, delete_pool, edit_pool
from ipam.services.scopes import ensure_default_scopes
from ipam.services.utilisation import utilisation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.cidr import Family
    from ipam.domain.errors import PermanentError
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Pool
    from ipam.services.ports import Ports

COLUMNS: Final = ("name", "scope", "source_pool", "locale", "cidrs", "allocation_types", "pool_id")

app = typer.Typer(help="Parts of the plan with rules of their own.", no_args_is_help=True)


@app.command("create")
def create(  # noqa: PLR0913 - a pool has that many properties, and each is an option
    context: typer.Context,
    name: str,
    *,
    scope: Annotated[
        str | None, typer.Option(help="Scope of a top-level pool, by name or id.", show_default="the private one")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Pool that its space comes from, by name or id.")] = None,
    locale: Annotated[str, typer.Option(help="Region that may use it; cannot be changed later.")] = "",
    family: AddressFamily = AddressFamily.ipv4,
    minimum: options.Minimum = None,
    maximum: options.Maximum = None,
    default: options.Default = None,
    types: options.Types = None,
    cooling_seconds: options.Cooling = None,
    max_allocations: options.MaxAllocations = None,
    max_units: options.MaxUnits = None,
    description: options.Description = None,
    tags: options.Tags = None,
    required_tags: options.RequiredTags = None,
    allowed: options.Allowed = None,
    disallowed: options.Disallowed = None,
    approve_above: options.ApproveAbove = None,
    lease: options.LeaseTime = None,
    strategy: options.ByStrategy = None,
    shares: options.Shares = None,
    source_vpc: Annotated[
        str | None, typer.Option(metavar="VPC", parser=words.vpc, help="VPC whose space it divides among subnets.")
    ] = None,
    vpc_owner: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", parser=words.account, help="The account of that VPC.")
    ] = None,
    vpc_ipam_pool: Annotated[
        str | None,
        typer.Option(
            metavar="POOL", parser=words.vpc_ipam_pool, help="Pool of Amazon VPC IPAM that chooses its blocks."
        ),
    ] = None,
    auto_import: options.AutoImport = None,
    sticky: options.Sticky = None,
    output: Output = None,
) -> None:
    """Create a pool, with no space of its own yet. Prints its id."""
    said = (minimum, maximum, default, types, cooling_seconds, max_allocations, max_units, description, tags)
    rest = (required_tags, allowed, disallowed, approve_above, lease, strategy, shares, auto_import, sticky)
    given = Given(*said, *rest)
    vpc = _vpc(source_vpc, vpc_owner, locale)
    ports = shared.ports()
    cause = shared.cause()
    scope_id, source_pool_id = _parent(ports, cause, scope, source)
    new = NewPool(
        name=name,
        scope_id=scope_id,
        family=cast("Family", int(family.value[-1])),
        source_pool_id=source_pool_id,
        locale=locale,
        description=description or "",
        allocation_types=given.kinds(ALL_TYPES if vpc is None else frozenset({"subnet"})),
        rules=given.rules(NO_RULES),
        quota=given.quota(NO_QUOTA),
        cooling_seconds=cooling_seconds or 0,
        tags=given.pool_tags(()),
        shared_with=given.shared_with(()),
        source_resource=vpc,
        vpc_ipam_pool_id=vpc_ipam_pool or "",
        auto_import=bool(auto_import),
        sticky=bool(sticky),
    )
    pool = create_pool(ports, new, cause)
    _tell(context, current_plan(ports, fresh=True), pool, output)
    if locale and not shared.is_known_region(locale):
        say(f"No Region {locale} is known, and the Locale stays: after a slip of the pen, `ipam pool delete {name}`.")


@app.command("list")
def list_all(context: typer.Context, output: Output = None) -> None:
    """List the pools, each below the one that its space comes from."""
    plan = current_plan(shared.ports())
    rows = (PoolRow.of(plan, pool) for pool in in_order(plan))
    show(PoolRow, rows, COLUMNS, shared.chosen(context, output))


@app.command("show")
def show_pool(context: typer.Context, pool: options.Name, output: Output = None) -> None:
    """Show all about a pool: its place, its rules, how much is used, and what no longer complies with the rules."""
    ports = shared.ports()
    plan = current_plan(ports)
    found = plan.named(pool)
    used = utilisation(ports, found, plan.space(found.pool_id))
    strays = tuple(f"{held.cidr}:{_rule(why)}" for held, why in non_compliant(ports, plan, found))
    rows = [PoolRow.of(plan, found), UtilisationRow.of(plan, found, used), ComplianceRow(found.pool_id, strays)]
    show_one(rows, shared.chosen(context, output))


@app.command("edit")
def edit(  # noqa: PLR0913 - a pool has that many properties, and each is an option
    context: typer.Context,
    pool: options.Name,
    *,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    minimum: options.Minimum = None,
    maximum: options.Maximum = None,
    default: options.Default = None,
    types: options.Types = None,
    cooling_seconds: options.Cooling = None,
    max_allocations: options.MaxAllocations = None,
    max_units: options.MaxUnits = None,
    description: options.Description = None,
    tags: options.Tags = None,
    required_tags: options.RequiredTags = None,
    allowed: options.Allowed = None,
    disallowed: options.Disallowed = None,
    approve_above: options.ApproveAbove = None,
    lease: options.LeaseTime = None,
    strategy: options.ByStrategy = None,
    shares: options.Shares = None,
    auto_import: options.AutoImport = None,
    sticky: options.Sticky = None,
    cleared: options.Cleared = None,
    output: Output = None,
) -> None:
    """Change a pool; what is not given stays, and so does what is allocated. Prints its id.

    Tags, CIDRs and shares are added to those that there are. `ipam pool show` lists what no longer complies.
    """
    said = (minimum, maximum, default, types, cooling_seconds, max_allocations, max_units, description, tags)
    rest = (required_tags, allowed, disallowed, approve_above, lease, strategy, shares, auto_import, sticky)
    given = Given(*said, *rest)
    if given.nothing and name is None and not cleared:
        raise typer.BadParameter("say what to change; `ipam pool edit --help` lists it")

    def change(old: Pool) -> Pool:
        changed = given.change(options.without(old, cleared or ()))
        return changed if name is None else replace(changed, name=name)

    ports = shared.ports()
    edited = edit_pool(ports, current_plan(ports).named(pool).pool_id, change, shared.cause())
    _tell(context, current_plan(ports, fresh=True), edited, output)
    say(f"Orders go by it within {PLAN_AGE // 1000} seconds: for so long functions remember the plan.")


@app.command("delete")
def delete(
    context: typer.Context,
    pool: options.Name,
    *,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="With its child pools, and all that is allocated from them.")
    ] = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Delete a pool from which nothing is allocated; its CIDRs go back to where they came from. Asks first.

    With --cascade, all that would go is listed before. Prints its id.
    """
    ports = shared.ports()
    plan = current_plan(ports)
    found = plan.named(pool)
    steps = 1 + len(plan.provisioned(found.pool_id))
    if cascade:
        steps = contents(ports, plan, [found])
    ask(f"Delete the pool {found.name}{' and all of that' if cascade else ''}?", yes=yes)
    with stepping("deleting", found.name, steps) as deadline:
        delete_pool(ports, found.pool_id, shared.cause(), cascade=cascade, deadline=deadline)
    _tell(context, plan, found, output)


def in_order(plan: Plan) -> Iterator[Pool]:
    """Give the pools scope by scope, from the top down."""
    waiting = sorted(plan.scopes.values(), key=lambda scope: scope.name, reverse=True)
    parents = [scope.scope_id for scope in waiting]
    while parents:
        parent = parents.pop()
        if parent in plan.pools:
            yield plan.pools[parent]
        parents += [child.pool_id for child in reversed(plan.children(parent))]


def _parent(ports: Ports, cause: str, scope: str | None, source: str | None) -> tuple[str, str | None]:
    """Tell the scope, and the pool if there is one, that a new pool gets its space from.

    A plan with nothing in it begins with its default scopes.
    """
    plan = current_plan(ports)
    if source is not None:
        parent = plan.named(source)
        if scope is not None and plan.named_scope(scope).scope_id != parent.scope_id:
            raise typer.BadParameter("the source pool is in another scope: say one of the two", param_hint="--scope")
        return parent.scope_id, parent.pool_id
    if scope is not None:
        return plan.named_scope(scope).scope_id, None
    if not plan.scopes:
        ensure_default_scopes(ports, cause)
        plan = current_plan(ports, fresh=True)
    if plan.default_scope is None:
        raise typer.BadParameter("say which; `ipam scope list` lists the scopes", param_hint="--scope")
    return plan.default_scope.scope_id, None


def _vpc(source_vpc: str | None, vpc_owner: str | None, locale: str) -> SourceResource | None:
    """Tell the VPC that a pool divides."""
    if (source_vpc is None) != (vpc_owner is None):
        raise typer.BadParameter(
            "a VPC is named with its account: --source-vpc and --vpc-owner", param_hint="--vpc-owner"
        )
    return None if source_vpc is None or vpc_owner is None else SourceResource(source_vpc, vpc_owner, locale)


def _rule(error: PermanentError) -> str:
    """Name the rule that something does not comply with, and what it says."""
    match error:
        case NetmaskLengthError(_, _, rule, limit) | AllocationRuleError(_, rule, _, limit):
            return f"{rule}={limit}"
        case MissingTagError(_, key, value, _):
            return f"AllocationResourceTags={key}={value}"
        case PoolMismatchError(_, fact, has, _):
            return f"{fact}={has}"
        case _:
            return refusal_name(error)


def _tell(context: typer.Context, plan: Plan, pool: Pool, output: Format | None) -> None:
    """Print the id of a pool, or for programs its record."""
    form = shared.chosen(context, output)
    if form is Format.table:
        print(pool.pool_id)
    else:
        show_one([PoolRow.of(plan, pool)], form)
