"""Read the address plan, and commit what changes it.

The changes themselves: `ipam.services.scopes` and `pools`, `provision`, `divide` and `deprovision`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipam.domain.change import Change
from ipam.domain.errors import NoSuchPoolError
from ipam.services.ports.store import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipam.domain.change import Operation
    from ipam.domain.plan import Plan
    from ipam.domain.pool import Space
    from ipam.services.ports import Ports


def current_plan(ports: Ports, *, fresh: bool = False) -> Plan:
    """Give the plan; what is remembered serves unless it has to be fresh."""
    now = ports.clock.now()
    plan = None if fresh else ports.memory.plan(now)
    if plan is None:
        plan = ports.store.plan()
        ports.memory.see_plan(now, plan)
    return plan


def current_space(ports: Ports, pool_id: str) -> Space:
    """Tell what a pool or scope has to give from, though it may be newer than what is remembered.

    Raises:
        NoSuchPoolError: there is none.
    """
    try:
        return current_plan(ports).space(pool_id)
    except NoSuchPoolError:
        return current_plan(ports, fresh=True).space(pool_id)


def change_plan(ports: Ports, operations: Iterable[Operation]) -> bool:
    """Commit a change of the plan.

    Returns:
        Whether it was done; if not, somebody else has changed something, and what to do has to be decided anew.
    """
    try:
        ports.store.commit(Change(tuple(operations)))
    except Conflict:
        return False
    finally:
        # Also where there was no answer: it may have been done.
        ports.memory.forget_plan()
    return True
