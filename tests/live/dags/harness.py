"""Plain DAGs, without Klaviyo, that show whether the live tests' Airflow itself works."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, get_current_context, task

START = pendulum.datetime(2026, 1, 1, tz="UTC")

with DAG("harness_defer", schedule="@daily", start_date=START, catchup=False):

    @task
    def give() -> list[int]:
        """Return a list to map over."""
        return [1, 2]

    @task
    def double(number: int) -> int:
        """Return twice the number."""
        return 2 * number

    wait = DateTimeSensorAsync(task_id="wait", target_time="{{ dag_run.conf.get('until', dag_run.run_after) }}")
    numbers = give()
    wait >> numbers
    double.expand(number=numbers)

with DAG("harness_hang_once", schedule=None):

    @task(retries=1, retry_delay=timedelta(seconds=0))
    def hang_once() -> int:
        """Hang in the first try; return the number of the try in the next."""
        context: Any = get_current_context()
        if context["ti"].try_number == 1:
            time.sleep(600)
        return int(context["ti"].try_number)

    hang_once()

with DAG("harness_daily", schedule="@daily", start_date=START, catchup=False):

    @task
    def nothing() -> None:
        """Do nothing."""

    nothing()
