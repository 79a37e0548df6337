from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from ipam.domain import errors
from ipam.domain.errors import IpamError, PermanentError, PoolExhaustedError, TemporaryError
from tests.builders import NOON, block

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAVES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, IpamError) and not kind.__subclasses__()
]


def exhausted() -> PoolExhaustedError:
    """Make an error with all its facts."""
    return PoolExhaustedError(
        pool="vpcs",
        asked=24,
        largest=block("10.0.0.0/25"),
        cooling_blocks=1,
        cooling_addresses=256,
        cooling_until=NOON,
        provisioned=True,
    )


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_says_what_the_caller_should_do(kind: type[IpamError]) -> None:
    """Each error is refused for good or may pass later, never both."""
    assert issubclass(kind, PermanentError) != issubclass(kind, TemporaryError)


def test_an_error_passes_through_a_context_manager() -> None:
    """Python notes the traceback in the error as it leaves a `with` block; the error has to let it."""

    @contextlib.contextmanager
    def block_of_work() -> Iterator[None]:
        yield

    with pytest.raises(PoolExhaustedError), block_of_work():
        raise exhausted()


def test_errors_are_compared_by_their_facts() -> None:
    """Two errors with the same facts are equal, also as keys."""
    assert exhausted() == exhausted()
    assert len({exhausted(), exhausted()}) == 1
