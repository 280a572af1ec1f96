"""A server that answers as told, byte by byte, and remembers what it was sent: for answers no sane server gives."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

Answer = bytes | Callable[[socket.socket], None]


def http(status: int, body: bytes = b"", *, claims: int | None = None, **headers: Any) -> bytes:
    """An HTTP answer that ends the connection; ``claims`` is what it says its body's length to be."""
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {len(body) if claims is None else claims}",
        "Connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_api(status: int, body: Any, **headers: str) -> bytes:
    """An HTTP answer with a JSON body."""
    fields: dict[str, Any] = {"Content-Type": "application/vnd.api+json", **headers}
    return http(status, json.dumps(body).encode(), **fields)


def error(
    status: int, detail: str = "No.", *, code: str = "made_up", pointer: str | None = None, **headers: str
) -> bytes:
    """An error in Klaviyo's format."""
    source = {"pointer": pointer} if pointer else {}
    errors = [{"id": "1", "status": status, "code": code, "title": "Title.", "detail": detail, "source": source}]
    return json_api(status, {"errors": errors}, **{"x-klaviyo-req-id": "req-1", **headers})


def hang(connection: socket.socket) -> None:
    """Answer nothing until the client gives up."""
    connection.settimeout(5)
    connection.recv(1)


def cut_unread(connection: socket.socket) -> None:
    """Cut the connection when the request has arrived, without reading it."""
    select.select([connection], [], [], 5)
    reset(connection)


def reset(connection: socket.socket) -> None:
    """Cut the connection so that the client sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Scripted:
    """A server on a free port of this machine. One answer per request, in order; the last one for all that follow.

    :param answers: bytes, or what to do with the connection.
    :param read: whether a request is read before it is answered.
    """

    def __init__(self, *answers: Answer, read: bool = True) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self._read = read
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

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
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(_read_request(connection) if self._read else b"")
        try:
            answer(connection) if callable(answer) else connection.sendall(answer)
        except OSError:
            return


def _read_request(connection: socket.socket) -> bytes:
    """Head and body."""
    taken = b""
    while b"\r\n\r\n" not in taken and (part := connection.recv(65536)):
        taken += part
    head, _, body = taken.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < int(lengths[0] if lengths else 0) and (part := connection.recv(65536)):
        body += part
    return head + b"\r\n\r\n" + body
