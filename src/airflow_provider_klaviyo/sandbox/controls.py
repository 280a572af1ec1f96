"""``Controls``: a running sandbox, asked over HTTP with the standard library alone, past any proxy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 60.0
"""Seconds that an answer may take."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a sandbox answers.

    :param body: JSON values, or the text when it is not JSON.
    :param headers: by lower-case name.
    """

    status: int
    body: Any
    headers: Mapping[str, str]


class ControlError(Exception):
    """A sandbox cannot be reached, or refuses a control; the message says which and why."""


class Controls:
    """The controls of a sandbox, and its API.

    :param url: where the sandbox is, such as ``http://127.0.0.1:5528``.
    :raises ValueError: it is not such a URL.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url!r} is not the URL of a sandbox: give http://, a host and a port.")
        self.url = url.rstrip("/")
        self._host, self._port = parts.hostname, parts.port

    def get(self, path: str) -> Any:
        """What a control says.

        :raises ControlError: the sandbox cannot be reached, or refuses.
        """
        return self.call("GET", path)

    def find(self, path: str) -> Any:
        """What a control says; ``None`` when it answers 404.

        :raises ControlError: the sandbox cannot be reached, or refuses otherwise.
        """
        answer = self._reached("GET", path)
        return None if answer.status == 404 else self._accepted("GET", path, answer)

    def call(self, method: str, path: str, given: Any = None) -> Any:
        """Turn a control.

        :param given: JSON values; ``None`` for no body.
        :raises ControlError: the sandbox cannot be reached, or refuses.
        """
        content = None if given is None else json.dumps(given).encode()
        return self._accepted(method, path, self._reached(method, path, content))

    def _reached(self, method: str, path: str, content: bytes | None = None) -> Answered:
        try:
            return self.request(method, path, content)
        except (OSError, HTTPException) as error:
            raise ControlError(f"No sandbox answers at {self.url}: {error}.") from error

    def _accepted(self, method: str, path: str, answer: Answered) -> Any:
        if answer.status >= 400:
            reason = answer.body.get("error") if isinstance(answer.body, dict) else answer.body
            raise ControlError(f"The sandbox at {self.url} refuses {method} {path}: {reason}")
        return answer.body

    def request(
        self, method: str, target: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """Send any request, and wait for its answer.

        :param target: path and query string, encoded.
        :raises OSError: the sandbox cannot be reached, or the connection is cut.
        :raises HTTPException: what comes back is not an answer.
        """
        connection = HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request(method, target, content, dict(headers or {}))
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        try:
            body = json.loads(text) if text else None
        except ValueError:
            body = text
        return Answered(answer.status, body, {name.lower(): value for name, value in answer.getheaders()})
