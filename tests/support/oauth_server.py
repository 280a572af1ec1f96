"""A Klaviyo that knows access tokens and nothing else, for what the sandbox's OAuth is too sane to do."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

from tests.support.serving import Serving

CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "the-client-id", "the-client-secret", "the-refresh-token"
SECRETS = (CLIENT_SECRET, REFRESH_TOKEN, "access-", "rotated-")
"""What no log, message or ``repr`` may hold: every access token starts with ``access-``."""


class OAuthServer(Serving):
    """Answers ``/oauth/token``, and the API to who holds the latest access token.

    :param lifetime: ``expires_in`` of the access tokens, which the server itself does not enforce.
    :param delay: seconds that a refresh takes.
    :param rotate: each refresh replaces the refresh token.
    """

    def __init__(self, *, lifetime: float = 3600, delay: float = 0.0, rotate: bool = False) -> None:
        self.lifetime = lifetime
        self.delay = delay
        self.rotate = rotate
        self.refresh_token = REFRESH_TOKEN
        self.refreshes: list[dict[str, str]] = []
        self.calls: list[tuple[str, str, str]] = []
        self.carried_out = 0
        self.refuse_all = False
        self.access: str | None = None
        self.asked = threading.Event()
        self._lock = threading.Lock()
        super().__init__(self._handler())

    def revoke(self) -> None:
        """End the access token before its time."""
        with self._lock:
            self.access = None

    def refresh(self, authorization: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.set()
        time.sleep(self.delay)
        with self._lock:
            self.refreshes.append(form)
            if authorization != "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode():
                return 401, {"error": "invalid_client", "error_description": f"not {authorization}"}
            if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != self.refresh_token:
                return 400, {"error": "invalid_grant", "error_description": f"not {form}"}
            self.access = f"access-{len(self.refreshes)}"
            if self.rotate:
                self.refresh_token = f"rotated-{len(self.refreshes)}"
            return 200, {
                "access_token": self.access,
                "expires_in": self.lifetime,
                "refresh_token": self.refresh_token,
                "token_type": "Bearer",
            }

    def call(self, method: str, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.calls.append((method, path, authorization))
            if self.refuse_all or authorization != f"Bearer {self.access}":
                return 401, {"errors": [{"code": "not_authenticated", "title": "No.", "detail": "No."}]}
            self.carried_out += 1
            job = {"type": "campaign-send-job", "id": "1", "attributes": {"status": "queued"}}
            account = {"type": "account", "id": "AbC123", "attributes": {"test_account": True}}
            return 200, {"data": job if method == "POST" else [account]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        klaviyo = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer("GET")

            def do_POST(self) -> None:
                self._answer("POST")

            def _answer(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                authorization = self.headers.get("Authorization") or ""
                if self.path == "/oauth/token":
                    assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                    form = {name: values[0] for name, values in parse_qs(body).items()}
                    status, answer = klaviyo.refresh(authorization, form)
                else:
                    status, answer = klaviyo.call(method, self.path, authorization)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
