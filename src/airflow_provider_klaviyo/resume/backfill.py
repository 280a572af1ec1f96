"""Whether a run is for a date that has passed, where a send would reach people late."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum

if TYPE_CHECKING:
    from airflow.sdk import Context

LATE = timedelta(hours=24)
"""How late a scheduled run may be to count as on time, where its schedule does not tell when the next one is due."""


def is_for_the_past(context: Context) -> bool:
    """Whether this run is a backfill, or a scheduled run whose successor is already due (catch-up, a late clear)."""
    run = context["dag_run"]
    if run.run_type == "backfill":
        return True
    if run.run_type != "scheduled":
        return False
    return bool(pendulum.now("UTC") >= _successor(run, context.get("dag")))


def _successor(run: Any, dag: Any) -> datetime:
    """When the next run of the schedule is due: from the run's own interval, else from the DAG's schedule."""
    start, end = run.data_interval_start, run.data_interval_end
    due: datetime = run.run_after
    if start and end and end > start:
        interval: timedelta = end - start
        return due + interval
    timetable = getattr(dag, "timetable", None)
    delta = _fact(timetable, "delta")
    if isinstance(delta, timedelta):
        return due + delta
    if isinstance(expression := _fact(timetable, "expression"), str):
        from croniter import croniter

        local = pendulum.instance(due).in_timezone(_fact(timetable, "timezone") or "UTC")
        following: datetime = croniter(expression, local).get_next(datetime)
        return following
    return due + LATE


def _fact(timetable: Any, name: str) -> Any:
    """An attribute of a timetable; Airflow below 3.2 has it with an underscore."""
    return getattr(timetable, name, None) or getattr(timetable, f"_{name}", None)
