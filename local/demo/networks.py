"""Networks that a team's own stacks order."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipam.domain.cidr import Cidr, spans
from ipam.entrypoints.cli.render import allocation_table, plan_tree
from local.demo.stage import expect
from local.settings import MEMBER_ACCOUNT
from local.stacks import Stack

if TYPE_CHECKING:
    from local.demo.stage import Stage

POOL: Final = "vpc-eu-central-1"
_STACKS: Final = Path(__file__).parent.parent / "stacks"
NETWORK: Final = _STACKS / "corporate-network.yaml"
MANY: Final = _STACKS / "many-networks.yaml"
STACKS_AT_ONCE: Final = 4
COOLING_PATIENCE: Final = 15
"""Seconds after which a block that cools for five has to be free."""


class Networks:
    """The steps with stacks."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.pool = stage.ports.store.plan().named(POOL)

    def run(self) -> None:
        """Take all steps."""
        stack = Stack(self.stage.twin, "shop", MEMBER_ACCOUNT)
        with self.stage.step(f"account {MEMBER_ACCOUNT} creates a stack: a /24 with three subnets and its VPC"):
            first = self.create(stack)
        with self.stage.step("the stack is updated to a /23: the new network first, then the old one goes"):
            second = self.grow(stack, first)
        with self.stage.step(f"{STACKS_AT_ONCE} stacks at once, each three /24, a /22 and a /28"):
            crowd = self.crowd(second)
        self.stage.say(plan_tree(self.stage.ports, self.stage.ports.store.plan()))
        self.stage.say(allocation_table(self.stage.ports, self.pool))
        with self.stage.step("all stacks are deleted: every address comes back"):
            for each in crowd:
                each.start_delete()
            stack.delete()
            for each in crowd:
                each.wait_deleted()
            expect(not self.stage.allocations(POOL), f"{POOL} still has allocations")
        with self.stage.step(f"{second} has cooled, and another stack orders exactly it"):
            self.reorder(second)
        self.stage.say(plan_tree(self.stage.ports, self.stage.ports.store.plan()))

    def create(self, stack: Stack) -> Cidr:
        """Create the stack: a network, its VPC and subnets."""
        stack.create(NETWORK, self.parameters("24"))
        cidr = self.verify_network(stack, 24)
        self.stage.say(f"  {cidr}  {stack.outputs['AllocationId']}")
        return cidr

    def grow(self, stack: Stack, first: Cidr) -> Cidr:
        """Update it to another mask."""
        stack.update(NETWORK, self.parameters("23"))
        cidr = self.verify_network(stack, 23)
        expect(not cidr.overlaps(first), f"{cidr} overlaps {first}, which cools")
        cooling = [block.cidr for block in self.stage.ports.store.cooling(self.pool.pool_id, 100)]
        expect(first in cooling or self.is_free(first), f"{first} was not given back")
        self.stage.say(f"  {cidr}; {first} was given back and cools")
        return cidr

    def crowd(self, taken: Cidr) -> list[Stack]:
        """Let several stacks order several networks each, all at once."""
        stacks = [Stack(self.stage.twin, f"team-{number}", MEMBER_ACCOUNT) for number in range(STACKS_AT_ONCE)]
        for stack in stacks:
            stack.start_create(MANY, {"IpamFunctionArn": self.stage.twin.service_token})
        for stack in stacks:
            stack.wait_created()
        ordered = [Cidr.parse(cidr) for stack in stacks for cidr in stack.outputs["Cidrs"].split(",")]
        lengths = sorted(cidr.length for cidr in ordered)
        expect(lengths == sorted([24, 24, 24, 22, 28] * STACKS_AT_ONCE), f"not the sizes that were asked: {lengths}")
        spans([*ordered, taken])  # refuses blocks that overlap
        self.stage.say(f"  {len(ordered)} blocks, none overlaps another")
        return stacks

    def reorder(self, cidr: Cidr) -> None:
        """Order the very block that was given back."""
        end = time.monotonic() + COOLING_PATIENCE
        while any(
            block.until > self.stage.ports.clock.now()
            for block in self.stage.ports.store.cooling(self.pool.pool_id, 100)
        ):
            expect(time.monotonic() < end, f"{cidr} still cools")
            time.sleep(0.2)
        stack = Stack(self.stage.twin, "again", MEMBER_ACCOUNT)
        stack.create(NETWORK, self.parameters(str(cidr.length)) | {"Cidr": str(cidr)})
        expect(self.verify_network(stack, cidr.length) == cidr, f"another block than {cidr} came back")
        stack.delete()
        expect(not self.stage.allocations(POOL), f"{POOL} still has allocations")

    def verify_network(self, stack: Stack, length: int) -> Cidr:
        """Check a stack's network in the table, and its VPC and subnets in EC2."""
        cidr = Cidr.parse(stack.outputs["Cidr"])
        expect(cidr.length == length, f"a /{length} was asked for and {cidr} given")
        self.stage.verify_allocation(POOL, stack.outputs["AllocationId"], cidr, stack.stack_id)
        self.stage.verify_vpc(stack.outputs["VpcId"], cidr, [26, 26, 27])
        return cidr

    def is_free(self, cidr: Cidr) -> bool:
        """Whether a block is free, in whatever larger one."""
        return any(block.contains(cidr) for block in self.stage.ports.store.all_free(self.pool.pool_id, cidr.family))

    def parameters(self, mask: str) -> dict[str, str]:
        """Give the parameters of the network template."""
        return {
            "IpamFunctionArn": self.stage.twin.service_token,
            "CustomerAuthorizationKey": self.stage.key,
            "CnCidrMask": mask,
        }
