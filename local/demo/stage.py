"""The demo's stage: the twin, its table, and what every step does to show that it was verified."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.cidr import Cidr, spans
from ipam.services.memory import Memory
from ipam.services.ports import Ports
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT

if TYPE_CHECKING:
    from ipam.domain.allocation import Allocation
    from local.demo.story import Story
    from local.twin import Twin


class DemoError(Exception):
    """Something is not as it should be; its text says what."""


def expect(fact: object, text: str) -> None:
    """Go on only if a fact holds."""
    if not fact:
        raise DemoError(text)


class Stage:
    """One twin, as the demo sees it."""

    def __init__(self, twin: Twin, story: Story) -> None:
        self.twin = twin
        self.story = story
        table = twin.session(NETWORK_ACCOUNT).client("dynamodb")
        self.ports = Ports(DynamoDbStore(twin.outputs["TableName"], table), SystemClock(), SystemChance(), Memory())
        self.ec2: Any = twin.session(MEMBER_ACCOUNT).client("ec2")
        self.key = self._tenant_key()

    def allocations(self, pool: str) -> list[Allocation]:
        """Read what is allocated from a pool."""
        return list(self.ports.store.allocations(self.ports.store.plan().named(pool).pool_id))

    def verify_allocation(self, pool: str, allocation_id: str, cidr: Cidr, stack_id: str) -> None:
        """Check in the table that a block is allocated, and to whom."""
        held = {each.allocation_id: each for each in self.allocations(pool)}
        allocation = held.get(allocation_id)
        expect(allocation and allocation.cidr == cidr, f"{cidr} is not allocated to the stack")
        expect(allocation and allocation.owner.party == stack_id, f"{cidr} is not the stack's")

    def verify_vpc(self, vpc_id: str, cidr: Cidr, lengths: list[int]) -> None:
        """Check in EC2 that a VPC has its block, and subnets of the lengths that were asked, inside and apart."""
        (vpc,) = self.ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
        expect(vpc["CidrBlock"] == str(cidr), f"the VPC has {vpc['CidrBlock']}")
        subnets = self.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]
        blocks = [Cidr.parse(subnet["CidrBlock"]) for subnet in subnets]
        expect(sorted(block.length for block in blocks) == lengths, f"not the subnets that were asked: {blocks}")
        expect(all(cidr.contains(block) for block in blocks), "a subnet is outside its network")
        spans(blocks)  # refuses blocks that overlap

    def _tenant_key(self) -> str:
        """Ask the command line for the account's key, as an administrator would."""
        command = [str(Path(sys.executable).with_name("ipam")), "tenant", "key", MEMBER_ACCOUNT]
        environment = {**os.environ, **self.twin.env()}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()
