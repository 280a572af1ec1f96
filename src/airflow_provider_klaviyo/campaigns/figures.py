"""What a report of campaigns has: statistics, groupings and timeframes as Klaviyo publishes them, and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from airflow_provider_klaviyo.campaigns.values import Field, show

Kind = Literal["text", "time", "count", "number"]
Columns = Mapping[str, Kind]
"""The columns of a report, in their order, and what is in each: a ``time`` is ISO 8601 in UTC."""

COUNTS = (
    *("recipients", "delivered", "bounced", "failed", "bounced_or_failed", "opens", "opens_unique", "clicks"),
    *("clicks_unique", "conversions", "conversion_uniques", "unsubscribes", "unsubscribe_uniques", "spam_complaints"),
    "message_segment_count_sum",
)
NUMBERS = (
    *("delivery_rate", "bounce_rate", "failed_rate", "bounced_or_failed_rate", "open_rate", "click_rate"),
    *("click_to_open_rate", "conversion_rate", "unsubscribe_rate", "spam_complaint_rate", "conversion_value"),
    *("average_order_value", "revenue_per_recipient", "text_message_credit_usage_amount", "text_message_spend"),
    "text_message_roi",
)
"""Rates, from 0 to 1, and amounts of money in the account's currency."""
STATISTICS: Mapping[str, Kind] = {**dict.fromkeys(COUNTS, "count"), **dict.fromkeys(NUMBERS, "number")}

FUNNEL = (
    *("recipients", "delivered", "opens_unique", "open_rate", "clicks_unique", "click_rate"),
    *("conversion_uniques", "conversion_rate", "conversion_value", "unsubscribe_uniques", "spam_complaints"),
)
"""The statistics of a report that does not choose its own."""

TIMEFRAMES = (
    *("last_12_months", "last_30_days", "last_365_days", "last_3_months", "last_7_days", "last_90_days", "last_month"),
    *("last_week", "last_year", "this_month", "this_week", "this_year", "today", "yesterday"),
)
LONGEST = timedelta(days=366)

GROUPED_BY = ("campaign_id", "campaign_message_id", "variation", "send_channel")
"""The groupings that are part of a row's key."""
GROUPINGS = (
    *GROUPED_BY,
    *("campaign_message_name", "group", "group_name", "tag_id", "tag_name", "text_message_format", "variation_name"),
)
NAMED_OTHERWISE = {"group": "group_id"}
"""A grouping whose name is a word of SQL, and the column that it is in."""

KEY = ("account_id", *GROUPED_BY, "conversion_metric_id", "snapshot_at")
ABOUT: Columns = {"campaign_name": "text", "subject": "text", "template_id": "text", "send_time": "time"}


def columns(statistics: Sequence[str], group_by: Sequence[str]) -> dict[str, Kind]:
    """The columns of a report: the key, further groupings, what is known of the campaign, and the statistics."""
    further = [NAMED_OTHERWISE.get(name, name) for name in group_by if name not in GROUPED_BY]
    return {
        **dict.fromkeys((*KEY, *further), "text"),
        "snapshot_at": "time",
        **ABOUT,
        **{name: STATISTICS[name] for name in statistics},
    }


def row(of: Columns, result: Mapping[str, Mapping[str, Any]], known: Mapping[str, Any]) -> dict[str, Any]:
    """One result of Klaviyo's as a row of these columns.

    :param known: what the result does not have, by column.
    """
    groupings = {NAMED_OTHERWISE.get(name, name): value for name, value in result["groupings"].items()}
    values = {**groupings, **result["statistics"], **known}
    found = {name: _as(kind, values.get(name)) for name, kind in of.items()}
    return {**found, **{name: found[name] or "" for name in KEY}}


def _as(kind: Kind, value: Any) -> Any:
    """A value as its column has it, ``None`` if Klaviyo has none."""
    if value is None:
        return None
    if kind == "time":
        return utc(datetime.fromisoformat(value))
    return {"text": str, "count": round, "number": float}[kind](value)  # type: ignore[operator]


def utc(moment: datetime) -> str:
    """A moment to the second: ``2026-11-26T09:00:00+00:00``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def timeframe(value: Any, field: Field) -> Any:
    """A timeframe as Klaviyo takes it: one of :data:`TIMEFRAMES`, or its ``start`` and ``end``, a year at most."""
    if field.pending(value):
        return value
    if isinstance(value, str):
        value = {"key": value}
    if not isinstance(value, Mapping) or set(value) not in ({"key"}, {"start", "end"}):
        raise field.error(f"is {show(value)}", f"Give {{'start': …, 'end': …}}, or one of: {', '.join(TIMEFRAMES)}.")
    if "key" in value:
        if not field.pending(value["key"]) and value["key"] not in TIMEFRAMES:
            raise field.error(
                f"is {show(value['key'])}", f"Give {{'start': …, 'end': …}}, or one of: {', '.join(TIMEFRAMES)}."
            )
        return dict(value)
    if any(field.at(name).pending(value[name]) for name in ("start", "end")):
        return value
    start, end = (_moment(value[name], field.at(name)) for name in ("start", "end"))
    wall = [moment.replace(tzinfo=None) for moment in (start, end)]
    if not wall[0] < wall[1] <= wall[0] + LONGEST:
        raise field.error(f"is {show(value)}", "Give an end after the start, at most a year later.")
    return {"start": start.isoformat(), "end": end.isoformat()}


def _moment(value: Any, field: Field) -> datetime:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise field.error(
            f"is {show(value)}", "Give a datetime, or one as text, such as '2026-11-01T00:00:00'."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
