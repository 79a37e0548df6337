"""Identity: what a part of the plan is called that a resource of a stack stands for.

Its id follows from the stack, the resource and what cannot change of the part. So a request that comes again means the
same part, a replacement another one, and the rollback of a replacement the first again; and it can be told of a request
that was never answered what it has made.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from ipam.domain.owner import OwnerKey
from ipam.services.turns import Turn

if TYPE_CHECKING:
    from ipam.entrypoints.events import Request

SUFFIX: Final = 6
"""Digits of the id that a made name ends with: a replacement has to have another name than what it replaces."""

MAX_PART: Final = 100
"""Characters of a stack's name, and of a logical id, in a made name."""


def derived_id(prefix: str, digits: int, request: Request, facts: tuple[object, ...]) -> str:
    """Give the id of what a resource stands for."""
    said = json.dumps([request.stack_id, request.logical_resource_id, facts], separators=(",", ":"))
    return prefix + hashlib.sha256(said.encode()).hexdigest()[:digits]


def derived_name(request: Request, part_id: str) -> str:
    """Give the name of what has none in the template."""
    stack = request.stack_id.split("/")[1]
    return f"{stack[:MAX_PART]}-{request.logical_resource_id[:MAX_PART]}-{part_id[-SUFFIX:]}"


def turn_of(request: Request, account: str, part_id: str) -> Turn:
    """Say which request is about which part of the plan."""
    owner = OwnerKey(request.stack_id, f"{request.logical_resource_id}|{part_id}")
    return Turn(owner, account, request.requested, request.cause)


def cidrs_of(request: Request, pool_id: str) -> OwnerKey:
    """Name the holder of what a pool has on behalf of a resource."""
    return OwnerKey(pool_id, f"{request.stack_id}|{request.logical_resource_id}")
