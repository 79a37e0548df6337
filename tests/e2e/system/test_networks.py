"""A stack asks for a network, gets it, uses it, and gives it back: by CloudFormation, by EC2, and by the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipam.domain.cidr import Cidr, spans
from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, OUTSIDE_ACCOUNT
from local.stacks import Stack, StackError
from tests import invariants
from tests.e2e.system.conftest import allocated, new_pool

if TYPE_CHECKING:
    from ipam.services.ports import Ports
    from local.twin import Twin
    from tests.e2e.system.conftest import CommandLine

STACKS = Path("local/stacks")
NETWORK = STACKS / "corporate-network.yaml"
MANY = STACKS / "many-networks.yaml"
POOL = "vpc-eu-central-1"

BROKEN = """
  Broken:
    Type: AWS::EC2::Subnet
    DependsOn: [SubnetA, SubnetB, SubnetC]
    Properties: { VpcId: !Ref Vpc, CidrBlock: 192.0.2.0/28 }

Outputs:
"""
"""A subnet outside its VPC, made last: the stack has used its network by the time it fails."""


def parameters(twin: Twin, ipam: CommandLine, account: str = MEMBER_ACCOUNT, **others: str) -> dict[str, str]:
    """Give the parameters of the network template."""
    key = ipam("tenant", "key", account)
    return {"IpamFunctionArn": twin.service_token_of(account), "CustomerAuthorizationKey": key, **others}


def subnets(twin: Twin, account: str, vpc_id: str) -> list[Cidr]:
    """Tell a VPC's subnets, as EC2 has them."""
    ec2: Any = twin.session(account).client("ec2")
    found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]
    return sorted(Cidr.parse(subnet["CidrBlock"]) for subnet in found)


def order(pool: str, resources: dict[str, str]) -> str:
    """Write a template that orders networks of these masks from a named pool."""
    body = "".join(
        f"""
  {name}:
    Type: Custom::GetCnCIDR
    Properties: {{ ServiceToken: !Ref IpamFunctionArn, ServiceTimeout: 300, PoolName: {pool}, CnCidrMask: "{mask}" }}
"""
        for name, mask in resources.items()
    )
    outputs = "".join(f"  {name}: {{ Value: !GetAtt {name}.Cidr }}\n" for name in resources)
    return f"Parameters:\n  IpamFunctionArn: {{ Type: String }}\nResources:{body}Outputs:\n{outputs}"


def test_a_stack_lives_and_dies_with_its_network(twin: Twin, ipam: CommandLine, ports: Ports) -> None:
    """Created, updated in place, updated to another mask, deleted: at each step one allocation, and at the end none."""
    stack = Stack(twin, "life", NETWORK_ACCOUNT)
    stack.create(NETWORK, parameters(twin, ipam, NETWORK_ACCOUNT, CnCidrMask="24"))
    first, first_id = Cidr.parse(stack.outputs["Cidr"]), stack.outputs["AllocationId"]
    assert first.length == 24
    assert allocated(ports, POOL)[first_id] == first
    blocks = subnets(twin, NETWORK_ACCOUNT, stack.outputs["VpcId"])
    assert sorted(block.length for block in blocks) == [26, 26, 27]
    assert all(first.contains(block) for block in blocks)
    assert spans(blocks)

    stack.update(NETWORK, parameters(twin, ipam, NETWORK_ACCOUNT, CnCidrMask="24", VpcNamePrefix="renamed"))
    assert (stack.outputs["Cidr"], stack.outputs["AllocationId"]) == (str(first), first_id)

    stack.update(NETWORK, parameters(twin, ipam, NETWORK_ACCOUNT, CnCidrMask="23", VpcNamePrefix="renamed"))
    second, second_id = Cidr.parse(stack.outputs["Cidr"]), stack.outputs["AllocationId"]
    assert second.length == 23
    assert not second.overlaps(first)
    held = allocated(ports, POOL)
    assert held[second_id] == second
    assert first_id not in held

    stack.delete()
    assert not {first_id, second_id} & allocated(ports, POOL).keys()
    invariants.check(ports.store)


def test_the_address_goes_back_after_the_vpc_is_gone(twin: Twin, ipam: CommandLine) -> None:
    """In a deletion the release comes after the VPC's end, because the VPC depends on DeleteCnCIDR."""
    stack = Stack(twin, "order", MEMBER_ACCOUNT)
    stack.create(NETWORK, parameters(twin, ipam))
    stack.delete()
    cloudformation: Any = twin.session(MEMBER_ACCOUNT).client("cloudformation")
    events = cloudformation.describe_stack_events(StackName=stack.stack_id)["StackEvents"]
    ended = [e["LogicalResourceId"] for e in reversed(events) if e["ResourceStatus"] == "DELETE_COMPLETE"]
    assert ended.index("Vpc") < ended.index("DeleteCnCIDR") < ended.index("GetCnCIDR")


def test_a_failed_creation_gives_everything_back(twin: Twin, ipam: CommandLine, ports: Ports) -> None:
    """A stack that fails after it has used its network is rolled back, and holds nothing afterwards."""
    stack = Stack(twin, "fails", MEMBER_ACCOUNT)
    stack.start_create(NETWORK.read_text().replace("\nOutputs:\n", BROKEN), parameters(twin, ipam))
    with pytest.raises(StackError, match="Broken"):
        stack.wait_created()
    assert stack.status == "ROLLBACK_COMPLETE"
    assert not [each for each in holders(ports) if each == stack.stack_id]
    invariants.check(ports.store)


def test_a_failed_update_finds_its_old_network_again(twin: Twin, ipam: CommandLine, ports: Ports) -> None:
    """An update to another mask that fails is rolled back to the same allocation; the new one is given back."""
    stack = Stack(twin, "returns", MEMBER_ACCOUNT)
    stack.create(NETWORK, parameters(twin, ipam))
    before = stack.outputs
    broken = NETWORK.read_text().replace("\nOutputs:\n", BROKEN)
    stack.start_update(broken, parameters(twin, ipam, CnCidrMask="22"))
    with pytest.raises(StackError, match="Broken"):
        stack.wait_updated()
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.outputs == before
    assert holders(ports).count(stack.stack_id) == 1
    assert allocated(ports, POOL)[before["AllocationId"]] == Cidr.parse(before["Cidr"])
    stack.delete()
    assert stack.stack_id not in holders(ports)
    invariants.check(ports.store)


def test_two_stacks_race_for_the_last_block(twin: Twin, ports: Ports) -> None:
    """Of two stacks that order the last block at once one gets it; the other is told what there is and what to do."""
    new_pool(ports, "z-last-block", "172.16.0.0/24")
    stacks = [Stack(twin, f"racer-{number}", MEMBER_ACCOUNT) for number in range(2)]
    for stack in stacks:
        stack.start_create(order("z-last-block", {"Network": "24"}), {"IpamFunctionArn": twin.service_token})
    refused = []
    for stack in stacks:
        try:
            stack.wait_created()
        except StackError as error:
            refused.append(str(error))
    assert list(allocated(ports, "z-last-block").values()) == [Cidr.parse("172.16.0.0/24")]
    (reason,) = refused
    assert "z-last-block" in reason
    assert "/24" in reason
    for stack in stacks:
        stack.delete()
    assert not allocated(ports, "z-last-block")


def test_five_networks_in_one_go(twin: Twin, ports: Ports) -> None:
    """Three /24, a /22 and a /28 ordered by one template are five blocks that don't overlap."""
    stack = Stack(twin, "five", MEMBER_ACCOUNT)
    stack.create(MANY, {"IpamFunctionArn": twin.service_token})
    blocks = [Cidr.parse(text) for text in stack.outputs["Cidrs"].split(",")]
    assert sorted(block.length for block in blocks) == [22, 24, 24, 24, 28]
    assert spans(blocks)
    stack.delete()
    assert stack.stack_id not in holders(ports)


def test_sixteen_such_stacks_at_once(twin: Twin, ports: Ports) -> None:
    """Sixteen such stacks at once, of two accounts, get eighty blocks that don't overlap, and give all back."""
    accounts = [(MEMBER_ACCOUNT, NETWORK_ACCOUNT)[number % 2] for number in range(16)]
    stacks = [Stack(twin, f"crowd-{number}", account) for number, account in enumerate(accounts)]
    for stack, account in zip(stacks, accounts, strict=True):
        stack.start_create(MANY, {"IpamFunctionArn": twin.service_token_of(account)})
    for stack in stacks:
        stack.wait_created()
    blocks = [Cidr.parse(text) for stack in stacks for text in stack.outputs["Cidrs"].split(",")]
    assert len(blocks) == 80
    assert spans(blocks)
    for stack in stacks:
        stack.start_delete()
    for stack in stacks:
        stack.wait_deleted()
    assert not {stack.stack_id for stack in stacks} & set(holders(ports))
    invariants.check(ports.store)


def test_an_account_outside_the_organisation_is_refused(twin: Twin, ports: Ports) -> None:
    """A stack of an account that the resource policy does not let in fails, and the function never hears of it."""
    stack = Stack(twin, "stranger", OUTSIDE_ACCOUNT)
    stack.start_create(MANY, {"IpamFunctionArn": twin.service_token})
    with pytest.raises(StackError, match="not authorized to perform: lambda:InvokeFunction"):
        stack.wait_created()
    delivered = [record for record in twin.records() if record["event"]["StackId"] == stack.stack_id]
    assert not [record for record in delivered if record.get("kind", "delivered") == "delivered"]
    assert stack.stack_id not in holders(ports)


def test_a_wrong_key_fails_the_stack_and_leaks_nothing(twin: Twin, ipam: CommandLine, ports: Ports) -> None:
    """DeleteCnCIDR with another account's key is refused while the stack is created, without a word of the key.

    It is noted, as the account's that the alias proves.
    """
    stolen = ipam("tenant", "key", NETWORK_ACCOUNT)
    stack = Stack(twin, "thief", MEMBER_ACCOUNT)
    stack.start_create(NETWORK, parameters(twin, ipam) | {"CustomerAuthorizationKey": stolen})
    with pytest.raises(StackError, match="Authorizationkey") as refusal:
        stack.wait_created()
    assert stolen not in str(refusal.value)
    assert stolen not in twin.log.read_text()
    assert stack.stack_id not in holders(ports)
    tried = ipam("attempts", MEMBER_ACCOUNT, "--output", "json")
    kinds = {(row["kind"], row["account"]) for row in json.loads(tried) if row["stack_id"] == stack.stack_id}
    assert kinds == {("denied", MEMBER_ACCOUNT)}
    assert stolen not in tried


@pytest.mark.parametrize(
    ("mask", "named"), [("/24", "CnCidrMask"), ("two four", "CnCidrMask"), ("15", "CnCidrMask 16")]
)
def test_a_bad_mask_is_named(twin: Twin, mask: str, named: str) -> None:
    """The reason of a refusal names the property or the rule, and the value."""
    stack = Stack(twin, f"bad-{mask.strip('/').replace(' ', '-')}", MEMBER_ACCOUNT)
    stack.start_create(order(POOL, {"Network": mask}), {"IpamFunctionArn": twin.service_token})
    with pytest.raises(StackError, match=named) as refusal:
        stack.wait_created()
    assert mask.strip("/") in str(refusal.value)


def test_a_key_survives_one_rotation(twin: Twin, ipam: CommandLine, ports: Ports) -> None:
    """A key handed out before the master key was rotated still opens its account, and a new one is printed."""
    before = parameters(twin, ipam)
    secrets: Any = twin.session(NETWORK_ACCOUNT).client("secretsmanager")
    secrets.put_secret_value(SecretId=twin.outputs["MasterKeySecretArn"], SecretString="another master key " * 3)
    assert ipam("tenant", "key", MEMBER_ACCOUNT) != before["CustomerAuthorizationKey"]
    stack = Stack(twin, "rotated", MEMBER_ACCOUNT)
    stack.create(NETWORK, before)
    stack.delete()
    assert stack.stack_id not in holders(ports)


def holders(ports: Ports) -> list[str]:
    """Tell who holds the allocations of the pool for VPCs: stack ids, one an allocation."""
    pool_id = ports.store.plan().named(POOL).pool_id
    return [allocation.owner.party for allocation in ports.store.allocations(pool_id)]
