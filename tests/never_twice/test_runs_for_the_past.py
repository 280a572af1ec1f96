"""Which runs reach people late: backfills, and scheduled runs whose successor is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_klaviyo.drafts.ready import is_for_the_past
from tests.support.context import dag_run

WEEK, DAY, HOUR = timedelta(days=7), timedelta(days=1), timedelta(hours=1)


def scheduled(late: timedelta, interval: timedelta) -> Any:
    """A scheduled run that was due so long ago, of a schedule with such an interval."""
    due = datetime.now(UTC) - late
    return dag_run("scheduled", run_after=due, data_interval_start=due - interval, data_interval_end=due)


@pytest.mark.parametrize(
    ("run", "past"),
    [
        (dag_run("manual"), False),
        (dag_run("manual", run_after=datetime.now(UTC) - 30 * DAY), False),
        (dag_run("asset_triggered", run_after=datetime.now(UTC) - DAY), False),
        (dag_run("backfill"), True),
        (dag_run("backfill", run_after=datetime.now(UTC) - WEEK), True),
        (scheduled(timedelta(0), WEEK), False),
        (scheduled(6 * DAY, WEEK), False),
        (scheduled(7 * DAY + HOUR, WEEK), True),
        (scheduled(timedelta(minutes=10), HOUR), False),
        (scheduled(timedelta(minutes=61), HOUR), True),
        (scheduled(HOUR, timedelta(0)), False),
        (scheduled(25 * HOUR, timedelta(0)), True),
    ],
)
def test_a_run_is_for_the_past(run: Any, past: bool) -> None:
    assert is_for_the_past({"dag_run": run}) is past
