"""The synchronous transport, for workers: ``requests`` moves the bytes, everything else is shared with ``aio``."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from http.client import HTTPResponse
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar
from tenacity import Retrying
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from airflow_provider_klaviyo.api import network, retry
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.client_settings import ClientSettings
from airflow_provider_klaviyo.api.document import MAX_BODY, Answer, Document, read, unanswered
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.api.message import Body, Outgoing, ServerClock, check_revision, prepare
from airflow_provider_klaviyo.api.request import Request, absolute_url

if TYPE_CHECKING:
    from socket import socket

    from urllib3 import BaseHTTPResponse, HTTPConnectionPool
    from urllib3.connection import HTTPConnection as Connection
else:
    Connection = object

PIECE = 65536
"""Bytes that are sent at a time: within one, a wait begins again with each byte that leaves."""

MOST = 80 * 1024 * 1024
"""Bytes of an answer that are read at most, head and framing included."""

_until: ContextVar[float] = ContextVar("until")

T = TypeVar("T")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Exchanges through a :class:`TimedAdapter` end after so many seconds from now."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def _left(sock: socket, patience: float | None) -> None:
    """Let the next wait of a socket take no longer than the exchange has time left.

    :param patience: seconds that it may take anyhow.
    :raises TimeoutError: there is no time left.
    """
    left = _until.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("the exchange took too long")
    sock.settimeout(left if patience is None else min(left, patience))


class TimedAdapter(HTTPAdapter):
    """Connects to one host as ``requests`` does; its exchanges are made in a block of :func:`within`.

    An answer is left as ``urllib3`` has it, and the host's pool is looked for once: with 100 campaigns in the answer,
    the rest of what ``requests`` does would be a tenth of the call.
    """

    _pool: HTTPConnectionPool | None = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        if self._pool is None:
            self._pool = cast("HTTPConnectionPool", super().get_connection_with_tls_context(*args, **kwargs))
        return self._pool

    def build_response(self, _: requests.PreparedRequest, response: Any) -> Any:
        return response

    def close(self) -> None:
        self._pool = None
        super().close()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _time(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        _time(manager)
        return manager


def _time(manager: Any) -> None:
    """Have a pool manager of ``urllib3`` make timed connections."""
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _timed(pool) for scheme, pool in pools.items()}


@cache
def _timed(pool: Any) -> Any:
    if issubclass(pool.ConnectionCls, _Timed):
        return pool
    connection = type("Timed", (_Timed, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Response(HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(cast(Any, _Reader(sock)), *args, **kwargs)


class _Reader(io.RawIOBase):
    """What a socket receives, as long as there is time and it is not too much; to a response, it is the socket."""

    def __init__(self, sock: socket) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._patience = sock.gettimeout()
        self._taken = 0

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _left(self._sock, self._patience)
        size = self._raw.readinto(buffer)
        self._taken += size or 0
        if self._taken > MOST:
            raise OSError("the answer is too long")
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Timed(Connection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        if _until.get() <= time.monotonic():
            raise ConnectTimeoutError(self, "connecting took too long")

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        for start in range(0, len(data), PIECE):
            _left(self.sock, self.timeout)
            super().send(data[start : start + PIECE])


class KlaviyoClient:
    """Calls one Klaviyo account. Not shared between threads; closed by ``close()`` or a ``with`` block.

    A write never travels on a connection that was idle: such a connection may have been closed by the other side, and
    a POST cut that way would look as if it might have been carried out.

    Proxy and certificates are read from the environment when the client is made, as :mod:`~.network` has it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.clock = ServerClock()
        self._reads = _session()
        self._writes = _session()
        self._writes.headers["Connection"] = "close"
        self._environment = network.route(settings.base_url).for_requests()

    def send(self, request: Request) -> Document:
        """Make one call, repeating it where the retry policy allows.

        :raises KlaviyoApiError: of the type that the last answer stands for.
        """
        absolute_url(self.settings.base_url, request.target)
        self.run(self.settings.guard(request))
        began = time.monotonic()
        try:
            return self._send_once(request)
        except KlaviyoError as error:
            failed = [error]
        return Retrying(**retry.policy(began, request.patience))(self._again, request, failed)

    def run(self, call: Call[T]) -> T:
        """Carry out a call of one or more requests and return its result."""
        try:
            request = next(call)
            while True:
                try:
                    document = self.send(request)
                except KlaviyoError as error:
                    request = call.throw(self.settings.signed(error))
                else:
                    request = call.send(document)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _again(self, request: Request, failed: list[KlaviyoError]) -> Document:
        """For the retry policy: the first attempt, which has failed already, and then further ones."""
        if failed:
            raise failed.pop()
        return self._send_once(request)

    def _send_once(self, request: Request) -> Document:
        """One exchange, or two: a call answered 401 was not carried out, and is made again if the key is new then."""
        auth = self.settings.auth
        authorization = auth.header()
        try:
            return self._exchange(request, authorization)
        except KlaviyoAuthError as error:
            if error.status != 401 or (renewed := auth.header(refused=authorization)) == authorization:
                raise
        return self._exchange(request, renewed)

    def _exchange(self, request: Request, authorization: str) -> Document:
        settings, operation = self.settings, request.operation
        waited, status = 0.0, None
        if settings.pacing is not None:
            waited = settings.pacing.wait(operation, request.patience)
        outgoing = prepare(settings, request, authorization)
        if request.departure is not None:
            request.departure.check(request)
        try:
            answer = self._transmit(request, outgoing)
            status = answer.status
            self.clock.read(answer.headers)
            if settings.pacing is not None and settings.pacing.is_news(answer.headers):
                settings.pacing.learn(answer.headers)
            return check_revision(settings, read(request, answer))
        except KlaviyoRateLimitError as error:
            if settings.pacing is not None:
                settings.pacing.throttled(operation, error)
            raise
        finally:
            settings.count(operation, status, waited)

    def _transmit(self, request: Request, outgoing: Outgoing) -> Answer:
        """Through the session's adapter: ``session.send`` adds hooks and redirects, which are of no use here."""
        session = self._reads if request.is_read else self._writes
        timeout = (self.settings.connect_timeout, self.settings.read_timeout)
        prepared = _prepared(session, outgoing)
        adapter = session.get_adapter(outgoing.url)
        try:
            with within(self.settings.longest_exchange):
                response = cast("BaseHTTPResponse", adapter.send(prepared, timeout=timeout, **self._environment))
                try:
                    if "set-cookie" in response.headers:
                        extract_cookies_to_jar(session.cookies, prepared, response)  # type: ignore[no-untyped-call]
                    return Answer(response.status, response.headers, _content(response, request))
                finally:
                    response.close()
                    response.release_conn()
        except (requests.RequestException, HTTPError) as error:
            raise _failure(request, error) from None
        finally:
            if session is self._writes:  # the pool would keep what an answer without "Connection: close" came on
                session.close()

    def close(self) -> None:
        self._reads.close()
        self._writes.close()

    def __enter__(self) -> KlaviyoClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    adapter = TimedAdapter(max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _prepared(session: requests.Session, outgoing: Outgoing) -> requests.PreparedRequest:
    """The same that ``session.prepare_request`` makes, at a tenth of its cost: URL and body are as they are sent.

    Nor does it look into a ``.netrc`` file, which would replace our ``Authorization``.
    """
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = outgoing.method, outgoing.url, outgoing.content
    prepared.prepare_headers({"Connection": session.headers["Connection"], **outgoing.headers})
    prepared.prepare_content_length(outgoing.content)
    if len(session.cookies):
        prepared.prepare_cookies(session.cookies)
    return prepared


def _content(response: BaseHTTPResponse, request: Request) -> bytes:
    body = Body(request, response.status, response.headers)
    is_short = (response.length_remaining or MAX_BODY) < MAX_BODY
    for part in [response.read(decode_content=False)] if is_short else response.stream(65536, decode_content=False):
        for _ in body.take(part):
            pass
    return body.whole()


def _failure(request: Request, error: Exception) -> KlaviyoApiError:
    """What a failed exchange means. The text of the library's own error is left out: it may quote the request."""
    if _never_connected(error):
        what = f"No connection to Klaviyo ({type(error).__name__}); nothing was sent."
        return KlaviyoTransientError(what, call=str(request))
    return unanswered(request, f"did not answer ({type(error).__name__})")


def _never_connected(error: BaseException) -> bool:
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)
