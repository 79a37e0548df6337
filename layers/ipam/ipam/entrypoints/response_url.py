"""Where CloudFormation waits for the answer, and whether it really is CloudFormation.

Whoever may use the custom resources may also invoke the function with an event of his own making. A ResponseURL counts
as genuine only if it leads to the bucket that CloudFormation keeps for the Region, and to the very object that stands
for this request of this resource (user guide, "Custom resource request objects"). Nothing that is odd gets the benefit
of the doubt: the text is compared as it stands, percent-decoded once, and never repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, unquote

from ipam.entrypoints.errors import NotGenuineError

MAX_LENGTH: Final = 8192
"""Characters of a URL; CloudFormation's have about 2,000 with the longest names and a session token."""

SIGNATURE_LIFE: Final = 7_200_000
"""Milliseconds for which CloudFormation signs its URLs; the older form tells only when they end."""

MAX_SKEW: Final = 900_000
"""Milliseconds that a signature may lie in the future: S3 refuses what is further ahead (RequestTimeTooSkewed)."""

HTTPS_PORT: Final = 443

_URL: Final = re.compile(
    r"https://(?P<host>[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?P<path>/[A-Za-z0-9%:|/._~-]+)"
    r"(?:\?(?P<query>[A-Za-z0-9%:/._~=&+-]*))?)"
)
"""Lower-case host, no user info, no fragment, no backslash, nothing beyond ASCII."""

_SIGNED_AT: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_EPOCH_SECONDS: Final = re.compile(r"[0-9]{1,12}")

_CREDENTIALS: Final = frozenset(
    {"signature", "awsaccesskeyid", "x-amz-signature", "x-amz-credential", "x-amz-security-token"}
)
"""Parameters that make up the right to answer, in lower case."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the function runs, and where answers may go.

    Attributes:
        region: its Region.
        partition: aws, aws-cn or aws-us-gov.
        response_endpoint: see `ipam.settings.Settings`.
    """

    region: str
    partition: str
    response_endpoint: str


@dataclass(frozen=True, slots=True)
class ResponseUrl:
    """A genuine address for one answer.

    Attributes:
        host: where to connect,
        port: and on which port.
        target: path and query, as they came. A right to answer: kept out of every text.
        signed: when it was made, milliseconds of the epoch to the second, if it tells.
        ends: until when it takes an answer, if it tells.
    """

    host: str
    port: int
    target: str = field(repr=False)
    signed: int | None
    ends: int | None = None

    def secrets(self) -> list[str]:
        """The parts that must not be shown anywhere."""
        query = self.target.partition("?")[2]
        raw = [part.partition("=") for part in query.split("&")]
        credentials = [value for name, _, value in raw if name.lower() in _CREDENTIALS]
        return [secret for secret in (query, *credentials, *map(unquote, credentials)) if secret]


def genuine(text: str, key: str, place: Place, now: int) -> ResponseUrl:
    """Check a ResponseURL.

    Args:
        text: as it stands in the event.
        key: the object that stands for the request: StackId, LogicalResourceId and RequestId with `|` between.
        place: where the function runs; the StackId has been found to be from there.
        now: milliseconds of the epoch.

    Raises:
        NotGenuineError: it does not lead to where CloudFormation waits for this answer.
    """
    found = _URL.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise NotGenuineError("the ResponseURL is not one of an S3 object")
    prefix = f"{place.response_endpoint or 'https://' + found['host']}/"
    if not text.startswith(prefix):
        raise NotGenuineError("the ResponseURL does not begin as this deployment's answers do")
    if not place.response_endpoint and found["host"] not in _hosts(place):
        raise NotGenuineError("the ResponseURL's host is not CloudFormation's in this Region")
    if _decoded(text[len(prefix) :].partition("?")[0]) != key:
        raise NotGenuineError("the ResponseURL is that of another request")
    signed = _signed(found["query"] or "")
    if signed is not None and signed > now + MAX_SKEW:
        raise NotGenuineError("the ResponseURL was signed in the future")
    return ResponseUrl(
        host=found["host"],
        port=int(found["port"] or HTTPS_PORT),
        target=found["target"],
        signed=signed,
        ends=_ends(found["query"] or "", signed),
    )


def _hosts(place: Place) -> set[str]:
    """CloudFormation's own hosts for a Region: S3's three ways to write a bucket's."""
    bucket = f"cloudformation-custom-resource-response-{place.region.replace('-', '')}"
    suffix = "amazonaws.com.cn" if place.partition == "aws-cn" else "amazonaws.com"
    return {
        f"{bucket}.s3.{place.region}.{suffix}",
        f"{bucket}.s3-{place.region}.{suffix}",
        f"{bucket}.s3.{suffix}",
    }


def _decoded(key: str) -> str | None:
    """Percent-decode once, strictly; what is not UTF-8 then is no key."""
    try:
        return unquote(key, errors="strict")
    except UnicodeDecodeError:
        return None


def _signed(query: str) -> int | None:
    """Read when a URL was signed: SigV4 says so, SigV2 says when it ends.

    Raises:
        NotGenuineError: it says so twice, or in no known way.
    """
    parameters = _parameters(query)
    dates = [value for name, value in parameters if name == "X-Amz-Date"]
    ends = [value for name, value in parameters if name == "Expires"]
    if len(dates) + len(ends) > 1:
        raise NotGenuineError("the ResponseURL has more than one signing time")
    for date in dates:
        if _SIGNED_AT.fullmatch(date) is not None:
            try:
                # `strptime` would load a module of its own for its first date.
                at = datetime.fromisoformat(date)
            except ValueError:
                break
            return int(at.timestamp()) * 1000
    for end in ends:
        if _EPOCH_SECONDS.fullmatch(end) is not None:
            return int(end) * 1000 - SIGNATURE_LIFE
    if dates or ends:
        raise NotGenuineError("the ResponseURL has a signing time that is none")
    return None


def _ends(query: str, signed: int | None) -> int | None:
    """Read until when a URL takes an answer: SigV4 says for how long, SigV2 says when; the shorter, if it says both."""
    lives = [value for name, value in _parameters(query) if name == "X-Amz-Expires"]
    ends = [int(life) * 1000 + signed for life in lives if signed is not None and _EPOCH_SECONDS.fullmatch(life)]
    ends += [int(value) * 1000 for name, value in _parameters(query) if name == "Expires"]
    return min(ends, default=None)


def _parameters(query: str) -> list[tuple[str, str]]:
    """Read a query."""
    return parse_qsl(query, keep_blank_values=True, encoding="ascii", errors="replace")
