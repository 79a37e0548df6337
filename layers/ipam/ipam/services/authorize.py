"""Authorize: compare the key that a stack shows with the key of its account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.authorization import matches

if TYPE_CHECKING:
    from ipam.services.ports import Secrets


def is_authorized(secrets: Secrets, account: str, presented: str) -> bool:
    """Whether the key is the account's, by the current master key or the one before the last rotation."""
    if matches(presented, secrets.master_keys(), account):
        return True
    # A rotation may have happened since the keys were read.
    return matches(presented, secrets.master_keys(fresh=True), account)
