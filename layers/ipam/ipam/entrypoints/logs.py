"""One JSON line for each event, without a secret.

Alarms read its field `outcome` (template.yaml, the metric filters), people the rest.
"""

from __future__ import annotations

import functools
import json
import logging
import traceback
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.logging import Logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import IO

QUIET: Final = ("boto3", "botocore", "urllib3")
"""Libraries that at their talkative levels log requests with what is in them."""

MASK: Final = "***"

MIN_SECRET: Final = 4
"""Characters below which a text is no secret, and masking it would only garble the line."""

MAX_TRACE: Final = 6_000
"""Characters of a traceback that are kept: its end."""

ERRORS: Final = frozenset({"failed", "retried", "undelivered"})
WARNINGS: Final = frozenset({"denied", "forged", "unverified-delete", "unverified-update"})


def make_logger(service: str = "cn_cidr", stream: IO[str] | None = None) -> Logger:
    """Make the logger of a function; the process needs one.

    Everything beyond ASCII is escaped, so that no reader takes a character in a property for the end of the line, and
    none makes the line impossible to write.
    """
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    return Logger(service=service, stream=stream, utc=True, json_serializer=functools.partial(json.dumps, default=str))


def write_line(logger: Logger, outcome: str, fields: Mapping[str, object]) -> None:
    """Write the line of an event; fields that say nothing are left out."""
    write = logger.error if outcome in ERRORS else logger.warning if outcome in WARNINGS else logger.info
    write(outcome, extra={"outcome": outcome, **{name: value for name, value in fields.items() if value != ""}})


def trace(fault: BaseException, secrets: Iterable[str]) -> str:
    """Write down where a fault came from, without the event's secrets: libraries quote what they are given."""
    text = "".join(traceback.format_exception(fault))
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= MIN_SECRET:
            text = text.replace(secret, MASK)
    return text[-MAX_TRACE:]
