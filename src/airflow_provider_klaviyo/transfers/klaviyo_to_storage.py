"""Write what an account has to files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.api.calls import page
from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.api.filters import Filter
from airflow_provider_klaviyo.api.operations import check_campaigns
from airflow_provider_klaviyo.campaigns.listed import check_fields, given_filter
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_choice, is_template, show
from airflow_provider_klaviyo.imports.progress import Progress
from airflow_provider_klaviyo.storage import storage
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask
from airflow_provider_klaviyo.transfers.resources import SOURCES, Export, Row
from airflow_provider_klaviyo.transfers.row_files import check_path, writing

if TYPE_CHECKING:
    from airflow.sdk import Context

ABOUT_TO_END = timedelta(minutes=1)
"""How long the task waits for the end of a window."""


class KlaviyoToObjectStorageOperator(KlaviyoTask):
    """Write campaigns, profiles, events, lists or segments to a file: all, or those of a window of time.

    A row has ``id``, the ids that it is joined by (events: ``profile_id``, ``metric_id``; campaigns: ``channel``,
    ``message_ids``), and a column for each attribute that Klaviyo publishes for the API revision, also where there is
    no row. In JSON Lines, values are as Klaviyo has them; in Parquet, times, numbers and booleans are typed, and
    objects and lists are JSON text. The file is written page by page: one page, or 5,000 rows of Parquet, are held.

    *The window* is ``[since, until)`` of an event's ``datetime``, or of the last update of anything else. Events do not
    change: windows that follow one another have each event once (one that is recorded with a time in the past may come
    too late for its window). Anything else is in the window of its *last* update: updated again, it is in a later file
    again, and an earlier window that is exported again has it no more. Its key is ``id``, and the latest file counts.

    *Retry, kill, clear*: reads again, and replaces the file as a whole; until then the old one, or none, is there.
    After a ``kill -9``, ``.<name>.….part`` stays beside it, with the rows so far. Nothing is written to Klaviyo.
    *Rate limit*: 1 request for each 1,000 events (350/s, 3,500/min), 100 profiles (75/s, 750/min; with
    ``predictive_analytics`` 10/s, 150/min), 100 campaigns of a channel (10/s, 150/min), 10 lists or segments (75/s,
    750/min). *Personal data*: profiles and events have it, and so has the file; the log has none.

    :param resource: ``campaigns`` (of all channels), ``profiles``, ``events``, ``lists`` or ``segments``.
    :param path: the file, which ends in ``.jsonl``, ``.jsonl.gz`` or ``.parquet``: any path or URL that Airflow's
        ``ObjectStoragePath`` takes. A file of that name is replaced. Templated.
    :param since: where the window begins: an aware datetime, or ISO 8601 with an offset, as
        ``"{{ data_interval_start }}"``; default: with the first row. Templated.
    :param until: where it ends, which is not in it. It must not lie ahead; a minute or less is waited for. Default: the
        moment at which the task begins. Templated.
    :param fields: the attributes of a row, or parts of them, as ``["email", "location.city"]``; the one that the window
        is about comes with them. Default: all, but for the ``predictive_analytics`` of profiles. Templated.
    :param filter: which of them, made as ``equals("metric_id", "UMTLbD")`` by the functions of ``api.filters``, or the
        same as text, which may have Jinja. Window and channel are not part of it. Templated.
    :returns: ``{"path": str, "count": int, "since": str | None, "until": str}``, times in UTC. No row: count 0, and a
        file without rows.
    :raises KlaviyoValidationError: a window that is empty or lies ahead, a field or filter that Klaviyo does not have,
        or a path that ends otherwise.
    :raises KlaviyoApiError: of the type that Klaviyo's answer stands for.
    """

    template_fields = ("path", "since", "until", "fields", "filter", *CONNECTION)
    ui_color = "#f6f1eb"
    any_revision = True

    def __init__(
        self,
        *,
        resource: Literal["campaigns", "profiles", "events", "lists", "segments"],
        path: str | PathLike[str] | Output,
        since: datetime | str | Output | None = None,
        until: datetime | str | Output | None = None,
        fields: Sequence[str] | Output | None = None,
        filter: Filter | str | Output | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.path = str(path) if isinstance(path, PathLike) else path
        self.since = since
        self.until = until
        self.fields = fields
        self.filter = filter
        check_choice("resource", resource, tuple(SOURCES))
        if not is_template(self.path):
            check_path(self.path)
        self._moments(rendered=False)
        if not is_template(fields):
            self._check_fields(self.known_revision, rendered=False)
        if not is_template(filter):
            self._wanted(self.known_revision)
        if self.known_revision:
            self._check_revision(self.known_revision)

    def execute(self, context: Context) -> dict[str, Any]:
        self.check_rendered()
        check_path(self.path)
        since, until = self._window()
        revision = self.hook.api_revision
        self._check_revision(revision)
        self._check_fields(revision, rendered=True)
        export = Export(
            SOURCES[self.resource],
            revision=revision,
            fields=self.fields or (),
            wanted=self._wanted(revision),
            since=since,
            until=until,
        )
        path = storage(self.path)
        progress = Progress(self.log.info, f"Wrote {{}} {self.resource}")
        count = 0
        with writing(path, export.columns) as write:
            for rows in self._read(export):
                write(rows)
                count += len(rows)
                progress.at(count)
        progress.end(count)
        start = since.isoformat() if since else None
        self.log.info(
            "%s has %s %s: %s up to %s.", path, f"{count:,}", self.resource, start or "from the first on", until
        )
        return {"path": str(path), "count": count, "since": start, "until": until.isoformat()}

    def _read(self, export: Export) -> Iterator[list[Row]]:
        """The rows, a page at a time."""
        operation = export.source.operation
        for channel, query in export.queries(datetime.now(UTC)):
            link: str | None = None
            while True:
                found = self.hook.run(page(operation, query=query, link=link))
                yield export.rows(found.resources, channel)
                if found.next is None:
                    break
                if found.next == link:
                    raise KlaviyoApiError(f"{operation}: a page names itself as the next one. Nothing was written.")
                link = found.next

    def _window(self) -> tuple[datetime | None, datetime]:
        """The window, in UTC, once it is over.

        :raises KlaviyoValidationError: it is empty, or ends too late to be waited for.
        """
        since, until = self._moments(rendered=True)
        now = datetime.now(UTC)
        until = until or now
        if since is not None and since >= until:
            raise Field("since").error(
                f"is {since.isoformat()}, which is not before until ({until.isoformat()})",
                "The window would be empty. By default, Airflow 3's data interval of a cron schedule has no length: "
                "schedule the DAG by CronDataIntervalTimetable, or give "
                '"{{ data_interval_end - macros.timedelta(days=1) }}".',
            )
        if until - now > ABOUT_TO_END:
            raise Field("until").error(
                f"is {until.isoformat()}, which lies ahead", "Rows of the window are still to come: run it later."
            )
        time.sleep(max(0.0, (until - now).total_seconds()))
        return since, until

    def _moments(self, *, rendered: bool) -> tuple[datetime | None, datetime | None]:
        return (
            _moment(self.since, Field("since", rendered=rendered)),
            _moment(self.until, Field("until", rendered=rendered)),
        )

    def _check_revision(self, revision: str) -> None:
        if self.resource == "campaigns":
            check_campaigns(revision)

    def _check_fields(self, revision: str | None, *, rendered: bool) -> None:
        source = SOURCES[self.resource]
        check_fields(source.operation, source.type, self.fields, revision, rendered=rendered)

    def _wanted(self, revision: str | None) -> Filter | None:
        source = SOURCES[self.resource]
        instead = {
            source.time: "give since and until instead",
            "messages.channel": "campaigns of all channels are read",
        }
        return given_filter(source.operation, self.filter, revision, example="equals(metric_id,", instead=instead)


def _moment(value: Any, field: Field) -> datetime | None:
    """A moment in UTC; ``None``: not given, or not rendered yet."""
    if value is None or field.pending(value):
        return None
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if read.utcoffset() is None:
            raise ValueError
        return read.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise field.error(
            f"is {show(value)}",
            "Give an aware datetime, or ISO 8601 with time and offset, such as '2026-11-20T00:00:00+00:00'.",
        ) from None
