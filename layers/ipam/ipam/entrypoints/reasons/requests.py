"""Of the request itself: what is wrong with its properties, and what it names that is not its own or is in use."""

from __future__ import annotations

from collections import Counter

from ipam.domain.errors import (
    MalformedCidrError,
    NetworkInUseError,
    NoSuchAllocationError,
    NoSuchPreviewError,
    OnlyPreviewedError,
    ReplacementRefusedError,
    SubnetsDoNotFitError,
    SupersededError,
)
from ipam.entrypoints.errors import InvalidPropertyError, UnknownPropertyError, UnservedTypeError
from ipam.entrypoints.properties import shown
from ipam.entrypoints.reasons.words import bare, say


@say.register(InvalidPropertyError)
def _(error: InvalidPropertyError) -> str:
    value = f" {error.shown}" if error.shown else ""
    return f"{bare(error.property_name)}{value} is refused: {error.why}. {error.remedy}."


@say.register(UnknownPropertyError)
def _(error: UnknownPropertyError) -> str:
    meant = f" Did you mean {error.meant}?" if error.meant else " Take it out of the template."
    return f"{error.resource_type} has no property {shown(error.property_name)}.{meant}"


@say.register(UnservedTypeError)
def _(error: UnservedTypeError) -> str:
    return f"{error.resource_type} is not served by this ServiceToken. Use {' or '.join(error.served)}."


@say.register(MalformedCidrError)
def _(error: MalformedCidrError) -> str:
    meant = f" Write {bare(error.canonical)}." if error.canonical else ' Write one such as "10.0.0.0/24".'
    return f"{shown(error.text)} is not a canonical CIDR.{meant}"


@say.register(SubnetsDoNotFitError)
def _(error: SubnetsDoNotFitError) -> str:
    counted = Counter(error.lengths)
    subnets = bare(", ".join(f"{counted[length]} of /{length}" for length in sorted(counted)), 80)
    enough = _enclosing(error.lengths)
    larger = "" if enough is None else f"a /{enough} or larger (CnCidrMask), or for "
    return (
        f"A /{error.network_length} has no room for the subnets (SubnetMasks): {subnets}. Ask for {larger}fewer or "
        "smaller ones; a product has some of its own, as for a transit gateway."
    )


@say.register(ReplacementRefusedError)
def _(error: ReplacementRefusedError) -> str:
    return (
        f"This update needs another block than {error.held}, and what is made of it cannot be made anew in place "
        "(Replaceable is false). Order another one, move over, and terminate this one."
    )


@say.register(NoSuchPreviewError)
def _(_error: NoSuchPreviewError) -> str:
    # A token is a right to its block: it is not repeated.
    return (
        "PreviewToken names no block that is held for this account and fits what is asked: it may be redeemed or over "
        "already. Order another Preview, or leave PreviewToken out."
    )


@say.register(OnlyPreviewedError)
def _(error: OnlyPreviewedError) -> str:
    return (
        f"IpamPoolAllocationId is that of a Preview: {error.held} is only held for a while, and nothing may be built "
        "on it. Take PreviewToken in place of Preview, and all three from the Custom::GetCnCIDR that has it."
    )


@say.register(SupersededError)
def _(_error: SupersededError) -> str:
    return (
        "A later request for this resource was served before this one, which changes nothing any more. "
        "If the resource is still wanted, deploy again."
    )


@say.register(NoSuchAllocationError)
def _(error: NoSuchAllocationError) -> str:
    return (
        f"This stack has no allocation {shown(error.allocation_id)} with this Cidr and CreationDate. "
        "Take all three from the Custom::GetCnCIDR of the same stack with !GetAtt."
    )


@say.register(NetworkInUseError)
def _(error: NetworkInUseError) -> str:
    more = error.count - len(error.networks)
    networks = bare(", ".join(error.networks), 80) + (f" and {more} more" if more > 0 else "")
    return (
        f"{error.cidr} is in use by {networks}, account {error.account}, {error.region}. "
        "Delete that, then delete the stack again; what an update left, the network team takes back."
    )


def _enclosing(lengths: tuple[int, ...]) -> int | None:
    """Tell the netmask length of the smallest block that these subnets fit in together; None if there is none."""
    longest = max(lengths)
    size = sum(1 << (longest - length) for length in lengths)
    enough = longest - (size - 1).bit_length()
    return enough if enough >= 0 else None
