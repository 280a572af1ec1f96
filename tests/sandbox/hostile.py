"""A sandbox that is sent what no client should send: what it holds, and whether it goes on working."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from tests.sandbox.sandbox_api import REVISION, Api

KEY = f"Authorization: Klaviyo-API-Key pk_test\r\nrevision: {REVISION}\r\n".encode()
JSON = b"Content-Type: application/json\r\n"


class Target:
    """A sandbox whose clock stands still, and what it holds."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.api = Api(sandbox.url)
        self.address = (urlsplit(sandbox.url).hostname, urlsplit(sandbox.url).port)
        self.host = b"Host: 127.0.0.1:%d\r\n" % (self.address[1] or 0)

    def kept(self) -> str:
        """All that the sandbox holds, and its faults and time."""
        store = json.dumps(self.sandbox._server.klaviyo.store.to_json())
        controls = [self.api.http.get(f"/sandbox/{name}").text for name in ("faults", "clock")]
        return store + "".join(controls)

    def raw(self, line: bytes, headers: bytes = b"", body: bytes = b"", host: bytes | None = None) -> int:
        """Send bytes as they are; the answer's status."""
        length = b"Content-Length: %d\r\n" % len(body) if body or line.startswith((b"POST", b"PATCH")) else b""
        head = line + b" HTTP/1.1\r\n" + (self.host if host is None else host) + headers + length
        with socket.create_connection(self.address, timeout=10) as connection:
            connection.sendall(head + b"Connection: close\r\n\r\n" + body)
            answer = b""
            while b"\r\n" not in answer and (part := connection.recv(4096)):
                answer += part
        return int(answer.split()[1])

    def check_works(self) -> None:
        """The page, its state and the log are served, and a campaign is sent."""
        for path in ("/", "/sandbox/state", "/sandbox/requests", "/sandbox/sends", "/sandbox/clock"):
            answer = self.api.http.get(path)
            assert answer.status_code == 200, (path, answer.text)
            if path != "/":
                json.loads(answer.text, parse_constant=pytest.fail)
        before = len(self.api.sends())
        campaign_id, _ = self.api.create("After")
        assert self.api.start(campaign_id).status_code == 202
        self.api.advance(10)
        assert self.api.status(campaign_id) == "Sent"
        assert len(self.api.sends()) == before + 1
