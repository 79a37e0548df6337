"""The pre-signed URL that a custom resource answers to, and the endpoint behind it.

Gap: the emulator takes an answer at a path of its own, without a signature, from anybody, for any content type. AWS
gives a pre-signed S3 PUT whose key is `StackId|LogicalResourceId|RequestId`:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
The bucket's name is AWS's own; only its host is the twin's, so the bucket stands in the path. As S3 does, an URL is
taken as often as it is used until it expires: the first answer counts, which is for the driver to say.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ministack import app

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Reply = tuple[int, dict[str, str], bytes]

EXPIRES = 7199
_BUCKET = "cloudformation-custom-resource-response-"


@dataclass(frozen=True, slots=True)
class Issued:
    """A URL that was given out: its key and its query, who takes what is put there, and when it ends."""

    path: str
    query: dict[str, str]
    take: Callable[[bytes], None]
    until: float


class ResponseUrls:
    """Every URL given out by this twin since it started."""

    def __init__(self, endpoint: str, secret: str) -> None:
        self._endpoint = endpoint
        self._credentials = Credentials("AKIACLOUDFORMATIONTWN", secret)
        self._issued: dict[str, Issued] = {}
        self._seconds: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def issue(self, region: str, key: tuple[str, str, str], take: Callable[[bytes], None]) -> str:
        """Sign a URL for a request's `(stack id, logical id, request id)`.

        CloudFormation never asks twice in one second for one resource, and X-Amz-Date counts seconds: so a URL for a
        resource that already has one of this second waits for the next.
        """
        bucket = _BUCKET + region.replace("-", "")
        path = f"/{bucket}/{quote('|'.join(key), safe='')}"
        self._wait_for_a_second_of_its_own((key[0], key[1]))
        request = AWSRequest("PUT", self._endpoint + path)
        S3SigV4QueryAuth(self._credentials, "s3", region, expires=EXPIRES).add_auth(request)
        url = str(request.url)
        with self._lock:
            self._issued = {name: issued for name, issued in self._issued.items() if issued.until > time.time()}
            self._issued[unquote(path)] = Issued(
                path, dict(parse_qsl(urlsplit(url).query)), take, time.time() + EXPIRES
            )
        return url

    def _wait_for_a_second_of_its_own(self, resource: tuple[str, str]) -> None:
        while True:
            with self._lock:
                now = time.time()
                if int(now) > self._seconds.get(resource, 0):
                    self._seconds[resource] = int(now)
                    return
            time.sleep(int(now) + 1 - now)

    def put(self, path: str, headers: Mapping[str, str], query: Mapping[str, list[str]], body: bytes) -> Reply:
        """Take an answer as S3 would."""
        with self._lock:
            issued = self._issued.get(unquote(path))
        given = {name: values[0] for name, values in query.items() if values}
        if issued is None or given != issued.query or headers.get("content-type"):
            return _refusal("SignatureDoesNotMatch", "The request signature does not match the one that was given out.")
        if issued.until <= time.time():
            return _refusal("AccessDenied", "Request has expired")
        issued.take(body)
        return 200, {}, b""

    def serve(self) -> None:
        """Answer at the gateway, before the emulator's own S3 does."""
        elsewhere = app._handle_post_body_shortcuts  # noqa: SLF001

        async def shortcut(  # noqa: PLR0913, PLR0917
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]], request_id: str
        ) -> Any:
            if path.startswith(f"/{_BUCKET}"):
                if method == "PUT":
                    return self.put(path, headers, query, body)
                return _refusal("AccessDenied", "Access Denied")
            return await elsewhere(method, path, headers, body, query, request_id)

        app._handle_post_body_shortcuts = shortcut  # noqa: SLF001


def _refusal(code: str, message: str) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return 403, {"Content-Type": "application/xml"}, text.encode()
