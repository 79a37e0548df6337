"""What differs between a part of the plan as it is and as it is to be: for `ipam apply`, and for the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipam.domain.pool import Pool

NOTHING: Final = frozenset({None, "", ()})
"""What is written as none."""


def facts_of(pool: Pool) -> dict[str, object]:
    """Tell what may be edited of a pool, but for its name, by the names that a file has for it."""
    rules, quota = pool.rules, pool.quota
    return {
        "description": pool.description,
        "allocation_types": tuple(sorted(pool.allocation_types)),
        "min_netmask_length": rules.min_netmask_length,
        "max_netmask_length": rules.max_netmask_length,
        "default_netmask_length": rules.default_netmask_length,
        "required_tags": rules.required_tags,
        "allowed_cidrs": rules.allowed_cidrs,
        "disallowed_cidrs": rules.disallowed_cidrs,
        "approval_netmask_length": rules.approval_netmask_length,
        "lease_seconds": rules.lease_seconds,
        "strategy": rules.strategy,
        "max_allocations": quota.allocations,
        "max_units": quota.units,
        "cooling_seconds": pool.cooling_seconds,
        "tags": pool.tags,
        "shared_with": pool.shared_with,
        "auto_import": pool.auto_import,
        "sticky": pool.sticky,
    }


def changes_between(was: Mapping[str, object], meant: Mapping[str, object]) -> tuple[tuple[str, str, str], ...]:
    """Tell the facts that differ, each with what it was and what it is to be; one that is missing is none."""
    found = []
    for name in dict.fromkeys((*was, *meant)):
        before, after = was.get(name), meant.get(name)
        if before != after and not {before, after} <= NOTHING:
            found.append((name, _said(before), _said(after)))
    return tuple(found)


def _said(value: object) -> str:
    """Write a fact for people."""
    match value:
        case None | "" | ():
            return "none"
        case tuple():
            return ", ".join("=".join(each) if isinstance(each, tuple) else str(each) for each in value)
        case _:
            return str(value)
