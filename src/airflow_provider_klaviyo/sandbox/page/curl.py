"""A logged request as a command for a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from urllib.parse import quote, urlencode

from airflow_provider_klaviyo.sandbox.journal import Entry

KEY = "pk_any"
"""The key of the commands: the log has none, and the sandbox takes any."""

FORM = "application/x-www-form-urlencoded"


def curl(entry: Entry, url: str) -> str | None:
    """The command that sends the request again; ``None`` when the log does not have all of it.

    :param url: the sandbox's own.
    """
    body = entry.body
    if entry.forgotten or (isinstance(body, dict) and body.keys() == {"omitted_bytes"}):
        return None
    query = f"?{urlencode(entry.query)}" if entry.query else ""
    parts = ["curl", "-sS", "-X", entry.method, f"{url}{quote(entry.path)}{query}"]
    return " ".join(map(shlex.quote, [*parts, *_headers(entry), *_body(entry)]))


def _headers(entry: Entry) -> Iterator[str]:
    if not entry.path.startswith("/oauth/"):
        yield from ("-H", f"Authorization: Klaviyo-API-Key {KEY}")
    for name in ("revision", "content-type"):
        value = entry.headers.get(name) or (entry.revision if name == "revision" else None)
        if value and not value.startswith("multipart/"):
            yield from ("-H", f"{name}: {value}")


def _body(entry: Entry) -> Iterator[str]:
    kind, body = entry.headers.get("content-type", ""), entry.body
    if isinstance(body, dict) and kind.startswith(FORM):
        for name, value in body.items():
            yield from ("--data-urlencode", f"{name}={value}")
    elif isinstance(body, dict) and kind.startswith("multipart/"):
        for name, value in body.items():
            yield from ("--form-string", f"{name}={value}") if isinstance(value, str) else ("-F", f"{name}=@FILE")
    elif body is not None:
        yield from ("--data-raw", json.dumps(body))
