"""Figures of campaigns: what came of a send."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_provider_klaviyo.api import operations
from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError
from airflow_provider_klaviyo.api.reports import AT_ONCE
from airflow_provider_klaviyo.campaigns import figures
from airflow_provider_klaviyo.campaigns.values import (
    Field,
    Output,
    check_choice,
    filled,
    identifier,
    is_template,
    positive,
    sequence,
    show,
)
from airflow_provider_klaviyo.never_twice.repeat import repeat
from airflow_provider_klaviyo.operators.reports import files, metrics, page, table
from airflow_provider_klaviyo.operators.reports.sent import SentCampaigns
from airflow_provider_klaviyo.operators.xcom import check_xcom_size
from airflow_provider_klaviyo.storage import replacing, storage
from airflow_provider_klaviyo.tasks import CAMPAIGN, CAMPAIGN_NAME, CONNECTION, KlaviyoTask

if TYPE_CHECKING:
    from airflow.sdk import Context

PATIENCE = 5.0
"""Seconds that a report waits for the quota in its worker slot; for longer, the task is deferred."""

DAYS = 86_400.0

Rows = list[dict[str, Any]]


@dataclass(slots=True)
class SoFar:
    """What is kept while the task waits without a worker slot.

    :param results: figures that were read, as Klaviyo returns them.
    :param asked: of how many of the campaigns.
    :param snapshot_at: when the first of them were read.
    :param since: since when it waits for the quota, seconds since the epoch.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    snapshot_at: str | None = None
    since: float | None = None


class KlaviyoCampaignReportOperator(KlaviyoTask):
    """Read what came of campaigns: a row for each message and variation, into XCom, a file or a table.

    A row has its key first (``account_id``, ``campaign_id``, ``campaign_message_id``, ``variation``, ``send_channel``,
    ``conversion_metric_id``, ``snapshot_at``; each is a text, an empty one if there is no variation), then groupings
    that are asked for besides, then ``campaign_name``, ``subject``, ``template_id`` and ``send_time``, then a column
    for each statistic: counts as integers, rates from 0 to 1, money in the account's currency, ``None`` where Klaviyo
    has no figure. Times are ISO 8601 in UTC.

    ``snapshot_at`` is when the figures were first read, by Klaviyo's clock, to the second. Figures grow for days: each
    snapshot is rows of its own. A campaign of which Klaviyo has no figures (nothing was sent in the timeframe, or just
    now) has no row, and is named in the log.

    *With* ``revision="2026-10-15"``: ``subject`` and ``template_id`` are those of the variation that the figures are of
    (of the message's only one, if they do not name one; else empty), ``send_time`` is the message's. If the variation's
    template is a copy is not known. A send, as the page compares, is one message; that revision does not list sends by
    channel, so it is the last 50 campaigns with a sent message whose figures are read, and a channel that had fewer
    than 5 sends among them is compared with these.

    *Quota*: 1 request for each 100 campaigns, of which Klaviyo takes 1/s, 2/min and **225 a day**, from all private
    keys of the account together. Where there is none left for more than 5 seconds, the task waits without a worker
    slot, in the triggerer, and says until when. Besides that, 5 requests, and 1 for each email; with
    ``revision="2026-10-15"`` 3, and 1 for each 100 messages.

    *Retry, kill*: reads again; ``snapshot_at`` stays (from Airflow 3.3 on; before, it is when the run began, or the end
    of ``report_after`` if that is later), and rows of the same snapshot are replaced. *Clear*: another snapshot, as
    the figures have grown; earlier rows stay in the table. Nothing is written to Klaviyo.

    :param campaign_ids: one campaign, or a list, such as ``send.output``, also of a mapped task. Templated.
    :param conversion_metric: by which conversions are counted: the metric's name, with its integration if there are
        several of that name, as ``"Placed Order (Shopify)"``; or its id. Templated.
    :param statistics: what is read, by Klaviyo's names.
    :param timeframe: of which time: ``"last_30_days"`` or another of Klaviyo's names, or ``{"start": …, "end": …}``,
        a year at most. Klaviyo reads it in the account's time zone, whatever its offset. Templated.
    :param group_by: the groupings; besides the default ones ``campaign_message_name``, ``variation_name``, ``tag_name``
        and others, which then are part of the key.
    :param report_after: a ``timedelta`` after the send time: the task waits for it without a worker slot. If it has
        passed already, it reads at once. Of several campaigns, the last one counts.
    :param path: file for the rows, which ends in ``.jsonl``, ``.csv`` or ``.parquet``: any path or URL that Airflow's
        ``ObjectStoragePath`` takes. A file of that name is replaced. Templated.
    :param table: table for the rows, as ``schema.table``. All of them are written in one transaction. Templated.
    :param sql_conn_id: connection of the table's database, of any type whose hook is one of ``common.sql``. Templated.
    :param create_table: True: make the table if there is none, with types that SQLite, PostgreSQL, MySQL, DuckDB,
        Redshift and Snowflake know.
    :param page_path: file for a page of HTML that people open, besides the rows: for each message the funnel from
        recipients to conversions, against the median of the last 5 sends of its channel. Templated.
    :param timeout: seconds that it waits for the quota, all waits together; then it fails.
    :returns: the rows; with ``path`` or ``table``: ``{"path" | "table": str, "count": int}``.
    :raises KlaviyoValidationError: a statistic, metric or timeframe that Klaviyo does not have, or more rows than XCom
        should hold (1 MB of JSON).
    :raises KlaviyoNotFoundError: no such campaign. No report was asked for.
    :raises KlaviyoRateLimitError: the quota was spent for longer than ``timeout``.
    """

    template_fields = (
        "campaign_ids",
        "conversion_metric",
        "timeframe",
        "path",
        "table",
        "sql_conn_id",
        "page_path",
        *CONNECTION,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"campaign_ids": "json", "timeframe": "json"}
    ui_color = "#f6f1eb"
    reads_omnichannel = True

    def __init__(
        self,
        *,
        campaign_ids: str | Sequence[str] | Output,
        conversion_metric: str | Output,
        statistics: Sequence[str] = figures.FUNNEL,
        timeframe: str | Mapping[str, Any] | Output = "last_365_days",
        group_by: Sequence[str] = figures.GROUPED_BY,
        report_after: timedelta | None = None,
        path: str | Output | None = None,
        table: str | Output | None = None,
        sql_conn_id: str | Output | None = None,
        create_table: bool = False,
        page_path: str | Output | None = None,
        timeout: float = 2 * DAYS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_ids = campaign_ids
        self.conversion_metric = conversion_metric
        self.statistics = statistics
        self.timeframe = timeframe
        self.group_by = group_by
        self.report_after = report_after
        self.path = path
        self.table = table
        self.sql_conn_id = sql_conn_id
        self.create_table = create_table
        self.page_path = page_path
        self.timeout = positive("timeout", timeout)
        _check_names("statistics", statistics, tuple(figures.STATISTICS))
        _check_names("group_by", group_by, figures.GROUPINGS)
        for name in ("campaign_id", "campaign_message_id"):
            if name not in group_by:
                raise Field("group_by").error(f"is {show(group_by)}", f"Klaviyo requires {name!r}: add it.")
        if report_after is not None and (not isinstance(report_after, timedelta) or report_after < timedelta(0)):
            raise Field("report_after").error(
                f"is {show(report_after)}", "Give a timedelta, such as timedelta(days=1)."
            )
        check_choice("create_table", create_table, (True, False))
        self._check_target()
        self._checked()

    def _checked(self, *, rendered: bool = False) -> tuple[Any, Any, Any]:
        """The campaigns' ids, the conversion metric and the timeframe."""
        where = Field("/campaign_ids", rendered=rendered)
        given = self.campaign_ids
        if not is_template(given):
            given = [given] if isinstance(given, str) or not isinstance(given, Sequence) else list(given)
            if not given:
                raise where.error("is empty", "Give the id of a campaign, or a list of them.")
        elif isinstance(given, str):
            given = identifier(given, where)
        ids = sequence(given, where, identifier)
        return (
            list(dict.fromkeys(ids)) if rendered else ids,
            filled(self.conversion_metric, Field("/conversion_metric", rendered=rendered)),
            figures.timeframe(self.timeframe, Field("/timeframe", rendered=rendered)),
        )

    def _check_target(self, *, rendered: bool = False) -> None:
        if self.path is not None and self.table is not None:
            raise Field("path").error(f"is {self.path!r}, and table {self.table!r}", "Give one of them.")
        if (self.table is None) != (self.sql_conn_id is None):
            raise Field("table").error(
                f"is {self.table!r}, and sql_conn_id {self.sql_conn_id!r}",
                "Give both: the table, and the connection of its database.",
            )
        if self.path is not None and (rendered or not is_template(self.path)):
            files.check_path(filled(str(self.path), Field("/path", rendered=rendered)))
        if self.page_path is not None:
            filled(str(self.page_path), Field("/page_path", rendered=rendered))
        if self.table is not None and (rendered or not is_template(self.table)):
            table.check_table(self.table)

    def execute(self, context: Context) -> Rows | dict[str, Any]:
        return self.go_on(context, None)

    def go_on(self, context: Context, event: Any, **before_the_wait: Any) -> Rows | dict[str, Any]:
        """Begin, or go on after a wait.

        :param before_the_wait: the :class:`SoFar` that there was before the wait.
        """
        self.check_rendered()
        self._check_target(rendered=True)
        ids, conversion_metric, timeframe = self._checked(rendered=True)
        so_far = SoFar(**before_the_wait)
        try:
            campaigns = SentCampaigns(self.hook, ids)
            if self.map_index_template == CAMPAIGN_NAME:
                context[CAMPAIGN] = str(campaigns.by_id[ids[0]]["name"])  # type: ignore[literal-required]
            known = {
                "account_id": self.hook.get_account().id,
                "conversion_metric_id": metrics.find(self.hook.get_metrics(), conversion_metric),
            }
            self._wait_for_the_time(campaigns, so_far)
            before = campaigns.before(page.LAST_SENDS) if self.page_path is not None else []
            asked = [*ids, *before]
            for start in range(so_far.asked, len(asked), AT_ONCE):
                so_far.results += repeat(
                    self.log,
                    self.hook.get_campaign_figures,
                    asked[start : start + AT_ONCE],
                    statistics=self._statistics,
                    timeframe=timeframe,
                    conversion_metric_id=known["conversion_metric_id"],
                    group_by=self.group_by,
                    patience=PATIENCE,
                )
                so_far.asked = start + AT_ONCE
                so_far.snapshot_at = so_far.snapshot_at or self._snapshot_at(context, campaigns)
            known["snapshot_at"] = so_far.snapshot_at or ""
            rows = campaigns.rows(self._columns, so_far.results, known)
            self._name_those_without(campaigns, rows)
            if self.page_path is not None:
                self._write_page(campaigns, SentCampaigns(self.hook, before), so_far.results, known)
        except KlaviyoRateLimitError as error:
            self._wait_for_the_quota(error, so_far)
        self._say_what_is_left()
        return self._deliver(rows)

    def _say_what_is_left(self) -> None:
        """Log how many reports the budget has for today, if calls are paced."""
        pacing = self.hook.get_conn().settings.pacing
        left = pacing.left_today(operations.get("query_campaign_values")) if pacing else None
        if left is not None:
            self.log.info("The budget has %s more reports for today.", f"{left:,}")

    def _wait_for_the_time(self, campaigns: SentCampaigns, so_far: SoFar) -> None:
        """Defer until ``report_after``, unless it has passed."""
        from airflow_provider_klaviyo.api.text import shown
        from airflow_provider_klaviyo.triggers.pause import MARGIN

        due = self._due(campaigns)
        if due is None or so_far.asked:
            return
        for campaign_id, at in campaigns.send_times().items():
            if at is None:
                status = campaigns.by_id[campaign_id]["status"]
                self.log.warning("Campaign %s has no send time (%s): it is not waited for.", campaign_id, status)
        left = due - self.hook.get_conn().clock.now()
        if left > 0:
            self.log.info(
                "The figures are read at %s UTC, %s after the send time. This task waits without a worker slot.",
                shown(due),
                self.report_after,
            )
            self._defer(time.time() + left + MARGIN, so_far)

    def _due(self, campaigns: SentCampaigns) -> float | None:
        """When the last of the campaigns is to be reported, seconds since the epoch; ``None``: at any time."""
        if self.report_after is None:
            return None
        sent = [at for at in campaigns.send_times().values() if at is not None]
        return max(sent) + self.report_after.total_seconds() if sent else None

    def _wait_for_the_quota(self, error: KlaviyoRateLimitError, so_far: SoFar) -> NoReturn:
        """Defer until Klaviyo takes the call.

        :raises KlaviyoRateLimitError: nobody knows when that is, or it is too late.
        """
        from airflow_provider_klaviyo.api.text import shown
        from airflow_provider_klaviyo.triggers.pause import when_taken

        so_far.since = so_far.since or time.time()
        until = when_taken(error, so_far.since + self.timeout)
        self.log.warning("%s This task waits until %s UTC, without a worker slot.", error, shown(until))
        self._defer(until, so_far)

    def _defer(self, until: float, so_far: SoFar) -> NoReturn:
        from airflow_provider_klaviyo.triggers.pause import KlaviyoPauseTrigger

        self.defer(trigger=KlaviyoPauseTrigger(until=until), method_name="go_on", kwargs=asdict(so_far))

    def _snapshot_at(self, context: Context, campaigns: SentCampaigns) -> str:
        """When this try, or an earlier one, first read the figures."""
        from airflow_provider_klaviyo.never_twice.notes import TaskState
        from airflow_provider_klaviyo.operators.reports.note import ReportNote

        state = TaskState(context)
        if not state.durable:
            run = context["dag_run"]
            return _utc(max((run.start_date or run.run_after).timestamp(), self._due(campaigns) or 0.0))
        noted = state.find(ReportNote, lambda note: note.generation == state.generation and note.at > 0)
        return _utc((noted or state.put(ReportNote(at=self.hook.get_conn().clock.now()))).at)

    @property
    def _columns(self) -> figures.Columns:
        return figures.columns(self.statistics, self.group_by)

    @property
    def _statistics(self) -> list[str]:
        """What Klaviyo is asked for: also what the page shows."""
        return list(dict.fromkeys([*self.statistics, *(page.STEPS if self.page_path is not None else ())]))

    def _name_those_without(self, campaigns: SentCampaigns, rows: Rows) -> None:
        with_figures = {row["campaign_id"] for row in rows}
        for campaign_id, campaign in campaigns.by_id.items():
            if campaign_id not in with_figures:
                self.log.warning(
                    "Klaviyo has no figures of campaign %s, %r (%s): nothing was sent in the timeframe, or so lately "
                    "that it does not show yet.",
                    *(campaign_id, campaign["name"], campaign["status"]),
                )

    def _write_page(
        self, campaigns: SentCampaigns, before: SentCampaigns, results: list[dict[str, Any]], known: Mapping[str, Any]
    ) -> None:
        of = figures.columns(list(page.STEPS), self.group_by)
        path = storage(self.page_path)
        with replacing(path, "w", encoding="utf-8") as file:
            file.write(
                page.render(
                    campaigns.rows(of, results, known),
                    page.last(before.rows(of, results, known)),
                    metric=self.conversion_metric,
                    snapshot_at=known["snapshot_at"],
                )
            )
        self.log.info("%s has the page.", path)

    def _deliver(self, rows: Rows) -> Rows | dict[str, Any]:
        of = self._columns
        if self.table is not None:
            table.write(str(self.sql_conn_id), self.table, of, rows, create=self.create_table)
            self.log.info("Table %s has %s rows of this snapshot.", self.table, f"{len(rows):,}")
            return {"table": self.table, "count": len(rows)}
        if self.path is not None:
            path = storage(self.path)
            files.write(path, of, rows)
            self.log.info("%s has %s rows.", path, f"{len(rows):,}")
            return {"path": str(path), "count": len(rows)}
        if self.do_xcom_push:
            check_xcom_size(rows, "Write them to a file with path, or to a table with table and sql_conn_id.")
        return rows


def _check_names(name: str, values: Any, allowed: Sequence[str]) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise Field(name).error(f"is {show(values)}", "Give a list.")
    for value in values:
        check_choice(name, value, allowed)
    if len(set(values)) < len(values):
        raise Field(name).error(f"is {show(values)}", "Name each once.")


def _utc(timestamp: float) -> str:
    return figures.utc(datetime.fromtimestamp(timestamp, UTC))
