"""What the request log leaves out: credentials, wherever a request has them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.sandbox.access import REAL_KEY

LOGGED_HEADERS = frozenset(
    (
        "accept",
        "content-encoding",
        "content-length",
        "content-type",
        "revision",
        "transfer-encoding",
        "user-agent",
    )
)
"""The request headers that are logged, besides Klaviyo's own."""

CREDENTIAL_NAME = re.compile(r"key|token|secret|auth|password|cookie", re.IGNORECASE)
KEY = re.compile(r"\bpk_\w+")
LEFT_OUT = "…"
SHORTEST = 8
"""Characters that a credential has at least to be looked for in JSON: a shorter one would be found in many texts."""


class Discretion:
    """Takes the credentials of one request, and what looks like a key, out of what is logged of it.

    :param authorization: the request's ``Authorization`` header, or what there is of it.
    """

    def __init__(self, authorization: str = "") -> None:
        self._credentials: set[str] = set()
        self._add(_latin(authorization).partition(" ")[2].strip())

    def path(self, path: str) -> str:
        """A path without keys."""
        for key in KEY.findall(path):
            self._add(key)
        return KEY.sub(f"pk_{LEFT_OUT}", self._without(path))

    def query(self, query: Mapping[str, str]) -> dict[str, str]:
        """Query parameters without keys, and without the values of those that are named after a credential."""
        for value in (value for name, value in query.items() if _names_a_credential(name)):
            self._add(value)
        return {
            self.path(name): LEFT_OUT if _names_a_credential(name) else self.path(value)
            for name, value in query.items()
        }

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """A request's headers that are logged, by lower-case name.

        :param headers: by name, as the server library reads them.
        """
        lower = ((name.lower(), _latin(value)) for name, value in headers.items())
        return {
            name: self.path(value)
            for name, value in lower
            if name in LOGGED_HEADERS or (name.startswith("x-klaviyo-") and not CREDENTIAL_NAME.search(name))
        }

    def json(self, text: str) -> str:
        """The text of a JSON value without the credentials of the request, those in its path and query too, and
        without real keys. What else begins with ``pk_`` stays: it may be a name."""
        if any(json.dumps(credential)[1:-1] in text for credential in self._credentials):
            text = json.dumps(self._in(json.loads(text)))
        return REAL_KEY.sub(f"pk_{LEFT_OUT}", text) if "pk_" in text else text

    def _add(self, credential: str) -> None:
        if len(credential) >= SHORTEST:
            self._credentials.add(credential)

    def _without(self, text: str) -> str:
        for credential in self._credentials:
            text = text.replace(credential, LEFT_OUT)
        return text

    def _in(self, value: Any) -> Any:
        match value:
            case str():
                return self._without(value)
            case dict():
                return {self._without(name): self._in(one) for name, one in value.items()}
            case list():
                return [self._in(one) for one in value]
            case _:
                return value


def _names_a_credential(name: str) -> bool:
    """``fields[…]`` and the like are Klaviyo's own parameters, and never one."""
    return "[" not in name and CREDENTIAL_NAME.search(name) is not None


def _latin(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("latin-1")
