"""Short ways to say what a stack asks beyond a size: pools in order, limits, tags, previews, approval."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipam.domain.preview import Token
from ipam.services.request import Waiting
from tests.builders import blocks

if TYPE_CHECKING:
    from ipam.domain.owner import Grant
    from ipam.domain.pool import Tag
    from ipam.services.request import AllocateRequest
    from tests.builders import Desk

HOUR = 3600


def limited(
    request: AllocateRequest, *, allowed: tuple[str, ...] = (), disallowed: tuple[str, ...] = ()
) -> AllocateRequest:
    """Ask for a block inside of these, and beside those."""
    ask = replace(request.ask, allowed_cidrs=tuple(blocks(*allowed)), disallowed_cidrs=tuple(blocks(*disallowed)))
    return replace(request, ask=ask)


def from_pools(request: AllocateRequest, *pools: str) -> AllocateRequest:
    """Name pools in order."""
    return replace(request, ask=replace(request.ask, pools=pools))


def selecting(request: AllocateRequest, *tags: Tag) -> AllocateRequest:
    """Select pools by their tags."""
    return replace(request, ask=replace(request.ask, pool_tags=tags))


def tagged(request: AllocateRequest, *tags: Tag) -> AllocateRequest:
    """Say the tags of the resource."""
    return replace(request, tags=tags)


def previewed(request: AllocateRequest, seconds: int = HOUR) -> AllocateRequest:
    """Ask for a preview."""
    return replace(request, ask=replace(request.ask, preview=True), preview_seconds=seconds)


def redeeming(request: AllocateRequest, token: str) -> AllocateRequest:
    """Ask for the block of a preview."""
    return replace(request, ask=replace(request.ask, preview_token=token))


def token_of(grant: Grant) -> str:
    """The token of a preview."""
    assert grant.preview
    return str(Token(grant.allocation_id, grant.pool_id, grant.cidr))


def patient(desk: Desk, request: AllocateRequest, seconds: int = HOUR) -> AllocateRequest:
    """Let a request wait for an administrator."""
    return replace(request, waiting=Waiting(desk.clock.now() + seconds * 1000, '{"event": "as it came"}'))


def by_administrator(request: AllocateRequest, **facts: Any) -> AllocateRequest:
    """Let an administrator ask, for nobody's account unless it is said."""
    return replace(request, by_administrator=True, **({"account": ""} | facts))
