"""No address goes back while something has it, in whatever order CloudFormation deletes a product."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.templates import NAMES, PRODUCTS, Resource, Template

if TYPE_CHECKING:
    from collections.abc import Mapping

    Resources = Mapping[str, Resource]

GET, DELETE = "Custom::GetCnCIDR", "Custom::DeleteCnCIDR"
SHUFFLES = 100


class Recorder:
    """CloudFormation's deletion of a stack: all at once that nothing waits for, each as long as chance has it.

    What fails stays; what it waits for is deleted all the same (docs/decisions/0020).
    """

    def __init__(self, resources: Resources, chance: random.Random, failing: str | None) -> None:
        """Delete them all, but for one that fails."""
        self.resources = resources
        self.releases: list[tuple[str, frozenset[str]]] = []
        """What began to be released, and what was there at that moment."""
        there, waited_for = set(resources), dict.fromkeys(resources, 0)
        for resource in resources.values():
            for needed in resource.waits:
                waited_for[needed] += 1
        under_way: set[str] = set()
        ready = [name for name, count in waited_for.items() if not count]
        while ready:
            place = chance.randrange(len(ready))
            name = ready[place]
            if name not in under_way:
                under_way.add(name)
                if resources[name].kind in {GET, DELETE}:
                    self.releases.append((name, frozenset(there)))
                continue
            ready[place] = ready[-1]
            ready.pop()
            if name != failing:
                there.discard(name)
            for needed in resources[name].waits:
                waited_for[needed] -= 1
                if not waited_for[needed]:
                    ready.append(needed)
        self.left = there

    def too_early(self, having: Mapping[str, set[str]]) -> set[tuple[str, str]]:
        """Give each release that came before the end of something that had the address.

        Args:
            having: for each release, what has its address.
        """
        return {(release, user) for release, there in self.releases for user in having[release] & there}


def released_by(resources: Resources, release: str) -> str:
    """Tell whose block it is that a resource's deletion gives back."""
    if resources[release].kind == GET:
        return release
    (getter,) = {name for name, _ in resources[release].refers if resources[name].kind == GET}
    return getter


def users(resources: Resources, getter: str) -> set[str]:
    """Tell what has addresses of a block: what is made of it, and what is made in that."""
    found: set[str] = set()
    frontier = {getter}
    while frontier:
        frontier = {
            name
            for name, resource in resources.items()
            if not resource.kind.startswith("Custom::") and {named for named, _ in resource.refers} & frontier
        } - found
        found |= frontier
    return found


def having(resources: Resources) -> dict[str, set[str]]:
    """Tell for each release what has its address."""
    releases = [name for name, resource in resources.items() if resource.kind in {GET, DELETE}]
    return {release: users(resources, released_by(resources, release)) for release in releases}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_released_before_what_has_it_is_gone(name: str) -> None:
    """In 100 shuffled deletions of each branch: everything goes, and an address after all that has it."""
    template, chance = Template.named(name), random.Random(name)
    for parameters in template.branches():
        resources = template.decided(parameters)
        has = having(resources)
        getters = {each for each, resource in resources.items() if resource.kind == GET}
        for _ in range(SHUFFLES):
            recorder = Recorder(resources, chance, failing=None)
            assert recorder.too_early(has) == set()
            assert recorder.left == set()
            assert {released_by(resources, release) for release, _ in recorder.releases} == getters
        # A reserved range is the only thing that is made of nothing else.
        assert all(users(resources, getter) for getter in getters) is (name != "reserved-range")


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_deleted_is_all_that_is_left_when_its_address_is_asked_for(name: str) -> None:
    """No order of a template keeps CloudFormation from asking then: the function has to look (0020)."""
    template, chance = Template.named(name), random.Random(name)
    for parameters in template.branches():
        resources = template.decided(parameters)
        has = having(resources)
        for failing in sorted(resources):
            recorder = Recorder(resources, chance, failing)
            assert recorder.left == {failing}
            releases = {release for release, users_of in has.items() if failing in users_of}
            assert recorder.too_early(has) == {(release, failing) for release in releases}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("corporate-network-vpc", "    DependsOn: DeleteCnCIDR\n"),
        ("corporate-network-vpc", "    DependsOn: DeleteSecondCIDR\n"),
        ("corporate-network-vpc", "    DependsOn: DeleteIpv6CIDR\n"),
        ("dedicated-subnets", "    DependsOn: DeleteCidrA\n"),
        ("dedicated-subnets", "    DependsOn: DeleteCidrC\n"),
        ("private-vpc", "    DependsOn: DeleteCnCIDR\n"),
        ("egress-vpc", "    DependsOn: DeleteCnCIDR\n"),
    ],
)
def test_each_of_these_lines_is_needed(name: str, line: str) -> None:
    """Without it, a shuffled deletion gives the address back too early: so the recorder would see that."""
    source = (PRODUCTS / f"{name}.yaml").read_text()
    assert source.count(line) == 1
    template, chance = Template(source.replace(line, "")), random.Random(name)
    decided = [template.decided(parameters) for parameters in template.branches()]
    assert any(
        Recorder(resources, chance, failing=None).too_early(having(resources))
        for resources in decided
        for _ in range(SHUFFLES)
    )
