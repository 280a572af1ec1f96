"""Klaviyo's answer as a value: a JSON:API document, or the error it stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from airflow_provider_klaviyo.api.errors import (
    KlaviyoAmbiguousWriteError,
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoConflictError,
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.request import Request

MAX_BODY = 64 * 1024 * 1024
"""Bytes of an answer that are read at most; a body beyond it is not taken in."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came over the wire.

    :param headers: by name in lower case, or in any case.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Resource:
    """One JSON:API resource object; unknown fields are kept and ignored."""

    type: str
    id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    relationships: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Resource:
        return cls(raw["type"], raw["id"], raw.get("attributes") or {}, raw.get("relationships") or {})

    def related(self, name: str) -> list[str]:
        """Ids of the related resources of that name; empty when there are none, or none were told."""
        data = (self.relationships.get(name) or {}).get("data") or []
        return [item["id"] for item in ([data] if isinstance(data, Mapping) else data)]

    def tells(self, name: str) -> bool:
        """Whether the answer says what is related under that name (``null`` says: nothing)."""
        return "data" in (self.relationships.get(name) or {})


@dataclass(frozen=True, slots=True)
class Document:
    """A successful answer.

    :param request: what it answers.
    :param status: HTTP status, any 2xx.
    :param body: the whole JSON document; ``{}`` when the answer has none.
    :param revision: the API revision that Klaviyo applied, if it told.
    """

    request: Request
    status: int
    body: Mapping[str, Any]
    revision: str | None = None

    @property
    def resource(self) -> Resource:
        """The one resource it holds.

        :raises KlaviyoTransientError: it holds none, so this is no answer; after a POST
            :class:`KlaviyoAmbiguousWriteError`.
        """
        return self._read(self.body.get("data"))

    @property
    def resources(self) -> list[Resource]:
        """The resources it holds, of this page."""
        return [self._read(item) for item in self.body.get("data") or []]

    @property
    def included(self) -> list[Resource]:
        """The related resources it came with."""
        return [self._read(item) for item in self.body.get("included") or []]

    def _read(self, raw: Any) -> Resource:
        try:
            return Resource.read(raw)
        except (TypeError, KeyError, AttributeError):
            what = f"answered {self.status} without the data it should have"
            raise unanswered(self.request, what, self.status) from None

    @property
    def next(self) -> str | None:
        """Link to the next page, or ``None`` on the last."""
        return (self.body.get("links") or {}).get("next")


def read(request: Request, answer: Answer) -> Document:
    """Tell a success from a failure.

    :raises KlaviyoApiError: of the type that the status stands for. A write whose answer leaves open whether it was
        carried out (5xx, or not Klaviyo's format) is a :class:`KlaviyoAmbiguousWriteError`.
    """
    body = _json_object(answer.content)
    request_id = answer.headers.get("x-klaviyo-req-id")
    if 200 <= answer.status < 300:
        if "data" not in (body or {}) and (answer.content.strip() or request.is_read):
            what = f"answered {answer.status} with something that is not in its format (a proxy or CDN in between?)"
            raise unanswered(request, what, answer.status, request_id)
        return Document(request, answer.status, body or {}, answer.headers.get("x-klaviyo-api-revision"))
    if 300 <= answer.status < 400:
        raise KlaviyoApiError(
            f"{request}: Klaviyo answered with a redirect, which is not followed. Check the connection's host.",
            status=answer.status,
            request_id=request_id,
        )
    if answer.status == 429:
        wait = retry_after(answer.headers)
        raise KlaviyoRateLimitError(
            f"{request}: rate limit reached; Klaviyo takes this call again in {wait:g} s. {_said(body)}".strip(),
            status=429,
            code=_first(body).get("code"),
            request_id=request_id,
            retry_after=wait,
        )
    if answer.status >= 500 or not _first(body):
        source = "" if _first(body) else ", not in Klaviyo's format (a proxy or CDN in between?)"
        raise unanswered(request, f"answered {answer.status}{source}", answer.status, request_id)
    first = _first(body)
    source_of = _source(first)
    kind, hint = _KINDS.get(answer.status, (KlaviyoValidationError, ""))
    if answer.status == 403:
        scopes = ", ".join(request.operation.scopes)
        hint = f" The key is accepted but may not do this: the call needs the scope {scopes}."
    if source_of.get("parameter") == "revision":
        hint = " Set 'revision' in the connection's extra or in the task to one that Klaviyo has published."
    raise kind(
        f"{request}: {_said(body)}{hint}".strip(),
        status=answer.status,
        code=first.get("code"),
        pointer=source_of.get("pointer") or source_of.get("parameter"),
        request_id=request_id,
    )


def unanswered(
    request: Request, what: str, status: int | None = None, request_id: str | None = None
) -> KlaviyoTransientError | KlaviyoAmbiguousWriteError:
    """The error for a call that left here and was not answered usably."""
    if request.may_be_repeated:
        return KlaviyoTransientError(f"{request}: Klaviyo {what}.", status=status, request_id=request_id)
    return KlaviyoAmbiguousWriteError(
        f"{request}: Klaviyo {what}. Whether it was carried out is not known; it is not repeated blindly.",
        status=status,
        request_id=request_id,
    )


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of the ``Retry-After`` header (a number or an HTTP date), a day at most; 1 s when it cannot be read."""
    text = (headers.get("retry-after") or "").strip()
    is_number = text.removeprefix("-").replace(".", "", 1).isdecimal()  # and not inf, nan or 1e400
    try:
        seconds = float(text) if is_number else parsedate_to_datetime(text).timestamp() - time()
    except (TypeError, ValueError, OverflowError, OSError):
        return 1.0
    return min(max(0.0, seconds), 86_400.0)


_KINDS: dict[int, tuple[type[KlaviyoApiError], str]] = {
    401: (
        KlaviyoAuthError,
        " The key in the connection's password is not accepted: check that it is complete, private (pk_…) and not "
        "deleted in Klaviyo. With OAuth: check that the app is still authorised.",
    ),
    403: (KlaviyoAuthError, ""),
    404: (KlaviyoNotFoundError, ""),
    409: (KlaviyoConflictError, ""),
    410: (
        KlaviyoValidationError,
        " This API revision or endpoint is retired: set a newer 'revision' in the connection's extra or the task.",
    ),
}


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _first(body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    errors = (body or {}).get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return errors[0]
    return {}


def _source(error: Mapping[str, Any]) -> Mapping[str, Any]:
    source = error.get("source")
    return source if isinstance(source, Mapping) else {}


def _said(body: Mapping[str, Any] | None) -> str:
    """Klaviyo's own words, of all errors told; cut to what a person reads."""
    told = (body or {}).get("errors")
    errors = [error for error in told if isinstance(error, dict)] if isinstance(told, list) else []
    texts = []
    for error in errors[:5]:
        source = _source(error)
        place = source.get("pointer") or source.get("parameter")
        text = str(error.get("detail") or error.get("title") or "")[:500]
        texts.append(f"{text} ({place})" if place else text)
    return "; ".join(texts)
