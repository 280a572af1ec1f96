"""The time that an exchange over ``requests`` may take as a whole.

``requests`` and ``urllib3`` only limit the wait for the next byte: an answer of a byte a second takes for ever. Here
each wait of an exchange, to send and to receive, is cut to what is left of its time.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError

if TYPE_CHECKING:
    from socket import socket

    from urllib3.connection import HTTPConnection as Connection
else:
    Connection = object

PIECE = 65536
"""Bytes that are sent at a time: within one, a wait begins anew with each byte that leaves."""

MOST = 80 * 1024 * 1024
"""Bytes of an answer that are read at most, head and framing included."""

_until: ContextVar[float] = ContextVar("until")


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
    """Connects as ``requests`` does; its exchanges are made in a block of :func:`within`."""

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
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock))


class _Reader(io.RawIOBase):
    """What a socket receives, as long as there is time and it is not too much."""

    def __init__(self, sock: socket) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._patience = sock.gettimeout()
        self._taken = 0

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
