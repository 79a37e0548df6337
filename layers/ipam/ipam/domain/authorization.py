"""Authorisation keys: what a tenant account shows when it announces a release.

A key is derived from a master key and the account's number, so that none is stored and one that leaks opens no other
account.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def derive(master_key: bytes, account: str) -> str:
    """Derive an account's key: HMAC-SHA256 (RFC 2104), 64 hexadecimal digits."""
    return hmac.new(master_key, f"cn-ipam tenant {account}".encode(), hashlib.sha256).hexdigest()


def matches(presented: str, master_keys: Iterable[bytes], account: str) -> bool:
    """Whether a key is the account's under one of the master keys; all are compared, each in constant time."""
    found = False
    for master_key in master_keys:
        found |= hmac.compare_digest(presented.encode(), derive(master_key, account).encode())
    return found
