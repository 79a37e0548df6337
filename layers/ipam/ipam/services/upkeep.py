"""Upkeep of every pool and scope, on a schedule, for as long as the time of a run lasts.

A run starts at a random pool: where the work is more than one run can do, no pool is always the one that is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipam.domain.cidr import WIDTHS
from ipam.domain.errors import OutOfTimeError, ServiceUnavailableError, TemporaryError, VpcIpamRefusedError
from ipam.services.leases import keep_leases
from ipam.services.pending import mend
from ipam.services.plan import current_plan
from ipam.services.reclaim import reclaim

if TYPE_CHECKING:
    from ipam.domain.plan import Plan
    from ipam.services.ports import Deadline, Ports


@dataclass(frozen=True, slots=True)
class Failure:
    """A pool or scope that could not be served, by its name, and why."""

    pool: str
    error: TemporaryError | VpcIpamRefusedError


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to; a scope counts as a pool.

    Attributes:
        pools: how many there are.
        looked_at: how many the run was done with, whether they had work for it or failed.
        changed: in how many of those something was changed, by the run or by somebody who was faster.
        failures: those that could not be served, or not wholly.
    """

    pools: int
    looked_at: int
    changed: int
    failures: tuple[Failure, ...]

    @property
    def out_of_time(self) -> bool:
        """Whether the time ended before the pools did; the next run goes on."""
        return self.looked_at < self.pools


def keep_up(ports: Ports, deadline: Deadline) -> Report:
    """End what is over, free what has cooled, and join what can be joined, wherever there is something.

    A pool that fails for now does not keep the others from being served. Every step is a change of its own, so a run
    that ends early has lost nothing.

    Raises:
        StoreUnavailableError: not even the plan could be read.
    """
    plan = current_plan(ports, fresh=True)
    pool_ids = [*plan.scopes, *plan.pools]
    start = ports.chance.below(len(pool_ids)) if pool_ids else 0
    looked_at = changed = 0
    failures: list[Failure] = []
    for pool_id in pool_ids[start:] + pool_ids[:start]:
        try:
            changed += _keep_up_pool(ports, plan, pool_id, deadline, failures)
        except OutOfTimeError:
            break
        looked_at += 1
    return Report(len(pool_ids), looked_at, changed, tuple(failures))


def _keep_up_pool(ports: Ports, plan: Plan, pool_id: str, deadline: Deadline, failures: list[Failure]) -> bool:
    """Do all the work of a pool or scope, as far as it can be done; say whether anything was changed."""
    changed = False
    errors: list[TemporaryError | VpcIpamRefusedError] = []
    for work in (_keep_leases, _reclaim, _mend):
        try:
            changed |= work(ports, plan, pool_id, deadline)
        except OutOfTimeError:
            raise
        except (ServiceUnavailableError, VpcIpamRefusedError) as error:
            # Another service's failure is nothing to the rest of the work.
            errors.append(error)
        except TemporaryError as error:
            errors.append(error)
            break
    failures += [Failure(plan.space(pool_id).name, error) for error in errors[:1]]
    return changed


def _keep_leases(ports: Ports, plan: Plan, pool_id: str, deadline: Deadline) -> bool:
    """End what is over in a pool; a scope has no leases."""
    pool = plan.pools.get(pool_id)
    return pool is not None and keep_leases(ports, pool, deadline)


def _reclaim(ports: Ports, plan: Plan, pool_id: str, deadline: Deadline) -> bool:
    """Free and join what can be in a pool, or in a scope, which has addresses of every family."""
    pool = plan.pools.get(pool_id)
    changed = False
    for family in WIDTHS if pool is None else (pool.family,):
        # Where nothing is to be done reclaim only reads, and never asks how late it is.
        deadline.ensure()
        changed |= reclaim(ports, plan.space(pool_id), family, None, deadline)
    return changed


def _mend(ports: Ports, plan: Plan, pool_id: str, deadline: Deadline) -> bool:
    """End what is left of orders at Amazon VPC IPAM, in a pool that it stands behind."""
    pool = plan.pools.get(pool_id)
    return pool is not None and bool(pool.vpc_ipam_pool_id) and mend(ports, pool, deadline)
