"""Checks a call against what Klaviyo publishes, before it is made: for calls that name their operation freely.

:func:`check_names` is cheap enough for the import of a DAG. :func:`check_call` checks everything; for a body it
loads the large document of the revision (about 10 ms, once per process) and the ``jsonschema`` library.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from airflow_provider_klaviyo.api import filters, operations
from airflow_provider_klaviyo.api.calls import MAX_PAGES
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.filters import Filter
from airflow_provider_klaviyo.api.message import TAKES_A_FILE
from airflow_provider_klaviyo.api.operations import Operation, is_later, revisions
from airflow_provider_klaviyo.api.schemas import Problem, published, request_errors

NAMED = 5
"""Problems of one request that an error names at most."""

log = logging.getLogger(__name__)


def check_names(
    operation: str,
    *,
    path_params: Collection[str] | None = None,
    query: Collection[str] | None = None,
    revision: str | None = None,
) -> None:
    """Check the names in a call, without its values.

    :param path_params: names of the path parameters given; ``None``: not known yet.
    :param query: names of the query parameters given; ``None``: not known yet.
    :param revision: API revision of the call; ``None``: not known yet, the newest that has the operation counts.
    :raises KlaviyoValidationError: an unknown operation or parameter, a path parameter that is missing, or an operation
        that the revision does not have.
    """
    known = operations.get(operation)
    if revision is not None and (revision in revisions() or is_later(known)):
        _check_revision(known, revision)
    elif revision is not None:
        return
    if path_params is not None:
        _check_path(known, path_params)
    if query is not None and not is_later(known):
        allowed = facts(known.id, revision)["query"]
        for name in query:
            if name not in allowed:
                raise KlaviyoValidationError(
                    f"{known.id}: {name!r} is not a query parameter of this operation. "
                    f"Allowed: {', '.join(allowed) or 'none'}.{_if_newer(revision)}",
                    pointer=name,
                )


def check_call(
    revision: str,
    operation: str,
    *,
    path_params: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
) -> None:
    """Check a call against the published document of a revision.

    A revision that this package has no document of is not checked against, which is logged once; but for the path, and
    for the revision of an operation that is newer than all documents. A filter given as
    text that is not understood here is left to Klaviyo, which is logged; one that is understood is checked.

    :param revision: API revision of the call.
    :raises KlaviyoValidationError: the message names the field, the value and what is allowed; ``pointer`` the field.
    """
    known = operations.get(operation)
    has_document = revision in revisions()
    if has_document or is_later(known):
        _check_revision(known, revision)
        _check_path(known, path_params or {})
    if not has_document:
        _say_unchecked(revision)
        return
    if known.id in TAKES_A_FILE and not body:
        raise KlaviyoValidationError(
            f"{known.id} needs a body: {{'file': path}}, and optionally 'name' and 'hidden'.", pointer="file"
        )
    given = {name: _plain(value) for name, value in (query or {}).items() if value is not None}
    problems = request_errors(known.id, given, _plain_json(known, body), revision)
    if problems:
        raise _refusal(known, problems)
    if "filter" in given:
        _check_given_filter(known, (query or {})["filter"], revision)


def check_pages(
    revision: str,
    operation: str,
    *,
    path_params: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    max_pages: int = MAX_PAGES,
) -> None:
    """Check a call for all pages of a list, as :func:`check_call` does.

    :raises KlaviyoValidationError: also for an operation that is not a GET, and a ceiling below 1.
    """
    check_paged(operation, max_pages)
    check_call(revision, operation, path_params=path_params, query=query)


def check_paged(operation: str, max_pages: int) -> None:
    """:raises KlaviyoValidationError: the operation has no pages, or the ceiling is not a whole number above 0."""
    known = operations.get(operation)
    if known.method != "GET":
        raise KlaviyoValidationError(
            f"{known.id}: all pages are asked for, but only a GET has pages, and this is a {known.method}.",
            pointer="all_pages",
        )
    if isinstance(max_pages, bool) or not isinstance(max_pages, int) or max_pages < 1:
        raise KlaviyoValidationError(
            f"max_pages is {max_pages!r}; give a whole number, 1 or more.", pointer="max_pages"
        )


def check_filter(operation: str, given: Filter, revision: str | None = None) -> None:
    """Check a filter against the fields, operators and types of value that an operation is published with.

    ``equals`` is published for some fields with a list only (lists by ``name``, members of a list by ``email``). These
    are commonly asked for by one value, so that is let through too.

    :param revision: as for :func:`facts`.
    :raises KlaviyoValidationError: something is not allowed; the message says what is.
    """
    known = operations.get(operation)
    allowed = facts(known.id, revision).get("filters")
    if allowed is None:
        return
    try:
        filters.check(given, {field: _with_one_value(rule) for field, rule in allowed.items()})
    except KlaviyoValidationError as error:
        raise KlaviyoValidationError(
            f"{known.id}: {error.message}{_if_newer(revision)}", pointer=error.pointer
        ) from None


def _if_newer(revision: str | None) -> str:
    """What to do about a check that went by the newest document, as the revision is not known yet."""
    if revision is not None:
        return ""
    return f" If the connection's revision is later than {revisions()[-1]}, give it on the task, too: revision=…."


def facts(operation: str, revision: str | None = None) -> Mapping[str, Any]:
    """What the document of a revision has for one operation: ``query`` parameters, ``filters``, ``body``, ``answer``;
    nothing for an operation of which there is none.

    :param revision: API revision; ``None``, or one without a document here: the newest that has the operation counts.
    """
    known = operations.get(operation)
    if is_later(known):
        return {}
    return published(known.id, revision if revision in revisions() else known.revisions[-1])


def _with_one_value(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds: Mapping[str, list[str]] = rule["operators"]
    if "equals" not in kinds.get("list", ()) or "equals" in kinds.get("single", ()):
        return rule
    return {**rule, "operators": {**kinds, "single": ["equals", *kinds.get("single", ())]}}


def _check_revision(known: Operation, revision: str) -> None:
    first = known.revisions[0]
    if revision not in known.revisions and not (is_later(known) and (revision > first or "." in revision)):
        raise KlaviyoValidationError(
            f"{known.id} is not in API revision {revision}; Klaviyo has it in {' and '.join(known.revisions)}. "
            f"Set revision={first!r} on the task, or in the connection's extra.",
            pointer="revision",
        )


def _check_path(known: Operation, given: Collection[str]) -> None:
    for name in known.path_parameters:
        if name not in given:
            raise KlaviyoValidationError(
                f"{known.id}: path parameter {name!r} is missing; give path_params={{{name!r}: …}} for {known.path}.",
                pointer=name,
            )
    for name in given:
        if name not in known.path_parameters:
            allowed = ", ".join(map(repr, known.path_parameters)) or "none"
            raise KlaviyoValidationError(
                f"{known.id}: unknown path parameter {name!r}; {known.path} takes {allowed}.", pointer=name
            )


def _check_given_filter(known: Operation, given: Filter | str, revision: str) -> None:
    if not isinstance(given, Filter):
        try:
            given = filters.parse(given)
        except KlaviyoValidationError as error:
            log.warning("%s: the filter is not understood here and left to Klaviyo to judge. %s", known.id, error)
            return
    check_filter(known.id, given, revision)


def _plain(value: Any) -> Any:
    """A query value as the schema's check reads it."""
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value) if isinstance(value, Filter) else value


def _plain_json(known: Operation, body: Mapping[str, Any] | None) -> Any:
    """The body as JSON values.

    :raises KlaviyoValidationError: it holds something that JSON does not have, such as a datetime.
    """
    if body is None:
        return None
    try:
        return json.loads(json.dumps(body, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise KlaviyoValidationError(
            f"{known.id}: the body cannot be written as JSON ({error}). Give strings, numbers, booleans, None, lists "
            f"and dicts; a datetime as its isoformat().",
            pointer="",
        ) from None


def _refusal(known: Operation, problems: list[Problem]) -> KlaviyoValidationError:
    named = " ".join(map(str, problems[:NAMED]))
    more = f" And {len(problems) - NAMED} more." if len(problems) > NAMED else ""
    first = problems[0]
    pointer = first.pointer if first.parameter is None else first.parameter
    return KlaviyoValidationError(f"{known.id}: {named}{more} Nothing was sent.", pointer=pointer)


@cache
def _say_unchecked(revision: str) -> None:
    log.info(
        "This package has no published document of API revision %s (it has %s): calls are left to Klaviyo to check.",
        revision,
        " and ".join(revisions()),
    )
