"""A request to Klaviyo as a value: built and checked before a byte moves, the same for both transports."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

from msgspec.structs import replace

from airflow_provider_klaviyo.api import filters, operations
from airflow_provider_klaviyo.api.discreet import Discreet
from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoTransientError, KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import Limits, Operation
from airflow_provider_klaviyo.api.text import check_text

MEDIA_TYPE = "application/vnd.api+json"

COUNT = Limits(burst=1, steady=15)
"""What Klaviyo allows of calls that ask for a ``profile_count``, whatever it allows of the operation otherwise."""

PREDICTIONS = Limits(burst=10, steady=150)
"""The same of calls that ask for profiles with their ``predictive_analytics``."""

_LINK = re.compile(r"[!-\[\]-~]+")
"""Visible ASCII, but for the backslash: what some take for a slash, and others for a part of a name."""

_PATH = re.compile(r"/api(/[\w%~-]+)+/?(\?[!-\"$-\[\]-~]*)?", re.ASCII)
"""A path of the API as :func:`build` writes it, with its query: what it leads to needs no resolving."""

T = TypeVar("T")


class Request(Discreet, frozen=True):
    """One thing to ask of Klaviyo.

    :param operation: what is called.
    :param target: path and query, relative to the base URL, already quoted; or an absolute URL of the same host.
    :param body: the JSON document to send, if any.
    :param departure: asked right before the request leaves, if given.
    :param content: the document as JSON, in place of ``body``: for one that is too large to be kept twice.
    :param patience: seconds that it waits for the rate limit at most; ``None``: as long as the connection has it, and
        a minute after a 429.
    """

    operation: Operation
    target: str
    body: Mapping[str, Any] | None = None
    departure: Departure | None = None
    content: bytes | None = None
    patience: float | None = None

    @property
    def is_read(self) -> bool:
        return self.operation.method == "GET"

    @property
    def may_be_repeated(self) -> bool:
        """True if carrying it out twice leaves the same state as once: all but POST."""
        return self.operation.method != "POST"

    def __str__(self) -> str:
        """What is called, and on what: where the path does not have the id, the body may."""
        data = (self.body or {}).get("data")
        subject = data.get("id") if isinstance(data, Mapping) else None
        path = urlsplit(self.target).path
        of = f" of {subject}" if subject and str(subject) not in path else ""
        return f"{self.operation.id} ({self.operation.method} {path}{of})"


def build(
    operation: str,
    *,
    path_params: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    content: bytes | None = None,
) -> Request:
    """Make the request for a published operation.

    :param operation: operation id or alias, such as ``get_campaign``.
    :param path_params: one non-empty value for each ``{name}`` in the operation's path.
    :param query: query parameters; a list becomes a comma-separated value, ``None`` leaves the parameter out. A
        ``filter`` given as text is written again as it is understood; one that is not understood is left as it is.
    :param body: JSON document.
    :param content: the same as bytes, in place of ``body``.
    :raises KlaviyoValidationError: unknown operation, or path parameters that do not fit.
    """
    known = operations.get(operation)
    given = dict(path_params or {})
    path = known.path
    for name in known.path_parameters:
        value = given.pop(name, None)
        if not isinstance(value, str) or not value.strip() or value in (".", ".."):
            raise KlaviyoValidationError(
                f"{known.id}: path parameter {name!r} is {value!r}; a non-empty string is needed for {known.path}.",
                pointer=name,
            )
        check_text(value, name)
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    if given:
        allowed = ", ".join(map(repr, known.path_parameters)) or "none"
        raise KlaviyoValidationError(
            f"{known.id}: unknown path parameter {', '.join(map(repr, sorted(given)))}; {known.path} takes {allowed}.",
            pointer=sorted(given)[0],
        )
    pairs = [(name, _query_value(name, value)) for name, value in (query or {}).items() if value is not None]
    for name, value in pairs:
        check_text(name, "query")
        check_text(value, name)
    additional = {part for name, value in pairs if name.startswith("additional-fields[") for part in value.split(",")}
    if "profile_count" in additional:
        known = replace(known, limits=COUNT)
    elif "predictive_analytics" in additional:
        known = replace(known, limits=PREDICTIONS)
    return Request(known, f"{path}?{urlencode(pairs, quote_via=quote)}" if pairs else path, body, content=content)


def _query_value(name: str, value: Any) -> str:
    if name == "filter" and isinstance(value, str):
        return _as_understood(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(str(item) for item in value)
    return str(value)


@lru_cache
def _as_understood(text: str) -> str:
    """A filter's text as Klaviyo reads it, such as a datetime with a ``T``; text that is not understood as it is."""
    try:
        return str(filters.parse(text))
    except KlaviyoValidationError:
        return text


def following(request: Request, link: str) -> Request:
    """The request for the next page: the server's own link, to be followed as it is."""
    return Request(request.operation, link, request.body)


def absolute_url(base_url: str, target: str) -> str:
    """Where a request goes.

    :raises KlaviyoTransientError: the target is not a URL, or names another host than the connection does (a
        ``links.next`` gone astray): the key is for one host only and is not sent elsewhere.
    """
    if _PATH.fullmatch(target):
        return base_url.rstrip("/") + target
    try:
        url = urljoin(base_url + "/", target)
        here, there = _origin(base_url), _origin(url)
        is_plain = is_link(target) and "@" not in urlsplit(url).netloc
    except ValueError:
        is_plain = False
    if not is_plain:
        raise KlaviyoTransientError(f"Refused to follow a link that is not a plain URL: {ascii(target)[:200]}.")
    if here != there:
        raise KlaviyoTransientError(
            f"Refused to follow a link to {there[0]}://{there[1]}:{there[2]}: the connection is for "
            f"{here[0]}://{here[1]}:{here[2]}, and its key is sent to no other host."
        )
    return url


def is_link(text: str) -> bool:
    """True if a text is written as URLs are, with everything unusual percent-encoded."""
    return _LINK.fullmatch(text) is not None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class Departure:
    """Asked by the transport right before the bytes of a write leave: its turn has come, and it is encoded.

    :param until: seconds since the epoch; a write whose turn comes later is not made.
    :param last_look: called each time; raises if the write must not be made.
    """

    def __init__(self, until: float, last_look: Callable[[], None] | None = None) -> None:
        self.until = until
        self._last_look = last_look
        self.has_left = False
        """True if the bytes of the last attempt may have left. An earlier attempt was certainly not carried out."""

    def check(self, request: Request) -> None:
        """Let the write go.

        :raises KlaviyoTransientError: it is too late for it; nothing was sent.
        """
        self.has_left = False
        self._check_time(request)
        if self._last_look is not None:
            self._last_look()
            self._check_time(request)
        self.has_left = True

    def _check_time(self, request: Request) -> None:
        if time.time() > self.until:
            raise KlaviyoTransientError(
                f"Nothing was sent. The call was to begin by "
                f"{datetime.fromtimestamp(self.until, UTC):%Y-%m-%d %H:%M:%S} UTC, but had to wait, or this machine "
                f"stood still: another try may have made it since. The next one looks.",
                call=str(request),
            )


def departing(call: Generator[Request, Any, T], departure: Departure) -> Generator[Request, Any, T]:
    """The same call; a request of it that may not be repeated leaves as the departure allows."""
    try:
        request = next(call)
        while True:
            if not request.may_be_repeated:
                request = replace(request, departure=departure)
            try:
                document = yield request
            except KlaviyoError as error:
                request = call.throw(error)
            else:
                request = call.send(document)
    except StopIteration as stop:
        result: T = stop.value
        return result
