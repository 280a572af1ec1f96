"""The time that an exchange over ``httpx.Client`` may take as a whole: the connection is cut when it is over.

``httpx`` only limits the wait for the next byte: an answer of a byte a second takes for ever.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

import httpx

_CONNECTED = ("connect_tcp.complete", "start_tls.complete")


@contextmanager
def cut_off(seconds: float) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """The exchange made in this block fails with an :class:`httpx.HTTPError` when so many seconds are over.

    :returns: for ``httpx``, as ``extensions={"trace": …}`` of the request.
    """
    connections: list[socket.socket] = []
    is_over = False

    def trace(event: str, facts: Mapping[str, Any]) -> None:
        if not event.endswith(_CONNECTED):
            return
        connections.append(facts["return_value"].get_extra_info("socket"))
        if is_over:
            raise httpx.ConnectTimeout("connecting took too long")

    def cut() -> None:
        nonlocal is_over
        is_over = True
        for connection in connections:
            with suppress(OSError):  # that of TLS has taken the place of the one before
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield trace
    finally:
        timer.cancel()
