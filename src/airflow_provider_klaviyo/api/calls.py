"""Calls that take several requests, written once for both transports.

A :data:`Call` is a generator: it yields a :class:`Request`, is sent the :class:`Document` that answers it (or is thrown
the :class:`KlaviyoError` that came instead), and returns its result. A client only moves the bytes in between.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from msgspec.structs import replace

from airflow_provider_klaviyo.api.document import Document, Resource
from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.api.request import Request, build, following

T = TypeVar("T")
Call = Generator[Request, Document, T]

MAX_PAGES = 1_000


def call(
    operation: str,
    *,
    path_params: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
) -> Call[Document]:
    """Make one call to any published operation.

    As a method of a hook, it is checked before it is made: path, query and body against what Klaviyo publishes for the
    API revision in use (:func:`airflow_provider_klaviyo.api.checks.check_call`).

    :param operation: operation id or alias, such as ``get_lists``.
    :param path_params: values for the ``{…}`` parts of its path.
    :param query: query parameters, as ``{"page[size]": 10, "fields[list]": ["name"]}``; ``filter`` as text or as made
        by the functions of :mod:`airflow_provider_klaviyo.api.filters`.
    :param body: JSON:API document.
    :returns: the answer.
    :raises KlaviyoValidationError: before anything is sent, if the operation is unknown or a path parameter missing.
    :raises KlaviyoApiError: of the type that the answer stands for.
    :raises KlaviyoAmbiguousWriteError: a POST was not answered usably, so it may have been carried out. It is not
        repeated: look up what it makes before you repeat it.
    """
    return (yield build(operation, path_params=path_params, query=query, body=body))


def page(operation: str, *, query: dict[str, Any] | None = None, link: str | None = None) -> Call[Document]:
    """One page of a list operation: for lists that are too long to be held.

    :param link: the page, as the one before has it in :attr:`Document.next`; ``None``: the first.
    """
    request = build(operation, query=query)
    return (yield request if link is None else following(request, link))


def pages(
    operation: str,
    *,
    path_params: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
    max_pages: int = MAX_PAGES,
) -> Call[list[Document]]:
    """All pages of a list operation, following ``links.next`` on the same host.

    The other parameters are those of :func:`call`.

    :param max_pages: ceiling; beyond it the call fails rather than return a part as if it were all.
    """
    request = build(operation, path_params=path_params, query=query)
    found: list[Document] = []
    for _ in range(max_pages):
        document = yield request
        found.append(document)
        if document.next is None:
            return found
        request = following(request, document.next)
    count = sum(len(document.resources) for document in found)
    raise KlaviyoApiError(
        f"More than {max_pages} pages ({count} resources so far). Narrow the filter or raise max_pages.",
        call=str(request),
    )


def paginate(
    operation: str,
    *,
    path_params: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
    max_pages: int = MAX_PAGES,
) -> Call[list[Resource]]:
    """All resources of all pages of a list operation. The parameters are those of :func:`pages`."""
    documents = yield from pages(operation, path_params=path_params, query=query, max_pages=max_pages)
    return [resource for document in documents for resource in document.resources]


def collect(
    operation: str,
    *,
    path_params: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
    max_pages: int = MAX_PAGES,
) -> Call[Document]:
    """All pages of a list operation as if they were one: ``data`` of all, ``included`` of all, each resource once.

    The parameters are those of :func:`pages`.
    """
    first, *others = yield from pages(operation, path_params=path_params, query=query, max_pages=max_pages)
    if not others:
        return first
    body: dict[str, Any] = {"data": [item for document in (first, *others) for item in document.items("data")]}
    if "included" in first.body:
        items = [item for document in (first, *others) for item in document.items("included")]
        body["included"] = list({(item["type"], item["id"]): item for item in items}.values())
    return replace(first, body=body)
