"""How the two transports reach Klaviyo: connections kept or not, cookies, compression, and what the environment says.

Real sockets, real TLS; one table for both.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from airflow_provider_klaviyo.api import retry
from airflow_provider_klaviyo.api.aio import KlaviyoAsyncClient
from airflow_provider_klaviyo.api.errors import KlaviyoTransientError
from tests.support.scripted import Scripted, http, reset
from tests.support.tls import make_certificate
from tests.support.transports import SECRET, TRANSPORTS, get, post, settings, with_httpx, with_requests

BODY = json.dumps({"data": {"type": "campaign", "id": "C1", "attributes": {"name": "é" * 200}}}).encode()
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

Run = Callable[..., list[Any]]
pytestmark = pytest.mark.usefixtures("brief_pauses", "plain_environment")


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *AUTHORITIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=TRANSPORTS)
def run(request: pytest.FixtureRequest) -> Run:
    return TRANSPORTS[request.param]


class Server(ThreadingHTTPServer):
    """Answers all calls alike, keeps connections open, and remembers which connection each call came on."""

    daemon_threads = True

    def __init__(self, body: bytes, **headers: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.headers = body, headers
        self.calls: list[tuple[str, int, dict[str, str]]] = []

    @property
    def connections(self) -> list[int]:
        """Of each call, the port that it came from."""
        return [port for _, port, _ in self.calls]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append((self.command, self.client_address[1], sent))
        self.send_response(200)
        for name, value in {**self.server.headers, "Content-Length": str(len(self.server.body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(self.server.body)
        self.close_connection = False  # also where the call asked for it: it is the client who must not come back

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(server: Server, certificate: Path | None = None) -> Iterator[str]:
    """Its URL; over TLS if there is a certificate, whose file also holds the key."""
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_reads_share_a_connection_and_each_write_has_its_own(run: Run) -> None:
    server = Server(BODY)
    with serving(server) as url:
        run(settings(url), get(), get(), post(), post(), get())
    first, second, third, fourth, fifth = server.connections
    assert first == second == fifth
    assert len({first, third, fourth}) == 3


async def test_a_task_that_is_cancelled_while_it_connects_ends_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the libraries do with the cancel: this one loses it, as they do now and then."""
    connect, lost = anyio.connect_tcp, asyncio.Event()

    async def losing(*args: Any, **kwargs: Any) -> Any:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            lost.set()
        return await connect(*args, **kwargs)

    monkeypatch.setattr(anyio, "connect_tcp", losing)
    with serving(Server(BODY)) as url:
        async with KlaviyoAsyncClient(settings(url, connect_timeout=30)) as client:
            task = asyncio.create_task(client.run(get()))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait([task], timeout=30)
    assert lost.is_set()
    assert task.cancelled()


async def test_a_task_may_be_cancelled_at_any_moment() -> None:
    server, chance = Server(BODY), random.Random(1)
    with serving(server) as url:
        async with KlaviyoAsyncClient(settings(url)) as client:
            tasks = []
            for _ in range(300):
                tasks.append(asyncio.create_task(client.run(post())))
                await asyncio.sleep(chance.uniform(0, 0.005))
                if tasks[-1].cancel():
                    await asyncio.wait([tasks[-1]], timeout=30)
                    assert tasks[-1].cancelled()
    assert any(task.cancelled() for task in tasks)


def test_a_compressed_answer_is_asked_for_and_read(run: Run) -> None:
    server = Server(gzip.compress(BODY), Content_Encoding="gzip")
    with serving(server) as url:
        [document] = run(settings(url), get())
    assert "gzip" in server.calls[0][2]["accept-encoding"]
    assert document.resource.attributes["name"] == "é" * 200


def test_a_cookie_comes_back_on_the_next_read_of_the_same_client_only(run: Run) -> None:
    server = Server(BODY, Set_Cookie="balancer=7; Path=/")
    with serving(server) as url:
        run(settings(url), get(), get())
        run(settings(url), get())
    assert [headers.get("cookie") for _, _, headers in server.calls] == [None, "balancer=7", None]


def test_the_time_of_the_first_attempt_counts_for_when_to_give_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "MAX_TIME", 0.2)

    def slow(connection: socket.socket) -> None:
        threading.Event().wait(0.3)

    with Scripted(slow) as server, pytest.raises(KlaviyoTransientError):
        run(settings(server.url), get())
    assert len(server.requests) == 1


# --- the environment --------------------------------------------------------------------------------------------------

REFUSED = http(403)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_https_goes_through_the_environments_proxy_which_does_not_see_the_key(
    run: Run, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Scripted(REFUSED) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//me:password@"))
        with pytest.raises(KlaviyoTransientError, match="nothing was sent") as caught:
            run(settings("https://klaviyo.invalid"), post())
    assert len(proxy.requests) == retry.ATTEMPTS
    assert proxy.requests[0].startswith(b"CONNECT klaviyo.invalid:443 HTTP/1.")
    assert b"proxy-authorization: basic " in proxy.requests[0].lower()
    assert SECRET.encode() not in b"".join(proxy.requests)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("hosts", ["127.0.0.1", "localhost,127.0.0.1", "*"])
def test_a_host_in_no_proxy_is_reached_directly(run: Run, hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted(REFUSED) as proxy, Scripted(reset, read=False) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", hosts)
        with pytest.raises(KlaviyoTransientError):
            run(settings(server.url.replace("http:", "https:")), get())
    assert proxy.requests == []
    assert len(server.requests) == retry.ATTEMPTS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1, signed by itself."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


TRUSTING = [
    pytest.param(with_requests, "REQUESTS_CA_BUNDLE", id="requests, REQUESTS_CA_BUNDLE"),
    pytest.param(with_requests, "CURL_CA_BUNDLE", id="requests, CURL_CA_BUNDLE"),
    pytest.param(with_httpx, "SSL_CERT_FILE", id="httpx, SSL_CERT_FILE"),
    pytest.param(with_httpx, "REQUESTS_CA_BUNDLE", id="httpx, REQUESTS_CA_BUNDLE"),
    pytest.param(with_requests, "SSL_CERT_FILE", id="requests, SSL_CERT_FILE"),
]


@pytest.mark.parametrize(("run", "variable"), TRUSTING)
def test_an_authority_of_the_environment_is_trusted(
    run: Run, variable: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(certificate))
    server = Server(BODY)
    with serving(server, certificate) as url:
        documents = run(settings(url), get(), get())
    assert [document.resource.id for document in documents] == ["C1", "C1"]
    assert len(set(server.connections)) == 1


def test_an_unknown_authority_is_not_trusted_and_gets_no_call(run: Run, certificate: Path) -> None:
    server = Server(BODY)
    with serving(server, certificate) as url, pytest.raises(KlaviyoTransientError, match="nothing was sent"):
        run(settings(url), post())
    assert server.calls == []
