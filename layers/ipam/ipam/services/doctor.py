"""Doctor: read everything that is stored, and tell what breaks an invariant.

Nothing holds the table still meanwhile. A change that happens between two reads can look like a violation for a moment;
a real one stays. So what is found is looked for again, and only what every reading shows is reported.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from ipam.domain.cidr import WIDTHS
from ipam.domain.errors import ServiceUnavailableError, VpcIpamRefusedError
from ipam.services import soundness
from ipam.services.plan import current_plan
from ipam.services.ports import NoDeadline
from ipam.services.reclaim import reclaim
from ipam.services.soundness import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipam.domain.owner import OwnerRecord
    from ipam.domain.plan import Plan
    from ipam.services.ports import Ports
    from ipam.services.soundness import Finding

    Watch = Callable[[str, int, int], None]

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

READINGS: Final = 3
"""How often a violation has to be seen."""

PAUSE: Final = 1000
"""Milliseconds between two readings: longer than any transaction takes."""

READERS: Final = 8
"""Owner records and quotas that are read at once."""

MAX_COOLING: Final = 1_000_000
"""Cooling blocks of one pool that are looked at."""

MAX_JOINING: Final = 100
"""Runs of reclaim that one pool is given."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an examination came to.

    Attributes:
        pools: how many pools and scopes were read.
        allocations: how many allocations.
        owners: how many stacks and pools were asked for what they hold.
        findings: violations and hints.
    """

    pools: int
    allocations: int
    owners: int
    findings: tuple[Finding, ...]

    @property
    def violations(self) -> tuple[Finding, ...]:
        """What is broken."""
        return tuple(finding for finding in self.findings if not finding.hint)

    @property
    def hints(self) -> tuple[Finding, ...]:
        """What upkeep will put in order."""
        return tuple(finding for finding in self.findings if finding.hint)


def examine(ports: Ports, watch: Watch, *, history: bool) -> Diagnosis:
    """Check I1 to I4, the leases and the quotas of everything that is stored.

    Args:
        ports: the collaborators.
        watch: is told what is being read, how much of it is done, and how much there is.
        history: ask those owners too that the audit records name and that hold nothing now: only so an owner is found
            whose grant has lost its allocation, and an account whose quota counts what it no longer holds.
    """
    diagnosis = _reading(ports, watch, history=history)
    for _ in range(READINGS - 1):
        if not diagnosis.violations:
            break
        ports.clock.sleep(PAUSE)
        again = _reading(ports, watch, history=history)
        seen = set(diagnosis.findings)
        kept = tuple(finding for finding in again.findings if finding in seen)
        diagnosis = Diagnosis(again.pools, again.allocations, again.owners, kept)
    return diagnosis


def join_buddies(ports: Ports, diagnosis: Diagnosis) -> int:
    """Join the free buddies that were found, as upkeep does, and tell in how many pools."""
    plan = current_plan(ports, fresh=True)
    found = {(finding.pool_id, finding.cidr.family) for finding in diagnosis.hints if finding.cidr is not None}
    for pool_id, family in sorted(found):
        # What Amazon VPC IPAM does not take back goes on cooling, which is nothing to what is free.
        with contextlib.suppress(ServiceUnavailableError, VpcIpamRefusedError):
            for _ in range(MAX_JOINING):
                if not reclaim(ports, plan.space(pool_id), family, None, NoDeadline()):
                    break
    return len(found)


def _reading(ports: Ports, watch: Watch, *, history: bool) -> Diagnosis:
    """Read everything once, and check it."""
    plan = current_plan(ports, fresh=True)
    contents = dict(_contents(ports, plan, watch))
    parties, accounts = _involved(ports, contents, watch, history=history)
    records = list(_records(ports, parties, watch))
    counted = _together(lambda pair: ports.store.quota(*pair), accounts)
    findings: list[Finding] = []
    for content in contents.values():
        findings += [*soundness.partition(content), *soundness.buddies(content), *soundness.divided(plan, content)]
    for pool in plan.pools.values():
        findings += soundness.provisioned(plan, pool, contents.get(pool.parent_id))
    findings += [*soundness.holders(contents, records), *soundness.leases(contents, records)]
    findings += soundness.quotas(contents, counted)
    held = sum(len(content.allocations) for content in contents.values())
    return Diagnosis(len(contents), held, len(parties), tuple(findings))


def _contents(ports: Ports, plan: Plan, watch: Watch) -> Iterator[tuple[str, Content]]:
    """Read the blocks of every pool and scope."""
    ids = [*plan.scopes, *plan.pools]
    for done, pool_id in enumerate(ids):
        space = plan.space(pool_id)
        watch(f"blocks of {space.name}", done, len(ids))
        free = [cidr for family in WIDTHS for cidr in ports.store.all_free(pool_id, family)]
        cooling = ports.store.cooling(pool_id, MAX_COOLING)
        leases = list(ports.store.leases(pool_id))
        yield pool_id, Content(space, free, cooling, list(ports.store.allocations(pool_id)), leases)


def _involved(
    ports: Ports, contents: dict[str, Content], watch: Watch, *, history: bool
) -> tuple[list[str], list[tuple[str, str]]]:
    """Tell whose records have to be read: stacks and pools, and accounts with the pools that they hold something of."""
    parties: set[str] = set(contents)
    accounts: set[tuple[str, str]] = set()
    for done, (pool_id, content) in enumerate(contents.items()):
        parties |= {each.owner.party for each in content.allocations}
        accounts |= {(each.account, pool_id) for each in content.allocations if each.account}
        if history:
            watch(f"history of {content.space.name}", done, len(contents))
            for record in ports.store.audit(pool_id):
                parties |= {record.owner.party} if record.owner else set()
                accounts |= {(record.account, pool_id)} if record.account else set()
    return sorted(parties), sorted(accounts)


def _records(ports: Ports, parties: list[str], watch: Watch) -> Iterator[OwnerRecord]:
    """Read the owner records of stacks and pools."""
    for start in range(0, len(parties), READERS * 10):
        watch("owners", start, len(parties))
        for records in _together(ports.store.owners, parties[start : start + READERS * 10]):
            yield from records


def _together(ask: Callable[[Asked], Answer], asked: list[Asked]) -> list[Answer]:
    """Ask several things at once; the answers come in their order."""
    with ThreadPoolExecutor(READERS) as readers:
        return list(readers.map(ask, asked))
