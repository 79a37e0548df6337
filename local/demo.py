"""`make demo`: the main job from end to end on the local twin, each step verified.

The system's own template is deployed; an application team's account orders a network for its VPC, grows it, and gives
it back. Everything is asked through CloudFormation and EC2, and checked in the table that decides.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ipam.adapters.clocks import SystemChance, SystemClock
from ipam.adapters.dynamodb.store import DynamoDbStore
from ipam.domain.cidr import Cidr, spans
from ipam.entrypoints.cli.render import allocation_table, plan_tree
from ipam.entrypoints.cli.render import console as terminal
from ipam.services.memory import Memory
from ipam.services.ports import Ports
from local import twin as twins
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT
from local.stacks import Stack, StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipam.domain.allocation import Allocation
    from local.twin import Twin

POOL: Final = "vpc-eu-central-1"
NETWORK: Final = Path(__file__).parent / "stacks" / "corporate-network.yaml"
MANY: Final = Path(__file__).parent / "stacks" / "many-networks.yaml"
STACKS_AT_ONCE: Final = 4
COOLING_PATIENCE: Final = 15
"""Seconds after which a block that cools for five has to be free."""

console: Final = terminal()


class DemoError(Exception):
    """Something is not as it should be; its text says what."""


def expect(fact: object, text: str) -> None:
    """Go on only if a fact holds."""
    if not fact:
        raise DemoError(text)


class Demo:
    """The steps, on one twin."""

    def __init__(self, twin: Twin, progress: Progress) -> None:
        self.twin = twin
        self.progress = progress
        table = twin.session(NETWORK_ACCOUNT).client("dynamodb")
        self.ports = Ports(DynamoDbStore(twin.outputs["TableName"], table), SystemClock(), SystemChance(), Memory())
        self.plan = self.ports.store.plan()
        self.pool = self.plan.named(POOL)
        self.key = self._tenant_key()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show a step while it runs, and that it was verified."""
        task = self.progress.add_task(text, total=1)
        yield
        self.progress.update(task, completed=1, description=f"{text} [green]✓")

    def say(self, text: object) -> None:
        """Show what came of a step."""
        self.progress.console.print(text)

    def allocations(self) -> list[Allocation]:
        """Read what is allocated from the pool."""
        return list(self.ports.store.allocations(self.pool.pool_id))

    def run(self) -> None:
        """Take all steps."""
        stack = Stack(self.twin, "shop", MEMBER_ACCOUNT)
        with self.step(f"account {MEMBER_ACCOUNT} creates a stack: a /24 with three subnets and its VPC"):
            first = self.create(stack)
        with self.step("the stack is updated to a /23: the new network first, then the old one goes"):
            second = self.grow(stack, first)
        with self.step(f"{STACKS_AT_ONCE} stacks at once, each three /24, a /22 and a /28"):
            crowd = self.crowd(second)
        self.say(plan_tree(self.ports, self.plan))
        self.say(allocation_table(self.ports, self.pool))
        with self.step("all stacks are deleted: every address comes back"):
            for each in crowd:
                each.start_delete()
            stack.delete()
            for each in crowd:
                each.wait_deleted()
            expect(not self.allocations(), f"{POOL} still has allocations")
        with self.step(f"{second} has cooled, and another stack orders exactly it"):
            self.reorder(second)
        self.say(plan_tree(self.ports, self.plan))

    def create(self, stack: Stack) -> Cidr:
        """Create the stack: a network, its VPC and subnets."""
        stack.create(NETWORK, self.parameters("24"))
        cidr = self.verify_network(stack, 24)
        self.say(f"  {cidr}  {stack.outputs['AllocationId']}")
        return cidr

    def grow(self, stack: Stack, first: Cidr) -> Cidr:
        """Update it to another mask."""
        stack.update(NETWORK, self.parameters("23"))
        cidr = self.verify_network(stack, 23)
        expect(not cidr.overlaps(first), f"{cidr} overlaps {first}, which cools")
        cooling = [block.cidr for block in self.ports.store.cooling(self.pool.pool_id, 100)]
        expect(first in cooling or self.is_free(first), f"{first} was not given back")
        self.say(f"  {cidr}; {first} was given back and cools")
        return cidr

    def crowd(self, taken: Cidr) -> list[Stack]:
        """Let several stacks order several networks each, all at once."""
        stacks = [Stack(self.twin, f"team-{number}", MEMBER_ACCOUNT) for number in range(STACKS_AT_ONCE)]
        for stack in stacks:
            stack.start_create(MANY, {"IpamFunctionArn": self.twin.service_token})
        for stack in stacks:
            stack.wait_created()
        ordered = [Cidr.parse(cidr) for stack in stacks for cidr in stack.outputs["Cidrs"].split(",")]
        lengths = sorted(cidr.length for cidr in ordered)
        expect(lengths == sorted([24, 24, 24, 22, 28] * STACKS_AT_ONCE), f"not the sizes that were asked: {lengths}")
        spans([*ordered, taken])  # refuses blocks that overlap
        self.say(f"  {len(ordered)} blocks, none overlaps another")
        return stacks

    def reorder(self, cidr: Cidr) -> None:
        """Order the very block that was given back."""
        end = time.monotonic() + COOLING_PATIENCE
        while any(block.until > self.ports.clock.now() for block in self.ports.store.cooling(self.pool.pool_id, 100)):
            expect(time.monotonic() < end, f"{cidr} still cools")
            time.sleep(0.2)
        stack = Stack(self.twin, "again", MEMBER_ACCOUNT)
        stack.create(NETWORK, self.parameters(str(cidr.length)) | {"Cidr": str(cidr)})
        expect(self.verify_network(stack, cidr.length) == cidr, f"another block than {cidr} came back")
        stack.delete()
        expect(not self.allocations(), f"{POOL} still has allocations")

    def verify_network(self, stack: Stack, length: int) -> Cidr:
        """Check a stack's network in the table, and its VPC and subnets in EC2."""
        cidr = Cidr.parse(stack.outputs["Cidr"])
        expect(cidr.length == length, f"a /{length} was asked for and {cidr} given")
        held = {each.allocation_id: each for each in self.allocations()}
        allocation = held.get(stack.outputs["AllocationId"])
        expect(allocation and allocation.cidr == cidr, f"{cidr} is not allocated to the stack")
        expect(allocation and allocation.owner.party == stack.stack_id, f"{cidr} is not the stack's")
        ec2: Any = self.twin.session(MEMBER_ACCOUNT).client("ec2")
        (vpc,) = ec2.describe_vpcs(VpcIds=[stack.outputs["VpcId"]])["Vpcs"]
        expect(vpc["CidrBlock"] == str(cidr), f"the VPC has {vpc['CidrBlock']}")
        subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
        blocks = [Cidr.parse(subnet["CidrBlock"]) for subnet in subnets]
        expect(sorted(block.length for block in blocks) == [26, 26, 27], f"not the subnets that were asked: {blocks}")
        expect(all(cidr.contains(block) for block in blocks), "a subnet is outside its network")
        spans(blocks)
        return cidr

    def is_free(self, cidr: Cidr) -> bool:
        """Whether a block is free, in whatever larger one."""
        return any(block.contains(cidr) for block in self.ports.store.all_free(self.pool.pool_id, cidr.family))

    def parameters(self, mask: str) -> dict[str, str]:
        """Give the parameters of the network template."""
        return {"IpamFunctionArn": self.twin.service_token, "CustomerAuthorizationKey": self.key, "CnCidrMask": mask}

    def _tenant_key(self) -> str:
        """Ask the command line for the account's key, as an administrator would."""
        command = [str(Path(sys.executable).with_name("ipam")), "tenant", "key", MEMBER_ACCOUNT]
        environment = {**os.environ, **self.twin.env()}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()


def main() -> int:
    """Run the demo; 0 only if every step was verified."""
    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), TimeElapsedColumn())
    began = time.monotonic()
    with Progress(*columns, console=console) as progress:
        start = progress.add_task("the local twin starts, and template.yaml is deployed to it", total=1)
        try:
            with twins.start() as twin:
                progress.update(start, completed=1, description="the local twin runs template.yaml [green]✓")
                Demo(twin, progress).run()
        except (DemoError, StackError, twins.TwinError) as error:
            progress.stop()
            console.print(f"[bold red]failed:[/] {error}", soft_wrap=True)
            return 1
    console.print(f"[bold green]every step was verified[/], in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
