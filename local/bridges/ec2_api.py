"""EC2's calls, made from here and answered from here: what the bridges of networks have in common.

A call of the emulator takes the parameters of a request and gives a status, headers and XML; a bridge calls it with
plain values and gets elements, and answers a call of its own with EC2's error codes:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET  # what is parsed is the emulator's own

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import ec2

if TYPE_CHECKING:
    from collections.abc import Callable

    Params = dict[str, Any]
    Reply = tuple[Any, ...]
    Call = Callable[[Params], Reply]

_REFUSED = 400


class Ec2Error(Exception):
    """A call that EC2 refuses: its code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} (Service: Ec2, Status Code: 400, Error Code: {code})")
        self.code, self.message = code, message


def new_id(prefix: str) -> str:
    """Make an id as EC2's are: a prefix and 17 hexadecimal digits."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def call(function: Call, **parameters: object) -> ET.Element:
    """Make a call of the emulator; a list is numbered as in a request, and what is None is left out.

    Raises:
        Ec2Error: the call is refused.
    """
    status, _headers, body = function(_query(parameters))
    root = ET.fromstring(body)  # noqa: S314 -- see the import
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if status >= _REFUSED:
        raise Ec2Error(root.findtext(".//Code") or "", root.findtext(".//Message") or "")
    return root


def _query(parameters: dict[str, object]) -> Params:
    query: Params = {}
    for name, value in parameters.items():
        if isinstance(value, list):
            query |= {f"{name}.{number}": [str(item)] for number, item in enumerate(value, start=1)}
        elif value is not None:
            query[name] = [value if isinstance(value, str) else str(value).lower()]
    return query


def parameter(params: Params, name: str) -> str:
    """Read a parameter of a request; "" if it is not given."""
    values = params.get(name) or [""]
    return str(values[0] if isinstance(values, list) else values)


def answered(function: Call) -> Call:
    """Answer a refusal as EC2 does."""

    def answer(params: Params) -> Reply:
        try:
            return function(params)
        except Ec2Error as error:
            return tuple(ec2._error(error.code, error.message, _REFUSED))  # noqa: SLF001

    return answer


def xml(action: str, inner: str) -> Reply:
    """Answer a call."""
    return tuple(ec2._xml(200, f"{action}Response", inner))  # noqa: SLF001


def calls() -> dict[str, Call]:
    """Give EC2's calls by their names, to be replaced or added to."""
    table: dict[str, Call] = ec2._ACTION_MAP  # noqa: SLF001
    return table


def kept(name: str) -> Any:
    """Make a store of what the emulator has no room for; it is saved and restored with the emulator's own.

    A key is an account's, in a Region, as everywhere in the emulator.
    """
    store, save, restore = AccountRegionScopedDict(), ec2.get_state, ec2.load_persisted_state

    def get_state() -> dict[str, Any]:
        return {**save(), name: store}

    def load_persisted_state(data: dict[str, Any] | None) -> None:
        restore(data)
        ec2._restore_regional_store(store, (data or {}).get(name, {}))  # noqa: SLF001

    ec2.get_state, ec2.load_persisted_state = get_state, load_persisted_state
    return store
