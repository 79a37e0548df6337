"""Of the plan: pools that do not serve a request, have no room for it or forbid it, and parts that cannot be so."""

from __future__ import annotations

from typing import Final

from ipam.domain.errors import (
    AllocationRuleError,
    BlueprintError,
    CidrNotFreeError,
    CidrNotInPoolError,
    DefaultScopeError,
    InUseError,
    InvalidPoolError,
    MissingTagError,
    NameTakenError,
    NetmaskLengthError,
    NoPoolForRequestError,
    NoSuchPoolError,
    NoSuchScopeError,
    PoolExhaustedError,
    PoolMismatchError,
    SeveralScopesError,
)
from ipam.entrypoints.properties import shown
from ipam.entrypoints.reasons.words import bare, say, time_of

MANY: Final = 1 << 40
"""Addresses that nobody counts one by one."""

LISTS: Final = "AllowedCidrs and DisallowedCidrs"
"""The properties that say where a block may lie, as sentences name them."""

WIDTH: Final = "AddressFamily"
"""The rule that no netmask is longer than an address."""

SCOPES: Final = 3
"""Scopes that a Reason names."""

_TYPES: Final = {"vpc": "VPCs", "subnet": "subnets"}

_FACTS: Final = {
    "locale": "the Region",
    "family": "the address family",
    "allocation_type": "the allocation type",
    "tags": "the tag asked for",
}


@say.register(NoSuchPoolError)
def _(error: NoSuchPoolError) -> str:
    return (
        f"There is no pool {shown(error.selector)}. Name another with PoolName (where that is empty, a product asks "
        "for its default pool), or ask the network team for it. In a template of your own the choice may be left out."
    )


@say.register(NoSuchScopeError)
def _(error: NoSuchScopeError) -> str:
    return f"There is no scope {shown(error.selector)}. Check IpamScopeId; `ipam scope list` lists the scopes."


@say.register(NoPoolForRequestError)
def _(error: NoPoolForRequestError) -> str:
    return (
        f"No IPv{error.family} pool{_tagged(error.tags)} serves {_types(error.allocation_type)} in "
        f"{bare(error.locale)}. Ask the network team for one, or name a pool with PoolName."
    )


@say.register(SeveralScopesError)
def _(error: SeveralScopesError) -> str:
    more = len(error.scopes) - SCOPES
    scopes = ", ".join(shown(scope) for scope in error.scopes[:SCOPES]) + (f" and {more} more" if more > 0 else "")
    return (
        f"IPv{error.family} pools of several scopes serve {_types(error.allocation_type)} in {bare(error.locale)}, "
        f"and none of the default scope. Name the pool with PoolName. The scopes are {scopes}."
    )


@say.register(PoolMismatchError)
def _(error: PoolMismatchError) -> str:
    # Tags are written by people; the other facts are words of ours.
    word = shown if error.fact == "tags" else bare
    has = word(error.has) if error.has else "none"
    return (
        f"Pool {shown(error.pool)} does not serve this request: {_FACTS.get(error.fact, error.fact)} is "
        f"{word(error.wants)}, the pool's is {has}. Name another pool, or leave the choice out."
    )


@say.register(NetmaskLengthError)
def _(error: NetmaskLengthError) -> str:
    pool = shown(error.pool)
    if error.asked is None:
        return f"CnCidrMask is missing, and pool {pool} has no default netmask length. Add CnCidrMask."
    if error.rule == "AllocationMinNetmaskLength":
        return (
            f"A /{error.asked} is larger than pool {pool} allows: its largest block is a /{error.limit}. "
            f"Ask for CnCidrMask {error.limit} or above."
        )
    if error.rule == "AllocationMaxNetmaskLength":
        return (
            f"A /{error.asked} is smaller than pool {pool} allows: its smallest block is a /{error.limit}. "
            f"Ask for CnCidrMask {error.limit} or below."
        )
    if error.rule == WIDTH:
        return (
            f"Pool {pool} has no /{error.asked}: its netmask lengths end at {error.limit}. Ask for another CnCidrMask."
        )
    return f"A /{error.asked} is against {error.rule} {error.limit} of pool {pool}. Ask for another CnCidrMask."


@say.register(MissingTagError)
def _(error: MissingTagError) -> str:
    has = "has none of that key" if error.has is None else f"has {shown(error.has)}"
    return (
        f"Pool {shown(error.pool)} requires the tag {shown(error.key)} with the value {shown(error.value)}; "
        f"this resource {has}. Add it to Tags, or name another pool."
    )


@say.register(AllocationRuleError)
def _(error: AllocationRuleError) -> str:
    return (
        f"Cidr {bare(error.value, 50)} is against {bare(error.rule)} {bare(error.limit, 50)} of pool "
        f"{shown(error.pool)}. Ask for another block, or for CnCidrMask instead of Cidr."
    )


@say.register(PoolExhaustedError)
def _(error: PoolExhaustedError) -> str:
    asked = f"Pool {shown(error.pool)} has no free /{error.asked}"
    if not error.provisioned:
        return f"{asked}: no CIDR is provisioned to it yet. Ask the network team to provision one."
    if not error.permitted:
        return f"{asked}: {LISTS} of {whose(error.limited_by)} leave none at all. {_otherwise(error.limited_by)}"
    if error.limited_by:
        asked += f" within {LISTS} of {whose(error.limited_by)}"
    if error.largest is None:
        largest, smaller = "nothing is free", ""
    else:
        largest = f"the largest free block is {error.largest}"
        smaller = f"a /{error.largest.length} or smaller, or "
    cooling, wait = "nothing is cooling", ""
    if error.cooling_until is not None:
        addresses = f" ({error.cooling_addresses} addresses)" if error.cooling_addresses < MANY else ""
        cooling = f"{error.cooling_blocks} cooling{addresses}, next free {time_of(error.cooling_until)}"
    if error.room_at is not None:
        wait = ", or retry then" if error.room_at == error.cooling_until else f", or retry {time_of(error.room_at)}"
    change = "Change them, or ask" if "request" in error.limited_by else "Ask"
    return f"{asked}: {largest}; {cooling}. {change} for {smaller}more space{wait}."


@say.register(CidrNotInPoolError)
def _(error: CidrNotInPoolError) -> str:
    return (
        f"Cidr {error.cidr} is not in the space of pool {shown(error.pool)}. "
        "Ask for a block inside it, or for CnCidrMask instead of Cidr."
    )


@say.register(CidrNotFreeError)
def _(error: CidrNotFreeError) -> str:
    if error.until is None:
        why, what = "is in use, at least in part", "Ask for another block, or for CnCidrMask instead of Cidr."
    else:
        why, what = f"is cooling until {time_of(error.until)}", "Retry then, or ask for CnCidrMask instead of Cidr."
    return f"Cidr {error.cidr} of pool {shown(error.pool)} {why}. {what}"


@say.register(NameTakenError)
def _(error: NameTakenError) -> str:
    return f"The name {shown(error.name)} is taken. Choose another one."


@say.register(InvalidPoolError)
def _(error: InvalidPoolError) -> str:
    return f"{bare(error.property_name)} {shown(error.value)} is refused: {bare(error.why, 120)}. Change it."


@say.register(BlueprintError)
def _(error: BlueprintError) -> str:
    return f"{error.place}: {bare(error.said, 80)} is refused: {bare(error.why, 100)}. Nothing was changed."


@say.register(DefaultScopeError)
def _(error: DefaultScopeError) -> str:
    return f"Scope {shown(error.scope)} is a default scope, which a plan always has. Delete its pools, and leave it."


@say.register(InUseError)
def _(error: InUseError) -> str:
    more = error.count - len(error.users)
    users = bare(", ".join(error.users), 120) + (f" and {more} more" if more > 0 else "")
    return f"{shown(error.what)} is in use by {users}. End that first, then try again."


def whose(limited_by: tuple[str, ...]) -> str:
    """Say whose lists of blocks are meant."""
    return " and ".join({"request": "this resource", "pool": "the pool"}[whose] for whose in limited_by)


def _otherwise(limited_by: tuple[str, ...]) -> str:
    """Say what to do where the lists of blocks leave none."""
    change = "Change them" if "request" in limited_by else "Ask the network team to change them"
    return f"{change}, ask for a smaller block, or name another pool."


def _tagged(tags: tuple[tuple[str, str], ...]) -> str:
    """Say which tags a pool was to have."""
    return f" with {shown(', '.join('='.join(tag) for tag in tags))}" if tags else ""


def _types(allocation_type: str) -> str:
    return _TYPES.get(allocation_type, bare(allocation_type))
