"""Klaviyo's answer as a value: a JSON:API document, or the error it stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from msgspec import Struct, field
from msgspec.json import decode

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
from airflow_provider_klaviyo.api.refusal import errors_of, retry_after, said, source
from airflow_provider_klaviyo.api.request import Request, is_link
from airflow_provider_klaviyo.api.text import duration, is_text

MAX_BODY = 64 * 1024 * 1024
"""Bytes of an answer that are read at most; a body beyond it is not taken in."""


class Answer(Struct, frozen=True):
    """What came over the wire.

    :param headers: by name in lower case, or in any case.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


class Resource(Struct, frozen=True):
    """One JSON:API resource object; unknown fields are kept and ignored.

    :param type: Klaviyo's word for its kind, such as ``campaign``.
    :param id: its id.
    :param attributes: Klaviyo's attributes, as they came.
    :param relationships: what it is related to, as it came.
    :param request: what it was answered to; ``None`` when it was not read from an answer.
    """

    type: str
    id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    relationships: Mapping[str, Any] = field(default_factory=dict)
    request: Request | None = None

    def __eq__(self, other: object) -> bool:
        """True if both are the same resource as it came, whatever it was answered to."""
        return isinstance(other, Resource) and self._came() == other._came()

    def __repr__(self) -> str:
        return f"Resource{self._came()}"

    def _came(self) -> tuple[str, str, Mapping[str, Any], Mapping[str, Any]]:
        return self.type, self.id, self.attributes, self.relationships

    @property
    def name(self) -> str:
        """The attribute ``name``: any text at all, as people write it. It raises as :meth:`text` does."""
        value = self.attributes.get("name")
        if not isinstance(value, str):
            raise self._odd("name", value, "a text")
        return value

    def text(self, name: str) -> str:
        """The attribute of that name, which is a text that can be kept anywhere: see :func:`is_text`.

        :param name: an attribute's name.
        :raises KlaviyoTransientError: it is missing, ``null`` or of another kind, so this is not an answer; after a
            POST :class:`KlaviyoAmbiguousWriteError`. So do the methods below.
        """
        value = self.attributes.get(name)
        if not is_text(value):
            raise self._odd(name, value, "a text")
        return value

    def number(self, name: str) -> int:
        """The attribute of that name, which is a whole number, not below zero.

        :param name: an attribute's name.
        """
        value = self.attributes.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._odd(name, value, "a whole number")
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        """The attribute of that name, which is an object.

        :param name: an attribute's name.
        """
        value = self.attributes.get(name)
        if not isinstance(value, Mapping):
            raise self._odd(name, value, "an object")
        return value

    def related(self, name: str) -> list[str]:
        """Ids of the related resources of that name; empty when there are none, or none are named.

        :param name: a relationship's name, such as ``campaign-messages``.
        """
        data = self._relationship(name).get("data")
        items = data if isinstance(data, list) else [] if data is None else [data]
        ids = [item["id"] for item in items if isinstance(item, Mapping) and is_text(item.get("id")) and item["id"]]
        if len(ids) < len(items):
            raise self._odd(f"relationships.{name}", data, "related resources with ids")
        return ids

    def has_related(self, name: str) -> bool:
        """True if the answer has what is related under that name (``null``: nothing is).

        :param name: a relationship's name.
        """
        return "data" in self._relationship(name)

    def _relationship(self, name: str) -> Mapping[str, Any]:
        value = _object(self.relationships.get(name))
        if value is None:
            raise self._odd(f"relationships.{name}", self.relationships[name], "an object")
        return value

    def _odd(self, name: str, value: Any, wanted: str) -> KlaviyoApiError:
        return _odd(self.request, f"{name} of {self.type} {self.id} is {_brief(value)}, not {wanted}")


class Document(Struct, frozen=True):
    """A successful answer.

    What is read from it is checked as it is read. An answer that is not as Klaviyo publishes it proves nothing: it is
    a :class:`KlaviyoTransientError`, and after a POST a :class:`KlaviyoAmbiguousWriteError`.

    :param request: what it answers.
    :param status: HTTP status, any 2xx.
    :param body: the whole JSON document; ``{}`` when the answer has none.
    :param revision: the API revision that Klaviyo applied, if the answer has it.
    """

    request: Request
    status: int
    body: Mapping[str, Any]
    revision: str | None = None

    @property
    def resource(self) -> Resource:
        """The one resource it holds."""
        return self._read(self.body.get("data"))

    @property
    def resource_or_none(self) -> Resource | None:
        """The one resource it holds; ``None`` when its ``data`` is ``null``."""
        return None if self.body.get("data", "") is None else self.resource

    def about(self, kind: str, resource_id: str | None = None) -> Resource:
        """The one resource it holds, which is of that type, and has that id.

        :param kind: the type that it must have.
        :param resource_id: the id that it must have; ``None``: any.
        """
        found = self.resource
        if found.type != kind or resource_id not in (None, found.id):
            wanted = f"{kind} {resource_id or ''}".strip()
            raise _odd(self.request, f"it is about {_brief(f'{found.type} {found.id}')}, not {wanted}")
        return found

    @property
    def resources(self) -> list[Resource]:
        """The resources it holds, of this page."""
        return [self._read(item) for item in self._list("data")]

    @property
    def included(self) -> list[Resource]:
        """The related resources it came with."""
        return [self._read(item) for item in self._list("included")]

    @property
    def next(self) -> str | None:
        """Link to the next page, or ``None`` on the last."""
        links = _object(self.body.get("links"))
        if links is None:
            raise _odd(self.request, f"links is {_brief(self.body['links'])}, not an object")
        link = links.get("next")
        if link is not None and not (isinstance(link, str) and is_link(link)):
            raise _odd(self.request, f"links.next is {_brief(link)}, not a link")
        return link

    def items(self, name: str) -> list[Mapping[str, Any]]:
        """The resource objects under ``data`` or ``included``, each with its type and id.

        :param name: ``data`` or ``included``.
        """
        items = self._list(name)
        for item in items:
            self._read(item)
        return items

    def _list(self, name: str) -> list[Any]:
        items = self.body.get(name)
        if items is None and name == "included":
            return []
        if not isinstance(items, list):
            raise _odd(self.request, f"{name} is {_brief(items)}, not a list")
        return items

    def _read(self, raw: Any) -> Resource:
        if not isinstance(raw, dict):
            raise _odd(self.request, f"data is {_brief(raw)}, not a resource")
        kind, resource_id = raw.get("type"), raw.get("id")
        if not (_is_word(kind) and _is_word(resource_id)):
            name, value = ("id", resource_id) if _is_word(kind) else ("type", kind)
            raise _odd(self.request, f"the {name} of a resource is {_brief(value)}")
        attributes, relationships = _object(raw.get("attributes")), _object(raw.get("relationships"))
        if attributes is None or relationships is None:
            raise _odd(self.request, f"attributes or relationships of {kind} {resource_id} are not an object")
        return Resource(kind, resource_id, attributes, relationships, self.request)


def read(request: Request, answer: Answer) -> Document:
    """Return the document of a success; raise the error that a failure stands for.

    :raises KlaviyoApiError: of the type that the status stands for. A write whose answer leaves open whether it was
        carried out is a :class:`KlaviyoAmbiguousWriteError`: a 5xx; a redirect; a refusal that is not in Klaviyo's own
        format; a success without the document that Klaviyo publishes for it.
    """
    status, body = answer.status, _json_object(answer.content)
    request_id = answer.headers.get("x-klaviyo-req-id")
    if not 200 <= status < 600:
        raise unanswered(request, f"answered {status}, which ends no call", status, request_id)
    if status < 300:
        if what := _missing(request, answer, body):
            raise unanswered(request, f"answered {status} {what} (a proxy or CDN in between?)", status, request_id)
        return Document(request, status, body or {}, answer.headers.get("x-klaviyo-api-revision"))
    if status < 400:
        what = "answered with a redirect, which is not followed. Check the connection's host"
        if not request.may_be_repeated:
            raise unanswered(request, what, status, request_id)
        raise KlaviyoApiError(f"Klaviyo {what}.", status=status, request_id=request_id, call=str(request))
    errors = errors_of(body, status)
    if status >= 500 or not (errors or (status == 429 and request.may_be_repeated)):
        form = "" if errors else ", not in Klaviyo's format (a proxy or CDN in between?)"
        raise unanswered(request, f"answered {status}{form}", status, request_id, errors)
    facts: dict[str, Any] = {"status": status, "request_id": request_id, "errors": errors, "call": str(request)}
    if status == 429:
        wait = retry_after(answer.headers)
        raise KlaviyoRateLimitError(
            f"Rate limit reached: Klaviyo takes this call again in {duration(wait)}. {said(errors)}".strip(),
            code=errors[0]["code"] if errors else None,
            retry_after=wait,
            **facts,
        )
    place = source(errors[0])
    kind, advice = _KINDS.get(status, (KlaviyoValidationError, ""))
    if status == 403:
        scopes = ", ".join(request.operation.scopes)
        advice = f"The key is accepted but may not do this: the call needs the scope {scopes}."
    if place.get("parameter") == "revision":
        advice = "Set 'revision' in the connection's extra or in the task to one that Klaviyo has published."
    pointer = place.get("pointer") or place.get("parameter")
    raise kind(said(errors), code=errors[0]["code"], pointer=pointer, advice=advice, **facts)


def _missing(request: Request, answer: Answer, body: Mapping[str, Any] | None) -> str:
    """What a success lacks to be one of Klaviyo's; empty when nothing."""
    if not answer.content.strip():
        return "with nothing in it" if request.operation.document else ""
    if "data" not in (body or {}):
        return "with something that is not in its format"
    if request.operation.document and not request.is_read and not isinstance((body or {})["data"], Mapping):
        return "without the data that it should have"
    return ""


def unanswered(
    request: Request,
    what: str,
    status: int | None = None,
    request_id: str | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
) -> KlaviyoTransientError | KlaviyoAmbiguousWriteError:
    """The error for a call that left here and was not answered usably."""
    facts: dict[str, Any] = {"status": status, "request_id": request_id, "errors": errors, "call": str(request)}
    if request.may_be_repeated:
        return KlaviyoTransientError(f"Klaviyo {what}.", **facts)
    return KlaviyoAmbiguousWriteError(
        f"Klaviyo {what}. It is not known if the call was carried out; it is not repeated blindly.", **facts
    )


def _is_word(value: object) -> TypeGuard[str]:
    """True for a text that is more than blanks. Most are letters and digits, which is seen at once."""
    return isinstance(value, str) and (value.isalnum() or (is_text(value) and bool(value.strip())))


def _odd(request: Request | None, what: str) -> KlaviyoApiError:
    """The error for an answer that is not of the form that Klaviyo publishes."""
    what = f"answered in a form that it does not publish: {what}"
    return unanswered(request, what) if request else KlaviyoTransientError(f"Klaviyo {what}.")


def _object(value: Any) -> Mapping[str, Any] | None:
    """An object that may be left out, which Klaviyo also writes as ``null`` or ``[]``; ``None`` for anything else."""
    if isinstance(value, dict):
        return value
    return {} if value is None or value == [] else None


def _brief(value: Any) -> str:
    """A value as a message quotes it."""
    return ascii(value)[:100]


_KINDS: dict[int, tuple[type[KlaviyoApiError], str]] = {
    401: (
        KlaviyoAuthError,
        "The key in the connection's password is not accepted: check that it is complete, private (pk_…) and not "
        "deleted in Klaviyo. With OAuth: check that the app is still authorised.",
    ),
    403: (KlaviyoAuthError, ""),
    404: (KlaviyoNotFoundError, ""),
    409: (KlaviyoConflictError, ""),
    410: (
        KlaviyoValidationError,
        "This API revision or endpoint is retired: set a newer 'revision' in the connection's extra or the task.",
    ),
}


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        body = _decode(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _decode(content: bytes) -> Any:
    """As ``json.loads``, in less time: what msgspec takes is the same value, what it does not take is read again."""
    try:
        return decode(content)
    except Exception:  # those of msgspec 0.19 are not ValueErrors
        return json.loads(content)
