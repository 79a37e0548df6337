"""What doctor found, as people read it: one sentence a finding, made from its facts, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from ipam.entrypoints.cli.render import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ipam.services.doctor import Diagnosis
    from ipam.services.soundness import Finding, Kind

SHOWN: Final = 50
"""Findings of a sort that are told one by one; JSON and CSV have all."""

SENTENCES: Final[dict[Kind, str]] = {
    "overlap": "{cidr} and {other} both are blocks of pool {pool} (allocation {allocation_id})",
    "gap": "{cidr} is provisioned to pool {pool}, but neither free nor allocated nor cooling",
    "outside": "{cidr} is a block of pool {pool}, but not in what is provisioned to it",
    "free-buddies": "{cidr} and {other} of pool {pool} are both free, and not joined",
    "no-such-parent": "pool {pool} has its space from {expected}, which does not exist",
    "not-from-parent": "{cidr} is provisioned to pool {pool}, but {expected} has no such allocation",
    "not-provisioned": "{allocation_id} gives {cidr} to pool {pool}, but it is not provisioned to it",
    "not-divided": "{cidr} is provisioned to pool {pool}, but {allocation_id} of {expected} is no VPC that it divides",
    "divided-by-none": "{allocation_id} ({cidr} of pool {pool}) is divided by pool {expected}, which does not have it",
    "no-grant": "{allocation_id} ({cidr} of pool {pool}) is unknown to its owner, {resource} of {holder}",
    "no-allocation": "{resource} of {holder} is granted {allocation_id} ({cidr} of pool {pool}), which is not there",
    "other-facts": "{allocation_id} of pool {pool} is {expected}, but its owner's record says {found}",
    "granted-twice": "{allocation_id} ({cidr} of pool {pool}) is in two owner records; one is {resource} of {holder}",
    "asked-once-granted-twice": "{resource} of {holder} was given two for one ask; one is {allocation_id} ({cidr})",
    "held-and-returned": "{resource} of {holder} both holds and has returned {allocation_id} ({cidr})",
    "lease-of-none": "{allocation_id} ({cidr} of pool {pool}) has a lease until {found}, but is not there or another's",
    "other-end": "the lease of {allocation_id} ({cidr} of pool {pool}) ends {found}, by its owner's record {expected}",
    "no-lease": "{allocation_id} ({cidr} of pool {pool}) has no lease, but its owner's record ends it {expected}",
    "count": "account {account} holds {expected} of pool {pool}, but its quota counts {found}",
}


def sentence(finding: Finding) -> str:
    """Say what is wrong."""
    return plain(
        SENTENCES[finding.kind].format(
            cidr=finding.cidr,
            other=finding.other,
            pool=finding.pool,
            allocation_id=finding.allocation_id or "none",
            holder=finding.party,
            resource=finding.name,
            account=finding.account,
            expected=finding.expected,
            found=finding.found,
        )
    )


def report(diagnosis: Diagnosis, joined: int | None) -> RenderableType:
    """Draw an examination. `joined`: pools whose free buddies were joined after it; None if that was not wanted."""
    read = f"{diagnosis.pools} pools and scopes, {diagnosis.allocations:,} allocations, {diagnosis.owners:,} holders"
    lines = [Text(f"read {read}", "dim")]
    lines += [
        Text.assemble((f"{finding.invariant} ", "bold red"), sentence(finding))
        for finding in diagnosis.violations[:SHOWN]
    ]
    lines += _more(len(diagnosis.violations))
    lines += [Text.assemble(("hint ", "bold yellow"), sentence(finding)) for finding in diagnosis.hints[:SHOWN]]
    lines += _more(len(diagnosis.hints))
    if joined is not None:
        lines.append(Text(f"joined free buddies in {joined} pools" if joined else "nothing to repair"))
    elif diagnosis.hints:
        lines.append(Text("Upkeep joins free buddies every five minutes; `ipam doctor --repair` does it now."))
    lines.append(_verdict(len(diagnosis.violations)))
    return Group(*lines)


def _more(count: int) -> list[Text]:
    return [Text(f"and {count - SHOWN} more; --output json lists them", "dim")] if count > SHOWN else []


def _verdict(violations: int) -> Text:
    if not violations:
        return Text("sound", "bold green")
    advice = "No repair is safe before the cause is known. Keep this output, and see docs/invariants.md."
    return Text.assemble((f"{violations} violations. ", "bold red"), advice)
