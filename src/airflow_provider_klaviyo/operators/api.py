"""Call any operation that Klaviyo publishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api import operations
from airflow_provider_klaviyo.api.calls import MAX_PAGES
from airflow_provider_klaviyo.api.checks import check_filter, check_names, check_paged
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.filters import Filter
from airflow_provider_klaviyo.api.text import check_text
from airflow_provider_klaviyo.campaigns.values import Output, is_template
from airflow_provider_klaviyo.operators.xcom import check_xcom_size
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.api.document import Document


class KlaviyoApiOperator(KlaviyoTask):
    """Make one call to any operation that Klaviyo publishes, checked before it is made.

    When the DAG is imported, the names of the operation and of its path and query parameters are checked; before the
    call, all of path, query and body, against Klaviyo's published document of the API revision in use. A revision that
    this package has no document of is not checked; if the connection has such a one, give it on the task, too: what
    only that revision has is then known when the DAG is imported.

    *Retry, kill, lost answer*: a read, PATCH, PUT or DELETE is repeated, which leaves the same state as once. A POST
    that was not answered is not repeated: nothing is known of what it makes, so nothing can be looked up. The task
    fails with ``KlaviyoAmbiguousWriteError``, and its retries refuse to post (``KlaviyoRefusedError``) as long as it is
    not known that the call was not carried out (Airflow 3.3 and later: task state store, key ``klaviyo_post``; before,
    no retry posts at all). Different contents that one task posts are different posts. POSTs that only read (reports,
    renderings) are repeated. *Clear*: posts again, whatever Airflow remembers.
    *Rate limit*: 1 request, or 1 for each page; ``docs/operations.md`` has each operation's limits and scopes.

    :param operation: operation id or alias, such as ``get_lists``; ``docs/operations.md`` has them all. Templated.
    :param path_params: values for the ``{…}`` parts of its path. Templated.
    :param query: query parameters, as ``{"page[size]": 10, "fields[list]": ["name"]}``. ``filter`` takes what the
        functions of ``api.filters`` make, or text, which may have Jinja and is sent as it is understood. Templated.
    :param body: JSON:API document. Templated.
    :param all_pages: follow the links to further pages of a list, and return all as if they were one.
    :param max_pages: ceiling; beyond it the task fails rather than give a part as if it were all.
    :param response_filter: takes the answer's document and returns what the task is to return.
    :param repeat_safe: True if a POST that writes may be made again by a retry, since twice does no harm (an upsert,
        say).
    :returns: the answer's document, ``{"data": …}``; ``None`` when Klaviyo answers without one.
    :raises KlaviyoValidationError: the call does not follow what Klaviyo publishes; nothing was sent. Or more data than
        XCom should hold (1 MB of JSON).
    :raises KlaviyoApiError: of the type that Klaviyo's answer stands for.
    :raises KlaviyoAmbiguousWriteError: a POST was not answered; it is not known if it was carried out.
    :raises KlaviyoRefusedError: an earlier try has made this POST, or may have.
    """

    template_fields = ("operation", "path_params", "query", "body", *CONNECTION)
    template_fields_renderers = dict.fromkeys(("path_params", "query", "body"), "json")
    ui_color = "#f6f1eb"
    any_revision = True

    def __init__(
        self,
        *,
        operation: str | Output,
        path_params: dict[str, str] | Output | None = None,
        query: dict[str, Any] | Output | None = None,
        body: dict[str, Any] | Output | None = None,
        all_pages: bool = False,
        max_pages: int = MAX_PAGES,
        response_filter: Callable[[dict[str, Any]], Any] | None = None,
        repeat_safe: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.path_params = path_params
        self.query = query
        self.body = body
        self.all_pages = all_pages
        self.max_pages = max_pages
        self.response_filter = response_filter
        self.repeat_safe = repeat_safe
        if response_filter is not None and not callable(response_filter):
            raise KlaviyoValidationError(
                f"response_filter is {response_filter!r}; give a function that takes the answer's document.",
                pointer="response_filter",
            )
        if not is_template(operation):
            self._check_names(self.known_revision)

    def _check_names(self, revision: str | None) -> None:
        """Check what needs neither the large document nor rendering.

        :param revision: ``None``: not known yet.
        """
        for name in ("path_params", "query", "body"):
            check_text(getattr(self, name), f"/{name}")
        check_names(self.operation, path_params=_names(self.path_params), query=_names(self.query), revision=revision)
        if self.all_pages:
            check_paged(self.operation, self.max_pages)
            if self.body is not None:
                raise KlaviyoValidationError("body is given with all_pages; a list takes none.", pointer="body")
        wanted = self.query.get("filter") if isinstance(self.query, Mapping) else None
        if isinstance(wanted, Filter):
            if is_template(str(wanted)):
                raise KlaviyoValidationError(
                    f"query filter {wanted} holds Jinja, which is rendered only in a filter given as text: write "
                    f"'contains(name,\"{{{{ … }}}}\")', say. A datetime then stands without quotes.",
                    pointer="filter",
                )
            check_filter(self.operation, wanted, revision)

    def execute(self, context: Context) -> Any:
        self.check_rendered()
        self._check_names(self.hook.api_revision)
        document = self._answer(context)
        self.log.info("%s: Klaviyo answered %d.", self.operation, document.status)
        body = _without_hints(document.body)
        result = self.response_filter(body) if self.response_filter else body or None
        if self.do_xcom_push:
            check_xcom_size(result, "Ask for less with fields[…] and filter, or keep less with response_filter.")
        return result

    def _answer(self, context: Context) -> Document:
        from airflow_provider_klaviyo.api.calls import call
        from airflow_provider_klaviyo.api.checks import check_call
        from airflow_provider_klaviyo.never_twice.notes import TaskState, digest
        from airflow_provider_klaviyo.never_twice.post import post_once

        if self.all_pages:
            return self.hook.collect(
                self.operation, path_params=self.path_params, query=self.query, max_pages=self.max_pages
            )
        arguments = {"path_params": self.path_params, "query": self.query, "body": self.body}
        if self._may_be_repeated():
            return self.hook.call(self.operation, **arguments)
        check_call(self.hook.api_revision, self.operation, **arguments)
        return post_once(
            self.hook,
            TaskState(context),
            call(self.operation, **arguments),
            operation=self.operation,
            content=digest(arguments),
        )

    def _may_be_repeated(self) -> bool:
        known = operations.get(self.operation)
        if known.method != "POST" or not known.is_write:
            return True
        return self.repeat_safe


def _names(given: Any) -> list[str] | None:
    """The names of parameters; ``None`` where they are still to be rendered."""
    return None if is_template(given) else list(given or ())


def _without_hints(body: Mapping[str, Any]) -> dict[str, Any]:
    """The document without ``meta.agent_hints``: text that Klaviyo writes for AI agents is not data."""
    kept = dict(body)
    if isinstance(kept.get("meta"), Mapping) and "agent_hints" in kept["meta"]:
        kept["meta"] = {name: value for name, value in kept["meta"].items() if name != "agent_hints"}
    return kept
