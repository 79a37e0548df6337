"""Real deletions, each resource as slow as chance has it: the release of an address is always after its network's end.

What a product's template says of it, in every branch, is tested in tests/unit/products; here it is CloudFormation's
side, the function and EC2 that have to agree with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT
from local.stacks import Stack
from tests.templates import NAMES, PRODUCTS, Resource, Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.products.conftest import Catalogue, Shared

DELETIONS: Final = 100
AT_ONCE: Final = 10

NETWORKS: Final = {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::VPCCidrBlock"}
RELEASES: Final = {"Custom::DeleteCnCIDR", "Custom::GetCnCIDR"}


def orders(catalogue: Catalogue, shared: Shared) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give products, accounts and parameters without end: most of them small, some with everything."""
    everything = {"TransitGatewayId": catalogue.transit_gateway, "SecondCnCidrMask": "26", "Zones": "3"}
    subnets = {"VpcId": shared.vpc_id, "RouteTableA": shared.tables[0], "OrderingAccountId": MEMBER_ACCOUNT}
    while True:
        yield "corporate-network-vpc", MEMBER_ACCOUNT, everything
        yield "dedicated-subnets", NETWORK_ACCOUNT, subnets | {"SubnetMask": "28"}
        yield "egress-vpc", MEMBER_ACCOUNT, {"TransitGatewayId": catalogue.transit_gateway}
        yield "private-vpc", MEMBER_ACCOUNT, {"CnCidrMask": "26", "SubnetMask": "28"}
        yield "reserved-range", MEMBER_ACCOUNT, {"Place": "Bonn", "CnCidrMask": "28"}


def too_early(events: list[tuple[str, str]], resources: Mapping[str, Resource]) -> set[tuple[str, str]]:
    """Give each release that began before the end of a network that has the address."""
    when = {event: place for place, event in enumerate(events)}
    found = set()
    for release, resource in resources.items():
        if resource.kind not in RELEASES:
            continue
        getters = {name for name, _ in resource.refers if resources[name].kind == "Custom::GetCnCIDR"} or {release}
        for network, made in resources.items():
            if made.kind in NETWORKS and {name for name, _ in made.refers} & getters:
                ended = when[network, "DELETE_COMPLETE"]
                if ended > when[release, "DELETE_IN_PROGRESS"]:
                    found.add((release, network))
    return found


def test_no_release_comes_before_the_end_of_its_network(catalogue: Catalogue, shared: Shared) -> None:
    """In 100 deletions, ten at once: every stack goes, in many orders, and an address only after what had it."""
    templates = {name: Template.named(name) for name in NAMES}
    waiting, seen = orders(catalogue, shared), set()
    for batch in range(0, DELETIONS, AT_ONCE):
        stacks = []
        for number in range(batch, batch + AT_ONCE):
            product, account, said = next(waiting)
            stack = Stack(catalogue.twin, f"shuffled-{number}", account)
            parameters = catalogue.parameters(account, **said)
            stack.start_create(PRODUCTS / f"{product}.yaml", parameters)
            stacks.append((stack, templates[product].decided(templates[product].defaults() | parameters)))
        for step in ("wait_created", "start_delete", "wait_deleted"):
            for stack, _ in stacks:
                getattr(stack, step)()
        for stack, resources in stacks:
            events = catalogue.events(stack)
            assert too_early(events, resources) == set()
            seen.add(tuple(name for name, status in events if status == "DELETE_COMPLETE"))
    # Chance had its way.
    assert len(seen) > DELETIONS / 2


def test_the_recorder_would_see_it(catalogue: Catalogue) -> None:
    """Without its DependsOn, a VPC outlives its address."""
    source = (PRODUCTS / "private-vpc.yaml").read_text().replace("    DependsOn: DeleteCnCIDR\n", "")
    template, parameters = Template(source), catalogue.parameters(MEMBER_ACCOUNT)
    stack = Stack(catalogue.twin, "careless", MEMBER_ACCOUNT)
    stack.create(source, parameters)
    stack.delete()
    resources = template.decided(template.defaults() | parameters)
    assert ("DeleteCnCIDR", "Vpc") in too_early(catalogue.events(stack), resources)
