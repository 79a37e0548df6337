"""Networks that a team's own stacks order."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from ipam.domain.cidr import Cidr, spans
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
        story = self.stage.story
        story.chapter("Networks from a team's own stacks")
        story.step(f"Account {MEMBER_ACCOUNT} creates the stack shop: a /24, its VPC and three subnets.")
        stack = Stack(self.stage.twin, "shop", MEMBER_ACCOUNT)
        first = self.create(stack)
        story.step("The stack is updated to a /23: the new network comes first, then the old one goes.")
        second = self.grow(stack, first)
        story.step(f"Another {STACKS_AT_ONCE} stacks at once, each of three /24, a /22 and a /28.")
        crowd = self.crowd(second)
        story.step("All stacks are deleted.")
        self.delete([*crowd, stack])
        story.step(f"A new stack asks for exactly {second} as soon as that has cooled, and is deleted, too.")
        self.reorder(second)

    def create(self, stack: Stack) -> Cidr:
        """Create the stack: a network, its VPC and subnets."""
        stack.create(NETWORK, self.parameters("24"))
        cidr = self.verify_network(stack, 24)
        self.stage.story.tick(f"{cidr} is the stack's in the table, and its VPC's in EC2")
        return cidr

    def grow(self, stack: Stack, first: Cidr) -> Cidr:
        """Update it to another mask."""
        stack.update(NETWORK, self.parameters("23"))
        cidr = self.verify_network(stack, 23)
        expect(not cidr.overlaps(first), f"{cidr} overlaps {first}, which cools")
        cooling = [block.cidr for block in self.stage.ports.store.cooling(self.pool.pool_id, 100)]
        expect(first in cooling or self.is_free(first), f"{first} was not given back")
        self.stage.story.tick(f"{cidr} in its place; {first} was given back, and is nobody's while it cools")
        return cidr

    def crowd(self, taken: Cidr) -> list[Stack]:
        """Let several stacks order several networks each, all at once."""
        stacks = [Stack(self.stage.twin, f"team-{number}", MEMBER_ACCOUNT) for number in range(1, STACKS_AT_ONCE + 1)]
        for stack in stacks:
            stack.start_create(MANY, {"IpamFunctionArn": self.stage.twin.service_token})
        for stack in stacks:
            stack.wait_created()
        ordered = {stack.name: [Cidr.parse(cidr) for cidr in stack.outputs["Cidrs"].split(",")] for stack in stacks}
        blocks = [cidr for cidrs in ordered.values() for cidr in cidrs]
        lengths = sorted(cidr.length for cidr in blocks)
        expect(lengths == sorted([24, 24, 24, 22, 28] * STACKS_AT_ONCE), f"not the sizes that were asked: {lengths}")
        spans([*blocks, taken])  # refuses blocks that overlap
        held = {each.cidr for each in self.stage.allocations(POOL)}
        expect(held == {*blocks, taken}, "the table has other blocks than the stacks")
        self.stage.story.tick(f"{len(blocks)} blocks, none of which overlaps another")
        table = Table.grid(padding=(0, 2))
        for name, cidrs in {"shop": [taken], **ordered}.items():
            table.add_row(name, Text("  ".join(map(str, cidrs)), "magenta"))
        self.stage.story.show(table)
        return stacks

    def delete(self, stacks: list[Stack]) -> None:
        """Delete them all at once."""
        for stack in stacks:
            stack.start_delete()
        for stack in stacks:
            stack.wait_deleted()
        expect(not self.stage.allocations(POOL), f"{POOL} still has allocations")
        self.stage.story.tick(f"Nothing is allocated from {POOL} any more")

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
        self.stage.story.tick(f"{cidr} again")
        self.delete([stack])

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
