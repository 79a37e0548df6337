"""The example plan that the twin comes up with, so that a stack can order at once without naming a pool.

The corporate network is 10.0.0.0/8. Each Region has pools for VPCs and for subnets in shared VPCs; eu-central-1, where
the twin is, has room for hundreds of orders. No quota gets in the way, and what is released cools for five seconds
only, so that one can watch it come back. The accounts that are to order are tenants.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipam import bootstrap
from ipam.domain.cidr import Cidr
from ipam.domain.pool import AllocationRules
from ipam.services.plan import current_plan
from ipam.services.pools import NewPool, create_pool
from ipam.services.ports import NoDeadline
from ipam.services.provision import provision
from ipam.services.scopes import create_scope
from ipam.services.tenancy import add_tenant, follow_live
from ipam.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ipam.services.ports import Ports

CAUSE: Final = "example plan of the local twin"
ROOT: Final = Path(__file__).resolve().parent.parent
COOLING_SECONDS: Final = 5
VPC_RULES: Final = AllocationRules(16, 28, 24)
"""IPv4 netmask lengths of a VPC and of a subnet (Amazon VPC user guide, "VPC CIDR blocks")."""

VPC_RULES_IPV6: Final = AllocationRules(44, 60, 56)
"""IPv6 netmask lengths of a VPC (same page)."""


def seed(env: Mapping[str, str], accounts: Iterable[str]) -> None:
    """Make the example plan in the system that `env` (the exports of `.local/env`) leads to, unless it is there.

    The accounts are let in; the aliases of those that were tenants already follow what is deployed now.

    Raises:
        subprocess.CalledProcessError: it could not be made; standard error says why.
    """
    command = [sys.executable, "-m", "local.plan", *accounts]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=True)


def _let_in(ports: Ports, accounts: Iterable[str]) -> None:
    """Let accounts order."""
    for account in accounts:
        add_tenant(ports, account, lambda tenant: tenant, CAUSE)
    follow_live(ports, NoDeadline())


def _make(ports: Ports) -> None:
    """Make the example plan."""
    plan = current_plan(ports)
    if plan.scopes:
        return
    scope_id = create_scope(ports, "private", "private", "Addresses routed inside the company", CAUSE).scope_id
    create_scope(ports, "public", "public", "Addresses routed on the internet", CAUSE)
    corporate = _pool(
        ports, NewPool("corporate-network", scope_id, description="Harmonised with on-premises"), "10.0.0.0/8"
    )
    central = _pool(
        ports,
        NewPool("corporate-network-eu-central-1", scope_id, source_pool_id=corporate, locale="eu-central-1"),
        "10.0.0.0/9",
        "10.128.0.0/10",
    )
    west = _pool(
        ports,
        NewPool("corporate-network-eu-west-1", scope_id, source_pool_id=corporate, locale="eu-west-1"),
        "10.192.0.0/11",
    )
    _leaf(ports, scope_id, central, "eu-central-1", "vpc", "10.0.0.0/9", "10.128.0.0/11")
    _leaf(ports, scope_id, central, "eu-central-1", "subnet", "10.160.0.0/12")
    _leaf(ports, scope_id, west, "eu-west-1", "vpc", "10.192.0.0/12")
    six = _pool(ports, NewPool("corporate-network-ipv6", scope_id, family=6), "fd00:ec2::/32")
    _pool(
        ports,
        NewPool(
            "vpc-ipv6-eu-central-1",
            scope_id,
            family=6,
            source_pool_id=six,
            locale="eu-central-1",
            allocation_types=frozenset({"vpc"}),
            rules=VPC_RULES_IPV6,
            cooling_seconds=COOLING_SECONDS,
        ),
        "fd00:ec2::/36",
    )


def _leaf(ports: Ports, scope_id: str, parent: str, locale: str, kind: str, *blocks: str) -> None:
    """Make a pool that stacks are served from."""
    new = NewPool(
        f"{kind}-{locale}",
        scope_id,
        source_pool_id=parent,
        locale=locale,
        allocation_types=frozenset({"vpc" if kind == "vpc" else "subnet"}),
        rules=VPC_RULES,
        cooling_seconds=COOLING_SECONDS,
    )
    _pool(ports, new, *blocks)


def _pool(ports: Ports, new: NewPool, *blocks: str) -> str:
    """Make a pool and give it its blocks."""
    pool = create_pool(ports, new, CAUSE)
    for block in blocks:
        provision(ports, pool.pool_id, Cidr.parse(block), block, CAUSE)
    return pool.pool_id


if __name__ == "__main__":
    system = bootstrap.ports(Settings.from_environment())
    _make(system)
    _let_in(system, sys.argv[1:])
