"""What stands between a client and Klaviyo (a proxy, a CDN, a login page), and may answer in its stead."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from airflow_provider_klaviyo.api.operations import match


@dataclass(frozen=True, slots=True)
class Reply:
    """What a gateway may answer.

    :param headers: besides those of every answer.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


HTML = {"Content-Type": "text/html"}
API = {"Content-Type": "application/vnd.api+json"}


def _json(status: int, body: Any) -> Reply:
    return Reply(status, json.dumps(body).encode(), API)


def _redirect(status: int) -> Reply:
    return Reply(status, b"<html>Moved</html>", {**HTML, "Location": "https://login.example.com/"})


_CONFLICT = {"id": "1", "status": 409, "code": "conflict", "title": "Conflict", "detail": "Not in this state."}

REPLIES: Mapping[str, Reply] = {
    **{str(status): _redirect(status) for status in (301, 302, 303, 307, 308)},
    "429 in HTML": Reply(429, b"<html>Slow down</html>", {**HTML, "Retry-After": "1"}),
    "429 without a body": Reply(429),
    "409": _json(409, {"errors": [_CONFLICT]}),
    "409 in HTML": Reply(409, b"<html>Conflict</html>", HTML),
    "empty 200": Reply(200),
    "empty 202": Reply(202),
    "204": Reply(204),
    "200, data null": _json(200, {"data": None}),
    "200, data {}": _json(200, {"data": {}}),
    "200, data []": _json(200, {"data": []}),
    "200, another's data": _json(200, {"data": {"type": "profile", "id": "01GDDKASAP8TKDDA2GRZDSVP4H"}}),
}
"""Answers that prove nothing, by name."""


class Gateway:
    """Hands everything on to a Klaviyo, and answers in its stead where it is told to. On a free port of the loopback.

    :param upstream: the Klaviyo's URL.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self.fired = 0
        """How many calls it has answered itself."""
        self.passed: list[str] = []
        """The operations that came by."""
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._rules: list[tuple[str, Reply, bool, bytes]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def answer(self, operation: str, reply: Reply, *, committed: bool, holding: bytes = b"") -> None:
        """Answer the next call of an operation so.

        :param committed: True if Klaviyo carries it out all the same.
        :param holding: the next call whose body has this.
        """
        self._rules.append((operation, reply, committed, holding))

    @property
    def waiting(self) -> int:
        """How many calls it still is to answer itself."""
        return len(self._rules)

    def forget(self, operation: str) -> None:
        """Hand on all calls of an operation from now on."""
        self._rules = [rule for rule in self._rules if rule[0] != operation]

    def clear(self) -> None:
        self._rules.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def _take(self, method: str, path: str, body: bytes) -> tuple[str, Reply, bool, bytes] | None:
        found = match(method, path)
        operation = found[0].id if found else path
        self.passed.append(operation)
        for rule in self._rules:
            if rule[0] == operation and rule[3] in body:
                self._rules.remove(rule)
                self.fired += 1
                return rule
        return None

    def _carry_out(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        upstream = http.client.HTTPConnection(*self._upstream, timeout=30)
        try:
            upstream.request(method, path, body or None, dict(headers))
            answer = upstream.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Reply(answer.status, content, kept)
        finally:
            upstream.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                rule = gateway._take(self.command, urlsplit(self.path).path, body)
                reply = rule[1] if rule else None
                if rule is None or rule[2]:
                    headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
                    told = gateway._carry_out(self.command, self.path, headers, body)
                    reply = reply or told
                assert reply is not None
                self._answer(reply)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _any  # noqa: N815

            def _answer(self, reply: Reply) -> None:
                self.send_response_only(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


_HOP_BY_HOP = ("connection", "content-length", "transfer-encoding", "keep-alive", "host")
