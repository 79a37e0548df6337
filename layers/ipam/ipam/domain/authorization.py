"""Authorisation keys: what a tenant account shows when it announces a release.

A key is derived from a master key and the account's number, so that none is stored and one that leaks opens no other
account.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def derive(master_key: bytes, account: str, generation: int = 1) -> str:
    """Derive an account's key of a generation: HMAC-SHA256 (RFC 2104), 64 hexadecimal digits."""
    said = f"cn-ipam tenant {account}" if generation == 1 else f"cn-ipam tenant {account} {generation}"
    return hmac.new(master_key, said.encode(), hashlib.sha256).hexdigest()


def matches(presented: str, master_keys: Iterable[bytes], account: str, generations: Collection[int] = (1,)) -> bool:
    """Whether a key is the account's, of one of the generations under one of the master keys.

    All are compared, each in constant time.
    """
    found = False
    for master_key in master_keys:
        for generation in generations:
            found |= hmac.compare_digest(presented.encode(), derive(master_key, account, generation).encode())
    return found
