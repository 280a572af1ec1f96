"""List campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.calls import MAX_PAGES
from airflow_provider_klaviyo.api.campaigns import CHANNELS, ROW_KEYS, Channel, Related
from airflow_provider_klaviyo.api.checks import check_paged, facts
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.filters import Filter
from airflow_provider_klaviyo.api.operations import is_omnichannel
from airflow_provider_klaviyo.campaigns import omnichannel
from airflow_provider_klaviyo.campaigns.listed import check_each, check_fields, given_filter
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_choice, filled, is_template
from airflow_provider_klaviyo.operators.xcom import check_xcom_size
from airflow_provider_klaviyo.storage import storage, write_json_lines
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

LIST = "get_campaigns"


class KlaviyoListCampaignsOperator(KlaviyoCampaignOperator):
    """List the campaigns of an account: all pages, of all channels or some, as rows.

    A row is a flat dict: ``id``, ``channel``, the campaign's attributes, and with ``include`` the lists ``messages``
    and ``tags`` of dicts with ``id`` and attributes.

    *With* ``revision="2026-10-15"`` a row has the fields of the campaign's definition (``name``, ``builder``,
    ``archived``, ``color``, ``description``, ``send_settings``), ``created_at`` and ``updated_at``; and, made of its
    messages, ``status`` (as :class:`~airflow_provider_klaviyo.sensors.campaigns.KlaviyoCampaignStatusSensor` has it)
    and ``send_time``, the last one. ``messages`` are as that revision has them, each with its ``definition``. A row has
    no ``channel``, audiences or strategy, as such a campaign has none. That revision does not list by channel, status
    or ``scheduled_at``: what asks for it is refused before the first call. Campaigns of earlier revisions are listed,
    too.

    *Retry, kill, clear*: lists again; a file is replaced as a whole. *Rate limit*: 1 request for each 100 campaigns of
    a channel, or of all with ``revision="2026-10-15"``; 10/s and 150/min per account.

    :param channels: ``email``, ``sms``, ``mobile_push``; default: all three. Klaviyo lists each by itself.
    :param filter: which campaigns, made as ``equals("status", "Sent") & contains("name", "Sale")`` by the functions of
        ``api.filters``, or the same as text (``equals(status,"Sent"),contains(name,"Sale")``), which may have Jinja.
        The channel is not part of it. Templated.
    :param fields: the attributes of a row, such as ``["name", "send_strategy.method"]``; default: all. Templated.
    :param include: ``"campaign-messages"`` and ``"tags"``, either or both.
    :param sort: ``created_at``, ``id``, ``name``, ``scheduled_at`` or ``updated_at``, with ``-`` in front for
        descending; within each channel.
    :param output_path: file to write the rows to, as JSON Lines: any path or URL that Airflow's ``ObjectStoragePath``
        takes, such as ``s3://aws_default@bucket/campaigns.jsonl``. Templated.
    :param max_pages: ceiling for each channel; beyond it the task fails rather than give a part as if it were all.
    :returns: the rows; with ``output_path``: ``{"path": str, "count": int}``.
    :raises KlaviyoValidationError: a filter, field or sort that Klaviyo does not have, or more rows than XCom should
        hold (1 MB of JSON).
    """

    template_fields = ("filter", "fields", "output_path", *CONNECTION)
    operator_extra_links = ()  # type: ignore[assignment]
    reads_omnichannel = True

    def __init__(
        self,
        *,
        channels: Sequence[Channel] = CHANNELS,
        filter: Filter | str | Output | None = None,
        fields: Sequence[str] | Output | None = None,
        include: Sequence[Related] = (),
        sort: str | None = None,
        output_path: str | PathLike[str] | Output | None = None,
        max_pages: int = MAX_PAGES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.filter = filter
        self.fields = fields
        self.include = include
        self.sort = sort
        self.output_path = str(output_path) if isinstance(output_path, PathLike) else output_path
        self.max_pages = max_pages
        check_each("channels", channels, CHANNELS)
        if not channels:
            raise KlaviyoValidationError(f"channels is empty; give some of: {', '.join(CHANNELS)}.", pointer="channels")
        check_each("include", include, tuple(ROW_KEYS))
        if sort is not None:
            check_choice("sort", sort, facts(LIST, self.known_revision)["query"]["sort"]["schema"]["enum"])
        check_paged(LIST, max_pages)
        if not is_template(fields):
            self._check_fields(self.known_revision, rendered=False)
        if not is_template(filter):
            self._wanted(self.known_revision)
        if is_omnichannel(self.known_revision):
            omnichannel.check_listing(channels=channels, sort=sort)

    def _check_fields(self, revision: str | None, *, rendered: bool) -> None:
        if is_omnichannel(revision):
            omnichannel.check_fields(self.fields or ())
        else:
            besides = omnichannel.FIELDS if revision is None else ()
            check_fields(LIST, "campaign", self.fields, revision, rendered=rendered, besides=besides)

    def _wanted(self, revision: str | None) -> Filter | None:
        may_be_newer = revision is None and omnichannel.ADDED in str(self.filter)
        if is_omnichannel(revision):
            instead, operation = omnichannel.GONE, None
        else:
            instead = {"messages.channel": "name the channels to list with 'channels' instead"}
            operation = None if may_be_newer else LIST
        return given_filter(operation, self.filter, revision, example="contains(name,", instead=instead)

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        revision = self.hook.api_revision
        self._check_fields(revision, rendered=True)
        rows = self.hook.list_campaigns(
            channels=self.channels,
            filter=self._wanted(revision),
            fields=self.fields or (),
            include=self.include,
            sort=self.sort,
            max_pages=self.max_pages,
        )
        self.log.info("There are %s such campaigns.", f"{len(rows):,}")
        if self.output_path is None:
            if self.do_xcom_push:
                check_xcom_size(rows, "Write them to a file with output_path, or ask for less with fields and filter.")
            return rows
        path = storage(filled(str(self.output_path), Field("/output_path", rendered=True)))
        write_json_lines(path, rows)
        return {"path": str(path), "count": len(rows)}
