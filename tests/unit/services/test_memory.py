from __future__ import annotations

from ipam.domain.owner import OwnerRecord
from ipam.services.memory import KEPT, Memory
from tests.builders import block, blocks, owner_key


def test_blocks_are_used_in_the_order_in_which_they_were_seen() -> None:
    """Only a block of exactly the size asked is a hint, the first one seen first."""
    memory = Memory()
    memory.see_free("p", blocks("10.0.2.0/24", "10.0.0.0/24", "10.0.4.0/22"))
    assert memory.free_block("p", 4, 24) == block("10.0.2.0/24")
    memory.use_free("p", block("10.0.2.0/24"))
    assert memory.free_block("p", 4, 24) == block("10.0.0.0/24")
    assert memory.free_block("p", 4, 23) is None
    assert memory.free_block("q", 4, 24) is None


def test_a_read_takes_the_place_of_what_was_known_of_its_sizes() -> None:
    """What a read shows of a size is all that is known of it; other sizes and pools are as they were."""
    memory = Memory()
    memory.see_free("p", blocks("10.0.0.0/24", "10.0.4.0/22"))
    memory.see_free("q", blocks("10.0.0.0/24"))
    memory.read_free("p", blocks("10.0.9.0/24"))
    assert memory.free_block("p", 4, 24) == block("10.0.9.0/24")
    assert memory.free_block("p", 4, 22) == block("10.0.4.0/22")
    assert memory.free_block("q", 4, 24) == block("10.0.0.0/24")


def test_a_pool_is_forgotten_alone() -> None:
    """One pool's hints go, another's stay."""
    memory = Memory()
    memory.see_free("p", blocks("10.0.0.0/24"))
    memory.see_free("q", blocks("10.0.0.0/24"))
    memory.forget_free("p")
    assert memory.free_block("p", 4, 24) is None
    assert memory.free_block("q", 4, 24) == block("10.0.0.0/24")


def test_memory_is_bounded() -> None:
    """Beyond its limit everything is forgotten, which costs reads and nothing else."""
    memory = Memory()
    addresses = list(block("10.0.0.0/16").subnets(32))
    for address in addresses[: KEPT + 1]:
        memory.see_free("p", [address])
    assert memory.free_block("p", 4, 32) is None
    for number in range(KEPT + 1):
        memory.see_owner(OwnerRecord(owner_key(str(number))))
    assert memory.owner(owner_key("0")) is None
    assert memory.owner(owner_key(str(KEPT))) is not None
