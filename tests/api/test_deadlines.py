"""How long an exchange may take, and how much of an answer is taken in. Real sockets; both transports."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import json
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_klaviyo.api import message, oauth, retry
from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
from airflow_provider_klaviyo.api.calls import Call, call
from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoApiError,
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.api.message import SLICE, Body
from airflow_provider_klaviyo.api.request import build
from tests.support.scripted import Scripted, http, json_api
from tests.support.transports import TRANSPORTS, get, post, settings, with_requests

Run = Callable[[str, Call[Any]], Any]
pytestmark = pytest.mark.usefixtures("brief_pauses")

READ, LONGEST = 0.4, 1.4
"""The read timeout of these tests, and with it and a second to connect, what an exchange may take."""

DOCUMENT = {"data": {"type": "campaign-send-job", "id": "C1", "attributes": {"name": "é" * 500}}}
CONTENT = json.dumps(DOCUMENT).encode()


@pytest.fixture(params=TRANSPORTS)
def run(request: pytest.FixtureRequest) -> Run:
    return lambda url, made: TRANSPORTS[request.param](settings(url, READ), made)[0]


class Dribble:
    """Sends a byte whenever some time has passed, so that a wait for the next byte never gets long."""

    def __init__(self, at_once: bytes, slowly: bytes) -> None:
        self.at_once = at_once
        self.slowly = slowly
        self.sent = 0

    def __call__(self, connection: socket.socket) -> None:
        connection.sendall(self.at_once)
        for byte in self.slowly:
            time.sleep(READ / 4)
            connection.sendall(bytes([byte]))
            self.sent += 1


HEAD, _, _ = json_api(200, DOCUMENT).partition(b"\r\n\r\n")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIBBLES: dict[str, tuple[bytes, bytes]] = {
    "status line": (b"HTTP/1.1 ", b"200 " + b"a" * 1_000),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Odd: 1\r\n" * 100),
    "body": (HEAD + b"\r\n\r\n", CONTENT),
    "chunks": (CHUNKED, b"1\r\n{\r\n" * 1_000),
    "length of a chunk": (CHUNKED, b"0" * 1_000),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
}


@pytest.mark.parametrize(("at_once", "slowly"), DRIBBLES.values(), ids=DRIBBLES.keys())
def test_a_post_answered_a_byte_at_a_time_is_given_up_and_ambiguous(run: Run, at_once: bytes, slowly: bytes) -> None:
    dribble = Dribble(at_once, slowly)
    with Scripted(dribble) as server:
        began = time.monotonic()
        with pytest.raises(KlaviyoAmbiguousWriteError):
            run(server.url, post())
        took = time.monotonic() - began
    assert dribble.sent > 5, "it was not the wait for a byte that ended it"
    assert LONGEST - 0.1 < took < LONGEST + 2
    assert len(server.requests) == 1


def test_a_read_answered_a_byte_at_a_time_is_given_up_and_repeated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    with Scripted(Dribble(*DRIBBLES["headers"])) as server, pytest.raises(KlaviyoTransientError):
        run(server.url, get())
    assert len(server.requests) == 2


def test_an_answer_that_takes_its_time_but_ends_in_time_is_taken(run: Run) -> None:
    with Scripted(Dribble(http(200, CONTENT)[:-4], CONTENT[-4:])) as server:
        assert run(server.url, post()).body == DOCUMENT


def test_a_second_call_on_the_same_connection_has_its_own_time(run: Run) -> None:
    """A connection that was kept has no timeout left over from the call before."""
    keep = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT)

    def twice(connection: socket.socket) -> None:
        connection.sendall(keep + CONTENT)
        connection.recv(65536)
        Dribble(keep + CONTENT[:-4], CONTENT[-4:])(connection)

    for transport in TRANSPORTS.values():
        with Scripted(twice) as server:
            assert [document.body for document in transport(settings(server.url, READ), get(), get())] == [DOCUMENT] * 2
        assert len(server.requests) == 1


def test_a_request_taken_a_byte_at_a_time_is_given_up(run: Run) -> None:
    def take_slowly(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(40):
            connection.recv(4096)
            time.sleep(READ / 4)

    large = call("create_campaign", body={"data": {"name": "x" * 20_000_000}})
    with Scripted(take_slowly, read=False) as server:
        began = time.monotonic()
        with pytest.raises(KlaviyoAmbiguousWriteError):
            run(server.url, large)
        took = time.monotonic() - began
    assert took < LONGEST + 2


def test_an_endless_line_is_not_taken_in(run: Run) -> None:
    """``http.client`` reads the length of a chunk up to the end of its line, however long that is."""

    def endless(connection: socket.socket) -> None:
        connection.sendall(CHUNKED)
        while True:
            connection.sendall(b"0" * 1_000_000)

    with Scripted(endless) as server, pytest.raises(KlaviyoAmbiguousWriteError):
        run(server.url, post())


def test_the_longest_exchange_is_what_the_timeouts_add_up_to() -> None:
    assert settings("https://a.klaviyo.com", READ).longest_exchange == LONGEST


# --- over TLS ---------------------------------------------------------------------------------------------------------


def test_an_answer_over_tls_a_byte_at_a_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(_certificate())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    dribble = Dribble(*DRIBBLES["headers"])

    def over_tls(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            dribble(secured)

    with Scripted(over_tls, read=False) as server:
        began = time.monotonic()
        with pytest.raises(KlaviyoAmbiguousWriteError):
            with_requests(settings(server.url.replace("http:", "https:"), READ), post())
        took = time.monotonic() - began
    assert dribble.sent > 5
    assert took < LONGEST + 2


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + signed.public_bytes(serialization.Encoding.PEM)


# --- codings ----------------------------------------------------------------------------------------------------------


def deflated(content: bytes, window: int) -> bytes:
    encoder = zlib.compressobj(wbits=window)
    return encoder.compress(content) + encoder.flush()


TAKEN: dict[str, tuple[bytes, str]] = {
    "gzip": (gzip.compress(CONTENT), "gzip"),
    "x-gzip": (gzip.compress(CONTENT), "x-gzip"),
    "GZIP": (gzip.compress(CONTENT), " GZIP "),
    "deflate": (deflated(CONTENT, 15), "deflate"),
    "raw deflate": (deflated(CONTENT, -15), "deflate"),
    "identity": (CONTENT, "identity"),
}
REFUSED: dict[str, tuple[bytes, str]] = {
    "twice": (gzip.compress(gzip.compress(CONTENT)), "gzip, gzip"),
    "two": (gzip.compress(deflated(CONTENT, 15)), "deflate, gzip"),
    "not asked for": (CONTENT, "br"),
    "unknown": (CONTENT, "\xe9"),
    "not what it says": (CONTENT, "gzip"),
    "cut short": (gzip.compress(CONTENT)[:-6], "gzip"),
    "one byte": (b"\x1f", "gzip"),
    "damaged": (gzip.compress(CONTENT)[:-8] + b"\0" * 8, "gzip"),
}


@pytest.mark.parametrize(("content", "coding"), TAKEN.values(), ids=TAKEN.keys())
def test_one_coding_is_undone(run: Run, content: bytes, coding: str) -> None:
    with Scripted(http(200, content, Content_Encoding=coding)) as server:
        assert run(server.url, post()).body == DOCUMENT


@pytest.mark.parametrize(("content", "coding"), REFUSED.values(), ids=REFUSED.keys())
def test_any_other_is_not_an_answer(run: Run, content: bytes, coding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nContent-Encoding: {coding}\r\n\r\n"
    with Scripted(head.encode("latin-1") + content) as server, pytest.raises(KlaviyoAmbiguousWriteError):
        run(server.url, post())


def test_two_headers_are_two_codings(run: Run) -> None:
    twice = gzip.compress(gzip.compress(CONTENT))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n"
    with Scripted(head % len(twice) + twice) as server, pytest.raises(KlaviyoAmbiguousWriteError):
        run(server.url, post())


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize(("content", "coding"), TAKEN.values(), ids=TAKEN.keys())
def test_a_body_is_the_same_in_whatever_parts_it_comes(content: bytes, coding: str, size: int) -> None:
    body = Body(build("send_campaign"), 200, {"content-encoding": coding})
    for start in range(0, len(content), size):
        list(body.take(content[start : start + size]))
    assert body.whole() == CONTENT


def bomb(size: int) -> bytes:
    encoder = zlib.compressobj(9, wbits=31)
    part = b" " * 1_000_000
    return b"".join(encoder.compress(part) for _ in range(size // len(part))) + encoder.flush()


def test_a_bomb_is_stopped_early_and_takes_no_memory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "MAX_BODY", 2_000_000)
    with Scripted(http(200, bomb(500_000_000), Content_Encoding="gzip")) as server:
        tracemalloc.start()
        with pytest.raises(KlaviyoAmbiguousWriteError, match="more than 2,000,000 bytes"):
            run(server.url, post())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 12_000_000


def test_the_bound_holds_for_what_is_not_coded_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "MAX_BODY", 100_000)
    fits = json.dumps({"data": {"type": "t", "id": "x" * 90_000}}).encode()
    with Scripted(http(200, fits), http(200, fits + b" " * 20_000)) as server:
        assert run(server.url, post()).status == 200
        with pytest.raises(KlaviyoAmbiguousWriteError, match="more than 100,000 bytes"):
            run(server.url, post())


def test_what_is_short_but_takes_long_to_read_as_json_is_not_read(run: Run) -> None:
    content = b'{"data": [' + b"[]," * 20_000_000 + b"[]]}"
    answer = http(200, gzip.compress(content), Content_Encoding="gzip")
    with Scripted(answer) as server, pytest.raises(KlaviyoAmbiguousWriteError, match="more than 1,000,000 values"):
        run(server.url, post())


def test_the_event_loop_turns_while_a_long_body_is_decoded() -> None:
    size = 40_000_000
    document = http(200, bomb(size), Content_Encoding="gzip")

    async def made(url: str) -> int:
        turns = 0

        async def beat() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        async with KlaviyoAsyncClient(settings(url, 30)) as client:
            with pytest.raises(KlaviyoApiError):  # it is blank
                await client.run(post())
        beating.cancel()
        return turns

    with Scripted(document) as server:
        assert asyncio.run(made(server.url)) > size / SLICE


# --- access tokens ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["headers", "body"])
def test_a_token_that_comes_a_byte_at_a_time_is_given_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "LONGEST_REFRESH", 1.0)
    dribble = Dribble(*DRIBBLES[name])
    with Scripted(dribble) as server:
        auth = oauth.OAuth("C", base_url=server.url, client_id=name, client_secret="s", refresh_token="r")
        began = time.monotonic()
        with pytest.raises(KlaviyoTransientError, match="did not answer"):
            auth.header()
        took = time.monotonic() - began
    assert dribble.sent > 5
    assert took < 3


@pytest.mark.parametrize("lifetime", ["1e400", "1" + "0" * 400, "NaN", "-1", "true", "null", '"soon"', "1e12"])
def test_a_lifetime_that_cannot_be_is_bounded(lifetime: str) -> None:
    answer = http(200, b'{"access_token": "a", "expires_in": %s}' % lifetime.encode())
    with Scripted(answer) as server:
        auth = oauth.OAuth("C", base_url=server.url, client_id=lifetime, client_secret="s", refresh_token="r")
        assert auth.header() == "Bearer a"
        assert auth._shared.token is not None
        assert auth._shared.token.good_until <= time.time() + oauth.LONGEST_LIFE


def test_a_coded_token_is_not_taken_in() -> None:
    content = gzip.compress(b'{"access_token": "a"}')
    with Scripted(http(200, content, Content_Encoding="gzip")) as server:
        auth = oauth.OAuth("C", base_url=server.url, client_id="z", client_secret="s", refresh_token="r")
        with pytest.raises(KlaviyoTransientError):
            auth.header()
    assert b"accept-encoding: identity" in server.requests[0].lower()
