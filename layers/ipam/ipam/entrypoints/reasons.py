"""Reasons: one sentence or three for each refusal, made from its facts: what was asked, why not, what to do.

CloudFormation shows them to the person who waits for the stack, and cuts what is long; so nothing here is longer than
`MAX_REASON`, and what matters most stands first.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import singledispatch
from typing import Final

from ipam.domain.errors import (
    AllocationRuleError,
    ApprovalPendingError,
    BlueprintError,
    CidrNotFreeError,
    CidrNotInPoolError,
    ContendedError,
    DefaultScopeError,
    DeniedError,
    InUseError,
    InvalidPoolError,
    IpamError,
    MalformedCidrError,
    MissingTagError,
    NameTakenError,
    NetmaskLengthError,
    NetworkInUseError,
    NoPoolForRequestError,
    NoSuchAllocationError,
    NoSuchApprovalError,
    NoSuchPoolError,
    NoSuchPreviewError,
    NoSuchScopeError,
    NoSuchTenantError,
    OnlyPreviewedError,
    OutOfTimeError,
    PermanentError,
    PoolExhaustedError,
    PoolMismatchError,
    PoolNotSharedError,
    QuotaExceededError,
    ReplacementRefusedError,
    RotationUnfinishedError,
    ServiceUnavailableError,
    SeveralScopesError,
    StoreUnavailableError,
    SubnetsDoNotFitError,
    SupersededError,
    UnknownAccountError,
    VpcIpamRefusedError,
)
from ipam.entrypoints.errors import InvalidPropertyError, UnknownPropertyError, UnservedTypeError, WrongKeyError
from ipam.entrypoints.explanations import passed_over
from ipam.entrypoints.properties import shown

MAX_REASON: Final = 240
"""Characters of a Reason that CloudFormation's events and console show whole, beside their own words."""

MAX_REASONS: Final = 720
"""Characters of a Reason that tells of several pools: an answer has room for the longest (`answers.MAX_BODY`)."""

NAME: Final = 40
"""Characters of a name or value in a Reason."""

MASK: Final = "CnCidrMask"
"""The property with the netmask length, as sentences name it."""

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


def reason(error: IpamError, mask: str = MASK) -> str:
    """Say why a request is refused; `mask` is the requester's name for the property with the netmask length."""
    said, others = sentence(error, mask), beside(error)
    return cut(f"{said} {others}", MAX_REASONS) if others else said


def sentence(error: IpamError, mask: str = MASK) -> str:
    """Say it of the pool alone whose refusal it is."""
    return cut(_sentence(error).replace(MASK, mask))


def beside(error: IpamError) -> str:
    """Say why other pools that were tried refused as well; "" if there are none."""
    pools = error.beside if isinstance(error, PermanentError) else ()
    return f"As to the others: {'; '.join(passed_over(pools))}." if pools else ""


def internal_error(reference: str) -> str:
    """Say that the fault is ours; the reference finds it in the log."""
    return cut(f"Internal error, reference {reference}. It is safe to retry; if it repeats, report the reference.")


def cut(text: str, limit: int = MAX_REASON) -> str:
    """Keep the beginning of a text, which says what was asked and why not."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


@singledispatch
def _sentence(error: IpamError) -> str:
    """Every error has a sentence of its own; one without is a fault, which a test finds."""
    raise TypeError(f"no reason for {type(error).__name__}")


@_sentence.register
def _(error: InvalidPropertyError) -> str:
    value = f" {error.shown}" if error.shown else ""
    return f"{_bare(error.property_name)}{value} is refused: {error.why}. {error.remedy}."


@_sentence.register
def _(error: UnknownPropertyError) -> str:
    meant = f" Did you mean {error.meant}?" if error.meant else " Take it out of the template."
    return f"{error.resource_type} has no property {shown(error.property_name)}.{meant}"


@_sentence.register
def _(error: WrongKeyError) -> str:
    return (
        f"Authorizationkey is not the key of account {error.account}. Ask the network team for the account's current "
        "key and pass it in a NoEcho parameter."
    )


@_sentence.register
def _(error: UnservedTypeError) -> str:
    return f"{error.resource_type} is not served by this ServiceToken. Use {' or '.join(error.served)}."


@_sentence.register
def _(error: MalformedCidrError) -> str:
    meant = f" Write {_bare(error.canonical)}." if error.canonical else ' Write one such as "10.0.0.0/24".'
    return f"{shown(error.text)} is not a canonical CIDR.{meant}"


@_sentence.register
def _(error: SubnetsDoNotFitError) -> str:
    counted = Counter(error.lengths)
    subnets = _bare(", ".join(f"{counted[length]} of /{length}" for length in sorted(counted)), 80)
    enough = _enclosing(error.lengths)
    larger = "" if enough is None else f"a /{enough} or larger (CnCidrMask), or for "
    return (
        f"A /{error.network_length} has no room for the subnets (SubnetMasks): {subnets}. Ask for {larger}fewer or "
        "smaller ones; a product has some of its own, as for a transit gateway."
    )


@_sentence.register
def _(error: NoSuchPoolError) -> str:
    return (
        f"There is no pool {shown(error.selector)}. Name another with PoolName (where that is empty, a product asks "
        "for its default pool), or ask the network team for it. In a template of your own the choice may be left out."
    )


@_sentence.register
def _(error: NoSuchScopeError) -> str:
    return f"There is no scope {shown(error.selector)}. Check IpamScopeId; `ipam scope list` lists the scopes."


@_sentence.register
def _(error: NoPoolForRequestError) -> str:
    return (
        f"No IPv{error.family} pool{_tagged(error.tags)} serves {_types(error.allocation_type)} in "
        f"{_bare(error.locale)}. Ask the network team for one, or name a pool with PoolName."
    )


@_sentence.register
def _(error: SeveralScopesError) -> str:
    more = len(error.scopes) - SCOPES
    scopes = ", ".join(shown(scope) for scope in error.scopes[:SCOPES]) + (f" and {more} more" if more > 0 else "")
    return (
        f"IPv{error.family} pools of several scopes serve {_types(error.allocation_type)} in {_bare(error.locale)}, "
        f"and none of the default scope. Name the pool with PoolName. The scopes are {scopes}."
    )


@_sentence.register
def _(error: PoolMismatchError) -> str:
    # Tags are written by people; the other facts are words of ours.
    word = shown if error.fact == "tags" else _bare
    has = word(error.has) if error.has else "none"
    return (
        f"Pool {shown(error.pool)} does not serve this request: {_FACTS.get(error.fact, error.fact)} is "
        f"{word(error.wants)}, the pool's is {has}. Name another pool, or leave the choice out."
    )


@_sentence.register
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


@_sentence.register
def _(error: MissingTagError) -> str:
    has = "has none of that key" if error.has is None else f"has {shown(error.has)}"
    return (
        f"Pool {shown(error.pool)} requires the tag {shown(error.key)} with the value {shown(error.value)}; "
        f"this resource {has}. Add it to Tags, or name another pool."
    )


@_sentence.register
def _(error: AllocationRuleError) -> str:
    return (
        f"Cidr {_bare(error.value, 50)} is against {_bare(error.rule)} {_bare(error.limit, 50)} of pool "
        f"{shown(error.pool)}. Ask for another block, or for CnCidrMask instead of Cidr."
    )


@_sentence.register
def _(error: PoolNotSharedError) -> str:
    return (
        f"Pool {shown(error.pool)} is not shared with account {_bare(error.account)}. "
        "Name another pool, or ask the network team to share it with the account."
    )


@_sentence.register
def _(error: UnknownAccountError) -> str:
    return (
        f"The organisation has no account {_bare(error.account)}, and the pool is shared with parts of it only. "
        "Name another pool, or ask the network team to share it with the account itself."
    )


@_sentence.register
def _(error: DeniedError) -> str:
    pool = shown(error.pool)
    if not error.waits:
        return (
            f"A /{error.asked} of pool {pool} needs an administrator's approval, and this request has no time to wait "
            "for one. Raise ServiceTimeout to 3600, or ask for a smaller block."
        )
    if not error.by:
        return (
            f"A /{error.asked} of pool {pool} needs an administrator's approval, and none was given in time. "
            "Ask for a smaller block, or agree on it with the network team and deploy again."
        )
    note = f", saying {shown(error.note)}" if error.note else ""
    return f"{_bare(error.by)} has refused a /{error.asked} of pool {pool}{note}. Ask for a smaller block."


@_sentence.register
def _(error: ReplacementRefusedError) -> str:
    return (
        f"This update needs another block than {error.held}, and what is made of it cannot be made anew in place "
        "(Replaceable is false). Order another one, move over, and terminate this one."
    )


@_sentence.register
def _(_error: NoSuchPreviewError) -> str:
    # A token is a right to its block: it is not repeated.
    return (
        "PreviewToken names no block that is held for this account and fits what is asked: it may be redeemed or over "
        "already. Order another Preview, or leave PreviewToken out."
    )


@_sentence.register
def _(error: OnlyPreviewedError) -> str:
    return (
        f"IpamPoolAllocationId is that of a Preview: {error.held} is only held for a while, and nothing may be built "
        "on it. Take PreviewToken in place of Preview, and all three from the Custom::GetCnCIDR that has it."
    )


@_sentence.register
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
        cooling = f"{error.cooling_blocks} cooling{addresses}, next free {_time(error.cooling_until)}"
    if error.room_at is not None:
        wait = ", or retry then" if error.room_at == error.cooling_until else f", or retry {_time(error.room_at)}"
    change = "Change them, or ask" if "request" in error.limited_by else "Ask"
    return f"{asked}: {largest}; {cooling}. {change} for {smaller}more space{wait}."


@_sentence.register
def _(error: CidrNotInPoolError) -> str:
    return (
        f"Cidr {error.cidr} is not in the space of pool {shown(error.pool)}. "
        "Ask for a block inside it, or for CnCidrMask instead of Cidr."
    )


@_sentence.register
def _(error: CidrNotFreeError) -> str:
    if error.until is None:
        why, what = "is in use, at least in part", "Ask for another block, or for CnCidrMask instead of Cidr."
    else:
        why, what = f"is cooling until {_time(error.until)}", "Retry then, or ask for CnCidrMask instead of Cidr."
    return f"Cidr {error.cidr} of pool {shown(error.pool)} {why}. {what}"


@_sentence.register
def _(error: QuotaExceededError) -> str:
    what = "address units" if error.what == "units" else error.what
    return (
        f"Account {_bare(error.account)} would exceed its quota of {error.limit} {what} in pool {shown(error.pool)}. "
        "Give back what is not needed, or ask the network team for more."
    )


@_sentence.register
def _(_error: SupersededError) -> str:
    return (
        "A later request for this resource was served before this one, which changes nothing any more. "
        "If the resource is still wanted, deploy again."
    )


@_sentence.register
def _(error: NoSuchAllocationError) -> str:
    return (
        f"This stack has no allocation {shown(error.allocation_id)} with this Cidr and CreationDate. "
        "Take all three from the Custom::GetCnCIDR of the same stack with !GetAtt."
    )


@_sentence.register
def _(error: NameTakenError) -> str:
    return f"The name {shown(error.name)} is taken. Choose another one."


@_sentence.register
def _(error: InvalidPoolError) -> str:
    return f"{_bare(error.property_name)} {shown(error.value)} is refused: {_bare(error.why, 120)}. Change it."


@_sentence.register
def _(error: BlueprintError) -> str:
    return f"{error.place}: {_bare(error.said, 80)} is refused: {_bare(error.why, 100)}. Nothing was changed."


@_sentence.register
def _(error: NoSuchApprovalError) -> str:
    if error.why == "unknown":
        return f"There is no request {shown(error.approval_id)} to decide. `ipam approve` lists those that wait."
    if error.why == "too late":
        return f"{_bare(error.approval_id, 60)} waited too long; its stack is told. Ask the requester to deploy again."
    return f"{_bare(error.approval_id, 60)} is {_bare(error.why)} already. Ask the requester to deploy again."


@_sentence.register
def _(error: DefaultScopeError) -> str:
    return f"Scope {shown(error.scope)} is a default scope, which a plan always has. Delete its pools, and leave it."


@_sentence.register
def _(error: InUseError) -> str:
    more = error.count - len(error.users)
    users = _bare(", ".join(error.users), 120) + (f" and {more} more" if more > 0 else "")
    return f"{shown(error.what)} is in use by {users}. End that first, then try again."


@_sentence.register
def _(error: NetworkInUseError) -> str:
    more = error.count - len(error.networks)
    networks = _bare(", ".join(error.networks), 80) + (f" and {more} more" if more > 0 else "")
    return (
        f"{error.cidr} is in use by {networks}, account {error.account}, {error.region}. "
        "Delete that, then delete the stack again; what an update left, the network team takes back."
    )


@_sentence.register
def _(error: ApprovalPendingError) -> str:
    return (
        f"A /{error.asked} of pool {shown(error.pool)} waits for approval until {_time(error.until)}. "
        f"Ask the network team to decide with `ipam approve {_bare(error.approval_id, 60)}`."
    )


@_sentence.register
def _(error: ServiceUnavailableError) -> str:
    return (
        f"{_bare(error.service)} did not answer ({_bare(error.code)}). "
        "It is safe to retry: deploy again in some minutes."
    )


@_sentence.register
def _(error: VpcIpamRefusedError) -> str:
    return (
        f"Amazon VPC IPAM refuses what is asked of its pool {_bare(error.vpc_ipam_pool_id)}: "
        f"{_bare(error.message, 70)} ({_bare(error.code)}). Ask the network team."
    )


@_sentence.register
def _(error: NoSuchTenantError) -> str:
    return (
        f"Account {_bare(error.account)} may not order addresses. Ask the network team to let it in "
        "(`ipam tenant add`), and deploy again."
    )


@_sentence.register
def _(error: RotationUnfinishedError) -> str:
    return (
        f"Account {_bare(error.account)} was given another key lately, and the one before is good until "
        f"{_time(error.until)}: a rotation now would end it. Wait, or end all others at once (`--no-grace`)."
    )


@_sentence.register
def _(error: ContendedError) -> str:
    return (
        f"Too many requests at once for {shown(error.pool)} ({error.attempts} attempts). "
        "It is safe to retry: deploy again."
    )


@_sentence.register
def _(_error: OutOfTimeError) -> str:
    return "There was no time left to make a change that could still be answered. It is safe to retry: deploy again."


@_sentence.register
def _(error: StoreUnavailableError) -> str:
    return f"The address store did not answer ({_bare(error.code)}). It is safe to retry: deploy again in some minutes."


def _bare(text: str, limit: int = NAME) -> str:
    """Show a word of ours or of the plan as it is, if it is short."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _enclosing(lengths: tuple[int, ...]) -> int | None:
    """Tell the netmask length of the smallest block that these subnets fit in together; None if there is none."""
    longest = max(lengths)
    size = sum(1 << (longest - length) for length in lengths)
    enough = longest - (size - 1).bit_length()
    return enough if enough >= 0 else None


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
    return _TYPES.get(allocation_type, _bare(allocation_type))


def _time(milliseconds: int) -> str:
    """Write a time to the minute, the next one."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=-(-milliseconds // 60_000))
    return f"{at:%Y-%m-%d %H:%M} UTC"
