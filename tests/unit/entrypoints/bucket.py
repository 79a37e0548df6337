"""S3's end of a delivery, on this machine and over TLS: what CloudFormation's bucket looks like to the function."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ipam.entrypoints.response_url import ResponseUrl

if TYPE_CHECKING:
    from pathlib import Path

TARGET = "/arn%3Aaws/network%7CGetCnCIDR%7Cr?X-Amz-Signature=" + "5ec2e7" * 8


def make_certificate(folder: Path) -> Path:
    """Make a key and a certificate of localhost that only the tests trust, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class Bucket:
    """S3's end: answers with the statuses it is told, one a request, and keeps what it was sent."""

    def __init__(self, certificate: Path) -> None:
        self.statuses: list[int] = [200]
        self.wait = 0.0
        self.requests: list[dict[str, Any]] = []
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bucket.requests.append({"target": self.path, "headers": dict(self.headers), "body": body})
                time.sleep(bucket.wait)
                status = bucket.statuses.pop(0) if len(bucket.statuses) > 1 else bucket.statuses[0]
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    if status in {301, 307}:
                        self.send_header("Location", "https://elsewhere.example.com/")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = ResponseUrl("localhost", self._server.server_address[1], TARGET, None)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
