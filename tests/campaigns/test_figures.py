from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from airflow_provider_klaviyo.api.operations import revisions
from airflow_provider_klaviyo.api.schemas import component
from airflow_provider_klaviyo.campaigns.figures import (
    COUNTS,
    FUNNEL,
    GROUPINGS,
    NUMBERS,
    STATISTICS,
    TIMEFRAMES,
    columns,
    row,
    timeframe,
)
from airflow_provider_klaviyo.campaigns.values import Field
from airflow_provider_klaviyo.exceptions import KlaviyoValidationError

FIELD = Field("/timeframe")


@pytest.mark.parametrize("revision", revisions())
def test_statistics_groupings_and_timeframes_are_those_that_klaviyo_publishes(revision):
    given = component("CampaignValuesRequestDTOResourceObject", revision)["properties"]["attributes"]["properties"]
    assert sorted(STATISTICS) == given["statistics"]["items"]["enum"]
    assert sorted(GROUPINGS) == given["group_by"]["items"]["enum"]
    assert sorted(TIMEFRAMES) == component("Timeframe", revision)["properties"]["key"]["enum"]
    assert not set(COUNTS) & set(NUMBERS)
    assert set(FUNNEL) <= set(STATISTICS)
    assert all(name in NUMBERS for name in STATISTICS if name.endswith("_rate"))


def test_a_row_has_its_key_first_then_what_it_is_of_then_typed_figures():
    of = columns(["recipients", "open_rate"], ["campaign_id", "campaign_message_id", "group"])
    result = {
        "groupings": {"campaign_id": "C1", "campaign_message_id": "M1", "group": "G1", "variation": None},
        "statistics": {"recipients": 12.0, "open_rate": 1},
    }
    known = {"account_id": "A", "snapshot_at": "2026-11-26T09:00:00.5+01:00", "send_time": None}
    made = row(of, result, known)
    assert list(made.items()) == [
        ("account_id", "A"),
        ("campaign_id", "C1"),
        ("campaign_message_id", "M1"),
        ("variation", ""),
        ("send_channel", ""),
        ("conversion_metric_id", ""),
        ("snapshot_at", "2026-11-26T08:00:00+00:00"),
        ("group_id", "G1"),
        ("campaign_name", None),
        ("subject", None),
        ("template_id", None),
        ("send_time", None),
        ("recipients", 12),
        ("open_rate", 1.0),
    ]
    assert isinstance(made["recipients"], int)
    assert isinstance(made["open_rate"], float)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("last_30_days", {"key": "last_30_days"}),
        ({"key": "today"}, {"key": "today"}),
        (
            {"start": "2026-11-01", "end": datetime(2026, 11, 2, tzinfo=UTC)},
            {"start": "2026-11-01T00:00:00+00:00", "end": "2026-11-02T00:00:00+00:00"},
        ),
        (
            {"start": "2026-11-01T00:00:00-05:00", "end": "2026-11-02T00:00:00-05:00"},
            {"start": "2026-11-01T00:00:00-05:00", "end": "2026-11-02T00:00:00-05:00"},
        ),
        ("{{ params.timeframe }}", "{{ params.timeframe }}"),
        ({"start": "{{ ds }}", "end": "2026-11-02"}, {"start": "{{ ds }}", "end": "2026-11-02"}),
    ],
)
def test_a_timeframe_is_taken_as_klaviyo_reads_it(given, taken):
    assert timeframe(given, FIELD) == taken


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("last_31_days", "timeframe is 'last_31_days'. .*last_30_days"),
        ({"key": "ever"}, "'ever'"),
        ({"start": "2026-11-01"}, "Give {'start'"),
        ({"start": "2026-11-02", "end": "2026-11-01"}, "Give an end after the start"),
        ({"start": "2024-11-02", "end": "2026-11-01"}, "at most a year later"),
        ({"start": "yesterday", "end": "2026-11-01"}, "timeframe.start is 'yesterday'"),
        (30, "is 30"),
    ],
)
def test_a_timeframe_that_klaviyo_does_not_have_is_refused(given, words):
    with pytest.raises(KlaviyoValidationError, match=re.compile(words, re.DOTALL)):
        timeframe(given, FIELD)


def test_the_wall_clock_of_a_timeframe_counts_and_not_its_offsets():
    zones = timezone(timedelta(hours=14)), timezone(timedelta(hours=-10))
    start, end = (datetime(2026, 11, day, tzinfo=zone) for day, zone in zip((1, 2), zones, strict=True))
    assert timeframe({"start": start, "end": end}, FIELD)
    with pytest.raises(KlaviyoValidationError, match="after the start"):
        timeframe({"start": end.replace(day=1), "end": start}, FIELD)
