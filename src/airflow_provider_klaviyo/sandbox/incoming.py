"""A request as it arrives: what can be wrong with it before it matters what it asks for."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web

from airflow_provider_klaviyo.sandbox import jsontext
from airflow_provider_klaviyo.sandbox.refusals import RefusedError, refusal
from airflow_provider_klaviyo.sandbox.served import HTTPRequest

HOST = re.compile(r"(?P<name>[\w.-]+|\[[\w:.%]+\])(?::(?P<port>\d{1,5}))?", re.ASCII)
FORM = "multipart/form-data"


def check_head(request: web.Request) -> None:
    """Refuse a request whose line, ``Host`` or ``Origin`` cannot be read, whatever it is for.

    :raises RefusedError: 400.
    """
    if not jsontext.is_text(request.raw_path):
        raise _unreadable("The request line is not UTF-8.")
    host_name(request)
    try:
        origin_name(request)
    except ValueError:
        raise _unreadable("The Origin header is not an origin.") from None


def host_name(request: web.Request) -> str:
    """The name or address that the request was sent to.

    :raises RefusedError: 400 when there is none.
    """
    found = HOST.fullmatch(request.host)
    if found is None or int(found["port"] or 0) > 65535:
        raise _unreadable("The Host header is not a host.")
    return found["name"].strip("[]")


def origin_name(request: web.Request) -> str | None:
    """The host of the web page that sends the request; ``None`` when it has none.

    :raises ValueError: the ``Origin`` header cannot be read.
    """
    origin = request.headers.get("Origin", "")
    parts = urlsplit(origin)
    if not jsontext.is_text(origin) or (parts.port or 0) < 0:
        raise ValueError(origin)
    return parts.hostname


async def incoming(request: web.Request) -> HTTPRequest:
    """The request with its body. Header values are read as Latin-1, as the standard has it.

    :raises RefusedError: 400 when the body cannot be read, 413 when it is too long.
    """
    try:
        content: Any = await (_form(request) if request.content_type == FORM else request.read())
    except web.HTTPRequestEntityTooLarge:
        raise refusal(413, "request_too_large", "Request too large.", "The body is too long.") from None
    except Exception as error:  # only the server library reads here: what it raises is about what was sent
        raise _unreadable(f"The body cannot be read: {type(error).__name__}.") from error
    return HTTPRequest(
        method=request.method,
        path=unquote(urlsplit(request.raw_path).path),
        query=dict(request.query.items()),
        headers={name.lower(): _latin(value) for name, value in request.headers.items()},
        content=content,
        base=f"{request.scheme}://{request.host}",
        target=request.raw_path,
    )


async def _form(request: web.Request) -> dict[str, Any]:
    """A form's fields, a file as its name and size.

    :raises Exception: it is not a form, or a field of it is not text; what kind depends on what is wrong.
    """
    fields = {
        name: {"filename": field.filename, "size": len(field.file.read())}
        if isinstance(field, web.FileField)
        else field
        for name, field in (await request.post()).items()
    }
    if not jsontext.is_text(json.dumps(fields, ensure_ascii=False)):
        raise ValueError("a text is not Unicode")
    return fields


def _latin(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("latin-1")


def _unreadable(detail: str) -> RefusedError:
    return refusal(400, "bad_request", "Bad request.", detail)
