"""Klaviyo over TLS with a certificate that no public authority signed, and a proxy in between."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.serving import Serving

HOST = "klaviyo.test"
"""A name that only the proxy can reach."""

CAMPAIGN = json.dumps({"data": {"type": "campaign", "id": "C1", "attributes": {}}}).encode()
TOKEN = json.dumps({"access_token": "access-1", "expires_in": 3600, "token_type": "bearer"}).encode()


def make_certificate(directory: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1 and :data:`HOST`, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A private authority")])
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(HOST)]
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, decipher_only=False, **usage),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "certificate.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


class TlsServer(Serving):
    """Answers every GET with a campaign and every POST with an access token, over TLS.

    :param certificate: what :func:`make_certificate` made.
    """

    def __init__(self, certificate: Path) -> None:
        self.paths: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(CAMPAIGN)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(TOKEN)

            def _answer(self, body: bytes) -> None:
                server.paths.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(Handler)
        self._server.socket = _over_tls(self._server.socket, certificate)
        self.port = self._server.server_port
        self.url = f"https://127.0.0.1:{self.port}"


class ConnectProxy:
    """A proxy for https: it connects whoever asks to one port of this machine, whichever host was asked for.

    :param port: that port.
    :param certificate: as for :class:`TlsServer`, for a proxy that is itself reached over TLS.
    """

    def __init__(self, port: int, certificate: Path | None = None) -> None:
        self.heads: list[bytes] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        if certificate:
            self._listener = _over_tls(self._listener, certificate)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def hosts(self) -> list[str]:
        """What it was asked to connect to."""
        return [head.split()[1].decode() for head in self.heads]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (part := client.recv(1)):
            head += part
        self.heads.append(head)
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join(timeout=10)


def _over_tls(listener: socket.socket, certificate: Path) -> ssl.SSLSocket:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context.wrap_socket(listener, server_side=True)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
